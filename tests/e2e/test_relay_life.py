"""The relay's limits, and its life: timeouts, the number of connections, descriptors that run out, the orderly stop,
and a configuration that is read again under open tunnels."""

import signal
import socket
import time

import pytest

from origins import RawServer, free_port, pattern, receive_all, receive_exactly
from proxies import TUNNELS, ScriptedProxy
from relays import Relay, connect_head, eventually, in_background, read_answer, read_answer_head


def echo(connection):
    while data := connection.recv(65536):
        connection.sendall(data)


def talk(connection, data=b"hello"):
    connection.sendall(data)
    assert receive_exactly(connection, len(data)) == data


def was_reset(connection):
    """True once the connection was reset; False for an orderly end."""
    try:
        return connection.recv(1) != b""
    except ConnectionResetError:
        return True


# -- times

def test_a_head_that_does_not_come(sandbox):
    with Relay(sandbox, "--head-timeout", "0.3") as relay:
        with relay.dial() as silent, relay.dial() as half, relay.dial() as socks, relay.dial() as slow:
            half.sendall(b"CONNECT index.example:443 HTTP/1.1\r\n")
            socks.sendall(b"\x05\x01\x00\x05")
            for byte in b"CONNECT ":  # what comes all the time, but not enough, is no excuse
                slow.sendall(bytes([byte]))
                time.sleep(0.03)
            assert receive_all(silent) == b""
            assert read_answer(half).status == 408
            assert receive_all(socks) == b"\x05\x00"
            assert read_answer(slow).status == 408


def test_connect_timeout(sandbox):
    """A proxy that accepts and says nothing: the client is told 504 or its SOCKS code in time."""
    def silent(client, head, proxy):
        client.recv(1)
    with ScriptedProxy(silent) as proxy, Relay(sandbox, "--upstream", proxy.url, "--connect-timeout", "0.5") as relay:
        start = time.monotonic()
        answer = relay.ask(connect_head("index.example:443"))
        assert answer.status == 504 and b"index.example" in answer.body
        assert "connection_timeout" in answer.fields["proxy-status"]
        with relay.dial() as client:
            client.sendall(b"\x04\x01\x01\xbb\x00\x00\x00\x01\x00index.example\x00")
            assert receive_all(client) == b"\x00\x5b" + bytes(6)
        assert time.monotonic() - start > 0.9
        relay.stop()
    assert [e["errno"] for e in relay.of("upstream")] == ["ETIMEDOUT"] * 2


def test_idle_timeout(sandbox):
    """Quiet tunnels are reset on both sides, and busy ones are not."""
    ends = []

    def serve(connection):
        connection.settimeout(20)
        try:
            echo(connection)
            ends.append("eof")
        except ConnectionResetError:
            ends.append("reset")
    with RawServer(serve) as server, Relay(sandbox, "--idle-timeout", "1") as relay:
        with relay.tunnel(f"127.0.0.1:{server.port}") as quiet, relay.tunnel(f"127.0.0.1:{server.port}") as busy:
            talk(quiet)
            for _ in range(20):
                talk(busy)
                time.sleep(0.1)
            assert was_reset(quiet)
            talk(busy)
            assert ends == ["reset"]
        relay.stop()
    closes = sorted((e["how"], e.get("errno"), e["reason"]) for e in relay.of("flow.close"))
    assert closes == [("eof", None, "closed"), ("error", "ETIMEDOUT", "quiet for too long")]


def test_a_slow_reader_is_not_idle(sandbox):
    """Nothing is read from the server any more, but the client still takes what came."""
    def serve(connection):
        connection.sendall(pattern(6_000_000))
        connection.recv(1)
    with RawServer(serve) as server, Relay(sandbox, "--drain", "0", "--idle-timeout", "1") as relay:
        with relay.tunnel(f"127.0.0.1:{server.port}") as client:
            received = 0
            for _ in range(15):
                received += len(receive_exactly(client, 200_000))
                time.sleep(0.15)
            assert len(receive_exactly(client, 6_000_000 - received)) == 3_000_000


