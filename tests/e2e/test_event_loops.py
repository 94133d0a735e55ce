"""An event loop is not held up: five hundred connections at once, one in ten refused, one in ten slow, from one asyncio
loop and from one Node process, and every result is the true one. And a relay that has stopped answering costs the
loop a bounded time, once; connections then go out directly, which is in the record when the relay is back."""
import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

import runner
from slow_origins import Origins
from test_network import _relay_of, _wait_for

HOOK_MS = 10  # what design.md grants; a hook takes 0.1 ms
COUNT = 500

ASYNCIO = """
import asyncio, json, socket, sys, time
good, refused, slow = map(int, sys.argv[1:4])
count = int(sys.argv[4])
worst, results = [0.0], {}
real = socket.socket.connect
def timed(self, address):
    start = time.perf_counter()
    try:
        return real(self, address)
    finally:
        worst[0] = max(worst[0], time.perf_counter() - start)
socket.socket.connect = timed
async def one(n):
    kind, port = ("refused", refused) if n % 10 == 3 else ("slow", slow) if n % 10 == 7 else ("good", good)
    start = time.monotonic()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"give\\n")
        outcome = str(len(await reader.read()))
        writer.close()
    except OSError as error:
        outcome = type(error).__name__
    key = f"{kind} {outcome} {'late' if time.monotonic() - start > 2 else 'soon'}"
    results[key] = results.get(key, 0) + 1
async def main():
    await asyncio.gather(*(one(n) for n in range(count)))
asyncio.run(main())
print(json.dumps([results, worst[0] * 1000]))
"""

NODE = """
const net = require('net');
const [good, refused, slow, count] = process.argv.slice(2).map(Number);
const results = {};
let open = count, worst = 0;
for (let n = 0; n < count; n++) {
  const [kind, port] = n % 10 == 3 ? ['refused', refused] : n % 10 == 7 ? ['slow', slow] : ['good', good];
  const start = Date.now();
  let bytes = 0, outcome = null;
  const before = process.hrtime.bigint();
  const socket = net.connect(port, '127.0.0.1', () => socket.write('give\\n'));
  worst = Math.max(worst, Number(process.hrtime.bigint() - before) / 1e6);
  socket.on('data', (data) => bytes += data.length);
  socket.on('error', (error) => outcome = error.code);
  socket.on('close', () => {
    const key = `${kind} ${outcome || bytes} ${Date.now() - start > 2000 ? 'late' : 'soon'}`;
    results[key] = (results[key] || 0) + 1;
    if (--open == 0) console.log(JSON.stringify([results, worst]));
  });
}
"""


@pytest.fixture(scope="module")
def origins():
    with Origins() as made:
        yield made


def _ports(origins):
    return [str(getattr(origins, kind)("127.0.0.1")[1]) for kind in ("answers", "refuses", "slow")]


def _check(done, refusal):
    results, worst_ms = json.loads(done.stdout)
    tenth = COUNT // 10
    assert results == {"good 3016 soon": COUNT - 2 * tenth, f"refused {refusal} soon": tenth, "slow 3016 late": tenth}, str(done)
    return worst_ms


# Two processes that hand a byte to and fro, as the hook and the relay do. Prints the longest wait in milliseconds.
YARDSTICK = """
import os, select, socket, sys, time
near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
if os.fork() == 0:
    near.close()
    while far.recv(1):
        far.send(b"x")
    os._exit(0)
far.close()
worst = 0
print("begun", flush=True)
while not select.select([sys.stdin], [], [], 0.001)[0]:
    start = time.monotonic()
    near.send(b"x")
    near.recv(1)
    worst = max(worst, time.monotonic() - start)
print(worst * 1000)
"""


