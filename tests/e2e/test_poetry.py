"""Poetry 2.3.1 with a healthy cache under tapline: it works, all it asked is recorded, nothing is found."""
import pytest

import projects

BOTH = pytest.mark.parametrize("inspect", [False, True], ids=["tap", "inspect"])


@pytest.fixture
def project(sandbox, index):
    projects.poetry(sandbox, index.url + "/simple/")
    return projects.poetry_env(index.ca)


@BOTH
def test_lock_and_install(sandbox, index, poetry, project, inspect):
    program = poetry / "bin" / "poetry"
    lock = sandbox.tapline([program, "lock", "-n"], inspect=inspect, env=project, timeout=120)
    lock.assert_worked()
    lock.assert_recorded(index)
    locked = (sandbox.work / "poetry.lock").read_text()
    assert all(f'name = "{name}"' in locked for name in projects.GROVE)

    before = len(index.served())
    install = sandbox.tapline([program, "install", "-n"], inspect=inspect, env=project, timeout=120)
    install.assert_worked()
    assert len(index.served()) - before >= len(projects.GROVE)
    assert sum((lock.requests() + install.requests()).values()) == len(index.served())
    python = sandbox.work / ".venv/bin/python"
    said = sandbox.run([python, "-c", "import grove, stone; print(grove.VERSION, stone.VERSION)"])
    assert said.stdout == "1.1 1.0\n", str(said)


@BOTH
def test_a_warm_cache_asks_nothing(sandbox, index, poetry, project, inspect):
    """Answers from the cache are no requests: the record must not invent any."""
    program = poetry / "bin" / "poetry"
    assert sandbox.run([program, "lock", "-n"], env=project, timeout=120).returncode == 0
    before = len(index.served())
    again = sandbox.tapline([program, "lock", "-n", "--regenerate"], inspect=inspect, env=project, timeout=120)
    again.assert_worked()
    assert sum(again.requests().values()) == len(index.served()) - before


@BOTH
def test_a_package_that_does_not_exist(sandbox, index, poetry, project, inspect):
    """Poetry fails by its own words; the disk and the network are innocent."""
    pyproject = sandbox.work / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace("grove (>=1.0)", "no-such-tree (>=1.0)"))
    done = sandbox.tapline([poetry / "bin" / "poetry", "lock", "-n"], inspect=inspect, env=project, timeout=120)
    assert done.returncode == 1
    done.assert_recorded(index)
    wrong = {"cache-not-writable", "cache-not-readable", "disk-full", "connection-refused", "name-not-found",
             "client-gave-up-after-success"}
    assert not wrong & set(done.codes()), str(done)
