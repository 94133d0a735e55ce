"""An HTTP/2 origin on loopback (hyper-h2), one thread per connection, with TLS or with prior knowledge.

The path says what comes back: /size/N (N bytes of origins.pattern), /big-head/N (a header of N bytes, so CONTINUATION),
/trailers (a gRPC answer), /cut/N (N bytes, then RST_STREAM), /last (GOAWAY, then the open streams are finished),
/length/N/M (N bytes stated, M sent), /together/N/M (N bytes, as soon as M streams wait for theirs on this connection), /echo (how many bytes were sent here). `served` lists (method, path, stream).
"""
import socket
import ssl

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings

import origins


class H2Connection:
    def __init__(self, raw, served, window):
        self.raw, self.served, self.waiting, self.uploads, self.closing = raw, served, {}, {}, False
        self.together = []
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.h2.local_settings = h2.settings.Settings(client=False, initial_values={
            h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 200,
            h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window,
            h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: 1 << 20})
        self.h2.initiate_connection()

    def run(self):
        self.flush()
        while data := self.raw.recv(65536):
            for event in self.h2.receive_data(data):
                self.on_event(event)
            for stream in list(self.waiting):
                self.send_body(stream)
            if self.closing and not self.waiting:
                self.flush()
                return
            self.flush()

    def flush(self):
        self.raw.sendall(self.h2.data_to_send())

    def on_event(self, event):
        if isinstance(event, h2.events.RequestReceived) and not self.closing:
            head = dict(event.headers)
            self.served.append((head[":method"], head[":path"], event.stream_id))
            if event.stream_ended is None:
                self.uploads[event.stream_id] = 0
            else:
                self.answer(event.stream_id, head[":path"])
        elif isinstance(event, h2.events.DataReceived):
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            self.uploads[event.stream_id] += len(event.data)
        elif isinstance(event, h2.events.StreamEnded) and event.stream_id in self.uploads:
            self.body(event.stream_id, b"%d" % self.uploads.pop(event.stream_id))
        elif isinstance(event, h2.events.StreamReset):
            self.waiting.pop(event.stream_id, None)

    def body(self, stream, body, headers=(), stated=None, trailers=None, cut=False):
        length = [("content-length", str(len(body) if stated is None else stated))]
        self.h2.send_headers(stream, [(":status", "200"), *([] if trailers or cut else length), *headers])
        self.waiting[stream] = (memoryview(body), trailers, cut)

    def answer(self, stream, path):
        name, *numbers = path.split("?")[0].strip("/").split("/")
        numbers = [int(number) for number in numbers if number.isdigit()]
        if name == "size":
            self.body(stream, origins.pattern(numbers[0]))
        elif name == "big-head":
            self.body(stream, b"big", [("x-big", "b" * numbers[0])])
        elif name == "trailers":
            self.body(stream, b"\0\0\0\0\0", [("content-type", "application/grpc")],
                      trailers=[("grpc-status", "5"), ("grpc-message", "not here")])
        elif name == "cut":
            self.body(stream, origins.pattern(numbers[0]), cut=True)
        elif name == "length":
            self.body(stream, origins.pattern(numbers[1]), stated=numbers[0])
        elif name == "together":
            self.together.append((stream, numbers[0]))
            if len(self.together) == numbers[1]:
                self.answer_together()
        elif name == "last":
            self.closing = True
            self.flush()
            # What close_connection() would send, but it would not let the open streams go on.
            self.raw.sendall(b"\0\0\x12\7\0\0\0\0\0" + stream.to_bytes(4, "big") + b"\0\0\0\0" + b"restarting")
            self.body(stream, b"last")
        else:
            self.h2.send_headers(stream, [(":status", "404")], end_stream=True)

    def answer_together(self):
        for stream, size in self.together:
            self.body(stream, origins.pattern(size))
        self.together = []

    def send_body(self, stream):
        body, trailers, cut = self.waiting[stream]
        while body:
            n = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size, len(body))
            if n == 0:
                self.waiting[stream] = (body, trailers, cut)
                return
            self.h2.send_data(stream, body[:n].tobytes())
            body = body[n:]
        del self.waiting[stream]
        if cut:
            self.h2.reset_stream(stream, h2.errors.ErrorCodes.INTERNAL_ERROR)
        elif trailers:
            self.h2.send_headers(stream, trailers, end_stream=True)
        else:
            self.h2.end_stream(stream)


class H2Origin(origins.RawServer):
    """certs None: prior knowledge. alpn: what is chosen. window: of each stream's upload."""

    def __init__(self, certs=None, alpn="h2", window=65535):
        super().__init__(self.serve_one)
        self.served, self.alpns, self.window, self.context = [], [], window, None
        if certs:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certs.cert, certs.key)
            self.context.set_alpn_protocols([alpn])

    def serve_one(self, raw):
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.context:
            raw = self.context.wrap_socket(raw, server_side=True)
            self.alpns.append(raw.selected_alpn_protocol())
        try:
            H2Connection(raw, self.served, self.window).run()
            if self.context:
                raw.unwrap()
        except (ConnectionError, ssl.SSLError):
            pass  # a client that leaves without a word

    def url(self, path):
        return f"{'https' if self.context else 'http'}://localhost:{self.port}{path}"
