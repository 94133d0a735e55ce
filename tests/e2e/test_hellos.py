"""ClientHellos of every kind, and connections that do not begin with one, through a relay that inspects. (Hellos in pieces and
of many records, and with an extension for ECH: tests/unit/test_intercept.c.)"""

import json
import smtplib
import socket
import ssl

import pytest

import venvs
from origins import RawServer
from relays import Relay


@pytest.fixture
def inspecting(sandbox, certs):
    ca = sandbox.work / "ca.pem"
    with Relay(sandbox, "--inspect", "--ca-out", ca, env={"SSL_CERT_FILE": certs.ca}) as relay:
        relay.ca = ca
        yield relay


def issuer(connection, ca, name, check=None):
    """The common name of who has issued the certificate that is shown to a hello with this SNI."""
    context = ssl.create_default_context(cafile=ca)
    context.check_hostname = check is None and name is not None
    with context.wrap_socket(connection, server_hostname=name) as tls:
        tls.sendall(b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert tls.recv(65536)
        names = dict(pair[0] for pair in tls.getpeercert()["issuer"])
        if check:
            assert check in str(tls.getpeercert()["subjectAltName"])
        return names["commonName"]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_without_sni_the_name_of_the_connection_is_certified(inspecting, index, host):
    """An address as an iPAddress."""
    kind = "IP Address" if host[0] == "1" else "DNS"
    assert "tapline CA" in issuer(inspecting.tunnel(f"{host}:{index.port}"), inspecting.ca, None, check=f"'{kind}', '{host}'")
    inspecting.stop()
    assert [(e["side"], e["result"], e.get("sni")) for e in inspecting.of("tls")] == [("origin", "ok", None), ("client", "ok", None)]


def test_sni_outweighs_the_name_of_the_connection(inspecting, index, certs):
    """The client verifies what it asked for, so that is what the origin has to certify."""
    assert "tapline CA" in issuer(inspecting.tunnel(f"127.0.0.1:{index.port}"), inspecting.ca, "index.example")
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        issuer(inspecting.tunnel(f"localhost:{index.port}"), certs.ca, "other.example")
    inspecting.stop()
    origin = inspecting.of("tls", side="origin")
    assert [(e["sni"], e["result"]) for e in origin] == [("index.example", "ok"), ("other.example", "failed")]
    assert "mismatch" in origin[1]["verify"]


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_no_session_hides_the_certificate(inspecting, index, version):
    """A client that would resume is given nothing to resume with, and sees the certificate again."""
    context = ssl.create_default_context(cafile=inspecting.ca)
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    session = None
    for _ in range(2):
        with context.wrap_socket(inspecting.tunnel(f"localhost:{index.port}"), server_hostname="localhost", session=session) as tls:
            tls.sendall(b"HEAD /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert tls.recv(65536).startswith(b"HTTP/1.1 200")
            assert not tls.session_reused and "tapline CA" in str(tls.getpeercert()["issuer"])
            session = tls.session
            assert session is None or not session.has_ticket


def test_early_data_are_not_taken(inspecting, early_origin, sandbox, certs):
    """The client has a session of the origin's own, from a day without inspection, and sends a request before it is answered."""
    session, early = sandbox.work / "session", sandbox.user.make_file(sandbox.work / "early", "GET /early HTTP/1.0\r\n\r\n")
    later = "printf 'GET /later HTTP/1.0\\r\\n\\r\\n'"

    def visit(*options):
        argv = ["openssl", "s_client", "-servername", "localhost", "-tls1_3", "-ign_eof", *options]
        return sandbox.run(["sh", "-c", f'{later} | "$@"', "sh", *argv])

    direct = visit("-connect", f"localhost:{early_origin}", "-CAfile", certs.ca, "-sess_out", session)
    assert "Max Early Data: 16384" in direct.stdout, direct
    taken = visit("-connect", f"localhost:{early_origin}", "-CAfile", certs.ca, "-sess_in", session, "-early_data", early)
    assert "Early data was accepted" in taken.stdout, taken
    refused = visit("-proxy", f"127.0.0.1:{inspecting.port}", "-connect", f"localhost:{early_origin}", "-CAfile", inspecting.ca,
                    "-sess_in", session, "-early_data", early)
    assert "Early data was rejected" in refused.stdout and "Verify return code: 0" in refused.stdout, refused
    assert "Max Early Data: 0" in refused.stdout or "Max Early Data" not in refused.stdout, refused
    inspecting.stop()
    assert [e["url"].rpartition("/")[2] for e in inspecting.of("http.request")] == ["later"], inspecting.events


# Plays a client whose Encrypted ClientHello nobody has decrypted: it verifies the outer name, and then says ech_required
# (RFC 9849 section 6.1.6). What it has sent inside is for the origin only: what we see, and certify, is the outer name.
ECH = """
import socket, sys
from tlslite.api import TLSConnection, HandshakeSettings
from tlslite.messages import Alert
from tlslite.constants import AlertLevel
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendall(b"CONNECT %s HTTP/1.1\\r\\n\\r\\n" % sys.argv[2].encode())
assert b" 200 " in s.recv(4096)
tls = TLSConnection(s)
tls.handshakeClientCert(serverName="localhost", alpn=[b"http/1.1"])
issuer = tls.session.serverCertChain.x509List[0].bytes
print("tapline" if b"tapline CA" in issuer else "origin")
if b"tapline CA" in issuer:
    for _ in tls._sendMsg(Alert().create(121, AlertLevel.fatal)):
        pass
tls.sock.close()
"""


def test_ech_that_nobody_could_decrypt(inspecting, index):
    """With --inspect=auto the next connection to the outer name passes through, ECH and all."""
    python = venvs.get(("tlslite-ng==0.8.2",)) / "bin/python"
    argv = [python, "-c", ECH, inspecting.port, f"localhost:{index.port}"]
    said = [inspecting.sandbox.run(argv) for _ in range(2)]
    assert [done.stdout for done in said] == ["tapline\n", "origin\n"], said
    inspecting.stop()
    failed, = inspecting.of("tls", side="client", result="failed")
    assert failed["alert"] in ("alert 121", "ECH required") and "Encrypted ClientHello" in failed["error"], failed
    # Nobody distrusts anybody, so no knob for certificates is named.
    assert "client-distrusts-tapline" not in [finding["code"] for finding in inspecting.report()["findings"]]


class Mail(RawServer):
    """A mail server that can STARTTLS: it speaks first."""

    def __init__(self, certs):
        super().__init__(self.serve_one)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certs.cert, certs.key)

    def serve_one(self, raw):
        raw.sendall(b"220 localhost ready\r\n")
        reader = raw.makefile("rb")
        while line := reader.readline().upper():
            if line.startswith(b"EHLO"):
                raw.sendall(b"250-localhost\r\n250 STARTTLS\r\n")
            elif line.startswith(b"STARTTLS"):
                raw.sendall(b"220 go ahead\r\n")
                with self.context.wrap_socket(raw, server_side=True) as tls:
                    tls.recv(1000)
                    tls.sendall(b"250 localhost\r\n")
                return


class ThroughRelay(smtplib.SMTP):
    relay = None

    def _get_socket(self, host, port, timeout):
        return self.relay.tunnel(f"{host}:{port}")


def test_starttls_is_passed_on(inspecting, certs):
    with Mail(certs) as mail:
        client = ThroughRelay()
        client.relay = inspecting
        client._host = "localhost"
        assert client.connect("localhost", mail.port)[0] == 220
        assert client.starttls(context=ssl.create_default_context(cafile=certs.ca))[0] == 220
        assert client.ehlo()[0] == 250 and "tapline CA" not in str(client.sock.getpeercert())
        client.close()
        assert not mail.errors, mail.errors
    inspecting.stop()
    assert inspecting.of("tls") == [] and inspecting.of("flow.close")[0]["how"] == "eof"


@pytest.mark.parametrize("first", [b"SSH-2.0-x\r\n", b"\x16", b"\x16\x03\x01\x02", b"\x80\x2e\x01\x00\x02", b"\x16\x03\x01\x00\x05hello"])
def test_what_only_looks_like_tls_is_passed_on(inspecting, first):
    """The first bytes of a handshake record, SSL 2, nonsense: the server gets every byte."""
    got = []

    def serve(connection):
        while data := connection.recv(1000):
            got.append(data)
        connection.sendall(b"all of it")

    with RawServer(serve) as server:
        with inspecting.tunnel(f"localhost:{server.port}") as connection:
            connection.sendall(first)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while data := connection.recv(1000):
                answer += data
        server.join()
        assert not server.errors, server.errors
    assert (b"".join(got), answer) == (first, b"all of it")
    inspecting.stop()
    assert not inspecting.of("tls", result="ok"), json.dumps(inspecting.of("tls"))
