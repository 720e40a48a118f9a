"""What an outcome is to a script and to a person: exit code, JSON document, the sentence about the money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ai302_core.errors import (
    Ai302Error,
    BalanceError,
    BudgetExceeded,
    ContentRejected,
    DownloadError,
    JobError,
    JobInputRequired,
    JobTimeout,
    JobUnconfirmed,
    NotFoundError,
    RateLimitError,
    ReplyError,
    ServerError,
    TransportError,
)

if TYPE_CHECKING:
    from pathlib import Path

    from ai302_core.jobs import Job

OK, FAILED, USAGE, RUNNING, REFUSED, NO_MONEY, BUSY, UNCONFIRMED, FILE_MISSING, INPUT = 0, 1, 2, 3, 4, 5, 6, 7, 9, 10
PARTLY = 8
INTERRUPTED = 130

_CODES: tuple[tuple[type[Ai302Error], int], ...] = (
    # The first that fits.
    (ContentRejected, REFUSED),
    (BalanceError, NO_MONEY),
    (BudgetExceeded, NO_MONEY),
    (JobUnconfirmed, UNCONFIRMED),
    (JobTimeout, RUNNING),
    (JobInputRequired, INPUT),
    (DownloadError, FILE_MISSING),
    (JobError, FAILED),
)
_WEATHER = (TransportError, ReplyError, RateLimitError, ServerError)


def exit_code(error: Ai302Error) -> int:
    """The code of `gen302 --help` for an error."""
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    if isinstance(error, (NotFoundError, *_WEATHER)) and error.billed == "unknown":
        return UNCONFIRMED
    if isinstance(error, _WEATHER):
        # A free look at a job that lives on met bad weather, or a submit that created nothing.
        return RUNNING if error.billed == "yes" else BUSY if error.retryable else USAGE
    return USAGE


def money(error: Ai302Error, job: Job | None) -> str:
    """What an error about a job means for the money, as a sentence or two."""
    said = _money(error, job)
    practice = job is not None and job.sandbox and error.billed != "no"
    return f"{said} This is the sandbox: no money was spent." if practice else said


def _money(error: Ai302Error, job: Job | None) -> str:
    if isinstance(error, DownloadError):
        return "The job is paid and fine; saving again is free."
    over = job is not None and job.status.settled
    if error.billed == "no":
        return "Nothing was paid."
    if job is not None and job.status == "succeeded":
        return "The job is paid and its files can be saved."
    if over:
        return "Whether it was billed, the service's own records tell."
    if error.billed == "yes":
        return "The job is paid and lives on."
    return "It may have been paid: look before you pay again."


def document(
    job: Job | None, files: Sequence[Path], error: Ai302Error | None, code: int, **more: Any
) -> dict[str, Any]:
    """The one JSON line of an outcome. `raw`, the service's last reply, is left out."""
    return {
        "v": 1,
        "job": None if job is None else replace(job, raw=None).to_dict(),
        "files": [str(path) for path in files],
        "warnings": [] if job is None else [vars(notice) for notice in job.warnings],
        "cost": None if job is None else job.cost.to_json() or None,
        "error": None if error is None else failure(error),
        **more,
        "exit": code,
    }


def failure(error: Ai302Error) -> dict[str, Any]:
    """An error as plain JSON data."""
    return {
        "type": type(error).__name__,
        "message": error.message,
        "billed": error.billed,
        "retryable": error.retryable,
        "hint": error.hint,
    }
