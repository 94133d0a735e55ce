"""A redirected connection and its announcement arrive on two sockets, in either order."""
import collections
import errno
import os
import shutil
from pathlib import Path

import pytest

from origins import RawServer
from relays import eventually

BUILD = Path(os.environ.get("BUILD", Path(__file__).resolve().parents[2] / "build")).resolve()
COUNT = 3000


def answer(connection):
    connection.recv(200)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def test_a_request_never_overtakes_its_announcement(sandbox):
    """The relay once took a request that it read before the announcement for one made to itself as a proxy, and
    answered 400: one in twenty, under load."""
    client = sandbox.work / "requests_in_a_row"
    shutil.copyfile(BUILD / "clients" / client.name, client)
    client.chmod(0o755)
    with RawServer(answer) as origin:
        done = sandbox.tapline([str(client), str(origin.port), str(COUNT)])
    assert done.stdout.strip() == str(COUNT), str(done)


CLOSES = """
import socket, struct, sys
for n in range(int(sys.argv[2])):
    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    if sys.argv[3] == "reset":
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
"""


@pytest.mark.parametrize("how", ["closed", "reset"])
def test_a_program_that_closes_at_once(sandbox, how):
    """The relay once read the end before the announcement, took it for a proxy's client that went away, and left the
    origin waiting for ten seconds, then to be reset: every third connection."""
    seen = collections.Counter()

    def read(connection):
        try:
            seen[connection.recv(1)] += 1
        except OSError as error:
            seen[error.errno] += 1

    with RawServer(read) as origin:
        done = sandbox.tapline(["/usr/bin/python3", "-c", CLOSES, str(origin.port), "500", how])
        eventually(lambda: sum(seen.values()) == 500)  # some still wait to be accepted when the run has ended
    done.assert_worked()
    ends = collections.Counter((e["first"], e["how"]) for e in done.of("flow.close"))
    assert ends == {("client", "eof" if how == "closed" else "reset"): 500}, str(done)
    assert seen == {b"" if how == "closed" else errno.ECONNRESET: 500}, str(done)
