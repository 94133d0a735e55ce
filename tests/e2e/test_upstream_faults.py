"""Upstream proxies that answer oddly, refuse, or fail. Through `tapline relay` the client always gets a
true answer: a tunnel if there can be one, a status that fits and a body with the cause if not. Through
`tapline run` the program gets the errno that fits, and the report names the proxy."""

import json
import re

import pytest

import runner
from origins import RawServer, free_port, receive_exactly
from proxies import (BLOCK_PAGE, FAULTS, LOGIN_PAGE, TUNNELS, ScriptedProxy, black_hole,
                     challenge_407, page_403)
from relays import Relay, connect_head, read_answer, read_answer_head

CONNECT_ABORTED = "Proxy CONNECT aborted"
ORIGIN = "127.0.0.1:9"  # never dialled: the scripted proxies refuse before


def curl(sandbox, proxy, url, ca, *arguments):
    return sandbox.run(["curl", "-sS", "-v", "--max-time", "20", "--cacert", ca, "--proxy", proxy, "-o", "/dev/null",
                        "-w", "%{http_code} %{http_connect}", *arguments, url])


@pytest.fixture(scope="module")
def origin(make_index):
    return make_index()


@pytest.mark.parametrize("name", [n for n in TUNNELS if n != "first-bytes-with-head"])
def test_odd_answers_make_a_tunnel(sandbox, origin, name):
    with ScriptedProxy(TUNNELS[name]) as proxy, Relay(sandbox, "--upstream", proxy.url) as relay:
        done = curl(sandbox, relay.url, f"{origin.url}/echo", origin.ca)
        assert (done.returncode, done.stdout) == (0, "200 200"), done


def test_first_bytes_in_the_packet_of_the_head(sandbox):
    """A server that speaks first: its words come along with the upstream's head and are the tunnel's."""
    def greet(connection):
        connection.sendall(b"220 ready\r\n")
        while data := connection.recv(4096):
            connection.sendall(data)
    with RawServer(greet) as server, ScriptedProxy(TUNNELS["first-bytes-with-head"]) as proxy, \
            Relay(sandbox, "--upstream", proxy.url) as relay, relay.dial() as client:
        client.sendall(connect_head(f"127.0.0.1:{server.port}"))
        assert read_answer_head(client).status == 200
        assert receive_exactly(client, 11) == b"220 ready\r\n"
        client.sendall(b"QUIT")
        assert receive_exactly(client, 4) == b"QUIT"


@pytest.mark.parametrize("name", FAULTS)
def test_refusals_and_failures_are_told(sandbox, origin, name):
    script, statuses = FAULTS[name]
    with ScriptedProxy(script) as proxy, Relay(sandbox, "--upstream", proxy.url) as relay:
        answer = relay.ask(connect_head(ORIGIN))
        assert answer.status in statuses, answer
        assert answer.body.strip(), "the answer has no body that says what happened"
        done = curl(sandbox, relay.url, f"{origin.url}/echo", origin.ca)
        assert done.returncode == 56
        assert done.stdout.split()[1] in {str(status) for status in statuses}, done
        assert f"CONNECT tunnel failed, response {answer.status}" in done.stderr
        assert CONNECT_ABORTED not in done.stderr
        relay.stop()
    ends = relay.of("upstream", result="failed")
    assert len(ends) == 2, relay.events
    for event in ends:
        # A reset can arrive while the connection is still being made.
        assert event["stage"] in ({"proxy", "connect"} if name == "reset-at-once" else {"proxy"}), event
        assert event["error"], event
    if name[:3].isdigit():
        assert {e["proxy_status"] for e in ends} == {int(name[:3])}, ends


def test_407_keeps_challenge_and_page(sandbox):
    with ScriptedProxy(challenge_407) as proxy, Relay(sandbox, "--upstream", proxy.url) as relay:
        answer = relay.ask(connect_head(ORIGIN))
        assert answer.status == 407
        assert answer.fields["proxy-authenticate"] == 'Basic realm="tests"'
        assert answer.body == LOGIN_PAGE
        relay.stop()
    [event] = relay.of("upstream")
    assert event["proxy_challenge"] == "Basic"
    assert event["credentials"] is False or "credentials" not in event


def test_a_login_page_or_block_page_is_shown(sandbox):
    with ScriptedProxy(page_403) as proxy, Relay(sandbox, "--upstream", proxy.url) as relay:
        answer = relay.ask(connect_head(ORIGIN))
        assert b"403" in answer.body or answer.status == 403
        assert b"games" in answer.body, answer
        relay.stop()
    [event] = relay.of("upstream")
    assert BLOCK_PAGE.decode() in event["proxy_body"]


