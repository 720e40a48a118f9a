"""Turns inside this process: by name, where the second waits for the first; by number, where the next waits."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import IO, TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from asyncio import Semaphore

PAID_AT_ONCE = 16
"""Paid calls that one async provider has on the wire at once."""

AHEAD = 8
"""Paid calls it makes ready, or writes down, beside those on the wire."""

_guard = threading.Condition()
_held: set[str] = set()


@contextmanager
def turn(name: str) -> Iterator[None]:
    """Hold the name; nobody else in this process holds it meanwhile. Not to be taken twice by one thread."""
    with _guard:
        while name in _held:
            _guard.wait(1.0)  # never for good: Windows hears no Ctrl-C in an endless wait
        _held.add(name)
    try:
        yield
    finally:
        with _guard:
            _held.discard(name)
            _guard.notify_all()


class Asked(Protocol):
    """Whether its caller was asked to stop."""

    asked: bool


class Places:
    """So many at once, and the next waits; None: any number."""

    def __init__(self, count: int | None) -> None:
        self._free = None if count is None else threading.Semaphore(count)

    def one(self, stop: Asked | None) -> AbstractContextManager[bool]:
        """Hold a place; False, and none is held, for who is asked to stop while it waits."""
        return _ROOM if self._free is None else _place(self._free, stop)


_ROOM = nullcontext(True)


@contextmanager
def _place(free: threading.Semaphore, stop: Asked | None) -> Iterator[bool]:
    while not free.acquire(timeout=0.1):
        if stop is not None and stop.asked:
            yield False
            return
    try:
        yield stop is None or not stop.asked
    finally:
        free.release()


def _after_fork_in_child() -> None:
    """What other threads of the parent held, nobody holds here."""
    global _guard
    _guard = threading.Condition()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


class Desk:
    """A place for who reads an answer: what was read lies whole in memory, so only a few of many may sit at once."""

    def __init__(self, places: Semaphore) -> None:
        self._places = places
        self._seated = False

    async def sit(self) -> None:
        """Wait for a place, unless this one has it."""
        if not self._seated:
            await self._places.acquire()
            self._seated = True

    def rise(self) -> None:
        """Leave it to the next."""
        if self._seated:
            self._seated = False
            self._places.release()


class Holding:
    """Whether a thread may still write its download. Nobody can stop it while it waits for a host.

    Who stops following it gives it up: from then on nothing is written, since the file may be somebody else's already.
    """

    class GivenUp(Exception):
        """It may not."""

    def __init__(self) -> None:
        self.file: IO[bytes] | None = None
        self._lock = threading.Lock()
        self._given_up = False

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Around whatever changes the file. Raises GivenUp."""
        with self._lock:
            if self._given_up:
                raise self.GivenUp
            yield

    def give_up(self) -> None:
        """Let nothing more be written, once the piece is that is being written."""
        with self._lock, suppress(OSError, ValueError):
            self._given_up = True
            if self.file is not None:
                self.file.flush()  # else its end would come when it is closed
