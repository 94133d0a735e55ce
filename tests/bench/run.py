#!/usr/bin/env python3
"""tapline beside its peers: one harness, all of them in one run. See README.md.

  ./run.py check             start every peer and prove that traffic passes through it
  ./run.py tunnel            A: bulk throughput, relay CPU per GiB
  ./run.py conn              B: connections per second, latency
  ./run.py tls               C: TLS inspection: bulk, handshakes, keep-alive requests
  ./run.py mem               D: memory with idle tunnels
  ./run.py preload           E: cost of a preload library on open()/stat() and on process start
  ./run.py limits            F: physical limits of this machine
  ./run.py install           G: whole installs from a local index, of bare
  ./run.py all               all of these, in order
  ./run.py report FILE.json  print the tables of an earlier run again

Options: --rounds N, --seconds S (scales every timed run), --only a,b (labels or parts of them),
--quick (one short round), --out FILE.json, --publish FILE.md (the report as a page), -v.
"""
import argparse
import json
import os
import platform
import re
import signal
import subprocess
import sys
import time

import installs
import peers
from goals import goals
from lab import Failed, Lab, cpu_seconds, memory_mib, owner_of, tree, which
from tables import Samples, report

GIB = 1 << 30


class Path:
    """One way from the client to the origin: an optional shim in the client, an optional relay."""

    def __init__(self, lab, relay=None, shim=None, tls=False):
        self.lab, self.relay, self.shim, self.tls = lab, relay, shim, tls
        via = f"{relay.name}" if relay else "direct"
        self.label = f"{shim.name}>{via}" if shim else via
        self.inspected = tls and relay is not None and relay.inspects

    def options(self):
        o = ["-P"] if self.shim and self.relay and self.shim.by_port else []
        if self.relay and not self.shim:
            o += ["-v", f"{self.relay.via}={self.relay.addr}"]
        if self.tls:
            o += ["-T", self.lab.path("mitm-cas.pem" if self.inspected else "origin-ca.pem")]
        return o

    def target(self):
        addr = self.lab.tls_origin if self.tls else self.lab.origin
        return addr.replace("127.0.0.1", self.shim.target_ip) if self.shim and self.shim.target_ip else addr

    def env(self):
        return self.shim.env(self.relay) if self.shim else {}

    def check(self):
        """Proves the path: intact body, origin's peer is the relay's own socket, leaf is the relay's."""
        p, facts = self.lab.hold("check", *self.options(), self.target(), env=self.env())
        try:
            if facts["bad_bytes"]:
                raise Failed(f"{facts['bad_bytes']} bytes of the body are wrong")
            if self.relay:
                if facts["direct"]:
                    raise Failed("went straight to the origin")
                owner = owner_of(facts["xpeer"], tree(self.relay.proc.pid))
                if not owner:
                    raise Failed(f"origin's peer {facts['xpeer']} is not a socket of this relay")
                facts["owner"] = open(f"/proc/{owner}/comm").read().strip()
                if self.inspected and "origin CA" in facts["issuer"]:
                    raise Failed("the certificate is the origin's own: not inspected")
            elif not facts["direct"]:
                raise Failed("was expected to be direct, is not")
            if self.shim:
                maps = open(f"/proc/{facts['pid']}/maps").read()
                if os.path.realpath(self.shim.path) not in maps:
                    raise Failed(f"{self.shim.path} is not mapped in the client")
                facts["shim"] = os.path.basename(self.shim.path)
            return facts
        finally:
            self.lab.release(p)

    def load(self, mode, n, seconds, *extra):
        """One measured run; adds the relay's CPU. Every response was checked for the way it came."""
        cpu = cpu_seconds(self.relay.proc.pid) if self.relay else 0
        r = self.lab.tool("load", mode, "-n", n, "-s", seconds, *extra, *self.options(), self.target(),
                          env=self.env(), timeout=seconds + 30)
        time.sleep(0.05)
        if self.relay:
            r["relay_cpu_s"] = cpu_seconds(self.relay.proc.pid) - cpu
            chance = r["count"] // 5000 + 2 if self.shim and self.shim.by_port else 0    # see load.c, -P
            if r["direct"] > chance:
                raise Failed(f"{r['direct']} responses came straight from the origin")
        elif r["relayed"]:
            raise Failed(f"{r['relayed']} responses of a direct run came through something else")
        if not r["count"]:
            raise Failed(f"no response at all: {r['why']}")
        r["cpu_s_per_gib"] = r.get("relay_cpu_s", 0) / (r["bytes"] / GIB)
        r["cpu_us_per_conn"] = r.get("relay_cpu_s", 0) / r["count"] * 1e6
        return r


