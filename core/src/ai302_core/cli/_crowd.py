"""Progress of many jobs on stderr: a compact live table on a terminal with rich, else a line now and then."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from ._pace import Pace, headline
from ._phrases import history_of, now

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

    def waits(self, why: str, once: bool = False) -> object:
        """One of them waits to be sent, from any thread; `once`: others that wait for the same tell nothing new."""


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

    def waits(self, why: str, once: bool = False) -> None:
        """Nothing is shown."""


class _Plain:
    covers_stdout = False

    def __init__(self, say: Callable[[str], None], tally: Tally) -> None:
        self._say = say
        self._tally = tally
        self._pace = Pace()
        self._open: set[str] = set()
        self._last: float | None = None
        self._silent_until = 0.0
        self._told: set[str] = set()
        self._lock = threading.Lock()

    def update(self, job: Job) -> None:
        if job.status.settled:
            self._open.discard(job.id)
        else:
            self._open.add(job.id)
        if self._last is None:  # the first that is paid: a silent minute would be a long one
            self._tell()

    def outcome(self, outcome: Outcome) -> None:
        if outcome.job is not None:
            self._open.discard(outcome.job.id)
        if self._pace.passed() - (self._last or 0.0) >= PAUSE:
            self._tell()

    def waits(self, why: str, once: bool = False) -> None:
        with self._lock:  # many rows hear the same at once
            if why in self._told or self._pace.passed() < self._silent_until:
                return
            self._silent_until = self._pace.passed() + PAUSE
            self._told |= {why} if once else set()
        self._say(f"{now().astimezone():%H:%M:%S} {self._tally.name}: {why}")

    def _tell(self) -> None:
        tally = self._tally
        left = self._pace.left(tally.done, tally.rows)
        if tally.done >= tally.rows:
            return
        self._last = self._pace.passed()
        self._say(f"{now().astimezone():%H:%M:%S} {headline(tally, len(self._open), left)}")


def _live(session: Session, tally: Tally) -> Any:
    """The live table, or None without the extra [cli] or on a terminal that cannot redraw."""
    try:
        from ._livetable import LiveTable
    except ImportError:
        return None
    table = LiveTable(tally, history_of(session))
    return table if table.possible else None
