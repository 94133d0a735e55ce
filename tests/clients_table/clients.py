"""Where the clients of the table are: found on PATH, or installed once per machine below /var/tmp from the registries
that this machine's tools are configured for. What cannot be had is Missing, with the reason: a row of its own in the table.
"""
import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import runner
import venvs

PATH = runner.PATH


class Missing(Exception):
    pass


def program(name, package=None):
    """A program of the system's, on the path that tests give to clients."""
    path = shutil.which(name, path=PATH)
    if not path:
        raise Missing(f"{name} is not installed" + (f" (package {package})" if package else ""))
    return path


def toolchain(name):
    """A program that may be installed for the tester alone (rustup, a Go tarball)."""
    for path in (str(Path.home() / ".cargo/bin"), "/usr/local/go/bin", os.environ.get("PATH", ""), PATH):
        if found := shutil.which(name, path=path):
            return found
    raise Missing(f"{name} is not installed")


def rust_toolchain():
    """The bin directory of a toolchain with cargo and rustc; rustup's own names only lead there."""
    cargo = Path(toolchain("cargo"))
    if shutil.which("rustup", path=str(cargo.parent)):
        done = subprocess.run([cargo.parent / "rustup", "which", "cargo"], capture_output=True, text=True, timeout=60)
        cargo = Path(done.stdout.strip() or cargo)
    return cargo.resolve().parent


def python(*requirements):
    """The bin directory of a virtual environment with these."""
    try:
        return venvs.get(requirements) / "bin"
    except RuntimeError as error:
        raise Missing(f"the index has no {' '.join(requirements)}: {str(error).splitlines()[-1][:120]}") from None


def node_package(specification):
    """The directory of a package from the npm registry, with what it depends on."""
    node, npm = program("node", "nodejs"), program("npm", "npm")
    cache = venvs._cache_dir()
    key = hashlib.sha256(specification.encode()).hexdigest()[:12]
    target = cache / f"node-{key}"
    with open(cache / f"node-{key}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (target / "complete").exists():
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir()
            done = subprocess.run([npm, "install", "--prefix", target, "--no-audit", "--no-fund", "--loglevel", "error",
                                   f"client@npm:{specification}"], stdin=subprocess.DEVNULL, capture_output=True,
                                  text=True, timeout=600, umask=0o022)
            if done.returncode:
                raise Missing(f"the npm registry gives no {specification}: {done.stderr.strip().splitlines()[-1][:120]}")
            (target / "complete").write_text(specification + "\n")
    assert node
    return target / "node_modules" / "client"
