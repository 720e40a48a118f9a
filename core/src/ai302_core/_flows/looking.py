"""Look at jobs, one or many in a call: free. A look settles a job only on its own word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ai302_core import _links, _paths
from ai302_core._accounts import Account
from ai302_core._files import keeping
from ai302_core._frozen import changed
from ai302_core._steps import Call, Flow, Now, Picture, Record, Reply, Send, Turn
from ai302_core._wire import calls, reading
from ai302_core._wire import inline as _inline
from ai302_core._wire.trouble import Trouble, unreadable
from ai302_core.assets import Asset
from ai302_core.errors import ParameterError, PluginError, ReplyError, TransportError
from ai302_core.family import Operation
from ai302_core.jobs import Action, Job, Notice, Result, Status
from ai302_core.ledger import unrecorded

from . import blaming, errands

_ALIKE = 5  # warnings of one kind: a service may say another unknown word at every look
_BUTTONS = 200  # actions a job may offer


@dataclass(frozen=True, kw_only=True)
class Look:
    """What one look saw: the snapshot after it, or the trouble it met; and when, where an answer came."""

    job: Job
    trouble: Trouble | None = None
    at: datetime | None = None


def current(job: Job) -> Flow[Job]:
    """The job as the ledger has it; a job unknown there, from another machine's JSON, is taken in."""
    stands = yield from Record(lambda ledger: ledger.job(job.id))
    if stands is None or unrecorded(job, stands):
        stands = yield from Record(lambda ledger: ledger.write(job))
    return stands


def look(account: Account, jobs: Sequence[Job]) -> Flow[list[Look]]:
    """Look at jobs of one account, one call each, and record what changed."""
    seen: list[Look] = []
    for job in jobs:
        operation = operation_of(account, job)
        seen.append((yield from look_at(account, operation, job)))
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
                seen.append((yield from look_at(account, own, job)))
            else:
                yield from Turn()  # the list is long
                told, body = yield from _drawn(account, own, job, document, reply, now)
                news |= {} if body is None else {number: (told.job, body)}
                seen.append(told)
        except (ParameterError, PluginError) as problem:
            seen.append(Look(job=job, trouble=Trouble(error=problem, fatal=True)))
    if news:  # one commit for all of them
        stand = yield from Record(lambda ledger: ledger.note(list(news.values())))
        for number, stands in zip(news, stand, strict=True):
            seen[number] = _standing(jobs[number], seen[number].job, stands)
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


def look_at(account: Account, operation: Operation, job: Job, call: Call | None = None) -> Flow[Look]:
    """Look at one job and record what changed; `call` is its request, where it was made before."""
    call = call or calls.poll_call(account, operation, job)
    if call is None:
        return Look(job=job)
    reply, trouble, now = yield from asked(account, operation, call, job.remote_id)
    if reply is None or now is None:
        return Look(job=job, trouble=trouble)
    return changed((yield from _taken_in(account, operation, job, reply.document, reply, now)), at=now)


def _taken_in(
    account: Account, operation: Operation, job: Job, document: object, reply: Reply, now: datetime
) -> Flow[Look]:
    seen, body = yield from _drawn(account, operation, job, document, reply, now)
    if body is None:
        return seen
    (stands,) = yield from Record(lambda ledger: ledger.note([(seen.job, body)]))
    return _standing(job, seen.job, stands)


def _standing(job: Job, seen: Job, stands: Job) -> Look:
    if stands.status is Status.SUBMITTING:  # its window is being answered elsewhere: the next look tells more
        return Look(job=job)
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
    if vars(seen) == vars(job):
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
        found = job.status if job.status.followed or job.status is Status.UNCONFIRMED else Status.RUNNING
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
    ended = found in (Status.FAILED, Status.CANCELED)
    times = operation.times
    percent = reading.progress(document, operation.progress)
    actions = job.actions
    if operation.actions and found in (Status.SUCCEEDED, Status.INPUT_REQUIRED):
        offer = operation.actions
        offered = blaming.guarded(account, "actions", lambda said: tuple(offer(said)), document, paid=job)
        if not all(isinstance(entry, Action) for entry in offered):
            raise blaming.broken(account, "actions", "it offers something that is no Action", job)
        actions = tuple(entry for entry in offered if entry.operation not in account.gateway.lacks)[:_BUTTONS]
    needs: tuple[str, ...] = ()
    if found is Status.INPUT_REQUIRED:
        needs = next((entry.needs for entry in actions if entry.name == "continue"), ())
    return changed(
        job,
        status=found,
        progress=1.0 if found is Status.SUCCEEDED else None if percent is None else min(percent, 0.99),
        message=_paths.said(document, operation.failure) if ended else "",
        code=word if ended else "",
        billed="yes" if job.billed == "no" or found is Status.SUCCEEDED else job.billed,
        warnings=tuple(warnings),
        actions=actions,
        needs=needs,
        # It goes on: the answer to its window was heard, though the answer to that was lost.
        answered=job.answered or (job.status is Status.UNCONFIRMED and found.followed),
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
