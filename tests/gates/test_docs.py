"""The manual against the program: every option that --help shows is in the manual page and nothing else is,
every configuration key is in the sample configuration, every finding and file named in docs/ exists."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

from tree import ROOT, source_files

BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build"))
SUBCOMMANDS = ["run", "relay", "report", "check", "tail", "diff", "explain", "config"]
NOT_KEYS = {"help", "config", "lines", "from_start", "event", "pid", "flow"}  # options that have no place in a file


def help_of(subcommand):
    done = subprocess.run([BUILD / "tapline", subcommand, "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done
    return done.stdout


def options_in(text):
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))


def listed(subcommand):
    """The options that --help lists (not those of its examples)."""
    return set(re.findall(r"^ +(?:-\w, )? *(--[a-z][a-z-]+)", help_of(subcommand), re.M))


def manual():
    """The page's text with escaped hyphens undone and options as they are typed."""
    text = (ROOT / "docs/tapline.1").read_text().replace(r"\-", "-")
    return re.sub(r"(\bFl (?:\w , )?)-(?=[a-z])", r"\1--", text)


@pytest.mark.parametrize("subcommand", SUBCOMMANDS)
def test_every_option_is_in_the_manual(subcommand):
    shown = listed(subcommand)
    assert "--help" in shown
    assert shown - options_in(manual()) == set()


def test_the_manual_has_no_option_that_is_not_there():
    real = set().union(*map(listed, SUBCOMMANDS)) | {"--version"}
    # options of other programs in the examples
    others = {"--proxy", "--cacert"}
    assert options_in(manual()) - real - others == set()


def test_every_key_is_in_the_sample_configuration():
    sample = (ROOT / "contrib/tapline.conf").read_text()
    keys = set(re.findall(r"^#?([a-z_]+) = ", sample, re.M))
    expected = {name[2:].replace("-", "_") for command in SUBCOMMANDS for name in listed(command)} - NOT_KEYS
    assert keys == expected


def test_the_sample_configuration_is_accepted(tmp_path):
    sample = (ROOT / "contrib/tapline.conf").read_text()
    all_set = re.sub(r"^#(?=[a-z_]+ = )", "", sample, flags=re.M)
    all_set = re.sub(r'^(record|socket|output|ca_out|keylog|pcap) = .*', rf'\1 = "{tmp_path}/\1";', all_set, flags=re.M)
    for name, text in (("as-it-is", sample), ("all-set", all_set)):
        path = tmp_path / f"{name}.conf"
        path.write_text(text)
        done = subprocess.run([BUILD / "tapline", "run", "--config", path, "--", "true"], text=True,
                              capture_output=True, env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)})
        assert done.returncode == 0, done


def test_environment_variables_are_in_the_manual():
    keys = re.findall(r"^#?([a-z_]+) = ", (ROOT / "contrib/tapline.conf").read_text(), re.M)
    text = manual()
    for variable in [*(f"TAPLINE_{key.upper()}" for key in keys), "XDG_STATE_HOME", "XDG_CONFIG_HOME",
                     "XDG_RUNTIME_DIR", "https_proxy", "no_proxy"]:
        assert re.search(rf"\b{variable}\b", text), variable


@pytest.mark.parametrize("page", source_files(".md"), ids=lambda p: str(p.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_files_named_in_the_architecture_exist():
    text = (ROOT / "docs/architecture.md").read_text()
    names = set(re.findall(r"`((?:relay|preload|include|contrib|tests|docs)/[\w./-]+)`", text))
    assert names
    assert [name for name in sorted(names) if not (ROOT / name).exists()] == []


def test_functions_named_in_the_architecture_exist():
    text = (ROOT / "docs/architecture.md").read_text()
    code = "\n".join(p.read_text() for p in source_files(".c", ".h"))
    names = set(re.findall(r"`([a-z]\w+)\(\)`", text))
    assert names
    assert [name for name in sorted(names) if not re.search(rf"\b{name}\(", code)] == []


def test_the_manual_page_is_well_formed():
    page = ROOT / "docs/tapline.1"
    text = page.read_text()
    for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "ENVIRONMENT", "FILES", "EXIT STATUS", "EXAMPLES"):
        assert re.search(rf'^\.Sh {section}$', text, re.M), section
    if shutil.which("mandoc"):
        done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True)
        assert done.stdout == "", done.stdout
