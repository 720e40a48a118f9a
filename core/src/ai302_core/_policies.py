"""When to look, when to try again, and how long: pure numbers in seconds, no clock."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

GRACE = 30.0
"""How long "no such task" is believed to be a delay (wire/midjourney.md 7.4 and 11.1, 2026-11-21)."""

SPREAD = 0.2
"""Every wait varies by this fraction, so that many clients do not call in step."""


BUSY = 60.0
"""Seconds a busy service is asked again to accept a submit, unless its caller says otherwise."""


def busy(timeout: float | None) -> float:
    """Of the seconds a caller has for a submit and what follows, those for a busy service."""
    return BUSY if timeout is None else min(BUSY, timeout)


def backoff(attempt: int, retry_after: float | None = None, *, first: float = 1.0, ceiling: float = 30.0) -> float:
    """Seconds before try number `attempt` + 1 (from 1): what the service asks for, else doubling."""
    if retry_after is not None:
        return max(0.0, retry_after)
    return float(min(ceiling, first * 2 ** min(attempt - 1, 16)))


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """Seconds: to connect, for a submit's answer, for a poll's, between two pieces of a download, for a whole wait.

    wait  None: as long as the family says
    """

    connect: float = 10.0
    submit: float = 120.0
    poll: float = 30.0
    download: float = 60.0
    wait: float | None = None


@dataclass(frozen=True)
class Stretch:
    """Ages from `start` on, and the seconds between looks there; infinite: nobody is done before the next stretch."""

    start: float
    pace: float


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """When a job is looked at.

    fastest   seconds from the submit until the fastest are done; the first look unless somebody watches
    usual     seconds until most are done; past it the looks get rarer
    interval  seconds between looks until then
    maximum   seconds between looks at most
    first     seconds from the submit to the first look at most: what a user set outweighs what a family knows
    watched   somebody watches the progress: looks start at once
    learned   the paces that history suggests, by age; empty while there is none
    """

    fastest: float
    usual: float
    interval: float
    maximum: float
    first: float = math.inf
    watched: bool = False
    learned: tuple[Stretch, ...] = ()

    def wait(self, age: float, looked: bool) -> float:
        """Seconds until the next look, `age` seconds after the submit."""
        if not looked:
            return max(0.0, min(self._begin(age), self.first - age))
        if self.learned and not self.watched:
            return min(self._learned(age), self.maximum)
        late = max(0.0, age - self.usual)
        return min(self.maximum, self.interval + late / 20)

    def _begin(self, age: float) -> float:
        if self.learned and not self.watched:
            return self._learned(age)
        due = self.interval if self.watched else max(self.interval, self.fastest)
        return min(due - age, self.maximum)

    def _learned(self, age: float) -> float:
        """Until the stretches passed add up to one look.

        Where most take as long as each other, that is long after they are done: they are looked at when they should be.
        """
        most = self.usual + self.interval - age
        due = self._added_up(age)
        return min(due, max(most, self.interval)) if most > 0 else due

    def _added_up(self, age: float) -> float:
        left, at = 1.0, age
        for stretch, following in zip(self.learned, (*self.learned[1:], None), strict=True):
            end = following.start if following is not None else math.inf
            if end <= at:
                continue
            share = (end - at) / stretch.pace
            if share >= left:
                at += left * stretch.pace
                break
            left, at = left - share, end
        return at - age


_CUTS = (0.0, 0.01, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.96, 0.98, 0.99, 1.0)


def _paces(history: Sequence[float], interval: float) -> tuple[Stretch, ...]:
    """Looks as dense as the square root of how likely a job is done in the next moment.

    That density is the cheapest one for a given lateness, when looks are many (Keller 1974, on inspecting what may have
    failed). `interval` is the pace at the mean likelihood between the tenth and the ninetieth percentile.
    """
    last = len(history) - 1
    places = [history[round(cut * last)] for cut in _CUTS]
    usual = math.log(9) / max(history[round(0.9 * last)] - history[round(0.1 * last)], 0.001)
    stretches = [Stretch(0.0, math.inf)]
    for (low, start), (high, end) in pairwise(zip(_CUTS, places, strict=True)):
        if end - start > 0.001:
            likely = math.log((1 - low) / (1 - (high if high < 1 else (1 + low) / 2))) / (end - start)
            stretches.append(Stretch(start, interval * math.sqrt(usual / likely)))
    return tuple(stretches) if len(stretches) > 1 else ()


def schedule(
    usual: tuple[float, float],
    history: Sequence[float],
    interval: float,
    maximum: float,
    *,
    watched: bool,
    first: float = math.inf,
) -> Schedule:
    """The schedule for a job, from the record's numbers or, from ten jobs on, from the ledger's sorted seconds."""
    fastest, most = usual
    learned: tuple[Stretch, ...] = ()
    if len(history) >= 10:
        fastest, most = history[len(history) // 10], history[round(0.9 * (len(history) - 1))]
        learned = _paces(history, interval)
    return Schedule(fastest=fastest, usual=most, interval=interval, maximum=max(interval, maximum), first=first,
                    watched=watched, learned=learned)  # fmt: skip


def remaining(history: Sequence[float], age: float) -> float | None:
    """Seconds a job of this age still takes by the median of its kind; None when nothing is known."""
    if len(history) < 3:
        return None
    median = history[len(history) // 2]
    return max(0.0, median - age)
