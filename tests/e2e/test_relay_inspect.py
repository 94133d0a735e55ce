"""`tapline relay --inspect`: explicit clients trust the certificate of --ca-out and nothing else."""

import http.client
import ssl

import pytest

import certs as certs_module
from index import Index
from origins import RawServer, receive_exactly
from relays import Relay

INDEX_CA = "SSL_CERT_FILE"


@pytest.fixture
def inspecting(sandbox, certs):
    """A relay that inspects, and its ca file."""
    ca = sandbox.work / "ca.pem"
    with Relay(sandbox, "--inspect", "--ca-out", ca, env={INDEX_CA: certs.ca}) as relay:
        relay.ca = ca
        yield relay


def curl(relay, ca, *arguments):
    return relay.sandbox.run(["curl", "-sS", "--max-time", "20", "--proxy", relay.url, "--cacert", ca, *arguments])


def test_requests_are_recorded(inspecting, index):
    got = curl(inspecting, inspecting.ca, index.url + "/bytes/1000?chunked=1")
    assert got.returncode == 0, got
    inspecting.stop()
    request, = inspecting.of("http.request")
    assert request["url"] == index.url + "/bytes/1000?chunked=1"
    assert [e["result"] for e in inspecting.of("tls")] == ["ok", "ok"]
    assert inspecting.of("run.start")[0]["inspect"] == "auto"


TWO_THEN_A_WEBSOCKET = (b"GET /1 HTTP/1.1\r\nHost: localhost\r\n\r\nHEAD /2 HTTP/1.1\r\nHost: localhost\r\n\r\n"
                        b"GET /3 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
ANSWERS = (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none" b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"
           b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")


def test_pipelined_requests_and_then_a_websocket(inspecting, certs):
    """Nothing waits for anything: what was sent ahead arrives, in order; after the upgrade bytes pass that are no HTTP."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certs.cert, certs.key)

    def serve(raw):
        with context.wrap_socket(raw, server_side=True) as tls:
            assert receive_exactly(tls, len(TWO_THEN_A_WEBSOCKET)) == TWO_THEN_A_WEBSOCKET
            tls.sendall(ANSWERS + b"\x81\x05hello")
            tls.sendall(receive_exactly(tls, 50_000))

    with RawServer(serve) as origin:
        raw = inspecting.tunnel(f"localhost:{origin.port}")
        with ssl.create_default_context(cafile=inspecting.ca).wrap_socket(raw, server_hostname="localhost") as tls:
            tls.sendall(TWO_THEN_A_WEBSOCKET)
            assert receive_exactly(tls, len(ANSWERS) + 7) == ANSWERS + b"\x81\x05hello"
            tls.sendall(b"GET / HTTP/1.1\r\n\r\n".ljust(50_000, b"\x82"))
            assert receive_exactly(tls, 50_000) == b"GET / HTTP/1.1\r\n\r\n".ljust(50_000, b"\x82")
    assert not origin.errors, origin.errors
    inspecting.stop()
    asked = [(e["method"], e["url"].rpartition("/")[2]) for e in inspecting.of("http.request")]
    assert asked == [("GET", "1"), ("HEAD", "2"), ("GET", "3")]
    assert [e["status"] for e in inspecting.of("http.response")] == [200, 200, 101]
    assert [e["bytes"] for e in inspecting.of("http.body", complete=True)][:2] == [3, 0]


def test_the_file_holds_one_certificate_for_all_to_read(inspecting):
    text = inspecting.ca.read_text()
    assert text.count("-----BEGIN CERTIFICATE-----") == text.count("-----BEGIN") == 1
    assert inspecting.ca.stat().st_mode & 0o777 == 0o644
    assert [p.name for p in inspecting.ca.parent.iterdir()] == ["ca.pem"]


def test_who_does_not_trust_it_passes_through_from_then_on(inspecting, index, certs):
    """The client trusts the index and not tapline: its first try fails, its second sees the index itself."""
    first = curl(inspecting, certs.ca, index.url + "/bytes/10")
    second = curl(inspecting, certs.ca, index.url + "/bytes/10")
    assert (first.returncode, second.returncode) == (60, 0), (first, second)
    inspecting.stop()
    assert inspecting.of("tls", side="client", result="failed")[0]["alert"] == "unknown CA"
    assert len(inspecting.of("tls", result="passed")) <= 1


def test_an_untrusted_origin_is_never_covered_up(sandbox, index):
    """The relay does not trust the index: the client gets the index's own certificate and refuses it."""
    ca = sandbox.work / "ca.pem"
    with Relay(sandbox, "--inspect=always", "--ca-out", ca) as relay:
        got = curl(relay, ca, index.url + "/bytes/10")
        assert got.returncode == 60, got
        relay.stop()
        tls, = relay.of("tls")
        assert (tls["side"], tls["result"]) == ("origin", "failed") and "self-signed" in tls["verify"], tls


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_the_second_connection_resumes_and_still_shows_the_certificate(inspecting, index, version):
    for _ in range(3):
        got = curl(inspecting, inspecting.ca, "--tls-max", version, index.url + "/bytes/10")
        assert got.returncode == 0, got
    inspecting.stop()
    origin = inspecting.of("tls", side="origin")
    assert [e.get("resumed", False) for e in origin] == [False, True, True], origin
    assert len({(e["issuer"], e["subject"]) for e in origin}) == 1 and "tapline test CA" in origin[0]["issuer"]
    assert not [e for e in inspecting.of("tls", side="client") if "resumed" in e]


def test_a_client_that_leaves_without_close_notify_costs_no_session(inspecting, index):
    """Most HTTP libraries just close; OpenSSL calls the session with the origin broken then, unless it is told not to."""
    context = ssl.create_default_context(cafile=inspecting.ca)
    for _ in range(3):
        client = http.client.HTTPSConnection("127.0.0.1", inspecting.port, context=context, timeout=20)
        client.set_tunnel(index.host, index.port)
        client.request("GET", "/bytes/10")
        assert len(client.getresponse().read()) == 10
        client.close()
    inspecting.stop()
    origin = inspecting.of("tls", side="origin")
    assert [e.get("resumed", False) for e in origin] == [False, True, True], origin


def test_a_session_covers_nothing_up(sandbox, certs, make_index, session_dir):
    """The origin comes back with a certificate from an authority that nobody trusts: the client sees that one."""
    ca, first = sandbox.work / "ca.pem", make_index()
    with Relay(sandbox, "--inspect=always", "--ca-out", ca, env={INDEX_CA: certs.ca}) as relay:
        assert curl(relay, ca, first.url + "/bytes/10").returncode == 0
        first.stop()
        other = certs_module.make(session_dir / "other-certs")
        with Index(session_dir / "other-index", other, port=first.port):
            assert curl(relay, ca, first.url + "/bytes/10").returncode == 60
            assert curl(relay, other.ca, first.url + "/bytes/10").returncode == 0
        relay.stop()
    assert [e["result"] for e in relay.of("tls", side="origin")] == ["ok", "failed", "failed"]


def test_a_place_that_cannot_be_written_is_said(sandbox):
    done = sandbox.run([sandbox.program(), "relay", "--inspect", "--ca-out", "/proc/ca.pem",
                        "--socket", sandbox.tmp / "x.sock"])
    assert done.returncode == 1 and "cannot write /proc/ca.pem" in done.stderr, done
