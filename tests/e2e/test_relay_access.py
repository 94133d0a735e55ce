"""Who may use `tapline relay`, and where it listens: logins, client addresses, UNIX sockets, and sockets that a
service manager passes."""

import base64
import fcntl
import os
import signal
import socket
import stat
import subprocess

import pytest

from origins import RawServer, free_port, receive_all, receive_exactly, wait_listening
from proxies import TUNNELS, ScriptedProxy
from relays import Relay, connect_head, eventually, read_answer, read_answer_head
from test_relay_socks import reply5, request4, request5


def echo(connection):
    while data := connection.recv(65536):
        connection.sendall(data)


def talk(connection, data=b"hello"):
    connection.sendall(data)
    assert receive_exactly(connection, len(data)) == data


def basic(text):
    return "Proxy-Authorization: Basic " + base64.b64encode(text.encode()).decode()


@pytest.fixture
def logins(sandbox):
    path = sandbox.tmp / "logins"
    path.write_text("# who may\nme:secret:word\nyou:pässword\n")
    path.chmod(0o600)
    sandbox.user.own(path)
    return path


@pytest.fixture
def guarded(sandbox, logins):
    with Relay(sandbox, "--auth-file", logins) as relay:
        yield relay


@pytest.fixture(scope="module")
def own_address():
    """An address of this machine that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for target in ("192.0.2.1", "10.255.255.255"):
            try:
                probe.connect((target, 9))
            except OSError:
                continue
            if not probe.getsockname()[0].startswith("127."):
                return probe.getsockname()[0]
    pytest.fail("this machine has no address besides loopback: ip address add 192.0.2.2/32 dev lo gives one")


# -- logins

@pytest.mark.parametrize("login", ["me:secret:word", "you:pässword"])
def test_a_login_over_http(guarded, login):
    with RawServer(echo) as server, guarded.dial() as client:
        client.sendall(connect_head(f"127.0.0.1:{server.port}", "1.1", basic(login)))
        assert read_answer_head(client).status == 200
        talk(client)


@pytest.mark.parametrize("fields", [
    [], [basic("me:secret:wor")], [basic("me:")], [basic("")], ["Proxy-Authorization: Basic"],
    ["Proxy-Authorization: Bearer bWU6c2VjcmV0OndvcmQ="], ["Authorization: Basic bWU6c2VjcmV0OndvcmQ="]])
def test_no_login_or_a_wrong_one(guarded, fields):
    answer = guarded.ask(connect_head("127.0.0.1:1", "1.1", *fields))
    assert answer.status == 407 and b"user name" in answer.body
    assert answer.fields["proxy-authenticate"].startswith("Basic realm=")
    guarded.stop()
    assert guarded.of("connect") == [] and guarded.of("upstream") == []
    assert bool(guarded.of("relay.note")) == any(f.startswith("Proxy-") for f in fields)


def test_a_client_that_is_asked_for_a_login_keeps_its_connection(guarded, make_index):
    """As a browser does: the first request brings nothing, the next ones come on the same connection."""
    plain = make_index(certs=None)
    get = f"GET {plain.url}/echo HTTP/1.1\r\nHost: {plain.host}\r\n"
    with RawServer(echo) as server, guarded.dial() as client:
        for method in ("GET", "HEAD", "CONNECT"):
            url = f"127.0.0.1:{server.port}" if method == "CONNECT" else f"{plain.url}/echo"
            client.sendall(f"{method} {url} HTTP/1.1\r\nHost: x.example\r\n\r\n".encode())
            answer = read_answer_head(client) if method == "HEAD" else read_answer(client)
            assert answer.status == 407 and "connection" not in answer.fields, (method, answer)
        client.sendall(f"{get}{basic('me:secret:word')}\r\n\r\n".encode())
        assert read_answer(client).status == 200
        client.sendall(f"{get}\r\n".encode())
        assert read_answer(client).status == 407, "the login is of a request, not of the connection"
        client.sendall(connect_head(f"127.0.0.1:{server.port}", "1.1", basic("me:secret:word")))
        assert read_answer_head(client).status == 200
        talk(client)


@pytest.mark.parametrize("head", [
    connect_head("127.0.0.1:1", "1.0"), connect_head("127.0.0.1:1", "1.1", "Connection: close"),
    connect_head("127.0.0.1:1") + b"\x16\x03\x01",
    b"POST http://127.0.0.1:1/ HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nnot all"],
    ids=["http-1.0", "close", "early-bytes", "body"])
def test_a_connection_that_cannot_be_kept_for_the_login(guarded, head):
    with guarded.dial() as client:
        client.sendall(head)
        answer = read_answer(client)
        assert (answer.status, answer.fields["connection"]) == (407, "close")
        assert receive_all(client) == b""


def test_curl_logs_in(guarded, make_index):
    plain = make_index(certs=None)

    def status(proxy, *options):
        done = guarded.sandbox.run(["curl", "-sS", "--max-time", "20", "-o", "/dev/null", "-w", "%{http_code}",
                                    "--proxy", proxy, *options, f"{plain.url}/echo"])
        return done.stdout
    for scheme in ("http", "socks5h"):
        assert status(f"{scheme}://me:secret%3Aword@127.0.0.1:{guarded.port}") == "200"
    assert status(f"http://me:secret%3Aword@127.0.0.1:{guarded.port}", "--proxytunnel") == "200"
    assert status(f"http://me:secret%3Aword@127.0.0.1:{guarded.port}", "--proxy-anyauth", "--proxytunnel") == "200"
    assert status(f"http://127.0.0.1:{guarded.port}") == "407"
    guarded.stop()
    text = guarded.record.read_text()
    assert "secret" not in text and base64.b64encode(b"me:secret:word").decode() not in text


def test_the_login_is_not_passed_on(sandbox, logins, make_index):
    plain = make_index(certs=None)
    with ScriptedProxy(TUNNELS["plain"]) as proxy, Relay(sandbox, "--auth-file", logins, "--upstream", proxy.url) as relay:
        with RawServer(echo) as server, relay.dial() as client:
            client.sendall(connect_head(f"127.0.0.1:{server.port}", "1.1", basic("me:secret:word")))
            assert read_answer_head(client).status == 200
        assert b"authorization" not in proxy.heads[0].lower()
    with Relay(sandbox, "--auth-file", logins) as relay:
        done = sandbox.run(["curl", "-sS", "--max-time", "20", "--proxy", f"http://me:secret%3Aword@127.0.0.1:{relay.port}",
                            f"{plain.url}/echo"])
        assert '"path": "/echo"' in done.stdout and "uthorization" not in done.stdout, done


def test_a_login_over_socks5(guarded):
    with RawServer(echo) as server:
        for login, good in ((b"\x01\x02me\x0bsecret:word", True), (b"\x01\x02me\x06secret", False), (b"\x01\x00\x00", False)):
            with guarded.dial() as client:
                client.sendall(b"\x05\x02\x00\x02")
                assert receive_exactly(client, 2) == b"\x05\x02", "a login is asked for"
                client.sendall(login)
                if not good:
                    assert receive_all(client) == b"\x01\x01"
                    continue
                assert receive_exactly(client, 2) == b"\x01\x00"
                client.sendall(request5("127.0.0.1", server.port))
                assert reply5(client) == 0
                talk(client)


def test_socks_without_a_login_is_refused(guarded):
    with guarded.dial() as client:
        client.sendall(b"\x05\x01\x00")
        assert receive_all(client) == b"\x05\xff"
    with guarded.dial() as client:
        client.sendall(request4(80))
        assert receive_all(client) == b"\x00\x5b" + bytes(6)


def test_the_password_is_in_no_process_listing(guarded):
    with open(f"/proc/{guarded.process.pid}/cmdline", "rb") as file:
        assert b"secret" not in file.read()


@pytest.mark.parametrize("text, problem", [(None, "No such file"), ("me\n", ":1: "), ("", "no USER:PASSWORD")])
def test_a_bad_file_of_logins(sandbox, text, problem):
    path = sandbox.tmp / "bad-logins"
    if text is not None:
        path.write_text(text)
    done = sandbox.run([sandbox.program(), "relay", "--listen", f"127.0.0.1:{free_port()}", "--auth-file", path])
    assert done.returncode == 2 and problem in done.stderr and "--auth-file" in done.stderr, done


# -- client addresses

def test_beyond_loopback_only_with_a_rule(sandbox):
    done = sandbox.run([sandbox.program(), "relay", "--listen", f"0.0.0.0:{free_port()}"])
    assert done.returncode == 2, done
    assert "--auth-file" in done.stderr and "--allow" in done.stderr and "unix:" in done.stderr, done


@pytest.mark.parametrize("listed", [True, False])
def test_allowed_addresses(sandbox, own_address, listed):
    allow = f"{own_address}/32" if listed else "203.0.113.0/24"
    port = free_port("0.0.0.0")
    with Relay(sandbox, "--listen", f"0.0.0.0:{port}", "--allow", allow) as relay, RawServer(echo) as server:
        for address, served in (("127.0.0.1", True), (own_address, listed)):
            try:  # one who is turned away may see that in connect(2), in send(2) or in recv(2)
                with socket.create_connection((address, port), timeout=10, source_address=(address, 0)) as client:
                    client.sendall(connect_head(f"127.0.0.1:{server.port}"))
                    assert read_answer_head(client).status == 200
                    assert served
                    talk(client)
            except (ConnectionError, AssertionError):
                assert not served
        done = relay.stop()
    assert "warning" in done.stderr and "other machines" in done.stderr
    assert [e["note"] for e in relay.of("relay.note") if own_address in e["note"]] == \
        ([] if listed else [f"a client at {own_address} was turned away: it is not on the list of --allow"])


def test_a_bad_list_of_addresses(sandbox):
    done = sandbox.run([sandbox.program(), "relay", "--allow", "10.0.0.0/99"])
    assert done.returncode == 2 and "10.0.0.0/99" in done.stderr, done


# -- UNIX sockets

def dial_unix(path):
    """The relay opens its sockets one after the other: this one may be the last."""
    def connected():
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(20)
        try:
            client.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            client.close()
            return False
        found.append(client)
        return True
    found = []
    eventually(connected)
    return found[0]


def test_a_unix_socket(sandbox, make_index):
    path, plain = sandbox.tmp / "relay-http", make_index(certs=None)
    with Relay(sandbox, "--listen", f"unix:{path}") as relay:
        dial_unix(path).close()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        received = []

        def serve(connection):
            received.append(receive_all(connection))
            connection.sendall(b"x" * 3_000_000)
        with RawServer(serve) as server, dial_unix(path) as client:
            client.sendall(connect_head(f"127.0.0.1:{server.port}") + b"early ")
            assert read_answer_head(client).status == 200
            client.sendall(b"late")
            client.shutdown(socket.SHUT_WR)
            assert len(receive_all(client)) == 3_000_000
        assert received == [b"early late"]
        with RawServer(echo) as server, dial_unix(path) as client:
            client.sendall(b"\x05\x01\x00" + request5("127.0.0.1", server.port))
            assert receive_exactly(client, 2) == b"\x05\x00" and reply5(client) == 0
            talk(client)
        relay.stop()
    assert not path.exists()
    assert len(relay.of("flow.close", how="eof")) >= 2


def test_a_unix_socket_needs_no_login(sandbox, logins):
    path = sandbox.tmp / "relay-http"
    with Relay(sandbox, "--listen", f"unix:{path}", "--auth-file", logins), RawServer(echo) as server, dial_unix(path) as client:
        client.sendall(connect_head(f"127.0.0.1:{server.port}"))
        assert read_answer_head(client).status == 200


def test_a_unix_client_that_no_longer_takes_anything(sandbox):
    """The other side's bytes are read and dropped on a UNIX socket too."""
    path = sandbox.tmp / "relay-http"

    def serve(connection):
        connection.sendall(b"bye")
        connection.shutdown(socket.SHUT_WR)
        connection.close()
    with Relay(sandbox, "--listen", f"unix:{path}") as relay, RawServer(serve) as server, dial_unix(path) as client:
        client.sendall(connect_head(f"127.0.0.1:{server.port}"))
        assert read_answer_head(client).status == 200
        try:
            for _ in range(200):
                client.sendall(b"x" * 65536)
        except OSError:
            pass
        client.close()
        eventually(lambda: b"flow.close" in relay.record.read_bytes())


