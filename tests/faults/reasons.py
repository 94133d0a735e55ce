"""What has to be told of a fault: where a connection failed or something was lost, the record says so; where the relay could not start, standard error.

reasons.missing(day) returns what was not told. A healthy day tells of all that happened in it, so that what is not there has been lost.
"""
import errno
import re

from day import TOLD

ENDS = ("error", "reset", "refused")    # flow.close: how


def is_reason(event):
    """The event says why something is not as it should be."""
    kind = event["event"]
    return (kind == "relay.note" or kind == "connect" and "bypassed" in event or kind == "flow.close" and (event["how"] in ENDS or "errno" in event)
            or kind == "upstream" and event["result"] == "failed"
            or kind == "tls" and event["result"] != "ok" and "error" in event or kind == "http.body" and not event["complete"])


class Told:
    """A record by its flows."""

    def __init__(self, events):
        self.events = events
        self.flows = {}
        for event in events:
            if "flow" in event:
                self.flows.setdefault(event["flow"], []).append(event)
        self.noted = any(event["event"] == "relay.note" for event in events)

    def of_client(self, port):
        return [event for flow in self.flows.values() for event in flow if any(e.get("source_port") == port for e in flow)]

    def of_kind(self, kind):
        return [event for event in self.events if event["event"] == kind]

    def of_program(self, port):
        """Also of a connection that was let by, which has no flow."""
        connects = [event for event in self.of_kind("connect") if event["kind"] == "redirected" and event["port"] == port]
        return connects + [event for connect in connects for event in self.flows.get(connect.get("flow"), [])]


def of_clients(day, told):
    for seen in day.seen:
        events = told.of_client(seen.port)
        if told.noted or any(map(is_reason, events)):
            continue
        if not seen.whole:
            yield f"{seen.name}: got {seen.got} bytes, and the record has no reason"
        lacking = {"connect", "upstream", "flow.close"} - {event["event"] for event in events} | set(of_request(events, seen.path))
        if seen.whole and lacking:
            yield f"{seen.name}: was served, and the record lacks {', '.join(sorted(lacking))}"


def of_request(events, path):
    """What lacks of a request that was answered."""
    for kind in ("http.request", "http.response") if path else ():
        if not any(event["event"] == kind and event.get("url", "").endswith(path) for event in events):
            yield f"{kind} of {path}"


def of_teller(day, told):
    """It has told all, each once; whether the relay could give it a ring is the same to the record."""
    if not day.told or told.noted:
        return
    for kind in ("http.request", "http.response"):
        numbers = [int(event["url"].rsplit("/", 1)[1]) for event in told.of_kind(kind) if "/told/" in event.get("url", "")]
        if numbers != list(range(TOLD)):
            yield f"telling: {TOLD} times {kind}, and the record has {numbers}"


def of_program(day, told, origins):
    if day.program is None or told.noted:
        return
    for port, got, well in ((origins.plain_port, day.program[0], day.program[0] > 0),
                            (origins.dead_port, day.program[1], day.program[1] == -errno.ECONNREFUSED)):
        events = told.of_program(port)
        if not events:
            yield f"redirected: its connection to port {port} ({got}) is not in the record"
        elif not well and not any(map(is_reason, events)):
            yield f"redirected: {got}, and the record has no reason"
    for kind in ("process.start", "file.failure"):
        if not told.of_kind(kind):
            yield f"redirected: its {kind} is not in the record"


def of_record(day, told):
    """Events that were lost are counted in it, or, where it takes nothing any more, told on standard error."""
    ends = told.of_kind("run.end")
    if "events are being lost" not in day.said and (not ends or ends[0].get("dropped")):
        yield "the record has no end" if not ends else "events were lost, and standard error says nothing"
    if "events are being lost" in day.said and ends and not ends[0].get("dropped"):
        yield "events were lost, and the record does not count them"


def missing(day):
    """Generates what should have been told, and was not."""
    if day.abandoned or day.status < 0:
        return
    if not day.listened or not day.served:
        if not re.search(r"^tapline: (?!listening on|control socket).{10}", day.said, re.M):
            yield f"the relay ended with {day.status} and said {day.said!r}"
        return
    told = Told(day.events())
    yield from of_record(day, told)
    if "events are being lost" in day.said:
        return      # nothing more can be asked of it
    yield from of_clients(day, told)
    yield from of_program(day, told, day.origins)
    yield from of_teller(day, told)
