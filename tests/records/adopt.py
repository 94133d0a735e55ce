#!/usr/bin/python3
"""Takes records of scenario runs into the corpus: adopt.py DIRECTORY

DIRECTORY is what the scenarios left with FINDINGS_RECORDS set: NAME.jsonl and NAME.codes. Each becomes
tests/records/real-NAME.jsonl, without the paths of the machine it was made on, without the findings that were written
into it, and with a line in `expected`, which test_explain.c then holds it to.
"""
import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPLACE = [(re.compile(pattern), by) for pattern, by in (
    (r"/tmp/tapline-e2e-\w+/s\d+", "/lab"), (r"/tmp/tapline-e2e-\w+", "/lab/shared"),
    (r"/var/tmp/tapline-tests-\d+/venv-\w+", "/opt/venv"), (r"/tmp/tapline-proxy-\w+", "/lab/proxy"))]
HEADING = "# Real runs of the scenarios in tests/e2e/test_findings_*.py, taken over by adopt.py"
EVENTS_MAX = 200


def clean(line):
    for pattern, by in REPLACE:
        line = pattern.sub(by, line)
    return line


def adopt(path):
    lines = [clean(line) for line in path.read_text().splitlines()]
    kept = [line for line in lines if json.loads(line)["event"] != "finding"]
    assert len(kept) <= EVENTS_MAX, f"{path.name}: {len(kept)} events are too many"
    (HERE / f"real-{path.stem}.jsonl").write_text("\n".join(kept) + "\n")
    return f"real-{path.stem:<40} {path.with_suffix('.codes').read_text().strip()}"


def main():
    fresh = {line.split()[0]: line for line in map(adopt, sorted(Path(sys.argv[1]).glob("*.jsonl")))}
    above, _, below = (HERE / "expected").read_text().partition(HEADING)
    old = {line.split()[0]: line for line in below.splitlines() if line.strip()}
    (HERE / "expected").write_text(above.rstrip("\n") + f"\n\n{HEADING}\n" +
                                   "".join(f"{line}\n" for _, line in sorted({**old, **fresh}.items())))
    print(f"{len(fresh)} records")


if __name__ == "__main__":
    main()
