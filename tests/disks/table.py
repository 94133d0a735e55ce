#!/usr/bin/python3
"""What each package manager says when its cache's disk is at fault, and what tapline says: table.py BUILD [--write] [TOOL...]

Every cell is a real run as an unprivileged user, with private mounts, against the local index. With --write the table
goes to docs/findings/disks.md. Needs root for the mounts; tools come from the packages of the checks, and from the
indexes that this machine's pip and npm are configured for.
"""
import html
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / name) for name in ("e2e", "index", "clients_table")]

import certs as certs_module  # noqa: E402
import projects  # noqa: E402
import registries  # noqa: E402
import runner  # noqa: E402
import user as user_module  # noqa: E402
import venvs  # noqa: E402
from index import Index  # noqa: E402

PAGE = HERE.parents[1] / "docs/findings/disks.md"
SECONDS = 120


# -- faults: each prepares the cache directory and may return a script for private mounts

def parent_not_writable(sandbox, cache):
    sandbox.user.make_dir(cache.parent).chmod(0o555)


def of_root(sandbox, cache):
    sandbox.user.make_dir(cache)
    os.chown(cache, 0, 0)


def read_only(sandbox, cache):
    sandbox.user.make_dir(cache)
    return f"mount --bind '{cache}' '{cache}'\nmount -o remount,bind,ro '{cache}'"


def full(sandbox, cache):
    sandbox.user.make_dir(cache)
    return (f"mount -t tmpfs -o size=64k,mode=755,uid={sandbox.user.mount_uid} full '{cache}'\n"
            f"dd if=/dev/zero of='{cache}/filler' bs=4k 2>/dev/null || :")


def no_inodes(sandbox, cache):
    sandbox.user.make_dir(cache)
    return (f"mount -t tmpfs -o size=1m,nr_inodes=2,mode=755,uid={sandbox.user.mount_uid} few '{cache}'\n"
            f": >'{cache}/filler'")


def file_in_the_way(sandbox, cache):
    sandbox.user.make_file(cache, "not a directory\n")


FAULTS = {"its parent cannot be written": parent_not_writable, "it belongs to root": of_root,
          "mounted read-only": read_only, "disk full": full, "no inodes": no_inodes,
          "a file in the way": file_in_the_way}


# -- tools: (command, cache below the home, environment)

def _python(*requirements):
    return venvs.get(requirements) / "bin"


def _js(name):
    """A JavaScript client, installed once by npm."""
    where = venvs._cache_dir() / f"js-{name.replace('@', '-')}"
    if not (where / "node_modules").exists():
        subprocess.run(["npm", "install", "--silent", "--prefix", where, name], check=True, timeout=600, umask=0o022)
    return where / "node_modules/.bin" / name.split("@")[0]


def pip(sandbox, index):
    return ([_python(*venvs.CLIENTS) / "python", "-m", "pip", "download", "-q", "--retries", "0", "--index-url",
             f"{index.url}/simple/", "-d", "out", "grove"], ".cache/pip", {})


def poetry(sandbox, index):
    projects.poetry(sandbox, index.url + "/simple/")
    return [_python(*venvs.POETRY) / "poetry", "lock", "-n"], ".cache/pypoetry", projects.poetry_env(index.ca)


def uv(sandbox, index):
    return ([_python("uv") / "uv", "pip", "install", "-q", "--index-url", f"{index.url}/simple/", "--target", "out", "moss"],
            ".cache/uv", {"UV_PYTHON": "/usr/bin/python3"})


def npm(sandbox, index):
    projects.npm(sandbox)
    return ["npm", "install", "--no-audit"], ".npm", projects.npm_env(index)


def yarn(sandbox, index):
    projects.npm(sandbox)
    return [_js("yarn@1.22.22"), "install", "--silent", "--non-interactive"], ".cache/yarn", {
        **projects.npm_env(index), "YARN_REGISTRY": index.url + "/npm/", "npm_config_cafile": index.ca}


def pnpm(sandbox, index):
    projects.npm(sandbox)
    return [_js("pnpm@9"), "install", "--reporter=append-only"], ".local/share/pnpm/store", projects.npm_env(index)


def maven(sandbox, index):
    sandbox.user.make_file(sandbox.work / "pom.xml", "<project><modelVersion>4.0.0</modelVersion><groupId>x</groupId>"
                           "<artifactId>x</artifactId><version>1</version></project>\n")
    return ["mvn", "-q", "-o", "validate"], ".m2/repository", {"JAVA_TOOL_OPTIONS": f"-Duser.home={sandbox.home}"}


def go(sandbox, index):
    sandbox.user.make_file(sandbox.work / "go.mod", "module demo\n")
    sandbox.user.make_file(sandbox.work / "main.go", "package main\n\nfunc main() {}\n")
    return ["/usr/local/go/bin/go", "build"], ".cache/go-build", {"GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"}


def gradle(sandbox, index):
    sandbox.user.make_file(sandbox.work / "build.gradle")
    sandbox.user.make_file(sandbox.work / "settings.gradle")
    return (["gradle", "--offline", "--no-daemon", "-q", "tasks"], ".gradle",
            {"JAVA_TOOL_OPTIONS": f"-Duser.home={sandbox.home}"})


def cargo(sandbox, index):
    """Debian's, to which sparse registries are an unstable feature."""
    index.files.update(registries.cargo(index.url))
    make = sandbox.user.make_file
    make(sandbox.work / "Cargo.toml", '[package]\nname = "demo"\nversion = "0.1.0"\n[dependencies]\nmoss = "1"\n')
    make(sandbox.work / "src/lib.rs")
    make(sandbox.work / ".cargo/config.toml", '[source.crates-io]\nreplace-with = "local"\n'
                                              f'[source.local]\nregistry = "sparse+{index.url}/cargo/"\n')
    return ["/usr/bin/cargo", "-Z", "sparse-registry", "fetch"], ".cargo", {
        "RUSTC_BOOTSTRAP": "1", "CARGO_HTTP_CAINFO": index.ca}


