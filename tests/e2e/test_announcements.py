"""A redirected connection and its announcement arrive on two sockets, in either order."""
import os
import shutil
from pathlib import Path

from origins import RawServer

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
