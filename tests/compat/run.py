"""What programs see, bare and under tapline: run both, compare result by result, print every difference.

    run.py BUILD [NAME...]

BUILD holds tapline and libtapline.so. A NAME is a test module of CPython (test_socket), or node, or curl; without any, all
of them. PYTHON_COMPAT is an interpreter with its test package (default: /usr/bin/python3). COMPAT_KEEP=1
keeps the files. Exit status 1 if a result differs. README.md says what counts as a difference. Run by `make check-compat`.
"""
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import clients
import cpython

REPOSITORY = Path(__file__).resolve().parents[2]
RERUNS = 2


class Side:
    """One way to run a program: bare, or under tapline. run() gives its exit status, stdout and stderr."""

    def __init__(self, name, prefix, directory, user):
        self.name, self.prefix, self.directory, self.user = name, prefix, directory, user
        self.temp = directory / "tmp"
        self.temp.mkdir(parents=True)
        for path in (directory, self.temp):
            path.chmod(0o755)
            if user:
                os.chown(path, user.pw_uid, user.pw_gid)

    def run(self, argv, timeout, **variables):
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(self.directory), "LANG": "C.UTF-8",
                       "TMPDIR": str(self.temp), **variables}
        who = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []} if self.user else {}
        child = subprocess.Popen([*self.prefix, *map(str, argv)], cwd=self.directory, env=environment, text=True,
                                 errors="replace", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, start_new_session=True, **who)
        try:
            out, err = child.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            out, err = child.communicate()
            return None, out, err
        return child.returncode, out, err


def unprivileged(argv):
    """The user to run as: nobody if we are root and nobody can start argv. Some tests of os differ for root."""
    if os.geteuid():
        return None
    user = pwd.getpwnam("nobody")
    try:
        subprocess.run(argv, check=True, capture_output=True, timeout=60, cwd="/", user=user.pw_uid, group=user.pw_gid,
                       extra_groups=[], env={"PATH": "/usr/bin:/bin"})
    except (OSError, subprocess.CalledProcessError):
        print(f"{argv[0]} cannot be started by {user.pw_name}: both sides run as root", file=sys.stderr)
        return None
    return user


def stage(build, target):
    """Copy what tapline needs to where any user can read it. Returns the program."""
    target.mkdir()
    for name in ("tapline", "libtapline.so", "catalogue.conf"):
        shutil.copy(build / name, target / name)
        (target / name).chmod(0o755)
    return target / "tapline"


def known():
    """{(suite, result): reason} of known.txt."""
    lines = (REPOSITORY / "tests/compat/known.txt").read_text().splitlines()
    rows = [line.split(" | ") for line in lines if line and not line.startswith("#")]
    return {(suite, result): reason for suite, result, reason in rows}


def compare(suite, sides):
    """Run the suite on both sides. Returns (results of the bare run, differences, unsteady ones)."""
    bare, tapped = ({**suite.run(side)} for side in sides)
    differing = {name for name in bare.keys() | tapped.keys() if bare.get(name) != tapped.get(name)}
    seen = {name: [(bare.get(name), tapped.get(name))] for name in differing}
    for _ in range(RERUNS):
        if not differing:
            break
        again = [suite.run(side, sorted(differing)) for side in sides]
        for name in differing:
            seen[name].append(tuple(result.get(name) for result in again))
        differing = {name for name in differing if seen[name][-1][0] != seen[name][-1][1]}
    steady = {name: pairs[-1] for name, pairs in seen.items() if name in differing}
    unsteady = {name: pairs for name, pairs in seen.items() if name not in differing}
    return bare, steady, unsteady


def main():
    build, wanted = Path(sys.argv[1]).resolve(), sys.argv[2:]
    python = os.environ.get("PYTHON_COMPAT") or "/usr/bin/python3"
    suites = {**cpython.suites(python), **clients.suites()}
    if unknown := set(wanted) - suites.keys():
        sys.exit(f"run.py: no such suite: {' '.join(sorted(unknown))}; there are {' '.join(suites)}")
    lab = Path(tempfile.mkdtemp(prefix="tapline-compat-", dir="/tmp"))
    lab.chmod(0o755)
    failed, by_design = False, known()
    try:
        program = stage(build, lab / "stage")
        user = unprivileged([python, "-c", "import test.test_socket"])
        sides = [Side("bare", [], lab / "bare", user),
                 Side("tapline", [program, "run", "-q", "--bypass", "none", "--"], lab / "tapline", user)]
        for name in wanted or suites:
            suite = suites[name]
            suite.prepare(lab, user)
            try:
                bare, steady, unsteady = compare(suite, sides)
            finally:
                suite.clear()
            passed = sum(result == "passed" for result in bare.values())
            counts = f" ({passed} passed when bare)" if passed else ""
            print(f"{name}: {len(bare)} results{counts}, {len(steady)} differ, {len(unsteady)} unsteady", flush=True)
            for test, (plain, tapped) in sorted(steady.items()):
                reason = by_design.get((name, test))
                print(f"  {'known' if reason else 'DIFFERS'} {test}\n    bare:    {plain}\n    tapline: {tapped}"
                      + (f"\n    reason:  {reason}" if reason else ""), flush=True)
                failed = failed or not reason
            for test, pairs in sorted(unsteady.items()):
                print(f"  unsteady {test}: " + "; ".join(f"{plain} | {tapped}" for plain, tapped in pairs), flush=True)
            if suite.tested_nothing(bare):
                print(f"  NOTHING was tested: {bare}", flush=True)
                failed = True
    finally:
        if os.environ.get("COMPAT_KEEP"):
            print(f"kept: {lab}")
        else:
            shutil.rmtree(lab, ignore_errors=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
