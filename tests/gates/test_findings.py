"""The table of findings against the pages of docs/findings: each code has a page and each page a code, with the same
sentence; and `tapline explain` tells what the table says."""

import os
import pathlib
import re
import subprocess

import pytest

from tree import ROOT

BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build"))
PAGES = ROOT / "docs/findings"
OTHERS = {"README", "dependencies", "disks"}
HEADINGS = ["What the tools print", "What is true", "How tapline knows", "How to fix it"]


def explain(*arguments):
    return subprocess.run([BUILD / "tapline", "explain", *arguments], capture_output=True, text=True)


def table():
    """code -> sentence, in the order of the table."""
    lines = explain().stdout.splitlines()
    return {line.split()[0]: line.split(None, 1)[1] for line in lines}


def test_every_code_has_a_page_and_every_page_a_code():
    assert len(table()) > 50
    assert sorted(p.stem for p in PAGES.glob("*.md") if p.stem not in OTHERS) == sorted(table())


@pytest.mark.parametrize("code", sorted(p.stem for p in PAGES.glob("*.md") if p.stem not in OTHERS))
def test_page_and_table_agree(code):
    text = (PAGES / f"{code}.md").read_text()
    assert text.startswith(f"# {code}\n\n{table()[code]}.\n"), "heading and sentence are not the table's"
    assert re.findall(r"^## (.*)$", text, re.M) == HEADINGS
    for part in re.split(r"^## .*$", text, flags=re.M)[1:]:
        assert len(part.strip()) > 5, "an empty part"


def test_the_list_has_them_in_order():
    listed = re.findall(r"^\| \[([a-z0-9-]+)\]\(([a-z0-9-]+)\.md\) \| (.*) \|$", (PAGES / "README.md").read_text(), re.M)
    assert [(code, sentence) for code, page, sentence in listed] == list(table().items())
    assert all(code == page for code, page, _ in listed)


def test_explain_tells_what_the_page_is_about():
    for code, sentence in table().items():
        done = explain(code)
        assert done.returncode == 0
        said = " ".join(done.stdout.split())
        assert said.startswith(f"{code} (") and sentence in said, said
        for label in ("Seen by", "Fix", f"docs/findings/{code}.md"):
            assert label in said, said


def test_a_code_that_does_not_exist():
    done = explain("no-such-code")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no-such-code" in done.stderr


def test_records_expect_only_codes_that_exist():
    known = set(table())
    for line in (ROOT / "tests/records/expected").read_text().splitlines():
        for code in re.findall(r"[a-z][a-z0-9-]+", line.partition(" ")[2]) if line[:1] not in ("", "#") else ():
            assert code in known, line


def test_every_finding_has_a_record():
    text = (ROOT / "tests/records/expected").read_text()
    expected = {code for line in text.splitlines() if line[:1] not in ("", "#")
                for code in re.findall(r"[a-z][a-z0-9-]+", line.partition(" ")[2])}
    assert sorted(set(table()) - expected) == []


def test_every_finding_is_produced_by_a_scenario():
    text = "\n".join(p.read_text() for p in (ROOT / "tests/e2e").glob("*.py"))
    assert sorted(code for code in table() if f'"{code}"' not in text) == []
