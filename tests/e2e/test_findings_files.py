"""Faults of the machine that no network causes: home, temporary files, limits, mounts. What breaks a cache itself is in
test_poetry_faults.py and test_npm.py. Each is met by a real tool as the unprivileged user, and its remedy is pasted."""
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import projects
import toolkits
import user as user_module
import venvs
from findings_lab import explained, pasted, slow

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "clients_table"))
import registries  # noqa: E402

UV = ("uv",)


@pytest.fixture(scope="module")
def uv():
    return venvs.get(UV) / "bin" / "uv"


def npm_install(sandbox, npm, index):
    projects.npm(sandbox)
    return [npm, "install", "--no-audit"], projects.npm_env(index)


def uv_install(uv, index, *more):
    argv = [uv, "pip", "install", "--index-url", f"{index.url}/simple/", "--target", "out", *more, "moss"]
    return argv, {"SSL_CERT_FILE": index.ca, "UV_HTTP_RETRIES": "0", "UV_PYTHON": "/usr/bin/python3"}


def test_home_not_writable(sandbox, npm, index):
    argv, env = npm_install(sandbox, npm, index)
    sandbox.home.chmod(0o555)
    done = explained(sandbox, argv, "home-not-writable", sandbox.home, "EACCES", "0555", env=env)
    pasted(sandbox, done, argv, env=env)


def test_home_missing(sandbox, npm, index):
    argv, env = npm_install(sandbox, npm, index)
    env["HOME"] = "/nonexistent/home"
    done = explained(sandbox, argv, "home-missing", "/nonexistent/home", env=env)
    pasted(sandbox, done, argv, env=env)


def test_home_is_the_root_directory(sandbox, npm, index):
    """A container that runs as any uid, without a home: HOME is /."""
    argv, env = npm_install(sandbox, npm, index)
    env["HOME"] = "/"
    done = explained(sandbox, argv, "home-not-writable", "/.npm", env=env, name="home-not-writable-root")
    pasted(sandbox, done, argv, env=env)


def test_temp_not_writable(sandbox, uv, index):
    argv, env = uv_install(uv, index, "--no-cache")
    env["TMPDIR"] = sandbox.user.make_dir(sandbox.root / "frozen", 0o555)
    done = explained(sandbox, argv, "temp-not-writable", env["TMPDIR"], "EACCES", "0555", env=env)
    pasted(sandbox, done, argv, env=env)


def test_too_many_open_files(sandbox, make_index):
    index = make_index(certs=None)
    argv = ["curl", "-sSf", "-Z", "--parallel-immediate", "--parallel-max", "40", "-o", "x#1", index.url + "/bytes/[1-40]"]
    limited = ["sh", "-c", 'ulimit -Sn 12; exec "$@"', "sh", *argv]
    done = explained(sandbox, limited, "too-many-open-files", "EMFILE", "12", "200 OK", confidence="likely")
    script = "ulimit -Sn 12\n" + "\n".join([*done.first()["remedy"]["commands"], 'exec "$@"'])
    sandbox.tapline(["sh", "-c", script, "sh", *argv], timeout=120).assert_worked()


def missing(sandbox):
    return sandbox.root / "no/such/place"


def a_file(sandbox):
    return sandbox.user.make_file(sandbox.root / "file", "not a directory\n")


@pytest.mark.parametrize("place,errno,type", [(missing, "ENOENT", "does not exist"), (a_file, "ENOTDIR", "is no directory")])
def test_temp_is_no_directory(sandbox, uv, index, place, errno, type):
    """TMPDIR names what is not there, or is a file."""
    argv, env = uv_install(uv, index, "--no-cache")
    env["TMPDIR"] = place(sandbox)
    done = explained(sandbox, argv, "temp-not-writable", env["TMPDIR"], errno, type, env=env,
                     name=f"temp-not-writable-{errno.lower()}")
    pasted(sandbox, done, argv, env=env)


