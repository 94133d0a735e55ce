"""docs/threats.md: each line of its tables names a test, and that test exists."""
import re

from tree import ROOT, text_of

PAGE = ROOT / "docs" / "threats.md"


def rows():
    for line in text_of(PAGE).splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 3 and cells[0] not in ("attack", "---"):
            yield cells


def exists(test):
    if test.startswith("tests/fuzz/"):
        return (ROOT / f"{test}.c").exists()
    file, name = test.split("::")
    if file.startswith("unit/"):
        path, pattern = ROOT / "tests" / f"{file}.c", rf"\b{name}\("
    else:
        path, pattern = ROOT / "tests" / "e2e" / f"{file}.py", rf"^def {name}\("
    return path.exists() and re.search(pattern, text_of(path), re.M)


def test_each_line_has_a_test_that_exists():
    found = list(rows())
    assert len(found) > 10
    assert not [cells[2] for cells in found if not exists(cells[2])]
