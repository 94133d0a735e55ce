"""Python's HTTP clients under tapline, tapped and inspected, from an ordinary environment and from Poetry's own.

Each program prints what it got; the record must hold exactly what the index served.
"""
import json

import pytest

import runner
import venvs

HOW = pytest.mark.parametrize("inspect", [False, True], ids=["tap", "inspect"])
WHERE = pytest.mark.parametrize("python", ["clients", "poetry"], indirect=True)

GET = """
import json, sys, requests
url = sys.argv[1]
echo = requests.get(url + "/echo", params={"x": "1"})
posted = requests.post(url + "/echo", data=b"p" * 70000)
moved = requests.get(url + "/redirect/3?to=/bytes/10")
chunked = requests.get(url + "/bytes/200000?chunked=1&fresh=1")
print(json.dumps([echo.json()["path"], posted.json()["body_len"], moved.status_code, len(moved.history),
                  len(moved.content), len(chunked.content), requests.get(url + "/status/404").status_code,
                  requests.head(url + "/bytes/5000").headers["content-length"],
                  requests.get(url + "/status/204").status_code]))
"""
CACHE = """
import json, sys, requests
from cachecontrol import CacheControl
from cachecontrol.caches import FileCache
session = CacheControl(requests.Session(), cache=FileCache(sys.argv[2]))
got = [session.get(sys.argv[1] + "/bytes/5000") for _ in range(3)]
again = session.get(sys.argv[1] + "/bytes/5000", headers={"Cache-Control": "no-cache"})
print(json.dumps([[len(r.content), r.from_cache] for r in got] + [len(again.content)]))
"""
PREPARED = """
import json, sys, requests
with requests.Session() as session:
    request = requests.Request("POST", sys.argv[1] + "/echo", data=b"prepared", headers={"X-Sample": "yes"})
    prepared = session.prepare_request(request)
    settings = session.merge_environment_settings(prepared.url, {}, None, None, None)
    answers = [session.send(prepared, **settings) for _ in range(5)]
print(json.dumps([[a.status_code, a.json()["body_len"], ["X-Sample", "yes"] in a.json()["headers"]] for a in answers]))
"""
RAPID = """
import json, sys, requests
with requests.Session() as session:
    print(json.dumps([len(session.get(f"{sys.argv[1]}/bytes/{n}?fresh=1").content) for n in range(200)]))
"""
SESSIONS = """
import json, sys, requests
sizes = []
for n in range(50):
    with requests.Session() as session:
        sizes.append(len(session.get(f"{sys.argv[1]}/bytes/{n}?fresh=1").content))
print(json.dumps(sizes))
"""
POOL = """
import json, sys, requests
from concurrent.futures import ThreadPoolExecutor
from requests.adapters import HTTPAdapter
with requests.Session() as session:
    session.mount("https://", HTTPAdapter(pool_connections=1, pool_maxsize=10, pool_block=True))
    with ThreadPoolExecutor(10) as pool:
        get = lambda n: len(session.get(f"{sys.argv[1]}/bytes/{n * 100}?fresh=1").content)
        print(json.dumps(list(pool.map(get, range(200)))))
"""
URLLIB = """
import json, sys, urllib.request
print(json.dumps([len(urllib.request.urlopen(f"{sys.argv[1]}/bytes/{n}?fresh=1").read()) for n in (0, 1, 300000)]))
"""
# As Python 3.13 does by default: key identifiers, key usage and the rest of RFC 5280 must be right.
STRICT = """
import json, ssl, sys, urllib.request
flags = ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
got = []
for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
    context = ssl.create_default_context()
    if sys.version_info < (3, 13):
        context.verify_flags |= flags
    assert context.verify_flags & flags == flags, context.verify_flags
    context.minimum_version = context.maximum_version = version
    got.append(len(urllib.request.urlopen(sys.argv[1] + "/bytes/20000?fresh=1", context=context).read()))
for name in sys.argv[2:]:
    got.append(len(__import__(name).get(sys.argv[1] + "/bytes/20000?fresh=1").content))
print(json.dumps(got))
"""


@pytest.fixture
def python(request):
    return request.getfixturevalue(request.param) / "bin" / "python"


@pytest.fixture
def program(request, sandbox, index, python):
    """Run a program under tapline; return what it printed, and the run, which was compared with the index."""
    def run(text, *more, inspect):
        done = sandbox.tapline([python, "-c", text, index.url, *more], inspect=inspect, env=runner.trust(index.ca))
        done.assert_worked()
        done.assert_recorded(index)
        if inspect:
            done.assert_bodies()
        return json.loads(done.stdout), done

    return run


@HOW
@WHERE
def test_requests_get(program, inspect):
    got, _ = program(GET, inspect=inspect)
    assert got == ["/echo?x=1", 70000, 200, 3, 10, 200000, 404, "5000", 204]


@HOW
@WHERE
def test_cachecontrol_with_file_cache(program, sandbox, index, inspect):
    got, done = program(CACHE, sandbox.work / "http-cache", inspect=inspect)
    assert got == [[5000, False], [5000, True], [5000, True], 5000]
    assert sum(done.requests().values()) == 2, "answers from the cache are no requests"


