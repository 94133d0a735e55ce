#!/usr/bin/env python3
"""Every call of the relay that can fail is made to fail, one at a time.

    faults.py BUILD [--calls a,b] [--jobs N] [--verbose]

A relay is started under failing.so, and the same small day is lived through it: an explicit CONNECT, one of a protocol unknown, a plain http:// request, a
SOCKS5 client, a program that is redirected, one whose connection is refused, a failed write, and an inspected TLS connection.
First each call is counted; then for each call and each number (of many: one from each place in the code) a relay is started in which
that one fails. After each:

* no client hangs, and each saw either its answer, or an ordinary error: a status of 4xx or 5xx, an end or a reset;
* the relay has not died of a signal, and either serves on or ended with a message on standard error;
* a healthy client that comes afterwards is served, if the relay still runs;
* no socket of it is left open in the relay, if it still runs;
* the record can be read up to its last whole line.

The allocations are those of the relay itself and of its libraries (OpenSSL, libuv, jansson).
"""
import argparse
import concurrent.futures
import errno
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "index"))
import certs  # noqa: E402

PATIENCE = 15   # seconds after which a client counts as hung
ERRNO = {"malloc": errno.ENOMEM, "calloc": errno.ENOMEM, "realloc": errno.ENOMEM, "socket": errno.EMFILE, "connect": errno.ENETUNREACH,
         "accept4": errno.EMFILE, "bind": errno.EADDRINUSE, "listen": errno.EADDRINUSE, "send": errno.EPIPE, "recv": errno.ECONNRESET,
         "epoll_ctl": errno.ENOSPC, "epoll_wait": errno.EINTR, "pipe2": errno.EMFILE, "splice": errno.EIO, "write": errno.ENOSPC,
         "open": errno.EMFILE, "fcntl": errno.EPERM, "getsockopt": errno.ENOBUFS, "setsockopt": errno.ENOBUFS,
         "getsockname": errno.ENOBUFS, "getpeername": errno.ENOTCONN}
