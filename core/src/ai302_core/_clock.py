"""Time and chance, the only file that reads a clock or sleeps: apart from `_http`, so that a list needs no HTTP."""

from __future__ import annotations

import random
import secrets
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future

ELAPSED: Callable[[], float] = (
    partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
)
_STARTED = time.time(), ELAPSED()
SLICE = 0.01
"""Seconds of one slice. At half of it the loop waits twice as often for threads to give the interpreter back."""
_slices: WeakKeyDictionary[AbstractEventLoop, _Slices] = WeakKeyDictionary()
_LETTERS = "abcdefghjkmnpqrstvwxyz23456789"


def now() -> datetime:
    """Aware UTC, from one reading of the wall clock and the machine's uptime: it cannot jump."""
    start, elapsed = _STARTED
    return datetime.fromtimestamp(start + ELAPSED() - elapsed, UTC)


class Span:
    """So many seconds from now on; None: without an end."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds, self._start = seconds, now()

    def left(self) -> float | None:
        """What is left of them, at least 0."""
        return None if self._seconds is None else max(0.0, self._seconds - (now() - self._start).total_seconds())


def new_id(of: str = "") -> str:
    """A new job id; on one day, the same in every process for the same `of`."""
    number, letters = secrets.randbelow(len(_LETTERS) ** 8), ""
    if of:
        from hashlib import sha256

        number = int.from_bytes(sha256(of.encode("utf-8", "backslashreplace")).digest())
    for _ in range(8):
        number, place = divmod(number, len(_LETTERS))
        letters += _LETTERS[place]
    day = now()
    return f"{day.year % 100:02}{day.month:02}{day.day:02}-{letters}"


def spread(seconds: float, fraction: float) -> float:
    """The seconds, give or take the fraction."""
    return max(0.0, seconds * (1 + fraction * (2 * random.random() - 1))) if fraction else seconds  # noqa: S311


def sleep(seconds: float) -> None:
    """Wait."""
    time.sleep(seconds)


class _Slices:
    """What one loop does in slices: whoever comes when the slice is over waits in line for one of the next."""

    def __init__(self) -> None:
        self.begun: float | None = None
        self.line: deque[Future[None]] = deque()

    def begin(self, loop: AbstractEventLoop) -> None:
        self.begun = loop.time()
        loop.call_soon(self._go_on, loop)

    def _go_on(self, loop: AbstractEventLoop) -> None:
        self.begun = None
        while self.line and self.begun is None:
            first = self.line.popleft()
            if not first.done():
                first.set_result(None)
                self.begin(loop)


async def turn(*, begun: bool = False) -> None:
    """Go on while this slice of the running loop lasts, else in one of the next, in the order of coming.

    For work of which much comes in one moment: the loop turns in between.

    begun  in the middle of a piece of work: it goes on before anybody begins another
    """
    import asyncio

    loop = asyncio.get_running_loop()
    slices = _slices.get(loop) or _slices.setdefault(loop, _Slices())
    if slices.begun is None:
        slices.begin(loop)
    elif (slices.line and not begun) or loop.time() - slices.begun > SLICE:
        place = loop.create_future()
        if begun:
            slices.line.appendleft(place)
        else:
            slices.line.append(place)
        await place
