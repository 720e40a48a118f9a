"""Who is looked at when, many jobs at once: one heap of due jobs, no task and no generator a job. No I/O."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import overload

from ai302_core._accounts import Account
from ai302_core._frozen import changed
from ai302_core._policies import SPREAD, Schedule
from ai302_core.errors import Ai302Error
from ai302_core.family import Operation
from ai302_core.jobs import Job, Outcome

from . import outcomes
from .looking import Look
from .resting import rested, woken
from .waiting import Watch

_GOLDEN = (math.sqrt(5) - 1) / 2
"""Steps of this part of a whole fill it evenly and never come back to where one was."""


class Followed(Watch):
    """One job on the agenda, at rest between looks, and what must be remembered of it.

    like     another job of its kind, without a reply: what both say is kept once
    outcome  what its caller gave, where there was a caller
    place    which of its places on the agenda counts; 0: none, it is being looked at
    called   somebody says that there is something to see, so the next look is due at once
    """

    __slots__ = (
        *("_apart", "_open", "account", "called", "created_at", "error", "id", "like", "limit", "operation", "outcome"),
        *("place", "route", "schedule", "since"),
    )

    def __init__(
        self,
        account: Account,
        operation: Operation,
        job: Job,
        schedule: Schedule,
        limit: float,
        since: datetime,
        *,
        like: Job | None = None,
        outcome: Outcome | None = None,
    ) -> None:
        super().__init__()
        self.account, self.operation, self.schedule, self.limit = account, operation, schedule, limit
        self.since, self.outcome, self.like = since, outcome, like or changed(job, raw=None)
        self.id, self.created_at = job.id, job.created_at
        self.error: Ai302Error | None = None
        self.place, self.called = 0, False
        self.rest(job)

    def rest(self, job: Job) -> None:
        """Keep the job as it is now."""
        self.route = self.like.route if job.route == self.like.route else job.route
        self._open = job.status.followed
        self._apart = rested(job, self.like)

    def job(self) -> Job:
        """The job, made anew at each call."""
        return woken(self._apart, self.like)

    @property
    def over(self) -> bool:
        """Whether following it further tells nothing new."""
        return self.error is not None or not self._open


Batch = list[Followed]


class Jobs(Sequence[Job]):
    """The jobs of a batch, each woken when somebody asks for it: those of lists that are under way stay at rest."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    def __len__(self) -> int:
        return len(self._batch)

    @overload
    def __getitem__(self, place: int) -> Job: ...
    @overload
    def __getitem__(self, place: slice) -> list[Job]: ...
    def __getitem__(self, place: int | slice) -> Job | list[Job]:
        if isinstance(place, slice):
            return [entry.job() for entry in self._batch[place]]
        return self._batch[place].job()


class Agenda:
    """Jobs by the moment they are due."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, int]] = []  # of what the collector need not look at
        self._waiting: dict[int, Followed] = {}
        self._count = 0
        self._place = 0.0
        self._likes: dict[tuple[str, str], Job] = {}

    def __len__(self) -> int:
        return len(self._heap)

    def like(self, account: Account, job: Job) -> Job:
        """The first job of this kind, without its reply."""
        return self._likes.setdefault((account.name, job.operation), changed(job, raw=None))

    def add(self, entry: Followed, now: datetime) -> None:
        """Plan the next look at a job."""
        self._count += 1
        last = max(now, entry.since + timedelta(seconds=entry.limit))
        wait = self._apart(entry, entry.wait(entry.schedule, entry.created_at, now))
        due = min(last, now + timedelta(seconds=wait))
        if entry.called and not entry.failures:
            due = now
        self._waiting.pop(entry.place, None)
        entry.place, entry.called = self._count, False
        self._waiting[entry.place] = entry
        heapq.heappush(self._heap, (due, self._count))

    def _apart(self, entry: Followed, wait: float) -> float:
        """The wait, varied by SPREAD: what began together, or was late together once, would come together for ever."""
        looked, schedule = entry.looked, entry.schedule
        if entry.failures or not (looked or _size(entry) == 1):  # a list is to be full; trouble has its own wait
            return wait
        if not looked:
            self._move()
        varied = wait + (2 * self._place - 1) * SPREAD * min(wait, schedule.interval)
        return min(varied, max(wait, schedule.maximum) if looked else wait)

    def _move(self) -> None:
        self._place = (self._place + _GOLDEN) % 1.0

    def call(self, entry: Followed, now: datetime) -> None:
        """Let a job be looked at now, or once more when the look under way is back."""
        if entry.place and entry.failures:  # a service in trouble is left alone for as long as it needs
            return
        entry.called = True
        if entry.place:
            self.add(entry, now)

    def wait(self, now: datetime) -> float | None:
        """Seconds until somebody is due; None when nobody is left."""
        return max(0.0, (self._heap[0][0] - now).total_seconds()) if self._heap else None

    def due(self, now: datetime, most: int) -> Iterator[Batch]:
        """At most `most` looks that are due: one job each, or a batch filled with what is due within a tenth."""
        while self._heap and most > 0 and self._heap[0][0] <= now:
            first = self._waiting.get(heapq.heappop(self._heap)[1])
            if first is None:
                continue
            batch = [first]
            size = _size(first)
            soon = now + timedelta(seconds=first.schedule.interval / 10)
            aside: list[tuple[datetime, int]] = []
            while self._heap and len(batch) < size and self._heap[0][0] <= soon and len(aside) < size:
                item = heapq.heappop(self._heap)
                entry = self._waiting.get(item[1])
                if entry is not None and _together(first, entry):
                    batch.append(entry)
                elif entry is not None:
                    aside.append(item)
            for item in aside:
                heapq.heappush(self._heap, item)
            for entry in batch:
                del self._waiting[entry.place]
                entry.place = 0
            most -= 1
            yield batch

    def take(self, batch: Batch, looks: list[Look], now: datetime) -> Batch:
        """Note what was seen; those that are over come back, the others are planned again."""
        finished: Batch = []
        self._move()  # once: what came as one list is one list again
        for entry, seen in zip(batch, looks, strict=True):
            entry.rest(seen.job)
            try:
                entry.take(seen, now)
            except Ai302Error as problem:
                entry.error = problem
            if not entry.over and (now - entry.since).total_seconds() >= entry.limit:
                entry.error = outcomes.overdue(entry.account, seen.job, entry.limit)
            if entry.over:
                finished.append(entry)
            else:
                self.add(entry, now)
        return finished


def _size(entry: Followed) -> int:
    many = entry.operation.many
    return many.size if many is not None and "many" not in entry.account.gateway.lacks else 1


def _together(one: Followed, other: Followed) -> bool:
    return (
        one.account is other.account
        and one.operation.many == other.operation.many
        and (one.route is other.route or dict(one.route) == dict(other.route))
    )
