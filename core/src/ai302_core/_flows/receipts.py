"""What the answer to a paid call means: accepted, refused, created nothing, or unknown. Decisions only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ai302_core import _paths
from ai302_core._accounts import Account
from ai302_core._frozen import changed
from ai302_core._steps import Flow, Now, Receipt, Record, Reply
from ai302_core._wire import inline, reading
from ai302_core.errors import Ai302Error, JobUnconfirmed, LedgerError, ReplyError, TransportError
from ai302_core.family import Operation
from ai302_core.jobs import Job, Notice, Status

from .planning import Plan

_ID = 1000
"""Characters a task's name may have; no address takes a longer one."""

_PERHAPS_THE_MODEL = frozenset({"invalid", "missing", "server", "unsupported"})
"""Refusals of which a model nobody knows may be the reason: "no channel" is one (wire/302ai.md 1.6, 2026-11-21)."""


def before(job: Job, why: str, now: datetime | None) -> Job:
    """The job as if the paid call had not been made: refused, or waiting for its answer again."""
    if job.remote_id is not None:
        return changed(job, status=Status.INPUT_REQUIRED, message=why)
    return changed(job, status=Status.REFUSED, message=why, billed="no", finished_at=now)


def shared(receipt: Receipt, rest: Sequence[Job], now: datetime) -> Receipt:
    """The receipt of a call that started several jobs: their ids, joined by commas, go to the rows in order."""
    lead = receipt.job
    if lead is None or not rest:
        return receipt
    if lead.remote_id is None:
        return changed(receipt, others=tuple(sharing(lead, row, now) for row in rest))
    # (wire/midjourney.md 2.4, 2026-11-21): up to as many as were asked for.
    ids = [name.strip() for name in lead.remote_id.split(",") if name.strip()] or [lead.remote_id]
    others = [sharing(changed(lead, remote_id=name), row, now) for name, row in zip(ids[1:], rest, strict=False)]
    idle = f"The service started {len(ids)} jobs and no more."
    others += [before(row, idle, now) for row in rest[len(ids) - 1 :]]
    return changed(receipt, job=changed(lead, remote_id=ids[0]), others=tuple(others))


def sharing(lead: Job, row: Job, now: datetime) -> Job:
    """Another row of the same call, with the fate of the first."""
    if lead.status is Status.SUBMITTING:
        lead = changed(lead, status=Status.UNCONFIRMED, billed="unknown", submitted_at=now)
    return changed(
        row,
        status=lead.status,
        remote_id=lead.remote_id,
        request_id=lead.request_id,
        message=lead.message,
        code=lead.code,
        billed=lead.billed,
        submitted_at=lead.submitted_at,
        finished_at=lead.finished_at,
    )


def decide(account: Account, made: Plan, job: Job, answer: Reply | TransportError, now: datetime) -> Receipt:
    """What an answer to a paid call means: accepted, refused, created nothing, or unknown."""
    if isinstance(answer, TransportError):
        return unclear(job, answer.message, now) if answer.sent else Receipt(job=None, error=answer)
    operation = made.operation
    said = reading.refusal(answer, (*account.gateway.refused, *operation.refused), now)
    named = _paths.first_scalar(answer.document, operation.job_id)
    if said is not None and _proves_nothing(said, named):
        known = "" if said.known else ", which is not known to us"
        words = f" and {said.message[:200]!r}" if said.message not in ("", said.code) else ""
        task = f", and names {named[:100]!r}" if named is not None else ""
        code = f"code {said.code!r}" if said.code else f"status {said.status}"
        return unclear(job, f"it has {code}{known}{words}{task}.", now, answer)
    if said is not None:
        return _refused(account, job, said, answer, now)
    # "Ask there instead"; a 302 or 303 may also be the answer to what was done.
    if answer.status in (301, 307, 308) and named is None:
        target = answer.headers.get("location", "")[:200]
        error = ReplyError(
            f"{account.base_url} sends us on to {target!r}; a paid request is never redirected. Nothing was created.",
            hint="Put the address it names into base_url, if you trust it.",
        )
        return _over(job, error, answer, now)
    if not 200 <= answer.status < 300:
        return unclear(job, f"HTTP {answer.status}: {_unreadable(answer)}", now, answer)
    return _accepted(account, made, job, answer, now)


def _proves_nothing(said: reading.Refusal, named: str | None) -> bool:
    """Whether a no leaves open what was created: a code in a success that nobody wrote down, or a task beside it.

    Only a code that its record names, and that does not say "try again", stands against the name of a task: no
    documented refusal has one (samples of the three families, 2026-11-21).
    """
    if named is None:
        return not said.known and 200 <= said.status < 300
    return said.again or not said.known or not said.code


def _unreadable(answer: Reply) -> str:
    begins = f" It begins {reading.excerpt(answer)}." if answer.body.strip() else ""
    return f"{reading.likely_cause(answer)}{begins}"


