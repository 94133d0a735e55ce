"""Every file call that the library reports: a program makes each one so that it fails (tests/clients/file_calls.c), and
finds the same errno with and without the library; the record names each with its path."""
import os
import shutil
import subprocess
from pathlib import Path

import pytest

import user as user_module

BUILD = Path(os.environ.get("BUILD", Path(__file__).resolve().parents[2] / "build")).resolve()

# Without a descriptor nothing can be told: the first failure is, with the number of the others, once one is free.
OUT_OF_DESCRIPTORS = "EMFILE"


def client(sandbox, name):
    target = sandbox.root / name
    shutil.copyfile(BUILD / "clients" / name, target)
    target.chmod(0o755)
    return target


@pytest.fixture
def place(sandbox):
    """A directory as file_calls.c wants it."""
    closed = sandbox.user.make_dir(sandbox.work / "closed")
    sandbox.user.make_dir(closed / "dir")
    for name in ("closed/file", "closed/foreign", "plain", "taken.lock"):
        sandbox.user.make_file(sandbox.work / name, "x")
    for number in range(1, 5):
        sandbox.user.make_file(closed / f"old{number}", "x", 0o444)
    if user_module.IS_ROOT:
        os.chown(closed / "foreign", 0, 0)
    closed.chmod(0o555)
    return sandbox.work


def expected(lines):
    """Which of the program's lines are failures that a record holds: not those that worked."""
    return [tuple(line.split()) for line in lines if not line.endswith(" worked")]


def test_each_call_is_reported_once_with_its_errno(sandbox, place):
    program = client(sandbox, "file_calls")
    argv = ["sh", "-c", f"{program} {place} | cat"]
    bare = sandbox.run(argv)
    (place / "big").unlink()
    done = sandbox.tapline(argv)
    assert done.stdout == bare.stdout
    wanted = expected(bare.stdout.splitlines())
    last = [w for w in wanted if w[1] == OUT_OF_DESCRIPTORS]
    assert [call for call, _ in last] == ["dup", "open", "socket", "socketpair", "pipe", "pipe2", "fcntl", "opendir"]
    wanted = [w for w in wanted if w not in last[1:]]
    assert len(wanted) > (90 if user_module.IS_ROOT else 70), bare
    events = [e for e in done.of("file.failure") if e["exe"] == str(program)]
    assert [(e["call"], e["errno"]) for e in events] == wanted
    for event in events:
        if event["call"] == "dup":
            assert "path" not in event and event["count"] == 7, event
        else:
            path = event.get("path2", event["path"])
            assert path.startswith(f"{place}/"), event
    names = [Path(e["path"]).name for e in events if e["call"] == "openat"]
    assert names == ["openat", "openat64", "old3", "old4", "sys_openat"]


def test_what_the_relay_saw_of_limits(sandbox, place):
    done = sandbox.tapline(["sh", "-c", f"{client(sandbox, 'file_calls')} {place} | cat"])
    [full] = done.of("file.failure", errno="EMFILE")
    assert full["nofile_limit"] == 16 and 15 <= full["open_files"] <= 16
    [big] = done.of("file.failure", call="writev", errno="EFBIG")
    assert big["fsize_limit"] == 0 and big["path"] == str(place / "big")
    [run] = done.of("file.failure", call="execve")
    assert (run["intent"], run["path"], run["blocked"]) == ("execute", str(place / "plain"), str(place / "plain"))
    [lock] = [e for e in done.of("file.failure", errno="EEXIST") if e["call"] == "open"]
    assert lock["path"] == str(place / "taken.lock")


def test_probes_are_not_reported(sandbox):
    """What programs ask all day: is it there, make it if it is not."""
    script = ("import os\n"
              "for call in (lambda: open('no'), lambda: os.mkdir('.'), lambda: os.unlink('no'), lambda: os.rmdir('no'),\n"
              "             lambda: os.rename('no', 'yes'), lambda: os.symlink('x', 'there'), lambda: os.stat('no'),\n"
              "             lambda: os.mkdir('no/no'), lambda: os.access('no', os.W_OK), lambda: os.chmod('no', 0o600),\n"
              "             lambda: os.open('there', os.O_CREAT | os.O_EXCL), lambda: os.execv('no', ['no'])):\n"
              "    try: call()\n"
              "    except OSError as e: assert e.errno in (2, 17), e\n")
    sandbox.user.make_file(sandbox.work / "there")
    done = sandbox.tapline(["/usr/bin/python3", "-c", script])
    assert done.returncode == 0 and done.of("file.failure") == [], str(done)


