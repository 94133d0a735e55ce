"""The process tree under tapline has no gaps: a child is covered however it is started and whatever environment it
is given, and one that cannot be covered is named. Programs that are not chosen are left alone."""
import os
import shutil
import stat
import struct
import subprocess
import time
from pathlib import Path

import pytest

import projects
import schema
from runner import PATH, kill_marked
from trees import HELLO, assert_covered, assert_uncovered, commands, compile_c, place, uncovered
from user import IS_ROOT

BUILD = Path(os.environ.get("BUILD", Path(__file__).resolve().parents[2] / "build")).resolve()
LIBRARY = "libtapline.so"
WAYS = ["execve", "execv", "execvp", "execvpe", "execl", "execlp", "execle", "fexecve", "fexecve-path", "execveat",
        "execveat-empty", "vfork", "spawn", "spawnp", "system", "popen", "much"]


@pytest.fixture
def client(sandbox):
    """A callable: the program tests/clients/NAME.c, in the sandbox."""
    return lambda name: place(sandbox, BUILD / "clients" / name)


@pytest.fixture
def compiled(sandbox):
    """A callable: C source, made into a program or library of that name in the sandbox."""
    return lambda name, source, *flags: compile_c(sandbox, name, source, *flags)


def variables(done):
    """What env(1) printed, in order."""
    return [tuple(line.split("=", 1)) for line in done.stdout.splitlines() if "=" in line]


# -- environments

@pytest.mark.parametrize("way", WAYS)
def test_a_cleaned_environment_however_the_child_is_started(sandbox, client, way):
    done = sandbox.tapline([client("tree_exec"), way, "/bin/true", "last"])
    done.assert_worked()
    argv = next((argv for argv in commands(done) if argv[-1] == "last" and "tree_exec" not in argv[0]), None)
    assert argv and argv[0].endswith("true"), f"not covered\n{done}"


def test_what_a_program_sees_is_the_same(sandbox, client):
    program = client("tree_same")
    bare, done = sandbox.run([program]), sandbox.tapline([program])
    assert bare.returncode == done.returncode == 0, str(done)
    assert done.stdout == bare.stdout


def test_env_i_all_the_way_down(sandbox):
    done = sandbox.tapline(["env", "-i", "/usr/bin/env", "-i", "/bin/sh", "-c",
                            "/usr/bin/env -i /bin/sh -c '/bin/true last; :'"])
    done.assert_worked()
    assert_covered(done, "/bin/true", "last")


def test_what_is_put_back(sandbox):
    done = sandbox.tapline(["env", "-i", "MINE=1", "/usr/bin/env"])
    names = [name for name, _ in variables(done)]
    assert names[0] == "MINE" and len(names) == len(set(names)), str(done)
    assert set(names[1:]) == {n for n, _ in variables(sandbox.tapline(["env"]))
                              if n == "LD_PRELOAD" or n.startswith("TAPLINE_")}
    assert {"LD_PRELOAD", "TAPLINE_SOCKET", "TAPLINE_BYPASS", "TAPLINE_RECORD", "TAPLINE_INSIDE"} <= set(names)


@pytest.mark.parametrize("name", ["LD_PRELOAD", "TAPLINE_SOCKET", "TAPLINE_BYPASS"])
def test_a_single_variable_that_was_removed(sandbox, name):
    done = sandbox.tapline(["env", "-u", name, "/usr/bin/env"])
    assert [n for n, _ in variables(done)].count(name) == 1, str(done)


def test_a_variable_that_the_program_has_set_stays(sandbox):
    done = sandbox.tapline(["env", "TAPLINE_BYPASS=loopback", "/usr/bin/env"])
    assert ("TAPLINE_BYPASS", "loopback") in variables(done)


def test_trust_comes_back_into_a_cleaned_environment_only(sandbox):
    whole = dict(variables(sandbox.tapline(["env"], inspect=True)))
    kept = whole["TAPLINE_KEEP"].split(":")
    assert "SSL_CERT_FILE" in kept and "LD_PRELOAD" not in kept
    cleaned = dict(variables(sandbox.tapline(["env", "-i", "SSL_CERT_FILE=/mine", "/usr/bin/env"], inspect=True)))
    assert cleaned["SSL_CERT_FILE"] == "/mine"
    assert set(kept) <= set(cleaned)
    without = dict(variables(sandbox.tapline(["env", "-u", "SSL_CERT_FILE", "/usr/bin/env"], inspect=True)))
    assert "SSL_CERT_FILE" not in without and "NODE_EXTRA_CA_CERTS" in without


