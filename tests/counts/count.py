#!/usr/bin/env python3
"""Instructions of the hot paths, by valgrind --tool=callgrind: repeatable on a busy machine, unlike time.

    count.py BUILD            compare with counts.txt; a rise of more than 5% fails
    count.py BUILD --accept   write what is measured into counts.txt: do this on purpose, and say why in the commit

Each figure is (instructions of a run of 2n) - (instructions of a run of n), over n: start and end drop out. For the preloaded library
the same without it is taken off: what is left is what tapline adds to one call. counts.txt names the compiler and the libc that made
the figures; another one makes other code, so there the figures are shown and only their order of magnitude is checked.
"""
import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
COUNTS = HERE / "counts.txt"
LIMIT, OTHER_COMPILER = 1.05, 2.0
SLACK = 8   # instructions: 5% of a very small figure is less than one branch

PRELOAD = ("open-close", "open-absent", "open-not-a-directory", "mkdir-existing", "write-read", "send-recv", "getsockname",
           "so-error", "connect-datagram")
RELAY = ("http-exchange-recorded", "connect-head", "no-proxy-match", "event-written")

# Below intercept_drive only: the peers in the same process are not the relay.
INSPECT = ("exchange", "exchange-recorded", "mebibyte", "revisit", "first-visit")


def toolchain():
    cc = os.environ.get("CC", "cc")
    version = subprocess.run([cc, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    return f"{version}; {' '.join(platform.libc_ver())}; {platform.machine()}"


def instructions(argv, env=None, below=None):
    """Instructions of argv: all, or those below the function of this name."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out",
                               *([f"--toggle-collect={below}"] if below else []), *map(str, argv)],
                              capture_output=True, text=True, env={"PATH": os.environ["PATH"], **(env or {})}, timeout=300)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not found:
        sys.exit(f"count.py: {' '.join(map(str, argv))}: exit {done.returncode}\n{done.stderr[-1500:]}")
    return int(found[1])


def per_call(argv, n, env=None, below=None):
    return (instructions([*argv, 2 * n], env, below) - instructions([*argv, n], env, below)) / n


def measure(build):
    counts = {}
    for thing in PRELOAD:
        argv = [build / "counts" / "drive_preload", thing]
        loaded = per_call(argv, 200, {"LD_PRELOAD": str(build / "libtapline.so"), "TAPLINE_SOCKET": "/nonexistent/relay.sock"})
        counts[f"preload {thing}"] = round(loaded - per_call(argv, 200))
    for thing in RELAY:
        counts[f"relay {thing}"] = round(per_call([build / "counts" / "drive_relay", thing], 200))
    for thing in INSPECT:
        argv = [build / "counts" / "drive_inspect", thing]
        counts[f"inspect {thing}"] = round(per_call(argv, 100 if thing.startswith("exchange") else 10, below="intercept_drive"))
    return counts


def read():
    lines = COUNTS.read_text().splitlines()
    made = next(line.removeprefix("# made with: ") for line in lines if line.startswith("# made with: "))
    return made, {name: int(value) for value, name in (line.split(None, 1) for line in lines if line and line[0] not in "#")}


def write(counts):
    COUNTS.write_text("# Instructions per call, added by the library (preload) or spent (relay, inspect); see count.py.\n"
                      f"# made with: {toolchain()}\n" + "".join(f"{value:8} {name}\n" for name, value in counts.items()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=Path)
    parser.add_argument("--accept", action="store_true")
    args = parser.parse_args()
    counts = measure(args.build.resolve())
    if args.accept:
        write(counts)
        print(COUNTS.read_text(), end="")
        return
    made, expected = read()
    same = made == toolchain()
    limit = LIMIT if same else OTHER_COMPILER
    if not same:
        print(f"counts.txt was made with {made}; here it is {toolchain()}: a figure fails only at {limit} times its value")
    if counts.keys() != expected.keys():
        sys.exit(f"count.py: counts.txt lists other things: {sorted(counts.keys() ^ expected.keys())}; accept with: make counts-accept")
    worse = [name for name, value in counts.items() if value > max(expected[name] * limit, expected[name] + SLACK)]
    for name, value in counts.items():
        print(f"{value:8} {expected[name]:8}  {name}{'   <-- more' if name in worse else ''}")
    if worse:
        sys.exit(f"count.py: more instructions than counts.txt allows: {', '.join(worse)}.\n"
                 "Make it cheaper, or accept the new figures on purpose: make counts-accept")


if __name__ == "__main__":
    main()
