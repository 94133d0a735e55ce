"""Credentials for upstream proxies: Digest and Basic against squid and scripts, Negotiate against a key distribution
centre and squid's Kerberos helper; where they come from, and that nobody else sees them."""

import base64
import hashlib
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from proxies import OK, ScriptedProxy, Squid, dial, pump, read_head, reset
from relays import Relay, connect_head, read_answer
from test_upstream_kinds import get
from upstreams import SquidDigest, exactly

BASIC, NONCE, LATER = base64.b64encode(b"me:secret").decode(), "the-first-of-the-nonces", "the-later-of-the-nonces"
EMPTY = b"Content-Length: 0\r\n\r\n"


@pytest.fixture(scope="module")
def origin(make_index):
    return make_index()


def login(port, scheme="http", who="me:secret"):
    return f"{scheme}://{who}@127.0.0.1:{port}"


def field(head, name):
    found = re.search(rb"(?mi)^" + name.encode() + rb": (.*?)\r$", head)
    return found.group(1).decode() if found else None


def challenge(*fields, status=407, body=EMPTY, version="1.1"):
    lines = [f"HTTP/{version} {status} Not like this", *fields]
    return ("\r\n".join(lines) + "\r\n").encode() + body


def asks_until(right, *refusals, close=False):
    """Answer heads with `refusals` in turn on the same connection, or each on its own (close), until one satisfies
    right(head); then be a tunnel. proxy.heads gets every head."""
    state = {"asked": 0}

    def script(client, head, proxy):
        while head:
            if right(head):
                server = dial(head)
                client.sendall(OK)
                pump(client, server)
                return
            client.sendall(refusals[min(state["asked"], len(refusals) - 1)])
            state["asked"] += 1
            if close:
                return
            head = read_head(client)
            if head:
                proxy.heads.append(head)
    return script


def is_basic(head):
    return field(head, "Proxy-Authorization") == f"Basic {BASIC}"


def digest_of(head):
    value = field(head, "Proxy-Authorization") or ""
    return dict(re.findall(r'(\w+)="?([^",]*)', value.partition(" ")[2])) if value.startswith("Digest ") else None


def is_digest(head, nonce=NONCE, algorithm="sha256"):
    got = digest_of(head)
    if not got or got["nonce"] != nonce:
        return False

    def h(text):
        return hashlib.new(algorithm, text.encode()).hexdigest()
    a1, a2 = h(f"me:{got['realm']}:secret"), h(f"{head.split()[0].decode()}:{got['uri']}")
    assert got["uri"] == head.split()[1].decode()
    return got["response"] == h(f"{a1}:{nonce}:{got['nc']}:{got['cnonce']}:auth:{a2}")


SHA = f'Proxy-Authenticate: Digest realm="x", nonce="{NONCE}", qop="auth", algorithm=SHA-256'

ASKING = {
    "basic": (is_basic, [challenge('Proxy-Authenticate: Basic realm="x"')]),
    "lower-case": (is_basic, [challenge('Proxy-Authenticate: bASIC realm="x"')]),
    "digest": (is_digest, [challenge(SHA)]),
    "several-fields": (is_digest, [challenge("Proxy-Authenticate: Basic realm=x", SHA)]),
    "several-in-one-field": (is_digest, [challenge("Proxy-Authenticate: Basic realm=x, Unheard a=b, "
                                                   + SHA.partition(": ")[2])]),
    "chunked": (is_digest, [challenge(SHA, body=b"Transfer-Encoding: chunked\r\n\r\n5\r\nLogin\r\n0\r\n\r\n")]),
    "long-body": (is_digest, [challenge(SHA, body=b"Content-Length: 50000\r\n\r\n" + b"x" * 50000)]),
    "1xx-before": (is_digest, [b"HTTP/1.1 100 Continue\r\n\r\n" + challenge(SHA)]),
    "stale": (lambda head: is_digest(head, LATER), [challenge(SHA), challenge(SHA.replace(NONCE, LATER) + ", stale=true")]),
    "falls-back": (is_basic, [challenge("Proxy-Authenticate: Basic realm=x", SHA)]),
}


