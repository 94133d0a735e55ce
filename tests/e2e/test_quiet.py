"""No false alarm: installs of many kinds that work, with all the noise that working installs make.

Each runs twice. As it is: it works, so there is no finding above a note. And with "exit 3" behind it, as a command that
fails for a reason of its own: then every rule looks at the noise (probes that fail, 404s of a first index, 304s, losers of
Happy Eyeballs, retries that were made good), and none may call it an error. A part of the list runs in `make check`;
QUIET=all (make check-quiet) runs it all, cold and warm.
"""
import itertools
import os
import socket
import sys
from pathlib import Path

import pytest

import projects
import runner
import toolkits
import venvs
from findings_lab import Faulty, answer, index_module

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "clients_table"))
import git  # noqa: E402
import registries  # noqa: E402

ALL = os.environ.get("QUIET") == "all"
COUNTER = itertools.count()


@pytest.fixture(scope="module")
def uv():
    return venvs.get(("uv",)) / "bin" / "uv"


class Lab:
    """What the installs need: tools, indexes, and the sandbox they run in."""

    def __init__(self, request, sandbox, directory):
        self.request, self.sandbox, self.directory, self.running = request, sandbox, directory, []
        self.index = request.getfixturevalue("index")
        self.env = {**runner.trust(self.index.ca), "npm_config_registry": self.index.url + "/npm/",
                    "npm_config_fetch_retries": "2", "npm_config_fetch_retry_mintimeout": "10",
                    "UV_PYTHON": "/usr/bin/python3", "POETRY_KEYRING_ENABLED": "false",
                    "POETRY_VIRTUALENVS_IN_PROJECT": "true"}

    def tool(self, name):
        return self.request.getfixturevalue(name)

    def python(self):
        return self.tool("clients") / "bin/python"

    def faulty(self, fault, **options):
        self.running.append(Faulty(self.directory / f"quiet{next(COUNTER)}", fault, **options).start())
        return self.running[-1]

    def pip(self, *more, index=None):
        return [self.python(), "-m", "pip", "download", "-q", "--index-url", f"{(index or self.index).url}/simple/",
                "-d", "out", *more]

    def uv(self, *more):
        return [self.tool("uv"), "pip", "install", "-q", "--index-url", f"{self.index.url}/simple/", "--target", "out", *more]

    def npm(self, *more):
        return [self.tool("npm"), *more]

    def curl(self, path, *more):
        return ["curl", "-sS", "-o", "/dev/null", *more, self.index.url + path]


def first_index_lacks_it(lab):
    empty = lab.faulty(lambda handler: answer(handler, 404, b"no\n"))
    return [*lab.pip("grove", index=empty), "--extra-index-url", f"{lab.index.url}/simple/"]


def fails_first(status, times=1):
    def make(lab):
        seen = {}

        def fault(handler):
            seen[handler.path] = seen.get(handler.path, 0) + 1
            return seen[handler.path] <= times and answer(handler, status, b"later\n")
        return lab.pip("--retries", "3", "--no-cache-dir", "moss", index=lab.faulty(fault))
    return make


def unwritable_pip_cache(lab):
    lab.sandbox.user.make_dir(lab.sandbox.home / ".cache", 0o555)
    return lab.pip("grove")


def without_temp(lab):
    """Python looks elsewhere when TMPDIR is not there."""
    return ["env", f"TMPDIR={lab.sandbox.root}/no/such/place", *lab.pip("grove")]


def pip_hashes(lab):
    files = index_module._catalogue()["python"]["moss"]
    sums = " ".join(f"--hash=sha256:{file.sha256}" for file in files)
    lab.sandbox.user.make_file(lab.sandbox.work / "locked.txt", f"moss {sums}\n".replace("moss ", "moss==1.0 ", 1))
    return lab.pip("--no-deps", "--require-hashes", "-r", "locked.txt")


def npm_project(lab):
    projects.npm(lab.sandbox)
    return lab.npm("install")


def npm_optional(lab):
    lab.sandbox.user.make_file(lab.sandbox.work / "package.json", '{"name": "demo", "version": "1.0.0", "dependencies": '
                               '{"moss-js": "*"}, "optionalDependencies": {"no-such-package-js": "*"}}\n')
    return lab.npm("install")


def npm_logs_not_writable(lab):
    lab.sandbox.user.make_dir(lab.sandbox.home / ".npm/_logs", 0o555)
    return npm_project(lab)


def poetry_lock(lab):
    projects.poetry(lab.sandbox, lab.index.url + "/simple/")
    return [lab.tool("poetry") / "bin/poetry", "lock", "-n"]


def poetry_then(*words):
    def make(lab):
        return ["sh", "-c", f"rm -f poetry.lock; {' '.join(map(str, poetry_lock(lab)))} && {lab.tool('poetry')}/bin/poetry {' '.join(words)}"]
    return make


