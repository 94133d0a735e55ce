"""npm under tapline. Its TLS is static inside node, so only inspection sees its requests."""
import shutil
import subprocess
import pytest

import projects


@pytest.fixture
def env(sandbox, index):
    projects.npm(sandbox)
    return projects.npm_env(index)


def _installed(sandbox):
    return sorted(str(p.parent.relative_to(sandbox.work / "node_modules"))
                  for p in (sandbox.work / "node_modules").glob("**/package.json"))


def _has_shared_tls():
    """Debian's Node is linked to the shared libssl, which the tap sees; Node's own builds are not."""
    node = shutil.which("node", path="/usr/local/bin:/usr/bin:/bin")
    return "libssl" in subprocess.run(["ldd", node], capture_output=True, text=True, check=True).stdout


WANTED = ["@wood/ash", "elm-js", "grove-js", "moss-js", "oak-js", "stone-js"]


def test_install_inspected(sandbox, index, npm, env):
    done = sandbox.tapline([npm, "install"], inspect=True, env=env, timeout=120)
    done.assert_worked()
    assert _installed(sandbox) == WANTED
    done.assert_recorded(index)
    done.assert_bodies()
    assert len(index.served()) >= 2 * len(WANTED)


def test_install_not_inspected(sandbox, index, npm, env):
    done = sandbox.tapline([npm, "install"], env=env, timeout=120)
    done.assert_worked()
    assert _installed(sandbox) == WANTED
    assert done.of("upstream", result="connected", port=index.port), "the connections are recorded"
    if _has_shared_tls():
        done.assert_recorded(index)
    else:
        assert done.of("http.request") == [], "tapline does not claim to have seen what it cannot"


@pytest.mark.parametrize("inspect", [False, True], ids=["tap", "inspect"])
def test_unwritable_cache(sandbox, index, npm, env, inspect):
    cache = sandbox.user.make_dir(sandbox.home / ".npm", 0o555)
    bare = sandbox.run([npm, "install"], env=env, timeout=120)
    assert bare.returncode != 0 and "root-owned files" in bare.stderr, "npm's own guess is wrong"

    done = sandbox.tapline([npm, "install"], inspect=inspect, env=env, timeout=120)
    assert done.returncode == bare.returncode
    first = done.first()
    assert first["code"] == "cache-not-writable", str(done)
    evidence = "\n".join(first["evidence"])
    assert str(cache) in evidence and "EACCES" in evidence and "0555" in evidence, evidence
    commands = first["remedy"]["commands"]
    assert any(c.startswith("export npm_config_cache=") for c in commands), commands

    script = "\n".join([*commands, f"'{npm}' install"])
    fixed = sandbox.tapline(["sh", "-c", script], inspect=inspect, env=env, timeout=120)
    fixed.assert_worked()
    assert _installed(sandbox) == WANTED
