"""The free flows: look at jobs, follow one until it settles, cancel. A look settles a job only on its own word."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ai302_core import _links, _paths, _policies
from ai302_core._accounts import Account
from ai302_core._files import keeping
from ai302_core._frozen import changed
from ai302_core._policies import GRACE, SPREAD
from ai302_core._steps import Call, Flow, Now, Picture, Record, Reply, Send, Sleep
from ai302_core._wire import calls, reading
from ai302_core._wire import inline as _inline
from ai302_core._wire.trouble import Trouble, unreadable
from ai302_core.assets import Asset
from ai302_core.errors import ParameterError, PluginError, ReplyError, TransportError
from ai302_core.family import Operation
from ai302_core.jobs import Job, Notice, Result, Status

from . import errands, outcomes, planning

OnUpdate = Callable[[Job], object]
_ALIKE = 5  # warnings of one kind: a service may say another unknown word at every look
_BUTTONS = 200  # actions a job may offer


@dataclass(frozen=True, kw_only=True)
class Look:
    """What one look saw: the snapshot after it, or the trouble it met."""

    job: Job
    trouble: Trouble | None = None


def current(job: Job) -> Flow[Job]:
    """The job as the ledger has it; a job unknown there, from another machine's JSON, is taken in."""
    stands = yield from Record(lambda ledger: ledger.job(job.id))
    ahead = job.remote_id is not None or job.status is Status.UNCONFIRMED or job.status.settled
    if stands is None or (stands.status is Status.SUBMITTING and stands.remote_id is None and ahead):
        # Unknown here, or its receipt could not be written when it came.
        stands = yield from Record(lambda ledger: ledger.write(job))
    return stands


def look(account: Account, jobs: Sequence[Job]) -> Flow[list[Look]]:
    """Look at jobs of one account, one call each, and record what changed."""
    seen: list[Look] = []
    for job in jobs:
        operation = operation_of(account, job)
        seen.append((yield from _look_at(account, operation, job)))
    return seen


def look_together(account: Account, jobs: Sequence[Job]) -> Flow[list[Look]]:
    """One call for many jobs of one route; those the answer leaves out are looked at one by one.

    What is wrong with one job costs the others nothing: it is that job's own trouble.
    """
    if len(jobs) == 1:
        return (yield from look(account, jobs))
    operation = operation_of(account, jobs[0])
    call = calls.many_call(account, operation, jobs)
    many = operation.many
    if call is None or many is None:
        return (yield from look(account, jobs))
    reply, trouble, now = yield from asked(account, operation, call)
    if trouble is not None and not trouble.about_the_call:
        return [Look(job=job, trouble=trouble) for job in jobs]
    listed = () if reply is None else _paths.values(reply.document, many.at)
    documents = {_paths.first_scalar(document, (many.id,)): document for document in listed}
    seen: list[Look] = []
    news: dict[int, tuple[Job, bytes]] = {}
    for number, job in enumerate(jobs):
        document = documents.get(job.remote_id)
        try:
            own = operation_of(account, job)
            if reply is None or now is None or document is None:
                seen.append((yield from _look_at(account, own, job)))
            else:
                told, body = yield from _drawn(account, own, job, document, reply, now)
                news |= {} if body is None else {number: (told.job, body)}
                seen.append(told)
        except (ParameterError, PluginError) as problem:
            seen.append(Look(job=job, trouble=Trouble(error=problem, fatal=True)))
    if news:  # one commit for all of them
        stand = yield from Record(lambda ledger: ledger.write_all(list(news.values())))
        for number, stands in zip(news, stand, strict=True):
            seen[number] = _standing(seen[number].job, stands)
    return seen


def operation_of(account: Account, job: Job) -> Operation:
    """The operation a job belongs to. Raises PluginError when the installed family has it no more."""
    operation = account.operation(job.operation)
    if operation is None:
        raise PluginError(
            f"The installed {account.family.name} has no operation {job.operation!r} (job {job.id}).",
            billed=job.billed,
            hint="Upgrade or downgrade the family's distribution; the job itself is fine.",
        )
    return operation


