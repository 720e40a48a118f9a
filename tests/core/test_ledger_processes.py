"""The ledger among processes: real ones, really killed."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ai302_core._sqlite import SqliteLedger
from ai302_core._sqlite import store as _store
from ai302_core._sqlite.owners import Owners
from ai302_core.errors import LedgerError
from ai302_core.jobs import Job, Status
from ai302_core.ledger import Intent
from ai302_core.requests import ImageRequest

pytestmark = pytest.mark.unmeasured  # processes by the dozen, where tests/core/test_ledger.py says the same in one

# What every child can say; `go()` tells the parent it is ready and waits for its word.
PREAMBLE = """
import json, os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from ai302_core._sqlite import SqliteLedger
from ai302_core.errors import BudgetExceeded
from ai302_core.jobs import Job, Status
from ai302_core.ledger import Intent, Limits

ledger = SqliteLedger(Path(sys.argv[1]))
NAME = sys.argv[2]

def a_job(job_id, key=None):
    return Job(id=job_id, provider="hero", family="acme", operation="image", status=Status.SUBMITTING,
               created_at=datetime(2026, 11, 21, tzinfo=UTC), billed="no", key=key)

def take(job_id, key=None, **limits):
    return ledger.claim(Intent(job=a_job(job_id, key), digest="d", limits=Limits(**limits)))

def say(value):
    print(json.dumps(value), flush=True)

def go():
    say("ready")
    sys.stdin.readline()
"""


class Child:
    """A process that runs `script` after the preamble."""

    def __init__(self, path: Path, name: str, script: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PREAMBLE + script, str(path), name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def hear(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the child said nothing and ended with {self.process.wait()}"
        return json.loads(line)

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


Spawn = Callable[..., Child]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def spawn(path: Path) -> Iterator[Spawn]:
    children: list[Child] = []

    def start(script: str, name: str = "child") -> Child:
        children.append(Child(path, name, script))
        return children[-1]

    yield start
    for child in children:
        child.close()


@pytest.fixture
def ledger(path: Path) -> Iterator[SqliteLedger]:
    opened = SqliteLedger(path)
    yield opened
    opened.close()


def a_job(job_id: str, **changes: Any) -> Job:
    values: dict[str, Any] = {
        "provider": "hero", "family": "acme", "operation": "image", "status": Status.SUBMITTING, "billed": "no",
        "created_at": datetime(2026, 11, 21, tzinfo=UTC), "request": ImageRequest("a red fox"),
    }  # fmt: skip
    return Job(id=job_id, **{**values, **changes})


def race(spawn: Spawn, script: str, count: int = 10) -> list[Any]:
    """What `count` processes say that start `script` at the same moment."""
    children = [spawn("go()\n" + script, f"child-{number}") for number in range(count)]
    assert [child.hear() for child in children] == ["ready"] * count
    for child in children:
        child.go()
    return [child.hear() for child in children]


# --- ten at once, on a file that is not there yet


def test_ten_processes_with_one_key_make_one_job(spawn: Spawn, ledger: SqliteLedger) -> None:
    said = race(spawn, "claim = take(NAME, 'order-1'); say([claim.fresh, claim.job.id, claim.owned]); go()")
    assert sum(fresh for fresh, _, _ in said) == 1
    assert len({job_id for _, job_id, _ in said}) == 1
    assert all(owned for fresh, _, owned in said if not fresh)
    assert len(ledger.jobs()) == 1


def test_ten_processes_share_a_budget_of_five(spawn: Spawn, ledger: SqliteLedger) -> None:
    script = """
try:
    say(take(NAME, max_jobs=5).fresh)
except BudgetExceeded as problem:
    say(problem.message)