def test_the_clients_own_credentials_reach_a_proxy_that_asks(sandbox, origin):
    """curl --proxy-user against a relay without credentials: the 407 comes through, and so does the retry, or
    else the 407 stands; never a broken connection."""
    with ScriptedProxy(challenge_407) as proxy, Relay(sandbox, "--upstream", proxy.url) as relay:
        done = curl(sandbox, relay.url, f"{origin.url}/echo", origin.ca, "--proxy-user", "me:secret",
                    "--proxy-anyauth")
        assert "response 407" in done.stderr, done
        relay.stop()
    assert "secret" not in relay.record.read_text()


def test_an_upstream_that_never_answers_does_not_block_others(sandbox, origin):
    with ScriptedProxy(black_hole) as proxy, \
            Relay(sandbox, "--upstream", proxy.url, "--no-proxy", "localhost") as relay, \
            relay.dial() as waiting:
        waiting.sendall(connect_head(ORIGIN))
        done = curl(sandbox, relay.url, f"{origin.url}/echo", origin.ca)
        assert done.stdout == "200 200", done


@pytest.mark.parametrize("what", ["refused", "name"])
def test_an_upstream_that_is_not_there(sandbox, what):
    url = f"http://127.0.0.1:{free_port()}" if what == "refused" else "http://no-proxy-here.invalid:3128"
    with Relay(sandbox, "--upstream", url) as relay:
        answer = relay.ask(connect_head(ORIGIN))
        assert answer.status in (502, 503, 504), answer
        assert url.split("//")[1].split(":")[0].encode() in answer.body, "the answer does not name the proxy"


# -- tapline run: the program knows nothing of the proxy

def run_curl(tapline_run, origin, upstream, *options):
    return tapline_run(["curl", "-sS", "--max-time", "20", "--cacert", origin.ca, "-o", "/dev/null",
                        "-w", "%{http_code}", f"{origin.url}/echo"],
                       ["--upstream", upstream, *options])


@pytest.mark.parametrize("name", [n for n in TUNNELS if n != "first-bytes-with-head"])
def test_run_odd_answers_make_a_connection(tapline_run, origin, name):
    with ScriptedProxy(TUNNELS[name]) as proxy:
        done = run_curl(tapline_run, origin, proxy.url)
        assert proxy.heads
    assert done.stdout == "200", done
    done.assert_worked()


FINDINGS = {"407": "proxy-auth-required", "407-unframed": "proxy-auth-required",
            "407-chunked": "proxy-auth-required", "403": "proxy-block-page"}


@pytest.mark.parametrize("name", FAULTS)
def test_run_names_the_proxy_and_not_the_disk(tapline_run, origin, name):
    with ScriptedProxy(FAULTS[name][0]) as proxy:
        done = run_curl(tapline_run, origin, proxy.url)
    assert done.returncode == 7, done  # curl: could not connect; it was not told that it had
    errors = [f["code"] for f in done.report["findings"] if f["severity"] == "error"]
    assert len(errors) == 1, done
    assert errors[0].startswith("proxy-"), done
    if name in FINDINGS:
        assert errors == [FINDINGS[name]]
    finding = done.report["findings"][0]
    text = json.dumps(finding)
    assert f"127.0.0.1:{proxy.port}" in text, "the finding does not name the proxy"
    for command in finding["remedy"]["commands"]:
        assert not re.search(r"\bexport (?![A-Za-z_]\w*=)", command), f"no shell takes this: {command}"


def test_run_with_credentials_that_are_wrong(tapline_run, origin):
    with ScriptedProxy(challenge_407) as proxy:
        done = run_curl(tapline_run, origin, f"http://me:verysecret@127.0.0.1:{proxy.port}")
    assert done.codes() == ["proxy-auth-rejected"]
    assert "verysecret" not in done.record.read_text() + done.stderr + json.dumps(done.report)
    [upstream] = done.of("upstream")[:1]
    assert upstream["credentials"] is True


def test_run_pip_behind_a_proxy_that_wants_a_password(tapline_run, clients, origin):
    """pip says only "No matching distribution found (from versions: none)"; the proxy is the cause."""
    with ScriptedProxy(challenge_407) as proxy:
        done = tapline_run([clients / "bin" / "pip", "download", "--no-cache-dir", "--retries", "0", "--no-deps",
                            "-d", "out", "--index-url", f"{origin.url}/simple/", "stone"],
                           ["--upstream", proxy.url], env=runner.trust(origin.ca))
    assert done.returncode != 0
    assert done.codes()[0] == "proxy-auth-required", done
    assert not {"cache-not-writable", "disk-full"} & set(done.codes())


def test_run_upstream_refused_is_not_the_origins_fault(tapline_run, origin):
    port = free_port()
    done = run_curl(tapline_run, origin, f"http://127.0.0.1:{port}")
    assert done.returncode == 7
    assert len(done.codes()) == 1, done
    assert str(port) in json.dumps(done.report["findings"][0])