def test_a_socket_that_was_left_behind_is_replaced(sandbox):
    path = sandbox.tmp / "relay-http"
    with Relay(sandbox, "--listen", f"unix:{path}") as relay:
        relay.process.popen.send_signal(signal.SIGKILL)
        relay.process.wait(5)
        relay.events = []
    assert path.exists()
    with Relay(sandbox, "--listen", f"unix:{path}") as relay:
        dial_unix(path).close()
        done = sandbox.run([sandbox.program(), "relay", "--listen", f"unix:{path}", "--socket", sandbox.tmp / "other"])
        assert done.returncode == 1 and "in use" in done.stderr, "one that is served is not taken"
    path.write_text("a file")
    done = sandbox.run([sandbox.program(), "relay", "--listen", f"unix:{path}", "--socket", sandbox.tmp / "other"])
    assert done.returncode == 1 and path.read_text() == "a file", done


def test_a_path_that_is_too_long(sandbox):
    done = sandbox.run([sandbox.program(), "relay", "--listen", "unix:/tmp/" + "x" * 200])
    assert done.returncode == 1 and "too long" in done.stderr, done


# -- socket activation

def start_activated(sandbox, sockets, *options, names=None, count=None):
    """tapline relay as systemd starts it: descriptors from 3 on, LISTEN_PID its own."""
    # Free numbers, above those that the shell gives away: fixed ones may be somebody else's in this process.
    copies = [fcntl.fcntl(passed.fileno(), fcntl.F_DUPFD_CLOEXEC, 200) for passed in sockets]
    moves = " ".join(f"{3 + n}<&{copy} {copy}<&-" for n, copy in enumerate(copies))
    script = f'LISTEN_PID=$$ exec {sandbox.program()} relay --socket {sandbox.tmp}/c.sock --record {sandbox.records}/a.jsonl "$@" {moves}'
    environment = {"LISTEN_FDS": str(count if count is not None else len(sockets)), "PATH": os.environ["PATH"]}
    if names is not None:
        environment["LISTEN_FDNAMES"] = names
    process = subprocess.Popen(["bash", "-c", script, "sh", *map(str, options)], env=environment, stderr=subprocess.PIPE,
                               text=True, pass_fds=copies, **sandbox.user.popen_arguments())
    for copy in copies:
        os.close(copy)
    return process


