"""Every kind of upstream against real servers: SOCKS (dante, another tapline), TLS to the proxy (haproxy, squid), chains
of them; and what odd SOCKS servers answer."""

import hashlib
import os
import socket
import threading

import pytest

from origins import RawServer, free_port, receive_all, receive_exactly
from proxies import OK, ScriptedProxy, Tinyproxy, black_hole, pump
from relays import Relay, connect_head, read_answer_head
from upstreams import Danted, Haproxy, SquidDigest, exactly, socks_script, tls_script

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="danted's accounts need a mount namespace of root's")


@pytest.fixture(scope="module")
def origin(make_index):
    return make_index()


@pytest.fixture(scope="module")
def danted():
    with Danted() as proxy:
        yield proxy


@pytest.fixture(scope="module")
def tinyproxy():
    with Tinyproxy() as proxy:
        yield proxy


@pytest.fixture(scope="module")
def haproxy(tinyproxy, certs):
    with Haproxy(tinyproxy.port, certs) as proxy:
        yield proxy


def get(sandbox, relay, origin, path="/echo", count=1):
    """curl through the relay: `count` requests, a connection each. Returns their statuses."""
    done = sandbox.run(["curl", "-sS", "--max-time", "60", "--cacert", origin.ca, "--proxy", relay.url, "-o", "/dev/null",
                        "-w", "%{http_code}\n", "-H", "Connection: close", f"{origin.url}{path}?n=[1-{count}]"])
    assert done.returncode == 0, done
    return done.stdout.split()


def echo(connection):
    connection.sendall(b"220 ready\r\n")
    while data := connection.recv(65536):
        connection.sendall(data)


def check_tunnel(relay, half_close=True):
    """A server that speaks first, bytes both ways, a half-close (which squid and tinyproxy do not know), and the end."""
    with RawServer(echo) as server, relay.tunnel(f"127.0.0.1:{server.port}") as client:
        assert receive_exactly(client, 11) == b"220 ready\r\n"
        data = os.urandom(3_000_000)
        sender = threading.Thread(target=lambda: (client.sendall(data), half_close and client.shutdown(socket.SHUT_WR)))
        sender.start()
        came = receive_all(client) if half_close else receive_exactly(client, len(data))
        assert hashlib.sha256(came).digest() == hashlib.sha256(data).digest()
        sender.join()


# -- SOCKS

@pytest.mark.parametrize("scheme", ["socks5h", "socks5", "socks4"])
def test_dante(sandbox, origin, danted, scheme):
    with Relay(sandbox, "--upstream", danted.socks_url(scheme)) as relay:
        assert get(sandbox, relay, origin, count=20) == ["200"] * 20
        check_tunnel(relay)
        refused = relay.ask(connect_head(f"127.0.0.1:{free_port()}"))
        assert refused.status in (502, 504), refused
        relay.stop()
    ups = relay.of("upstream", result="connected")
    assert len(ups) == 21 and {e["via"] for e in ups} == {danted.socks_url(scheme)}
    [failed] = relay.of("upstream", result="failed")
    assert failed["stage"] == "proxy" and "refused" in failed["error"], failed


@needs_root
def test_dante_with_a_login(sandbox, origin):
    with Danted(user="socksuser", password="secret word") as proxy:
        url = proxy.socks_url("socks5h").replace(" ", "%20")
        with Relay(sandbox, "--upstream", url) as relay:
            assert get(sandbox, relay, origin, count=3) == ["200"] * 3
            check_tunnel(relay)
            relay.stop()
        assert "secret" not in relay.record.read_text()
        assert {e["credentials"] for e in relay.of("upstream")} == {True}
        for url, finding in ((url.replace("secret", "wrong"), "proxy-auth-rejected"),
                             (f"socks5h://127.0.0.1:{proxy.port}", "proxy-auth-required")):
            with Relay(sandbox, "--upstream", url) as relay:
                assert relay.ask(connect_head(f"127.0.0.1:{origin.port}")).status == 502
                relay.stop()
            assert [f["code"] for f in relay.report()["findings"]] == [finding], relay.events


@pytest.mark.parametrize("scheme", ["http", "socks5h", "socks5", "socks4a", "socks4"])
def test_another_tapline(sandbox, origin, scheme):
    with Relay(sandbox) as far, Relay(sandbox, "--upstream", far.url.replace("http", scheme)) as near:
        assert get(sandbox, near, origin, count=5) == ["200"] * 5
        check_tunnel(near)
        far.stop()
    names = {e.get("name") for e in far.of("connect", port=origin.port)}
    assert names == ({"localhost"} if scheme in ("http", "socks5h", "socks4a") else {"127.0.0.1"}
                     if scheme == "socks4" else names & {"127.0.0.1", "::1"}), names


