"""The drivers: one small class per peer, saying how to start it and how a client gets through it.

A Relay carries connections: `command()` is how to start it listening on self.addr, `via` is how the
client reaches the origin through it (connect = HTTP CONNECT, socks5, redirect = dial the relay).
An Inspector is a Relay that terminates TLS. A Shim is a preload library: `env()` is what to put in the
client's environment so that it goes through the given relay. To add one, write a class here and name it
in TUNNEL, INSPECT, PRELOAD, SHIMS or INSPECT_SHIMS at the end.
"""
import os
import subprocess
import time

from lab import BUILD, FAKE_IP, Failed, find_lib, which


class Relay:
    name, needs, via, inspects = "", (), "connect", False

    def __init__(self, lab):
        self.lab, self.addr, self.proc = lab, lab.address(), None
        self.port = self.addr.split(":")[1]
        self.program = which(*self.needs) if self.needs else None
        if self.needs and not self.program:
            raise Failed(f"{self.needs[0]} is not installed")

    def target(self):
        return self.lab.origin

    def command(self):
        raise NotImplementedError

    def start(self):
        self.proc = self.lab.start(self.command(), self.addr)

    def stop(self):
        if self.proc:
            self.lab.stop(self.proc)


class Inspector(Relay):
    inspects = True

    def target(self):
        return self.lab.tls_origin


# ---- the reference: what plain C does here -------------------------------------------------------

class RefCopy(Relay):
    name, mode, fixed = "ref-copy", "copy", False

    def command(self):
        return [self.lab.bin["relay"], self.mode, self.addr] + ([self.lab.origin] if self.fixed else [])


class RefSplice(RefCopy):
    name, mode = "ref-splice", "splice"


class RefRedirect(RefCopy):
    """The same without a handshake: the floor for haproxy and socat, which save that round trip."""
    name, via, fixed = "ref-redirect", "redirect", True


class RefAsked(RefRedirect):
    """The same, but asked beforehand, and dials before it answers: the floor for a connect() that does not succeed early."""
    name = "ref-asked"

    def __init__(self, lab):
        super().__init__(lab)
        self.socket = lab.path(f"asked-{self.port}.sock")

    def command(self):
        return [*super().command(), self.socket]


class RefSocks(RefCopy):
    """The same, for SOCKS5 clients; sends every tunnel to the origin, whatever address was asked for."""
    name, via, fixed = "ref-socks", "socks5", True


class RefMitm(Inspector):
    name = "ref-mitm"

    def command(self):
        p = self.lab.path
        return [self.lab.bin["refmitm"], p("ready.pem"), p("ready.key"), p("origin-ca.pem"), self.addr,
                self.lab.tls_origin]


# ---- tapline ---------------------------------------------------------------------------------------

class Tapline(Relay):
    """One relay with a port for explicit clients and a control socket for preloaded ones."""
    name, options = "tapline", ()

    def __init__(self, lab):
        super().__init__(lab)
        self.program, self.lib = BUILD / "tapline", BUILD / "libtapline.so"
        for file in (self.program, self.lib):
            if not file.exists():
                raise Failed(f"{file} is not built")
        self.socket = lab.path(f"tapline-{self.port}.sock")

    def environment(self):
        # Its own home, and no proxy that this shell may have.
        names = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
        return {"XDG_CONFIG_HOME": self.lab.path("none"), **{n: "" for n in names}, **{n.upper(): "" for n in names}}

    def command(self):
        return [self.program, "relay", "--listen", self.addr, "--socket", self.socket, "--quiet", *self.options]

    def start(self):
        self.proc = self.lab.start(self.command(), self.addr, env=self.environment())


class TaplineRecord(Tapline):
    """The same with a record on disk: what 'tapline run' costs beyond the way."""
    name = "tapline+record"

    def command(self):
        return [*super().command(), "--record", self.lab.path(f"record-{self.port}.jsonl")]


class TaplineInspect(Tapline, Inspector):
    name = "tapline-inspect"

    def command(self):
        return [*super().command(), "--inspect=always", "--ca-out", self.lab.path(f"ca-{self.port}.pem")]

    def environment(self):
        return {**super().environment(), "SSL_CERT_FILE": self.lab.path("origin-ca.pem")}

    def start(self):
        super().start()
        # The clients trust the inspecting CAs of this file; this one did not exist before.
        with open(self.lab.path("mitm-cas.pem"), "a") as trusted, open(self.lab.path(f"ca-{self.port}.pem")) as ca:
            trusted.write(ca.read())


