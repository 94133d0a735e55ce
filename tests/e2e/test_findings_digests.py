"""A file that is not the one its index speaks of: what the index said is read from its page as it passes, and compared
with the body that came later. Nothing of it depends on what the tool says."""
import gzip
import hashlib
import itertools
import json
import sys
from pathlib import Path

import pytest

import projects
import runner
import toolkits
import venvs
from findings_lab import Faulty, answer, explained, index_module

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "clients_table"))
import registries  # noqa: E402

COUNTER = itertools.count()
OTHER = b"somebody has put another file here\n"


@pytest.fixture
def make_faulty(session_dir, certs):
    running = []

    def make(fault):
        running.append(Faulty(session_dir / f"digests{next(COUNTER)}", fault, certs=certs).start())
        return running[-1]

    yield make
    for index in running:
        index.stop()


def tampered(handler):
    """Each file is another one than its page says."""
    path = handler.path.split("?")[0]
    return path.endswith((".whl", ".tar.gz", ".tgz", "/download")) and handler.command == "GET" and answer(handler, 200, OTHER)


def pip(clients, index, *more):
    return [clients / "bin/python", "-m", "pip", "download", "-q", "--retries", "0", "--no-cache-dir", "--no-deps",
            "--index-url", f"{index.url}/simple/", "-d", "out", *more, "moss"]


def found(sandbox, argv, index, name, algorithm, page, env=None):
    env = {**runner.trust(index.ca), **(env or {})}
    wrong = getattr(hashlib, algorithm)(OTHER).hexdigest()
    done = explained(sandbox, argv, "digest-mismatch", f"{algorithm}:{wrong}", page, f"{len(OTHER)} bytes", inspect=True,
                     env=env, name=f"digest-mismatch-{name}", confidence="certain")
    body = next(e for e in done.of("http.body") if "index_digest" in e and e["digest"] != e["index_digest"])
    page_answer = next(e for e in done.of("http.response") if e.get("request") == body["index_request"])
    assert page_answer["url"].endswith(page)
    return done


def test_pip(sandbox, clients, make_faulty):
    index = make_faulty(tampered)
    found(sandbox, pip(clients, index), index, "pip", "sha256", "/simple/moss/")


def test_uv(sandbox, make_faulty):
    index = make_faulty(tampered)
    argv = [venvs.get(("uv",)) / "bin/uv", "pip", "install", "--index-url", f"{index.url}/simple/", "--target", "out", "moss"]
    found(sandbox, argv, index, "uv", "sha256", "/simple/moss/", {"UV_PYTHON": "/usr/bin/python3", "UV_HTTP_RETRIES": "0"})


def test_npm(sandbox, npm, make_faulty):
    index = make_faulty(tampered)
    projects.npm(sandbox)
    done = found(sandbox, [npm, "install"], index, "npm", "sha512", "-js", {**projects.npm_env(index), "npm_config_fetch_retries": "0"})
    assert "EINTEGRITY" in done.stderr


def test_cargo(sandbox, make_faulty):
    """A sparse registry; Debian's cargo knows it as an unstable feature."""
    index = make_faulty(tampered)
    index.files.update(registries.cargo(index.url))
    del index.files["/cargo/dl/moss/1.0.0/download"]
    make = sandbox.user.make_file
    make(sandbox.work / "Cargo.toml", '[package]\nname = "demo"\nversion = "0.1.0"\n[dependencies]\nmoss = "1"\n')
    make(sandbox.work / "src/lib.rs", "")
    make(sandbox.work / ".cargo/config.toml", '[source.crates-io]\nreplace-with = "local"\n'
                                              f'[source.local]\nregistry = "sparse+{index.url}/cargo/"\n')
    argv = [toolkits.program("cargo"), "-Z", "sparse-registry", "fetch"]
    done = found(sandbox, argv, index, "cargo", "sha256", "/cargo/mo/ss/moss",
                 {"CARGO_HTTP_CAINFO": index.ca, "CARGO_HOME": sandbox.work / "cargo", "RUSTC_BOOTSTRAP": "1"})
    assert "checksum" in done.stderr


def test_a_page_that_is_compressed(sandbox, clients, make_faulty):
    def fault(handler):
        if not handler.path.startswith("/simple/moss"):
            return tampered(handler)
        page, kind = handler._page_html("moss", index_module._catalogue()["python"]["moss"])
        return answer(handler, 200, gzip.compress(page.encode()), Content_Type=kind, Content_Encoding="gzip")
    index = make_faulty(fault)
    found(sandbox, pip(clients, index), index, "gzip", "sha256", "/simple/moss/")


def test_a_file_that_is_elsewhere(sandbox, clients, make_faulty):
    """The page's URL is redirected; what the page says holds for where it leads."""
    def fault(handler):
        if handler.path.startswith("/files/") and not handler.path.endswith(".metadata"):
            return answer(handler, 302, b"", Location="../elsewhere" + handler.path.removeprefix("/files"))
        return tampered(handler)
    index = make_faulty(fault)
    done = found(sandbox, pip(clients, index), index, "moved", "sha256", "/simple/moss/")
    assert "/elsewhere/moss" in done.first()["summary"]


def test_files_that_fit(sandbox, clients, npm, index):
    """Compared, and equal; a HEAD has no body to compare, whatever its fields state."""
    projects.npm(sandbox)
    argv = ["sh", "-c", f'{" ".join(map(str, pip(clients, index)))} && {npm} install -q && '
            f"curl -sS -I {index.url}/files/moss-1.0-py3-none-any.whl; exit 3"]
    done = sandbox.tapline(argv, inspect=True, env=projects.npm_env(index), timeout=120)
    compared = [e for e in done.of("http.body") if "index_digest" in e]
    assert {e["digest"].split(":")[0] for e in compared} == {"sha256", "sha512"}, done
    assert all(e["digest"] == e["index_digest"] for e in compared)
    assert done.returncode == 3 and done.report["findings"] == [], done


def test_a_head_states_its_digest(sandbox, make_faulty):
    """As artifact servers do: the field speaks of the file, and the answer has no body."""
    index = make_faulty(lambda handler: answer(handler, 200, b"", X_Checksum_Sha256=hashlib.sha256(OTHER).hexdigest()))
    done = sandbox.tapline(["sh", "-c", f"curl -sS -I {index.url}/file; exit 3"], inspect=True, env=runner.trust(index.ca))
    assert done.report["findings"] == [], done
    assert "stated_sha256" not in json.dumps(done.of("http.body"))
