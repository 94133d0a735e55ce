"""The packages of the local index, built in memory: Python wheels, one sdist, npm tarballs.

Small and always the same bytes, so that hashes in lock files hold between runs. The Python project `grove` needs
eleven others, directly or not, and `grove-js` five: one install makes many requests.
"""
import base64
import csv
import gzip
import hashlib
import io
import json
import tarfile
import zipfile

EPOCH = (2024, 1, 1, 0, 0, 0)
EPOCH_SECONDS = 1704067200

# name: (versions, requirements of every version)
PYTHON = {
    "grove": (["1.0", "1.1"], ["oak>=2", "elm>=1", "ash>=1", "birch>=1"]),
    "oak": (["1.9", "2.0", "2.1"], ["acorn-cup>=1", "moss>=1"]),
    "elm": (["1.0"], ["leaf-kit>=1"]),
    "ash": (["1.0", "1.2"], ["leaf-kit>=1", "moss>=1"]),
    "birch": (["1.0"], ["bark>=1", "sap>=0.5"]),
    "bark": (["1.0"], []),
    "sap": (["0.5", "0.6"], ["fern>=1"]),
    "moss": (["1.0"], []),
    "acorn-cup": (["1.0"], ["fern>=1"]),
    "leaf-kit": (["1.0", "1.1"], ["root-kit>=1"]),
    "root-kit": (["1.0"], ["stone>=1"]),
    "fern": (["1.0"], []),
    "stone": (["1.0"], []),
}
# Without a separate metadata file (PEP 658): clients fetch the wheel, or ranges of it, to resolve.
NO_METADATA_FILE = {"oak", "birch", "fern"}
SDISTS = {"pebble": "1.0"}

NPM = {
    "grove-js": (["1.0.0", "1.1.0"], {"oak-js": "^2.0.0", "elm-js": "^1.0.0", "@wood/ash": "^1.0.0"}),
    "oak-js": (["1.0.0", "2.0.0"], {"moss-js": "^1.0.0"}),
    "elm-js": (["1.0.0"], {"moss-js": "^1.0.0", "stone-js": "^1.0.0"}),
    "@wood/ash": (["1.0.0"], {"stone-js": "^1.0.0"}),
    "moss-js": (["1.0.0"], {}),
    "stone-js": (["1.0.0"], {}),
}

BACKEND = '''"""Builds this project without any other package."""
import os, tarfile, zipfile
INFO = "{dist}-{version}.dist-info"
META = "Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n"
WHEEL = "Wheel-Version: 1.0\\nGenerator: backend\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"

def prepare_metadata_for_build_wheel(directory, config_settings=None):
    os.mkdir(os.path.join(directory, INFO))
    for name, text in (("METADATA", META), ("WHEEL", WHEEL)):
        with open(os.path.join(directory, INFO, name), "w") as out:
            out.write(text)
    return INFO

def build_wheel(directory, config_settings=None, metadata_directory=None):
    name = "{dist}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(directory, name), "w") as out:
        out.write("{module}.py")
        out.writestr(INFO + "/METADATA", META)
        out.writestr(INFO + "/WHEEL", WHEEL)
        out.writestr(INFO + "/RECORD", "{module}.py,,\\n")
    return name

def build_sdist(directory, config_settings=None):
    raise NotImplementedError
'''


class File:
    """One downloadable file of a project."""

    def __init__(self, name, data, metadata=None):
        self.name = name
        self.data = data
        self.metadata = metadata  # bytes of the PEP 658 file, or None
        self.sha256 = hashlib.sha256(data).hexdigest()


def _metadata(name, version, requires):
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", f"Summary: {name}, a test package",
             "Requires-Python: >=3.8", *(f"Requires-Dist: {r}" for r in requires)]
    return ("\n".join(lines) + "\n").encode()


