"""What became of a submit whose answer never came: looked up where a service can, else settled by its caller."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from ai302_core import _paths
from ai302_core._accounts import Account
from ai302_core._steps import Flow, Now, Record
from ai302_core.errors import (
    Ai302Error,
    ConfigError,
    JobUnconfirmed,
    KeyConflict,
    NotFoundError,
    ParameterError,
    PluginError,
)
from ai302_core.jobs import Job, Notice, Status
from ai302_core.requests import Request

from . import acting, asking, looking, submitting
from .submitting import Order


def reconcile(
    account: Account | ConfigError,
    job: Job,
    *,
    remote_id: str | None = None,
    resubmit: bool = False,
    abandon: bool = False,
    webhook: str | None = None,
    timeout: float = 60.0,
) -> Flow[Job]:
    """Settle an UNCONFIRMED job by what its caller found out, or by what the service's own list says.

    account    the job's; or why there is none any more: without one it can only be given up, and nothing is looked at
    remote_id  it was accepted as this task
    resubmit   it was not accepted: buy it again, unless the service's list has it after all
    webhook    of the job that is bought again: nobody kept the first one's, which usually carries a token
    abandon    it is given up, whatever it cost: also one that is open, accepted and never comes to an end

    Raises ParameterError for a job that is not unconfirmed, JobUnconfirmed when nothing was said and it was not found.
    """
    if (remote_id is not None) + resubmit + abandon > 1:
        raise ParameterError("Say one of remote_id, resubmit and abandon. Nothing was sent.")
    if webhook is not None and not resubmit:
        raise ParameterError("webhook: only what is bought again takes one. Nothing was sent.", field="webhook")
    if isinstance(account, ConfigError) and not abandon:
        raise account
    job = yield from looking.current(job)
    stands = job.status
    _check_open(job, endless=abandon)
    if isinstance(account, ConfigError):
        return (yield from _given_up(job))
    if abandon and stands.followed:
        # Without a key, or the family's operation, nothing is seen: what is given up needs neither.
        with suppress(ConfigError, PluginError):
            (seen,) = yield from looking.look(account, [job])
            job, stands = seen.job, seen.job.status
        if stands.settled:  # it has ended meanwhile: what is paid and there is not thrown away
            return job
    if remote_id is not None:
        return (yield from _became(account, job, remote_id))
    if not abandon:
        found, why = yield from _sought(account, job, timeout)
        if found is not None:
            return found
        if not resubmit:
            raise JobUnconfirmed(
                f"{job.id} stays unconfirmed: {why} It may have been accepted and billed.",
                job=job,
                hint=f"gen302 jobs reconcile {job.id} --found TASK-ID  # or --resubmit, which buys again, or --abandon",
            )
    if resubmit and (job.request is None or acting.action_request(job.request) is not None):
        raise ParameterError(
            f"{job.id} is a press of an action; give it up, then press the action again, under another key "
            "if you named one. Nothing was sent.",
            hint=f"gen302 jobs reconcile {job.id} --abandon",
        )
    lenient = any(notice.code in ("dropped", "parameter") for notice in job.warnings)
    if resubmit and job.request is not None:
        # What cannot be bought again is not given up for it either.
        yield from _rehearsed(account, job, job.request, lenient, webhook)
    given_up = yield from _given_up(job)
    if not resubmit or job.request is None:
        return given_up
    save_to = yield from Record(lambda ledger: ledger.destination(job.id))
    order = Order(key=job.key, again=job.key is not None, lenient=lenient, timeout=timeout, save_to=save_to,
                  webhook=webhook)  # fmt: skip
    return (yield from submitting.submit(account, job.request, order))


def _check_open(job: Job, *, endless: bool) -> None:
    if job.status is not Status.UNCONFIRMED and (job.status.settled or job.status is Status.SUBMITTING or not endless):
        raise ParameterError(f"{job.id} is {job.status}, not unconfirmed: there is nothing to reconcile.")


def _given_up(job: Job) -> Flow[Job]:
    if not (yield from Record(lambda ledger: ledger.reopen(job.id, job.status))):
        raise KeyConflict(f"{job.id} is being settled elsewhere. Nothing was sent.", job_id=job.id)
    now = yield from Now()
    given_up = replace(job, status=Status.ABANDONED, message="Given up by its caller.", finished_at=now)
    yield from Record(lambda ledger: ledger.write(given_up))
    return given_up


def _rehearsed(account: Account, job: Job, request: Request, lenient: bool, webhook: str | None) -> Flow[None]:
    """Build the submit without sending it. Raises what it would be refused for; the job stays unconfirmed."""
    account.key.reveal()
    try:
        yield from submitting.preview(account, request, lenient=lenient, webhook=webhook)
    except ParameterError as problem:
        problem.billed = job.billed
        problem.message = f"{job.id} stays unconfirmed, it cannot be bought again from here: {problem.message}"
        problem.args = (problem.message,)
        problem.hint = (
            f"gen302 jobs reconcile {job.id} --abandon  # then the first command again"
            f"{', with --again' if job.key else ''}"
        )
        raise


def _became(account: Account, job: Job, remote_id: str, *notices: Notice) -> Flow[Job]:
    """The job as that task, looked at once. Raises what tells that it is none."""
    if looking.operation_of(account, job).poll is None:
        raise ParameterError(
            f"{job.operation} of {account.family.name} answers at once and makes no task that could be found.",
            hint=f"gen302 jobs reconcile {job.id} --abandon  # gives it up; --resubmit in its place buys it again",
        )
    warnings = (*job.warnings, *notices)
    found = replace(job, remote_id=remote_id, status=Status.QUEUED, message="", billed="yes", warnings=warnings)
    (seen,) = yield from looking.look(account, [found])
    if seen.trouble is not None and (seen.trouble.missing or seen.trouble.fatal):
        raise seen.trouble.error
    return (yield from Record(lambda ledger: ledger.write(seen.job)))


def _sought(account: Account, job: Job, timeout: float) -> Flow[tuple[Job | None, str]]:
    """The job as the task that carries its id, or why there is none; free.

    Raises what the list cannot be read for: ApiError, TransportError, ReplyError.
    """
    name = f"{account.name} ({account.gateway.name})"
    if job.remote_id is not None:  # the answer to a window: its task tells whether it was heard
        (seen,) = yield from looking.look(account, [job])
        if seen.trouble is not None:
            raise seen.trouble.error
        heard = seen.job.status is not Status.UNCONFIRMED
        return (seen.job if heard else None), f"task {job.remote_id} still waits for the answer that was sent."
    lookup = looking.operation_of(account, job).lookup
    nowhere = f"nothing at {name} can look a lost submit up; its own records of calls and costs may tell."
    if lookup is None or lookup.question in account.gateway.lacks:
        return None, nowhere
    if job.request is not None and lookup.body in job.request.extra:
        return None, f"it was sent with a {lookup.body!r} of your own, by which it cannot be told from others."
    try:
        tasks = yield from asking.ask(account, lookup.question, timeout=timeout)
    except NotFoundError:
        return None, nowhere
    except Ai302Error as problem:
        problem.billed = "unknown"
        raise
    ids = [
        task
        for document in tasks
        if _paths.first_scalar(document, (lookup.echo,)) == job.id
        and (task := _paths.first_scalar(document, (lookup.id,))) is not None
    ]
    if not ids:
        # Lists are cut: one of them ends after a hundred tasks (wire/midjourney.md 2.18, 2026-11-21).
        return None, f"none of the {len(tasks)} tasks that {name} lists carries its id. Older ones may not be listed."
    others = ", ".join(ids[1:])
    twice = Notice(code="made_twice", message=f"The service made more tasks of this one submit: {others}.")
    return (yield from _became(account, job, ids[0], *([twice] if others else []))), ""
