"""A small day in the life of one relay, for faults.py to disturb: its origins, its clients, and what each of them saw.

Lived through are an explicit CONNECT, one of a protocol unknown, a plain http:// request, a SOCKS5 client, an inspected TLS connection, and a program
that is redirected, with a connection that is refused and a failed write. Sends nothing but to loopback. What has to hold for those outside is looked
at here; what the record and standard error have to say, in reasons.py.
"""
import json
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "index"))
import certs  # noqa: E402

PATIENCE = 60   # seconds after which a client counts as hung
BODY = 100000
REDIRECTED = """
import socket, sys
for port in sys.argv[1:]:
    try:
        with socket.create_connection(("127.0.0.1", int(port)), timeout=8) as s:
            s.sendall(b"GET /r HTTP/1.1\\r\\nHost: a.test\\r\\nConnection: close\\r\\n\\r\\n")
            got = 0
            while piece := s.recv(65536):
                got += len(piece)
        print(got)
    except OSError as error:
        print(-(error.errno or 1))
try:
    open("/nowhere/x", "w")
except OSError:
    pass
"""


class Origins:
    """A plain and a TLS origin in threads, and a port where nobody listens."""

    def __init__(self, folder):
        self.certs = certs.make(folder / "certs")
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(self.certs.cert, self.certs.key)
        self.plain_port, self.tls_port = self.serve(None), self.serve(self.tls)
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.dead_port = s.getsockname()[1]

    def serve(self, tls):
        listener = socket.create_server(("127.0.0.1", 0))

        def accept():
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=self.answer, args=(connection, tls), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return listener.getsockname()[1]

    def answer(self, connection, tls):
        try:
            with tls.wrap_socket(connection, server_side=True) if tls else connection as c:
                c.settimeout(PATIENCE)
                if c.recv(4000):
                    c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % BODY + b"x" * BODY)
        except OSError:
            pass


def read_all(connection):
    data = b""
    try:
        while piece := connection.recv(65536):
            data += piece
    except socket.timeout:
        raise
    except OSError:
        pass
    return data


def free_port():
    """One that no client gets by chance before the relay has it: below those that the kernel chooses from."""
    while True:
        port = random.randrange(10000, 32768)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


class Seen:
    """What a client saw: port is its own, None if it did not come in."""

    def __init__(self, name):
        self.name, self.port, self.got = name, None, 0

    @property
    def whole(self):
        return self.got >= BODY


