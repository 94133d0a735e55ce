"""LD_PRELOAD=libtapline.so without a relay: programs work as if nothing were there, connections go
direct, and failed writes are kept."""

import datetime
import re
from pathlib import Path

import schema
from origins import free_port
from relays import Relay

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


# Requests over one connection: as fast as they go, then slowly until a file is there and for a while after.
REQUESTS = """
import http.client, os, ssl, sys, time
host, port, ca, wanted = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
client = http.client.HTTPSConnection(host, port, context=ssl.create_default_context(cafile=ca))
def request(path):
    client.request("GET", path)
    assert client.getresponse().read()
begin = time.monotonic()
for n in range(100):
    request("/bytes/1")
print(int((time.monotonic() - begin) * 1000), flush=True)
while wanted and not os.path.exists(wanted):
    request("/bytes/2")
    time.sleep(0.02)
for n in range(40 if wanted else 0):
    request("/bytes/3")
    time.sleep(0.02)
"""


def test_the_tap_does_not_look_for_a_relay_at_every_request(sandbox, index):
    trace, nowhere = sandbox.work / "trace", sandbox.work / "nothing.sock"
    done = preloaded(sandbox, ["strace", "-f", "-e", "trace=connect", "-o", trace, "/usr/bin/python3", "-c", REQUESTS, index.host,
                               str(index.port), index.ca, ""], TAPLINE_BYPASS="none", TAPLINE_SOCKET=str(nowhere))
    assert done.returncode == 0, done
    python = Path(trace).read_text().split("AF_INET", 1)[1]  # until then the interpreter had its own reasons
    looked = len(re.findall(r"AF_UNIX.*nothing.sock", python))
    assert 1 <= looked <= 10 + int(done.stdout) / 100, (looked, done.stdout)  # for 200 heads: once in CONTROL_ABSENT_MS


def test_the_tap_finds_a_relay_that_comes_later(sandbox, index):
    port, flag = free_port(), sandbox.work / "there"
    library = Path(sandbox.program()).parent / "libtapline.so"
    program = sandbox.start(["/usr/bin/python3", "-c", REQUESTS, index.host, str(index.port), index.ca, flag],
                            {"LD_PRELOAD": str(library), "TAPLINE_BYPASS": "none", "TAPLINE_SOCKET": str(sandbox.tmp / f"relay-{port}.sock")})
    with Relay(sandbox, port=port) as relay:
        flag.touch()
        done = program.wait(30)
    assert done.returncode == 0, done
    assert len([e for e in relay.of("http.request") if e["url"].endswith("/bytes/3")]) >= 30, relay.events
