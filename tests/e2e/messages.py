"""HTTP/1 messages read from raw sockets, and scripted origins that answer them. For the tests of what the relay
makes of requests and answers, byte by byte."""

import socket

from origins import RawServer, receive_exactly
from relays import read_answer_head


def request(url, method="GET", *fields, body=b"", version="1.1"):
    """The bytes of a request in absolute form."""
    host = ["Host: " + url.split("/")[2]] if version == "1.1" else []
    return "\r\n".join([f"{method} {url} HTTP/{version}", *host, *fields, "", ""]).encode() + body


def read_chunked(connection):
    """The body as it is on the wire, with its coding and trailer fields."""
    data = b""
    while True:
        line = read_line(connection)
        data += line
        size = int(line.split(b";")[0], 16)
        if size == 0:
            break
        data += receive_exactly(connection, size + 2)
    while True:
        line = read_line(connection)
        data += line
        if line == b"\r\n":
            return data


def read_line(connection):
    line = b""
    while not line.endswith(b"\r\n"):
        byte = connection.recv(1)
        if not byte:
            raise EOFError(line)
        line += byte
    return line


def read_message(connection, to_head=False):
    """A whole answer, framed by length, by chunks, or not at all (None: its body lasts until the end)."""
    answer = read_answer_head(connection)
    if to_head or answer.status < 200 or answer.status in (204, 304):
        return answer
    if "transfer-encoding" in answer.fields:
        answer.body = read_chunked(connection)
    elif "content-length" in answer.fields:
        answer.body = receive_exactly(connection, int(answer.fields["content-length"]))
    else:
        answer.body = None
    return answer


def ask(connection, data, to_head=False):
    connection.sendall(data)
    return read_message(connection, to_head)


class Request:
    """A request as an origin got it."""

    def __init__(self, head, body):
        self.line, *lines = head.decode("latin-1").split("\r\n")
        self.fields = [tuple(line.split(": ", 1)) for line in lines if line]
        self.body = body

    def values(self, name):
        return [value for field, value in self.fields if field.lower() == name.lower()]

    def __repr__(self):
        return f"{self.line} {self.fields} {self.body[:200]!r}"


def read_request(connection):
    """The next request on a kept connection, or None at its end."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            return None
        head += byte
    got = Request(head, b"")
    if got.values("Transfer-Encoding"):
        got.body = read_chunked(connection)
    elif got.values("Content-Length"):
        got.body = receive_exactly(connection, int(got.values("Content-Length")[0]))
    return got


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Origin(RawServer):
    """Answers request number n (of all connections together) with answers[n], the last one for all that follow: bytes,
    or a function of the connection and the request. It keeps connections unless told to close them. requests and
    connections tell what came."""

    def __init__(self, *answers, close=False, **options):
        super().__init__(self.talk, **options)
        self.answers, self.close = answers or (OK,), close
        self.requests, self.connections = [], 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def talk(self, connection):
        self.connections += 1
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while (got := read_request(connection)) is not None:
            self.requests.append(got)
            answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
            if callable(answer):
                if answer(connection, got) == "close":
                    return
            else:
                connection.sendall(answer)
            if self.close:
                return