class Day:
    """One relay and its clients. fail is what failing.c is told; without it calls are counted. idle is how many sockets a relay has after a day on which
    nothing failed."""

    def __init__(self, build, origins, folder, fail=None, idle=None, options=()):
        self.idle, self.fail = idle, fail
        self.build, self.origins, self.folder = build, origins, folder
        self.port = free_port()
        self.control, self.record, self.trace = folder / "s.sock", folder / "record.jsonl", folder / "trace"
        env = {"PATH": os.environ["PATH"], "HOME": str(folder), "LD_PRELOAD": str(build / "faults" / "failing.so"),
               "SSL_CERT_FILE": str(origins.certs.ca), "FAIL_TRACE": str(self.trace)}
        env |= {"FAIL": fail} if fail else {"FAIL_COUNT": str(folder / "counts")}
        argv = [build / "tapline", "relay", "--listen", f"127.0.0.1:{self.port}", "--socket", self.control, "--bypass", "none",
                "--record", self.record, "--drain", "0.2", *options]
        self.stderr = open(folder / "stderr", "w+b")
        self.proc = subprocess.Popen([str(a) for a in argv], env=env, cwd=folder, stdin=subprocess.DEVNULL, stdout=self.stderr,
                                     stderr=self.stderr, start_new_session=True)
        self.problems, self.seen, self.program = [], [], None
        self.said = self.stacks = ""
        self.listened = self.failed = self.abandoned = False  # abandoned: a library ended the relay

    def listening(self):
        end = time.monotonic() + PATIENCE
        while self.proc.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                self.listened = True
                return True
            except OSError:
                if time.monotonic() > end:
                    self.problems.append("the relay neither listened nor ended")
                    return False
                time.sleep(0.01)
        return False

    def client(self, name, talk):
        """talk(connection) returns what the client got; an ordinary error is as good as an answer."""
        seen = Seen(name)
        self.seen.append(seen)
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
                seen.port = connection.getsockname()[1]
                connection.settimeout(PATIENCE)
                seen.got = len(talk(connection))
        except (socket.timeout, TimeoutError):
            self.problems.append(f"{name}: hung for {PATIENCE} s")
        except OSError:
            pass
        return seen

    def connect(self, connection, port):
        connection.sendall(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\nHost: a\r\n\r\n" % port)
        head = b""
        while b"\r\n\r\n" not in head:
            piece = connection.recv(4000)
            if not piece:
                return False
            head += piece
        return head.split()[1] == b"200"

    def tunnelled(self, connection):
        if not self.connect(connection, self.origins.plain_port):
            return b""
        connection.sendall(b"GET /t HTTP/1.1\r\nHost: a\r\n\r\n")
        return read_all(connection)

    def opaque(self, connection):
        """Of a protocol that nobody knows: its bytes go through pipes."""
        if not self.connect(connection, self.origins.plain_port):
            return b""
        connection.sendall(b"\0\1\2 a protocol of its own")
        return read_all(connection)

    def inspected(self, connection):
        if not self.connect(connection, self.origins.tls_port):
            return b""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(connection, server_hostname="localhost") as tls:
            tls.sendall(b"GET /i HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return read_all(tls)

    def forwarded(self, connection):
        connection.sendall(b"GET http://127.0.0.1:%d/f HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % self.origins.plain_port)
        return read_all(connection)

    def socks(self, connection):
        connection.sendall(b"\5\1\0")
        if connection.recv(2) != b"\5\0":
            return b""
        connection.sendall(b"\5\1\0\1\x7f\0\0\1" + self.origins.plain_port.to_bytes(2, "big"))
        if connection.recv(10)[1:2] != b"\0":
            return b""
        connection.sendall(b"GET /s HTTP/1.1\r\nHost: a\r\n\r\n")
        return read_all(connection)

    def redirected(self):
        """program: how many bytes came from the living origin, and what became of the connection to the dead one (-errno)."""
        env = {"PATH": os.environ["PATH"], "LD_PRELOAD": str(self.build / "libtapline.so"), "TAPLINE_SOCKET": str(self.control),
               "TAPLINE_BYPASS": "none"}
        proc = subprocess.Popen(["/usr/bin/python3", "-S", "-c", REDIRECTED, str(self.origins.plain_port), str(self.origins.dead_port)],
                                env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            out, err = proc.communicate(timeout=2 * PATIENCE)
            if proc.returncode:
                self.problems.append(f"the redirected program failed: {err[-200:]!r}")
            else:
                self.program = [int(word) for word in out.split()]
        except subprocess.TimeoutExpired:
            proc.kill()
            self.problems.append("the redirected program hung")

    def live(self):
        if self.listening():
            self.client("CONNECT", self.tunnelled)
            self.client("opaque", self.opaque)
            self.client("http", self.forwarded)
            self.client("SOCKS", self.socks)
            self.client("inspected", self.inspected)
            self.redirected()
            if self.proc.poll() is None:
                # The fault may have waited for the first of them.
                served = any(self.client("afterwards", self.forwarded).whole for _ in range(2))
                if not served and self.proc.poll() is None:
                    self.problems.append("a healthy client was not served afterwards")
                self.gives_back()
        self.finish()

    def sockets(self):
        try:
            return sum(os.readlink(entry).startswith("socket:") for entry in Path(f"/proc/{self.proc.pid}/fd").iterdir())
        except OSError:     # it has ended, or closed one meanwhile
            return 0

    def gives_back(self):
        """Once its clients have gone the relay has no more sockets than before."""
        end = time.monotonic() + 5
        while self.idle is not None and self.sockets() > self.idle:
            if time.monotonic() > end:
                self.problems.append(f"{self.sockets() - self.idle} sockets are left open")
                return
            time.sleep(0.05)
        if self.idle is None:
            time.sleep(0.5)
            self.idle = self.sockets()

    def finish(self):
        self.served = self.proc.poll() is None  # to the end of the day
        if self.served:
            self.proc.send_signal(signal.SIGTERM)
        try:
            self.status = self.proc.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.status = self.proc.wait()
            self.problems.append("the relay did not end when told to")
            return
        self.stderr.seek(0)
        self.said = self.stderr.read().decode("utf8", "replace")
        self.stderr.close()
        self.stacks = self.trace.read_text("utf8", "replace") if self.trace.exists() else ""
        self.failed = "failed\n" in self.stacks     # the call that was to fail was made
        if self.status < 0 and self.gave_up():
            self.abandoned = True
        elif self.status < 0 and self.status != -signal.SIGTERM:
            self.problems.append(f"the relay died of {signal.Signals(-self.status).name}")

    def gave_up(self):
        """A library has ended the relay by itself, where it cannot go on: see README.md."""
        innermost = self.stacks.split("died\n")[-1].split("tapline(")[0]
        return any(library in innermost for library in ("libuv", "__nss_"))

    def events(self):
        """Those of the record, which has to be readable up to its last whole line."""
        events = []
        for number, line in enumerate(self.record.read_bytes().split(b"\n")[:-1] if self.record.exists() else [], 1):
            try:
                events.append(json.loads(line))
            except ValueError:
                self.problems.append(f"line {number} of the record is not JSON: {line[:80]!r}")
        return events
