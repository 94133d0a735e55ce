"""Answers to plain HTTP through `tapline relay`: how they end, what comes before them, what they turn a connection into,
and what long ones cost. Beside test_relay_checklist_http.py; docs/relay.md has the list."""

import socket
import time

import pytest

from messages import OK, Origin, ask, read_chunked, read_message, request
from origins import RawServer, free_port, pattern, receive_all, receive_exactly
from proxies import reset
from relays import Relay, eventually, read_answer, read_answer_head

MIB = 1 << 20
URL = "http://127.0.0.1:%d/"


@pytest.fixture
def relay(sandbox):
    with Relay(sandbox) as relay:
        yield relay


def assert_open(client):
    """Nothing more has come, and no end."""
    client.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.recv(1)
    client.settimeout(20)


# -- framing of answers

BAD_ANSWERS = {
    "not-http": b"220 mail.example ESMTP\r\n\r\n",
    "http-0.9": b"<html>hello</html>\r\n\r\n",
    "http-2": b"HTTP/2 200 OK\r\n\r\n",
    "bad-length": b"HTTP/1.1 200 OK\r\nContent-Length: 2x\r\n\r\nok",
    "two-lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    "coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",
    "coding-before-chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "blank-before-colon": b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
    "folded": b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
    "nul": b"HTTP/1.1 200 OK\r\nA: \0\r\n\r\n",
    "bare-cr": b"HTTP/1.1 200 OK\r\nA: b\rSet-Cookie: c\r\n\r\n",
    "long-head": b"HTTP/1.1 200 OK\r\nA: " + b"x" * 70000 + b"\r\n\r\n",
    "many-fields": b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 300 + b"\r\n",
    "unasked-101": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
    "nothing": b"",
    "half-a-head": b"HTTP/1.1 200 OK\r\nA: b\r\n",
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_answers_that_cannot_be_trusted_are_502(relay, name):
    with Origin(BAD_ANSWERS[name], close=True) as origin:
        answer = relay.ask(request(f"{origin.url}/"))
    assert answer.status == 502
    assert b"127.0.0.1" in answer.body, answer
    expected = {"coding": "http_response_transfer_coding", "coding-before-chunked": "http_response_transfer_coding",
                "long-head": "http_response_header_section_size", "many-fields": "http_response_header_section_size",
                "unasked-101": "http_upgrade_failed", "nothing": "http_response_incomplete",
                "half-a-head": "http_response_incomplete"}.get(name, "http_protocol_error")
    assert f"error={expected};" in answer.fields["proxy-status"]


def test_an_origin_that_resets_is_told_as_such(relay):
    with Origin(lambda connection, got: reset(connection) or "close") as origin:
        answer = relay.ask(request(f"{origin.url}/"))
    assert answer.status == 502
    assert "error=connection_terminated" in answer.fields["proxy-status"]


def test_length_and_chunked_in_an_answer(relay):
    """Others may believe the length: it is left out, and the connection serves nobody else."""
    odd = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    with Origin(odd) as origin, relay.dial() as client:
        for number in (1, 2):
            answer = ask(client, request(f"{origin.url}/"))
            assert "content-length" not in answer.fields
            assert answer.body == b"3\r\nabc\r\n0\r\n\r\n"
            assert origin.connections == number


def test_bytes_behind_an_answer_answer_nothing(relay):
    with Origin(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad", OK) as origin, relay.dial() as client:
        for number in (1, 2):
            assert ask(client, request(f"{origin.url}/")).body == b"ok"
            assert origin.connections == number
        assert_open(client)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this",
                                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100\r\nonly this",
                                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n"],
                         ids=["length", "chunk", "between-chunks"])
def test_a_cut_body_stays_cut(relay, answer):
    with Origin(answer, close=True) as origin, relay.dial() as client:
        client.sendall(request(f"{origin.url}/"))
        read_answer_head(client)
        got = receive_all(client)
        assert b"only this" in got
        assert not got.endswith(b"0\r\n\r\n")
        relay.stop()
    [body] = relay.of("http.body")
    assert (body["complete"], body["reason"]) == (False, "origin closed")


def test_a_reset_within_a_body_is_a_reset(relay):
    def break_off(connection, got):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nonly this")
        time.sleep(0.1)
        reset(connection)
        return "close"
    with Origin(break_off) as origin, relay.dial() as client:
        client.sendall(request(f"{origin.url}/"))
        read_answer_head(client)
        with pytest.raises(ConnectionResetError):
            receive_all(client)
            receive_all(client)


def test_a_malformed_chunk_in_an_answer_breaks_it_off(relay):
    with Origin(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n+5\r\n") as origin, relay.dial() as client:
        client.sendall(request(f"{origin.url}/"))
        try:
            assert b"+5" not in receive_all(client)
        except ConnectionResetError:
            pass  # the reset may be there before what came before it has been read


def test_answers_without_a_body(relay):
    length = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    none = b"HTTP/1.1 204 No Content\r\n\r\n"
    same = b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\nETag: \"x\"\r\n\r\n"
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with Origin(length, none, same, chunked, OK) as origin, relay.dial() as client:
        assert ask(client, request(f"{origin.url}/", "HEAD"), True).fields["content-length"] == "1000"
        assert ask(client, request(f"{origin.url}/")).status == 204
        assert ask(client, request(f"{origin.url}/")).fields["etag"] == '"x"'
        assert ask(client, request(f"{origin.url}/", "HEAD"), True).status == 200
        assert ask(client, request(f"{origin.url}/")).body == b"ok"
        assert origin.connections == 1


def test_an_error_of_the_relays_own_to_head_has_no_body(relay):
    with relay.dial() as client:
        client.sendall(request(URL % free_port(), "HEAD"))
        assert read_answer_head(client).status == 502
        assert receive_all(client) == b""


def test_chunks_are_undone_for_http_1_0(relay):
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n"
    with Origin(chunked + b"0\r\nA: b\r\n\r\n") as origin, relay.dial() as client:
        client.sendall(request(f"{origin.url}/", version="1.0"))
        assert "transfer-encoding" not in read_answer_head(client).fields
        assert receive_all(client) == b"abcde"
    with Origin(chunked, close=True) as origin, relay.dial() as client:
        client.sendall(request(f"{origin.url}/", version="1.0"))
        with pytest.raises(ConnectionResetError):  # an end in order would make it look complete
            receive_all(client)


# -- interim answers, expectations

def test_interim_answers_pass(relay):
    def answer(connection, got):
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + OK)
    with Origin(answer) as origin:
        with relay.dial() as client:
            hints = ask(client, request(f"{origin.url}/"))
            assert (hints.status, hints.fields["link"]) == (103, "</a>")
            assert [read_message(client).status for _ in range(2)] == [102, 200]
        with relay.dial() as client:
            assert ask(client, request(f"{origin.url}/", version="1.0")).status == 200


def expectant(connection):
    """Says 100 before it reads the body."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += connection.recv(1)
    if b"Expect: 100-continue" in head:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n" + receive_exactly(connection, 3))


def test_an_expectation_is_the_origins_to_meet(relay):
    with RawServer(expectant) as server:
        with relay.dial() as client:
            expecting = request(URL % server.port, "PUT", "Expect: 100-continue", "Content-Length: 3")
            assert ask(client, expecting).status == 100
            assert ask(client, b"abc").body == b"abc"
        with relay.dial() as client:  # HTTP/1.0 knows none
            expecting = request(URL % server.port, "PUT", "Expect: 100-continue", "Content-Length: 3", version="1.0")
            assert ask(client, expecting + b"abc").body == b"abc"


@pytest.mark.parametrize("status", [401, 417])
def test_a_refused_expectation(relay, status):
    with RawServer(lambda connection: (connection.recv(65536), connection.sendall(
            b"HTTP/1.1 %d No\r\nContent-Length: 2\r\n\r\nno" % status), receive_all(connection))) as server, relay.dial() as client:
        answer = ask(client, request(URL % server.port, "PUT", "Expect: 100-continue", "Content-Length: 3"))
        assert (answer.status, answer.body, answer.fields["connection"]) == (status, b"no", "close")


def test_an_answer_before_the_end_of_the_request(relay):
    """413, while the client still sends: it gets the answer, not a reset."""
    def refuse(connection):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
    with RawServer(refuse) as server, relay.dial() as client:
        client.sendall(request(URL % server.port, "POST", f"Content-Length: {50 * MIB}") + pattern(100_000))
        assert read_answer(client).body == b"no"
        assert receive_all(client) == b""


# -- other protocols

def test_a_websocket(relay):
    accept = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n"

    def echo(connection, got):
        assert got.values("Upgrade") == ["websocket"]
        assert got.values("Connection") == ["Upgrade"]
        connection.sendall(accept + b"\x81\x05hello")
        while data := connection.recv(4096):
            connection.sendall(data)
        return "close"
    with Origin(OK, echo) as origin, relay.dial() as client:
        assert ask(client, request(f"{origin.url}/")).status == 200
        answer = ask(client, request(f"{origin.url}/", "GET", "Connection: keep-alive, Upgrade", "Upgrade: websocket",
                                     "Sec-WebSocket-Key: y") + b"\x81\x85early")
        assert (answer.status, answer.fields["upgrade"], answer.fields["connection"]) == (101, "websocket", "Upgrade")
        assert receive_exactly(client, 14) == b"\x81\x05hello\x81\x85early"
        client.sendall(b"\0" * 100_000)
        assert receive_exactly(client, 100_000) == b"\0" * 100_000
        client.shutdown(socket.SHUT_WR)
        assert receive_all(client) == b""
    assert not origin.errors


def test_an_upgrade_that_is_declined(relay):
    with Origin() as origin, relay.dial() as client:
        for _ in range(2):
            answer = ask(client, request(f"{origin.url}/", "GET", "Connection: Upgrade", "Upgrade: h2c"))
            assert (answer.status, answer.body) == (200, b"ok")
        assert origin.connections == 1


# -- bodies

def test_large_bodies_both_ways(relay):
    data = pattern(20 * MIB)

    def echo(connection, got):
        assert got.body == data
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
    with Origin(echo) as origin, relay.dial() as client:
        for _ in range(2):
            assert ask(client, request(f"{origin.url}/", "POST", f"Content-Length: {len(data)}", body=data)).body == data
        assert origin.connections == 1
    assert not origin.errors


@pytest.mark.parametrize("framing", ["length", "chunked", "until-close"])
def test_a_client_that_does_not_read_costs_no_memory(relay, framing):
    piece = pattern(MIB)
    head = {"length": b"Content-Length: %d\r\n" % (64 * MIB), "chunked": b"Transfer-Encoding: chunked\r\n", "until-close": b""}

    def flood(connection, got):
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + head[framing] + b"\r\n")
        for _ in range(64):
            connection.sendall(b"100000\r\n" + piece + b"\r\n" if framing == "chunked" else piece)
        if framing == "chunked":
            connection.sendall(b"0\r\n\r\n")
        return "close"
    with Origin(flood) as origin, relay.dial() as client:
        before = relay.resident_bytes()
        client.sendall(request(f"{origin.url}/"))
        answer = read_answer_head(client)
        time.sleep(0.5)
        assert relay.resident_bytes() - before < 8 * MIB
        if framing == "chunked":
            assert len(read_chunked(client)) > 64 * MIB
        else:
            assert receive_exactly(client, 64 * MIB) == piece * 64
        assert answer.status == 200
    assert not origin.errors


def test_an_origin_that_does_not_read_costs_no_memory(relay):
    held = []

    def hold(connection):
        connection.recv(100)
        held.append(connection)
        while len(held) < 2:
            time.sleep(0.05)
    with RawServer(hold) as server, relay.dial() as client:
        before = relay.resident_bytes()
        client.settimeout(1)
        client.sendall(request(URL % server.port, "POST", f"Content-Length: {256 * MIB}"))
        with pytest.raises(TimeoutError):
            client.sendall(bytes(256 * MIB))
        assert relay.resident_bytes() - before < 8 * MIB
        held.append(None)


def test_a_client_that_leaves_within_its_request(relay):
    """The origin must not take what it got for the whole."""
    with Origin() as origin:
        client = relay.dial()
        client.sendall(request(f"{origin.url}/", "POST", "Content-Length: 100") + b"part")
        eventually(lambda: origin.connections == 1)
        client.close()
        eventually(lambda: origin.errors)
        relay.stop()
    assert isinstance(origin.errors[0], (EOFError, ConnectionResetError))
    assert origin.requests == []


def test_a_client_that_is_reset_while_it_waits_frees_the_origin(relay):
    gone = []
    with Origin(lambda connection, got: gone.append(connection.recv(1)) or "close") as origin:
        client = relay.dial()
        client.sendall(request(f"{origin.url}/"))
        eventually(lambda: origin.requests)
        reset(client)
        eventually(lambda: gone or origin.errors)


def test_a_client_that_ends_its_stream_behind_the_request_gets_its_answer(relay):
    def late(connection, got):
        time.sleep(0.3)
        connection.sendall(OK)
    with Origin(late) as origin, relay.dial() as client:
        client.sendall(request(f"{origin.url}/"))
        client.shutdown(socket.SHUT_WR)
        assert read_message(client).body == b"ok"
        assert receive_all(client) == b""


# -- authentication, by connection

def test_a_407_for_plain_http_keeps_both_connections(sandbox):
    """NTLM and Negotiate hold for a connection: the retry must reach the proxy on the one that was challenged."""
    challenge = (b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: NTLM TlRMTVNTUAAC\r\n"
                 b"Content-Length: 6\r\n\r\nlog in")
    with Origin(challenge, challenge, OK) as proxy, Relay(sandbox, "--upstream", proxy.url) as relay, relay.dial() as client:
        answer = ask(client, request("http://index.example/"))
        assert (answer.status, answer.body) == (407, b"log in")
        assert answer.fields["proxy-authenticate"] == "NTLM TlRMTVNTUAAC"
        assert ask(client, request("http://index.example/", "GET", "Proxy-Authorization: NTLM one")).status == 407
        assert ask(client, request("http://other.example/", "GET", "Proxy-Authorization: NTLM two")).body == b"ok"
        assert proxy.connections == 1
        with relay.dial() as another:
            assert ask(another, request("http://index.example/")).status == 200
        assert proxy.connections == 2, "a connection that one client has authenticated must not serve another"
    assert [r.values("Proxy-Authorization") for r in proxy.requests] == [[], ["NTLM one"], ["NTLM two"], []]
    assert "NTLM two" not in relay.record.read_text()


def test_the_requests_own_method_and_body_reach_an_upstream_proxy(sandbox):
    with Origin() as proxy, Relay(sandbox, "--upstream", proxy.url) as relay, relay.dial() as client:
        ask(client, request("http://index.example:81/a?b", "PATCH", "Content-Length: 3", body=b"abc"))
    [got] = proxy.requests
    assert (got.line, got.body) == ("PATCH http://index.example:81/a?b HTTP/1.1", b"abc")
    assert got.values("Host") == ["index.example:81"]


def test_nothing_that_was_read_for_one_request_is_lost_for_the_next(relay):
    """A body that ends within a packet which holds the next request too."""
    with Origin() as origin, relay.dial() as client:
        first = request(f"{origin.url}/1", "POST", "Transfer-Encoding: chunked")
        client.sendall(first)
        time.sleep(0.1)
        client.sendall(b"3\r\nabc\r\n0\r\n\r\n" + request(f"{origin.url}/2", "PUT", "Content-Length: 2", body=b"de"))
        assert [read_message(client).body for _ in range(2)] == [b"ok", b"ok"]
    assert [r.body for r in origin.requests] == [b"3\r\nabc\r\n0\r\n\r\n", b"de"]


