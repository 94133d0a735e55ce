"""The TLS tap (no inspection): what programs with a shared OpenSSL or GnuTLS read and write is recorded as HTTP/1 and HTTP/2,
whole and once, whatever form of the calls they use and whether or not TLS has a descriptor."""
from collections import Counter

import pytest

import origins
import runner
from h2_origin import H2Origin

ASYNC = """
import asyncio, sys, httpx
async def main(urls):
    kept = httpx.Limits(max_connections=100, max_keepalive_connections=int(sys.argv[2]))
    async with httpx.AsyncClient(http2=sys.argv[1] == "h2", limits=kept) as client:
        for _ in range(3):
            answers = await asyncio.gather(*[client.get(url) for url in urls])
            assert all(a.status_code == 200 for a in answers)
asyncio.run(main(sys.argv[3:]))
"""
# libcurl and OpenSSL 1.1 from the wheel, Python's own OpenSSL 3 beside it, in turn.
PYCURL = """
import io, pycurl, ssl, sys, urllib.request
ca, base, h1 = sys.argv[1:]
curl = pycurl.Curl()
curl.setopt(curl.CAINFO, ca)
curl.setopt(curl.HTTP_VERSION, curl.CURL_HTTP_VERSION_2_0)
for n in (1, 100, 200000, 3):
    out = io.BytesIO()
    curl.setopt(curl.URL, f"{base}/size/{n}")
    curl.setopt(curl.WRITEDATA, out)
    curl.perform()
    assert len(out.getvalue()) == n
    assert len(urllib.request.urlopen(f"{h1}/bytes/{n}").read()) == n
print("fine")
"""
# One request by each form of GnuTLS's calls, over one connection. The descriptor is the transport pointer.
GNUTLS = """
import ctypes, socket, sys
tls = ctypes.CDLL("libgnutls.so.30", mode=ctypes.RTLD_GLOBAL)
g = ctypes.CDLL(None)
P, S = ctypes.c_void_p, ctypes.c_size_t
session, credentials = P(), P()
class Range(ctypes.Structure):
    _fields_ = [("low", S), ("high", S)]
class Datum(ctypes.Structure):
    _fields_ = [("data", ctypes.POINTER(ctypes.c_ubyte)), ("size", ctypes.c_uint)]
for name in ("send", "send2", "send_range", "recv", "recv_seq", "recv_packet"):
    getattr(g, "gnutls_record_" + name).restype = ctypes.c_ssize_t
def check(n, what):
    assert n >= 0, (what, n)
    return n
port, ca = int(sys.argv[1]), sys.argv[2].encode()
check(g.gnutls_certificate_allocate_credentials(ctypes.byref(credentials)), "credentials")
assert g.gnutls_certificate_set_x509_trust_file(credentials, ca, 1) >= 1
check(g.gnutls_init(ctypes.byref(session), 2), "init")
check(g.gnutls_set_default_priority(session), "priority")
check(g.gnutls_credentials_set(session, 1, credentials), "set")
name = b"localhost"
check(g.gnutls_server_name_set(session, 1, name, S(len(name))), "name")
g.gnutls_session_set_verify_cert(session, name, 0)
sock = socket.create_connection(("localhost", port))
g.gnutls_transport_set_int2(session, sock.fileno(), sock.fileno())
while (n := g.gnutls_handshake(session)) < 0:
    assert n in (-28, -52), n
def request(n):
    return b"GET /bytes/%d HTTP/1.1\\r\\nHost: localhost:%d\\r\\n\\r\\n" % (n, port)
def send(kind, data):
    if kind == "send":
        return g.gnutls_record_send(session, data, S(len(data)))
    if kind == "send2":
        return g.gnutls_record_send2(session, data, S(len(data)), S(17), 0)
    size = Range(len(data), len(data) + 32)
    return g.gnutls_record_send_range(session, data, S(len(data)), ctypes.byref(size))
def receive(kind):
    if kind == "recv_packet":
        packet, datum = P(), Datum()
        n = check(g.gnutls_record_recv_packet(session, ctypes.byref(packet)), kind)
        g.gnutls_packet_get(packet, ctypes.byref(datum), None)
        data = bytes(datum.data[:datum.size])
        g.gnutls_packet_deinit(packet)
        return data
    room = ctypes.create_string_buffer(20000)
    call = getattr(g, "gnutls_record_" + kind)
    n = call(session, room, S(20000), *([ctypes.create_string_buffer(8)] if kind == "recv_seq" else []))
    return room.raw[:check(n, kind)] if n not in (-28, -52) else b""
for n, (out, into) in enumerate([("send", "recv"), ("send2", "recv_seq"), ("send_range", "recv_packet")], 1):
    assert send(out, request(n)) == len(request(n)), out
    got = b""
    while not (b"\\r\\n\\r\\n" in got and len(got.split(b"\\r\\n\\r\\n", 1)[1]) == n):
        got += receive(into)
g.gnutls_deinit(session)
print("fine")
"""