def test_linger(sandbox):
    """Once one side has ended, the other does not stay for ever; until then there is no such limit."""
    def serve(connection):
        connection.recv(5)
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(20)
        try:
            connection.recv(1)
        except OSError:
            pass
    with RawServer(serve) as server, RawServer(echo) as other, Relay(sandbox, "--linger", "1") as relay:
        with relay.tunnel(f"127.0.0.1:{server.port}") as half, relay.tunnel(f"127.0.0.1:{other.port}") as open_one:
            talk(open_one)
            half.sendall(b"hello")
            assert half.recv(1) == b""
            half.settimeout(20)
            time.sleep(2.5)
            talk(open_one)
            with pytest.raises(OSError):
                for _ in range(20):
                    half.sendall(b"x")
                    time.sleep(0.05)
        relay.stop()
    [close] = relay.of("flow.close", how="error")
    assert close["errno"] == "ETIMEDOUT" and "one side had ended" in close["reason"]


def test_redirected_programs_have_no_such_limits(sandbox):
    """Under `tapline run` a connection may be as quiet as it could be without."""
    script = ("import socket, sys, time; s = socket.create_connection(('127.0.0.1', int(sys.argv[1]))); time.sleep(2.5); "
              "s.sendall(b'hello'); print(s.recv(5).decode())")
    with RawServer(echo) as server:
        socket_path = sandbox.tmp / "redirect.sock"
        with Relay(sandbox, "--idle-timeout", "1", "--linger", "1", "--bypass", "none", "--socket", socket_path):
            done = sandbox.run(["/usr/bin/python3", "-c", script, server.port],
                               env={"LD_PRELOAD": sandbox.program().parent / "libtapline.so", "TAPLINE_BYPASS": "none",
                                    "TAPLINE_SOCKET": socket_path})
    assert done.stdout == "hello\n", done


@pytest.mark.parametrize("option, value", [
    ("--head-timeout", "x"), ("--answer-timeout", "-1"), ("--connect-timeout", "-1"), ("--idle-timeout", "1h"), ("--linger", ""),
    ("--keepalive", "1.5"), ("--max-connections", "many"), ("--max-connections", "-3")])
def test_bad_limits(sandbox, option, value):
    done = sandbox.run([sandbox.program(), "relay", f"{option}={value}"])
    assert done.returncode == 2 and option in done.stderr and f"'{value}'" in done.stderr, done


def test_a_bad_limit_in_the_file_names_file_and_line(sandbox):
    path = sandbox.user.make_file(sandbox.tmp / "bad.conf", "quiet = true;\nidle_timeout = -5;\n")
    done = sandbox.run([sandbox.program(), "relay", "--config", path])
    assert done.returncode == 2 and f"{path}:2: idle_timeout" in done.stderr, done


# -- numbers

def test_max_connections_lets_new_clients_wait(sandbox):
    with RawServer(echo) as server, Relay(sandbox, "--drain", "0", "--max-connections", "2") as relay:
        target = f"127.0.0.1:{server.port}"
        one, two, three = relay.tunnel(target), relay.tunnel(target), relay.dial()
        with one, two, three:
            three.sendall(connect_head(target))
            three.settimeout(0.5)
            with pytest.raises(TimeoutError):
                three.recv(1)
            talk(one)
            talk(two)
            one.close()
            three.settimeout(10)
            assert read_answer_head(three).status == 200
            talk(three)
        relay.stop()
    assert [e["note"] for e in relay.of("relay.note")] == \
        ["new clients have to wait: as many connections are open as may be"]


def test_out_of_descriptors(sandbox):
    """More clients than there are descriptors for: those that are in go on, the rest wait, and all are served in the
    end. Noted once."""
    program = sandbox.tmp / "scarce"
    sandbox.user.make_file(program, f'#!/bin/sh\nulimit -n 128\nexec {sandbox.program()} "$@"\n', 0o755)
    with RawServer(echo) as server:
        relay = Relay(sandbox)
        relay.program = program
        with relay:
            target = f"127.0.0.1:{server.port}"
            clients = [relay.dial() for _ in range(150)]
            for client in clients:
                client.sendall(connect_head(target) + b"hello")
            served = 0
            for client in clients:  # each one that is answered makes room for the next
                assert read_answer_head(client).status == 200
                assert receive_exactly(client, 5) == b"hello"
                talk(client)
                client.close()
                served += 1
            assert served == 150
            relay.stop()
    notes = [e["note"] for e in relay.of("relay.note")]
    assert len(notes) == 1 and notes[0].startswith("new clients have to wait"), notes
    assert all(e["result"] == "connected" for e in relay.of("upstream"))


