"""Plain http:// in absolute form through `tapline relay`, and what the relay says to requests that it
cannot or must not serve. RFC 9110 and 9112; each error answer is a whole one, with its cause."""

import json
import os
import socket

import pytest

from origins import RawServer, free_port, pattern, receive_all
from proxies import TUNNELS, ScriptedProxy, Tinyproxy, page_403, read_head, refuse
from relays import Relay, connect_head, eventually, read_answer, read_answer_head


@pytest.fixture
def relay(sandbox):
    with Relay(sandbox) as relay:
        yield relay


@pytest.fixture(scope="module")
def plain(make_index):
    return make_index(certs=None)


def curl(relay, *arguments, proxy=None):
    """curl through the relay: (exit status, HTTP status, body, stderr)."""
    done = relay.sandbox.run(["curl", "-sS", "--max-time", "20", "--proxy", proxy or relay.url,
                              "-w", "\n%{http_code}", *arguments])
    body, _, status = done.stdout.rpartition("\n")
    return done.returncode, int(status), body, done.stderr


def echoed(relay, *arguments, proxy=None):
    code, status, body, stderr = curl(relay, *arguments, proxy=proxy)
    assert (code, status) == (0, 200), (body, stderr)
    return json.loads(body)


def fields(echo):
    return {name.lower(): value for name, value in echo["headers"]}


def test_the_origin_gets_origin_form_and_no_proxy_fields(relay, plain):
    echo = echoed(relay, "-H", "Connection: keep-alive, X-Hop", "-H", "X-Hop: 1", "-H", "X-End: 2",
                  "-H", "Keep-Alive: timeout=5", f"{plain.url}/echo?a=b", proxy=f"http://me:secret@127.0.0.1:{relay.port}")
    assert echo["path"] == "/echo?a=b"
    got = fields(echo)
    assert got["host"] == f"localhost:{plain.port}"
    assert got["x-end"] == "2"
    assert not {"proxy-authorization", "proxy-connection", "x-hop", "keep-alive"} & set(got)


def test_host_comes_from_the_target(relay, plain):
    """RFC 9112 section 3.2.2: the Host field of an absolute-form request is ignored."""
    assert fields(echoed(relay, "-H", "Host: other.example", f"{plain.url}/echo"))["host"] == f"localhost:{plain.port}"