class Yardstick:
    """How long this machine holds up two processes that are not ours meanwhile. ms is there at the end."""

    def __enter__(self):
        self.process = subprocess.Popen(["/usr/bin/python3", "-c", YARDSTICK], stdin=subprocess.PIPE, text=True,
                                        stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == "begun\n"
        return self

    def __exit__(self, *_):
        self.ms = float(self.process.communicate(timeout=20)[0])


def _loop_is_not_held_up(sandbox, origins, argv, refusal):
    worst = []
    for _ in range(6):  # on a busy machine any exchange between two processes may take 10 ms
        with Yardstick() as machine:
            done = sandbox.tapline([*argv, *_ports(origins), str(COUNT)])
        worst.append((_check(done, refusal), machine.ms))
        assert len(done.of("connect")) == COUNT
        if worst[-1][0] <= max(HOOK_MS, 2 * machine.ms):
            return
    raise AssertionError(f"connect() took up to (as the machine held up others): {worst} ms")


def test_asyncio(sandbox, origins):
    python = Path("/usr/bin/python3")
    _loop_is_not_held_up(sandbox, origins, [python, "-c", ASYNCIO], "ConnectionRefusedError")


def test_node(sandbox, origins):
    program = sandbox.user.make_file(sandbox.work / "many.js", NODE)
    _loop_is_not_held_up(sandbox, origins, ["node", program], "ECONNREFUSED")


def test_the_hook_itself(sandbox, origins):
    build = Path(os.environ.get("BUILD", Path(__file__).resolve().parents[2] / "build")).resolve()
    client = sandbox.root / "hook_time"
    shutil.copy(build / "clients" / "hook_time", client)
    port = origins.answers("127.0.0.1")[1]
    for _ in range(6):
        with Yardstick() as machine:
            done = sandbox.tapline([client, "127.0.0.1", str(port), str(COUNT)])
        others, median, p99, worst = (float(n) for n in re.findall(r" ([\d.]+)", done.stdout))
        assert others == 0, str(done)
        held_up = 2 * machine.ms * 1000
        if median < 1000 and p99 < max(5000, held_up) and worst < max(HOOK_MS * 1000, held_up):
            return
    raise AssertionError(f"the machine held up others for {machine.ms} ms\n{done}")


STALLED = """
import socket, sys, time, os
port, go, going = int(sys.argv[1]), sys.argv[2], sys.argv[3]
while not os.path.exists(go):
    time.sleep(0.02)
took = []
for n in range(5):
    with socket.socket() as s:
        s.setblocking(False)
        start = time.monotonic()
        s.connect_ex(("127.0.0.1", port))
        took.append(time.monotonic() - start)
        time.sleep(0.1)
        s.setblocking(True)
        s.sendall(b"give\\n")
        assert s.recv(5) == b"hello"
open(going, "w").close()
print(*(round(t * 1000) for t in took))
"""


def test_a_stalled_relay_holds_up_once_and_is_told_later(sandbox, origins):
    go, going = sandbox.work / "go", sandbox.work / "going"
    argv, record = sandbox.tapline_argv(["/usr/bin/python3", "-c", STALLED, str(origins.answers("127.0.0.1")[1]), go, going])
    process = sandbox.start(argv)
    try:
        relay = _relay_of(process)
        time.sleep(0.3)
        os.kill(relay, signal.SIGSTOP)
        go.touch()
        _wait_for(going)
        os.kill(relay, signal.SIGCONT)
        done = sandbox.finish(process, record, timeout=20)
    finally:
        runner.kill_marked(process.mark)
    took = [int(n) for n in done.stdout.split()]
    assert 200 <= took[0] <= 700, str(done)
    assert all(n <= 100 for n in took[1:]), f"held up again\n{done}"
    passed = [e for e in done.of("connect") if e["kind"] == "direct"]
    given_up = done.of("flow.close", reason="went out directly: the relay did not answer in time")
    assert len(passed) == 4 and len(given_up) == 1, str(done)
    assert not [f for f in done.report["findings"] if f["severity"] == "error"], str(done)


GIVES_UP = """
import socket, sys
s = socket.socket()
s.setblocking(False)
print(s.connect_ex(("127.0.0.1", int(sys.argv[1]))))
"""


ASKS = """
import socket, sys, time, os
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
open(sys.argv[3], "w").close()
while not os.path.exists(sys.argv[2]):
    time.sleep(0.02)
took = []
for n in range(10):
    start = time.monotonic()
    s.getsockname(), s.getpeername()
    took.append(time.monotonic() - start)
open(sys.argv[4], "w").close()
time.sleep(1.2)
print(s.getpeername()[1], *(round(t * 1000) for t in took))
"""


def test_a_stalled_relay_is_asked_about_a_connection_once(sandbox, origins):
    """The kernel's answer must do until the relay is back."""
    go, there, asked = (sandbox.work / name for name in ("go", "there", "asked"))
    port = origins.answers("127.0.0.1")[1]
    argv, record = sandbox.tapline_argv(["/usr/bin/python3", "-c", ASKS, str(port), go, there, asked])
    process = sandbox.start(argv)
    try:
        relay = _relay_of(process)
        _wait_for(there)
        os.kill(relay, signal.SIGSTOP)
        go.touch()
        _wait_for(asked)
        os.kill(relay, signal.SIGCONT)
        done = sandbox.finish(process, record, timeout=20)
    finally:
        runner.kill_marked(process.mark)
    peer, *took = (int(n) for n in done.stdout.split())
    assert peer == port, f"not asked again\n{done}"
    assert 200 <= took[0] <= 700 and all(n <= 100 for n in took[1:]), str(done)


def test_a_program_that_gives_up_is_not_waited_for(sandbox, origins):
    """A descriptor in SYN_SENT is closed without a packet: the relay has to see by itself that it is gone."""
    done = sandbox.tapline(["/usr/bin/python3", "-c", GIVES_UP, str(origins.silent("127.0.0.1")[1])])
    assert done.of("flow.close", reason="gave up before the connection was there"), str(done)
    assert done.seconds < 1.5, f"the end of the run waits for the drain\n{done}"


WAITS = """
import errno, select, socket, sys, time
s = socket.socket()
s.setblocking(False)
s.connect_ex(("127.0.0.1", int(sys.argv[1])))
open(sys.argv[2], "w").close()
poll = select.poll()
poll.register(s, select.POLLIN | select.POLLOUT)
print(poll.poll(20000)[0][1] & (select.POLLERR | select.POLLHUP), errno.errorcode[s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)])
"""


def test_the_relay_is_killed_while_a_program_waits(sandbox, origins):
    """The port it knocks at is gone, and the kernel's next SYN finds that out."""
    waiting = sandbox.work / "waiting"
    argv, record = sandbox.tapline_argv(["/usr/bin/python3", "-c", WAITS, str(origins.silent("127.0.0.1")[1]), waiting])
    process = sandbox.start(argv)
    try:
        relay = _relay_of(process)
        _wait_for(waiting)
        os.kill(relay, signal.SIGKILL)
        done = sandbox.finish(process, record, timeout=25)
    finally:
        runner.kill_marked(process.mark)
    assert done.stdout == "24 ECONNREFUSED\n", str(done)
