"""tapline run --capture: output arrives byte for byte and in order, terminals stay terminals, and the sentences with
which tools mislead stand in the report beside what is true."""
import fcntl
import hashlib
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

import projects
from poetry_faults import FAULTS

NOISE = ("import hashlib, os, sys\n"
         "for fd, seed in ((1, b'out'), (2, b'err')):\n"
         "    data = b''.join(hashlib.sha256(seed + bytes([i >> 8, i & 255])).digest() for i in range(65536))\n"
         "    at = 0\n"
         "    while at < len(data): at += os.write(fd, data[at:at + 100003])\n"
         "sys.exit(7)\n")


def noise(seed):
    return hashlib.sha256(b"".join(hashlib.sha256(seed + bytes([i >> 8, i & 255])).digest()
                                   for i in range(65536))).hexdigest()


def argv_of(sandbox, command, name="r"):
    return [str(sandbox.program()), "run", "--capture", "--quiet", "--record", str(sandbox.records / f"{name}.jsonl"),
            "--", *map(str, command)]


def popen(sandbox, command, **options):
    return subprocess.Popen(argv_of(sandbox, command), env=sandbox.env(), cwd=sandbox.work, **options,
                            **sandbox.user.popen_arguments())


def test_bytes_and_status_pass_unchanged(sandbox):
    process = popen(sandbox, ["/usr/bin/python3", "-c", NOISE], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 7
    assert hashlib.sha256(out).hexdigest() == noise(b"out")
    # The report follows on standard error.
    assert hashlib.sha256(err[:32 * 65536]).hexdigest() == noise(b"err") and b"exit status 7" in err[32 * 65536:]


def test_one_file_for_both_keeps_the_order(sandbox):
    script = "for i in $(seq 200); do echo out $i; echo err $i >&2; done"
    done = sandbox.run(["sh", "-c", 'exec "$@" 2>&1', "sh", *argv_of(sandbox, ["sh", "-c", script])])
    wanted = [f"{word} {i}" for i in range(1, 201) for word in ("out", "err")]
    assert done.returncode == 0 and done.stdout.splitlines() == wanted


def test_a_reader_that_leaves_ends_the_command(sandbox):
    process = popen(sandbox, ["yes"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout.read(4) == b"y\ny\n"
    process.stdout.close()
    assert process.wait(20) == 128 + signal.SIGPIPE


def test_what_a_child_says_later_arrives(sandbox):
    process = popen(sandbox, ["sh", "-c", "(sleep 1; echo late) & echo first"], stdout=subprocess.PIPE)
    assert process.wait(20) == 0
    assert process.communicate(timeout=20)[0] == b"first\nlate\n"


def test_signals_reach_the_command(sandbox):
    script = "trap 'echo caught; exit 5' TERM; echo ready; while :; do sleep 0.05; done"
    process = popen(sandbox, ["sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=20)[0] == b"caught\n" and process.returncode == 5


class Terminal:
    """A command on a terminal of 30 rows and 90 columns, as a person would have it."""

    def __init__(self, sandbox, command):
        self.output = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("4H", 30, 90, 0, 0))
            for name, call in (("group", os.setgid), ("user", os.setuid)):
                if name in sandbox.user.popen_arguments():
                    call(sandbox.user.popen_arguments()[name])
            os.chdir(sandbox.work)
            argv = argv_of(sandbox, command)
            os.execve(argv[0], argv, sandbox.env())

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))

    def read_until(self, text, seconds=20):
        deadline = time.monotonic() + seconds
        while text not in self.output and time.monotonic() < deadline:
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    self.output += os.read(self.fd, 65536)
                except OSError:
                    break
        assert text in self.output, self.output

    def end(self):
        status = os.waitpid(self.pid, 0)[1]
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


def test_a_terminal_stays_one(sandbox):
    script = ("import os, signal, sys, time\n"
              "signal.signal(signal.SIGWINCH, lambda *_: None)\n"
              "print(os.isatty(1), os.isatty(2), *os.get_terminal_size(1), flush=True)\n"
              "until = time.monotonic() + 15\n"
              "while os.get_terminal_size(1).columns == 90 and time.monotonic() < until: time.sleep(0.02)\n"
              "print('now', *os.get_terminal_size(1), flush=True)\n"
              "print('tab\\there', file=sys.stderr)\n")
    terminal = Terminal(sandbox, ["/usr/bin/python3", "-c", script])
    terminal.read_until(b"True True 90 30\r\n")
    terminal.resize(40, 100)
    terminal.read_until(b"now 100 40\r\n")
    terminal.read_until(b"tab\there\r\n")
    assert terminal.end() == 0


def test_without_the_option_output_is_not_touched(sandbox):
    show = "import os; print(*sorted({(os.fstat(n).st_dev, os.fstat(n).st_ino) for n in (1, 2)}))"
    read, write = os.pipe()
    seen = (os.fstat(write).st_dev, os.fstat(write).st_ino)
    options = {"env": sandbox.env(), "cwd": sandbox.work, "stdout": write, "stderr": write}
    argv = argv_of(sandbox, ["/usr/bin/python3", "-c", show])
    for captured in (True, False):
        words = argv if captured else [word for word in argv if word != "--capture"]
        subprocess.run(words, check=True, timeout=30, **options, **sandbox.user.popen_arguments())
        same = str(seen) == os.read(read, 4096).decode().splitlines()[0]
        assert same is not captured
    os.close(read)
    os.close(write)


def test_poetry(sandbox, index, poetry):
    projects.poetry(sandbox, index.url + "/simple/")
    FAULTS["A"].prepare(sandbox, index)
    done = sandbox.tapline([poetry / "bin/poetry", "lock", "-n"], options=["--capture"], env=projects.poetry_env(index.ca),
                           timeout=120)
    assert done.first()["code"] == "cache-not-writable"
    [claim] = done.of("tool.claim")
    host = index.url.removeprefix("https://")
    assert (claim["tool"], claim["blames"]) == ("poetry", "network")
    assert claim["text"] == f"All attempts to connect to {host} failed." and claim["text"] in done.stderr
    [line] = done.report["claims"]
    assert line == f"Poetry said: {claim['text']}; true is: {done.first()['summary']}"
    assert line in done.stderr


def test_npm(sandbox, index, npm):
    projects.npm(sandbox)
    sandbox.user.make_dir(sandbox.home / ".npm", 0o555)
    done = sandbox.tapline([npm, "install"], options=["--capture"], env=projects.npm_env(index), timeout=120)
    assert done.first()["code"] == "cache-not-writable"
    assert any("root-owned files" in e["text"] for e in done.of("tool.claim", tool="npm")), str(done)
    assert "npm said: " in done.stderr and "; true is: npm's cache is not writable" in done.stderr


def test_pip_is_right_about_a_package_that_is_not_there(sandbox, index, clients):
    import runner
    done = sandbox.tapline([clients / "bin/python", "-m", "pip", "download", "-q", "--index-url", index.url + "/simple/",
                            "no-such-thing"], options=["--capture"], env=runner.trust(index.ca), timeout=120)
    assert done.returncode == 1
    assert {e["tool"] for e in done.of("tool.claim")} == {"pip"}
    assert not any("true is" in line for line in done.report["claims"]) or done.report["findings"], str(done)
