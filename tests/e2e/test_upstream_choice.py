"""Which way is taken: choices and their health, rules by host, both address families raced, and ways that lead back to
the relay itself."""

import socket
import time

import pytest

from origins import RawServer, free_port, has_ipv6
from proxies import ScriptedProxy, TUNNELS, Tinyproxy, black_hole, page_403
from relays import Relay, connect_head, eventually
from test_upstream_kinds import get
from upstreams import Danted


@pytest.fixture(scope="module")
def origin(make_index):
    return make_index()


def notes(relay):
    return [e["note"] for e in relay.of("relay.note")]


# -- choices

def test_the_second_when_the_first_is_down(sandbox, origin):
    dead = f"http://127.0.0.1:{free_port()}"
    with Tinyproxy() as proxy, Relay(sandbox, "--upstream", f"{dead}|{proxy.url}") as relay:
        assert get(sandbox, relay, origin, count=10) == ["200"] * 10
        relay.stop()
    failed = len(relay.of("upstream", via=dead, result="failed"))
    assert failed < 5, "it is not left out"  # a slow machine may come to its second try
    assert len(relay.of("upstream", via=proxy.url, result="connected")) == 10
    told = [n for n in notes(relay) if f"{dead} is left out for " in n]
    assert len(told) == failed and " 1 s: " in told[0], notes(relay)
    assert relay.report()["findings"] == []


def test_it_is_tried_again_and_used_again(sandbox, origin):
    port = free_port()
    first = f"http://127.0.0.1:{port}"
    with Tinyproxy() as second, Relay(sandbox, "--upstream", f"{first}|{second.url}") as relay:
        assert get(sandbox, relay, origin) == ["200"]
        with Tinyproxy(port=port):
            def used():
                assert get(sandbox, relay, origin) == ["200"]
                return f'"via":"{first}"' in relay.record.read_text().split("left out")[1]
            eventually(used, seconds=15)
            relay.stop()
    assert any(f"{first} works again" in n for n in notes(relay)), notes(relay)


@pytest.mark.parametrize("fault", ["silent", "closes", "garbage"])
def test_a_proxy_that_misbehaves_is_left_out(sandbox, origin, fault):
    def garbage(client, head, proxy):
        client.sendall(b"220 mail.example ESMTP\r\n\r\n")

    def closes(client, head, proxy):
        pass
    script = {"silent": black_hole, "closes": closes, "garbage": garbage}[fault]
    with ScriptedProxy(script) as bad, Tinyproxy() as good, \
            Relay(sandbox, "--upstream", f"{bad.url}|{good.url}") as relay:
        assert get(sandbox, relay, origin, count=3) == ["200"] * 3
        relay.stop()
    assert len(bad.heads) == 1


def test_a_refusal_is_not_a_failure(sandbox, origin):
    """A proxy that blocks a page works: another one would only be a way around it."""
    with ScriptedProxy(page_403) as first, ScriptedProxy(TUNNELS["plain"]) as second, \
            Relay(sandbox, "--upstream", f"{first.url}|{second.url}") as relay:
        for _ in range(3):
            assert relay.ask(connect_head("127.0.0.1:9")).status == 403
        assert (len(first.heads), len(second.heads)) == (3, 0)


def test_direct_as_the_last_choice(sandbox, origin, tapline_run):
    dead = f"socks5h://127.0.0.1:{free_port()}"
    with Relay(sandbox, "--upstream", f"{dead}|direct") as relay:
        assert get(sandbox, relay, origin) == ["200"]
        relay.stop()
    assert [e["via"] for e in relay.of("upstream")] == [dead, "direct"]
    done = tapline_run(["curl", "-sS", "--cacert", origin.ca, f"{origin.url}/echo"], ["--upstream", f"{dead}|direct"])
    done.assert_worked()


def test_all_are_down(sandbox):
    urls = [f"http://127.0.0.1:{free_port()}" for _ in range(3)]
    with Relay(sandbox, "--upstream", "|".join(urls)) as relay:
        for _ in range(2):
            assert relay.ask(connect_head("127.0.0.1:9")).status == 502
        relay.stop()
    assert sorted(e["via"] for e in relay.of("upstream")) == sorted(urls * 2), "each once for each request"
    assert [f["code"] for f in relay.report()["findings"]] == ["proxy-unreachable"] * 3


