"""Plain HTTP through `tapline relay`: connections that stay, and messages as RFC 9110 and 9112 want a proxy to
pass them on. What goes wrong in other relays is tested against scripted origins; docs/relay.md has the list."""

import signal
import time

import pytest

from messages import OK, Origin, ask, read_message, request
from origins import RawServer, free_port, receive_all
from relays import Relay, connect_head, eventually, read_answer, read_answer_head


@pytest.fixture
def relay(sandbox):
    with Relay(sandbox) as relay:
        yield relay


# -- connections

def test_one_connection_on_each_side_serves_all_requests(relay):
    with Origin() as origin, relay.dial() as client:
        for number in range(5):
            answer = ask(client, request(f"{origin.url}/{number}"))
            assert (answer.status, answer.body) == (200, b"ok")
            assert "connection" not in answer.fields
        assert origin.connections == 1
        assert [r.line for r in origin.requests] == [f"GET /{n} HTTP/1.1" for n in range(5)]
        relay.stop()
    assert len(relay.of("connect", kind="http")) == len(relay.of("flow.close", port=origin.port)) == 1
    assert len(relay.of("http.request")) == len(relay.of("http.body", complete=True)) == 5
    assert relay.report()["findings"] == []


def test_the_next_request_may_go_elsewhere(relay):
    with Origin() as one, Origin() as other, relay.dial() as client:
        for origin in (one, other, other, one):
            assert ask(client, request(f"{origin.url}/")).status == 200
        eventually(lambda: (one.connections, other.connections) == (2, 1))
        client.sendall(connect_head(f"127.0.0.1:{one.port}"))  # and even be another kind
        assert read_answer_head(client).status == 200
        client.sendall(b"GET /inside HTTP/1.1\r\nHost: x\r\n\r\n")
        assert read_message(client).body == b"ok"
    assert one.requests[-1].line == "GET /inside HTTP/1.1"


def test_pipelined_requests_are_served_in_order(relay):
    def slow(connection, got):
        connection.settimeout(0.1)
        with pytest.raises(TimeoutError):
            connection.recv(1)  # the next one does not come before this one is answered
        connection.settimeout(20)
        number = got.line.split("/")[1].split(" ")[0]
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(number)}\r\n\r\n{number}".encode())
    with Origin(slow) as one, Origin(slow) as other, relay.dial() as client:
        urls = [f"{(one, other)[n % 3 == 2].url}/{n}" for n in range(6)]
        client.sendall(b"".join(request(url, "POST", "Content-Length: 3", body=b"abc") for url in urls))
        assert [read_message(client).body for _ in urls] == [b"0", b"1", b"2", b"3", b"4", b"5"]
    assert not one.errors + other.errors
    assert {r.body for r in one.requests + other.requests} == {b"abc"}


def test_pipelined_requests_behind_a_close_are_dropped(relay):
    with Origin() as origin, relay.dial() as client:
        client.sendall(request(f"{origin.url}/1", "GET", "Connection: close") + request(f"{origin.url}/2"))
        answer = read_message(client)
        assert (answer.body, answer.fields["connection"]) == (b"ok", "close")
        assert receive_all(client) == b""
        assert [r.line for r in origin.requests] == ["GET /1 HTTP/1.1"]


