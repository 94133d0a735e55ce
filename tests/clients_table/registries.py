"""Registries of many kinds as plain files: path on the index -> bytes. Each holds one small package, in the form that
its real registry serves. Used by rows.py; the index serves them with Index.files.
"""
import gzip
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import zipfile

import packages

SHORT = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "timeout": 120, "text": True}


def _run(argv, cwd, env=None):
    done = subprocess.run([str(a) for a in argv], cwd=cwd, env=env, **SHORT)
    if done.returncode:
        raise RuntimeError(f"{argv[0]} failed: {done.stdout[-2000:]}")


def _tree(root, prefix):
    """Every file below root, as path -> bytes."""
    return {f"{prefix}/{p.relative_to(root)}": p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def cargo(url, names=("moss",), pad=0):
    """A sparse registry (config.json, and for each name an index line and the crate); names begin with "moss". pad: bytes of
    data in each crate."""
    out = {"/cargo/config.json": json.dumps({"dl": url + "/cargo/dl"}).encode()}
    for name in names:
        crate = packages.tarball({
            f"{name}-1.0.0/Cargo.toml": f'[package]\nname = "{name}"\nversion = "1.0.0"\nedition = "2021"\n'.encode(),
            f"{name}-1.0.0/src/lib.rs": b"pub fn moss() {}\n",
            **({f"{name}-1.0.0/data": packages.noise(name, pad)} if pad else {})})
        line = {"name": name, "vers": "1.0.0", "deps": [], "cksum": hashlib.sha256(crate).hexdigest(), "features": {},
                "yanked": False}
        out[f"/cargo/mo/ss/{name}"] = json.dumps(line).encode() + b"\n"
        out[f"/cargo/dl/{name}/1.0.0/download"] = crate
    return out


def go(_url):
    """A module proxy."""
    module = b"module index.example/moss\n\ngo 1.20\n"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in {"go.mod": module, "moss.go": b"package moss\n"}.items():
            archive.writestr(f"index.example/moss@v1.0.0/{name}", data)
    base = "/go/index.example/moss/@v"
    return {f"{base}/list": b"v1.0.0\n", f"{base}/v1.0.0.mod": module, f"{base}/v1.0.0.zip": out.getvalue(),
            f"{base}/v1.0.0.info": b'{"Version":"v1.0.0","Time":"2024-01-01T00:00:00Z"}'}


def maven(_url):
    """A repository in Maven's layout: a parent, what it imports, and a jar."""
    def pom(name, more, packaging="pom"):
        return (f'<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
                f"<groupId>example.trees</groupId><artifactId>{name}</artifactId><version>1.0</version>"
                f"<packaging>{packaging}</packaging>{more}</project>").encode()
    imported = ("<dependencyManagement><dependencies><dependency><groupId>example.trees</groupId><artifactId>bom</artifactId>"
                "<version>1.0</version><type>pom</type><scope>import</scope></dependency></dependencies></dependencyManagement>")
    jar = io.BytesIO()
    with zipfile.ZipFile(jar, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n")
    files = {"parent/1.0/parent-1.0.pom": pom("parent", imported), "bom/1.0/bom-1.0.pom": pom("bom", ""),
             "moss/1.0/moss-1.0.pom": pom("moss", "", "jar"), "moss/1.0/moss-1.0.jar": jar.getvalue()}
    out = {}
    for name, data in files.items():
        out[f"/maven/example/trees/{name}"] = data
        out[f"/maven/example/trees/{name}.sha1"] = hashlib.sha1(data).hexdigest().encode()
    return out


def gem(_url, directory):
    """A gem server's files, made by gem itself."""
    source = directory / "moss"
    (source / "lib").mkdir(parents=True)
    (source / "lib" / "moss.rb").write_text("MOSS = 1\n")
    (source / "moss.gemspec").write_text(
        'Gem::Specification.new { |s| s.name = "moss"; s.version = "1.0.0"; s.summary = "moss"; s.authors = ["a"]; '
        's.files = ["lib/moss.rb"]; s.license = "MIT"; s.homepage = "https://index.example" }\n')
    served = directory / "served"
    (served / "gems").mkdir(parents=True)
    _run(["gem", "build", "moss.gemspec"], source)
    shutil.copy(source / "moss-1.0.0.gem", served / "gems")
    _run(["gem", "generate_index", "--directory", served], served)
    data = (served / "gems" / "moss-1.0.0.gem").read_bytes()
    info = f"---\n1.0.0 |checksum:{hashlib.sha256(data).hexdigest()}\n".encode()
    versions = f"created_at: 2024-01-01T00:00:00Z\n---\nmoss 1.0.0 {hashlib.md5(info).hexdigest()}\n".encode()
    return {**_tree(served, "/gems"), "/gems/versions": versions, "/gems/info/moss": info, "/gems/names": b"---\nmoss\n"}


def composer(url):
    """A repository with one package and its archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("moss/composer.json", '{"name": "trees/moss"}')
    data = out.getvalue()
    package = {"name": "trees/moss", "version": "1.0.0", "dist": {
        "type": "zip", "url": url + "/composer/moss.zip", "shasum": hashlib.sha1(data).hexdigest()}}
    return {"/composer/packages.json": json.dumps({"packages": {"trees/moss": {"1.0.0": package}}}).encode(),
            "/composer/moss.zip": data}


def git(_url, directory):
    """A repository over plain files (git update-server-info)."""
    work, bare = directory / "work", directory / "moss.git"
    work.mkdir(parents=True)
    (work / "moss").write_text("moss\n")
    env = {"PATH": "/usr/bin:/bin", "HOME": str(directory), "GIT_CONFIG_NOSYSTEM": "1",
           **{f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
              for what, value in (("NAME", "a"), ("EMAIL", "a@index.example"))}}
    _run(["git", "init", "-q", "-b", "main"], work, env)
    _run(["git", "add", "moss"], work, env)
    _run(["git", "commit", "-qm", "moss"], work, env)
    _run(["git", "clone", "-q", "--bare", work, bare], directory, env)
    _run(["git", "update-server-info"], bare, env)
    return _tree(bare, "/git/moss.git")


def apt(_url):
    """A flat repository with one package."""
    control = "Package: moss\nVersion: 1.0\nArchitecture: all\nMaintainer: a <a@index.example>\nDescription: moss\n"

    def tar(files):
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w:gz") as archive:
            for name, data in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
        return raw.getvalue()

    deb = b"!<arch>\n"
    for name, data in (("debian-binary", b"2.0\n"), ("control.tar.gz", tar({"./control": control.encode()})),
                       ("data.tar.gz", tar({}))):
        deb += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)
    entry = (f"{control}Filename: ./moss_1.0_all.deb\nSize: {len(deb)}\nSHA256: {hashlib.sha256(deb).hexdigest()}\n\n").encode()
    packed = gzip.compress(entry, mtime=0)
    sums = "".join(f" {hashlib.sha256(d).hexdigest()} {len(d)} {n}\n" for n, d in (("Packages", entry), ("Packages.gz", packed)))
    release = f"Origin: trees\nSuite: ./\nDate: Mon, 01 Jan 2024 00:00:00 UTC\nSHA256:\n{sums}".encode()
    return {"/apt/./Release": release, "/apt/Release": release, "/apt/Packages": entry, "/apt/./Packages": entry,
            "/apt/Packages.gz": packed, "/apt/./Packages.gz": packed, "/apt/./moss_1.0_all.deb": deb,
            "/apt/moss_1.0_all.deb": deb}
