"""curl to an HTTPS origin with tapline between it and a real proxy, tinyproxy and squid: 200, every time, a
thousand times in a row. The story: naive relays lose the connection right after the upstream's 200,
and curl prints "Proxy CONNECT aborted"."""

import os

import pytest

from origins import free_port
from proxies import TUNNELS, ScriptedProxy, Squid, Tinyproxy, page_403
from relays import Relay, in_background

REAL = [Tinyproxy, Squid]
PROXY_PORT = 12345  # the report that started this had it
RELAY_PORT = 8083


@pytest.fixture(scope="module")
def origin(make_index):
    return make_index()


def given_port(port):
    """port, or another one where it is taken: a developer's machine may run something there."""
    try:
        return free_port(port=port)
    except OSError:
        return free_port()


@pytest.fixture(params=REAL, ids=lambda c: c.name)
def proxy(request):
    with request.param(port=given_port(PROXY_PORT)) as proxy:
        yield proxy


@pytest.fixture(params=REAL, ids=lambda c: c.name)
def locked_proxy(request):
    with request.param(user="me", password="secret") as proxy:
        yield proxy


def curl_argv(origin, *arguments, path="/echo"):
    return ["curl", "-sS", "--max-time", "60", "--cacert", origin.ca, "-o", "/dev/null",
            "-w", "%{http_code} %{http_connect}\n", *arguments, origin.url + path]


def assert_all_200(done, count, connect="200"):
    assert done.returncode == 0, done
    assert done.stdout.splitlines() == [f"200 {connect}"] * count, done
    assert "aborted" not in done.stderr


def test_one_request(sandbox, origin, proxy):
    with Relay(sandbox, "--upstream", proxy.url, port=given_port(RELAY_PORT)) as relay:
        assert_all_200(sandbox.run(curl_argv(origin, "--proxy", relay.url)), 1)
        relay.stop()
    [upstream] = relay.of("upstream")
    assert (upstream["via"], upstream["result"], upstream["proxy_status"]) == (proxy.url, "connected", 200)


def test_a_thousand_in_a_row(sandbox, origin, proxy):
    """One curl, which closes each connection after its answer: a thousand CONNECTs."""
    with Relay(sandbox, "--upstream", proxy.url, port=given_port(RELAY_PORT)) as relay:
        done = sandbox.run(curl_argv(origin, "--proxy", relay.url, "-H", "Connection: close",
                                     path="/echo?n=[1-1000]"), timeout=120)
        assert_all_200(done, 1000)
        descriptors = len(os.listdir(f"/proc/{relay.process.pid}/fd"))
        relay.stop()
    assert descriptors < 60, "the relay keeps descriptors of connections that have ended"
    assert len(relay.of("upstream", result="connected")) == 1000
    closed = relay.of("flow.close", port=origin.port)
    assert len(closed) == 1000
    assert {e["first"] for e in closed} <= {"client", "server"}


def test_a_hundred_curls_four_at_a_time(sandbox, origin, proxy):
    with Relay(sandbox, "--upstream", proxy.url) as relay:
        script = 'n=0; while [ $((n += 1)) -le 25 ]; do "$@" || exit 1; done'
        runs = [in_background(sandbox.run, ["sh", "-c", script, "sh", *curl_argv(origin, "--proxy", relay.url)])
                for _ in range(4)]
        for run in runs:
            assert_all_200(run(), 25)


def test_a_hundred_at_once(sandbox, origin, proxy):
    with Relay(sandbox, "--upstream", proxy.url) as relay:
        done = sandbox.run(curl_argv(origin, "--proxy", relay.url, "-H", "Connection: close", "--parallel",
                                     "--parallel-max", "100", "--parallel-immediate", path="/echo?n=[1-300]"))
        assert_all_200(done, 300)


def test_a_large_download(sandbox, origin, proxy):
    with Relay(sandbox, "--upstream", proxy.url) as relay:
        argv = curl_argv(origin, "--proxy", relay.url, path="/bytes/50000000")
        argv[argv.index("-w") + 1] = "%{http_code} %{size_download}\n"
        done = sandbox.run(argv)
        assert done.stdout == "200 50000000\n", done


def test_run_a_thousand_in_a_row(tapline_run, origin, proxy):
    done = tapline_run(curl_argv(origin, "-H", "Connection: close", path="/echo?n=[1-1000]"),
                       ["--upstream", proxy.url], timeout=120)
    assert_all_200(done, 1000, connect="000")
    assert len(done.of("upstream", result="connected", via=proxy.url)) == 1000
    done.assert_worked()


@pytest.mark.parametrize("inspect", [False, True], ids=["tap", "inspect"])
def test_run_requests_are_recorded(tapline_run, origin, proxy, inspect):
    done = tapline_run(curl_argv(origin, path="/echo?way=[1-3]"), ["--upstream", proxy.url], inspect=inspect)
    assert_all_200(done, 3, connect="000")
    for number in (1, 2, 3):
        assert done.requests()[("GET", f"{origin.url}/echo?way={number}", 200)] == 1, done


# -- credentials

