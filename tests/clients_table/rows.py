"""The rows of docs/clients.md: how each client is made to fetch one small package from the local index. A row's function
gets a Place, fills the sandbox and returns a Job; it is called anew, with a fresh sandbox, for each of the row's runs.

The client trusts the index's own CA by the knob that its user would turn. Nothing here knows of tapline's CA: whether the
client trusts that is what the table tells.
"""
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import clients
import projects
from clients import Missing, program


@dataclass
class Place:
    sandbox: object
    url: str     # of the index, by name
    ca: str      # its CA
    proxy: str   # an HTTP proxy, for clients that are reached no other way
    h2: object   # an HTTP/2 origin


@dataclass
class Job:
    argv: list
    env: dict = field(default_factory=dict)
    mounts: str = None    # made before it is run
    version: list = None   # prints the client's version
    served: object = None  # what counts its requests, if not the index


ROWS = {}  # name -> function


def row(name):
    def add(function):
        ROWS[name] = function
        return function
    return add


# ---- Python ----

def _pip(place, *requirements):
    binary = clients.python(*requirements) / "python"
    return Job([binary, "-m", "pip", "download", "-q", "--index-url", place.url + "/simple/", "--cert", place.ca,
                "-d", place.sandbox.work / "out", "moss"], version=[binary, "-m", "pip", "--version"])


@row("pip, old")
def pip_old(place):
    return _pip(place, "pip==23.2.1")


@row("pip, new")
def pip_new(place):
    return _pip(place, "pip>=24.2", "requests", "cachecontrol[filecache]")


@row("Poetry")
def poetry(place):
    binary = clients.python("poetry==2.3.1") / "poetry"
    projects.poetry(place.sandbox, place.url + "/simple/")
    return Job([binary, "lock", "-n"], {"POETRY_KEYRING_ENABLED": "false", "POETRY_CERTIFICATES_LOCAL_CERT": place.ca},
               version=[binary, "--version"])


@row("pdm")
def pdm(place):
    binary = clients.python("pdm==2.12.4") / "pdm"
    place.sandbox.user.make_file(place.sandbox.work / "pyproject.toml", (
        '[project]\nname = "demo"\nversion = "1.0"\nrequires-python = ">=3.9"\ndependencies = ["moss"]\n'
        f'[[tool.pdm.source]]\nname = "pypi"\nurl = "{place.url}/simple/"\nverify_ssl = true\n'))
    return Job([binary, "lock", "-q"], {"PDM_CHECK_UPDATE": "false", "SSL_CERT_FILE": place.ca,
                                        "REQUESTS_CA_BUNDLE": place.ca, "PDM_IGNORE_SAVED_PYTHON": "1"},
               version=[binary, "--version"])


@row("uv")
def uv(place):
    binary = clients.python("uv") / "uv"
    return Job([binary, "pip", "install", "-q", "--no-cache", "--python", "/usr/bin/python3", "--target",
                place.sandbox.work / "out", "--index-url", place.url + "/simple/", "moss"],
               {"SSL_CERT_FILE": place.ca, "UV_PYTHON_DOWNLOADS": "never"}, version=[binary, "--version"])


@row("conda")
def conda(_place):
    raise Missing("conda is in none of the registries that the tests install from (Debian, PyPI, npm)")


def _script(place, text, *requirements, env=None):
    binary = clients.python(*requirements) / "python" if requirements else program("python3")
    name = requirements[0].split("[")[0] if requirements else None
    show = f"import {name}; print({name}.__version__)" if name else "import sys; print('Python', sys.version.split()[0])"
    return Job([binary, "-c", text, place.url, place.ca], env or {}, version=[binary, "-c", show])


@row("requests")
def requests(place):
    return _script(place, "import requests, sys\ns = requests.Session()\ns.verify = sys.argv[2]\nfor n in range(3):\n"
                          "    s.get(f'{sys.argv[1]}/bytes/{n}').raise_for_status()", "requests")


HTTPX = "import httpx, ssl, sys\ncontext = ssl.create_default_context(cafile=sys.argv[2])\n"


@row("httpx, sync")
def httpx_sync(place):
    return _script(place, HTTPX + "with httpx.Client(verify=context) as c:\n    for n in range(3):\n"
                   "        c.get(f'{sys.argv[1]}/bytes/{n}').raise_for_status()", "httpx[http2]", "aiohttp")


