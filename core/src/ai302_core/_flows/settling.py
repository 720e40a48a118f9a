"""What callers do with a job they hold: settle, cancel, look, adopt, save; free."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from ai302_core import _policies
from ai302_core._accounts import Account
from ai302_core._steps import Call, Flow, NewId, Now, Record, Reply, Send, Sleep
from ai302_core._wire import calls, reading
from ai302_core.errors import Ai302Error, ApiError, LedgerError, ParameterError, TransportError
from ai302_core.family import Operation
from ai302_core.jobs import Job, Notice, Status
from ai302_core.ledger import Ledger, unreadable
from ai302_core.requests import expect

from . import looking, outcomes, planning, receipts, waiting
from .waiting import OnUpdate

_LEASE = 3600.0  # seconds: longer than jobs take; the dead hold nothing, whatever they leased

_PAGE = 100
"""Jobs that are read at once."""

_CANCEL_PATIENCE = 30.0
"""Seconds in which a service in trouble is asked again to stop."""


def settle(
    account: Account, job: Job, *, timeout: float | None, on_update: OnUpdate | None, bought: bool = False
) -> Flow[Job]:
    """Follow a job until nothing more happens to it without its caller. A free flow.

    bought  the job comes from a submit a moment ago: where its receipt was written it is not read again, and what
            another process did since the next look tells
    """
    try:
        if not (bought and job.status.followed and receipts.written(job)):
            job = yield from ready(account, job, timeout)
        return (yield from waiting.follow(account, job, timeout=timeout, on_update=on_update))
    except Ai302Error as problem:
        problem.job = problem.job or job  # whoever called `run` holds no job yet
        raise


def ready(account: Account, job: Job, timeout: float | None = None) -> Flow[Job]:
    """The job as it stands once it is sent: to be followed, or settled, or its caller's turn. A free flow."""
    try:
        job = yield from looking.current(job)
    except LedgerError as trouble:
        if receipts.written(job) or not job.status.settled:
            raise receipts.still_unwritten(job, trouble) from None
        return job  # nobody else knows what came: its caller is to have it
    if job.status is Status.SUBMITTING:
        job = yield from _sent(account, job, timeout)
    if job.status is Status.UNCONFIRMED and job.remote_id is not None:
        (seen,) = yield from looking.look(account, [job])
        job = seen.job
    return job


def _sent(account: Account, job: Job, timeout: float | None) -> Flow[Job]:
    """The job once whoever sends it has its receipt."""
    start = yield from Now()
    limit = waiting.patience(account, job) if timeout is None else timeout
    while job.status is Status.SUBMITTING:
        now = yield from Now()
        if (now - start).total_seconds() >= limit:
            raise outcomes.overdue(account, job, limit)
        yield from Sleep(0.2, _policies.SPREAD)
        job = yield from looking.current(job)
    return job


def cancel(account: Account, job: Job) -> Flow[Job]:
    """Ask the service to stop, then look. CANCELED only when the service says so; a finished job stays finished.

    Raises ParameterError when the gateway cannot cancel, TransportError or ApiError when it could not be asked.
    """
    job = yield from looking.current(job)
    if job.status.settled:
        return job
    operation = looking.operation_of(account, job)
    if operation.cancel is None or "cancel" in account.gateway.lacks or job.remote_id is None:
        raise ParameterError(
            f"Gateway {account.gateway.name} cannot cancel {job.operation}; {job.id} goes on and may be billed.",
            billed=job.billed,
            hint=f"gen302 wait {job.id}",
        )
    call = calls.call(account, operation.cancel, job.route, purpose="poll", job_id=job.remote_id)
    asked = Notice(code="cancel_asked", message="The service was asked to stop.")
    before = job
    if asked not in job.warnings:
        # Before it is asked: an answer may be lost, and a canceled task be called failed.
        job = yield from _noted(replace(before, warnings=(*before.warnings, asked)))
    try:
        yield from _asked_to_stop(account, job, call)
    except ApiError:
        yield from _noted(before)
        raise
    for attempt in range(1, 6):
        (seen,) = yield from looking.look(account, [job])
        job = seen.job
        if job.status.settled:
            return job
        yield from Sleep(_policies.backoff(attempt, first=0.5, ceiling=2.0), _policies.SPREAD)
    return (yield from _noted(job))


def _noted(job: Job) -> Flow[Job]:
    (stands,) = yield from Record(lambda ledger: ledger.note([(job, b"")]))
    return stands


def _asked_to_stop(account: Account, job: Job, call: Call) -> Flow[None]:
    """Ask until the service has heard it; asking again is free. Raises what it says, or its trouble after a while."""
    start = yield from Now()
    for attempt in itertools.count(1):
        reply: Reply | None = None
        error: Ai302Error
        after: float | None = None
        try:
            reply = yield from Send(call)
        except TransportError as problem:
            error = problem
        now = yield from Now()
        if reply is not None:
            after = reading.retry_after(reply, now)
            said = reading.refusal(reply, account.gateway.refused, now)
            weather = reply.status >= 500 or reply.status in (408, 425, 429)
            page = reply.status < 300 and reply.document is None and reply.body.strip() not in (b"", b"null")
            if reply.status < 300 and said is None and not page:
                return
            text = f"{account.name} did not take the cancel (HTTP {reply.status}). {reading.likely_cause(reply)}"
            error = said.error(account.name) if said else ApiError(text, status_code=reply.status)
            if not (weather or page):
                error.billed = job.billed
                raise error
        wait = _policies.backoff(attempt, after)
        if (now - start).total_seconds() + wait > _CANCEL_PATIENCE:
            error.billed = job.billed
            error.hint = f"gen302 cancel {job.id}  # asks again; until then it goes on and may be billed"
            raise error
        yield from Sleep(wait, _policies.SPREAD)


