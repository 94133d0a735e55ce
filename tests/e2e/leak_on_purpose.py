"""Not collected with the others: test_masking.py runs it to see a session fail over a secret in a record."""
import planted


def test_a_record_with_a_secret(sandbox):
    (sandbox.records / "leak.jsonl").write_text('{"event": "http.request", "url": "https://x/?token=%s"}\n' % planted.secret("token"))


def test_after_it():
    pass