go()
"""
    said = race(spawn, script)
    assert said.count(True) == 5
    assert all("max_jobs is 5 per day" in entry for entry in said if entry is not True)
    assert len(ledger.jobs()) == 5


def test_ten_writers_all_get_their_turn(spawn: Spawn, ledger: SqliteLedger) -> None:
    race(spawn, "[take(f'{NAME}-{n}') for n in range(20)]; say('done'); go()")
    assert len(ledger.jobs(status=[Status.SUBMITTING])) == 200


# --- the living and the dead


def test_the_submit_of_a_killed_process_is_unconfirmed(spawn: Spawn, ledger: SqliteLedger, path: Path) -> None:
    child = spawn("take('a', 'order-1', concurrent=1); take('b'); ledger.write(a_job('c')); go()")
    child.hear()
    alive = ledger.job("a")
    assert alive is not None
    assert alive.status is Status.SUBMITTING
    claim = ledger.claim(Intent(job=a_job("mine", key="order-1"), digest="d"))
    assert (claim.fresh, claim.owned) == (False, True)
    child.kill()
    found = ledger.find_key("order-1", "d")
    assert found is not None
    assert found.job is not None
    assert (found.owned, found.job.status, found.job.billed) == (False, Status.UNCONFIRMED, "unknown")
    with sqlite3.connect(path) as db:  # `find_key` writes nothing
        assert db.execute("SELECT status FROM jobs WHERE id = 'a'").fetchone() == ("submitting",)
    db.close()
    job = ledger.job("a")
    assert job == found.job
    assert job is not None
    assert "may have been accepted and billed" in job.message
    assert {found.id for found in ledger.jobs(status=[Status.UNCONFIRMED])} == {"a", "b", "c"}
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT status, owner FROM jobs WHERE id = 'b'").fetchone() == ("unconfirmed", None)
    db.close()


def test_a_killed_second_call_keeps_the_task(spawn: Spawn, ledger: SqliteLedger) -> None:
    ledger.write(a_job("a", status=Status.INPUT_REQUIRED, remote_id="task-7", raw={"code": 21}))
    child = spawn("say(ledger.reopen('a', Status.INPUT_REQUIRED)); go()")
    assert child.hear() is True
    assert not ledger.reopen("a", Status.UNCONFIRMED)
    child.kill()
    assert ledger.reopen("a", Status.UNCONFIRMED)  # also when nobody looked since it died
    ledger.write(a_job("a", status=Status.UNCONFIRMED))
    (job,) = ledger.find("task-7")
    assert (job.status, job.remote_id, job.raw) == (Status.UNCONFIRMED, "task-7", {"code": 21})


def test_the_places_of_the_dead_are_free(spawn: Spawn, ledger: SqliteLedger) -> None:
    child = spawn("take('a', concurrent=1); say(take('b', concurrent=1).waiting); go()")
    assert child.hear() is True
    child.kill()
    last = spawn("say(take('c', concurrent=1).fresh)")
    assert last.hear() is True


def test_leases_move_when_their_holder_is_killed(spawn: Spawn, ledger: SqliteLedger) -> None:
    for job_id in ("a", "b", "c"):
        ledger.write(a_job(job_id, status=Status.RUNNING))
    child = spawn("say(ledger.lease(['a', 'b'], 600)); go(); ledger.release(['b']); go()")
    assert child.hear() == ["a", "b"]
    assert child.hear() == "ready"
    assert ledger.lease(["a", "b", "c"], 600) == ["c"]
    child.go()
    assert child.hear() == "ready"
    assert ledger.lease(["a", "b"], 600) == ["b"]
    child.kill()
    assert ledger.lease(["a", "b", "c"], 600) == ["a", "b", "c"]


def test_a_lease_ends_by_itself(spawn: Spawn, ledger: SqliteLedger) -> None:
    ledger.write(a_job("a", status=Status.RUNNING))
    child = spawn("ledger.lease(['a'], -1.0); go()")
    child.hear()
    assert ledger.lease(["a"], 600) == ["a"]


def test_those_who_try_a_lock_are_not_taken_for_an_owner(spawn: Spawn, ledger: SqliteLedger, path: Path) -> None:
    ledger.claim(Intent(job=a_job("mine"), digest="d"))
    folder = path.with_name("ledger.db-owners")
    (living,) = (entry.name for entry in folder.iterdir())
    (folder / ("0" * 32)).touch(mode=0o600)  # a dead owner's file
    script = f"""
from ai302_core._sqlite.owners import Owners
owners = Owners(Path({str(folder)!r}))
say([sum(owners.alive({living!r}) for _ in range(500)), sum(owners.alive("0" * 32) for _ in range(500))])
"""
    assert race(spawn, script, 4) == [[500, 0]] * 4
    job = ledger.job("mine")
    assert job is not None
    assert job.status is Status.SUBMITTING


def test_files_of_dead_owners_are_swept(spawn: Spawn, ledger: SqliteLedger, path: Path) -> None:
    folder = path.with_name("ledger.db-owners")
    ledger.claim(Intent(job=a_job("mine"), digest="d"))
    (mine,) = folder.iterdir()
    killed = spawn("take('a'); go()")
    killed.hear()
    (dead,) = set(folder.iterdir()) - {mine}
    killed.kill()
    living = spawn("take('b'); go()")
    living.hear()
    assert mine in folder.iterdir()
    assert dead not in folder.iterdir()
    assert len(list(folder.iterdir())) == 2
    mine.unlink()  # somebody tidied up: later jobs get an owner that others can see
    ledger.claim(Intent(job=a_job("later"), digest="d"))
    assert spawn("say(ledger.job('later').status)").hear() == "submitting"


def test_an_owner_is_never_taken_from_the_path_a_row_names(tmp_path: Path) -> None:
    (tmp_path / "secret").touch()
    owners = Owners(tmp_path / "owners")
    assert not owners.alive("../secret")
    assert not owners.alive("")
    assert not owners.alive(None)


# --- a process that dies or hangs in the middle of a write

IN_A_WRITE = """
def hang(db):
    db.execute("UPDATE jobs SET status = 'failed'")
    go()
