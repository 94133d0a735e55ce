"""A small day in the life of one relay, for faults.py to disturb: its origins, its clients, and what each of them saw.

Lived through are an explicit CONNECT, one of a protocol unknown, a plain http:// request, a SOCKS5 client, an inspected TLS connection, another that
speaks HTTP/2, a program that is redirected, with a connection that is refused and a failed write, and one that goes by the relay and tells it of so many
requests that it asks for a ring. Sends nothing but to loopback. What has to hold for those outside is looked
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

for beside in ("index", "e2e"):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / beside))
import certs  # noqa: E402
from h2_origin import H2Origin  # noqa: E402

PATIENCE = 60   # seconds after which a client counts as hung
BODY = 100000
TOLD = 40       # requests of the program that tells of them; after 16 it asks for a ring
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
# So long a pause that the relay looks at the ring no more, and has to be woken.
TELLER = """
import socket, ssl, sys, time
with ssl._create_unverified_context().wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=8)) as s:
    for n in range(int(sys.argv[2])):
        if n == 30:
            time.sleep(0.4)
        s.sendall(b"GET /told/%d HTTP/1.1\\r\\nHost: a.test\\r\\n\\r\\n" % n)
        assert s.recv(4000)
"""


class Origins:
    """A plain and a TLS origin in threads, another that goes on and one of HTTP/2, and a port where nobody listens."""

    def __init__(self, folder):
        self.certs = certs.make(folder / "certs")
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(self.certs.cert, self.certs.key)
        self.plain_port, self.tls_port = self.serve(None), self.serve(self.tls)
        self.lasting_port = self.serve(self.tls, self.answer_all)
        self.h2 = H2Origin(self.certs).__enter__()
        self.dead = socket.socket()     # kept, so that nobody else gets its port
        self.dead.bind(("127.0.0.1", 0))
        self.dead_port = self.dead.getsockname()[1]

    def serve(self, tls, answer=None):
        listener = socket.create_server(("127.0.0.1", 0))

        def accept():
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=answer or self.answer, args=(connection, tls), daemon=True).start()

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

    def answer_all(self, connection, tls):
        try:
            with tls.wrap_socket(connection, server_side=True) as c:
                c.settimeout(PATIENCE)
                while c.recv(4000):
                    c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
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
    """What a client saw: port is its own, None if it did not come in; path, of its request, None if it has made none."""

    def __init__(self, name, path=None, enough=BODY):
        self.name, self.path, self.enough = name, path, enough
        self.port, self.got = None, 0

    @property
    def whole(self):
        return self.got >= self.enough


class Day:
    """One relay and its clients. fail is what failing.c is told; without it calls are counted. idle is how much a relay holds after a day on which
    nothing failed. without is a client that stays away."""

    def __init__(self, build, origins, folder, fail=None, idle=None, options=(), without=None):
        self.idle, self.fail, self.without = idle, fail, without
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
        self.problems, self.seen, self.program, self.told = [], [], None, False
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

    def client(self, name, talk, path=None):
        """talk(connection) returns what the client got; an ordinary error is as good as an answer."""
        seen = Seen(name, path)
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

    def http2(self):
        """curl, with one connection for a download, an upload and an answer with trailers."""
        transfers = Seen("HTTP/2", f"/size/{BODY}"), Seen("HTTP/2 upload", "/echo", 5), Seen("HTTP/2 trailers", "/trailers", 5)
        argv = ["curl"]
        for seen in transfers:
            argv += ["--next", "-sk", "--http2", "--noproxy", "", "--proxy", f"http://127.0.0.1:{self.port}", "--max-time", str(PATIENCE), "-o", "/dev/null",
                     "-w", "%{local_port} %{http_code} %{size_download}\n", f"https://127.0.0.1:{self.origins.h2.port}{seen.path}"]
            argv += ["--data", "x" * 20000] if seen.path == "/echo" else []
        done = subprocess.run(argv, env={"PATH": os.environ["PATH"]}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        if done.returncode == 28:
            self.problems.append(f"HTTP/2: hung for {PATIENCE} s")
        for seen, line in zip(transfers, done.stdout.splitlines()):
            port, status, size = map(int, line.split())
            seen.port, seen.got = port, size if status == 200 else 0
        self.seen += transfers

    def preloaded(self, name, text, *args, **env):
        """What the program said, or None."""
        env = {"PATH": os.environ["PATH"], "LD_PRELOAD": str(self.build / "libtapline.so"), "TAPLINE_SOCKET": str(self.control), **env}
        proc = subprocess.Popen(["/usr/bin/python3", "-S", "-c", text, *map(str, args)], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            out, err = proc.communicate(timeout=2 * PATIENCE)
            if proc.returncode == 0:
                return out
            self.problems.append(f"the {name} program failed: {err[-200:]!r}")
        except subprocess.TimeoutExpired:
            proc.kill()
            self.problems.append(f"the {name} program hung")
        return None

    def redirected(self):
        """program: how many bytes came from the living origin, and what became of the connection to the dead one (-errno)."""
        out = self.preloaded("redirected", REDIRECTED, self.origins.plain_port, self.origins.dead_port, TAPLINE_BYPASS="none")
        self.program = [int(word) for word in out.split()] if out is not None else None

    def telling(self):
        self.told = self.preloaded("telling", TELLER, self.origins.lasting_port, TOLD) is not None

    def live(self):
        if self.listening():
            for name, visit in {
                    "CONNECT": lambda: self.client("CONNECT", self.tunnelled, "/t"), "opaque": lambda: self.client("opaque", self.opaque),
                    "http": lambda: self.client("http", self.forwarded, "/f"), "SOCKS": lambda: self.client("SOCKS", self.socks, "/s"),
                    "inspected": lambda: self.client("inspected", self.inspected, "/i"), "HTTP/2": self.http2, "redirected": self.redirected,
                    "telling": self.telling}.items():
                if name != self.without:
                    visit()
            if self.proc.poll() is None:
                # The fault may have waited for the first of them.
                served = any(self.client("afterwards", self.forwarded, "/f").whole for _ in range(2))
                if not served and self.proc.poll() is None:
                    self.problems.append("a healthy client was not served afterwards")
                self.gives_back()
        self.finish()

    def held(self):
        """Sockets, and of rings and their processes the descriptors and the mappings."""
        proc = Path(f"/proc/{self.proc.pid}")
        try:
            names = [os.readlink(entry) for entry in (proc / "fd").iterdir()] + (proc / "maps").read_text().splitlines()
            return sum(name.startswith("socket:") or "pidfd" in name or "/memfd:tapline" in name for name in names)
        except OSError:     # it has ended, or closed one meanwhile
            return 0

    def gives_back(self):
        """Once its clients have gone the relay holds no more than before."""
        end = time.monotonic() + 5
        while self.idle is not None and self.held() > self.idle:
            if time.monotonic() > end:
                self.problems.append(f"{self.held() - self.idle} sockets, descriptors or mappings are left")
                return
            time.sleep(0.05)
        if self.idle is None:
            time.sleep(0.5)
            self.idle = self.held()

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