def test_no_usable_temporary_directory(sandbox, poetry, index, private_mounts):
    """Python looks in four places and then says so; Poetry takes that for the network."""
    projects.poetry(sandbox, index.url + "/simple/")
    argv, env = [poetry / "bin/poetry", "-P", sandbox.work, "lock", "-n"], projects.poetry_env(index.ca)
    env.update(TMPDIR=missing(sandbox), POETRY_VIRTUALENVS_CREATE="false")
    still = "\n".join(f"mount --rbind '{at}' '{at}'; mount -o remount,bind,ro '{at}'" for at in ("/tmp", "/var/tmp"))
    options = {"env": env, "cwd": "/", "mounts": f"mount --bind '{sandbox.root}' '{sandbox.root}'\n{still}"}
    done = explained(sandbox, argv, "temp-not-writable", env["TMPDIR"], name="temp-not-writable-poetry", **options)
    assert "All attempts to connect" in done.stdout + done.stderr
    pasted(sandbox, done, argv, **options)


LIMITED = ["sh", "-c", 'ulimit -Sf 4; exec "$@"', "sh"]  # blocks of 512 bytes


@pytest.mark.parametrize("tool", ["curl", "npm"])
def test_file_too_large(sandbox, npm, make_index, tool):
    """The signal ends curl without a word; Node's programs ignore it and see EFBIG."""
    index = make_index(certs=None)
    argv, env = npm_install(sandbox, npm, index) if tool == "npm" else (["curl", "-sS", "-o", "x", index.url + "/bytes/9000"], {})
    env.pop("NODE_EXTRA_CA_CERTS", None)
    limited = ["sh", "-c", 'ulimit -Sf 2; exec "$@"', "sh"] if tool == "npm" else LIMITED
    proof = ["EFBIG", "1024 bytes"] if tool == "npm" else ["SIGXFSZ", "2048 bytes", "/bytes/9000"]
    done = explained(sandbox, [*limited, *argv], "file-too-large", *proof, env=env, name=f"file-too-large-{tool}")
    script = "ulimit -Sf 4\n" + "\n".join([*done.first()["remedy"]["commands"], 'exec "$@"'])
    sandbox.tapline(["sh", "-c", script, "sh", *argv], env=env, timeout=120).assert_worked()


def test_a_size_limit_that_cannot_be_raised(sandbox, make_index):
    """Nothing to paste then: the report says where such a limit is set."""
    argv = ["sh", "-c", 'ulimit -f 4; exec "$@"', "sh", "curl", "-sS", "-o", "x", make_index(certs=None).url + "/bytes/9000"]
    done = explained(sandbox, argv, "file-too-large", "SIGXFSZ", "the most that this user may set", name="file-too-large-hard")
    assert done.first()["remedy"]["commands"] == [] and "limits.conf" in done.first()["advice"]


def test_cross_device_rename(sandbox, uv, index, private_mounts):
    argv, env = uv_install(uv, index)
    inner = sandbox.user.make_dir(sandbox.home / ".cache/uv/archive-v0")
    mounts = f"mount -t tmpfs -o size=4m,mode=755,uid={sandbox.user.mount_uid} other '{inner}'"
    done = explained(sandbox, argv, "cross-device-rename", "EXDEV", inner, env=env, mounts=mounts)
    pasted(sandbox, done, argv, env=env, mounts=mounts)


def test_cargo_home_is_a_file(sandbox, index):
    """The first that fails is .package-cache, which Cargo does without when it may not write it; but not here."""
    index.files.update(registries.cargo(index.url))
    make = sandbox.user.make_file
    make(sandbox.work / "Cargo.toml", '[package]\nname = "demo"\nversion = "0.1.0"\n[dependencies]\nmoss = "1"\n')
    make(sandbox.work / "src/lib.rs")
    make(sandbox.work / ".cargo/config.toml", '[source.crates-io]\nreplace-with = "local"\n'
                                              f'[source.local]\nregistry = "sparse+{index.url}/cargo/"\n')
    where = make(sandbox.home / ".cargo", "not a directory\n")
    argv = [toolkits.program("cargo"), "-Z", "sparse-registry", "fetch"]
    env = {"CARGO_HTTP_CAINFO": index.ca, "RUSTC_BOOTSTRAP": "1"}
    done = explained(sandbox, argv, "path-component-not-a-directory", where, "ENOTDIR", env=env,
                     name="path-component-not-a-directory-cargo")
    pasted(sandbox, done, argv, env=env)


def test_noexec(sandbox, private_mounts):
    """A virtual environment with a python of its own, where nothing may be started."""
    where = sandbox.user.make_dir(sandbox.work / "project")
    mounts = f"mount -t tmpfs -o noexec,size=64m,mode=755,uid={sandbox.user.mount_uid} locked '{where}'"
    argv = ["/usr/bin/python3", "-m", "venv", "--copies", where / "venv"]
    done = explained(sandbox, argv, "noexec", where, "EACCES", "noexec", mounts=mounts)
    assert "noexec" in done.first()["advice"]


