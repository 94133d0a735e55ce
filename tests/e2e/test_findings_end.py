"""How a program ends: signals, memory, and giving up without a visible reason."""
import os
from pathlib import Path

import pytest

import projects
import runner
import user as user_module
from findings_lab import explained, slow


def test_killed_by_signal(sandbox, index):
    done = explained(sandbox, ["sh", "-c", f"curl -sS -o x {index.url}/echo; kill -SEGV $$"], "killed-by-signal", "SIGSEGV",
                     "/echo", env=runner.trust(index.ca), confidence="certain")
    assert done.returncode == 139


@slow
def test_killed_by_a_time_limit(sandbox, index):
    """timeout(1) ends curl and itself; the slow host is the other half of the truth."""
    done = explained(sandbox, ["timeout", "-s", "KILL", "4", "curl", "-sS", "-o", "x", index.url + "/wait/20"],
                     "slow-origin", "no answer", env=runner.trust(index.ca), alone=False, name="killed-by-signal-timeout")
    assert "killed-by-signal" in done.codes()


def test_terminated_is_noticed_only(sandbox):
    done = sandbox.tapline(["sh", "-c", "kill -TERM $$"])
    assert [(f["code"], f["severity"]) for f in done.report["findings"]] == [("killed-by-signal", "warning")]


def test_interrupted_is_no_finding(sandbox):
    done = sandbox.tapline(["sh", "-c", "kill -INT $$"])
    assert done.report["findings"] == []


def _group():
    """A memory cgroup of our own (version 1 or 2), or a reason why there is none."""
    if not user_module.IS_ROOT:
        return None, "making a cgroup needs root"
    unified = Path("/sys/fs/cgroup/cgroup.controllers")
    if unified.exists():
        return Path(f"/sys/fs/cgroup/tapline-e2e-{os.getpid()}"), "memory.max"
    if Path("/sys/fs/cgroup/memory/cgroup.procs").exists():
        return Path(f"/sys/fs/cgroup/memory/tapline-e2e-{os.getpid()}"), "memory.limit_in_bytes"
    return None, "there is no memory cgroup to be had"


@pytest.fixture
def small_memory():
    group, limit = _group()
    if group is None:
        pytest.skip(limit)
    try:
        group.mkdir()
        (group / limit).write_text(str(24 << 20))
    except OSError as error:
        pytest.skip(f"no memory cgroup can be made here: {error}")
    yield f"echo $$ >'{group}/cgroup.procs'"
    group.rmdir()


def test_out_of_memory(sandbox, npm, index, small_memory):
    projects.npm(sandbox)
    argv, env = [npm, "install"], projects.npm_env(index)
    done = explained(sandbox, argv, "out-of-memory-kill", "SIGKILL", env=env, mounts=small_memory)
    assert done.of("run.end")[0]["oom_kills"] >= 1
    sandbox.tapline(argv, env=env, timeout=120).assert_worked()


def test_client_gave_up(sandbox, clients, index):
    """A program that asks three times, is answered well, and fails for a reason of its own."""
    script = ("import requests, sys\n"
              "for attempt in range(3):\n"
              "    requests.get(sys.argv[1]).close()\n"
              "sys.exit('it does not work')\n")
    explained(sandbox, [clients / "bin/python", "-c", script, index.url + "/echo"], "client-gave-up-after-success", "/echo",
              "200", env=runner.trust(index.ca))
