"""CONNECT through `tapline relay` as clients really send it, and what they are told when it does not come about: the points
of docs/relay.md that no other test covers."""

import contextlib
import re
import threading
import time

import pytest

from messages import Origin, ask, request
from origins import RawServer, free_port, receive_all, receive_exactly
from proxies import LOGIN_PAGE, TUNNELS, ScriptedProxy, pump, read_head, refuse, send_and_close
from proxies import dial as dial_target
from relays import Relay, connect_head, eventually, read_answer, read_answer_head
from upstreams import socks_script


@pytest.fixture
def relay(sandbox):
    with Relay(sandbox) as relay:
        yield relay


def echo(connection):
    while data := connection.recv(65536):
        connection.sendall(data)


def talk(client, data=b"hello"):
    client.sendall(data)
    assert receive_exactly(client, len(data)) == data


# -- heads as clients send them; %s is the target, %h its host alone

HEADS = {
    "curl": ["CONNECT %s HTTP/1.1", "Host: %s", "User-Agent: curl/7.88.1", "Proxy-Connection: Keep-Alive"],
    "wget": ["CONNECT %s HTTP/1.1", "User-Agent: Wget/1.21.3", "Host: %s"],
    "python-3.11": ["CONNECT %s HTTP/1.0"],
    "python-3.12": ["CONNECT %s HTTP/1.1", "Host: %s"],
    "npm": ["CONNECT %s HTTP/1.1", "Proxy-Connection: close", "Host: %s", "Connection: close"],
    "java": ["CONNECT %s HTTP/1.1", "User-Agent: Java/17", "Host: %h", "Accept: */*", "Proxy-Connection: keep-alive"],
    "apt": ["CONNECT %s HTTP/1.1", "Host: %s", "User-Agent: Debian APT"],
    "no-host": ["CONNECT %s HTTP/1.1", "User-Agent: forgetful"],
    "other-host": ["CONNECT %s HTTP/1.1", "Host: other.example:443"],
    "http-1.0-keep-alive": ["CONNECT %s HTTP/1.0", "Proxy-Connection: keep-alive", "User-Agent: old"],
    "no-content": ["CONNECT %s HTTP/1.1", "Host: %s", "Content-Length: 0"],
}


@pytest.mark.parametrize("end", ["\r\n", "\n"], ids=["crlf", "lf"])
@pytest.mark.parametrize("name", HEADS)
def test_every_clients_head_is_understood(relay, name, end):
    with RawServer(echo) as server, relay.dial() as client:
        lines = [line.replace("%s", f"127.0.0.1:{server.port}").replace("%h", "127.0.0.1") for line in HEADS[name]]
        client.sendall(end.join([*lines, "", ""]).encode())
        assert read_answer_head(client).status == 200
        talk(client)


@pytest.mark.parametrize("fields", [["Host: a", "Host: a"], ["Host: a", "Host: b"]], ids=["same", "other"])
def test_two_hosts_are_refused(relay, fields):
    assert relay.ask("\r\n".join(["CONNECT 127.0.0.1:1 HTTP/1.1", *fields, "", ""]).encode()).status == 400


def test_the_answer_is_the_shortest_one_and_one_piece(relay):
    """No length, no coding: a client that obeyed them would take the tunnel's bytes for a body."""
    with RawServer(echo) as server, relay.dial() as client:
        client.sendall(connect_head(f"127.0.0.1:{server.port}", "1.0"))
        assert client.recv(65536) == b"HTTP/1.1 200 Connection established\r\n\r\n"


def test_a_head_byte_by_byte_behind_empty_lines(relay):
    with RawServer(echo) as server, relay.dial() as client:
        for byte in b"\r\n\r\n" + connect_head(f"127.0.0.1:{server.port}"):
            client.sendall(bytes([byte]))
        assert read_answer_head(client).status == 200
        talk(client)


def test_nothing_is_dialled_before_the_head_is_there_nor_answered_before_the_dial(sandbox):
    """An early 200 would turn a refused connection into a broken TLS handshake."""
    def hesitant(client, head, proxy):
        time.sleep(0.5)
        server = dial_target(head)
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        pump(client, server)
    with RawServer(echo) as server, ScriptedProxy(hesitant) as proxy, Relay(sandbox, "--upstream", proxy.url) as relay, \
            relay.dial() as client:
        head = connect_head(f"127.0.0.1:{server.port}")
        client.sendall(head[:-1])
        time.sleep(0.2)
        assert proxy.heads == []
        client.sendall(head[-1:])
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(20)
        assert read_answer_head(client).status == 200
        talk(client)


