"""What callers ask for, put together from the paid flow, the free flows and the files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from . import _looking, _planning, _policies, _reading, _submitting, _wire, downloads
from ._accounts import Account
from ._looking import OnUpdate
from ._steps import Flow, NewId, Now, Record, Send, Sleep
from ._submitting import Order
from .assets import Asset
from .errors import (
    Ai302Error,
    ApiError,
    JobCanceled,
    JobError,
    JobFailed,
    JobInputRequired,
    JobRejected,
    JobUnconfirmed,
    ParameterError,
)
from .jobs import Action, Job, Notice, Result, Status
from .ledger import FileRecord
from .requests import ActionRequest, Request


def current(job: Job) -> Flow[Job]:
    """The job as the ledger has it; a job unknown there, from another machine's JSON, is taken in."""
    stands = yield from Record(lambda ledger: ledger.job(job.id))
    if stands is None:
        stands = yield from Record(lambda ledger: ledger.write(job))
    return stands


def settle(account: Account, job: Job, *, timeout: float | None, on_update: OnUpdate | None) -> Flow[Job]:
    """Follow a job until nothing more happens to it without its caller. A free flow."""
    job = yield from current(job)
    start = yield from Now()
    limit = _looking.patience(account, job) if timeout is None else timeout
    while job.status is Status.SUBMITTING:
        now = yield from Now()
        if (now - start).total_seconds() >= limit:
            raise _looking.overdue(job, limit)
        yield from Sleep(0.2, _policies.SPREAD)
        job = yield from current(job)
    if job.status is Status.UNCONFIRMED and job.remote_id is not None:
        (seen,) = yield from _looking.look(account, [job])
        job = seen.job
    return (yield from _looking.follow(account, job, timeout=timeout, on_update=on_update))


def answer(account: Account, job: Job) -> Flow[Job]:
    """Answer a window whose answer the press already brought. A paid flow; see `foreseen`."""
    return (yield from _submitting.answer_window(account, job, _answers(account, job, job.request), 60.0))


def result(account: Account, job: Job, files: Sequence[Path] = ()) -> Result:
    """What the job yielded. Raises the JobError that its status stands for."""
    if job.status is Status.SUCCEEDED:
        return Result(job=job, assets=job.assets, files=tuple(files))
    raise problem(account, job)


def problem(account: Account, job: Job) -> JobError:
    """The error a job that did not succeed stands for."""
    reason = job.message or "the service gives no reason"
    if job.status is Status.UNCONFIRMED:
        return JobUnconfirmed(job.message or "Nobody knows whether this was accepted.", job=job, billed="unknown",
                              hint=f"gen302 jobs reconcile {job.id}")  # fmt: skip
    if job.status is Status.INPUT_REQUIRED:
        wants = f" It takes: {', '.join(job.needs)}." if job.needs else ""
        return JobInputRequired(
            f"{job.id} waits for an answer.{wants}", job=job, hint=f"gen302 act {job.id} continue --prompt …"
        )
    if job.status in (Status.CANCELED, Status.ABANDONED):
        return JobCanceled(f"{job.id} was {job.status}.", job=job)
    operation = account.operation(job.operation)
    rejected = operation is not None and any(re.search(text, reason, re.IGNORECASE) for text in operation.rejected)
    kind = JobRejected if rejected else JobFailed
    text = f"{job.id} was {'refused' if job.status is Status.REFUSED else 'accepted and failed'}: {reason}"
    billed = "no" if job.status is Status.REFUSED else "unknown"
    hint = "Change the prompt or the pictures." if rejected else "The same request again: --again with its key."
    return kind(text, job=job, code=job.code, billed=billed, hint=hint)


def foreseen(job: Job) -> bool:
    """Whether the press that opened the window already brought everything the answer needs, as data."""
    request = _action(job.request)
    if request is None or job.answered or not any(entry.name == "continue" for entry in job.actions):
        return False
    given = request.written()
    media = {place[0] for place, _ in request.media()}
    return all(name in given for name in request.needs) and not media


def _action(request: Request | None) -> ActionRequest | None:
    loaded = Request.from_json(request.to_json()) if request is not None else None
    return loaded if isinstance(loaded, ActionRequest) else None


def _answers(account: Account, job: Job, request: Request | None) -> dict[str, Any]:
    """The fields of a press that answer its window."""
    action = next((entry for entry in job.actions if entry.name == "continue"), None)
    operation = account.operation(action.operation) if action else None
    if operation is None or request is None:
        return {}
    pressed = request if isinstance(request, ActionRequest) else _action(request)
    known = set(_planning.open_fields(operation.request))
    return {name: value for name, value in (pressed.written() if pressed else {}).items() if name in known}


