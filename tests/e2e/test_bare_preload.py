"""LD_PRELOAD=libtapline.so without a relay: programs work as if nothing were there, connections go
direct, and failed writes are kept."""

import datetime
from pathlib import Path

import schema

OPEN_DENIED = "import sys\ntry: open(sys.argv[1], 'w')\nexcept OSError as e: print(e.strerror)"


def preloaded(sandbox, argv, **env):
    library = Path(sandbox.program()).parent / "libtapline.so"
    return sandbox.run(argv, env={"LD_PRELOAD": str(library), **env})


def denied_path(sandbox, name):
    folder = sandbox.user.make_dir(sandbox.work / "closed")
    folder.chmod(0o555)
    return folder / name


def test_failed_writes_are_appended_to_the_named_record(sandbox):
    record, path = sandbox.work / "bare.jsonl", denied_path(sandbox, "caché \t\"q\"")
    done = preloaded(sandbox, ["/usr/bin/python3", "-c", OPEN_DENIED, str(path)], TAPLINE_RECORD=str(record))
    assert (done.returncode, done.stdout, done.stderr) == (0, "Permission denied\n", "")
    [event] = [e for e in schema.read(record) if e["path"] == str(path)]
    assert (event["call"], event["errno"], event["intent"]) == ("open", "EACCES", "write")
    age = datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.fromisoformat(event["time"])
    assert abs(age.total_seconds()) < 60
    assert record.stat().st_mode & 0o777 == 0o600


def test_without_a_record_each_cause_is_said_once(sandbox):
    path = denied_path(sandbox, "x")
    script = OPEN_DENIED + "\n" + OPEN_DENIED.split("\n", 1)[1]
    done = preloaded(sandbox, ["/usr/bin/python3", "-c", script, str(path)])
    assert done.stdout == "Permission denied\n" * 2
    assert done.stderr.splitlines() == [f"tapline: open of {path} failed: EACCES"]


def test_connections_go_direct(sandbox, index):
    done = preloaded(sandbox, ["curl", "-sS", "--cacert", index.ca, "-o", "/dev/null", "-w", "%{http_code} %{remote_port}",
                               index.url + "/echo"], TAPLINE_BYPASS="none")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"200 {index.port}", "")


def test_a_relay_that_is_not_ours_is_not_used(sandbox, index):
    """A socket path that leads nowhere, or to a file: direct again."""
    for path in (sandbox.work / "nothing.sock", sandbox.work):
        done = preloaded(sandbox, ["curl", "-sS", "--cacert", index.ca, "-o", "/dev/null", "-w", "%{http_code}",
                                   index.url + "/echo"], TAPLINE_BYPASS="none", TAPLINE_SOCKET=str(path))
        assert (done.returncode, done.stdout) == (0, "200")
