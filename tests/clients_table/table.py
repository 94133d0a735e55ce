"""Runs the rows of rows.py, bare, under tapline and under tapline --inspect=always, against a local index over TLS that
counts what it serves, and writes docs/clients.md. `make check-clients` runs all; tests/e2e/test_clients_table.py a few.

    table.py [--write FILE] [ROW...]      BUILD names the build directory
"""
import argparse
import contextlib
import io
import itertools
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve()
ROOT = HERE.parents[2]
for directory in ("tests/e2e", "tests/index", "tests/clients_table"):
    sys.path.insert(0, str(ROOT / directory))

import certs as certs_module  # noqa: E402
import registries  # noqa: E402
import rows  # noqa: E402
import runner  # noqa: E402
import user as user_module  # noqa: E402
from clients import Missing  # noqa: E402
from h2_origin import H2Origin  # noqa: E402
from index import Index  # noqa: E402
from proxies import ScriptedProxy, to_loopback  # noqa: E402

COLUMNS = ("Client", "Version", "Tunnelled", "Tapped", "Inspected", "Trusted as it is", "HTTP", "Recorded / served")


class Lab:
    """The index with all registries, an HTTP/2 origin, a proxy, and sandboxes."""

    def __init__(self, directory, program, user):
        self.dir, self.user, self.program = Path(directory), user, program
        self.dir.chmod(0o755)
        self.numbers = itertools.count(1)
        self.certs = certs_module.make(self.dir / "certs")
        self.certs.dir.chmod(0o755)

    def __enter__(self):
        self.index = Index(self.dir / "index", self.certs).start()
        for make in (registries.cargo, registries.go, registries.maven, registries.composer, registries.apt):
            self.index.files.update(make(self.index.url))
        self.index.files.update(registries.git(self.index.url, self.dir / "git"))
        if shutil.which("gem"):
            self.index.files.update(registries.gem(self.index.url, self.dir / "gem"))
        self.h2 = H2Origin(self.certs).__enter__()
        self.proxy = ScriptedProxy(to_loopback).__enter__()
        return self

    def __exit__(self, *error):
        self.proxy.__exit__(*error)
        self.h2.__exit__(*error)
        self.index.stop()

    def place(self):
        sandbox = runner.Sandbox(self.dir / f"s{next(self.numbers)}", self.user, self.program)
        return rows.Place(sandbox, self.index.url, self.index.ca, self.proxy.url, self.h2)

    def served(self, job):
        return len(job.served.served if job.served else self.index.served())


class Result:
    """What one row's runs showed; cells() are those of the table."""

    def __init__(self, name, missing=None):
        self.name, self.missing = name, missing
        self.version = self.tap = self.inspect = None

    def cells(self):
        if self.missing:
            return [self.name, "", "not run: " + self.missing, "", "", "", "", ""]
        tap, inspect = self.tap, self.inspect
        recorded = f"{tap['tap']} / {tap['served']} tapped, {inspect['relay']} / {inspect['served']} inspected"
        return [self.name, self.version, _yes(tap["tunnelled"]), _share(tap["tap"], tap["served"]),
                _share(inspect["relay"], inspect["served"]), _yes(inspect["trusted"]), ", ".join(inspect["versions"]), recorded]


def _yes(value):
    return "yes" if value else "no"


def _share(seen, served):
    return "yes" if seen == served else "no" if not seen else "partly"


def _version(sandbox, job):
    if not job.version:
        return ""
    env = {"HOME": str(sandbox.home), **{k: str(v) for k, v in job.env.items()}}
    process = sandbox.start(job.version, env, None, job.mounts)
    done = process.wait(60)
    found = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
    return found.group(0) if found else "?"


def _start(place, job, argv):
    return place.sandbox.start(argv, job.env, None, job.mounts)


def _bare(lab, name, function):
    place = lab.place()
    job = function(place)
    version = _version(place.sandbox, job)
    before = lab.served(job)
    done = _start(place, job, job.argv).wait(180)
    served = lab.served(job) - before
    assert done.returncode == 0 and served > 0, f"{name} does not work without tapline: {served} requests\n{done}"
    return version


def _measure(lab, name, function, options):
    place = lab.place()
    job = function(place)
    before = lab.served(job)
    argv, record = place.sandbox.tapline_argv(job.argv, options)
    with contextlib.redirect_stdout(io.StringIO()):  # what finish() shows to pytest
        done = place.sandbox.finish(_start(place, job, argv), record, 180)
    served = lab.served(job) - before
    assert done.returncode == 0 and served > 0, f"{name} does not work under tapline {' '.join(options)}\n{done}"
    if os.environ.get("TABLE_SHOW"):
        print(done)
    requests = done.of("http.request")
    refused = done.of("tls", side="client", result="failed")
    return {"served": served, "tap": sum(e["source"] == "tap" for e in requests),
            "relay": sum(e["source"] == "relay" for e in requests),
            "trusted": bool(requests) and not refused,
            "tunnelled": any("flow" in e for e in done.of("connect")),
            "versions": sorted({e["version"] for e in requests}), "codes": done.codes()}


def run_row(lab, name):
    """Returns the row's Result. A client that is there and does not work is an error."""
    try:
        result = Result(name)
        result.version = _bare(lab, name, rows.ROWS[name])
    except Missing as error:
        return Result(name, str(error))
    result.tap = _measure(lab, name, rows.ROWS[name], [])
    result.inspect = _measure(lab, name, rows.ROWS[name], ["--inspect=always"])
    return result


INTRODUCTION = """# Clients

What tapline sees of each client, as it is, with nothing set for tapline's sake. This page is written by `make check-clients`
from real runs: every client fetches a small package from an index on loopback whose own CA it is told to trust in the
way that its user would; the index counts the requests that it serves. Do not edit it.

- **Tunnelled**: the client's connections went through the relay.
- **Tapped**: without `--inspect`, its requests are in the record, because it uses a shared OpenSSL or GnuTLS.
- **Inspected**: with `--inspect=always`, its requests are in the record, read by the relay.
- **Trusted as it is**: it accepted the run's CA.
- **HTTP**: the versions that were spoken when it was inspected.

"""
TAIL = """
Go's programs are static: the library is not in them, and they are reached through the proxy that the user's `https_proxy` names, in whose
place the relay puts itself. How each client is told to trust the run's CA is in [inspection.md](inspection.md#how-the-program-is-told-to-trust-us).
"""


def page(results):
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(result.cells()) + " |" for result in results]
    return INTRODUCTION + "\n".join(lines) + "\n" + TAIL


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", type=Path)
    parser.add_argument("row", nargs="*", metavar="ROW")
    args = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="tapline-clients-", dir="/tmp"))
    build = Path(os.environ.get("BUILD", ROOT / "build")).resolve()
    program = runner.stage(build, directory / "stage")
    directory.chmod(0o755)
    failed, results = [], []
    (directory / "lab").mkdir()
    with Lab(directory / "lab", lambda: program, user_module.User()) as lab:
        for name in args.row or rows.ROWS:
            try:
                results.append(run_row(lab, name))
                print(" | ".join(results[-1].cells()), flush=True)
            except AssertionError as error:
                failed.append(name)
                print(f"{name}: FAILED\n{str(error)[:6000]}", flush=True)
    shutil.rmtree(directory, ignore_errors=True)
    if args.write and not failed:
        args.write.write_text(page(results))
    print(f"{len(results)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
