"""Names that the machine cannot look up, with an upstream proxy that can: the program gets an address that
only stands for the name, and the proxy gets the name."""

import errno
import ipaddress
import json
import os
import shutil
import socket
from pathlib import Path

import pytest

import runner
from proxies import OK, ScriptedProxy, pump

NAME = "index.example"  # in the test index's certificate, and in nobody's zone

LOOK_UP = """
import json, socket, sys
families = {"any": 0, "4": socket.AF_INET, "6": socket.AF_INET6}
def look_up(name, family):
    try:
        return sorted({i[4][0] for i in socket.getaddrinfo(name, 80, families[family], socket.SOCK_STREAM)})
    except socket.gaierror as e:
        return e.errno
print(json.dumps([look_up(*argument.split("=")) for argument in sys.argv[1:]]))
"""


def knows_the_name(client, head, proxy):
    """A proxy in whose network NAME is this machine."""
    host, _, port = head.split(b" ")[1].decode().rpartition(":")
    assert host == NAME, head
    server = socket.create_connection(("127.0.0.1", int(port)))
    client.sendall(OK)
    pump(client, server)


@pytest.fixture
def proxy():
    with ScriptedProxy(knows_the_name) as proxy:
        yield proxy
        assert not proxy.failures


def place(sandbox, name):
    build = Path(os.environ.get("BUILD", Path(__file__).resolve().parents[2] / "build")).resolve()
    return shutil.copy(build / "clients" / name, sandbox.root / name)


def curl(index):
    return ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code} %{remote_ip}", f"https://{NAME}:{index.port}/echo"]


def look_up(sandbox, *names, options=()):
    done = sandbox.tapline(["/usr/bin/python3", "-c", LOOK_UP, *names], options)
    assert done.returncode == 0, done
    return json.loads(done.stdout), done


@pytest.mark.parametrize("inspect", [False, True], ids=["passed", "inspected"])
def test_a_name_for_the_proxy_only(sandbox, index, proxy, inspect):
    done = sandbox.tapline(curl(index), ["--upstream", proxy.url], inspect=inspect, env=runner.trust(index.ca))
    status, address = done.stdout.split()
    assert (done.returncode, status) == (0, "200"), done
    assert ipaddress.ip_address(address) in ipaddress.ip_network("198.18.0.0/15")
    [lookup] = done.of("name.lookup", name=NAME)
    assert (lookup["made_up"], lookup["addresses"], lookup["result"]) == (True, [address], "ok")
    assert {e["host"] for e in done.of("upstream")} == {NAME}
    assert done.codes() == []


def test_one_address_per_name_and_family(sandbox, proxy):
    names = [f"{NAME}=any", f"{NAME}=4", f"{NAME}=6", "other.example=any", f"{NAME}=any"]
    addresses, _ = look_up(sandbox, *names, options=["--upstream", proxy.url])
    assert addresses[0] == addresses[1] == addresses[4] != addresses[3]
    assert [len(a) for a in addresses] == [1] * 5
    assert ipaddress.ip_address(addresses[2][0]) in ipaddress.ip_network("fd74:6170:6c69:6e65::/64")


def test_names_that_are_known_here_stay_what_they_are(sandbox, proxy):
    addresses, _ = look_up(sandbox, "localhost=4", options=["--upstream", proxy.url])
    assert addresses == [["127.0.0.1"]]


@pytest.mark.parametrize("options", [
    [], ["--resolve", "local", "--upstream", "proxy"], ["--upstream", "proxy", "--no-proxy", ".example"],
    ["--upstream", "proxy", "--bypass", NAME],
], ids=["no-upstream", "local", "no-proxy", "bypass"])
def test_nothing_is_made_up_where_it_would_lead_nowhere(sandbox, proxy, options):
    options = [proxy.url if word == "proxy" else word for word in options]
    [answer], done = look_up(sandbox, f"{NAME}=any", options=options)
    assert answer in (socket.EAI_NONAME, socket.EAI_AGAIN, socket.EAI_NODATA, socket.EAI_FAIL)
    assert not any("made_up" in e for e in done.of("name.lookup"))


def test_remote_asks_nobody_here(sandbox, index, proxy):
    """Without an upstream the relay looks the name up, and the connection comes through."""
    [address], _ = look_up(sandbox, "localhost=any", options=["--resolve", "remote"])
    assert ipaddress.ip_address(address[0]) in ipaddress.ip_network("198.18.0.0/15")
    done = sandbox.tapline(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", index.url + "/echo"],
                           ["--resolve", "remote"], env=runner.trust(index.ca))
    assert (done.returncode, done.stdout) == (0, "200"), done


@pytest.mark.parametrize("options, made_up", [([], True), (["--resolve", "remote"], True), (["--resolve", "local"], False)],
                         ids=["auto", "remote", "local"])
def test_the_old_calls_get_the_same_addresses(sandbox, proxy, options, made_up):
    done = sandbox.tapline([place(sandbox, "lookups"), NAME], ["--upstream", proxy.url, *options])
    assert done.returncode == 0, done
    if not made_up:
        assert done.stdout.count(" none ") == 5, done
        return
    [[v4], [v6]], _ = look_up(sandbox, f"{NAME}=4", f"{NAME}=6", options=["--upstream", proxy.url])
    calls = ["gethostbyname", "gethostbyname2", "gethostbyname_r", "gethostbyname2_r"]
    assert done.stdout.splitlines() == [*(f"{call} {NAME} {v4}" for call in calls[:3]), f"too small {errno.ERANGE}",
                                        f"{calls[3]} {NAME} {v4}", f"{calls[3]} IPv6 {NAME} {v6}"], done
    assert [e["made_up"] for e in done.of("name.lookup", name=NAME)] == [True] * 5, done


GETS = """
import ctypes, socket, sys
class Host(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("aliases", ctypes.c_void_p), ("family", ctypes.c_int), ("length", ctypes.c_int),
                ("list", ctypes.POINTER(ctypes.POINTER(ctypes.c_ubyte)))]
libc = ctypes.CDLL(None)
libc.gethostbyname.restype = ctypes.POINTER(Host)
host = libc.gethostbyname(sys.argv[1].encode()).contents
address = socket.inet_ntop(host.family, bytes(host.list[0][:host.length]))
with socket.create_connection((address, int(sys.argv[2]))) as s:
    s.sendall(b"GET /echo HTTP/1.0\\r\\n\\r\\n")
    print(s.recv(100).split()[1])
"""


def test_an_address_from_an_old_call_leads_to_the_name(sandbox, make_index, proxy):
    index = make_index(certs=None)
    done = sandbox.tapline(["/usr/bin/python3", "-c", GETS, NAME, str(index.port)], ["--upstream", proxy.url])
    assert done.stdout == "b'200'\n", done
    assert {e["host"] for e in done.of("upstream")} == {NAME}, done


def test_what_is_no_host_name_gets_no_address(sandbox, proxy):
    answers, _ = look_up(sandbox, "a b=any", "-=any", options=["--upstream", proxy.url])
    assert all(isinstance(answer, int) for answer in answers), answers
