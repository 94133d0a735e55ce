"""The ground gives way under a run: its record's disk fills, its directory goes, its socket is deleted, its relay stands still, the
clock is set. The program sees ordinary results, and the record stays readable."""
import collections
import json
import os
import signal
import time
from pathlib import Path

import pytest

import runner
from origins import RawServer
from runner import kill_marked
from user import mounts_problem

BUILD = Path(os.environ.get("BUILD", Path(__file__).resolve().parents[2] / "build")).resolve()
STEPS = """
import socket, sys, time, os
def step(n):
    try:
        with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=15) as s:
            s.sendall(b"GET /%d HTTP/1.1\\r\\nHost: a.test\\r\\n\\r\\n" % n)
            print(n, s.recv(100)[:12].decode(), flush=True)
    except OSError as error:
        print(n, type(error).__name__, flush=True)
step(1)
print("now", flush=True)
while not os.path.exists(sys.argv[2]):
    time.sleep(0.02)
for n in range(2, int(sys.argv[3]) + 2):
    step(n)
"""


@pytest.fixture
def origin():
    def answer(connection):
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with RawServer(answer) as server:
        yield server


class Started:
    """A run that has made one connection and waits until go() for its others."""

    def __init__(self, sandbox, where, steps=3, program=STEPS, inspect=False, **more):
        self.sandbox, self.steps, self.flag = sandbox, steps, sandbox.work / "go"
        argv, self.record = sandbox.tapline_argv(["/usr/bin/python3", "-c", program, where, self.flag, steps], inspect=inspect)
        self.process = sandbox.start(argv, **more)
        end = time.monotonic() + 30
        while "now" not in self.process.outputs[0].read_text():
            assert time.monotonic() < end and self.process.popen.poll() is None, self.process.wait(1)
            time.sleep(0.02)

    def go(self):
        self.flag.touch()

    def relay(self):
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1]) == self.process.pid and \
                            "tapline" in os.readlink(entry / "exe"):
                        return int(entry.name)
                except OSError:
                    continue
        raise AssertionError("no relay")

    def go_while_the_relay_stands_still(self):
        relay = self.relay()
        os.kill(relay, signal.SIGSTOP)
        try:
            self.go()
            time.sleep(3)
        finally:
            os.kill(relay, signal.SIGCONT)

    def end(self, timeout=60):
        try:
            return self.process.wait(timeout)
        finally:
            kill_marked(self.process.mark)


def all_good(done, steps=3):
    wanted = ["1 HTTP/1.1 200", "now"] + [f"{n} HTTP/1.1 200" for n in range(2, steps + 2)]
    assert (done.returncode, done.stdout.splitlines()) == (0, wanted), str(done)


def whole_lines(path):
    lines = path.read_bytes().split(b"\n")
    assert lines.pop() == b"", "half a line at the end"
    return [json.loads(line) for line in lines]


def test_the_control_socket_is_deleted(sandbox, origin):
    """Later connections go out directly; nothing waits."""
    run = Started(sandbox, origin.port)
    [path] = sandbox.tmp.glob("tapline*/*.sock")
    path.unlink()
    run.go()
    all_good(run.end())
    assert sum(e["event"] == "connect" for e in whole_lines(run.record)) == 1


def test_the_records_directory_is_removed(sandbox, origin):
    """The open file takes what comes; the report says where the record was meant to be."""
    run = Started(sandbox, origin.port)
    moved = sandbox.root / "moved"
    sandbox.records.rename(moved)
    run.go()
    done = run.end()
    all_good(done)
    events = whole_lines(next(moved.glob("*.jsonl")))
    assert sum(e["event"] == "connect" for e in events) == 4 and events[-1]["event"] in ("run.end", "flow.close")