def git_clone(lab):
    lab.index.tree = lab.directory / f"tree{next(COUNTER)}"
    lab.index.tree.mkdir()
    git.make(lab.index.tree / "moss.git", {"moss": b"moss\n"})
    return ["sh", "-c", f"rm -rf moss; git -c http.sslCAInfo={lab.index.ca} clone -q {lab.index.url}/git/moss.git"]


def cargo_fetch(lab):
    lab.index.files.update(registries.cargo(lab.index.url))
    make = lab.sandbox.user.make_file
    make(lab.sandbox.work / "Cargo.toml", '[package]\nname = "demo"\nversion = "0.1.0"\n[dependencies]\nmoss = "1"\n')
    make(lab.sandbox.work / "src/lib.rs", "")
    make(lab.sandbox.work / ".cargo/config.toml", '[source.crates-io]\nreplace-with = "local"\n'
                                                  f'[source.local]\nregistry = "sparse+{lab.index.url}/cargo/"\n')
    return ["env", f"CARGO_HTTP_CAINFO={lab.index.ca}", "RUSTC_BOOTSTRAP=1", toolkits.program("cargo"), "-Z",
            "sparse-registry", "fetch"]


def shell(script):
    return lambda lab: ["sh", "-c", script.format(url=lab.index.url, ca=lab.index.ca, tmp=lab.sandbox.root)]


def happy_eyeballs(lab):
    """localhost is ::1 first, where nobody listens."""
    with socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
    return lab.curl("/echo")


def python(lab, code):
    return [lab.python(), "-c", code, lab.index.url]


RETRIES = ("import requests, sys; from requests.adapters import HTTPAdapter as A; from urllib3.util import Retry as R; "
           "s = requests.Session(); s.mount('https://', A(max_retries=R(3, backoff_factor=0))); print(s.get(sys.argv[1] + '/echo'))")
PROBES = ("import os, sys, tempfile, contextlib\n"
          "for path in ('/proc/1/mem', '/etc/shadow', '/root/x', '/usr/x', '/sys/x', '/x'):\n"
          "    with contextlib.suppress(OSError): open(path, 'w')\n"
          "    with contextlib.suppress(OSError): os.mkdir(path)\n"
          "    with contextlib.suppress(OSError): os.listdir(path)\n"
          "    with contextlib.suppress(OSError): os.rename(tempfile.gettempdir() + '/nothing', path)\n")

