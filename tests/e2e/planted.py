"""Secrets that tests plant where clients keep theirs, and the search for them in everything that tapline wrote.

Every planted secret holds MARK. At the end of a session conftest.py looks through all records, and all that tapline run,
tapline relay and tapline report printed, of all tests; one find fails the session. Clients that plant must not print theirs.
"""
MARK = "planted7f3a"
# What older tests use.
OTHERS = ("verysecret", "topsecret", "me:secret@")
SUFFIXES = (".jsonl", ".json", ".stdout", ".stderr", ".report")


def secret(kind):
    """A secret for one place. It looks like a token of some kind."""
    return f"{MARK}-{kind}-c0ffee"


def find(directory):
    """Where a planted secret was found below directory, as text; empty: nowhere. What an index or a proxy logged is its own."""
    words = [word.encode() for word in (MARK, *OTHERS)]
    found = []
    for path in sorted(directory.rglob("*")):
        if path.suffix not in SUFFIXES or path.is_symlink() or not path.is_file() or path.name == "served.jsonl":
            continue
        for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
            if any(word in line for word in words):
                found.append(f"{path.name}:{number}: {line[:300].decode(errors='replace')}")
    return found