def test_an_origin_that_closes_costs_the_client_nothing(relay):
    with Origin(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", close=True) as origin, \
            relay.dial() as client:
        for _ in range(3):
            answer = ask(client, request(f"{origin.url}/"))
            assert answer.status == 200
            assert "connection" not in answer.fields
        assert origin.connections == 3


def test_an_origin_that_closes_an_idle_connection(relay):
    with Origin(lambda connection, got: connection.sendall(OK) or "close") as origin, relay.dial() as client:
        for _ in range(3):
            assert ask(client, request(f"{origin.url}/", "POST", "Content-Length: 1", body=b"x")).status == 200
            time.sleep(0.1)  # the relay has seen the end: not even a POST is at risk
        assert origin.connections == 3


def test_an_idle_client_that_leaves_frees_everything(relay):
    with Origin() as origin:
        client = relay.dial()
        assert ask(client, request(f"{origin.url}/")).status == 200
        client.close()
        origin.join(5)
        assert not any(thread.is_alive() for thread in origin.threads)
        relay.stop()
    [close] = relay.of("flow.close", port=origin.port)
    assert (close["first"], close["how"]) == ("client", "eof")


def test_http_1_0_clients_are_closed(relay):
    """RFC 9112 section 9.3: a proxy keeps no connection with one, whatever it asks for."""
    with Origin() as origin, relay.dial() as client:
        answer = ask(client, request(f"{origin.url}/", "GET", "Connection: keep-alive", version="1.0"))
        assert (answer.status, answer.fields["connection"]) == (200, "close")
        assert receive_all(client) == b""
    assert origin.requests[0].line == "GET / HTTP/1.1"


def test_a_relay_that_stops_closes_idle_clients_and_tells_busy_ones(sandbox):
    """They would hold it up otherwise; a request that is under way gets its answer."""
    def late(connection, got):
        time.sleep(1)
        connection.sendall(OK)
    with Origin() as origin, Origin(late) as slow, Relay(sandbox, "--drain", "8") as relay, relay.dial() as idle, \
            relay.dial() as busy:
        assert ask(idle, request(f"{origin.url}/")).status == 200
        busy.sendall(request(f"{slow.url}/"))
        eventually(lambda: slow.requests)
        relay.process.popen.send_signal(signal.SIGTERM)
        idle.settimeout(3)
        assert receive_all(idle) == b""
        answer = read_message(busy)
        assert (answer.body, answer.fields["connection"]) == (b"ok", "close")
        assert receive_all(busy) == b""
        relay.process.wait(15)
        relay.events = []


# -- repeating

def silent_second_time(connection, got):
    return "close"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE", "PUT"])
def test_an_idempotent_request_on_a_stale_connection_is_sent_once_more(relay, method):
    with Origin(OK if method != "HEAD" else OK[:-2], silent_second_time, b"HTTP/1.1 204 x\r\n\r\n") as origin, relay.dial() as client:
        ask(client, request(f"{origin.url}/", "GET" if method != "HEAD" else "HEAD"), method == "HEAD")
        body = {"PUT": b"abc"}.get(method, b"")
        fields = [f"Content-Length: {len(body)}"] if body else []
        assert ask(client, request(f"{origin.url}/again", method, *fields, body=body)).status == 204
        assert [r.line.split(" ")[0] for r in origin.requests[1:]] == [method, method]
        assert {r.body for r in origin.requests[1:]} == {body}
        assert origin.connections == 2
        relay.stop()
    assert relay.report()["findings"] == [], "it was made good"


def test_others_are_not_repeated(relay):
    with Origin(OK, silent_second_time) as origin, relay.dial() as client:
        ask(client, request(f"{origin.url}/"))
        answer = ask(client, request(f"{origin.url}/", "POST", "Content-Length: 3", body=b"abc"))
        assert answer.status == 502
        assert "error=http_response_incomplete" in answer.fields["proxy-status"]
        assert len(origin.requests) == 2


def test_nothing_is_repeated_on_a_fresh_connection_or_twice(relay):
    with Origin(silent_second_time) as origin, relay.dial() as client:
        assert ask(client, request(f"{origin.url}/")).status == 502
        assert len(origin.requests) == 1
    with Origin(OK, silent_second_time) as origin, relay.dial() as client:
        ask(client, request(f"{origin.url}/"))
        assert ask(client, request(f"{origin.url}/")).status == 502
        assert len(origin.requests) == 3


def test_nothing_is_repeated_once_an_answer_has_begun(relay):
    def half(connection, got):
        connection.sendall(b"HTTP/1.1 200 O")
        return "close"
    with Origin(OK, half) as origin, relay.dial() as client:
        ask(client, request(f"{origin.url}/"))
        assert ask(client, request(f"{origin.url}/")).status == 502
        assert len(origin.requests) == 2


# -- fields

def test_fields_of_a_hop_end_there(relay):
    answer = (b"HTTP/1.1 200 OK\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n"
              b"Proxy-Connection: keep-alive\r\nX-End: 2\r\nContent-Length: 2\r\n\r\nok")
    with Origin(answer) as origin, relay.dial() as client:
        got = ask(client, request(f"{origin.url}/", "GET", "Connection: X-Hop, Host, Content-Type, Content-Length", "X-Hop: 1",
                                  "Keep-Alive: 5", "Proxy-Connection: Keep-Alive", "Proxy-Authorization: Basic eA==",
                                  "TE: gzip", "X-End: 2", "Content-Type: a/b", "Content-Length: 1", body=b"x"))
    [sent] = origin.requests
    assert {name.lower() for name, _ in sent.fields} == {"host", "x-end", "content-type", "content-length", "via"}
    assert sent.body == b"x"
    assert set(got.fields) == {"x-end", "content-length", "via", "date"}


def test_via_names_the_relay_and_the_protocol_before_it(relay):
    with Origin(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nVia: 1.1 other\r\n\r\nok", close=True) as origin, relay.dial() as client:
        got = ask(client, request(f"{origin.url}/", "GET", "Via: 1.0 before"))
    first, second = origin.requests[0].values("Via")
    assert first == "1.0 before"
    assert second.startswith("1.1 tapline-")
    assert got.head.count(b"\r\nVia: ") == 2
    assert got.fields["via"] == second.replace("1.1", "1.0")


@pytest.mark.parametrize("name, expected", [("off", []), ("gateway-7", ["1.1 gateway-7"])])
def test_via_is_as_the_user_says(sandbox, name, expected):
    with Relay(sandbox, "--via", name) as relay, Origin() as origin, relay.dial() as client:
        got = ask(client, request(f"{origin.url}/"))
        assert origin.requests[0].values("Via") == expected
        assert got.fields.get("via") == (expected[0] if expected else None)


def test_a_loop_of_two_relays_ends(sandbox):
    port = free_port()
    with Relay(sandbox, "--upstream", f"http://127.0.0.1:{port}") as one, \
            Relay(sandbox, "--upstream", one.url, port=port) as other:
        answer = one.ask(request("http://index.example/"))
        assert answer.status == 502
        assert b"passed this relay before" in answer.body
        assert "error=proxy_loop_detected" in answer.fields["proxy-status"]
        other.stop()
        one.stop()
    assert len(other.of("http.request")) == 1


def test_two_relays_in_a_row_are_no_loop(sandbox):
    with Origin() as origin, Relay(sandbox) as last, Relay(sandbox, "--upstream", last.url) as first:
        assert first.ask(request(f"{origin.url}/")).status == 200
    assert len(origin.requests[0].values("Via")) == 2


def test_max_forwards_ends_a_trace_here(relay):
    with Origin() as origin:
        answer = relay.ask(request(f"{origin.url}/x", "TRACE", "Max-Forwards: 0", "X-Seen: yes", "Cookie: secret",
                                   "Authorization: Basic secret"))
        assert (answer.status, answer.fields["content-type"]) == (200, "message/http")
        assert answer.body.startswith(f"TRACE {origin.url}/x HTTP/1.1\r\n".encode())
        assert b"X-Seen: yes" in answer.body
        assert b"secret" not in answer.body
        assert "OPTIONS" in relay.ask(request(origin.url, "OPTIONS", "Max-Forwards: 0")).fields["allow"]
        assert "GET" in relay.ask(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n").fields["allow"]
        assert origin.requests == []
        relay.ask(request(origin.url, "OPTIONS", "Max-Forwards: 3"))
        assert origin.requests[0].line == "OPTIONS * HTTP/1.1"
        assert origin.requests[0].values("Max-Forwards") == ["2"]


# -- framing of requests

URL = "http://127.0.0.1:%d/"

REQUESTS_THAT_COULD_SMUGGLE = {
    "length-and-chunked": ["Content-Length: 5", "Transfer-Encoding: chunked"],
    "chunked-and-length": ["Transfer-Encoding: chunked", "Content-Length: 5"],
    "chunked-not-last": ["Transfer-Encoding: chunked, gzip"],
    "coding-before-chunked": ["Transfer-Encoding: gzip, chunked"],
    "chunked-twice": ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
    "not-quite-chunked": ["Transfer-Encoding: xchunked"],
    "identity": ["Transfer-Encoding: identity"],
    "two-lengths": ["Content-Length: 5", "Content-Length: 6"],
    "list-of-lengths": ["Content-Length: 5, 5"],
    "signed": ["Content-Length: +5"],
    "negative": ["Content-Length: -5"],
    "hex": ["Content-Length: 0x5"],
    "blank-inside": ["Content-Length: 5 0"],
    "empty": ["Content-Length:"],
    "overflow": ["Content-Length: 18446744073709551621"],
    "blank-before-colon": ["Content-Length : 5"],
    "folded": ["X: a", " b", "Content-Length: 5"],
    "nul": ["X: a\0b"],
    "bare-cr": ["X: a\rContent-Length: 5"],
    "no-colon": ["Content-Length 5"],
    "odd-name": ["Content(Length: 5"],
    "no-name": [": 5"],
}


@pytest.mark.parametrize("fields", REQUESTS_THAT_COULD_SMUGGLE.values(), ids=REQUESTS_THAT_COULD_SMUGGLE)
def test_requests_that_could_smuggle_are_refused(relay, fields):
    with Origin() as origin, relay.dial() as client:
        client.sendall(request(f"{origin.url}/", "POST", *fields, body=b"0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n"))
        answer = read_answer(client)
        assert (answer.status, answer.fields["connection"]) == (400, "close")
        assert "error=http_request_error" in answer.fields["proxy-status"]
        assert receive_all(client) == b""
        assert origin.connections == 0


def test_chunked_of_http_1_0_is_refused(relay):
    answer = relay.ask(request(URL % 1, "POST", "Transfer-Encoding: chunked", version="1.0", body=b"0\r\n\r\n"))
    assert answer.status == 400


@pytest.mark.parametrize("body", [b"0x3\r\nabc\r\n0\r\n\r\n", b"+3\r\nabc\r\n0\r\n\r\n", b" 3\r\nabc\r\n0\r\n\r\n", b"3\nabc\n0\n\n",
                                  b"3\r\nabcd\r\n0\r\n\r\n", b"3;a\nGET / HTTP/1.1\r\nabc\r\n0\r\n\r\n", b"\r\n\r\n", b"fffffffffffffffff\r\n",
                                  b"3;" + b"x" * 70000 + b"\r\n", b"0\r\nno colon\r\n\r\n", b"0\r\na: b\r\n folded\r\n\r\n"],
                         ids=["0x", "plus", "blank", "lf", "long-chunk", "lf-in-extension", "no-size", "overflow", "extension",
                              "trailer", "folded-trailer"])
@pytest.mark.parametrize("pause", [0, 0.1], ids=["with-head", "later"])
def test_bodies_that_are_not_chunked_are_refused(relay, body, pause):
    """The origin must not take what it got for a whole request."""
    with RawServer(lambda connection: got.append(receive_all(connection))) as server, relay.dial() as client:
        got = []
        head = request(URL % server.port, "POST", "Transfer-Encoding: chunked")
        client.sendall(head if pause else head + body)
        time.sleep(pause)
        if pause:
            client.sendall(body)
        assert read_answer(client).status == 400
        server.join(5)
    assert all(isinstance(error, ConnectionResetError) for error in server.errors)
    assert not any(data.endswith(b"0\r\n\r\n") for data in got)


def test_host_of_http_1_1_is_needed_and_valid(relay):
    for fields in ([], ["Host: a", "Host: a"], ["Host: a b"], ["Host: a/b"], ["Host: me@a"]):
        data = "\r\n".join([f"GET {URL % 1} HTTP/1.1", *fields, "", ""]).encode()
        assert relay.ask(data).status == 400, fields
    with Origin() as origin:
        assert relay.ask(request(f"{origin.url}/", version="1.0")).status == 200
        assert origin.requests[0].values("Host") == [f"127.0.0.1:{origin.port}"]


def test_the_preface_of_http_2_is_refused(relay):
    answer = relay.ask(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert answer.status == 505
    assert b"HTTP/1" in answer.body


def test_chunks_and_trailers_pass_as_they_are(relay):
    body = b"3;ext=1\r\nabc\r\n00002\r\nde\r\n0\r\nX-Sum: 17\r\n\r\n"
    with Origin(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n" + body) as origin, relay.dial() as client:
        for _ in range(2):
            answer = ask(client, request(f"{origin.url}/", "POST", "Transfer-Encoding: chunked", "TE: trailers",
                                         "Connection: TE", "Trailer: X-Sum", body=body))
            assert answer.body == body
            assert answer.fields["trailer"] == "X-Sum"
    assert [r.body for r in origin.requests] == [body, body]
    assert origin.requests[0].values("TE") == ["trailers"]
    assert origin.requests[0].values("Trailer") == ["X-Sum"]


def test_any_segmentation(relay):
    body = b"3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 17\r\n\r\n"

    def drip(connection, got):
        for byte in b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body:
            connection.sendall(bytes([byte]))
    with Origin(drip) as origin, relay.dial() as client:
        for _ in range(2):
            for byte in request(f"{origin.url}/", "POST", "Transfer-Encoding: chunked", body=body):
                client.sendall(bytes([byte]))
            assert read_answer_head(client).status == 103
            assert read_message(client).body == body
    assert [r.body for r in origin.requests] == [body, body]