# A session's ticket from a first connection, and a request in the early data of a second one.
EARLY = """
import ctypes, socket, sys
g = ctypes.CDLL("libgnutls.so.30", mode=ctypes.RTLD_GLOBAL)
calls = ctypes.CDLL(None)
P, S = ctypes.c_void_p, ctypes.c_size_t
class Datum(ctypes.Structure):
    _fields_ = [("data", ctypes.POINTER(ctypes.c_ubyte)), ("size", ctypes.c_uint)]
for name in ("send", "send_early_data", "recv"):
    getattr(calls, "gnutls_record_" + name).restype = ctypes.c_ssize_t
port, ca = int(sys.argv[1]), sys.argv[2].encode()
credentials, kept = P(), Datum()
calls.gnutls_certificate_allocate_credentials(ctypes.byref(credentials))
assert calls.gnutls_certificate_set_x509_trust_file(credentials, ca, 1) >= 1
def connect(path, early):
    session, name = P(), b"localhost"
    assert calls.gnutls_init(ctypes.byref(session), 2) == 0
    calls.gnutls_set_default_priority(session)
    calls.gnutls_credentials_set(session, 1, credentials)
    calls.gnutls_server_name_set(session, 1, name, S(len(name)))
    sock = socket.create_connection(("127.0.0.1", port))
    calls.gnutls_transport_set_int2(session, sock.fileno(), sock.fileno())
    request = b"GET /%s HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n" % path
    if early:
        assert calls.gnutls_session_set_data(session, kept.data, S(kept.size)) == 0
        assert calls.gnutls_record_send_early_data(session, request, S(len(request))) == 0
    while (n := calls.gnutls_handshake(session)) < 0:
        assert n in (-28, -52), n
    if not early:
        assert calls.gnutls_record_send(session, request, S(len(request))) == len(request)
    if not early:  # gnutls-serv makes nothing of a request in early data, and would wait for another one for most of a minute
        room, got = ctypes.create_string_buffer(20000), 0
        while (n := calls.gnutls_record_recv(session, room, S(20000))) > 0 or n in (-28, -52):
            got += max(n, 0)
        assert got, n
        assert calls.gnutls_session_get_data2(session, ctypes.byref(kept)) == 0
    calls.gnutls_deinit(session)
connect(b"first", False)
connect(b"second", True)
print("fine")
"""


@pytest.fixture
def h2(certs):
    with H2Origin(certs) as origin:
        yield origin
    assert not origin.errors, origin.errors


@pytest.fixture
def tapped(tapline_run, certs):
    return lambda argv, **more: tapline_run(argv, env=runner.trust(certs.ca), **more)


def check_h2(run, origin):
    requests = [e for e in run.of("http.request") if e["version"] == "2.0"]
    seen = Counter((e["method"], e["url"].split(f":{origin.port}", 1)[1], e["stream"]) for e in requests)
    assert seen == Counter(origin.served) and seen, str(run)
    assert {e["source"] for e in requests} == {"tap"}, str(run)
    assert all("flow" in e for e in requests), str(run)
    assert not run.of("relay.note"), str(run)
    answered = {e["request"]: e["status"] for e in run.of("http.response")}
    assert all(answered.get(e["request"]) for e in requests), str(run)


def test_h2_of_curl(h2, tapped, sandbox):
    paths = ["/size/0", "/size/1", "/size/3000000", "/big-head/20000", "/trailers", "/size/70000"]
    files = [part for n, path in enumerate(paths) for part in ("-o", f"out{n}", h2.url(path))]
    run = tapped(["curl", "-sS", "--http2", "--fail", "--max-time", "50", *files])
    run.assert_worked()
    check_h2(run, h2)
    assert (sandbox.work / "out2").read_bytes() == origins.pattern(3000000)
    assert not run.of("http.body"), "the tap does not count bodies"


