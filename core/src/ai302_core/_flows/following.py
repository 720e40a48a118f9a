"""Who is looked at when, many jobs at once: one heap of due jobs, no task and no generator a job. No I/O."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, TypeAlias, overload

from ai302_core._accounts import Account
from ai302_core._frozen import changed
from ai302_core._policies import SPREAD, Schedule
from ai302_core.errors import Ai302Error
from ai302_core.family import Operation
from ai302_core.jobs import Job, Outcome

from . import outcomes
from .looking import Look, operation_of
from .resting import rested, woken
from .waiting import Watch, patience

_GOLDEN = (math.sqrt(5) - 1) / 2
"""Steps of this part of a whole fill it evenly and never come back to where one was."""


class Kind:
    """What jobs of one kind have in common: whose they are, when they are looked at and until when, and what they say.

    limit  seconds a job is followed
    like   one of them, without its reply: what another says, too, is kept once
    """

    __slots__ = ("account", "like", "limit", "number", "operation", "schedule")

    def __init__(self, account: Account, operation: Operation, schedule: Schedule, limit: float, like: Job) -> None:
        self.account, self.operation, self.schedule, self.limit = account, operation, schedule, limit
        self.like = changed(like, raw=None)
        self.number = 0

    @property
    def together(self) -> int:
        """How many of them one look sees."""
        many = self.operation.many
        return many.size if many is not None and "many" not in self.account.gateway.lacks else 1


Lying: TypeAlias = tuple[Any, ...]
"""One job and what must be remembered of it, as a tuple of what the collector of cycles need not look at."""


class Followed(Watch):
    """One job that is followed, and what must be remembered of it.

    since    when that began
    outcome  what its caller gave, where there was a caller
    """

    __slots__ = ("_apart", "_open", "_route", "created_at", "error", "id", "kind", "outcome", "since")
    _KEPT = ("id", "created_at", "since", "outcome", "_apart", "_route", "_open")
    _SEEN = ("looked", "failures", "after", "missing_since")

    def __init__(self, kind: Kind, job: Job, since: datetime, outcome: Outcome | None = None) -> None:
        super().__init__()
        self.kind, self.since, self.outcome = kind, since, outcome
        self.id, self.created_at = job.id, job.created_at
        self.error: Ai302Error | None = None
        self.rest(job)

    def rest(self, job: Job) -> None:
        """Keep the job as it is now."""
        like = self.kind.like
        self._route = None if job.route == like.route else job.route
        self._open = job.status.followed
        self._apart = rested(job, like)

    def job(self) -> Job:
        """The job, made anew at each call."""
        return woken(self._apart, self.kind.like)

    @property
    def route(self) -> Mapping[str, str]:
        """The job's."""
        return self.kind.like.route if self._route is None else self._route

    @property
    def over(self) -> bool:
        """Whether following it further tells nothing new."""
        return self.error is not None or not self._open

    def lying(self) -> Lying:
        """All of it but an error, until `risen`."""
        return self.kind.number, *_members(self)

    @classmethod
    def risen(cls, kind: Kind, lying: Lying) -> Followed:
        """The same again."""
        entry = cls.__new__(cls)
        entry.kind, entry.error = kind, None
        for name, value in zip(cls._KEPT + cls._SEEN, lying[1:], strict=True):
            setattr(entry, name, value)
        return entry


