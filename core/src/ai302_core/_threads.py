"""Threads that leave the program's signals to its main thread."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

_STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def deaf() -> Iterator[None]:
    """Threads that start in this block hear no request to stop.

    The system hands a signal to any thread that does not block it. Only the main one can act on it, and nobody wakes
    that one from a lock or a sleep when another thread took the signal. Not for threads that run a caller's code: what
    it starts would be as deaf.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