def test_h2_parallel_streams(h2, tapped):
    urls = [part for n in range(60) for part in ("-o", "/dev/null", h2.url(f"/size/{n * 977}"))]
    run = tapped(["curl", "-sS", "--http2", "-Z", "--parallel-max", "30", "--fail", "--max-time", "50", *urls])
    run.assert_worked()
    check_h2(run, h2)


def test_h2_uploads(h2, tapped, sandbox):
    (sandbox.work / "data").write_bytes(origins.pattern(400000))
    run = tapped(["curl", "-sS", "--http2", "--max-time", "30", "--data-binary", "@data", h2.url("/echo")])
    assert run.stdout == "400000", str(run)
    check_h2(run, h2)


def test_h2_of_git_through_gnutls(h2, sandbox, certs):
    run = sandbox.tapline(["git", "-c", f"http.sslCAInfo={certs.ca}", "ls-remote", h2.url("/nothing")])
    check_h2(run, h2)


def test_two_openssls(h2, index, tapped, bundled, certs):
    run = tapped([bundled / "bin" / "python", "-c", PYCURL, certs.ca, h2.url(""), index.url])
    assert run.stdout == "fine\n", str(run)
    run.assert_worked()
    check_h2(run, h2)
    plain = Counter(e["url"] for e in run.of("http.request", version="1.1"))
    assert plain == Counter(e["url"] for e in index.served()) and sum(plain.values()) == 4


# Where httpx keeps fewer connections than it has opened, those that go may have been taken for others (docs/limits.md):
# as many as are left over may have no flow.
@pytest.mark.parametrize("kept", [100, 20])
def test_memory_bios_are_tied_to_their_flows(index, make_index, tapped, asynchronous, kept):
    """asyncio's TLS has no descriptor: many connections to three names at once, each request on the right one."""
    other = make_index()
    urls = [f"{base}/bytes/{n}" for n in range(8)
            for base in (index.url, other.url, other.url.replace("localhost", "127.0.0.1"))]
    run = tapped([asynchronous / "bin" / "python", "-c", ASYNC, "h1", str(kept), *urls])
    run.assert_worked()
    requests = run.of("http.request")
    tied = [e for e in requests if "tied" in e and "flow" in e]
    assert len(requests) == 3 * len(urls), str(run)
    assert len(tied) == len(requests) or (kept < len(urls) and tied), str(run)
    ports = {e["flow"]: e["port"] for e in run.of("connect")}
    assert all(f":{ports[e['flow']]}/" in e["url"] for e in tied), str(run)
    assert sum(run.requests().values()) == len(index.served()) + len(other.served())


def test_h2_over_memory_bios(h2, tapped, asynchronous):
    run = tapped([asynchronous / "bin" / "python", "-c", ASYNC, "h2", "20", *[h2.url(f"/size/{n * 3001}") for n in range(12)]])
    run.assert_worked()
    check_h2(run, h2)


def test_forms_of_gnutls(index, tapped, clients, certs):
    run = tapped([clients / "bin" / "python", "-c", GNUTLS, index.port, certs.ca])
    assert run.stdout == "fine\n", str(run)
    run.assert_worked()
    run.assert_recorded(index)


def test_early_data_of_gnutls(early_origin, tapped, certs):
    run = tapped(["/usr/bin/python3", "-c", EARLY, early_origin, certs.ca])
    assert run.stdout == "fine\n", str(run)
    paths = [e["url"].rpartition("/")[2] for e in run.of("http.request", source="tap")]
    assert paths == ["first", "second"], str(run)


@pytest.mark.parametrize("argv", [["wget", "-qO", "got", "--ca-certificate"], ["curl", "-sSo", "got", "--http1.1", "--cacert"]],
                         ids=lambda a: a[0])
def test_a_long_download_is_recorded_once(index, sandbox, argv):
    run = sandbox.tapline([*argv, index.ca, f"{index.url}/bytes/20000000"])
    run.assert_worked()
    run.assert_recorded(index)
    assert (sandbox.work / "got").stat().st_size == 20000000
    assert len(run.of("http.response")) == 1


def test_off_means_off(index, sandbox, clients):
    run = sandbox.tapline([clients / "bin" / "python", "-c", "import requests, sys; requests.get(sys.argv[1])", index.url + "/echo"],
                          env={**runner.trust(index.ca), "TAPLINE_TAP": "0"})
    run.assert_worked()
    assert not run.of("http.request")