def test_credentials_of_the_upstream_url(sandbox, origin, locked_proxy):
    with Relay(sandbox, "--upstream", locked_proxy.url) as relay:
        assert_all_200(sandbox.run(curl_argv(origin, "--proxy", relay.url)), 1)
        relay.stop()
    assert "secret" not in relay.record.read_text()
    assert relay.of("upstream")[0]["credentials"] is True


def test_no_credentials_is_407(sandbox, origin, locked_proxy):
    with Relay(sandbox, "--upstream", locked_proxy.open_url) as relay:
        done = sandbox.run(curl_argv(origin, "--proxy", relay.url))
        assert "CONNECT tunnel failed, response 407" in done.stderr, done
        relay.stop()
    assert "proxy-auth-required" in [f["code"] for f in relay.report()["findings"]]


def test_the_clients_own_credentials_answer_the_challenge(sandbox, origin, locked_proxy):
    """A relay that holds none passes the challenge on, and then the client's answer to it."""
    with Relay(sandbox, "--upstream", locked_proxy.open_url) as relay:
        argv = curl_argv(origin, "--proxy", relay.url, "--proxy-user", "me:secret")
        assert_all_200(sandbox.run(argv), 1)
        assert_all_200(sandbox.run([*argv, "--proxy-anyauth"]), 1)
        relay.stop()
    assert "secret" not in relay.record.read_text()


def test_run_without_credentials(tapline_run, origin, locked_proxy):
    done = tapline_run(curl_argv(origin), ["--upstream", locked_proxy.open_url])
    assert done.returncode == 7
    assert done.codes() == ["proxy-auth-required"], done


def test_run_with_credentials_from_the_environment(tapline_run, origin, locked_proxy):
    """curl itself would use https_proxy, so it is told not to; tapline reads it for the relay."""
    done = tapline_run(curl_argv(origin, "--noproxy", "*"), env={"https_proxy": locked_proxy.url})
    assert_all_200(done, 1, connect="000")
    assert done.of("run.start")[0]["upstream_from"] == "https_proxy"
    assert "secret" not in done.record.read_text()


# -- which way: options and the environment

@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
def test_the_relay_takes_the_proxy_from_the_environment(sandbox, origin, variable):
    with ScriptedProxy(TUNNELS["plain"]) as proxy, Relay(sandbox, env={variable: proxy.url}) as relay:
        assert_all_200(sandbox.run(curl_argv(origin, "--proxy", relay.url)), 1)
        assert len(proxy.heads) == 1


def test_http_proxy_is_for_http_only(sandbox, origin, make_index):
    """As curl reads it: http_proxy in lower case, for plain http:// requests."""
    plain = make_index(certs=None)
    with ScriptedProxy(page_403) as proxy, Relay(sandbox, env={"http_proxy": proxy.url}) as relay:
        assert_all_200(sandbox.run(curl_argv(origin, "--proxy", relay.url)), 1)
        assert proxy.heads == []
        sandbox.run(["curl", "-sS", "--max-time", "5", "--proxy", relay.url, f"{plain.url}/echo"])
        assert [head.split()[0] for head in proxy.heads] == [b"GET"]


def test_without_upstream_it_goes_directly(sandbox, origin):
    with Relay(sandbox) as relay:
        assert_all_200(sandbox.run(curl_argv(origin, "--proxy", relay.url)), 1)
        relay.stop()
    assert relay.of("upstream")[0]["via"] == "direct"
    assert "upstream" not in relay.of("run.start")[0]


@pytest.mark.parametrize("no_proxy, direct", [
    ("localhost", True), ("LOCALHOST", True), (".localhost", True), ("*", True), ("a.example, localhost", True),
    ("host", False), ("localhost.example", False), ("a.example", False), ("", False)])
def test_no_proxy_is_honoured(sandbox, origin, no_proxy, direct):
    with ScriptedProxy(TUNNELS["plain"]) as proxy:
        with Relay(sandbox, env={"https_proxy": proxy.url, "no_proxy": no_proxy}) as relay:
            assert_all_200(sandbox.run(curl_argv(origin, "--proxy", relay.url)), 1)
            assert len(proxy.heads) == (0 if direct else 1), "from the environment"
        with Relay(sandbox, "--upstream", proxy.url, "--no-proxy", no_proxy) as relay:
            assert_all_200(sandbox.run(curl_argv(origin, "--proxy", relay.url)), 1)
            assert len(proxy.heads) == (0 if direct else 2), "from the option"


def test_the_option_beats_the_environment(sandbox, origin):
    with ScriptedProxy(TUNNELS["plain"]) as one, ScriptedProxy(TUNNELS["plain"]) as other:
        with Relay(sandbox, "--upstream", one.url, env={"https_proxy": other.url}) as relay:
            assert_all_200(sandbox.run(curl_argv(origin, "--proxy", relay.url)), 1)
        assert (len(one.heads), len(other.heads)) == (1, 0)
        with Relay(sandbox, "--upstream", "direct", env={"https_proxy": other.url}) as relay:
            assert_all_200(sandbox.run(curl_argv(origin, "--proxy", relay.url)), 1)
        assert len(other.heads) == 0