def act(
    account: Account, job: Job, name: str, values: Mapping[str, Any], *, key: str | None = None, timeout: float = 60.0
) -> Flow[Job]:
    """Press an action of a finished job, or answer its window with "continue"."""
    job = yield from current(job)
    if name == "continue":
        return (yield from _submitting.answer_window(account, job, values, timeout))
    action = _chosen(job, name)
    operation = account.operation(action.operation)
    if operation is None or job.remote_id is None:
        raise ParameterError(f"{account.family.name} cannot press {name!r} of {job.id}. Nothing was sent.")
    missing = [field for field in action.needs if values.get(field) is None]
    if missing:
        raise ParameterError(f"{action.name} needs {missing[0]}. Nothing was sent.", field=missing[0])
    given = {field: value for field, value in values.items() if value is not None}
    request = _planning.press(operation, action.name, job.remote_id, action, given)
    implied = action.once and key is None
    order = Order(
        key=f"{job.id}/{action.name}" if implied else key,
        implied=implied,
        timeout=timeout,
        parent=job,
        operation=operation,
    )
    child = yield from _submitting.submit(account, request, order)
    if child.answered or child.status.settled or child.status is Status.UNCONFIRMED:
        return child
    if action.needs or child.status is Status.INPUT_REQUIRED:
        child = yield from _window(account, child)
        if child.status is Status.INPUT_REQUIRED and not child.answered:
            child = yield from _submitting.answer_window(account, child, _answers(account, child, request), timeout)
    return child


def _window(account: Account, job: Job) -> Flow[Job]:
    """Look until the window a press opened shows, a few times: relays tell of it late (wire/midjourney.md 3.4)."""
    for attempt in range(1, 6):
        (seen,) = yield from _looking.look(account, [job])
        job = seen.job
        if seen.trouble is None and job.status is not Status.QUEUED:
            break
        yield from Sleep(_policies.backoff(attempt, first=0.5, ceiling=2.0), _policies.SPREAD)
    return job


def _chosen(job: Job, name: str) -> Action:
    def plain(text: str) -> str:
        return text.casefold().replace("_", "-").replace(" ", "-")

    for action in job.actions:
        if plain(name) in (plain(action.name), plain(action.label)):
            return action
    names = [action.name for action in job.actions]
    if not names:
        state = (
            "offers no actions" if job.status is Status.SUCCEEDED else f"is {job.status}, so it offers no actions yet"
        )
        raise ParameterError(f"{job.id} {state}. Nothing was sent.", field="action")
    near = get_close_matches(name, names, 1)
    raise ParameterError(
        f"{job.id} offers no {name!r}{f'; did you mean {near[0]!r}?' if near else '.'} It offers: {', '.join(names)}. "
        "Nothing was sent.",
        field="action",
    )


def cancel(account: Account, job: Job) -> Flow[Job]:
    """Ask the service to stop, then look. CANCELED only when the service says so; a finished job stays finished.

    Raises ParameterError when the gateway cannot cancel, TransportError or ApiError when it could not be asked.
    """
    job = yield from current(job)
    if job.status.settled:
        return job
    operation = _looking.operation_of(account, job)
    if operation.cancel is None or "cancel" in account.gateway.lacks or job.remote_id is None:
        raise ParameterError(
            f"Gateway {account.gateway.name} cannot cancel {job.operation}; {job.id} goes on and may be billed.",
            billed=job.billed,
            hint=f"gen302 wait {job.id}",
        )
    call = _wire.call(account, operation.cancel, job.route, purpose="poll", job_id=job.remote_id)
    reply = yield from Send(call)
    now = yield from Now()
    said = _reading.refusal(reply, account.gateway.refused, now)
    if said is not None or reply.status >= 400:
        text = f"{account.name} did not take the cancel (HTTP {reply.status}); {job.id} goes on and may be billed."
        error: Ai302Error = said.error(account.name) if said else ApiError(text, status_code=reply.status)
        error.billed = job.billed
        raise error
    asked = Notice(code="cancel_asked", message="The service was asked to stop.")
    job = replace(job, warnings=(*job.warnings, asked))
    for attempt in range(1, 6):
        (seen,) = yield from _looking.look(account, [job])
        job = seen.job
        if job.status.settled:
            return job
        yield from Sleep(_policies.backoff(attempt, first=0.5, ceiling=2.0), _policies.SPREAD)
    return (yield from Record(lambda ledger: ledger.write(job)))


def poll(account: Account, job: Job) -> Flow[Job]:
    """Look once. Raises TransportError, ReplyError, ApiError; NotFoundError only past the grace period."""
    job = yield from current(job)
    if job.remote_id is None or (job.status.settled and job.status is not Status.SUCCEEDED):
        return job
    if job.status is Status.SUCCEEDED and job.assets:
        return job
    (seen,) = yield from _looking.look(account, [job])
    if seen.trouble is not None:
        now = yield from Now()
        young = (now - (job.submitted_at or job.created_at)).total_seconds() < _policies.GRACE
        if not (seen.trouble.missing and young):
            raise seen.trouble.error
    return seen.job


