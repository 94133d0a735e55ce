"""Certificates and versions: each fault really made by openssl, met by a real tool under --inspect."""
import itertools
import ssl
import subprocess
import time

import pytest

import runner
from findings_lab import Faulty, answer, explained, keep_record

COUNTER = itertools.count()
DAY = 86400


class Authority:
    """A CA of the test's own, and what it signs. make() gives an ssl.SSLContext for a server."""

    def __init__(self, directory, name="tapline test authority"):
        self.dir, self.name = directory, name
        directory.mkdir(mode=0o755)
        self.ca, self.key = directory / "ca.pem", directory / "ca.key"
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650",
                     "-subj", f"/O=Example Corp/CN={name}", "-keyout", self.key, "-out", self.ca)
        self.ca.chmod(0o644)

    def openssl(self, *arguments, stdin=None):
        done = subprocess.run(["openssl", *map(str, arguments)], input=stdin, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr

    def sign(self, stem, subject, extensions, issuer=None, start=-DAY, end=30 * DAY):
        """Paths of a new certificate and its key."""
        cert, key = self.dir / f"{stem}.pem", self.dir / f"{stem}.key"
        request, conf, database = self.dir / f"{stem}.csr", self.dir / f"{stem}.cnf", self.dir / f"{stem}.db"
        issuer_cert, issuer_key = issuer or (self.ca, self.key)
        self.openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject,
                     "-keyout", key, "-out", request)
        database.write_text("")
        conf.write_text(f"[ca]\ndefault_ca=d\n[d]\ndatabase={database}\nserial={database}.serial\nnew_certs_dir={self.dir}\n"
                        f"default_md=sha256\npolicy=p\nrand_serial=yes\nunique_subject=no\n[p]\nO=optional\nCN=supplied\n"
                        f"[x]\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid:always\n{extensions}\n")
        stamp = [time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + t)) for t in (start, end)]
        self.openssl("ca", "-batch", "-config", conf, "-extensions", "x", "-cert", issuer_cert, "-keyfile", issuer_key,
                     "-startdate", stamp[0], "-enddate", stamp[1], "-notext", "-in", request, "-out", cert)
        return cert, key

    def context(self, names="DNS:localhost,IP:127.0.0.1", intermediate=False, whole=False, more="", **dates):
        number = next(COUNTER)
        issuer = None
        if intermediate:
            issuer = self.sign(f"between{number}", "/O=Example Corp/CN=tapline test intermediate",
                               "basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign")
            self.between = issuer[0]
        leaf = self.sign(f"leaf{number}", "/CN=origin", f"subjectAltName={names}\nkeyUsage=critical,digitalSignature\n"
                         f"extendedKeyUsage=serverAuth\n{more}", issuer, **dates)
        if whole:
            leaf[0].write_text(leaf[0].read_text() + self.between.read_text())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*leaf)
        return context


@pytest.fixture
def authority(session_dir):
    return Authority(session_dir / f"authority{next(COUNTER)}")


@pytest.fixture
def serve(session_dir, certs):
    running = []

    def make(context, fault=lambda handler: None, **options):
        running.append(Faulty(session_dir / f"tls{next(COUNTER)}", fault, certs=certs if context else None, context=context,
                              **options).start())
        return running[-1]

    yield make
    for index in running:
        index.stop()


def pip(clients, *indexes):
    more = [a for index in indexes[1:] for a in ("--extra-index-url", f"{index.url}/simple/")]
    return [clients / "bin/python", "-m", "pip", "download", "-q", "--retries", "0", "--no-cache-dir", "--index-url",
            f"{indexes[0].url}/simple/", *more, "-d", "out", "--no-deps", "moss"]


def test_expired(sandbox, clients, authority, serve):
    index = serve(authority.context(start=-40 * DAY, end=-10 * DAY))
    explained(sandbox, pip(clients, index), "origin-certificate-expired", "has expired", "localhost", "valid from",
              inspect=True, env=runner.trust(authority.ca))


def test_not_yet_valid(sandbox, clients, authority, serve):
    index = serve(authority.context(start=10 * DAY, end=40 * DAY))
    explained(sandbox, pip(clients, index), "origin-certificate-not-yet-valid", "not yet valid", "valid from",
              inspect=True, env=runner.trust(authority.ca))


