"""Many jobs in one process: submitted lazily, or taken up again, and followed together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, TypeVar

from . import _clock, _http
from ._connection import Connection
from ._crowd import Crowd
from ._flows import routing, settling
from ._flows.submitting import Order
from ._flows.waiting import OnUpdate
from ._turns import AHEAD, PAID_AT_ONCE
from .errors import Ai302Error
from .jobs import Job, Outcome, Status
from .requests import Request

_ANSWERED = 1.0
"""Seconds in which a service usually answers. Until then only an answer lets more begin than are kept ready: of many
that begin at once a kill would leave most unsent, and somebody has to find out which."""

W = TypeVar("W")
R = TypeVar("R")


async def run_many(
    connection: Connection,
    requests: Iterable[Request] | Mapping[str, Request],
    *,
    again: bool,
    lenient: bool,
    save_to: str | None,
    webhook: str | None = None,
) -> AsyncGenerator[Outcome, None]:
    """Outcomes of many requests as they settle; requests are pulled only as they can be sent, and outcomes are read."""
    pairs = requests.items() if isinstance(requests, Mapping) else ((None, request) for request in requests)
    order = Order(again=again, lenient=lenient, save_to=save_to, webhook=webhook)
    wanted = (Wanted(request, replace(order, key=key)) for key, request in pairs)
    async for outcome in run_wanted(connection, wanted, Crowd(connection, save_to)):
        yield outcome


@dataclass(frozen=True)
class Wanted:
    """One of many: a request and how to buy it; `job` when it was bought already, then nothing is sent."""

    request: Request
    order: Order
    job: Job | None = None


async def run_wanted(connection: Connection, wanted: Iterable[Wanted], crowd: Crowd) -> AsyncGenerator[Outcome, None]:
    """Outcomes of many as they settle; the next is pulled only when it can be sent."""
    gate, later = asyncio.Semaphore(AHEAD), PAID_AT_ONCE
    members_of = _FirstInThread(connection.members)

    async def one(entry: Wanted) -> None:
        outcome = Outcome(key=entry.order.key, request=entry.request)
        # Many queue up behind limits of their own: that is no reason to fail.
        order = replace(entry.order, place_timeout=float("inf"))
        try:
            if entry.job is not None:
                job = entry.job
            else:
                members = await members_of(type(entry.request), entry.request)
                driver = connection.async_driver(routing.leader(members))
                job = await driver.pay(partial(routing.submit, members, entry.request, order))
            owner = connection.owning(job)
        except Ai302Error as problem:
            return crowd.failed(replace(outcome, job=problem.job or entry.job), problem)
        finally:
            gate.release()
            one_more()
        return await crowd.take_on(owner, job, outcome)

    def one_more() -> None:
        nonlocal later
        if later:
            later -= 1
            gate.release()

    async def all_of_them() -> None:
        await _http.sleep_async(_ANSWERED)
        while later:
            one_more()

    async def feed() -> None:
        entries = iter(wanted)
        crowd.start(all_of_them())
        while True:
            await gate.acquire()
            await crowd.room()
            entry = next(entries, None)
            if entry is None:
                return
            crowd.expected += 1
            crowd.start(one(entry))

    async for outcome in crowd.outcomes(feed):
        yield outcome


class _FirstInThread(Generic[W, R]):
    """What imports a family when it is asked for one of its kind the first time: that once in a thread."""

    def __init__(self, ask: Callable[[W], R]) -> None:
        self._ask = ask
        self._known: set[object] = set()

    async def __call__(self, kind: object, what: W) -> R:
        if kind in self._known:
            return self._ask(what)
        try:
            return await asyncio.to_thread(self._ask, what)
        finally:
            self._known.add(kind)


async def follow(connection: Connection, pages: Iterable[Sequence[Job]], crowd: Crowd) -> AsyncGenerator[Outcome, None]:
    """Outcomes of jobs that were bought already. A page is asked for, in a thread, when the one before is taken on."""
    owner_of = _FirstInThread(connection.owning)

    async def one(job: Job) -> None:
        try:
            account = await owner_of(job.provider, job)
        except Ai302Error as problem:
            return crowd.failed(Outcome(key=job.key, request=job.request, job=job), problem)
        return await crowd.take_on(account, job, None)

    async def feed() -> None:
        ahead = iter(pages)
        while (page := await asyncio.to_thread(next, ahead, None)) is not None:
            for job in page:
                await crowd.room()
                crowd.expected += 1
                await _clock.turn()  # ten thousand in one go would hold the loop for seconds
                if job.status is Status.SUBMITTING:
                    crowd.start(one(job))
                else:
                    await one(job)

    async for outcome in crowd.outcomes(feed):
        yield outcome


async def resume(
    connection: Connection, to: str | None, on_update: OnUpdate | None = None
) -> AsyncGenerator[Outcome, None]:
    """Outcomes of every open job of the ledger, and of settled ones whose files are missing."""
    ledger = connection.ledger
    # No task: whoever cancels all of them would not learn what was leased.
    leased = asyncio.get_running_loop().run_in_executor(None, settling.unfinished, ledger)
    try:
        pages = settling.pages(ledger, await asyncio.shield(leased))
        async for outcome in follow(connection, pages, Crowd(connection, to, on_update=on_update)):
            yield outcome
    finally:
        await asyncio.to_thread(ledger.release, await leased)
