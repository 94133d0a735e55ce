"""Clients of every kind of TLS, each told by its user's own knob to trust one more root. visit(client, place) gives a Visit
that asks for each URL in turn and prints a line per URL: "0" or another exit status, and the client's last words.

Kinds of TLS: OpenSSL in a shared library (curl, Python), and inside the program (Node, rustup's cargo); GnuTLS (wget, git, apt,
Debian's cargo); rustls (uv); Go's own; Java's own. Strict is what CPython demands from 3.13 on.
"""

import shutil
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import runner
import toolkits
import venvs

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "clients_table"))
import clients  # noqa: E402

CLIENTS = {}  # name -> function


@dataclass
class Place:
    sandbox: object
    root: Path     # the root to trust
    urls: list     # with localhost as their host, and no path
    proxy: str     # a proxy that leads every name to loopback


@dataclass
class Visit:
    argv: list
    env: dict = field(default_factory=dict)
    mounts: str = None


def client(name):
    def add(function):
        CLIENTS[name] = function
        return function
    return add


def _each(place, command, env=None, words="tail -n 1", before=":"):
    """A shell that runs command once per URL ($u), and before once. words picks the line that tells."""
    script = (f"{before}\nfor u; do said=$({{ {command}; }} 2>&1 </dev/null); status=$?; "
              f"printf '%s %s\\n' $status \"$(printf '%s\\n' \"$said\" | {words})\"; done")
    return Visit(["sh", "-c", script, "sh", *place.urls], env or {})


@client("curl")
def curl(place):
    return _each(place, 'curl -sS --max-time 20 "$u"', {"CURL_CA_BUNDLE": place.root}, "head -n 1")


@client("curl that asks for a stapled answer")
def curl_status(place):
    return _each(place, 'curl -sS --max-time 20 --cert-status "$u"', {"CURL_CA_BUNDLE": place.root}, "head -n 1")


@client("wget")
def wget(place):
    return _each(place, f'wget -nv -O- --tries=1 --timeout=20 --ca-certificate {place.root} "$u"', {"LC_ALL": "C"},
                 "grep certificate | tr '\\n' ' '")


@client("git")
def git(place):
    return _each(place, f'git -c http.sslCAInfo={place.root} ls-remote "$u"', {"LC_ALL": "C"})


@client("apt")
def apt(place):
    s = place.sandbox
    for name in ("etc/apt.conf.d", "etc/preferences.d", "etc/trusted.gpg.d", "state/lists/partial", "cache/archives/partial"):
        (s.root / "apt" / name).mkdir(parents=True, exist_ok=True)
    for directory in [s.root / "apt", *(s.root / "apt").rglob("*")]:
        s.user.own(directory)
    s.user.make_file(s.root / "apt/state/status", "")
    options = {"Dir::Etc": s.root / "apt/etc", "Dir::State": s.root / "apt/state", "Dir::Cache": s.root / "apt/cache",
               "Dir::State::status": s.root / "apt/state/status", "Acquire::https::CaInfo": place.root, "Acquire::Retries": "0",
               "Acquire::Languages": "none", "Debug::NoLocking": "1", "APT::Sandbox::User": "", "APT::Update::Error-Mode": "any"}
    common = " ".join(f"-o {name}={value}" for name, value in options.items())
    lists = f"{s.root}/apt/etc/sources.list"
    return _each(place, f'echo "deb [trusted=yes] $u ./" >{lists}; apt-get -qq {common} update', {"LC_ALL": "C"}, "head -n 1")


def _python(place, binary, text):
    """text fetches u."""
    script = ("import sys\nfor u in sys.argv[2:]:\n    try:\n" + "".join(f"        {line}\n" for line in text.splitlines()) +
              "        print(0)\n    except Exception as error:\n        print(1, str(error).split('(_ssl.c:')[0])\n")
    return Visit([binary, "-c", script, place.root, *place.urls])


def _cargo(place, command, env, mounts=None):
    """A registry as sparse files. A home of cargo's own per URL: nothing comes from a cache."""
    make = place.sandbox.user.make_file
    make(place.sandbox.work / "Cargo.toml", '[package]\nname = "demo"\nversion = "0.1.0"\n[dependencies]\nmoss = "1"\n')
    make(place.sandbox.work / "src/lib.rs", "")
    make(place.sandbox.work / ".cargo/config.toml", '[source.crates-io]\nreplace-with = "local"\n[net]\nretry = 0\n')
    visit = _each(place, f"CARGO_HOME=$(mktemp -d) {command} --config \"source.local.registry='sparse+$u/cargo/'\" fetch -q", env)
    return replace(visit, mounts=mounts)


@client("cargo")
def cargo(place):
    """Debian's: its libcurl has GnuTLS, and sparse registries are an unstable feature of it. (Its words name the file of
    roots, so the file is named where tapline leaves it alone.)"""
    program = toolkits.program("cargo")
    return _cargo(place, f"{program} -Z sparse-registry --config \"http.cainfo='{place.root}'\"", {"RUSTC_BOOTSTRAP": "1"})


