"""testssl.sh looks at the side of the relay that programs meet: it has to find nothing, but for what follows from a
certificate that lives as long as a run. Not looked at are HTTP's headers, which are the origin's.
By default what takes seconds; TESTSSL=all (make check-testssl) is everything, minutes."""

import json
import os
import ssl

import pytest

from origins import RawServer
from proxies import pump
from relays import Relay

QUICK = ("--protocols", "--server-preference", "--lucky13")
ALL = ("--protocols", "--std", "--server-preference", "--server-defaults", "--pfs", "--grease", "--vulnerable")

# What testssl.sh holds against a certificate: this one ends with the run, which is earlier than any list of revoked ones
# could be fetched; an address of such a list would keep clients waiting (docs/inspection.md).
OF_A_RUN = ("cert_expirationStatus", "cert_notAfter", "cert_revocation")


class Origin(RawServer):
    """Strict, because a hello that the relay cannot answer is answered by the origin: what is found has to be the relay's."""

    def __init__(self, certs):
        super().__init__(self.serve_one)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_ciphers("ECDHE+AESGCM")
        self.context.load_cert_chain(certs.cert, certs.key)

    def serve_one(self, raw):
        try:
            with self.context.wrap_socket(raw, server_side=True) as tls:
                while tls.recv(65536):
                    tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        except OSError:
            pass  # whoever looks at a server this closely breaks off most of the time


@pytest.fixture
def door(sandbox, certs):
    """A port behind which the relay answers for the origin: testssl.sh is no good client of proxies."""
    ca = sandbox.work / "ca.pem"
    with Origin(certs) as origin, Relay(sandbox, "--inspect=always", "--ca-out", ca, env={"SSL_CERT_FILE": certs.ca}) as relay:
        def through(client):
            with relay.tunnel(f"localhost:{origin.port}") as server:
                pump(client, server)

        with RawServer(through) as server:
            server.ca, server.relay = ca, relay
            yield server


def test_nothing_is_found(door, sandbox):
    found = sandbox.work / "found.json"
    checks = ALL if os.environ.get("TESTSSL") == "all" else QUICK
    done = sandbox.run(["testssl", "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", "--ip", "127.0.0.1",
                        "--add-ca", door.ca, "--jsonfile", found, *checks, f"localhost:{door.port}"], timeout=500)
    findings = json.loads(found.read_text())
    assert not [f for f in findings if f["severity"] not in ("OK", "INFO") and f["id"].split()[0] not in OF_A_RUN], done
    said = {f["id"]: f["finding"] for f in findings}
    assert said["TLS1_2"].startswith("offered") and said["TLS1_3"].startswith("offered") and said["TLS1_1"] == "not offered", done
    door.relay.stop()
    assert door.relay.of("tls", side="client", result="ok"), "it was not the relay that was looked at"
