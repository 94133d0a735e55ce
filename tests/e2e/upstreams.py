"""Upstream proxies of other kinds than proxies.py has: dante, squid with TLS and Digest, haproxy in front of another
proxy, mitmproxy, and scripted SOCKS and TLS servers."""

import os
import pwd
import shutil
import socket
import ssl
import struct
import subprocess

from origins import free_port
from proxies import RealProxy, Squid, find_program, pump, read_head


class Danted(RealProxy):
    """SOCKS 4 and 5. With a user it wants a login, for which dante knows only the system's accounts: it gets an
    /etc/passwd and /etc/shadow of its own, in a mount namespace of its own."""
    name = "danted"

    def prepare(self):
        method = "username" if self.user else "none"
        conf = self.write("danted.conf", f"""\
logoutput: {self.path('log')}
internal: 127.0.0.1 port = {self.port}
external: lo
clientmethod: none
socksmethod: {method}
user.privileged: root
user.unprivileged: nobody
client pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 log: error }}
socks pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 log: error connect }}
""")
        if not self.user:
            return [find_program("danted"), "-f", conf]
        hashed = subprocess.run(["openssl", "passwd", "-6", self.password], capture_output=True, text=True,
                                check=True).stdout.strip()
        with open("/etc/passwd") as file:
            self.write("passwd", file.read() + f"{self.user}:x:65500:65500::/nonexistent:/bin/false\n")
        self.write("shadow", f"{self.user}:{hashed}:20000:0:99999:7:::\n", 0o600)
        script = (f"mount --bind {self.path('passwd')} /etc/passwd && mount --bind {self.path('shadow')} /etc/shadow "
                  f"&& exec {find_program('danted')} -f {conf}")
        return ["unshare", "--mount", "sh", "-c", script]

    def socks_url(self, scheme):
        login = f"{self.user}:{self.password}@" if self.user else ""
        return f"{scheme}://{login}127.0.0.1:{self.port}"


class SquidDigest(RealProxy):
    """http_port and, with certificates, https_port; asks for Digest, and with basic=True for Basic too."""
    name = "squid"

    def __init__(self, certs=None, basic=False):
        super().__init__(user="me", password="secret")
        self.certs, self.basic, self.tls_port = certs, basic, free_port()

    def prepare(self):
        if os.geteuid() == 0:
            account = pwd.getpwnam("proxy")
            os.chown(self.directory, account.pw_uid, account.pw_gid)
        passwords = self.write("passwords", f"{self.user}:{self.password}\n")
        tls = basic = ""
        if self.certs:
            cert, key = (shutil.copy(path, self.directory) for path in (self.certs.cert, self.certs.key))
            os.chmod(key, 0o644)
            tls = f"https_port 127.0.0.1:{self.tls_port} tls-cert={cert} tls-key={key}\n"
        if self.basic:
            basic = "auth_param basic program /usr/lib/squid/basic_fake_auth\nauth_param basic realm tests\n"
        conf = self.write("squid.conf", f"""\
http_port 127.0.0.1:{self.port}
{tls}{basic}auth_param digest program /usr/lib/squid/digest_file_auth {passwords}
auth_param digest realm tests
auth_param digest children 2 startup=1 idle=1
acl known proxy_auth REQUIRED
http_access allow localhost known
http_access deny all
cache deny all
cache_mem 8 MB
pid_filename {self.path('pid')}
access_log stdio:{self.path('access.log')}
cache_log {self.path('cache.log')}
netdb_filename none
coredump_dir {self.directory}
shutdown_lifetime 0 seconds
pinger_enable off
visible_hostname localhost
max_filedescriptors 4096
""")
        return [find_program("squid"), "-N", "-f", conf]

    @property
    def tls_url(self):
        return f"https://{self.user}:{self.password}@localhost:{self.tls_port}"

    def answers(self):
        """The statuses in squid's log, in order."""
        with open(self.path("access.log")) as file:
            return [int(line.split()[3].partition("/")[2]) for line in file if "CONNECT" in line]


