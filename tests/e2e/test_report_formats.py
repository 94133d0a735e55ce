"""tapline report --format github, har, otlp and trace, on records of the corpus and on real runs. (html:
test_report_html.py)"""
import base64
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

import runner
import venvs

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


# -- OTLP: traces of OpenTelemetry

# The schema itself, as its project publishes it; reads a file of lines, fails at a field that is not in it.
READ_OTLP = """
import sys
from google.protobuf import json_format
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
for line in open(sys.argv[1]):
    data = json_format.Parse(line, TracesData())
    assert data.resource_spans[0].scope_spans[0].spans, "a line without spans"
"""


@pytest.fixture(scope="session")
def protobuf():
    return venvs.get(("opentelemetry-proto==1.45.2",)) / "bin" / "python"


def spans_of(text):
    return [span for line in text.splitlines() for part in json.loads(line)["resourceSpans"]
            for scope in part["scopeSpans"] for span in scope["spans"]]


def attributes_of(thing):
    return {a["key"]: next(iter(a["value"].values())) for a in thing["attributes"]}


def check_otlp(spans):
    """What opentelemetry-proto says of ids and times, and that all spans hang on one root."""
    ids = [span["spanId"] for span in spans]
    assert len(set(ids)) == len(ids) and len({span["traceId"] for span in spans}) == 1
    assert [span for span in spans if not span["parentSpanId"]] == spans[:1]
    for span in spans:
        assert re.fullmatch("[0-9a-f]{32}", span["traceId"]) and re.fullmatch("[0-9a-f]{16}", span["spanId"])
        assert span["parentSpanId"] in {"", *ids}
        assert int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"])
        for event in span["events"]:
            assert isinstance(event["timeUnixNano"], str)
        for attribute in span["attributes"] + [a for e in span["events"] for a in e["attributes"]]:
            assert set(attribute) == {"key", "value"} and len(attribute["value"]) == 1
        if span["status"].get("code") == 2:
            assert "error.type" in attributes_of(span), span


@pytest.mark.parametrize("record", ALL, ids=lambda p: p.stem)
def test_every_record_is_a_trace_of_spans(staged, record):
    spans = spans_of(report(staged, "--format", "otlp", record).stdout)
    events = [json.loads(line)["event"] for line in record.read_text().splitlines()]
    check_otlp(spans)
    assert len([s for s in spans if "http.request.method" in attributes_of(s)]) == events.count("http.request")
    assert len([e for s in spans for e in s["events"] if e["name"] == "file.failure"]) == events.count("file.failure")


