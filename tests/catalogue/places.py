"""What the catalogue says of a tool's directories, as `tapline check` sees it, against what the tool does."""
import json
import re
import subprocess

import recipes

# The name of the program as a user would type it, where it is not the tool's.
PROGRAMS = {"yarn-berry": "yarn-berry.cjs", "maven": "mvn", "bundler": "bundle", "pip": "pip"}
# Variables (by tool) that the recipe does not come to use, and why they are looked at otherwise or not at all.
UNUSED = {"gem": {"GEM_SPEC_CACHE"},  # test_gem_asks_for_its_caches
          "yarn-berry": {"YARN_CACHE_FOLDER"}}  # only where enableGlobalCache is off; test_yarn_without_its_global_cache


def said(tapline, tool, index, home, variables):
    """The directories that tapline expects, and the tool that it takes the command for."""
    argv = [tapline, "check", "--format", "json", "--upstream", "http://127.0.0.1:1", PROGRAMS.get(tool, tool)]
    done = subprocess.run(argv, env=recipes.environment(index, home, variables), capture_output=True, text=True, timeout=60)
    report = json.loads(done.stdout)
    items = [c["summary"] for c in report["checks"] if c["check"] == "cache"]
    return report["tools"], [re.search(r": (/\S+) can be", text).group(1) for text in items]


def check_default(tapline, tool, tools, index, user, place):
    """Without any variable, the tool makes the directories that the catalogue names."""
    names, expected = said(tapline, tool, index, place / "home", {})
    assert names == [tool] and expected
    recipes.run(tool, tools, index, user, place, {})
    used = [path for path in expected if (place / path).exists()]
    assert used if UNUSED.get(tool) else used == expected, f"{expected}, but there is {listing(place / 'home')}"


def check_variable(tapline, tool, tools, index, user, place, variable, option=""):
    """With the variable, the tool uses that directory and not the default one, and tapline knows it."""
    moved = place / "moved"
    user.make_dir(place)
    variables = {variable: f"{option}{moved}"}
    _, before = said(tapline, tool, index, place / "home", {})
    _, expected = said(tapline, tool, index, place / "home", variables)
    assert str(moved) in expected
    recipes.run(tool, tools, index, user, place, variables)
    assert moved.exists(), f"{variable} was not heeded; there is {listing(place / 'home')}"
    for path in set(before) - set(expected):
        assert not (place / path).exists(), f"{variable}: {path} was made all the same"


def listing(home):
    return sorted(str(p.relative_to(home)) for p in home.rglob("*") if len(p.relative_to(home).parts) <= 3)[:60]