class Haproxy(RealProxy):
    """Ends TLS and passes the rest to another proxy's port: how an https:// proxy is often made."""
    name = "haproxy"

    def __init__(self, behind, certs):
        super().__init__()
        self.behind, self.certs = behind, certs

    @property
    def tls_url(self):
        return f"https://localhost:{self.port}"

    def prepare(self):
        pem = self.write("tls.pem", self.certs.cert.read_text() + self.certs.key.read_text(), 0o600)
        conf = self.write("haproxy.cfg", f"""\
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend tls
    bind 127.0.0.1:{self.port} ssl crt {pem} alpn http/1.1
    default_backend proxy
backend proxy
    server one 127.0.0.1:{self.behind}
""")
        return [find_program("haproxy"), "-db", "-f", conf]


class Mitmproxy(RealProxy):
    """mitmdump with an addon that writes a line for each request and each response that its hooks see."""
    name = "mitmproxy"

    def __init__(self, trusts):
        super().__init__()
        self.trusts = trusts

    def prepare(self):
        os.chmod(self.directory, 0o755)  # its CA is for the clients
        addon = self.write("hooks.py", f"""\
def note(kind, flow, *more):
    with open({self.path('seen')!r}, "a") as file:
        print(kind, flow.request.method, flow.request.pretty_url, *more, file=file)

def request(flow):
    note("request", flow)

def response(flow):
    note("response", flow, flow.response.status_code)
""")
        self.write("seen", "")
        return [find_program("mitmdump"), "--quiet", "--listen-host", "127.0.0.1", "-p", str(self.port),
                "--set", f"confdir={self.directory}", "--set", f"ssl_verify_upstream_trusted_ca={self.trusts}",
                "-s", addon]

    @property
    def ca(self):
        return self.path("mitmproxy-ca-cert.pem")

    def seen(self):
        with open(self.path("seen")) as file:
            return [line.split() for line in file]


# ---- scripted

def exactly(connection, length):
    data = b""
    while len(data) < length:
        piece = connection.recv(length - len(data))
        if not piece:
            raise ConnectionError(f"{data!r} and no more")
        data += piece
    return data


def socks_script(login=None, code=0, bound=b"\x01\x00\x00\x00\x00\x00\x00", pause=None, garbage=None, then=b""):
    """A SOCKS5 server for ScriptedProxy. code: its reply; bound: ATYP, address and port in it; garbage: sent instead
    of the reply; pause: seconds between bytes; then: sent in the packet of the reply. proxy.heads gets the requests."""
    def say(client, data):
        if pause is None:
            client.sendall(data)
            return
        for byte in data:
            client.sendall(bytes([byte]))
            proxy_wait(pause)

    def script(client, _, proxy):
        version, count = exactly(client, 2)
        assert version == 5
        methods = exactly(client, count)
        if login:
            if 2 not in methods:
                say(client, b"\x05\xff")
                client.recv(1)
                return
            say(client, b"\x05\x02")
            _, length = exactly(client, 2)
            user = exactly(client, length)
            password = exactly(client, exactly(client, 1)[0])
            right = f"{user.decode()}:{password.decode()}" == login
            say(client, b"\x01\x00" if right else b"\x01\x01")
            if not right:
                return
        else:
            say(client, b"\x05\x00")
        head = exactly(client, 4)
        if head[3] == 3:
            host = exactly(client, exactly(client, 1)[0]).decode()
        else:
            host = socket.inet_ntop(socket.AF_INET if head[3] == 1 else socket.AF_INET6,
                                    exactly(client, 4 if head[3] == 1 else 16))
        port, = struct.unpack("!H", exactly(client, 2))
        proxy.heads.append((host, port))
        if garbage is not None:
            say(client, garbage)
            return
        say(client, bytes([5, code, 0]) + bound + then)
        if code == 0:
            server = socket.create_connection((host, port), timeout=10)
            server.settimeout(None)
            pump(client, server)
    script.blind = True
    return script


def proxy_wait(seconds):
    import time
    time.sleep(seconds)


def tls_script(certs, script):
    """script, behind TLS. The head is read inside."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certs.cert, certs.key)

    def inside(client, _, proxy):
        with context.wrap_socket(client, server_side=True) as secure:
            proxy.heads.append(read_head(secure))
            script(secure, proxy.heads[-1], proxy)
    inside.blind = True
    return inside


def squid_basic(**options):
    return Squid(user="me", password="secret", **options)