def test_old_tunnels_go_on_when_descriptors_are_scarce(sandbox):
    """Bytes move even where there is no descriptor left for a pipe."""
    program = sandbox.tmp / "scarce"
    sandbox.user.make_file(program, f'#!/bin/sh\nulimit -n 64\nexec {sandbox.program()} "$@"\n', 0o755)
    data = pattern(400_000)
    with RawServer(echo) as server:
        relay = Relay(sandbox)
        relay.program = program
        with relay:
            target = f"127.0.0.1:{server.port}"
            clients, waiting = [], []
            for _ in range(40):
                client = relay.dial()
                client.sendall(connect_head(target))
                client.settimeout(0.3)
                try:
                    assert read_answer_head(client).status == 200
                    client.settimeout(20)
                    clients.append(client)
                except TimeoutError:
                    waiting.append(client)
                    break
            assert len(clients) >= 10 and waiting
            jobs = []
            for client in clients:
                jobs.append(in_background(client.sendall, data))
                jobs.append(in_background(lambda c=client: receive_exactly(c, len(data))))
            got = [job() for job in jobs]
            assert got[1::2] == [data] * len(clients)
            for client in clients + waiting:
                client.close()


# -- the orderly stop

def test_the_first_signal_drains(sandbox):
    with RawServer(echo) as server, Relay(sandbox, "--drain", "10") as relay, RawServer(echo) as other:
        with relay.tunnel(f"127.0.0.1:{server.port}") as client:
            relay.process.popen.send_signal(signal.SIGTERM)
            eventually(lambda: refuses(relay.port))
            for _ in range(5):
                talk(client)
                time.sleep(0.05)
            assert relay.process.popen.poll() is None
        done = relay.process.wait(5)
        relay.events = []
    assert done.returncode == 0 and done.seconds < 8, "it does not wait longer than its connections"


