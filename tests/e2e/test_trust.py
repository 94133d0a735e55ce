"""Trust in the run's CA where programs load their roots, without a variable; and origins verified against the roots of
the very program that asks. Clients get their CA by argument or configuration file: no variable of runner.trust()."""
import json

import pytest

import certs as certs_module

VERIFY = "import requests, sys; print(requests.get(sys.argv[1] + '/echo', verify=sys.argv[2]).status_code)"
CONTEXTS = {
    "file": "c.load_verify_locations(cafile=sys.argv[2])",
    "directory": "c.load_verify_locations(capath=sys.argv[3])",
    "text": "c.load_verify_locations(cadata=open(sys.argv[2]).read())",
    "der": "c.load_verify_locations(cadata=ssl.PEM_cert_to_DER_cert(open(sys.argv[2]).read()))",
    "after-the-default": "c.load_default_certs(); c.load_verify_locations(sys.argv[2])",
}
CONTEXT = """
import ssl, sys, urllib.request
c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
{}
print(urllib.request.urlopen(sys.argv[1] + "/echo", context=c).status)
"""
# The wheel brings libcurl and OpenSSL 1.1 of its own; Python's ssl is linked to the system's OpenSSL 3.
TWO_OPENSSLS = """
import io, pycurl, ssl, sys, urllib.request
url, ca = sys.argv[1:3]
assert "OpenSSL/1.1" in pycurl.version and ssl.OPENSSL_VERSION_INFO[0] == 3, (pycurl.version, ssl.OPENSSL_VERSION)
for n in range(3):
    context = ssl.create_default_context(cafile=ca)
    assert urllib.request.urlopen(f"{url}/bytes/{n}", context=context).status == 200
    out, curl = io.BytesIO(), pycurl.Curl()
    curl.setopt(curl.URL, f"{url}/bytes/{n + 100}")
    curl.setopt(curl.CAINFO, ca)
    curl.setopt(curl.CAPATH, None)
    curl.setopt(curl.WRITEDATA, out)
    curl.perform()
    assert len(out.getvalue()) == n + 100
print("both")
"""
# What the program sees of a load that fails and of one that works: result, errno, the queue of errors.
OUTCOMES = """
import ctypes, os, sys
ssl = ctypes.CDLL("libssl.so.3", mode=ctypes.RTLD_GLOBAL)
own = ctypes.CDLL(None, use_errno=True)
own.SSL_CTX_new.restype = own.TLS_client_method.restype = own.SSL_CTX_get_cert_store.restype = ctypes.c_void_p
own.ERR_get_error.restype = own.ERR_peek_error.restype = ctypes.c_ulong
ctx = ctypes.c_void_p(own.SSL_CTX_new(ctypes.c_void_p(own.TLS_client_method())))
store = ctypes.c_void_p(own.SSL_CTX_get_cert_store(ctx))
garbage = os.environ["TMPDIR"] + "/garbage.pem"
with open(garbage, "w") as out:
    out.write("-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\\n")
good, none = sys.argv[1].encode(), b"/nonexistent/ca.pem"
def show(name, *args):
    ctypes.set_errno(77)
    result, errors = getattr(own, name)(*args), []
    if len(sys.argv) > 2 and name == sys.argv[2]:
        errors.append("left")
    while code := own.ERR_get_error():
        errors.append(hex(code))
    print(name, result, ctypes.get_errno() if result == 1 else "-", errors)
for file in (good, none, garbage.encode()):
    show("SSL_CTX_load_verify_locations", ctx, file, None)
    show("SSL_CTX_load_verify_file", ctx, file)
    show("X509_STORE_load_locations", store, file, None)
    show("X509_STORE_load_file", store, file)
    show("X509_STORE_load_store", store, file)
show("SSL_CTX_load_verify_dir", ctx, os.path.dirname(good))
show("X509_STORE_load_path", store, os.path.dirname(good))
for name in ("paths", "file", "dir", "store"):
    show("SSL_CTX_set_default_verify_" + name, ctx)
show("X509_STORE_set_default_paths", store)
# An error from before stays in the queue behind a load that works.
own.X509_STORE_load_file(store, none)
before = own.ERR_peek_error()
own.X509_STORE_load_file(store, good)
print("kept", own.ERR_peek_error() == before != 0)
"""


@pytest.fixture
def python(clients):
    return clients / "bin" / "python"


@pytest.fixture(scope="session")
def ca_directory(certs):
    """The CA in a directory as c_rehash(1) makes it."""
    import subprocess
    directory = certs.dir / "hashed"
    directory.mkdir()
    (directory / "ca.pem").write_bytes(certs.ca.read_bytes())
    subprocess.run(["openssl", "rehash", directory], check=True, capture_output=True, timeout=30)
    directory.chmod(0o755)
    return directory


def inspected(done, index):
    """It worked, everything was seen by the relay, and nobody refused anything."""
    done.assert_worked()
    done.assert_recorded(index)
    assert {e["source"] for e in done.of("http.request")} == {"relay"}, str(done)
    assert done.of("tls.roots"), str(done)


@pytest.mark.parametrize("how", CONTEXTS)
def test_contexts_of_python(sandbox, index, python, ca_directory, how):
    done = sandbox.tapline([python, "-c", CONTEXT.format(CONTEXTS[how]), index.url, index.ca, ca_directory], inspect=True)
    inspected(done, index)


def test_requests_with_a_file_of_its_own(sandbox, index, python):
    inspected(sandbox.tapline([python, "-c", VERIFY, index.url, index.ca], inspect=True), index)