def test_a_failure_that_repeats_is_folded(sandbox, place):
    """Of a thousand equal failures at once the first have an event each, and all are counted."""
    script = ("import os\nfor i in range(1000):\n"
              "    try: os.open('closed/again', os.O_CREAT | os.O_WRONLY)\n    except PermissionError: pass\n"
              "import time; time.sleep(0.1)\n"
              "try: os.open('closed/again', os.O_CREAT | os.O_WRONLY)\nexcept PermissionError: pass\n")
    done = sandbox.tapline(["/usr/bin/python3", "-c", script])
    events = [e for e in done.of("file.failure") if e["path"].endswith("/again")]
    assert 9 <= len(events) < 700
    assert sum(1 + e.get("count", 0) for e in events) == 1001


@pytest.mark.skipif(not user_module.IS_ROOT, reason="chattr and setfacl for somebody else need root")
def test_attributes_and_access_control_lists(sandbox):
    """What mode bits do not tell: an immutable directory, and a list that takes a right away."""
    still, listed = (sandbox.user.make_dir(sandbox.work / name) for name in ("still", "listed"))
    subprocess.run(["setfacl", "-m", f"u:{sandbox.user.uid}:r-x", listed], check=True)
    os.chown(listed, 0, 0)
    listed.chmod(0o777)
    subprocess.run(["setfacl", "-m", f"u:{sandbox.user.uid}:r-x", listed], check=True)
    flagged = subprocess.run(["chattr", "+i", still], capture_output=True).returncode == 0
    try:
        done = sandbox.tapline(["sh", "-c", "mkdir still/x; mkdir listed/x"])
    finally:
        if flagged:
            subprocess.run(["chattr", "-i", still], check=True)
    [event] = [e for e in done.of("file.failure") if e["path"].endswith("listed/x")]
    assert event["blocked"] == str(listed)
    assert f"user:{sandbox.user.uid}:r-x" in event["acl"].split(",")
    if flagged:  # tmpfs and some others have no such flag
        [event] = [e for e in done.of("file.failure") if e["path"].endswith("still/x")]
        assert event["immutable"] is True and event["errno"] == "EPERM"


def test_programs_on_a_noexec_mount(sandbox):
    """Programs on a mount that runs none, through exec and posix_spawn, and a rename between mounts."""
    place = sandbox.user.make_dir(sandbox.work / "m")
    mounts = f"mount -t tmpfs -o noexec,mode=777 none '{place}'"
    script = ("import os, subprocess\nopen('m/p', 'w').write('#!/bin/sh\\n')\nos.chmod('m/p', 0o755)\n"
              "os.environ['PATH'] = os.getcwd() + '/m:/usr/bin:/bin'\n"
              "for start in (lambda: os.posix_spawn('m/p', ['p'], {}), lambda: os.posix_spawnp('p', ['p'], {}),\n"
              "              lambda: os.execv('m/p', ['p'])):\n"
              "    try: start()\n    except PermissionError: pass\n"
              "open('here', 'w').close()\n"
              "try: os.rename('here', 'm/there')\nexcept OSError as e: print(e.errno)\n")
    done = sandbox.tapline(["/usr/bin/python3", "-c", script], mounts=mounts)
    assert done.stdout == "18\n", str(done)
    runs = done.of("file.failure", intent="execute")
    assert [(e["call"], e["errno"]) for e in runs] == [("posix_spawn", "EACCES")] * 2 + [("execve", "EACCES")]
    assert {e["path"] for e in runs} == {str(place / "p")}
    assert all(e["mount"] == str(place) and "noexec" in e["mount_options"].split(",") for e in runs)
    [moved] = done.of("file.failure", call="rename")
    assert (moved["errno"], moved["mount"]) == ("EXDEV", str(place)) and moved["mount_from"] != str(place)


def test_root_in_a_user_namespace(sandbox):
    """There uid 0 is somebody without rights, and the record says so."""
    closed = sandbox.work / "closed"
    closed.mkdir(mode=0o755)  # ours, not the user's
    if not user_module.IS_ROOT:
        closed.chmod(0o555)
    # It lives on for a moment: the relay looks at a process that is there.
    script = "import os, time\ntry: os.mkdir('closed/x')\nexcept OSError: time.sleep(0.3)"
    done = sandbox.tapline(["unshare", "-r", "/usr/bin/python3", "-c", script])
    [event] = [e for e in done.of("file.failure") if e["path"].endswith("closed/x")]
    assert event["uid_map"].split() == ["0", str(sandbox.user.uid), "1"]
    assert event["uid"] == sandbox.user.uid
    if user_module.IS_ROOT:
        assert event["blocked"] == str(closed)