# -- refusals

# One member of RFC 9209's list: a token with parameters (RFC 8941 section 3.1.2).
MEMBER = re.compile(r'tapline(?:; ?[a-z*][a-z0-9_.*-]*=(?:"(?:[ !#-\[\]-~]|\\["\\])*"|-?\d{1,15}|[A-Za-z*][\w:/!#$%&\'*+.^`|~-]*))+')


def proxy_status(answer):
    """Its parameters."""
    value = answer.fields["proxy-status"]
    assert MEMBER.fullmatch(value), f"not a structured field: {value}"
    return dict(re.findall(r'; ?([a-z-]+)=("(?:[^"\\]|\\.)*"|[^;]*)', value))


@pytest.mark.parametrize("method", ["CONNECT", "GET"])
def test_failures_name_their_type(relay, method):
    def failure(host, port):
        data = connect_head(f"{host}:{port}") if method == "CONNECT" else request(f"http://{host}:{port}/")
        answer = relay.ask(data)
        assert answer.fields["connection"] == "close"
        assert answer.fields["content-type"].startswith("text/plain")
        assert proxy_status(answer)["details"].strip('"') in answer.body.decode()
        return answer.status, proxy_status(answer)["error"]
    assert failure("127.0.0.1", free_port()) == (502, "connection_refused")
    assert failure("nothing-here.invalid", 443) == (502, "dns_error")
    assert failure("127.0.0.1", relay.port)[0] in (403, 502)
    assert failure("a_b", "0") == (400, "http_request_error")


