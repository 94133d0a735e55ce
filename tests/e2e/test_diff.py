"""tapline diff: two records, fact by fact. Most records here are one record with one thing changed."""
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from origins import free_port

RECORDS = Path(__file__).resolve().parents[1] / "records"
FOUNDING = RECORDS / "real-poetry-cache-not-writable-inspect.jsonl"


def diff(staged, *arguments):
    return subprocess.run([staged(), "diff", *map(str, arguments)], capture_output=True, text=True, timeout=60,
                          env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"})


def differences(staged, first, second):
    """(exit status, {(topic, key): (first, second)})"""
    done = diff(staged, "--format", "json", first, second)
    assert done.returncode in (0, 1) and not done.stderr, done
    said = json.loads(done.stdout)
    assert said["differ"] == (done.returncode == 1) == any(d["matters"] for d in said["differences"])
    return done.returncode, {(d["topic"], d["key"]): (d["first"], d["second"]) for d in said["differences"]}


@pytest.mark.parametrize("record", sorted(RECORDS.glob("*.jsonl")), ids=lambda p: p.stem)
def test_a_record_is_the_same_as_itself(staged, record):
    assert differences(staged, record, record) == (0, {})


def changed(tmp_path, change, record=FOUNDING):
    """The record with change(event) done to each of its events; one for which it returns False is left out."""
    events = [json.loads(line) for line in record.read_text().splitlines()]
    path = tmp_path / "changed.jsonl"
    path.write_text("".join(json.dumps(e) + "\n" for e in events if change(e) is not False))
    return path


def when(kind, **values):
    """A change: set these fields in events of a kind."""
    return lambda event: event.update(values) if event["event"] == kind else None


def without(kind):
    return lambda event: event["event"] != kind


@pytest.mark.parametrize("change, topic, key, first, second", [
    (when("upstream", via="http://proxy.example:3128"), "way", "localhost:41669", ["direct"], ["http://proxy.example:3128"]),
    (when("upstream", result="failed", errno="ECONNREFUSED"), "connection", "localhost:41669", ["connected"],
     ["failed: Connection refused"]),
    (when("upstream", result="failed", errno="ECONNREFUSED", proxy_status=407), "connection", "localhost:41669", ["connected"],
     ["the proxy answers 407"]),
    (when("http.response", status=503), "status", "https://localhost:41669", ["200"], ["503"]),
    (when("name.lookup", result="EAI_AGAIN", addresses=[]), "lookup", "localhost", ["ok"], ["EAI_AGAIN"]),
    (when("file.failure", errno="ENOSPC"), "file", "/lab/home/.cache", ["mkdir: Permission denied"],
     ["mkdir: No space left on device"]),
    (when("run.end", status=0), "end", "the command", ["exit status 1"], ["exit status 0"]),
    (when("run.end", signal="KILL"), "end", "the command", ["exit status 1"], ["ended by KILL"]),
    (without("run.end"), "end", "the command", ["exit status 1"], ["no end in the record"]),
    (without("file.failure"), "file", "/lab/home/.cache", ["mkdir: Permission denied"], []),
    (when("process.start", event="process.uncovered", target="/usr/bin/go", reason="static"), "uncovered", "/usr/bin/go", [],
     ["static"]),
], ids=["way", "refused", "proxy", "status", "lookup", "errno", "worked", "killed", "no-end", "written", "uncovered"])
def test_what_matters(staged, tmp_path, change, topic, key, first, second):
    status, found = differences(staged, FOUNDING, changed(tmp_path, change))
    assert status == 1 and found[topic, key] == (first, second), found
    status, found = differences(staged, tmp_path / "changed.jsonl", FOUNDING)
    assert status == 1 and found[topic, key] == (second, first)


@pytest.mark.parametrize("change, topic, key", [
    (when("run.start", environment={"https_proxy": "http://x:1"}), "setting", "$https_proxy"),
    (when("run.start", umask="0077"), "setting", "umask"),
    (when("name.lookup", addresses=["::1"]), "address", "localhost"),
    (when("http.response", wait_ms=4000), "time", "answers of https://localhost:41669"),
    (when("upstream", duration_ms=2000), "time", "connecting to localhost:41669"),
], ids=["environment", "umask", "addresses", "answers", "connecting"])
def test_what_is_shown_but_may_be_harmless(staged, tmp_path, change, topic, key):
    status, found = differences(staged, FOUNDING, changed(tmp_path, change))
    assert status == 0 and (topic, key) in found, found
    assert {t for t, _ in found} == {topic}


def test_what_is_new_in_every_run_is_no_difference(staged, tmp_path):
    def again(event):
        event["time"] = event["time"].replace("2026-11-20", "2026-11-21")
        for field, more in (("pid", 1000), ("tid", 1000), ("ppid", 1000), ("flow", 7), ("request", 7)):
            if field in event:
                event[field] += more
        if "duration_ms" in event:
            event["duration_ms"] = round(event["duration_ms"] * 1.5, 3)
    assert differences(staged, FOUNDING, changed(tmp_path, again)) == (0, {})


def test_text(staged, tmp_path):
    done = diff(staged, FOUNDING, changed(tmp_path, when("upstream", via="http://proxy.example:3128\u001b[2J")))
    assert done.returncode == 1 and "\x1b" not in done.stdout
    assert re.search(r"^Ways out\n  localhost:41669\n    < direct\n    > http://proxy\.example:3128\?\[2J\n", done.stdout, re.M)
    assert done.stdout.startswith(f"< {FOUNDING}: ")
    done = diff(staged, FOUNDING, FOUNDING)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "No difference.")


def test_real_runs_that_worked_and_did_not(sandbox, staged, index):
    """The same command, once while the server is there and once when it has gone."""
    curl = ["curl", "-sS", "-o", "/dev/null", "--max-time", "10"]
    good = sandbox.tapline([*curl, "--cacert", index.ca, index.url + "/echo"], inspect=True, env={"SSL_CERT_FILE": index.ca})
    bad = sandbox.tapline([*curl, f"http://127.0.0.1:{free_port()}/echo"], inspect=True)
    assert (good.returncode, bad.returncode) == (0, 7)
    status, found = differences(staged, good.record, bad.record)
    assert status == 1
    assert found["end", "the command"] == (["exit status 0"], ["exit status 7"])
    assert ("finding", "connection-refused") in found
    assert found["status", index.url] == (["200"], [])
    again = sandbox.tapline([*curl, "--cacert", index.ca, index.url + "/echo"], inspect=True, env={"SSL_CERT_FILE": index.ca})
    status, found = differences(staged, good.record, again.record)
    assert status == 0, found


@pytest.mark.parametrize("arguments, named", [
    ([], "two records"), ([FOUNDING], "two records"), ([FOUNDING] * 3, "two records"), ([FOUNDING, "/no/such"], "/no/such"),
    (["/dev/null", FOUNDING], "/dev/null"), (["--format", "html", FOUNDING, FOUNDING], "html"),
    (["--output", "/dev/full", FOUNDING, FOUNDING], "/dev/full")], ids=lambda v: v if isinstance(v, str) else "")
def test_a_mistake_is_named_in_one_line(staged, arguments, named):
    done = diff(staged, *arguments)
    assert done.returncode == 2 and not done.stdout, done
    assert done.stderr.count("\n") == 1 and named in done.stderr, done