@row("httpx, async")
def httpx_async(place):
    return _script(place, HTTPX + "import asyncio\nasync def main():\n    async with httpx.AsyncClient(verify=context) as c:\n"
                   "        for n in range(3):\n            (await c.get(f'{sys.argv[1]}/bytes/{n}')).raise_for_status()\n"
                   "asyncio.run(main())", "httpx[http2]", "aiohttp")


@row("aiohttp")
def aiohttp(place):
    return _script(place, "import aiohttp, asyncio, ssl, sys\ncontext = ssl.create_default_context(cafile=sys.argv[2])\n"
                   "async def main():\n    async with aiohttp.ClientSession() as s:\n        for n in range(3):\n"
                   "            async with s.get(f'{sys.argv[1]}/bytes/{n}', ssl=context) as r:\n"
                   "                await r.read()\nasyncio.run(main())", "aiohttp", "httpx[http2]")


@row("urllib")
def urllib(place):
    return _script(place, "import sys, urllib.request as u\nfor n in range(3):\n    u.urlopen(f'{sys.argv[1]}/bytes/{n}').read()",
                   env={"SSL_CERT_FILE": place.ca})


# ---- programs in C ----

@row("curl, HTTP/1.1")
def curl(place):
    return Job([program("curl"), "-fsS", "--http1.1", "--cacert", place.ca, "-o", "/dev/null", place.url + "/bytes/1",
                "-o", "/dev/null", place.url + "/bytes/2"], version=["curl", "--version"])


@row("curl, HTTP/2")
def curl_h2(place):
    return Job([program("curl"), "-fsS", "--http2", "--cacert", place.ca, "-o", "/dev/null", place.h2.url("/size/1"),
                "-o", "/dev/null", place.h2.url("/size/90000")], version=["curl", "--version"], served=place.h2)


@row("wget")
def wget(place):
    return Job([program("wget"), "-q", "-O", "/dev/null", "--ca-certificate", place.ca, place.url + "/bytes/1",
                place.url + "/bytes/2"], version=["wget", "--version"])


@row("git")
def git(place):
    return Job([program("git"), "-c", f"http.sslCAInfo={place.ca}", "clone", "-q", place.url + "/git/moss.git", "out"],
               version=["git", "--version"])


@row("apt")
def apt(place):
    s, get = place.sandbox, program("apt-get")
    for name in ("etc/apt.conf.d", "etc/preferences.d", "etc/trusted.gpg.d", "state/lists/partial", "cache/archives/partial"):
        directory = s.root / "apt" / name
        directory.mkdir(parents=True, exist_ok=True)
    for directory in [s.root / "apt", *(s.root / "apt").rglob("*")]:
        s.user.own(directory)
    s.user.make_file(s.root / "apt/etc/sources.list", f"deb [trusted=yes] {place.url}/apt ./\n")
    s.user.make_file(s.root / "apt/state/status", "")
    options = {"Dir::Etc": s.root / "apt/etc", "Dir::State": s.root / "apt/state", "Dir::Cache": s.root / "apt/cache",
               "Dir::State::status": s.root / "apt/state/status", "Acquire::https::CaInfo": place.ca,
               "Acquire::Languages": "none", "Debug::NoLocking": "1", "APT::Sandbox::User": ""}
    common = " ".join(f"-o {name}={value}" for name, value in options.items())
    return Job(["sh", "-ec", f"{get} -q {common} update && {get} -q {common} download moss"], version=[get, "--version"])


# ---- Node ----

def _npm_project(place):
    place.sandbox.user.make_file(place.sandbox.work / "package.json",
                                 '{"name": "demo", "version": "1.0.0", "dependencies": {"moss-js": "^1.0.0"}}\n')
    place.sandbox.user.make_file(place.sandbox.work / ".npmrc", f"registry={place.url}/npm/\n")
    return {"NODE_EXTRA_CA_CERTS": place.ca, "npm_config_registry": place.url + "/npm/"}


@row("npm")
def npm(place):
    return Job([program("npm", "npm"), "install", "--loglevel", "error"], _npm_project(place), version=["npm", "--version"])


