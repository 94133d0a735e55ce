"""Secrets where clients keep them: none may get into a record or a report, inspected or tapped. The search itself is at the
end of the session, over what all tests wrote (planted.py); here they are planted, and the search is put to the test."""
import json
import subprocess
import sys
from pathlib import Path

import pytest

import planted
import proxies
import runner

HOW = pytest.mark.parametrize("inspect", [False, True], ids=["tap", "inspect"])
BOTH = pytest.mark.parametrize("plain", [False, True], ids=["https", "http"])


def lines_of(done):
    return done.record.read_text() + done.stderr + json.dumps(done.report)


def check(done, expected=1):
    """The requests are there, and their secrets are not."""
    assert len(done.of("http.request")) >= expected, str(done)
    assert planted.MARK not in lines_of(done), "a secret was recorded"
    assert "***" in done.record.read_text()


@HOW
@BOTH
def test_headers_urls_and_cookies(sandbox, make_index, certs, inspect, plain):
    index = make_index(**({"certs": None} if plain else {}))
    s = planted.secret
    base = index.url.replace("://", f"://me:{s('url-password')}@")
    argv = ["curl", "-sS", "-o", "/dev/null", "-o", "/dev/null", "-H", f"Authorization: Bearer {s('bearer')}",
            "-H", f"X-Api-Key: {s('header-key')}", "-H", f"Private-Token: {s('private')}", "-H", f"Cookie: session={s('cookie')}; a=b",
            f"{base}/echo?access_token={s('query')}&x=1", f"{index.url}/status/404?token={s('second')}"]
    done = sandbox.tapline(argv, inspect=inspect, env=runner.trust(certs.ca))
    check(done, 2)
    assert [e["status"] for e in done.of("http.response")][:1] == [200], str(done)


@HOW
def test_cookies_that_a_server_sets(sandbox, index, certs, inspect):
    jar = sandbox.work / "jar"
    argv = ["curl", "-sS", "-o", "/dev/null", "-c", jar, "-b", jar, "-L", f"{index.url}/login/{planted.secret('set-cookie')[::-1]}"]
    done = sandbox.tapline(argv, inspect=inspect, env=runner.trust(certs.ca))
    assert planted.MARK in jar.read_text(), "the server set no cookie"
    check(done, 2)


@HOW
def test_netrc(sandbox, index, certs, inspect):
    sandbox.user.make_file(sandbox.home / ".netrc", f"machine localhost login me password {planted.secret('netrc')}\n", 0o600)
    done = sandbox.tapline(["curl", "-sS", "--netrc", "-o", "/dev/null", index.url + "/echo"], inspect=inspect,
                           env=runner.trust(certs.ca))
    check(done)
    assert any(name.lower() == "authorization" for e in done.of("http.request") for name, _ in e["headers"]), str(done)


@HOW
def test_pip_with_a_password_in_its_index(sandbox, index, certs, clients, inspect):
    url = index.url.replace("://", f"://me:{planted.secret('index')}@")
    done = sandbox.tapline([clients / "bin/python", "-m", "pip", "download", "-q", "-d", "out", "--index-url", url + "/simple/", "moss"],
                           inspect=inspect, env=runner.trust(certs.ca))
    check(done)


def test_npm_token(sandbox, index, certs, npm):
    host = index.url.split("://")[1]
    sandbox.user.make_file(sandbox.home / ".npmrc", f"//{host}/npm/:_authToken={planted.secret('npm')}\n", 0o600)
    sandbox.user.make_file(sandbox.work / "package.json", '{"name": "d", "version": "1.0.0", "dependencies": {"moss-js": "^1.0.0"}}')
    done = sandbox.tapline([npm, "install"], inspect=True, env={**runner.trust(certs.ca), "npm_config_registry": index.url + "/npm/"})
    check(done)


@HOW
def test_the_password_of_a_proxy(sandbox, index, certs, inspect):
    with proxies.Tinyproxy(user="me", password=planted.secret("proxy")) as proxy:
        done = sandbox.tapline(["curl", "-sS", "-o", "/dev/null", index.url + "/echo"], inspect=inspect,
                               env={**runner.trust(certs.ca), "https_proxy": proxy.url})
    assert done.returncode == 0 and done.of("upstream", result="connected"), str(done)  # it lets nobody in without
    check(done)


def test_what_the_command_line_and_the_environment_hold(sandbox, index, certs):
    s = planted.secret
    done = sandbox.tapline(["sh", "-c", f"curl -sS -o /dev/null -u me:{s('u-option')} --oauth2-bearer {s('oauth')} {index.url}/echo"],
                           inspect=True, env={**runner.trust(certs.ca), "NPM_TOKEN": s("variable"), "PIP_INDEX_URL": f"https://me:{s('pip')}@x/"})
    check(done)


def test_the_search_finds_what_is_there(tmp_path):
    (tmp_path / "a.jsonl").write_text("{}\n" + json.dumps({"x": planted.secret("a")}) + "\n")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "run1.stderr").write_text("Authorization: " + planted.secret("b"))
    (tmp_path / "served.jsonl").write_text(planted.secret("c"))
    assert [line.split(": ")[0] for line in planted.find(tmp_path)] == ["a.jsonl:2", "run1.stderr:1"]


def test_a_session_fails_over_one_secret():
    """A whole session of its own, with a record that holds one."""
    here = Path(__file__).parent
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", here / "leak_on_purpose.py"], cwd=here,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stdout
    assert "leak.jsonl:1" in done.stdout and "2 passed, 1 error" in done.stdout, done.stdout