def wheel(name, version, requires=(), metadata_file=True, pad=2000):
    """A pure Python wheel with valid METADATA and RECORD. pad adds that many bytes of module data."""
    dist = name.replace("-", "_")
    info = f"{dist}-{version}.dist-info"
    metadata = _metadata(name, version, requires)
    # Bytes that deflate cannot shrink much, so that a body has more than one TLS record's worth of life.
    data = noise(f"{name}{version}", pad // 32 * 32).hex()
    files = {
        f"{dist}/__init__.py": f'VERSION = "{version}"\n'.encode(),
        f"{dist}/data.py": f'NOISE = "{data}"\n'.encode(),
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tapline-tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = io.StringIO()
    rows = csv.writer(record, lineterminator="\n")
    for path, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.writerow([path, f"sha256={digest}", len(data)])
    rows.writerow([f"{info}/RECORD", "", ""])
    files[f"{info}/RECORD"] = record.getvalue().encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in files.items():
            entry = zipfile.ZipInfo(path, EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data, zipfile.ZIP_DEFLATED)
    return File(f"{dist}-{version}-py3-none-any.whl", out.getvalue(), metadata if metadata_file else None)


def noise(seed, length):
    """That many bytes that no compression makes shorter, the same for the same seed."""
    return b"".join(hashlib.sha256(f"{seed}{i}".encode()).digest() for i in range(length // 32 + 1))[:length]


def tarball(files):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for path, data in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mtime, entry.mode = len(data), EPOCH_SECONDS, 0o644
            archive.addfile(entry, io.BytesIO(data))
    return gzip.compress(raw.getvalue(), mtime=0)


def sdist(name, version):
    """A source distribution with a build backend of its own, so that building it needs no other package."""
    dist = name.replace("-", "_")
    top = f"{dist}-{version}"
    pyproject = ('[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
                 f'[project]\nname = "{name}"\nversion = "{version}"\n')
    return File(f"{top}.tar.gz", tarball({
        f"{top}/PKG-INFO": _metadata(name, version, []),
        f"{top}/pyproject.toml": pyproject.encode(),
        f"{top}/backend.py": BACKEND.format(dist=dist, name=name, version=version, module=dist).encode(),
        f"{top}/{dist}.py": f'VERSION = "{version}"\n'.encode(),
    }))


def python_projects():
    """name -> list of File, newest last."""
    projects = {name: [wheel(name, v, requires, name not in NO_METADATA_FILE) for v in versions]
                for name, (versions, requires) in PYTHON.items()}
    for name, version in SDISTS.items():
        projects[name] = [sdist(name, version)]
    return projects


class NpmPackage:
    """One npm package: its manifests by version, and its tarballs by file name."""

    def __init__(self, name, versions, dependencies, pad=0):
        self.name = name
        self.versions = {}
        self.tarballs = {}
        base = name.split("/")[-1]
        for version in versions:
            manifest = {"name": name, "version": version, "main": "index.js", "license": "MIT",
                        "description": f"{name}, a test package", "dependencies": dependencies}
            data = tarball({
                "package/package.json": json.dumps(manifest, indent=1).encode(),
                "package/index.js": f'module.exports = "{name} {version}";\n'.encode(),
                **({"package/data": noise(f"{name}{version}", pad)} if pad else {}),
            })
            self.tarballs[f"{base}-{version}.tgz"] = data
            self.versions[version] = (manifest, f"{base}-{version}.tgz", data)

    def packument(self, root):
        """The registry's document for this package; root is the registry's URL without a slash at its end."""
        versions = {}
        for version, (manifest, file, data) in self.versions.items():
            integrity = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
            dist = {"tarball": f"{root}/{self.name}/-/{file}", "integrity": integrity,
                    "shasum": hashlib.sha1(data).hexdigest()}
            versions[version] = {**manifest, "dist": dist}
        return {"name": self.name, "dist-tags": {"latest": list(versions)[-1]}, "versions": versions}


def npm_packages():
    return {name: NpmPackage(name, *spec) for name, spec in NPM.items()}
