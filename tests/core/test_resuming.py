"""A resume: every open job once, in pages, whoever else looks at them; what was leased is given back."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ai302_core import _many
from ai302_core._connection import Connection
from ai302_core._flows import settling
from ai302_core._sqlite import SqliteLedger
from ai302_core.errors import JobFailed, JobUnconfirmed, LedgerError
from ai302_core.jobs import Job, Outcome, Status
from ai302_core.ledger import Intent
from ai302_core.requests import ImageRequest

FAR = "http://127.0.0.1:9"  # nobody answers there, and nobody is asked: the first look is an hour away


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    hero = {"family": "midjourney", "base_url": FAR, "poll": {"initial": 3600, "maximum": 3600}}
    config = {"default": "hero", "providers": {"hero": hero}}
    made = Connection(config_from=config, ledger=f"sqlite:///{(tmp_path / 'ledger.db').as_posix()}", api_key="sk-x")
    yield made
    made.close()


@pytest.fixture
def store(connection: Connection) -> SqliteLedger:
    assert isinstance(connection.ledger, SqliteLedger)
    return connection.ledger


def filled(store: SqliteLedger, count: int, status: Status = Status.QUEUED) -> list[str]:
    """The ids of so many jobs of that status, the oldest first."""
    now = datetime.now(UTC)
    jobs = [
        Job(id=f"261121-{number:08}", provider="hero", family="midjourney", operation="imagine", gateway="302ai",
            base_url=FAR, status=status, created_at=now + timedelta(seconds=number), remote_id=f"18{number:014}",
            request=ImageRequest(f"a lantern {number}"), route={"speed": ""}, billed="yes")
        for number in range(count)
    ]  # fmt: skip
    store.note([(job, b"") for job in jobs])
    return [job.id for job in jobs]


def leased(store: SqliteLedger) -> int:
    """How many jobs somebody follows."""
    query = "SELECT count(*) FROM jobs WHERE lease_owner IS NOT NULL"
    count: int = store._read(lambda db: db.execute(query).fetchone()[0])
    return count


def between(
    store: SqliteLedger, monkeypatch: pytest.MonkeyPatch, page: int, act: Callable[[Sequence[str]], object]
) -> list[list[str]]:
    """Pages that are read from now on, a few jobs each; `act` is called with the ids of one, just before."""
    monkeypatch.setattr(settling, "_PAGE", 3)
    pages: list[list[str]] = []
    read = store.read

    def reads(job_ids: Sequence[str]) -> list[Job]:
        pages.append(list(job_ids))
        if len(pages) == page:
            act(job_ids)
        return read(job_ids)

    monkeypatch.setattr(store, "read", reads)
    return pages


async def first(outcomes: Any, count: int) -> list[Outcome]:
    """So many outcomes, then it is closed."""
    found = [await asyncio.wait_for(anext(outcomes), 20) for _ in range(count)]
    await outcomes.aclose()
    return found


@pytest.mark.parametrize("count", [0, 2, 3, 7])
def test_each_open_job_is_handed_out_once_and_oldest_first(
    connection: Connection, store: SqliteLedger, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    ids = filled(store, count, Status.UNCONFIRMED)
    # Without a task to look at they come back at once.
    store.note([(replace(job, remote_id=None), b"") for job in store.read(ids)])
    sent = Job(id="sent", provider="hero", family="midjourney", operation="imagine", base_url=FAR,
               status=Status.SUBMITTING, created_at=datetime.now(UTC))  # fmt: skip
    store.claim(Intent(job=sent, digest="d"))
    store._write(lambda db: db.execute("UPDATE jobs SET document = json_remove(document, '$.remote_id')"))
    pages = between(store, monkeypatch, 0, print)

    async def all_of_it() -> list[Outcome]:
        return [outcome async for outcome in _many.resume(connection, None)]

    outcomes = asyncio.run(asyncio.wait_for(all_of_it(), 30))
    assert sorted(outcome.job.id for outcome in outcomes if outcome.job) == ids
    assert {type(outcome.error) for outcome in outcomes} <= {JobUnconfirmed}
    assert [job_id for page in pages for job_id in page] == ids
    assert max(map(len, pages), default=0) <= 3
    assert leased(store) == 0


def test_what_others_do_between_listing_and_reading_is_seen(
    connection: Connection, store: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = filled(store, 8)

    def settled(job_ids: Sequence[str]) -> None:
        failed, again, gone = other.read(job_ids)
        other.write(replace(failed, status=Status.FAILED, message="no more"))
        other.write(replace(again, status=Status.UNCONFIRMED))
        assert other.reopen(again.id, Status.UNCONFIRMED)
        other._write(lambda db: db.execute("DELETE FROM jobs WHERE id = ?", (gone.id,)))

    other = SqliteLedger(store._path)
    pages = between(store, monkeypatch, 2, settled)
    (outcome,) = asyncio.run(first(_many.resume(connection, None), 1))
    assert outcome.job is not None
    assert (outcome.job.id, type(outcome.error), len(pages)) == (ids[3], JobFailed, 3)
    assert leased(store) == 0
    other.close()


@pytest.mark.parametrize("where", ["lease", "read"])
def test_canceled_in_the_middle_nothing_stays_leased(
    connection: Connection, store: SqliteLedger, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    filled(store, 5)
    reached, go_on = threading.Event(), threading.Event()
    work = getattr(store, where)

    def waits(*given: Any) -> Any:
        reached.set()
        assert go_on.wait(20)
        return work(*given)

    monkeypatch.setattr(store, where, waits)

    async def canceled() -> None:
        task = asyncio.create_task(first(_many.resume(connection, None), 1))
        assert await asyncio.to_thread(reached.wait, 20)
        task.cancel()
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_later(0.05, go_on.set)
        await asyncio.wait_for(asyncio.wait({task}), 20)
        assert task.cancelled()

    asyncio.run(canceled())
    assert leased(store) == 0


SPOILED = {
    "empty": "'{}'",
    "cut": "substr(document, 1, 40)",
    "a number": "'5'",
    "no UTF-8": "CAST(x'7bff' || document AS TEXT)",
    "too deep": "replace(hex(zeroblob(100000)), '0', '[')",
    "no date": "json_set(document, '$.created_at', 'soon')",
}


@pytest.mark.parametrize("spoil", SPOILED)
def test_rows_that_another_program_spoiled_are_told_of_each_time_and_the_others_go_on(
    connection: Connection, store: SqliteLedger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, spoil: str
) -> None:
    ids = filled(store, 5, Status.INPUT_REQUIRED)
    done = replace(store.read(ids)[0], id="done", remote_id="180", status=Status.SUCCEEDED)
    lost = replace(done, id="lost", remote_id=None, status=Status.SUBMITTING)
    store.note([(done, b"")])
    store.set_destination("done", str(tmp_path))
    store.claim(Intent(job=lost, digest="d"))
    bad = ["done", "lost", ids[1], ids[4]]  # of the first page and of the last; whose owner died; without its files
    spoiling = f"UPDATE jobs SET document = {SPOILED[spoil]} WHERE id IN (?, ?, ?, ?)"
    store._write(lambda db: db.execute(spoiling, bad))
    store._write(lambda db: db.execute("UPDATE jobs SET owner = 'gone' WHERE id = 'lost'"))
    between(store, monkeypatch, 0, print)

    async def all_of_it() -> dict[str, Outcome]:
        found = [outcome async for outcome in _many.resume(connection, None)]
        return {outcome.job.id: outcome for outcome in found if outcome.job}

    for _ in range(2):
        outcomes = asyncio.run(asyncio.wait_for(all_of_it(), 60))
        assert sorted(outcomes) == sorted([*ids, *bad[:2]])
        assert sorted(name for name, entry in outcomes.items() if type(entry.error) is LedgerError) == sorted(bad)
        assert leased(store) == 0
    (told,) = [outcomes[ids[1]].error]
    assert told is not None
    assert ids[1] in str(told)
    assert "gen302 jobs adopt 1800000000000001 -p hero" in told.hint
    listed = {job.id: job for job in store.jobs()}
    assert sorted(listed) == sorted([*ids, *bad[:2]])
    assert (listed["lost"].status, listed["lost"].billed) == (Status.UNCONFIRMED, "unknown")
    assert (listed[ids[1]].remote_id, listed[ids[1]].base_url) == ("1800000000000001", FAR)
    for job_id in bad:
        with pytest.raises(LedgerError):
            store.job(job_id)


def test_of_many_few_are_whole_at_once(
    connection: Connection, store: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    count, alive = 600, [0]
    filled(store, count)
    done = threading.Event()
    read = store.read

    def reads(job_ids: Sequence[str]) -> list[Job]:
        found = read(job_ids)
        alive.append(sum(isinstance(entry, Job) for entry in gc.get_objects()))
        if len(alive) == count // settling._PAGE + 1:
            done.set()
        return found

    monkeypatch.setattr(store, "read", reads)

    async def taken_on() -> None:
        task = asyncio.create_task(first(_many.resume(connection, None), 1))
        assert await asyncio.to_thread(done.wait, 20)
        task.cancel()
        await asyncio.wait({task}, timeout=20)

    gc.collect()
    before = sum(isinstance(entry, Job) for entry in gc.get_objects())
    asyncio.run(taken_on())
    assert settling._PAGE <= max(alive) - before <= 2 * settling._PAGE + 5, "the page that is read, the one before"
    assert leased(store) == 0
