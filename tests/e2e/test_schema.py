"""docs/record.md and schema.py say the same: kinds, fields, and which of them are optional."""
import re
from pathlib import Path

import schema

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "record.md"


def _sections():
    text = DOCUMENT.read_text()
    parts = re.split(r"^### (\S+)\n", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def _without_parentheses(text):
    while (shorter := re.sub(r"\([^()]*\)", "", text)) != text:
        text = shorter
    return text


def _fields(paragraph):
    """name -> optional, of a section such as: `a`, `b` integer, `c` string? (words), `d_ms`?."""
    fields, last = {}, None
    pattern = r"`([a-z][a-z0-9_]*)`(\?)?|\b(?:string|integer|boolean|array|object|integers)\b[^,`?.;]*(\?)?"
    for found in re.finditer(pattern, _without_parentheses(paragraph)):
        name, name_mark, type_mark = found.groups()
        if name and name not in fields:
            fields[name] = bool(name_mark)
            last = name
        elif not name and type_mark and last:
            fields[last] = True
    return fields


def test_kinds_match_the_document():
    assert sorted(_sections()) == sorted(schema.KINDS)


def test_fields_match_the_document():
    for kind, paragraph in _sections().items():
        documented = _fields(paragraph)
        checked = {name.rstrip("?"): name.endswith("?") for name in schema.KINDS[kind]}
        assert documented == checked, kind


def test_common_fields_match_the_document():
    table = DOCUMENT.read_text().split("## Fields of every event")[1].split("## Kinds")[0]
    documented = {name for row in re.findall(r"^\|([^|]*)\|", table, flags=re.M)
                  for name in re.findall(r"`([a-z]+)`", row)}
    assert documented == {name.rstrip("?") for name in schema.COMMON}
