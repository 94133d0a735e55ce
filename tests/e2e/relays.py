"""`tapline relay` for explicit clients: started, spoken to with raw sockets or curl, stopped, and its record
checked. Used by the tests of the relay; `tapline run` is runner.Sandbox's business."""

import json
import re
import signal
import socket
import threading
import time

import schema
from origins import free_port, receive_exactly, wait_listening


class Relay:
    """with Relay(sandbox, "--upstream", url) as relay: ...; options and environment as given."""

    def __init__(self, sandbox, *options, port=None, env=None):
        self.sandbox, self.options, self.environment = sandbox, options, env
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.record = sandbox.records / f"relay-{self.port}.jsonl"
        self.program = sandbox.program()
        self.events = None

    def __enter__(self):
        argv = [self.program, "relay", "--listen", f"127.0.0.1:{self.port}", "--record", self.record,
                "--socket", self.sandbox.tmp / f"relay-{self.port}.sock", *self.options]
        self.process = self.sandbox.start(argv, self.environment)
        try:
            wait_listening(self.port, self.process.popen)
        except Exception:
            self.process.popen.kill()
            done = self.process.wait(5)
            raise AssertionError(f"tapline relay did not start\n{done}") from None
        return self

    def __exit__(self, kind, *_):
        if self.events is None:
            done = self.stop()
            if kind:
                print(done)
                for event in self.events:
                    print(json.dumps(event)[:300])

    def stop(self):
        """End the relay as a user does, and check that it went well. Afterwards events are there."""
        assert self.process.popen.poll() is None, "the relay had ended by itself"
        self.process.popen.send_signal(signal.SIGTERM)
        done = self.process.wait(10)
        self.events = schema.read(self.record)
        assert done.returncode in (0, 143), f"the relay did not end well\n{done}"
        assert "runtime error" not in done.stderr and "Sanitizer" not in done.stderr, done
        return done

    def of(self, kind, /, **fields):
        return [e for e in self.events
                if e["event"] == kind and all(e.get(name) == value for name, value in fields.items())]

    def resident_bytes(self):
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * 4096

    def dial(self, timeout=20):
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=timeout)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def tunnel(self, target):
        """A connection whose CONNECT was answered with 200."""
        connection = self.dial()
        connection.sendall(connect_head(target))
        answer = read_answer_head(connection)
        assert answer.status == 200, answer
        return connection

    def ask(self, data):
        """Send data and return the Answer with its body."""
        with self.dial() as connection:
            connection.sendall(data)
            return read_answer(connection)

    def report(self):
        asked = self.sandbox.run([self.program, "report", "--format", "json", self.record])
        assert asked.returncode in (0, 1), asked
        return json.loads(asked.stdout)


class Answer:
    def __init__(self, head):
        lines = head.decode("latin-1").split("\r\n")
        self.head = head
        self.version, _, rest = lines[0].partition(" ")
        self.status = int(rest[:3])
        self.fields = {}
        for line in lines[1:]:
            if line:
                name, _, value = line.partition(":")
                self.fields[name.lower()] = value.strip()
        self.body = b""

    def __repr__(self):
        return f"{self.head!r} {self.body[:2000]!r}"


def connect_head(target, version="1.1", *fields):
    host = [f"Host: {target}"] if version == "1.1" else []
    return "\r\n".join([f"CONNECT {target} HTTP/{version}", *host, *fields, "", ""]).encode()


def read_answer_head(connection):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = connection.recv(1)
        assert piece, f"the connection ended inside the answer's head: {head!r}"
        head += piece
    assert re.match(rb"HTTP/1\.1 \d\d\d ", head), head
    return Answer(head)


def read_answer(connection):
    """Head and body. The body must be framed by Content-Length, as an error answer's has to be."""
    answer = read_answer_head(connection)
    assert "content-length" in answer.fields, answer
    answer.body = receive_exactly(connection, int(answer.fields["content-length"]))
    return answer


def in_background(function, *arguments):
    """Run function in a thread; call the result to wait for it and to see its exception."""
    outcome = {}

    def body():
        try:
            outcome["value"] = function(*arguments)
        except BaseException as error:
            outcome["error"] = error

    thread = threading.Thread(target=body, daemon=True)
    thread.start()

    def wait(seconds=60):
        thread.join(seconds)
        assert not thread.is_alive(), "still busy"
        if "error" in outcome:
            raise outcome["error"]
        return outcome["value"]

    return wait


def eventually(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not come true"
        time.sleep(0.02)
