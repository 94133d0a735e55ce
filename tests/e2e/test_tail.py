"""tapline tail: a record is printed as it is written, by a real run, by one that is killed, and by a writer that the test
plays. How a line looks is tests/unit/test_timeline.c's; that it is the line of -v is looked at here."""
import fcntl
import json
import os
import re
import signal
import struct
import subprocess
import threading
import time
from pathlib import Path

import pytest

from runner import children

RECORDS = Path(__file__).resolve().parents[1] / "records"
WORKED = RECORDS / "worked.jsonl"
F_OFD_SETLK = 37


def words(value):
    return " ".join(map(str, value)) if isinstance(value, list) else ""


class Tail:
    """A tail under way; its lines are collected as they come."""

    def __init__(self, program, *arguments, **env):
        self.popen = subprocess.Popen([program, "tail", *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                      text=True, env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **env})
        self.lines = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.popen.stdout:
            self.lines.append(line.rstrip("\n"))

    def until(self, pattern, seconds=30):
        end = time.monotonic() + seconds
        while not any(re.search(pattern, line) for line in self.lines):
            assert time.monotonic() < end, (pattern, self.lines)
            time.sleep(0.02)

    def end(self, seconds=30):
        """Its exit status and what it said on standard error."""
        said = self.popen.stderr.read()
        status = self.popen.wait(seconds)
        self.reader.join(seconds)
        return status, said

    def kinds(self):
        return [line.split()[1] for line in self.lines]


def tail(program, *arguments, **env):
    """A tail that ends by itself: (status, kinds, standard error)."""
    done = Tail(program, *arguments, **env)
    status, said = done.end()
    return status, done.kinds(), said


def kinds_of(record):
    return [json.loads(line)["event"] for line in record.read_text().splitlines()]


@pytest.fixture
def waiting(sandbox):
    """A run that makes a failing call, waits for a file, and ends with status 3."""
    go = sandbox.work / "go"
    argv, record = sandbox.tapline_argv(["sh", "-c", f"mkdir /proc/x; while ! [ -e {go} ]; do sleep 0.05; done; exit 3"])
    process = sandbox.start(argv)
    yield process, record, go
    if process.popen.poll() is None:
        process.popen.kill()
        process.popen.wait(10)


def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_run_is_followed_to_its_end(sandbox, staged, waiting):
    process, record, go = waiting
    wait_for(record.exists)
    following = Tail(staged(), "--from-start", record)
    following.until(r"process\.start +sleep\[")
    assert following.popen.poll() is None
    go.touch()
    done = sandbox.finish(process, record)
    assert following.end() == (0, "")
    assert following.kinds() == [e["event"] for e in done.events]
    assert re.search(r"run\.end +exit status 3", "\n".join(following.lines))


def test_the_newest_record_is_the_default(sandbox, staged):
    for status in (4, 5):
        assert sandbox.run([staged(), "run", "--", "sh", "-c", f"exit {status}"]).returncode == status
    newest = sandbox.run([staged(), "tail", "-n", "1"])
    assert (newest.returncode, newest.stderr) == (0, "")
    assert re.fullmatch(r".* run\.end +exit status 5, .*\n", newest.stdout), newest


@pytest.mark.parametrize("dead", ["relay", "supervisor", "both"])
def test_who_is_killed_is_not_waited_for(staged, waiting, dead):
    process, record, go = waiting
    wait_for(record.exists)
    following = Tail(staged(), "--from-start", record)
    following.until(r"process\.start +sleep\[")
    relay = next(pid for pid, argv in children(process.pid).items() if argv.endswith("tapline"))
    for pid in {"relay": [relay], "supervisor": [process.pid], "both": [process.pid, relay]}[dead]:
        os.kill(pid, signal.SIGKILL)
    if dead == "relay":  # the supervisor tells the end
        go.touch()
    status, said = following.end()
    assert status == (0 if dead == "relay" else 1), said
    assert ("no end of the run" in said) == (dead != "relay")
    go.touch()


def test_the_lines_are_those_of_verbose(sandbox, staged):
    done = sandbox.tapline(["sh", "-c", "mkdir /etc/x; exit 3"], options=["-v"])
    following = Tail(staged(), "--from-start", done.record)
    assert following.end() == (0, "")
    said = [line for line in done.stderr.splitlines() if re.match(r"\d\d:\d\d:\d\d\.\d{3}  ", line)]
    # What the library had to tell the relay comes from two processes.
    assert sorted(said) == sorted(following.lines) and len(said) >= 5


# -- a writer of the test's own

class Writer:
    """A record that is open as tapline has it open."""

    def __init__(self, path):
        self.file = open(path, "ab", buffering=0)
        lock = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, (1 << 30) + os.getpid(), 1, 0)
        fcntl.fcntl(self.file.fileno(), F_OFD_SETLK, lock)

    def event(self, kind, **fields):
        return (json.dumps({"time": "2026-01-31T13:20:00.000000Z", "event": kind, **fields}) + "\n").encode()


