"""Answers that say no, come late, or end too early: each made by an index with one fault, met by a real tool."""
import base64
import hashlib
import itertools
import shlex
import time

import pytest

import runner
from findings_lab import Faulty, answer, explained, keep_record, pasted, slow

COUNTER = itertools.count()


@pytest.fixture
def faulty(session_dir):
    running = []

    def make(fault, **options):
        running.append(Faulty(session_dir / f"faulty{next(COUNTER)}", fault, **options).start())
        return running[-1]

    yield make
    for index in running:
        index.stop()


def pip(clients, index, *more, package="grove"):
    return [clients / "bin/python", "-m", "pip", "download", "-q", "--retries", "0", "--timeout", "5",
            "--no-cache-dir", "--index-url", f"{index.url}/simple/", "-d", "out", *more, package]


def always(status, **headers):
    return lambda handler: handler.path.startswith("/simple") and answer(handler, status, b"no\n", **headers)


def once(status, **headers):
    """Wrong for the first two seconds after it was first asked, then right."""
    since = []

    def fault(handler):
        since.append(time.monotonic())
        return time.monotonic() - since[0] < 2 and answer(handler, status, b"no\n", **headers)
    return fault


def wants_password(handler):
    wanted = "Basic " + base64.b64encode(b"me:secret").decode()
    if handler.headers.get("Authorization") == wanted:
        return None
    return answer(handler, 401, b"who are you?\n", WWW_Authenticate='Basic realm="tests"')


def test_unauthorized(sandbox, clients, faulty):
    index = faulty(wants_password)
    argv = pip(clients, index, "--no-input")
    done = explained(sandbox, argv, "http-unauthorized", "401", "Basic", "none was sent")
    pasted(sandbox, done, argv,
           edit=lambda c: c.replace("login USER", "login me").replace("password PASSWORD", "password secret"))


def test_wrong_password(sandbox, clients, faulty):
    index = faulty(wants_password)
    url = index.url.replace("://", "://me:wrong@")
    argv = [clients / "bin/python", "-m", "pip", "download", "-q", "--retries", "0", "--index-url", f"{url}/simple/",
            "--no-input", "grove"]
    done = explained(sandbox, argv, "http-unauthorized", "401", "does not accept", name="http-unauthorized-rejected")
    assert "wrong" not in done.record.read_text().replace("wrong_", "")


def test_forbidden(sandbox, clients, faulty):
    explained(sandbox, pip(clients, faulty(always(403))), "http-forbidden", "403", "/simple/grove/")


def test_not_found(sandbox, clients, index):
    argv = pip(clients, index, package="no-such-package")
    explained(sandbox, argv, "http-not-found", "404", "/simple/no-such-package/", env=runner.trust(index.ca))


def test_not_found_npm(sandbox, npm, index):
    argv = [npm, "install", "no-such-package-js"]
    env = {**runner.trust(index.ca), "npm_config_registry": index.url + "/npm/", "npm_config_fetch_retries": "0"}
    explained(sandbox, argv, "http-not-found", "404", "no-such-package-js", env=env, inspect=True,
              name="http-not-found-npm")


def test_gone(sandbox, clients, faulty):
    explained(sandbox, pip(clients, faulty(always(410))), "http-gone", "410")


@pytest.mark.parametrize("status,code", [(429, "rate-limited"), (503, "server-error")])
def test_wait_and_try_again(sandbox, clients, faulty, status, code):
    """Retry-After says how long; the remedy waits."""
    argv = pip(clients, faulty(once(status, Retry_After="2")))
    done = explained(sandbox, argv, code, status)
    assert done.first()["remedy"]["commands"] == ["sleep 2"]
    pasted(sandbox, done, argv)


def test_server_error_poetry_is_not_the_disk(sandbox, clients, faulty):
    explained(sandbox, ["curl", "-sSf", faulty(always(500)).url + "/simple/grove/"], "server-error", "500",
              name="server-error-curl")


def in_a_circle(handler):
    return answer(handler, 302, b"", Location="/simple/b/" if "/a/" in handler.path else "/simple/a/")


@pytest.mark.parametrize("tool", ["curl", "pip"])
def test_redirect_loop(sandbox, clients, faulty, tool):
    index = faulty(in_a_circle)
    argv = pip(clients, index) if tool == "pip" else ["curl", "-sSL", index.url + "/simple/a/"]
    explained(sandbox, argv, "redirect-loop", "302", "/simple/", name=f"redirect-loop-{tool}")


def hangs(handler):
    handler.server.index.stopping.wait(30)
    handler.close_connection = True
    return True


def late(handler):
    if handler.path.startswith("/simple"):
        handler.server.index.stopping.wait(8)