def test_what_a_client_wrote_cannot_break_the_field(relay):
    for target in ('"x";y="z', "a\\b", "caf\u00e9", "a,b;c=d"):
        answer = relay.ask(f"CONNECT {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert answer.status == 400
        assert proxy_status(answer)["error"] == "http_request_error"


UPSTREAM_FAILURES = {
    "close": (send_and_close(b""), 502, "connection_terminated"),
    "half-a-head": (send_and_close(b"HTTP/1.1 200 OK\r\nVia: "), 502, "connection_terminated"),
    "not-http": (send_and_close(b"220 mail.example ESMTP\r\n\r\n"), 502, "http_protocol_error"),
    "302": (refuse(302, "Found", b"", "Location: http://login.example/"), 502, "http_protocol_error"),
}


@pytest.mark.parametrize("name", UPSTREAM_FAILURES)
def test_failures_of_the_upstream_name_their_type(sandbox, name):
    script, status, error = UPSTREAM_FAILURES[name]
    with ScriptedProxy(script) as proxy, Relay(sandbox, "--upstream", proxy.url) as relay:
        answer = relay.ask(connect_head("index.example:443"))
        assert (answer.status, proxy_status(answer)["error"]) == (status, error)
        assert answer.fields["connection"] == "close"


SOCKS_FAILURES = {2: "destination_unavailable", 3: "destination_ip_unroutable", 4: "destination_ip_unroutable",
                  6: "connection_timeout"}


@pytest.mark.parametrize("code", SOCKS_FAILURES)
def test_failures_of_a_socks_upstream_name_their_type(sandbox, code):
    with ScriptedProxy(socks_script(code=code)) as proxy, Relay(sandbox, "--upstream", f"socks5h://127.0.0.1:{proxy.port}") as relay:
        assert proxy_status(relay.ask(connect_head("index.example:443")))["error"] == SOCKS_FAILURES[code]


def test_failures_of_tls_with_the_upstream_name_their_type(sandbox, make_index):
    index = make_index()
    with RawServer(lambda connection: connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")) as plain:
        for port, error in ((index.port, "tls_certificate_error"), (plain.port, "tls_protocol_error")):
            with Relay(sandbox, "--upstream", f"https://localhost:{port}") as relay:
                assert proxy_status(relay.ask(connect_head("index.example:443")))["error"] == error


def test_what_an_upstream_is_asked(sandbox):
    with ScriptedProxy(refuse(403, "Forbidden", b"no")) as proxy, Relay(sandbox, "--upstream", proxy.url) as relay:
        for target in ("index.example:443", "[2001:db8::1]:8443", "192.0.2.1:80"):
            relay.ask(connect_head(target, "1.1", "User-Agent: it/1", "Connection: X-Hop", "X-Hop: 1", "Keep-Alive: 1", "TE: x",
                                   "Via: 1.0 before"))
            told = proxy.heads[-1].decode().split("\r\n")
            assert told[:4] == [f"CONNECT {target} HTTP/1.1", f"Host: {target}", "User-Agent: it/1", "Via: 1.0 before"]
            assert told[4].startswith("Via: 1.1 tapline-")
            assert told[5:] == ["Proxy-Connection: Keep-Alive", "", ""]


def test_via_of_connect_is_as_the_user_says(sandbox):
    with ScriptedProxy(refuse(403, "Forbidden", b"no", "Via: 1.1 beyond")) as proxy:
        for name, asked, answered in (("off", [], [b"1.1 beyond"]), ("gateway-7", [b"1.1 gateway-7"], [b"1.1 beyond", b"1.1 gateway-7"])):
            with Relay(sandbox, "--via", name, "--upstream", proxy.url) as relay:
                answer = relay.ask(connect_head("index.example:443"))
            assert re.findall(rb"Via: (.*)\r\n", proxy.heads[-1]) == asked
            assert re.findall(rb"Via: (.*)\r\n", answer.head) == answered


def test_every_proxy_of_a_chain_is_told_and_socks_clients_are_not_of_it(sandbox):
    """Only Via of a forwarded request, which its last proxy gets whole; nothing where no HTTP came in."""
    with ScriptedProxy(TUNNELS["plain"]) as first, ScriptedProxy(refuse(403, "Forbidden", b"no")) as last, \
            Relay(sandbox, "--upstream", first.url, "--upstream", last.url, "--via", "me") as relay:
        relay.ask(connect_head("index.example:443", "1.0"))
        assert [re.findall(rb"Via: (.*)\r\n", p.heads[-1]) for p in (first, last)] == [[b"1.0 me"], [b"1.0 me"]]
        relay.ask(request("http://index.example/", "GET", "Cookie: a=b"))
        assert b"Cookie" not in first.heads[-1] and b"Via: 1.1 me" in first.heads[-1] and b"Cookie: a=b" in last.heads[-1]
        with relay.dial() as client:
            client.sendall(b"\x05\x01\x00\x05\x01\x00\x03\x09a.example\x00\x50")
            receive_all(client)
        assert b"Via" not in first.heads[-1]


@pytest.mark.parametrize("between", ["http", "relay-http"])
def test_a_loop_of_tunnels_ends(sandbox, between):
    """Each relay's way out is the other one. What is written in the CONNECT itself tells them, however many there are."""
    port = free_port()
    with Relay(sandbox, "--upstream", f"http://127.0.0.1:{port}") as one, contextlib.ExitStack() as more:
        back = one.url
        if between == "relay-http":
            back = more.enter_context(Relay(sandbox, "--upstream", back)).url
        other = more.enter_context(Relay(sandbox, "--upstream", back, port=port))
        answer = one.ask(connect_head("index.example:443"))
        assert answer.status == 502 and b"passed this relay before" in answer.body, answer
        assert b"error=proxy_loop_detected" in answer.head, "each relay leaves what the one behind it said (RFC 9209)"
        assert answer.head.count(b"Proxy-Status: tapline") == (3 if between == "http" else 4)
        other.stop()
        assert len(other.of("connect")) == 1


def test_a_redirection_is_a_failure_that_says_where_to(sandbox):
    script = refuse(302, "Found", b"", "Location: http://login.example/")
    with ScriptedProxy(script) as proxy, Relay(sandbox, "--upstream", proxy.url) as relay:
        answer = relay.ask(connect_head("index.example:443"))
        assert answer.status == 502
        assert proxy_status(answer)["received-status"] == "302"
        assert b"http://login.example/" in answer.body


def test_a_refusal_is_handed_on_with_its_fields_and_page(sandbox):
    page = b"<html>Blocked: \xe4 category games.</html>" * 1000
    script = refuse(451, "Unavailable For Legal Reasons", page, "Content-Type: text/html", "X-Block-Id: 17", "Set-Cookie: a=b",
                    "Connection: X-Hop", "X-Hop: 1", "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive", "Retry-After: 9")
    with ScriptedProxy(script) as proxy, Relay(sandbox, "--upstream", proxy.url) as relay:
        answer = relay.ask(connect_head("index.example:443"))
    assert (answer.status, answer.body) == (451, page)
    assert {"content-type": "text/html", "x-block-id": "17", "set-cookie": "a=b", "retry-after": "9"}.items() <= answer.fields.items()
    assert not {"x-hop", "keep-alive", "proxy-connection"} & set(answer.fields)
    assert proxy_status(answer)["received-status"] == "451"


def test_a_long_page_is_cut_but_framed(sandbox):
    with ScriptedProxy(refuse(403, "Forbidden", b"x" * 300_000)) as proxy, Relay(sandbox, "--upstream", proxy.url) as relay:
        answer = relay.ask(connect_head("index.example:443"))
    assert answer.status == 403
    assert 60_000 < len(answer.body) <= 65536


def test_a_chunked_page_is_handed_on_without_its_chunks(sandbox):
    script = send_and_close(b"HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nPlea\r\n3;x=y\r\nse \r\n0\r\nA: b\r\n\r\n")
    with ScriptedProxy(script) as proxy, Relay(sandbox, "--upstream", proxy.url) as relay:
        assert relay.ask(connect_head("index.example:443")).body == b"Please "


# -- 407, and the retry

class Challenger:
    """A proxy that wants credentials on the connection that it challenged: three messages, as NTLM has. connections counts."""

    def __init__(self, rounds=2):
        self.rounds, self.connections, self.seen = rounds, 0, []

    def __call__(self, client, head, proxy):
        self.connections += 1
        for number in range(self.rounds):
            self.seen.append(re.findall(rb"Proxy-Authorization: (.*)\r\n", head))
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: NTLM round%d\r\n"
                           b"Content-Length: %d\r\n\r\n%s" % (number, len(LOGIN_PAGE), LOGIN_PAGE))
            head = read_head(client)
            if not head:
                return
        self.seen.append(re.findall(rb"Proxy-Authorization: (.*)\r\n", head))
        server = dial_target(head)
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        pump(client, server)


def test_a_407_keeps_the_clients_connection_for_the_retry(sandbox):
    def by_field(client, head, proxy):
        if b"Proxy-Authorization: Basic bWU6c2VjcmV0" in head:
            return TUNNELS["plain"](client, head, proxy)
        return send_and_close(b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=\"tests\"\r\nConnection: close\r\n\r\n"
                              + LOGIN_PAGE)(client, head, proxy)
    with RawServer(echo) as server, ScriptedProxy(by_field) as proxy, Relay(sandbox, "--upstream", proxy.url) as relay:
        target = f"127.0.0.1:{server.port}"
        with relay.dial() as client:
            for _ in range(2):
                answer = ask(client, connect_head(target))
                assert (answer.status, answer.body) == (407, LOGIN_PAGE)
                assert answer.fields["proxy-authenticate"] == 'Basic realm="tests"'
                assert "connection" not in answer.fields
            client.sendall(connect_head(target, "1.1", "Proxy-Authorization: Basic bWU6c2VjcmV0"))
            assert read_answer_head(client).status == 200
            talk(client)
        relay.stop()
    assert [e["proxy_status"] for e in relay.of("upstream")] == [407, 407, 200]
    assert relay.report()["findings"] == [], "a challenge that was met is nobody's fault"
    assert "bWU6c2VjcmV0" not in relay.record.read_text()


def test_the_retry_goes_out_on_the_connection_that_was_challenged(sandbox):
    """NTLM takes three messages on one connection; another client gets another connection."""
    challenger = Challenger()
    with RawServer(echo) as server, ScriptedProxy(challenger) as proxy, Relay(sandbox, "--upstream", proxy.url) as relay:
        target = f"127.0.0.1:{server.port}"
        with relay.dial() as client, relay.dial() as other:
            assert ask(client, connect_head(target)).fields["proxy-authenticate"] == "NTLM round0"
            assert ask(other, connect_head(target)).fields["proxy-authenticate"] == "NTLM round0"
            answer = ask(client, connect_head(target, "1.1", "Proxy-Authorization: NTLM one"))
            assert (answer.status, answer.fields["proxy-authenticate"]) == (407, "NTLM round1")
            client.sendall(connect_head(target, "1.1", "Proxy-Authorization: NTLM two"))
            assert read_answer_head(client).status == 200
            talk(client)
            assert challenger.connections == 2
        relay.stop()
    assert challenger.seen == [[], [], [b"NTLM one"], [b"NTLM two"]]


def test_a_kept_connection_that_has_ended_meanwhile(sandbox):
    """The proxy says that it keeps it and closes it all the same: the retry goes out on a new one."""
    def forgetful(client, head, proxy):
        if b"Proxy-Authorization" in head:
            return TUNNELS["plain"](client, head, proxy)
        return send_and_close(b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n")(client, head, proxy)
    with RawServer(echo) as server, ScriptedProxy(forgetful) as proxy, Relay(sandbox, "--upstream", proxy.url) as relay, \
            relay.dial() as client:
        target = f"127.0.0.1:{server.port}"
        assert ask(client, connect_head(target)).status == 407
        time.sleep(0.2)
        client.sendall(connect_head(target, "1.1", "Proxy-Authorization: Basic eA=="))
        assert read_answer_head(client).status == 200
        talk(client)


def test_a_kept_connection_is_closed_with_its_client(sandbox):
    ended = []

    def wait(client, head, proxy):
        client.sendall(b"HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n")
        ended.append(client.recv(1))
    with ScriptedProxy(wait) as proxy, Relay(sandbox, "--upstream", proxy.url) as relay:
        with relay.dial() as client:
            assert ask(client, connect_head("index.example:443")).status == 407
            time.sleep(0.1)
            assert ended == []
        eventually(lambda: ended == [b""])


@pytest.mark.parametrize("case", ["http-1.0", "close", "early-bytes"])
def test_a_407_that_cannot_keep_it(sandbox, case):
    head = {"http-1.0": connect_head("index.example:443", "1.0"),
            "close": connect_head("index.example:443", "1.1", "Connection: close"),
            "early-bytes": connect_head("index.example:443") + b"\x16\x03\x01"}[case]
    with ScriptedProxy(Challenger()) as proxy, Relay(sandbox, "--upstream", proxy.url) as relay, relay.dial() as client:
        client.sendall(head)
        answer = read_answer(client)
        assert (answer.status, answer.fields["connection"]) == (407, "close")
        assert receive_all(client) == b""


def test_another_request_may_follow_a_407(sandbox):
    """The client gives up on the tunnel and asks for something else."""
    with Origin() as origin, ScriptedProxy(Challenger()) as proxy, \
            Relay(sandbox, "--upstream", proxy.url, "--no-proxy", "127.0.0.1") as relay, relay.dial() as client:
        assert ask(client, connect_head("index.example:443")).status == 407
        assert ask(client, request(f"{origin.url}/")).body == b"ok"
        assert ask(client, connect_head("index.example:443")).status == 407


def test_loopback_in_both_families_and_names(relay):
    """The target as a name, as IPv4 and, in brackets, as IPv6."""
    with RawServer(echo) as server:
        for target in (f"localhost:{server.port}", f"LOCALHOST:{server.port}", f"127.0.0.1:{server.port}",
                       f"[::ffff:127.0.0.1]:{server.port}"):
            with relay.tunnel(target) as client:
                talk(client)


def test_a_client_that_never_finishes_costs_only_itself(relay):
    """Byte for byte, while others are served."""
    with RawServer(echo) as server, relay.dial() as slow:
        stop = threading.Event()

        def drip():
            for byte in connect_head(f"127.0.0.1:{server.port}", "1.1", "X: " + "y" * 4000):
                if stop.wait(0.01):
                    return
                slow.sendall(bytes([byte]))
        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        for _ in range(50):
            with relay.tunnel(f"127.0.0.1:{server.port}") as client:
                talk(client)
        stop.set()
        thread.join()