def test_a_flapping_proxy(sandbox, origin):
    """Every request is served while the first choice comes and goes."""
    port = free_port()
    with Tinyproxy() as second, Relay(sandbox, "--upstream", f"http://127.0.0.1:{port}|{second.url}") as relay:
        for _ in range(3):
            with Tinyproxy(port=port):
                assert get(sandbox, relay, origin, count=5) == ["200"] * 5
            assert get(sandbox, relay, origin, count=5) == ["200"] * 5
            time.sleep(1.1)


def test_plain_http_takes_another_choice(sandbox, make_index):
    plain = make_index(certs=None)
    with Tinyproxy() as proxy:
        for choices in (f"http://127.0.0.1:{free_port()}|{proxy.url}", f"socks5h://127.0.0.1:{free_port()}|direct"):
            with Relay(sandbox, "--upstream", choices) as relay:
                done = sandbox.run(["curl", "-sS", "--max-time", "20", "--proxy", relay.url, "-o", "/dev/null",
                                    "-w", "%{http_code}", f"{plain.url}/echo"])
                assert done.stdout == "200", (choices, done)


@pytest.mark.parametrize("fault, status", [("silent", 504), ("closes", 502), ("garbage", 502)])
def test_a_proxy_that_misbehaves_with_plain_http_is_left_out(sandbox, make_index, fault, status):
    """It takes connections, so only its answers can show that it works. The request that found out has been said, and is
    not said again to another one; a second failure in a row counts as that, though the proxy was connected to."""
    def script(connection):
        connection.recv(65536)
        if fault == "garbage":
            connection.sendall(b"220 mail.example ESMTP\r\n\r\n")
        while fault == "silent" and connection.recv(65536):
            pass
    plain = make_index(certs=None)
    head = f"GET {plain.url}/echo HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    with RawServer(script) as bad, Tinyproxy() as good:
        url = f"http://127.0.0.1:{bad.port}"
        with Relay(sandbox, "--upstream", f"{url}|{good.url}", "--answer-timeout", "1") as relay:
            assert [relay.ask(head).status for _ in range(3)] == [status, 200, 200]
            eventually(lambda: relay.ask(head).status == status, seconds=15)
            assert relay.ask(head).status == 200
            relay.stop()
        told = [n for n in notes(relay) if f"{url} is left out for " in n]
        assert len(told) == 2 and " 1 s: " in told[0] and " 2 s: " in told[1], notes(relay)
        assert not any("works again" in n for n in notes(relay)), notes(relay)


# -- rules

def test_rules_choose_by_host_and_port(sandbox, origin):
    with ScriptedProxy(TUNNELS["plain"]) as default, ScriptedProxy(TUNNELS["plain"]) as other, Danted() as socks:
        def taken(*rules):
            options = [word for rule in rules for word in ("--route", rule)]
            with Relay(sandbox, "--upstream", default.url, *options) as relay:
                assert get(sandbox, relay, origin) == ["200"]
                relay.stop()
            return relay.of("upstream")[0]["via"]
        assert taken() == default.url
        assert taken(f"localhost={other.url}") == other.url
        assert taken(f"localhost:{origin.port}={other.url}") == other.url
        assert taken(f"localhost:{origin.port + 1}={other.url}") == default.url
        assert taken("a.example=direct", f"localhost={other.url}", "*=direct") == other.url
        assert taken(f"a.example=direct; localhost={socks.socks_url('socks5h')}; *=direct") == socks.socks_url("socks5h")
        assert taken("*=direct") == "direct"


def test_rules_choose_by_block(tapline_run, origin):
    with ScriptedProxy(TUNNELS["plain"]) as proxy:
        done = tapline_run(["curl", "-4sS", "--cacert", origin.ca, f"{origin.url}/echo"],
                           ["--route", f"127.0.0.0/8:{origin.port}={proxy.url}"])
        done.assert_worked()
        assert len(proxy.heads) == 1


def test_rules_come_before_no_proxy(sandbox, origin):
    with ScriptedProxy(TUNNELS["plain"]) as proxy, \
            Relay(sandbox, "--route", f"localhost={proxy.url}", "--no-proxy", "localhost") as relay:
        assert get(sandbox, relay, origin) == ["200"]
        assert len(proxy.heads) == 1