@pytest.mark.parametrize("close", [False, True], ids=["kept", "closed"])
@pytest.mark.parametrize("name", ASKING)
def test_a_challenge_is_answered(sandbox, origin, name, close):
    right, refusals = ASKING[name]
    with ScriptedProxy(asks_until(right, *refusals, close=close)) as proxy, \
            Relay(sandbox, "--upstream", login(proxy.port)) as relay:
        assert get(sandbox, relay, origin) == ["200"]
        first = len(proxy.heads)
        assert field(proxy.heads[0], "Proxy-Authorization") is None, "a password was said before it was asked for"
        assert get(sandbox, relay, origin) == ["200"]
        assert len(proxy.heads) == first + 1, "what it wants is known after the first time"
        relay.stop()
    assert {e["credentials"] for e in relay.of("upstream")} == {True}
    for secret in ("secret", BASIC, NONCE, LATER):
        assert secret not in relay.record.read_text()


@pytest.mark.parametrize("refusal", [
    challenge(SHA, body=b"\r\nunframed, and then closed", version="1.0"),
    challenge(SHA, "Connection: close"), challenge(SHA, "Proxy-Connection: close")],
    ids=["unframed", "connection-close", "proxy-connection-close"])
def test_a_challenge_after_which_the_proxy_closes(sandbox, origin, refusal):
    with ScriptedProxy(asks_until(is_digest, refusal, close=True)) as proxy, \
            Relay(sandbox, "--upstream", login(proxy.port)) as relay:
        assert get(sandbox, relay, origin) == ["200"]


def test_a_proxy_that_says_it_keeps_the_connection_and_does_not_answer(sandbox, origin):
    def script(client, head, proxy):
        if is_digest(head):
            server = dial(head)
            client.sendall(OK)
            pump(client, server)
            return
        client.sendall(challenge(SHA))
        proxy.stopping.wait(30)
    with ScriptedProxy(script) as proxy, Relay(sandbox, "--upstream", login(proxy.port)) as relay:
        assert get(sandbox, relay, origin) == ["200"]


@pytest.mark.parametrize("refusal", [challenge(status=403), challenge(status=401), b""], ids=["403", "401", "closes"])
def test_a_proxy_that_wants_basic_without_asking(sandbox, origin, refusal):
    with ScriptedProxy(asks_until(is_basic, refusal, close=True)) as proxy, \
            Relay(sandbox, "--upstream", login(proxy.port)) as relay:
        assert get(sandbox, relay, origin) == ["200"]


def test_what_is_wrong_is_said_once_for_each_scheme(sandbox):
    refusal = challenge("Proxy-Authenticate: Basic realm=x", SHA)
    with ScriptedProxy(asks_until(lambda head: False, refusal)) as proxy, \
            Relay(sandbox, "--upstream", login(proxy.port)) as relay:
        answer = relay.ask(connect_head("127.0.0.1:9"))
        assert answer.status == 407 and "proxy-authenticate" in answer.fields, answer
        said = [(field(head, "Proxy-Authorization") or "-").split()[0] for head in proxy.heads]
        assert said == ["-", "Digest", "Basic"]
        relay.stop()
    assert [f["code"] for f in relay.report()["findings"]] == ["proxy-auth-rejected"]


@pytest.mark.parametrize("basic", [False, True], ids=["digest", "digest-and-basic"])
def test_squid_with_digest(sandbox, origin, basic):
    with SquidDigest(basic=basic) as squid, Relay(sandbox, "--upstream", squid.url) as relay:
        assert get(sandbox, relay, origin, count=100) == ["200"] * 100
        relay.stop()
        # A nonce is good for 50 uses by squid's default (nonce_max_count): then it is stale, and the next one is used.
        assert squid.answers().count(407) == 2
    assert "secret" not in relay.record.read_text()


