"""Locks that somebody else holds: the program waits exactly as without the library, and the record says from when until
when, for which file, and who holds it."""
import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

BUILD = Path(os.environ.get("BUILD", Path(__file__).resolve().parents[2] / "build")).resolve()


@pytest.fixture
def program(sandbox):
    target = sandbox.root / "file_locks"
    shutil.copyfile(BUILD / "clients" / "file_locks", target)
    target.chmod(0o755)
    return target


class Holder:
    """Another process with the lock."""

    def __init__(self, sandbox, program, kind, path):
        self.popen = subprocess.Popen([program, kind, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                      **sandbox.user.popen_arguments())
        assert [self.popen.stdout.readline() for _ in "12"] == ["asking\n", "got\n"]

    def release(self):
        self.popen.stdin.close()
        self.popen.wait(10)


@pytest.mark.parametrize("kind, call, hold", [("flock", "flock", "hold"), ("fcntl", "fcntl", "lockf-hold"),
                                              ("lockf", "lockf", "lockf-hold"), ("ofd", "fcntl", "ofd-hold")])
def test_a_wait_is_told_with_the_holder(sandbox, program, kind, call, hold):
    path = sandbox.work / "x.lock"
    holder = Holder(sandbox, program, hold, path)
    timer = threading.Timer(0.7, holder.release)
    timer.start()
    try:
        done = sandbox.tapline([program, kind, path])
    finally:
        timer.join()
        holder.popen.stdout.close()
    assert (done.returncode, done.stdout) == (0, "asking\ngot\n"), str(done)
    begin, end = done.of("lock.wait")
    assert (begin["state"], begin["call"], begin["path"]) == ("waiting", call, str(path))
    # A relay that confines itself may not look into others: then exe is absent, and who holds a lock of an open file
    # description, which has no owner, cannot be told.
    if kind != "ofd" or "holder" in begin:
        assert begin["holder"] == holder.popen.pid and begin.get("holder_exe", str(program)) == str(program)
        assert begin["holder_argv"] == [str(program), hold, str(path)]
    assert end["state"] == "granted" and 200 < end["waited_ms"] < 30000
    assert done.report["findings"] == []


def test_a_signal_ends_the_wait_as_ever(sandbox, program):
    holder = Holder(sandbox, program, "hold", sandbox.work / "x.lock")
    try:
        done = sandbox.tapline([program, "flock", sandbox.work / "x.lock", "alarm"])
    finally:
        holder.release()
    assert done.stdout == "asking\nEINTR\n"
    assert [(e["state"], e.get("errno")) for e in done.of("lock.wait")] == [("waiting", None), ("failed", "EINTR")]


def test_a_program_that_asks_again_and_again(sandbox, program):
    """filelock, which Poetry's cache uses, asks twenty times a second; that is told once a second."""
    path = sandbox.work / "x.lock"
    holder = Holder(sandbox, program, "hold", path)
    script = ("import fcntl, sys, time\nf = open(sys.argv[1])\nuntil = time.monotonic() + 1.5\nrefused = 0\n"
              "while time.monotonic() < until:\n"
              "    try: fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
              "    except BlockingIOError: refused += 1\n"
              "    time.sleep(0.05)\nprint(refused > 10)\n")
    try:
        done = sandbox.tapline(["/usr/bin/python3", "-c", script, path])
    finally:
        holder.release()
    assert done.stdout == "True\n"
    events = done.of("lock.wait")
    assert 1 <= len(events) <= 3
    assert all(e["state"] == "refused" and e["holder"] == holder.popen.pid for e in events)


def test_a_program_that_asks_again_until_it_gets_it(sandbox, program):
    path = sandbox.work / "x.lock"
    holder = Holder(sandbox, program, "hold", path)
    timer = threading.Timer(0.7, holder.release)
    timer.start()
    script = ("import fcntl, sys, time\nf = open(sys.argv[1])\n"
              "while True:\n"
              "    try:\n        fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)\n        break\n"
              "    except BlockingIOError: time.sleep(0.05)\n"
              "fcntl.flock(f, fcntl.LOCK_UN)\nfcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)\n")
    done = sandbox.tapline(["/usr/bin/python3", "-c", script, path])
    timer.join()
    states = [e["state"] for e in done.of("lock.wait")]
    assert done.returncode == 0 and states == ["refused", "granted"], str(done)
    assert done.of("lock.wait")[1]["waited_ms"] > 100


def test_locks_that_are_free_say_nothing(sandbox, program):
    for kind in ("flock", "flock-nb", "fcntl", "ofd", "lockf"):
        done = sandbox.tapline([program, kind, sandbox.work / "x.lock"])
        assert done.stdout == "asking\ngot\n" and done.of("lock.wait") == []
        assert done.of("file.failure") == []
