"""getsockname() of a connection that goes through the relay tells what it would tell without: the address that the route
gives, whatever state the connection is in and whichever process asks. So do getpeername() and SO_ERROR in a program that is
left alone and has inherited the descriptor."""
import shutil

import pytest

from origins import has_ipv6
from slow_origins import Origins
from user import network_problem

PYTHON = "/usr/bin/python3"
NETWORK_PROBLEM = network_problem()
needs_network = pytest.mark.skipif(NETWORK_PROBLEM is not None, reason=f"no network of its own: {NETWORK_PROBLEM}")

# An address that is not loopback, a neighbour that does not answer, and a way to everywhere else.
SCRIPT = ("ip link set lo up; ip link add tap0 type bridge; ip addr add 192.0.2.2/24 dev tap0; ip link set tap0 up; "
          "ip route add 198.51.100.0/24 via 192.0.2.1")

STATES = """
import errno, os, select, socket, subprocess, sys, threading
def show(what, s):
    name = s.getsockname()
    print(what, name[0], "port" if name[1] else "no port", flush=True)
def serve(family, host):
    server = socket.create_server((host, 0), family=family)
    held = []
    def run():
        while True:
            held.append(server.accept()[0])
    threading.Thread(target=run, daemon=True).start()
    return server.getsockname()[1]
def begin(family, host, port, bind=None):
    s = socket.socket(family)
    s.setblocking(False)
    if bind:
        s.bind(bind)
        show("bound", s)
    result = s.connect_ex((host, port))
    print(host, errno.errorcode.get(result, result))
    show("pending", s)
    return s
def wait(s, ms):
    poll = select.poll()
    poll.register(s, select.POLLIN | select.POLLOUT)
    print("waited", bool(poll.poll(ms)))
"""

DIRECT = STATES + """
for host in sys.argv[1:]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    port = serve(family, host)
    s = begin(family, host, port)
    wait(s, 5000)
    show("connected", s)
    s.shutdown(socket.SHUT_WR)
    show("shut", s)
    s = socket.create_connection((host, port))
    show("blocking", s)
    subprocess.run([sys.executable, "-c", "import socket, sys; s = socket.socket(fileno=int(sys.argv[1]));"
                    "print('inherited', s.getsockname()[0])", str(s.fileno())], pass_fds=[s.fileno()], check=True)
    wait(begin(family, host, 9), 5000)
mapped = begin(socket.AF_INET6, "::ffff:192.0.2.2", serve(socket.AF_INET, "192.0.2.2"))
wait(mapped, 5000)
show("mapped", mapped)
s = begin(socket.AF_INET, "192.0.2.2", serve(socket.AF_INET, "192.0.2.2"), ("127.0.0.2", 0))
wait(s, 5000)
show("bound and connected", s)
with socket.create_server(("127.0.0.1", 0)) as holder:
    free = holder.getsockname()[1]
s = begin(socket.AF_INET, "192.0.2.2", serve(socket.AF_INET, "192.0.2.2"), ("0.0.0.0", free))
wait(s, 5000)
print("port as bound", s.getsockname() == ("192.0.2.2", free))
s = begin(socket.AF_INET, "192.0.2.9", 80)
wait(s, 8000)
print(errno.errorcode[s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)])
show("failed", s)
"""


def in_network(sandbox, argv, options=None):
    """Run argv in a network of its own: bare, or with options under tapline."""
    record = None
    if options is not None:
        argv, record = sandbox.tapline_argv(argv, options)
    process = sandbox.start(sandbox.user.with_network(SCRIPT, [str(a) for a in argv]), as_self=True)
    return process.wait(60) if options is None else sandbox.finish(process, record)


@needs_network
def test_every_state_of_a_direct_connection(sandbox):
    argv = [PYTHON, "-c", DIRECT, "192.0.2.2", "127.0.0.1", *(["::1"] if has_ipv6() else [])]
    bare, done = in_network(sandbox, argv), in_network(sandbox, argv, [])
    assert bare.returncode == 0, str(bare)
    assert "connected 192.0.2.2 port" in bare.stdout and "failed 192.0.2.2 port" in bare.stdout, str(bare)
    assert done.stdout == bare.stdout, f"{bare}\n{done}"
    assert {e["kind"] for e in done.of("connect")} == {"redirected"}, str(done)


PROXIED = STATES + """
proxy = socket.create_server(("127.0.0.3", int(sys.argv[1])))
def tunnel():
    while True:
        peer = proxy.accept()[0]
        peer.recv(4096)
        peer.sendall(b"HTTP/1.1 200 OK\\r\\n\\r\\nhello")
threading.Thread(target=tunnel, daemon=True).start()
for host in sys.argv[2:]:
    s = begin(socket.AF_INET6 if ":" in host else socket.AF_INET, host, 443)
    s.setblocking(True)
    assert s.recv(5) == b"hello"
    show("connected", s)
"""


@needs_network
def test_through_a_proxy_it_is_what_the_route_would_give(sandbox):
    """192.0.2.2, not the 127.0.0.1 from which the proxy is reached; that only where nothing leads to the destination."""
    hosts = ["198.51.100.9", "203.0.113.9", "2001:db8::9"]
    done = in_network(sandbox, [PYTHON, "-c", PROXIED, "8080", *hosts], ["--upstream", "http://127.0.0.3:8080"])
    shown = [line.split()[1] for line in done.stdout.splitlines() if line.startswith(("pending", "connected"))]
    assert shown[:2] == ["192.0.2.2"] * 2, str(done)
    assert shown[3] == "127.0.0.1" and shown[5] == "::ffff:127.0.0.1", str(done)


# -- programs that are left alone

PARENT = """
import errno, select, socket, subprocess, sys
port, closed = map(int, sys.argv[2:4])
def child(what, s):
    subprocess.run([sys.argv[1], "-c", sys.argv[4], what, str(s.fileno())], pass_fds=[s.fileno()], check=True)
good = socket.create_connection(("127.0.0.1", port))
child("names", good)
bad = socket.socket()
bad.setblocking(False)
bad.connect_ex(("127.0.0.1", closed))
poll = select.poll()
poll.register(bad, select.POLLIN | select.POLLOUT)
poll.poll(5000)
child("error", bad)
"""
CHILD = """
import errno, socket, sys
s = socket.socket(fileno=int(sys.argv[2]))
if sys.argv[1] == "names":
    print(s.getpeername(), s.getsockname()[0])
    mine = socket.create_connection(s.getpeername())
    print("mine", mine.getpeername())
else:
    print(errno.errorcode[s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)])
"""


@pytest.fixture
def origins():
    with Origins() as origins:
        yield origins


def test_a_program_that_is_left_alone_asks_about_what_it_inherits(sandbox, origins):
    """It redirects nothing of its own, but is not told the relay's address where the parent sees the origin's."""
    other = sandbox.work / "left-alone"
    other.symlink_to(shutil.which("python3", path="/usr/bin"))
    ports = [str(getattr(origins, kind)("127.0.0.1")[1]) for kind in ("answers", "refuses")]
    argv = [PYTHON, "-c", PARENT, other, *ports, CHILD]
    bare, done = sandbox.run(argv), sandbox.tapline(argv, ["--except", "left-alone"])
    assert bare.returncode == 0 and "ECONNREFUSED" in bare.stdout, str(bare)
    assert done.stdout == bare.stdout, f"{bare}\n{done}"
    assert len(done.of("connect")) == 2 and len(done.of("process.start")) == 1, str(done)
