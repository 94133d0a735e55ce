"""`make try`'s script from beginning to end: a real Poetry, a cache that cannot be written, the cause, the
proof, the remedy, and a Poetry that works. Slow, because Poetry waits between its attempts."""

import os
import pathlib
import re
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build"))


def test_shows_cause_proof_and_remedy_and_cleans_up():
    # Not pytest's own directory, which another user cannot enter.
    with tempfile.TemporaryDirectory(prefix="tapline-") as temp:
        os.chmod(temp, 0o755)
        done = subprocess.run(["sh", ROOT / "contrib/try.sh", BUILD], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=600, env={**os.environ, "TMPDIR": temp})
        left_over = os.listdir(temp)
    shown = done.stdout
    assert done.returncode == 0, shown
    assert left_over == []

    alone, tapped = shown.split("== The same under tapline")
    assert "All attempts to connect to localhost:" in alone
    report = tapped.split("You can also run your poetry command", 1)[1].split("(exit status", 1)[0]
    cause, proof = report.find("not writable"), report.find("EACCES")
    remedy = report.find("export POETRY_CACHE_DIR=")
    assert 0 <= cause < proof < remedy, report
    assert "mkdir" in report
    assert re.search(r"\b200\b", report)
    assert re.search(r"/home/\.cache\b", report)
    assert "Writing lock file" in tapped.split("== Poetry again")[1]
