"""tapline check: each thing that would make an installation fail is found before anything is run, and what is found is
real: every fault here is made on this machine. Names are asked of a server of the test's own, in a network of its own."""
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

import runner
import user as user_module
from proxies import Tinyproxy

# Answers every question with an empty answer, as a name server that works does.
NAME_SERVER = """import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 53))
open({ready!r}, "w").close()
while True:
    question, who = s.recvfrom(512)
    s.sendto(question[:2] + bytes([question[2] | 0x80]) + question[3:], who)
"""


class Checked:
    def __init__(self, run):
        self.run, self.status = run, run.returncode
        assert run.returncode in (0, 1), str(run)
        self.report = json.loads(run.stdout)
        assert self.status == (1 if self.problems() else 0), str(run)

    def of(self, what):
        return [c for c in self.report["checks"] if c["check"] == what]

    def problems(self):
        return [c for c in self.report["checks"] if c["result"] == "problem"]

    def only(self):
        """The one problem there is."""
        [problem] = self.problems()
        return problem


def apart(sandbox, argv, mounts="", answers=True):
    """argv with a name server of its own."""
    server, ready, conf = (sandbox.root / name for name in ("dns.py", "dns.ready", "resolv.conf"))
    server.write_text(NAME_SERVER.format(ready=str(ready)))
    conf.write_text("nameserver 127.0.0.1\n")
    ready.unlink(missing_ok=True)
    lines = ["ip link set lo up", f"mount --bind '{conf}' \"$(readlink -f /etc/resolv.conf)\""]
    if answers:
        lines += [f"/usr/bin/python3 '{server}' </dev/null >/dev/null 2>&1 &",
                  f"for i in $(seq 200); do [ -e '{ready}' ] && break; sleep 0.02; done"]
    return sandbox.user.with_mounts_and_network("\n".join([*lines, mounts]), argv)


def check(sandbox, *words, env=None, mounts="", answers=True, before=""):
    argv = [str(sandbox.program()), "check", "--format", "json", *map(str, words)]
    if before:
        argv = ["sh", "-c", before + '\nexec "$@"', "sh", *argv]
    process = sandbox.start(apart(sandbox, argv, mounts, answers), env=env, as_self=True)
    try:
        return Checked(process.wait(60))
    finally:
        runner.kill_marked(process.mark)


def test_all_is_well_and_nothing_is_left_behind(sandbox):
    before = sorted(sandbox.root.rglob("*"))
    checked = check(sandbox, "pip", "install", "x")
    assert checked.problems() == [], str(checked.run)
    assert checked.report["tools"] == ["pip"]
    assert {c["check"] for c in checked.report["checks"]} == {
        "home", "temp", "project", "cache", "clock", "names", "proxy", "trust", "preload", "relay", "program"}
    new = {p.name for p in set(sandbox.root.rglob("*")) - set(before)}
    assert {name for name in new if not name.startswith("run")} <= {"dns.py", "dns.ready", "resolv.conf"}


def test_without_a_command_every_tool_on_the_path_is_looked_at(sandbox):
    checked = check(sandbox)
    assert "npm" in checked.report["tools"] and checked.problems() == [], str(checked.run)


def _parent(sandbox):
    sandbox.user.make_dir(sandbox.home / ".cache", 0o555)
    return ""


def _leftover(sandbox):
    """As sudo leaves it: deep in a cache that is otherwise fine."""
    path = sandbox.user.make_dir(sandbox.home / ".cache/pypoetry/cache/repositories/local/_http/1")
    path.chmod(0o700 if user_module.IS_ROOT else 0)
    if user_module.IS_ROOT:
        os.chown(path, 0, 0)
    return ""


def _in_the_way(sandbox):
    sandbox.user.make_file(sandbox.home / ".cache/pypoetry", "no directory\n")
    return ""


def _read_only(sandbox):
    path = sandbox.user.make_dir(sandbox.home / ".cache/pypoetry")
    return f"mount --bind '{path}' '{path}'\nmount -o remount,bind,ro '{path}'"


def _full(sandbox):
    path = sandbox.user.make_dir(sandbox.home / ".cache/pypoetry")
    return (f"mount -t tmpfs -o size=64k,mode=755,uid={sandbox.user.mount_uid} full '{path}'\n"
            f"dd if=/dev/zero of='{path}/filler' bs=4k 2>/dev/null || :")


def _no_inodes(sandbox):
    path = sandbox.user.make_dir(sandbox.home / ".cache/pypoetry")
    return (f"mount -t tmpfs -o size=1m,nr_inodes=2,mode=755,uid={sandbox.user.mount_uid} few '{path}'\n"
            f": >'{path}/filler'")


@pytest.mark.parametrize("code, prepare", [
    ("cache-not-writable", _parent), ("cache-not-readable", _leftover), ("path-component-not-a-directory", _in_the_way),
    ("read-only-filesystem", _read_only), ("disk-full", _full), ("inodes-exhausted", _no_inodes)],
    ids=lambda value: value if isinstance(value, str) else "")
def test_a_cache_that_cannot_be_used(sandbox, code, prepare):
    mounts = prepare(sandbox)
    problem = check(sandbox, "poetry", "install", mounts=mounts, env=fake_poetry(sandbox)).only()
    assert (problem["check"], problem["code"]) == ("cache", code)
    assert "Poetry" in problem["summary"] or code in ("inodes-exhausted",) and str(sandbox.home) in problem["summary"]
    # The remedy, pasted into a shell, makes the check succeed.
    commands = "\n".join(problem["remedy"]["commands"])
    assert "POETRY_CACHE_DIR" in commands
    assert check(sandbox, "poetry", "install", mounts=mounts, env=fake_poetry(sandbox), before=commands).problems() == []