def test_rules_and_chains_in_the_configuration(sandbox, origin):
    with ScriptedProxy(TUNNELS["plain"]) as one, ScriptedProxy(TUNNELS["plain"]) as other:
        conf = sandbox.home / "tapline.conf"
        conf.write_text(f"""\
upstream = ["{one.url}", "{other.url}"];
route = ( {{ match = "nowhere.example"; upstream = "direct"; }},
          {{ match = "127.0.0.1:{origin.port}"; upstream = "{other.url}"; }} );
""")
        with Relay(sandbox, "--config", conf) as relay:
            assert get(sandbox, relay, origin) == ["200"]
            assert (len(one.heads), len(other.heads)) == (1, 1), "localhost: the chain"
            relay.stop()
        assert relay.of("upstream")[0]["via"] == f"{one.url},{other.url}"
        assert relay.of("run.start")[0]["upstream"] == f"{one.url},{other.url}"


@pytest.mark.parametrize("text, words", [
    ('route = ( { match = "a.example"; } );', "each must be"),
    ('route = ( { match = "a/b"; upstream = "direct"; } );', "is not a host"),
    ('route = ["a.example"];', "LIST=UPSTREAM"),
    ('upstream = ["http://127.0.0.1:1|direct", "http://127.0.0.1:2"];', "written as one"),
    ('upstream = ["direct", "http://127.0.0.1:2"];', "no part of a chain"),
    ('upstream_ca = "/nonexistent.pem"; upstream = "https://127.0.0.1:1";', "cannot be used")])
def test_wrong_words_are_named(sandbox, text, words):
    conf = sandbox.home / "tapline.conf"
    conf.write_text(text + "\n")
    done = sandbox.run([sandbox.program(), "relay", "--config", conf])
    assert done.returncode != 0 and words in done.stderr and "tapline.conf:1" in done.stderr, done


# -- addresses

@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 on loopback")
def test_both_families_of_a_name_are_tried(sandbox, origin):
    """The index listens on IPv4 only; localhost has both addresses."""
    addresses = {a[4][0] for a in socket.getaddrinfo("localhost", 1, type=socket.SOCK_STREAM)}
    with Relay(sandbox) as relay:
        assert get(sandbox, relay, origin, count=3) == ["200"] * 3
        dead = free_port()
        answer = relay.ask(connect_head(f"localhost:{dead}"))
        assert answer.status == 502, answer
        relay.stop()
    [failed] = relay.of("upstream", result="failed")
    if len(addresses) > 1:
        assert sorted(failed["attempts"]) == sorted(f"{a} ECONNREFUSED" for a in addresses)
    assert failed["errno"] == "ECONNREFUSED"


def test_an_address_that_was_asked_for_is_the_only_one(tapline_run, origin):
    """As connect(2) would: the program that asks for ::1 is not brought to 127.0.0.1."""
    dead = free_port()
    done = tapline_run(["curl", "-sS", f"http://127.0.0.1:{dead}/"])
    assert done.returncode == 7
    [event] = done.of("upstream", port=dead)
    assert event["address"] == "127.0.0.1" and "attempts" not in event


# -- loops

@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "127.1"])
def test_a_target_that_is_the_relay_itself(sandbox, host):
    with Relay(sandbox) as relay:
        answer = relay.ask(connect_head(f"{host}:{relay.port}"))
        assert answer.status in (403, 502) and b"this relay itself" in answer.body, answer
        relay.stop()
    assert len(relay.of("connect")) <= 1, "it has asked itself"


@pytest.mark.parametrize("scheme", ["http", "socks5h", "https"])
def test_an_upstream_that_is_the_relay_itself(sandbox, scheme):
    port = free_port()
    with Relay(sandbox, "--upstream", f"{scheme}://localhost:{port}", port=port) as relay:
        answer = relay.ask(connect_head("127.0.0.1:9"))
        assert answer.status == 502 and b"this relay itself" in answer.body, answer
        relay.stop()
    assert len(relay.of("connect")) == 1


def test_a_choice_that_is_the_relay_itself_is_passed_over(sandbox, origin):
    port = free_port()
    with Relay(sandbox, "--upstream", f"http://127.0.0.1:{port}|direct", port=port) as relay:
        assert get(sandbox, relay, origin) == ["200"]
