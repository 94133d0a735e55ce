"""When the network is at fault it is named and the disk is not blamed; and what happens when the relay is killed."""
import os
import re
import signal
import socket
import time
from pathlib import Path

import pytest

import projects
import runner
from findings_lab import keep_record

DISK = {"cache-not-writable", "cache-not-readable", "read-only-filesystem", "disk-full", "inodes-exhausted",
        "cache-owned-by-other-user", "path-component-not-a-directory", "home-not-writable"}
ABSENT = "index.invalid"  # RFC 6761: this name never resolves


def argv_of(client, url, poetry, clients):
    """The command with which a client fails when it cannot reach url."""
    return {
        "curl": ["curl", "-sS", url],
        "pip": [clients / "bin/python", "-m", "pip", "download", "-q", "--retries", "1", "--index-url", url, "grove"],
        "old-pip": [poetry / "bin/python", "-m", "pip", "download", "-q", "--retries", "1", "--index-url", url, "grove"],
        "requests": [clients / "bin/python", "-c", "import requests, sys; requests.get(sys.argv[1])", url],
        "poetry": [poetry / "bin/poetry", "lock", "-n"],
    }[client]


CLIENTS = pytest.mark.parametrize("client", ["curl", "pip", "old-pip", "requests", "poetry"])



@pytest.fixture
def refused_port():
    """A port that nobody listens on and nobody else can take meanwhile."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def _blamed(sandbox, argv, env, code):
    done = sandbox.tapline(argv, env=env, timeout=120)
    assert done.returncode != 0, str(done)
    assert done.first()["code"] == code, str(done)
    assert not DISK & set(done.codes()), f"the disk is innocent\n{done}"
    keep_record(done, f"{code}-{Path(argv[0]).name}")
    return done


@CLIENTS
def test_a_name_that_does_not_resolve(sandbox, certs, poetry, clients, client):
    url = f"https://{ABSENT}/simple/"
    projects.poetry(sandbox, url)
    done = _blamed(sandbox, argv_of(client, url, poetry, clients), projects.poetry_env(certs.ca), "name-not-found")
    first = done.first()
    assert ABSENT in first["summary"] + "".join(first["evidence"])
    lookups = done.of("name.lookup", name=ABSENT)
    assert lookups and all(e["result"] != "ok" for e in lookups), str(done)


@CLIENTS
def test_a_refused_port(sandbox, certs, poetry, clients, refused_port, client):
    url = f"https://127.0.0.1:{refused_port}/simple/"
    projects.poetry(sandbox, url)
    done = _blamed(sandbox, argv_of(client, url, poetry, clients), projects.poetry_env(certs.ca), "connection-refused")
    first = done.first()
    assert f"127.0.0.1:{refused_port}" in first["summary"] + "".join(first["evidence"])
    failed = done.of("upstream", result="failed", errno="ECONNREFUSED", port=refused_port)
    assert failed, str(done)


def test_refused_with_an_unwritable_cache(sandbox, certs, clients, poetry, refused_port):
    """pip notices by itself that it cannot cache and says so; the refusal is what it fails by."""
    sandbox.user.make_dir(sandbox.home / ".cache", 0o555)
    url = f"https://127.0.0.1:{refused_port}/simple/"
    done = sandbox.tapline(argv_of("pip", url, poetry, clients), env=runner.trust(certs.ca), timeout=120)
    assert done.returncode != 0
    assert done.first()["code"] == "connection-refused", str(done)


@pytest.mark.parametrize("inspect", [False, True], ids=["tap", "inspect"])
@pytest.mark.parametrize("venv", ["clients", "poetry"])
def test_pip_succeeds_without_a_cache(sandbox, index, request, venv, inspect):
    """An unwritable cache that did no harm is no finding."""
    sandbox.user.make_dir(sandbox.home / ".cache", 0o555)
    python = request.getfixturevalue(venv) / "bin/python"
    done = sandbox.tapline([python, "-m", "pip", "download", "--index-url", index.url + "/simple/", "grove"],
                           inspect=inspect, env=runner.trust(index.ca), timeout=120)
    done.assert_worked()
    done.assert_recorded(index)


@pytest.mark.parametrize("inspect", [False, True], ids=["tap", "inspect"])
def test_http_errors_do_not_blame_the_disk(sandbox, index, poetry, clients, inspect):
    done = sandbox.tapline(["curl", "-sS", "--fail", index.url + "/status/503"], inspect=inspect,
                           env=runner.trust(index.ca))
    assert done.returncode == 22
    assert not DISK & set(done.codes()), str(done)
    done.assert_recorded(index)


# -- the relay is killed

DOWNLOAD = """
import requests, sys
got = 0
try:
    with requests.get(sys.argv[1], stream=True, timeout=30) as answer:
        for part in answer.iter_content(1000):
            got += len(part)
            if got >= 5000:
                open(sys.argv[2], "w").close()