def test_a_relative_path(sandbox, index, python):
    (sandbox.work / "own.pem").write_bytes(open(index.ca, "rb").read())
    done = sandbox.tapline([python, "-c", VERIFY, index.url, "own.pem"], inspect=True)
    inspected(done, index)
    assert str(sandbox.work / "own.pem") in [e.get("path") for e in done.of("tls.roots")]


@pytest.mark.parametrize("argv", [["curl", "-fsS", "--cacert", "{ca}", "{url}/bytes/5000"],
                                  ["curl", "-fsS", "--capath", "{dir}", "{url}/bytes/5000"],
                                  ["wget", "-qO-", "--ca-certificate", "{ca}", "{url}/bytes/5000"],
                                  ["wget", "-qO-", "--ca-directory", "{dir}", "{url}/bytes/5000"]], ids=lambda a: a[2])
def test_programs_with_options(sandbox, index, ca_directory, argv):
    argv = [a.format(ca=index.ca, url=index.url, dir=ca_directory) for a in argv]
    inspected(sandbox.tapline(argv, inspect=True), index)


def test_git_with_its_configuration_file(sandbox, index):
    """http.sslCAInfo would be outranked by GIT_SSL_CAINFO: nothing of ours may take its place."""
    (sandbox.home / ".gitconfig").write_text(f"[http]\nsslCAInfo = {index.ca}\n")
    argv = ["git", "ls-remote", index.url + "/no/repository"]
    bare = sandbox.run(argv)
    assert "not found" in bare.stderr, str(bare)
    before = len(index.served())
    done = sandbox.tapline(argv, inspect=True)
    assert done.returncode == bare.returncode and "not found" in done.stderr, str(done)
    assert sum(done.requests().values()) == len(index.served()) - before > 0, str(done)
    assert {e["source"] for e in done.of("http.request")} == {"relay"}, str(done)


def test_pip_with_its_configuration_file(sandbox, index, python):
    """The same with pip.conf's cert, which PIP_CERT would outrank."""
    config = sandbox.home / "pip.conf"
    config.write_text(f"[global]\ncert = {index.ca}\nindex-url = {index.url}/simple/\n")
    done = sandbox.tapline([python, "-m", "pip", "download", "-q", "-d", sandbox.work / "out", "moss"], inspect=True,
                           env={"PIP_CONFIG_FILE": config})
    inspected(done, index)


def test_two_openssls_in_one_process(sandbox, index, bundled):
    done = sandbox.tapline([bundled / "bin" / "python", "-c", TWO_OPENSSLS, index.url, index.ca], inspect=True)
    assert done.stdout == "both\n", str(done)
    inspected(done, index)


def test_each_program_by_its_own_roots(sandbox, index, make_index, session_dir, python):
    """Two authorities, two programs that trust one each, in one run: neither gets more than it would have."""
    other_certs = certs_module.make(session_dir / "other-certs")
    other_certs.dir.chmod(0o755)
    other = make_index(certs=other_certs)
    script = 'for ca in "$3" "$4"; do for url in "$1" "$2"; do "$0" -c "$5" "$url" "$ca" || echo refused; done; done'
    argv = ["sh", "-c", script, python, index.url, other.url, index.ca, other.ca, VERIFY]
    bare = sandbox.run(argv)
    assert bare.stdout.split() == ["200", "refused", "refused", "200"], str(bare)
    done = sandbox.tapline(argv, inspect=True)
    assert done.stdout.split() == bare.stdout.split(), str(done)
    assert len(done.of("tls", side="client", result="ok")) == 2, str(done)
    refused = done.of("tls", side="origin", result="failed")
    assert len(refused) == 2 and all("self-signed" in e["verify"] for e in refused), str(done)


def test_a_program_with_roots_of_others_is_refused_as_ever(sandbox, index, certs, session_dir, python):
    """The user's variable trusts the index; the program does not ask the variable. It must not profit from it."""
    own = certs_module.make(session_dir / "narrow-certs")
    own.dir.chmod(0o755)
    argv = [python, "-c", VERIFY, index.url, own.ca]
    env = {"SSL_CERT_FILE": index.ca}
    assert sandbox.run(argv, env=env).returncode == 1
    done = sandbox.tapline(argv, inspect=True, env=env)
    assert done.returncode == 1 and "CERTIFICATE_VERIFY_FAILED" in done.stderr, str(done)
    assert not done.of("tls", side="client", result="ok") and index.served() == [], str(done)


def test_loads_end_as_without_tapline(sandbox, index, python):
    argv = [python, "-c", OUTCOMES, index.ca]
    bare, done = sandbox.run(argv), sandbox.tapline(argv, inspect=True)
    assert bare.returncode == 0 and "kept True" in bare.stdout, str(bare)
    assert done.stdout == bare.stdout, str(done)
    done.assert_worked()


def test_the_ca_leaves_the_run_with_nobody(sandbox, index, python):
    """A program outside of --only keeps its own roots, and no file of the run is left."""
    done = sandbox.tapline([python, "-c", VERIFY, index.url, index.ca], options=["--except", "python*"], inspect=True)
    assert not done.of("tls.roots"), str(done)


def test_reading_the_record_again(sandbox, index, python):
    done = sandbox.tapline([python, "-c", VERIFY, index.url, index.ca], inspect=True)
    roots = done.of("tls.roots")
    assert [(e["kind"], e.get("path")) for e in roots] == [("file", index.ca)], str(done)
    assert all(json.dumps(e).find("BEGIN CERT") < 0 for e in roots)
