"""Inspection changes no byte: what the origin sent is what the client got, head, framing and body, and the same the
other way, with every TCP segment and every TLS record cut at random on both sides."""

import gzip
import hashlib
import os
import random
import socket
import ssl
import zlib

import pytest

from chopper import Chopper
from origins import RawServer, pattern
from relays import Relay, connect_head, read_answer_head

SIZES = [0, 1, 16383, 16384, 16385, 300000]


def pieces(data, rng):
    """data in pieces of random length, now and then one byte: each becomes a TLS record of its own."""
    at = 0
    while at < len(data):
        n = rng.choice((1, rng.randint(1, 20000), rng.randint(1, 3000)))
        yield data[at:at + n]
        at += n


def chunked(body, rng, trailers=b""):
    out = b""
    for piece in pieces(body, rng):
        extension = rng.choice((b"", b";name=value", b' ; q="a;b"'))
        out += b"%X%s\r\n%s\r\n" % (len(piece), extension, piece)
    return out + b"0\r\n" + trailers + b"\r\n"


def answers():
    """name -> (the whole answer, size of its body, complete?)"""
    rng, made = random.Random(7), {}
    for size in SIZES:
        body = pattern(size)
        made[f"length-{size}"] = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + body, size
        made[f"until-close-{size}"] = b"HTTP/1.0 200 OK\r\nContent-Type: x/y\r\n\r\n" + body, size
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
        made[f"chunked-{size}"] = head + b"\r\n" + chunked(body, rng), size
        made[f"trailers-{size}"] = (head + b"Trailer: Digest, X-Odd\r\n\r\n"
                                    + chunked(body, rng, b"Digest: abc\r\nX-Odd:   spaces  \r\n"), size)
    packed = gzip.compress(pattern(100000), mtime=0)
    made["gzip"] = (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed,
                    len(packed))
    deflated = zlib.compress(pattern(50000))
    made["deflate-chunked"] = (b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nTransfer-Encoding: chunked\r\n\r\n"
                               + chunked(deflated, rng), len(deflated))
    made["range"] = (b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 100-4195/99999\r\nContent-Length: 4096\r\n\r\n"
                     + pattern(5000)[100:4196], 4096)
    made["odd-head"] = (b"HTTP/1.1 200 \r\nX-Empty:\r\nX-Folded: a\r\n  b\r\nx-CASE: \xe4\xf6\r\nContent-Length: 2\r\n\r\nhi", 2)
    return made


ANSWERS = answers()


