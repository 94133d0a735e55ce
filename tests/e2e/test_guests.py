"""Programs that are delicate about what else is in their process: other allocators, sanitizers, closed descriptors,
seccomp filters. They work under tapline as they do without it, or are left alone and named."""
import os
import re
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from origins import RawServer
from runner import PATH

BUILD = Path(os.environ.get("BUILD", Path(__file__).resolve().parents[2] / "build")).resolve()
LIBRARY = "libtapline.so"
SECCOMP = ["EPERM", "ENOSYS", "KILL", "TRAP", "LIST", "PROBE", "none"]
FATAL = ["KILL", "TRAP", "LIST"]


def place(sandbox, name):
    target = sandbox.work / name
    if not target.exists():
        shutil.copyfile(BUILD / "clients" / name, target)
        target.chmod(0o755)
    return target


def shared(name):
    """Path of a shared library, as the linker finds it."""
    listed = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, check=True,
                            env={"PATH": f"{PATH}:/usr/sbin:/sbin"}).stdout
    return re.search(rf"^\s*{re.escape(name)} .*=> (\S+)$", listed, re.M).group(1)


@pytest.fixture(scope="module")
def origin():
    server = RawServer(lambda connection: connection.recv(1))
    threading.Thread(target=server.accept_all, daemon=True).start()
    yield server
    server.listener.close()


@pytest.fixture
def denied(sandbox):
    folder = sandbox.user.make_dir(sandbox.work / "closed")
    folder.chmod(0o555)
    return folder / "x"


def uncovered(done):
    return [(Path(e["target"]).name, e["reason"]) for e in done.of("process.uncovered")]


def failures(done, path):
    return [e["errno"] for e in done.of("file.failure") if e["path"] == str(path)]


def redirected(done):
    return [e for e in done.of("connect") if e["kind"] == "redirected"]


# -- allocators

def allocator_env(sandbox, library, place_of_ours):
    if place_of_ours == "ours first":
        return {"LD_PRELOAD": library}
    return {"LD_PRELOAD": f"{library} {Path(sandbox.program()).parent / LIBRARY}"}


def reordered(argv, env):
    """tapline run puts its library in front; env(1) sets the order that the test is about."""
    return ["env", *(f"{k}={v}" for k, v in env.items()), *argv]


ALLOCATORS = pytest.mark.parametrize("library", ["libjemalloc.so.2", "libtcmalloc_minimal.so.4"])
ORDERS = pytest.mark.parametrize("order", ["ours first", "ours last"])


@ALLOCATORS
@ORDERS
def test_curl_with_an_allocator(sandbox, index, library, order):
    argv = reordered([shutil.which("curl", path=PATH), "-sS", f"{index.url}/echo"],
                     allocator_env(sandbox, shared(library), order))
    done = sandbox.tapline(argv, env={"CURL_CA_BUNDLE": index.certs.ca})
    done.assert_worked()
    done.assert_recorded(index)
    assert done.stderr.count("ld.so") == 0


@ALLOCATORS
@ORDERS
def test_python_with_an_allocator(sandbox, index, denied, library, order):
    script = ("import ssl, sys, threading, urllib.request\n"
              "def one(): urllib.request.urlopen(sys.argv[1]).read()\n"
              "threads = [threading.Thread(target=one) for _ in range(8)]\n"
              "[t.start() for t in threads]; [t.join() for t in threads]\n"
              "try: open(sys.argv[2], 'w')\n"
              "except PermissionError: print('denied')\n")
    argv = reordered(["/usr/bin/python3", "-c", script, f"{index.url}/echo", denied],
                     allocator_env(sandbox, shared(library), order))
    done = sandbox.tapline(argv, env={"SSL_CERT_FILE": index.certs.ca})
    assert (done.returncode, done.stdout) == (0, "denied\n"), str(done)
    done.assert_recorded(index)
    assert failures(done, denied) == ["EACCES"]


@ALLOCATORS
@ORDERS
def test_threads_with_an_allocator(sandbox, origin, denied, library, order):
    argv = reordered([place(sandbox, "guest_threads"), origin.host, origin.port, denied],
                     allocator_env(sandbox, shared(library), order))
    done = sandbox.tapline([str(a) for a in argv])
    assert (done.returncode, done.stdout) == (0, "connected 48 denied 48 resolved 48\n"), str(done)
    assert len(redirected(done)) == 48
    assert len(failures(done, denied)) == 48


