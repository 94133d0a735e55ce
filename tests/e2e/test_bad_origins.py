"""Origins with bad certificates: under inspection each client refuses (or takes) them just as it does without tapline,
with the same words, and the record says what is wrong."""

import re

import pytest

from bad_origins import VERDICTS, Authority, BadOrigin

REQUESTS = "import sys, requests; print(requests.get(sys.argv[1], timeout=20).text)"
CLIENTS = {
    "curl": ["curl", "-sS", "--max-time", "20"],
    "wget": ["wget", "-qO-", "--tries=1", "--timeout=20", "-nv"],
    "requests": ["{venv}/bin/python", "-c", REQUESTS],
}


@pytest.fixture(scope="module")
def authority(session_dir):
    return Authority(session_dir / "bad-origins")


@pytest.fixture(scope="module", params=VERDICTS)
def origin(request, authority):
    with BadOrigin(authority, request.param) as origin:
        origin.case = request.param
        yield origin


def said(run):
    """The client's own words: without addresses and tapline's report."""
    own = run.stderr.split("\ntapline:")[0].strip().splitlines()
    own = [line for line in own if not line.startswith("tapline:") and not line.startswith("Record:")]
    return re.sub(r"0x[0-9a-f]+|\(_ssl\.c:\d+\)|port=\d+", "", own[-1] if own else "")


@pytest.mark.parametrize("client", CLIENTS)
def test_refused_as_without_tapline(client, origin, authority, sandbox, clients):
    argv = [part.format(venv=clients) if part.startswith("{venv}") else part for part in CLIENTS[client]] + [origin.url]
    trust = dict.fromkeys(("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO"), authority.root)
    rc = sandbox.user.make_file(sandbox.home / ".wgetrc", f"ca_certificate = {authority.root}\n")
    assert rc.exists()
    bare = sandbox.run(argv, env=trust, timeout=60)
    run = sandbox.tapline(argv, options=["--inspect=always"], env=trust)
    assert (run.returncode, run.stdout) == (bare.returncode, bare.stdout), f"{bare}\n{run}"
    assert said(run) == said(bare), f"{bare}\n{run}"
    seen = run.of("tls", side="origin")
    assert seen, str(run)
    if VERDICTS[origin.case] is None:
        assert {e["result"] for e in seen} == {"ok"}, str(run)
        assert run.returncode == 0
    else:
        # GnuTLS takes a key that OpenSSL finds too weak: what matters is that nothing has changed.
        assert run.returncode != 0 or client == "wget" and origin.case == "weak-key", str(run)
        assert {(e["result"], e["verify"]) for e in seen} == {("failed", VERDICTS[origin.case])}, str(run)
