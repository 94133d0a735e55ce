"""Section G: whole installs from a local index over TLS, bare, through the relay, and inspected.

The index is tests/index, as the tests use it, in a process of its own. Each install is a real one into a fresh directory with a
fresh cache; rounds alternate. What is compared is the whole time, tapline's own start and end included. Beside it stands the same
install through ref-copy, which the tool is told of by https_proxy: what any relay costs, and nothing of a start.

Two sizes for each tool: what a project installs (pip 60 packages of 200 KB, npm 150 of 40 KB, cargo 200 of 60 KB), and the least
that can be called an install, a fraction of a second, in which that start shows most.
"""
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

from lab import BUILD, HERE, Failed, which
from peers import RefCopy

sys.path[1:1] = [str(HERE.parent / name) for name in ("index", "e2e", "clients_table")]
import clients  # noqa: E402
import packages  # noqa: E402
import registries  # noqa: E402

MORE_ROUNDS = 4   # an install's time varies more than what tapline adds to it
WAYS = {"tunnelled": [], "inspected": ["--inspect=always"]}
REFERENCE = "ref-copy"


class Index:
    """tests/index as a process: an index in this one would compete with the harness for the interpreter."""

    def __init__(self, lab):
        self.lab = lab
        folder, self.tree = Path(lab.path("index")), Path(lab.path("index-tree"))
        self.tree.mkdir()
        self.proc = lab.start([sys.executable, HERE.parent / "index" / "index.py", "--port", "0", "--dir", folder, "--tree", self.tree])
        end = time.monotonic() + 20
        while not (text := Path(self.proc.log).read_text()).endswith("}\n"):
            if time.monotonic() > end:
                raise Failed(f"the index did not start: {text[-200:]}")
            time.sleep(0.05)
        facts = json.loads(text.splitlines()[-1])
        self.url, self.ca, self.port = facts["url"], facts["ca"], facts["port"]

    def add(self, files):
        """More to serve: path below /tree -> bytes."""
        for path, data in files.items():
            place = self.tree / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)


class Tool:
    """One package manager: prepare once, then install(folder) gives argv and environment of a fresh install."""
    connects = True

    def __init__(self, lab, index):
        self.lab, self.index = lab, index


class PipSmall(Tool):
    name, simple, wanted = "pip-small", "simple", ["grove"]

    def __init__(self, lab, index):
        super().__init__(lab, index)
        self.home = Path(lab.path("venv"))
        if not self.home.exists():
            venv.create(self.home, with_pip=True)

    def install(self, folder):
        argv = [self.home / "bin" / "pip", "install", "-q", "--disable-pip-version-check", "--no-cache-dir", "--no-compile",
                "--target", folder / "site", "--index-url", f"{self.index.url}/{self.simple}/", *self.wanted]
        return argv, {"PIP_CERT": self.index.ca, "SSL_CERT_FILE": self.index.ca, "PIP_CONFIG_FILE": os.devnull}

    def worked(self, folder):
        return all((folder / "site" / name).exists() for name in self.wanted)


class Pip(PipSmall):
    name, simple, wanted = "pip", "tree/simple", [f"moss{i}" for i in range(60)]

    def __init__(self, lab, index):
        super().__init__(lab, index)
        for name in self.wanted:
            made = packages.wheel(name, "1.0", pad=200000)
            index.add({f"wheels/{made.name}": made.data, f"wheels/{made.name}.metadata": made.metadata})
            page = (f'<a href="{index.url}/tree/wheels/{made.name}#sha256={made.sha256}" '
                    f'data-core-metadata="sha256={hashlib.sha256(made.metadata).hexdigest()}">{made.name}</a>')
            index.add({f"simple/{name}/index.html": page.encode()})


class NpmSmall(Tool):
    name, registry, needs = "npm-small", "npm", {"grove-js": "^1.0.0"}

    def __init__(self, lab, index):
        super().__init__(lab, index)
        self.program = which("npm")
        if not self.program:
            raise Failed("npm is not installed")

    def install(self, folder):
        (folder / "package.json").write_text('{"name": "demo", "version": "1.0.0", "dependencies": %s}\n' % json.dumps(self.needs))
        argv = [self.program, "install", "--silent", "--no-audit", "--no-fund", "--cache", folder / "cache",
                "--registry", f"{self.index.url}/{self.registry}/", "--prefix", folder]
        return argv, {"NODE_EXTRA_CA_CERTS": self.index.ca, "SSL_CERT_FILE": self.index.ca}

    def worked(self, folder):
        return all((folder / "node_modules" / name).exists() for name in self.needs)


class Npm(NpmSmall):
    name, registry, needs = "npm", "tree/npm", {f"moss{i}-js": "^1.0.0" for i in range(150)}

    def __init__(self, lab, index):
        super().__init__(lab, index)
        for name in self.needs:
            made = packages.NpmPackage(name, ["1.0.0"], {}, pad=40000)
            page = made.packument(index.url + "/tree/npm")
            for version, (_, file, data) in made.versions.items():
                page["versions"][version]["dist"]["tarball"] = f"{index.url}/tree/tarballs/{file}"
                index.add({f"tarballs/{file}": data})
            index.add({f"npm/{name}": json.dumps(page).encode()})


