"""Ways that lead nowhere: name servers, addresses, proxies. Each in a network of the tool's own, and its remedy pasted.
Names, refused ports and the proxies' words are in test_network.py and test_upstream_faults.py."""
import os
import socket
import threading

import pytest

import runner
import user as user_module
from findings_lab import InNetwork, Network, explained, keep_record, pasted, serve_through, slow
from origins import free_port
from proxies import ScriptedProxy, Tinyproxy, black_hole, page_403, pump, refuse

NAME = "index.example"  # in the test index's certificate
TUN = "ip tuntap add t0 mode tun; ip link set t0 up\n"  # what is sent there is never answered
SOON = "echo 1 >/proc/sys/net/ipv4/tcp_syn_retries; echo 0 >/proc/sys/net/ipv4/tcp_syn_linear_timeouts 2>/dev/null || :\n"


@pytest.fixture
def network(user):
    made = []

    def make(script=""):
        made.append(Network(user, script).__enter__())
        return made[-1]

    yield make
    for one in made:
        one.__exit__()


@pytest.fixture
def hosts(sandbox):
    def write(*lines):
        return sandbox.user.make_file(sandbox.root / "hosts", "127.0.0.1 localhost\n" + "\n".join(lines) + "\n")
    return write


def curl(url, *more):
    return ["curl", "-sS", "-o", "/dev/null", *more, url]


def pip(clients, url):
    return [clients / "bin/python", "-m", "pip", "download", "-q", "--retries", "0", "--no-cache-dir", "--index-url",
            f"{url}/simple/", "-d", "out", "--no-deps", "moss"]


def test_resolver_unreachable(sandbox, clients, network):
    inside = InNetwork(sandbox, network())
    done = explained(inside, pip(clients, f"https://{NAME}"), "resolver-unreachable", NAME, "EAI_AGAIN")
    assert "resolv.conf" in done.first()["advice"]


def test_host_unreachable(sandbox, clients, network):
    inside = InNetwork(sandbox, network())
    explained(inside, pip(clients, "https://192.0.2.9"), "host-unreachable", "192.0.2.9:443", "ENETUNREACH")


@pytest.mark.parametrize("client, proofs", [(["wget", "-qO", "/dev/null", "-t", "1"], ["ETIMEDOUT"]),
                                            (["curl", "-sSo", "/dev/null"], ["ETIMEDOUT", "given up by the program after 3.0 s"])],
                         ids=["blocking", "non-blocking"])
def test_connection_timed_out(sandbox, network, client, proofs):
    """The kernel gives up after three seconds here instead of two minutes. It does so with curl's descriptor, which is
    non-blocking and waits at the hold, and with the relay's at the same time: either may be first."""
    script = TUN + SOON + "ip addr add 192.0.2.1/24 dev t0"
    done = explained(InNetwork(sandbox, network(script)), [*client, "https://192.0.2.9/"], "connection-timed-out",
                     "192.0.2.9:443 does not answer")
    assert any(proof in " ".join(done.first()["evidence"]) for proof in proofs), done


@slow
def test_the_program_does_not_wait(sandbox, clients, network):
    inside = InNetwork(sandbox, network(TUN + "ip addr add 192.0.2.1/24 dev t0"))
    argv = [*pip(clients, "https://192.0.2.9")[:-1], "--timeout", "4", "moss"]
    explained(inside, argv, "connection-timed-out", "192.0.2.9:443", "gave up", name="connection-timed-out-client")


@slow
def test_ipv6_broken(sandbox, npm, index, network, hosts):
    """A Node that tries the first address only, as before Node 20, and a name whose first address is IPv6."""
    space = network(TUN + SOON + "ip -6 addr add 2001:db8::1/64 dev t0; ip addr add 192.0.2.1/32 dev lo")
    serve_through(space.listen("192.0.2.1", index.port), index.port)
    inside = InNetwork(sandbox, space, hosts(f"2001:db8::9 {NAME}", f"192.0.2.1 {NAME}"))
    env = {**runner.trust(index.ca), "npm_config_registry": f"https://{NAME}:{index.port}/npm/",
           "npm_config_fetch_retries": "0", "NODE_OPTIONS": "--no-network-family-autoselection --dns-result-order=verbatim"}
    argv = [npm, "view", "moss-js", "version"]
    done = explained(inside, argv, "ipv6-broken", "IPv6", NAME, env=env)
    pasted(inside, done, argv, env=env)


@pytest.fixture
def outside_proxy(index):
    """A proxy that alone knows where NAME is."""
    def script(client, head, proxy):
        if not head.startswith(b"CONNECT"):
            return
        _, _, port = head.split(b" ")[1].decode().rpartition(":")
        server = socket.create_connection(("127.0.0.1", int(port)))
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        pump(client, server)
    with ScriptedProxy(script) as proxy:
        yield proxy


def test_proxy_ignored_by_tool(sandbox, index, network, outside_proxy, staged):
    """wget reads https_proxy in lower case only."""
    space = network()
    listener = space.listen()
    serve_through(listener, outside_proxy.port)
    inside = InNetwork(sandbox, space)
    proxy = f"http://127.0.0.1:{listener.getsockname()[1]}"
    env = {"HTTPS_PROXY": proxy, "PATH": f"{staged().parent}:{runner.PATH}"}
    argv = ["wget", "-q", "-t", "1", "-O", "page", f"--ca-certificate={index.ca}", f"https://{NAME}:{index.port}/echo"]
    done = explained(inside, argv, "proxy-ignored-by-tool", NAME, "HTTPS_PROXY", options=["--upstream", "direct"], env=env)
    [command] = done.first()["remedy"]["commands"]
    assert command.startswith("tapline run -- wget ")
    fixed = space.tapline(sandbox, argv, env=env)
    fixed.assert_worked()


