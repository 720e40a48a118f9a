"""The free calls a family makes by itself: the key goes to its own service only, its errors cost only itself."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import replace
from typing import Any, TypeVar

from ai302_core import _paths
from ai302_core._accounts import Account
from ai302_core._frozen import changed
from ai302_core._steps import Call, Flow, Load, Now, Send, Sleep, Step
from ai302_core._wire import calls
from ai302_core.assets import Asset
from ai302_core.errors import Ai302Error, ReplyError, TransportError
from ai302_core.jobs import Job, Notice, Result, Status

from . import blaming

T = TypeVar("T")

_ALLOWED = (Send, Sleep, Now, Load)


def run(account: Account, what: str, flow: Any, paid: Job | None = None) -> Flow[T]:
    """What a family's flow returns.

    A call whose address begins with "/" goes to the account's own address, with its key; an address elsewhere gets
    none. Raises what the steps raise, and PluginError for what the family does wrong; a flow of a family never pays.
    """
    outcome: Any = None
    failure: BaseException | None = None
    if not isinstance(flow, Generator):
        raise blaming.broken(account, what, f"it gives {type(flow).__name__}, not a flow", paid)
    try:
        while True:
            try:
                step = flow.send(outcome) if failure is None else flow.throw(failure)
            except StopIteration as finished:
                result: T = finished.value
                return result
            except (Exception, SystemExit) as problem:
                stopped = problem is failure and isinstance(problem, SystemExit)  # the program, not the family
                if stopped or (isinstance(problem, Ai302Error) and blaming.says(problem)):
                    raise
                raise blaming.broken(account, what, blaming.blamed(problem), paid) from problem
            outcome = failure = None
            try:
                outcome = yield _ours(account, what, step, paid)
            except GeneratorExit:
                raise
            except BaseException as problem:  # noqa: BLE001 - whatever a step raises, the family's flow hears it
                failure = problem
    finally:
        flow.close()


def delivered(account: Account, finish: Any, job: Job, seen: Job, document: Any) -> Flow[Job]:
    """The job that succeeded, with the files its family fetched; without any so far it is not over.

    Raises TransportError or ReplyError when they could not be asked for, PluginError for what the family does wrong.
    """
    flow = blaming.guarded(account, "finish", finish, seen, document, paid=job)
    try:
        found: Any = yield from run(account, "finish", flow, paid=job)
    except (TransportError, ReplyError) as problem:
        problem.billed = "yes"
        raise
    files: tuple[Asset, ...] = tuple(found) if isinstance(found, Iterable) else (found,)
    if not all(isinstance(file, Asset) for file in files):
        raise blaming.broken(account, "finish", "it returns something that is no Asset", job)
    if not all(isinstance(file.url, str | None) for file in files):
        raise blaming.broken(account, "finish", "it returns an Asset whose url is no text", job)
    if Result(job=seen, assets=files).deliverables:
        warnings = tuple(notice for notice in seen.warnings if notice.code != "no_file")
        return changed(seen, assets=files, warnings=warnings)
    text = f"{account.name} reports success without a file so far; waiting on."
    known = any(notice.message == text for notice in seen.warnings)
    warnings = seen.warnings if known else (*seen.warnings, Notice(code="no_file", message=text))
    return replace(seen, status=Status.RUNNING, progress=None, finished_at=None, billed=job.billed, warnings=warnings)


def _ours(account: Account, what: str, step: Any, paid: Job | None) -> Step[Any]:
    """The step, its call addressed and signed."""
    if not isinstance(step, _ALLOWED):
        raise blaming.broken(account, what, f"it asks for {type(step).__name__}", paid)
    return Send(signed(account, what, step.call, paid)) if isinstance(step, Send) else step


def signed(account: Account, what: str, call: Call, paid: Job | None = None) -> Call:
    """A family's call, sent home with the key or elsewhere without. Raises PluginError for one that would pay."""
    home = f"{account.base_url}/"
    url = f"{account.base_url}{call.url}" if call.url.startswith("/") else call.url
    if not url.startswith(home):
        return replace(call, secret=None, purpose="poll")
    path = url[len(account.base_url) :].partition("?")[0]
    for operation in account.family.operations:
        if operation.submit.method == call.method and _paths.fits(operation.submit.path, path):
            raise blaming.broken(account, what, f"it would send a paid {call.method} {path}", paid)
    return replace(call, url=url, secret=calls.secret(account), purpose="poll")
