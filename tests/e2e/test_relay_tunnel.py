"""CONNECT through `tapline relay`, byte by byte: what goes in comes out, in order, in time, and ends the
way it ended on the other side. Each test runs with the relay dialling directly and through a
proxy."""

import hashlib
import socket
import time

import pytest

from origins import LOOPBACKS, RawServer, pattern, receive_all, receive_exactly
from proxies import TUNNELS, ScriptedProxy, reset
from relays import Relay, connect_head, eventually, in_background, read_answer_head

MIB = 1 << 20


@pytest.fixture(params=["direct", "proxy"])
def relay(request, sandbox):
    if request.param == "direct":
        with Relay(sandbox) as relay:
            yield relay
    else:
        with ScriptedProxy(TUNNELS["plain"]) as proxy, Relay(sandbox, "--upstream", proxy.url) as relay:
            yield relay


def echo(connection):
    while data := connection.recv(65536):
        connection.sendall(data)


def target_of(server):
    return f"[{server.host}]:{server.port}" if ":" in server.host else f"{server.host}:{server.port}"


def talk(connection, data):
    connection.sendall(data)
    assert receive_exactly(connection, len(data)) == data


@pytest.mark.parametrize("host", LOOPBACKS)
def test_echo_by_address(relay, host):
    with RawServer(echo, host) as server, relay.tunnel(target_of(server)) as client:
        talk(client, b"hello")


def test_echo_by_name(relay):
    with RawServer(echo) as server, relay.tunnel(f"localhost:{server.port}") as client:
        talk(client, b"hello")


def test_bytes_in_the_packet_of_the_head_belong_to_the_tunnel(relay):
    with RawServer(echo) as server, relay.dial() as client:
        client.sendall(connect_head(target_of(server)) + b"\x16\x03\x01early")
        assert read_answer_head(client).status == 200
        assert receive_exactly(client, 8) == b"\x16\x03\x01early"
        talk(client, b"later")


def test_much_early_data_is_kept_in_order(relay):
    data = pattern(300_000)
    with RawServer(echo) as server, relay.dial() as client:
        send = in_background(client.sendall, connect_head(target_of(server)) + data)
        assert read_answer_head(client).status == 200
        assert receive_exactly(client, len(data)) == data
        send()


def test_bytes_right_behind_the_head_wait_for_the_tunnel(relay):
    with RawServer(echo) as server, relay.dial() as client:
        for piece in (connect_head(target_of(server)), b"one ", b"two ", b"three"):
            client.sendall(piece)
        assert read_answer_head(client).status == 200
        assert receive_exactly(client, 13) == b"one two three"


def test_head_byte_by_byte(relay):
    with RawServer(echo) as server, relay.dial() as client:
        for byte in connect_head(target_of(server)) + b"early":
            client.sendall(bytes([byte]))
            time.sleep(0.001)
        assert read_answer_head(client).status == 200
        assert receive_exactly(client, 5) == b"early"


@pytest.mark.parametrize("head", [
    "CONNECT {} HTTP/1.0\r\n\r\n",                          # Python up to 3.11: no Host
    "CONNECT {} HTTP/1.1\r\nHost: other.example\r\n\r\n",    # Java: Host without the port
    "CONNECT {} HTTP/1.1\nHost: x\n\n",
    "\r\n\r\nCONNECT {} HTTP/1.1\r\nHost: x\r\n\r\n",
    "CONNECT {} HTTP/1.1\r\nHost: x\r\nProxy-Connection: Keep-Alive\r\nUser-Agent: x\r\n\r\n",
    "CONNECT {} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
], ids=["http-1.0", "host-without-port", "lf-only", "empty-lines-first", "curl", "content-length-0"])
def test_heads_that_clients_send(relay, head):
    with RawServer(echo) as server, relay.dial() as client:
        client.sendall(head.format(target_of(server)).encode())
        assert read_answer_head(client).status == 200
        talk(client, b"hello")


def test_the_answer_has_no_body_and_no_framing(relay):
    with RawServer(echo) as server, relay.dial() as client:
        client.sendall(connect_head(target_of(server)))
        answer = read_answer_head(client)
        assert not {"content-length", "transfer-encoding"} & set(answer.fields)


