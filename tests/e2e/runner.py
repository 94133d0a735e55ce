"""Runs of clients, bare and under tapline, each in a sandbox of its own.

A Sandbox is a fresh home, temp and work directory of the unprivileged user with a clean environment. Every run under
tapline is checked here, whatever its test looks at: each line of the record against the schema, the record's
inner order, the report against the record, and that no process and no file of tapline stays behind.
Used by the fixtures in conftest.py.
"""
import itertools
import json
import os
import shutil
import signal
import subprocess
import time
import uuid
from collections import Counter
from pathlib import Path

import schema

PATH = "/usr/local/bin:/usr/bin:/bin"
MARK = "E2E_RUN"
live = set()  # marks of runs that have not been waited for
PARTS = ("tapline", "libtapline.so", "catalogue.conf")
TRUST = ("REQUESTS_CA_BUNDLE", "PIP_CERT", "SSL_CERT_FILE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")


def stage(build, target):
    """Copy the build to where an unprivileged user can read it (a checkout below /root cannot). Returns the program."""
    target.mkdir()
    for name in PARTS:
        if not (build / name).exists():
            raise RuntimeError(f"{build / name} is missing: run make first, or set BUILD")
        shutil.copy(build / name, target / name)
        (target / name).chmod(0o755)
    return target / "tapline"


def trust(ca):
    """The variables that make every client trust ca."""
    return dict.fromkeys(TRUST, str(ca))


class Run:
    """A run that has ended: returncode (negative: a signal), stdout, stderr, seconds."""

    def __init__(self, argv, returncode, stdout, stderr, seconds):
        self.argv, self.returncode, self.seconds = argv, returncode, seconds
        self.stdout, self.stderr = stdout, stderr

    def __str__(self):
        return (f"$ {' '.join(map(str, self.argv))}\n-> {self.returncode} in {self.seconds:.1f} s\n"
                f"-- stdout\n{self.stdout[-3000:]}\n-- stderr\n{self.stderr[-3000:]}")


class TaplineRun(Run):
    """A run under tapline: also record (path), events, report (the JSON one)."""

    record = events = report = None

    def __str__(self):
        shown = "\n".join(_brief(e) for e in (self.events or [])[-60:])
        return f"{super().__str__()}\n-- record {self.record}\n{shown}\n-- report\n{json.dumps(self.report, indent=1)}"

    def of(self, kind, /, **fields):
        """The events of one kind with these values."""
        return [e for e in self.events
                if e["event"] == kind and all(e.get(name) == value for name, value in fields.items())]

    def codes(self):
        return [finding["code"] for finding in self.report["findings"]]

    def first(self):
        """The first finding: what is named as the cause."""
        assert self.report["findings"], f"nothing was found\n{self}"
        return self.report["findings"][0]

    def requests(self):
        """Counter of (method, url, status); status None where no answer was recorded."""
        status = {e["request"]: e["status"] for e in self.of("http.response") if "request" in e}
        return Counter((e["method"], e["url"], status.get(e["request"])) for e in self.of("http.request"))

    def assert_worked(self):
        assert self.returncode == 0, str(self)
        assert self.report["findings"] == [], str(self)
        assert self.of("finding") == [], str(self)

    def assert_recorded(self, index):
        """What the record holds is exactly what the index served."""
        served = Counter((e["method"], e["url"], e["status"]) for e in index.served())
        recorded = self.requests()
        assert served, "the index served nothing"
        assert recorded == served, (f"served but not recorded: {served - recorded}\n"
                                    f"recorded but not served: {recorded - served}\n{self}")

    def assert_bodies(self):
        """Every answer's body was seen to its end (the relay's observer, not the tap, can tell)."""
        answered = [e["request"] for e in self.of("http.response")]
        whole = [e["request"] for e in self.of("http.body", complete=True)]
        assert sorted(whole) == sorted(answered), str(self)


def _brief(event):
    skip = ("time", "event", "exe", "headers", "environment", "tid")
    return f"{event['time'][11:26]} {event['event']} " + " ".join(
        f"{k}={v}" for k, v in event.items() if k not in skip)


class Process:
    """A run that is under way."""

    def __init__(self, popen, argv, mark, outputs):
        self.popen, self.pid, self.argv, self.mark = popen, popen.pid, argv, mark
        self.outputs, self.started = outputs, time.monotonic()
        live.add(mark)

    def wait(self, timeout, kind=Run):
        try:
            returncode = self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            kill_marked(self.mark)
            self.popen.wait(10)
            done = self._ended(kind, None)
            raise AssertionError(f"still running after {timeout} s, killed: {done}") from None
        return self._ended(kind, returncode)

    def _ended(self, kind, returncode):
        live.discard(self.mark)
        seconds = time.monotonic() - self.started
        out, err = (path.read_text(errors="replace") for path in self.outputs)
        return kind(self.argv, returncode, out, err, seconds)


