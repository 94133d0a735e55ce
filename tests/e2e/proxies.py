"""Proxies for the tests, all on loopback: real ones (tinyproxy, squid) with a private configuration,
and a scripted one that misbehaves in one chosen way. Each stops only the processes and threads it
started. Origins are in origins.py; what tapline makes of the answers is tested elsewhere."""

import os
import pwd
import select
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time

from origins import free_port, wait_listening


class RealProxy:
    """A proxy program in the foreground. Sub-classes give the command and write the configuration."""

    def __init__(self, port=None, user=None, password=None):
        self.port = port or free_port()
        self.user, self.password = user, password
        # Not below pytest's directory, which is 0700: squid changes to another user.
        self.directory = tempfile.mkdtemp(prefix="tapline-proxy-")
        self.process = None

    @property
    def url(self):
        login = f"{self.user}:{self.password}@" if self.user else ""
        return f"http://{login}127.0.0.1:{self.port}"

    @property
    def open_url(self):
        """The URL without the credentials it would want."""
        return f"http://127.0.0.1:{self.port}"

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text, mode=0o644):
        with open(self.path(name), "w") as file:
            file.write(text)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def __enter__(self):
        command = self.prepare()
        self.output = open(self.path("output"), "wb")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.output,
                                        stderr=subprocess.STDOUT, cwd=self.directory)
        try:
            wait_listening(self.port, self.process)
        except Exception:
            text = self.log()
            self.__exit__()
            raise RuntimeError(f"{command[0]} did not start: {text}")
        return self

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.output.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def log(self):
        text = ""
        for name in ("output", "log", "cache.log", "access.log"):
            if os.path.exists(self.path(name)):
                with open(self.path(name), errors="replace") as file:
                    text += file.read()
        return text


class Tinyproxy(RealProxy):
    name = "tinyproxy"

    def prepare(self):
        login = f"BasicAuth {self.user} {self.password}\n" if self.user else ""
        conf = self.write("tinyproxy.conf", f"""\
Port {self.port}
Listen 127.0.0.1
Timeout 600
MaxClients 300
Allow 127.0.0.1
LogFile "{self.path('log')}"
LogLevel Connect
PidFile "{self.path('pid')}"
{login}""")
        return [find_program("tinyproxy"), "-d", "-c", conf]


class Squid(RealProxy):
    name = "squid"

    def prepare(self):
        if os.geteuid() == 0:
            account = pwd.getpwnam("proxy")
            os.chown(self.directory, account.pw_uid, account.pw_gid)
        login, allow = "", "http_access allow localhost"
        if self.user:
            helper = self.write("login.sh", f"""\
#!/bin/sh
while read -r login; do
        if [ "$login" = "{self.user} {self.password}" ]; then echo OK; else echo ERR; fi
done
""", 0o755)
            login = (f"auth_param basic program {helper}\nauth_param basic realm tests\n"
                     "auth_param basic children 2 startup=1 idle=1\nacl known proxy_auth REQUIRED")
            allow = "http_access allow localhost known"
        conf = self.write("squid.conf", f"""\
http_port 127.0.0.1:{self.port}
{login}
{allow}
http_access deny all
cache deny all
cache_mem 8 MB
pid_filename {self.path('pid')}
access_log stdio:{self.path('access.log')}
cache_log {self.path('cache.log')}
netdb_filename none
coredump_dir {self.directory}
shutdown_lifetime 0 seconds
pinger_enable off
visible_hostname localhost
max_filedescriptors 4096
""")
        return [find_program("squid"), "-N", "-f", conf]


def find_program(name):
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    assert found, f"{name} is not installed"
    return found