def asked(
    account: Account, operation: Operation, call: Call, remote_id: str | None = None
) -> Flow[tuple[Reply | None, Trouble | None, datetime | None]]:
    """A reply that speaks of jobs and the moment it came, or the trouble."""
    try:
        reply = yield from Send(call)
    except TransportError as problem:
        problem.billed = "yes"
        return None, Trouble(error=problem), None
    now = yield from Now()
    trouble = unreadable(account, operation, reply, now, remote_id)
    return (None, trouble, None) if trouble else (reply, None, now)


def _look_at(account: Account, operation: Operation, job: Job, call: Call | None = None) -> Flow[Look]:
    call = call or calls.poll_call(account, operation, job)
    if call is None:
        return Look(job=job)
    reply, trouble, now = yield from asked(account, operation, call, job.remote_id)
    if reply is None or now is None:
        return Look(job=job, trouble=trouble)
    return (yield from _taken_in(account, operation, job, reply.document, reply, now))


def _taken_in(
    account: Account, operation: Operation, job: Job, document: object, reply: Reply, now: datetime
) -> Flow[Look]:
    seen, body = yield from _drawn(account, operation, job, document, reply, now)
    if body is None:
        return seen
    return _standing(seen.job, (yield from Record(lambda ledger: ledger.write(seen.job, body))))


def _standing(seen: Job, stands: Job) -> Look:
    return Look(job=changed(stands, raw=seen.raw) if stands.raw is None else stands)


def _drawn(
    account: Account, operation: Operation, job: Job, document: object, reply: Reply, now: datetime
) -> Flow[tuple[Look, bytes | None]]:
    """What a document says of a job, and the body to record with it; None where there is nothing to record."""
    body = reply.body if document is reply.document else b""
    carried = _inline.taken_out(document)
    document = carried.document
    seen = read(account, operation, job, document, reply.status, now, carried.files)
    if seen.status is Status.SUCCEEDED and operation.finish:
        try:
            seen = yield from errands.delivered(account, operation.finish, job, seen, document)
        except (TransportError, ReplyError) as problem:
            return Look(job=job, trouble=Trouble(error=problem)), None
    if seen.status is Status.SUCCEEDED and (dying := _links.expiry_notice(seen.assets, now)):
        seen = changed(seen, warnings=(*seen.warnings, dying))
    if seen == job and seen.raw == job.raw:
        return Look(job=job), None
    if carried.files:
        body = carried.body(reply)
        files, contents = carried.named(seen.id, seen.assets)
        done = changed(seen, assets=files)
        seen = yield from Record(lambda ledger: keeping.kept(ledger.results, done, contents))
    return Look(job=seen), body


