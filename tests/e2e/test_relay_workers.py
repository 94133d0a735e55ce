"""`tapline relay --workers`: busy tunnels are moved by threads of their own, and everything that holds for a tunnel
holds there too. (With SAN=thread these tests show data races.)"""

import hashlib
import signal
import socket
import threading
import time

import pytest

from origins import RawServer, pattern, receive_all, receive_exactly
from proxies import reset
from relays import Relay, eventually, in_background
from test_relay_admin import Admin

MIB = 1 << 20


def echo(connection):
    while data := connection.recv(262144):
        connection.sendall(data)


def threads(relay):
    with open(f"/proc/{relay.process.pid}/status") as status:
        return int(next(line for line in status if line.startswith("Threads:")).split()[1])


@pytest.fixture
def admin(sandbox):
    return Admin(sandbox)


@pytest.fixture
def relay(sandbox, admin):
    with Relay(sandbox, "--workers", "3", "--drain", "0", *admin.options) as relay:
        yield relay


def target_of(server):
    return f"127.0.0.1:{server.port}"


def moved(admin):
    return admin.metrics()["tapline_tunnels_moved_total{}"]


def send_all(connection, block, count):
    for _ in range(count):
        connection.sendall(block)


def receive_digest(connection, length):
    digest = hashlib.sha256()
    while length:
        data = connection.recv(min(length, MIB))
        assert data, f"{length} bytes are missing"
        digest.update(data)
        length -= len(data)
    return digest.hexdigest()


def talk_much(client, mib=16):
    block = pattern(MIB)
    sending = in_background(send_all, client, block, mib)
    assert receive_digest(client, mib * MIB) == hashlib.sha256(block * mib).hexdigest()
    sending()


def test_many_busy_tunnels_at_once(relay, admin):
    with RawServer(echo) as server:
        def one():
            with relay.tunnel(target_of(server)) as client:
                client.settimeout(60)
                talk_much(client)
                client.shutdown(socket.SHUT_WR)
                assert client.recv(1) == b""
        jobs = [in_background(one) for _ in range(8)]
        for job in jobs:
            job()
        eventually(lambda: admin.metrics()['tapline_connections_open{state="tunnel"}'] == 0)
        assert moved(admin) == 8
    assert threads(relay) >= 4
    relay.stop()
    closes = relay.of("flow.close", client_to_server=16 * MIB, server_to_client=16 * MIB)
    assert [c["how"] for c in closes] == ["eof"] * 8


def test_small_talk_stays_with_the_main_thread(relay, admin):
    with RawServer(echo) as server, relay.tunnel(target_of(server)) as client:
        for _ in range(20):
            client.sendall(b"hello")
            assert receive_exactly(client, 5) == b"hello"
        assert moved(admin) == 0


def test_busy_then_quiet_then_busy(relay, admin):
    with RawServer(echo) as server, relay.tunnel(target_of(server)) as client:
        client.settimeout(60)
        for _ in range(3):
            talk_much(client, 4)
            time.sleep(0.1)
            client.sendall(b"hello")
            assert receive_exactly(client, 5) == b"hello"
        assert moved(admin) == 1


def test_half_close(relay, admin):
    received = []

    def serve(connection):
        received.append(len(receive_all(connection)))
        connection.sendall(pattern(8 * MIB))
    with RawServer(serve) as server, relay.tunnel(target_of(server)) as client:
        client.settimeout(60)
        send_all(client, pattern(MIB), 8)
        client.shutdown(socket.SHUT_WR)
        assert receive_all(client) == pattern(8 * MIB)
        assert moved(admin) == 1
    assert received == [8 * MIB]


@pytest.mark.parametrize("who", ["client", "server"])
def test_reset(relay, admin, who):
    seen = []

    def serve(connection):
        receive_exactly(connection, 4 * MIB)
        if who == "server":
            reset(connection)
            return
        try:
            connection.sendall(b"x")
            while connection.recv(MIB):
                pass
            seen.append("eof")
        except ConnectionResetError:
            seen.append("reset")
    with RawServer(serve) as server, relay.tunnel(target_of(server)) as client:
        client.settimeout(60)
        send_all(client, pattern(MIB), 4)
        if who == "server":
            with pytest.raises(ConnectionResetError):
                while client.recv(1):
                    pass
        else:
            receive_exactly(client, 1)
            reset(client)
            eventually(lambda: seen)
            assert seen == ["reset"]
        eventually(lambda: admin.metrics()['tapline_connections_closed_total{kind="connect",how="reset"}'] == 1)
        assert moved(admin) == 1


def test_back_pressure(relay):
    sent = []

    def serve(connection):
        for _ in range(96):
            connection.sendall(pattern(MIB))
            sent.append(1)
    with RawServer(serve) as server, relay.tunnel(target_of(server)) as client:
        before = relay.resident_bytes()
        time.sleep(1)
        assert 0 < len(sent) < 48
        assert relay.resident_bytes() - before < 8 * MIB
        client.settimeout(60)
        assert len(receive_exactly(client, 96 * MIB)) == 96 * MIB


def test_idle_timeout(sandbox, admin):
    with RawServer(echo) as server, Relay(sandbox, "--workers", "2", "--idle-timeout", "1", *admin.options) as relay:
        with relay.tunnel(target_of(server)) as client:
            client.settimeout(60)
            talk_much(client, 4)
            assert moved(admin) == 1
            with pytest.raises(ConnectionResetError):
                client.recv(1)
        relay.stop()
    assert [e["reason"] for e in relay.of("flow.close", errno="ETIMEDOUT")] == ["quiet for too long"]


def test_the_drain_waits_for_them(sandbox, admin):
    with RawServer(echo) as server, Relay(sandbox, "--workers", "2", "--drain", "20", *admin.options) as relay:
        with relay.tunnel(target_of(server)) as client:
            client.settimeout(60)
            talk_much(client, 4)
            assert moved(admin) == 1
            relay.process.popen.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            talk_much(client, 4)
        assert relay.process.wait(10).returncode == 0
        relay.events = []


def test_stopped_while_they_are_busy(sandbox, admin):
    """At once, under full load: what is cut off is reset, and each flow has its last event."""
    with RawServer(echo) as server, Relay(sandbox, "--workers", "2", "--drain", "0", *admin.options) as relay:
        clients = [relay.tunnel(target_of(server)) for _ in range(6)]
        outcomes = []

        def flood(client):
            """The kernel tells of the reset once: the one or the other gets to know."""
            errors = []
            client.settimeout(60)
            feeder = threading.Thread(target=feed, args=(client, errors), daemon=True)
            feeder.start()
            try:
                while client.recv(MIB):
                    pass
            except OSError as error:
                errors.append(error)
            feeder.join(20)
            outcomes.append(any(isinstance(error, ConnectionResetError) for error in errors))

        def feed(client, errors):
            try:
                while True:
                    client.sendall(pattern(MIB))
            except OSError as error:
                errors.append(error)
        jobs = [in_background(flood, client) for client in clients]
        eventually(lambda: moved(admin) == 6)
        relay.stop()
        for job in jobs:
            job()
    assert outcomes == [True] * 6
    assert len(relay.of("flow.close", reason="the relay stopped")) == 6
