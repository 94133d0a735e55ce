"""Raw TCP origins on loopback for the relay tests: one function per connection, in threads of the test
process. (The HTTP and HTTPS origin is the index of tests/index.)"""

import hashlib
import random
import socket
import threading
import time


def free_port(host="127.0.0.1", port=0):
    """A port that nobody listens on, bound and let go. Below the range from which the kernel takes ports for
    outgoing connections: one of those could take it before the program under test does."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(100):
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port or random.randrange(20000, 32000)))
            except OSError:
                if port:
                    raise
                continue
            return probe.getsockname()[1]
    raise OSError(f"no free port on {host}")


def wait_listening(port, process=None, host="127.0.0.1", seconds=20):
    end = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((host, port), timeout=1).close()
            return
        except OSError:
            if process is not None and process.poll() is not None:
                raise RuntimeError(f"ended with status {process.returncode}")
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


def has_ipv6():
    try:
        free_port("::1")
        return True
    except OSError:
        return False


LOOPBACKS = ["127.0.0.1"] + (["::1"] if has_ipv6() else [])


def pattern(length):
    """length bytes that repeat only after a prime number of bytes: a lost or doubled block shows."""
    block = hashlib.shake_256(b"tapline").digest(65521)
    return (block * (length // len(block) + 1))[:length]


class RawServer:
    """One thread per connection runs serve(connection). errors keeps what went wrong there."""

    def __init__(self, serve, host="127.0.0.1", receive_buffer=None):
        self.serve = serve
        self.errors = []
        self.threads = []
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.socket(family)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if receive_buffer:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.listener.bind((host, 0))
        self.listener.listen(64)
        self.port = self.listener.getsockname()[1]
        self.host = host

    def accept_all(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self.one, args=(connection,), daemon=True)
            thread.start()
            self.threads.append(thread)

    def one(self, connection):
        with connection:
            try:
                self.serve(connection)
            except Exception as error:  # shown by the test, not lost in a thread
                self.errors.append(error)

    def __enter__(self):
        threading.Thread(target=self.accept_all, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def join(self, seconds=20):
        for thread in self.threads:
            thread.join(seconds)


def receive_all(connection):
    data = bytearray()
    while True:
        piece = connection.recv(262144)
        if not piece:
            return bytes(data)
        data += piece


def receive_exactly(connection, length):
    data = bytearray()
    while len(data) < length:
        piece = connection.recv(min(length - len(data), 262144))
        if not piece:
            raise EOFError(f"{len(data)} of {length} bytes")
        data += piece
    return bytes(data)
