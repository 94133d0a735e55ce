"""The real tools, from whatever registries this machine is configured for; kept in /var/tmp as venvs.py keeps its own.

A tool that cannot be had is an error, never a skip.
"""
import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
import venvs  # noqa: E402

# One environment each: they do not agree about their dependencies.
PYTHON = {"uv": ("uv",), "pdm": ("pdm",), "pipenv": ("pipenv",), "pipx": ("pipx",)}
NODE = ("yarn@1", "@yarnpkg/cli-dist", "pnpm", "bun", "deno")
# What their packages would run after they were installed: it puts the program for this machine in its place.
AFTER = ("bun/install.js", "deno/install.cjs", "pnpm/install.js")


def _npm():
    """npm's packages in a directory of their own. Returns its node_modules."""
    place = venvs._cache_dir() / "node-tools"
    modules = place / "node_modules"
    with open(f"{place}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "complete").exists():
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(mode=0o755)
            venvs._step(["npm", "install", "--prefix", place, "--no-audit", "--no-fund", "--ignore-scripts", *NODE])
            for script in AFTER:
                if (modules / script).exists():
                    subprocess.run(["node", modules / script], cwd=(modules / script).parent, check=True, timeout=300)
            (place / "yarn-berry.cjs").symlink_to(modules / "@yarnpkg/cli-dist/bin/yarn.js")
            (place / "complete").touch()
    return modules


def few():
    """Those that the checks have anyway."""
    return {"python": venvs.get(venvs.CLIENTS) / "bin/python", "poetry": venvs.get(venvs.POETRY) / "bin/poetry",
            "npm": shutil.which("npm", path="/usr/local/bin:/usr/bin:/bin")}


def all():
    modules = _npm()
    tools = {**few(), "yarn": modules / "yarn/bin/yarn.js", "yarn-berry": modules.parent / "yarn-berry.cjs",
             "pnpm": modules / "pnpm/pnpm", "deno": modules / ".bin/deno",
             "bun": next(p for p in (modules / "bun/bin/bun.exe", modules / ".bin/bun") if p.exists())}
    for name, requirements in PYTHON.items():
        tools[name] = venvs.get(requirements) / "bin" / name
    for name in ("cargo", "go", "mvn", "gradle", "gem", "ruby", "bundle", "composer"):
        tools[name] = shutil.which(name, path="/usr/local/bin:/usr/bin:/bin") or f"/usr/bin/{name}"
    return tools
