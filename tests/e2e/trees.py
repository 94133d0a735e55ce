"""What a process tree under tapline is to look like: who is covered, and who is named as not covered. Used by
test_process_tree.py and test_real_trees.py."""
import os
import shutil
import subprocess
from pathlib import Path

HELLO = "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; }\n"


def place(sandbox, source, name=None, mode=0o755):
    """A copy that the unprivileged user can run. Returns its path."""
    target = sandbox.work / (name or Path(source).name)
    shutil.copyfile(source, target)
    target.chmod(mode)
    return target


def compile_c(sandbox, name, source, *flags, compiler="cc"):
    """C source, made into a program or library of that name. Returns its path."""
    target = sandbox.work / name
    subprocess.run([compiler, "-x", "c", "-", "-o", target, *map(str, flags)], input=source, text=True, check=True,
                   timeout=60)
    target.chmod(0o755)
    return target


def commands(done):
    """The command lines of the covered processes."""
    return [e["argv"] for e in done.of("process.start")]


def assert_covered(done, *argv):
    assert list(map(str, argv)) in commands(done), f"not covered: {argv}\n{done}"


def uncovered(done):
    return [(e["target"], e["reason"]) for e in done.of("process.uncovered")]


def assert_uncovered(done, path, reason):
    """The program is recorded, and named in the report's one line, which is no error."""
    path = os.path.realpath(path)
    assert (path, reason) in uncovered(done), str(done)
    done.assert_worked()
    lines = [line for line in done.stderr.splitlines() if line.startswith("tapline:")]
    assert len(lines) == 1 and "could not be watched: " in lines[0], str(done)
    assert f"{path} ({reason})" in lines[0], str(done)
