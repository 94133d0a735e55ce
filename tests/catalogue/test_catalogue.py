"""make check-catalogue: the directories and variables of contrib/catalogue.conf are what the real tools use, each tool
that can be installed here. conda and NuGet (dotnet) come from no registry that the tests use: they are not here."""
import itertools
import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "index"))

import certs as certs_module  # noqa: E402
import places  # noqa: E402
import recipes  # noqa: E402
import runner  # noqa: E402
import toolbox  # noqa: E402
import user as user_module  # noqa: E402
from index import Index  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
NOT_HERE = {"conda", "nuget"}


def entries():
    """(tool, variable, option) of the catalogue as it is written."""
    text = re.sub(r"^#.*\n", "", (ROOT / "contrib/catalogue.conf").read_text(), flags=re.M)
    for tool, body in re.findall(r'\{ name = "([^"]+)";(.*?)\n  \}', text, re.S):
        for cache in re.findall(r"\{ variable = (.*?); \}", body, re.S):
            option = re.search(r'option = "([^"]+)"', cache)
            for name in re.findall(r'"([A-Za-z_]+)"', re.match(r'"[A-Z_a-z]+"', cache).group()):
                yield tool, name, option.group(1) if option else ""


VARIABLES = [(tool, name, option) for tool, name, option in entries()
             if tool not in NOT_HERE and name not in places.UNUSED.get(tool, ())]
numbers = itertools.count()


@pytest.fixture(scope="session")
def place_root(tmp_path_factory):
    import tempfile
    path = Path(tempfile.mkdtemp(prefix="tapline-catalogue-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    subprocess.run(["rm", "-rf", path], check=False)  # tools leave directories that cannot be written


@pytest.fixture(scope="session")
def index(place_root):
    certs = certs_module.make(place_root / "certs")
    certs.dir.chmod(0o755)
    made = Index(place_root / "index", certs)
    yield made.start()
    made.stop()


@pytest.fixture(scope="session")
def user():
    return user_module.User()


@pytest.fixture(scope="session")
def tapline(place_root):
    import os
    return runner.stage(Path(os.environ.get("BUILD", ROOT / "build")).resolve(), place_root / "stage")


@pytest.fixture(scope="session")
def tools():
    return toolbox.all()


@pytest.fixture
def place(place_root, user):
    return user.make_dir(place_root / f"p{next(numbers)}")


def test_every_tool_has_a_recipe():
    assert {tool for tool, _, _ in entries()} - NOT_HERE == set(recipes.RECIPES)


@pytest.mark.parametrize("tool", sorted(recipes.RECIPES))
def test_the_default_is_where_the_catalogue_says(tapline, tool, tools, index, user, place):
    places.check_default(tapline, tool, tools, index, user, place)


@pytest.mark.parametrize("tool, variable, option", VARIABLES, ids=lambda v: v or "-")
def test_the_variable_moves_it(tapline, tool, variable, option, tools, index, user, place):
    places.check_variable(tapline, tool, tools, index, user, place, variable, option)


def test_gem_asks_for_its_caches(tools, index, user, place):
    """gem tells its directories itself; the cache of specifications is filled from an index of gems only."""
    home = user.make_dir(place / "home")
    for more, wanted in (({}, f"{home}/.local/share/gem/specs"), ({"GEM_SPEC_CACHE": "/some/where"}, "/some/where")):
        done = subprocess.run([tools["gem"], "env"], env=recipes.environment(index, home, more), capture_output=True,
                              text=True, check=True, cwd=home)
        assert f"SPEC CACHE DIRECTORY: {wanted}\n" in done.stdout


def test_yarn_without_its_global_cache(tapline, tools, index, user, place):
    recipe = recipes.RECIPES["yarn-berry"]

    def local(*args):
        made = recipe(*args)
        made.env["YARN_ENABLE_GLOBAL_CACHE"] = "false"
        return made

    recipes.RECIPES["yarn-berry"] = local
    try:
        recipes.run("yarn-berry", tools, index, user, place, {"YARN_CACHE_FOLDER": str(place / "moved")})
    finally:
        recipes.RECIPES["yarn-berry"] = recipe
    assert any((place / "moved").glob("grove-js-*.zip"))
