"""Programs say hello on a socket of their own, at which the relay looks when it pleases (relay/net/hellos.c): none is
lost, none is told too late for what its program did next, and none too early for what another program did before."""
import os
import signal
import time

import pytest

from origins import RawServer
from relays import Relay, eventually

# A write that fails, then another program in the same process.
FAIL_AND_EXEC = """
import os, sys
try:
    os.mkdir("/etc/passwd/none-%s" % sys.argv[1])
except OSError:
    pass
os.execv("/usr/bin/env", ["/usr/bin/env", "last-%s=1" % sys.argv[1], "/bin/true"])
"""


@pytest.fixture
def preloaded(sandbox):
    """A callable: the environment of a program that uses this relay."""
    library = sandbox.program().parent / "libtapline.so"
    return lambda relay: {"LD_PRELOAD": library, "TAPLINE_BYPASS": "none",
                          "TAPLINE_SOCKET": sandbox.tmp / f"relay-{relay.port}.sock"}


def started(relay, name):
    return [e for e in relay.of("process.start") if e["exe"].endswith(name)]


def events_so_far(relay):
    return relay.record.read_text()


def hello_socket(sandbox, relay):
    """It is made last, after the port on which a Relay is waited for."""
    path = sandbox.tmp / f"relay-{relay.port}.sock-hello"
    eventually(path.exists)
    return path


def test_every_program_is_there(sandbox, preloaded):
    with Relay(sandbox) as relay:
        done = sandbox.run(["/bin/sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10; do /bin/true; /bin/true & done; wait"], env=preloaded(relay))
        assert done.returncode == 0, str(done)
    assert len(started(relay, "/true")) == 20
    assert not list(sandbox.tmp.glob("*-hello")), "left behind"


def test_soon_in_the_record_of_a_relay_that_stays(sandbox, preloaded):
    """Each alone, and each behind others."""
    with Relay(sandbox) as relay:
        for count in (1, 2, 5):
            for _ in range(3):
                sandbox.run(["/bin/sh", "-c", "/bin/true; " * count + ":"], env=preloaded(relay))
            eventually(lambda: events_so_far(relay).count("/true\"") >= 3 * count)
            time.sleep(0.1)
    assert len(started(relay, "/true")) == 3 * (1 + 2 + 5)


def test_before_what_the_program_does(sandbox, preloaded):
    """The relay was stopped meanwhile, so that all lies before it at once: hellos and what came behind them."""
    with Relay(sandbox) as relay:
        env = preloaded(relay)
        os.kill(relay.process.pid, signal.SIGSTOP)
        try:
            running = [sandbox.start(["/usr/bin/python3", "-S", "-c", FAIL_AND_EXEC, str(n)], env) for n in range(8)]
            for each in running:
                assert each.wait(30).returncode == 0
        finally:
            os.kill(relay.process.pid, signal.SIGCONT)
    failures = relay.of("file.failure")
    assert len(failures) == 8, failures
    for failure in failures:
        assert "python" in failure["exe"], f"told of a program that came later: {failure}"
        mine = [e["event"] for e in relay.events if e.get("pid") == failure["pid"]]
        assert mine[:2] == ["process.start", "file.failure"] and mine[2:] == ["process.start"] * 2, mine


def test_before_the_connection(sandbox, preloaded):
    ask = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1]))).recv(5)"
    with RawServer(lambda c: c.sendall(b"hello")) as origin, Relay(sandbox) as relay:
        for _ in range(5):
            sandbox.run(["/usr/bin/python3", "-S", "-c", ask, str(origin.port)], env=preloaded(relay))
    for connect in relay.of("connect"):
        mine = [e["event"] for e in relay.events if e.get("pid") == connect["pid"]]
        assert mine.index("process.start") < mine.index("connect"), mine
    assert len(relay.of("connect")) == 5


@pytest.mark.parametrize("there", ["nothing", "a file", "a dead socket"])
def test_without_that_socket(sandbox, preloaded, there):
    """Only the control socket was passed into a container, or something lies in the way: hello is said there."""
    with Relay(sandbox) as relay:
        path = hello_socket(sandbox, relay)
        path.unlink()
        if there == "a file":
            sandbox.user.make_file(path, "mine")
        elif there == "a dead socket":
            sandbox.run(["/usr/bin/python3", "-S", "-c", "import socket, sys; socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).bind(sys.argv[1])", path])
        sandbox.run(["/bin/true"], env=preloaded(relay))
    assert len(started(relay, "/true")) == 1


def test_what_a_dead_relay_left(sandbox, preloaded):
    """A socket goes; a file of somebody's stays."""
    with Relay(sandbox) as relay:
        path = hello_socket(sandbox, relay)
        os.kill(relay.process.pid, signal.SIGKILL)
        relay.process.wait(10)
        relay.events = []
    assert path.exists()
    with Relay(sandbox, port=relay.port) as again:
        sandbox.run(["/bin/true"], env=preloaded(again))
    assert started(again, "/true") and not path.exists()
    sandbox.user.make_file(path, "mine")
    with Relay(sandbox, port=relay.port) as again:
        sandbox.run(["/bin/true"], env=preloaded(again))
    assert len(started(again, "/true")) == 2 and path.read_text() == "mine"


def test_a_path_that_is_too_long_for_two(sandbox):
    """107 bytes are a socket's name at most, unix(7): there is room for the control socket alone."""
    stem = str(sandbox.tmp / "relay")
    path = stem + "x" * (104 - len(stem))
    with Relay(sandbox, "--socket", path) as relay:
        sandbox.run(["/bin/true"], env={"LD_PRELOAD": sandbox.program().parent / "libtapline.so", "TAPLINE_SOCKET": path})
    assert len(started(relay, "/true")) == 1


def test_a_clock_that_was_set_back(sandbox, preloaded):
    """Hello of a time that is still to come is heard all the same, and soon."""
    ahead = """
import socket, struct, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
    s.connect(sys.argv[1])
    body = struct.pack("=iIQQ", 1, 0, 2**64 - 1, 2**64 - 1) + b"/from/the/future\\0future\\0"
    s.send(struct.pack("=HBBIiIq", 0x4C50, 1, 1, 24 + len(body), 1, 0, 2**62) + body)
"""
    with Relay(sandbox) as relay:
        sandbox.run(["/usr/bin/python3", "-S", "-c", ahead, hello_socket(sandbox, relay)])
        eventually(lambda: "/from/the/future" in events_so_far(relay))
        sandbox.run(["/bin/true"], env=preloaded(relay))
    assert started(relay, "/future") and started(relay, "/true")