# ---- tunnels: HTTP CONNECT, SOCKS5, plain TCP forwarding ----------------------------------------------

class Tinyproxy(Relay):
    name, needs = "tinyproxy", ("tinyproxy",)

    def command(self):
        conf = self.lab.write(f"tinyproxy-{self.port}.conf", f"""
Port {self.port}
Listen 127.0.0.1
Allow 127.0.0.0/8
Timeout 600
MaxClients {self.lab.most_tunnels + 100}
LogLevel Critical
LogFile "{self.lab.path(f'tinyproxy-{self.port}.log')}"
""")
        return [self.program, "-d", "-c", conf]


class Squid(Relay):
    name, needs, port_options = "squid", ("squid",), ""

    def command(self):
        run = self.lab.path(f"squid-{self.port}")
        os.mkdir(run)
        extra = self.extra(run)
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", "proxy", run], check=True)
        conf = self.lab.write(f"squid-{self.port}.conf", f"""
http_port 127.0.0.1:{self.port} {self.port_options}
http_access allow all
cache deny all
access_log none
cache_log {run}/cache.log
cache_store_log none
pid_filename none
coredump_dir {run}
pinger_enable off
dns_nameservers 127.0.0.1
shutdown_lifetime 0 seconds
max_filedescriptors {self.lab.nofile}
visible_hostname bench
{extra}
""")
        return [self.program, "-N", "-n", f"bench{self.port}", "-f", conf]      # -n names its shared memory

    def extra(self, run):
        return ""


class Haproxy(Relay):
    name, needs, via = "haproxy", ("haproxy",), "redirect"
    extra, share = "", 1.0      # share of the tunnels its descriptors allow

    def command(self):
        conf = self.lab.write(f"haproxy-{self.port}.cfg", f"""
global
    maxconn {int(self.lab.most_tunnels * self.share)}
defaults
    mode tcp
    {self.extra}
    timeout connect 5s
    timeout client 10m
    timeout server 10m
frontend in
    bind 127.0.0.1:{self.port}
    default_backend out
backend out
    server origin {self.lab.origin}
""")
        return [self.program, "-db", "-f", conf]


class HaproxySplice(Haproxy):
    name, extra, share = "haproxy-splice", "option splice-response", 0.78    # it reserves pipes as well


class Socat(Relay):
    name, needs, via = "socat", ("socat",), "redirect"

    def command(self):
        return [self.program, f"TCP-LISTEN:{self.port},bind=127.0.0.1,fork,reuseaddr,backlog=4096",
                f"TCP:{self.lab.origin}"]


class Dante(Relay):
    name, needs, via = "dante", ("danted", "sockd"), "socks5"

    def command(self):
        conf = self.lab.write(f"dante-{self.port}.conf", f"""
errorlog: {self.lab.path(f'dante-{self.port}.log')}
internal: 127.0.0.1 port = {self.port}
external: 127.0.0.1
clientmethod: none
socksmethod: none
client pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}
socks pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}
""")
        return [self.program, "-f", conf, "-p", self.lab.path(f"dante-{self.port}.pid")]


class Microsocks(Relay):
    name, needs, via = "microsocks", ("microsocks",), "socks5"

    def command(self):
        return [self.program, "-i", "127.0.0.1", "-p", self.port]


# ---- TLS inspection ------------------------------------------------------------------------------------

class Mitmproxy(Inspector):
    """mitmdump, quiet, bodies over 64 KiB streamed (the default would buffer whole bodies)."""
    name, needs = "mitmproxy", ("mitmdump",)

    def command(self):
        conf = self.lab.path(f"mitm-{self.port}")
        os.mkdir(conf)
        with open(self.lab.path("mitm-rsa-both.pem")) as src, open(f"{conf}/mitmproxy-ca.pem", "w") as dst:
            dst.write(src.read())
        options = {"confdir": conf, "flow_detail": 0, "stream_large_bodies": "64k",
                   "ssl_verify_upstream_trusted_ca": self.lab.path("origin-ca.pem")}
        return [self.program, "-q", "--listen-host", "127.0.0.1", "-p", self.port,
                *(x for k, v in options.items() for x in ("--set", f"{k}={v}"))]