def test_the_server_may_speak_first(relay):
    def greet(connection):
        connection.sendall(b"220 ready\r\n")
        echo(connection)
    with RawServer(greet) as server, relay.tunnel(target_of(server)) as client:
        assert receive_exactly(client, 11) == b"220 ready\r\n"
        talk(client, b"QUIT")


def test_the_client_ends_first_and_still_receives(relay):
    """Half-close: `printf ... | nc` and git over ssh live on it; a relay that ends at the first EOF cuts
    the answer off."""
    answer = pattern(2 * MIB)
    received = []

    def serve(connection):
        received.append(receive_all(connection))
        time.sleep(0.2)
        connection.sendall(answer)
    with RawServer(serve) as server, relay.tunnel(target_of(server)) as client:
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        assert receive_all(client) == answer
        assert received == [b"question"]


def test_the_server_ends_first_and_still_receives(relay):
    data = pattern(2 * MIB)
    received = []

    def serve(connection):
        connection.sendall(b"bye")
        connection.shutdown(socket.SHUT_WR)
        received.append(receive_all(connection))
    with RawServer(serve) as server, relay.tunnel(target_of(server)) as client:
        assert receive_all(client) == b"bye"
        time.sleep(0.2)
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        server.join()
    assert received == [data]


def test_64_mib_each_way_at_once(relay):
    block, count = pattern(MIB), 64
    want = hashlib.sha256(block * count).hexdigest()
    digests = {}

    def send(connection):
        for _ in range(count):
            connection.sendall(block)
        connection.shutdown(socket.SHUT_WR)

    def receive(connection, who):
        digest, length = hashlib.sha256(), 0
        while data := connection.recv(MIB):
            digest.update(data)
            length += len(data)
        digests[who] = (length, digest.hexdigest())

    def serve(connection):
        sending = in_background(send, connection)
        receive(connection, "server")
        sending()
    with RawServer(serve) as server, relay.tunnel(target_of(server)) as client:
        client.settimeout(60)
        sending = in_background(send, client)
        receive(client, "client")
        sending()
        server.join()
    assert not server.errors
    assert digests == {"server": (count * MIB, want), "client": (count * MIB, want)}
    relay.stop()
    moved = count * MIB
    [close] = relay.of("flow.close", client_to_server=moved, server_to_client=moved)
    assert close["how"] == "eof"


def test_a_slow_reader_holds_the_sender_up(relay):
    """Back-pressure: what the client does not read stays with the server, not in the relay's memory."""
    block, count = pattern(MIB), 96
    sent = []

    def serve(connection):
        for _ in range(count):
            connection.sendall(block)
            sent.append(1)
    with RawServer(serve) as server, relay.tunnel(target_of(server)) as client:
        before = relay.resident_bytes()
        eventually(lambda: len(sent) and still(sent))
        assert len(sent) < count / 2, "the server could send everything although nobody read"
        assert relay.resident_bytes() - before < 8 * MIB
        assert receive_all(client) == block * count
        server.join()
    assert not server.errors


def test_many_that_never_read_cost_no_memory(relay):
    """What a client did not take of the last piece used to wait in memory of the relay's own, up to 64 KiB for each."""
    clients, data, pieces = 60, pattern(48 << 10), 128
    sent = []

    def serve(connection):
        for _ in range(pieces):
            connection.sendall(data)
            sent.append(1)
            time.sleep(0.0005)
    with RawServer(serve) as server:
        with relay.tunnel(target_of(server)) as first:
            receive_all(first)
        before = relay.resident_bytes()
        deaf = [relay.tunnel(target_of(server)) for _ in range(clients)]
        eventually(lambda: still(sent), 30)
        each = (relay.resident_bytes() - before) / clients
        assert each < 10_000, f"{each:.0f} bytes"
        for client in deaf:
            with client:
                assert receive_all(client) == data * pieces
    assert not server.errors


def still(counter):
    seen = len(counter)
    time.sleep(0.3)
    return len(counter) == seen


def test_a_reset_by_the_server_reaches_the_client_as_reset(relay):
    with RawServer(lambda connection: (receive_exactly(connection, 1), reset(connection))) as server, \
            relay.tunnel(target_of(server)) as client:
        client.sendall(b"x")
        with pytest.raises(ConnectionResetError):
            receive_all(client)
        relay.stop()
    closes = relay.of("flow.close", port=server.port)
    assert [(e["first"], e["how"]) for e in closes] in ([("server", "reset")],), closes


