"""The record's schema, mirroring docs/record.md; test_schema.py holds both together.

validate(line) raises SchemaError for anything that the document does not allow: an unknown kind or field, a missing
one, a wrong type. tests/e2e/runner.py calls it for every line of every record that the suite makes.
"""
import json
import re

COMMON = {"time": "string", "event": "string", "pid?": "integer", "tid?": "integer", "exe?": "string",
          "flow?": "integer", "clipped?": "boolean"}

# kind -> field -> type; a question mark at the end of a name: optional. "a|b": one of these words.
KINDS = {
    "run.start": {
        "schema": "integer", "version": "string", "mode": "run|relay", "command": "strings", "cwd": "string",
        "uid": "integer", "gid": "integer", "umask": "octal", "home?": "string", "upstream?": "string",
        "upstream_from?": "string", "inspect": "never|auto|always", "environment": "object"},
    "process.start": {"ppid": "integer", "argv": "strings", "fsize_limit?": "integer", "fsize_hard_limit?": "integer"},
    "process.uncovered": {"target": "string", "reason": "static|setuid|setgid|capabilities|foreign|sanitizer|seccomp"},
    "name.lookup": {"name": "string", "addresses": "strings", "result": "string", "errno?": "errno",
                    "duration_ms": "ms", "made_up?": "boolean"},
    "connect": {"kind": "redirected|connect|http|socks|direct|udp", "name?": "string", "address?": "string", "port": "integer",
                "blocking?": "boolean", "source_port?": "integer", "bypassed?": "string"},
    "upstream": {"via": "string", "host": "string", "port": "integer", "address?": "string",
                 "result": "connected|failed", "stage?": "resolve|connect|proxy", "hop?": "string", "attempts?": "strings",
                 "proxy_login?": "boolean", "errno?": "errno",
                 "error?": "string", "proxy_status?": "integer", "proxy_reason?": "string",
                 "proxy_challenge?": "string", "credentials?": "boolean", "proxy_body?": "string",
                 "duration_ms": "ms"},
    "tls": {"side": "client|origin", "result": "ok|failed|passed", "sni?": "string", "alpn?": "string",
            "version?": "string", "cipher?": "string", "resumed?": "boolean", "error?": "string", "verify?": "string",
            "alert?": "string", "issuer?": "string", "subject?": "string", "names?": "string", "not_before?": "string",
            "not_after?": "string", "issuer_url?": "string", "missing?": "string", "missing_issuer?": "string", "chain?": "integer",
            "lax?": "string", "note?": "string"},
    "tls.roots": {"kind": "file|directory|system|certificate", "path?": "string"},
    "http.request": {"request": "integer", "source": "relay|tap", "tied?": "name|thread|time", "method": "string", "url": "string",
                     "version": "string", "stream?": "integer", "headers": "headers"},
    "http.response": {"request?": "integer", "source": "relay|tap", "status": "integer", "reason?": "string",
                      "version": "string", "stream?": "integer", "headers": "headers", "content_length?": "integer", "url?": "string",
                      "wait_ms?": "ms"},
    "http.body": {"request": "integer", "status?": "integer", "bytes": "integer", "complete": "boolean",
                  "reason?": "client closed|origin closed|reset|client reset the stream|origin reset the stream"
                             "|not as long as stated",
                  "error?": "string", "trailers?": "headers", "sha256?": "string", "stated_sha256?": "string",
                  "digest?": "string", "index_digest?": "string", "index_request?": "integer",
                  "silent_ms?": "ms", "duration_ms": "ms"},
    "http.goaway": {"source": "relay|tap", "side": "client|origin", "error": "string", "last_stream": "integer",
                    "debug?": "string"},
    "flow.close": {"client_to_server": "integer", "server_to_client": "integer", "first": "client|server|relay",
                   "how": "eof|reset|error|refused", "reason": "string", "errno?": "errno", "name?": "string",
                   "port": "integer", "duration_ms": "ms"},
    "file.failure": {"call": "string", "path?": "string", "path2?": "string", "errno": "errno",
                     "intent": "read|write|lock|execute", "count?": "integer", "uid": "integer", "umask?": "octal",
                     "uid_map?": "string", "ancestor?": "string", "blocked?": "string",
                     "owner?": "integer", "group?": "integer", "owner_name?": "string", "mode?": "octal",
                     "type?": "directory|file|link|other", "sticky?": "boolean", "acl?": "string",
                     "immutable?": "boolean", "append_only?": "boolean", "mount?": "string", "fstype?": "string",
                     "mount_options?": "string", "mount_from?": "string",
                     "read_only?": "boolean", "free_bytes?": "integer", "free_inodes?": "integer",
                     "quota_bytes?": "integer", "quota_used_bytes?": "integer", "quota_files?": "integer",
                     "quota_used_files?": "integer", "nofile_limit?": "integer", "open_files?": "integer",
                     "fsize_limit?": "integer", "fsize_hard_limit?": "integer"},
    "lock.wait": {"call": "string", "path": "string", "state": "waiting|refused|granted|failed", "waited_ms?": "ms",
                  "errno?": "errno", "holder?": "integer", "holder_exe?": "string", "holder_argv?": "strings"},
    "tool.claim": {"tool": "string", "stream": "stdout|stderr|both", "text": "string", "blames": "string"},
    "relay.note": {"note": "string", "severity": "note|warning"},
    "finding": {"code": "string", "severity": "error|warning|note", "confidence": "certain|likely|possible", "summary": "string", "evidence": "strings",
                "commands": "strings"},
    "run.end": {"status?": "integer", "signal?": "string", "duration_ms": "ms", "relay": "ok|lost",
                "oom_kills?": "integer", "dropped?": "integer"},
}

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