def gem(sandbox, index):
    index.files.update(registries.gem(index.url, sandbox.root / "gem"))
    return (["gem", "install", "--user-install", "--no-document", "--clear-sources", "--source", f"{index.url}/gems/", "moss"],
            ".local/share/gem", {})


def bundler(sandbox, index):
    index.files.update(registries.gem(index.url, sandbox.root / "gem"))
    sandbox.user.make_file(sandbox.work / "Gemfile", f'source "{index.url}/gems/"\ngem "moss"\n')
    return ["bundle", "install"], ".bundle", {"BUNDLE_PATH": sandbox.work / "gems"}


def composer(sandbox, index):
    index.files.update(registries.composer(index.url))
    sandbox.user.make_file(sandbox.work / "composer.json", (
        f'{{"repositories": [{{"type": "composer", "url": "{index.url}/composer"}}, {{"packagist": false}}], '
        '"require": {"trees/moss": "1.0.0"}}'))
    return ["composer", "install", "-n"], ".cache/composer", {"COMPOSER_CAFILE": index.ca}


TOOLS = {"pip": pip, "Poetry": poetry, "uv": uv, "npm": npm, "Yarn (classic)": yarn, "pnpm": pnpm,
         "Cargo": cargo, "RubyGems": gem, "Bundler": bundler, "Composer": composer, "Maven": maven, "Gradle": gradle, "Go": go}


class Lab:
    def __init__(self, build, directory):
        directory.chmod(0o755)
        self.directory, self.numbers, self.user = directory, itertools.count(), user_module.User()
        self.program = runner.stage(build, directory / "stage")
        self.certs = certs_module.make(directory / "certs")
        self.certs.dir.chmod(0o755)

    def cell(self, tool, fault):
        """(what the tool says or None if it works, what tapline says)"""
        number = next(self.numbers)
        sandbox = runner.Sandbox(self.directory / f"s{number}", self.user, lambda: self.program)
        with Index(self.directory / f"index{number}", self.certs) as index:
            argv, cache, env = TOOLS[tool](sandbox, index)
            mounts = fault and FAULTS[fault](sandbox, sandbox.home / cache)
            done = sandbox.tapline(argv, env={**runner.trust(index.ca), **env}, mounts=mounts, timeout=SECONDS)
        if done.returncode == 0:
            return "(works)", "-"
        said = done.stdout + ("\n" + done.stderr).split("\ntapline: ")[0]
        codes = [(f["code"], f["severity"]) for f in done.report["findings"]]
        text = ", ".join(f"**{c}**" if s == "error" else f"({c})" for c, s in codes) or "does not know"
        return self.line(said, sandbox), text

    def line(self, said, sandbox):
        """The line of the output that a person would search for."""
        lines = [re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", line).strip(" \t\r│╰╭─>×·*") for line in said.splitlines()]
        lines = [line for line in lines if len(line) > 12 and not line.startswith("tapline:")]
        wanted = [line for line in lines if re.search(r"(?i)error|fail|denied|cannot|could not|unable|eacces|no space|enospc|erofs", line)]
        known = [line for line in lines if re.search(r"root-owned|All attempts to connect", line)]
        text = max((known or wanted or lines or ["(nothing)"])[:5], key=len)
        text = text.replace(str(sandbox.home), "~").replace(str(sandbox.root), "...")
        text = re.sub(r"localhost:\d+", "index.example", re.sub(r"\d{4}-\d\d-\d\dT[\d_:.]+Z", "...", text))
        return text[:160] + ("..." if len(text) > 160 else "")


def escaped(text):
    return html.escape(text, quote=False).replace("|", "\\|").replace("`", "'")


def page(cells):
    lines = ["# Disk faults, tool by tool", "",
             "Made by `make disk-table`: each line is a real run of the tool with this fault of its cache directory, under tapline. In",
             "bold: errors, the cause first; in brackets: noticed. The tools' words are the ones that speak of a failure. (works): the",
             "tool does without its cache, or finds another place. Go makes raw system calls that the library does not see: tapline",
             "says which program it could not watch.", ""]
    for tool in dict.fromkeys(tool for tool, _ in cells):
        lines += [f"## {tool}", "", "| its cache | the tool says | tapline says |", "|---|---|---|"]
        for (name, fault), (said, found) in cells.items():
            if name == tool and fault:
                lines.append(f"| {fault} | {escaped(said)} | {found} |")
        lines.append("")
    return "\n".join(lines)


def main():
    arguments = [a for a in sys.argv[2:] if not a.startswith("--")]
    tools = [t for t in TOOLS if not arguments or t in arguments]
    directory = Path(tempfile.mkdtemp(prefix="tapline-disks-", dir="/tmp"))
    lab = Lab(Path(sys.argv[1]).resolve(), directory)
    try:
        for tool in tools:  # a tool that does not work without a fault says nothing about faults
            said, found = lab.cell(tool, None)
            if said != "(works)":
                sys.exit(f"{tool} does not work even without a fault: {said} [{found}]")
        wanted = [(tool, fault) for tool in tools for fault in FAULTS]
        with ThreadPoolExecutor(2) as pool:
            cells = dict(zip(wanted, pool.map(lambda cell: lab.cell(*cell), wanted)))
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    text = page(cells)
    print(text)
    if "--write" in sys.argv:
        PAGE.write_text(text)


if __name__ == "__main__":
    main()
