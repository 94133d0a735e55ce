"""Clients that trust the origin and not tapline: each says so in its own way (an alert, an end in the handshake, an end right
after it), which is taken for what it is; with --inspect=auto it is served from the second connection on."""

import pytest

import tls_clients
from bad_origins import Authority, start
from proxies import ScriptedProxy, to_loopback
from relays import Relay

# Those that read no https_proxy are told in their own way. (Java never sends localhost to a proxy unless it is told to.)
MORE = {
    "Node": lambda relay: {"NODE_USE_ENV_PROXY": "1"},
    "Java": lambda relay: {"JAVA_TOOL_OPTIONS": f"-Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort={relay.port} -Dhttp.nonProxyHosts="},
}


@pytest.fixture(scope="module")
def authority(session_dir):
    return Authority(session_dir / "distrust")


def visit(client, authority, sandbox, mode, times):
    """Returns the client's lines and the relay, which has been stopped."""
    with start(authority, "good") as origin, ScriptedProxy(to_loopback) as proxy, Relay(
            sandbox, f"--inspect={mode}", "--upstream", proxy.url, env={"SSL_CERT_FILE": authority.root}) as relay:
        made = tls_clients.visit(client, tls_clients.Place(sandbox, authority.root, [origin.url] * times, relay.url))
        env = {**made.env, "https_proxy": relay.url, **(MORE[client](relay) if client in MORE else {})}
        said = sandbox.run(made.argv, env, mounts=made.mounts, timeout=120).stdout.splitlines()
        relay.stop()
    return said, relay


@pytest.mark.parametrize("client", [name for name in tls_clients.CLIENTS if "stapled" not in name])
def test_refused_once_then_served(client, authority, sandbox):
    (first, second), relay = visit(client, authority, sandbox, "auto", 2)
    assert first != second and not first.startswith("0"), (first, second)
    failed, = relay.of("tls", side="client", result="failed")
    assert relay.of("tls", side="origin", result="ok") and "client" in failed["error"], failed


@pytest.mark.parametrize("client", ["curl", "Node", "wget"])
def test_the_finding(client, authority, sandbox):
    """By an alert, an end in the handshake, and an end right after it."""
    _, relay = visit(client, authority, sandbox, "always", 1)
    assert relay.report()["findings"][0]["code"] == "client-distrusts-tapline"