class Bench:
    def __init__(self, args):
        self.args, self.lab = args, Lab(args.verbose)
        self.results = {"machine": machine(), "rounds": args.rounds, "samples": [], "checks": {}, "failed": {}}

    def wanted(self, label):
        return label == "direct" or not self.args.only or any(x in label for x in self.args.only.split(","))

    def add(self, section, path, case, number, **values):
        self.results["samples"].append({"section": section, "path": path, "case": case, "round": number, **values})

    def install(self):
        installs.run(self)

    def note(self, section, label, error):
        self.results["failed"].setdefault(section, {})[label] = str(error)
        print(f"  ! {section}: {label}: {error}", file=sys.stderr)

    def open_paths(self, section, wanted, tls=False):
        """Starts the peers of [(shim class or None, relay class or None)], keeps the paths that prove true."""
        started, shims, paths = {}, {}, []
        for shim_class, relay_class in wanted:
            label = ">".join(c.name for c in (shim_class, relay_class) if c) or "direct"
            if not self.wanted(label):
                continue
            try:
                if relay_class and relay_class not in started:
                    relay = relay_class(self.lab)
                    relay.start()
                    started[relay_class] = relay
                if shim_class and shim_class not in shims:
                    shims[shim_class] = shim_class(self.lab)
                    shims[shim_class].start()
                path = Path(self.lab, started.get(relay_class), shims.get(shim_class), tls)
                self.results["checks"][f"{section} {path.label}"] = path.check()
                paths.append(path)
            except Failed as e:
                self.note(section, label, e)
        return paths, [*started.values(), *shims.values()]

    def rounds(self, section, paths, cases):
        """Round by round, every path (in rotating order) through every case."""
        for i in range(self.args.rounds if paths else 0):
            k = i % len(paths)
            for path in paths[k:] + paths[:k]:
                for case, run in cases.items():
                    try:
                        sample = run(path)
                    except Failed as e:
                        self.note(section, f"{path.label} {case}", e)
                        continue
                    self.results["samples"].append({"section": section, "path": path.label, "case": case,
                                                    "round": i, **sample})
            print(f"  {section}: round {i + 1}/{self.args.rounds}", file=sys.stderr)

    def tunnel_paths(self, section):
        return self.open_paths(section, [(None, None)] + [(None, r) for r in peers.TUNNEL] + peers.SHIMS)

    def tls_paths(self, section):
        return self.open_paths(section, [(None, None)] + [(None, r) for r in peers.INSPECT] + peers.INSPECT_SHIMS, tls=True)

    def tunnel(self):
        paths, started = self.tunnel_paths("tunnel")
        s = 0.8 * self.args.seconds
        self.rounds("tunnel", paths, {f"{n} stream": lambda p, n=n: p.load("bulk", n, s, "-b", 64 * GIB)
                                      for n in (1, 8)})
        self.stop(started)

    def conn(self):
        paths, started = self.tunnel_paths("conn")
        s = 0.6 * self.args.seconds
        self.rounds("conn", paths, {f"{n} client": lambda p, n=n: p.load("conn", n, s) for n in (1, 32)})
        self.stop(started)

    def tls(self):
        paths, started = self.tls_paths("tls")
        s = 0.6 * self.args.seconds
        cases = {f"bulk {n}": lambda p, n=n: p.load("bulk", n, s, "-b", 4 * GIB) for n in (1, 8)}
        cases |= {f"handshake {n}": lambda p, n=n: p.load("conn", n, s) for n in (1, 32)}
        cases |= {f"keep-alive {n}": lambda p, n=n: p.load("keep", n, s) for n in (1, 32)}
        cases["kept open 1"] = lambda p: p.load("conn", 1, s / 2, "-K")
        cases["new host 1"] = lambda p: p.load("conn", 1, s / 2, "-V")
        self.rounds("tls", paths, cases)
        self.stop(started)

    def mem(self):
        """One peer at a time, freshly started: idle, then with tunnels held open."""
        for relay_class, tls in [(r, False) for r in peers.TUNNEL] + [(r, True) for r in peers.INSPECT]:
            if not self.wanted(relay_class.name):
                continue
            relay = None
            try:
                relay = relay_class(self.lab)
                relay.start()
                path = Path(self.lab, relay, tls=tls)
                self.results["checks"][f"mem {path.label}"] = path.check()
                rss, pss = memory_mib(relay.proc.pid)
                row = {"section": "mem", "path": path.label, "case": "idle", "round": 0, "rss_idle": rss, "pss_idle": pss}
                for n in (1000, self.lab.most_tunnels):
                    if self.args.quick and n > 1000:
                        break
                    p, r = self.lab.hold("idle", "-n", 8, "-m", n, "-s", 15, *path.options(), path.target(), patience=60)
                    time.sleep(0.3)
                    rss, pss = memory_mib(relay.proc.pid)
                    key = "1k" if n == 1000 else "10k"
                    row |= {f"open_{key}": r["open"], f"rss_{key}": rss, f"pss_{key}": pss, f"why_{key}": r["why"]}
                    self.lab.release(p)
                    if r["open"] < n:
                        break
                    time.sleep(1)
                self.results["samples"].append(row)
                print(f"  mem: {path.label}", file=sys.stderr)
            except Failed as e:
                self.note("mem", relay_class.name, e)
            finally:
                if relay:
                    relay.stop()

    def preload(self):
        shims = {"none": None}
        for c in peers.PRELOAD:
            try:
                if self.wanted(c.name):
                    shims[c.name] = c(self.lab)
                    shims[c.name].start()
            except Failed as e:
                shims.pop(c.name, None)
                self.note("preload", c.name, e)
        # Who hears what the library says at a program's start: a relay with a record, as in a run.
        relay = peers.TaplineRecord(self.lab)
        relay.start()
        d = self.lab.path("files")
        os.mkdir(d)
        for name, mode in (("ok", 0o644), ("denied", 0)):
            self.lab.write(f"files/{name}", "x\n")
            os.chmod(f"{d}/{name}", mode)
        python = which("/usr/bin/python3") or os.path.realpath(sys.executable)
        true = which("true")
        k = min(1.0, self.args.seconds)
        envs = {name: shim.env(relay if isinstance(shim, (peers.TaplineShim, peers.HelloShim)) else None) if shim else {} for name, shim in shims.items()}
        for i in range(self.args.rounds + 2):
            names = list(shims)
            names = names[i % len(names):] + names[:i % len(names)]
            runs = {name: [] for name in names}
            try:
                # The machine has slow and fast moments, and where the kernel puts a process decides over some tens of ns: many short
                # runs, all libraries in each moment, and of each the best.
                for _ in range(8):
                    for name in names:
                        row = self.lab.tool("openbench", d, int(12000 * k), env=envs[name])
                        pairs = [f"{a}={b}" for a, b in envs[name].items()]
                        for case, n, argv in (("true", 60, [true]), ("python", 5, [python, "-c", "pass"])):
                            row[f"{case}_us"] = self.lab.tool("spawnbench", max(3, int(n * k)), *pairs, *argv)["median_us"]
                        runs[name].append(row)
                for name in names:
                    row = {key: min(run[key] for run in runs[name]) for key in runs[name][0]}
                    self.results["samples"].append({"section": "preload", "path": name, "case": "", "round": i, **row})
            except Failed as e:
                self.note("preload", name, e)
                if shim := shims.pop(name):
                    shim.stop()
        for shim in [relay, *shims.values()]:
            if shim:
                shim.stop()
        print("  preload: done", file=sys.stderr)

    def limits(self):
        def sample(case, **values):
            self.results["samples"].append({"section": "limits", "path": "machine", "case": case, "round": 0, **values})

        pin = lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        s = 0.3 * self.args.seconds
        for i in range(self.args.rounds):
            sample("uds", **self.lab.tool("udsbench", self.lab.dir, s))
            sample("uds same core", **self.lab.tool("udsbench", self.lab.dir, s, preexec=pin))
        sample("mint", **self.lab.tool("mintbench", s))
        seconds = "1" if self.args.quick else "2"
        sample("openssl", **openssl_speed(seconds))
        print("  limits: done", file=sys.stderr)

    def check(self):
        for opened in (self.tunnel_paths, self.tls_paths):
            self.stop(opened(opened.__name__.removesuffix("_paths"))[1])

    def stop(self, started):
        for peer in started:
            peer.stop()