def end(process):
    process.terminate()
    _, stderr = process.communicate(timeout=10)
    return stderr


def test_socket_activation(sandbox):
    path = sandbox.tmp / "activated"
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as local, RawServer(echo) as server:
        local.bind(str(path))
        local.listen()
        sandbox.user.own(path)
        port = tcp.getsockname()[1]
        process = start_activated(sandbox, [tcp, local], names="web:local")
        try:
            for client in (socket.create_connection(("127.0.0.1", port), timeout=10), dial_unix(path)):
                with client:
                    client.settimeout(10)
                    client.sendall(connect_head(f"127.0.0.1:{server.port}"))
                    assert read_answer_head(client).status == 200
                    talk(client)
        finally:
            end(process)
        assert process.returncode == 0
        assert path.exists(), "it is the service manager's to remove"


def test_activation_meant_for_another_process_is_left_alone(sandbox):
    port = free_port()
    process = sandbox.start([sandbox.program(), "relay", "--listen", f"127.0.0.1:{port}", "--socket", sandbox.tmp / "x.sock"],
                            {"LISTEN_PID": "1", "LISTEN_FDS": "3"})
    wait_listening(port, process.popen)
    process.popen.terminate()
    assert process.wait(10).returncode == 0


def test_activation_that_makes_no_sense(sandbox):
    with socket.socket() as unconnected, socket.create_server(("127.0.0.1", 0)) as tcp:
        for sockets, count, problem in (([tcp], 2, "not open"), ([tcp], 1000, "0 to 64"), ([unconnected], 1, "not a listening")):
            process = start_activated(sandbox, sockets, names="web", count=count)
            _, stderr = process.communicate(timeout=10)
            assert process.returncode != 0 and problem in stderr, (count, stderr)


def test_an_activated_socket_beyond_loopback_has_the_same_rules(sandbox):
    with socket.create_server(("0.0.0.0", 0)) as tcp:
        process = start_activated(sandbox, [tcp], names="web")
        _, stderr = process.communicate(timeout=10)
    assert process.returncode == 2 and "--auth-file" in stderr