REDIRECTED = """
import socket, sys
for port in sys.argv[1:]:
    try:
        with socket.create_connection(("127.0.0.1", int(port)), timeout=8) as s:
            s.sendall(b"GET /r HTTP/1.1\\r\\nHost: a.test\\r\\nConnection: close\\r\\n\\r\\n")
            s.recv(100)
    except OSError:
        pass
try:
    open("/proc/none", "w")
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
                    c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\nConnection: close\r\n\r\n" + b"x" * 100000)
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


class Day:
    """One relay and its clients."""

    def __init__(self, build, shim, origins, folder, fail=None, idle=None):
        self.idle = idle    # the sockets that a relay has after such a day on which nothing failed
        self.build, self.origins, self.folder = build, origins, folder
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.control, self.record = folder / "s.sock", folder / "record.jsonl"
        env = {"PATH": os.environ["PATH"], "HOME": str(folder), "LD_PRELOAD": str(shim), "SSL_CERT_FILE": str(origins.certs.ca)}
        if fail:
            env |= {"FAIL": fail, "FAIL_TRACE": "1"}     # where it was, for the message
        else:
            env["FAIL_COUNT"] = str(folder / "counts")
        argv = [build / "tapline", "relay", "--listen", f"127.0.0.1:{self.port}", "--socket", self.control, "--bypass", "none",
                "--record", self.record, "--drain", "0.2", *INSPECT]
        self.stderr = open(folder / "stderr", "w+b")
        self.proc = subprocess.Popen([str(a) for a in argv], env=env, cwd=folder, stdin=subprocess.DEVNULL, stdout=self.stderr,
                                     stderr=self.stderr, start_new_session=True)
        self.problems, self.gave_up = [], None

    def listening(self):
        end = time.monotonic() + PATIENCE
        while self.proc.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return True
            except OSError:
                if time.monotonic() > end:
                    self.problems.append("the relay neither listened nor ended")
                    return False
                time.sleep(0.01)
        return False

    def client(self, name, talk):
        """talk(connection) returns what the client got; an ordinary error is as good as an answer."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
                connection.settimeout(PATIENCE)
                return talk(connection)
        except (socket.timeout, TimeoutError):
            self.problems.append(f"{name}: hung for {PATIENCE} s")
        except OSError:
            pass
        return b""

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
        env = {"PATH": os.environ["PATH"], "LD_PRELOAD": str(self.build / "libtapline.so"), "TAPLINE_SOCKET": str(self.control),
               "TAPLINE_BYPASS": "none"}
        proc = subprocess.Popen(["/usr/bin/python3", "-S", "-c", REDIRECTED, str(self.origins.plain_port), str(self.origins.dead_port)],
                                env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            _, err = proc.communicate(timeout=2 * PATIENCE)
            if proc.returncode:
                self.problems.append(f"the redirected program failed: {err[-200:]!r}")
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
            if self.proc.poll() is None and not self.persistent:
                # The fault may have waited for the first of them.
                served = any(len(self.client("afterwards", self.forwarded)) >= 100000 for _ in range(2))
                if not served and self.proc.poll() is None:
                    self.problems.append("a healthy client was not served afterwards")
                self.gives_back()
        self.finish()
        return self.problems

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

    persistent = False

    def finish(self):
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
        try:
            status = self.proc.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
            status = None
            self.problems.append("the relay did not end when told to")
        self.stderr.seek(0)
        said = self.stderr.read().decode("utf8", "replace")
        if status == -signal.SIGABRT and "libuv" in said.split("abort")[-1].split("tapline(")[0]:
            self.gave_up = said     # it does so where it cannot go on; see README.md
        elif status is not None and status < 0 and status != -signal.SIGTERM:
            self.problems.append(f"the relay died of {signal.Signals(-status).name}: {said[-1500:]}")
        if status not in (0, None, 143, -signal.SIGTERM) and not said.strip():
            self.problems.append(f"the relay ended with {status} and said nothing")
        if self.record.exists():
            self.readable()
        if self.problems and "failing.so" in said:
            self.problems[-1] += f"\n{said[said.index('failing.so'):][:1500]}"

    def readable(self):
        lines = self.record.read_bytes().split(b"\n")
        for number, line in enumerate(lines[:-1], 1):
            try:
                json.loads(line)
            except ValueError:
                self.problems.append(f"line {number} of the record is not JSON: {line[:80]!r}")


INSPECT = []


def counts_of(folder):
    """For each call, how often it was made, and which of them came from a new place."""
    lines = [line.split() for line in (folder / "counts").read_text().splitlines()]
    return {name: (int(count), [int(n) for n in places]) for name, count, *places in lines}


def numbers(count, places):
    """The first fifty, and then the first from each place: OpenSSL alone allocates half a million times to read its roots."""
    return sorted({*range(1, min(count, 50) + 1), *places})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=Path)
    parser.add_argument("--calls", default=",".join(ERRNO))
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--verbose", action="store_true", help="say where libuv ended the relay")
    args = parser.parse_args()
    build = args.build.resolve()
    if "--inspect" in subprocess.run([build / "tapline", "relay", "--help"], capture_output=True, text=True, check=True).stdout:
        INSPECT.append("--inspect=always")
    top = Path(tempfile.mkdtemp(prefix="tapline-faults-"))
    shim, bad, done, given_up = build / "faults" / "failing.so", 0, 0, 0
    origins = Origins(top)

    def one(call, n):
        folder = Path(tempfile.mkdtemp(dir=top))
        day = Day(build, shim, origins, folder, f"{call}:{n}:{ERRNO[call]}", healthy.idle)
        problems = day.live()
        shutil.rmtree(folder)
        return call, n, problems, day.gave_up

    try:
        first = top / "count"
        first.mkdir()
        healthy = Day(build, shim, origins, first)
        if problems := healthy.live():
            sys.exit(f"faults.py: with nothing failing: {problems}")
        counts = counts_of(first)
        jobs = [(call, n) for call in args.calls.split(",") for n in numbers(*counts[call])]
        print(f"{len(jobs)} faults: " + ", ".join(f"{call} {len(numbers(*counts[call]))} of {counts[call][0]}"
                                                  for call in args.calls.split(",")), flush=True)
        with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            for call, n, problems, gave_up in pool.map(lambda job: one(*job), jobs):
                done += 1
                given_up += gave_up is not None
                if gave_up and args.verbose:
                    print(f"{call} {n}: libuv ended the relay:\n{gave_up}", flush=True)
                for problem in problems:
                    bad += 1
                    print(f"{call} {n}: {problem}", flush=True)
                if done % 200 == 0:
                    print(f"  {done} of {len(jobs)}", flush=True)
    finally:
        shutil.rmtree(top, ignore_errors=True)
    print(f"{done} faults, {bad} problems; in {given_up} libuv ended the relay")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