class SchemaError(AssertionError):
    pass


def _is_int(value):
    return isinstance(value, int) and not isinstance(value, bool)


def _is_strings(value):
    return isinstance(value, list) and all(isinstance(v, str) for v in value)


TYPES = {
    "string": lambda v: isinstance(v, str),
    "integer": _is_int,
    "boolean": lambda v: isinstance(v, bool),
    "strings": _is_strings,
    "object": lambda v: isinstance(v, dict) and all(isinstance(x, str) for x in v.values()),
    "headers": lambda v: isinstance(v, list) and all(_is_strings(h) and len(h) == 2 for h in v),
    "ms": lambda v: (_is_int(v) or isinstance(v, float)) and v >= 0,
    "octal": lambda v: isinstance(v, str) and re.fullmatch(r"[0-7]{4}", v) is not None,
    "errno": lambda v: isinstance(v, str) and re.fullmatch(r"E[A-Z0-9]+", v) is not None,
}


def _matches(kind, value):
    if kind in TYPES:
        return TYPES[kind](value)
    return isinstance(value, str) and value in kind.split("|")


def validate(line):
    """Return the event of one line, or raise SchemaError naming what is wrong with it."""
    try:
        event = json.loads(line)
    except ValueError as error:
        raise SchemaError(f"not JSON ({error}): {line[:300]!r}") from None
    if not isinstance(event, dict) or event.get("event") not in KINDS:
        raise SchemaError(f"not an event of a known kind: {line[:300]!r}")
    fields = {**COMMON, **KINDS[event["event"]]}
    known = {name.rstrip("?"): kind for name, kind in fields.items()}
    for name, value in event.items():
        if name not in known:
            raise SchemaError(f"{event['event']}: unknown field {name!r} in {line[:600]!r}")
        if not _matches(known[name], value):
            raise SchemaError(f"{event['event']}.{name} is {value!r}, not {known[name]}, in {line[:600]!r}")
    if not event.get("clipped"):
        for name in fields:
            if not name.endswith("?") and name not in event:
                raise SchemaError(f"{event['event']}: field {name!r} is missing in {line[:600]!r}")
    if not TIME.fullmatch(event["time"]):
        raise SchemaError(f"time is not RFC 3339 in UTC with microseconds: {event['time']!r}")
    return event


def read(path):
    """The events of the record at path, each validated. A last line without its end is left out."""
    with open(path, encoding="utf-8", errors="strict") as record:
        lines = record.read().split("\n")
    return [validate(line) for line in lines[:-1]]