class Sslsplit(Inspector):
    """Fixed-address forwarding; 'ssl', as its 'https' turns every keep-alive into Connection: close."""
    name, needs, via, ca, leaf = "sslsplit", ("sslsplit",), "redirect", "mitm-rsa", None

    def command(self):
        p = self.lab.path
        ip, port = self.lab.tls_origin.split(":")
        return [self.program, "-k", p(f"{self.ca}.key"), "-c", p(f"{self.ca}.pem"),
                *(["-K", p(self.leaf)] if self.leaf else []), "ssl", "127.0.0.1", self.port, ip, port]


class SslsplitEc(Sslsplit):
    name, ca, leaf = "sslsplit-ec", "mitm-ec", "leaf-ec.key"


class SquidBump(Squid, Inspector):
    name, ca = "squid-bump", "mitm-rsa"

    def extra(self, run):
        helper = find_lib("squid/security_file_certgen")
        if not helper:
            raise Failed("squid has no security_file_certgen (install squid-openssl)")
        subprocess.run([helper, "-c", "-s", f"{run}/db", "-M", "4MB"], check=True, stdout=subprocess.DEVNULL)
        self.port_options = (f"ssl-bump tls-cert={self.lab.path(self.ca + '-both.pem')} "
                             "generate-host-certificates=on dynamic_cert_mem_cache_size=4MB")
        return f"""
sslcrtd_program {helper} -s {run}/db -M 4MB
sslcrtd_children 4 startup=2 idle=1
acl step1 at_step SslBump1
ssl_bump peek step1
ssl_bump bump all
tls_outgoing_options cafile={self.lab.path('origin-ca.pem')}
"""


class SquidBumpEc(SquidBump):
    name, ca = "squid-bump-ec", "mitm-ec"


# ---- preload libraries -----------------------------------------------------------------------------------

class Shim:
    name, lib = "", ""
    speaks = ("connect", "socks5")      # what it can talk to a relay
    target_ip = None                    # an address to aim at instead, if it leaves loopback alone
    by_port = False                     # the origin sees the client's own address: tell by the port

    def __init__(self, lab):
        self.lab, self.proc = lab, None
        self.path = find_lib(self.lib)
        if not self.path:
            raise Failed(f"{self.lib} is not installed")

    def env(self, relay):
        """Environment for a client that shall go through relay (None: only loaded, nothing proxied)."""
        return {"LD_PRELOAD": self.path}

    def start(self):
        pass

    def stop(self):
        if self.proc:
            self.lab.stop(self.proc)


class Null(Shim):
    """One of ours, from c/: the least that a preload library does."""
    name, lib, speaks = "null", "nullshim.so", ()

    def __init__(self, lab):
        self.lab, self.proc, self.path = lab, None, lab.bin[self.lib.removesuffix(".so")]


class HelloShim(Null):
    """The same, and says to the relay that a program has started."""
    name, lib = "helloshim", "helloshim.so"

    def env(self, relay):
        return {"LD_PRELOAD": self.path, "HELLO_SOCKET": f"{relay.socket}-hello"}


class AskShim(Null):
    """Asks ref-asked, and nothing else."""
    name, lib = "askshim", "askshim.so"

    def env(self, relay):
        return {"LD_PRELOAD": self.path, "ASK_SOCKET": relay.socket, "ASK_RELAY": relay.addr}


class TaplineShim(Shim):
    """Sends the client to the relay's control socket."""
    name, by_port = "libtapline", True

    def __init__(self, lab):
        self.lab, self.proc, self.path = lab, None, str(BUILD / "libtapline.so")

    def env(self, relay):
        return {"LD_PRELOAD": self.path, "TAPLINE_BYPASS": "none",
                "TAPLINE_SOCKET": str(relay.socket) if relay else self.lab.path("nobody.sock")}


