"""How each tool of contrib/catalogue.conf is brought to use its caches, on loopback: one recipe per tool.

A Recipe says what the work directory must hold, the command, and the variables the tool needs (not those of its
caches). `index` is a local index (tests/index), `tools` gives the paths of programs. Used by test_catalogue.py (all
tools, make check-catalogue) and tests/e2e/test_catalogue.py (those that the checks have anyway).
"""
import json
import subprocess
import sys
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
import projects  # noqa: E402
import runner  # noqa: E402


class Recipe:
    """files: name -> text. command: argv. env: more variables ({home} in them is the home directory). statuses: exit
    statuses that are well."""

    def __init__(self, command, files=None, env=None, statuses=(0,)):
        self.command, self.files, self.env, self.statuses = command, files or {}, env or {}, statuses


def pip(tools, index, work):
    return Recipe([tools["python"], "-m", "pip", "download", "-q", "-d", work / "got", "--index-url",
                   index.url + "/simple/", "grove"])


def poetry(tools, index, work):
    return Recipe([tools["poetry"], "lock", "-n"],
                  {"pyproject.toml": projects.PYPROJECT.format(url=index.url + "/simple/")},
                  {"POETRY_VIRTUALENVS_IN_PROJECT": "true", "POETRY_KEYRING_ENABLED": "false"})


def uv(tools, index, work):
    return Recipe([tools["uv"], "pip", "install", "-q", "--python", "/usr/bin/python3", "--target", work / "got",
                   "--index-url", index.url + "/simple/", "grove"], env={"UV_PYTHON_DOWNLOADS": "never"})


def pdm(tools, index, work):
    """With some versions of its HTTP library it ends with an error of its own, when it has made its cache."""
    text = ('[project]\nname = "demo"\nversion = "1"\nrequires-python = ">=3.9"\ndependencies = ["grove"]\n'
            '[[tool.pdm.source]]\nname = "pypi"\nurl = "' + index.url + '/simple/"\n')
    return Recipe([tools["pdm"], "lock", "-q"], {"pyproject.toml": text}, {"PDM_CHECK_UPDATE": "0"}, (0, 1))


def pipenv(tools, index, work):
    text = (f'[[source]]\nurl = "{index.url}/simple/"\nverify_ssl = true\nname = "local"\n[packages]\ngrove = "*"\n')
    return Recipe([tools["pipenv"], "lock", "--python", "/usr/bin/python3"], {"Pipfile": text},
                  {"PIPENV_VENV_IN_PROJECT": "1", "PIPENV_NOSPIN": "1"})


def pipx(tools, index, work):
    """The packages of the index have no programs, which pipx says at the end."""
    return Recipe([tools["pipx"], "install", "--python", "/usr/bin/python3", "--index-url", index.url + "/simple/",
                   "grove"], env={"USE_EMOJI": "0"}, statuses=(0, 1))


NPM = {"package.json": '{"name": "demo", "version": "1.0.0", "private": true, "dependencies": {"grove-js": "^1.0.0"}}\n'}


def npm(tools, index, work):
    return Recipe([tools["npm"], "install"], NPM, {"npm_config_registry": index.url + "/npm/"})


def yarn(tools, index, work):
    return Recipe([tools["yarn"], "install", "--no-progress"], NPM,
                  {"YARN_REGISTRY": index.url + "/npm/", "npm_config_registry": index.url + "/npm/", "npm_config_cafile": index.ca, "YARN_CAFILE": index.ca})


def yarn_berry(tools, index, work):
    files = {**NPM, "yarn.lock": "", ".yarnrc.yml": "nodeLinker: node-modules\nenableTelemetry: false\n"}
    return Recipe([tools["yarn-berry"], "install"], files,
                  {"YARN_NPM_REGISTRY_SERVER": index.url + "/npm", "YARN_ENABLE_IMMUTABLE_INSTALLS": "false",
                   "YARN_HTTPS_CA_FILE_PATH": index.ca, "YARN_NPM_MINIMAL_AGE_GATE": "0"})


def pnpm(tools, index, work):
    return Recipe([tools["pnpm"], "install", "--no-frozen-lockfile"], NPM,
                  {"npm_config_registry": index.url + "/npm/", "PNPM_CONFIG_REGISTRY": index.url + "/npm/"})


def bun(tools, index, work):
    return Recipe([tools["bun"], "install"], NPM, {"BUN_CONFIG_REGISTRY": index.url + "/npm/"})


def deno(tools, index, work):
    return Recipe([tools["deno"], "install"], NPM,
                  {"NPM_CONFIG_REGISTRY": index.url + "/npm/", "DENO_TLS_CA_STORE": "system,mozilla",
                   "DENO_CERT": index.ca, "DENO_NO_UPDATE_CHECK": "1"})


def cargo(tools, index, work):
    """A crate out of a git repository in the work directory: it is fetched into the cache."""
    files = {"Cargo.toml": '[package]\nname = "demo"\nversion = "0.1.0"\nedition = "2021"\n'
                           f'[dependencies]\nleaf = {{ git = "file://{work}/leaf" }}\n',
             "src/lib.rs": "", "leaf/Cargo.toml": '[package]\nname = "leaf"\nversion = "0.1.0"\nedition = "2021"\n',
             "leaf/src/lib.rs": ""}
    git = "cd leaf && git init -q && git add . && git -c user.name=x -c user.email=x@index.example commit -qm x"
    return Recipe(["sh", "-c", f'{git} && cd .. && exec "$0" generate-lockfile', tools["cargo"]], files,
                  {"CARGO_NET_GIT_FETCH_WITH_CLI": "true"})


