"""Time and chance, the only file that reads a clock or sleeps: apart from `_http`, so that a list needs no HTTP."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

ELAPSED: Callable[[], float] = (
    (lambda: time.clock_gettime(time.CLOCK_BOOTTIME)) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
)
_STARTED = datetime.now(UTC), ELAPSED()
_LETTERS = "abcdefghjkmnpqrstvwxyz23456789"


def now() -> datetime:
    """Aware UTC, from one reading of the wall clock and the machine's uptime: it cannot jump."""
    start, elapsed = _STARTED
    return start + timedelta(seconds=ELAPSED() - elapsed)


def new_id() -> str:
    """A new job id."""
    number, letters = secrets.randbelow(len(_LETTERS) ** 8), ""
    for _ in range(8):
        number, place = divmod(number, len(_LETTERS))
        letters += _LETTERS[place]
    return f"{now():%y%m%d}-{letters}"


def spread(seconds: float, fraction: float) -> float:
    """The seconds, give or take the fraction."""
    return max(0.0, seconds * (1 + fraction * (2 * random.random() - 1))) if fraction else seconds  # noqa: S311


def sleep(seconds: float) -> None:
    """Wait."""
    time.sleep(seconds)
