"""Fixtures of the end-to-end tests: real clients, a local index, and tapline as built.

    make_sandbox()  a fresh home, temp and work directory of the unprivileged user (runner.Sandbox)
    sandbox         one of those; sandbox.run(argv) bare, sandbox.tapline(argv, options, inspect=...) under tapline
    tapline_run     sandbox.tapline
    make_index()    a fresh local index (tests/index); index one of those
    certs           the index's CA and leaf; runner.trust(certs.ca) are the variables that trust it
    poetry, clients virtual environments: Poetry 2.3.1; a new pip, requests, CacheControl
    bundled         another: pycurl with its own OpenSSL 1.1
    asynchronous    another: httpx and aiohttp, whose TLS has no descriptor
    npm             path of npm
    early_origin    the port of an origin that takes TLS 1.3's early data

BUILD names the build directory (default: build/ of the checkout). E2E_KEEP=1 keeps what the tests wrote
(in /tmp/tapline-e2e-*).
"""
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests" / "index"))

import certs as certs_module  # noqa: E402
import origins  # noqa: E402
import planted  # noqa: E402
import runner  # noqa: E402
import user as user_module  # noqa: E402
import venvs  # noqa: E402
from index import Index  # noqa: E402


def pytest_configure():
    # A killed test run ends like an interrupted one: with its clients and directories cleared away.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # nohup(1) and a shell's & have signals ignored, and a program that is started so cannot trap them: sh(1).
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def pytest_sessionfinish():
    for mark in list(runner.live):
        runner.kill_marked(mark)


def _remove(path):
    """rm -r that also gets through directories a test made unreadable."""
    for directory, names, _ in os.walk(path):
        for name in names:
            inner = Path(directory, name)
            if not inner.is_symlink() and inner.stat().st_uid == os.geteuid():
                inner.chmod(0o700)
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def session_dir():
    path = Path(tempfile.mkdtemp(prefix="tapline-e2e-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    leaks = planted.find(path)
    if not os.environ.get("E2E_KEEP"):
        _remove(path)
    assert not leaks, "secrets in what tapline wrote:\n" + "\n".join(leaks[:20])


@pytest.fixture(scope="session")
def user():
    return user_module.User()


@pytest.fixture(scope="session")
def certs(session_dir):
    made = certs_module.make(session_dir / "certs")
    made.dir.chmod(0o755)
    return made


@pytest.fixture(scope="session")
def staged(session_dir):
    """A callable that gives the staged tapline; staging waits until a test needs it."""
    build = Path(os.environ.get("BUILD", REPOSITORY / "build")).resolve()
    lock, done = threading.Lock(), []

    def get():
        with lock:
            if not done:
                done.append(runner.stage(build, session_dir / "stage"))
        return done[0]

    return get


@pytest.fixture(scope="session")
def make_sandbox(session_dir, user, staged):
    numbers = itertools.count(1)

    def make():
        return runner.Sandbox(session_dir / f"s{next(numbers)}", user, staged)

    return make


@pytest.fixture
def sandbox(make_sandbox):
    return make_sandbox()


@pytest.fixture
def tapline_run(sandbox):
    return sandbox.tapline


@pytest.fixture(scope="session")
def make_index(session_dir, certs):
    numbers, running = itertools.count(1), []

    def make(**options):
        index = Index(session_dir / f"index{next(numbers)}", options.pop("certs", certs), **options)
        running.append(index.start())
        return index

    yield make
    for index in running:
        index.stop()


@pytest.fixture
def index(make_index):
    return make_index()


@pytest.fixture
def early_origin(certs):
    """gnutls-serv: it takes early data and answers any request."""
    port = origins.free_port()
    server = subprocess.Popen(["gnutls-serv", "--quiet", "--http", "--port", str(port), "--earlydata", "--maxearlydata", "16384",
                               "--disable-client-cert", "--x509certfile", certs.cert, "--x509keyfile", certs.key],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    origins.wait_listening(port, server)
    yield port
    server.kill()
    server.wait()


@pytest.fixture(scope="session")
def poetry():
    venv = venvs.get(venvs.POETRY)
    said = subprocess.run([venv / "bin" / "poetry", "--version"], capture_output=True, text=True, timeout=60).stdout
    assert "2.3.1" in said, said
    return venv


@pytest.fixture(scope="session")
def clients():
    return venvs.get(venvs.CLIENTS)


@pytest.fixture(scope="session")
def bundled():
    return venvs.get(venvs.BUNDLED)


@pytest.fixture(scope="session")
def asynchronous():
    return venvs.get(venvs.ASYNC)


@pytest.fixture(scope="session")
def npm(user):
    path = shutil.which("npm", path=runner.PATH)
    assert path, "npm is not on the path of the tests: install the packages of contrib/packages"
    said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
                          cwd="/", env={"PATH": runner.PATH, "HOME": "/nonexistent"}, **user.popen_arguments())
    assert said.returncode == 0, f"npm does not run as {user.name}: {said.stderr}"
    return path


@pytest.fixture(scope="session")
def private_mounts():
    """Mounts that only one run sees. Where they cannot be had that is an error in CI, and a skip elsewhere."""
    problem = user_module.mounts_problem()
    if problem and (user_module.IS_ROOT or os.environ.get("CI")):
        pytest.fail(f"private mounts do not work here: {problem}")
    if problem:
        pytest.skip(f"private mounts do not work here: {problem}")
