"""The table that matters: each quantity, the best peer and the reference loop of the same run, the goal, and tapline."""
from tables import med, num, ratio, table

OURS = ("tapline", "libtapline")
NOT_PEERS = ("direct", "ref-", "null", "none", "bare", "askshim", "helloshim")      # references and floors


def is_peer(path):
    return not any(part.startswith(NOT_PEERS + OURS) for part in path.split(">")[:1]) and "tapline" not in path


class Row:
    """name, unit digits, which way is better, the goal, and how to get a path's value from the samples. The goals were set on a
    faster machine; there is what the first reference loop reached on that one. also is a loop that does one thing more, which
    tapline has to do too."""

    def __init__(self, name, section, value, ours, goal, less=True, digits=2, references=(), there=None, also=None):
        self.name, self.section, self.value, self.ours, self.goal = name, section, value, ours, goal
        self.less, self.digits, self.references, self.there, self.also = less, digits, references, there, also

    def paced(self, s, paths):
        """The goal at the pace of this machine: as far from the reference loop as it was where it was set."""
        here = self.value(s, self.references[0]) if self.there and self.references[0] in paths else None
        return None if here is None else self.goal * here / self.there

    def met(self, own, goal):
        return own is not None and goal is not None and (own <= goal if self.less else own >= goal)

    def best(self, s, paths):
        values = [(v, p) for p in paths if (v := self.value(s, p)) is not None]
        return (min if self.less else max)(values, default=None)

    def shown(self, found):
        return "-" if found is None else f"{num(found[0], self.digits)} ({found[1]})"

    def cells(self, s):
        paths = s.paths(self.section)
        own = self.value(s, self.ours) if self.ours in paths else None
        paced, word = self.paced(s, paths), "at most " if self.less else "at least "
        met = ("not measured" if own is None else "yes" if self.met(own, self.goal) else
               "at this pace" if self.met(own, paced) else "no")
        loops = [self.shown(self.best(s, [p for p in self.references if p in paths]))]
        if self.also in paths:
            loops.append(self.shown(self.best(s, [self.also])))
        return [self.name, self.shown(self.best(s, filter(is_peer, paths))), ", ".join(loops),
                word + num(self.goal, self.digits), "-" if paced is None else word + num(paced, self.digits),
                num(own, self.digits), met]


def of_direct(section, case, key):
    return lambda s, p: s.versus(section, p, case, key, ratio)


def added(section, case, key, base="direct"):
    return lambda s, p: s.versus(section, p, case, key, lambda a, b: a - b, base)


def plain(section, case, key):
    return lambda s, p: med(s.of(section, p, case), key)


def idle_kib(s, path):
    """KiB per held connection, from the largest number that was held."""
    for row in s.of("mem", path, "idle"):
        for k in ("10k", "1k"):
            if row.get(f"open_{k}"):
                return (row[f"pss_{k}"] - row["pss_idle"]) * 1024 / row[f"open_{k}"]
    return None


def is_redirected(path):
    """The client asks for nothing: a library leads it, or, for relays that know one origin only, the relay's address."""
    return ">" in path or path.startswith(("ref-redirect", "haproxy", "socat"))


def explicit_only(value):
    """Against clients that speak to the relay themselves."""
    return lambda s, p: None if is_redirected(p) else value(s, p)


def redirected_only(value):
    return lambda s, p: value(s, p) if is_redirected(p) else None


def install_ratio(tool, way):
    return lambda s, p: s.versus("install", p, f"{tool} {way}", "seconds", ratio, "bare")


