"""What the scenarios of findings share: a run that must be explained, and its remedy pasted into a shell.

A scenario is one fault, really made, and one real tool that meets it as the unprivileged user. `explained()` runs the
tool under tapline and asks for the right cause first, with its proof; `pasted()` gives the report's commands to a
shell before the same command, which must then succeed. Network gives a network of one's own; Faulty is the test
index with one thing wrong. Set FINDINGS_RECORDS to a directory to keep each scenario's record there
(for tests/records/adopt.py).
"""
import ctypes
import os
import shlex
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "index"))
import index as index_module  # noqa: E402
import user as user_module  # noqa: E402

# Scenarios that have to wait for somebody's patience to end.
slow = pytest.mark.skipif(os.environ.get("SCENARIOS") != "all", reason="make check-scenarios runs it")


def keep_record(done, name):
    where = os.environ.get("FINDINGS_RECORDS")
    if where:
        shutil.copy(done.record, Path(where) / f"{name}.jsonl")
        with open(Path(where) / f"{name}.codes", "w") as codes:
            codes.write(marked_codes(done) + "\n")


def marked_codes(done):
    """The report's codes as tests/records/expected writes them."""
    marks = {"error": "{}", "warning": "({})", "note": "[{}]"}
    return " ".join(marks[f["severity"]].format(f["code"]) for f in done.report["findings"]) or "-"


def explained(sandbox, argv, code, *proof, alone=True, name=None, confidence=None, **options):
    """Run argv, which must fail; the first finding must be code, with every proof in its summary or evidence."""
    done = sandbox.tapline(argv, **{"timeout": 120, **options})
    assert done.returncode != 0, f"it was to fail\n{done}"
    first = done.first()
    assert first["code"] == code, f"{done.codes()} instead of {code}\n{done}"
    assert first["severity"] == "error", done
    assert confidence is None or first["confidence"] == confidence, done
    said = "\n".join([first["summary"], *first["evidence"]])
    for word in proof:
        assert str(word) in said, f"{word!r} is not in the proof:\n{said}\n{done}"
    errors = [f["code"] for f in done.report["findings"] if f["severity"] == "error"]
    assert not alone or errors == [code], f"one cause, one finding\n{done}"
    for line in [first["summary"], *first["evidence"], *first["remedy"]["commands"]]:
        assert line in done.stderr, f"a person does not read {line!r}\n{done}"
    assert first["remedy"]["commands"] or first["advice"], f"nothing to do about it\n{done}"
    keep_record(done, name or code)
    return done


def pasted(sandbox, done, argv, edit=lambda command: command, **options):
    """The report's commands and then argv in one shell, which must succeed without any finding."""
    commands = [edit(command) for command in done.first()["remedy"]["commands"]]
    assert commands, f"no command to paste\n{done}"
    script = "\n".join([*commands, shlex.join(map(str, argv))])
    fixed = sandbox.tapline(["sh", "-c", script], **{"timeout": 120, **options})
    fixed.assert_worked()
    return fixed


class Faulty(index_module.Index):
    """The test index over plain http (or TLS, with certs), one thing wrong with it: fault(handler) answers a request by
    itself and returns True, or returns None and leaves it to the index. asked counts what it was asked for."""

    def __init__(self, directory, fault, certs=None, context=None, **options):
        self.fault, self.asked, self.own_context = fault, {}, context
        super().__init__(directory, certs, **options)
        outer = self

        class Handler(index_module._Handler):
            def _handle(self):
                outer.asked[self.path] = outer.asked.get(self.path, 0) + 1
                if not outer.fault(self):
                    super()._handle()

            do_GET = do_HEAD = do_POST = _handle

        for server in self._servers:
            server.RequestHandlerClass = Handler

    def _context(self):
        return self.own_context or super()._context()


def answer(handler, status, body=b"", **headers):
    """A whole answer."""
    handler.send_response_only(status)  # without a Date of its own
    for name, value in {"Content-Length": str(len(body)), **{k.replace("_", "-"): v for k, v in headers.items()}}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)
    handler.wfile.flush()
    return True


CLONE_NEWNET = 0x40000000


class Network:
    """A network of its own for the tool: lo is up, and what script (run in it, as root) makes. listen() gives a listener
    in it that this process serves, so that a server there may well reach what is out here."""

    def __init__(self, user, script=""):
        self.user, self.script, self.listeners = user, script, []

    def __enter__(self):
        problem = user_module.network_problem()
        if not user_module.IS_ROOT and not os.environ.get("CI"):
            pytest.skip("a network that this process serves needs root")
        assert not problem, problem
        self.keeper = subprocess.Popen(
            ["unshare", "-n", "sh", "-ec", f"ip link set lo up\n{self.script}\necho ready\nexec cat"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"})
        assert self.keeper.stdout.readline() == b"ready\n", "the network could not be made"
        return self

    def __exit__(self, *_):
        for listener in self.listeners:
            listener.close()
        self.keeper.stdin.close()
        self.keeper.wait(10)
        self.keeper.stdout.close()

    def argv(self, argv, hosts=None):
        """argv in this network as the user; hosts: what /etc/hosts says there."""
        argv = [str(a) for a in argv]
        mounts = ":" if hosts is None else f"mount --bind '{hosts}' /etc/hosts"
        return ["nsenter", f"--net=/proc/{self.keeper.pid}/ns/net", *self.user.with_mounts(mounts, argv)]

    def listen(self, address="127.0.0.1", port=0):
        made = []

        def inside():
            libc = ctypes.CDLL(None, use_errno=True)
            with open(f"/proc/{self.keeper.pid}/ns/net") as space:
                assert libc.setns(space.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
            made.append(socket.create_server((address, port), backlog=64, family=socket.AF_INET6 if ":" in address
                                             else socket.AF_INET))

        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        self.listeners += made
        return made[0]

    def tapline(self, sandbox, argv, options=(), inspect=False, env=None, hosts=None, timeout=120):
        full, record = sandbox.tapline_argv(argv, options, inspect)
        process = sandbox.start(self.argv(full, hosts), env=env, as_self=True)
        return sandbox.finish(process, record, timeout)


class InNetwork:
    """A sandbox whose runs under tapline take place in a network: for explained() and pasted()."""

    def __init__(self, sandbox, network, hosts=None):
        self.sandbox, self.network, self.hosts = sandbox, network, hosts

    def tapline(self, argv, **options):
        return self.network.tapline(self.sandbox, argv, hosts=self.hosts, **options)


def serve_through(listener, port, limit=64):
    """Carry each connection to listener over to port out here, until the listener is closed."""
    from proxies import pump

    def one(client):
        pump(client, socket.create_connection(("127.0.0.1", port)))

    def loop():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=one, args=(client,), daemon=True).start()

    threading.Thread(target=loop, daemon=True).start()
