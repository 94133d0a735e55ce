"""Sample projects for the clients: a Poetry project and an npm project that need packages of the local index."""
import runner

PYPROJECT = """[project]
name = "demo"
version = "0.1.0"
requires-python = ">=3.9,<4.0"
dependencies = ["grove (>=1.0)"]

[tool.poetry]
package-mode = false

[[tool.poetry.source]]
name = "local"
url = "{url}"
priority = "primary"
"""

# The Python packages that grove needs, itself included.
GROVE = ("acorn-cup", "ash", "bark", "birch", "elm", "fern", "grove", "leaf-kit", "moss", "oak", "root-kit", "sap",
         "stone")


def poetry(sandbox, simple_url):
    """Write a Poetry project into the sandbox's work directory."""
    sandbox.user.make_file(sandbox.work / "pyproject.toml", PYPROJECT.format(url=simple_url))


def poetry_env(ca):
    # The keyring would ask a desktop session that is not there.
    return {**runner.trust(ca), "POETRY_VIRTUALENVS_IN_PROJECT": "true", "POETRY_KEYRING_ENABLED": "false"}


def npm(sandbox):
    sandbox.user.make_file(sandbox.work / "package.json",
                           '{"name": "demo", "version": "1.0.0", "dependencies": {"grove-js": "^1.0.0"}}\n')


def npm_env(index):
    return {**runner.trust(index.ca), "npm_config_registry": index.url + "/npm/"}