@pytest.mark.parametrize("how", [[], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect: 100-continue"]],
                         ids=["length", "chunked", "expect"])
def test_bodies_go_up(relay, plain, how, tmp_path):
    data = relay.sandbox.work / "data"
    data.write_bytes(pattern(300_000))
    data.chmod(0o644)
    echo = echoed(relay, *how, "--data-binary", f"@{data}", f"{plain.url}/echo")
    assert (echo["method"], echo["body_len"]) == ("POST", 300_000)


@pytest.mark.parametrize("how", ["", "?chunked=1"])
def test_bodies_come_down(relay, plain, how):
    done = relay.sandbox.run(["curl", "-sS", "--proxy", relay.url, "-o", "/dev/null",
                              "-w", "%{http_code} %{size_download}", f"{plain.url}/bytes/3000000{how}"])
    assert done.stdout == "200 3000000", done


@pytest.mark.parametrize("arguments, status", [
    (["-I", "/echo"], 200), (["/status/204"], 204), (["/status/304"], 304), (["/status/404"], 404),
    (["/status/500"], 500)], ids=["head", "204", "304", "404", "500"])
def test_statuses_pass(relay, plain, arguments, status):
    code, got, _, stderr = curl(relay, *arguments[:-1], plain.url + arguments[-1])
    assert (code, got) == (0, status), stderr


def test_one_connection_serves_several_requests(relay, plain, make_index):
    other = make_index(certs=None)
    urls = [f"{plain.url}/echo", f"{other.url}/echo", f"{plain.url}/status/204", f"{plain.url}/echo"]
    done = relay.sandbox.run(["curl", "-sS", "--proxy", relay.url, "-o", "/dev/null", "-w",
                              "%{http_code} %{num_connects}\n", *[a for u in urls for a in (u, "-o", "/dev/null")][:-2]])
    lines = [line.split() for line in done.stdout.split("\n") if line[:3].isdigit()]
    assert [line[0] for line in lines] == ["200", "200", "204", "200"], done


def test_a_short_body_is_not_passed_off_as_whole(relay):
    def serve(connection):
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this")
    with RawServer(serve) as server:
        code, status, body, _ = curl(relay, f"http://127.0.0.1:{server.port}/")
    assert (status, body) == (200, "only this")
    assert code in (18, 56)


def test_a_body_that_ends_with_the_connection(relay):
    def serve(connection):
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + pattern(100_000))
    with RawServer(serve) as server, relay.dial() as client:
        client.sendall(f"GET http://127.0.0.1:{server.port}/ HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert read_answer_head(client).status == 200
        assert receive_all(client) == pattern(100_000)


def test_upgrade_becomes_a_tunnel(relay):
    def serve(connection):
        head = read_head(connection).lower()
        assert b"upgrade: echo" in head, head
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhi")
        while data := connection.recv(4096):
            connection.sendall(data)
    with RawServer(serve) as server, relay.dial() as client:
        client.sendall(f"GET http://127.0.0.1:{server.port}/ HTTP/1.1\r\nHost: x\r\n"
                       "Connection: Upgrade\r\nUpgrade: echo\r\n\r\n".encode())
        assert read_answer_head(client).status == 101
        client.sendall(b"there")
        client.shutdown(socket.SHUT_WR)
        assert receive_all(client) == b"hithere"
    assert not server.errors


def test_the_record_holds_request_and_answer(relay, plain):
    echoed(relay, "-H", "Authorization: Bearer abc123", f"{plain.url}/echo")
    relay.stop()
    [request] = relay.of("http.request")
    assert (request["method"], request["url"]) == ("GET", f"{plain.url}/echo")
    [response] = relay.of("http.response")
    assert response["status"] == 200
    assert "abc123" not in relay.record.read_text()


def test_connections_end_when_both_sides_have(relay, plain):
    """A relay that stops reading the client behind a request's last byte never sees it leave."""
    def serve_and_close(connection):
        read_head(connection)
        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
    with RawServer(serve_and_close) as server:
        for url in (f"{plain.url}/echo", f"http://127.0.0.1:{server.port}/"):
            done = relay.sandbox.run(["curl", "-sS", "--proxy", relay.url, "-o", "/dev/null", f"{url}?n=[1-20]"])
            assert done.returncode == 0, done
        eventually(lambda: len(os.listdir(f"/proc/{relay.process.pid}/fd")) < 30, 5)
    relay.stop()
    assert [e for e in relay.of("flow.close") if e["first"] == "relay"] == []
    assert all(e["client_to_server"] > 0 for e in relay.of("flow.close", port=plain.port))


# -- through an upstream proxy

def test_upstream_gets_absolute_form_and_our_credentials(sandbox, plain):
    seen = []

    def script(client, head, proxy):
        seen.append(head)
        if b"Proxy-Authorization" not in head:
            client.sendall(b'HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm="r"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
            return
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        client.recv(1)
    with ScriptedProxy(script) as proxy:
        with Relay(sandbox, "--upstream", f"http://me:pass%40word@127.0.0.1:{proxy.port}") as relay:
            code, status, body, stderr = curl(relay, f"{plain.url}/x", proxy=f"http://other:own@127.0.0.1:{relay.port}")
        assert (code, status, body) == (0, 200, "ok"), stderr
    unasked, head = seen
    assert b"Basic" not in unasked, "a password is told to a proxy that asks for one (docs/upstream.md)"
    assert head.startswith(f"GET {plain.url}/x HTTP/1.1\r\n".encode())
    assert b"Basic bWU6cGFzc0B3b3Jk\r\n" in head  # me:pass@word, and not the client's own
    assert "pass" not in relay.record.read_text()


def test_plain_http_through_tinyproxy(sandbox, plain):
    with Tinyproxy() as proxy, Relay(sandbox, "--upstream", proxy.url) as relay:
        assert echoed(relay, f"{plain.url}/echo")["path"] == "/echo"


def test_an_upstreams_refusal_of_plain_http_passes(sandbox, plain):
    script = refuse(407, "Proxy Authentication Required", b"log in", 'Proxy-Authenticate: Basic realm="tests"')
    with ScriptedProxy(script) as proxy, Relay(sandbox, "--upstream", proxy.url) as relay:
        assert curl(relay, f"{plain.url}/")[:3] == (0, 407, "log in")
    with ScriptedProxy(page_403) as proxy, Relay(sandbox, "--upstream", proxy.url) as relay:
        code, status, body, _ = curl(relay, f"{plain.url}/")
        assert (code, status) == (0, 403)
        assert "games" in body


# -- requests that cannot be served

def test_a_refused_target_is_502_with_the_cause(relay):
    port = free_port()
    for request in (connect_head(f"127.0.0.1:{port}"), f"GET http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: x\r\n\r\n".encode()):
        answer = relay.ask(request)
        assert answer.status == 502
        assert b"refused" in answer.body.lower(), answer
        assert "connection_refused" in answer.fields["proxy-status"]


def test_a_name_that_does_not_exist_is_said(relay):
    answer = relay.ask(connect_head("nothing-here.invalid:443"))
    assert answer.status in (502, 503, 504), answer
    assert b"nothing-here.invalid" in answer.body


def test_a_target_that_is_the_relay_itself_is_refused(relay):
    answer = relay.ask(connect_head(f"127.0.0.1:{relay.port}"))
    assert answer.status in (400, 403, 502, 508), answer


BAD = {
    "no-port": b"CONNECT index.example HTTP/1.1\r\nHost: x\r\n\r\n",
    "port-0": b"CONNECT index.example:0 HTTP/1.1\r\nHost: x\r\n\r\n",
    "port-65536": b"CONNECT index.example:65536 HTTP/1.1\r\nHost: x\r\n\r\n",
    "port-sign": b"CONNECT index.example:+443 HTTP/1.1\r\nHost: x\r\n\r\n",
    "port-letters": b"CONNECT index.example:https HTTP/1.1\r\nHost: x\r\n\r\n",
    "no-host": b"CONNECT :443 HTTP/1.1\r\nHost: x\r\n\r\n",
    "path": b"CONNECT index.example:443/x HTTP/1.1\r\nHost: x\r\n\r\n",
    "user": b"CONNECT me@index.example:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    "open-bracket": b"CONNECT [::1:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    "no-version": b"CONNECT index.example:443\r\n\r\n",
    "noise": b"hello there\r\n\r\n",
    "tls-hello": b"\x16\x03\x01\x00\x05hello\r\n\r\n",
    "blank-before-colon": b"CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost : x\r\n\r\n",
    "folded": b"CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
    "nul": b"CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: x\0y\r\n\r\n",
    "two-hosts": b"GET http://127.0.0.1:1/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "connect-with-body": b"CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
    "connect-chunked": b"CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
    "length-and-chunked": b"POST http://127.0.0.1:1/ HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
                          b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two-lengths": b"POST http://127.0.0.1:1/ HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
                   b"Content-Length: 4\r\n\r\nabc",
    "signed-length": b"POST http://127.0.0.1:1/ HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc",
    "huge-length": b"POST http://127.0.0.1:1/ HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
    "odd-coding": b"POST http://127.0.0.1:1/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
    "origin-form": b"GET / HTTP/1.1\r\nHost: index.example\r\n\r\n",
}


@pytest.mark.parametrize("request_bytes", BAD.values(), ids=BAD)
def test_malformed_requests_are_400(relay, request_bytes):
    answer = relay.ask(request_bytes)
    assert answer.status == 400, answer
    assert answer.body.strip(), "the answer does not say what is wrong"
    assert answer.fields["connection"].lower() == "close"


def test_schemes_that_are_not_http(relay):
    assert relay.ask(b"GET ftp://127.0.0.1/x HTTP/1.1\r\nHost: x\r\n\r\n").status in (400, 501)
    assert relay.ask(b"GET https://127.0.0.1/x HTTP/1.1\r\nHost: x\r\n\r\n").status in (400, 501)


@pytest.mark.parametrize("data, status", [
    (b"CONNECT " + b"a" * 20_000 + b":443 HTTP/1.1\r\n\r\n", {400, 414}),
    (b"GET http://127.0.0.1:1/" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n", {414}),
    (b"CONNECT 127.0.0.1:1 HTTP/1.1\r\nX: " + b"a" * 200_000 + b"\r\n\r\n", {431}),
    (b"CONNECT 127.0.0.1:1 HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n", {431}),
], ids=["target", "url", "field", "fields"])
def test_heads_that_are_too_large(relay, data, status):
    with relay.dial() as client:
        try:
            client.sendall(data)
        except OSError:
            pass  # the relay may stop reading early; its answer must arrive all the same
        assert read_answer(client).status in status


def test_a_bad_request_harms_nobody_else(relay, plain):
    for data in BAD.values():
        relay.ask(data)
    assert echoed(relay, f"{plain.url}/echo")["path"] == "/echo"


def test_a_client_that_says_nothing_or_half_a_head(relay, plain):
    with relay.dial() as silent, relay.dial() as half:
        half.sendall(b"CONNECT 127.0.0.1:1 HT")
        assert echoed(relay, f"{plain.url}/echo")["path"] == "/echo"
        half.shutdown(socket.SHUT_WR)
        silent.shutdown(socket.SHUT_WR)
        assert receive_all(silent) == b""
        assert receive_all(half)[:12] in (b"", b"HTTP/1.1 400")