def test_the_spans_are_those_of_the_schema(staged, protobuf, tmp_path):
    """Ids are bytes in the schema, for which protobuf's JSON has base64 and OTLP's hexadecimal digits."""
    lines = []
    for record in ALL:
        text = report(staged, "--format", "otlp", record).stdout
        lines.append(re.sub(r'"(traceId|spanId|parentSpanId)":"([0-9a-f]*)"', lambda m: '"%s":"%s"' % (
            m[1], base64.b64encode(bytes.fromhex(m[2])).decode()), text))
    path = tmp_path / "lines"
    path.write_text("".join(lines))
    done = subprocess.run([protobuf, "-c", READ_OTLP, path], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
    path.write_text(lines[0].replace('"kind"', '"knid"'))
    assert subprocess.run([protobuf, "-c", READ_OTLP, path], capture_output=True, timeout=60).returncode == 1


def test_the_founding_case_as_spans(staged):
    record = RECORDS / "real-poetry-cache-not-writable-inspect.jsonl"
    root, *spans = spans_of(report(staged, "--format", "otlp", record).stdout)
    assert root["name"] == "poetry" and root["status"]["code"] == 2
    assert attributes_of(root)["error.type"] == "cache-not-writable" and attributes_of(root)["process.exit.code"] == "1"
    assert [e["name"] for e in root["events"]] == ["finding"]
    by_id = {span["spanId"]: span for span in spans}
    requests = [span for span in spans if span["name"] == "GET"]
    assert len(requests) == 6
    for span in requests:
        seen = attributes_of(span)
        assert (seen["http.response.status_code"], seen["server.address"], seen["server.port"]) == ("200", "localhost", "41669")
        assert by_id[span["parentSpanId"]]["name"] == "connect" and span["kind"] == 3 and span["status"] == {}
    process = by_id[by_id[requests[0]["parentSpanId"]]["parentSpanId"]]
    assert [attributes_of(e)["error.type"] for e in process["events"]] == ["EACCES"] * 7
    again = spans_of(report(staged, "--format", "otlp", record).stdout)
    assert again == [root, *spans], "the same record gives the same ids"


def test_long_traces_come_in_lines(staged, tmp_path):
    record = tmp_path / "long.jsonl"
    text = (RECORDS / "worked.jsonl").read_text().splitlines()
    lookup = json.dumps({"time": "2026-01-31T13:20:00.030000Z", "event": "name.lookup", "pid": 4242, "exe": "/x",
                         "name": "index.example", "addresses": [], "result": "ok", "duration_ms": 1.0})
    record.write_text("\n".join([text[0], *[lookup] * 1200, *text[1:]]) + "\n")
    out = report(staged, "--format", "otlp", record).stdout
    assert len(out.splitlines()) == 3
    check_otlp(spans_of(out))


# -- the trace event format

def check_trace(trace):
    """The fields that its description asks for in each phase; slices end where they began."""
    opened = {}
    for event in trace["traceEvents"]:
        assert {"ph", "name", "pid", "tid"} <= set(event), event
        assert event["ph"] in "MXbei" and isinstance(event["pid"], int)
        if event["ph"] == "M":
            assert event["name"] == "process_name" and isinstance(event["args"]["name"], str)
            continue
        assert isinstance(event["ts"], int) and event["cat"], event
        if event["ph"] == "X":
            assert event["dur"] >= 0
        elif event["ph"] == "i":
            assert event["s"] == "t"
        elif event["ph"] == "b":
            assert opened.setdefault((event["cat"], event["id"]), event) is event, "an id is used twice"
        else:
            begun = opened.pop((event["cat"], event["id"]))
            assert begun["name"] == event["name"] and begun["ts"] <= event["ts"] and begun["pid"] == event["pid"]
    assert not opened
    assert trace["displayTimeUnit"] == "ms" and isinstance(trace["otherData"], dict)


@pytest.mark.parametrize("record", ALL, ids=lambda p: p.stem)
def test_every_record_is_a_trace_of_events(staged, record):
    trace = json.loads(report(staged, "--format", "trace", record).stdout)
    kinds = [json.loads(line)["event"] for line in record.read_text().splitlines()]
    check_trace(trace)
    of = [(e["ph"], e.get("cat")) for e in trace["traceEvents"]]
    assert of.count(("b", "request")) == kinds.count("http.request")
    assert of.count(("i", "file")) == kinds.count("file.failure")


def test_the_founding_case_as_events(staged):
    trace = json.loads(report(staged, "--format", "trace", RECORDS / "real-poetry-cache-not-writable-inspect.jsonl").stdout)
    events = trace["traceEvents"]
    [process] = [e for e in events if e["ph"] == "X" and e["pid"] == 2065]
    for event in events:
        if event["pid"] == 2065 and "ts" in event:
            assert process["ts"] <= event["ts"] <= process["ts"] + process["dur"], event
    failed = [e for e in events if e["ph"] == "i"]
    assert len(failed) == 7 and all(e["args"]["outcome"] == "Permission denied (EACCES)" for e in failed)
    assert trace["otherData"]["causes"][0].startswith("Poetry's cache is not writable")


@pytest.mark.parametrize("form", ["otlp", "trace"])
def test_a_report_that_cannot_be_written(staged, form):
    done = report(staged, "--format", form, "--output", "/dev/full", RECORDS / "worked.jsonl")
    assert done.returncode == 2 and "No space left" in done.stderr
