"""connect() does not lie: what a program sees is the same bare and under tapline, whatever way it connects and whatever
it meets. Each tests/clients/idiom_*.c runs against each origin, both ways, at the same time; lines must be equal and
times within TOLERANCE. TAPLINE_WRITE_TABLE=1 writes the table of docs/connect.md anew."""
import concurrent.futures
import difflib
import functools
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import runner
from origins import has_ipv6
from slow_origins import Origins
from user import network_problem

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "docs" / "connect.md"
IDIOMS = sorted(p.stem.removeprefix("idiom_") for p in (ROOT / "tests" / "clients").glob("idiom_*.c"))
ORIGINS = ["answers", "refuses", "silent", "unreachable", "no_route", "slow", "resets"]
V6_ONLY = {"v6only"}
TOLERANCE = 100  # milliseconds
ATTEMPTS = 3     # a busy machine is late now and then
AT_ONCE = 8

NOWHERE = {False: "192.0.2.1", True: "2001:db8::1"}  # RFC 5737, RFC 3849
NETWORK = {"no_route": "ip link set lo up",
           "unreachable": "ip link set lo up; ip route add unreachable 192.0.2.1; "
                          "ip -6 route add unreachable 2001:db8::1 2>/dev/null || true"}


class Pair:
    """One idiom against one origin, both ways."""

    def __init__(self, matrix, idiom, origin):
        self.matrix, self.idiom, self.origin = matrix, idiom, origin
        self.v6 = idiom in V6_ONLY

    def _argv(self):
        origins = self.matrix.origins
        if self.origin in NETWORK:
            host, port = NOWHERE[self.v6], 80
        else:
            host, port = getattr(origins, self.origin)("::1" if self.v6 else "127.0.0.1")
        attempts = "1" if self.origin == "silent" else "0"  # TCP_SYNCNT: two or three seconds are enough
        return [self.matrix.clients / f"idiom_{self.idiom}", host, str(port), attempts]

    def _start(self, sandbox, argv):
        if self.origin in NETWORK:
            return sandbox.start(sandbox.user.with_network(NETWORK[self.origin], [str(a) for a in argv]), as_self=True)
        return sandbox.start(argv)

    def _bare(self):
        process = self._start(self.matrix.make_sandbox(), self._argv())
        try:
            return process.wait(60)
        finally:
            runner.kill_marked(process.mark)

    def _tapline(self):
        sandbox = self.matrix.make_sandbox()
        argv, record = sandbox.tapline_argv(self._argv())
        return sandbox.finish(self._start(sandbox, argv), record, 60)

    def run(self):
        for _ in range(ATTEMPTS):
            with concurrent.futures.ThreadPoolExecutor(2) as two:
                bare, tapped = two.submit(self._bare), two.submit(self._tapline)
                self.bare, self.tapped = bare.result(), tapped.result()
            self.differences = list(differences(self.bare, self.tapped))
            if not self.differences:
                break
        return self


def _lines(run):
    """(text, milliseconds or None) of each line that the program printed."""
    split = (re.fullmatch(r"(.*?)(?: t=(\d+))?", line) for line in run.stdout.splitlines())
    return [(m[1], int(m[2]) if m[2] else None) for m in split]


def differences(bare, tapped):
    if bare.returncode != tapped.returncode:
        yield f"exit status {bare.returncode} and {tapped.returncode}"
    left, right = _lines(bare), _lines(tapped)
    if [text for text, _ in left] != [text for text, _ in right]:
        yield from difflib.unified_diff([text for text, _ in left], [text for text, _ in right], "bare", "tapline", n=0, lineterm="")
        return
    for (text, one), (_, other) in zip(left, right):
        if one is not None and abs(one - other) > TOLERANCE:
            yield f"{text}: after {one} and {other} ms"


def _cell(pair):
    """How it ended, in a few words for the table."""
    lines = _lines(pair.bare)
    errors = re.findall(r"\bE[A-Z]{4,}\b", " ".join(text for text, _ in lines))
    told = [e for e in errors if e not in ("EINPROGRESS", "ENOTCONN", "EALREADY", "EISCONN", "EAGAIN", "EINTR", "EPIPE")]
    times = [f"{ms / 1000:.1f} s" for _, ms in lines[-1:] if ms is not None]
    return ", ".join([told[0] if told else "connected", *times])


class Matrix:
    def __init__(self, make_sandbox, clients, origins):
        self.make_sandbox, self.clients, self.origins = make_sandbox, clients, origins
        self.pool = concurrent.futures.ThreadPoolExecutor(AT_ONCE)
        self.futures, self.done = {}, {}

    def begin(self, idiom, origin):
        self.futures[idiom, origin] = self.pool.submit(Pair(self, idiom, origin).run)

    def result(self, idiom, origin):
        self.done[idiom, origin] = self.futures[idiom, origin].result()
        return self.done[idiom, origin]


def _selected(request):
    """What of the matrix this run of pytest asks for."""
    found = (getattr(item, "callspec", None) for item in request.session.items
             if getattr(item, "originalname", "") == "test_bare_and_tapline_agree")
    return [(spec.params["idiom"], spec.params["origin"]) for spec in found]


@pytest.fixture(scope="module")
def clients_dir(session_dir):
    """The client programs where the unprivileged user can read them."""
    build = Path(os.environ.get("BUILD", ROOT / "build")).resolve() / "clients"
    target = session_dir / "idioms"
    target.mkdir()
    for path in build.glob("*"):
        if path.suffix == "" and os.access(path, os.X_OK):
            shutil.copy(path, target / path.name)
    missing = [i for i in IDIOMS if not (target / f"idiom_{i}").exists()]
    assert not missing, f"not built: {missing}: run make clients"
    return target


@pytest.fixture(scope="module")
def matrix(request, make_sandbox, clients_dir):
    with Origins() as origins:
        made = Matrix(make_sandbox, clients_dir, origins)
        for idiom, origin in _selected(request):
            if not _skip_reason(idiom, origin):
                made.begin(idiom, origin)
        yield made
        made.pool.shutdown(cancel_futures=True)
        if os.environ.get("TAPLINE_WRITE_TABLE"):
            _write_table(made.done)


NETWORK_PROBLEM = network_problem()


@functools.cache
def _io_uring_problem():
    """What this kernel says to a program that wants io_uring(7), or None. Containers and sysctls forbid it."""
    build = Path(os.environ.get("BUILD", ROOT / "build")).resolve()
    said = subprocess.run([build / "clients" / "idiom_io_uring", "probe"], capture_output=True, text=True, timeout=10)
    return None if said.stdout == "ok\n" else f"{said.stdout}{said.stderr}".strip()


def _skip_reason(idiom, origin):
    if idiom in V6_ONLY and not has_ipv6():
        return "no IPv6 here"
    if origin in NETWORK and NETWORK_PROBLEM:
        return f"no network of its own: {NETWORK_PROBLEM}"
    if idiom == "io_uring" and _io_uring_problem():
        return f"no io_uring here: {_io_uring_problem()}"
    return None


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("idiom", IDIOMS)
def test_bare_and_tapline_agree(matrix, idiom, origin):
    reason = _skip_reason(idiom, origin)
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
