"""SSL_sendfile(3), which only works where the kernel encrypts (kernel TLS): the tap does not see a file's bytes, and must not
lose count of them. Needs the kernel's tls module, which not every machine has: `make check-vm` runs it."""
import os

import pytest

import origins
from h2_origin import H2Origin

pytestmark = pytest.mark.skipif(os.environ.get("KERNEL_TLS") is None, reason="make check-vm runs it")

# An upload whose DATA frames have their heads from SSL_write and their payload from SSL_sendfile; then another request.
CLIENT = """
import ctypes, os, socket, sys
import h2.connection, h2.events
P, S = ctypes.c_void_p, ctypes.c_size_t
ctypes.CDLL("libssl.so.3", mode=ctypes.RTLD_GLOBAL)
g = ctypes.CDLL(None)
for name in ("TLS_client_method", "SSL_CTX_new", "SSL_new", "SSL_get_wbio"):
    getattr(g, name).restype = P
g.SSL_sendfile.restype = ctypes.c_ssize_t
g.SSL_sendfile.argtypes = [P, ctypes.c_int, ctypes.c_long, S, ctypes.c_int]
ENABLE_KTLS, GET_KTLS_SEND = 8, 73
port, ca, path = int(sys.argv[1]), sys.argv[2].encode(), sys.argv[3]
context = P(g.SSL_CTX_new(P(g.TLS_client_method())))
g.SSL_CTX_set_options(context, ctypes.c_uint64(ENABLE_KTLS))
assert g.SSL_CTX_load_verify_file(context, ca) == 1
assert g.SSL_CTX_set_alpn_protos(context, b"\\x02h2", 3) == 0
tls = P(g.SSL_new(context))
sock = socket.create_connection(("localhost", port))
assert g.SSL_set_fd(tls, sock.fileno()) == 1
assert g.SSL_connect(tls) == 1
assert g.BIO_ctrl(P(g.SSL_get_wbio(tls)), GET_KTLS_SEND, ctypes.c_long(0), None) == 1, "no kernel TLS"
connection = h2.connection.H2Connection()
def flush():
    data = connection.data_to_send()
    if data:
        assert g.SSL_write(tls, data, len(data)) == len(data)
def answer(stream):
    got, buffer = b"", ctypes.create_string_buffer(65536)
    while True:
        n = g.SSL_read(tls, buffer, 65536)
        assert n > 0, n
        for event in connection.receive_data(buffer.raw[:n]):
            if isinstance(event, h2.events.DataReceived) and event.stream_id == stream:
                got += event.data
            if isinstance(event, h2.events.StreamEnded) and event.stream_id == stream:
                return got
        flush()
def head(stream, method, path, end):
    connection.send_headers(stream, [(":method", method), (":path", path), (":scheme", "https"),
                                     (":authority", "localhost:%d" % port)], end_stream=end)
    flush()
connection.initiate_connection()
head(1, "POST", "/echo", False)
size, file, at = os.path.getsize(path), os.open(path, os.O_RDONLY), 0
while at < size:
    piece = min(16384, size - at)
    frame = piece.to_bytes(3, "big") + bytes([0, at + piece == size, 0, 0, 0, 1])
    assert g.SSL_write(tls, frame, len(frame)) == len(frame)
    done = 0
    while done < piece:
        n = g.SSL_sendfile(tls, file, at + done, piece - done, 0)
        assert n > 0, n
        done += n
    at += piece
print(answer(1).decode(), end=" ")
head(3, "GET", "/size/5", True)
print(len(answer(3)))
"""


def test_sendfile_of_http2(tapline_run, sandbox, certs):
    (sandbox.work / "file").write_bytes(origins.pattern(60000))
    with H2Origin(certs) as origin:
        run = tapline_run(["/usr/bin/python3", "-c", CLIENT, origin.port, certs.ca, sandbox.work / "file"])
        assert run.stdout == "60000 5\n", str(run)
        seen = [(e["method"], e["url"].rpartition("/")[2], e["stream"], e["source"]) for e in run.of("http.request")]
        assert seen == [("POST", "echo", 1, "tap"), ("GET", "5", 3, "tap")], str(run)
        assert [e["status"] for e in run.of("http.response")] == [200, 200], str(run)
        assert not run.of("relay.note"), str(run)