_members = attrgetter(*Followed._KEPT, *Followed._SEEN)
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
    """Jobs by the moment they are due. Between two looks the collector of cycles sees nothing of them."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, int]] = []
        self._waiting: dict[int, Lying] = {}
        self._places: dict[str, int] = {}  # of each job followed, which counts; 0: it is being looked at
        self._called: set[str] = set()
        self._count = 0
        self._place = 0.0
        self._kinds: list[Kind] = []
        self._known: dict[tuple[object, ...], Kind] = {}

    def __len__(self) -> int:
        return len(self._heap)

    def kind(self, account: Account, job: Job, schedule: Schedule) -> Kind:
        """The kind of a job, all of which are looked at by this schedule from now on. Raises PluginError."""
        name = account.name, job.operation, job.model, *job.route.items()
        kind = self._known.get(name)
        if kind is None:
            kind = Kind(account, operation_of(account, job), schedule, patience(account, job), job)
            kind.number = len(self._kinds)
            self._kinds.append(kind)
            self._known[name] = kind
        kind.schedule = schedule
        return kind

    def risen(self, lying: Lying) -> Followed:
        """A job of this agenda that lay."""
        return Followed.risen(self._kinds[lying[0]], lying)

    def add(self, entry: Followed, now: datetime, place: float | None = None) -> None:
        """Plan the next look at a job, at its list's `place` between early and late."""
        self._count += 1
        last = max(now, entry.since + timedelta(seconds=entry.kind.limit))
        wait = self._apart(entry, entry.wait(entry.kind.schedule, entry.created_at, now), place)
        due = min(last, now + timedelta(seconds=wait))
        if entry.id in self._called:
            self._called.discard(entry.id)
            due = due if entry.failures else now
        self._places[entry.id] = self._count
        self._waiting[self._count] = entry.lying()
        heapq.heappush(self._heap, (due, self._count))

    def drop(self, job_id: str) -> None:
        """Follow a job no more that is not waiting."""
        self._places.pop(job_id, None)
        self._called.discard(job_id)

    def _apart(self, entry: Followed, wait: float, place: float | None) -> float:
        """The wait, varied by SPREAD: what began together, or was late together once, would come together for ever."""
        looked, schedule = entry.looked, entry.kind.schedule
        if entry.failures or not (looked or entry.kind.together == 1):  # a list is to be full; trouble has its own wait
            return wait
        varied = wait + (2 * (self._next() if place is None else place) - 1) * SPREAD * min(wait, schedule.interval)
        return min(varied, max(wait, schedule.maximum) if looked else wait)

    def _next(self) -> float:
        self._place = (self._place + _GOLDEN) % 1.0
        return self._place

    def follows(self, job_id: str) -> bool:
        """Whether a job is followed, from any thread."""
        return job_id in self._places

    def call(self, job_id: str, now: datetime) -> None:
        """Somebody says that there is something to see: look now, or once more when the look under way is back."""
        place = self._places.get(job_id)
        lying = self._waiting.get(place or 0)
        if place is None:
            return
        if lying is None:
            self._called.add(job_id)
            return
        entry = self.risen(lying)
        if not entry.failures:  # a service in trouble is left alone for as long as it needs
            self._called.add(job_id)
            del self._waiting[place]
            self.add(entry, now)

    def wait(self, now: datetime) -> float | None:
        """Seconds until somebody is due; None when nobody is left."""
        return max(0.0, (self._heap[0][0] - now).total_seconds()) if self._heap else None

    def due(self, now: datetime, most: int) -> Iterator[Batch]:
        """At most `most` looks that are due: one job each, or a batch filled with what is due within a tenth."""
        while self._heap and most > 0 and self._heap[0][0] <= now:
            lying = self._waiting.pop(heapq.heappop(self._heap)[1], None)
            if lying is None:
                continue
            first = self.risen(lying)
            batch = [first]
            size = first.kind.together
            soon = now + timedelta(seconds=first.kind.schedule.interval / 10)
            aside: list[tuple[datetime, int]] = []
            while self._heap and len(batch) < size and self._heap[0][0] <= soon and len(aside) < size:
                item = heapq.heappop(self._heap)
                if (lying := self._waiting.get(item[1])) is None:
                    continue
                entry = self.risen(lying)
                if _together(first, entry):
                    batch.append(entry)
                    del self._waiting[item[1]]
                else:
                    aside.append(item)
            for item in aside:
                heapq.heappush(self._heap, item)
            self._places |= {entry.id: 0 for entry in batch}
            most -= 1
            yield batch

    def take(self, batch: Batch, looks: list[Look], now: datetime) -> Iterator[Followed | None]:
        """Note what was seen, a job at a time: each that is over comes back, None stands for one planned again."""
        place = self._next()  # once: what came as one list is one list again
        for entry, seen in zip(batch, looks, strict=True):
            entry.rest(seen.job)
            try:
                entry.take(seen, now)
            except Ai302Error as problem:
                entry.error = problem
            if not entry.over and (now - entry.since).total_seconds() >= entry.kind.limit:
                entry.error = outcomes.overdue(entry.kind.account, seen.job, entry.kind.limit)
            if not entry.over:
                self.add(entry, now, place)
            yield entry if entry.over else None


def _together(one: Followed, other: Followed) -> bool:
    alike = one.kind is other.kind or (
        one.kind.account is other.kind.account and one.kind.operation.many == other.kind.operation.many
    )
    return alike and (one.route is other.route or dict(one.route) == dict(other.route))
