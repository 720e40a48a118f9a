"""What a function of a family does wrong, as an error of ours: the function, the exception, its line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ai302_core._accounts import Account
from ai302_core.errors import Ai302Error, ConfigError, ParameterError, PluginError
from ai302_core.jobs import Job


def guarded(
    account: Account, what: str, function: Any, *arguments: Any, paid: Job | None = None, gives: type = object
) -> Any:
    """What a function of the family answers; anything but our own errors becomes a PluginError.

    paid   the job it is asked about, when it is asked after the payment
    gives  what it must answer
    """
    try:
        answer = function(*arguments)
    except (Exception, SystemExit) as problem:
        if isinstance(problem, (ParameterError, ConfigError, PluginError)) and says(problem):
            raise
        raise broken(account, what, blamed(problem), paid) from problem
    if not isinstance(answer, gives):
        named = "a dict" if gives is Mapping else gives.__name__
        raise broken(account, what, f"it gives {type(answer).__name__}, not {named}", paid)
    return answer


def says(problem: Ai302Error) -> bool:
    """Whether an error of ours that a family raises has words: one without them would tell its caller nothing."""
    return bool(problem.message)


def blamed(problem: BaseException) -> str:
    """The type of an exception, and the family's line that it passed last. Its words may hold anything, a key too."""
    name, place, owner = type(problem).__name__, "", ""
    trace = problem.__traceback__
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        package = module.partition(".")[0]
        if package != "ai302_core" and package == (owner or package):
            owner, place = package, f" ({module}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return f"{name}{place}"


def broken(account: Account, what: str, why: str, paid: Job | None) -> PluginError:
    """The error for it.

    paid  the job it is about, after the payment
    """
    money = "Nothing was sent." if paid is None else f"The job {paid.id} itself goes on."
    return PluginError(
        f"The family {account.family.name} failed in {what}: {why}. {money}",
        billed="no" if paid is None else "yes",
        hint="`gen302 plugins` names its distribution and version; report it there.",
    )
