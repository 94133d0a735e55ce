"""TLS origins with something wrong about their certificates, each with its name and what OpenSSL says of it."""

import ssl
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from origins import free_port, wait_listening

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / name) for name in ("index", "clients_table")]
import registries  # noqa: E402
from index import Index  # noqa: E402

EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
CA = "basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n"
LEAF = ("basicConstraints=critical,CA:false\nkeyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=serverAuth\n"
        "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\nsubjectAltName={}\n")

# The origin staples an OCSP answer that says so: of weight for those clients only that ask for one.
REVOKED = "revoked"

# case -> the verdict that the record has to hold; None: nothing is wrong
VERDICTS = {
    "good": None,
    "good-chain": None,
    "lax": None,  # OpenSSL does not mind, but for clients that are strict
    "expired": "certificate has expired",
    "not-yet": "certificate is not yet valid",
    "wrong-name": "hostname mismatch",
    "self-signed": "self-signed certificate",
    "unknown-root": "self-signed certificate in certificate chain",
    "incomplete-chain": "unable to get local issuer certificate",
    "weak-key": "EE certificate key too weak",
    "weak-digest": "CA signature digest algorithm too weak",
    REVOKED: "certificate revoked",
}


def openssl(*args):
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True, timeout=60, stdin=subprocess.DEVNULL)


class Shown(NamedTuple):
    """Paths: the root to trust, what an origin shows (leaf first), and the leaf's key."""
    ca: Path
    cert: Path
    key: Path


class Authority:
    """Root, intermediate and leafs below a directory; root is the file that clients are told to trust."""

    def __init__(self, directory):
        directory.mkdir(mode=0o755)
        self.dir, self.root = directory, directory / "root.pem"
        self.self_signed("root", CA)
        self.self_signed("stranger", CA)
        self.signed("middle", "root", CA)

    def self_signed(self, name, extensions, *more):
        (self.dir / f"{name}.cnf").write_text(f"[req]\ndistinguished_name=dn\nx509_extensions=x\nprompt=no\n[dn]\nCN={name}\n[x]\n{extensions}")
        openssl("req", "-x509", "-config", self.dir / f"{name}.cnf", "-days", 20, *EC, "-keyout", self.dir / f"{name}.key",
                "-out", self.dir / f"{name}.pem", *more)
        (self.dir / f"{name}.pem").chmod(0o644)

    def signed(self, name, by, extensions, key=EC, dates=("-days", 10), digest="-sha256"):
        openssl("req", "-new", "-subj", f"/CN={name}", *key, "-keyout", self.dir / f"{name}.key", "-out", self.dir / "csr")
        (self.dir / "ext").write_text("[x]\n" + extensions)
        (self.dir / "index").write_text("")
        (self.dir / "ca.cnf").write_text(
            f"[ca]\ndefault_ca=d\n[d]\ndatabase={self.dir}/index\nnew_certs_dir={self.dir}\nrand_serial=yes\npolicy=p\n"
            "default_md=sha256\n[p]\ncommonName=supplied\n")
        openssl("ca", "-batch", "-notext", "-config", self.dir / "ca.cnf", "-cert", self.dir / f"{by}.pem", "-keyfile",
                self.dir / f"{by}.key", "-in", self.dir / "csr", "-extfile", self.dir / "ext", "-extensions", "x", *dates,
                "-md", digest[1:], "-out", self.dir / f"{name}.pem")

    def chain(self, case):
        """Make what the origin of this case shows. Returns Shown."""
        leaf, extra, more = LEAF.format("DNS:localhost,DNS:index.example"), [], {}
        by = "root"
        if case == "self-signed":
            self.self_signed(case, leaf)
        elif case == "good-chain" or case == "incomplete-chain":
            by, extra = "middle", ["middle"] if case == "good-chain" else []
        elif case == "unknown-root":
            by, extra = "stranger", ["stranger"]
        elif case == "expired":
            more["dates"] = ("-startdate", "20200101000000Z", "-enddate", "20210101000000Z")
        elif case == "not-yet":
            more["dates"] = ("-startdate", "20900101000000Z", "-enddate", "20910101000000Z")
        elif case == "wrong-name":
            leaf = LEAF.format("DNS:other.example")
        elif case == "lax":
            leaf = leaf.replace("authorityKeyIdentifier=keyid\n", "authorityKeyIdentifier=none\n")
        elif case == "weak-key":
            more["key"] = ["-newkey", "rsa:1024", "-nodes"]
        elif case == "weak-digest":
            more["digest"] = "-sha1"
        if case != "self-signed":
            self.signed(case, by, leaf, **more)
        chain = self.dir / f"{case}-chain.pem"
        chain.write_text("".join((self.dir / f"{name}.pem").read_text() for name in [case, *extra]))
        return Shown(self.root, chain, self.dir / f"{case}.key")

    def revoked(self, case):
        """The OCSP answer of the root that the certificate of this case is revoked, as a file in DER."""
        serial = subprocess.run(["openssl", "x509", "-in", self.dir / f"{case}.pem", "-noout", "-serial"], check=True,
                                capture_output=True, text=True, timeout=60).stdout.strip().partition("=")[2]
        index, asked, answer = (self.dir / f"{case}.{name}" for name in ("index", "request", "answer"))
        index.write_text(f"R\t350101000000Z\t250101000000Z\t{serial}\tunknown\t/CN={case}\n")
        openssl("ocsp", "-issuer", self.root, "-cert", self.dir / f"{case}.pem", "-no_nonce", "-reqout", asked)
        openssl("ocsp", "-index", index, "-rsigner", self.root, "-rkey", self.dir / "root.key", "-CA", self.root, "-ndays", 5,
                "-reqin", asked, "-respout", answer)
        return answer


def start(authority, case):
    """The origin of this case, to be entered; it has a url and a port."""
    return StaplingOrigin(authority, case) if case == REVOKED else BadOrigin(authority, case)


class BadOrigin(Index):
    """The test index, with a start page of two bytes and Cargo's registry, for who comes so far."""

    def __init__(self, authority, case):
        super().__init__(authority.dir / f"{case}-index", authority.chain(case))
        self.files = {"/": b"ok", **registries.cargo(self.url)}

    def _context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.load_cert_chain(self.certs.cert, self.certs.key)
        return context


class StaplingOrigin:
    """openssl s_server, for what Python's ssl module does not do."""

    def __init__(self, authority, case):
        shown = authority.chain(case)
        self.port = free_port()
        self.url = f"https://localhost:{self.port}"
        self.argv = ["openssl", "s_server", "-quiet", "-www", "-accept", f"127.0.0.1:{self.port}", "-cert", shown.cert, "-key", shown.key,
                     "-status_file", authority.revoked(case)]

    def __enter__(self):
        self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_listening(self.port, self.process)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
