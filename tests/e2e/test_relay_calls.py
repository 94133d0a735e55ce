"""How many system calls and turns of its loop the relay needs for a short connection. Instructions are counted by tests/counts;
most of a connection's time is the kernel's, and of that this is the part that is ours to choose."""

import collections
import re
import subprocess
import sys
import time

import pytest

from origins import RawServer, receive_exactly
from relays import Relay

ROUNDS = 40

# One question and one answer per connection, then the client hangs up.
CLIENT = f"""
import socket, sys
port, timeout, target = int(sys.argv[1]), float(sys.argv[2]) or None, sys.argv[3]
for _ in range({ROUNDS}):
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        if target:
            connection.sendall(f"CONNECT {{target}} HTTP/1.1\\r\\nHost: {{target}}\\r\\n\\r\\n".encode())
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        connection.sendall(b"question")
        assert connection.recv(4096) == b"answer"
"""


def answer(connection):
    receive_exactly(connection, 8)
    connection.sendall(b"answer")
    connection.recv(1)


class Traced:
    """The calls that a process makes meanwhile, by strace: name -> how many."""

    def __init__(self, pid, file):
        self.pid, self.file, self.calls = pid, file, None

    def __enter__(self):
        self.strace = subprocess.Popen(["strace", "-f", "-p", str(self.pid), "-o", self.file], stderr=subprocess.PIPE, text=True)
        while "attached" not in (line := self.strace.stderr.readline()):
            assert line, "strace did not attach"
        return self

    def __exit__(self, *_):
        time.sleep(0.2)     # for what comes behind the last connection
        self.strace.terminate()
        self.strace.wait(10)
        self.calls = collections.Counter(re.findall(r"^\d+ +(\w+)\(", self.file.read_text(), re.MULTILINE))


def calls_per_connection(sandbox, tmp_path, relay, argv, env):
    with Traced(relay.process.pid, tmp_path / "strace") as traced:
        done = sandbox.run([sys.executable, "-c", CLIENT, *argv], env=env)
    assert done.returncode == 0, done
    return {name: count / ROUNDS for name, count in traced.calls.items()}


# 25, 32 and 45, and some more where the processor is busy: what was to come in one turn of the loop comes in two then.
# Python connects by poll(2) where there is a time limit, which has the program wait at the hold (docs/connect.md).
@pytest.mark.parametrize("way, timeout, calls", [("explicit", 20, 27), ("redirected", 0, 37), ("redirected", 20, 49)])
def test_calls_per_connection(sandbox, tmp_path, way, timeout, calls):
    with RawServer(answer) as server, Relay(sandbox) as relay:
        if way == "explicit":
            argv, env = [relay.port, timeout, f"127.0.0.1:{server.port}"], {}
        else:
            argv = [server.port, timeout, ""]
            env = {"LD_PRELOAD": str(relay.program.parent / "libtapline.so"), "TAPLINE_BYPASS": "none",
                   "TAPLINE_SOCKET": str(sandbox.tmp / f"relay-{relay.port}.sock")}
        seen = calls_per_connection(sandbox, tmp_path, relay, argv, env)
        turns = seen.pop("epoll_wait")
        assert sum(seen.values()) <= calls, seen
        assert turns <= 10, turns   # 4, where nobody else wants the processor
