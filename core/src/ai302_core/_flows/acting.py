"""Actions: press what a finished job offers, answer the window a press may open. Paid flows."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from ai302_core import _policies
from ai302_core._accounts import Account
from ai302_core._steps import Flow, Sleep
from ai302_core.errors import KeyConflict, ParameterError
from ai302_core.jobs import Action, Job, Status
from ai302_core.requests import ActionRequest, Request

from . import blaming, looking, planning, submitting
from .looking import current
from .submitting import Order


def foreseen(job: Job) -> bool:
    """Whether the press that opened the window already brought everything the answer needs, as data."""
    request = action_request(job.request)
    if request is None or job.answered or not _shown(job):
        return False
    given = request.written()
    media = {place[0] for place, _ in request.media()}
    return all(name in given for name in request.needs) and not media


def action_request(request: Request | None) -> ActionRequest | None:
    loaded = Request.from_json(request.to_json()) if request is not None else None
    return loaded if isinstance(loaded, ActionRequest) else None


def _answers(account: Account, job: Job, request: Request | None) -> dict[str, Any]:
    """The fields of a press that answer its window."""
    action = next((entry for entry in job.actions if entry.name == "continue"), None)
    operation = account.operation(action.operation) if action else None
    if operation is None or request is None:
        return {}
    pressed = request if isinstance(request, ActionRequest) else action_request(request)
    known = set(planning.open_fields(operation.request))
    return {name: value for name, value in (pressed.written() if pressed else {}).items() if name in known}


def answer(account: Account, job: Job, timeout: float | None = None) -> Flow[Job]:
    """Answer a window whose answer the press already brought. A paid flow; see `foreseen`.

    timeout  seconds its caller has left for a busy service, and for what follows

    Who follows it as well answers the same: the job of whoever comes second, as the first one's answer leaves it.
    """
    answers = _answers(account, job, job.request)
    try:
        return (yield from submitting.answer_window(account, job, answers, _policies.busy(timeout)))
    except KeyConflict:
        return (yield from current(job))


def act(
    account: Account,
    job: Job,
    name: str,
    values: Mapping[str, Any],
    *,
    key: str | None = None,
    timeout: float = 60.0,
    save_to: str | None = None,
    webhook: str | None = None,
) -> Flow[Job]:
    """Press an action of a finished job, or answer its window with "continue"."""
    job = yield from current(job)
    if name == "continue":
        if job.status is Status.INPUT_REQUIRED and not _shown(job):
            job = yield from window(account, job, sure=True)
        return (yield from submitting.answer_window(account, job, values, timeout, webhook))
    action = chosen(job, name)
    operation = account.operation(action.operation)
    if operation is None or job.remote_id is None:
        raise ParameterError(f"{account.family.name} cannot press {name!r} of {job.id}. Nothing was sent.")
    if action.jobs > 1:
        raise ParameterError(
            f"{action.name} starts {action.jobs} jobs at one press. Nothing was sent.",
            hint=f'act_all(job, "{action.name}") presses it and returns every job.',
        )
    given = {field: value for field, value in values.items() if value is not None}
    request = planning.press(operation, action.name, job.remote_id, action, given)
    # What is needed may be said inside another field, such as a flag in a prompt.
    said = blaming.guarded(account, "said", operation.said, request, gives=Mapping) if operation.said else {}
    missing = [field for field in action.needs if field not in {*given, *said}]
    if missing:
        raise ParameterError(f"{action.name} needs {missing[0]}. Nothing was sent.", field=missing[0])
    implied = action.once and key is None
    order = Order(
        key=f"{job.id}/{action.name}" if implied else key,
        implied=implied,
        timeout=timeout,
        save_to=save_to,
        webhook=webhook,
        parent=job,
        operation=operation,
        once=action.once,
    )
    child = yield from submitting.submit(account, request, order)
    if child.answered or child.status.settled or child.status is Status.UNCONFIRMED:
        return child
    if action.needs or child.status is Status.INPUT_REQUIRED:
        child = yield from window(account, child, sure=bool(action.needs))
        if child.status is Status.INPUT_REQUIRED and not child.answered and _shown(child):
            answers = _answers(account, child, request)
            child = yield from submitting.answer_window(account, child, answers, timeout, webhook)
    return child


def _shown(job: Job) -> bool:
    """Whether a look has seen the window; until then only the answer to the press speaks of it."""
    return any(entry.name == "continue" for entry in job.actions)


def window(account: Account, job: Job, *, sure: bool = False) -> Flow[Job]:
    """Look until the window a press opened shows, for about 20 seconds.

    A relay may sync with its upstream every 15 s only (wire/midjourney.md 3.4 and 9 no. 8, 2026-11-21).

    sure  the press always opens one and its answer cannot be stored: whatever the service says meanwhile, it will show
    """
    still = (Status.QUEUED, Status.RUNNING) if sure else (Status.QUEUED,)
    for attempt in range(1, 13):
        (seen,) = yield from looking.look(account, [job])
        job = seen.job
        if seen.trouble is None and job.status not in still:
            break
        yield from Sleep(_policies.backoff(attempt, first=0.5, ceiling=2.0), _policies.SPREAD)
    return job


def chosen(job: Job, name: str) -> Action:
    """The action of that name or label. Raises ParameterError with what the job offers."""

    def plain(text: str) -> str:
        return text.casefold().replace("_", "-").replace(" ", "-")

    for action in job.actions:
        if plain(name) in (plain(action.name), plain(action.label)):
            return action
    names = [action.name for action in job.actions]
    if not names:
        yet = "" if job.status.settled else " yet"
        state = "offers no actions" if job.status is Status.SUCCEEDED else f"is {job.status}: it offers no actions{yet}"
        raise ParameterError(f"{job.id} {state}. Nothing was sent.", field="action")
    near = get_close_matches(name, names, 1)
    raise ParameterError(
        f"{job.id} offers no {name!r}{f'; did you mean {near[0]!r}?' if near else '.'} It offers: {', '.join(names)}. "
        "Nothing was sent.",
        field="action",
    )