def test_run_through_socks(tapline_run, origin, danted):
    done = tapline_run(["curl", "-sS", "--cacert", origin.ca, f"{origin.url}/echo"],
                       ["--upstream", danted.socks_url("socks5h")])
    done.assert_worked()
    assert done.of("upstream", result="connected")[0]["via"] == danted.socks_url("socks5h")


@pytest.mark.parametrize("variable", ["https_proxy", "ALL_PROXY"])
def test_socks_from_the_environment(sandbox, tapline_run, origin, danted, variable):
    with Relay(sandbox, env={variable: danted.socks_url("socks5h")}) as relay:
        assert get(sandbox, relay, origin) == ["200"]
        relay.stop()
    assert relay.of("upstream")[0]["via"] == danted.socks_url("socks5h")
    # The command's own variable leads to the relay, whatever scheme it named.
    done = tapline_run(["sh", "-c", f'echo ${variable}; exec curl -sS --cacert {origin.ca} {origin.url}/echo'],
                       env={variable: danted.socks_url("socks5h")})
    done.assert_worked()
    assert done.stdout.startswith("http://127.0.0.1:"), done
    assert {e["via"] for e in done.of("upstream", port=origin.port)} == {danted.socks_url("socks5h")}


REPLIES = {
    "name": dict(bound=b"\x03\x09a.example\x01\xbb"),
    "ipv6": dict(bound=b"\x04" + b"\x00" * 18),
    "byte-by-byte": dict(pause=0.002, bound=b"\x03\x03abc\x01\xbb"),
    "login": dict(login="me:secret"),
    "login-byte-by-byte": dict(login="me:secret", pause=0.002),
}


@pytest.mark.parametrize("name", REPLIES)
def test_odd_socks_answers_make_a_tunnel(sandbox, origin, name):
    login = "me:secret@" if "login" in name else ""
    with ScriptedProxy(socks_script(**REPLIES[name])) as proxy, \
            Relay(sandbox, "--upstream", f"socks5h://{login}127.0.0.1:{proxy.port}") as relay:
        assert get(sandbox, relay, origin) == ["200"]
        assert proxy.heads == [("localhost", origin.port)]


def test_first_bytes_in_the_packet_of_the_socks_reply(sandbox):
    with RawServer(lambda connection: connection.recv(1)) as server, \
            ScriptedProxy(socks_script(then=b"220 ready\r\n")) as proxy, \
            Relay(sandbox, "--upstream", f"socks5h://127.0.0.1:{proxy.port}") as relay, \
            relay.tunnel(f"127.0.0.1:{server.port}") as client:
        assert receive_exactly(client, 11) == b"220 ready\r\n"


SOCKS_FAULTS = {
    "refused": (dict(code=5), "ECONNREFUSED", "connection refused"),
    "rules": (dict(code=2), "ECONNREFUSED", "not allowed by its rules"),
    "host": (dict(code=4), "EHOSTUNREACH", "host unreachable"),
    "network": (dict(code=3), "ENETUNREACH", "network unreachable"),
    "ttl": (dict(code=6), "ETIMEDOUT", "time to live expired"),
    "unknown-code": (dict(code=77), "ECONNREFUSED", "unknown reason"),
    "not-socks": (dict(garbage=b"HTTP/1.1 400 Bad Request\r\n\r\n"), "ECONNREFUSED", "not SOCKS"),
    "atyp": (dict(bound=b"\x07\x00"), "ECONNREFUSED", "not SOCKS"),
    "closes": (dict(garbage=b""), "ECONNRESET", "closed the connection"),
    "cut": (dict(garbage=b"\x05\x00\x00"), "ECONNRESET", "closed the connection"),
}


