"""Every path that tapline writes, with something in its place that a stranger has put there: a link to a file of the user's, a second
name of it, a FIFO, a file of the stranger's own. Nothing is written through it, and nobody waits for it (docs/threats.md)."""
import os
import time
from pathlib import Path

import pytest

from user import IS_ROOT

pytestmark = pytest.mark.skipif(not IS_ROOT, reason="another user is needed, and only root can become one")
STRANGER = 61234
TRAPS = ["symlink", "hard link", "fifo", "theirs"]
PRECIOUS = "precious\n"


@pytest.fixture
def shared(sandbox):
    """A directory like /tmp."""
    folder = sandbox.root / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


@pytest.fixture
def victim(sandbox):
    return sandbox.user.make_file(sandbox.work / "victim", PRECIOUS)


def lay(trap, path, victim):
    if trap == "symlink":
        path.symlink_to(victim)
        os.lchown(path, STRANGER, STRANGER)
    elif trap == "hard link":
        path.hardlink_to(victim)  # as anybody can where fs.protected_hardlinks is 0
    elif trap == "fifo":
        os.mkfifo(path)
        path.chmod(0o666)
        os.lchown(path, STRANGER, STRANGER)
    else:
        path.write_text("")
        path.chmod(0o666)
        os.lchown(path, STRANGER, STRANGER)


def untouched(trap, path, victim):
    """What is at path is what was laid there, and the victim says what it said."""
    assert victim.read_text() == PRECIOUS
    if trap == "theirs":
        assert path.read_text() == ""


def inspecting(*options):
    return ["relay", "--listen", "127.0.0.1:0", "--inspect", *options]


WRITERS = {
    "record": lambda path: ["run", "--record", path, "--", "true"],
    "relay's record": lambda path: ["relay", "--listen", "127.0.0.1:0", "--record", path],
    "keylog": lambda path: inspecting("--keylog", path),
    "pcap": lambda path: inspecting("--pcap", path),
    "control socket": lambda path: ["relay", "--socket", path],
    "unix socket": lambda path: ["relay", "--listen", f"unix:{path}"],
}


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("writer", WRITERS)
def test_nothing_is_written_through_a_trap(sandbox, shared, victim, writer, trap):
    path = shared / "place"
    lay(trap, path, victim)
    done = sandbox.run([sandbox.program(), *WRITERS[writer](path)])
    assert done.returncode not in (0, -15) and str(path) in done.stderr, str(done)
    untouched(trap, path, victim)


@pytest.mark.parametrize("command", ["report", "check"])
@pytest.mark.parametrize("trap", ["symlink", "hard link"])
def test_a_report_is_not_written_through_a_trap(sandbox, shared, victim, trap, command):
    path, record = shared / "place", sandbox.records / "r.jsonl"
    sandbox.run([sandbox.program(), "run", "--record", record, "--", "true"])
    lay(trap, path, victim)
    done = sandbox.run([sandbox.program(), command, "--output", path, *[record] * (command == "report")])
    assert done.returncode != 0 and str(path) in done.stderr, str(done)
    untouched(trap, path, victim)


def test_a_report_goes_through_links_of_ones_own(sandbox, victim):
    """... and through root's, of which /dev/stdout is one."""
    record, own = sandbox.records / "r.jsonl", sandbox.work / "own"
    sandbox.run([sandbox.program(), "run", "--record", record, "--", "true"])
    sandbox.run(["ln", "-s", victim, own])
    assert sandbox.run([sandbox.program(), "report", "--format", "json", "--output", own, record]).returncode == 0
    assert victim.read_text().startswith("{")
    done = sandbox.run(["/bin/sh", "-c", '"$0" report --format json --output /dev/stdout "$1" | cat', sandbox.program(), record])
    assert done.returncode == 0 and done.stdout.startswith("{"), str(done)


@pytest.mark.parametrize("trap", ["symlink", "hard link"])
def test_the_certificate_takes_the_place_of_a_trap(sandbox, victim, trap):
    """--ca-out is renamed into place, so that what was there goes and what it led to stays."""
    path = sandbox.work / "ca.pem"
    lay(trap, path, victim)
    process = sandbox.start([sandbox.program(), *inspecting("--ca-out", path)])
    try:
        end = time.monotonic() + 20
        while path.is_symlink() or path.read_text() == PRECIOUS:
            assert time.monotonic() < end and process.popen.poll() is None
            time.sleep(0.02)
    finally:
        process.popen.terminate()
        process.wait(10)
    assert victim.read_text() == PRECIOUS and path.read_text().startswith("-----BEGIN CERTIFICATE")


@pytest.mark.parametrize("trap", TRAPS)
def test_the_library_alone_writes_through_no_trap(sandbox, shared, victim, trap):
    """A bare LD_PRELOAD with TAPLINE_RECORD: the program runs as ever."""
    path, library = shared / "place", Path(sandbox.program()).parent / "libtapline.so"
    lay(trap, path, victim)
    done = sandbox.run(["/bin/sh", "-c", "mkdir /tapline-trap 2>/dev/null; echo ran"], env={"LD_PRELOAD": library, "TAPLINE_RECORD": path})
    assert (done.returncode, done.stdout) == (0, "ran\n"), str(done)
    untouched(trap, path, victim)
    path.unlink()
    sandbox.run(["/bin/sh", "-c", "mkdir /tapline-trap 2>/dev/null"], env={"LD_PRELOAD": library, "TAPLINE_RECORD": path})
    assert "file.failure" in path.read_text(), "without a trap it is written"