INSTALLS = {
    "pip": lambda lab: lab.pip("grove"),
    "pip-two-indexes": first_index_lacks_it,
    "pip-503-made-good": fails_first(503),
    "pip-cache-unwritable": unwritable_pip_cache,
    "pip-temp-missing": without_temp,
    "npm": npm_project,
    "npm-optional-missing": npm_optional,
    "curl-head": lambda lab: lab.curl("/echo", "-I"),
    "curl-redirect": lambda lab: lab.curl("/redirect/3", "-L"),
    "curl-happy-eyeballs": happy_eyeballs,
    "probes": lambda lab: python(lab, PROBES),
    "shell-fallback": lambda lab: ["sh", "-c", f"curl -sSf {lab.index.url}/no-such-page || curl -sSf {lab.index.url}/echo"],
}
MORE = {
    "pip-no-cache": lambda lab: lab.pip("--no-cache-dir", "grove"),
    "pip-sdist-metadata": lambda lab: lab.pip("--no-deps", "oak"),
    "pip-500-made-good": fails_first(500),
    "pip-install-target": lambda lab: [lab.python(), "-m", "pip", "install", "-q", "--index-url",
                                       f"{lab.index.url}/simple/", "--target", "out", "grove"],
    "pip-index-versions": lambda lab: [lab.python(), "-m", "pip", "index", "versions", "--index-url",
                                       f"{lab.index.url}/simple/", "moss"],
    "uv": lambda lab: lab.uv("grove"),
    "uv-no-cache": lambda lab: lab.uv("--no-cache", "grove"),
    "npm-view": lambda lab: lab.npm("view", "moss-js", "version"),
    "npm-logs-not-writable": npm_logs_not_writable,
    "poetry-lock": poetry_lock,
    "curl-range": lambda lab: lab.curl("/bytes/1000", "-r", "0-99"),
    "curl-chunked": lambda lab: lab.curl("/bytes/100000?chunked=1"),
    "curl-parallel": lambda lab: ["curl", "-sSf", "-Z", "-o", "x#1", lab.index.url + "/bytes/[1-20]"],
    "curl-slow-but-whole": lambda lab: lab.curl("/wait/4"),
    "requests-retries": lambda lab: python(lab, RETRIES),
    "urllib": lambda lab: python(lab, "import urllib.request, sys; urllib.request.urlopen(sys.argv[1] + '/echo').read()"),
    "shell-404-is-an-answer": lambda lab: lab.curl("/status/404"),
    "pip-hashes": pip_hashes,
    "pip-wheel": lambda lab: [lab.python(), "-m", "pip", "wheel", "-q", "--no-deps", "--index-url", f"{lab.index.url}/simple/",
                              "-w", "wheels", "moss"],
    "pip-report": lambda lab: [lab.python(), "-m", "pip", "install", "-q", "--dry-run", "--ignore-installed", "--report", "report.json",
                               "--index-url", f"{lab.index.url}/simple/", "grove"],
    "pip-find-links": lambda lab: [lab.python(), "-m", "pip", "download", "-q", "--no-index", "--find-links",
                                   f"{lab.index.url}/simple/moss/", "-d", "out", "moss"],
    "pip-redirected": lambda lab: lab.pip("moss", index=lab.faulty(lambda h: h.path.startswith("/files/") and "?" not in h.path and answer(
        h, 302, b"", Location=h.path + "?again"))),
    "uv-compile": lambda lab: ["sh", "-c", f"echo grove | {lab.tool('uv')} pip compile -q --index-url {lab.index.url}/simple/ -"],
    "uv-venv": lambda lab: [lab.tool("uv"), "venv", "-q", "--clear", "env"],
    "npm-ci": lambda lab: ["sh", "-c", f"{' '.join(map(str, npm_project(lab)))} && {lab.tool('npm')} ci"],
    "npm-pack": lambda lab: lab.npm("pack", "moss-js"),
    "npm-outdated-none": lambda lab: ["sh", "-c", f"{' '.join(map(str, npm_project(lab)))} && {lab.tool('npm')} ls"],
    "poetry-check": poetry_then("check"),
    "poetry-install": poetry_then("install", "-n", "--no-root"),
    "git-clone": git_clone,
    "cargo": cargo_fetch,
    "wget": shell("wget -q --ca-certificate={ca} -O x {url}/bytes/1000"),
    "wget-resumed": shell("curl -sS -r 0-99 -o x {url}/files/moss-1.0-py3-none-any.whl; wget -q -c --ca-certificate={ca} -O x "
                          "{url}/files/moss-1.0-py3-none-any.whl"),
    "curl-post": shell("curl -sS -o x -d something {url}/echo"),
    "curl-cookie": shell("curl -sSL -c jar -o x {url}/login/somebody"),
    "curl-http10": shell("curl -sS -0 -o x {url}/echo"),
    "curl-expect-100": shell("head -c 100000 /dev/zero | curl -sS -o x -H 'Expect: 100-continue' --data-binary @- {url}/echo"),
    "lock-waited-for": shell("flock lock sleep 0.3 & sleep 0.1; flock -w 5 lock true"),
    "search-in-path": shell("mkdir -p bin; : >bin/curl; PATH=$PWD/bin:$PATH; curl -sS -o x {url}/echo"),
    "copied-by-hand": shell("cp -r /usr/share/doc/curl copy 2>/dev/null; mv copy moved; rm -r moved; curl -sS -o x {url}/echo"),
    "curl-304": lambda lab: ["sh", "-c", f"curl -sS -o x --etag-save etag {lab.index.url}/simple/moss/ && "
                             f"curl -sS -o x --etag-compare etag {lab.index.url}/simple/moss/"],
}
# Whose last word may be that something is not there (npm's, when all else comes out of its cache): with "exit 3" behind it,
# that is exactly what a failure looks like.
SAYS_NO = {"shell-404-is-an-answer", "npm-optional-missing"}
CHOSEN = {**INSTALLS, **MORE} if ALL else INSTALLS


@pytest.fixture
def lab(request, sandbox, session_dir):
    made = Lab(request, sandbox, session_dir)
    yield made
    for index in made.running:
        index.stop()


def above_note(done):
    return [f["code"] for f in done.report["findings"] if f["severity"] != "note"]


def errors(done):
    return [f["code"] for f in done.report["findings"] if f["severity"] == "error"]


@pytest.mark.parametrize("inspect", [False, True] if ALL else [False], ids=["tap", "inspect"][:1 + ALL])
@pytest.mark.parametrize("name", CHOSEN)
def test_quiet(lab, sandbox, name, inspect):
    argv = CHOSEN[name](lab)
    for _ in range(2 if ALL else 1):  # cold, then warm
        done = sandbox.tapline(argv, inspect=inspect, env=lab.env, timeout=120)
        assert done.returncode == 0, done
        assert above_note(done) == [], done
    own = sandbox.tapline(["sh", "-c", '"$@"; exit 3', "sh", *argv], inspect=inspect, env=lab.env, timeout=120)
    assert own.returncode == 3, own
    if name not in SAYS_NO:
        assert errors(own) == [], own
