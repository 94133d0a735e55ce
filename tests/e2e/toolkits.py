"""Sample projects for clients beyond Python and npm: what git, cargo, Go, apt and Java fetch from the local index's
directory tree, and the variables and options that lead them there. Used by test_relay_clients.py."""

import gzip
import hashlib
import io
import json
import lzma
import shutil
import subprocess
import tarfile
import zipfile

import runner

FILE = b"what the client is to fetch\n" * 1000


def program(name):
    path = shutil.which(name, path=runner.PATH + ":/usr/sbin:/sbin")
    assert path, f"{name} is not on the path of the tests: install the packages of contrib/packages"
    return path


def tar(files):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
    return raw.getvalue()


# -- cargo: a registry whose index is a git repository, which all versions of cargo read

CRATE = {"Cargo.toml": b'[package]\nname = "twig"\nversion = "1.0.0"\n', "src/lib.rs": b"pub const N: u32 = 1;\n"}


def crate():
    return gzip.compress(tar({f"twig-1.0.0/{name}": data for name, data in CRATE.items()}), mtime=0)


def cargo_registry(url):
    """The index's files."""
    entry = {"name": "twig", "vers": "1.0.0", "deps": [], "cksum": hashlib.sha256(crate()).hexdigest(), "features": {},
             "yanked": False, "links": None}
    return {"config.json": json.dumps({"dl": url + "/tree/crates/{crate}-{version}.crate"}).encode(),
            "tw/ig/twig": json.dumps(entry).encode() + b"\n"}


def cargo_project(sandbox, url):
    make = sandbox.user.make_file
    make(sandbox.work / "Cargo.toml", '[package]\nname = "demo"\nversion = "0.1.0"\n'
                                      '[dependencies]\ntwig = { version = "1", registry = "local" }\n')
    make(sandbox.work / "src/main.rs", "fn main() {}\n")
    make(sandbox.work / ".cargo/config.toml", f'[registries.local]\nindex = "{url}/git/crates.git"\n')


# -- Go: a module proxy is a tree of files

def go_tree(root):
    module = "index.example/twig"
    root = root / "go" / module / "@v"
    root.mkdir(parents=True)
    files = {"go.mod": f"module {module}\n".encode(), "twig.go": b"package twig\n"}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in files.items():
            archive.writestr(f"{module}@v1.0.0/{name}", data)
    (root / "list").write_text("v1.0.0\n")
    (root / "v1.0.0.info").write_text('{"Version": "v1.0.0", "Time": "2024-01-01T00:00:00Z"}')
    (root / "v1.0.0.mod").write_bytes(files["go.mod"])
    (root / "v1.0.0.zip").write_bytes(packed.getvalue())


def go_project(sandbox):
    sandbox.user.make_file(sandbox.work / "go.mod", "module demo\ngo 1.19\nrequire index.example/twig v1.0.0\n")
    sandbox.user.make_file(sandbox.work / "main.go", 'package main\nimport _ "index.example/twig"\nfunc main() {}\n')


def go_env(url, ca):
    return {**runner.trust(ca), "GOPROXY": f"{url}/tree/go", "GONOSUMDB": "*", "GOSUMDB": "off", "GOFLAGS": "-mod=mod -modcacherw",
            "GOTOOLCHAIN": "local"}


# -- apt: a repository without a signature

def ar(files):
    out = b"!<arch>\n"
    for name, data in files.items():
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)
    return out


def apt_tree(root):
    control = ("Package: twig\nVersion: 1.0\nArchitecture: all\nMaintainer: Tests <tests@index.example>\n"
               "Description: a test package\n")
    deb = ar({"debian-binary": b"2.0\n", "control.tar.xz": lzma.compress(tar({"./control": control.encode()})),
              "data.tar.xz": lzma.compress(tar({"./usr/share/twig/file": FILE}))})
    (root / "apt").mkdir()
    (root / "apt/twig_1.0_all.deb").write_bytes(deb)
    (root / "apt/Packages").write_text(f"{control}Filename: ./twig_1.0_all.deb\nSize: {len(deb)}\n"
                                       f"SHA256: {hashlib.sha256(deb).hexdigest()}\n")


def apt_options(sandbox, index):
    """Everything that apt touches is in the sandbox."""
    root = sandbox.work / "apt"
    for name in ("state/lists/partial", "cache/archives/partial", "etc", "log"):
        sandbox.user.make_dir(root / name)
    sandbox.user.make_file(root / "etc/sources.list", f"deb [trusted=yes] {index.url}/tree/apt ./\n")
    sandbox.user.make_file(root / "state/status", "")
    options = {"Dir::State": root / "state", "Dir::State::status": root / "state/status", "Dir::Cache": root / "cache",
               "Dir::Etc": root / "etc", "Dir::Etc::SourceList": root / "etc/sources.list", "Dir::Etc::SourceParts": "/dev/null",
               "Dir::Etc::Parts": "/dev/null", "Dir::Log": root / "log", "APT::Sandbox::User": "", "Acquire::Languages": "none",
               "Acquire::https::CaInfo": index.ca or "/dev/null", "Acquire::Retries": "0"}
    return [part for name, value in options.items() for part in ("-o", f"{name}={value}")]


# -- Java

FETCH_JAVA = """
import java.net.*;
import java.net.http.*;

public class Fetch {
    public static void main(String[] arguments) throws Exception {
        HttpClient client = HttpClient.newBuilder().proxy(ProxySelector.getDefault()).build();
        HttpRequest request = HttpRequest.newBuilder(URI.create(arguments[0])).build();
        System.out.print(client.send(request, HttpResponse.BodyHandlers.ofString()).body());
    }
}
"""


def java_trust(sandbox, ca):
    """A trust store that holds ca alone."""
    store = sandbox.work / "trust.p12"
    done = sandbox.run([program("keytool"), "-importcert", "-noprompt", "-alias", "tests", "-file", ca, "-keystore", store,
                        "-storetype", "PKCS12", "-storepass", "changeit"])
    assert done.returncode == 0, done
    return [f"-Djavax.net.ssl.trustStore={store}", "-Djavax.net.ssl.trustStorePassword=changeit"]


# -- ssh

def ssh_server(directory, user, port):
    """The command of an sshd for user on loopback, which serves files and nothing else; keys are made for it."""
    user.make_dir(directory)
    for name in ("host", "client"):
        subprocess.run([program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", directory / name], check=True,
                       stdin=subprocess.DEVNULL, timeout=60)
        user.own(directory / name)
    user.make_file(directory / "authorized", (directory / "client.pub").read_bytes())
    host = (directory / "host.pub").read_text().split()
    user.make_file(directory / "known", f"[127.0.0.1]:{port} {host[0]} {host[1]}\n")
    user.make_file(directory / "file", FILE * 100)
    user.make_file(directory / "sshd.conf", f"""\
ListenAddress 127.0.0.1:{port}
HostKey {directory}/host
AuthorizedKeysFile {directory}/authorized
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM yes
StrictModes no
PidFile none
Subsystem sftp internal-sftp
ForceCommand internal-sftp
""")
    return [program("sshd"), "-D", "-e", "-f", directory / "sshd.conf"]


def ssh_options(directory, user, port):
    return ["-F", "none", "-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={directory}/known", "-o", "StrictHostKeyChecking=yes",
            "-o", "GlobalKnownHostsFile=/dev/null", "-o", "IdentitiesOnly=yes", "-i", directory / "client", "-P", port,
            "-o", f"User={user.name}"]