@pytest.mark.skipif(bool(mounts_problem()), reason=f"no private mounts here: {mounts_problem()}")
def test_the_records_disk_is_full(sandbox, origin):
    mounts = (f"mount -t tmpfs -o size=32k,mode=755,uid={sandbox.user.mount_uid} full '{sandbox.records}'\n"
              f"head -c 24576 /dev/zero >'{sandbox.records}/ballast'")
    keep = sandbox.work / "kept.jsonl"
    script = f"'{sandbox.program()}' run --bypass none --record '{sandbox.records}/r.jsonl' -- /usr/bin/python3 -c \"$1\" \"$2\" \"$3\" 60; " \
             f"status=$?; cp '{sandbox.records}/r.jsonl' '{keep}'; exit $status"
    flag = sandbox.user.make_file(sandbox.work / "go")
    done = sandbox.run(["/bin/sh", "-c", script, "sh", STEPS, origin.port, flag], mounts=mounts, timeout=60)
    all_good(done, steps=60)
    # Said once by each of the two that write it, the relay and the supervisor.
    assert 1 <= done.stderr.count("cannot write the record") <= 2 and "No space left" in done.stderr, str(done)
    assert len(whole_lines(keep)) > 5


def test_the_relay_stands_still(sandbox, origin):
    """Connections go out directly meanwhile, and through it again afterwards."""
    run = Started(sandbox, origin.port, steps=20)
    run.go_while_the_relay_stands_still()
    done = run.end()
    all_good(done, steps=20)
    events = whole_lines(run.record)
    assert events[-1]["event"] == "run.end"


ASKS = """
import http.client, os, ssl, sys, time, urllib.parse
where = urllib.parse.urlsplit(sys.argv[1])
def ask(connection, n):
    connection.request("GET", f"/bytes/{n}?fresh=1")
    print(n, len(connection.getresponse().read()), flush=True)
def connect():
    return http.client.HTTPSConnection(where.hostname, where.port, context=ssl.create_default_context())
first = connect()
ask(first, 1)
print("now", flush=True)
while not os.path.exists(sys.argv[2]):
    time.sleep(0.02)
second = connect()
ask(second, 2)
while not os.path.exists(sys.argv[2] + "-on"):
    time.sleep(0.02)
for n in range(3, int(sys.argv[3]) + 3):
    ask(second, n)
    ask(first, 100 + n)
"""


@pytest.mark.parametrize("steps", [3, 40], ids=["few", "by the ring"])
def test_requests_of_an_inspected_program_that_went_out_directly(sandbox, index, steps):
    """The relay stood still when it connected: what it asks there is told by itself. What the relay sees inside its other connection
    was taken for all of it, and the rest was in no record."""
    run = Started(sandbox, index.url, steps, ASKS, inspect=True, env=runner.trust(index.ca))
    run.go_while_the_relay_stands_still()
    (sandbox.work / "go-on").touch()
    done = run.end()
    assert done.returncode == 0, str(done)
    events = whole_lines(run.record)
    seen = collections.Counter((e["url"].split("/bytes/")[1].split("?")[0], e["source"]) for e in events if e["event"] == "http.request")
    later = range(3, steps + 3)
    seen.pop(("2", "tap"), None)  # for a second after it has not answered, the relay is told nothing
    assert seen == collections.Counter([("1", "relay"), *((str(n), "tap") for n in later),
                                        *((str(100 + n), "relay") for n in later)]), f"{seen}\n{done}"


def test_the_clock_is_set_back_and_forth(sandbox, origin):
    """Times of day follow the clock, durations and limits do not."""
    shim = sandbox.work / "clock.so"
    shim.write_bytes((BUILD / "clients" / "clock.so").read_bytes())
    shim.chmod(0o755)
    argv, record = sandbox.tapline_argv(["/usr/bin/python3", "-c", STEPS, origin.port, sandbox.user.make_file(sandbox.work / "go"), 30])
    process = sandbox.start(argv, {"LD_PRELOAD": str(shim)})
    try:
        done = process.wait(60)
    finally:
        kill_marked(process.mark)
    all_good(done, steps=30)
    events = whole_lines(record)
    years = {e["time"][:4] for e in events}
    assert len(years) > 2, f"the clock was not set: {years}"
    durations = [e["duration_ms"] for e in events if "duration_ms" in e]
    assert durations and all(0 <= d < 60000 for d in durations), durations
    report = sandbox.run([sandbox.program(), "report", record])
    assert report.returncode == 0, str(report)