@row("Yarn, classic")
def yarn_classic(place):
    script = clients.node_package("yarn@1.22.22") / "bin" / "yarn.js"
    env = {**_npm_project(place), "npm_config_cafile": place.ca}
    return Job([program("node"), script, "install", "--silent", "--no-lockfile", "--registry", place.url + "/npm/"], env,
               version=["node", script, "--version"])


@row("Yarn, berry")
def yarn_berry(place):
    script = clients.node_package("@yarnpkg/cli-dist@4") / "bin" / "yarn.js"
    env = _npm_project(place)
    place.sandbox.user.make_file(place.sandbox.work / ".yarnrc.yml", (
        f'npmRegistryServer: "{place.url}/npm"\nenableTelemetry: false\nnodeLinker: node-modules\nnpmMinimalAgeGate: 0\nenableImmutableInstalls: false\n'))
    place.sandbox.user.make_file(place.sandbox.work / "yarn.lock", "")
    return Job([program("node"), script, "install"], env, version=["node", script, "--version"])


@row("pnpm, 10")
def pnpm_10(place):
    script = clients.node_package("pnpm@10") / "bin" / "pnpm.cjs"
    return Job([program("node"), script, "install", "--silent"], _npm_project(place), version=["node", script, "--version"])


def _binary(package, *names):
    for name in names:
        for path in sorted(package.parent.glob(name)):
            if path.is_file():
                return path
    raise Missing(f"{package.parent} holds no program for this machine ({', '.join(names)})")


@row("pnpm, new")
def pnpm_new(place):
    package = clients.node_package("pnpm@latest")
    script = next((package / "bin" / n for n in ("pnpm.cjs", "pnpm.mjs", "pnpm") if (package / "bin" / n).is_file()), None)
    binary = [program("node"), script] if script and script.suffix else [script or _binary(package, "@pnpm/*/pnpm")]
    return Job([*binary, "install"], _npm_project(place), version=[*binary, "--version"])


@row("bun")
def bun(place):
    binary = _binary(clients.node_package("bun@latest"), "client/bin/bun.exe", "@oven/bun-linux-*/bin/bun")
    return Job([binary, "install"], {**_npm_project(place), "BUN_CONFIG_REGISTRY": place.url + "/npm/"},
               version=[binary, "--version"])


@row("deno")
def deno(place):
    binary = _binary(clients.node_package("deno@latest"), "@deno/linux-*/deno", "client/deno")
    env = {**_npm_project(place), "DENO_CERT": place.ca, "NPM_CONFIG_REGISTRY": place.url + "/npm/", "DENO_NO_UPDATE_CHECK": "1"}
    return Job([binary, "install"], env, version=[binary, "--version"])


# ---- others ----

@row("cargo")
def cargo(place):
    """The tester's own toolchain, which the sandbox's user cannot reach: it is mounted for the run."""
    bin_dir, s = clients.rust_toolchain(), place.sandbox
    for name in (s.root / "toolchain", s.root / "cargo", s.work / ".cargo", s.work / "src"):
        s.user.make_dir(name)
    s.user.make_file(s.work / "Cargo.toml",
                     '[package]\nname = "demo"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\nmoss = "1"\n')
    s.user.make_file(s.work / "src" / "lib.rs", "")
    s.user.make_file(s.work / ".cargo" / "config.toml", (
        f'[source.crates-io]\nreplace-with = "local"\n[source.local]\nregistry = "sparse+{place.url}/cargo/"\n'))
    env = {"SSL_CERT_FILE": place.ca, "CARGO_HOME": s.root / "cargo", "PATH": f"{s.root}/toolchain/bin:{clients.PATH}"}
    binary = s.root / "toolchain/bin/cargo"
    return Job([binary, "fetch", "-q"], env, version=[binary, "--version"],
               mounts=f"mount --bind {bin_dir.parent} {s.root}/toolchain")