def test_squid_with_digest_many_at_once(sandbox, origin):
    with SquidDigest() as squid, Relay(sandbox, "--upstream", squid.url) as relay:
        done = sandbox.run(["curl", "-sS", "--max-time", "60", "--cacert", origin.ca, "--proxy", relay.url, "-o",
                            "/dev/null", "-w", "%{http_code}\n", "-H", "Connection: close", "--parallel",
                            "--parallel-max", "50", "--parallel-immediate", f"{origin.url}/echo?n=[1-200]"])
        assert done.stdout.split() == ["200"] * 200, done


def test_run_with_digest(tapline_run, origin):
    with SquidDigest() as squid:
        done = tapline_run(["curl", "-sS", "--cacert", origin.ca, f"{origin.url}/echo"], ["--upstream", squid.url])
    done.assert_worked()


# -- requests that are forwarded as they are

def answers_when(right, refusal):
    """Refuse requests until right(head), then answer them; proxy.heads and proxy.bodies get what was asked."""
    def script(client, head, proxy):
        while head:
            length = int(field(head, "Content-Length") or 0)
            proxy.bodies = [*getattr(proxy, "bodies", []), exactly(client, length)]
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes" if right(head) else refusal)
            head = read_head(client)
            if head:
                proxy.heads.append(head)
    return script


@pytest.mark.parametrize("data", [None, b"small body"], ids=["GET", "POST"])
@pytest.mark.parametrize("name", ["basic", "digest", "several-in-one-field"])
def test_a_challenge_to_a_plain_request_is_answered(sandbox, name, data):
    right, refusals = ASKING[name]
    posted = ["--data-binary", data.decode()] if data else []
    with ScriptedProxy(answers_when(right, refusals[0])) as proxy, \
            Relay(sandbox, "--upstream", login(proxy.port)) as relay:
        done = sandbox.run(["curl", "-sS", "--max-time", "20", "--proxy", relay.url, *posted,
                            "http://a.example/[1-3]?x=y"])
        assert done.stdout == "yesyesyes", done
        assert field(proxy.heads[0], "Proxy-Authorization") is None
        assert len(proxy.heads) == 4, "what it wants is known after the first time"
        assert set(proxy.bodies) == {data or b""}
        relay.stop()
    assert "secret" not in relay.record.read_text() and BASIC not in relay.record.read_text()
    assert relay.report()["findings"] == []


def test_a_plain_request_with_wrong_credentials_ends(sandbox):
    refusal = challenge("Proxy-Authenticate: Basic realm=x", SHA)
    with ScriptedProxy(answers_when(lambda head: False, refusal)) as proxy, \
            Relay(sandbox, "--upstream", login(proxy.port)) as relay:
        done = sandbox.run(["curl", "-sS", "--max-time", "20", "--proxy", relay.url, "-o", "/dev/null", "-w",
                            "%{http_code}", "http://a.example/"])
        assert done.stdout == "407", done
        said = [(field(head, "Proxy-Authorization") or "-").split()[0] for head in proxy.heads]
        assert said == ["-", "Digest", "Basic"]


def test_squid_with_digest_for_plain_requests(sandbox, make_index):
    plain = make_index(certs=None)
    with SquidDigest() as squid, Relay(sandbox, "--upstream", squid.url) as relay:
        done = sandbox.run(["curl", "-sS", "--max-time", "60", "--proxy", relay.url, "-o", "/dev/null", "-w",
                            "%{http_code}\n", f"{plain.url}/echo?n=[1-60]"])
        assert done.stdout.split() == ["200"] * 60, done


# -- where they come from

def netrc(sandbox, port, mode=0o600, text=None):
    path = sandbox.home / ".netrc"
    path.write_text(text or "machine 127.0.0.1 login me password secret\n")
    os.chown(path, *owner(sandbox))
    path.chmod(mode)
    return path