class Origin(RawServer):
    """Reads one request (its body framed by Content-Length), answers what its path names, closes in order."""

    def __init__(self, certs):
        super().__init__(self.serve_one)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certs.cert, certs.key)
        self.got = []

    def serve_one(self, raw):
        rng = random.Random(1)
        with self.context.wrap_socket(raw, server_side=True) as tls:
            data = b""
            while b"\r\n\r\n" not in data:
                data += tls.recv(65536)
            head, _, body = data.partition(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            while len(body) < length:
                body += tls.recv(65536)
            self.got.append(hashlib.sha256(head + b"\r\n\r\n" + body).hexdigest())
            for piece in pieces(ANSWERS[head.split()[1].decode()[1:]][0], rng):
                tls.sendall(piece)
            tls.unwrap()


def request(name, rng):
    body = pattern(rng.choice(SIZES[:5]))
    return (b"POST /%s HTTP/1.1\r\nHost: localhost\r\nX-Odd:\t  tab \r\ncontent-LENGTH: %d\r\n\r\n"
            % (name.encode(), len(body)) + body)


def exchange(connection, ca, sent, rng, version):
    """Speak TLS over connection, send in random pieces, read in random pieces to the close_notify."""
    context = ssl.create_default_context(cafile=ca)
    context.maximum_version = version
    with context.wrap_socket(connection, server_hostname="localhost", suppress_ragged_eofs=False) as tls:
        for piece in pieces(sent, rng):
            tls.sendall(piece)
        got = b""
        while data := tls.recv(rng.choice((1, 100, 16384, 65536))):
            got += data
        return got


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_every_answer_arrives_as_it_was_sent(sandbox, certs, version):
    rng = random.Random(3)
    sent = {name: request(name, rng) for name in ANSWERS}
    ca = sandbox.work / "ca.pem"
    with Origin(certs) as origin, Chopper(("127.0.0.1", origin.port), 11) as far:
        with Relay(sandbox, "--inspect=always", "--ca-out", ca, env={"SSL_CERT_FILE": certs.ca}) as relay:
            with Chopper(("127.0.0.1", relay.port), 12) as near:
                for name, (answer, _) in ANSWERS.items():
                    with socket.create_connection(("127.0.0.1", near.port), timeout=30) as connection:
                        connection.sendall(connect_head(f"localhost:{far.port}"))
                        assert read_answer_head(connection).status == 200
                        assert exchange(connection, ca, sent[name], rng, version) == answer, name
            relay.stop()
        assert origin.got == [hashlib.sha256(sent[name]).hexdigest() for name in ANSWERS]
        assert not origin.errors, origin.errors
    assert [e["result"] for e in relay.of("tls")] == ["ok"] * 2 * len(ANSWERS)
    bodies = relay.of("http.body")
    assert [(e["bytes"], e["complete"]) for e in bodies] == [(size, True) for _, size in ANSWERS.values()]


def test_the_same_without_inspection(sandbox, certs):
    """The test itself: the same exchange straight through the choppers."""
    rng = random.Random(3)
    with Origin(certs) as origin, Chopper(("127.0.0.1", origin.port), 11) as far:
        for name, (answer, _) in ANSWERS.items():
            with socket.create_connection(("127.0.0.1", far.port), timeout=30) as connection:
                assert exchange(connection, certs.ca, request(name, rng), rng, ssl.TLSVersion.TLSv1_3) == answer, name


# make check-gibibyte has a whole one, a minute's work; make check a sixteenth.
BIG = 1 << (30 if os.environ.get("GIBIBYTE") else 26)
BLOCK = pattern(1 << 20)


class BigOrigin(RawServer):
    """GET answers with BIG bytes, no block of it like another; PUT takes what comes. Keeps the SHA-256 of either."""

    def __init__(self, certs):
        super().__init__(self.serve_one)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certs.cert, certs.key)
        self.digests = []

    def serve_one(self, raw):
        digest = hashlib.sha256()
        with self.context.wrap_socket(raw, server_side=True) as tls:
            head, _, rest = tls.recv(65536).partition(b"\r\n\r\n")
            if head.startswith(b"GET"):
                tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BIG)
                for n in range(BIG // len(BLOCK)):
                    block = n.to_bytes(8, "big") + BLOCK[8:]
                    digest.update(block)
                    tls.sendall(block)
            else:
                digest.update(rest)
                left = BIG - len(rest)
                while left:
                    data = tls.recv(min(left, 1 << 20))
                    digest.update(data)
                    left -= len(data)
                tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            self.digests.append(digest.hexdigest())
            tls.unwrap()


@pytest.mark.parametrize("options", [["--inspect=never"], ["--inspect=always"]], ids=["through", "inspected"])
def test_a_big_file(sandbox, certs, options):
    """Down, and what came down up again."""
    ca, kept = sandbox.work / "ca.pem", sandbox.work / "kept"
    trusted = [ca] if "always" in options[0] else []
    with BigOrigin(certs) as origin:
        url = f"https://localhost:{origin.port}/"
        with Relay(sandbox, *options, "--ca-out", ca, env={"SSL_CERT_FILE": certs.ca}) as relay:
            curl = ["curl", "-sS", "--http1.1", "--max-time", "300", "--proxy", relay.url, "--cacert", *(trusted or [certs.ca])]
            for more in (["-o", kept], ["-T", kept, "-H", "Expect:"]):
                done = sandbox.run([*curl, *more, url], timeout=320)
                assert done.returncode == 0, done
            with open(kept, "rb") as file:
                assert hashlib.file_digest(file, "sha256").hexdigest() == origin.digests[0] == origin.digests[1]
            kept.unlink()
            relay.stop()
        assert not origin.errors, origin.errors
    if trusted:
        assert [e["result"] for e in relay.of("tls")] == ["ok"] * 4
        assert [(e["bytes"], e["complete"]) for e in relay.of("http.body")][0] == (BIG, True)
    down, up = relay.of("flow.close")
    assert down["server_to_client"] > BIG and up["client_to_server"] > BIG
