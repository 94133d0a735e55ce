#!/usr/bin/python3
"""A package index on loopback over TLS: PEP 503/691/658 for Python, an npm registry, and plain endpoints.

Every request is appended, before it is answered, to a JSON Lines file ("served.jsonl"), so that a test can compare
what was served with what tapline recorded. Standard library only. Use the class Index from a fixture, or run:

    python3 tests/index/index.py --port 0 --dir DIR        prints {"port": N, "url": "...", "ca": "..."}

    /simple/  /simple/NAME/  /files/NAME     Python
    /npm/NAME  /npm/NAME/-/FILE.tgz          npm
    /echo                                    the request as JSON
    /bytes/N[?chunked=1][&fresh=1]           N bytes; cacheable unless fresh
    /slow/N?rate=BYTES_PER_SECOND            N bytes, dripped
    /wait/SECONDS                            an answer after that long
    /redirect/N[?to=PATH]                    N redirects, then PATH (default /echo)
    /status/N                                that status
    /tree/PATH                               the file PATH of the directory tree (its attribute), if it has one
    /git/NAME.git/...                        the git repository NAME.git there, over git's smart protocol
"""
import argparse
import email.utils
import hashlib
import json
import socket
import ssl
import sys
import threading
import time
import urllib.parse
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import certs as certs_module  # noqa: E402
import git  # noqa: E402
import packages  # noqa: E402

HTML = "text/html; charset=utf-8"
SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"
STARTED = email.utils.formatdate(packages.EPOCH_SECONDS, usegmt=True)
_builds = threading.Lock()
_projects = {}


