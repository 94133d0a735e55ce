"""The recipes of contrib/: what this machine can do of each is done. The scripts of the CI step run as the runner would run
them; the containers of the pod are processes that share a directory; systemd's own tools look at its units. Not done: an image
is not built, and no cluster and no runner take part."""
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import schema

sys.path.insert(0, "/usr/lib/python3/dist-packages")  # python3-yaml, whatever python runs the tests
import yaml  # noqa: E402

from origins import free_port, wait_listening  # noqa: E402

CONTRIB = Path(__file__).resolve().parents[2] / "contrib"


def path_with(sandbox, program):
    return f"{Path(program).parent}:{sandbox.env()['PATH']}"


def check_script(text):
    done = subprocess.run(["sh", "-n", "-c", text], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# -- the step of GitHub Actions

@pytest.fixture(scope="module")
def steps():
    action = yaml.safe_load((CONTRIB / "ci" / "action.yml").read_text())
    assert action["runs"]["using"] == "composite"
    named = {step["name"]: step for step in action["runs"]["steps"]}
    for step in named.values():
        assert "uses" in step or ("run" in step and step["shell"] == "sh")  # a composite step must name its shell
        if "run" in step:
            check_script(step["run"])
            assert "${{" not in step["run"], "an input in a script is a part of the script"
    assert named["Attach the report"]["with"]["path"].endswith("/tapline.html")
    used = set(re.findall(r"inputs\.(\w+)", json.dumps(named)))
    assert used == set(action["inputs"])
    return named


def run_step(sandbox, staged, step, **variables):
    """Run the step's script as the runner does: sh -e and a file."""
    temp = sandbox.user.make_dir(sandbox.work / "runner")
    script = sandbox.user.make_file(sandbox.work / "step.sh", step["run"])
    summary = sandbox.user.make_file(sandbox.work / "summary")
    done = sandbox.run(["sh", "-e", script], env={"PATH": path_with(sandbox, staged()), "RUNNER_TEMP": temp, "OPTIONS": "",
                                                  "GITHUB_STEP_SUMMARY": summary, **variables})
    return done, temp / "tapline.html", summary.read_text()


def test_a_step_that_works_says_nothing_more(sandbox, staged, steps):
    done, page, summary = run_step(sandbox, staged, steps["Run the command"], COMMAND='echo "a;b" $((1 + 1))\nfalse || true')
    assert (done.returncode, done.stdout) == (0, "a;b 2\n"), done
    assert not page.exists() and summary == ""


def test_a_step_that_fails_is_explained(sandbox, staged, steps):
    command = f"curl -sS http://127.0.0.1:{free_port()}/\necho not reached"
    done, page, summary = run_step(sandbox, staged, steps["Run the command"], COMMAND=command,
                                   OPTIONS="--bypass none --inspect=never")
    assert done.returncode == 7, done
    assert done.stdout.startswith("::error title=tapline%3A connection-refused::"), done
    assert "connection-refused" in page.read_text() and "### connection-refused" in summary


def test_a_step_without_tapline_builds_it(sandbox, steps):
    """With make and sudo that only say what they were asked."""
    tools = sandbox.user.make_dir(sandbox.work / "tools")
    for name in ("make", "sudo"):
        sandbox.user.make_file(tools / name, f'#!/bin/sh\necho "{name} $*"\n', 0o755)
    done = sandbox.run(["sh", "-ec", steps["Install tapline"]["run"]], env={
        "PATH": f"{tools}:{sandbox.env()['PATH']}", "GITHUB_ACTION_PATH": CONTRIB / "ci"})
    said = [re.sub(r"\d+", "N", line) for line in done.stdout.splitlines()]
    assert said == ["make deps", "make -j N", "sudo make install"], done


# -- the image

def instructions():
    text = re.sub(r"^#.*\n", "", (CONTRIB / "container" / "Dockerfile").read_text(), flags=re.M)
    return [line.split(None, 1) for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def test_the_image(sandbox, staged):
    stages = [n for n, (word, _) in enumerate(instructions()) if word == "FROM"]
    assert len(stages) == 2 and instructions()[0][1].endswith(" AS build")
    for word, text in instructions():
        assert word in ("FROM", "RUN", "COPY", "WORKDIR", "ENV", "USER", "ENTRYPOINT", "CMD"), word
        if word == "RUN":
            check_script(text)
    last = dict(instructions())
    assert last["USER"] != "root"
    variable, value = last["ENV"].split("=")
    records = sandbox.user.make_dir(sandbox.work / "records")
    done = sandbox.run([*json.loads(last["ENTRYPOINT"]), "sh", "-c", "exit 3"],
                       env={"PATH": path_with(sandbox, staged()), variable: records})
    assert value == "/records" and done.returncode == 3, done
    assert len(list((records / "tapline").glob("*.jsonl"))) == 1


# -- the pod

def container_argv(container, folder, program):
    """The container's command, with the shared volume and the image's library where they are here."""
    [mount] = container["volumeMounts"]
    places = {mount["mountPath"]: str(folder), "/usr/lib/tapline": str(Path(program).parent)}
    return [re.sub("|".join(map(re.escape, places)), lambda m: places[m[0]], word) for word in container["command"]]


def test_the_pod(sandbox, staged, index):
    pod = yaml.safe_load((CONTRIB / "container" / "sidecar.yaml").read_text())
    spec = pod["spec"]
    library, relay = spec["initContainers"]
    [program] = spec["containers"]
    # What the three have to share, and nothing that a restricted cluster refuses.
    assert spec["shareProcessNamespace"] and spec["securityContext"]["runAsNonRoot"]
    assert relay["restartPolicy"] == "Always"
    assert {c["volumeMounts"][0]["name"] for c in (library, relay, program)} == {v["name"] for v in spec["volumes"]}
    assert all(c["securityContext"]["capabilities"] == {"drop": ["ALL"]} for c in (library, relay, program))
    folder = sandbox.user.make_dir(sandbox.work / "shared")
    mount = program["volumeMounts"][0]["mountPath"]

    def argv(container):
        return container_argv(container, folder, staged())

    def env(container):
        return {v["name"]: v["value"].replace(mount, str(folder), 1) for v in container.get("env", [])}

    path = {"PATH": path_with(sandbox, staged())}
    assert sandbox.run(argv(library), env=path).returncode == 0
    sidecar = sandbox.start([*argv(relay), "--bypass", "none"], env=path)
    probe = [word.replace(mount, str(folder)) for word in relay["startupProbe"]["exec"]["command"]]
    end = time.monotonic() + 20
    while sandbox.run(probe).returncode != 0:
        assert time.monotonic() < end and sidecar.popen.poll() is None
        time.sleep(0.1)
    done = sandbox.run(["curl", "-sS", "--cacert", index.ca, index.url + "/echo"], env={**path, **env(program), "TAPLINE_BYPASS": "none"})
    assert done.returncode == 0 and done.stderr == "", done
    sidecar.popen.terminate()
    assert sidecar.wait(20).returncode == 0
    events = schema.read(folder / "record.jsonl")
    [connect] = [e for e in events if e["event"] == "connect"]
    assert connect["port"] == index.port and connect["exe"].endswith("/curl")


# -- the service

def units(tmp_path, program):
    """The units with the program that is tested."""
    paths = []
    for name in ("tapline.socket", "tapline.service"):
        text = (CONTRIB / "systemd" / name).read_text()
        paths.append(tmp_path / name)
        paths[-1].write_text(text.replace("/usr/local/bin/tapline", str(program)))
    return paths


def test_the_units_are_right(staged, tmp_path):
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units(tmp_path, staged())], capture_output=True, text=True,
                          timeout=60)
    about_ours = [line for line in (done.stdout + done.stderr).splitlines() if "tapline" in line]
    assert done.returncode == 0 and not about_ours, done
    socket, service = units(tmp_path, staged())
    service.write_text(service.read_text().replace("ProtectSystem=strict", "ProtectSistem=strict"))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", socket, service], capture_output=True, text=True, timeout=60)
    assert "ProtectSistem" in done.stderr, "a mistake would not be seen"


def test_the_first_client_starts_the_service(sandbox, staged, tmp_path, index):
    socket, service = (dict(re.findall(r"^(\w+)=(.*)$", unit.read_text(), re.M)) for unit in units(tmp_path, staged()))
    runtime = sandbox.user.make_dir(sandbox.work / service["RuntimeDirectory"])
    address, _ = socket["ListenStream"].split(":")
    port = free_port()
    argv = service["ExecStart"].replace("%t", str(sandbox.work)).split()
    record = sandbox.work / "record.jsonl"
    activated = sandbox.start(["systemd-socket-activate", "-l", f"{address}:{port}", *argv, "--record", record])
    try:
        wait_listening(port, activated.popen)
        done = sandbox.run(["curl", "-sS", "--cacert", index.ca, "--proxy", f"http://{address}:{port}", index.url + "/echo"])
        assert done.returncode == 0, done
        assert (runtime / "relay.sock").is_socket()
    finally:
        activated.popen.terminate()
        ended = activated.wait(20)
    assert ended.returncode == 0, ended
    assert [e["kind"] for e in schema.read(record) if e["event"] == "connect"] == ["connect"]
