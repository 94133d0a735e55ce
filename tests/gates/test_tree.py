"""House rules that a machine can check on every file of the tree."""

import re

from tree import ROOT, source_files, text_of

# Put together here, so that this file does not hold what it looks for.
REGISTRIES = ("pypi", "pythonhosted", "npmjs", "yarnpkg", "crates", "rubygems", "packagist", "debian")
PUBLIC_HOSTS = (r"\b(?:" + "|".join(REGISTRIES) + r")\.(?:org|io|com)\b"
                + "|" + r"\bproxy\." + r"golang\." + "|" + r"\brepo1?\." + r"maven\b")
MACHINE_PATHS = r"(?<![\w.$})\"'])/(?:" + "|".join(("wo" + "rk", "fa" + "rm")) + ")/"
LONGEST = 500  # lines; a longer file has swallowed a second role
UNFINISHED = r"\b(?:" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")) + r")\b"


def hits(pattern, files, flags=0):
    return [f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
            for path in files
            for number, line in enumerate(text_of(path).splitlines(), 1)
            if re.search(pattern, line, flags)]


def test_no_public_index_is_named():
    assert not hits(PUBLIC_HOSTS, source_files(), re.I)


def test_no_path_of_a_developers_machine():
    assert not hits(MACHINE_PATHS, source_files())


def test_files_stay_short():
    long = {str(path.relative_to(ROOT)): text_of(path).count("\n")
            for path in source_files(".c", ".h", ".py", ".sh")}
    assert not {name: lines for name, lines in long.items() if lines > LONGEST}


def test_nothing_is_left_unfinished():
    assert not hits(UNFINISHED, source_files(".c", ".h", ".py"))


def test_text_files_end_with_a_newline_and_have_no_trailing_blanks():
    for path in source_files(".c", ".h", ".py", ".sh", ".md", ".1", ".conf"):
        text = text_of(path)
        assert not text or text.endswith("\n"), path
        assert not re.search(r"[ \t]+$", text, re.M), f"{path} has blanks at the end of a line"


def test_no_script_ends_processes_by_name():
    by_name = r"\b(?:" + "|".join(("pki" + "ll", "kill" + "all")) + r")\b"
    assert not hits(by_name, source_files(".sh", ".py", ".c"))
