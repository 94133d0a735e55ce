"""What the user may ask for under --inspect: keys, captures with keys, digests of bodies, certificates lent to the relay."""

import hashlib
import re
import ssl
import subprocess

import pytest

import pcapng
from origins import RawServer, pattern
from relays import Relay
from test_relay_inspect import curl

LABELS = {"CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET", "CLIENT_TRAFFIC_SECRET_0",
          "SERVER_TRAFFIC_SECRET_0", "EXPORTER_SECRET"}


def inspecting(sandbox, certs, *options):
    return Relay(sandbox, "--inspect=always", "--ca-out", sandbox.work / "ca.pem", *options,
                 env={"SSL_CERT_FILE": certs.ca})


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_the_key_log_has_both_legs(sandbox, certs, index, version):
    log = sandbox.work / "keys.log"
    with inspecting(sandbox, certs, "--keylog", log) as relay:
        got = curl(relay, sandbox.work / "ca.pem", "--tls-max", version, index.url + "/bytes/10")
        assert got.returncode == 0, got
        done = relay.stop()
    assert f"the keys of inspected connections are written to {log}" in done.stderr
    assert log.stat().st_mode & 0o777 == 0o600
    lines = [re.fullmatch(r"([A-Z_0-9]+) ([0-9a-f]{64}) ([0-9a-f]+)", line) for line in log.read_text().splitlines()]
    assert all(lines) and len({line[2] for line in lines}) == 2, log.read_text()
    assert {line[1] for line in lines} == (LABELS if version == "1.3" else {"CLIENT_RANDOM"})


def test_the_capture_holds_the_streams_and_their_keys(sandbox, certs, index):
    pcap, log = sandbox.work / "it.pcapng", sandbox.work / "keys.log"
    with inspecting(sandbox, certs, "--pcap", pcap, "--keylog", log) as relay:
        for size in (300000, 5):
            assert curl(relay, sandbox.work / "ca.pem", "-o", "/dev/null", f"{index.url}/bytes/{size}").returncode == 0
        done = relay.stop()
    assert f"inspected connections and their keys are written to {pcap}" in done.stderr
    assert pcap.stat().st_mode & 0o777 == 0o600
    capture = pcapng.Capture(pcap.read_bytes())
    assert sorted(line for _, line in capture.secrets) == sorted(log.read_text().splitlines())
    hellos = capture.hellos()
    assert len(hellos) == 4 and len(capture.streams) == 8  # two connections, two legs, two directions
    assert {line.split()[1] for _, line in capture.secrets} == set(hellos)
    for place, line in capture.secrets:
        assert place < capture.first_place[hellos[line.split()[1]]], "the keys come after what they decrypt"
    sizes = sorted(sum(len(body) for kind, body in capture.records(stream) if kind == 23) for stream in capture.streams)
    assert all(size > 300000 for size in sizes[-2:]) and sizes[-3] < 10000, sizes
    assert capture.ended


def test_secrets_do_not_go_through_links_or_into_others_files(sandbox, certs):
    target, link = sandbox.work / "target", sandbox.work / "link"
    target.write_text("mine\n")
    link.symlink_to(target)
    for option in ("--keylog", "--pcap"):
        for place in (link, "/dev/null", "/etc/hostname"):
            done = sandbox.run([sandbox.program(), "relay", "--inspect", option, place, "--socket", sandbox.tmp / "x.sock"])
            assert done.returncode == 1 and "cannot write the" in done.stderr, done
    assert target.read_text() == "mine\n"


def test_digests_of_bodies(sandbox, certs, index):
    with inspecting(sandbox, certs, "--digest") as relay:
        for path in ("/bytes/0", "/bytes/100000", "/bytes/100000?chunked=1"):
            got = curl(relay, sandbox.work / "ca.pem", "-o", "got", index.url + path)
            assert got.returncode == 0, got
            relay.sandbox.work.joinpath("got").rename(sandbox.work / f"got{path.count('chunked')}{len(path)}")
        relay.stop()
    recorded = [e["sha256"] for e in relay.of("http.body")]
    files = [sandbox.work / f"got{c}{n}" for c, n in ((0, 8), (0, 13), (1, 23))]
    assert recorded == [hashlib.sha256(f.read_bytes() if f.exists() else b"").hexdigest() for f in files]


def test_a_digest_of_http2(sandbox, certs):
    from h2_origin import H2Origin
    with H2Origin(certs) as origin, inspecting(sandbox, certs, "--digest") as relay:
        assert curl(relay, sandbox.work / "ca.pem", "-o", "/dev/null", origin.url("/size/70000")).returncode == 0
        relay.stop()
    assert [e["sha256"] for e in relay.of("http.body")] == [hashlib.sha256(pattern(70000)).hexdigest()]


# ---- origins that ask for a certificate ----

@pytest.fixture
def asking(certs, tmp_path):
    """An origin that answers with the subject of the client's certificate; and the client's PEM file."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=lent to tapline", "-keyout", tmp_path / "key", "-out", tmp_path / "cert"],
                   check=True, capture_output=True, timeout=30)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certs.cert, certs.key)
    context.load_verify_locations(tmp_path / "cert")
    context.verify_mode = ssl.CERT_REQUIRED

    def serve(raw):
        try:
            with context.wrap_socket(raw, server_side=True) as tls:
                tls.recv(65536)
                subject = dict(pair for rdn in tls.getpeercert()["subject"] for pair in rdn)["commonName"].encode()
                tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(subject), subject))
                tls.unwrap()
        except (ssl.SSLError, OSError):
            pass  # a client without a certificate

    with RawServer(serve) as origin:
        origin.pem = (tmp_path / "cert").read_bytes() + (tmp_path / "key").read_bytes()
        yield origin


def test_a_lent_certificate_is_shown(sandbox, certs, asking):
    pem = sandbox.user.make_file(sandbox.work / "client.pem", asking.pem, 0o600)
    with inspecting(sandbox, certs, "--client-cert", f"LOCALHOST={pem}") as relay:
        for _ in range(2):
            got = curl(relay, sandbox.work / "ca.pem", f"https://localhost:{asking.port}/")
            assert (got.returncode, got.stdout) == (0, "lent to tapline"), got
        other = curl(relay, sandbox.work / "ca.pem", f"https://127.0.0.1:{asking.port}/")
        assert other.returncode != 0, other  # not lent to this host, and passed through
        relay.stop()
    assert len(relay.of("http.response")) == 2
    assert relay.of("tls", result="passed")[0]["error"] == "the origin asks for a certificate of the client's"
    assert "PRIVATE KEY" not in relay.record.read_text()


def test_a_key_that_others_can_read_is_not_taken(sandbox, certs, asking):
    pem = sandbox.user.make_file(sandbox.work / "client.pem", asking.pem, 0o644)
    for value, problem in ((f"localhost={pem}", "may be read by others"), ("localhost", "not of the form"),
                           (f"localhost={pem}.not", "No such file")):
        done = sandbox.run([sandbox.program(), "relay", "--inspect", "--client-cert", value, "--socket", sandbox.tmp / "x.sock"])
        assert done.returncode == 1 and problem in done.stderr and "--client-cert" in done.stderr, done
