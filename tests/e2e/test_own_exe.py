"""The record's exe is what /proc/self/exe says, whatever name a program was started by. The story: the library takes
the name that execve(2) was given where that is the file's own, because /proc costs more than all else it does at a
program's start; a script's name, a symbolic link or the linker's would be another file."""

import glob
import os

import pytest

PYTHON = os.path.realpath("/usr/bin/python3")
LINKER = os.path.realpath(glob.glob("/lib*/ld-linux-*.so.*")[0])
SAY = "import os; print(os.getpid(), os.readlink('/proc/self/exe'))"
BY_DESCRIPTOR = f"import os; os.execve(os.open({PYTHON!r}, os.O_RDONLY), ['x', '-c', {SAY!r}], os.environ)"


def script(sandbox, name, first_line):
    path = sandbox.work / name
    path.write_text(f"{first_line}\n{SAY}\n")
    path.chmod(0o755)
    return str(path)


WAYS = {
    "its-own-name": lambda s: [PYTHON, "-c", SAY],
    "a-symbolic-link": lambda s: ["/usr/bin/python3", "-c", SAY],
    "a-linked-directory": lambda s: ["/bin/" + os.path.basename(PYTHON), "-c", SAY],
    "detours": lambda s: ["/usr/./bin//../bin/" + os.path.basename(PYTHON), "-c", SAY],
    "a-relative-name": lambda s: ["/bin/sh", "-c", f"cd / && exec .{PYTHON} -c \"{SAY}\""],
    "a-script": lambda s: [script(s, "plain", f"#!{PYTHON}")],
    "a-script-with-an-option": lambda s: [script(s, "option", f"#!{PYTHON} -B")],
    "a-script-by-env": lambda s: [script(s, "env", "#!/usr/bin/env python3")],
    "the-linker": lambda s: [LINKER, PYTHON, "-c", SAY],
    "a-descriptor": lambda s: [PYTHON, "-c", BY_DESCRIPTOR],
    "its-own-name-as-argument": lambda s: [PYTHON, "-c", SAY, PYTHON],
}


@pytest.mark.parametrize("way", WAYS)
def test_exe_is_the_file_that_runs(sandbox, way):
    done = sandbox.tapline(WAYS[way](sandbox))
    assert done.returncode == 0, done
    pid, exe = done.stdout.split()
    assert [e["exe"] for e in done.of("process.start", pid=int(pid))][-1] == exe, done
