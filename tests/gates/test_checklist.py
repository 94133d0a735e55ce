"""docs/relay.md lists what the relay does and the tests that show it: each test named there exists, and each point
names one."""

import re

from tree import ROOT

PAGE = ROOT / "docs/relay.md"
NAMED = re.compile(r"`(test_\w+\.(?:py|c))::(test_\w+)`")


def rows():
    """The cells of each row of the page's tables."""
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
        if line.startswith("|") and not line.startswith("|---") and cells[-1] != "tests":
            yield cells


def test_every_point_names_its_tests():
    found = list(rows())
    assert len(found) > 50
    assert [cells for cells in found if len(cells) != 3 or not NAMED.sub("", cells[2]).strip() == ""
            or not NAMED.search(cells[2])] == []


def test_every_test_that_is_named_exists():
    named = set(NAMED.findall(PAGE.read_text()))
    assert named
    missing = []
    for file, name in sorted(named):
        path = ROOT / ("tests/unit" if file.endswith(".c") else "tests/e2e") / file
        pattern = rf"^(def|static void) {name}\("
        if not path.exists() or not re.search(pattern, path.read_text(), re.M):
            missing.append(f"{file}::{name}")
    assert missing == []
