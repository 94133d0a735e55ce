"""`tapline relay --admin`: /healthz, and /metrics whose text is checked as Prometheus reads it and whose numbers are
compared with what was done."""

import re
import signal
import socket
import stat

import pytest

from origins import RawServer, free_port, receive_all, receive_exactly, wait_listening
from proxies import TUNNELS, ScriptedProxy, refuse, reset
from relays import Relay, connect_head, eventually, read_answer, read_answer_head

SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{([^}]*)\})? (\S+)')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"')


def echo(connection):
    while data := connection.recv(65536):
        connection.sendall(data)


class Admin:
    def __init__(self, sandbox):
        self.port, self.there = free_port(), False
        self.options = ("--admin", f"127.0.0.1:{self.port}")

    def dial(self):
        if not self.there:
            wait_listening(self.port)  # it is opened after the one that Relay waits for
            self.there = True
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def ask(self, target, method="GET"):
        with self.dial() as connection:
            connection.sendall(f"{method} {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            return read_answer(connection)

    def metrics(self):
        answer = self.ask("/metrics")
        assert answer.status == 200
        assert answer.fields["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        return parse(answer.body.decode())


def parse(text):
    """{name{labels}: value}, after a check of what promtool would complain of."""
    assert text.endswith("\n")
    help_of, type_of, values, last = {}, {}, {}, None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            _, _, name, words = line.split(" ", 3)
            assert name not in help_of and words, line
            help_of[name] = words
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name in help_of and name not in type_of and kind in ("counter", "gauge"), line
            assert (kind == "counter") == name.endswith("_total"), line
            type_of[name] = kind
            last = name
        else:
            match = SAMPLE.fullmatch(line)
            assert match and match[1] == last, f"a sample away from its family: {line}"
            labels = match[2] or ""
            assert ",".join(f'{n}="{v}"' for n, v in LABEL.findall(labels)) == labels, line
            assert f"{match[1]}{{{labels}}}" not in values, line
            values[f"{match[1]}{{{labels}}}"] = float(match[3])
            assert float(match[3]) >= 0
    assert set(help_of) == set(type_of)
    return values


@pytest.fixture
def admin(sandbox):
    return Admin(sandbox)


def test_health(sandbox, admin):
    with RawServer(echo) as server, Relay(sandbox, "--drain", "10", *admin.options) as relay:
        assert (admin.ask("/healthz").status, admin.ask("/healthz").body) == (200, b"ok\n")
        with relay.tunnel(f"127.0.0.1:{server.port}"):
            relay.process.popen.send_signal(signal.SIGTERM)
            eventually(lambda: admin.ask("/healthz").status == 503)
            assert admin.metrics()["tapline_draining{}"] == 1
        assert relay.process.wait(5).returncode == 0
        relay.events = []


def test_numbers_of_what_was_done(sandbox, admin):
    with RawServer(echo) as server, Relay(sandbox, *admin.options) as relay:
        before = admin.metrics()
        target = f"127.0.0.1:{server.port}"
        with relay.tunnel(target) as one, relay.tunnel(target) as other:
            one.sendall(b"x" * 1000)
            receive_exactly(one, 1000)
            now = admin.metrics()
            assert now['tapline_connections_open{state="tunnel"}'] == 2
            assert now['tapline_connections_total{kind="connect"}'] - before['tapline_connections_total{kind="connect"}'] == 2
            assert now['tapline_bytes_total{direction="client_to_server"}'] == 1000
            other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            other.close()
            eventually(lambda: admin.metrics()['tapline_connections_open{state="tunnel"}'] == 1)
        assert relay.ask(connect_head(f"127.0.0.1:{free_port()}")).status == 502
        with relay.dial() as client:
            client.sendall(b"\x04\x01" + server.port.to_bytes(2, "big") + b"\x7f\0\0\x01\0")
            receive_exactly(client, 8)
            eventually(lambda: admin.metrics()['tapline_connections_open{state="tunnel"}'] == 1)
        eventually(lambda: admin.metrics()['tapline_connections_open{state="tunnel"}'] == 0)
        now = admin.metrics()
    assert now['tapline_dials_total{via="direct",result="connected"}'] == 3
    assert now['tapline_dials_total{via="direct",result="refused"}'] == 1
    assert now['tapline_connections_closed_total{kind="connect",how="eof"}'] == 1
    assert now['tapline_connections_closed_total{kind="connect",how="reset"}'] == 1
    assert now['tapline_connections_closed_total{kind="connect",how="refused"}'] == 1
    assert now['tapline_connections_closed_total{kind="socks",how="eof"}'] == 1
    assert now['tapline_bytes_total{direction="server_to_client"}'] == 1000
    assert set(now) == set(before), "a family that appears only later would be missed"


def test_numbers_of_a_proxy(sandbox, admin):
    with ScriptedProxy(refuse(403, "No", b"no")) as proxy, Relay(sandbox, "--upstream", proxy.url, *admin.options) as relay:
        assert relay.ask(connect_head("index.example:443")).status == 403
        assert admin.metrics()['tapline_dials_total{via="proxy",result="proxy_refused"}'] == 1
    with Relay(sandbox, "--upstream", f"http://127.0.0.1:{free_port()}", *admin.options) as relay:
        assert relay.ask(connect_head("index.example:443")).status == 502
        assert admin.metrics()['tapline_dials_total{via="proxy",result="refused"}'] == 1


def test_the_process_is_measured(sandbox, admin):
    with RawServer(echo) as server, Relay(sandbox, *admin.options) as relay:
        idle = admin.metrics()
        clients = [relay.tunnel(f"127.0.0.1:{server.port}") for _ in range(10)]
        busy = admin.metrics()
        pipes = busy["tapline_pipes{}"] - idle["tapline_pipes{}"]
        assert busy["process_open_fds{}"] - idle["process_open_fds{}"] == 20 + 2 * pipes
        assert busy["process_max_fds{}"] >= 1024
        assert abs(busy["process_resident_memory_bytes{}"] - relay.resident_bytes()) < 4 << 20
        for client in clients:
            client.close()
        eventually(lambda: admin.metrics()["process_open_fds{}"] <= idle["process_open_fds{}"] + 2 * pipes)


def test_refused_clients_are_counted(sandbox, admin):
    logins = sandbox.user.make_file(sandbox.tmp / "logins", "me:secret\n", 0o600)
    with Relay(sandbox, "--auth-file", logins, *admin.options) as relay:
        for _ in range(3):
            relay.ask(connect_head("127.0.0.1:1", "1.1", "Proxy-Authorization: Basic eDp5"))
        assert admin.metrics()['tapline_clients_refused_total{reason="login"}'] == 3
        assert admin.ask("/healthz").status == 200, "no login is asked for here"


@pytest.mark.parametrize("method, target, status", [
    ("GET", "/", 404), ("GET", "/metrics?x", 404), ("POST", "/metrics", 405), ("CONNECT", "127.0.0.1:1", 405)])
def test_other_requests(sandbox, admin, method, target, status):
    with Relay(sandbox, *admin.options):
        assert admin.ask(target, method).status == status


def test_head_has_no_body(sandbox, admin):
    with Relay(sandbox, *admin.options), admin.dial() as connection:
        connection.sendall(b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert receive_all(connection).endswith(b"\r\n\r\n")


def test_clients_that_waste_its_time(sandbox, admin):
    """Silent ones, broken ones and too many: the relay goes on, and so does the next who asks in order."""
    with Relay(sandbox, *admin.options) as relay:
        silent = [admin.dial() for _ in range(10)]
        broken = admin.dial()
        broken.sendall(b"GET /metrics HTTP/1.1\r\n")
        reset(broken)
        with admin.dial() as garbage:
            garbage.sendall(b"\x16\x03\x01\r\n\r\n")
            assert read_answer(garbage).status == 400
        with admin.dial() as long:
            long.sendall(b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 4090)
            assert read_answer_head(long).status == 431
        assert admin.metrics()
        crowd = [admin.dial() for _ in range(20)]
        for connection in silent + crowd:
            connection.close()
        eventually(lambda: answers(admin))
        assert relay.process.popen.poll() is None


def answers(admin):
    try:
        return admin.ask("/healthz").status == 200
    except (OSError, AssertionError):
        return False


def connects(path):
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(str(path)) == 0


def test_a_unix_socket(sandbox):
    path = sandbox.tmp / "admin"
    with Relay(sandbox, "--admin", f"unix:{path}"):
        eventually(lambda: path.exists() and connects(path))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            assert read_answer(connection).body == b"ok\n"
    assert not path.exists()


@pytest.mark.parametrize("where, status", [("0.0.0.0:{port}", 2), ("nonsense", 2), ("127.0.0.1:99999", 2)])
def test_bad_addresses(sandbox, where, status):
    where = where.format(port=free_port())
    done = sandbox.run([sandbox.program(), "relay", "--socket", sandbox.tmp / "x.sock", "--admin", where])
    assert done.returncode == status and f"--admin {where}" in done.stderr, done
