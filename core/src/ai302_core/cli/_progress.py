"""Progress on stderr: one live line on a terminal with rich, else plain lines with the time of day."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from ._phrases import History, age, history_of, now, phrase, stage

if TYPE_CHECKING:
    from ai302_core.jobs import Job

    from ._session import Session

STEP = 0.1
"""How far the progress moves before another plain line is worth its space."""


class Watching(Protocol):
    """Is told what happens."""

    def __call__(self, job: Job) -> object:
        """A new snapshot of the job."""

    def stage(self, text: str) -> None:
        """What the command itself does now."""

    def waits(self, why: str) -> None:
        """The command waits before it does the same once more; the reason stays in sight."""


@contextmanager
def watching(session: Session) -> Iterator[Watching]:
    """Show what is told until the block ends; nothing when quiet."""
    if session.output.quiet:
        yield _Silent()
        return
    history = history_of(session)
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

    def waits(self, why: str) -> None:
        """Nothing is shown."""


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
        seen, self._told = bool(self._told), now_told
        self.stage(f"{job.id} {phrase(job, self._history(job), age(job), seen=seen)}")

    def waits(self, why: str) -> None:
        self.stage(why)

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
