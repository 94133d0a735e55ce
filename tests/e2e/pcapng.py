"""Reads a pcapng file as tapline writes it: blocks in order, TCP streams put together again, TLS records, keys."""

import struct


class Capture:
    """secrets: [(place among the blocks, line)]; streams: {(source, destination): bytes}; ends and places of streams."""

    def __init__(self, data):
        self.secrets, self.streams, self.first_place, self.next, self.ended = [], {}, {}, {}, set()
        place = at = 0
        while at < len(data):
            kind, total = struct.unpack_from("<II", data, at)
            assert total % 4 == 0 and struct.unpack_from("<I", data, at + total - 4)[0] == total, (at, total)
            self.block(place, kind, data[at + 8:at + total - 4])
            place, at = place + 1, at + total
        assert at == len(data)

    def block(self, place, kind, body):
        if place == 0:
            assert kind == 0x0A0D0D0A and struct.unpack_from("<IHH", body) == (0x1A2B3C4D, 1, 0)
        elif place == 1:
            assert kind == 1 and struct.unpack_from("<H", body)[0] == 101  # raw IP
        elif kind == 10:
            magic, length = struct.unpack_from("<II", body)
            assert magic == 0x544C534B
            self.secrets += [(place, line) for line in body[8:8 + length].decode().splitlines()]
        else:
            assert kind == 6, kind
            _, _, _, captured, length = struct.unpack_from("<IIIII", body)
            assert captured == length
            self.packet(place, body[20:20 + captured])

    def packet(self, place, packet):
        if packet[0] >> 4 == 4:
            assert checksum(packet[:20]) == 0 and struct.unpack_from(">H", packet, 2)[0] == len(packet)
            addresses, tcp = packet[12:20], packet[20:]
        else:
            addresses, tcp = packet[8:40], packet[40:]
        assert checksum(addresses + struct.pack(">HH", 6, len(tcp)) + tcp) == 0
        ports, half = struct.unpack_from(">HH", tcp), len(addresses) // 2
        stream = (addresses[:half], ports[0]), (addresses[half:], ports[1])
        sequence, acknowledged, _, flags = struct.unpack_from(">IIBB", tcp, 4)
        assert sequence == self.next.setdefault(stream, 0), "a byte is missing, or there twice"
        if flags & 0x10:
            assert acknowledged == self.next.get(stream[::-1], 0)
        self.next[stream] += len(tcp) - 20 + bool(flags & 3)
        self.streams[stream] = self.streams.get(stream, b"") + tcp[20:]
        self.first_place.setdefault(stream, place)
        if flags & 1:
            self.ended.add(stream)

    def records(self, stream):
        """[(type, body)] of the TLS records of a stream; fails if they do not fill it."""
        data, found, at = self.streams[stream], [], 0
        while at < len(data):
            kind, version, length = struct.unpack_from(">BHH", data, at)
            assert kind in (20, 21, 22, 23) and version in (0x301, 0x303) and at + 5 + length <= len(data)
            found.append((kind, data[at + 5:at + 5 + length]))
            at += 5 + length
        return found

    def hellos(self):
        """{client random: stream} of the ClientHellos."""
        found = {}
        for stream in self.streams:
            kind, body = self.records(stream)[0]
            if kind == 22 and body[0] == 1:
                found[body[6:38].hex()] = stream
        return found


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data[:len(data) // 2 * 2]))
    total += data[-1] << 8 if len(data) % 2 else 0
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
