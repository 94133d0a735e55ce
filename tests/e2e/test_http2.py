"""HTTP/2 under inspection: the client gets the version that the origin chose, the bytes that the origin sent, and every
stream is in the record. Clients: curl, nghttp, h2load, httpx. Origin: hyper-h2 (h2_origin.py)."""

import hashlib
from collections import Counter

import pytest

import origins
import runner
from h2_origin import H2Origin

CURL = ["curl", "-sS", "--http2", "--fail", "--max-time", "50"]
HTTPX = """
import asyncio, sys, httpx
async def main():
    async with httpx.AsyncClient(http2=True) as client:
        answers = await asyncio.gather(*[client.get(f"{sys.argv[1]}/size/{n}") for n in range(1, 41)])
    assert all(a.http_version == "HTTP/2" and len(a.content) == n + 1 for n, a in enumerate(answers))
    assert client.trust_env
asyncio.run(main())
with httpx.Client(http2=True) as client:
    assert client.get(sys.argv[1] + "/size/5").http_version == "HTTP/2"
print("fine")
"""


def sha(data):
    return hashlib.sha256(data).hexdigest()


def check_recorded(run, origin):
    """Each stream that was served is in the record: method, path, stream, version, answer."""
    requests = run.of("http.request")
    seen = Counter((e["method"], e["url"].split(f":{origin.port}", 1)[1], e["stream"]) for e in requests)
    assert seen == Counter(origin.served), str(run)
    assert {e["version"] for e in requests} == {"2.0"}, str(run)
    assert {e["stream"] for e in run.of("http.response")} <= {e["stream"] for e in requests}
    assert not run.of("relay.note"), str(run)


@pytest.fixture
def h2(certs):
    with H2Origin(certs) as origin:
        yield origin
    assert not origin.errors, origin.errors


@pytest.fixture
def inspected(tapline_run, certs):
    return lambda argv, **more: tapline_run(argv, inspect=True, env=runner.trust(certs.ca), **more)


def test_a_download(h2, inspected, sandbox):
    run = inspected([*CURL, "-o", "got", "-w", "%{http_version}", h2.url("/size/3000000")])
    assert (run.returncode, run.stdout) == (0, "2"), str(run)
    assert sha((sandbox.work / "got").read_bytes()) == sha(origins.pattern(3000000))
    run.assert_worked()
    check_recorded(run, h2)
    run.assert_bodies()
    assert [e["alpn"] for e in run.of("tls")] == ["h2", "h2"] and h2.alpns == ["h2"], str(run)
    assert run.of("http.body")[0]["bytes"] == 3000000


def test_the_origins_choice_is_the_clients(certs, index, inspected):
    """An origin that speaks HTTP/1.1 only gets a client that speaks HTTP/1.1, though that offered h2."""
    run = inspected([*CURL, "-o", "got", "-w", "%{http_version}", index.url + "/bytes/10"])
    assert run.stdout == "1.1", str(run)
    run.assert_worked()
    run.assert_recorded(index)


def test_a_hundred_streams_at_once(h2, inspected, sandbox):
    """The origin answers none before it has all. (curl alone waits for one connection that takes them; told not to wait, it opens
    many, and closes those that it does not need without a word, as a client does that trusts nobody.)"""
    run = inspected(["curl", "-sS", "--http2", "--fail", "--max-time", "150", "--parallel", "--parallel-max", "100", "-o", "#1.got",
                     h2.url("/together/[10001-10100]/100")], timeout=170)
    run.assert_worked()
    for size in range(10001, 10101):
        assert (sandbox.work / f"{size}.got").read_bytes() == origins.pattern(size), size
    check_recorded(run, h2)
    run.assert_bodies()
    assert len(h2.alpns) == 1 and len(h2.served) == 100


def test_h2load_with_a_hundred_streams(h2, inspected):
    run = inspected(["h2load", "-n", "1000", "-c", "2", "-m", "100", h2.url("/size/20000")], timeout=170)
    assert "1000 succeeded, 0 failed" in run.stdout, str(run)
    run.assert_worked()
    check_recorded(run, h2)
    run.assert_bodies()


def test_flow_control_stalls(h2, inspected):
    """Windows of 16 KiB for the stream and the connection: the origin stands still again and again."""
    run = inspected(["h2load", "-n", "40", "-m", "20", "-w", "14", "-W", "14", h2.url("/size/300000")])
    assert "40 succeeded, 0 failed" in run.stdout, str(run)
    run.assert_worked()
    run.assert_bodies()


