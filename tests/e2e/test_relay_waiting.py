"""Who waits for whom: an upstream that takes a request and says nothing, and an origin whose program has gone."""

import contextlib
import os
import socket
import threading
import time

import pytest

from origins import RawServer, receive_all
from relays import Relay, eventually, read_answer, read_answer_head


class Silent:
    """Reads, a little later than it could, and never answers; with interim, says twice that it is still busy."""

    def __init__(self, interim=False):
        self.interim, self.ended = interim, threading.Event()

    def __call__(self, connection):
        connection.settimeout(20)
        for _ in range(2 if self.interim else 0):
            time.sleep(1)
            connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")
        while connection.recv(65536):
            time.sleep(0.1)
        self.ended.set()


@pytest.mark.parametrize("by", ["origin", "proxy"])
@pytest.mark.parametrize("head", ["GET {} HTTP/1.1\r\nHost: a\r\n\r\n",
                                  "PUT {} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n"],
                         ids=["get", "expect"])
def test_answer_timeout(sandbox, by, head):
    serve = Silent()
    with RawServer(serve) as server:
        url = f"http://127.0.0.1:{server.port}/"
        options = ["--upstream", url] if by == "proxy" else []
        with Relay(sandbox, "--answer-timeout", "1", *options) as relay:
            began = time.monotonic()
            answer = relay.ask(head.format("http://a.example/" if by == "proxy" else url).encode())
            assert answer.status == 504 and "error=http_response_timeout" in answer.fields["proxy-status"], answer
            assert b"did not answer in time" in answer.body and f"{'' if by == 'proxy' else '127.0.0.1'}".encode() in answer.body
            assert 1 <= time.monotonic() - began < 10
            assert serve.ended.wait(10), "the upstream is not kept for an answer that nobody waits for"


def test_what_the_answer_timeout_does_not_count(sandbox):
    """A slow client, an upload that takes its time, interim answers, the body of the answer."""
    def late_body(connection):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        time.sleep(3)
        connection.sendall(b"hello")
    busy = Silent(interim=True)
    with RawServer(late_body) as slow, RawServer(busy) as interim, RawServer(Silent()) as silent, \
            Relay(sandbox, "--answer-timeout", "2") as relay:
        get = "GET http://127.0.0.1:{}/ HTTP/1.1\r\nHost: a\r\n\r\n"
        assert relay.ask(get.format(slow.port).encode()).body == b"hello"
        with relay.dial() as client, relay.dial() as uploading:
            uploading.sendall(f"PUT http://127.0.0.1:{silent.port}/ HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n".encode())
            client.sendall(get.format(interim.port).encode())
            began = time.monotonic()
            assert [read_answer_head(client).status for _ in range(2)] == [102, 102]
            uploading.settimeout(0.1)
            with pytest.raises(TimeoutError):
                uploading.recv(1)
            uploading.settimeout(20)
            assert read_answer(client).status == 504
            assert time.monotonic() - began > 3.9
            uploading.sendall(b"done")
            assert read_answer(uploading).status == 504


def with_100(connection):
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    Silent()(connection)


@pytest.mark.parametrize("fields, begun, serve", [("Content-Length: 9", b"half", None), ("Transfer-Encoding: chunked", b"5\r\nha", None),
                                                  ("Content-Length: 9", b"", None), ("Content-Length: 9\r\nExpect: 100-continue", b"", with_100)],
                         ids=["length", "chunked", "nothing", "after-100"])
def test_a_body_that_is_never_finished(sandbox, fields, begun, serve):
    """The client is waited for, not the upstream: 408 in the end, and the upstream sees that the body is not whole."""
    serve, ends = serve or Silent(), []

    def watched(connection):
        try:
            serve(connection)
        except OSError as error:
            ends.append(error)
    with RawServer(watched) as server, Relay(sandbox, "--idle-timeout", "1") as relay:
        with relay.dial() as client:
            client.sendall(f"PUT http://127.0.0.1:{server.port}/ HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n".encode() + begun)
            began = time.monotonic()
            if serve is with_100:
                assert read_answer_head(client).status == 100
            answer = read_answer(client)
            assert answer.status == 408 and b"body did not arrive in time" in answer.body, answer
            assert answer.fields["connection"] == "close" and client.recv(1) == b"", "an orderly end"
            assert 1 <= time.monotonic() - began < 10
        eventually(lambda: ends)
        assert isinstance(ends[0], ConnectionResetError), ends


def test_a_body_that_is_never_finished_after_the_answer_has_begun(sandbox):
    """Too late for an answer: a reset, so that nothing looks complete."""
    def begun(connection):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")
        while connection.recv(65536):
            pass
    with RawServer(begun) as server, Relay(sandbox, "--idle-timeout", "1") as relay, relay.dial() as client:
        client.sendall(f"PUT http://127.0.0.1:{server.port}/ HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf".encode())
        assert read_answer_head(client).status == 200
        with pytest.raises(ConnectionResetError):
            while client.recv(100):
                pass


def sockets(relay):
    count = 0
    for fd in os.listdir(f"/proc/{relay.process.pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed since
            count += os.readlink(f"/proc/{relay.process.pid}/fd/{fd}").startswith("socket:")
    return count


HALVES = """
import os, socket, sys, time
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendall(b"asked")
how = sys.argv[2]
if how == "shutdown":
    s.shutdown(socket.SHUT_WR)
    time.sleep(3)
    print(s.recv(5).decode())
elif how == "child":
    if os.fork() == 0:
        s.shutdown(socket.SHUT_WR)
        time.sleep(3)
        os.write(1, s.recv(5))
        os._exit(0)
    s.close()
    os.wait()
elif how == "close":
    s.close()
    time.sleep(3)
"""


@pytest.mark.parametrize("how", ["exit", "close", "shutdown", "child"])
def test_the_origin_of_a_program_that_has_gone_is_let_go(sandbox, how):
    """A FIN says only that no more will be sent. Whether anybody is there to read the answer, the kernel knows: the
    origin's half is closed once nobody is, as it would be without the relay, and no sooner."""
    told = threading.Event()

    def serve(connection):
        assert receive_all(connection) == b"asked"
        time.sleep(2.5)
        try:
            connection.sendall(b"hello")
            while how in ("exit", "close"):
                time.sleep(0.05)
                connection.sendall(b"more")
        except OSError:
            told.set()
        connection.settimeout(20)
    with RawServer(serve) as server:
        socket_path = sandbox.tmp / "redirect.sock"
        with Relay(sandbox, "--linger", "1", "--bypass", "none", "--socket", socket_path) as relay:
            before = sockets(relay)
            done = sandbox.run(["/usr/bin/python3", "-c", HALVES, server.port, how],
                               env={"LD_PRELOAD": sandbox.program().parent / "libtapline.so", "TAPLINE_BYPASS": "none",
                                    "TAPLINE_SOCKET": socket_path})
            assert done.stdout.strip() == ("hello" if how in ("shutdown", "child") else ""), done
            if how in ("exit", "close"):
                eventually(lambda: sockets(relay) <= before)
                assert told.wait(20), "what the origin sends then is refused by the kernel"
            relay.stop()
    assert [(e["first"], e["how"]) for e in relay.of("flow.close")] == [("client", "eof")]
