"""mitmproxy behind tapline: its hooks see every exchange of programs that know nothing of it, with no iptables and no
root anywhere. Tapline brings the connections to it by CONNECT, so that it learns names and not addresses."""

from collections import Counter

import pytest

import projects
import runner
from relays import Relay
from upstreams import Mitmproxy


@pytest.fixture(scope="module")
def index(make_index):
    return make_index()


@pytest.fixture(scope="module")
def mitmproxy(index):
    with Mitmproxy(index.ca) as proxy:
        yield proxy


def check_hooks(mitmproxy, index, before):
    """Each exchange that the index served has one request and one response in mitmproxy's hooks."""
    served = Counter((e["method"], e["url"], str(e["status"])) for e in index.served()[before:])
    seen = mitmproxy.seen()
    assert served, "the index served nothing"
    assert Counter((line[1], line[2]) for line in seen if line[0] == "request") == \
        Counter({(m, u): 0 for m, u, _ in served}) + Counter(key for m, u, s in served.elements() for key in [(m, u)])
    assert Counter(tuple(line[1:4]) for line in seen if line[0] == "response") == served


def fresh(mitmproxy):
    with open(mitmproxy.path("seen"), "w"):
        pass


@pytest.mark.parametrize("inspect", [False, True], ids=["tap", "inspect"])
def test_pip(tapline_run, clients, index, mitmproxy, inspect):
    fresh(mitmproxy)
    before = len(index.served())
    done = tapline_run([clients / "bin" / "pip", "download", "--no-cache-dir", "-d", "out", "--index-url",
                        f"{index.url}/simple/", "grove"],
                       ["--upstream", mitmproxy.url], inspect=inspect, env=runner.trust(mitmproxy.ca), timeout=120)
    done.assert_worked()
    check_hooks(mitmproxy, index, before)
    assert sum(done.requests().values()) == len(index.served()) - before, "and tapline's own record has them too"
    assert {e["via"] for e in done.of("upstream")} == {mitmproxy.url}


def test_poetry(sandbox, index, poetry, mitmproxy):
    fresh(mitmproxy)
    projects.poetry(sandbox, index.url + "/simple/")
    before = len(index.served())
    done = sandbox.tapline([poetry / "bin" / "poetry", "install", "-n"], ["--upstream", mitmproxy.url],
                           env=projects.poetry_env(mitmproxy.ca), timeout=180)
    done.assert_worked()
    check_hooks(mitmproxy, index, before)


def test_curl_through_the_relay(sandbox, index, mitmproxy):
    fresh(mitmproxy)
    before = len(index.served())
    with Relay(sandbox, "--upstream", mitmproxy.url) as relay:
        done = sandbox.run(["curl", "-sS", "--cacert", mitmproxy.ca, "--proxy", relay.url, "-o", "/dev/null", "-w",
                            "%{http_code}\n", f"{index.url}/echo?n=[1-20]"])
        assert done.stdout.split() == ["200"] * 20, done
    check_hooks(mitmproxy, index, before)