def owner(sandbox):
    stat = os.stat(sandbox.home)
    return stat.st_uid, stat.st_gid


@pytest.mark.parametrize("how", ["home", "file", "user-in-the-url"])
def test_netrc(sandbox, origin, how):
    with Squid(user="me", password="secret") as squid:
        path = netrc(sandbox, squid.port)
        url = login(squid.port, who="me") if how == "user-in-the-url" else squid.open_url
        option = "--netrc" if how != "file" else f"--netrc={path}"
        with Relay(sandbox, "--upstream", url, option) as relay:
            assert get(sandbox, relay, origin) == ["200"]
            relay.stop()
    assert "secret" not in relay.record.read_text()


def test_netrc_that_others_can_read_is_refused(sandbox):
    path = netrc(sandbox, 1, mode=0o644)
    done = sandbox.run([sandbox.program(), "relay", "--upstream", "http://127.0.0.1:1", f"--netrc={path}"])
    assert done.returncode != 0 and "readable by you alone" in done.stderr, done


def test_credentials_from_the_configuration(sandbox, origin):
    with Squid(user="me", password="secret") as squid:
        conf = sandbox.home / "tapline.conf"
        conf.write_text(f'upstream = "{squid.url}";\n')
        with Relay(sandbox, "--config", conf) as relay:
            assert get(sandbox, relay, origin) == ["200"]


@pytest.mark.parametrize("how", ["separate", "joined", "route", "chain"])
def test_a_password_is_not_left_on_the_command_line(sandbox, how):
    url = "http://me:verysecret@127.0.0.1:1"
    options = {"separate": ["--upstream", url], "joined": [f"--upstream={url}"], "route": ["--route", f".example={url}"],
               "chain": ["--upstream", f"http://127.0.0.1:2,{url}|{url}"]}[how]
    with Relay(sandbox, *options) as relay:
        for process in Path("/proc").iterdir():
            if process.name.isdigit():
                try:
                    shown = (process / "cmdline").read_bytes()
                except OSError:
                    continue
                assert b"verysecret" not in shown or b"pytest" in shown, shown
        shown = Path(f"/proc/{relay.process.pid}/cmdline").read_bytes()
        assert b"me:***@127.0.0.1:1" in shown
        done = relay.stop()
    assert "can be seen by other users" in done.stderr and "verysecret" not in done.stderr
    assert "verysecret" not in relay.record.read_text()


def test_a_password_of_the_command_line_survives_a_reload(sandbox, origin):
    """It is overwritten in what ps shows, and read again on SIGHUP."""
    with Squid(user="me", password="secret") as squid, Relay(sandbox, "--upstream", squid.url) as relay:
        assert get(sandbox, relay, origin) == ["200"]
        for _ in range(2):
            relay.process.popen.send_signal(signal.SIGHUP)
            time.sleep(0.3)
            assert get(sandbox, relay, origin) == ["200"]


def test_no_note_where_there_is_no_password(sandbox):
    with Relay(sandbox, "--upstream", "http://127.0.0.1:1") as relay:
        assert "can be seen" not in relay.stop().stderr


def test_a_wrong_upstream_is_named_without_its_password(sandbox):
    done = sandbox.run([sandbox.program(), "relay", "--upstream", "gopher://me:verysecret@127.0.0.1:1"])
    assert done.returncode != 0 and "gopher://me:***@" in done.stderr and "verysecret" not in done.stderr, done


# -- Negotiate

REALM = "EXAMPLE.TEST"


