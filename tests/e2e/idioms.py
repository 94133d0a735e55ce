"""Client idioms (tests/clients/idiom_*.c) against origins of every kind, each bare and under tapline at the same time.
Used by test_idioms.py and test_no_hold.py."""
import concurrent.futures
import difflib
import functools
import os
import re
import shutil
import subprocess
from pathlib import Path

import runner
from origins import has_ipv6
from user import network_problem

ROOT = Path(__file__).resolve().parents[2]
IDIOMS = sorted(p.stem.removeprefix("idiom_") for p in (ROOT / "tests" / "clients").glob("idiom_*.c"))
ORIGINS = ["answers", "refuses", "silent", "unreachable", "no_route", "slow", "resets"]
V6_ONLY = {"v6only"}
SLOWER = int(os.environ.get("SLOWER", "1"))  # than most: a machine that is emulated (tests/vm)
TOLERANCE = 100 * SLOWER  # milliseconds
ATTEMPTS = 3     # a busy machine is late now and then
AT_ONCE = max(1, 8 // SLOWER)

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
        return sandbox.finish(self._start(sandbox, [*self.matrix.launcher, *argv]), record, 60)

    def run(self):
        for _ in range(self.matrix.attempts):
            with concurrent.futures.ThreadPoolExecutor(2) as two:
                bare, tapped = two.submit(self._bare), two.submit(self._tapline)
                self.bare, self.tapped = bare.result(), tapped.result()
            self.differences = list(differences(self.bare, self.tapped))
            if not self.differences:
                break
        return self


def lines(run):
    """(text, milliseconds or None) of each line that the program printed."""
    split = (re.fullmatch(r"(.*?)(?: t=(\d+))?", line) for line in run.stdout.splitlines())
    return [(m[1], int(m[2]) if m[2] else None) for m in split]


def differences(bare, tapped):
    if bare.returncode != tapped.returncode:
        yield f"exit status {bare.returncode} and {tapped.returncode}"
    left, right = lines(bare), lines(tapped)
    if [text for text, _ in left] != [text for text, _ in right]:
        yield from difflib.unified_diff([text for text, _ in left], [text for text, _ in right], "bare", "tapline", n=0, lineterm="")
        return
    for (text, one), (_, other) in zip(left, right):
        if one is not None and abs(one - other) > TOLERANCE:
            yield f"{text}: after {one} and {other} ms"


class Matrix:
    """launcher: what tapline is started by. attempts: before a difference is believed."""

    def __init__(self, make_sandbox, clients, origins, launcher=(), attempts=ATTEMPTS):
        self.make_sandbox, self.clients, self.origins = make_sandbox, clients, origins
        self.launcher, self.attempts = launcher, attempts
        self.pool = concurrent.futures.ThreadPoolExecutor(AT_ONCE)
        self.futures, self.done = {}, {}

    def begin(self, idiom, origin):
        self.futures[idiom, origin] = self.pool.submit(Pair(self, idiom, origin).run)

    def result(self, idiom, origin):
        self.done[idiom, origin] = self.futures[idiom, origin].result()
        return self.done[idiom, origin]


def place_clients(target):
    """The client programs where the unprivileged user can read them."""
    build = Path(os.environ.get("BUILD", ROOT / "build")).resolve() / "clients"
    target.mkdir()
    for path in build.glob("*"):
        if path.suffix == "" and os.access(path, os.X_OK):
            shutil.copy(path, target / path.name)
    missing = [i for i in IDIOMS if not (target / f"idiom_{i}").exists()]
    assert not missing, f"not built: {missing}: run make clients"
    return target


NETWORK_PROBLEM = network_problem()


@functools.cache
def _io_uring_problem():
    """What this kernel says to a program that wants io_uring(7), or None. Containers and sysctls forbid it."""
    build = Path(os.environ.get("BUILD", ROOT / "build")).resolve()
    said = subprocess.run([build / "clients" / "idiom_io_uring", "probe"], capture_output=True, text=True, timeout=10)
    return None if said.stdout == "ok\n" else f"{said.stdout}{said.stderr}".strip()


def skip_reason(idiom, origin):
    if idiom in V6_ONLY and not has_ipv6():
        return "no IPv6 here"
    if origin in NETWORK and NETWORK_PROBLEM:
        return f"no network of its own: {NETWORK_PROBLEM}"
    if idiom == "io_uring" and _io_uring_problem():
        return f"no io_uring here: {_io_uring_problem()}"
    return None
