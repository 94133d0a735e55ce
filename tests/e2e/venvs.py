"""Virtual environments of the Python clients, made once per machine and kept in /var/tmp.

Made with pip from whatever index this machine's tools are configured for. A client that cannot be had is an error,
never a skip. Used by the fixtures in conftest.py.
"""
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

PYTHON = "/usr/bin/python3"
POETRY = ("poetry==2.3.1",)
# A newer pip than python3-venv brings on Debian 12: from 24.2 on pip takes its roots elsewhere.
CLIENTS = ("pip>=24.2", "requests", "cachecontrol[filecache]")

# A wheel with an OpenSSL 1.1 of its own inside, beside the one that Python itself is linked to.
BUNDLED = ("pycurl==7.45.3",)
ASYNC = ("httpx[http2]", "aiohttp")


def _cache_dir():
    path = Path("/var/tmp") / f"tapline-tests-{os.getuid()}"
    path.mkdir(mode=0o755, exist_ok=True)
    found = path.lstat()
    # Anyone may make a directory in /var/tmp: run nothing from one that is not ours.
    if found.st_uid != os.getuid() or found.st_mode & 0o022 or path.is_symlink():
        raise RuntimeError(f"{path} is not a private directory of uid {os.getuid()}: remove it")
    path.chmod(0o755)
    return path


def _step(argv):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=900, umask=0o022)
    if done.returncode:
        raise RuntimeError(f"cannot make a client's environment: {' '.join(map(str, argv))}\n{done.stdout[-4000:]}")


def node(version="24"):
    """The program of a newer Node than Debian's, from the registry that this machine's npm is configured for."""
    cache = _cache_dir()
    machine = {"x86_64": "x64", "aarch64": "arm64"}[os.uname().machine]
    root = cache / f"node-{version}"
    with open(cache / f"node-{version}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (root / "complete").exists():
            shutil.rmtree(root, ignore_errors=True)
            root.mkdir()
            _step(["npm", "install", "--silent", "--ignore-scripts", "--prefix", root, f"node-linux-{machine}@{version}"])
            (root / "complete").write_text("")
    return root / "node_modules" / f"node-linux-{machine}" / "bin" / "node"


def newer_pythons():
    """Name -> prefix of the tester's own CPythons whose ssl module is strict by default: 3.13 and later, on PATH or pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    directories = [*pyenv.glob("versions/*/bin"), *map(Path, os.environ["PATH"].split(":"))]
    programs = [d / f"python3.{minor}" for d in directories if d != pyenv / "shims" for minor in range(13, 20)]
    return {f"{p.name} of {p.resolve().parents[1]}": p.resolve().parents[1] for p in programs if p.exists()}


def newer_python(prefix, sandbox):
    """(program, environment, mounts) for the sandbox's user, who cannot reach where the tester keeps it."""
    here = sandbox.user.make_dir(sandbox.root / "python")
    program = next((prefix / "bin").glob("python3.1[3-9]")).name
    return here / "bin" / program, {"LD_LIBRARY_PATH": here / "lib"}, f"mount --bind {prefix} {here}"


def get_for(prefix, requirements):
    """A directory for PYTHONPATH with these, for the CPython with this prefix, made now if need be."""
    program = next((prefix / "bin").glob("python3.1[3-9]"))
    key = hashlib.sha256("\n".join((str(prefix), *sorted(requirements))).encode()).hexdigest()[:12]
    cache = _cache_dir()
    target = cache / f"target-{key}"
    with open(cache / f"target-{key}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (target / "complete").exists():
            shutil.rmtree(target, ignore_errors=True)
            _step([program, "-m", "pip", "install", "-q", "--target", target, *requirements])
            (target / "complete").write_text("\n".join(requirements) + "\n")
    return target


def get(requirements):
    """The directory of a virtual environment with these requirements, made now if need be."""
    version = subprocess.run([PYTHON, "-V"], capture_output=True, text=True, check=True).stdout
    key = hashlib.sha256("\n".join((version, *sorted(requirements))).encode()).hexdigest()[:12]
    cache = _cache_dir()
    venv = cache / f"venv-{key}"
    with open(cache / f"venv-{key}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # environments cannot be moved, so no build beside and rename
        if not (venv / "complete").exists():
            print(f"making {venv} with {' '.join(requirements)}", file=sys.stderr)
            shutil.rmtree(venv, ignore_errors=True)
            _step([PYTHON, "-m", "venv", venv])
            _step([venv / "bin" / "pip", "install", "-q", *requirements])
            (venv / "complete").write_text("\n".join(requirements) + "\n")
    return venv
