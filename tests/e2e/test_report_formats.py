"""tapline report --format github and har, on records of the corpus and on real runs."""
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

import runner

RECORDS = Path(__file__).resolve().parents[1] / "records"
ALL = sorted(RECORDS.glob("*.jsonl"))


def report(staged, *arguments, **env):
    return subprocess.run([staged(), "report", *map(str, arguments)], capture_output=True, text=True, timeout=60,
                          env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **env})


# -- GitHub Actions

@pytest.mark.parametrize("record", ALL, ids=lambda p: p.stem)
def test_annotations_are_one_line_each(staged, record):
    findings = json.loads(report(staged, "--format", "json", record).stdout)["findings"]
    lines = report(staged, "--format", "github", record).stdout.splitlines()
    kinds = {"error": "error", "warning": "warning", "note": "notice"}
    assert len(lines) == len(findings) or (not findings and len(lines) <= 1)
    for finding, line in zip(findings, lines):
        assert line.startswith(f"::{kinds[finding['severity']]} title=tapline%3A {finding['code']}::"), line
        text = line.split("::", 2)[2].replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%")
        assert text.startswith(finding["summary"].replace("\t", " ")), line


def test_what_would_end_a_command_is_escaped(staged, tmp_path):
    text = (RECORDS / "poetry-a-parent-not-writable.jsonl").read_text()
    record = tmp_path / "evil.jsonl"
    record.write_text(text.replace('"blocked": "/home/u/.cache"', '"blocked": "/home/u/100%\\n::error::x"'))
    lines = report(staged, "--format", "github", record).stdout.splitlines()
    assert len(lines) == 1 and lines[0].startswith("::error title=tapline%3A "), lines
    assert "100%25" in lines[0] and "%0A::error::x" in lines[0]


def test_the_jobs_summary_is_appended_to(staged, tmp_path):
    page = tmp_path / "summary"
    page.write_text("before\n")
    report(staged, "--format", "github", RECORDS / "poetry-a-parent-not-writable.jsonl", GITHUB_STEP_SUMMARY=str(page))
    text = page.read_text()
    assert text.startswith("before\n\n## tapline: poetry lock")
    assert "### cache-not-writable (error, certain)" in text
    assert re.search(r"^~~~\nexport POETRY_CACHE_DIR=", text, re.M), text


# -- HAR 1.2

ENTRY = {"startedDateTime": str, "time": (int, float), "request": dict, "response": dict, "cache": dict, "timings": dict}
REQUEST = {"method": str, "url": str, "httpVersion": str, "cookies": list, "headers": list, "queryString": list,
           "headersSize": int, "bodySize": int}
RESPONSE = {"status": int, "statusText": str, "httpVersion": str, "cookies": list, "headers": list, "content": dict,
            "redirectURL": str, "headersSize": int, "bodySize": int}
TIMINGS = ("blocked", "dns", "connect", "send", "wait", "receive", "ssl")


def check_har(har):
    log = har["log"]
    assert log["version"] == "1.2" and log["creator"]["name"] == "tapline"
    for entry in log["entries"]:
        for part, wanted in ((entry, ENTRY), (entry["request"], REQUEST), (entry["response"], RESPONSE)):
            for name, kind in wanted.items():
                assert isinstance(part[name], kind), (name, part)
        assert set(TIMINGS) == set(entry["timings"])
        times = [entry["timings"][name] for name in TIMINGS if name != "ssl" and entry["timings"][name] > 0]
        assert abs(sum(times) - entry["time"]) < 0.01, entry
        assert {"size", "mimeType"} <= set(entry["response"]["content"])
        for header in entry["request"]["headers"] + entry["response"]["headers"] + entry["request"]["queryString"]:
            assert set(header) == {"name", "value"}
    return log["entries"]


@pytest.mark.parametrize("record", ALL, ids=lambda p: p.stem)
def test_every_record_is_an_archive(staged, record):
    done = report(staged, "--format", "har", record)
    events = [json.loads(line)["event"] for line in record.read_text().splitlines()]
    entries = check_har(json.loads(done.stdout))
    assert len([e for e in entries if "_error" not in e]) == events.count("http.request")


def test_a_real_run_as_an_archive(sandbox, staged, index):
    done = sandbox.tapline(["curl", "-sSL", "-o", "page", index.url + "/redirect/2?to=/echo%3Fa=1"], inspect=True,
                           env=runner.trust(index.ca))
    entries = check_har(json.loads(report(staged, "--format", "har", done.record).stdout))
    assert [(e["request"]["method"], e["response"]["status"]) for e in entries] == [("GET", 302), ("GET", 302), ("GET", 200)]
    assert entries[0]["response"]["redirectURL"].startswith("/redirect/1")
    assert entries[0]["request"]["queryString"] == [{"name": "to", "value": "/echo%3Fa=1"}]
    assert entries[2]["response"]["content"]["mimeType"] == "application/json"
    assert entries[2]["response"]["bodySize"] == (sandbox.work / "page").stat().st_size


def test_formats_that_check_does_not_have(staged):
    done = subprocess.run([staged(), "check", "--format", "har"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "har" in done.stderr
