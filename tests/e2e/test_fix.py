"""tapline run --fix: real tools fail with a cache that they cannot use, and work with --fix, which changes nothing but
the command's environment."""
import os

import pytest

import projects
import runner
from poetry_faults import FAULTS


def fixed(sandbox, argv, **options):
    return sandbox.tapline(argv, options=["--fix"], timeout=120, **options)


def said(done):
    return [line for line in done.stderr.splitlines() if line.startswith("tapline: --fix:")]


def seen(path):
    """What there is below path, with owner and mode."""
    return sorted((str(p), p.lstat().st_uid, oct(p.lstat().st_mode)) for p in [path, *path.rglob("*")])


@pytest.mark.parametrize("letter", ["A", "C", "B"])
def test_poetry(sandbox, index, poetry, letter, request):
    """A directory above that is closed, a read-only mount, and what sudo left deep inside."""
    if letter == "C":
        request.getfixturevalue("private_mounts")
    projects.poetry(sandbox, index.url + "/simple/")
    env, argv = projects.poetry_env(index.ca), [poetry / "bin/poetry", "lock", "-n"]
    mounts = FAULTS[letter].prepare(sandbox, index)
    before = seen(sandbox.home / ".cache/pypoetry") if letter != "A" else []
    done = fixed(sandbox, argv, env=env, mounts=mounts)
    done.assert_worked()
    moved = sandbox.tmp / f"poetry-cache-{sandbox.user.uid}"
    [line] = said(done)
    assert f"POETRY_CACHE_DIR={moved}" in line and str(sandbox.home / ".cache/pypoetry") in line
    assert moved.stat().st_mode & 0o777 == 0o700 and list(moved.iterdir())
    assert [e["note"] for e in done.of("relay.note")] == [line.removeprefix("tapline: ")]
    assert letter == "A" or seen(sandbox.home / ".cache/pypoetry") == before
    assert (sandbox.work / "poetry.lock").exists()


def test_npm(sandbox, index, npm):
    projects.npm(sandbox)
    sandbox.user.make_dir(sandbox.home / ".npm", 0o555)
    env = projects.npm_env(index)
    assert sandbox.run([npm, "install"], env=env, timeout=120).returncode != 0
    before = seen(sandbox.home)
    done = fixed(sandbox, [npm, "install"], env=env)
    assert done.returncode == 0, str(done)
    assert len(said(done)) == 1 and "npm_config_cache=" in said(done)[0]
    assert (sandbox.work / "node_modules/grove-js").is_dir() and seen(sandbox.home) == before


@pytest.mark.parametrize("venv", ["poetry", "clients"])
def test_pip_goes_on_without_a_cache(sandbox, index, venv, request, private_mounts):
    """An old and a new one, with a cache that is full: they work by themselves, so nothing is moved."""
    cache = sandbox.user.make_dir(sandbox.home / ".cache/pip")
    mounts = (f"mount -t tmpfs -o size=64k,mode=755,uid={sandbox.user.mount_uid} full '{cache}'\n"
              f"dd if=/dev/zero of='{cache}/filler' bs=4k 2>/dev/null || :")
    argv = [request.getfixturevalue(venv) / "bin/python", "-m", "pip", "download", "-q", "-d", sandbox.work / "got",
            "--index-url", index.url + "/simple/", "grove"]
    done = fixed(sandbox, argv, env=runner.trust(index.ca), mounts=mounts)
    assert done.returncode == 0 and said(done) == [], str(done)


def test_what_a_tool_can_do_without_is_left_alone(sandbox, clients):
    sandbox.user.make_dir(sandbox.home / ".cache", 0o555)
    done = fixed(sandbox, [clients / "bin/python", "-m", "pip", "--version"])
    assert done.returncode == 0 and said(done) == []


SHOW = "for name in POETRY_CACHE_DIR npm_config_cache UV_CACHE_DIR; do printenv $name; done; exit 0"


def test_nothing_is_changed_where_nothing_is_wrong(sandbox):
    before = seen(sandbox.home)
    done = fixed(sandbox, ["sh", "-c", SHOW], env={"npm_config_cache": str(sandbox.home / "mine")})
    assert (done.stdout, said(done)) == (f"{sandbox.home}/mine\n", [])
    assert seen(sandbox.home) == before and list(sandbox.tmp.iterdir()) == []


def test_a_script_that_runs_known_tools(sandbox):
    """What it will run cannot be known: every tool on PATH gets a cache that it can use."""
    sandbox.user.make_dir(sandbox.home / ".npm", 0o555)
    done = fixed(sandbox, ["sh", "-c", SHOW])
    assert done.stdout == f"{sandbox.tmp}/npm-cache-{sandbox.user.uid}\n", str(done)


def test_a_directory_that_somebody_else_has_put_there_is_not_taken(sandbox):
    sandbox.user.make_dir(sandbox.home / ".npm", 0o555)
    trap = sandbox.tmp / f"npm-cache-{sandbox.user.uid}"
    elsewhere = sandbox.user.make_dir(sandbox.work / "elsewhere")
    os.symlink(elsewhere, trap)
    done = fixed(sandbox, ["sh", "-c", SHOW])
    [name] = done.stdout.splitlines()
    assert name.startswith(f"{sandbox.tmp}/npm-cache-") and name != str(trap), str(done)
    assert list(elsewhere.iterdir()) == []


def test_without_the_option_nothing_is_moved(sandbox):
    sandbox.user.make_dir(sandbox.home / ".npm", 0o555)
    done = sandbox.tapline(["sh", "-c", SHOW])
    assert done.stdout == "" and said(done) == []
