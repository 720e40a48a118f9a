"""Turns by name inside this process: whoever comes second waits until the first is done."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

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


def _after_fork_in_child() -> None:
    """What other threads of the parent held, nobody holds here."""
    global _guard
    _guard = threading.Condition()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
