"""Some rows of docs/clients.md, measured anew: the page says what is so. `make check-clients` measures all of them."""
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "clients_table"))

import rows  # noqa: E402
import table  # noqa: E402

MEASURED = ("urllib", "requests", "httpx, async", "aiohttp", "curl, HTTP/1.1", "curl, HTTP/2", "wget", "git", "npm")


def page():
    """name -> cells of the page's table."""
    lines = [line for line in (ROOT / "docs" / "clients.md").read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0] == list(table.COLUMNS)
    return {row[0]: row for row in cells[1:]}


@pytest.fixture(scope="module")
def lab(session_dir, staged, user):
    directory = session_dir / "table"
    directory.mkdir()
    with table.Lab(directory, staged, user) as lab:
        yield lab


@pytest.mark.parametrize("name", MEASURED)
def test_a_row(lab, name):
    documented = page()[name]
    cells = table.run_row(lab, name).cells()
    assert cells[:1] + cells[2:] == documented[:1] + documented[2:]  # but for the client's version


def test_the_page_has_all_rows_and_no_others():
    assert list(page()) == list(rows.ROWS)