def refuses(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:  # it came while the listener was being closed, and decides nothing
        pass
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_second_signal_ends_it_at_once(sandbox, number):
    with RawServer(echo) as server, Relay(sandbox, "--drain", "60") as relay:
        with relay.tunnel(f"127.0.0.1:{server.port}") as client:
            relay.process.popen.send_signal(number)
            eventually(lambda: refuses(relay.port))
            relay.process.popen.send_signal(number)
            done = relay.process.wait(5)
            assert was_reset(client), "what is cut off must not look finished"
        relay.events = []
    assert done.returncode == 0
    assert b'"how":"error","reason":"the relay stopped"' in relay.record.read_bytes()


def test_the_drain_has_an_end(sandbox):
    with RawServer(echo) as server, Relay(sandbox, "--drain", "0.5") as relay:
        with relay.tunnel(f"127.0.0.1:{server.port}") as client:
            relay.process.popen.send_signal(signal.SIGTERM)
            done = relay.process.wait(5)
            assert done.returncode == 0
            assert was_reset(client)
        relay.events = []


def test_a_killed_relay_resets_its_connections(sandbox):
    """The kernel closes the descriptors of a killed process; with a FIN, half an answer would look whole."""
    ends = []

    def serve(connection):
        connection.sendall(b"half of")
        try:
            ends.append(connection.recv(1))
        except ConnectionResetError:
            ends.append("reset")
    with RawServer(serve) as server, Relay(sandbox) as relay:
        with relay.tunnel(f"127.0.0.1:{server.port}") as client:
            assert receive_exactly(client, 7) == b"half of"
            relay.process.popen.send_signal(signal.SIGKILL)
            relay.process.wait(5)
            relay.events = []
            with pytest.raises(ConnectionResetError):
                client.recv(1)
        eventually(lambda: ends)
    assert ends == ["reset"]


# -- reading the configuration again

@pytest.fixture
def configured(sandbox):
    class Configured:
        path = sandbox.tmp / "relay.conf"

        def write(self, text):
            self.path.write_text(text)
            sandbox.user.own(self.path)

        def again(self, relay, expected="the configuration was read again"):
            before = relay.record.read_bytes().count(expected.encode())
            relay.process.popen.send_signal(signal.SIGHUP)
            eventually(lambda: relay.record.read_bytes().count(expected.encode()) > before)
    return Configured()


def test_sighup_changes_the_way_out_and_leaves_tunnels_alone(sandbox, configured):
    with ScriptedProxy(TUNNELS["plain"]) as one, ScriptedProxy(TUNNELS["plain"]) as other, RawServer(echo) as server:
        target = f"127.0.0.1:{server.port}"
        configured.write(f'upstream = "{one.url}";\n')
        with Relay(sandbox, "--drain", "0", "--config", configured.path) as relay, relay.tunnel(target) as old:
            configured.write(f'upstream = "{other.url}";\n')
            for _ in range(3):
                configured.again(relay)
            with relay.tunnel(target) as new:
                talk(new)
                talk(old)
            configured.write(f'upstream = "{other.url}";\nno_proxy = "127.0.0.1";\n')
            configured.again(relay)
            with relay.tunnel(target) as direct:
                talk(direct)
            talk(old)
            relay.stop()
    assert (len(one.heads), len(other.heads)) == (1, 1)
    assert [e["via"] for e in relay.of("upstream")] == [one.url, other.url, "direct"]


def test_sighup_while_a_dial_is_under_way(sandbox, configured):
    """The dial goes on by the options under which it began."""
    def slow(client, head, proxy):
        time.sleep(1)
        TUNNELS["plain"](client, head, proxy)
    with ScriptedProxy(slow) as one, RawServer(echo) as server:
        configured.write(f'upstream = "{one.url}";\n')
        with Relay(sandbox, "--drain", "0", "--config", configured.path) as relay, relay.dial() as client:
            client.sendall(connect_head(f"127.0.0.1:{server.port}"))
            eventually(lambda: one.heads)
            configured.write("upstream = \"direct\";\n")
            configured.again(relay)
            assert read_answer_head(client).status == 200
            talk(client)


@pytest.mark.parametrize("text, problem", [
    ("upstream = ;\n", ":1: "), ("quiet = false;\nnosuchkey = 1;\n", ":2: nosuchkey"),
    ('quiet = false;\n\nupstream = "ftp://x";\n', ":3: upstream"), ("idle_timeout = \"x\";\n", ":1: idle_timeout"),
    ('allow = "10.0.0.0/77";\n', ":1: allow"), ('auth_file = "/nonexistent/file";\n', ":1: auth_file"), (None, "cannot read")])
def test_a_bad_file_keeps_the_old_configuration(sandbox, configured, text, problem):
    with ScriptedProxy(TUNNELS["plain"]) as proxy, RawServer(echo) as server:
        configured.write(f'upstream = "{proxy.url}";\n')
        with Relay(sandbox, "--drain", "0", "--config", configured.path) as relay, relay.tunnel(f"127.0.0.1:{server.port}") as old:
            if text is None:
                configured.path.unlink()
            else:
                configured.write(text)
            configured.again(relay, "the configuration could not be read again, and stays")
            with relay.tunnel(f"127.0.0.1:{server.port}") as client:
                talk(client)
                talk(old)
            done = relay.stop()
        assert len(proxy.heads) == 2
        assert f"{configured.path}{problem}" in done.stderr or problem in done.stderr, done
        assert "stays as it was" in done.stderr


def test_sighup_reads_the_logins_again(sandbox, configured):
    logins = sandbox.user.make_file(sandbox.tmp / "logins", "me:old\n", 0o600)
    head = "Proxy-Authorization: Basic "
    old, new = head + "bWU6b2xk", head + "bWU6bmV3"
    configured.write(f'auth_file = "{logins}";\n')
    with Relay(sandbox, "--drain", "0", "--config", configured.path) as relay:
        def status(login):
            return relay.ask(connect_head("127.0.0.1:" + str(free_port()), "1.1", login)).status
        assert (status(old), status(new)) == (502, 407)
        sandbox.user.make_file(logins, "me:new\n", 0o600)
        configured.again(relay)
        assert (status(old), status(new)) == (407, 502)


def test_sighup_reads_the_limits_again(sandbox, configured):
    configured.write("idle_timeout = 0;\n")
    with RawServer(echo) as server, Relay(sandbox, "--drain", "0", "--config", configured.path) as relay:
        configured.write("idle_timeout = 0.5;\n")
        with relay.tunnel(f"127.0.0.1:{server.port}") as old:
            configured.again(relay)
            with relay.tunnel(f"127.0.0.1:{server.port}") as new:
                assert was_reset(new)
                talk(old)


def test_under_run_sighup_is_the_commands(sandbox):
    done = sandbox.tapline(["sh", "-c", "trap 'echo hung up' HUP; kill -HUP $$; true"])
    assert done.stdout == "hung up\n" and done.returncode == 0, done
