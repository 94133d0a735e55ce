"""tapline report --format html: the page as it is written, and what Chromium makes of it. What a record holds was said
by servers and programs, so most of this is about what such text must not do."""
import base64
import hashlib
import json
import os
import re
import subprocess
import time
from pathlib import Path

import pytest

import browser

RECORDS = Path(__file__).resolve().parents[1] / "records"
ALL = sorted(RECORDS.glob("*.jsonl"))
FOUNDING = RECORDS / "real-poetry-cache-not-writable-inspect.jsonl"
# Text that acts if it is taken for markup, for an attribute, for a script's text or for a comment.
HOSTILE = ("</title></style></script><script>owned()</script><img src=x onerror=owned()>\"' onclick=owned() x='"
           "--><svg onload=owned()>&lt;{{7*7}}\u202egnp.exe\u2028\ufeff\x7f")


def run(staged, *arguments):
    return subprocess.run([staged(), "report", *map(str, arguments)], capture_output=True, timeout=120,
                          env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"})


def page_of(staged, record):
    done = run(staged, "--format", "html", record)
    assert done.returncode in (0, 1) and not done.stderr, done
    return done.stdout.decode()


def hash_of(text):
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def check_page(document):
    """What holds for every page: it needs nothing else, and its policy lets nothing act but its own two parts."""
    [script], [style] = document.all("script"), document.all("style")
    policy = next(m["content"] for m in document.all("meta") if m.attributes.get("http-equiv") == "Content-Security-Policy")
    assert {part.strip() for part in policy.split(";")} == {
        "default-src 'none'", "base-uri 'none'", "form-action 'none'", f"style-src {hash_of(style.text)}",
        f"script-src {hash_of(script.text)}"}
    for element in document.all():
        assert element.tag in {"html", "head", "meta", "title", "style", "body", "a", "header", "span", "h1", "h2", "h3", "h4",
                               "h5", "p", "ul", "li", "b", "main", "section", "article", "div", "pre", "button", "details",
                               "summary", "table", "thead", "tbody", "tr", "th", "td", "svg", "rect", "dl", "dt", "dd", "code",
                               "input", "label", "output", "footer", "script"}, element.tag
        assert not [name for name in element.attributes if name.startswith("on") or name in ("style", "src", "srcset")]
        assert element.attributes.get("href", "#").startswith("#")


def shown_events(document):
    return [row["data-kind"] for row in document.all("tr", "row")]


@pytest.mark.parametrize("record", ALL, ids=lambda p: p.stem)
def test_every_record_is_a_page(staged, record):
    document = browser.parse(page_of(staged, record).removeprefix("<!DOCTYPE html>\n"))
    check_page(document)
    report = json.loads(run(staged, "--format", "json", record).stdout)
    articles = list(document.all("article"))
    assert len(articles) == len(report["findings"])
    for article, finding in zip(articles, report["findings"]):
        assert article.one("h3").text == finding["summary"]
        assert next(article.all("span")).text == finding["code"]
        proof = [item.text for item in article.all("li")]
        assert proof == finding["evidence"]
        commands = finding["remedy"]["commands"]
        assert [p.text for p in article.all("pre")] == (["".join(c + "\n" for c in commands)] if commands else [])
    events = [json.loads(line) for line in record.read_text().splitlines() if line.startswith("{") and line.endswith("}")]
    kinds = [e["event"] for e in events]
    assert shown_events(document).count("request") == kinds.count("http.request")
    assert shown_events(document).count("file") == kinds.count("file.failure")
    assert shown_events(document).count("name") == kinds.count("name.lookup")


def test_the_founding_case_in_a_browser(staged, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(page_of(staged, FOUNDING))
    document = browser.rendered(page, tmp_path / "profile")
    check_page(document)
    assert document.one("title").text == "/opt/venv/bin/poetry lock -n - tapline"
    assert document.one(id="verdict").text == "Failed, exit status 1"
    assert "hidden" not in document.one(id="controls").attributes
    assert document.one(id="shown").text == "25 of 25"
    buttons = list(document.all("button", "copy"))
    assert len(buttons) == 1 and "hidden" not in buttons[0].attributes
    kinds = shown_events(document)
    # each time: look up, connect, ask, fail to write; and once before all of it
    assert kinds == ["file"] + ["name", "connection", "request", "file"] * 6
    first = list(document.all("tr", "request"))[0]
    assert "GET https://localhost:41669/simple/grove/" in first.text and "200 OK, 814 bytes" in first.text
    bars = [float(r["x"].rstrip("%")) for r in document.all("rect")]
    assert all(0 <= x <= 100 for x in bars) and bars == sorted(bars)


def steered(page, tmp_path, script):
    """The page with its policy taken out and a script of the test put in, which puts what it sees into the title."""
    text = re.sub(r"<meta http-equiv[^>]*>", "", page)
    path = tmp_path / "steered.html"
    path.write_text(text.replace("</body>", f"<script>{script}</script></body>"))
    return browser.rendered(path, tmp_path / "profile")


@pytest.mark.parametrize("action, expected", [
    ("search.value = 'EACCES mkdir'", {"file"}),
    ("search.value = '#3'", {"connection", "request"}),
    ("search.value = 'no such thing'", set()),
    ("document.getElementById('only-bad').checked = true", {"file"}),
    ("document.querySelector('[data-kind=file]').checked = false", {"name", "connection", "request"}),
], ids=["words", "flow", "nothing", "only-bad", "kind"])
def test_the_filter(staged, tmp_path, action, expected):
    script = ("const search = document.getElementById('search'); " + action +
              "; document.getElementById('controls').dispatchEvent(new Event('input'));")
    document = steered(page_of(staged, FOUNDING), tmp_path, script)
    left = [row for row in document.all("tr", "row") if "hidden" not in row.attributes]
    assert {row["data-kind"] for row in left} == expected
    assert document.one(id="shown").text == f"{len(left)} of 25"


def test_a_key_leads_to_the_filter(staged, tmp_path):
    script = ("document.body.dispatchEvent(new KeyboardEvent('keydown', {key: '/', bubbles: true})); "
              "document.title = document.activeElement.id;")
    assert steered(page_of(staged, FOUNDING), tmp_path, script).one("title").text == "search"


# -- what a record must not do

def hostile(value):
    if isinstance(value, str):
        return value + HOSTILE
    if isinstance(value, list):
        return [hostile(item) for item in value]
    if isinstance(value, dict):
        return {key + HOSTILE: hostile(item) for key, item in value.items()}
    return value


def hostile_record(tmp_path, record):
    """The record with the text behind every string that names nothing of our own."""
    kept = {"time", "event", "call", "errno", "result", "how", "intent", "state", "side", "stage", "kind"}
    lines = []
    for line in record.read_text().splitlines():
        event = {key: value if key in kept else hostile(value) for key, value in json.loads(line).items()}
        lines.append(json.dumps({**event, "new" + HOSTILE: HOSTILE}))
    path = tmp_path / "hostile.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("record", ALL, ids=lambda p: p.stem)
def test_text_stays_text(staged, tmp_path, record):
    page = page_of(staged, hostile_record(tmp_path, record))
    check_page(browser.parse(page.removeprefix("<!DOCTYPE html>\n")))
    assert "\u202e" not in page and "\x7f" not in page


OWN = "function owned() { document.body.setAttribute('data-owned', 'yes'); }"


def test_text_stays_text_in_a_browser(staged, tmp_path):
    page = page_of(staged, hostile_record(tmp_path, FOUNDING))
    document = steered(page, tmp_path, OWN + "document.querySelectorAll('*').forEach((e) => e.click && e.click());")
    assert "data-owned" not in document.one("body").attributes
    assert document.one("title").text.startswith("'/opt/venv/bin/poetry</title>")
    assert len(list(document.all("script"))) == 2  # the page's and the test's
    # and the test would see it
    acted = steered(page.replace("<main>", f"<main><script>{OWN} owned()</script>"), tmp_path, "")
    assert acted.one("body").attributes["data-owned"] == "yes"


def test_the_policy_stops_what_gets_through(staged, tmp_path):
    page = page_of(staged, FOUNDING)
    path = tmp_path / "page.html"
    path.write_text(page.replace("<main>", f"<main><script>{OWN} owned()</script><p style=\"color: red\" id=\"p\">"
                                           "<img src=x onerror=\"document.body.setAttribute('data-owned', 1)\"></p>"))
    document = browser.rendered(path, tmp_path / "profile")
    assert "data-owned" not in document.one("body").attributes
    assert document.one(id="shown").text == "25 of 25", "the page's own script must still run"


# -- long records

def long_record(path, events):
    """A run with so many events: connections with a request each, and now and then a call that fails."""
    def at(n):
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(1770000000 + n // 1000)) + f".{n % 1000 * 1000:06d}Z"

    who = {"pid": 7, "tid": 7, "exe": "/usr/bin/tool"}
    with open(path, "w") as out:
        def put(n, event, **fields):
            out.write(json.dumps({"time": at(n), "event": event, **fields}) + "\n")

        put(0, "run.start", schema=1, version="0.1.0", mode="run", command=["tool"], cwd="/", uid=1, gid=1, umask="0022",
            inspect="never", environment={})
        put(0, "process.start", **who, ppid=1, argv=["tool"])
        for n in range(1, events // 5):
            put(n, "connect", **who, flow=n, kind="redirected", name="index.example", port=443)
            put(n, "http.request", **who, flow=n, request=n, source="relay", method="GET", url=f"https://index.example/{n}",
                version="1.1", headers=[["Accept", "*/*"]])
            put(n + 3, "http.response", **who, flow=n, request=n, source="relay", status=200, version="1.1", headers=[])
            if n % 1000 == 0:
                put(n + 3, "file.failure", **who, call="open", path=f"/cache/{n}", errno="EACCES", intent="write", uid=1)
            else:
                put(n + 3, "http.body", **who, flow=n, request=n, bytes=10, complete=True, duration_ms=1.0)
            put(n + 4, "flow.close", **who, flow=n, client_to_server=1, server_to_client=1, first="client", how="eof",
                reason="client closed", port=443, duration_ms=4.0)
        put(events // 5 + 5, "run.end", status=1, duration_ms=1.0, relay="ok")


def test_a_hundred_thousand_events(staged, tmp_path):
    record, page = tmp_path / "long.jsonl", tmp_path / "page.html"
    long_record(record, 100_000)
    page.write_text(page_of(staged, record))
    assert page.stat().st_size < 8_000_000
    document = browser.rendered(page, tmp_path / "profile")
    kinds = shown_events(document)
    assert len(kinds) == 3000 and kinds.count("file") == 19, "what failed is there, however late"
    assert re.match(r"3000 of 40017 lines are shown", document.one(id="capped").text), document.one(id="capped").text
    assert document.one(id="shown").text == "3000 of 3000"


def test_a_page_that_cannot_be_written(staged):
    done = run(staged, "--format", "html", "--output", "/dev/full", FOUNDING)
    assert done.returncode == 2 and b"No space left" in done.stderr