@slow
def test_slow_origin(sandbox, clients, faulty):
    argv = [clients / "bin/python", "-m", "pip", "download", "-q", "--retries", "0", "--no-cache-dir", "--index-url",
            faulty(late).url + "/simple/", "--no-deps", "moss"]
    done = explained(sandbox, argv, "slow-origin", "no answer", env={"PIP_DEFAULT_TIMEOUT": "3.3"})
    pasted(sandbox, done, argv, env={"PIP_DEFAULT_TIMEOUT": "3.3"})


def body_then(then, part=1000):
    def fault(handler):
        if not handler.path.startswith("/files/") or handler.path.endswith(".metadata"):
            return None
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        handler.wfile.write(b"x" * part)
        handler.wfile.flush()
        then(handler)
        handler.close_connection = True
        return True
    return fault


def test_stalled_download(sandbox, clients, faulty):
    argv = pip(clients, faulty(body_then(hangs)), "--no-deps", "--resume-retries", "0", package="moss")
    explained(sandbox, argv, "stalled-download", "1000 bytes", "/files/moss")


def test_truncated_answer(sandbox, clients, faulty):
    explained(sandbox, pip(clients, faulty(body_then(lambda handler: None)), "--no-deps", "--resume-retries", "0",
                           package="moss"),
              "truncated-answer", "1000 bytes", "origin closed", "/files/moss")


def trickles(handler):
    for _ in range(100):
        handler.wfile.write(b"x" * 10)
        handler.wfile.flush()
        if handler.server.index.stopping.wait(0.2):
            return


@slow
def test_slow_body(sandbox, faulty):
    index = faulty(body_then(trickles))
    explained(sandbox, ["curl", "-sS", "-o", "x", "--max-time", "5", index.url + "/files/moss-1.0.tar.gz"],
              "slow-origin", "so slowly", name="slow-origin-body")


def test_retry_storm(sandbox, faulty):
    """The storm is noticed, the cause is the answers."""
    argv = ["curl", "-sSf", "-o", "x", "--retry", "12", "--retry-delay", "0", "--retry-max-time", "4",
            "--retry-all-errors", faulty(always(500)).url + "/simple/grove/"]
    done = sandbox.tapline(["sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do curl -sSf -o x "
                            f"{argv[-1]} && exit; done; exit 22"], timeout=60)
    assert done.codes() == ["server-error", "retry-storm"], done
    assert [f["severity"] for f in done.report["findings"]] == ["error", "warning"]
    assert "12 times" in done.report["findings"][1]["summary"]
    keep_record(done, "retry-storm")


def test_full_disk_and_503(sandbox, npm, clients, faulty, private_mounts):
    """Two faults in one job: both are named, in the order of the way of a request."""
    index = faulty(lambda handler: answer(handler, 503, b"no\n"))
    path = sandbox.user.make_dir(sandbox.home / ".npm")
    mounts = (f"mount -t tmpfs -o size=64k,mode=755,uid={sandbox.user.mount_uid} full '{path}'\n"
              f"dd if=/dev/zero of='{path}/filler' bs=4k 2>/dev/null || :")
    env = {"npm_config_registry": index.url + "/npm/", "npm_config_fetch_retries": "0"}
    job = f"{npm} view moss-js; {shlex.join(map(str, pip(clients, index)))}"
    done = sandbox.tapline(["sh", "-c", job], env=env, mounts=mounts, timeout=60)
    assert done.returncode != 0
    assert done.codes() == ["server-error", "disk-full"], done
    assert {f["severity"] for f in done.report["findings"]} == {"error"}
    keep_record(done, "mixed-503-full-disk")


def test_digest_mismatch(sandbox, clients, faulty):
    """A mirror delivers another file than it states; pip notices too, and says only that hashes do not match."""
    def other_file(handler):
        if handler.path.startswith("/files/moss") and not handler.path.endswith(".metadata"):
            return answer(handler, 200, b"another file\n", X_Checksum_Sha256="0" * 64)
        return None
    explained(sandbox, pip(clients, faulty(other_file), "--no-deps", package="moss"), "digest-mismatch", "0" * 64,
              "/files/moss")


def test_a_digest_that_fits_is_none(sandbox, faulty):
    good = hashlib.sha256(b"the file\n").digest()
    headers = {"Repr_Digest": f"sha-256=:{base64.b64encode(good).decode()}:"}
    index = faulty(lambda handler: answer(handler, 200, b"the file\n", **headers))
    done = sandbox.tapline(["sh", "-c", f"curl -sS -o x {index.url}/file; exit 3"])
    [body] = done.of("http.body")
    assert body["sha256"] == body["stated_sha256"] == good.hex()
    assert done.report["findings"] == []