@pytest.mark.parametrize("name", SOCKS_FAULTS)
def test_socks_faults_are_told(sandbox, name):
    options, errno_name, words = SOCKS_FAULTS[name]
    with ScriptedProxy(socks_script(**options)) as proxy, \
            Relay(sandbox, "--upstream", f"socks5h://127.0.0.1:{proxy.port}") as relay:
        answer = relay.ask(connect_head("a.example:443"))
        assert answer.status in (502, 504) and words.encode() in answer.body, answer
        relay.stop()
    [event] = relay.of("upstream")
    assert (event["result"], event["stage"], event["errno"]) == ("failed", "proxy", errno_name), event
    [finding] = relay.report()["findings"]
    assert finding["code"].startswith("proxy-") and str(proxy.port) in finding["summary"], finding
    assert any(f"--proxy socks5h://127.0.0.1:{proxy.port} " in c for c in finding["remedy"]["commands"]), finding


def test_socks_by_address_does_not_give_the_name(sandbox, origin):
    with ScriptedProxy(socks_script()) as proxy, \
            Relay(sandbox, "--upstream", f"socks5://127.0.0.1:{proxy.port}") as relay:
        assert get(sandbox, relay, origin) == ["200"]
        assert proxy.heads[0][0] in ("127.0.0.1", "::1")
        assert relay.ask(connect_head("no-such-host.invalid:443")).status == 502
        relay.stop()
    assert relay.of("upstream", result="failed")[0]["stage"] == "resolve"


# -- TLS to the proxy

def test_https_upstream(sandbox, origin, haproxy, certs):
    with Relay(sandbox, "--upstream", haproxy.tls_url, "--upstream-ca", certs.ca) as relay:
        assert get(sandbox, relay, origin, count=50) == ["200"] * 50
        check_tunnel(relay, half_close=False)
        done = sandbox.run(["curl", "-sS", "--cacert", origin.ca, "--proxy", relay.url, "-o", "/dev/null",
                            "-w", "%{http_code} %{size_download}", f"{origin.url}/bytes/50000000"])
        assert done.stdout == "200 50000000", done
        descriptors = len(os.listdir(f"/proc/{relay.process.pid}/fd"))
        relay.stop()
    assert descriptors < 60, "the relay keeps descriptors of connections that have ended"
    assert {e["via"] for e in relay.of("upstream")} == {haproxy.tls_url}


def test_half_close_through_https(sandbox, certs):
    """haproxy's TLS in front of another tapline: nothing on the way ends what has not ended."""
    with Relay(sandbox) as far, Haproxy(far.port, certs) as tls, \
            Relay(sandbox, "--upstream", tls.tls_url, "--upstream-ca", certs.ca) as relay:
        for _ in range(5):
            check_tunnel(relay)


def test_https_upstream_many_at_once(sandbox, origin, haproxy, certs):
    with Relay(sandbox, "--upstream", haproxy.tls_url, "--upstream-ca", certs.ca) as relay:
        done = sandbox.run(["curl", "-sS", "--max-time", "60", "--cacert", origin.ca, "--proxy", relay.url, "-o",
                            "/dev/null", "-w", "%{http_code}\n", "-H", "Connection: close", "--parallel",
                            "--parallel-max", "50", "--parallel-immediate", f"{origin.url}/bytes/100000?n=[1-200]"])
        assert done.stdout.split() == ["200"] * 200, done


@pytest.mark.parametrize("inspect", [False, True], ids=["tap", "inspect"])
def test_run_through_https_upstream(tapline_run, origin, haproxy, certs, inspect):
    done = tapline_run(["curl", "-sS", "--cacert", origin.ca, "-o", "/dev/null", f"{origin.url}/echo?n=[1-3]"],
                       ["--upstream", haproxy.tls_url, "--upstream-ca", certs.ca], inspect=inspect)
    done.assert_worked()
    assert len(done.requests()) == 3, done


def test_squid_over_tls_with_digest(sandbox, origin, certs):
    with SquidDigest(certs) as squid, \
            Relay(sandbox, "--upstream", squid.tls_url, "--upstream-ca", certs.ca) as relay:
        assert get(sandbox, relay, origin, count=5) == ["200"] * 5
        check_tunnel(relay, half_close=False)
        relay.stop()
    assert "secret" not in relay.record.read_text()