def _catalogue():
    """The packages are built once per process and shared by all servers."""
    with _builds:
        if not _projects:
            _projects["python"] = packages.python_projects()
            _projects["npm"] = packages.npm_packages()
            _projects["files"] = {f.name: f for fs in _projects["python"].values() for f in fs}
    return _projects


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "index"
    timeout = 60
    disable_nagle_algorithm = True
    wbufsize = -1  # heads and small bodies leave in one write

    def setup(self):
        # The handshake happens here, in the connection's own thread, not in accept().
        self.request.settimeout(self.timeout)
        if self.server.tls:
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    def finish(self):
        try:
            super().finish()
        finally:
            self.request.close()

    def log_message(self, format, *args):
        pass

    # -- answering

    def _answer(self, status, body=b"", headers=(), kind="application/octet-stream"):
        """Log, then send a complete answer. A matching If-None-Match makes it 304, a Range 206."""
        headers = dict(headers)
        etag = headers.get("ETag")
        if status == 200 and etag and etag in self.headers.get("If-None-Match", ""):
            status, body = 304, b""
        if status == 200 and headers.get("Accept-Ranges") and self.headers.get("Range"):
            status, body = self._range(body, headers)
        self._start(status)
        self.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status not in (204, 304):
            self.wfile.write(body)
        self.wfile.flush()

    def _start(self, status):
        self.server.index._log(self, status)
        self.send_response(status)

    def _range(self, body, headers):
        first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
        total = len(body)
        if first:
            start, end = int(first), min(int(last or total), total - 1)
        else:
            start, end = max(total - int(last), 0), total - 1
        if start > end:
            headers["Content-Range"] = f"bytes */{total}"
            return 416, b""
        headers["Content-Range"] = f"bytes {start}-{end}/{total}"
        return 206, body[start:end + 1]

    def _cached(self, body, kind, seconds=600, **more):
        etag = '"' + hashlib.sha256(body).hexdigest()[:32] + '"'
        self._answer(200, body, {"ETag": etag, "Cache-Control": f"max-age={seconds}", "Last-Modified": STARTED,
                                 **more}, kind)

    def _json(self, value, status=200):
        self._answer(status, json.dumps(value).encode(), {"Cache-Control": "no-store"}, "application/json")

    # -- requests

    def _handle(self):
        self.body = self._read_body()
        self.url = urllib.parse.urlsplit(self.path)
        self.query = dict(urllib.parse.parse_qsl(self.url.query))
        if (file := self.server.index.files.get(urllib.parse.unquote(self.url.path))) is not None:
            return self._answer(200, file, kind="application/octet-stream")
        parts = [urllib.parse.unquote(p) for p in self.url.path.split("/") if p]
        route = getattr(self, "_get_" + parts[0].replace("-", "_"), None) if parts else None
        if route is None:
            return self._answer(404, b"no such page\n", kind="text/plain")
        try:
            return route(parts[1:])
        except (KeyError, ValueError, IndexError):
            return self._answer(404, b"no such page\n", kind="text/plain")

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _handle

    def _read_body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            data = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return data
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _get_simple(self, parts):
        projects = _catalogue()["python"]
        as_json = SIMPLE_JSON in self.headers.get("Accept", "")
        vary = {"Vary": "Accept"}
        if not parts:
            if as_json:
                page = {"meta": {"api-version": "1.1"}, "projects": [{"name": n} for n in projects]}
                return self._cached(json.dumps(page).encode(), SIMPLE_JSON, **vary)
            links = "".join(f'<a href="/simple/{n}/">{n}</a>\n' for n in projects)
            return self._cached(f"<!DOCTYPE html><html><body>\n{links}</body></html>\n".encode(), HTML, **vary)
        files = projects[parts[0]]
        page, kind = (self._page_json if as_json else self._page_html)(parts[0], files)
        return self._cached(page.encode(), kind, **vary)

    def _page_json(self, name, files):
        rows = [{"filename": f.name, "url": f"/files/{f.name}", "hashes": {"sha256": f.sha256}, "size": len(f.data),
                 "requires-python": ">=3.8", "upload-time": "2024-01-01T00:00:00.000000Z",
                 "core-metadata": {"sha256": hashlib.sha256(f.metadata).hexdigest()} if f.metadata else False}
                for f in files]
        versions = sorted({f.name.removesuffix(".tar.gz").split("-")[1] for f in files})
        return json.dumps({"meta": {"api-version": "1.1"}, "name": name, "versions": versions, "files": rows}), SIMPLE_JSON

    def _page_html(self, name, files):
        links = ""
        for f in files:
            meta = f' data-core-metadata="sha256={hashlib.sha256(f.metadata).hexdigest()}"' if f.metadata else ""
            links += (f'<a href="/files/{f.name}#sha256={f.sha256}" data-requires-python="&gt;=3.8"{meta}>'
                      f"{escape(f.name)}</a>\n")
        return (f'<!DOCTYPE html><html><head><meta name="pypi:repository-version" content="1.1"></head><body>\n'
                f"<h1>{escape(name)}</h1>\n{links}</body></html>\n"), HTML

    def _get_files(self, parts):
        name = parts[0]
        if name.endswith(".metadata"):
            metadata = _catalogue()["files"][name.removesuffix(".metadata")].metadata
            if metadata is None:
                raise KeyError(name)
            return self._cached(metadata, "application/octet-stream")
        return self._cached(_catalogue()["files"][name].data, "application/octet-stream", 31536000,
                            **{"Accept-Ranges": "bytes"})

    def _get_npm(self, parts):
        if parts[0] == "-":  # audit and the like
            return self._json({})
        name = "/".join(parts[:2]) if parts[0].startswith("@") and "/" not in parts[0] else parts[0]
        package = _catalogue()["npm"][name]
        rest = parts[name.count("/") + 1:] if "/" not in parts[0] else parts[1:]
        if rest[:1] == ["-"]:
            return self._cached(package.tarballs[rest[1]], "application/octet-stream", 31536000)
        return self._cached(json.dumps(package.packument(self.server.index.url + "/npm")).encode(),
                            "application/json", 300)

    def _file(self, parts):
        """A path below the index's directory tree; KeyError if there is none."""
        tree = self.server.index.tree
        path = (tree / "/".join(parts)).resolve() if tree else None
        if path is None or not path.is_relative_to(tree.resolve()):
            raise KeyError(parts)
        return path

    def _get_tree(self, parts):
        path = self._file(parts)
        if path.is_dir():
            path /= "index.html"
        if not path.is_file():
            raise KeyError(parts)
        kinds = {".html": HTML, ".json": "application/json"}
        self._cached(path.read_bytes(), kinds.get(path.suffix, "application/octet-stream"))

    def _get_git(self, parts):
        self._file(parts[:1])
        status, fields, body = git.serve(self, self.server.index.tree, "/".join(parts))
        self._answer(status, body, fields, fields.pop("Content-Type", "text/plain"))

    def _get_echo(self, _parts):
        self._json({"method": self.command, "path": self.path, "headers": list(self.headers.items()),
                    "body_len": len(self.body), "body_sha256": hashlib.sha256(self.body).hexdigest()})

    def _get_bytes(self, parts):
        data = pattern(int(parts[0]))
        headers = {"Cache-Control": "no-store"}
        if not self.query.get("fresh"):
            headers = {"Cache-Control": "max-age=600", "ETag": f'"bytes-{parts[0]}"'}
        if not self.query.get("chunked"):
            return self._answer(200, data, headers)
        self._start(200)
        for name, value in {**headers, "Transfer-Encoding": "chunked"}.items():
            self.send_header(name, value)
        self.end_headers()
        for at in range(0, len(data), 10000):
            chunk = data[at:at + 10000]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def _get_slow(self, parts):
        total, rate = int(parts[0]), int(self.query.get("rate", 10000))
        self._start(200)
        self.send_header("Content-Length", str(total))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        data, step = pattern(total), max(rate // 20, 1)
        for at in range(0, total, step):
            self.wfile.write(data[at:at + step])
            self.wfile.flush()
            if self.server.index.stopping.wait(0.05):
                self.close_connection = True
                return

    def _get_wait(self, parts):
        self.server.index.stopping.wait(float(parts[0]))
        self._json({"waited": parts[0]})

    def _get_redirect(self, parts):
        left, to = int(parts[0]), self.query.get("to", "/echo")
        target = to if left <= 1 else f"/redirect/{left - 1}?to={urllib.parse.quote(to)}"
        self._answer(302, b"elsewhere\n", {"Location": target}, "text/plain")

    def _get_login(self, parts):
        """A cookie whose value is the path's, backwards, so that the URL does not hold it; then elsewhere."""
        self._answer(302, b"", {"Set-Cookie": f"session={parts[0][::-1]}; Path=/", "Location": "/echo"}, "text/plain")

    def _get_status(self, parts):
        status = int(parts[0])
        extra = {"Retry-After": "1"} if status in (429, 503) else {}
        self._answer(status, b"" if status in (204, 304) else f"status {status}\n".encode(), extra, "text/plain")


def pattern(length):
    """length bytes that differ by position, the same every time."""
    block = bytes(range(256)) * 16
    return (block * (length // len(block) + 1))[:length]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    block_on_close = False

    def handle_error(self, request, client_address):
        self.index._note_error(sys.exc_info()[1])

    def server_bind(self):
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        super().server_bind()


class _Server6(_Server):
    address_family = socket.AF_INET6


class Index:
    """A running index. host is what clients use in URLs; it listens on 127.0.0.1, and on ::1 with v6=True.

    certs: a certs.Certs, or None for plain http. served() is what it has answered so far: dicts with method, path,
    status, url, connection. errors holds what went wrong on connections (failed handshakes, resets)."""

    def __init__(self, directory, certs, port=0, host="localhost", v6=False):
        self.dir = Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.log_path = self.dir / "served.jsonl"
        self.certs, self.host = certs, host
        self.files = {}  # more to serve: path -> bytes
        self.tree = None  # a directory whose files and repositories are served
        self.stopping = threading.Event()
        self.errors = []
        self._served, self._lock = [], threading.Lock()
        self._log_file = open(self.log_path, "a", buffering=1)
        tls = self._context() if certs else None
        self._servers = [_Server(("127.0.0.1", port), _Handler)]
        self.port = self._servers[0].server_address[1]
        if v6:
            self._servers.append(_Server6(("::1", self.port), _Handler))
        for server in self._servers:
            server.index, server.tls = self, tls
        self.url = f"{'https' if certs else 'http'}://{host}:{self.port}"
        self.ca = str(certs.ca) if certs else None

    def _context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certs.cert, self.certs.key)
        context.set_alpn_protocols(["http/1.1"])
        return context

    def start(self):
        for server in self._servers:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def stop(self):
        self.stopping.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def served(self):
        with self._lock:
            return list(self._served)

    def _log(self, handler, status):
        entry = {"time": time.time(), "method": handler.command, "path": handler.path, "status": status,
                 "url": self.url + handler.path, "connection": handler.client_address[1]}
        if isinstance(handler.request, ssl.SSLSocket):
            entry["tls"] = handler.request.version()
        with self._lock:
            self._served.append(entry)
            self._log_file.write(json.dumps(entry) + "\n")

    def _note_error(self, error):
        with self._lock:
            self.errors.append(repr(error))


def main():
    parser = argparse.ArgumentParser(description="a local package index over TLS")
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--dir", required=True, help="where certificates and served.jsonl go")
    parser.add_argument("--host", default="localhost", help="the name used in URLs")
    parser.add_argument("--v6", action="store_true", help="listen on ::1 too")
    parser.add_argument("--plain", action="store_true", help="http instead of https")
    parser.add_argument("--tree", type=Path, help="serve the files of this directory below /tree/")
    args = parser.parse_args()
    made = None if args.plain else certs_module.make(Path(args.dir) / "certs")
    with Index(args.dir, made, args.port, args.host, args.v6) as index:
        index.tree = args.tree
        print(json.dumps({"port": index.port, "url": index.url, "ca": index.ca}), flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
