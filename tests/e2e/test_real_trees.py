"""Real programs that start others: Poetry building packages, npm's install scripts; and real programs for another
architecture or another libc, which are named and cause no noise."""
import platform
import shutil
from pathlib import Path

import pytest

import packages
import projects
from trees import HELLO, assert_covered, assert_uncovered, compile_c, uncovered

# -- Poetry

PATH_DEPENDENCY = """[project]
name = "demo"
version = "0.1.0"
requires-python = ">=3.9,<4.0"
dependencies = ["pebble (>=1.0)", "cairn"]

[tool.poetry]
package-mode = false

[tool.poetry.dependencies]
cairn = {path = "cairn"}

[[tool.poetry.source]]
name = "local"
url = "URL"
priority = "primary"
"""
CHILDREN = """
import subprocess
subprocess.run(["/usr/bin/env", "-i", "/bin/true", "cairn-env"], check=True)
subprocess.run(["/bin/true", "cairn-clean"], env={}, check=True)
subprocess.run("/bin/true cairn-shell; :", shell=True, check=True)
"""


def write_cairn(sandbox):
    """A project beside the one that needs it, whose build backend starts programs as compilers are started."""
    files = {"pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
                               '[project]\nname = "cairn"\nversion = "1.0"\n',
             "backend.py": CHILDREN + packages.BACKEND.format(dist="cairn", name="cairn", version="1.0", module="cairn"),
             "cairn.py": "VERSION = '1.0'\n"}
    for name, text in files.items():
        sandbox.user.make_file(sandbox.work / "cairn" / name, text)


def test_poetry_builds_packages(sandbox, index, poetry):
    """One from the index and one beside the project are built by their own backends (PEP 517), in processes of
    their own, which start others."""
    write_cairn(sandbox)
    sandbox.user.make_file(sandbox.work / "pyproject.toml", PATH_DEPENDENCY.replace("URL", index.url + "/simple/"))
    program, env = poetry / "bin" / "poetry", projects.poetry_env(index.ca)
    sandbox.tapline([program, "lock", "-n"], env=env, timeout=120).assert_worked()
    done = sandbox.tapline([program, "install", "-n"], env=env, timeout=120)
    done.assert_worked()
    for word in ("cairn-env", "cairn-clean", "cairn-shell"):
        assert_covered(done, "/bin/true", word)
    hooks = [e["argv"] for e in done.of("process.start") if any("_in_process.py" in word for word in e["argv"])]
    assert {argv[-2] for argv in hooks if argv[-2] == "build_wheel"}, f"no build backend among the processes\n{done}"
    assert uncovered(done) == [], str(done)
    said = sandbox.run([sandbox.work / ".venv/bin/python", "-c", "import cairn, pebble; print(cairn.VERSION, pebble.VERSION)"])
    assert said.stdout == "1.0 1.0\n", str(said)


# -- npm

INSTALL_JS = """
const { spawnSync, execFileSync, execSync } = require('child_process');
spawnSync('/bin/true', ['spawn'], { env: {} });
execFileSync('/bin/true', ['file'], { env: {} });
execSync('/bin/true shell; :', { env: {} });
"""


def test_npm_runs_a_packages_install_scripts(sandbox, index, npm):
    scripts = '{"preinstall": "env -i /bin/true preinstall", "install": "node install.js", "postinstall": "/bin/true post"}'
    tarball = packages.tarball({
        "package/package.json": ('{"name": "nut", "version": "1.0.0", "scripts": %s}' % scripts).encode(),
        "package/install.js": INSTALL_JS.encode()})
    sandbox.user.make_file(sandbox.work / "nut.tgz", tarball)
    sandbox.user.make_file(sandbox.work / "package.json", '{"name": "demo", "version": "1.0.0", "dependencies": '
                           '{"nut": "file:nut.tgz", "moss-js": "^1.0.0"}}')
    done = sandbox.tapline([npm, "install"], env=projects.npm_env(index), timeout=120)
    done.assert_worked()
    for word in ("preinstall", "spawn", "file", "shell", "post"):
        assert_covered(done, "/bin/true", word)
    assert uncovered(done) == [], str(done)


# -- programs that cannot load the library

STARTS = """#include <stdio.h>
#include <unistd.h>
int main(void)
{
        puts("hello");
        fflush(stdout);
        return execl("/bin/echo", "echo", "its child", (char *)0);
}
"""


def check(sandbox, program, reason, said="hello\n"):
    """It works, it is named, and nobody complains."""
    bare, done = sandbox.run([program]), sandbox.tapline(["/bin/sh", "-c", f"{program}; :"])
    assert bare.returncode == 0 and done.stdout == bare.stdout == said, f"{bare}\n{done}"
    assert_uncovered(done, program, reason)
    assert len(done.stderr.splitlines()) == 1, f"noise\n{done}"


# With its libc only: gcc's own part for 32 bits cannot be installed beside a cross compiler.
LIB32 = ["-m32", "-no-pie", "-nostdlib", "-x", "none", *(f"/usr/lib32/{part}" for part in ("crt1.o", "crti.o", "crtn.o", "libc.so.6"))]
ALONE32 = """
static int call(int nr, int a, const char *b, int c)
{
        int result;

        __asm__ volatile("int $0x80" : "=a"(result) : "0"(nr), "b"(a), "c"(b), "d"(c) : "memory");
        return result;
}
void _start(void) { call(4, 1, "hello\\n", 6); call(1, 0, 0, 0); }
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="its 32-bit programs are i386's")
@pytest.mark.parametrize("source, flags, said", [
    (HELLO, LIB32, "hello\n"), (STARTS, LIB32, "hello\nits child\n"),
    (ALONE32, ["-m32", "-static", "-nostdlib", "-fno-pic", "-no-pie"], "hello\n"),
], ids=["alone", "starts another", "static"])
def test_a_32_bit_program(sandbox, source, flags, said):
    program = compile_c(sandbox, "small", source, *flags)
    assert program.read_bytes()[4] == 1, "ELFCLASS32, elf(5)"
    check(sandbox, program, "foreign", said)


@pytest.mark.parametrize("flags, reason", [([], "foreign"), (["-static"], "static")], ids=["dynamic", "static"])
def test_a_musl_program(sandbox, flags, reason):
    assert shutil.which("musl-gcc"), "musl-gcc is missing: sh contrib/deps.sh install check"
    program = compile_c(sandbox, "other", STARTS, *flags, compiler="musl-gcc")
    assert reason == "static" or list(Path("/lib").glob("ld-musl-*")), "musl's linker is missing"
    check(sandbox, program, reason, "hello\nits child\n")
