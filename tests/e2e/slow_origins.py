"""Origins for the tests of connect(): that answer, refuse, reset, never answer a SYN, or answer one only after three
seconds. All on loopback, unprivileged, in one thread. Origins is a context manager; its methods give (host, port)."""

import asyncio
import socket
import threading
import time

from origins import has_ipv6, pattern

BODY = pattern(3000)
OPEN_AFTER = 2.5  # after the first SYN: the client's SYN of the third second is answered


class Origins:
    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.hosts = ["127.0.0.1"] + (["::1"] if has_ipv6() else [])
        self.held = []

    def __enter__(self):
        self.thread.start()
        self.answering = {host: self._serve(host, self._answer) for host in self.hosts}
        self.resetting = {host: self._serve(host, self._reset) for host in self.hosts}
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        for held in self.held:
            held.close()

    def _serve(self, host, handler):
        server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(handler, host, 0, backlog=4096), self.loop).result(10)
        return server.sockets[0].getsockname()[1]

    async def _answer(self, reader, writer):
        """Tell the client who it is to us, then a known body."""
        try:
            if await reader.readline():
                writer.write(f"hello {writer.get_extra_info('peername')[0]}\n".encode() + BODY)
                await writer.drain()
        except ConnectionError:
            pass
        writer.close()

    async def _reset(self, reader, writer):
        try:
            await reader.readline()
        except ConnectionError:
            pass
        linger = b"\1\0\0\0\0\0\0\0"
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    def answers(self, host):
        return host, self.answering[host]

    def resets(self, host):
        return host, self.resetting[host]

    def refuses(self, host):
        """A port that nobody listens on and nobody else can take meanwhile."""
        holder = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        holder.bind((host, 0))
        self.held.append(holder)
        return host, holder.getsockname()[1]

    def _full(self, host):
        """A listener whose queue is full: the kernel drops every further SYN."""
        listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        listener.bind((host, 0))
        listener.listen(0)
        filler = socket.create_connection(listener.getsockname()[:2])
        self.held += [listener, filler]
        return listener

    def silent(self, host):
        return host, self._full(host).getsockname()[1]

    def slow(self, host):
        listener = self._full(host)
        port = listener.getsockname()[1]
        threading.Thread(target=self._open_late, args=(listener, port), daemon=True).start()
        return host, port

    def _open_late(self, listener, port):
        deadline = time.monotonic() + 60
        while not _is_wanted(port) and time.monotonic() < deadline:
            time.sleep(0.03)
        time.sleep(OPEN_AFTER)
        listener.accept()
        listener.listen(4096)
        asyncio.run_coroutine_threadsafe(asyncio.start_server(self._answer, sock=listener, backlog=4096), self.loop)


def _is_wanted(port):
    """Is anybody's SYN to this port unanswered? (proc(5), state 02)"""
    wanted = f":{port:04X} 02"
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table, encoding="ascii") as lines:
                if any(wanted in line for line in lines):
                    return True
        except OSError:
            pass
    return False
