"""An alias's members are asked in order: the next only after a verified refusal that created nothing."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TypeAlias

from ai302_core._accounts import Account
from ai302_core._steps import Flow, Now
from ai302_core.errors import (
    Ai302Error,
    AuthenticationError,
    BalanceError,
    NotFoundError,
    ParameterError,
    PluginError,
    RateLimitError,
    ServerError,
    TransportError,
)
from ai302_core.jobs import Job, Notice, Preview
from ai302_core.requests import Request

from . import submitting
from .submitting import Order

Members: TypeAlias = Mapping[str, Account | PluginError]
"""Who may serve a request, by name, in the order they are asked; one whose family cannot be loaded says why."""

# Not among them: an unclear answer, content, a configuration to be mended, and InvalidRequestError, which also stands
# for codes nobody knows.
_NOT_THIS_ONE = (
    ParameterError,
    PluginError,
    AuthenticationError,
    BalanceError,
    NotFoundError,
    RateLimitError,
    ServerError,
)


def leader(members: Members) -> Account:
    """The first member that can be asked; its driver performs the whole. Raises PluginError when there is none."""
    for member in members.values():
        if isinstance(member, Account):
            return member
    raise next(member for member in members.values() if isinstance(member, PluginError))


def submit(members: Members, request: Request, order: Order) -> Flow[Job]:
    """Buy one intention at the first member that takes it; the job says who refused before.

    The seconds to wait for a busy gateway are shared out among those not yet asked. Raises as `submitting.submit`;
    when every member refuses, the error of the first that was asked, listing all.
    """
    if len(members) == 1:
        return (yield from submitting.submit(leader(members), request, order))
    start = yield from Now()
    refused: dict[str, Ai302Error] = {}
    for name, member in members.items():
        now = yield from Now()
        share = max(0.0, order.timeout - (now - start).total_seconds()) / (len(members) - len(refused))
        try:
            asked = replace(order, timeout=share, notices=tuple(_notices(refused)))
            return (yield from submitting.submit(_usable(member), request, asked))
        except Ai302Error as problem:
            if not moves_on(problem):
                raise
            refused[name] = problem
    raise _nobody(refused)


def preview(members: Members, request: Request, *, lenient: bool = False, webhook: str | None = None) -> Flow[Preview]:
    """The exact request of the first member that can express it. Sends nothing."""
    refused: dict[str, Ai302Error] = {}
    for name, member in members.items():
        try:
            shown = yield from submitting.preview(_usable(member), request, lenient=lenient, webhook=webhook)
            return replace(shown, warnings=(*_notices(refused), *shown.warnings))
        except Ai302Error as problem:
            if not moves_on(problem):
                raise
            refused[name] = problem
    raise _nobody(refused)


def moves_on(problem: Ai302Error) -> bool:
    """Whether another provider may be asked: this one verifiably created nothing, and would not have."""
    if isinstance(problem, TransportError):
        return not problem.sent
    return isinstance(problem, _NOT_THIS_ONE) and problem.billed == "no"


def _usable(member: Account | PluginError) -> Account:
    if isinstance(member, PluginError):
        raise member
    return member


def _notices(refused: Mapping[str, Ai302Error]) -> Iterator[Notice]:
    for name, problem in refused.items():
        yield Notice(code="refused", message=f"{name} did not take it: {problem.message}")


def _nobody(refused: Mapping[str, Ai302Error]) -> Ai302Error:
    """The refusal of the first that was really asked, else of the first; its message lists all."""
    first = next(iter(refused.values()))
    told = next(
        (problem for problem in refused.values() if not isinstance(problem, (ParameterError, PluginError))), first
    )
    if len({problem.message for problem in refused.values()}) == 1:
        return told
    error = copy.copy(told)
    listed = " ".join(f"{name}: {problem.message}" for name, problem in refused.items())
    error.message = f"Nobody took it. {listed}"
    error.args = (error.message,)
    return error