class Kdc:
    """MIT's key distribution centre on loopback, with a user and the service HTTP/localhost."""

    def __init__(self, directory):
        from origins import free_port
        self.directory, self.port = directory, free_port()

    def path(self, name):
        return os.path.join(self.directory, name)

    def environment(self):
        return {"KRB5_CONFIG": self.path("krb5.conf"), "KRB5_KDC_PROFILE": self.path("kdc.conf"),
                "KRB5CCNAME": f"FILE:{self.path('ccache')}", "KRB5_TRACE": self.path("trace")}

    def tool(self, *argv, **options):
        env = {**os.environ, **self.environment()}
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60, **options)
        assert done.returncode == 0, (argv, done.stdout, done.stderr)

    def __enter__(self):
        from origins import wait_listening
        Path(self.path("krb5.conf")).write_text(f"""\
[libdefaults]
    default_realm = {REALM}
    dns_lookup_kdc = false
    dns_lookup_realm = false
    dns_canonicalize_hostname = false
    rdns = false
[realms]
    {REALM} = {{
        kdc = 127.0.0.1:{self.port}
    }}
[domain_realm]
    localhost = {REALM}
""")
        Path(self.path("kdc.conf")).write_text(f"""\
[kdcdefaults]
    kdc_listen = 127.0.0.1:{self.port}
    kdc_tcp_listen = 127.0.0.1:{self.port}
[realms]
    {REALM} = {{
        database_name = {self.path('db')}
        key_stash_file = {self.path('stash')}
        acl_file = {self.path('acl')}
    }}
""")
        self.tool("kdb5_util", "create", "-s", "-r", REALM, "-P", "master")
        for command in ("addprinc -pw secret me", "addprinc -randkey HTTP/localhost",
                        f"ktadd -k {self.path('keytab')} HTTP/localhost"):
            self.tool("kadmin.local", "-q", command)
        self.process = subprocess.Popen(["krb5kdc", "-n"], env={**os.environ, **self.environment()},
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_listening(self.port, self.process)
        self.tool("kinit", "me", input="secret\n")
        self.ticket = Path(self.path("ccache")).read_bytes()
        for name in ("keytab", "ccache", "krb5.conf"):
            os.chmod(self.path(name), 0o644)
        return self

    def fresh_ticket(self):
        """A cache that has no service's ticket yet."""
        return self.ticket

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)


class SquidNegotiate(SquidDigest):
    """Asks for Negotiate, and for Basic as well."""

    def __init__(self, kdc):
        super().__init__()
        self.kdc = kdc

    def prepare(self):
        command = super().prepare()
        conf = self.path("squid.conf")
        text = Path(conf).read_text()
        text = re.sub(r"auth_param digest.*\n", "", text)
        helper = self.write("negotiate.sh", f"""\
#!/bin/sh
export KRB5_CONFIG={self.kdc.path('krb5.conf')}
exec /usr/lib/squid/negotiate_kerberos_auth -k {self.kdc.path('keytab')} -s HTTP/localhost@{REALM}
""", 0o755)
        self.write("squid.conf", f"auth_param negotiate program {helper}\nauth_param negotiate children 2\n"
                   "auth_param basic program /usr/lib/squid/basic_fake_auth\nauth_param basic realm tests\n" + text)
        return command


@pytest.fixture(scope="module")
def kdc(session_dir):
    directory = session_dir / "kdc"
    directory.mkdir(mode=0o755)
    with Kdc(str(directory)) as kdc:
        yield kdc


def test_negotiate(sandbox, origin, kdc):
    with SquidNegotiate(kdc) as squid, \
            Relay(sandbox, "--upstream", f"http://localhost:{squid.port}", env=kdc.environment()) as relay:
        assert get(sandbox, relay, origin, count=5) == ["200"] * 5, squid.log()
        relay.stop()
        assert 407 in squid.answers() and f"me@{REALM}" in squid.log()
    assert {e["credentials"] for e in relay.of("upstream")} == {True}


def plain_get(sandbox, relay, origin, *options, count=1):
    done = sandbox.run(["curl", "-sS", "--max-time", "60", "--proxy", relay.url, "-o", "/dev/null", "-w", "%{http_code}\n",
                        *options, f"{origin.url}/echo?n=[1-{count}]"])
    return done.stdout.split()


@pytest.fixture(scope="module")
def plain(make_index):
    return make_index(certs=None)


