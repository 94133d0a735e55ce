"""SOCKS4, 4a and 5 on the port that also serves HTTP: every form of target, every segmentation, true reply
codes, and what is refused. The messages themselves are parsed whole and byte by byte in tests/unit."""

import socket
import struct
import time

import pytest

from origins import LOOPBACKS, RawServer, free_port, pattern, receive_all, receive_exactly
from proxies import TUNNELS, ScriptedProxy, refuse, reset
from relays import Relay, connect_head, in_background, read_answer_head

OPEN, PASSWORD = b"\x05\x01\x00", b"\x05\x01\x02"


@pytest.fixture(params=["direct", "proxy"])
def relay(request, sandbox):
    if request.param == "direct":
        with Relay(sandbox) as relay:
            yield relay
    else:
        with ScriptedProxy(TUNNELS["plain"]) as proxy, Relay(sandbox, "--upstream", proxy.url) as relay:
            yield relay


@pytest.fixture
def direct(sandbox):
    with Relay(sandbox) as relay:
        yield relay


def echo(connection):
    while data := connection.recv(65536):
        connection.sendall(data)


def greet(connection):
    connection.sendall(b"220 ready\r\n")
    echo(connection)


def address(host, port):
    """ATYP, DST.ADDR and DST.PORT."""
    if ":" in host:
        return b"\x04" + socket.inet_pton(socket.AF_INET6, host) + struct.pack(">H", port)
    try:
        return b"\x01" + socket.inet_pton(socket.AF_INET, host) + struct.pack(">H", port)
    except OSError:
        return b"\x03" + bytes([len(host)]) + host.encode() + struct.pack(">H", port)


def request5(host, port, command=1):
    return b"\x05" + bytes([command]) + b"\x00" + address(host, port)


def request4(port, host="127.0.0.1", user=b"me", command=1):
    try:
        ip, name = socket.inet_pton(socket.AF_INET, host), b""
    except OSError:
        ip, name = b"\x00\x00\x00\x01", host.encode() + b"\x00"
    return b"\x04" + bytes([command]) + struct.pack(">H", port) + ip + user + b"\x00" + name


def reply5(connection):
    """REP of a whole, well-formed answer."""
    head = receive_exactly(connection, 4)
    assert head[0] == 5 and head[2] == 0 and head[3] in (1, 4), head
    receive_exactly(connection, 6 if head[3] == 1 else 18)
    return head[1]


def dial5(relay, host, port):
    connection = relay.dial()
    connection.sendall(OPEN)
    assert receive_exactly(connection, 2) == b"\x05\x00"
    connection.sendall(request5(host, port))
    return connection


def talk(connection, data=b"hello"):
    connection.sendall(data)
    assert receive_exactly(connection, len(data)) == data


@pytest.mark.parametrize("host", [*LOOPBACKS, "localhost"])
def test_socks5(relay, host):
    with RawServer(echo, "127.0.0.1" if host == "localhost" else host) as server:
        with dial5(relay, host, server.port) as client:
            assert reply5(client) == 0
            talk(client)
    relay.stop()
    [connect] = relay.of("connect", kind="socks")
    assert (connect["name"], connect["port"]) == (host, server.port)
    [close] = relay.of("flow.close", flow=connect["flow"])
    assert (close["client_to_server"], close["server_to_client"], close["how"]) == (5, 5, "eof")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_socks4_and_4a(relay, host):
    with RawServer(echo) as server, relay.dial() as client:
        client.sendall(request4(server.port, host))
        assert receive_exactly(client, 8) == b"\x00\x5a" + bytes(6)
        talk(client)


@pytest.mark.parametrize("message", ["socks4", "socks5"])
def test_byte_by_byte(relay, message):
    with RawServer(greet) as server, relay.dial() as client:
        data = request4(server.port, "localhost") if message == "socks4" else \
            b"\x05\x02\x00\x02" + request5("localhost", server.port)
        for byte in data + b"early":
            client.sendall(bytes([byte]))
            time.sleep(0.001)
        if message == "socks4":
            receive_exactly(client, 8)
        else:
            assert receive_exactly(client, 2) == b"\x05\x00"
            assert reply5(client) == 0
        assert receive_exactly(client, 16) == b"220 ready\r\nearly"


@pytest.mark.parametrize("early", [b"early", pattern(100_000)], ids=["little", "much"])
def test_all_in_one_packet(relay, early):
    """Clients that do not wait for answers: what is behind the request is the tunnel's."""
    with RawServer(echo) as server, relay.dial() as client:
        send = in_background(client.sendall, OPEN + request5("127.0.0.1", server.port) + early)
        assert receive_exactly(client, 2) == b"\x05\x00"
        assert reply5(client) == 0
        assert receive_exactly(client, len(early)) == early
        send()


def test_the_server_may_speak_first(relay):
    with RawServer(greet) as server, dial5(relay, "127.0.0.1", server.port) as client:
        assert reply5(client) == 0
        assert receive_exactly(client, 11) == b"220 ready\r\n"
        talk(client)


def test_half_close_and_much_data(relay):
    answer, received = pattern(2 << 20), []

    def serve(connection):
        received.append(receive_all(connection))
        connection.sendall(answer)
    with RawServer(serve) as server, dial5(relay, "127.0.0.1", server.port) as client:
        assert reply5(client) == 0
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        assert receive_all(client) == answer
    assert received == [b"question"]


