"""What a program tells often goes to the relay through memory that they share (include/tapline_ring.h): nothing of it is lost,
whatever becomes of the one or of the other."""

import collections
import json
import os
import re
import signal
import time
from pathlib import Path

import pytest

from origins import free_port
from relays import Relay, eventually

# do(n): n requests on one connection, /bytes/1 and so on; has_ring(): is the memory there? wait(name): for a file.
PROGRAM = """
import http.client, os, signal, ssl, sys, threading, time
host, port, ca, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
context = ssl.create_default_context(cafile=ca)
class Client:
    def __init__(self):
        self.client = http.client.HTTPSConnection(host, port, context=context)
    def do(self, count, first=1, pause=0):
        for n in range(first, first + count):
            self.client.request("GET", f"/bytes/{n}")
            assert len(self.client.getresponse().read()) == n
            time.sleep(pause)
def rings():
    return open("/proc/self/maps").read().count("/memfd:tapline")
def wait(name, meanwhile=lambda: time.sleep(0.01)):
    while not os.path.exists(os.path.join(folder, name)):
        meanwhile()
def tell(name):
    open(os.path.join(folder, name), "w").close()
one = Client()
"""


class Told:
    """A program of the text above and what follows it, beside a relay."""

    def __init__(self, sandbox, index):
        self.sandbox, self.index, self.port = sandbox, index, free_port()
        self.folder = sandbox.user.make_dir(sandbox.work / "signals")
        self.library = Path(sandbox.program()).parent / "libtapline.so"

    def relay(self, *options):
        return Relay(self.sandbox, *options, port=self.port)

    def start(self, text, **env):
        env = {"LD_PRELOAD": str(self.library), "TAPLINE_SOCKET": str(self.sandbox.tmp / f"relay-{self.port}.sock"), **env}
        argv = ["/usr/bin/python3", "-c", PROGRAM + text, self.index.host, str(self.index.port), self.index.ca, self.folder]
        return self.sandbox.start(argv, env)

    def run(self, text, **env):
        done = self.start(text, **env).wait(60)
        assert done.returncode == 0, done
        return done.stdout

    def say(self, name):
        (self.folder / name).touch()

    def heard(self, name):
        eventually((self.folder / name).exists, 30)


@pytest.fixture
def told(sandbox, index):
    return Told(sandbox, index)


def asked(events, pid=None):
    """The numbers of the requests that were recorded, in their order."""
    return [int(re.search(r"/bytes/(\d+)$", e["url"])[1]) for e in events if e["event"] == "http.request" and pid in (None, e["pid"])]


def answered(events):
    return collections.Counter(e["status"] for e in events if e["event"] == "http.response")


def test_all_of_many_in_order(told):
    with told.relay() as relay:
        assert told.run("one.do(600); print(rings())") == "1\n"
        relay.stop()
    assert asked(relay.events) == list(range(1, 601))
    assert answered(relay.events) == {200: 600}


def test_a_few_need_none(told):
    with told.relay() as relay:
        assert told.run("one.do(7); print(rings())") == "0\n"
        relay.stop()
    assert asked(relay.events) == list(range(1, 8))


def test_many_threads(told):
    with told.relay() as relay:
        told.run("""
threads = [threading.Thread(target=lambda: Client().do(60)) for _ in range(16)]
[t.start() for t in threads]; [t.join() for t in threads]
assert rings() == 1
""")
        relay.stop()
    assert collections.Counter(asked(relay.events)) == {n: 16 for n in range(1, 61)}
    assert answered(relay.events) == {200: 960}


def test_many_threads_and_little_room(told):
    """Heads that soon fill the ring: some go over the socket, and what a thread tells is heard in its order all the same."""
    with told.relay() as relay:
        told.run("""
def many():
    client = Client().client
    for n in range(1, 61):
        client.request("GET", f"/bytes/{n}", headers={"X-Long": "x" * 12000})
        assert len(client.getresponse().read()) == n
threads = [threading.Thread(target=many) for _ in range(16)]
[t.start() for t in threads]; [t.join() for t in threads]
assert rings() == 1
""")
        relay.stop()
    assert collections.Counter(asked(relay.events)) == {n: 16 for n in range(1, 61)}
    assert answered(relay.events) == {200: 960}


@pytest.mark.parametrize("options", [[], ["--workers", "2"]])
def test_connections_that_begin_meanwhile(told, options):
    """A message at the control socket has what is in memory handled first; that once read the socket's next message before it, and
    took a connection for given up."""
    with told.relay(*options) as relay:
        told.run("""
def many():
    for n in range(40):
        Client().do(2)
threads = [threading.Thread(target=many) for _ in range(12)]
[t.start() for t in threads]; [t.join() for t in threads]
assert rings() == 1
""", TAPLINE_BYPASS="none")
        relay.stop()
    assert collections.Counter(asked(relay.events)) == {n: 480 for n in (1, 2)}
    assert {e["how"] for e in relay.of("flow.close")} <= {"eof", "reset"}
    assert not [e for e in relay.of("flow.close") if "gave up" in e["reason"]]