def test_bytes_before_a_reset_arrive(relay):
    """They used to be thrown away when the reset was there before they had been read."""
    def serve(connection):
        receive_exactly(connection, 1)
        connection.sendall(b"answer")
        reset(connection)

    with RawServer(serve) as server:
        for _ in range(20):
            with relay.tunnel(target_of(server)) as client:
                client.sendall(b"x")
                assert receive_exactly(client, 6) == b"answer"
                with pytest.raises(ConnectionResetError):
                    receive_all(client)


def test_a_reset_right_behind_the_end_cuts_nothing_off(relay):
    """What close() does after shutdown() if the server has not read all: FIN, then reset. Both may be there at once."""
    def serve(connection):
        receive_exactly(connection, 1)
        connection.sendall(b"answer")
        connection.shutdown(socket.SHUT_WR)
        reset(connection)

    with RawServer(serve) as server:
        for _ in range(20):
            with relay.tunnel(target_of(server)) as client:
                client.sendall(b"x")
                assert receive_all(client) == b"answer"


def test_a_reset_by_the_client_reaches_the_server_as_reset(relay):
    with RawServer(receive_all) as server:
        client = relay.tunnel(target_of(server))
        client.sendall(b"x")
        time.sleep(0.1)
        reset(client)
        eventually(lambda: server.errors)
        assert isinstance(server.errors[0], ConnectionResetError)
        relay.stop()
    closes = relay.of("flow.close", port=server.port)
    assert [(e["first"], e["how"]) for e in closes] in ([("client", "reset")],), closes


def test_a_client_that_leaves_before_the_answer_does_no_harm(relay):
    with RawServer(echo) as server:
        for _ in range(20):
            with relay.dial() as client:
                client.sendall(connect_head(target_of(server)))
            client = relay.dial()
            client.sendall(connect_head(target_of(server)))
            reset(client)
        with relay.tunnel(target_of(server)) as client:
            talk(client, b"still here")


def test_a_hundred_tunnels_at_once(relay):
    with RawServer(echo) as server:
        clients = [relay.tunnel(target_of(server)) for _ in range(100)]
        for number, client in enumerate(clients):
            client.sendall(b"%03d" % number * 100)
        for number, client in enumerate(clients):
            assert receive_exactly(client, 300) == b"%03d" % number * 100
        for client in clients:
            client.close()


def test_the_record_tells_the_way_of_a_tunnel(relay):
    with RawServer(echo) as server:
        with relay.tunnel(f"localhost:{server.port}") as client:
            talk(client, b"hello")
            client.shutdown(socket.SHUT_WR)
            assert receive_all(client) == b""
        relay.stop()
    [connect] = relay.of("connect", kind="connect", port=server.port)
    assert connect["name"] == "localhost"
    [upstream] = relay.of("upstream", flow=connect["flow"])
    assert upstream["result"] == "connected"
    [close] = relay.of("flow.close", flow=connect["flow"])
    assert (close["client_to_server"], close["server_to_client"]) == (5, 5)
    assert (close["first"], close["how"]) == ("client", "eof")


def test_a_complete_answer_survives_a_client_that_still_writes(sandbox):
    """The server answers, closes, and meets the client's further bytes with a reset. Its answer had ended
    in order by then, and the relay used to throw away what the client had not read of it."""
    data = pattern(3 * MIB)
    with Relay(sandbox) as relay, RawServer(lambda connection: connection.sendall(data)) as server, \
            relay.tunnel(target_of(server)) as client:
        time.sleep(0.3)  # the answer fills the client's buffers; the server has closed
        for _ in range(5):
            client.sendall(b"more")
            time.sleep(0.05)
        client.settimeout(10)
        assert receive_all(client) == data


def test_a_client_that_only_writes_learns_that_nobody_takes_it(relay):
    """The server has closed; the relay used to take and drop what the client wrote for ever."""
    with RawServer(lambda connection: None) as server, relay.tunnel(target_of(server)) as client:
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            for _ in range(100):
                client.sendall(b"more")
                time.sleep(0.02)