@pytest.mark.parametrize("what", ["authority", "name", "not-tls"])
def test_a_proxy_that_is_not_the_right_one(sandbox, haproxy, certs, what):
    options = [] if what == "authority" else ["--upstream-ca", certs.ca]
    with RawServer(forward_to(haproxy.port), host="127.0.0.2") as other, \
            RawServer(lambda connection: connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")) as plain:
        url = {"authority": haproxy.tls_url, "name": f"https://127.0.0.2:{other.port}",
               "not-tls": f"https://localhost:{plain.port}"}[what]
        check_no_tls(sandbox, url, options, what != "not-tls")


def check_no_tls(sandbox, url, options, verified):
    with Relay(sandbox, "--upstream", url, *options) as relay:
        answer = relay.ask(connect_head("127.0.0.1:9"))
        assert answer.status == 502 and b"no TLS with the upstream proxy" in answer.body, answer
        assert (b"certificate is not accepted" in answer.body) == verified, answer
        relay.stop()
    [finding] = relay.report()["findings"]
    assert finding["code"] == "proxy-unreachable", finding


def forward_to(port):
    def serve(connection):
        pump(connection, socket.create_connection(("127.0.0.1", port)))
    return serve


def test_tls_that_is_cut_off_is_not_a_clean_end(sandbox, certs):
    """No close_notify: somebody may have cut the answer. The client sees a reset, not an end of file."""
    def cut(secure, head, proxy):
        secure.sendall(OK + b"some, but not a")
        exactly(secure, 1)
        os.close(secure.detach())
    with ScriptedProxy(tls_script(certs, cut)) as proxy, \
            Relay(sandbox, "--upstream", f"https://localhost:{proxy.port}", "--upstream-ca", certs.ca) as relay, \
            relay.tunnel("127.0.0.1:9") as client:
        assert receive_exactly(client, 15) == b"some, but not a"
        client.sendall(b"x")
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_a_tls_proxy_that_is_silent_blocks_nobody(sandbox, origin, certs):
    with ScriptedProxy(black_hole_blind) as proxy, \
            Relay(sandbox, "--upstream", f"https://localhost:{proxy.port}", "--upstream-ca", certs.ca,
                  "--no-proxy", "localhost") as relay, relay.dial() as waiting:
        waiting.sendall(connect_head("127.0.0.1:9"))
        assert get(sandbox, relay, origin) == ["200"]


def black_hole_blind(client, head, proxy):
    black_hole(client, head, proxy)


black_hole_blind.blind = True


# -- chains

def test_chains(sandbox, origin, danted, tinyproxy, haproxy, certs):
    http, socks, tls = tinyproxy.url, danted.socks_url("socks5h"), haproxy.tls_url
    for chain in ([http, socks], [socks, http], [tls, socks], [http, tls], [tls, tls], [socks, tls, socks]):
        options = [word for url in chain for word in ("--upstream", url)]
        with Relay(sandbox, *options, "--upstream-ca", certs.ca) as relay:
            assert get(sandbox, relay, origin, count=3) == ["200"] * 3, chain
            check_tunnel(relay, half_close=False)
            relay.stop()
        assert {e["via"] for e in relay.of("upstream")} == {",".join(chain)}


def test_a_chain_names_the_proxy_that_failed(sandbox, tinyproxy):
    dead = f"socks5h://127.0.0.1:{free_port()}"
    with Relay(sandbox, "--upstream", tinyproxy.url, "--upstream", dead) as relay:
        assert relay.ask(connect_head("127.0.0.1:9")).status >= 500
        relay.stop()
    [event] = relay.of("upstream")
    assert event["hop"] == tinyproxy.url and event["via"] == f"{tinyproxy.url},{dead}", event


def test_plain_http_through_a_chain(sandbox, make_index, danted, tinyproxy):
    """The last proxy gets the absolute form, if it speaks HTTP; else the origin gets what it understands."""
    plain = make_index(certs=None)
    for chain in ([danted.socks_url("socks5h"), tinyproxy.url], [tinyproxy.url, danted.socks_url("socks5h")]):
        options = [word for url in chain for word in ("--upstream", url)]
        with Relay(sandbox, *options) as relay:
            done = sandbox.run(["curl", "-sS", "--max-time", "20", "--proxy", relay.url, "-o", "/dev/null",
                                "-w", "%{http_code}", f"{plain.url}/echo"])
            assert done.stdout == "200", (chain, done)


def test_answers_of_the_head_are_read_from_tls_too(sandbox, certs):
    def refuse(secure, head, proxy):
        secure.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nno games!")
        secure.recv(1)
    with ScriptedProxy(tls_script(certs, refuse)) as proxy, \
            Relay(sandbox, "--upstream", f"https://localhost:{proxy.port}", "--upstream-ca", certs.ca) as relay:
        with relay.dial() as client:
            client.sendall(connect_head("127.0.0.1:9"))
            answer = read_answer_head(client)
            assert answer.status == 403
            assert receive_exactly(client, 9) == b"no games!"