def test_a_login_that_nobody_asked_for_is_accepted(direct):
    with RawServer(echo) as server, direct.dial() as client:
        client.sendall(PASSWORD)
        assert receive_exactly(client, 2) == b"\x05\x02"
        client.sendall(b"\x01\x02me\x06secret")
        assert receive_exactly(client, 2) == b"\x01\x00"
        client.sendall(request5("127.0.0.1", server.port))
        assert reply5(client) == 0
        talk(client)
    direct.stop()
    assert "secret" not in direct.record.read_text()


def test_no_method_in_common(direct):
    with direct.dial() as client:
        client.sendall(b"\x05\x01\x01")  # GSSAPI only
        assert receive_all(client) == b"\x05\xff"


@pytest.mark.parametrize("command", [2, 3], ids=["bind", "udp"])
def test_other_commands(direct, command):
    with direct.dial() as client:
        client.sendall(OPEN + request5("127.0.0.1", 80, command))
        assert receive_exactly(client, 2) == b"\x05\x00"
        assert reply5(client) == 7
        assert client.recv(1) == b""
    with direct.dial() as client:
        client.sendall(request4(80, command=command))
        assert receive_all(client) == b"\x00\x5b" + bytes(6)


def test_an_unknown_type_of_address(direct):
    with direct.dial() as client:
        client.sendall(OPEN + b"\x05\x01\x00\x02\x01\x00\x50")
        assert receive_exactly(client, 2) == b"\x05\x00"
        assert reply5(client) == 8


@pytest.mark.parametrize("data", [
    b"\x05\x00", OPEN + b"\x04\x01\x00", OPEN + b"\x05\x01\x00\x03\x05a\r\nbc\x00\x50",
    OPEN + b"\x05\x01\x00\x03\x01a\x00\x00", PASSWORD + b"\x05", b"\x04\x01\x00\x50\x00\x00\x00\x01\x00\x00",
    b"\x04\x01\x00\x50\x7f\x00\x00\x01" + b"x" * 300])
def test_malformed_requests_are_closed(direct, data):
    with direct.dial() as client:
        client.sendall(data)
        received = b""
        try:
            received = receive_all(client)
        except ConnectionResetError:
            pass
        assert received in (b"", b"\x05\x00", b"\x05\x02")
    direct.stop()
    assert direct.of("connect") == [] and direct.of("upstream") == []


def test_reply_codes_of_failed_connects(direct):
    with dial5(direct, "127.0.0.1", free_port()) as client:
        assert reply5(client) == 5
        assert client.recv(1) == b""
    with dial5(direct, "nosuchname.invalid", 80) as client:
        assert reply5(client) == 4
    with dial5(direct, "127.0.0.1", direct.port) as client:
        assert reply5(client) == 2, "the relay itself"
    with direct.dial() as client:
        client.sendall(request4(free_port()))
        assert receive_all(client) == b"\x00\x5b" + bytes(6)


@pytest.mark.parametrize("status, code", [(403, 2), (407, 2), (502, 4), (503, 4), (504, 6)])
def test_reply_codes_of_a_proxy_that_refuses(sandbox, status, code):
    with ScriptedProxy(refuse(status, "No", b"no")) as proxy, Relay(sandbox, "--upstream", proxy.url) as relay:
        with dial5(relay, "index.example", 443) as client:
            assert reply5(client) == code


def test_a_reset_crosses(relay):
    def serve(connection):
        connection.recv(5)
        reset(connection)
    with RawServer(serve) as server, dial5(relay, "127.0.0.1", server.port) as client:
        assert reply5(client) == 0
        client.sendall(b"hello")
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_http_and_socks_on_one_port(direct):
    with RawServer(echo) as server, direct.dial() as socks5, direct.dial() as socks4, direct.dial() as http:
        socks5.sendall(OPEN)
        http.sendall(connect_head(f"127.0.0.1:{server.port}"))
        socks4.sendall(request4(server.port))
        socks5.sendall(request5("127.0.0.1", server.port))
        assert receive_exactly(socks5, 2) == b"\x05\x00" and reply5(socks5) == 0
        assert read_answer_head(http).status == 200
        assert receive_exactly(socks4, 8)[1] == 0x5a
        for client in (socks5, socks4, http):
            talk(client)


@pytest.mark.parametrize("scheme", ["socks4", "socks4a", "socks5", "socks5h"])
def test_curl(direct, make_index, certs, scheme):
    index = make_index()
    done = direct.sandbox.run(["curl", "-sS", "--max-time", "20", "--cacert", certs.ca, "-o", "/dev/null",
                               "--ipv4", "-w", "%{http_code}", "--proxy", f"{scheme}://127.0.0.1:{direct.port}",
                               f"{index.url}/echo"])
    assert (done.returncode, done.stdout) == (0, "200"), done


def test_the_private_listener_speaks_socks_to_this_users_programs(sandbox, make_index):
    """Where the command's proxy variables lead to the relay, SOCKS is served there as well."""
    plain = make_index(certs=None)
    with ScriptedProxy(TUNNELS["plain"]) as proxy:
        done = sandbox.tapline(["sh", "-c", 'exec curl -sS --max-time 20 -o /dev/null -w "%{http_code}" --noproxy "" '
                                '--proxy "socks5h://${https_proxy#http://}" "$0"', f"{plain.url}/echo"],
                               env={"https_proxy": proxy.url})
    assert done.stdout == "200", done
    assert [e["kind"] for e in done.of("connect")] == ["socks"], done


def test_tls_to_the_port_is_named_in_the_record(direct):
    with direct.dial() as client:
        client.sendall(b"\x16\x03\x01\x02\x00\x01")
        assert receive_all(client).startswith(b"HTTP/1.1 400 ")
    direct.stop()
    assert any("TLS handshake" in e["note"] for e in direct.of("relay.note"))