@row("Go")
def go(place):
    """Static, and Go's own proxy code never sends loopback to a proxy: the index goes by another name."""
    binary, s = clients.toolchain("go"), place.sandbox
    s.user.make_file(s.work / "go.mod", "module demo\n\ngo 1.20\n")
    env = {"GOPROXY": place.url.replace("localhost", "index.example") + "/go", "GOSUMDB": "off", "GOFLAGS": "-mod=mod",
           "GOCACHE": s.root / "gocache", "GOPATH": s.root / "gopath", "GOTOOLCHAIN": "local", "SSL_CERT_FILE": place.ca,
           "https_proxy": place.proxy, "PATH": f"{Path(binary).parent}:{clients.PATH}"}
    for name in ("gocache", "gopath"):
        s.user.make_dir(s.root / name)
    return Job([binary, "mod", "download", "index.example/moss@v1.0.0"], env, version=[binary, "version"])


def _index_in_the_jdk(place):
    """The JDK's own store with the index's CA in it, for this run only: what keytool -cacerts does."""
    store = Path(program("java", "default-jdk-headless")).resolve().parents[1] / "lib/security/cacerts"
    copy = place.sandbox.root / "cacerts"
    copy.write_bytes(store.read_bytes())
    subprocess.run([program("keytool"), "-importcert", "-noprompt", "-alias", "index", "-file", place.ca, "-storepass", "changeit",
                    "-keystore", copy], check=True, capture_output=True, timeout=60)
    return f"mount --bind {copy} {store.resolve()}"


@row("Maven")
def maven(place):
    binary, s = program("mvn", "maven"), place.sandbox
    s.user.make_file(s.work / "pom.xml", (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><parent><groupId>example.trees'
        "</groupId><artifactId>parent</artifactId><version>1.0</version><relativePath/></parent><artifactId>demo</artifactId>"
        "<packaging>pom</packaging></project>"))
    s.user.make_file(s.work / "settings.xml", (
        f"<settings><localRepository>{s.root}/m2</localRepository><mirrors><mirror><id>local</id><mirrorOf>*</mirrorOf>"
        f"<url>{place.url}/maven</url></mirror></mirrors></settings>"))
    s.user.make_dir(s.root / "m2")
    return Job([binary, "-q", "-B", "-s", "settings.xml", "validate"], version=[binary, "-v"], mounts=_index_in_the_jdk(place))


@row("Gradle")
def gradle(place):
    binary, s = program("gradle", "gradle"), place.sandbox
    s.user.make_file(s.work / "build.gradle", (
        f'repositories {{ maven {{ url "{place.url}/maven" }} }}\nconfigurations {{ tree }}\n'
        'dependencies { tree "example.trees:moss:1.0" }\ntask fetch { doLast { configurations.tree.files.each { println it } } }\n'))
    s.user.make_file(s.work / "settings.gradle", "rootProject.name = 'demo'\n")
    s.user.make_dir(s.root / "gradle")
    return Job([binary, "-q", "--no-daemon", "fetch"], {"GRADLE_USER_HOME": s.root / "gradle"}, version=[binary, "--version"],
               mounts=_index_in_the_jdk(place))


@row("gem")
def gem(place):
    binary = program("gem", "ruby")
    return Job([binary, "install", "-q", "--no-document", "--install-dir", place.sandbox.work / "gems", "--clear-sources",
                "--source", place.url + "/gems/", "moss"], {"SSL_CERT_FILE": place.ca}, version=[binary, "--version"])


@row("Bundler")
def bundler(place):
    binary = program("bundle", "bundler")
    place.sandbox.user.make_file(place.sandbox.work / "Gemfile", f'source "{place.url}/gems/"\ngem "moss"\n')
    return Job([binary, "install", "--quiet"], {"SSL_CERT_FILE": place.ca, "BUNDLE_PATH": place.sandbox.work / "gems"},
               version=[binary, "--version"])


@row("Composer")
def composer(place):
    binary = program("composer", "composer")
    place.sandbox.user.make_file(place.sandbox.work / "composer.json", (
        f'{{"repositories": [{{"type": "composer", "url": "{place.url}/composer"}}, {{"packagist": false}}], '
        '"require": {"trees/moss": "1.0.0"}}'))
    return Job([binary, "install", "-q", "-n"], {"COMPOSER_CAFILE": place.ca, "COMPOSER_HOME": place.sandbox.work / ".composer"},
               version=[binary, "--version"])


@row("dotnet")
def dotnet(_place):
    raise Missing(".NET is in none of the registries that the tests install from (Debian, PyPI, npm)")
