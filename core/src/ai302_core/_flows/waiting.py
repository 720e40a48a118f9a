"""Wait for one job: when to look again, and when to give up. Free."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from ai302_core import _policies
from ai302_core._accounts import Account
from ai302_core._policies import GRACE, SPREAD
from ai302_core._steps import Flow, Now, Record, Sleep
from ai302_core._wire import calls
from ai302_core.jobs import Job

from . import outcomes
from .looking import Look, look_at, operation_of

OnUpdate = Callable[[Job], object]


_A_WHILE = 60.0
"""Seconds for which a schedule serves all jobs of a kind: what the ledger learns in a minute changes little."""


def schedule_of(account: Account, job: Job, now: datetime, *, watched: bool) -> Flow[_policies.Schedule]:
    """When to look at this job, by its family's record or what the ledger's history said a moment ago."""
    kind = job.operation, job.model, watched
    known = account.schedules.get(kind)
    if known is None or (now - known[0]).total_seconds() > _A_WHILE:
        known = account.schedules[kind] = now, (yield from _planned(account, job, watched))
    return known[1]


def _planned(account: Account, job: Job, watched: bool) -> Flow[_policies.Schedule]:
    operation = operation_of(account, job)
    if account.sandbox:
        # Its clock is not ours: the seconds its jobs say they took say nothing about when they are done.
        return _policies.schedule((0.0, 0.0), (), account.interval, account.slowest, watched=watched)
    history = yield from Record(lambda ledger: ledger.durations(job.family, job.operation, job.model))
    return _policies.schedule(
        operation.usual, history, account.interval, account.slowest, watched=watched, first=account.first
    )


def patience(account: Account, job: Job) -> float:
    """Seconds a wait for this job lasts unless the caller says otherwise."""
    return account.timeouts.wait or operation_of(account, job).timeout


def follow(account: Account, job: Job, *, timeout: float | None, on_update: OnUpdate | None) -> Flow[Job]:
    """Look at one job until there is nothing more to see.

    Raises JobTimeout, NotFoundError past the grace period, and what only the caller can mend; the job lives on.
    """
    start = yield from Now()
    limit = patience(account, job) if timeout is None else timeout
    plan = yield from schedule_of(account, job, start, watched=on_update is not None)
    operation, told, watch = operation_of(account, job), job, Watch()
    call = calls.poll_call(account, operation, job) if job.status.followed else None
    now = start
    while job.status.followed:
        left = limit - (now - start).total_seconds()
        if left <= 0 and watch.looked:
            raise outcomes.overdue(account, job, limit)
        wait = watch.wait(plan, job.created_at, now)
        if wait > 0 and left > 0:
            # No callback cuts short what a service in trouble asks for.
            bell = "" if watch.failures else job.id
            yield from Sleep(min(wait, left), SPREAD if wait < left else 0.0, bell)
        seen = yield from look_at(account, operation, job, call)
        now = seen.at or (yield from Now())
        watch.take(seen, now)
        if (seen.job.remote_id, seen.job.route) != (job.remote_id, job.route):
            call = None
        job = seen.job
        if on_update is not None and job is not told and job != told:
            told = job
            on_update(job)
            now = yield from Now()  # whoever watches may take his time
    return job


class Watch:
    """What must be remembered of one followed job between looks."""

    __slots__ = ("after", "failures", "looked", "missing_since")

    def __init__(self) -> None:
        self.looked = False
        self.failures = 0
        self.after: float | None = None
        self.missing_since: datetime | None = None

    def wait(self, plan: _policies.Schedule, created_at: datetime, now: datetime) -> float:
        """Seconds until the next look."""
        age = (now - created_at).total_seconds()  # by our clock: the service's may be anywhere
        wait = plan.wait(max(0.0, age), self.looked)
        return max(wait, _policies.backoff(self.failures, self.after)) if self.failures else wait

    def take(self, seen: Look, now: datetime) -> None:
        """Note a look. Raises its error when looking again cannot mend it."""
        self.looked = True
        trouble = seen.trouble
        self.after = trouble.after if trouble else None
        self.failures = self.failures + 1 if trouble else 0
        self.missing_since = (self.missing_since or now) if trouble and trouble.missing else None
        if trouble is None:
            return
        gone = self.missing_since is not None and (now - self.missing_since).total_seconds() >= GRACE
        if gone:
            trouble.error.hint = (
                f"gen302 wait {seen.job.id}  # looks again; if the service's own history does not have it either, "
                f"gen302 jobs reconcile {seen.job.id} --abandon gives it up"
            )
        if trouble.fatal or gone:
            trouble.error.hint = trouble.error.hint or f"gen302 wait {seen.job.id}  # looks again; the job stays open"
            raise trouble.error
