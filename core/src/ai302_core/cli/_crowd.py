"""Progress of many jobs on stderr: a compact live table on a terminal with rich, else a line now and then."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from ai302_core.errors import LedgerError

from ._progress import duration, now

if TYPE_CHECKING:
    from ai302_core.jobs import Job, Outcome

    from ._session import Session
    from ._tally import Tally

PAUSE = 10.0
"""Seconds between plain lines."""


class Watching(Protocol):
    """Is told what happens to many jobs, from any thread."""

    covers_stdout: bool
    """The table stands on the terminal that stdout is: single files are not listed there."""

    def update(self, job: Job) -> object:
        """A new snapshot of one of the jobs."""

    def outcome(self, outcome: Outcome) -> object:
        """One of them has come to its end; the tally knows it."""


@contextmanager
def watching(session: Session, tally: Tally) -> Iterator[Watching]:
    """Show what is told until the block ends; nothing when quiet."""
    if session.output.quiet:
        yield Silent()
        return
    live = _live(session, tally) if sys.stderr is not None and sys.stderr.isatty() else None
    if live is None:
        plain = _Plain(session.output.say, tally)
        yield plain
        return
    with live:
        yield live


class Silent:
    """Shows nothing."""

    covers_stdout = False

    def update(self, job: Job) -> None:
        """Nothing is shown."""

    def outcome(self, outcome: Outcome) -> None:
        """Nothing is shown."""


class Pace:
    """How long the rest takes, by what was done since the start."""

    def __init__(self) -> None:
        self.start = now()
        self._before: int | None = None

    def left(self, done: int, rows: int) -> float | None:
        """Seconds, or None while nothing is known."""
        if self._before is None:
            self._before = done  # what was done before this run says nothing of its pace
        new = done - self._before
        if new < 3 or done >= rows:
            return None
        return self.passed() / new * (rows - done)

    def passed(self) -> float:
        """Seconds since the start."""
        return (now() - self.start).total_seconds()


class _Plain:
    covers_stdout = False

    def __init__(self, say: Callable[[str], None], tally: Tally) -> None:
        self._say = say
        self._tally = tally
        self._pace = Pace()
        self._open: set[str] = set()
        self._last = 0.0

    def update(self, job: Job) -> None:
        if job.status.settled:
            self._open.discard(job.id)
        else:
            self._open.add(job.id)

    def outcome(self, outcome: Outcome) -> None:
        if outcome.job is not None:
            self._open.discard(outcome.job.id)
        tally, passed = self._tally, self._pace.passed()
        left = self._pace.left(tally.done, tally.rows)
        if passed - self._last < PAUSE or tally.done >= tally.rows:
            return
        self._last = passed
        self._say(f"{now().astimezone():%H:%M:%S} {headline(tally, len(self._open), left)}")


def headline(tally: Tally, still: int, left: float | None) -> str:
    """Where a batch stands, in a line."""
    parts = [f"{tally.name}: {tally.done} of {tally.rows} {tally.noun}"]
    if tally.troubles:
        parts.append(f"{tally.troubles} not done")
    if still:
        parts.append(f"{still} under way")
    if left:
        parts.append(f"about {duration(left)} left")
    return ", ".join(parts)


def _live(session: Session, tally: Tally) -> Any:
    """The live table, or None without the extra [cli] or on a terminal that cannot redraw."""
    try:
        from ._livetable import LiveTable
    except ImportError:
        return None

    def history(job: Job) -> list[float]:
        if job.sandbox:  # its clock runs faster than the one on the wall
            return []
        try:
            return session.connection.ledger.durations(job.family, job.operation, job.model)
        except LedgerError:  # the same trouble stops the work itself, and is told there
            return []

    table = LiveTable(tally, history)
    return table if table.possible else None