def test_no_proxy_mismatch_written_wrongly(sandbox, index, hosts):
    """An entry *.example, and a proxy that does not let the host through."""
    user = sandbox.user
    mounts = f"mount --bind '{hosts(f'127.0.0.1 {NAME}')}' /etc/hosts"
    with ScriptedProxy(page_403) as proxy:
        env = {**runner.trust(index.ca), "https_proxy": proxy.url, "no_proxy": "*.example,localhost"}
        argv = ["curl", "-sS", "-o", "page", f"https://{NAME}:{index.port}/echo"]
        done = explained(sandbox, argv, "no-proxy-mismatch", "*.example", NAME, env=env, mounts=mounts,
                         confidence="certain")
        assert done.first()["remedy"]["commands"] == ["export no_proxy=example,localhost"]
        # A new tapline reads the list anew, as the pasted line and the command again would.
        fixed = sandbox.tapline(argv, env={**env, "no_proxy": "example,localhost"}, mounts=mounts)
        fixed.assert_worked()
    assert user


def test_no_proxy_mismatch_listed_by_mistake(sandbox, index, network, outside_proxy):
    space = network()
    listener = space.listen()
    serve_through(listener, outside_proxy.port)
    inside = InNetwork(sandbox, space)
    env = {**runner.trust(index.ca), "https_proxy": f"http://127.0.0.1:{listener.getsockname()[1]}",
           "no_proxy": "localhost,example"}
    argv = ["curl", "-sS", "-o", "page", f"https://{NAME}:{index.port}/echo"]
    done = explained(inside, argv, "no-proxy-mismatch", NAME, "example", env=env, confidence="likely",
                     name="no-proxy-mismatch-listed")
    assert done.first()["remedy"]["commands"] == ["export no_proxy=localhost"]
    space.tapline(sandbox, argv, env={**env, "no_proxy": "localhost"}).assert_worked()


def test_proxy_auth_required(sandbox, clients, index):
    with Tinyproxy(user="me", password="secret") as proxy:
        env = {**runner.trust(index.ca), "https_proxy": proxy.open_url}
        argv = pip(clients, index.url)
        done = explained(sandbox, argv, "proxy-auth-required", "407", f"127.0.0.1:{proxy.port}", env=env)
        [command] = done.first()["remedy"]["commands"]
        assert command == f"export https_proxy=http://USER:PASSWORD@127.0.0.1:{proxy.port}"
        sandbox.tapline(argv, env={**env, "https_proxy": proxy.url}).assert_worked()


def test_proxy_auth_rejected(sandbox, clients, index):
    """Tinyproxy answers 401 where others answer 407."""
    with Tinyproxy(user="me", password="secret") as proxy:
        env = {**runner.trust(index.ca), "https_proxy": proxy.url.replace("secret", "old")}
        argv = pip(clients, index.url)
        explained(sandbox, argv, "proxy-auth-rejected", "401", env=env)
        sandbox.tapline(argv, env={**env, "https_proxy": proxy.url}).assert_worked()


def test_proxy_block_page(sandbox, clients, index):
    with ScriptedProxy(page_403) as proxy:
        explained(sandbox, pip(clients, index.url), "proxy-block-page", "403", "category games",
                  env={**runner.trust(index.ca), "https_proxy": proxy.url})


def test_proxy_refused_tunnel(sandbox, clients, index):
    with ScriptedProxy(refuse(502, "Bad Gateway", b"no route to origin\n")) as proxy:
        explained(sandbox, pip(clients, index.url), "proxy-refused-tunnel", "502", "no route to origin",
                  env={**runner.trust(index.ca), "https_proxy": proxy.url})


def test_proxy_unreachable(sandbox, clients, index):
    port = free_port()
    explained(sandbox, pip(clients, index.url), "proxy-unreachable", f"127.0.0.1:{port}",
              env={**runner.trust(index.ca), "https_proxy": f"http://127.0.0.1:{port}"})


@slow
def test_slow_proxy(sandbox, index):
    with ScriptedProxy(black_hole) as proxy:
        explained(sandbox, curl(index.url + "/echo", "--connect-timeout", "4"), "slow-proxy", f"127.0.0.1:{proxy.port}",
                  options=["--upstream", proxy.url], env=runner.trust(index.ca), confidence="likely")


# -- two faults at once: both are named, in the order in which they must be fixed

def test_unwritable_cache_and_dead_proxy(sandbox, clients, index):
    sandbox.user.make_dir(sandbox.home / ".cache", 0o555)
    argv = [a for a in pip(clients, index.url) if a != "--no-cache-dir"]
    done = sandbox.tapline(argv, env={**runner.trust(index.ca), "https_proxy": f"http://127.0.0.1:{free_port()}"})
    assert done.codes() == ["proxy-unreachable", "cache-not-writable"], done
    keep_record(done, "mixed-dead-proxy-unwritable-cache")