@HOW
@WHERE
def test_prepared_requests(program, inspect):
    got, _ = program(PREPARED, inspect=inspect)
    assert got == [[200, 8, True]] * 5


@HOW
@WHERE
def test_many_rapid_requests_on_one_session(program, index, inspect):
    got, _ = program(RAPID, inspect=inspect)
    assert got == list(range(200))
    assert len({e["connection"] for e in index.served()}) == 1, "keep-alive survives"


@HOW
@WHERE
def test_a_new_session_per_request(program, index, inspect):
    got, done = program(SESSIONS, inspect=inspect)
    assert got == list(range(50))
    assert len({e["connection"] for e in index.served()}) == 50
    assert len(done.of("upstream", result="connected")) == 50


@HOW
@WHERE
def test_pool_of_ten_with_threads(program, index, inspect):
    got, done = program(POOL, inspect=inspect)
    assert got == [n * 100 for n in range(200)]
    assert len({e["connection"] for e in index.served()}) <= 10
    assert len(done.of("upstream", result="connected")) <= 10


@HOW
@WHERE
def test_urllib(program, inspect):
    got, _ = program(URLLIB, inspect=inspect)
    assert got == [0, 1, 300000]


@HOW
@pytest.mark.parametrize("python", ["clients"], indirect=True)
def test_strict_verification(program, index, inspect):
    got, _ = program(STRICT, inspect=inspect)
    assert got == [20000, 20000]
    if not inspect:  # inspected, the relay's own handshake is what the index sees
        assert [e["tls"] for e in index.served()] == ["TLSv1.2", "TLSv1.3"]


@HOW
@pytest.mark.parametrize("newer", venvs.newer_pythons())
def test_strict_verification_by_newer_pythons(sandbox, index, inspect, newer):
    """Those that are strict without being told, each that this machine has: urllib, requests, httpx and pip."""
    prefix = venvs.newer_pythons()[newer]
    python, env, mounts = venvs.newer_python(prefix, sandbox)
    env |= {**runner.trust(index.ca), "PYTHONPATH": venvs.get_for(prefix, ("requests", "httpx"))}
    done = sandbox.tapline([python, "-c", STRICT, index.url, "requests", "httpx"], inspect=inspect, env=env, mounts=mounts)
    done.assert_worked()
    assert json.loads(done.stdout) == [20000] * 4
    assert len(done.of("tls", side="client", result="ok")) == (4 if inspect else 0), str(done)
    done = sandbox.tapline([python, "-m", "pip", "download", "-q", "--no-cache-dir", "--index-url", index.url + "/simple/", "-d",
                            sandbox.work / "wheels", "grove"], inspect=inspect, env=env, mounts=mounts)
    done.assert_worked()
    assert any(path.name.startswith("grove-") for path in (sandbox.work / "wheels").iterdir())


@HOW
@WHERE
def test_pip_download(sandbox, index, python, inspect):
    target = sandbox.work / "wheels"
    done = sandbox.tapline([python, "-m", "pip", "download", "-q", "--index-url", index.url + "/simple/", "-d", target,
                            "grove", "pebble"], inspect=inspect, env=runner.trust(index.ca))
    done.assert_worked()
    done.assert_recorded(index)
    names = sorted(path.name for path in target.iterdir())
    assert len(names) == 14 and "grove-1.1-py3-none-any.whl" in names and "pebble-1.0.tar.gz" in names


@HOW
def test_both_addresses_of_localhost(sandbox, make_index, clients, inspect):
    """An index on ::1 too: whichever address the client tries first, one connection answers."""
    index = make_index(v6=True)
    for host in ("localhost", "[::1]", "127.0.0.1"):
        url = f"https://{host}:{index.port}/echo"
        done = sandbox.tapline([clients / "bin/python", "-c", "import requests, sys; requests.get(sys.argv[1]).json()", url],
                               inspect=inspect, env=runner.trust(index.ca))
        done.assert_worked()
        assert done.requests() == {("GET", url, 200): 1}, str(done)


def test_plain_http_is_recorded(sandbox, make_index, clients):
    index = make_index(certs=None)
    done = sandbox.tapline([clients / "bin/python", "-c", GET, index.url], inspect=True)
    done.assert_worked()
    done.assert_recorded(index)
    done.assert_bodies()


def test_a_client_without_trust_fails_as_without_tapline(sandbox, index, clients):
    """Inspection does not make a connection less safe: an origin that the client would refuse is refused."""
    program = [clients / "bin/python", "-c", "import requests, sys; requests.get(sys.argv[1])", index.url + "/echo"]
    bare = sandbox.run(program)
    assert bare.returncode == 1 and "SSLError" in bare.stderr
    for inspect in (False, True):
        done = sandbox.tapline(program, inspect=inspect)
        assert done.returncode == 1 and "Error" in done.stderr, str(done)
        assert index.served() == [], "nothing was asked of an origin that nobody verified"