def test_a_child_has_its_own(told):
    with told.relay() as relay:
        out = told.run("""
one.do(30)
child = os.fork()
if child == 0:
    Client().do(40, 100)
    assert rings() == 2     # one is the parent's
    os._exit(0)
one.do(30, 31)
assert os.waitpid(child, 0)[1] == 0
one.do(30, 61)
print(os.getpid(), child)
""")
        relay.stop()
    parent, child = map(int, out.split())
    assert asked(relay.events, parent) == list(range(1, 91))
    assert asked(relay.events, child) == list(range(100, 140))


def test_another_program_in_the_same_process(told):
    with told.relay() as relay:
        told.run("""
if folder != "again":
    one.do(40)
    os.execv(sys.executable, [sys.executable, "-c", sys.orig_argv[2], *sys.argv[1:4], "again"])
one.do(40, 41)
assert rings() == 1
""")
        relay.stop()
    assert asked(relay.events) == list(range(1, 81))
    assert len({e["pid"] for e in relay.of("http.request")}) == 1


def test_a_program_that_is_killed(told):
    with told.relay() as relay:
        done = told.start("one.do(50); assert rings() == 1; os.kill(os.getpid(), signal.SIGKILL)").wait(60)
        assert done.returncode == -signal.SIGKILL, done
        relay.stop()
    assert asked(relay.events) == list(range(1, 51))


def test_an_idle_relay_sleeps_and_is_woken(told):
    with told.relay() as relay:
        process = told.start("one.do(50); assert rings() == 1; tell('idle'); wait('go'); one.do(1, 51); tell('done'); wait('end')")
        told.heard("idle")
        time.sleep(0.6)
        before = switches(relay)
        time.sleep(1)
        assert switches(relay) - before <= 3, "an idle relay turns"
        told.say("go")
        told.heard("done")
        eventually(lambda: "/bytes/51" in relay.record.read_text(), 5)  # while the program runs
        told.say("end")
        assert process.wait(20).returncode == 0
        relay.stop()
    assert asked(relay.events) == list(range(1, 52))


def switches(relay):
    status = Path(f"/proc/{relay.process.pid}/status").read_text()
    return int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", status, re.MULTILINE)[1])


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_another_relay_comes(told, end):
    with told.relay() as first:
        process = told.start("one.do(50); assert rings() == 1; tell('told'); wait('new', lambda: one.do(1, 9, 0.02)); one.do(60, 1000, 0.05)")
        told.heard("told")
        if end == signal.SIGTERM:
            first.stop()
        else:
            first.process.popen.kill()
            first.process.wait(10)
            first.events = []
        time.sleep(0.3)
    first.record.rename(first.record.with_suffix(".first"))
    with told.relay() as second:
        told.say("new")
        assert process.wait(60).returncode == 0
        second.stop()
    heard = [n for n in asked(second.events) if n >= 1000]
    # A relay that was killed could not say so: half a second until the program no longer believes in it. In between it finds
    # none, and looks again after a tenth of a second.
    assert heard == list(range(1060 - len(heard), 1060)) and len(heard) >= (55 if end == signal.SIGTERM else 40), heard


def test_a_relay_that_stands_still(told):
    with told.relay() as relay:
        process = told.start("one.do(50); assert rings() == 1; tell('told'); wait('go'); one.do(60, 51, 0.02); tell('done'); wait('end')")
        told.heard("told")
        os.kill(relay.process.pid, signal.SIGSTOP)
        try:
            told.say("go")
            told.heard("done")
        finally:
            os.kill(relay.process.pid, signal.SIGCONT)
        told.say("end")
        assert process.wait(20).returncode == 0
        relay.stop()
    assert asked(relay.events) == list(range(1, 111))
    assert answered(relay.events) == {200: 110}


def test_a_large_head_goes_through(told):
    """One that nearly fills the ring, several times, and one that is larger than a message."""
    with told.relay() as relay:
        told.run("""
one.do(20)
for size in [15000] * 40 + [20000] * 3:
    one.client.request("GET", "/bytes/3", headers={"X-Long": "x" * size})
    assert one.client.getresponse().read()
assert rings() == 1
""")
        relay.stop()
    assert asked(relay.events) == list(range(1, 21)) + [3] * 40 + asked(relay.events)[60:]
    assert json.dumps(relay.events).count("/bytes/3") >= 40


def test_nonsense_in_the_memory(told):
    """The program's memory is the program's: what it writes there may cost it its own reports, and the relay nothing."""
    with told.relay() as relay:
        told.run("""
import ctypes, random
random.seed(1)
one.do(30)
[start] = [int(line.split("-")[0], 16) for line in open("/proc/self/maps") if "/memfd:tapline" in line]
for n in range(300):
    kind = n % 4
    if kind == 0:
        ctypes.memmove(start, random.randbytes(192), 192)                     # positions and state
    elif kind == 1:
        ctypes.memmove(start + 192, random.randbytes(65536), 65536)
    elif kind == 2:
        at, length = random.randrange(8192) * 8, random.choice([1, 24, 72, 32768, 32769, 65536, 2**31, 2**32 - 1])
        ctypes.memmove(start + 192 + at, length.to_bytes(4, "little"), 4)
    else:
        ctypes.memset(start, 0, 192 + 65536)
    one.do(1, 100, 0.001)
""")
        told.run("one.do(60, 1000)")
        relay.stop()
    assert [n for n in asked(relay.events) if n >= 1000] == list(range(1000, 1060))