# -- sanitizers

FAULTY = ("#include <stdlib.h>\n#include <stdio.h>\nint main(int c, char **v) { char *p = malloc(10); puts(\"hello\"); "
          "fflush(stdout); if (c > 1) p[10] = v[1][0]; free(p); return 0; }\n")


@pytest.fixture
def sanitized(sandbox):
    def make(*flags):
        target = sandbox.work / "sanitized"
        subprocess.run(["gcc", "-g", "-x", "c", "-", "-o", target, *flags], input=FAULTY, text=True, check=True)
        target.chmod(0o755)
        return target
    return make


@pytest.mark.parametrize("shell", [False, True], ids=["the command", "a child"])
def test_address_sanitizer_is_left_alone(sandbox, sanitized, shell):
    """Its runtime ends a program in which another library comes first."""
    program = sanitized("-fsanitize=address")
    start = (lambda *a: ["sh", "-c", f"{' '.join(map(str, a))}; exit $?"]) if shell else (lambda *a: list(a))
    done = sandbox.tapline(start(program))
    done.assert_worked()
    assert done.stdout == "hello\n" and ("sanitized", "sanitizer") in uncovered(done), str(done)
    assert f"{program} (sanitizer)" in done.stderr
    faulty = sandbox.tapline(start(program, "x"))
    assert faulty.returncode != 0 and "heap-buffer-overflow" in faulty.stderr, str(faulty)


@pytest.mark.parametrize("way", ["spawn", "vfork", "popen"])
def test_address_sanitizer_however_it_is_started(sandbox, sanitized, way):
    done = sandbox.tapline([place(sandbox, "tree_exec"), way, sanitized("-fsanitize=address"), ""])
    assert "hello\n" in done.stdout and "does not come first" not in done.stderr, str(done)
    assert ("sanitized", "sanitizer") in uncovered(done)


@pytest.mark.parametrize("flags", [["-fsanitize=address", "-static-libasan"], ["-fsanitize=thread"],
                                   ["-fsanitize=undefined"]], ids=["static asan", "tsan", "ubsan"])
def test_other_sanitizers_are_covered(sandbox, sanitized, flags):
    program = sanitized(*flags)
    bare = sandbox.run([program])
    if bare.returncode != 0:
        pytest.skip(f"it does not work without tapline either: {bare.stderr[-200:]}")
    done = sandbox.tapline([program])
    done.assert_worked()
    assert (done.stdout, uncovered(done)) == ("hello\n", []), str(done)


def test_address_sanitizer_that_is_preloaded(sandbox):
    """For an interpreter whose extension modules are instrumented."""
    runtime = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True,
                             check=True).stdout.strip()
    runtime = os.path.realpath(runtime)
    env = {"LD_PRELOAD": runtime, "ASAN_OPTIONS": "detect_leaks=0"}
    done = sandbox.tapline(["/usr/bin/python3", "-c", "print('hello')"], env=env)
    assert (done.returncode, done.stdout) == (0, "hello\n"), str(done)
    assert any("print" in str(e["argv"]) for e in done.of("process.start")), str(done)
    done = sandbox.tapline(["env", "-i", *(f"{k}={v}" for k, v in env.items()), "/usr/bin/python3", "-c",
                            "print('hello')"])
    assert (done.returncode, done.stdout) == (0, "hello\n"), str(done)


# -- closed descriptors

@pytest.mark.parametrize("how", ["closefrom", "close_range", "standard"])
def test_closed_descriptors(sandbox, origin, denied, how):
    program, seen = place(sandbox, "guest_closed"), []
    for run in (sandbox.run, sandbox.tapline):
        mine = sandbox.work / "mine"
        sandbox.user.make_dir(mine)
        done = run([program, how, origin.host, origin.port, denied, mine / f"seen{len(seen)}"])
        assert done.returncode == 0, str(done)
        seen.append((mine / f"seen{len(seen)}").read_text())
    assert seen[0] == seen[1] and "connect ok\npeer the target\nopen EACCES" in seen[0]
    assert failures(done, denied) == ["EACCES", "EACCES"] and len(redirected(done)) == 1