def _accepted(account: Account, made: Plan, job: Job, answer: Reply, now: datetime) -> Receipt:
    operation, carried = made.operation, inline.carried(answer)
    document = carried.document
    if document is None:
        return unclear(job, _unreadable(answer), now, answer)
    found = reading.assets(document, operation.assets, account.base_url, carried.files) or inline.whole(carried)
    files, contents = carried.named(job.id, found)
    status, _ = reading.state(document, answer.status, operation.states)
    done = bool(files) and (status is Status.SUCCEEDED or operation.poll is None or bool(inline.whole(carried)))
    named = _paths.first_scalar(document, operation.job_id)
    remote_id = named if named is not None and len(named) <= _ID else job.remote_id
    if status is Status.FAILED and not done and (operation.poll is None or remote_id is None):
        return Receipt(job=_failed(operation, job, answer, now), reply=answer.body)
    if not done and remote_id is None:
        lost = unclear(job, f"The answer names no task: {reading.excerpt(answer)}.", now, answer)
        return changed(lost, reply=carried.body(answer), files=contents)
    early, _ = reading.state(document, answer.status, operation.pending)
    accepted = changed(
        job,
        status=Status.SUCCEEDED if done else early if early and not early.settled else Status.QUEUED,
        remote_id=remote_id,
        progress=1.0 if done else None,
        answered=job.remote_id is not None,
        request_id=reading.request_id(answer),
        billed="yes",
        submitted_at=job.submitted_at or now,
        finished_at=now if done else None,
        assets=files if done else (),
        cost_request_ids=reading.cost_request_ids(document, account.gateway.dashboard),
        message="",
        raw=document,
    )
    return Receipt(job=accepted, reply=carried.body(answer), files=contents)


def _failed(operation: Operation, job: Job, answer: Reply, now: datetime) -> Job:
    """A job whose failure is the very answer to its submit; whether it is billed, the answer does not say."""
    return changed(
        job,
        status=Status.FAILED,
        message=_paths.said(answer.document, operation.failure),
        code=reading.state(answer.document, answer.status, operation.states)[1],
        request_id=reading.request_id(answer),
        billed="unknown",
        submitted_at=job.submitted_at or now,
        finished_at=now,
        raw=answer.document,
    )


def _refused(account: Account, job: Job, said: reading.Refusal, answer: Reply, now: datetime) -> Receipt:
    error: Ai302Error = said.error(f"{account.name} ({account.gateway.name})")
    if said.again:
        return Receipt(job=None, error=error, after=said.retry_after)
    if said.kind == "unclear":
        return unclear(job, error.message, now, answer)
    if said.kind in ("missing", "unsupported") and said.status in (404, 405) and not said.code:
        error.message = (
            f"Gateway {account.gateway.name} at {account.base_url} does not offer {job.operation} "
            f"(HTTP {said.status}). Nothing was created."
        )
        error.args = (error.message,)
        error.hint = "gen302 doctor  # is the base_url right? -p names another provider"
    doubts = [notice.message for notice in job.warnings if notice.field == "model"]
    if doubts and said.kind in _PERHAPS_THE_MODEL:
        error.hint = " ".join([*doubts, "gen302 models lists those that are known."])
    return _over(job, error, answer, now)


def _over(job: Job, error: Ai302Error, answer: Reply, now: datetime) -> Receipt:
    refused = changed(before(job, error.message, now), code=str(getattr(error, "code", "")))
    return Receipt(job=refused, reply=answer.body, error=error)


def unclear(job: Job, why: str, now: datetime, answer: Reply | None = None) -> Receipt:
    text = f"The answer to the submit never came or cannot be read ({why}) It may have been accepted and billed."
    lost = changed(
        job,
        status=Status.UNCONFIRMED,
        message=text,
        billed="unknown",
        submitted_at=job.submitted_at or now,
        request_id=reading.request_id(answer) if answer else None,
    )
    error = JobUnconfirmed(text, job=lost, hint=f"gen302 jobs reconcile {job.id}  # it is never sent again by itself")
    return Receipt(job=lost, reply=answer.body if answer else b"", error=error)


def torn(job: Job) -> Flow[None]:
    """Nobody knows what became of the call, unless its receipt was written before it was torn."""
    now = yield from Now()
    lost = unclear(job, "the program was stopped while it waited.", now).job
    stands = yield from Record(lambda ledger: ledger.job(job.id))
    if lost is not None and stands is not None and stands.status is Status.SUBMITTING:
        yield from Record(lambda ledger: ledger.write(lost))


def unwritten(job: Job, trouble: Ai302Error) -> Job:
    """The job as its caller gets it when the ledger could not take its receipt."""
    task = job.remote_id
    keep = f"Its task id is {task}; keep it, `gen302 jobs adopt {task}` takes it up again." if task else "Save it now."
    text = f"The job was accepted and is paid, but the ledger could not record it: {trouble.message} {keep}"
    return changed(job, warnings=(*job.warnings, Notice(code="ledger", message=text)))


def written(job: Job) -> bool:
    """Whether the ledger took the receipt of a job as a submit returned it."""
    return _missed(job) == ""


def _missed(job: Job) -> str:
    return next((notice.message for notice in job.warnings if notice.code == "ledger"), "")


def still_unwritten(job: Job, trouble: LedgerError) -> LedgerError:
    """The trouble of a later attempt to write it: where the ledger has not taken its receipt, what is to be kept."""
    missed = _missed(job)
    return LedgerError(missed, billed="yes", hint=trouble.hint, retryable=trouble.retryable) if missed else trouble
