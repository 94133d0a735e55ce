"""Real clients through the relay: told of it as of a proxy (`tapline relay`), and redirected without knowing
(`tapline run`). Each fetches something from a local origin that checks what it gets; that nothing went past the
relay is told by comparing the origin's connections with the record's."""

import shutil
import socket

import pytest

import git
import projects
import runner
import toolkits
import venvs
from h2_origin import H2Origin
from origins import free_port, wait_listening
from proxies import ScriptedProxy, pump
from relays import Relay


class Client:
    """argv and env of a client; check(done) looks at what it fetched. proxied(url) gives argv and variables that tell it
    of a proxy; most read the usual variables."""

    def __init__(self, argv, env, check, proxied=None):
        self.argv, self.env, self.check = list(map(str, argv)), env, check
        self.proxied = proxied or (lambda url: (self.argv, proxy_env(url)))


def proxy_env(url):
    return {name: url for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")}


@pytest.fixture(scope="module")
def origin(make_index):
    """The index, with a tree of what the other clients fetch."""
    index = make_index()
    index.tree = index.dir / "tree"
    index.tree.mkdir()
    git.make(index.tree / "project.git", {"file": toolkits.FILE, "other/file": b"x"})
    git.make(index.tree / "crates.git", toolkits.cargo_registry(index.url))
    (index.tree / "crates").mkdir()
    (index.tree / "crates/twig-1.0.0.crate").write_bytes(toolkits.crate())
    toolkits.go_tree(index.tree)
    toolkits.apt_tree(index.tree)
    return index


@pytest.fixture(scope="module")
def plain_origin(make_index, origin):
    index = make_index(certs=None)
    index.tree = origin.tree
    return index


def prints(text):
    def check(done):
        assert done.returncode == 0, str(done)
        assert text in done.stdout, str(done)
    return check


def leaves(path, data=None):
    def check(done):
        assert done.returncode == 0, str(done)
        assert path.is_file(), str(done)
        assert data is None or path.read_bytes() == data
    return check


def curl(sandbox, index):
    return Client(["curl", "-sS", "--http1.1", f"{index.url}/bytes/100000", "-o", "/dev/null", "-w", "%{http_code} %{size_download}"],
                  runner.trust(index.ca), prints("200 100000"))


def wget(sandbox, index):
    return Client(["wget", "-q", "--ca-certificate", index.ca, "-O", "got", f"{index.url}/bytes/100000"], {},
                  leaves(sandbox.work / "got"))


def git_clone(sandbox, index):
    return Client(["git", "clone", "-q", f"{index.url}/git/project.git", "got"], {"GIT_SSL_CAINFO": index.ca},
                  leaves(sandbox.work / "got/file", toolkits.FILE))


def pip(sandbox, index):
    return Client([venvs.get(venvs.CLIENTS) / "bin/pip", "download", "-q", "--no-cache-dir", "--no-deps", "--index-url",
                   f"{index.url}/simple/", "stone"], runner.trust(index.ca),
                  leaves(sandbox.work / "stone-1.0-py3-none-any.whl"))


def poetry(sandbox, index):
    projects.poetry(sandbox, index.url + "/simple/")
    return Client([venvs.get(venvs.POETRY) / "bin/poetry", "lock", "-n"], projects.poetry_env(index.ca),
                  leaves(sandbox.work / "poetry.lock"))


def npm(sandbox, index):
    projects.npm(sandbox)
    return Client(["npm", "install", "--silent"], projects.npm_env(index),
                  leaves(sandbox.work / "node_modules/grove-js/package.json"))


def cargo(sandbox, index):
    toolkits.cargo_project(sandbox, index.url)
    return Client([toolkits.program("cargo"), "fetch", "-q"],
                  {"CARGO_HTTP_CAINFO": index.ca, "CARGO_HOME": sandbox.work / "cargo"},
                  lambda done: leaves(next((sandbox.work / "cargo").glob("registry/cache/*/twig-1.0.0.crate"),
                                           sandbox.work / "missing"), toolkits.crate())(done))


def java(sandbox, index):
    sandbox.user.make_file(sandbox.work / "Fetch.java", toolkits.FETCH_JAVA)
    trust = toolkits.java_trust(sandbox, index.ca)
    argv = [toolkits.program("java"), *trust, "Fetch.java", f"{index.url}/echo"]

    def proxied(url):
        host, port = url.removeprefix("http://").split(":")
        return [argv[0], f"-Dhttps.proxyHost={host}", f"-Dhttps.proxyPort={port}", "-Dhttp.nonProxyHosts=", *argv[1:]], {}
    return Client(argv, {}, prints('"path": "/echo"'), proxied)


FETCH_JS = "fetch(process.argv[1] + '/echo').then(r => r.json()).then(j => console.log(j.method, j.path))"


def node(sandbox, index, program=None):
    argv = [program or venvs.node(), "-e", FETCH_JS, index.url]
    return Client(argv, {"NODE_EXTRA_CA_CERTS": index.ca}, prints("GET /echo"),
                  lambda url: (argv, {**proxy_env(url), "NODE_USE_ENV_PROXY": "1"}))


def apt(sandbox, index):
    options = toolkits.apt_options(sandbox, index)
    script = 'apt-get -qq "$@" update && apt-get -qq "$@" download twig'
    argv = ["sh", "-c", script, "sh", *options]

    def proxied(url):
        return [*argv, "-o", f"Acquire::http::Proxy={url}", "-o", f"Acquire::https::Proxy={url}"], {}
    return Client(argv, {}, leaves(sandbox.work / "twig_1.0_all.deb", (index.tree / "apt/twig_1.0_all.deb").read_bytes()),
                  proxied)


CLIENTS = {"curl": curl, "wget": wget, "git": git_clone, "pip": pip, "poetry": poetry, "npm": npm, "cargo": cargo, "java": java,
           "node": node, "apt": apt}


def connections_since(index, before):
    return {e["connection"] for e in index.served()[before:]}


def run_explicit(sandbox, client, *options):
    """The relay, ended, after the client has used it."""
    with Relay(sandbox, *options) as relay:
        argv, env = client.proxied(relay.url)
        done = sandbox.run(argv, {**client.env, **env}, timeout=120)
        client.check(done)
        relay.stop()
    return relay


@pytest.mark.parametrize("name", CLIENTS)
def test_told_of_the_relay(sandbox, origin, name):
    client, before = CLIENTS[name](sandbox, origin), len(origin.served())
    relay = run_explicit(sandbox, client)
    served = connections_since(origin, before)
    assert served, "the origin served nothing"
    assert len(relay.of("connect", kind="connect", port=origin.port)) >= len(served), "something went past the relay"
    assert len(relay.of("upstream", result="connected", port=origin.port)) >= len(served)


@pytest.mark.parametrize("name", CLIENTS)
def test_redirected(sandbox, origin, name):
    client, before = CLIENTS[name](sandbox, origin), len(origin.served())
    done = sandbox.tapline(client.argv, env=client.env, timeout=120)
    client.check(done)
    served = connections_since(origin, before)
    assert served, "the origin served nothing"
    assert len(done.of("connect", kind="redirected", port=origin.port)) >= len(served), "something went past the relay"
    assert len(done.of("upstream", result="connected", port=origin.port)) >= len(served)
    done.assert_worked()


@pytest.mark.parametrize("name", ["curl", "wget", "apt", "git"])
def test_told_of_the_relay_for_plain_http(sandbox, plain_origin, name):
    """No CONNECT: the relay forwards each request, and its record holds them all."""
    plain_origin.ca = "/dev/null"  # not asked for
    client, before = CLIENTS[name](sandbox, plain_origin), len(plain_origin.served())
    relay = run_explicit(sandbox, client)
    served = plain_origin.served()[before:]
    assert served, "the origin served nothing"
    recorded = sorted((e["method"], e["url"]) for e in relay.of("http.request"))
    assert recorded == sorted((e["method"], e["url"]) for e in served)
    assert len(relay.of("http.body", complete=True)) == len(served)


# -- SOCKS: what of it each client has (Node and npm have none of their own)

FETCH_SOCKS = """public class Fetch { public static void main(String[] words) throws Exception {
    System.out.println(new String(new java.net.URL(words[0]).openStream().readAllBytes())); } }"""


def by_socks(client, url):
    return client.argv, {"ALL_PROXY": url, "all_proxy": url, "https_proxy": url, "HTTPS_PROXY": url}


def java_by_socks(sandbox, client, url):
    sandbox.user.make_file(sandbox.work / "Fetch.java", FETCH_SOCKS)
    host, port = url.rpartition("/")[2].split(":")
    program, *rest = client.argv
    return [program, f"-DsocksProxyHost={host}", f"-DsocksProxyPort={port}", "-DsocksNonProxyHosts=", *rest], {}


@pytest.mark.parametrize("name", ["curl", "git", "cargo", "apt", "java"])
def test_told_of_the_relay_by_socks(sandbox, origin, name):
    client, before = CLIENTS[name](sandbox, origin), len(origin.served())
    with Relay(sandbox) as relay:
        url = relay.url.replace("http", "socks5h")
        argv, env = java_by_socks(sandbox, client, url) if name == "java" else by_socks(client, url)
        if name == "apt":
            argv = [*argv, "-o", f"Acquire::https::Proxy={url}"]
        done = sandbox.run(argv, {**client.env, **env}, timeout=120)
        client.check(done)
        relay.stop()
    served = connections_since(origin, before)
    assert served and len(relay.of("connect", kind="socks", port=origin.port)) >= len(served), "something went past the relay"


# -- HTTP/2 inside the tunnel

def http2_argv(origin, ca):
    return ["curl", "-sS", "--http2", "--cacert", str(ca), "-o", "/dev/null", "-w", "%{http_version} %{http_code} %{size_download}\n",
            *[a for n in (1, 2, 3) for a in (f"https://localhost:{origin.port}/size/{n * 100000}", "-o", "/dev/null")][:-2]]


def test_http2_inside_the_tunnel(sandbox, certs):
    with H2Origin(certs) as origin, Relay(sandbox) as relay:
        done = sandbox.run([*http2_argv(origin, certs.ca), "--proxy", relay.url])
        assert done.stdout.splitlines() == ["2 200 100000", "2 200 200000", "2 200 300000"], done
        relay.stop()
    assert len(relay.of("connect", kind="connect", port=origin.port)) == 1


def test_http2_redirected(sandbox, certs):
    with H2Origin(certs) as origin:
        done = sandbox.tapline(http2_argv(origin, certs.ca))
    assert done.stdout.splitlines() == ["2 200 100000", "2 200 200000", "2 200 300000"], done
    done.assert_worked()
    assert len(done.of("connect", kind="redirected", port=origin.port)) >= 1


# -- Node: fetch() reads proxy variables only where NODE_USE_ENV_PROXY says so

def test_node_without_its_switch_is_redirected_all_the_same(sandbox, origin):
    """Any Node, also one that has no such switch."""
    client = node(sandbox, origin, shutil.which("node", path=runner.PATH))
    with Relay(sandbox) as relay:
        done = sandbox.run(client.argv, {**client.env, **proxy_env(relay.url)})
        client.check(done)
        relay.stop()
    assert relay.of("connect") == [], "it reads the variables: then it belongs to the clients that are told"
    proxies = proxy_env(f"http://127.0.0.1:{free_port()}")
    done = sandbox.tapline(client.argv, ["--upstream", "direct"], env={**client.env, **proxies})
    client.check(done)
    assert done.of("connect", kind="redirected", port=origin.port)


# -- Go: system calls of its own, so it is not redirected; and it uses no proxy for loopback

def to_loopback(client, head, proxy):
    """A proxy that finds index.example on this machine."""
    port = head.split(b" ")[1].rpartition(b":")[2]
    server = socket.create_connection(("127.0.0.1", int(port)), timeout=10)
    server.settimeout(None)
    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    pump(client, server)


def test_go_told_of_the_relay(sandbox, origin):
    toolkits.go_project(sandbox)
    env = toolkits.go_env(f"https://index.example:{origin.port}", origin.ca)
    env = {**env, "GOPATH": sandbox.work / "go", "GOCACHE": sandbox.work / "go-cache", "GO111MODULE": "on"}
    client = Client([toolkits.program("go"), "mod", "download", "-x"], env, leaves(
        sandbox.work / "go/pkg/mod/index.example/twig@v1.0.0/twig.go", b"package twig\n"))
    with ScriptedProxy(to_loopback) as proxy:
        before = len(origin.served())
        relay = run_explicit(sandbox, client, "--upstream", proxy.url)
    assert len(origin.served()) >= before + 3
    connects = relay.of("connect", kind="connect", name="index.example")
    assert len(connects) >= len(connections_since(origin, before)) > 0


def test_go_told_of_the_relay_by_socks(sandbox, origin):
    toolkits.go_project(sandbox)
    env = toolkits.go_env(f"https://index.example:{origin.port}", origin.ca)
    env = {**env, "GOPATH": sandbox.work / "go", "GOCACHE": sandbox.work / "go-cache", "GO111MODULE": "on"}
    with ScriptedProxy(to_loopback) as proxy, Relay(sandbox, "--upstream", proxy.url) as relay:
        done = sandbox.run([toolkits.program("go"), "mod", "download", "-x"],
                           {**env, "https_proxy": relay.url.replace("http", "socks5")}, timeout=120)
        assert done.returncode == 0, done
        relay.stop()
    assert relay.of("connect", kind="socks", name="index.example", port=origin.port)


def test_go_is_not_redirected_and_nobody_says_so(sandbox, origin):
    """docs/limits.md: its connections go out directly. The record must not claim to have seen them."""
    toolkits.go_project(sandbox)
    env = {**toolkits.go_env(origin.url, origin.ca), "GOPATH": sandbox.work / "go", "GOCACHE": sandbox.work / "go-cache"}
    before = len(origin.served())
    done = sandbox.tapline([toolkits.program("go"), "mod", "download", "-x"], env=env, timeout=120)
    assert done.returncode == 0, str(done)
    assert len(origin.served()) > before
    assert done.of("connect", port=origin.port) == []
    assert [f for f in done.report["findings"] if f["severity"] == "error"] == []


# -- ssh: the server speaks first

@pytest.fixture
def ssh(sandbox, user):
    """Directory and port of an sshd that serves one file."""
    directory, port = sandbox.root / "ssh", free_port()
    process = sandbox.start(toolkits.ssh_server(directory, user, port))
    try:
        wait_listening(port, process.popen)
        yield directory, port
    finally:
        process.popen.terminate()
        process.wait(10)


def sftp_argv(directory, user, port, *options):
    return [toolkits.program("sftp"), *map(str, toolkits.ssh_options(directory, user, port)), *options,
            f"127.0.0.1:{directory}/file", "got"]


@pytest.mark.parametrize("how", ["connect", "5"])
def test_ssh_through_proxy_command(sandbox, user, ssh, how):
    directory, port = ssh
    with Relay(sandbox) as relay:
        command = f"{toolkits.program('nc.openbsd')} -X {how} -x 127.0.0.1:{relay.port} %h %p"
        done = sandbox.run(sftp_argv(directory, user, port, "-o", f"ProxyCommand={command}"))
        leaves(sandbox.work / "got", toolkits.FILE * 100)(done)
        relay.stop()
    [close] = relay.of("flow.close", port=port)
    assert close["server_to_client"] > len(toolkits.FILE) * 100


def test_ssh_redirected(sandbox, user, ssh):
    directory, port = ssh
    done = sandbox.tapline(sftp_argv(directory, user, port))
    leaves(sandbox.work / "got", toolkits.FILE * 100)(done)
    assert len(done.of("connect", kind="redirected", port=port)) == 1
    done.assert_worked()