def test_wrong_name(sandbox, clients, authority, serve):
    index = serve(authority.context(names="DNS:other.example,DNS:another.example"))
    explained(sandbox, pip(clients, index), "origin-certificate-wrong-name", "another name", "other.example, another.example",
              inspect=True, env=runner.trust(authority.ca))


@pytest.mark.parametrize("tool", ["pip", "npm"])
def test_untrusted(sandbox, clients, npm, authority, serve, certs, tool):
    index = serve(authority.context())
    env = {**runner.trust(certs.ca), "npm_config_registry": index.url + "/npm/", "npm_config_fetch_retries": "0"}
    argv = pip(clients, index) if tool == "pip" else [npm, "view", "moss-js", "version"]
    done = explained(sandbox, argv, "origin-untrusted", "tapline test authority", inspect=True, env=env,
                     name=f"origin-untrusted-{tool}")
    assert "SSL_CERT_FILE" in done.first()["advice"]
    sandbox.tapline(argv, inspect=True, env={**env, **runner.trust(authority.ca)}, timeout=60).assert_worked()


def remedied(sandbox, done, argv, env):
    """The commands pasted into a shell, and the command again under a tapline of its own, which reads the new bundle."""
    script = "\n".join([*done.first()["remedy"]["commands"], 'exec "$@"'])
    full, record = sandbox.tapline_argv(argv, inspect=True)
    return sandbox.finish(sandbox.start(["sh", "-c", script, "sh", *full], env=env), record)


def test_incomplete_chain(sandbox, clients, authority, serve, session_dir):
    """The certificate says where its issuer is; the remedy fetches it from there."""
    publish = serve(None, lambda handler: handler.path == "/between.der" and answer(
        handler, 200, subprocess.run(["openssl", "x509", "-in", authority.between, "-outform", "DER"], check=True,
                                     capture_output=True).stdout))
    index = serve(authority.context(intermediate=True, more=f"authorityInfoAccess=caIssuers;URI:{publish.url}/between.der"))
    env = runner.trust(authority.ca)
    argv = pip(clients, index)
    done = explained(sandbox, argv, "origin-certificate-incomplete-chain", "tapline test intermediate",
                     f"{publish.url}/between.der", inspect=True, env=env, confidence="likely")
    remedied(sandbox, done, argv, env).assert_worked()


def test_incomplete_chain_of_an_unknown_ca(sandbox, authority, serve, certs):
    """It looks the same, and the remedy does not trust what comes from a URL that a stranger has named."""
    root = subprocess.run(["openssl", "x509", "-in", authority.ca, "-outform", "DER"], check=True, capture_output=True).stdout
    publish = serve(None, lambda handler: answer(handler, 200, root))
    index = serve(authority.context(more=f"authorityInfoAccess=caIssuers;URI:ldap:///CN=x,caIssuers;URI:{publish.url}/root.der"))
    env = {"SSL_CERT_FILE": certs.ca}
    argv = ["curl", "-sS", index.url + "/echo"]
    done = explained(sandbox, argv, "origin-certificate-incomplete-chain", f"{publish.url}/root.der", inspect=True, env=env,
                     confidence="likely", name="origin-certificate-incomplete-chain-unknown-ca")
    again = remedied(sandbox, done, argv, env)
    assert again.returncode == 60 and "self-signed certificate" in again.stderr and index.served() == [], str(again)


NAMED = "authorityKeyIdentifier=keyid:always,issuer:always"


@pytest.mark.parametrize("left_out", [True, False], ids=["left out", "unknown root"])
def test_who_has_issued_the_missing_certificate_tells(sandbox, authority, serve, certs, left_out):
    index = serve(authority.context(intermediate=left_out, more=NAMED))
    code, *proof = (("origin-certificate-incomplete-chain", "intermediate,O=Example Corp, which its chain needs",
                     "which is no root but issued by CN=tapline test authority") if left_out else
                    ("origin-untrusted", "sent 1 certificate, and not that of CN=tapline test authority", "which is a root"))
    done = explained(sandbox, ["curl", "-sS", index.url], code, *proof, inspect=True, confidence="certain",
                     env={"SSL_CERT_FILE": authority.ca if left_out else certs.ca}, name=f"{code}-named")
    assert "s_client" in done.first()["remedy"]["commands"][0] and "is a CA in between" not in done.first()["advice"]