def test_half_a_line_is_not_printed_until_it_is_whole(staged, tmp_path):
    path = tmp_path / "record.jsonl"
    writer = Writer(path)
    writer.file.write(writer.event("relay.note", note="first"))
    following = Tail(staged(), path)
    following.until("first")
    second, third = writer.event("relay.note", note="second"), writer.event("relay.note", note="third" + "x" * 5000)
    writer.file.write(second[:20])
    time.sleep(0.5)
    assert len(following.lines) == 1
    writer.file.write(second[20:])
    following.until("second")
    # What did not fit on the disk is cut off again, and the next line is another one (record/writer.c).
    whole = os.fstat(writer.file.fileno()).st_size
    writer.file.write(third[:40])
    time.sleep(0.3)
    os.ftruncate(writer.file.fileno(), whole)
    writer.file.write(writer.event("run.end", status=0))
    writer.file.close()
    assert following.end() == (0, "")
    assert following.kinds() == ["relay.note", "relay.note", "run.end"]


def test_a_line_of_any_length_and_lines_that_are_no_events(staged, tmp_path):
    path = tmp_path / "record.jsonl"
    writer = Writer(path)
    writer.file.write(b"x" * 3_000_000 + b"\n\n[]\nnull\n{}\n" + writer.event("run.end", status=0))
    writer.file.close()
    assert tail(staged(), path) == (0, ["run.end"], "")


def test_a_record_cut_short_is_named(staged, tmp_path):
    path = tmp_path / "record.jsonl"
    path.write_bytes((RECORDS / "worked.jsonl").read_bytes()[:-20])
    status, kinds, said = tail(staged(), "--from-start", path)
    assert status == 1 and kinds == kinds_of(RECORDS / "worked.jsonl")[:-1]
    assert re.fullmatch(r"tapline: nobody writes .*, and it has no end of the run; its last line is cut short\n", said)


# -- what is chosen

@pytest.mark.parametrize("options, chosen", [
    (["-n", "3"], slice(-3, None)), (["--lines=0"], slice(0, 0)), ([], slice(-10, None)), (["--from-start"], slice(None)),
    (["-n", "1000"], slice(None))], ids=words)
def test_where_it_begins(staged, options, chosen):
    record = RECORDS / "real-poetry-cache-not-writable-tap.jsonl"
    assert tail(staged(), *options, record) == (0, kinds_of(record)[chosen], "")


@pytest.mark.parametrize("options, wanted", [
    (["--event", "file.failure"], lambda e: e["event"] == "file.failure"),
    (["--event", "http.*,run.end"], lambda e: e["event"].startswith("http.") or e["event"] == "run.end"),
    (["--flow", "2"], lambda e: e.get("flow") == 2),
    (["--flow", "2,4", "--event", "connect"], lambda e: e.get("flow") in (2, 4) and e["event"] == "connect"),
    (["--pid", "2065"], lambda e: e.get("pid") == 2065),
    (["--pid", "1"], lambda e: False)], ids=words)
def test_filters(staged, options, wanted):
    record = RECORDS / "real-poetry-cache-not-writable-inspect.jsonl"
    events = [json.loads(line) for line in record.read_text().splitlines()]
    status, kinds, said = tail(staged(), "--from-start", *options, record)
    assert (status, kinds, said) == (0, [e["event"] for e in events if wanted(e)], "")


def test_the_last_lines_are_the_last_of_those_chosen(staged):
    record = RECORDS / "real-poetry-cache-not-writable-inspect.jsonl"
    assert tail(staged(), "-n", "2", "--event", "connect", record) == (0, ["connect", "connect"], "")


@pytest.mark.parametrize("options, named", [
    (["--event", "http.reqest", WORKED], "http.reqest"), (["--pid", "sh", WORKED], "sh"), (["--flow", "", WORKED], "--flow"),
    (["-n", "-1", WORKED], "-1"), (["-n", "many", WORKED], "many"), (["-n"], "-n"), (["--evnt", WORKED], "--evnt"),
    (["/no/such/record"], "/no/such/record"), (["/"], "/"), (["a", "b"], "one record")], ids=lambda v: v if isinstance(v, str) else "")
def test_a_mistake_is_named_in_one_line(staged, options, named):
    status, kinds, said = tail(staged(), *options)
    assert status == 2 and not kinds and said.count("\n") == 1 and named in said, said


def test_text_of_a_record_is_no_command_to_the_terminal(staged, tmp_path):
    record = tmp_path / "record.jsonl"
    text = (RECORDS / "real-poetry-cache-not-writable-inspect.jsonl").read_text()
    record.write_text(text.replace("grove", r"\u001b]0;owned\u0007\u009b31m\n"))
    done = subprocess.run([staged(), "tail", "--from-start", record], capture_output=True, timeout=60)
    assert done.returncode == 0 and not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]", done.stdout)
    assert len(done.stdout.splitlines()) == len(text.splitlines())


def test_a_reader_that_leaves_ends_it(staged, waiting):
    _, record, _ = waiting
    wait_for(record.exists)
    done = subprocess.run(["sh", "-c", '"$1" tail --from-start "$2" | head -n 1', "sh", staged(), record],
                          capture_output=True, text=True, timeout=60)
    assert done.stdout.split()[1] == "run.start"


def test_output_that_cannot_be_written(staged):
    with open("/dev/full", "w") as full:
        done = subprocess.run([staged(), "tail", RECORDS / "worked.jsonl"], stdout=full, stderr=subprocess.PIPE, text=True,
                              timeout=60)
    assert done.returncode == 2 and "No space left" in done.stderr
