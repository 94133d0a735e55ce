"""The files of the source tree, for the gates: what a person wrote, not what was built."""

import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
LEAVE_OUT = {".git", "__pycache__", ".pytest_cache", ".cache"}


def source_files(*suffixes, under=""):
    """Paths below ROOT/under, sorted; all files, or those with one of the suffixes."""
    found = []
    for folder, folders, files in os.walk(ROOT / under):
        folders[:] = [f for f in folders
                      if f not in LEAVE_OUT and not (pathlib.Path(folder) == ROOT and is_build(f))]
        found += [pathlib.Path(folder) / f for f in files if not f.endswith(".pyc") and f not in LEAVE_OUT]
    return sorted(f for f in found if not suffixes or f.suffix in suffixes)


def is_build(folder):
    return folder == "build" or folder.startswith("build-")


def text_of(path):
    return path.read_bytes().decode("utf-8", "replace")