def fake_poetry(sandbox):
    """A program of that name; it is not run."""
    folder = sandbox.user.make_dir(sandbox.root / "bin")
    sandbox.user.make_file(folder / "poetry", "#!/bin/sh\nexit 9\n", 0o755)
    return {"PATH": f"{folder}:{sandbox.env()['PATH']}"}


def test_a_cache_that_the_tool_can_do_without_is_a_warning(sandbox):
    _parent(sandbox)
    checked = check(sandbox, "pip", "install", "x")
    assert checked.status == 0
    assert [c["result"] for c in checked.of("cache")] == ["warning"]


def test_temp_and_home(sandbox):
    checked = check(sandbox, env={"TMPDIR": "/does/not/exist", "HOME": "/does/not/exist"})
    assert {"temp-not-writable", "home-missing"} <= {c["code"] for c in checked.problems()}, str(checked.run)
    commands = "\n".join(line for what in ("temp", "home") for c in checked.of(what) for line in c["remedy"]["commands"])
    assert check(sandbox, before=commands, env={"TMPDIR": "/does/not/exist", "HOME": "/does/not/exist"}
                 ).problems() == []


def test_no_name_server_answers(sandbox):
    problem = check(sandbox, "pip", answers=False).only()
    assert (problem["check"], problem["code"]) == ("names", "resolver-unreachable")
    assert problem["evidence"] == ["name server 127.0.0.1: Connection refused"]


def proxied(sandbox, url):
    argv = [sandbox.program(), "check", "--format", "json", "--upstream", url, "pip"]
    return Checked(sandbox.run(argv))


def test_the_proxy(sandbox):
    with Tinyproxy(user="me", password="secret") as proxy:
        right = proxied(sandbox, proxy.url)
        assert right.problems() == [], str(right.run)
        assert "takes the credentials" in right.of("proxy")[0]["summary"] and "secret" not in right.run.stdout
        assert proxied(sandbox, proxy.open_url).only()["code"] == "proxy-auth-required"
        # Tinyproxy answers 401 to a wrong password, where the standard has 407.
        assert proxied(sandbox, proxy.url.replace("secret", "wrong")).only()["code"] in (
            "proxy-auth-rejected", "proxy-refused-tunnel")
        gone = proxy.open_url
    assert proxied(sandbox, gone).only()["code"] == "proxy-unreachable"


def test_bundles_that_are_not_there(sandbox):
    empty = sandbox.user.make_file(sandbox.work / "empty.pem")
    checked = check(sandbox, "pip", env={"SSL_CERT_FILE": "/does/not/exist.pem", "PIP_CERT": str(empty)})
    assert [c["remedy"]["commands"] for c in checked.problems()] == [["unset SSL_CERT_FILE"], ["unset PIP_CERT"]]
    assert "holds no certificate" in checked.problems()[1]["summary"]


def test_a_clock_that_is_behind_its_own_files(sandbox):
    """Instead of the clock, the program's age is changed: a copy from the future."""
    stage = sandbox.user.make_dir(sandbox.root / "future")
    for part in Path(sandbox.program()).parent.iterdir():
        shutil.copy2(part, stage / part.name)
        os.utime(stage / part.name, (4e9, 4e9))
    done = sandbox.run([stage / "tapline", "check", "--format", "json", "--upstream", "http://127.0.0.1:1", "pip"])
    codes = [c["code"] for c in Checked(done).problems()]
    assert "clock-skew" in codes, str(done)


def test_a_library_that_cannot_be_loaded(sandbox):
    stage = sandbox.user.make_dir(sandbox.root / "broken")
    for part in Path(sandbox.program()).parent.iterdir():
        shutil.copy2(part, stage / part.name)
    (stage / "libtapline.so").write_text("no library\n")
    done = sandbox.run([stage / "tapline", "check", "--format", "json", "--upstream", "http://127.0.0.1:1", "pip"])
    [item] = [c for c in Checked(done).problems() if c["check"] == "preload"]
    assert "libtapline.so" in item["evidence"][0]


def test_programs(sandbox):
    assert check(sandbox, "no-such-program").only()["check"] == "program"
    checked = check(sandbox, shutil.which("sudo"))
    assert checked.status == 0 and "setuid" in checked.of("program")[0]["summary"]


def test_the_text(sandbox):
    _parent(sandbox)
    argv = [sandbox.program(), "check", "--upstream", "http://127.0.0.1:1", "poetry", "install"]
    done = sandbox.run(argv, env=fake_poetry(sandbox))
    lines = done.stdout.splitlines()
    assert done.returncode == 1 and lines[0] == "tapline check: Poetry"
    assert any(line.startswith("problem  cache    Poetry's cache is not writable") for line in lines), str(done)
    assert any(line.startswith("    export POETRY_CACHE_DIR=") for line in lines)
    assert "Proof:" in lines and any(line.startswith("Fix:") for line in lines)


@pytest.mark.parametrize("words", [["--nonsense"], ["--format", "yaml"], ["--upstream", "ftp://x"]])
def test_bad_input(sandbox, words):
    done = sandbox.run([sandbox.program(), "check", *words])
    assert done.returncode == 2 and done.stdout == "" and len(done.stderr.splitlines()) == 1
