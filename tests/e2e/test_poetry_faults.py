"""The founding case: Poetry 2.3.1 says "All attempts to connect to ... failed" when its cache is at fault.

Every fault runs bare, which shows the misleading message, and under tapline, which must name the true cause first.
Poetry sleeps 7.5 s in each, so all runs start at once and each test waits for its own.
"""
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

import projects
import user as user_module
from findings_lab import keep_record
from poetry_faults import FAULTS, NEED_MOUNTS

MESSAGE = "All attempts to connect to"
LETTERS = list(FAULTS)
RUNS = [(letter, how) for how in ("bare", "tap") for letter in LETTERS] + [("A", "inspect")]


class Case:
    """One run of `poetry lock` with one fault: sandbox, index, done (the run)."""

    def __init__(self, letter, how, sandbox, index, poetry):
        self.fault, self.how, self.sandbox, self.index = FAULTS[letter], how, sandbox, index
        self.poetry = poetry / "bin" / "poetry"
        self.env = projects.poetry_env(index.ca)
        projects.poetry(sandbox, index.url + "/simple/")

    def paste(self):
        """The fault again, and the remedy of the run that has ended."""
        commands = self.done.first()["remedy"]["commands"]
        script = "\n".join([*commands, f"'{self.poetry}' lock -n"])
        return self.sandbox.tapline(["sh", "-c", script], inspect=self.how == "inspect", env=self.env, mounts=self.mounts,
                                    timeout=120)

    def run(self):
        mounts = self.mounts = self.fault.prepare(self.sandbox, self.index)
        argv = [self.poetry, "lock", "-n"]
        if self.how == "bare":
            self.done = self.sandbox.run(argv, env=self.env, mounts=mounts, timeout=120)
        else:
            self.done = self.sandbox.tapline(argv, inspect=self.how == "inspect", env=self.env, mounts=mounts,
                                             timeout=120)
            served = self.index.served()
            self.index_then = SimpleNamespace(served=lambda: served)  # before the remedy is tried on it
            keep_record(self.done, f"poetry-{self.fault.code}-{self.how}")
        return self

    @property
    def first(self):
        return self.done.first()


@pytest.fixture(scope="module")
def cases(make_sandbox, make_index, poetry):
    pool = ThreadPoolExecutor(6)

    def start(letter, how):
        if letter in NEED_MOUNTS and user_module.mounts_problem():
            return None
        return pool.submit(Case(letter, how, make_sandbox(), make_index(), poetry).run)

    started = {run: start(*run) for run in RUNS}
    for letter, how in RUNS[len(LETTERS):]:
        case = started[letter, how]
        started["remedy", letter, how] = case and pool.submit(lambda case=case: case.result().paste())
    yield started
    pool.shutdown(cancel_futures=True)  # an interrupted session does not start the rest


@pytest.fixture
def case(cases, request):
    def get(letter, how):
        if letter in NEED_MOUNTS:
            request.getfixturevalue("private_mounts")
        found = cases[letter, how].result()
        print(found.done)
        return found

    return get


@pytest.mark.parametrize("letter", LETTERS)
def test_bare_poetry_blames_the_network(case, letter):
    found = case(letter, "bare")
    assert found.done.returncode == 1
    assert MESSAGE in found.done.stdout + found.done.stderr
    assert [e["status"] for e in found.index.served()] == [200] * found.fault.answers


@pytest.mark.parametrize("letter,how", RUNS[len(LETTERS):])
def test_tapline_names_the_cause(case, letter, how):
    found = case(letter, how)
    fault, done = found.fault, found.done
    assert done.returncode == 1, "Poetry's own exit status passes through"
    assert MESSAGE in done.stdout + done.stderr, "Poetry behaves as without tapline"
    assert found.first["code"] == fault.code, f"{done.codes()}\n{done}"
    assert found.first["severity"] == "error"
    errors = [f["code"] for f in done.report["findings"] if f["severity"] == "error"]
    assert errors == [fault.code], f"one cause, one finding\n{done}"


@pytest.mark.parametrize("letter,how", RUNS[len(LETTERS):])
def test_evidence_names_path_and_errno(case, letter, how):
    found = case(letter, how)
    where, evidence = str(found.sandbox.home / found.fault.where), "\n".join(found.first["evidence"])
    assert where in evidence, evidence
    assert found.fault.errno in evidence, evidence
    failures = [e for e in found.done.of("file.failure", errno=found.fault.errno) if e["path"].startswith(where)]
    assert failures, f"no file.failure below {where}\n{found.done}"


@pytest.mark.parametrize("letter,how", RUNS[len(LETTERS):])
def test_answers_are_recorded(case, letter, how):
    found = case(letter, how)
    if found.fault.answers == 0:
        assert found.index_then.served() == []
        assert found.done.of("http.request") == [], str(found.done)
        assert found.done.of("connect") == [], str(found.done)
        return
    assert len(found.index_then.served()) == found.fault.answers
    found.done.assert_recorded(found.index_then)
    assert found.done.report["summary"]["requests"] == found.fault.answers


@pytest.mark.parametrize("letter,how", RUNS[len(LETTERS):])
def test_the_person_reads_it(case, letter, how):
    found = case(letter, how)
    said = found.done.stderr
    assert str(found.sandbox.home / found.fault.where) in said, said
    assert found.first["summary"] in " ".join(said.split()) or found.first["summary"] in said, said
    assert str(found.done.record) in said, "where the record is"
    for command in found.first["remedy"]["commands"]:
        assert command in said, said


@pytest.mark.parametrize("how", ["tap", "inspect"])
def test_proof_of_the_unwritable_parent(case, how):
    found = case("A", how)
    home, evidence = found.sandbox.home, "\n".join(found.first["evidence"])
    parent = str(home / ".cache")
    failure = found.done.of("file.failure", call="mkdir", path=str(home / ".cache/pypoetry"))
    assert failure, f"the failed mkdir is not in the record\n{found.done}"
    assert failure[0]["errno"] == "EACCES"
    assert failure[0]["ancestor"] == failure[0]["blocked"] == parent
    assert (failure[0]["mode"], failure[0]["owner"]) == ("0555", found.sandbox.user.uid)
    for proof in ("mkdir", "EACCES", parent, "0555", "200"):
        assert proof in evidence, f"{proof} is not in the evidence:\n{evidence}"
    assert any(c.startswith("export POETRY_CACHE_DIR=") for c in found.first["remedy"]["commands"])


def test_the_other_lock_owner_is_named(case):
    found = case("E", "tap")
    evidence = "\n".join([found.first["summary"], *found.first["evidence"]])
    assert ".lock" in evidence, evidence
    if user_module.IS_ROOT:  # in a user namespace root has no name
        assert "root" in evidence, evidence


@pytest.mark.parametrize("letter,how", RUNS[len(LETTERS):])
def test_the_remedy_can_be_pasted(cases, case, letter, how):
    """The commands of the report, pasted into a shell before the same command, make it succeed."""
    found = case(letter, how)
    done = cases["remedy", letter, how].result()
    assert done.report["findings"] == [] and done.returncode == 0, done
    assert (found.sandbox.work / "poetry.lock").exists()
