"""curl and Node.js against local servers, with results that must be equal. Used by run.py."""
import http.server
import json
import os
import re
import shutil
import socket
import ssl
import struct
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "index"))

import certs as certs_module  # noqa: E402

CURL_SAYS = "%{exitcode} %{http_code} %{num_connects} %{num_redirects} %{size_download} %{size_upload} %{remote_ip} " \
            "%{remote_port} %{local_ip} %{ssl_verify_result} %{errormsg}\n"
BODY = bytes(range(256)) * 400


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def send(self, body, status=200, **headers):
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        what = self.path.split("/")[-1]
        if what == "redirect":
            self.send(b"", 302, Location="/body")
        elif what == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
        elif what == "cut":
            self.send(b"short", **{"Content-Length": 100, "Connection": "close"})
            self.close_connection = True
        elif what == "slow":
            time.sleep(1.5)
            self.send(b"late")
        elif what == "chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
        elif what == "empty":
            self.close_connection = True
        elif what == "404":
            self.send(b"no", 404)
        else:
            self.send(BODY)

    do_HEAD = do_GET

    def do_POST(self):
        self.send(b"%d" % len(self.rfile.read(int(self.headers["Content-Length"]))))

    do_PUT = do_POST


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Clients that break off are what some cases are about."""


class Server6(Server):
    address_family = socket.AF_INET6


class Curl:
    """Each case is one invocation; its result is what curl printed of itself (CURL_SAYS) and the body's length."""

    def prepare(self, lab, user):
        certs = certs_module.make(lab / "certs-curl")
        self.ca = certs.ca
        os.chmod(certs.dir, 0o755)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certs.cert, certs.key)
        self.servers = [Server(("127.0.0.1", 0), Answer), Server6(("::1", 0), Answer),
                        Server(("127.0.0.1", 0), Answer)]
        tls = self.servers[2]
        tls.socket = context.wrap_socket(tls.socket, server_side=True, do_handshake_on_connect=False)
        for server in self.servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()
        # Nobody accepts here, and the queue is full: a SYN is not answered.
        self.silent = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.fillers = [self.filler(self.silent.getsockname()) for _ in range(4)]
        with socket.create_server(("127.0.0.1", 0)) as unused:
            self.closed = unused.getsockname()[1]
        (lab / "upload").write_bytes(BODY)
        self.upload = lab / "upload"

    @staticmethod
    def filler(address):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(address)
        return filler

    def clear(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()
        for left in (self.silent, *self.fillers):
            left.close()

    @staticmethod
    def tested_nothing(results):
        return not any(result.startswith("exit 0:") for result in results.values())

    def cases(self):
        plain, six, tls = (server.server_address[1] for server in self.servers)
        at, at6, secure = f"http://127.0.0.1:{plain}", f"http://[::1]:{six}", f"https://localhost:{tls}"
        trust = ["--cacert", self.ca]
        silent = f"http://127.0.0.1:{self.silent.getsockname()[1]}/"
        return {
            "get": [f"{at}/body"],
            "head": ["-I", f"{at}/body"],
            "get 404": [f"{at}/404"],
            "fail on 404": ["-f", f"{at}/404"],
            "post": ["-d", "x" * 5000, f"{at}/post"],
            "post, expect 100": ["-H", "Expect: 100-continue", "--data-binary", f"@{self.upload}", f"{at}/post"],
            "put a file": ["-T", self.upload, f"{at}/put"],
            "redirect": ["-L", f"{at}/redirect"],
            "chunked": [f"{at}/chunked"],
            "range": ["-r", "0-9", f"{at}/body"],
            "http 1.0": ["-0", f"{at}/body"],
            "three on one connection": [f"{at}/body", f"{at}/404", f"{at}/chunked"],
            "twenty in parallel": ["-Z", *[f"{at}/body"] * 20],
            "parallel at once": ["-Z", "--parallel-immediate", *[f"{at}/body", f"{at}/404"] * 5],
            "IPv6": [f"{at6}/body"],
            "name with -4": ["-4", f"http://localhost:{plain}/body"],
            "name with refused IPv6 first": [f"http://localhost:{plain}/body"],
            "resolve": ["--resolve", f"made.example:{plain}:127.0.0.1", f"http://made.example:{plain}/body"],
            "resolve to a refused and a good one": ["--resolve", f"made.example:{six}:127.0.0.1,[::1]",
                                                    f"http://made.example:{six}/body"],
            "connect-to": ["--connect-to", f"made.example:80:127.0.0.1:{plain}", "http://made.example/body"],
            "as a proxy": ["-x", at, "http://made.example/body"],
            "proxy that refuses": ["-x", f"http://127.0.0.1:{self.closed}", "http://made.example/body"],
            "tunnel that is not supported": ["-p", "-x", at, "http://made.example/body"],
            "refused": [f"http://127.0.0.1:{self.closed}/"],
            "refused, retried": ["--retry", "1", "--retry-delay", "1", "--retry-connrefused",
                                 f"http://127.0.0.1:{self.closed}/"],
            "refused, telnet": [f"telnet://127.0.0.1:{self.closed}/"],
            "no such name": ["http://no-such-name.invalid/"],
            "connect timeout": ["--connect-timeout", "1", silent],
            "time out while connecting": ["-m", "1", silent],
            "time out after connecting": ["-m", "1", f"{at}/slow"],
            "slow": [f"{at}/slow"],
            "reset": [f"{at}/reset"],
            "cut off": [f"{at}/cut"],
            "empty reply": [f"{at}/empty"],
            "bound to an address": ["--interface", "host!127.0.0.1", f"{at}/body"],
            "bound to an address that is not ours": ["--interface", "host!192.0.2.1", f"{at}/body"],
            "bound to a device": ["--interface", "if!lo", f"{at}/body"],
            "fast open": ["--tcp-fastopen", f"{at}/body"],
            "no delay, keepalive": ["--tcp-nodelay", "--keepalive-time", "5", f"{at}/body"],
            "https": [*trust, f"{secure}/body"],
            "https by address": [*trust, f"https://127.0.0.1:{tls}/body"],
            "https, unknown authority": [f"{secure}/body"],
            "https, not verified": ["-k", f"{secure}/body"],
            "https, wrong name": [*trust, "--resolve", f"made.example:{tls}:127.0.0.1", f"https://made.example:{tls}/"],
            "https, TLS 1.2": [*trust, "--tls-max", "1.2", f"{secure}/body"],
            "https, parallel": [*trust, "-Z", *[f"{secure}/body"] * 8],
            "https, HTTP/2 offered": [*trust, "--http2", f"{secure}/body"],
            "https, reset": [*trust, f"{secure}/reset"],
            "https to a plain port": [*trust, f"https://127.0.0.1:{plain}/"],
            "plain to an https port": [f"http://127.0.0.1:{tls}/"],
        }

    def run(self, side, only=()):
        results = {}
        for name, arguments in self.cases().items():
            if only and name not in only:
                continue
            # With -Z the transfers end in any order, so the lines are sorted.
            outputs = [part for argument in arguments if str(argument).startswith(("http", "telnet"))
                       for part in ("-o", "/dev/null")]
            says = CURL_SAYS
            if "-Z" in arguments:  # how many connections there are is a matter of timing
                says = says.replace("%{num_connects} ", "")
            status, out, err = side.run(["curl", "-q", "-sS", "-w", says, *outputs, *arguments], 60,
                                        NO_PROXY="" if "-x" in arguments else "*")
            said = [steady(line) for line in err.splitlines() if line.startswith("curl:")]
            results[name] = f"exit {status}: " + " / ".join(sorted(steady(line) for line in out.splitlines()) + said)
        return results


def steady(line):
    """Without the milliseconds that curl puts in its messages."""
    return re.sub(r"after \d+ m", "after T m", line)


class Node:
    """clients.js prints one JSON object per case; it is its own server."""

    def prepare(self, lab, user):
        certs = certs_module.make(lab / "certs-node")
        os.chmod(certs.dir, 0o755)
        os.chmod(certs.key, 0o644)
        self.certs, self.script = certs, lab / "clients.js"
        shutil.copy(HERE / "clients.js", self.script)
        self.script.chmod(0o644)

    def clear(self):
        pass

    @staticmethod
    def tested_nothing(results):
        return results.get("exit status") != "0"

    def run(self, side, only=()):
        status, out, err = side.run(["node", self.script, self.certs.ca, self.certs.cert, self.certs.key, *only], 180)
        (side.directory / "node.log").write_text(f"{out}\n-- stderr\n{err}")
        results = {"exit status": str(status)}
        for line in out.splitlines():
            case = json.loads(line)
            results[case["name"]] = case["result"]
        return {name: result for name, result in results.items() if not only or name in only}


def suites():
    return {"curl": Curl(), "node": Node()}