def test_negotiate_for_plain_requests(sandbox, plain, kdc):
    """The token goes with the first request of a connection, which is authenticated then."""
    with SquidNegotiate(kdc) as squid, \
            Relay(sandbox, "--upstream", f"http://localhost:{squid.port}", env=kdc.environment()) as relay:
        assert plain_get(sandbox, relay, plain, count=20) == ["200"] * 20, squid.log()
        assert plain_get(sandbox, relay, plain, "--data-binary", "a small body", count=2) == ["200"] * 2, squid.log()
        log = squid.log()
        assert log.count("/407 ") == 2 and log.count(f"me@{REALM}") >= 22, log
        relay.stop()
    assert not re.search(r"Negotiate [^*]", relay.record.read_text())
    assert not [f for f in relay.report()["findings"] if f["code"].startswith("proxy-")], "a challenge that was met"


def test_plain_requests_without_a_ticket(sandbox, plain, kdc):
    """The next scheme is taken; where there is none the challenge is handed on, and both connections stay."""
    env = {**kdc.environment(), "KRB5CCNAME": "FILE:/nonexistent/ccache"}
    with SquidNegotiate(kdc) as squid:
        with Relay(sandbox, "--upstream", f"http://me:secret@localhost:{squid.port}", env=env) as relay:
            assert plain_get(sandbox, relay, plain, count=2) == ["200"] * 2
        with Relay(sandbox, "--upstream", f"http://localhost:{squid.port}", env=env) as relay, relay.dial() as client:
            for _ in range(2):
                client.sendall(f"GET {plain.url}/echo HTTP/1.1\r\nHost: a\r\n\r\n".encode())
                answer = read_answer(client)
                assert answer.status == 407 and "connection" not in answer.fields, answer
            assert b"Proxy-Authenticate: Negotiate" in answer.head


def test_a_client_may_leave_while_a_ticket_is_sought(sandbox, plain, kdc):
    """The key distribution centre is silent: the thread that asks it outlives the client, and nobody else waits."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent, SquidNegotiate(kdc) as squid:
        silent.bind(("127.0.0.1", 0))
        config = sandbox.tmp / "krb5.conf"
        config.write_text(Path(kdc.path("krb5.conf")).read_text().replace(f":{kdc.port}", f":{silent.getsockname()[1]}")
                          .replace("[realms]", "udp_preference_limit = 100000\n[realms]"))
        cache = sandbox.tmp / "tgt"
        cache.write_bytes(kdc.fresh_ticket())
        for path in (config, cache):
            sandbox.user.own(path)
        env = {**kdc.environment(), "KRB5_CONFIG": config, "KRB5CCNAME": f"FILE:{cache}"}
        with Relay(sandbox, "--upstream", f"http://localhost:{squid.port}", "--no-proxy", "127.0.0.1", env=env) as relay:
            with relay.dial() as client:
                client.sendall(f"GET http://localhost:{plain.port}/echo HTTP/1.1\r\nHost: a\r\n\r\n".encode())
                silent.settimeout(20)
                silent.recv(1)
                reset(client)
            other = f"http://127.0.0.1:{plain.port}/echo"
            done = sandbox.run(["curl", "-sS", "--max-time", "20", "--proxy", relay.url, "-o", "/dev/null", "-w", "%{http_code}", other])
            assert done.stdout == "200", done


def test_without_a_ticket_the_next_scheme_is_taken(sandbox, origin, kdc):
    env = {**kdc.environment(), "KRB5CCNAME": "FILE:/nonexistent/ccache"}
    with SquidNegotiate(kdc) as squid:
        with Relay(sandbox, "--upstream", f"http://me:secret@localhost:{squid.port}", env=env) as relay:
            assert get(sandbox, relay, origin) == ["200"]
        with Relay(sandbox, "--upstream", f"http://localhost:{squid.port}", env=env) as relay:
            answer = relay.ask(connect_head("127.0.0.1:9"))
            assert answer.status == 407, answer
