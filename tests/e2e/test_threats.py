"""What docs/threats.md promises, line by line: who gets at the relay, its files and the program, and who does not.

Another user is needed for most of it, so these tests need root (CI has it); each runs tapline as the unprivileged user and the
attacker as a third one."""
import os
import re
import signal
import struct
import subprocess
import time
from pathlib import Path

import pytest

import runner
import schema
from origins import RawServer
from relays import Relay, eventually
from user import IS_ROOT

STRANGER = 61234  # a uid that nobody has
as_root = pytest.mark.skipif(not IS_ROOT, reason="another user is needed, and only root can become one")


def stranger(script, *args, seconds=20):
    """Run a Python script as another user. Returns what it printed."""
    done = subprocess.run(["/usr/bin/python3", "-S", "-c", script, *map(str, args)], capture_output=True, text=True, timeout=seconds,
                          user=STRANGER, group=STRANGER, extra_groups=[], env={"PATH": "/usr/bin:/bin"}, cwd="/")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def private_ports(pid):
    """All ports on which the relay listens."""
    inodes = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            inodes.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except FileNotFoundError:
            pass  # closed meanwhile: none that it keeps
    ports = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
            ports.add(int(fields[1].split(":")[1], 16))
    return ports


CONNECT = """
import socket, sys
try:
    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=3) as s:
        s.sendall(b"CONNECT 127.0.0.1:9 HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
        print(repr(s.recv(100)))
except OSError as error:
    print(type(error).__name__)
"""


@as_root
def test_another_users_connection_to_the_private_port_is_closed(sandbox):
    with Relay(sandbox) as relay:
        # One of them is the hold, which answers no SYN at all.
        answers = [stranger(CONNECT, port) for port in private_ports(relay.process.pid) - {relay.port}]
        assert answers and set(answers) <= {"b''", "ConnectionResetError", "BrokenPipeError", "TimeoutError"}
    assert any("another user" in e["note"] for e in relay.of("relay.note")), relay.events


ANNOUNCE = """
import socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
    s.settimeout(10)
    try:
        s.connect(sys.argv[1])
        s.send(bytes.fromhex(sys.argv[2]))
        print(repr(s.recv(4000)))
    except OSError as error:
        print(type(error).__name__)
"""


def dial_packet():
    """A DIAL of include/tapline_wire.h, as far as its head; the rest is zero."""
    length = 200
    return struct.pack("=HBBIiIq", 0x4C50, 1, 2, length, 1, 0, 0).ljust(length, b"\0").hex()


@as_root
def test_another_user_cannot_announce(sandbox):
    """Not even if somebody opened the socket's directory and the socket to all."""
    with Relay(sandbox) as relay:
        eventually(lambda: len(list(sandbox.tmp.glob("relay-*.sock*"))) == 2)
        [control, hello] = paths = sorted(sandbox.tmp.glob("relay-*.sock*"))
        assert hello.name == control.name + "-hello"
        for path in paths:
            assert path.stat().st_mode & 0o777 == 0o600
            assert stranger(ANNOUNCE, path, dial_packet()) == "PermissionError"
        for part in [sandbox.root, sandbox.tmp, *sandbox.root.parents]:
            if str(part) not in ("/", "/tmp"):
                part.chmod(part.stat().st_mode | 0o055)
        for path in paths:
            path.chmod(0o777)
            assert stranger(ANNOUNCE, path, dial_packet()) in ("b''", "ConnectionResetError", "BrokenPipeError")
    assert not relay.of("connect")


SERVE = """
import os, socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
    s.bind(sys.argv[1])
    os.chmod(sys.argv[1], 0o777)
    s.listen()
    s.settimeout(6)
    print("ready", flush=True)
    got = b""
    try:
        while True:
            c, _ = s.accept()
            c.settimeout(1)
            got += c.recv(4000)
    except OSError:
        pass
    print(len(got), flush=True)
"""


@as_root
def test_a_relay_of_another_user_is_told_nothing(sandbox):
    """A hostile TAPLINE_SOCKET: the library looks at who listens before it says a word."""
    folder = Path("/tmp") / f"tapline-threat-{os.getpid()}"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    path = folder / "relay.sock"
    try:
        thief = subprocess.Popen(["/usr/bin/python3", "-S", "-c", SERVE, str(path)], stdout=subprocess.PIPE, text=True, user=STRANGER,
                                 group=STRANGER, extra_groups=[], cwd="/")
        assert thief.stdout.readline() == "ready\n"
        library = Path(sandbox.program()).parent / "libtapline.so"
        with RawServer(lambda c: c.sendall(b"hello")) as origin:
            done = sandbox.run(["/usr/bin/python3", "-c", f"import socket; print(socket.create_connection(('127.0.0.1', {origin.port})).recv(9))"],
                               env={"LD_PRELOAD": library, "TAPLINE_SOCKET": path, "TAPLINE_BYPASS": "none"})
        assert (done.returncode, done.stdout) == (0, "b'hello'\n"), str(done)
        assert thief.communicate(timeout=20)[0].strip() == "0", "the library spoke to a stranger's relay"
    finally:
        path.unlink(missing_ok=True)
        folder.rmdir()