def test_a_cleaned_environment_can_be_inspected(sandbox, index):
    done = sandbox.tapline(["env", "-i", shutil.which("curl", path=PATH), "-sS", f"{index.url}/echo"], inspect=True,
                           env={"SSL_CERT_FILE": index.certs.ca, "CURL_CA_BUNDLE": index.certs.ca})
    done.assert_worked()
    done.assert_recorded(index)


# -- LD_PRELOAD

@pytest.fixture
def other(compiled):
    """A library of the user's own."""
    return compiled("libother.so", "int other;", "-shared", "-fPIC")


def preload_of(done):
    return dict(variables(done))["LD_PRELOAD"].split(":")


def test_the_users_own_preload_is_kept(sandbox, other, staged):
    done = sandbox.tapline(["sh", "-c", "env"], env={"LD_PRELOAD": other})
    assert [Path(p).name for p in preload_of(done)] == [LIBRARY, "libother.so"]
    assert done.stderr.count("preload") == 0


@pytest.mark.parametrize("given, expected", [
    ("{other}", [LIBRARY, "libother.so"]),
    ("", [LIBRARY]),
    ("{other} {ours}", ["libother.so", LIBRARY]),
    ("{ours}:{other}", [LIBRARY, "libother.so"]),
], ids=["theirs alone", "empty", "theirs and ours", "ours and theirs"])
def test_a_preload_that_the_program_sets(sandbox, other, staged, given, expected):
    value = given.format(other=other, ours=staged().parent / LIBRARY)
    done = sandbox.tapline(["env", "-i", f"LD_PRELOAD={value}", "/usr/bin/env"])
    assert [Path(p).name for p in dict(variables(done))["LD_PRELOAD"].replace(" ", ":").split(":")] == expected


def test_tapline_inside_tapline(sandbox, staged):
    inner = sandbox.records / "inner.jsonl"
    done = sandbox.tapline([staged(), "run", "--record", inner, "--", "env", "-i", "/usr/bin/env"])
    assert [Path(p).name for p in preload_of(done)] == [LIBRARY]
    assert dict(variables(done))["TAPLINE_RECORD"] == str(inner)
    assert ["/usr/bin/env"] in [e.get("argv") for e in schema.read(inner)]


def test_without_a_relay_the_library_stays(sandbox, staged):
    ours = staged().parent / LIBRARY
    done = sandbox.run(["env", "-i", "/usr/bin/env"], env={"LD_PRELOAD": ours})
    assert (variables(done), done.stderr) == ([("LD_PRELOAD", str(ours))], "")


# -- those who start others

def test_python_with_an_empty_environment(sandbox):
    script = ("import os, subprocess as s; s.run(['/bin/true', 'run'], env={}, check=True);"
              "os.waitpid(os.posix_spawn('/bin/true', ['/bin/true', 'spawn'], {}), 0);"
              "s.run('/bin/true shell; :', shell=True, env={'A': 'b'}, check=True)")
    done = sandbox.tapline(["/usr/bin/python3", "-c", script])
    done.assert_worked()
    for word in ("run", "spawn", "shell"):
        assert_covered(done, "/bin/true", word)


def test_make_with_fifty_children(sandbox):
    names = " ".join(f"t{i}" for i in range(50))
    (sandbox.work / "Makefile").write_text(
        f"all: {names}\n{names}:\n\t@env -i /bin/true $@\n.PHONY: all {names}\n")
    done = sandbox.tapline(["make", "-j8"])
    done.assert_worked()
    for name in names.split():
        assert_covered(done, "/bin/true", name)


