"""connect() does not lie: what a program sees is the same bare and under tapline, whatever way it connects and whatever
it meets. Each tests/clients/idiom_*.c runs against each origin, both ways, at the same time; lines must be equal and
times within TOLERANCE. TAPLINE_WRITE_TABLE=1 writes the table of docs/connect.md anew."""
import os
import re

import pytest

from idioms import IDIOMS, ORIGINS, ROOT, Matrix, lines, place_clients, skip_reason
from slow_origins import Origins

TABLE = ROOT / "docs" / "connect.md"


def _cell(pair):
    """How it ended, in a few words for the table."""
    told_lines = lines(pair.bare)
    errors = re.findall(r"\bE[A-Z]{4,}\b", " ".join(text for text, _ in told_lines))
    told = [e for e in errors if e not in ("EINPROGRESS", "ENOTCONN", "EALREADY", "EISCONN", "EAGAIN", "EINTR", "EPIPE")]
    times = [f"{ms / 1000:.1f} s" for _, ms in told_lines[-1:] if ms is not None]
    return ", ".join([told[0] if told else "connected", *times])


def _selected(request):
    """What of the matrix this run of pytest asks for."""
    found = (getattr(item, "callspec", None) for item in request.session.items
             if getattr(item, "originalname", "") == "test_bare_and_tapline_agree")
    return [(spec.params["idiom"], spec.params["origin"]) for spec in found]


@pytest.fixture(scope="module")
def clients_dir(session_dir):
    return place_clients(session_dir / "idioms")


@pytest.fixture(scope="module")
def matrix(request, make_sandbox, clients_dir):
    with Origins() as origins:
        made = Matrix(make_sandbox, clients_dir, origins)
        for idiom, origin in _selected(request):
            if not skip_reason(idiom, origin):
                made.begin(idiom, origin)
        yield made
        made.pool.shutdown(cancel_futures=True)
        if os.environ.get("TAPLINE_WRITE_TABLE"):
            _write_table(made.done)


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("idiom", IDIOMS)
def test_bare_and_tapline_agree(matrix, idiom, origin):
    reason = skip_reason(idiom, origin)
    if reason:
        pytest.skip(reason)
    pair = matrix.result(idiom, origin)
    assert pair.bare.stdout, f"the program printed nothing\n{pair.bare}"
    assert not pair.differences, f"{pair.differences}\n--- bare\n{pair.bare}\n--- tapline\n{pair.tapped}"
    passed_by = [e for e in pair.tapped.of("connect") if e["kind"] != "redirected"]
    assert pair.tapped.of("connect") and not passed_by, str(pair.tapped)


HEAD = "| idiom | " + " | ".join(name.replace("_", " ") for name in ORIGINS) + " |"


def _rows(done):
    yield HEAD
    yield "|---" * (len(ORIGINS) + 1) + "|"
    for idiom in IDIOMS:
        cells = [_cell(done[idiom, origin]) if (idiom, origin) in done else "" for origin in ORIGINS]
        yield f"| {idiom} | " + " | ".join(cells) + " |"


def _write_table(done):
    text = TABLE.read_text()
    start, end = text.index("| idiom |"), text.rindex("|\n") + 2
    TABLE.write_text(text[:start] + "\n".join(_rows(done)) + "\n" + text[end:])


def test_the_table_has_every_idiom():
    text = TABLE.read_text()
    assert HEAD in text
    assert re.findall(r"^\| (\w+) \|(?: \w+(?:, [\d.]+ s)? \|){%d}$" % len(ORIGINS), text, re.M) == IDIOMS
