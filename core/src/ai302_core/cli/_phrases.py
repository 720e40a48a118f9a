"""Where a job stands, in words: its stage, how long it has taken, and how long it may take yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from ai302_core import _clock, _policies
from ai302_core.errors import LedgerError, RateLimitError

if TYPE_CHECKING:
    from ai302_core._steps import Sleep
    from ai302_core.jobs import Job

    from ._session import Session

REASON = 120
"""Characters of a service's own words that fit a line of progress."""

History = Callable[["Job"], Sequence[float]]
"""Seconds which earlier jobs of the same kind took."""


def history_of(session: Session) -> History:
    """What the ledger of a session knows of them."""

    def history(job: Job) -> Sequence[float]:
        if job.sandbox:  # its clock runs faster than the one on the wall
            return ()
        try:
            return session.connection.ledger.durations(job.family, job.operation, job.model)
        except LedgerError:  # the same trouble stops the work itself, and is told there
            return ()

    return history


def phrase(job: Job, history: Sequence[float], age: float, *, seen: bool = True) -> str:
    """Where a job stands: stage, percent if the service says one, seconds since it was asked, seconds left if known.

    seen  whether it was seen before: of one that had settled earlier nobody knows here how long it took
    """
    percent = "" if job.progress is None or job.status.settled else f" {job.progress:.0%}"
    parts = [stage(job) if lacks_file(job) else f"{stage(job)}{percent}"]
    if seen or not job.status.settled:
        parts.append(f"after {duration(age)}" if job.status.settled else f"{duration(age)} so far")
    left = None if job.status.settled else _policies.remaining(history, age)
    if left:
        parts.append(f"about {duration(left)} left")
    return ", ".join(parts)


def stage(job: Job) -> str:
    """The status of a job in words; of one whose service says that it is done, that it lacks its file."""
    return "done, but without a file so far" if lacks_file(job) else job.status.replace("_", " ")


def lacks_file(job: Job) -> bool:
    """Whether its service says that it is done, and gives no file."""
    return job.status == "running" and any(notice.code == "no_file" for notice in job.warnings)


def duration(seconds: float) -> str:
    """ "8 s", "3 min 20 s", "2 h 5 min"."""
    whole = int(max(0.0, seconds) + 0.5)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def at_own_limits(pause: Sleep) -> bool:
    """Whether nothing but limits of the user's own keeps something from being sent."""
    return isinstance(pause.why, RateLimitError) and pause.why.status_code == 0


def unsent(pause: Sleep) -> str:
    """Why something is not sent yet, or what the service answered when it did not accept it, and when it goes out."""
    why = " ".join(str(pause.why).split()).rstrip(".")
    if at_own_limits(pause):
        return f"{why.removesuffix('. Nothing was sent')}: waiting for a place; nothing more is bought meanwhile"
    short = why if len(why) <= REASON else f"{why[: REASON - 1]}…"
    soon = "at once" if pause.seconds < 0.5 else f"in {duration(pause.seconds)}"
    return f"not accepted, nothing was paid: {short}; sending again {soon}"


def now() -> datetime:
    """The moment, aware UTC."""
    return _clock.now()


def age(job: Job) -> float:
    """Seconds since it was asked, by this computer's clock alone: the service's may differ."""
    return max(0.0, (now() - job.created_at).total_seconds())
