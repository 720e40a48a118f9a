"""Many jobs at once: closing ends, whatever happens in the same moment."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from ai302_core import Asset, _clock, _crowd, _loopthread
from ai302_core._bells import Bells
from ai302_core._crowd import Crowd
from ai302_core._flows.following import Agenda, Followed
from ai302_core._flows.looking import Look
from ai302_core._flows.waiting import schedule_of
from ai302_core._policies import Schedule, schedule
from ai302_core.errors import ConfigError
from ai302_core.jobs import Job, Outcome, Status
from ai302_core.requests import ImageRequest


class Waiting:
    """An agenda on which somebody is due in an hour."""

    def due(self, now: Any, most: int) -> list[Any]:
        return []

    def wait(self, now: Any) -> float:
        return 3600.0


@pytest.mark.parametrize("turns", range(6))
def test_a_wake_and_a_close_in_one_moment_end_the_following(turns: int) -> None:
    async def closed() -> bool:
        crowd = Crowd(SimpleNamespace(bells=Bells()), None)  # type: ignore[arg-type]  # nothing else is asked of it
        crowd._agenda = Waiting()  # type: ignore[assignment]
        following = asyncio.create_task(crowd._follow())
        for _ in range(3):
            await asyncio.sleep(0)
        crowd._woken.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        following.cancel()
        ended, _ = await asyncio.wait({following}, timeout=20)
        if not ended:
            following.cancel()
        return bool(ended)

    assert asyncio.run(closed())


def test_what_starts_while_all_is_closed_is_closed_too() -> None:
    async def left() -> int:
        crowd = Crowd(SimpleNamespace(bells=Bells()), None)  # type: ignore[arg-type]
        crowd._agenda = Waiting()  # type: ignore[assignment]

        async def ends() -> None:
            try:
                await asyncio.sleep(3600)
            finally:
                crowd.start(asyncio.sleep(3600))

        async def feed() -> None:
            crowd.start(ends())

        async def first() -> None:
            await anext(crowd.outcomes(feed))

        task = asyncio.create_task(first())
        while not crowd._tasks:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        return len(asyncio.all_tasks()) - 1

    assert asyncio.run(left()) == 0


def test_work_that_is_canceled_from_elsewhere_ends_the_whole() -> None:
    async def waited() -> None:
        crowd = Crowd(SimpleNamespace(bells=Bells()), None)  # type: ignore[arg-type]
        crowd._agenda = Waiting()  # type: ignore[assignment]

        async def canceled() -> None:
            raise asyncio.CancelledError  # as a family's function may

        async def feed() -> None:
            crowd.expected += 1
            crowd.start(canceled())

        async with asyncio.timeout(60):
            await anext(crowd.outcomes(feed))

    with pytest.raises(RuntimeError, match="canceled from elsewhere"):
        asyncio.run(waited())


def test_what_is_closed_before_it_began_is_no_warning() -> None:
    async def closed() -> None:
        crowd = Crowd(SimpleNamespace(bells=Bells()), None)  # type: ignore[arg-type]
        crowd.start(asyncio.sleep(0))
        (task,) = crowd._tasks
        task.cancel()
        await asyncio.wait({task})

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        asyncio.run(closed())
        gc.collect()  # a coroutine that nobody awaited would say so now
    assert told == []


def test_jobs_of_one_kind_ask_the_ledger_once_a_minute(
    account: Any, hand: Any, ledger: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fed, asked = hand(), 0

    def durations(*_: Any) -> list[float]:
        nonlocal asked
        asked += 1
        return []

    monkeypatch.setattr(ledger, "durations", durations)
    jobs = [
        Job(id=f"{n}", provider=account.name, family="acme", operation=account.family.operations[0].name,
            request=ImageRequest("a cat", model="m2" if n == 9 else None), status=Status.QUEUED, created_at=fed.now)
        for n in range(10)
    ]  # fmt: skip
    plans = [fed.run(schedule_of(account, job, fed.now, watched=False)) for job in jobs]
    assert (asked, plans[0] is plans[8]) == (2, True)
    assert fed.run(schedule_of(account, jobs[0], fed.now, watched=True)).watched, "who watches has a plan of his own"
    fed.now += timedelta(seconds=61)
    fed.run(schedule_of(account, jobs[0], fed.now, watched=False))
    assert asked == 4


class Turns:
    """Counts the turns of the running loop."""

    def __init__(self) -> None:
        self.count, self._loop = 0, asyncio.get_running_loop()
        self._turned()

    def _turned(self) -> None:
        self.count += 1
        self._loop.call_soon(self._turned)


def test_what_comes_in_one_moment_is_done_in_slices_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_clock, "SLICE", -1.0)  # over at once
    done: list[tuple[int, int]] = []

    async def main() -> None:
        turns = Turns()

        async def work(number: int) -> None:
            await _clock.turn()
            done.append((turns.count, number))

        tasks = [asyncio.create_task(work(number)) for number in range(20)]
        await asyncio.sleep(0)
        tasks[7].cancel()
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 30)

    asyncio.run(main())
    assert [number for _, number in done] == [number for number in range(20) if number != 7]
    assert len({turn for turn, _ in done}) == len(done), "no two in one turn of the loop"
    asyncio.run(main())  # another loop has slices of its own
    assert len(done) == 38


def followed(agenda: Agenda, plan: Schedule, now: datetime, names: Iterable[str], together: int = 1) -> list[Followed]:
    """Jobs that are followed from now on, `together` in one look at most."""
    operation = SimpleNamespace(many=SimpleNamespace(size=together) if together > 1 else None)
    account: Any = SimpleNamespace(
        name="p",
        gateway=SimpleNamespace(lacks=()),
        operation=lambda _: operation,
        timeouts=SimpleNamespace(wait=1800.0),
    )
    jobs = [
        Job(id=name, provider="p", family="f", operation="o", gateway="g", base_url="u", status=Status.QUEUED,
            created_at=now)
        for name in names
    ]  # fmt: skip
    return [Followed(agenda.kind(account, job, plan), job, now) for job in jobs]


@pytest.mark.parametrize(("together", "most"), [(1, 6), (30, 60)])
def test_what_began_together_comes_apart_unless_one_look_sees_it_all(together: int, most: int) -> None:
    start = now = datetime.now(UTC)
    agenda, seen = Agenda(), Counter[int]()
    plan = schedule((0.0, 60.0), (), 1.0, 1.0, watched=False)
    for entry in followed(agenda, plan, now, map(str, range(60)), together):
        agenda.add(entry, now)
    looks, last = 0, {str(number): now for number in range(60)}
    while now < start + timedelta(seconds=20):
        now += timedelta(seconds=0.01)
        for batch in list(agenda.due(now, 64)):
            looks += 1
            for entry in batch:
                assert now - last[entry.id] <= timedelta(seconds=1.011), "no wait is longer than poll.maximum"
                last[entry.id] = now
            seen[int((now - start) / timedelta(seconds=0.01))] += len(batch)
            assert not any(agenda.take(batch, [Look(job=entry.job()) for entry in batch], now))
    late = [count for moment, count in seen.items() if moment > 1000]
    assert max(late) <= most
    assert 20 * 60 <= looks * together <= 23 * 60, "varied, and hardly more of them"


@pytest.mark.parametrize(
    "history",
    [[30.0] * 40, [30.0] * 9 + [600.0], [30.0] * 200 + [45.0, 60.0, 900.0], [28.0 + 0.01 * n for n in range(200)]],
    ids=["one", "ten", "tail", "narrow"],
)
@pytest.mark.parametrize("varied", [0.8, 1.0, 1.2])
def test_jobs_that_take_as_long_as_each_other_are_seen_soon_after(history: list[float], varied: float) -> None:
    plan = schedule((20.0, 60.0), sorted(history), 2.0, 60.0, watched=False)
    age, looks = 0.0, 0
    while age < 30.0:
        age += varied * plan.wait(age, looks > 0)
        looks += 1
    assert (age < 40.0, looks < 8) == (True, True), "it is done after thirty seconds"


def test_what_began_apart_comes_together_where_one_look_sees_many() -> None:
    start = now = datetime.now(UTC)
    agenda, looks = Agenda(), 0
    coming = followed(agenda, schedule((0.0, 60.0), (), 1.0, 1.0, watched=False), now, map(str, range(60)), 50)
    while now < start + timedelta(seconds=30):
        now += timedelta(seconds=0.01)
        if coming and (now - start) > timedelta(seconds=2) * (60 - len(coming)) / 60:
            agenda.add(coming.pop(), now)
        for batch in list(agenda.due(now, 64)):
            looks += 1
            assert not any(agenda.take(batch, [Look(job=entry.job()) for entry in batch], now))
    assert looks < 30 * 5, "the waits of lists vary, so they meet; unvaried there are twice as many"


def test_who_is_called_is_due_at_once_but_in_trouble() -> None:
    now, agenda = datetime.now(UTC), Agenda()
    plan = schedule((60.0, 120.0), (), 2.0, 60.0, watched=False)
    one, two, three = followed(agenda, plan, now, ("one", "two", "three"))
    two.failures = 1
    for entry in (one, two, three):
        agenda.add(entry, now)

    def due() -> list[str]:
        return [entry.id for batch in agenda.due(now, 64) for entry in batch]

    assert due() == []
    agenda.call("one", now)
    agenda.call("one", now)
    assert due() == ["one"]  # once
    agenda.call("one", now)  # while it is looked at: what is under way may have seen the state before
    assert due() == []
    agenda.add(one, now)
    assert due() == ["one"]
    one.failures = 1
    agenda.call("one", now)
    agenda.add(one, now)
    agenda.call("one", now)
    agenda.call("two", now)
    agenda.call("nobody", now)
    assert due() == []
    now += timedelta(seconds=60)
    assert sorted(due()) == ["one", "three", "two"]
    assert agenda.follows("two")
    agenda.drop("two")
    assert not agenda.follows("two")


def test_a_job_at_rest_is_the_same_job(account: Any) -> None:
    first = Job(
        id="one", provider=account.name, family="acme", operation="image", status=Status.QUEUED, route={"a": ""},
        created_at=datetime.now(UTC), request=ImageRequest("a cat", extra={"n": 1}), raw={"data": 1},
    )  # fmt: skip
    odd = ImageRequest("a cat", extra={"n": True})  # equal, and another request all the same
    told = {"data": [True, {"é": None}], "big": 2**70}
    agenda, plan = Agenda(), schedule((60.0, 120.0), (), 2.0, 60.0, watched=False)
    other = replace(first, id="two", request=odd, progress=1.0, raw=told, assets=(Asset(kind="image", url="u"),))
    for job in (first, other, replace(first, status=Status.RUNNING, route={"a": "b"}, warnings=())):
        kind = agenda.kind(account, first, plan)
        before = Followed(kind, job, first.created_at)
        before.failures, before.missing_since = 3, first.created_at
        entry = agenda.risen(before.lying())
        assert (entry.kind, entry.id, entry.since) == (kind, job.id, before.since)
        assert (entry.failures, entry.missing_since) == (3, first.created_at)
        assert entry.job() == job
        assert repr(entry.job().request) == repr(job.request)
        assert (entry.job().raw, entry.route, entry.over) == (job.raw, job.route, False)


def test_of_jobs_at_rest_the_collector_sees_next_to_nothing(account: Any) -> None:
    def told(number: int) -> Job:
        raw = {"data": {"buttons": [{"n": number}]}}
        return Job(id=f"{number}", provider=account.name, family="acme", operation="image", status=Status.QUEUED,
                   created_at=now, request=ImageRequest(f"cat {number}"), raw=raw)  # fmt: skip

    now = datetime.now(UTC)
    plan = schedule((60.0, 120.0), (), 2.0, 60.0, watched=False)
    agenda = Agenda()
    gc.collect()
    before = len(gc.get_objects())
    for number in range(1000):
        job = told(number)
        agenda.add(Followed(agenda.kind(account, job, plan), job, now), now)
    gc.collect()
    assert len(gc.get_objects()) - before < 100, "nothing of each"
    assert len(list(agenda.due(now + timedelta(seconds=100), 1000))) > 300


def test_who_has_begun_goes_on_before_another_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_clock, "SLICE", -1.0)  # over at once
    done: list[tuple[int, str]] = []

    async def main() -> None:
        turns = Turns()

        async def work(name: str) -> None:
            await _clock.turn()
            for _ in range(10):
                await _clock.turn(begun=True)
                done.append((turns.count, name))

        await asyncio.wait_for(asyncio.gather(*map(work, "abcd")), 30)

    asyncio.run(main())
    assert "".join(name for _, name in done) == "a" * 10 + "b" * 10 + "c" * 10 + "d" * 10
    assert len({turn for turn, _ in done}) == 40, "the loop turned before each piece"


def test_nothing_more_is_begun_while_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who buys without end and never reads fills no memory; who reads on gets every one, in the same order."""
    monkeypatch.setattr(_crowd, "UNREAD", 5)

    async def read() -> tuple[int, list[str | None]]:
        crowd = Crowd(SimpleNamespace(bells=Bells()), None)  # type: ignore[arg-type]
        crowd._agenda = Waiting()  # type: ignore[assignment]

        async def feed() -> None:
            for number in range(30):
                await crowd.room()
                crowd.expected += 1
                crowd.failed(Outcome(key=str(number)), ConfigError("no"))

        outcomes = crowd.outcomes(feed)
        keys = [(await anext(outcomes)).key]
        for _ in range(100):  # turns: whoever could go on has gone on
            await asyncio.sleep(0)
        begun = crowd.expected
        keys += [outcome.key async for outcome in outcomes]
        return begun, keys

    assert asyncio.run(read()) == (6, [str(number) for number in range(30)])


def test_a_sync_caller_who_stops_reading_stops_the_buying(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_loopthread, "_UNREAD", 5)
    ended = threading.Event()

    async def make() -> AsyncIterator[Outcome]:
        for number in range(30):
            yield Outcome(key=str(number))
        ended.set()

    async def close() -> None:
        """Nothing is open."""

    outcomes = _loopthread.in_thread(make, close)
    keys = [next(outcomes).key]
    assert not ended.wait(0.5)
    keys += [outcome.key for outcome in outcomes]
    assert keys == [str(number) for number in range(30)]
    assert ended.is_set()