def read(
    account: Account,
    operation: Operation,
    job: Job,
    document: object,
    status: int,
    now: datetime,
    inline: Mapping[str, Picture] | None = None,
) -> Job:
    """The job after a readable reply. An unknown word keeps it waiting; success needs the word and a file.

    inline  files that were taken out of the document
    """
    found, word = reading.state(document, status, operation.states)
    files: tuple[Asset, ...] = ()
    warnings = list(job.warnings)
    if found is None:
        _warn_once(warnings, "unknown_status", f"{account.name} says {word!r}, which is no status we know; waiting on.")
        found = job.status if job.status.followed else Status.RUNNING
    if found is Status.INPUT_REQUIRED and (job.answered or job.status is Status.UNCONFIRMED):
        # The window was answered and the service has not caught up, or nobody knows whether it was.
        found = job.status if job.status is Status.UNCONFIRMED else Status.RUNNING
    if found is Status.FAILED and any(notice.code == "cancel_asked" for notice in warnings):
        # Self-hosted servers report a canceled task as a failure (wire/midjourney.md 2.15, 2026-11-21).
        found = Status.CANCELED
    if found is Status.SUCCEEDED:
        files = reading.assets(document, operation.assets, account.base_url, inline)
        fetched = operation.finish is not None and not operation.assets  # its files come from other calls alone
        if not fetched and not Result(job=job, assets=files).deliverables:
            _warn_once(warnings, "no_file", f"{account.name} reports success without a file so far; waiting on.")
            found = Status.RUNNING
        elif not fetched:
            warnings = [notice for notice in warnings if notice.code != "no_file"]  # it has come
    reason = _paths.said(document, operation.failure)
    times = operation.times
    percent = reading.progress(document, operation.progress)
    actions = job.actions
    if operation.actions and found in (Status.SUCCEEDED, Status.INPUT_REQUIRED):
        offer = operation.actions
        offered = planning.guarded(account, "actions", lambda said: tuple(offer(said)), document, paid=job)
        actions = tuple(entry for entry in offered if entry.operation not in account.gateway.lacks)[:_BUTTONS]
    waiting = next((entry.needs for entry in actions if entry.name == "continue"), ())
    return changed(
        job,
        status=found,
        progress=1.0 if found is Status.SUCCEEDED else None if percent is None else min(percent, 0.99),
        message=reason if found in (Status.FAILED, Status.CANCELED) else "",
        code=word if found in (Status.FAILED, Status.CANCELED) else "",
        billed="yes" if job.billed == "no" or found is Status.SUCCEEDED else job.billed,
        warnings=tuple(warnings),
        actions=actions,
        needs=waiting if found is Status.INPUT_REQUIRED else (),
        submitted_at=(times and reading.moment(document, times.submitted)) or job.submitted_at,
        started_at=(times and reading.moment(document, times.started)) or job.started_at,
        finished_at=((times and reading.moment(document, times.finished)) or now) if found.settled else None,
        assets=files,
        cost_request_ids=reading.cost_request_ids(document, account.gateway.dashboard) or job.cost_request_ids,
        raw=document,
    )


def _warn_once(warnings: list[Notice], code: str, text: str) -> None:
    alike = [notice.message for notice in warnings if notice.code == code]
    if text not in alike and len(alike) < _ALIKE:
        warnings.append(Notice(code=code, message=text))


def schedule_of(account: Account, job: Job, *, watched: bool) -> Flow[_policies.Schedule]:
    """When to look at this job, by its family's record or this ledger's history."""
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
    plan = yield from schedule_of(account, job, watched=on_update is not None)
    operation, told, watch = operation_of(account, job), job, Watch()
    call = calls.poll_call(account, operation, job) if job.status.followed else None
    now = start
    while job.status.followed:
        left = limit - (now - start).total_seconds()
        if left <= 0 and watch.looked:
            raise outcomes.overdue(account, job, limit)
        wait = watch.wait(plan, job, now)
        if wait > 0 and left > 0:
            # No callback cuts short what a service in trouble asks for.
            bell = "" if watch.failures else job.id
            yield from Sleep(min(wait, left), SPREAD if wait < left else 0.0, bell)
        seen = yield from _look_at(account, operation, job, call)
        now = yield from Now()
        watch.take(seen, now)
        if (seen.job.remote_id, seen.job.route) != (job.remote_id, job.route):
            call = None
        job = seen.job
        if on_update is not None and job != told:
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

    def wait(self, plan: _policies.Schedule, job: Job, now: datetime) -> float:
        """Seconds until the next look."""
        age = (now - job.created_at).total_seconds()  # by our clock: the service's may be anywhere
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
                f"Look at the service's own history: gen302 wait {seen.job.id} looks again, "
                f"gen302 jobs reconcile {seen.job.id} --abandon gives it up."
            )
        if trouble.fatal or gone:
            trouble.error.hint = trouble.error.hint or f"gen302 wait {seen.job.id} looks again; the job stays open."
            raise trouble.error