def test_heads_over_continuation_frames(h2, inspected, sandbox):
    big = "h" * 8192
    run = inspected([*CURL, "-D", "head", "-H", f"x-sent: {big}", "-H", f"x-more: {big[:7000]}{'m' * 9000}",
                     h2.url("/big-head/40000")])
    run.assert_worked()
    assert b"x-big: " + b"b" * 40000 + b"\r\n" in (sandbox.work / "head").read_bytes()
    check_recorded(run, h2)
    assert ["x-sent", big[:4095]] in [[n, v[:4095]] for n, v in run.of("http.request")[0]["headers"]], str(run)
    assert run.of("http.response")[0]["headers"][-1][0] == "x-big"


def test_trailers_of_grpc(h2, inspected):
    run = inspected([*CURL, "-o", "/dev/null", h2.url("/trailers")])
    run.assert_worked()
    assert run.of("http.body")[0]["trailers"] == [["grpc-status", "5"], ["grpc-message", "not here"]]


def test_a_reset_in_the_middle(h2, inspected, sandbox):
    run = inspected([*CURL, "-o", "got", h2.url("/cut/50000")])
    assert run.returncode == 92, str(run)  # curl: stream was not closed cleanly
    got = (sandbox.work / "got").read_bytes()  # curl drops what it holds when the reset comes
    assert got and origins.pattern(50000).startswith(got)
    body, = run.of("http.body")
    assert (body["complete"], body["reason"], body["error"], body["bytes"]) == (
        False, "origin reset the stream", "INTERNAL_ERROR", 50000), str(run)
    check_recorded(run, h2)


def test_a_client_that_takes_only_some(h2, inspected):
    run = inspected(["sh", "-c", f"curl -sS --http2 {h2.url('/size/30000000')} | head -c 1000 | wc -c"])
    assert run.stdout.strip() == "1000", str(run)
    body, = run.of("http.body")
    assert not body["complete"] and body["reason"] in ("client reset the stream", "client closed", "reset"), str(run)


def test_goaway_in_the_middle(h2, inspected, sandbox):
    """Streams that are open go on to their end; what comes after goes to a new connection."""
    run = inspected([*CURL, "-o", "1", h2.url("/size/200000"), "-o", "2", h2.url("/last"),
                     "-o", "3", h2.url("/size/7"), "-o", "4", h2.url("/size/8")])
    run.assert_worked()
    assert (sandbox.work / "2").read_text() == "last"
    assert (sandbox.work / "1").read_bytes() == origins.pattern(200000)
    goaway = [e for e in run.of("http.goaway") if e["side"] == "origin"]
    assert goaway[0]["error"] == "NO_ERROR" and goaway[0]["debug"] == "restarting", str(run)
    assert goaway[0]["last_stream"] == 3, str(run)
    assert len(h2.alpns) == 2
    check_recorded(run, h2)
    run.assert_bodies()


def test_an_upload(h2, inspected, sandbox):
    (sandbox.work / "up").write_bytes(origins.pattern(1000000))
    run = inspected([*CURL, "--data-binary", "@up", h2.url("/echo")])
    assert run.stdout == "1000000", str(run)
    run.assert_worked()
    check_recorded(run, h2)


def test_httpx(h2, inspected):
    run = inspected(["/usr/bin/python3", "-c", HTTPX, h2.url("")])
    assert run.stdout == "fine\n", str(run)
    run.assert_worked()
    check_recorded(run, h2)
    run.assert_bodies()


def test_prior_knowledge_without_tls(tapline_run):
    with H2Origin() as origin:
        run = tapline_run(["nghttp", "-v", "-n", "--no-dep", origin.url("/size/10"), origin.url("/trailers")])
        run.assert_worked()
        check_recorded(run, origin)
        run.assert_bodies()
        assert "grpc-status: 5" in run.stdout and run.of("http.body")[1]["trailers"], str(run)
    assert not origin.errors, origin.errors


def test_what_is_no_http2_goes_by(certs, inspected):
    """An origin that agrees on h2 and then talks rubbish: the client gets the rubbish, the record a note."""
    import ssl
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certs.cert, certs.key)
    context.set_alpn_protocols(["h2"])

    def serve(raw):
        with context.wrap_socket(raw, server_side=True) as tls:
            tls.recv(65536)
            tls.sendall(b"\0\0\4\1\4\0\0\0\1junk")
            tls.recv(65536)

    with origins.RawServer(serve) as origin:
        run = inspected([*CURL, f"https://localhost:{origin.port}/"])
    assert run.returncode != 0
    note, = run.of("relay.note")
    assert "HTTP/2 on this connection is not recorded any further" in note["note"], str(run)