class CargoSmall(Tool):
    name, crates, pad = "cargo-small", [f"moss-{i}" for i in range(20)], 0

    def __init__(self, lab, index):
        super().__init__(lab, index)
        try:
            self.bin_dir = clients.rust_toolchain()
        except clients.Missing as e:
            raise Failed(e) from None
        index.add(registries.cargo(index.url + "/tree", self.crates, self.pad))

    def install(self, folder):
        (folder / "src").mkdir()
        (folder / "src" / "lib.rs").touch()
        (folder / ".cargo").mkdir()
        (folder / ".cargo" / "config.toml").write_text(
            f'[source.crates-io]\nreplace-with = "local"\n[source.local]\nregistry = "sparse+{self.index.url}/tree/cargo/"\n')
        (folder / "Cargo.toml").write_text('[package]\nname = "demo"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\n' +
                                           "".join(f'{crate} = "1"\n' for crate in self.crates))
        return [self.bin_dir / "cargo", "fetch", "-q"], {"SSL_CERT_FILE": self.index.ca, "CARGO_HOME": folder / "home",
                                                         "PATH": f"{self.bin_dir}:{os.environ['PATH']}"}

    def worked(self, folder):
        return len(list(folder.glob("home/registry/src/*/moss-*"))) == len(self.crates)


class Cargo(CargoSmall):
    name, crates, pad = "cargo", [f"moss-b{i}" for i in range(200)], 60000


class Nothing(Tool):
    """What is left of an install that takes no time: tapline's own start and end."""
    name, connects = "nothing", False

    def install(self, folder):
        return [which("true")], {}

    def worked(self, folder):
        return True


TOOLS = [Pip, Npm, Cargo, PipSmall, NpmSmall, CargoSmall, Nothing]


def waits(pid):
    """How often a process has slept until something came."""
    return int(Path(f"/proc/{pid}/status").read_text().split("\nvoluntary_ctxt_switches:")[1].split()[0])


def timed(lab, tool, way, serial, proxy=None):
    """Seconds of one install; way None is bare."""
    folder = Path(lab.path(f"install-{tool.name}-{serial}"))
    folder.mkdir()
    argv, env = tool.install(folder)
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), **{k: str(v) for k, v in env.items()}}
    if way == REFERENCE:
        env["https_proxy"] = f"http://{proxy.addr}"
        slept = waits(proxy.proc.pid)
    elif way is not None:
        argv = [BUILD / "tapline", "run", "--quiet", "--bypass", "none", "--record", folder / "record.jsonl", *WAYS[way], "--", *argv]
    began = time.monotonic()
    done = subprocess.run([str(a) for a in argv], cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    seconds = time.monotonic() - began
    if done.returncode or not tool.worked(folder):
        raise Failed(f"{tool.name} {way or 'bare'}: exit {done.returncode}: {(done.stderr or done.stdout).strip()[-300:]}")
    kinds = [json.loads(line)["event"] for line in open(folder / "record.jsonl")] if way in WAYS else []
    if tool.connects and way in WAYS and ("connect" not in kinds or (way == "inspected" and "http.request" not in kinds)):
        raise Failed(f"{tool.name} {way}: the record has no connection, or no request: it did not go through tapline")
    if way == REFERENCE and waits(proxy.proc.pid) < slept + 10:
        raise Failed(f"{tool.name}: it did not go through {REFERENCE}")
    shutil.rmtree(folder)
    return {"seconds": seconds, "requests": kinds.count("http.request")}


def run(bench):
    """All tools, all ways, rounds in rotating order; a bare install stands beside each way in each round."""
    index, proxy, serial = Index(bench.lab), RefCopy(bench.lab), 0
    proxy.start()
    for make in TOOLS:
        if not bench.wanted(make.name) and bench.args.only:
            continue
        try:
            tool = make(bench.lab, index)
            timed(bench.lab, tool, None, f"warm-{make.name}")
            for i in range(bench.args.rounds + MORE_ROUNDS):
                order = [None, *([REFERENCE] if tool.connects else []), *WAYS]
                took = {}
                for way in order[i % len(order):] + order[:i % len(order)]:
                    took[way] = timed(bench.lab, tool, way, serial, proxy)
                    serial += 1
                if tool.connects:
                    bench.add("install", REFERENCE, f"{tool.name} tunnelled", i, **took[REFERENCE])
                for way in WAYS:
                    case = f"{tool.name} {way}"
                    bench.add("install", "bare", case, i, **took[None])
                    bench.add("install", "tapline", case, i, **took[way])
        except Failed as e:
            bench.note("install", make.name, e)
        print(f"  install: {make.name}", file=sys.stderr)
    proxy.stop()
    bench.lab.stop(index.proc)
