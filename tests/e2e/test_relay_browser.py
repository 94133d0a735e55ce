"""A browser behind the relay: Chromium loads a page with its parts, told of the relay as of its proxy. What it would say
to anybody but this machine ends at a proxy that is not there."""

import base64
import hashlib
import http.server
import ssl
import subprocess
import threading

import pytest

from origins import free_port
from relays import Relay

PARTS = {"/": ("text/html", b"<!doctype html><title>waiting</title><link rel=stylesheet href=/style.css><p id=p>waiting</p>"
                            b"<script src=/code.js></script>"),
         "/style.css": ("text/css", b"p { color: rgb(1, 2, 3) }"),
         "/code.js": ("text/javascript", b"const p = document.getElementById('p');\n"
                      b"Promise.all([...Array(20).keys()].map(n => fetch('/data?n=' + n).then(r => r.text())))\n"
                      b".then(all => { p.textContent = all.length + ' parts, ' + getComputedStyle(p).color; });\n"),
         "/data": ("text/plain", b"x" * 10000)}


class Pages:
    """Serves PARTS on loopback, with TLS if there are certificates. seen: the paths that were asked for."""

    def __init__(self, certs=None):
        self.seen = seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                seen.append(self.path)
                kind, body = PARTS.get(self.path.partition("?")[0], ("text/plain", b""))
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"{'https' if certs else 'http'}://localhost:{self.port}/"
        if certs:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certs.cert, certs.key)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def key_digest(certs):
    """What Chromium is to trust: this key and no other, whoever has signed it."""
    key = subprocess.run(["openssl", "x509", "-in", certs.cert, "-noout", "-pubkey"], capture_output=True, check=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=key, capture_output=True, check=True).stdout
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


def chromium(sandbox, proxy, url, *options):
    """The page's DOM once its script has done its work."""
    profile = sandbox.tmp / "chromium"
    quiet = ["background-networking", "component-update", "sync", "default-apps", "extensions", "domain-reliability",
             "client-side-phishing-detection", "quic", "gpu", "dev-shm-usage"]
    done = sandbox.run(["chromium", "--headless", "--no-sandbox", "--no-first-run", *(f"--disable-{what}" for what in quiet),
                        f"--user-data-dir={profile}", f"--proxy-server={proxy}", "--proxy-bypass-list=<-loopback>",
                        "--virtual-time-budget=20000", "--dump-dom", *options, url], timeout=120)
    assert done.returncode == 0, done
    return done.stdout


@pytest.mark.parametrize("scheme", ["http", "socks5"])
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_chromium(sandbox, certs, scheme, tls):
    with Pages(certs if tls else None) as pages, \
            Relay(sandbox, "--upstream", f"http://127.0.0.1:{free_port()}", "--no-proxy", "localhost,127.0.0.1") as relay:
        trust = [f"--ignore-certificate-errors-spki-list={key_digest(certs)}"] if tls else []
        page = chromium(sandbox, relay.url.replace("http", scheme), pages.url, *trust)
        assert "20 parts, rgb(1, 2, 3)" in page, page
        relay.stop()
    assert {"/", "/style.css", "/code.js", *(f"/data?n={n}" for n in range(20))} <= set(pages.seen)
    kind = "socks" if scheme == "socks5" else "connect" if tls else "http"
    assert relay.of("connect", kind=kind, name="localhost", port=pages.port), relay.events
    if kind == "http":
        assert len(relay.of("http.body", complete=True)) >= 23
        assert len(relay.of("connect", kind="http", port=pages.port)) <= 8, "a browser's connections are kept"
