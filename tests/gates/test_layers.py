"""Who includes whom. preload/ and relay/ meet only in include/; inside relay/ the way of the data is
cli -> net -> inspect -> record, with explain/ beside it: it sees records only through their reader."""

import re

import pytest

from tree import ROOT, source_files, text_of

MAY_INCLUDE = {
    "include": {"include"},
    "preload": {"preload", "include"},
    "relay/record": {"relay/record", "include"},
    "relay/inspect": {"relay/inspect", "relay/record", "include"},
    "relay/net": {"relay/net", "relay/inspect", "relay/record", "include"},
    "relay/explain": {"relay/explain", "relay/record/reader.h", "relay/record/hash.h", "include"},
    "relay/cli": {"relay/cli", "relay/net", "relay/inspect", "relay/record", "relay/explain",
                  "include"},
}
INCLUDE_PATHS = {"relay": ("relay", "include"), "preload": ("include", "preload"),
                 "include": ("include",)}


def layer_of(path):
    parts = path.relative_to(ROOT).parts
    return "/".join(parts[:2]) if parts[0] == "relay" else parts[0]


def quoted_includes(path):
    """The files of this tree that path includes."""
    for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', text_of(path), re.M):
        top = path.relative_to(ROOT).parts[0]
        places = [path.parent, *(ROOT / folder for folder in INCLUDE_PATHS[top])]
        found = [place / name for place in places if (place / name).is_file()]
        assert found, f"{path.relative_to(ROOT)} includes {name}, which is not there"
        yield found[0].resolve()


@pytest.mark.parametrize("layer", MAY_INCLUDE)
def test_a_layer_includes_only_what_is_below_it(layer):
    wrong = []
    for path in source_files(".c", ".h", under=layer):
        for included in quoted_includes(path):
            name = str(included.relative_to(ROOT))
            if not {layer_of(included), name} & MAY_INCLUDE[layer]:
                wrong.append(f"{path.relative_to(ROOT)} includes {name}")
    assert not wrong


def test_every_source_file_is_in_a_known_layer():
    found = {layer_of(path) for top in ("relay", "preload", "include")
             for path in source_files(".c", ".h", under=top)}
    assert found <= set(MAY_INCLUDE)


def test_includes_with_angle_brackets_are_not_ours():
    ours = {path.name for path in source_files(".h", under="include")}
    for path in source_files(".c", ".h"):
        names = set(re.findall(r"^\s*#\s*include\s+<([^>]+)>", text_of(path), re.M))
        assert not names & ours, f"{path} includes its own header with angle brackets"


def test_headers_have_guards_and_files_say_what_they_own():
    for path in source_files(".c", ".h"):
        text = text_of(path)
        where = path.relative_to(ROOT)
        assert text.startswith("/*"), f"{where} does not open with what it owns"
        if path.suffix == ".h":
            assert re.search(r"^#ifndef (\w+_H)\n#define \1$", text, re.M), f"{where} has no guard"


def test_tables_do_not_end_the_process():
    """uthash calls exit(3) for want of memory, which ended the relay without a word, unless record/hash.h comes first."""
    bare = [str(path.relative_to(ROOT)) for path in source_files(".c", ".h", under="relay") if "<uthash.h>" in text_of(path)]
    assert bare == ["relay/record/hash.h"]