def adopt(account: Account, remote_id: str, operation_name: str | None) -> Flow[Job]:
    """Take up a task another tool started. Raises NotFoundError when the service does not know it; costs nothing."""
    for known in (yield from Record(lambda ledger: ledger.find(remote_id))):
        if known.remote_id == remote_id and known.provider == account.name:
            return known
    operation = _adopting(account, operation_name)
    now = yield from Now()
    route = _planning.default_route(account, operation)
    job = Job(
        id=(yield from NewId()), provider=account.name, family=account.family.name, operation=operation.name,
        gateway=account.gateway.name, base_url=account.base_url, route=route, remote_id=remote_id,
        status=Status.QUEUED, billed="unknown", sandbox=account.sandbox, created_at=now, submitted_at=now,
    )  # fmt: skip
    (seen,) = yield from _looking.look(account, [job])
    if seen.trouble is not None:
        seen.trouble.error.billed = "no"
        raise seen.trouble.error
    return (yield from Record(lambda ledger: ledger.write(seen.job)))


def _adopting(account: Account, name: str | None) -> Any:
    if name is None:
        return account.family.operations[0]
    operation = account.operation(name)
    if operation is None:
        names = [entry.name for entry in account.family.operations]
        near = get_close_matches(name, names, 1)
        raise ParameterError(
            f"{account.family.name} has no operation {name!r}{f'; did you mean {near[0]!r}?' if near else ''}. "
            f"It has: {', '.join(names)}.",
            field="operation",
        )
    return operation


def reconcile(
    account: Account, job: Job, *, remote_id: str | None, resubmit: bool, abandon: bool, timeout: float = 60.0
) -> Flow[Job]:
    """Settle an UNCONFIRMED job by what its caller found out.

    remote_id: it was accepted as this task. abandon: it is given up, whatever it cost. resubmit: it was not accepted;
    buy it again. Raises ParameterError for a job that is not unconfirmed.
    """
    job = yield from current(job)
    if job.status is not Status.UNCONFIRMED:
        raise ParameterError(f"{job.id} is {job.status}, not unconfirmed: there is nothing to reconcile.")
    if remote_id is not None:
        found = replace(job, remote_id=remote_id, status=Status.QUEUED, message="", billed="yes")
        (seen,) = yield from _looking.look(account, [found])
        if seen.trouble is not None and (seen.trouble.missing or seen.trouble.fatal):
            raise seen.trouble.error
        return (yield from Record(lambda ledger: ledger.write(seen.job)))
    if resubmit and (job.request is None or _action(job.request) is not None):
        raise ParameterError(
            f"{job.id} is a press of an action; give it up, then press the action again. Nothing was sent.",
            hint=f"gen302 jobs reconcile {job.id} --abandon",
        )
    now = yield from Now()
    given_up = replace(job, status=Status.ABANDONED, message="Given up by its caller.", finished_at=now)
    yield from Record(lambda ledger: ledger.write(given_up))
    if not resubmit or job.request is None:
        return given_up
    order = Order(key=job.key, again=job.key is not None, timeout=timeout)
    return (yield from _submitting.submit(account, job.request, order))


def save(
    job: Job, to: str | None, *, roles: Sequence[str] | None = None, sidecar: bool = True
) -> Flow[tuple[list[Path], tuple[Notice, ...]]]:
    """Put a succeeded job's files on disk, where `to` or its intent says. Again is free."""
    remembered = yield from Record(lambda ledger: ledger.destination(job.id))
    target = to if to is not None else remembered or "."
    if to is not None and to != remembered:
        yield from Record(lambda ledger: ledger.set_destination(job.id, target))
    files, notices = yield from downloads.save(job, job.assets, target, roles=roles, sidecar=sidecar)
    return list(files), tuple(notices)


def destination(job: Job) -> Flow[str | None]:
    """Where the job's intent wants its files, or None."""
    return (yield from Record(lambda ledger: ledger.destination(job.id)))


def complete(job: Job, files: Sequence[FileRecord]) -> bool:
    """Whether every deliverable of a job is recorded as saved."""
    wanted = Result(job=job, assets=job.assets).deliverables
    return {(asset.role, asset.index) for asset in wanted} <= {(file.role, file.index) for file in files}


def saved(result: Result, files: Sequence[Path], notices: Sequence[Notice]) -> Result:
    """The result with where its files are, and what was noticed while saving."""
    job = replace(result.job, warnings=(*result.job.warnings, *notices))
    return replace(result, job=job, files=tuple(files))


def subject(what: Job | Result | Asset) -> tuple[Job | None, tuple[Asset, ...]]:
    """The job to save, or the bare asset."""
    if isinstance(what, Asset):
        return None, (what,)
    job = what.job if isinstance(what, Result) else what
    return job, job.assets