ledger._store.write(hang)
"""


def test_a_process_killed_in_a_write_blocks_nobody_and_leaves_nothing(spawn: Spawn, ledger: SqliteLedger) -> None:
    ledger.write(a_job("a", status=Status.RUNNING))
    child = spawn(IN_A_WRITE)
    child.hear()
    child.kill()
    ledger.write(a_job("b", status=Status.RUNNING))
    assert [job.status for job in ledger.jobs()] == [Status.RUNNING, Status.RUNNING]


@pytest.mark.parametrize("script", [IN_A_WRITE, """
import sqlite3
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN IMMEDIATE")
go()
"""], ids=["gen302", "another program"])  # fmt: skip
def test_waiting_for_a_hung_writer_has_an_end(
    script: str, spawn: Spawn, ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.write(a_job("a", status=Status.RUNNING))
    ledger.close()
    monkeypatch.setattr(_store, "PATIENCE", 0.05)
    child = spawn(script)
    child.hear()
    with pytest.raises(LedgerError, match=r"locked by another .* Nothing was sent\.") as caught:
        ledger.claim(Intent(job=a_job("b"), digest="d"))
    assert (caught.value.billed, caught.value.retryable) == ("no", True)
    assert [job.id for job in ledger.jobs()] == ["a"]  # readers are not held up
    child.kill()
    assert ledger.claim(Intent(job=a_job("b"), digest="d")).fresh


# --- forks

fork_only = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")


@fork_only
def test_a_forked_child_is_somebody_else(spawn: Spawn, ledger: SqliteLedger, path: Path, until: Any) -> None:
    script = """
take("before"); ledger.jobs()
child = os.fork()
if not child:
    before = ledger.job("before").status
    take("child")
    say([before, ledger.lease(["before"], 600), [job.id for job in ledger.jobs()]])
    sys.stdin.readline()
    os._exit(0)
take("after")
say(child)
sys.stdin.readline()
"""
    parent = spawn(script)
    said = [parent.hear(), parent.hear()]
    (pid,) = (entry for entry in said if isinstance(entry, int))
    (told,) = (entry for entry in said if isinstance(entry, list))
    assert told[0] == "submitting"  # the parent lives
    assert told[1] == ["before"]
    assert {"before", "child"} <= set(told[2])
    assert len(list(path.with_name("ledger.db-owners").iterdir())) == 2
    assert {job.id: job.status for job in ledger.jobs()} == dict.fromkeys(
        ("before", "child", "after"), Status.SUBMITTING
    )
    os.kill(pid, signal.SIGKILL)
    until(lambda: ledger.jobs(status=[Status.UNCONFIRMED]))  # the kernel has freed what the child held
    assert {job.id for job in ledger.jobs(status=[Status.SUBMITTING])} == {"before", "after"}
    parent.kill()
    assert {job.id for job in ledger.jobs(status=[Status.UNCONFIRMED])} == {"before", "after", "child"}


@fork_only
def test_the_child_outlives_its_parent(spawn: Spawn, ledger: SqliteLedger) -> None:
    script = """
take("parents")
if not os.fork():
    take("childs")
    say("taken")
    sys.stdin.readline()
    ledger.write(Job(**{**vars(a_job("childs")), "status": Status.QUEUED, "remote_id": "task-7"}))
    say(sorted((job.id, job.status) for job in ledger.jobs()))
    sys.stdin.readline()
else:
    os._exit(0)
"""
    child = spawn(script)
    assert child.hear() == "taken"
    child.process.wait()
    assert ledger.jobs(status=[Status.UNCONFIRMED])[0].id == "parents"
    child.go()
    assert child.hear() == [["childs", "queued"], ["parents", "unconfirmed"]]
    child.go()
    assert child.process.stdout is not None
    assert child.process.stdout.read() == ""  # it ended by itself


@fork_only
def test_forks_amid_writing_threads(spawn: Spawn, ledger: SqliteLedger) -> None:
    script = """
import threading
def work(number):
    for n in range(25):
        take(f"{number}-{n}")
threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
for thread in threads:
    thread.start()
children = []
for number in range(5):
    children.append(os.fork())
    if not children[-1]:
        take(f"child-{number}")
        os._exit(0)
codes = [os.waitpid(child, 0)[1] for child in children]
for thread in threads:
    thread.join(60)
say(codes)
go()
"""
    child = spawn(script)
    assert child.hear() == [0] * 5
    assert len(ledger.jobs(status=[Status.SUBMITTING])) == 100
    assert len(ledger.jobs(status=[Status.UNCONFIRMED])) == 5


@fork_only
def test_a_fork_of_a_ledger_in_memory_or_off_has_its_own(spawn: Spawn) -> None:
    script = """
from ai302_core._sqlite import open_ledger
for url in (":memory:", "off"):
    ledger = open_ledger(url, data_dir=Path("."))
    take("a")
    child = os.fork()
    if not child:
        say([[job.id, job.status] for job in ledger.jobs()])
        say(take("b").fresh)
        os._exit(0)
    os.waitpid(child, 0)
    say([[job.id, job.status] for job in ledger.jobs()])
"""
    child = spawn(script)
    assert child.hear() == [["a", "unconfirmed"]]
    assert child.hear() is True
    assert child.hear() == [["a", "submitting"]]
    assert child.hear() == []
    assert child.hear() is True
    assert child.hear() == [["a", "submitting"]]
