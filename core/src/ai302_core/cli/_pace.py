"""How far many jobs have come: how long the rest takes, and a line that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._phrases import duration, now

if TYPE_CHECKING:
    from ._tally import Tally


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