class ScriptedProxy:
    """Answers each connection with `script(client, head, self)` in its own thread. head is None for a
    script whose attribute `blind` is set: it does not read what the client asks. `heads` keeps what
    clients asked."""

    def __init__(self, script, port=0):
        self.script = script
        self.heads = []
        self.failures = []
        self.stopping = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        # close() alone would leave the thread inside accept()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def serve(self):
        while not self.stopping.is_set():
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.answer, args=(client,), daemon=True).start()

    def answer(self, client):
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            head = None
            if not getattr(self.script, "blind", False):
                head = read_head(client)
                if not head:
                    return  # a look whether the port is open
                self.heads.append(head)
            self.script(client, head, self)
        except OSError as error:
            self.failures.append(error)
        finally:
            client.close()


def read_head(client):
    head = b""
    while b"\r\n\r\n" not in head:
        piece = client.recv(1)
        if not piece:
            return head
        head += piece
    return head


def dial(head):
    """Connect to the target of a CONNECT head."""
    host, _, port = head.split(b" ")[1].decode().rpartition(":")
    server = socket.create_connection((host.strip("[]"), int(port)), timeout=10)
    server.settimeout(None)
    return server


def pump(one, other):
    """Copy both ways until both ends are done: half-close as half-close, a reset as a reset."""
    peer = {one: other, other: one}
    pending = {one: b"", other: b""}  # what waits to be sent to it
    reading = {one, other}
    for side in peer:
        side.setblocking(False)
    try:
        while reading or any(pending.values()):
            poll = select.poll()
            for side in peer:
                wanted = select.POLLOUT if pending[side] else 0
                wanted |= select.POLLIN if side in reading and not pending[peer[side]] else 0
                if wanted:
                    poll.register(side, wanted)
            ready = dict(poll.poll())
            for side in peer:
                events = ready.get(side.fileno(), 0)
                if events & ~select.POLLIN and pending[side]:
                    pending[side] = pending[side][side.send(pending[side]):]
                if events & ~select.POLLOUT and side in reading and not pending[peer[side]]:
                    pending[peer[side]] = side.recv(262144)
                    if not pending[peer[side]]:
                        reading.remove(side)
                        peer[side].shutdown(socket.SHUT_WR)
    except OSError:
        for side in peer:
            reset(side)
    finally:
        other.close()