if shutil.which("rustup", path=Path.home() / ".cargo/bin"):
    @client("rustup's cargo")
    def rustup_cargo(place):
        """The tester's own, where there is one: libcurl and OpenSSL are inside the program."""
        toolchain = place.sandbox.user.make_dir(place.sandbox.root / "toolchain")
        return _cargo(place, "cargo", {"CARGO_HTTP_CAINFO": place.root, "PATH": f"{toolchain}/bin:{runner.PATH}"},
                      f"mount --bind {clients.rust_toolchain().parent} {toolchain}")


STRICT = ("import ssl, urllib.request\ncontext = ssl.create_default_context(cafile=sys.argv[1])\n"
          "if sys.version_info < (3, 13):\n    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN\n"
          "urllib.request.urlopen(u, timeout=20, context=context).read()")


@client("Python, strict")
def python_strict(place):
    return _python(place, "/usr/bin/python3", STRICT)


def _newer_python(prefix):
    def visit(place):
        program, env, mounts = venvs.newer_python(prefix, place.sandbox)
        return replace(_python(place, program, STRICT), env=env, mounts=mounts)
    return visit


CLIENTS |= {f"strict {name}": _newer_python(prefix) for name, prefix in venvs.newer_pythons().items()}


@client("requests")
def requests(place):
    return _python(place, venvs.get(venvs.CLIENTS) / "bin/python",
                   "import re, requests\ntry:\n    requests.get(u, timeout=20, verify=sys.argv[1])\n"
                   "except requests.exceptions.SSLError as error:\n    raise OSError(re.sub('0x[0-9a-f]+', '', str(error)))")


NODE = """
const https = require("https");
const get = url => new Promise(done => https.get(url, {headers: {connection: "close"}, timeout: 20000}, answer => {
    answer.resume(); answer.on("end", () => done("0")); }).on("error", error => done("1 " + error.code + " " + error.message)));
(async () => { for (const url of process.argv.slice(1)) console.log(await get(url)); })();
"""


@client("Node")
def node(place):
    return Visit([venvs.node(), "-e", NODE, *place.urls], {"NODE_EXTRA_CA_CERTS": place.root})


@client("uv")
def uv(place):
    binary = venvs.get(("uv",)) / "bin/uv"
    return _each(place, f'{binary} -q pip install --dry-run --python /usr/bin/python3 --target {place.sandbox.work}/out '
                        '--index-url "$u/simple/" moss',
                 {"SSL_CERT_FILE": place.root, "UV_PYTHON_DOWNLOADS": "never", "UV_HTTP_RETRIES": "0"},
                 before="export UV_CACHE_DIR=$(mktemp -d)")


@client("Go")
def go(place):
    """Static: reached through the proxy that the user names, to which Go never sends loopback."""
    place.sandbox.user.make_file(place.sandbox.work / "go.mod", "module demo\n\ngo 1.19\n")
    env = {"GOSUMDB": "off", "GOFLAGS": "-mod=mod", "GOCACHE": place.sandbox.tmp / "gocache", "GOPATH": place.sandbox.tmp / "gopath",
           "GOTOOLCHAIN": "local", "SSL_CERT_FILE": place.root, "https_proxy": place.proxy}
    place.urls = [url.replace("localhost", "index.example") for url in place.urls]
    return _each(place, 'GOPROXY="$u" go mod download index.example/moss@v1.0.0', env)


JAVA = """
import java.net.URL;
import java.net.URLConnection;

public class Get {
    public static void main(String[] urls) throws Exception {
        for (String url : urls) {
            URLConnection connection = new URL(url).openConnection();
            connection.setReadTimeout(20000);
            try {
                connection.getInputStream().readAllBytes();
                System.out.println("0");
            } catch (java.io.IOException error) {
                System.out.println("1 " + String.valueOf(error.getMessage()).split("\\n")[0]);
            }
        }
    }
}
"""


def _java_files(root, store):
    """The directory of the class Get and of a copy of the JDK's store with root in it, made once per root."""
    made = root.parent / "java"
    if not made.exists():
        made.mkdir()
        (made / "Get.java").write_text(JAVA)
        (made / "cacerts").write_bytes(store.read_bytes())
        for argv in (["javac", "-J-XX:TieredStopAtLevel=1", "-d", made, made / "Get.java"],
                     ["keytool", "-importcert", "-noprompt", "-alias", "root", "-file", root, "-storepass", "changeit", "-keystore",
                      made / "cacerts"]):
            subprocess.run(argv, check=True, capture_output=True, timeout=120)
    return made


@client("Java")
def java(place):
    """The root is in the JDK's own store, as keytool -cacerts does it, for this run only."""
    store = Path("/usr/bin/java").resolve().parents[1] / "lib/security/cacerts"
    made = _java_files(place.root, store)
    # JAVA_TOOL_OPTIONS: a java that is started by itself is told of the run's CA only where the user has set it (docs/inspection.md).
    return Visit(["java", "-XX:TieredStopAtLevel=1", "-cp", made, "Get", *place.urls], {"JAVA_TOOL_OPTIONS": "-Xshare:auto"},
                 f"mount --bind {made}/cacerts {store.resolve()}")


def visit(name, place):
    """The Visit of this client, with what the tests give to every client."""
    made = CLIENTS[name](place)
    made.env = {"PATH": runner.PATH, **made.env}
    return made