def test_started_without_standard_descriptors(sandbox, origin, denied):
    program, mine = place(sandbox, "guest_closed"), sandbox.user.make_dir(sandbox.work / "mine")
    seen = []
    for run in (sandbox.run, sandbox.tapline):
        path = mine / f"seen{len(seen)}"
        done = run(["sh", "-c", f"exec {program} closefrom {origin.host} {origin.port} {denied} {path} <&- >&- 2>&-"])
        assert done.returncode == 0, str(done)
        seen.append(path.read_text())
    assert seen[0] == seen[1] and "socket 0\n" in seen[0]
    assert failures(done, denied) == ["EACCES", "EACCES"]


def test_nothing_is_said_into_a_file_that_is_number_2(sandbox, origin, denied):
    """Bare LD_PRELOAD tells standard error, which the program has made a file of its own."""
    program, mine = place(sandbox, "guest_closed"), sandbox.user.make_dir(sandbox.work / "mine")
    library = Path(sandbox.program()).parent / LIBRARY
    for how, closed in (("standard", ""), ("closefrom", "<&- >&- 2>&-")):
        path = mine / how
        argv = f"{program} {how} {origin.host} {origin.port} {denied} {path}"
        done = sandbox.run(["sh", "-c", f"LD_PRELOAD={library} exec {argv} {closed}"])
        assert done.returncode == 0, str(done)
        assert "tapline" not in path.read_text() and "again -1" in path.read_text()


# -- RTLD_DEEPBIND

@pytest.mark.parametrize("library", ["deep.so", "deep_now.so"])
def test_libraries_that_are_bound_past_the_preloaded_ones(sandbox, origin, denied, library):
    program, loaded = place(sandbox, "deepbind"), place(sandbox, library)
    argv = [program, loaded, origin.host, origin.port, denied]
    bare, done = sandbox.run(argv), sandbox.tapline(argv)
    assert bare.returncode == done.returncode == 0, f"{bare}\n{done}"
    assert bare.stdout == done.stdout and f"{library}: loaded\nthen no error" in done.stdout and "unlink o" in done.stdout
    assert failures(done, denied) == ["EACCES"] and len(redirected(done)) == 1, str(done)


# -- seccomp

@pytest.mark.parametrize("how", ["prctl", "syscall"])
@pytest.mark.parametrize("what", SECCOMP)
def test_a_filter_of_the_programs_own(sandbox, origin, denied, how, what):
    program = place(sandbox, "guest_seccomp")
    argv = [program, how, what, origin.host, origin.port, denied]
    bare, done = sandbox.run(argv), sandbox.tapline(argv)
    assert bare.returncode == 0 and "filter" in bare.stdout, str(bare)
    assert (done.returncode, done.stdout) == (0, bare.stdout), str(done)
    expected = [("guest_seccomp", "seccomp")] if what in FATAL + ["EPERM", "ENOSYS"] else []
    assert uncovered(done) == expected, str(done)
    assert len(done.of("process.start")) == 1
    assert failures(done, denied) == ([] if what in FATAL else ["EACCES"]), str(done)
    assert bool(redirected(done)) == (what in ("PROBE", "none")), str(done)


@pytest.mark.parametrize("what", ["EPERM", "KILL", "TRAP"])
def test_a_filter_goes_with_the_programs_that_are_started(sandbox, origin, denied, what):
    argv = [place(sandbox, "guest_seccomp"), "prctl", what, origin.host, origin.port, denied, "/bin/ls"]
    bare, done = sandbox.run(argv), sandbox.tapline(argv)
    assert (done.returncode, done.stdout, bare.returncode) == (bare.returncode, bare.stdout, 2), str(done)


def test_a_filter_from_before_changes_nothing(sandbox, origin, denied):
    """That of a container, say: here of a parent that the library is not in."""
    first, second = place(sandbox, "guest_seccomp"), sandbox.work / "second"
    shutil.copyfile(first, second)
    second.chmod(0o755)
    script = ("import ctypes, os, struct, sys\n"
              "code = ctypes.create_string_buffer(struct.pack('HBBI', 6, 0, 0, 0x7fff0000))\n"
              "prog = ctypes.create_string_buffer(struct.pack('HxxxxxxP', 1, ctypes.addressof(code)))\n"
              "libc = ctypes.CDLL(None)\n"
              "assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, prog, 0, 0) == 0\n"
              "os.execv(sys.argv[1], sys.argv[1:])\n")
    done = sandbox.tapline(["/usr/bin/python3", "-c", script, second, "prctl", "none", origin.host, origin.port, denied])
    assert (done.returncode, uncovered(done)) == (0, []), str(done)
    assert failures(done, denied) == ["EACCES"] and redirected(done), str(done)
