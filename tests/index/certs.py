"""Certificates for the local index: one CA and one leaf, made with the openssl command.

The leaf names localhost, 127.0.0.1, ::1 and index.example. Both certificates carry key identifiers, without
which Python 3.13 (VERIFY_X509_STRICT) refuses them. Used by index.py and by the fixtures in tests/e2e.
"""
import subprocess
from pathlib import Path

NAMES = "DNS:localhost,DNS:index.example,IP:127.0.0.1,IP:::1"

CA_EXTENSIONS = """[req]
distinguished_name=dn
x509_extensions=ca
prompt=no
[dn]
CN=tapline test CA
[ca]
basicConstraints=critical,CA:true,pathlen:0
keyUsage=critical,keyCertSign,cRLSign
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid:always
"""

LEAF_EXTENSIONS = f"""basicConstraints=critical,CA:false
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid:always
subjectAltName={NAMES}
"""


class Certs:
    """Paths of what make() wrote: ca, cert (leaf, then CA) and key, all PEM."""

    def __init__(self, directory):
        self.dir = Path(directory)
        self.ca = self.dir / "ca.pem"
        self.cert = self.dir / "leaf.pem"
        self.key = self.dir / "leaf.key"


def _openssl(*args):
    done = subprocess.run(["openssl", *map(str, args)], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    if done.returncode:
        raise RuntimeError(f"openssl {args[0]} failed:\n{done.stdout}")


def make(directory, days=30):
    """Write a fresh CA and leaf into directory and return their Certs. The CA's key is removed."""
    certs = Certs(directory)
    certs.dir.mkdir(parents=True, exist_ok=True)
    ca_key, request = certs.dir / "ca.key", certs.dir / "leaf.csr"
    ca_conf, leaf_conf = certs.dir / "ca.cnf", certs.dir / "leaf.cnf"
    ca_conf.write_text(CA_EXTENSIONS)
    leaf_conf.write_text(LEAF_EXTENSIONS)
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    _openssl("req", "-x509", "-config", ca_conf, "-days", days, *new_key, "-keyout", ca_key, "-out", certs.ca)
    _openssl("req", "-new", "-config", ca_conf, "-subj", "/CN=localhost", *new_key,
             "-keyout", certs.key, "-out", request)
    _openssl("x509", "-req", "-in", request, "-days", days, "-CA", certs.ca, "-CAkey", ca_key,
             "-set_serial", "0x7a91", "-extfile", leaf_conf, "-out", certs.cert)
    certs.cert.write_text(certs.cert.read_text() + certs.ca.read_text())
    for scrap in (ca_key, request, ca_conf, leaf_conf):
        scrap.unlink()
    certs.ca.chmod(0o644)
    certs.cert.chmod(0o644)
    certs.key.chmod(0o600)
    return certs