def marked(mark):
    """Processes (pid, command line) that were started by the run with this mark and still live."""
    wanted, found = f"{MARK}={mark}".encode(), []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append((int(entry.name), (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()))
        except OSError:
            pass  # ended meanwhile, or not ours to read
    return found


def kill_marked(mark):
    for pid, _ in marked(mark):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def children(pid):
    """pid -> command line of a process's children."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if parent == pid:
                found[int(entry.name)] = (entry / "cmdline").read_bytes().split(b"\0")[0].decode()
        except OSError:
            pass
    return found


class Sandbox:
    _numbers = itertools.count()

    def __init__(self, root, user, program=None):
        """root: a directory to be made. program: a callable that gives the staged tapline."""
        self.user, self.root, self.program = user, Path(root), program
        self.home, self.tmp, self.work, self.records = (
            user.make_dir(self.root / name) for name in ("home", "tmp", "work", "records"))

    def env(self, more=None):
        """A clean environment: nothing of this machine's configuration of clients gets in."""
        base = {"PATH": PATH, "HOME": str(self.home), "TMPDIR": str(self.tmp), "LANG": "C.UTF-8",
                "USER": self.user.name, "LOGNAME": self.user.name, "PYTHONDONTWRITEBYTECODE": "1",
                "PIP_CONFIG_FILE": "/dev/null", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1",
                "npm_config_globalconfig": "/dev/null", "npm_config_update_notifier": "false",
                "npm_config_audit": "false", "npm_config_fund": "false", "CURL_HOME": str(self.home)}
        return {**base, **{k: str(v) for k, v in (more or {}).items()}}

    def start(self, argv, env=None, cwd=None, mounts=None, as_self=False):
        """Start argv as the user. mounts: a shell script that makes private mounts first."""
        argv = [str(a) for a in argv]
        mark, number = uuid.uuid4().hex, next(self._numbers)
        outputs = [self.root / f"run{number}.{name}" for name in ("stdout", "stderr")]
        real = self.user.with_mounts(mounts, argv) if mounts else argv
        drop = {} if mounts or as_self else self.user.popen_arguments()
        with open(outputs[0], "wb") as out, open(outputs[1], "wb") as err:
            popen = subprocess.Popen(real, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=cwd or self.work,
                                     env={**self.env(env), MARK: mark}, start_new_session=True, umask=0o022, **drop)
        return Process(popen, argv, mark, outputs)

    def run(self, argv, env=None, cwd=None, mounts=None, timeout=60):
        """Run argv to its end, without tapline."""
        process = self.start(argv, env, cwd, mounts)
        try:
            return process.wait(timeout)
        finally:
            kill_marked(process.mark)

    def tapline_argv(self, argv, options=(), inspect=False, record=None):
        record = record or self.records / f"{next(self._numbers)}.jsonl"
        inspected = ["--inspect"] if inspect else []
        return [self.program(), "run", "--bypass", "none", "--record", record, *inspected, *options, "--", *argv], record

    def tapline(self, argv, options=(), inspect=False, env=None, cwd=None, mounts=None, timeout=60):
        """Run argv under tapline to its end; check everything that holds for any run."""
        full, record = self.tapline_argv(argv, options, inspect)
        process = self.start(full, env, cwd, mounts)
        return self.finish(process, record, timeout)

    def finish(self, process, record, timeout=60):
        try:
            done = process.wait(timeout, TaplineRun)
        except AssertionError as error:
            lines = record.read_text().splitlines()[-40:] if record.exists() else []
            raise AssertionError("\n".join([str(error), f"-- record {record}", *lines])) from None
        done.record = record
        left = _until_gone(process.mark)
        kill_marked(process.mark)
        assert not left, f"processes left behind: {left}\n{done}"
        assert record.exists(), f"no record\n{done}"
        done.events = schema.read(record)
        self._read_report(done)
        print(done)
        check_record(done)
        check_report(done)
        strays = [p.name for p in self.tmp.iterdir() if "tapline" in p.name]
        assert not strays, f"left in TMPDIR: {strays}\n{done}"
        return done

    def _read_report(self, done):
        asked = self.run([self.program(), "report", "--format", "json", done.record], timeout=30)
        assert asked.returncode in (0, 1), f"tapline report failed\n{asked}\n{done}"
        done.report, done.report_status = json.loads(asked.stdout), asked.returncode


def _until_gone(mark, seconds=3):
    deadline = time.monotonic() + seconds
    while (left := marked(mark)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def check_record(done):
    """What holds for the record of any run."""
    events = done.events
    assert events and events[0]["event"] == "run.start", f"the record does not begin with run.start\n{done}"
    ends = done.of("run.end")
    assert len(ends) == 1, f"{len(ends)} run.end events\n{done}"
    assert oct(done.record.stat().st_mode & 0o777) == "0o600", f"mode of the record\n{done}"
    if "status" in ends[0] and done.returncode >= 0:
        assert ends[0]["status"] == done.returncode, f"run.end has another exit status\n{done}"
    requests = [e["request"] for e in done.of("http.request")]
    assert len(requests) == len(set(requests)), f"a request number occurs twice\n{done}"
    answered = [e["request"] for e in done.of("http.response") if "request" in e]
    assert set(answered) <= set(requests), f"an answer to no request\n{done}"
    assert len(answered) == len(set(answered)), f"a request was answered twice\n{done}"
    flows = {e.get("flow") for e in done.of("connect")}
    for event in done.of("http.request") + done.of("flow.close") + done.of("upstream"):
        assert event.get("flow") in flows | {None}, f"a flow without connect: {event}\n{done}"
    closed = [e["flow"] for e in done.of("flow.close")]
    assert len(closed) == len(set(closed)), f"a flow was closed twice\n{done}"


def check_report(done):
    """What holds for the report of any run."""
    report = done.report
    for finding in report["findings"]:
        assert {"code", "severity", "summary", "evidence", "remedy"} <= set(finding), finding
        assert isinstance(finding["remedy"]["commands"], list), finding
        assert finding["severity"] in ("error", "warning", "note"), finding
    for count in ("processes", "connections", "requests", "failures"):
        assert isinstance(report["summary"][count], int), report["summary"]
    errors = [f for f in report["findings"] if f["severity"] == "error"]
    assert done.report_status == (1 if errors else 0), f"exit status of report\n{done}"
    assert [e["code"] for e in done.of("finding")] == done.codes(), f"record and report name other findings\n{done}"
