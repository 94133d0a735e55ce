#!/usr/bin/env python3
"""analyze.py BUILD [FILE...]: gcc's and clang's static analyzers over relay/ and preload/ (or over these files).

Both take some things for mistakes that are none. Each such place stands with its reason in contrib/analyzers.txt, as
    ANALYZER FILE FUNCTION CHECKER  reason
What is not there is printed and makes this fail; a line there that is not needed (any more, or with these compilers) is named. Called by
`make lint`; JOBS=N for N at once.
"""
import concurrent.futures
import json
import os
import plistlib
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
KNOWN = TOP / "contrib" / "analyzers.txt"
COMMON = ["-std=gnu11", "-D_GNU_SOURCE", "-Iinclude", "-include", "contrib/analyze.h"]
# A file takes either of them seconds. What takes minutes is an error that names the file, not a lint that does not end.
SECONDS = 600
# Beside clang's own choice, those that find mistakes in C. max-nodes: how many states of a function it looks at; with its own 225,000
# relay/cli/caches.c, say, takes five times as long.
CHECKERS = "optin.portability,security.FloatLoopCounter,security.insecureAPI.rand,valist"
CLANG = [word for flag in (f"-analyzer-checker={CHECKERS}", "-analyzer-config", "max-nodes=50000") for word in ("-Xclang", flag)]
OF_FOLDER = {"relay": ["-Irelay", '-DTAPLINE_LIBDIR="/l"', '-DTAPLINE_DATADIR="/d"'], "preload": ["-Ipreload"]}


def run(argv):
    try:
        done = subprocess.run(argv, cwd=TOP, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        sys.exit(f"analyze.py: {' '.join(argv)}: not done after {SECONDS} s")
    if done.returncode:
        sys.exit(f"analyze.py: {' '.join(argv)}: {done.stderr[-2000:]}")
    return done.stderr


def gcc(source, flags):
    """Yields (function, checker, line, message)."""
    said = run(["gcc", "-O1", "-fanalyzer", "-fdiagnostics-format=json", *flags, "-c", "-o", "/dev/null", source])
    for found in json.loads(said.splitlines()[0]) if said.strip() else []:
        steps = found.get("path") or [{}]
        place = found["locations"][0]["caret"] if found["locations"] else {"line": 0}
        yield steps[-1].get("function", "-"), found.get("option", "-"), place["line"], found["message"]


def clang(source, flags):
    # plist-multi-file: plist leaves out, without a word, each mistake whose path goes through a header.
    with tempfile.NamedTemporaryFile(suffix=".plist") as out:
        run(["clang", "--analyze", "--analyzer-output", "plist-multi-file", *CLANG, *flags, "-o", out.name, source])
        text = Path(out.name).read_bytes()
    for found in plistlib.loads(text)["diagnostics"] if text else []:
        yield found.get("issue_context", "-"), found["check_name"], found["location"]["line"], found["description"]


ANALYZERS = {"gcc": gcc, "clang": clang}


def known_places():
    places = {}
    for line in KNOWN.read_text().splitlines():
        if line and not line.startswith("#"):
            name, file, function, checker, reason = line.split(None, 4)
            places[name, file, function, checker] = reason
    return places


def main():
    made = "-I" + os.path.join(os.path.abspath(sys.argv[1]), "page")
    sources = sys.argv[2:] or sorted(str(p.relative_to(TOP)) for folder in OF_FOLDER for p in (TOP / folder).rglob("*.c"))
    jobs = [(name, source) for source in sources for name in ANALYZERS]
    known, seen, bad = known_places(), set(), 0
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("JOBS") or os.cpu_count())) as pool:
        reports = pool.map(lambda job: list(ANALYZERS[job[0]](job[1], [*COMMON, made, *OF_FOLDER[job[1].split("/")[0]]])), jobs)
        for (name, source), found in zip(jobs, reports):
            for function, checker, line, message in found:
                place = name, source, function, checker
                if place not in known:
                    bad += 1
                    print(f"{source}:{line}: {message}\n    {' '.join(place)}", flush=True)
                seen.add(place)
    for place in sorted(known.keys() - seen):
        if place[1] in sources:
            print(f"{KNOWN.name}: not needed: {' '.join(place)}")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
