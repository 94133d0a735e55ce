#!/usr/bin/env python3
"""The relay of `tapline run` is killed at a random moment, or the supervisor is: RUNS times (default 1000).

    kills.py BUILD [--runs N] [--seed N] [--jobs N]

A program under tapline makes forty connections with a request each and a failing write. At a random moment within its life the relay
(three times in four) or the supervisor (once in four) gets SIGKILL. After each:

* the program has ended by itself, in time, and each connection gave its answer or an ordinary error (an errno, an end, a reset);
* every whole line of the record is an event of JSON, and no more than the last line is cut;
* `tapline report` reads it;
* nothing of the run is left: no process, and (when the supervisor lives) no directory.
"""
import argparse
import concurrent.futures
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

PATIENCE = 30
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\nConnection: close\r\n\r\n" + b"x" * 5000
PROGRAM = """
import os, socket, sys
print("begin", flush=True)
for n in range(40):
    try:
        with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=20) as s:
            s.sendall(b"GET /%d HTTP/1.1\\r\\nHost: a.test\\r\\n\\r\\n" % n)
            got = b""
            while piece := s.recv(65536):
                got += piece
        print("answer" if len(got) == int(sys.argv[2]) else "short", flush=True)
    except TimeoutError:
        print("hung", flush=True)
    except OSError as error:
        print("error", error.errno, flush=True)
    try:
        open("/nowhere/x", "w")
    except OSError:
        pass
print("end", flush=True)
"""


def serve():
    listener = socket.create_server(("127.0.0.1", 0), backlog=200)

    def answer(connection):
        with connection:
            try:
                if connection.recv(1000):
                    connection.sendall(ANSWER)
            except OSError:
                pass

    def accept():
        while True:
            threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def relay_of(supervisor):
    """The relay is the supervisor's child that runs the same program."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            if int(fields[1]) == supervisor and os.readlink(entry / "exe") == os.readlink(f"/proc/{supervisor}/exe"):
                return int(entry.name)
        except OSError:
            continue
    return None


def left_over(mark):
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark in (entry / "environ").read_bytes():
                return int(entry.name)
        except OSError:
            continue
    return None


def one(build, port, top, seed):
    chance = random.Random(seed)
    folder = Path(tempfile.mkdtemp(dir=top))
    record, problems = folder / "record.jsonl", []
    mark = f"TAPLINE_KILLS_MARK={folder.name}".encode()
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder), "TAPLINE_KILLS_MARK": folder.name}
    argv = [build / "tapline", "run", "--quiet", "--bypass", "none", "--record", record, "--", "/usr/bin/python3", "-S", "-c", PROGRAM,
            str(port), str(len(ANSWER))]
    proc = subprocess.Popen([str(a) for a in argv], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    whom, pid = chance.choice(["relay", "relay", "relay", "supervisor"]), None
    time.sleep(chance.uniform(0, 0.25))
    try:
        pid = proc.pid if whom == "supervisor" else relay_of(proc.pid)
        if pid:
            os.kill(pid, signal.SIGKILL)
    except (OSError, ProcessLookupError):
        pid = None
    try:
        out, err = proc.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        proc.kill()
        out, err = proc.communicate()
        problems.append("it did not end")
    said = out.split("\n")
    if "hung" in said or "short" in said and whom != "relay":
        problems.append(f"a connection hung or was cut in silence: {sorted(set(said))}")
    if "begin" in said and "end" not in said:
        problems.append(f"the program did not come to its end: {said[-3:]} {err[-300:]}")
    end = time.monotonic() + 5
    while (stray := left_over(mark)) and time.monotonic() < end:
        time.sleep(0.05)
    if stray:
        problems.append(f"process {stray} is left")
        os.kill(stray, signal.SIGKILL)
    if record.exists() and record.stat().st_size:
        lines = record.read_bytes().split(b"\n")
        for number, line in enumerate(lines[:-1], 1):
            try:
                json.loads(line)["event"]
            except (ValueError, KeyError):
                problems.append(f"line {number} of the record is not an event: {line[:60]!r}")
        if len(lines) > 1:
            report = subprocess.run([build / "tapline", "report", "--format", "json", record], capture_output=True, text=True, env=env)
            if report.returncode not in (0, 1):
                problems.append(f"tapline report: exit {report.returncode}: {report.stderr[-200:]}")
    if whom == "relay" and any(p.name.startswith("tapline") for p in folder.iterdir()):
        problems.append(f"left behind: {[p.name for p in folder.iterdir()]}")
    shutil.rmtree(folder)
    return whom if pid else "nobody", said.count("answer"), sum(line.startswith("error") for line in said), problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=Path)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    args = parser.parse_args()
    build, top, port = args.build.resolve(), Path(tempfile.mkdtemp(prefix="tapline-kills-")), serve()
    counts, answers, errors, bad = {}, 0, 0, 0
    try:
        with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            runs = pool.map(lambda n: (n, *one(build, port, top, args.seed * 1000003 + n)), range(args.runs))
            for n, whom, good, failed, problems in runs:
                counts[whom] = counts.get(whom, 0) + 1
                answers, errors = answers + good, errors + failed
                for problem in problems:
                    bad += 1
                    print(f"run {n} ({whom}): {problem}", flush=True)
                if (n + 1) % 200 == 0:
                    print(f"  {n + 1} of {args.runs}", flush=True)
    finally:
        shutil.rmtree(top, ignore_errors=True)
    print(f"{args.runs} runs, killed: {counts}; {answers} answers, {errors} ordinary errors, {bad} problems")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
