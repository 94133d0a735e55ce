"""A TCP relay that cuts what passes into pieces of random length (seeded), so that nothing arrives as it was sent."""

import random
import socket
import threading

from origins import RawServer


class Chopper(RawServer):
    """Listens, dials `target` for each connection, forwards both directions in pieces of 1 to `most` bytes."""

    def __init__(self, target, seed, most=3000):
        super().__init__(self.serve_one)
        self.target, self.random, self.most = target, random.Random(seed), most

    def serve_one(self, near):
        with socket.create_connection(self.target, timeout=20) as far:
            for one in (near, far):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=self.forward, args=(far, near, self.random.random()), daemon=True)
            back.start()
            self.forward(near, far, self.random.random())
            back.join(60)

    def forward(self, source, target, seed):
        rng = random.Random(seed)
        try:
            while data := source.recv(rng.randint(1, 65536)):
                while data:
                    n = rng.choice((1, 5, rng.randint(1, self.most)))
                    target.sendall(data[:n])
                    data = data[n:]
            target.shutdown(socket.SHUT_WR)
        except OSError:
            for one in (source, target):
                one.close()