def test_npms_install_scripts(sandbox, index, npm):
    projects.npm(sandbox)
    package = sandbox.work / "package.json"
    text = package.read_text().rstrip()
    assert text.startswith("{")
    package.write_text('{"scripts": {"postinstall": "env -i /bin/true postinstall"},' + text[1:])
    done = sandbox.tapline([npm, "install"], env=projects.npm_env(index), timeout=120)
    done.assert_worked()
    assert_covered(done, "/bin/true", "postinstall")


# -- what cannot be covered

def test_a_static_program(sandbox, compiled):
    program = compiled("fixed", HELLO, "-static")
    done = sandbox.tapline([program])
    assert done.stdout == "hello\n"
    assert_uncovered(done, program, "static")


@pytest.mark.parametrize("way", ["execvp", "fexecve", "execveat", "vfork", "spawn", "spawnp", "system", "popen"])
def test_a_static_program_however_it_is_started(sandbox, client, compiled, way):
    program = compiled("fixed", HELLO, "-static")
    done = sandbox.tapline([client("tree_exec"), way, program, "x"], env={"PATH": f"{sandbox.work}:{PATH}"})
    if way in ("execvp", "spawnp"):  # the environment is cleaned, PATH with it
        assert done.returncode == 127 or uncovered(done) == [], str(done)
        return
    assert done.stdout == "hello\n", str(done)
    assert_uncovered(done, program, "static")


def test_a_program_that_is_found_in_path(sandbox, compiled):
    program = compiled("fixed", HELLO, "-static")
    (sandbox.work / "empty").mkdir(mode=0o755)
    (sandbox.work / "empty" / "fixed").mkdir()
    path = f"/nonexistent:{sandbox.work}/empty:{sandbox.work}:{PATH}"
    script = "import os; os.environ['PATH'] = '" + path + "'; os.posix_spawnp('fixed', ['fixed'], {}); os.wait()"
    done = sandbox.tapline(["/usr/bin/python3", "-c", script])
    assert done.stdout == "hello\n", str(done)
    assert_uncovered(done, program, "static")


def test_children_of_a_static_program_are_covered(sandbox, compiled):
    program = compiled("fixed", "#include <unistd.h>\nextern char **environ;\nint main(void) { char *argv[] = "
                       "{\"/bin/true\", \"last\", 0}; return execve(argv[0], argv, environ); }\n", "-static")
    done = sandbox.tapline(["env", "-i", program])
    assert_uncovered(done, program, "static")
    assert_covered(done, "/bin/true", "last")


def test_a_script_for_a_static_interpreter(sandbox, compiled):
    program = compiled("fixed", HELLO, "-static")
    script = sandbox.work / "script"
    script.write_text(f"#! {program} -x\n")
    script.chmod(0o755)
    done = sandbox.tapline([script])
    assert done.stdout == "hello\n", str(done)
    assert_uncovered(done, program, "static")


def test_each_program_is_named_once_however_often_it_runs(sandbox, compiled):
    program = compiled("fixed", HELLO, "-static")
    done = sandbox.tapline(["sh", "-c", f"{program}; {program}; {program}"])
    assert len(uncovered(done)) == 3
    assert "; 1 program could not be watched: " in done.stderr
    assert done.report["summary"]["uncovered"] == 1
    assert done.report["uncovered"] == [f"{program} (static)"]


def test_a_run_that_failed_has_a_note(sandbox, compiled):
    program = compiled("fixed", HELLO, "-static")
    done = sandbox.tapline(["sh", "-c", f"{program}; exit 1"])
    notes = [f for f in done.report["findings"] if f["code"] == "process-not-covered"]
    assert len(notes) == 1 and notes[0]["severity"] == "note", str(done)
    assert str(program) in notes[0]["evidence"][0]


