"""The laboratory: work directory, built programs, certificates, origins, and processes we start.

Everything listens on 127.0.0.1; every process is started in its own session, is known by pid, and is
ended by pid. CPU and memory are read from /proc over the whole process tree of a peer.
"""
import glob
import json
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = Path(os.environ.get("BUILD") or HERE.parents[1] / "build").resolve()   # what is measured
TICK = os.sysconf("SC_CLK_TCK")
HOST = "origin.test"          # the TLS name; never resolved, only sent as SNI and checked
FAKE_IP = "192.0.2.1"         # TEST-NET-1: for shims that leave loopback addresses alone; never reached


class Failed(Exception):
    """A peer or a measurement did not work; the message says why."""


def which(*names):
    """First of names found in PATH or the sbin directories, else None."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin"
    return next((p for p in (shutil.which(n, path=path) for n in names) if p), None)


def find_lib(pattern):
    """A shared library by file name or glob, in the usual places, else None."""
    for top in ("/usr/local/lib", "/usr/lib/*-linux-gnu*", "/usr/lib64", "/usr/lib", "/lib"):
        hits = sorted(glob.glob(f"{top}/{pattern}"))
        if hits:
            return hits[0]
    return None


def shared_memory():
    """The POSIX shared memory that peers of this bench (and nobody else's programs) may have made."""
    return {p for pattern in ("bench[0-9]*", "faketime_shm_*", "sem.faketime_sem_*") for p in Path("/dev/shm").glob(pattern)}


# ---- processes, read from /proc --------------------------------------------------------------

def _stat(pid):
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    f = text[text.rindex(")") + 2:].split()
    return {"ppid": int(f[1]), "session": int(f[3]), "cpu": sum(map(int, f[11:15])) / TICK}


def tree(root):
    """pids of root, its descendants, and whatever else lives in root's session."""
    stats = {int(p): s for p in os.listdir("/proc") if p.isdigit() and (s := _stat(p))}
    found, grew = {root} & stats.keys() | {p for p, s in stats.items() if s["session"] == root}, True
    while grew:
        more = {p for p, s in stats.items() if s["ppid"] in found} - found
        found |= more
        grew = bool(more)
    return found


def cpu_seconds(root):
    """CPU used by the tree so far, including children it has already reaped."""
    return sum(s["cpu"] for p in tree(root) if (s := _stat(p)))


def memory_mib(root):
    """(RSS, PSS) of the tree in MiB. PSS shares out pages that forked children have in common."""
    rss = pss = 0
    for p in tree(root):
        try:
            for line in Path(f"/proc/{p}/smaps_rollup").read_text().splitlines():
                if line.startswith("Rss:"):
                    rss += int(line.split()[1])
                elif line.startswith("Pss:"):
                    pss += int(line.split()[1])
        except OSError:
            pass
    return rss / 1024, pss / 1024


def owner_of(addr, pids):
    """The pid among pids that owns the TCP socket whose local end is addr ('127.0.0.1:1234')."""
    ip, port = addr.split(":")
    want = "%08X:%04X" % (int.from_bytes(socket.inet_aton(ip), "little"), int(port))
    inodes = {f"socket:[{r[9]}]" for r in map(str.split, open("/proc/net/tcp")) if len(r) > 9 and r[1] == want}
    for pid in pids:
        try:
            for fd in os.listdir(f"/proc/{pid}/fd"):
                if os.readlink(f"/proc/{pid}/fd/{fd}") in inodes:
                    return pid
        except OSError:
            pass
    return None


class Lab:
    def __init__(self, verbose=False):
        self.dir = Path(tempfile.mkdtemp(prefix="bench-"))
        self.dir.chmod(0o755)          # squid, sslsplit and faked drop root and still read files here
        self.verbose, self.procs, self.ports = verbose, [], set()
        self.shm = shared_memory()
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.nofile = hard
        self.most_tunnels = min(10000, (hard - 500) // 2)     # a relay needs two descriptors per tunnel
        self.bin = self._build()
        self._certificates()
        self.origin = self._origin([])
        self.tls_origin = self._origin(["-c", self.path("origin.pem"), "-k", self.path("origin.key"),
                                        "-C", self.path("origin-ca.pem"), "-K", self.path("origin-ca.key")])

    # ---- set-up ----------------------------------------------------------------------------

    def path(self, name):
        return str(self.dir / name)

    def write(self, name, text):
        (self.dir / name).write_text(text)
        (self.dir / name).chmod(0o644)
        return self.path(name)

    def _build(self):
        out = BUILD / "bench"
        out.mkdir(parents=True, exist_ok=True)
        cc = os.environ.get("CC") or which("cc", "gcc", "clang")
        for src in sorted((HERE / "c").glob("*.c")):
            shim = src.stem.endswith("shim")
            dst = out / (src.stem + (".so" if shim else ""))
            newest = max(p.stat().st_mtime for p in (src, HERE / "c/nullshim.c", *(HERE / "c").glob("*.h")))
            if dst.exists() and dst.stat().st_mtime > newest:
                continue
            extra = ["-shared", "-fPIC"] if shim else []
            subprocess.run([cc, "-O2", "-Wall", "-Wextra", f"-I{HERE.parents[1] / 'include'}", *extra, "-o", str(dst), str(src),
                            "-lssl", "-lcrypto", "-lpthread", "-ldl"], check=True)
        return {p.stem: str(p) for p in out.iterdir() if p.is_file()}

    def _openssl(self, *args):
        subprocess.run([which("openssl"), *args], check=True, cwd=self.dir, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    def _certificates(self):
        """An origin CA and leaf (P-256); two inspection CAs (RSA-2048, P-256); one ready leaf."""
        rsa, ec = ["rsa:2048"], ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]

        def ca(name, kind, cn):
            self._openssl("req", "-x509", "-newkey", *kind, "-nodes", "-days", "30", "-subj", f"/CN={cn}", "-keyout",
                          f"{name}.key", "-out", f"{name}.pem", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
            self.write(f"{name}-both.pem", (self.dir / f"{name}.key").read_text() + (self.dir / f"{name}.pem").read_text())

        def leaf(name, signer):
            self._openssl("req", "-new", "-newkey", *ec, "-nodes", "-subj", f"/CN={HOST}", "-keyout", f"{name}.key",
                          "-out", f"{name}.csr")
            ext = self.write("ext", f"subjectAltName=DNS:{HOST},DNS:*.{HOST},DNS:localhost,IP:127.0.0.1\n"
                                    "basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n")
            self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{signer}.pem", "-CAkey", f"{signer}.key",
                          "-CAcreateserial", "-days", "30", "-extfile", ext, "-out", f"{name}.pem")

        ca("origin-ca", ec, "bench origin CA")
        ca("mitm-rsa", rsa, "bench MITM CA RSA")
        ca("mitm-ec", ec, "bench MITM CA EC")
        leaf("origin", "origin-ca")
        leaf("ready", "mitm-ec")
        self._openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "leaf-ec.key")
        self.write("mitm-cas.pem", "".join((self.dir / f"{n}.pem").read_text() for n in ("mitm-rsa", "mitm-ec")))
        for key in self.dir.glob("*.key"):
            key.chmod(0o644)           # throw-away keys of a throw-away directory

    def _origin(self, tls_args):
        addr = self.address()
        self.start([self.bin["origin"], "-w", str(os.cpu_count()), *tls_args, addr], addr)
        return addr

    def address(self):
        """A free 127.0.0.1 address below the ephemeral range, so no client socket can sit on it."""
        while True:
            port = random.randrange(20000, 32000)
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    s.bind(("127.0.0.1", port))
                except OSError:
                    continue
            if port not in self.ports:
                self.ports.add(port)
                return f"127.0.0.1:{port}"

    # ---- processes ---------------------------------------------------------------------------

    def start(self, argv, addr=None, env=None, wait=15.0, user=None):
        """Starts a server in its own session and waits until addr accepts. Returns its Popen."""
        log = open(self.path(f"log-{len(self.procs)}-{Path(argv[0]).name}"), "w+b")
        p = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.dir,
                             env={**os.environ, **(env or {})}, start_new_session=True, user=user)
        self.procs.append(p)
        p.log = log.name
        end = time.monotonic() + wait
        while addr:
            try:
                socket.create_connection(addr.split(":"), 1).close()
                break
            except OSError:
                if p.poll() is not None or time.monotonic() > end:
                    tail = Path(log.name).read_bytes()[-300:].decode("utf8", "replace").strip()
                    self.stop(p)
                    raise Failed(f"{Path(argv[0]).name} did not start: {tail or 'no output'}")
                time.sleep(0.02)
        return p

    def stop(self, p):
        """Ends p and its tree, by pid: TERM first, KILL whatever is left after a second."""
        pids = tree(p.pid)
        for sig, patience in ((signal.SIGTERM, 1.0), (signal.SIGKILL, 2.0)):
            for pid in pids:
                try:
                    os.kill(pid, sig)
                except OSError:
                    pass
            end = time.monotonic() + patience
            while time.monotonic() < end and (p.poll() is None or any(_stat(q) for q in pids - {p.pid})):
                time.sleep(0.02)
            pids = tree(p.pid) | {q for q in pids if _stat(q)}
        if p in self.procs:
            self.procs.remove(p)

    def close(self):
        for p in list(self.procs):
            self.stop(p)
        for f in shared_memory() - self.shm:    # squid, ended by signal, and libfaketime leave theirs behind
            f.unlink(missing_ok=True)
        shutil.rmtree(self.dir, ignore_errors=True)

    def tool(self, name, *args, env=None, timeout=60, preexec=None):
        """Runs one of the C programs to its end and returns its JSON line."""
        argv = [self.bin[name], *map(str, args)]
        if self.verbose:
            print("+", " ".join(argv), {k: v for k, v in (env or {}).items()})
        try:
            r = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, text=True,
                               env={**os.environ, **(env or {})}, cwd=self.dir, preexec_fn=preexec)
        except subprocess.TimeoutExpired:
            raise Failed(f"{name}: no result within {timeout} s")
        lines = [x for x in r.stdout.splitlines() if x.startswith("{")]
        if r.returncode or not lines:
            raise Failed(f"{name}: exit {r.returncode}: {(r.stderr or r.stdout).strip()[-200:]}")
        return json.loads(lines[-1])

    def hold(self, *args, env=None, patience=20):
        """Starts 'load' in a mode that prints one line and then holds; returns (Popen, its JSON)."""
        p = subprocess.Popen([self.bin["load"], *map(str, args)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, env={**os.environ, **(env or {})}, cwd=self.dir)
        watchdog = threading.Timer(patience, p.kill)
        watchdog.start()
        line = p.stdout.readline()
        while line and not line.startswith("{"):       # some shims print banners on stdout
            line = p.stdout.readline()
        watchdog.cancel()
        if not line:
            err = p.communicate()[1].strip()[-200:]
            raise Failed(err or (f"hung for {patience} s" if p.returncode == -9 else f"load exited with {p.returncode}"))
        return p, json.loads(line)

    @staticmethod
    def release(p):
        try:
            p.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            p.kill()
            p.communicate()
