#!/usr/bin/env python3
"""Every call of the relay that can fail is made to fail, one at a time.

    faults.py BUILD [--calls a,b] [--of CLIENT] [--jobs N] [--verbose] [--start]

A relay is started under failing.so, and the small day of day.py is lived through. First the calls are counted; then for each call and each number (of
many: the first fifty, and one from each place in the code, which is a whole stack) a relay is started in which that one fails. After each:

* no client hangs, and each saw either its answer, or an ordinary error: a status of 4xx or 5xx, an end or a reset;
* the relay has not died of a signal, and either serves on or ended with a message on standard error;
* a healthy client that comes afterwards is served, if the relay still runs;
* no socket of it is left open in the relay, if it still runs, no memory of a ring, nothing that watches a process;
* the record can be read up to its last whole line, and has a reason for whatever failed or was lost.

The allocations are those of the relay itself and of its libraries (OpenSSL, libuv, jansson).
"""
import argparse
import collections
import concurrent.futures
import errno
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import reasons
from day import Day, Origins

ERRNO = {"malloc": errno.ENOMEM, "calloc": errno.ENOMEM, "realloc": errno.ENOMEM, "socket": errno.EMFILE, "connect": errno.ENETUNREACH,
         "accept4": errno.EMFILE, "bind": errno.EADDRINUSE, "listen": errno.EADDRINUSE, "send": errno.EPIPE, "recv": errno.ECONNRESET,
         "epoll_ctl": errno.ENOSPC, "epoll_wait": errno.EINTR, "pipe2": errno.EMFILE, "splice": errno.EIO, "write": errno.ENOSPC,
         "open": errno.EMFILE, "fcntl": errno.EPERM, "getsockopt": errno.ENOBUFS, "setsockopt": errno.ENOBUFS,
         "getsockname": errno.ENOBUFS, "getpeername": errno.ENOTCONN, "shutdown": errno.ENOTCONN, "read": errno.EIO, "close": errno.EIO,
         "fstat": errno.EACCES, "access": errno.EACCES, "readlink": errno.EACCES, "unlink": errno.EACCES, "poll": errno.ENOMEM,
         "epoll_create1": errno.EMFILE, "eventfd": errno.EMFILE, "signalfd": errno.EMFILE, "fopen": errno.EMFILE, "pthread_create": errno.EAGAIN,
         "memfd_create": errno.EMFILE, "ftruncate": errno.ENOSPC, "mmap": errno.ENOMEM, "sendmsg": errno.ETOOMANYREFS, "pidfd_open": errno.EMFILE}
COUNTED = 3     # healthy days: which of its ways a day takes depends on who is quicker
EACH = 50       # so many are failed one by one, wherever they come from
FEW = 5         # of so few each also where it comes from elsewhere than it did


def counts_of(folder):
    """For each call, how often it was made, and at which number first from each place."""
    lines = [line.split() for line in (folder / "counts").read_text().splitlines()]
    return {name: (int(count), {place: int(n) for n, place in (word.split("@") for word in words)}) for name, count, *words in lines}


def all_counts(many):
    """Of several days: the most calls, and the earliest from each place."""
    return {name: (max(counts[name][0] for counts in many),
                   {place: min(counts[name][1].get(place, sys.maxsize) for counts in many)
                    for place in set().union(*(counts[name][1] for counts in many))}) for name in many[0]}


def faults_of(call, count, places, each=EACH):
    """As failing.c is told them. The number of a call is not the same each day: its place is looked for from a little earlier on."""
    firsts = set(places.values()) if count > FEW else ()
    for n in range(1, min(count, each) + 1):
        if n not in firsts:
            yield f"{call}:{n}:{ERRNO[call]}"
    for place, n in sorted(places.items(), key=lambda item: item[1]):
        yield f"{call}:{max(1, n - n // 20 - 100)}@{place}:{ERRNO[call]}"


class Faults:
    """The days with a fault, and what came of them."""

    def __init__(self, build, top):
        self.build, self.top, self.origins = build, top, Origins(top)
        help_text = subprocess.run([build / "tapline", "relay", "--help"], capture_output=True, text=True, check=True).stdout
        self.options = ["--inspect=always"] if "--inspect" in help_text else []
        self.idle = None

    def day(self, fail=None, without=None):
        folder = Path(tempfile.mkdtemp(dir=self.top))
        day = Day(self.build, self.origins, folder, fail, self.idle, self.options, without)
        day.live()
        day.problems += reasons.missing(day) if not day.problems else []
        return day

    def count(self, without=None):
        many = []
        for _ in range(COUNTED):
            day = self.day(without=without)
            if day.problems:
                sys.exit(f"faults.py: with nothing failing: {day.problems}")
            self.idle = max(day.idle, self.idle or 0)
            many.append(counts_of(day.folder))
        return all_counts(many)

    def count_of(self, client):
        """What there is only because of this client."""
        less = self.count(without=client)
        return {name: (count, {place: n for place, n in places.items() if place not in less[name][1]}) for name, (count, places) in self.count().items()}

    def one(self, fail):
        for _ in range(3):  # a call that did not come about this time may the next
            day = self.day(fail)
            shutil.rmtree(day.folder)
            if day.failed or day.problems:
                break
        return day


def tell(day, args):
    """Returns how many problems there were."""
    if day.abandoned and args.verbose:
        print(f"{day.fail}: a library ended the relay:\n{day.stacks}", flush=True)
    for problem in day.problems:
        print(f"{day.fail}: {problem}", flush=True)
    if day.problems:
        print(f"{day.said}{day.stacks}", flush=True)
    if args.start and not day.listened and not day.abandoned:
        print(f"{day.fail}: at the start: {day.said}", end="", flush=True)
    return len(day.problems)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=Path)
    parser.add_argument("--calls", default=",".join(ERRNO))
    parser.add_argument("--of", metavar="CLIENT", help="only from the places to which a day without it does not come: HTTP/2, telling")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--verbose", action="store_true", help="say where a library ended the relay")
    parser.add_argument("--start", action="store_true", help="show what a relay says that cannot start")
    args = parser.parse_args()
    top = Path(tempfile.mkdtemp(prefix="tapline-faults-"))
    seen = collections.Counter()
    try:
        faults = Faults(args.build.resolve(), top)
        counts = faults.count_of(args.of) if args.of else faults.count()
        jobs = {call: list(faults_of(call, *counts[call], 0 if args.of else EACH)) for call in args.calls.split(",")}
        for call, fails in jobs.items():
            if fails or not args.of:
                print(f"{call}: {counts[call][0]} calls from {len(counts[call][1])} places: {len(fails)} faults", flush=True)
        jobs = [fail for fails in jobs.values() for fail in fails]
        with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            for number, day in enumerate(pool.map(faults.one, jobs), 1):
                seen["faults"] += day.failed
                seen["not reached"] += not day.failed
                seen["problems"] += tell(day, args)
                seen["ended by a library"] += day.abandoned
                seen["could not start"] += not day.listened
                if not day.failed:
                    print(f"{day.fail}: not reached", flush=True)
                if number % 500 == 0:
                    print(f"  {number} of {len(jobs)}: {dict(seen)}", flush=True)
    finally:
        shutil.rmtree(top, ignore_errors=True)
    print(", ".join(f"{count} {what}" for what, count in seen.items()))
    sys.exit(seen["problems"] > 0)


if __name__ == "__main__":
    main()