def test_the_linker_called_as_a_program_is_covered(sandbox):
    linker = next(p for p in ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1") if os.path.exists(p))
    done = sandbox.tapline([linker, "/bin/true", "last"])
    done.assert_worked()
    assert uncovered(done) == []


def test_a_setuid_program(sandbox):
    """su is nearly everywhere; sudo would show the same."""
    program = next((p for p in ("/bin/su", "/bin/mount", "/usr/bin/passwd") if os.path.exists(p)
                    and os.stat(p).st_mode & stat.S_ISUID), None)
    assert program, "there is no setuid program here: su, mount and passwd are part of every Debian"
    done = sandbox.tapline([program, "--help"])
    assert_uncovered(done, program, "setuid")


def test_sudo(sandbox):
    program = shutil.which("sudo", path=PATH)
    assert program, "sudo is not installed: sh contrib/deps.sh install check"
    assert_uncovered(sandbox.tapline([program, "--version"]), program, "setuid")


@pytest.mark.skipif(not IS_ROOT, reason="only root can make such programs")
@pytest.mark.parametrize("kind", ["setuid", "setgid", "capabilities"])
def test_a_program_with_privileges(sandbox, kind):
    program = place(sandbox, "/bin/true", "privileged")
    if kind == "capabilities":
        net_raw = 1 << 13  # VFS_CAP_REVISION_2, effective; capabilities(7)
        os.setxattr(program, "security.capability", struct.pack("<5I", 0x02000001, net_raw, 0, 0, 0))
    else:
        program.chmod(0o4755 if kind == "setuid" else 0o2755)
    assert_uncovered(sandbox.tapline([program]), program, kind)


@pytest.mark.skipif(not IS_ROOT, reason="only root can make such programs")
def test_setuid_that_changes_nothing(sandbox):
    program = place(sandbox, "/bin/true", "own")
    os.chown(program, sandbox.user.uid, sandbox.user.gid)
    program.chmod(0o6755)
    done = sandbox.tapline([program])
    done.assert_worked()
    assert_covered(done, program)
    assert uncovered(done) == []


def elf32():
    """A program for i386 that exits with 0: int 0x80 with eax 1."""
    code = b"\x31\xdb\x31\xc0\x40\xcd\x80"
    at, base = 52 + 32, 0x08048000
    head = struct.pack("<16sHHIIIIIHHHHHH", b"\x7fELF\x01\x01\x01", 2, 3, 1, base + at, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    part = struct.pack("<8I", 1, 0, base, base, at + len(code), at + len(code), 5, 0x1000)
    return head + part + code


def test_a_program_of_another_architecture(sandbox):
    program = sandbox.work / "i386"
    program.write_bytes(elf32())
    program.chmod(0o755)
    script = f"{program} 2>/dev/null; exit 0"  # whether it runs depends on the kernel
    done = sandbox.tapline(["sh", "-c", script])
    assert (program.as_posix(), "foreign") in uncovered(done), str(done)
    assert "preloaded" not in done.stderr and "ld.so" not in done.stderr


@pytest.mark.parametrize("user_has_one", [False, True], ids=["ours alone", "beside the user's"])
def test_a_program_for_another_libc_is_not_given_the_library(sandbox, compiled, other, user_has_one):
    """Its linker has the name of musl's, which stops at a library for glibc; it is glibc's here."""
    real = next(p for p in ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1") if os.path.exists(p))
    linker = sandbox.work / "ld-musl-test.so.1"
    linker.symlink_to(real)
    program = compiled("musl", "#include <stdio.h>\n#include <stdlib.h>\nint main(void) { char *p = "
                       "getenv(\"LD_PRELOAD\"); puts(p ? p : \"none\"); puts(getenv(\"TAPLINE_SOCKET\")); return 0; }",
                       f"-Wl,--dynamic-linker={linker}")
    done = sandbox.tapline([program], env={"LD_PRELOAD": other} if user_has_one else None)
    assert done.stdout.splitlines()[0] == (str(other) if user_has_one else "none"), str(done)
    assert done.stdout.splitlines()[1] != ""
    assert_uncovered(done, program, "foreign")


# -- the choice of programs

def names_of(done):
    return {Path(argv[0]).name for argv in commands(done)}


@pytest.mark.parametrize("options, covered", [
    (["--only", "true"], {"true"}),
    (["--only", "tr*"], {"true", "tr"}),
    (["--only", "f?lse,true"], {"true", "false"}),
    (["--only", "nothing"], set()),
    (["--except", "true"], {"sh", "false", "tr"}),
    (["--except", "*"], set()),
    (["--only", "true,false", "--except", "fal*"], {"true"}),
])
def test_only_and_except(sandbox, options, covered):
    script = "env -i /bin/true; /bin/false; echo x | tr x y >/dev/null; :"
    done = sandbox.tapline(["/bin/sh", "-c", script], options)
    done.assert_worked()
    assert names_of(done) - {"env"} == covered, str(done)


def test_a_script_goes_by_its_own_name(sandbox):
    script = sandbox.work / "deploy"
    script.write_text("#!/bin/sh\n/bin/true\n:\n")
    script.chmod(0o755)
    done = sandbox.tapline([script], ["--only", "deploy"])
    done.assert_worked()
    assert commands(done) == [["/bin/sh", str(script)]]


def test_a_program_that_is_left_alone_connects_by_itself(sandbox, index):
    done = sandbox.tapline(["curl", "-sS", f"{index.url}/echo"], ["--except", "curl"],
                           env={"CURL_CA_BUNDLE": index.certs.ca})
    done.assert_worked()
    assert len(index.served()) == 1
    assert done.of("connect") == [] and done.of("process.start") == []


def test_proxy_variables_are_left_alone_with_a_choice(sandbox):
    env = {"https_proxy": "http://127.0.0.1:9"}
    taken = dict(variables(sandbox.tapline(["env"], env=env)))
    left = dict(variables(sandbox.tapline(["env"], ["--only", "curl"], env=env)))
    assert taken["https_proxy"] != env["https_proxy"] and left["https_proxy"] == env["https_proxy"]


def test_a_choice_from_the_environment_and_the_file(sandbox):
    config = sandbox.work / "tapline.conf"
    config.write_text('only = "true";\n')
    script = ["sh", "-c", "/bin/true; /bin/false; :"]
    assert names_of(sandbox.tapline(script, env={"TAPLINE_ONLY": "false"})) == {"false"}
    assert names_of(sandbox.tapline(script, ["--config", config])) == {"true"}


@pytest.mark.parametrize("option, named", [(["--only", "fixed"], True), (["--only", "sh"], False),
                                           (["--except", "fixed"], False)])
def test_an_uncovered_program_is_named_if_it_is_chosen(sandbox, compiled, option, named):
    program = compiled("fixed", HELLO, "-static")
    done = sandbox.tapline(["sh", "-c", f"{program}; :"], option)
    assert uncovered(done) == ([(str(program), "static")] if named else []), str(done)


# -- the end of a run

DAEMON = """
import os, socket, sys, time
first = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
if os.fork():
    os._exit(0)
os.setsid()
time.sleep(float(sys.argv[2]))
second = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
time.sleep(60)
"""


def run_daemon(sandbox, port, drain, second_after):
    """A command that leaves a process with an open connection behind. Returns seconds and events."""
    options = ["--drain", str(drain)]
    argv, record = sandbox.tapline_argv(["/usr/bin/python3", "-c", DAEMON, str(port), str(second_after)], options)
    process = sandbox.start(argv)
    try:
        done = process.wait(20)
    finally:
        kill_marked(process.mark)
    assert done.returncode == 0, str(done)
    return done, schema.read(record)


def test_a_daemon_that_holds_a_connection_does_not_hold_up_the_end(sandbox, index):
    done, events = run_daemon(sandbox, index.port, drain=1, second_after=30)
    assert 0.9 < done.seconds < 4, str(done)
    closed = [e for e in events if e["event"] == "flow.close"]
    assert [(e["first"], e["reason"]) for e in closed] == [("relay", "the relay stopped")]
    assert " worked; " in done.stderr


def test_a_connection_after_the_commands_end_is_direct_and_recorded(sandbox, index):
    _, events = run_daemon(sandbox, index.port, drain=3, second_after=1)
    late = [e for e in events if e["event"] == "connect" and "bypassed" in e]
    assert [e["bypassed"] for e in late] == ["the command has ended"]


def test_a_daemon_without_connections_is_not_waited_for(sandbox):
    argv, _ = sandbox.tapline_argv(["sh", "-c", "sleep 60 >/dev/null 2>&1 &"], ["--drain", "30"])
    started = time.monotonic()
    process = sandbox.start(argv)
    try:
        assert process.wait(20).returncode == 0
    finally:
        kill_marked(process.mark)
    assert time.monotonic() - started < 5
