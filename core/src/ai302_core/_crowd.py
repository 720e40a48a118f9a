"""Many jobs on one event loop: followed by one agenda, saved, handed out as they settle."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from . import _clock
from ._accounts import Account
from ._connection import Connection
from ._flows import acting, looking, receipts, settling, waiting
from ._flows import outcomes as _outcomes
from ._flows.following import Agenda, Batch, Followed, Jobs, Lying
from ._flows.waiting import OnUpdate
from ._turns import Desk
from .errors import Ai302Error
from .jobs import Job, Outcome, Status
from .ledger import unreadable

IN_FLIGHT = 64
"""Looks and downloads one process has on the wire at once."""

UNREAD = 1000
"""Outcomes that wait for their caller; while there are so many, nothing more is begun."""

READING = 4
"""Answers that are read and written down at once, as many as there are threads for the disk."""


class Crowd:
    """The jobs one `run_many` or `resume` follows, on one event loop."""

    def __init__(
        self,
        connection: Connection,
        save_to: str | None,
        *,
        roles: Sequence[str] | None = None,
        sidecar: bool = True,
        on_update: OnUpdate | None = None,
    ) -> None:
        self._connection = connection
        self._save_to = save_to
        self._roles = roles
        self._sidecar = sidecar
        self._on_update = on_update
        self._agenda = Agenda()
        self._looks = 0
        self._settled: deque[Lying] = deque()
        self._settling = 0
        self._done: deque[Outcome] = deque()
        self._news = asyncio.Event()
        self._taken = asyncio.Event()
        self._woken = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(IN_FLIGHT)
        self._desks = asyncio.Semaphore(READING)
        self._crash: BaseException | None = None
        self.expected = 0

    async def outcomes(self, feed: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator[Outcome]:
        """Every outcome, as it comes, while `feed` brings the jobs."""
        feeding = asyncio.create_task(feed())
        following = asyncio.create_task(self._follow())
        for task in (feeding, following):
            task.add_done_callback(lambda _: self._news.set())
        given = 0
        try:
            while True:
                if following.done():
                    following.result()
                if self._crash is not None:
                    raise self._crash
                if feeding.done() and given == self.expected:
                    feeding.result()
                    return
                if self._done:
                    given += 1
                    self._taken.set()
                    yield self._done.popleft()
                    await _clock.turn(begun=True)
                else:
                    self._news.clear()
                    await self._news.wait()
        finally:
            ours = (feeding, following)
            while left := [task for task in (*ours, *self._tasks) if not task.done()]:  # one that ends may start others
                for task in left:
                    task.cancel()
                await asyncio.gather(*left, return_exceptions=True)

    async def room(self) -> None:
        """Wait while too many outcomes are unread. What is under way goes on: no paid job waits for its caller."""
        while len(self._done) >= UNREAD:
            self._taken.clear()
            await self._taken.wait()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run work beside the others."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Work that fails with anything but an error of ours is a bug; it must end the whole, not hang it."""
        self._tasks.discard(task)
        crash = RuntimeError("The work on a job was canceled from elsewhere.") if task.cancelled() else task.exception()
        if crash is not None:
            self._crash = crash
            self._news.set()

    def failed(self, outcome: Outcome, error: Ai302Error) -> None:
        """Hand out an outcome that is an error."""
        self._hand_out(replace(outcome, error=error))

    def _hand_out(self, outcome: Outcome) -> None:
        if outcome.error is not None:
            outcome.error.job = outcome.error.job or outcome.job
        self._done.append(outcome)
        self._news.set()

    async def take_on(self, account: Account, job: Job, outcome: Outcome | None) -> None:
        """Follow a job, or finish it soon when there is nothing to follow.

        outcome  what its caller gave: a key, a request of his own; None: the job says it
        """
        if (spoiled := unreadable(job)) is not None:
            return self.failed(_of(job, outcome), spoiled)
        self._tell(job)
        driver = self._connection.async_driver(account)
        try:
            if job.status is Status.SUBMITTING or not receipts.written(job):
                job = await driver.run(settling.ready(account, job))
            now = _clock.now()
            plan = await driver.run(waiting.schedule_of(account, job, now, watched=False))
            entry = Followed(self._agenda.kind(account, job, plan), job, now, outcome)
        except Ai302Error as problem:
            return self.failed(_of(job, outcome), problem)
        if entry.over:
            return self._finish_soon(entry)
        self._agenda.add(entry, now)
        if self._connection.bells.missed(job.id):
            self._agenda.call(job.id, now)
        self._woken.set()
        return None

    async def _follow(self) -> None:
        with self._connection.bells.heard(partial(self._hear, asyncio.get_running_loop())):
            while True:
                now = _clock.now()
                free = IN_FLIGHT - self._looks
                for batch in self._agenda.due(now, free):
                    self._looks += 1
                    self.start(self._look(batch))
                self._woken.clear()
                await self._rest(self._agenda.wait(now) if free > 0 else None)

    def _hear(self, loop: asyncio.AbstractEventLoop, job_id: str) -> bool:
        followed = self._agenda.follows(job_id)
        if followed:
            with suppress(RuntimeError):  # the loop ended a moment ago
                loop.call_soon_threadsafe(self._call, job_id)
        return followed

    def _call(self, job_id: str) -> None:
        self._agenda.call(job_id, _clock.now())
        self._woken.set()

    async def _rest(self, seconds: float | None) -> None:
        """Until woken, or so many seconds. `wait_for` of Python 3.11 forgets a cancellation that meets the wake."""
        alarm = None if seconds is None else asyncio.get_running_loop().call_later(seconds, self._woken.set)
        try:
            await self._woken.wait()
        finally:
            if alarm is not None:
                alarm.cancel()

    async def _look(self, batch: Batch) -> None:
        account = batch[0].kind.account
        desk = Desk(self._desks)
        await _clock.turn()
        try:
            driver = self._connection.async_driver(account)
            looks = await driver.run(looking.look_together(account, Jobs(batch)), desk)
            finished: Batch = []
            for entry in self._agenda.take(batch, looks, _clock.now()):
                finished += [] if entry is None else [entry]
                await _clock.turn(begun=True)  # a list is long
        except Ai302Error as problem:
            finished = batch
            for entry in batch:
                entry.error = problem
        finally:
            desk.rise()
        self._looks -= 1
        self._woken.set()
        if self._on_update is not None:
            for entry in batch:
                self._tell(entry.job())
        for entry in finished:
            self._agenda.drop(entry.id)
            if entry.error is not None:
                self.failed(_of(entry.job(), entry.outcome), entry.error)
                continue
            self._finish_soon(entry)

    def _finish_soon(self, entry: Followed) -> None:
        self._settled.append(entry.lying())
        if self._settling < IN_FLIGHT:
            self._settling += 1
            self.start(self._settle_all())

    def _tell(self, job: Job) -> None:
        if self._on_update is not None:
            self._on_update(job)

    async def _settle_all(self) -> None:
        """One of a few that finish what settled: of ten thousand that settle at once the others stay at rest."""
        try:
            while self._settled:
                await self._settle(self._agenda.risen(self._settled.popleft()))
        finally:
            self._settling -= 1

    async def _settle(self, entry: Followed) -> None:
        account, job, outcome = entry.kind.account, entry.job(), entry.outcome
        driver = self._connection.async_driver(account)
        try:
            if not entry.looked:  # it came so
                job = await driver.run(settling.ready(account, job))
            if job.status.followed:
                return await self.take_on(account, job, outcome)
            if job.status is Status.INPUT_REQUIRED and acting.foreseen(job):
                answered = await driver.pay(lambda: acting.answer(account, job))
                return await self.take_on(account, answered, outcome)
            await self._finish(account, job, outcome)
        except Ai302Error as problem:
            self.failed(_of(job, outcome), problem)
        return None

    async def _finish(self, account: Account, job: Job, given: Outcome | None) -> None:
        outcome = _of(job, given)
        await _clock.turn()  # many settle in one look
        try:
            result = _outcomes.result(account, job)
        except Ai302Error as problem:
            return self.failed(outcome, problem)
        driver = self._connection.async_driver(account)
        files: tuple[Path, ...] = ()
        error: Ai302Error | None = None
        wanted = self._save_to or await driver.run(settling.destination(job))
        if wanted is not None:
            try:
                async with self._slots:
                    saved, notices = await driver.run(
                        settling.save(job, self._save_to, roles=self._roles, sidecar=self._sidecar)
                    )
                files, job = tuple(saved), replace(job, warnings=(*job.warnings, *notices))
            except Ai302Error as problem:
                error = problem
        result = replace(result, job=job, files=files)
        self._hand_out(replace(outcome, job=job, result=result, files=files, error=error))
        return None


def _of(job: Job, outcome: Outcome | None) -> Outcome:
    return Outcome(key=job.key, request=job.request, job=job) if outcome is None else replace(outcome, job=job)
