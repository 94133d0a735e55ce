"""Secrets that tests plant where clients keep theirs, and the search for them in everything that tapline wrote.

Every planted secret holds MARK. At the end of a session conftest.py looks through all records, and all that tapline run,
tapline relay and tapline report printed, of all tests; one find fails the session. Clients that plant must not print theirs.
"""
import os
from pathlib import Path

MARK = "planted7f3a"
# What older tests use.
OTHERS = ("verysecret", "topsecret", "me:secret@")
SUFFIXES = (".jsonl", ".json", ".stdout", ".stderr", ".report")


def secret(kind):
    """A secret for one place. It looks like a token of some kind."""
    return f"{MARK}-{kind}-c0ffee"


def written(directory):
    """What tapline wrote below directory, in order. What an index or a proxy logged is its own."""
    for folder, _, names in os.walk(directory):
        for name in sorted(names):
            path = Path(folder, name)
            if name.endswith(SUFFIXES) and name != "served.jsonl" and not path.is_symlink() and path.is_file():
                yield path


def find(directory):
    """Where a planted secret was found below directory, as text; empty: nowhere."""
    words = [word.encode() for word in (MARK, *OTHERS)]
    found = []
    for path in written(directory):
        data = path.read_bytes()
        if not any(word in data for word in words):
            continue
        for number, line in enumerate(data.split(b"\n"), 1):
            if any(word in line for word in words):
                found.append(f"{path.name}:{number}: {line[:300].decode(errors='replace')}")
    return found
