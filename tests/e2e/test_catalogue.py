"""The catalogue's directories and variables are what pip, Poetry and npm really use. tests/catalogue has all the tools
(make check-catalogue)."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "catalogue"))

import places  # noqa: E402
import toolbox  # noqa: E402

VARIABLES = {"pip": "PIP_CACHE_DIR", "poetry": "POETRY_CACHE_DIR", "npm": "npm_config_cache"}


@pytest.mark.parametrize("tool", VARIABLES)
def test_the_default_is_where_the_catalogue_says(sandbox, index, npm, tool):
    places.check_default(sandbox.program(), tool, toolbox.few(), index, sandbox.user, sandbox.root / "place")


@pytest.mark.parametrize("tool", VARIABLES)
def test_the_variable_moves_it(sandbox, index, npm, tool):
    places.check_variable(sandbox.program(), tool, toolbox.few(), index, sandbox.user, sandbox.root / "place",
                          VARIABLES[tool])
