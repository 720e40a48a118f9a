"""Progress on stderr: one live line on a terminal with rich, else plain lines with the time of day."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from ai302_core import _clock, _policies
from ai302_core.errors import LedgerError

if TYPE_CHECKING:
    from ai302_core.jobs import Job

    from ._session import Session

STEP = 0.1
"""How far the progress moves before another plain line is worth its space."""

History = Callable[["Job"], Sequence[float]]


class Watching(Protocol):
    """Is told what happens."""

    def __call__(self, job: Job) -> object:
        """A new snapshot of the job."""

    def stage(self, text: str) -> None:
        """What the command itself does now."""


@contextmanager
def watching(session: Session) -> Iterator[Watching]:
    """Show what is told until the block ends; nothing when quiet."""

    def history(job: Job) -> Sequence[float]:
        if job.sandbox:  # its clock runs faster than the one on the wall
            return ()
        try:
            return session.connection.ledger.durations(job.family, job.operation, job.model)
        except LedgerError:  # the same trouble stops the work itself, and is told there
            return ()

    if session.output.quiet:
        yield _Silent()
        return
    live = _live(history) if sys.stderr is not None and sys.stderr.isatty() else None
    if live is None:
        yield _Plain(session.output.say, history)
        return
    with live:
        yield live


class _Silent:
    def __call__(self, job: Job) -> None:
        """Nothing is shown."""

    def stage(self, text: str) -> None:
        """Nothing is shown."""


def phrase(job: Job, history: Sequence[float], age: float) -> str:
    """Where a job stands: stage, percent if the service says one, seconds since it was asked, seconds left if known."""
    percent = "" if job.progress is None or job.status.settled else f" {job.progress:.0%}"
    parts = [stage(job) if lacks_file(job) else f"{stage(job)}{percent}"]
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


def now() -> datetime:
    """The moment, aware UTC."""

    return _clock.now()


def age(job: Job) -> float:
    """Seconds since it was asked, by this computer's clock alone: the service's may differ."""
    return max(0.0, (now() - job.created_at).total_seconds())


class _Plain:
    """A line when the stage changes or the percentage has moved."""

    def __init__(self, say: Callable[[str], None], history: History) -> None:
        self._say = say
        self._history = history
        self._told: tuple[object, ...] = ()

    def __call__(self, job: Job) -> None:
        now_told = (job.id, stage(job), int((job.progress or 0.0) / STEP))
        if self._told == now_told:
            return
        self._told = now_told
        self.stage(f"{job.id} {phrase(job, self._history(job), age(job))}")

    def stage(self, text: str) -> None:
        self._say(f"{now().astimezone():%H:%M:%S} {text}")


def _live(history: History) -> Any:
    """The live line, or None without the extra [cli] or on a terminal that cannot redraw."""
    try:
        from ._live import LiveLine
    except ImportError:
        return None
    line = LiveLine(history)
    return line if line.possible else None
