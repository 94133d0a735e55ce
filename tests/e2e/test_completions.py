"""Completion in bash, zsh and fish: each shell is asked what a line could become. All that they know comes from `tapline
--complete`, which has it from the table of options; --help, which has it from there too, is what it is compared with."""
import os
import re
import subprocess
from pathlib import Path

import pytest

CONTRIB = Path(__file__).resolve().parents[2] / "contrib" / "completions"
SUBCOMMANDS = ["run", "relay", "check", "report", "tail", "diff", "explain", "config"]


@pytest.fixture
def program(staged):
    return str(staged())


def ask(program, *words):
    """The candidates of `tapline --complete`, without their meanings."""
    done = subprocess.run([program, "--complete", *words], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and not done.stderr, done
    return [line.split("\t")[0] for line in done.stdout.splitlines()]


def help_of(program, *words):
    return subprocess.run([program, *words, "--help"], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("subcommand", [c for c in SUBCOMMANDS if c not in ("explain", "config")])
def test_every_option_is_offered_and_no_other(program, subcommand):
    listed = set(re.findall(r"^ +(?:-\w, )? *(--[a-z][a-z-]+)", help_of(program, subcommand), re.M))
    assert {word.rstrip("=") for word in ask(program, subcommand, "--")} == listed


@pytest.mark.parametrize("subcommand", [c for c in SUBCOMMANDS if c not in ("explain", "config")])
def test_every_value_of_a_closed_vocabulary_is_offered(program, subcommand):
    closed = re.findall(r"--([a-z-]+)\[?=(?:[A-Z]+)?(\w+(?:\|\w+)+)", help_of(program, subcommand))
    for option, words in closed:
        if option != "via":  # NAME|off: any name will do
            assert ask(program, subcommand, f"--{option}=") == [f"--{option}={word}" for word in words.split("|")]
            assert ask(program, subcommand, f"--{option}=" + words.split("|")[1][:2])


def test_subcommands(program):
    assert sorted(ask(program, "")) == sorted(re.findall(r"^  (\w+) +[a-z]", help_of(program), re.M)[:len(ask(program, ""))])
    assert set(SUBCOMMANDS) <= set(ask(program, ""))
    assert ask(program, "no-such", "--") == []


@pytest.mark.parametrize("words, expected", [
    (["report", "--format", "h"], ["html", "har"]),
    (["report", "--output", ""], [":files"]),
    (["report", "x"], [":files"]),
    (["tail", "--event", "tls"], ["tls", "tls.roots"]),
    (["tail", "-n", ""], []),
    (["explain", "inodes"], ["inodes-exhausted"]),
    (["run", "--quiet", "cu"], [":command 2"]),
    (["run", "--inspect", "cu"], [":command 2"]),  # its value would stand behind a =
    (["run", "--upstream", "http://x:1", "--", "curl", "--fa"], [":command 4"]),
    (["run", "curl", "--fa"], [":command 1"]),
    (["run", "--", "--up"], [":command 2"]),
    (["run", "--upstream", "--"], []),
    (["relay", "x"], []),
], ids=" ".join)
def test_what_a_word_could_become(program, words, expected):
    assert ask(program, *words) == expected


# -- the shells: what each makes of it

@pytest.fixture
def place(tmp_path, program):
    """A directory with a file and a directory in it, and a PATH on which tapline is this one."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "tapline").symlink_to(program)
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "record one.jsonl").touch()
    return tmp_path


def shell(place, *argv):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, cwd=place / "work",
                          env={"PATH": f"{place}/bin:/usr/local/bin:/usr/bin:/bin", "HOME": str(place), "TERM": "dumb",
                               "LANG": "C.UTF-8"})
    assert done.returncode == 0, done
    return done.stdout.splitlines()


BASH = 'source "$1"; COMP_LINE=$2; COMP_POINT=${#2}; _tapline; printf "%s\\n" "${COMPREPLY[@]}"'
# Without zle nobody reads what the helpers of zsh's completion are given; here they print it.
ZSH = r"""
_call_program() { shift; eval "$@" }
_describe() { print -rl -- "${(@)${(@P)2}%%:*}" }
_files() { print -rl -- * }
_normal() { print -r -- "normal $CURRENT $words" }
compset() { : }
words=("${(@s: :)2}"); CURRENT=$#words PREFIX=$words[-1]
complete_tapline() { source $1 }
complete_tapline "$1"
"""
FISH = 'source $argv[1]; complete -C $argv[2]'


def completed(name, place, line):
    if name == "bash":
        return shell(place, "bash", "-c", BASH, "bash", CONTRIB / "tapline.bash", line)
    if name == "zsh":
        return shell(place, "zsh", "-fc", ZSH, "zsh", CONTRIB / "_tapline", line)
    return [word.split("\t")[0] for word in shell(place, "fish", "-c", FISH, CONTRIB / "tapline.fish", line)]


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_a_shell_completes(place, name):
    assert set(SUBCOMMANDS) <= set(completed(name, place, "tapline "))
    assert {"--upstream", "--upstream-ca"} == set(completed(name, place, "tapline run --up"))
    assert {"html", "har"} == set(completed(name, place, "tapline report --format h"))
    prefix = "" if name == "bash" else "--format="  # bash replaces what is behind the = only
    assert {prefix + "html", prefix + "har"} == set(completed(name, place, "tapline report --format=h"))
    assert [word.replace("\\ ", " ") for word in completed(name, place, "tapline tail ")] == ["record one.jsonl"]
    assert [word.replace("\\ ", " ") for word in completed(name, place, "tapline report --output rec")] == ["record one.jsonl"]


def test_the_command_of_a_run_is_completed_as_a_command(place):
    assert "tapline" in completed("bash", place, "tapline run -- tapli")
    assert completed("zsh", place, "tapline run --quiet tapline report --fo") == ["normal 3 tapline report --fo"]
    assert "--format" in completed("fish", place, "tapline run --quiet tapline report --fo")
