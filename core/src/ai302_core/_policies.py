"""When to look, when to try again, and how long: pure numbers in seconds, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

GRACE = 30.0
"""How long "no such task" is believed to be a delay (wire/midjourney.md 7.4 and 11.1, 2026-11-21)."""

SPREAD = 0.2
"""Every wait varies by this fraction, so that many clients do not call in step."""


def backoff(attempt: int, retry_after: float | None = None, *, first: float = 1.0, ceiling: float = 30.0) -> float:
    """Seconds before try number `attempt` + 1 (from 1): what the service asks for, else doubling."""
    if retry_after is not None:
        return max(0.0, retry_after)
    return float(min(ceiling, first * 2 ** min(attempt - 1, 16)))


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """When a job is looked at.

    fastest   seconds from the submit until the fastest are done; the first look unless somebody watches
    usual     seconds until most are done; past it the looks get rarer
    interval  seconds between looks until then
    maximum   seconds between looks at most
    watched   somebody watches the progress: looks start at once
    """

    fastest: float
    usual: float
    interval: float
    maximum: float
    watched: bool = False

    def wait(self, age: float, looked: bool) -> float:
        """Seconds until the next look, `age` seconds after the submit."""
        if not looked:
            due = self.interval if self.watched else max(self.interval, self.fastest)
            return max(0.0, min(due - age, self.maximum if self.watched else due))
        late = max(0.0, age - self.usual)
        return min(self.maximum, self.interval + late / 20)


def schedule(
    usual: tuple[float, float], history: Sequence[float], interval: float, maximum: float, *, watched: bool
) -> Schedule:
    """The schedule for a job, from the record's numbers or, from ten jobs on, from the ledger's sorted seconds."""
    fastest, most = usual
    if len(history) >= 10:
        fastest, most = history[len(history) // 10], history[len(history) * 9 // 10]
    return Schedule(fastest=fastest, usual=most, interval=interval, maximum=max(interval, maximum), watched=watched)


def remaining(history: Sequence[float], age: float) -> float | None:
    """Seconds a job of this age still takes by the median of its kind; None when nothing is known."""
    if len(history) < 3:
        return None
    median = history[len(history) // 2]
    return max(0.0, median - age)