LOOPS = ("ref-splice", "ref-copy")
ASKED = "askshim>ref-asked"      # the target is there before connect() says so
GREETED = "helloshim"            # and a relay knows that the program has started
ROWS = [
    Row("tunnel, 1 stream, of direct", "tunnel", of_direct("tunnel", "1 stream", "mb_s"), "tapline", 0.57, False, references=LOOPS, there=0.57),
    Row("tunnel, 8 streams, of direct", "tunnel", of_direct("tunnel", "8 stream", "mb_s"), "tapline", 0.33, False, references=LOOPS, there=0.31),
    Row("relay CPU s/GiB, 8 streams", "tunnel", plain("tunnel", "8 stream", "cpu_s_per_gib"), "tapline", 0.33, references=LOOPS, there=0.37),
    Row("short connections, explicit, added p50 us", "conn", explicit_only(added("conn", "1 client", "p50_us")), "tapline", 58, True, 0,
        ("ref-copy",), there=88),
    Row("short connections, redirected, added p50 us", "conn", redirected_only(added("conn", "1 client", "p50_us")),
        "libtapline>tapline", 90, True, 0, ("ref-redirect",), there=62, also=ASKED),
    Row("short connections, 32 at once, explicit, of direct", "conn", explicit_only(of_direct("conn", "32 client", "per_s")), "tapline",
        0.55, False, references=("ref-copy",), there=0.42),
    Row("short connections, 32 at once, redirected, of direct", "conn", redirected_only(of_direct("conn", "32 client", "per_s")),
        "libtapline>tapline", 0.43, False, references=("ref-redirect",), there=0.47, also=ASKED),
    Row("inspected bulk, of direct TLS", "tls", of_direct("tls", "bulk 1", "mb_s"), "tapline-inspect", 0.50, False, references=("ref-mitm",), there=0.50),
    Row("inspected bulk, relay CPU s/GiB", "tls", plain("tls", "bulk 1", "cpu_s_per_gib"), "tapline-inspect", 0.80, references=("ref-mitm",), there=0.87),
    Row("inspected handshakes/s, 1 at a time", "tls", plain("tls", "handshake 1", "per_s"), "tapline-inspect", 650, False, 0, ("ref-mitm",), there=596),
    Row("inspected handshakes/s, 32 at once", "tls", plain("tls", "handshake 32", "per_s"), "tapline-inspect", 1100, False, 0, ("ref-mitm",), there=957),
    Row("first visit to a host, added p50 us", "tls", added("tls", "new host 1", "p50_us"), "tapline-inspect", 1100, True, 0, ("ref-mitm",), there=970),
    Row("inspected keep-alive requests/s, 1", "tls", plain("tls", "keep-alive 1", "per_s"), "tapline-inspect", 11600, False, 0, ("ref-mitm",), there=11600),
    Row("inspected keep-alive requests/s, 32", "tls", plain("tls", "keep-alive 32", "per_s"), "tapline-inspect", 35000, False, 0, ("ref-mitm",), there=35000),
    Row("memory per idle tunnel, KiB", "mem", idle_kib, "tapline", 1, True, 1, LOOPS),
    Row("memory per idle inspected connection, KiB", "mem", idle_kib, "tapline-inspect", 40, True, 1, ("ref-mitm",)),
    Row("preload: open+close, added ns", "preload", added("preload", "", "open_close_ns", "none"), "libtapline", 20, True, 0, ("null",), there=16),
    Row("preload: failing open (ENOENT), added ns", "preload", added("preload", "", "enoent_ns", "none"), "libtapline", 20, True, 0, ("null",)),
    Row("preload: start of /bin/true, added us", "preload", added("preload", "", "true_us", "none"), "libtapline", 60, True, 0, ("null",), there=34, also=GREETED),
    *[Row(f"{tool} install{which}, {way}, of bare", "install", install_ratio(tool + end, way), "tapline", goal, references=("ref-copy",))
      for end, which in (("", ""), ("-small", " of the smallest size"))
      for tool in ("pip", "npm", "cargo") for way, goal in (("tunnelled", 1.02), ("inspected", 1.05))],
]


def goals(s):
    """A row is printed when its section was measured."""
    rows = [row.cells(s) for row in ROWS if s.paths(row.section)]
    return "## Goals\n\n" + table(["what", "best peer of this run", "reference loop", "goal", "goal at this machine's pace", "tapline",
                                  "met"], rows) if rows else ""