class Proxychains4(Shim):
    name, lib = "proxychains4", "libproxychains.so.4"

    def env(self, relay):
        kind = "socks5" if relay and relay.via == "socks5" else "http"
        port = relay.port if relay else 9
        conf = self.lab.write(f"proxychains-{port}.conf", f"strict_chain\nquiet_mode\ntcp_read_time_out 8000\n"
                              f"tcp_connect_time_out 8000\n[ProxyList]\n{kind} 127.0.0.1 {port}\n")
        return {"LD_PRELOAD": self.path, "PROXYCHAINS_CONF_FILE": conf, "PROXYCHAINS_QUIET_MODE": "1"}


class Torsocks(Shim):
    name, lib, speaks, target_ip = "torsocks", "torsocks/libtorsocks.so", ("socks5",), FAKE_IP

    def env(self, relay):
        port = relay.port if relay else 9
        conf = self.lab.write(f"torsocks-{port}.conf", f"TorAddress 127.0.0.1\nTorPort {port}\n"
                              "OnionAddrRange 127.42.42.0/24\n")
        return {"LD_PRELOAD": self.path, "TORSOCKS_CONF_FILE": conf, "TORSOCKS_LOG_LEVEL": "1"}


class Tsocks(Shim):
    name, lib, speaks, target_ip = "tsocks", "libtsocks.so", ("socks5",), FAKE_IP

    def env(self, relay):
        port = relay.port if relay else 9
        conf = self.lab.write(f"tsocks-{port}.conf", f"local = 127.0.0.0/255.0.0.0\nserver = 127.0.0.1\n"
                              f"server_port = {port}\nserver_type = 5\n")
        return {"LD_PRELOAD": self.path, "TSOCKS_CONF_FILE": conf}


class Faketime(Shim):
    name, lib, speaks = "faketime", "faketime/libfaketime.so.1", ()

    def env(self, relay):
        return {"LD_PRELOAD": self.path, "FAKETIME": "+0", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


class Fakeroot(Shim):
    """With its daemon; run as nobody when we are root, because 'openbench' becomes nobody."""
    name, lib, speaks = "fakeroot", "libfakeroot/libfakeroot-sysv.so", ()

    def start(self):
        faked = which("faked-sysv")
        if not faked:
            raise Failed("faked-sysv is not installed")
        self.proc = self.lab.start([faked, "--foreground"], user=65534 if os.geteuid() == 0 else None)
        for _ in range(100):
            self.key, colon, _pid = open(self.proc.log).read().partition(":")
            if colon:
                return
            time.sleep(0.02)
        raise Failed("faked-sysv printed no key")

    def env(self, relay):
        return {"LD_PRELOAD": self.path, "FAKEROOTKEY": self.key}


class SocketWrapper(Shim):
    name, lib, speaks = "socket_wrapper", "libsocket_wrapper.so", ()

    def env(self, relay):
        d = self.lab.path("swrap")
        os.makedirs(d, exist_ok=True)
        os.chmod(d, 0o777)
        return {"LD_PRELOAD": self.path, "SOCKET_WRAPPER_DIR": d}


# ---- what the subcommands measure ------------------------------------------------------------------------

TUNNEL = [Tapline, TaplineRecord, RefCopy, RefSplice, RefRedirect, RefSocks, Tinyproxy, Squid, Haproxy,
          HaproxySplice, Socat, Dante, Microsocks]
INSPECT = [TaplineInspect, RefMitm, Mitmproxy, Sslsplit, SslsplitEc, SquidBump, SquidBumpEc]
PRELOAD = [TaplineShim, Null, HelloShim, Proxychains4, Torsocks, Tsocks, Faketime, Fakeroot, SocketWrapper]

# (shim, relay): the shim in the client, the relay behind it
SHIMS = [(TaplineShim, Tapline), (AskShim, RefAsked), (Proxychains4, RefCopy), (Proxychains4, RefSocks),
         (Torsocks, RefSocks), (Tsocks, RefSocks), (Proxychains4, Tinyproxy), (Proxychains4, Squid)]

# the same for TLS inspection; a shim with no relay shows what hooking SSL_read and SSL_write costs
# Without inspection TLS goes through tapline as it is, and the library in the client taps it.
INSPECT_SHIMS = [(Null, None), (TaplineShim, None), (None, Tapline), (TaplineShim, Tapline),
                 (TaplineShim, TaplineInspect), (Proxychains4, Mitmproxy)]
