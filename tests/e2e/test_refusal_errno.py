"""What a proxy refuses, a program that knows nothing of it sees as the nearest errno of connect(2), blocking or not, and its
socket is as after a real failure."""
import pytest

from origins import free_port
from proxies import ScriptedProxy

SCRIPT = """
import errno, select, socket, sys
address = (sys.argv[1], 443)
s = socket.socket()
print(errno.errorcode[s.connect_ex(address)], s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
print(errno.errorcode[s.connect_ex(address)])
s = socket.socket()
s.setblocking(False)
assert s.connect_ex(address) == errno.EINPROGRESS
poll = select.poll()
poll.register(s, select.POLLIN | select.POLLOUT)
assert poll.poll(10000)[0][1] & (select.POLLERR | select.POLLHUP) == select.POLLERR | select.POLLHUP
print(errno.errorcode[s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)], s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
"""
STATUSES = {400: "ECONNREFUSED", 403: "ECONNREFUSED", 407: "ECONNREFUSED", 500: "EHOSTUNREACH", 502: "EHOSTUNREACH",
            503: "EHOSTUNREACH", 504: "ETIMEDOUT"}


def run(sandbox, url):
    done = sandbox.tapline(["/usr/bin/python3", "-c", SCRIPT, "192.0.2.1"], ["--upstream", url])
    assert done.returncode == 0, str(done)
    return done.stdout.split()


@pytest.mark.parametrize("status, expected", STATUSES.items())
def test_a_status(sandbox, status, expected):
    def refuse(client, head, proxy):
        client.sendall(b"HTTP/1.1 %d no\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status)

    with ScriptedProxy(refuse) as proxy:
        assert run(sandbox, proxy.url) == [expected, "0", expected, expected, "0"]


def test_a_proxy_that_closes(sandbox):
    with ScriptedProxy(lambda client, head, proxy: None) as proxy:
        assert run(sandbox, proxy.url) == ["ECONNRESET", "0", "ECONNRESET", "ECONNRESET", "0"]


def test_a_proxy_that_is_not_there(sandbox):
    assert run(sandbox, f"http://127.0.0.1:{free_port()}") == ["ECONNREFUSED", "0", "ECONNREFUSED", "ECONNREFUSED", "0"]