def go(tools, index, work):
    """A module from a proxy made of files (go help goproxy)."""
    module, version = "leaf.example/leaf", "v1.0.0"
    at = work / "proxy" / module / "@v"
    at.mkdir(parents=True)
    (at / "list").write_text(version + "\n")
    (at / f"{version}.info").write_text(json.dumps({"Version": version}))
    (at / f"{version}.mod").write_text(f"module {module}\n")
    with zipfile.ZipFile(at / f"{version}.zip", "w") as packed:
        packed.writestr(f"{module}@{version}/go.mod", f"module {module}\n")
        packed.writestr(f"{module}@{version}/leaf.go", "package leaf\n\nconst Green = 1\n")
    files = {"go.mod": f"module demo\n\ngo 1.20\n\nrequire {module} {version}\n",
             "main.go": f'package main\n\nimport "{module}"\n\nfunc main() {{ println(leaf.Green) }}\n'}
    return Recipe([tools["go"], "build", "-modcacherw", "-mod=mod", "-o", work / "demo", "."], files,
                  {"GOPROXY": f"file://{work}/proxy", "GONOSUMDB": "*", "GOFLAGS": "", "GOTOOLCHAIN": "local",
                   "GOSUMDB": "off"})


# Java takes the home directory from the password file, not from HOME; the two are the same but in a test.
JAVA_HOME = "-Duser.home={home}"

POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>demo</groupId><artifactId>demo</artifactId><version>1</version><packaging>pom</packaging></project>
"""


def maven(tools, index, work):
    return Recipe([tools["mvn"], "-q", "-o", "validate"], {"pom.xml": POM}, {"JAVA_TOOL_OPTIONS": JAVA_HOME})


def gradle(tools, index, work):
    return Recipe([tools["gradle"], "--offline", "--no-daemon", "-q", "tasks"],
                  {"build.gradle": "", "settings.gradle": ""}, {"JAVA_TOOL_OPTIONS": JAVA_HOME})


GEMSPEC = """Gem::Specification.new do |s|
  s.name = "leaf"; s.version = "1.0"; s.summary = "leaf"; s.authors = ["x"]; s.files = []
end
"""


def gem(tools, index, work):
    """Into the user's own directory, as gem does where the system's cannot be written."""
    script = ('"$0" build -q leaf.gemspec && if [ -n "$GEM_HOME" ]; then set -- ; else set -- --user-install; fi && '
              'exec "$0" install -q --local --no-document "$@" leaf-1.0.gem')
    return Recipe(["sh", "-c", script, tools["gem"]], {"leaf.gemspec": GEMSPEC})


def bundler(tools, index, work):
    """What Bundler itself calls its cache; to fill it would take an index of gems. BUNDLE_PATH is where it installs."""
    script = ('require "bundler"; require "fileutils"; FileUtils.mkdir_p(Bundler.user_cache); '
              'FileUtils.mkdir_p(Bundler.bundle_path) if ENV["BUNDLE_PATH"]')
    return Recipe([tools["ruby"], "-e", script], {"Gemfile": ""})


def composer(tools, index, work):
    files = {"composer.json": json.dumps({"name": "demo/demo", "repositories": [
        {"type": "package", "package": {"name": "demo/leaf", "version": "1.0.0", "dist": {
            "url": f"file://{work}/leaf.zip", "type": "zip"}}}, {"packagist": False}],
        "require": {"demo/leaf": "1.0.0"}})}
    work.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(work / "leaf.zip", "w") as packed:
        packed.writestr("leaf/leaf.php", "<?php\n")
    return Recipe([tools["composer"], "install", "-n", "-q"], files)


RECIPES = {"pip": pip, "poetry": poetry, "uv": uv, "pdm": pdm, "pipenv": pipenv, "pipx": pipx, "npm": npm, "yarn": yarn,
           "yarn-berry": yarn_berry, "pnpm": pnpm, "bun": bun, "deno": deno, "cargo": cargo, "go": go, "maven": maven,
           "gradle": gradle, "gem": gem, "bundler": bundler, "composer": composer}


def environment(index, home, more):
    """A clean one: what this machine configures for its clients stays out."""
    base = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(home), "TMPDIR": str(home.parent / "tmp"), "LANG": "C.UTF-8",
            "PIP_CONFIG_FILE": "/dev/null", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1",
            "npm_config_globalconfig": "/dev/null", "npm_config_update_notifier": "false", "npm_config_audit": "false",
            "npm_config_fund": "false", "CI": "1", **runner.trust(index.ca)}
    return {**base, **{k: str(v) for k, v in more.items()}}


def run(tool, tools, index, user, place, variables, timeout=240):
    """Run a tool in a fresh place, as the unprivileged user, with these variables of its caches. Returns the finished
    process and the home."""
    home, work = (user.make_dir(place / name) for name in ("home", "work"))
    user.make_dir(place / "tmp")
    recipe = RECIPES[tool](tools, index, work)
    for name, text in recipe.files.items():
        user.make_file(work / name, text)
    for path in work.rglob("*"):
        user.own(path)
    more = {**{k: str(v).format(home=home) for k, v in recipe.env.items()}, **variables}
    done = subprocess.run([str(a) for a in recipe.command], cwd=work, env=environment(index, home, more), text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, umask=0o022,
                          **user.popen_arguments())
    assert done.returncode in recipe.statuses, f"{tool}: {done}"
    return done, home
