"""The command line as its users meet it: exit status, signals, help, and one clear line for each mistake. run
has exit status 125, 126 and 127 as env(1) and timeout(1) use them; relay and report have 2 for a mistake."""

import json
import os
import re
import signal
import time

import pytest

from origins import free_port
from proxies import TUNNELS, ScriptedProxy
from runner import children

SUBCOMMANDS = ["run", "relay", "report"]


@pytest.fixture
def tapline(sandbox, staged):
    """Run `tapline ARG...` to its end."""
    def run(*argv, **options):
        return sandbox.run([staged(), *argv], **options)
    return run


def assert_one_line(done, status, *parts):
    """One line on standard error, that starts with our name and holds all parts."""
    lines = done.stderr.splitlines()
    assert done.returncode == status, done
    assert len(lines) == 1, done
    assert re.match(r"tapline(?: (?:run|relay|report))?: ", lines[0]), done
    for part in parts:
        assert str(part) in lines[0], done
    assert done.stdout == "", done


# -- help and version

@pytest.mark.parametrize("argv", [["--help"], *([c, "--help"] for c in SUBCOMMANDS)], ids=" ".join)
def test_help(tapline, argv):
    done = tapline(*argv)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert done.stdout.lower().startswith("usage: tapline"), done
    assert all(len(line) <= 100 for line in done.stdout.splitlines())
    for word in SUBCOMMANDS if len(argv) == 1 else ["--help"]:
        assert word in done.stdout


