"""Schemes that authenticate a connection, not a request (NTLM): what the client says next goes to the proxy on the
connection on which that has answered, and nobody else ever gets that connection."""

import re
from pathlib import Path

import pytest

from proxies import OK, ScriptedProxy, dial, pump, read_head
from relays import Relay, connect_head, read_answer
from upstreams import SquidDigest


@pytest.fixture(scope="module")
def origin(make_index):
    return make_index()


class SquidNtlm(SquidDigest):
    """Asks for NTLM; its helper believes everybody."""

    def prepare(self):
        command = super().prepare()
        conf = Path(self.path("squid.conf"))
        conf.write_text("auth_param ntlm program /usr/lib/squid/ntlm_fake_auth\nauth_param ntlm children 2\n"
                        + re.sub(r"auth_param digest.*\n", "", conf.read_text()))
        return command


def test_curl_with_ntlm(sandbox, origin):
    with SquidNtlm() as squid, Relay(sandbox, "--upstream", squid.open_url) as relay:
        for _ in range(3):
            done = sandbox.run(["curl", "-sS", "--max-time", "20", "--cacert", origin.ca, "--proxy", relay.url,
                                "--proxy-ntlm", "--proxy-user", "me:secret", "-o", "/dev/null", "-w", "%{http_code}",
                                f"{origin.url}/echo"])
            assert done.stdout == "200", (done, squid.log())
        relay.stop()
        assert 407 in squid.answers() and 200 in squid.answers()
    assert "secret" not in relay.record.read_text()


def three_steps(client, head, proxy):
    """Says yes to a third request only, on one connection."""
    for count in (1, 2):
        proxy.seen.append((proxy.heads.index(head), count))
        client.sendall(b"HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM step%d\r\nContent-Length: 4\r\n\r\nno!\n" % count)
        head = read_head(client)
        if not head:
            return
        proxy.heads.append(head)
    server = dial(head)
    client.sendall(OK)
    pump(client, server)


def test_the_dialogue_stays_on_one_connection(sandbox, origin):
    target = f"127.0.0.1:{origin.port}"
    with ScriptedProxy(three_steps) as proxy, Relay(sandbox, "--upstream", proxy.url) as relay:
        proxy.seen = []
        with relay.dial() as client:
            for step in (b"1", b"2"):
                client.sendall(connect_head(target, "1.1", "Proxy-Authorization: NTLM abc"))
                answer = read_answer(client)
                assert answer.status == 407 and answer.fields["proxy-authenticate"] == f"NTLM step{step.decode()}"
            client.sendall(connect_head(target, "1.1", "Proxy-Authorization: NTLM xyz"))
            assert client.recv(12) == b"HTTP/1.1 200"
        # Another client begins at the first step, on a connection of its own.
        with relay.dial() as client:
            client.sendall(connect_head(target))
            assert read_answer(client).fields["proxy-authenticate"] == "NTLM step1"


def test_a_kept_connection_that_was_closed_is_dialled_afresh(sandbox, origin):
    def forgets(client, head, proxy):
        if b"NTLM xyz" in head:
            server = dial(head)
            client.sendall(OK)
            pump(client, server)
        else:
            client.sendall(b"HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n")
    with ScriptedProxy(forgets) as proxy, Relay(sandbox, "--upstream", proxy.url) as relay, relay.dial() as client:
        client.sendall(connect_head(f"127.0.0.1:{origin.port}"))
        assert read_answer(client).status == 407
        client.sendall(connect_head(f"127.0.0.1:{origin.port}", "1.1", "Proxy-Authorization: NTLM xyz"))
        assert client.recv(12) == b"HTTP/1.1 200"
