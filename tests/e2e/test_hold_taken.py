"""The pair of ports between a program and the hold is taken: a former connection between them, which the relay was the first
to end, is in TIME_WAIT. Kernels let the new one's SYN end that, unless two settings together forbid it."""
import pytest

import user as user_module

needs_network = pytest.mark.skipif(user_module.network_problem() is not None, reason=str(user_module.network_problem()))
SETTINGS = "ip link set lo up; echo 1 >/proc/sys/net/ipv4/tcp_rfc1337; echo 0 >/proc/sys/net/ipv4/tcp_timestamps"

# An upload that is faster than the clock that new sequence numbers come from (a byte each 64 ns), ended by the origin; then,
# from the same port, a connection that cannot be answered, given up after a while. Others are served meanwhile.
PROGRAM = """
import errno, select, socket, sys, threading, time
origin = socket.create_server(("127.0.0.1", 0))
def serve():
    while True:
        peer, size = origin.accept()[0], 0
        while size < 100_000_000 and (data := peer.recv(1 << 20)):
            size += len(data)
        peer.close()
threading.Thread(target=serve, daemon=True).start()
def begin(port):
    s = socket.socket()
    s.setblocking(False)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", port))
    assert s.connect_ex(origin.getsockname()) == errno.EINPROGRESS
    return s
def is_connected(s, seconds):
    return bool(select.select([], [s], [], seconds)[1])
first = begin(0)
port = first.getsockname()[1]
assert is_connected(first, 20)
first.setblocking(True)
first.sendall(bytes(100_000_000))
print("ended", first.recv(1))
first.close()
second = begin(port)
print("the same port", is_connected(second, float(sys.argv[1])))
for _ in range(5):
    print("another", is_connected(begin(0), 5))
second.close()
"""


@needs_network
def test_it_is_tried_while_the_program_waits_and_said_once(sandbox):
    argv, record = sandbox.tapline_argv(["/usr/bin/python3", "-c", PROGRAM, "2"])
    done = sandbox.finish(sandbox.start(sandbox.user.with_network(SETTINGS, [str(a) for a in argv]), as_self=True), record)
    assert done.stdout.split("\n")[:3] == ["ended b''", "the same port False", "another True"], str(done)
    assert done.stdout.count("another True") == 5, str(done)
    notes = [e["note"] for e in done.of("relay.note")]
    assert len(notes) == 1 and "cannot be connected back to yet: Cannot assign requested address" in notes[0], str(done)
    assert done.of("flow.close", reason="gave up before the connection was there"), str(done)