def test_version(tapline):
    done = tapline("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"tapline \d+\.\d+\.\d+\n", done.stdout)


# -- mistakes on the command line

@pytest.mark.parametrize("argv, named", [
    (["--no-such-option"], "--no-such-option"),
    (["no-such-subcommand"], "no-such-subcommand"),
    (["run", "--no-such-option", "--", "true"], "--no-such-option"),
    (["run", "-Z", "--", "true"], "-Z"),
    (["relay", "--no-such-option"], "--no-such-option"),
    (["report", "--no-such-option"], "--no-such-option"),
    (["run", "--upstream"], "--upstream"),
    (["run", "--upstream", "::::", "--", "true"], "::::"),
    (["run", "--upstream", "gopher://x:1", "--", "true"], "gopher"),
    (["run", "--upstream", "http://", "--", "true"], "http://"),
    (["run", "--upstream", "http://x:99999", "--", "true"], "99999"),
    (["run", "--upstream", "", "--", "true"], "--upstream"),
    (["run", "--inspect=perhaps", "--", "true"], "perhaps"),
    (["run", "--bypass", "10.0.0.0/99", "--", "true"], "10.0.0.0/99"),
    (["run", "--resolve", "maybe", "--", "true"], "maybe"),
    (["run", "--quic=never", "--", "true"], "never"),
    (["run", "--quiet=yes", "--", "true"], "--quiet"),
    (["relay", "--listen", "nonsense"], "nonsense"),
    (["relay", "--listen", "127.0.0.1:99999"], "99999"),
    (["report", "--format", "pdf"], "pdf"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_a_mistake_is_named_in_one_line(tapline, argv, named):
    done = tapline(*argv, timeout=10)
    assert_one_line(done, 2 if argv[0] in ("relay", "report") else 125, named)


@pytest.mark.parametrize("argv", [["run"], ["run", "--"]], ids=" ".join)
def test_a_command_is_needed(tapline, argv):
    assert_one_line(tapline(*argv), 125, "no command")


def test_without_anything_it_says_how_it_is_used(tapline):
    done = tapline()
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.startswith("usage: tapline ")


def test_credentials_in_a_bad_upstream_are_not_repeated(tapline):
    done = tapline("run", "--upstream", "http://me:topsecret@x:99999", "--", "true")
    assert done.returncode == 125
    assert "topsecret" not in done.stderr


def test_a_listening_port_that_is_taken(tapline, make_index):
    taken = make_index(certs=None)
    done = tapline("relay", "--listen", f"127.0.0.1:{taken.port}")
    assert_one_line(done, 1, f"127.0.0.1:{taken.port}", "in use", "choose another")


def test_a_control_socket_in_no_directory(tapline, sandbox):
    path = sandbox.work / "none" / "relay.sock"
    done = tapline("relay", "--socket", path)
    assert_one_line(done, 1, path, "No such file", "make the directory first")


@pytest.mark.parametrize("limit", range(5, 14))
def test_a_relay_without_descriptors_says_so(sandbox, limit):
    """With five or six libuv used to end the process (abort(3))."""
    relay = [sandbox.program(), "relay", "--listen", "127.0.0.1:0", "--socket", sandbox.work / "s"]
    done = sandbox.run(["sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh", *relay])
    assert_one_line(done, 1, "Too many open files", "ulimit -n")


# -- the command's own end

@pytest.mark.parametrize("script, status", [("exit 0", 0), ("exit 3", 3), ("exit 125", 125), ("exit 255", 255),
                                            ("kill -TERM $$", 143), ("kill -KILL $$", 137), ("kill -HUP $$", 129)])
def test_the_commands_end_is_ours(tapline_run, script, status):
    done = tapline_run(["sh", "-c", script])
    assert done.returncode == status, done
    by_signal = {143: "TERM", 137: "KILL", 129: "HUP"}
    assert done.of("run.end")[0].get("signal", "").removeprefix("SIG") == by_signal.get(status, "")


def test_a_command_that_is_not_there(tapline):
    assert_one_line(tapline("run", "--", "no-such-command-anywhere"), 127, "no-such-command-anywhere")
    assert_one_line(tapline("run", "--", "/no/such/command"), 127, "/no/such/command")


def test_a_command_that_cannot_be_executed(tapline, sandbox):
    plain = sandbox.work / "plain"
    plain.write_text("just text\n")
    assert_one_line(tapline("run", "--", plain), 126, plain)
    assert_one_line(tapline("run", "--", sandbox.work), 126, sandbox.work)


def test_the_double_dash_is_optional_and_options_end_at_the_command(tapline):
    assert tapline("run", "sh", "-c", "exit 4").returncode == 4
    done = tapline("run", "echo", "--upstream", "--help")
    assert done.stdout == "--upstream --help\n", done
    done = tapline("run", "--", "echo", "--", "x")
    assert done.stdout == "-- x\n", done


def test_arguments_environment_and_output_pass_unchanged(tapline):
    done = tapline("run", "--", "sh", "-c", 'printf "%s|" "$@" "$COLOR"; echo oops >&2; cat', "sh", "a b", "", "ü\n",
                   env={"COLOR": "blue"})
    assert done.stdout == "a b||ü\n|blue|"
    assert "oops" in done.stderr


def test_a_quiet_good_run_says_nothing(tapline):
    done = tapline("run", "--quiet", "--", "true")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_good_run_has_no_finding(tapline_run):
    tapline_run(["sh", "-c", "true; false; exit 0"]).assert_worked()


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
                         ids=["INT", "TERM", "HUP"])
def test_signals_reach_the_command(sandbox, number, status):
    ready = sandbox.work / "ready"
    argv, record = sandbox.tapline_argv(["sh", "-c", f"trap 'echo caught; exit {status}' {signal.Signals(number).name[3:]}; "
                                         f": >{ready}; while :; do sleep 0.1; done"])
    process = sandbox.start(argv)
    wait_for(ready.exists)
    os.kill(process.pid, number)
    done = sandbox.finish(process, record)
    assert done.returncode == status, done
    assert done.stdout == "caught\n"


def test_a_command_that_takes_no_signal_handler_dies_of_it(sandbox):
    ready = sandbox.work / "ready"
    argv, record = sandbox.tapline_argv(["sh", "-c", f": >{ready}; exec sleep 60"])
    process = sandbox.start(argv)
    wait_for(ready.exists)
    os.kill(process.pid, signal.SIGTERM)
    done = sandbox.finish(process, record, timeout=10)
    assert done.returncode == 143, done


def wait_for(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_no_process_stays_behind_but_the_commands_own(sandbox):
    argv, record = sandbox.tapline_argv(["sleep", "1"])
    process = sandbox.start(argv)
    time.sleep(0.5)
    assert len(children(process.pid)) <= 2  # the relay and the command
    sandbox.finish(process, record)  # checks that nothing is left


# -- configuration

def config(sandbox, text):
    path = sandbox.work / "tapline.conf"
    path.write_text(text)
    return path


@pytest.mark.parametrize("text, parts", [
    ('upstream = "direct"\ninspect = \n', ["tapline.conf:", "2"]),
    ('\n\nupstraem = "direct";\n', ["tapline.conf:3", "upstraem"]),
    ("upstream = 7;\n", ["tapline.conf:1", "upstream", "string"]),
    ('quiet = "yes";\n', ["tapline.conf:1", "quiet"]),
    ('\nupstream = "gopher://x:1";\n', ["tapline.conf:2", "upstream", "gopher"]),
    ('inspect = "perhaps";\n', ["tapline.conf:1", "inspect", "perhaps"]),
    ('bypass = "10.0.0.0/99";\n', ["tapline.conf:1", "bypass", "10.0.0.0/99"]),
    ('drain = "soon";\n', ["tapline.conf:1", "drain", "soon"]),
    ("\0\1\2 binary", ["tapline.conf"]),
], ids=["syntax", "unknown-key", "type", "type-2", "url", "word", "list", "number", "binary"])
def test_a_broken_configuration_names_file_line_and_key(sandbox, tapline, text, parts):
    path = config(sandbox, text)
    assert_one_line(tapline("run", "--config", path, "--", "true"), 125, *parts)


def test_a_configuration_that_is_not_there(tapline):
    assert_one_line(tapline("run", "--config", "/no/such.conf", "--", "true"), 125, "/no/such.conf")


def test_the_default_configuration_may_be_missing_but_not_broken(sandbox, tapline):
    assert tapline("run", "--", "true").returncode == 0
    folder = sandbox.user.make_dir(sandbox.home / ".config")
    folder = sandbox.user.make_dir(folder / "tapline")
    (folder / "tapline.conf").write_text("nonsense = 1;\n")
    assert_one_line(tapline("run", "--", "true"), 125, "tapline.conf:1", "nonsense")


@pytest.mark.parametrize("variable, value", [("TAPLINE_UPSTREAM", "gopher://x:1"), ("TAPLINE_INSPECT", "perhaps"),
                                             ("TAPLINE_BYPASS", "10.0.0.0/99"), ("TAPLINE_DRAIN", "soon")])
def test_a_bad_value_in_the_environment_names_the_variable(tapline, variable, value):
    assert_one_line(tapline("run", "--", "true", env={variable: value}), 125, variable, value)


def test_command_line_beats_environment_beats_file(sandbox, tapline_run):
    def upstream_of(options=(), env=None):
        done = tapline_run(["true"], options, env=env)
        return done.of("run.start")[0].get("upstream")
    path = config(sandbox, 'upstream = "http://file.example:1";\n')
    from_file = ["--config", path]
    environment = {"TAPLINE_UPSTREAM": "http://environment.example:2"}
    assert upstream_of(from_file) == "http://file.example:1"
    assert upstream_of(from_file, environment) == "http://environment.example:2"
    assert upstream_of([*from_file, "--upstream", "http://option.example:3"], environment) == "http://option.example:3"
    assert upstream_of([*from_file, "--upstream=http://option.example:3"]) == "http://option.example:3"
    assert upstream_of(env={**environment, "https_proxy": "http://proxy.example:4"}) == "http://environment.example:2"
    assert upstream_of(env={"https_proxy": "http://proxy.example:4"}) == "http://proxy.example:4"


def test_options_of_the_file_work(sandbox, tapline_run, make_index):
    index = make_index()
    with ScriptedProxy(TUNNELS["plain"]) as proxy:
        path = config(sandbox, f'upstream = "{proxy.url}";\nno_proxy = "a.example";\nquiet = true;\n')
        done = tapline_run(["curl", "-sS", "--cacert", index.ca, f"{index.url}/echo"], ["--config", path])
        assert len(proxy.heads) == 1
    assert done.returncode == 0, done


# -- records and reports

@pytest.fixture
def record(sandbox, tapline_run):
    """The record of a real run that failed: a refused connection."""
    done = tapline_run(["curl", "-sS", f"http://127.0.0.1:{free_port()}/"])
    assert done.codes() == ["connection-refused"], done
    return done.record


def test_report_text_and_status(tapline, record):
    done = tapline("report", record)
    assert (done.returncode, done.stderr) == (1, ""), done
    assert "refused" in done.stdout
    assert str(record) in done.stdout


def test_report_to_a_file(tapline, sandbox, record):
    path = sandbox.work / "report.json"
    done = tapline("report", "--format", "json", "--output", path, record)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", ""), done
    assert json.loads(path.read_text())["findings"][0]["code"] == "connection-refused"
    assert_one_line(tapline("report", "--output", "/no/such/dir/x", record), 2, "/no/such/dir/x")


def test_report_of_the_newest_record(tapline):
    assert_one_line(tapline("report"), 2, "record")
    assert tapline("run", "--", "sh", "-c", "exit 3").returncode == 3
    done = tapline("report", "--format", "json")
    assert done.returncode == 0, done
    assert json.loads(done.stdout)["summary"]["exit_status"] == 3


def test_a_record_cut_short_is_read_to_its_last_whole_line(tapline, sandbox, record):
    text = record.read_bytes()
    lines = text.splitlines(keepends=True)
    cut = sandbox.work / "cut.jsonl"
    for length in (len(text) - 5, len(b"".join(lines[:3])) + 7):
        cut.write_bytes(text[:length])
        done = tapline("report", cut)
        assert done.returncode in (0, 1), done
        shown = done.stdout + done.stderr
        assert re.search("half a line|truncated|incomplete", shown), done


@pytest.mark.parametrize("content, name", [
    (b"", "empty"), (b"hello\n", "text"), (b"{}\n", "object"), (b"[1,2]\n", "array"), (b"\x7fELF\0\0\n", "binary"),
    (b'{"event":', "half a line"), (b'{"event": 7, "time": "x"}\n', "wrong types")], ids=lambda v: v if isinstance(v, str) else "")
def test_a_file_that_is_not_a_record(tapline, sandbox, content, name):
    path = sandbox.work / "file"
    path.write_bytes(content)
    assert_one_line(tapline("report", path), 2, path)


def test_a_record_that_cannot_be_read(tapline, sandbox):
    assert_one_line(tapline("report", "/no/such/record"), 2, "/no/such/record", "No such file")
    assert_one_line(tapline("report", sandbox.work), 2, sandbox.work)


def test_a_record_directory_that_cannot_be_written(tapline, sandbox):
    locked = sandbox.user.make_dir(sandbox.root / "locked")
    locked.chmod(0o555)
    done = tapline("run", "--record", locked / "r.jsonl", "--", "sh", "-c", "echo ran")
    assert_one_line(done, 125, locked / "r.jsonl", "Permission denied")
    done = tapline("run", "--record", "/no/such/dir/r.jsonl", "--", "true")
    assert_one_line(done, 125, "/no/such/dir/r.jsonl")


def test_a_home_without_room_for_records_does_not_stop_the_command(tapline, sandbox):
    """The default place for records is our choice, not the user's: when HOME cannot be written, which is the very
    case tapline is made for, the command runs and the record goes elsewhere, or we say in one line why not."""
    locked = sandbox.user.make_dir(sandbox.root / "locked-home")
    locked.chmod(0o555)
    done = tapline("run", "--", "sh", "-c", "echo ran; exit 3", env={"HOME": locked})
    assert done.returncode == 3, done
    assert done.stdout == "ran\n"
    assert "record" in done.stderr.lower()
    [place] = re.findall(r"^Record: (\S+)$", done.stderr, re.M)
    assert place.startswith(str(sandbox.tmp))
    assert oct(os.stat(os.path.dirname(place)).st_mode & 0o777) == "0o700"


def test_a_record_is_private_and_never_a_link(tapline, sandbox):
    target, link = sandbox.work / "target", sandbox.work / "link"
    target.write_text("mine\n")
    link.symlink_to(target)
    done = tapline("run", "--record", link, "--", "true")
    assert_one_line(done, 125, link)
    assert target.read_text() == "mine\n"


def test_records_of_several_runs_do_not_mix(tapline, sandbox):
    for status in (3, 4):
        tapline("run", "--", "sh", "-c", f"exit {status}")
    folder = sandbox.home / ".local/state/tapline"
    records = sorted(folder.iterdir())
    assert len(records) == 2
    assert oct(folder.stat().st_mode & 0o777) == "0o700"
    for path in records:
        assert path.read_text().count('"run.start"') == 1