except requests.exceptions.RequestException as error:
    print(type(error).__name__, got)
    sys.exit(3)
print("whole", got)
"""


def _relay_of(process):
    """The pid of the relay: the child of `tapline run` that is tapline itself and not the command."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = [pid for pid, program in runner.children(process.pid).items() if os.path.basename(program) == "tapline"]
        if len(found) == 1:
            return found[0]
        time.sleep(0.05)
    raise AssertionError(f"no relay below {process.pid}: {runner.children(process.pid)}")


def _wait_for(path, seconds=30):
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.02)


@pytest.mark.parametrize("inspect", [False, True], ids=["tap", "inspect"])
def test_relay_killed_in_a_download(sandbox, index, clients, inspect):
    started = sandbox.work / "started"
    url = index.url + "/slow/3000000?rate=20000"
    argv, record = sandbox.tapline_argv([clients / "bin/python", "-c", DOWNLOAD, url, started], inspect=inspect)
    process = sandbox.start(argv, env=runner.trust(index.ca))
    try:
        _wait_for(started)
        os.kill(_relay_of(process), signal.SIGKILL)
        done = sandbox.finish(process, record, timeout=20)
    finally:
        runner.kill_marked(process.mark)
    assert done.returncode == 3, "the program's own exit status passes through"
    assert re.fullmatch(r"(ChunkedEncodingError|ConnectionError) \d+\n", done.stdout), str(done)
    assert ("GET", url, 200) in done.requests(), f"the record is readable up to that point\n{done}"
    assert done.of("run.end")[0]["relay"] == "lost", str(done)
    assert re.search(r"relay", done.stderr), f"a person is told\n{done}"
    text = sandbox.run([argv[0], "report", record])
    assert "relay" in text.stdout, str(text)
    assert not DISK & set(done.codes()), str(done)


def test_relay_killed_before_the_first_connection(sandbox, index):
    """The program goes on without tapline or gets an ordinary error, and never hangs."""
    go = sandbox.work / "go"
    script = f"while [ ! -e '{go}' ]; do sleep 0.1; done; curl -sS --max-time 15 {index.url}/echo"
    argv, record = sandbox.tapline_argv(["sh", "-c", script])
    process = sandbox.start(argv, env=runner.trust(index.ca))
    try:
        os.kill(_relay_of(process), signal.SIGKILL)
        go.touch()
        done = sandbox.finish(process, record, timeout=20)
    finally:
        runner.kill_marked(process.mark)
    assert done.returncode in (0, 7), f"curl: fine, or could not connect\n{done}"
    assert done.of("run.end")[0]["relay"] == "lost", str(done)


def test_the_command_ends_by_a_signal(sandbox):
    done = sandbox.tapline(["sh", "-c", "kill -TERM $$"])
    assert done.returncode == 128 + signal.SIGTERM
    assert done.of("run.end")[0]["signal"].removeprefix("SIG") == "TERM"