def openssl_speed(seconds):
    """Single-core rates from 'openssl speed' (16 KiB records; signatures per second)."""
    ssl, out = which("openssl"), {}
    for name in ("aes-128-gcm", "aes-256-gcm", "chacha20-poly1305"):
        r = subprocess.run([ssl, "speed", "-elapsed", "-seconds", seconds, "-bytes", "16384", "-evp", name],
                           capture_output=True, text=True)
        m = re.search(r"([\d.]+)k\s*$", r.stdout.strip())
        out[name.replace("-", "_") + "_mb_s"] = float(m[1]) / 1000 if m else 0
    for name, line in (("ecdsap256", r"ecdsa .*?([\d.]+)\s+([\d.]+)\s*$"), ("rsa2048", r"rsa .*?([\d.]+)\s+([\d.]+)\s*$")):
        r = subprocess.run([ssl, "speed", "-elapsed", "-seconds", seconds, name], capture_output=True, text=True)
        m = re.search(line, r.stdout.strip(), re.M)
        out[f"{name}_sign_s"], out[f"{name}_verify_s"] = (float(m[1]), float(m[2])) if m else (0, 0)
    return out


def machine():
    cpu = next((x.split(":")[1].strip() for x in open("/proc/cpuinfo") if x.startswith("model name")), "?")
    return {"cpu": cpu, "cores": os.cpu_count(), "kernel": platform.release(), "date": time.strftime("%Y-%m-%d %H:%M")}