def poll(account: Account, job: Job) -> Flow[Job]:
    """Look once. Raises TransportError, ReplyError, ApiError; NotFoundError only past the grace period."""
    job = yield from looking.current(job)
    if job.remote_id is None or (job.status.settled and job.status is not Status.SUCCEEDED):
        return job
    if job.status is Status.SUCCEEDED and job.assets:
        return job
    (seen,) = yield from looking.look(account, [job])
    if seen.trouble is not None:
        now = yield from Now()
        young = (now - job.created_at).total_seconds() < _policies.GRACE
        if not (seen.trouble.missing and young):
            raise seen.trouble.error
    return seen.job


def adopt(account: Account, remote_id: str, operation_name: str | None) -> Flow[Job]:
    """Take up a task another tool started. Raises NotFoundError when the service does not know it; costs nothing.

    Without an operation it is asked for wherever the family looks at tasks, one after the other.
    """
    expect(remote_id, str, 'the id of a task as text, such as "1795219200783064"')
    task = account.family.name, account.base_url, remote_id
    found = yield from Record(lambda ledger: ledger.find(remote_id))
    known = [job for job in found if (job.family, job.base_url, job.remote_id) == task]
    for job in known:
        if job.status is not Status.ABANDONED and unreadable(job) is None:
            return job
    now = yield from Now()
    # Whoever takes it up at the same instant elsewhere makes the same job: of two, each action could be paid twice.
    job_id = yield from NewId(of=" ".join((*task, str(len(known)))))
    doors = _adopting(account, operation_name)
    for operation in doors:
        job = Job(
            id=job_id, provider=account.name, family=account.family.name, operation=operation.name,
            gateway=account.gateway.name, base_url=account.base_url, route=planning.default_route(account, operation),
            remote_id=remote_id, status=Status.QUEUED, billed="unknown", sandbox=account.sandbox, created_at=now,
            submitted_at=now,
        )  # fmt: skip
        (seen,) = yield from looking.look(account, [job])
        if seen.trouble is None or not seen.trouble.missing:
            break
    if seen.trouble is not None:
        seen.trouble.error.billed = "no"
        if seen.trouble.missing:
            seen.trouble.error.hint = f"gen302 providers  # is it a task of {account.name}? -p names another"
        raise seen.trouble.error
    return (yield from _noted(seen.job))


def _adopting(account: Account, name: str | None) -> list[Operation]:
    """The operation of that name; without one, one for each address at which the family looks at tasks."""
    if name is None:
        doors: dict[str, Operation] = {}
        for entry in account.family.operations:
            if entry.poll is not None:
                doors.setdefault(repr(entry.poll), entry)
        return list(doors.values()) or list(account.family.operations[:1])
    operation = account.operation(name)
    if operation is None:
        names = [entry.name for entry in account.family.operations]
        near = get_close_matches(name, names, 1)
        raise ParameterError(
            f"{account.family.name} has no operation {name!r}{f'; did you mean {near[0]!r}?' if near else ''}. "
            f"It has: {', '.join(names)}.",
            field="operation",
        )
    return [operation]


def save(
    job: Job, to: str | None, *, roles: Sequence[str] | None = None, sidecar: bool = True
) -> Flow[tuple[list[Path], tuple[Notice, ...]]]:
    """Put a succeeded job's files on disk, where `to` or its intent says. Again is free."""
    from ai302_core import downloads

    remembered = yield from Record(lambda ledger: ledger.destination(job.id))
    target = to if to is not None else remembered or "."
    if to is not None and to != remembered:
        yield from Record(lambda ledger: ledger.set_destination(job.id, target))
    try:
        files, notices = yield from downloads.save(job, job.assets, target, roles=roles, sidecar=sidecar)
    except Ai302Error as problem:
        problem.job = job
        raise
    return list(files), tuple(notices)


def destination(job: Job) -> Flow[str | None]:
    """Where the job's intent wants its files, or None."""
    return (yield from Record(lambda ledger: ledger.destination(job.id)))


def unfinished(ledger: Ledger) -> list[str]:
    """Ids of jobs nobody else follows, leased: succeeded ones whose destination lacks a file, then open ones."""
    from ai302_core._files import placing  # a submit, which settles nothing, has no files to look for

    still = ledger.ids((Status.QUEUED, Status.RUNNING, Status.INPUT_REQUIRED, Status.UNCONFIRMED))
    # A process that died at the end of a save may have left a temporary file: then saving, which is free, goes on.
    unsaved = ledger.unsaved(lambda job, files: outcomes.complete(job, files) and not placing.unswept(job, files))
    ids = dict.fromkeys(unsaved + still)  # one may have settled in between
    mine = set(ledger.lease(list(ids), _LEASE))
    return [job_id for job_id in ids if job_id in mine]


def pages(ledger: Ledger, job_ids: Sequence[str]) -> Iterator[list[Job]]:
    """These jobs as they stand when their page is read: of ten thousand, few are in memory before they are followed."""
    for start in range(0, len(job_ids), _PAGE):
        # What another process sends again meanwhile is that process's to follow.
        page = ledger.read(job_ids[start : start + _PAGE])
        yield [job for job in page if job.status is not Status.SUBMITTING]
