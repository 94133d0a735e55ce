#!/usr/bin/python3
"""Which rules depend on which events: drops each single event of each record, all of each kind, and exchanges each
with the next, explains what is left, and compares the codes: mutate.py TAPLINE [--write]

Prints a table by finding: in how many of its records the loss of one event of a kind takes the finding away, or puts
another in its place, and where only its order matters. With --write the table goes to docs/findings/dependencies.md.
A finding that no loss of events takes away would be one that events do not prove: that is an error.
"""
import collections
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs/findings/dependencies.md"
ALWAYS = {"run.start"}  # without it a file is no record of a run


def expected():
    """name -> the codes of its errors, in order."""
    found = {}
    for line in (HERE / "expected").read_text().splitlines():
        name, _, codes = line.partition(" ")
        if name and name != "#":
            found[name] = [c.strip("[]()") for c in codes.split() if c != "-"]
    return found


def explain(tapline, lines):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as record:
        record.write("".join(line + "\n" for line in lines))
        record.flush()
        done = subprocess.run([tapline, "report", "--format", "json", record.name], capture_output=True, text=True)
    if done.returncode not in (0, 1):
        return None
    return [f["code"] for f in json.loads(done.stdout)["findings"]]


def mutants(lines):
    for at, line in enumerate(lines):
        kind = json.loads(line)["event"]
        if kind in ALWAYS:
            continue
        yield "lost", kind, lines[:at] + lines[at + 1:]
        if at + 1 < len(lines):
            yield "exchanged", kind, lines[:at] + [lines[at + 1], line] + lines[at + 2:]
    kinds = [json.loads(line)["event"] for line in lines]
    for gone in set(kinds) - ALWAYS:
        yield "all", gone, [line for line, kind in zip(lines, kinds) if kind != gone]


def examine(tapline, name, codes):
    """[(code, what was done, kind of event, what became of it)]"""
    lines = (HERE / f"{name}.jsonl").read_text().splitlines()
    results = []
    for what, kind, changed in mutants(lines):
        left = explain(tapline, changed)
        if left is None or left == codes:
            continue
        results += [(code, what, kind, "gone" if not left else " ".join(left)) for code in codes if code not in left]
    return results


def table(results, records):
    by_code = collections.defaultdict(lambda: collections.defaultdict(set))
    instead = collections.defaultdict(collections.Counter)
    for name, found in results.items():
        for code, what, kind, became in found:
            by_code[code][what, kind].add(name)
            instead[code][became] += 1
    lines = ["# What each finding depends on", "",
             "Made by `make check-mutation`, which takes each record of `tests/records`, drops each single event, exchanges each with the",
             "next one, and drops all events of each kind, and explains what is left. A number is in how many of the finding's records",
             "this took the finding away. Where one fault shows in several equal events, no single loss matters.", "",
             "| finding | records | lost without one | lost without all | order of | what is found instead |",
             "|---|---|---|---|---|---|"]
    for code in sorted(records):
        cells = []
        for wanted in ("lost", "all", "exchanged"):
            cells.append(", ".join(f"{kind} {len(names)}" for (what, kind), names in sorted(by_code[code].items())
                                   if what == wanted))
        other = ", ".join(text for text, _ in instead[code].most_common(3))
        lines.append(f"| [{code}]({code}.md) | {len(records[code])} | {cells[0]} | {cells[1]} | {cells[2]} | {other} |")
    return "\n".join(lines) + "\n"


def main():
    tapline = Path(sys.argv[1]).resolve()
    names = expected()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = dict(zip(names, pool.map(lambda item: examine(tapline, *item), names.items())))
    records = collections.defaultdict(set)
    for name, codes in names.items():
        for code in codes:
            records[code].add(name)
    text = table(results, records)
    print(text)
    if "--write" in sys.argv:
        PAGE.write_text(text)
    lost = {code for found in results.values() for code, what, _, _ in found if what != "exchanged"}
    unproved = sorted(code for code in records if code not in lost)
    if unproved:
        print("no loss of events takes away:", " ".join(unproved), file=sys.stderr)
    return 1 if unproved else 0


if __name__ == "__main__":
    sys.exit(main())