def record_refused(sandbox, path):
    done = sandbox.run([sandbox.program(), "run", "--record", path, "--", "true"])
    assert done.returncode == 125 and str(path) in done.stderr, str(done)


@as_root
def test_a_record_is_not_written_through_what_others_have_put_there(sandbox):
    shared = sandbox.root / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    victim = sandbox.user.make_file(sandbox.work / "victim", "precious")
    link, fifo, theirs = shared / "link.jsonl", shared / "fifo.jsonl", shared / "theirs.jsonl"
    link.symlink_to(victim)
    os.mkfifo(fifo, 0o666)
    theirs.write_text("")
    theirs.chmod(0o666)
    for path in (link, fifo, theirs):
        os.lchown(path, STRANGER, STRANGER)
        record_refused(sandbox, path)
    assert victim.read_text() == "precious" and theirs.read_text() == ""


@as_root
def test_a_state_directory_of_another_user_is_not_used(sandbox):
    state = sandbox.root / "state"
    (state / "tapline").mkdir(parents=True)
    for path in (state, state / "tapline"):
        path.chmod(0o777)
        os.chown(path, STRANGER, STRANGER)
    done = sandbox.run([sandbox.program(), "run", "--", "true"], env={"XDG_STATE_HOME": state})
    assert done.returncode == 0 and "record: " in done.stderr, str(done)
    assert not list((state / "tapline").iterdir()), "a record where its owner reads it"
    [record] = sandbox.tmp.glob("tapline-*/*.jsonl")
    assert record.stat().st_mode & 0o777 == 0o600 and record.parent.stat().st_mode & 0o777 == 0o700


def test_a_hostile_environment_changes_nothing_that_matters(sandbox):
    """Over-long, empty and senseless values: the program runs, the library stays out of the way."""
    library = Path(sandbox.program()).parent / "libtapline.so"
    for value in ("", "/" + "x" * 5000, "relative", "\n\x1b[2J", "%n%s%n", "/dev/full", "/proc/self/mem"):
        names = ("TAPLINE_SOCKET", "TAPLINE_RECORD", "TAPLINE_ONLY", "TAPLINE_EXCEPT", "TAPLINE_KEEP", "TAPLINE_RESOLVE", "TAPLINE_QUIC",
                 "TAPLINE_BYPASS", "TAPLINE_TAP", "TAPLINE_INSIDE")
        done = sandbox.run(["/bin/sh", "-c", "echo ran; mkdir /proc/x 2>/dev/null; exit 3"],
                           env={"LD_PRELOAD": library, **dict.fromkeys(names, value)})
        assert (done.returncode, done.stdout) == (3, "ran\n"), f"{value!r}: {done}"


@pytest.mark.parametrize("reason", [b"Gone\xc2\x9b31m", b"\x1b]0;owned\x07\x1b[2J"])
def test_nothing_that_an_origin_says_reaches_the_terminal_as_a_command(sandbox, reason):
    def serve(connection):
        connection.recv(4000)
        connection.sendall(b"HTTP/1.1 503 " + reason + b"\r\nContent-Length: 0\r\nX-Evil: a\xc2\x9b31m\r\n\r\n")

    with RawServer(serve) as origin:
        done = sandbox.tapline(["curl", "-sSf", "--retry", "0", f"http://127.0.0.1:{origin.port}/%1b%5b2J"], options=["-v"])
    said = done.stderr.encode()
    assert b"\x1b" not in said and b"\x07" not in said and b"\xc2\x9b" not in said, said
    assert done.of("http.request"), done.events


def test_the_relay_confines_itself(sandbox):
    with Relay(sandbox) as relay:
        status = Path(f"/proc/{relay.process.pid}/status").read_text()
        assert re.search(r"^NoNewPrivs:\s+1$", status, re.M)
        limits = Path(f"/proc/{relay.process.pid}/limits").read_text()
        assert re.search(r"^Max core file size\s+0\s+0", limits, re.M)
        with relay.dial():
            pass


def test_a_kill_leaves_the_run_directory_to_be_found_not_to_be_used(sandbox):
    """SIGKILL leaves a private directory behind; nobody else can enter it."""
    record = sandbox.records / "k.jsonl"
    process = sandbox.start([sandbox.program(), "run", "--record", record, "--", "sleep", "20"])
    try:
        end = time.monotonic() + 10
        while not (made := [p for p in sandbox.tmp.iterdir() if p.name.startswith("tapline")]) or not record.exists() or not record.stat().st_size:
            assert time.monotonic() < end
        assert all(p.stat().st_mode & 0o777 == 0o700 for p in made)
    finally:
        process.popen.send_signal(signal.SIGKILL)
        process.wait(10)
        runner.kill_marked(process.mark)
    schema.read(record)