LOCKER = ("import fcntl, sys, time; file = open(sys.argv[1], 'w'); fcntl.flock(file, fcntl.LOCK_EX); "
          "print('held', flush=True); time.sleep(float(sys.argv[2]))")


@pytest.fixture
def holder(sandbox):
    """Starts another process that holds the lock on a file for some seconds."""
    started = []

    def hold(path, seconds):
        sandbox.user.make_dir(path.parent)
        started.append(subprocess.Popen([sys.executable, "-c", LOCKER, path, str(seconds)], stdout=subprocess.PIPE,
                                        **sandbox.user.popen_arguments()))
        assert started[-1].stdout.readline() == b"held\n"
        return started[-1]

    yield hold
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


@slow
def test_lock_held(sandbox, uv, index, holder):
    """uv waits without a word for whoever holds its cache's lock."""
    argv, env = uv_install(uv, index)
    other = holder(sandbox.home / ".cache/uv/.lock", 9)
    env["UV_LOCK_TIMEOUT"] = "4"
    done = explained(sandbox, argv, "lock-held", ".lock", str(other.pid), env=env)
    pasted(sandbox, done, argv, env=env)


def test_lock_held_and_given_up(sandbox, holder):
    """flock(1) that does not wait."""
    lock = sandbox.home / "build.lock"
    other = holder(lock, 30)
    done = explained(sandbox, ["flock", "-n", lock, "true"], "lock-held", lock, str(other.pid), confidence="likely",
                     name="lock-held-refused")
    assert done.returncode == 1


BTRFS = """
PATH="$PATH:/usr/sbin:/sbin"
image='{image}'; truncate -s 128M "$image"; mkfs.btrfs -q "$image"
mount -o loop "$image" '{at}'
btrfs quota enable '{at}'; btrfs subvolume create '{at}/own' >/dev/null
btrfs qgroup limit 256k '{at}/own'; chown {uid} '{at}/own'
"""


@pytest.mark.skipif(not user_module.IS_ROOT, reason="a file system of one's own on a loop device needs root")
def test_quota_exceeded(sandbox, npm, index, private_mounts):
    argv, env = npm_install(sandbox, npm, index)
    at = sandbox.user.make_dir(sandbox.root / "disk")
    mounts = BTRFS.format(image=sandbox.root / "image", at=at, uid=sandbox.user.uid)
    env["npm_config_cache"] = at / "own/npm"
    filler = f"head -c 200000 /dev/urandom >'{at}/own/filler'; "
    done = explained(sandbox, ["sh", "-c", filler + 'exec "$@"', "sh", *argv], "quota-exceeded", "EDQUOT", at, env=env,
                     mounts=mounts)
    os.unlink(sandbox.root / "image")
    pasted(sandbox, done, argv, env=env, mounts=mounts)


@pytest.fixture
def without_locks(sandbox):
    """The user's ~/.cache as a file system that gives no locks."""
    if not user_module.IS_ROOT:
        pytest.skip("a file system that others may use needs root")
    where = sandbox.user.make_dir(sandbox.home / ".cache")
    behind = sandbox.user.make_dir(sandbox.root / "behind")
    server = subprocess.Popen(["/usr/bin/python3", Path(__file__).with_name("nolocks.py"), behind, where,
                               str(sandbox.user.uid)], stdin=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while not os.path.ismount(where):
        assert server.poll() is None and time.monotonic() < deadline, "the file system does not come about"
        time.sleep(0.05)
    yield where
    subprocess.run(["umount", "-l", where], check=True)
    server.terminate()
    server.wait(10)


# As HTTP caches in SQLite do it (hishel, requests-cache), without their minutes of patience.
CACHED = ("import os, sqlite3; cache = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'); "
          "sqlite3.connect(cache + '/http.sqlite', timeout=0.3).execute('create table answers (url)')")


def test_locks_unsupported(sandbox, without_locks):
    """SQLite says "database is locked" of a database that nobody else has ever opened."""
    argv = ["/usr/bin/python3", "-c", CACHED]
    done = explained(sandbox, argv, "locks-unsupported", without_locks, "ENOLCK", "fuse")
    assert "database is locked" in done.stderr
    pasted(sandbox, done, argv)
