"""libtapline.so as its hosts meet it: what it needs, what it exports, what it calls. The library is
loaded into every program of a run, so each new dependency or symbol has to be allowed here first."""

import os
import pathlib
import re
import subprocess

import pytest

from tree import ROOT

BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build"))
LIBRARY = BUILD / "libtapline.so"


def tool(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def symbols(*options):
    """Names as nm prints them, without versions."""
    lines = tool("nm", "-D", *options, LIBRARY).splitlines()
    return {line.split()[-1].split("@")[0] for line in lines}


def export_list():
    text = re.sub(r"/\*.*?\*/|#[^\n]*", "", (ROOT / "preload/exports.map").read_text(), flags=re.S)
    body = re.search(r"global:(.*?)local:", text, re.S).group(1)
    return {name.strip() for name in body.split(";") if name.strip()}


def test_needs_only_libc():
    needed = re.findall(r"NEEDED\s+(\S+)", tool("objdump", "-p", LIBRARY))
    assert "libc.so.6" in needed
    assert [name for name in needed if name != "libc.so.6" and not name.startswith("ld-linux")] == []


def test_exports_only_its_hooks():
    exported = symbols("--defined-only")
    listed = export_list()
    assert not [name for name in listed if "*" in name], "the list must name each symbol"
    assert exported == listed


def test_calls_only_what_is_allowed():
    allowed = set()
    for line in (ROOT / "tests/gates/undefined.txt").read_text().splitlines():
        allowed.update(line.split("#")[0].split())
    assert symbols("--undefined-only") - allowed == set()


# Nothing of this may be reached from a hook: the program may be in a signal handler, in a child of vfork(2), inside
# its allocator, or at its first instructions. What the whole library does not refer to, no hook can reach.
REFUSED = re.compile(r"""(\w*(alloc|memalign)\w*|free|cfree|_?_?str(n)?dup\w*|mmap\w*|s?brk      # memory
                      |f(re)?open\w*|fd?open\w*|fclose|fflush|f?get[cs]\w*|f?put[cs]\w*|fread\w*|fwrite\w*|getline
                      |_?_?v?(f|d|s|sn|as)?printf\w*|v?(f|s)?scanf\w*|perror|std(in|out|err)           # stdio
                      |_?_?(pthread|thrd|mtx|cnd|call_once|sem|tss)_?\w*|__tls_get_addr                # threads
                      |exit|_exit|_Exit|abort|__assert_fail|__stack_chk_fail|__\w+_chk               # ends the program
                      |signal|sigaction|setenv|putenv|unsetenv|clearenv|secure_getenv)""", re.X)


def test_no_allocation_stdio_or_thread_is_reachable():
    """Also not by way of the allow-list, or of the table of real functions."""
    allowed = set()
    for line in (ROOT / "tests/gates/undefined.txt").read_text().splitlines():
        allowed.update(line.split("#")[0].split())
    assert not [name for name in symbols("--undefined-only") | allowed if REFUSED.fullmatch(name)]


def test_a_real_function_is_called_by_its_own_hook_only():
    """Those that allocate or use stdio (fopen, popen, getaddrinfo) are called for the program, never for ourselves."""
    names = "fopen|fopen64|freopen|freopen64|tmpfile|tmpfile64|popen|system|getaddrinfo|gethostbyname\\w*"
    seen = 0
    for path in (ROOT / "preload").glob("*.c"):
        for function in re.split(r"(?m)^}$", path.read_text()):
            for name in re.findall(rf"\bREAL\(({names})\)", function):
                seen += 1
                assert re.search(rf"(?m)^EXPORT\s[^;]*?\b{name}\(", function), f"{path.name} calls the real {name}"
    assert seen >= 12


# Symbol versions above the oldest glibc that we want to run on, and why they cannot be helped. glibc 2.34 moved libdl
# into libc. The old versions are still there, but on a glibc before 2.34 only in libdl, which would then have to be
# loaded into every program; without it the linker would end the program. A library built there asks for the old ones.
FLOOR = (2, 28)
NEWER = {"dlsym", "dladdr1", "dlopen", "dlclose"}


def test_needs_no_newer_glibc():
    found = re.findall(r"GLIBC_([\d.]+)\)?\s+(\w+)$", tool("objdump", "-T", LIBRARY), re.M)
    assert len(found) > 10, "objdump shows versions in another manner here"
    newer = {name: version for version, name in found if tuple(map(int, version.split("."))) > FLOOR}
    assert set(newer) <= NEWER, newer


def test_no_hook_is_called_from_inside():
    """A call to a hooked name from inside would go through our own hook again. (Only calls have a
    jump slot; taking a hook's address, to tell it from the real function, is allowed.)"""
    called = set(re.findall(r"JUMP_SLOT\s+(\w+)", tool("objdump", "-R", LIBRARY)))
    assert called, "no jump slots: was the library built with -fno-plt? Then look elsewhere"
    assert called & export_list() == set()


def test_its_system_calls_exist_on_every_architecture():
    """Newer ones (aarch64) have only the kernel's generic list, without poll, readlink and other old names."""
    generic = pathlib.Path("/usr/include/asm-generic/unistd.h").read_text()
    known = set(re.findall(r"#define __NR_(\w+)", generic))
    sources = "".join(path.read_text() for path in sorted((ROOT / "preload").glob("*.[ch]")))
    sources = re.sub(r"#if defined\(__x86_64__\)\n.*?\n#e(lse|lif|ndif)", "", sources, flags=re.S)
    used = set(re.findall(r"\bSYS_([a-z]\w+)", sources))
    assert len(used) > 20 and "openat" in known
    assert used - known == set()


def test_is_hardened():
    headers = tool("readelf", "-lW", LIBRARY)
    dynamic = tool("readelf", "-dW", LIBRARY)
    assert "GNU_RELRO" in headers
    assert re.search(r"GNU_STACK.*\bRW\s", headers), "the stack must not be executable"
    assert not re.search(r"LOAD.*\bRWE\b", headers)
    assert "BIND_NOW" in dynamic or "NOW" in dynamic
    assert "TEXTREL" not in dynamic


@pytest.mark.parametrize("command", [["/bin/true"], ["/bin/sh", "-c", "exit 0"]])
def test_loads_into_a_program_with_immediate_binding(command):
    done = subprocess.run(command, capture_output=True,
                          env={"PATH": "/usr/bin:/bin", "LD_BIND_NOW": "1",
                               "LD_PRELOAD": str(LIBRARY)})
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