def reset(connection):
    """Close so that the peer gets a RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


# Scripts that let the tunnel come about, each with an odd head.

def tunnel_after(*pieces, pause=0.02):
    """Send pieces, each in a packet of its own, and then be a tunnel."""
    def script(client, head, proxy):
        server = dial(head)
        for piece in pieces:
            client.sendall(piece)
            time.sleep(pause)
        pump(client, server)
    return script


def tunnel_byte_by_byte(client, head, proxy):
    server = dial(head)
    for byte in b"HTTP/1.1 200 Connection established\r\nX-Slow: yes\r\n\r\n":
        client.sendall(bytes([byte]))
        time.sleep(0.002)
    pump(client, server)


def tunnel_with_first_bytes(client, head, proxy):
    """The server speaks first: its words come in the packet that holds the head."""
    server = dial(head)
    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + server.recv(65536))
    pump(client, server)


OK = b"HTTP/1.1 200 Connection established\r\n\r\n"

TUNNELS = {
    "plain": tunnel_after(OK),
    "100-first": tunnel_after(b"HTTP/1.1 100 Continue\r\n\r\n", OK),
    "103-first": tunnel_after(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", OK),
    "100-and-200-in-one-packet": tunnel_after(b"HTTP/1.1 100 Continue\r\n\r\n" + OK),
    "several-1xx": tunnel_after(b"HTTP/1.1 102 Processing\r\n\r\n" * 3, OK),
    "byte-by-byte": tunnel_byte_by_byte,
    "extra-fields": tunnel_after(b"HTTP/1.1 200 OK\r\nProxy-Agent: x/1\r\nVia: 1.1 x\r\n"
                                 b"X-Long: " + b"x" * 4000 + b"\r\n\r\n"),
    "no-reason": tunnel_after(b"HTTP/1.1 200\r\n\r\n"),
    "no-reason-but-space": tunnel_after(b"HTTP/1.1 200 \r\n\r\n"),
    "http-1.0": tunnel_after(b"HTTP/1.0 200 OK\r\n\r\n"),
    "lf-only": tunnel_after(b"HTTP/1.1 200 OK\nVia: 1.1 x\n\n"),
    "content-length": tunnel_after(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
    "transfer-encoding": tunnel_after(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "204": tunnel_after(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "first-bytes-with-head": tunnel_with_first_bytes,
}


# Scripts that refuse or fail.

def refuse(status, reason, body, *fields):
    def script(client, head, proxy):
        lines = [f"HTTP/1.1 {status} {reason}", *fields, f"Content-Length: {len(body)}", "", ""]
        client.sendall("\r\n".join(lines).encode() + body)
        # The client decides what becomes of the connection.
        while client.recv(4096):
            pass
    return script


def send_and_close(data):
    def script(client, head, proxy):
        if data:
            client.sendall(data)
    return script


def reset_at_once(client, head, proxy):
    reset(client)


def close_at_once(client, head, proxy):
    pass


def reset_after_head(client, head, proxy):
    reset(client)


def black_hole(client, head, proxy):
    proxy.stopping.wait(60)


def endless_head(client, head, proxy):
    client.sendall(b"HTTP/1.1 200 OK\r\n")
    while not proxy.stopping.is_set():
        client.sendall(b"X-Field: " + b"x" * 1000 + b"\r\n")


for blind_script in (reset_at_once, close_at_once):
    blind_script.blind = True

LOGIN_PAGE = b"<html><body>Please log in to the tests' proxy.</body></html>"
BLOCK_PAGE = b"<html><body>Blocked: category games.</body></html>"

challenge_407 = refuse(407, "Proxy Authentication Required", LOGIN_PAGE, "Content-Type: text/html",
                       'Proxy-Authenticate: Basic realm="tests"')
page_403 = refuse(403, "Forbidden", BLOCK_PAGE, "Content-Type: text/html")

# name: (script, the status a client may be shown)
FAULTS = {
    "close-at-once": (close_at_once, {502}),
    "close-after-head": (send_and_close(b""), {502}),
    "close-inside-head": (send_and_close(b"HTTP/1.1 200 OK\r\nVia: "), {502}),
    "reset-at-once": (reset_at_once, {502}),
    "reset-after-head": (reset_after_head, {502}),
    "not-http": (send_and_close(b"220 mail.example ESMTP\r\n\r\n"), {502}),
    "http-2-status-line": (send_and_close(b"HTTP/2 200\r\n\r\n"), {502}),
    "endless-head": (endless_head, {502}),
    "301": (refuse(301, "Moved", b"", "Location: http://login.example/"), {502}),
    "403": (page_403, {403, 502}),
    "407": (challenge_407, {407}),
    "407-unframed": (send_and_close(b"HTTP/1.0 407 Proxy Authentication Required\r\n"
                                    b"Proxy-Authenticate: basic realm=\"x\"\r\n\r\n" + LOGIN_PAGE),
                     {407}),
    "407-chunked": (send_and_close(b"HTTP/1.1 407 Proxy Authentication Required\r\n"
                                   b"Proxy-Authenticate: Basic realm=\"x\"\r\n"
                                   b"Transfer-Encoding: chunked\r\n\r\n"
                                   b"4\r\nPlea\r\n3\r\nse \r\n0\r\n\r\n"), {407}),
    "502": (refuse(502, "Bad Gateway", b"no route to origin\n"), {502}),
    "503": (refuse(503, "Service Unavailable", b"busy\n"), {503, 502}),
}


def to_loopback(client, head, _proxy):
    """A ScriptedProxy for which every name leads here."""
    with socket.create_connection(("127.0.0.1", int(head.split(b" ")[1].rpartition(b":")[2]))) as server:
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        pump(client, server)
