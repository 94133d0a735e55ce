"""Many connections for a while: `make check-soak`, or run.py BUILD [NAME=NUMBER...] for other sizes.

Sizes (SOAK="idle=9000 short=1000000" for make): idle and busy tunnels at once, short connections in all, seconds of
each fault, minutes of all kinds mixed (30 before a release; "only=mixed minutes=30" for nothing else). slower=20 is for a machine that is so much
slower than most (tests/vm): what has to be done within a time, or with so much CPU, gets so much more. The relay's memory and descriptors are read from its own /metrics; what became of each connection is told
by load.c, which knows every byte that has to come back. Prints one line per check, and exits with 1 if one failed."""

import json
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
SIZES = {"idle": 10_000, "busy": 1000, "short": 100_000, "seconds": 10, "slow": 300, "minutes": 1, "slower": 1}
MIB = 1 << 20
FOR_EVER = 10**9
failures = []


def check(name, good, told):
    print(f"{'ok  ' if good else 'FAIL'} {name}: {told}", flush=True)
    if not good:
        failures.append(name)


def free_port():
    """Below the range from which clients get theirs: a relay that is started again needs its old one."""
    while True:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", random.randrange(20000, 32000)))
                return probe.getsockname()[1]
            except OSError:
                continue


class Relay:
    def __init__(self, build, directory, *options):
        self.build, self.directory, self.options = build, directory, options
        self.port, self.admin = free_port(), free_port()
        self.popen = None

    def start(self):
        self.popen = subprocess.Popen(
            [self.build / "tapline", "relay", "--quiet", "--listen", f"127.0.0.1:{self.port}", "--admin",
             f"127.0.0.1:{self.admin}", "--socket", self.directory / f"{self.port}.sock", "--config", "/dev/null",
             *self.options], env={"PATH": os.environ["PATH"], "TMPDIR": str(self.directory)})
        end = time.monotonic() + 20
        while not self.answers():
            assert time.monotonic() < end and self.popen.poll() is None, "the relay did not start"
            time.sleep(0.02)
        return self

    def answers(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/healthz", timeout=5):
                return True
        except OSError:
            return False

    def metrics(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}

    def memory(self):
        return self.metrics()["process_resident_memory_bytes"]

    def wait_for_tunnels(self, count, seconds):
        end = time.monotonic() + seconds
        while self.metrics()['tapline_connections_open{state="tunnel"}'] < count and time.monotonic() < end:
            time.sleep(0.1)

    def descriptors(self):
        now = self.metrics()
        return now["process_open_fds"] - 2 * now["tapline_pipes"]

    def settled(self, seconds=10):
        """Wait until no connection is open."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            now = self.metrics()
            if sum(v for k, v in now.items() if k.startswith("tapline_connections_open")) == 0:
                return True
            time.sleep(0.1)
        return False

    def stop(self, number=signal.SIGTERM):
        self.popen.send_signal(number)
        return self.popen.wait(30)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.popen.poll() is None:
            self.stop()


class Load:
    """load.c in the background."""

    def __init__(self, tools, relay, target, **keys):
        self.total = keys.get("total")
        self.popen = subprocess.Popen([tools / "load", str(relay.port), str(target), *(f"{k}={v}" for k, v in keys.items())],
                                      stdout=subprocess.PIPE, text=True)

    def end(self):
        """Its clients finish what they are at, and end."""
        self.popen.send_signal(signal.SIGUSR1)
        return self.result()

    def result(self, timeout=900):
        out, _ = self.popen.communicate(timeout=timeout)
        assert self.popen.returncode == 0, "the load client failed"
        return json.loads(out)


def brief(result):
    return {k: v for k, v in result.items() if v}


def clean(result):
    return result["ok"] == result["clients"] and result["clients"] > 0


def truthful(result):
    """Errors may be, but nothing that looks like a good end or good bytes and is not, and nothing that hangs."""
    return result["cut"] == result["wrong"] == result["timeout"] == 0


class Soak:
    def __init__(self, build, tools, directory, sizes):
        self.build, self.tools, self.directory, self.sizes = build, tools, directory, sizes
        self.origin = subprocess.Popen([tools / "origin"], stdout=subprocess.PIPE, text=True)
        self.target = int(self.origin.stdout.readline())

    def relay(self, *options):
        return Relay(self.build, self.directory, "--drain", "1", *options)

    def patience(self):
        return 30 * self.sizes["slower"]

    def load(self, relay, **keys):
        return Load(self.tools, relay, self.target, **{"timeout_ms": 1000 * self.patience(), **keys})

    def idle_and_busy(self):
        """Idle tunnels and busy ones at once; the idle ones still work at the end."""
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        busy = self.sizes["busy"]
        idle = min(self.sizes["idle"], int(limit * 0.48) - busy - 200)
        if idle < self.sizes["idle"]:
            print(f"     {idle} of {self.sizes['idle']}: a tunnel takes two of the {limit} descriptors of a process (RLIMIT_NOFILE)")
        with self.relay() as relay:
            empty, fds = relay.memory(), relay.descriptors()
            halves, held = [], []
            for count in (idle // 2, idle - idle // 2):
                halves.append(self.load(relay, total=count, at_once=count, rounds=2, pause_ms=FOR_EVER))
                relay.wait_for_tunnels(sum(half.total for half in halves), self.patience())
                held.append(relay.memory())
            # What a crowd that dials at once needs for a moment stays with the allocator, and serves the next one.
            each = (held[1] - held[0]) / (idle - idle // 2)
            cpu = relay.metrics()["process_cpu_seconds_total"]
            time.sleep(1)
            cpu = relay.metrics()["process_cpu_seconds_total"] - cpu
            crowd = self.load(relay, total=busy, at_once=busy, bytes=16384, rounds=FOR_EVER)
            relay.wait_for_tunnels(idle + busy, self.patience())
            time.sleep(self.sizes["seconds"])
            now = relay.metrics()
            tunnels = now['tapline_connections_open{state="tunnel"}']
            loud, quiet = crowd.end(), [half.end() for half in halves]
            check("tunnels at once", tunnels == idle + busy, f"{tunnels:.0f}, {now['process_open_fds']:.0f} descriptors and "
                  f"{now['process_resident_memory_bytes'] / MIB:.1f} MiB; {empty / MIB:.1f} MiB before, {relay.memory() / MIB:.1f} after")
            check("idle tunnels", all(map(clean, quiet)), f"{idle}: {brief(quiet[1])}")
            check("memory of an idle tunnel", each <= 1024,
                  f"{each:.0f} bytes, and {(held[1] - empty) / idle:.0f} with what dialling them took")
            check("CPU of idle tunnels", cpu < 0.1 * self.sizes["slower"], f"{cpu:.3f} s per second")
            check("busy tunnels", clean(loud), f"{busy}, {loud['bytes'] / loud['seconds'] / MIB:.0f} MiB/s each way: {brief(loud)}")
            check("all have gone", relay.settled() and abs(relay.descriptors() - fds) <= 2,
                  f"{relay.descriptors():.0f} descriptors, {fds:.0f} before")

    def short(self):
        """Short connections: memory and descriptors stay what they were after the first tenth."""
        total = self.sizes["short"]
        with self.relay() as relay:
            self.load(relay, total=max(total // 10, 20000), at_once=100).result()
            relay.settled()
            before, fds = relay.memory(), relay.descriptors()
            result = self.load(relay, total=total, at_once=100).result(3600)
            relay.settled()
            after, rate = relay.memory(), total / result["seconds"]
            check("short connections", clean(result), f"{rate:.0f} a second: {brief(result)}")
            check("constant memory", after - before < 2 * MIB, f"{before / MIB:.1f} MiB, {after / MIB:.1f} MiB after {total}")
            check("constant descriptors", abs(relay.descriptors() - fds) <= 2, f"{fds:.0f}, then {relay.descriptors():.0f}")

    def mixed(self):
        """All kinds at once, again and again, through one relay: memory and descriptors stay what they were after the first quarter."""
        kinds = [{"total": 5000, "at_once": 50}, {"total": 100, "at_once": 100, "bytes": 16384, "rounds": 50},
                 {"total": 100, "at_once": 100, "bytes": 1, "rounds": 5, "pause_ms": 500}, {"total": 50, "at_once": 50, "deaf": 1, "seconds": 3}]
        begun, length = time.monotonic(), 60 * self.sizes["minutes"]
        samples, bad, count = [], [], 0
        with self.relay() as relay:
            while (now := time.monotonic() - begun) < length or len(samples) < 4:
                results = [load.result() for load in [self.load(relay, **kind) for kind in kinds]]
                bad += [brief(r) for r in results if not clean(r)]
                count += sum(r["clients"] for r in results)
                relay.settled()
                samples.append((now, relay.memory(), relay.descriptors()))
            _, before, fds = next(s for s in samples if s[0] >= length / 4 or s is samples[-2])
            _, after, fds_after = samples[-1]
            check("mixed load", not bad, f"{count} connections in {len(samples)} rounds, {now:.0f} s: {bad[:3]}")
            check("constant memory", after - before < 2 * MIB, f"{before / MIB:.1f} MiB after a quarter, {after / MIB:.1f} MiB at the end")
            check("constant descriptors", abs(fds_after - fds) <= 2, f"{fds:.0f}, then {fds_after:.0f}")

    def slow_clients(self):
        """Clients that send a byte a second, and clients that never read, cost the others nothing."""
        count, seconds = self.sizes["slow"], self.sizes["seconds"]
        with self.relay() as relay:
            alone = self.load(relay, total=2000, at_once=10).result()
            before = relay.memory()
            drip = self.load(relay, total=count, at_once=count, bytes=1, rounds=FOR_EVER, pause_ms=1000, seconds=seconds)
            deaf = self.load(relay, total=count, at_once=count, deaf=1, seconds=seconds)
            time.sleep(seconds / 2)
            cpu = relay.metrics()["process_cpu_seconds_total"]
            time.sleep(1)
            cpu = relay.metrics()["process_cpu_seconds_total"] - cpu
            held = relay.memory() - before
            others = self.load(relay, total=2000, at_once=10).result()
            slow, mute = drip.result(), deaf.result()
            check("clients that send a byte a second", clean(slow), brief(slow))
            check("clients that never read", clean(mute), brief(mute))
            check("their memory", held < 2 * count * 4096 + 2 * MIB, f"{held / count / 2:.0f} bytes each")
            check("their CPU", cpu < 0.3, f"{cpu:.3f} s per second")
            check("the others", clean(others), f"median {others['p50_us']} us, {alone['p50_us']} us without them: {brief(others)}")

    def upstream_faults(self):
        """The proxy behind the relay is down, silent, or comes and goes."""
        seconds = self.sizes["seconds"]
        port = free_port()
        with self.relay("--upstream", f"http://127.0.0.1:{port}", "--connect-timeout", "2") as relay:
            fds = relay.descriptors()
            down = self.load(relay, total=FOR_EVER, at_once=50, seconds=2).result()
            check("upstream down", truthful(down) and set(down["status"]) == {"502"}, brief(down))
            with socket.create_server(("127.0.0.1", port), backlog=4096):
                silent = self.load(relay, total=200, at_once=200).result()
            check("upstream silent", truthful(silent) and set(silent["status"]) == {"504"} and silent["seconds"] < 6, brief(silent))
            with Flapping(self, port) as flapping:
                flaps = self.load(relay, total=FOR_EVER, at_once=50, rounds=20, pause_ms=20, seconds=seconds, timeout_ms=10000).result()
            check("upstream flapping", truthful(flaps) and flaps["ok"] > 0 and set(flaps["status"]) <= {"200", "502", "503", "504"},
                  f"{flapping.times} times up and down: {brief(flaps)}")
            check("all have gone", relay.settled() and abs(relay.descriptors() - fds) <= 2, f"{relay.descriptors():.0f} descriptors")

    def killed(self):
        """The relay is killed and started again under load: clients see resets and refusals, never a good end."""
        seconds = self.sizes["seconds"]
        relay = self.relay().start()
        load = self.load(relay, total=FOR_EVER, at_once=100, bytes=100_000, rounds=50, seconds=seconds, timeout_ms=10000)
        kills = 0
        while load.popen.poll() is None and kills < seconds // 2:
            time.sleep(1)
            relay.stop(signal.SIGKILL)
            kills += 1
            time.sleep(0.2)
            relay.start()
        result = load.result()
        check("relay killed and restarted", truthful(result) and result["ok"] > 0 and result["reset"] > 0 and kills > 0,
              f"{kills} times: {brief(result)}")
        check("it serves again", clean(self.load(relay, total=500, at_once=10).result()), "500 connections")
        check("orderly stop", relay.stop() == 0, "status 0")

    def close(self):
        self.origin.terminate()
        self.origin.wait(5)


class Flapping:
    """A second relay as upstream, killed and started again on the same port."""

    def __init__(self, soak, port):
        self.relay, self.times, self.over = soak.relay(), 0, threading.Event()
        self.relay.port = port

    def flap(self):
        while not self.over.is_set():
            self.relay.start()
            self.over.wait(0.7)
            self.relay.stop(signal.SIGKILL)
            self.over.wait(0.3)
            self.times += 1

    def __enter__(self):
        self.thread = threading.Thread(target=self.flap)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def main():
    build = Path(sys.argv[1]).resolve()
    sizes, only = dict(SIZES), None
    for word in sys.argv[2:]:
        name, _, number = word.partition("=")
        if name == "only":
            only = number
            continue
        assert name in sizes, f"{name} is none of {', '.join(sizes)}"
        sizes[name] = int(number)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    with tempfile.TemporaryDirectory(prefix="tapline-soak-") as directory:
        soak = Soak(build, build / "soak", Path(directory), sizes)
        try:
            parts = (soak.idle_and_busy, soak.short, soak.slow_clients, soak.upstream_faults, soak.killed, soak.mixed)
            for part in [part for part in parts if only in (None, part.__name__)]:
                print(f"-- {part.__doc__.splitlines()[0]}", flush=True)
                part()
        finally:
            soak.close()
    print(f"{len(failures)} checks failed: {', '.join(failures)}" if failures else "all is well")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
