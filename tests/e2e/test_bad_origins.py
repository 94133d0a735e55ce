"""Origins with bad certificates: under inspection each client refuses (or takes) them just as it does without tapline,
with the same words, and the record says what is wrong. The good ones are inspected: each client accepts the run's leafs."""

import contextlib
import re

import pytest

import tls_clients
from bad_origins import REVOKED, VERDICTS, Authority, start
from proxies import ScriptedProxy, to_loopback

UNTRUSTED = "origin-untrusted"
# case -> the finding that is named, and what its words hold
FINDINGS = {
    "expired": ("origin-certificate-expired", "expired"),
    "not-yet": ("origin-certificate-not-yet-valid", "not"),
    "wrong-name": ("origin-certificate-wrong-name", "other.example"),
    "self-signed": (UNTRUSTED, "self-signed certificate"),
    "unknown-root": (UNTRUSTED, "self-signed certificate in certificate chain"),
    # Nothing in it tells a CA in between from an unknown one, so both are said (test_findings_tls.py has what tells).
    "incomplete-chain": (UNTRUSTED, "If CN=middle is a CA in between"),
    "weak-key": (UNTRUSTED, "key too weak"),
    "weak-digest": (UNTRUSTED, "digest algorithm too weak"),
    REVOKED: (UNTRUSTED, "certificate revoked"),
}
# What the client itself takes, so that nothing may change about it: GnuTLS finds fewer keys too weak, Java and Go, too, ...
ALWAYS_REFUSED = {"expired", "not-yet", "wrong-name", "self-signed", "unknown-root", "incomplete-chain"}


@pytest.fixture(scope="module")
def authority(session_dir):
    return Authority(session_dir / "bad-origins")


@pytest.fixture(scope="module")
def origins(authority):
    """case -> origin"""
    with contextlib.ExitStack() as stack:
        yield {case: stack.enter_context(start(authority, case)) for case in VERDICTS}


@pytest.fixture(scope="module")
def proxy():
    with ScriptedProxy(to_loopback) as proxy:
        yield proxy


def lines(run):
    """What the client said, a line per case, without what changes from run to run."""
    said = [re.sub(r"0x[0-9a-f]+|port=\d+|[: ]\d{5}\b|\d\d:\d\d:\d\d|\d+ ?ms|\d{6,}", "", line) for line in run.stdout.splitlines()]
    assert len(said) == len(VERDICTS), f"{run}"
    return dict(zip(VERDICTS, said))


def verdicts(run, origin):
    """What the record says of this origin's certificate: a set of (result, verdict)."""
    flows = {e["flow"] for e in run.of("connect") if e["port"] == origin.port}
    return {(e["result"], e.get("verify")) for e in run.of("tls", side="origin") if e["flow"] in flows}


@pytest.mark.parametrize("client", tls_clients.CLIENTS)
def test_every_client_ends_as_without_tapline(client, origins, authority, make_sandbox, proxy):
    def place():
        sandbox = make_sandbox()
        urls = [origin.url for origin in origins.values()]
        return sandbox, tls_clients.visit(client, tls_clients.Place(sandbox, authority.root, urls, proxy.url))

    # Both at once, for there is more than one core; so each has a sandbox of its own.
    sandbox, visit = place()
    under_way = sandbox.start(visit.argv, visit.env, mounts=visit.mounts)
    sandbox, visit = place()
    run = sandbox.tapline(visit.argv, ["--inspect=always"], env=visit.env, mounts=visit.mounts, timeout=180)
    bare = under_way.wait(180)
    said = lines(bare)
    assert lines(run) == said, f"{bare}\n{run}"
    assert {case for case in VERDICTS if said[case] == said["good"]} <= VERDICTS.keys() - ALWAYS_REFUSED, str(bare)
    for case, origin in origins.items():
        taken, refused = {("ok", None)}, {("failed", VERDICTS[case])}
        allowed = [taken] if VERDICTS[case] is None else [taken, refused] if case == REVOKED else [refused]
        assert verdicts(run, origin) in allowed, f"{case}: {verdicts(run, origin)}\n{run}"
    distrust = [e for e in run.of("tls", side="client", result="failed")]
    # Who insists on a stapled answer has none of the good origins either, tapline or not; who is strict refuses the lax one.
    assert len(distrust) == (3 if "stapled" in client else 1 if "strict" in client else 0), str(run)
    assert (said["lax"] == said["good"]) == ("strict" not in client), said["lax"]


@pytest.mark.parametrize("case", FINDINGS)
def test_the_finding_names_what_is_wrong(case, origins, authority, sandbox):
    status = ["--cert-status"] if case == REVOKED else []
    run = sandbox.tapline(["curl", "-sS", *status, "--max-time", "20", "--cacert", authority.root, origins[case].url],
                          ["--inspect=always"])
    code, words = FINDINGS[case]
    finding = run.first()
    assert run.returncode != 0 and finding["code"] == code and words in str(finding), str(run)


def test_the_finding_where_the_client_is_strict(origins, authority, sandbox):
    """Its words are those it has for the origin itself; nobody is told to trust anything."""
    program = f"import sys\nu = sys.argv[2]\n{tls_clients.STRICT}"
    run = sandbox.tapline(["/usr/bin/python3", "-c", program, authority.root, origins["lax"].url], ["--inspect=always"])
    finding = run.first()
    assert run.returncode != 0 and "Missing Authority Key Identifier" in run.stderr, str(run)
    assert (finding["code"], finding["confidence"], run.codes()) == (UNTRUSTED, "likely", [UNTRUSTED]), str(run)
    assert "Missing Authority Key Identifier" in finding["summary"] and "RFC 5280" in finding["advice"]
    assert f"localhost:{origins['lax'].port} " in finding["remedy"]["commands"][0]
