"""What goes by the relay is in the record: DNS and QUIC over UDP, sockets bound to a device; and names that were looked
up in the old ways."""
import os
import shutil
from pathlib import Path

import pytest

from user import network_problem

NETWORK_PROBLEM = network_problem()

UDP = """
import socket, sys
def say(what, call):
    try:
        call()
        print(what, "ok")
    except OSError as error:
        print(what, type(error).__name__)
for port in (53, 443, 5353):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        say(f"connect {port}", lambda: s.connect(("127.0.0.1", port)))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for n in range(20):
            say(f"sendto {port}", lambda: s.sendto(b"x", ("127.0.0.1", port)))
        say(f"sendmsg {port}", lambda: s.sendmsg([b"x"], [], 0, ("127.0.0.1", port)))
"""


def _said(done, port):
    return {line for line in done.stdout.splitlines() if line.split()[1] == port}


@pytest.mark.parametrize("quic", ["pass", "refuse"])
def test_udp_is_recorded(sandbox, quic):
    done = sandbox.tapline(["/usr/bin/python3", "-c", UDP], options=["--quic", quic])
    expected = "ok" if quic == "pass" else "ConnectionRefusedError"
    assert _said(done, "443") == {f"{call} 443 {expected}" for call in ("connect", "sendto", "sendmsg")}
    for port in ("53", "5353"):
        assert _said(done, port) == {f"{call} {port} ok" for call in ("connect", "sendto", "sendmsg")}
    events = [e for e in done.of("connect") if e["kind"] == "udp"]
    assert sorted(e["port"] for e in events) == [53, 53, 443, 443], f"once per socket and address\n{done}"
    assert all(("refused" in e["bypassed"]) == (quic == "refuse" and e["port"] == 443) for e in events)
    assert done.report["summary"]["connections"] == 0, "datagrams are no connections"


RESOLVES = """
const { Resolver } = require('dns').promises;
const resolver = new Resolver({ timeout: 300, tries: 1 });
resolver.setServers(['127.0.0.1']);
resolver.resolve4('index.example').then(() => console.log('found'), (error) => console.log(error.syscall));
"""


def test_a_resolver_that_asks_by_itself_is_recorded(sandbox):
    """c-ares, inside Node: it speaks to port 53 without getaddrinfo()."""
    done = sandbox.tapline(["node", "-e", RESOLVES])
    assert done.stdout == "queryA\n", str(done)
    asked = [(e["kind"], e["address"], e["port"]) for e in done.of("connect")]
    assert asked and set(asked) == {("udp", "127.0.0.1", 53)}, str(done)
    assert done.of("name.lookup") == [], str(done)


def test_quic_takes_two_words(sandbox):
    done = sandbox.run([sandbox.tapline_argv(["true"])[0][0], "run", "--quic", "perhaps", "--", "true"])
    assert done.returncode == 125 and "quic" in done.stderr, str(done)


DEVICE = """
import socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"tap0")
s.setblocking(False)
print(s.connect_ex(("192.0.2.1", 80)))
"""


@pytest.mark.skipif(NETWORK_PROBLEM is not None, reason=f"no network of its own: {NETWORK_PROBLEM}")
def test_bound_to_a_device_goes_directly(sandbox):
    argv, record = sandbox.tapline_argv(["/usr/bin/python3", "-c", DEVICE])
    script = "ip link set lo up; ip link add tap0 type bridge; ip addr add 192.0.2.2/24 dev tap0; ip link set tap0 up"
    process = sandbox.start(sandbox.user.with_network(script, [str(a) for a in argv]), as_self=True)
    done = sandbox.finish(process, record)
    assert done.stdout == "115\n", str(done)
    events = done.of("connect")
    assert [(e["kind"], e["bypassed"]) for e in events] == [("direct", "bound to a network device")], str(done)


LOOPBACK_DEVICE = """
import socket
server = socket.create_server(("127.0.0.1", 0))
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
s.settimeout(5)
s.connect(server.getsockname())
print("connected")
"""


def test_bound_to_the_loopback_device_goes_directly(sandbox):
    done = sandbox.tapline(["/usr/bin/python3", "-c", LOOPBACK_DEVICE], options=["--bypass", "none"])
    assert done.stdout == "connected\n", str(done)
    assert [(e["kind"], e["bypassed"]) for e in done.of("connect")] == [("direct", "bound to a network device")], str(done)


@pytest.mark.parametrize("name", ["localhost", "index.invalid"])
def test_old_lookups_are_recorded(sandbox, name):
    build = Path(os.environ.get("BUILD", Path(__file__).resolve().parents[2] / "build")).resolve()
    client = sandbox.root / "lookups"
    shutil.copy(build / "clients" / "lookups", client)
    bare, done = sandbox.run([client, name]), sandbox.tapline([client, name])
    assert bare.stdout == done.stdout, f"{bare}\n{done}"
    lookups = done.of("name.lookup", name=name)
    assert len(lookups) == 5, str(done)
    if name == "localhost":
        assert all("127.0.0.1" in e["addresses"] and e["result"] == "ok" for e in lookups[:4]), str(done)
        assert (lookups[4]["result"] == "ok") == bool(lookups[4]["addresses"]), "whether it has IPv6 is this machine's affair"
    else:
        assert all(e["result"] in ("EAI_NONAME", "EAI_AGAIN", "EAI_FAIL") for e in lookups), str(done)