PAGE = """# Performance

tapline beside its peers, all in one run on one machine; [tests/bench](../tests/bench/README.md) says what is measured, how each path
is proved to go through the peer, and how to read the figures. This page is written by `make bench`; do not edit it by hand, but
for what bounds the figures, which comes from `tests/bench/bounds.md`.

The goals were set on a faster machine with two cores. Beside each stands the same goal at the pace of this machine: as far from the
reference loop, a bare C loop that does only what such a relay must, as it was there.

"""
BOUNDS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bounds.md")


def show(results, page):
    text = goals(Samples(results)) + "\n\n" + open(BOUNDS).read() + "\n" + report(results).replace("# Bench", "## Run of", 1)
    print(text)
    if page:
        with open(page, "w") as out:
            out.write(PAGE + re.sub(r"[ \t]+$", "", text.strip(), flags=re.M) + "\n")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("command", choices=["check", "tunnel", "conn", "tls", "mem", "preload", "limits", "install", "all", "report"])
    ap.add_argument("file", nargs="?")
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--seconds", type=float, default=1.0)
    ap.add_argument("--only", default="")
    ap.add_argument("--quick", action="store_true")
    ap.add_argument("--out", default="")
    ap.add_argument("--publish", default="")
    ap.add_argument("-v", "--verbose", action="store_true")
    args = ap.parse_args()
    if args.command == "report":
        show(json.load(open(args.file)), args.publish)
        return
    if args.quick:
        args.rounds, args.seconds = 1, 0.3
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    bench, began = Bench(args), time.monotonic()
    try:
        every = ["tunnel", "conn", "tls", "mem", "preload", "limits", "install"]
        for name in every if args.command == "all" else [args.command]:
            getattr(bench, name)()
    finally:
        bench.lab.close()
        bench.results["took_s"] = round(time.monotonic() - began)
        if args.out:
            with open(args.out, "w") as f:
                json.dump(bench.results, f, indent=1)
    show(bench.results, args.publish)


if __name__ == "__main__":
    main()