@pytest.mark.parametrize("left_out", [True, False], ids=["left out", "unknown root"])
def test_where_nothing_tells_both_are_said(sandbox, authority, serve, certs, left_out):
    index = serve(authority.context(intermediate=left_out))
    done = explained(sandbox, ["curl", "-sS", index.url], "origin-untrusted", "neither sent nor is it trusted here",
                     "which may be a root or not", inspect=True, env={"SSL_CERT_FILE": authority.ca if left_out else certs.ca},
                     name=f"origin-untrusted-{'left-out' if left_out else 'unknown-root'}")
    advice, (command,) = done.first()["advice"], done.first()["remedy"]["commands"]
    assert "is a CA in between, who runs the host must send" in advice and "trust it: export SSL_CERT_FILE" in advice
    assert command == f"openssl s_client -connect localhost:{index.port} -servername localhost -showcerts </dev/null"


def test_a_chain_that_stops_short_of_an_unknown_root(sandbox, authority, serve, certs):
    """The usual way of sending: all but the root. What is missing is the root, not the issuer of the host's certificate."""
    index = serve(authority.context(intermediate=True, whole=True))
    explained(sandbox, ["curl", "-sS", index.url], "origin-untrusted", "goes on with that of CN=tapline test authority,O=Example",
              "the host sent 2 certificates", inspect=True, env={"SSL_CERT_FILE": certs.ca}, name="origin-untrusted-two")


def test_intercepted_by_other(sandbox, clients, authority, serve, certs):
    one = serve(authority.context())
    two = serve(authority.context())
    explained(sandbox, pip(clients, one, two), "tls-intercepted-by-other", "tapline test authority", one.port, two.port,
              inspect=True, env=runner.trust(certs.ca), confidence="certain")


def test_intercepted_by_a_known_product(sandbox, clients, session_dir, serve, certs):
    scanner = Authority(session_dir / f"authority{next(COUNTER)}", "Zscaler Root CA")
    explained(sandbox, pip(clients, serve(scanner.context())), "tls-intercepted-by-other", "Zscaler", inspect=True,
              env=runner.trust(certs.ca), confidence="likely", name="tls-intercepted-by-other-known")


def test_version_mismatch(sandbox, authority, serve):
    context = authority.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    index = serve(context)
    explained(sandbox, ["curl", "-sS", "--tlsv1.3", index.url + "/echo"], "tls-version-mismatch", "protocol version",
              inspect=True, env=runner.trust(authority.ca))


def test_clock_skew(sandbox, authority, serve):
    """The certificate is from next month, and so is the other server's clock."""
    ahead = serve(None, lambda handler: answer(handler, 200, b"hello\n", Date=time.strftime(
        "%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 30 * DAY))))
    index = serve(authority.context(start=29 * DAY, end=90 * DAY))
    script = f"curl -sS -o /dev/null {ahead.url}/hello && curl -sSf -o /dev/null {index.url}/echo"
    explained(sandbox, ["sh", "-c", script], "clock-skew", "days behind", "not yet valid", "says that it is",
              inspect=True, env=runner.trust(authority.ca), confidence="likely")


def test_client_distrusts_tapline(sandbox, certs, index):
    """A client that pins the origin's key, and the remedy without inspection."""
    key = subprocess.run(f"openssl pkey -in {certs.key} -pubout -outform DER | openssl dgst -sha256 -binary | base64",
                         shell=True, capture_output=True, text=True, check=True).stdout.strip()
    argv = ["curl", "-sS", "-o", "page", "--pinnedpubkey", f"sha256//{key}", index.url + "/echo"]
    done = explained(sandbox, argv, "client-distrusts-tapline", "curl", "localhost", inspect=True, env=runner.trust(certs.ca),
                     confidence="likely")
    [command] = done.first()["remedy"]["commands"]
    assert command.startswith("tapline run --inspect=never -- curl")
    sandbox.tapline(argv, ["--inspect=never"], env=runner.trust(certs.ca)).assert_worked()


def test_distrust_and_unwritable_cache(sandbox, certs, index, npm):
    """Two faults in one job: both are named."""
    sandbox.user.make_dir(sandbox.home / ".npm", 0o555)
    env = {**runner.trust(certs.ca), "npm_config_registry": index.url + "/npm/"}
    job = f"curl -sS -o page --pinnedpubkey sha256//{'A' * 43}= {index.url}/echo; {npm} install moss-js"
    done = sandbox.tapline(["sh", "-c", job], inspect=True, env=env, timeout=60)
    assert done.returncode != 0
    assert done.codes() == ["client-distrusts-tapline", "cache-not-writable"], done
    keep_record(done, "mixed-distrust-unwritable-cache")
