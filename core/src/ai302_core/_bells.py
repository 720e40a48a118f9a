"""Who sleeps until the next look at a job, so that a callback can wake them. Safe to ring from any thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

KEPT = 10_000
"""Rings that nobody heard yet, kept for whoever goes to sleep next; the oldest are forgotten."""


class Bells:
    """A bell for each job somebody sleeps on.

    armed  whether anybody may ring; until then sleepers sleep as if there were no bells
    """

    def __init__(self) -> None:
        self.armed = False
        self._lock = threading.Lock()
        self._sleepers: dict[str, list[Callable[[], object]]] = {}
        self._crowds: list[Callable[[str], bool]] = []
        self._rung: dict[str, None] = {}

    def ring(self, job_id: str) -> bool:
        """Wake everybody who follows the job; False when nobody does, then the next one does not sleep at all."""
        with self._lock:
            sleepers = list(self._sleepers.get(job_id, ()))
            heard = [hear(job_id) for hear in self._crowds]
            if not sleepers and not any(heard):
                self._rung[job_id] = None
                if len(self._rung) > KEPT:
                    del self._rung[next(iter(self._rung))]
        for wake in sleepers:
            wake()
        return bool(sleepers) or any(heard)

    def missed(self, job_id: str) -> bool:
        """Whether it rang while nobody followed the job; said once."""
        with self._lock:
            return job_id in self._rung and self._rung.pop(job_id) is None

    @contextmanager
    def heard(self, hear: Callable[[str], bool]) -> Iterator[None]:
        """Meanwhile `hear` is told of every bell, from any thread; it says whether the job is one it follows."""
        with self._lock:
            self._crowds.append(hear)
        try:
            yield
        finally:
            with self._lock:
                self._crowds.remove(hear)

    @contextmanager
    def _asleep(self, job_id: str, wake: Callable[[], object]) -> Iterator[None]:
        with self._lock:
            if job_id in self._rung:
                del self._rung[job_id]
                wake()
            self._sleepers.setdefault(job_id, []).append(wake)
        try:
            yield
        finally:
            with self._lock:
                self._sleepers[job_id].remove(wake)
                if not self._sleepers[job_id]:
                    del self._sleepers[job_id]

    def sleep(self, job_id: str, seconds: float) -> None:
        """Wait for so long, or until the bell rings."""
        woken = threading.Event()
        with self._asleep(job_id, woken.set):
            woken.wait(seconds)

    async def sleep_async(self, job_id: str, seconds: float) -> None:
        """The same on the running loop."""
        loop, woken = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop ended a moment ago
                loop.call_soon_threadsafe(woken.set)

        alarm = loop.call_later(seconds, woken.set)
        try:
            with self._asleep(job_id, wake):
                await woken.wait()
        finally:
            alarm.cancel()
