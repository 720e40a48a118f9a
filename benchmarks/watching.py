"""How long an event loop stood still, where, who had the processor meanwhile, and what the collector walked through."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
import time
import traceback
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

BEAT = 0.01
"""Seconds between two beats of the loop."""


def memory() -> float:
    """Megabytes this process holds, or 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except OSError:
        return 0.0


@dataclass(frozen=True)
class Gap:
    """A time the loop did not turn: seconds on the wall, of CPU by its own thread, and by the whole process.

    Where its own thread had less, it waited: for the interpreter's lock while the process worked, else for a processor.
    `gc`: what of its own CPU the collector of cycles took.
    """

    wall: float
    own: float
    process: float
    gc: float
    where: str


@dataclass(frozen=True)
class Walk:
    """A whole collection of cycles, by whichever thread: CPU seconds, the objects it walked through, most of what."""

    seconds: float
    objects: int
    most: str


class Watched:
    """Every gap of the running loop, and the most memory. A thread looks where the loop is when it is late.

    walks  every whole collection; only with `counting`, which takes a few milliseconds each
    """

    def __init__(self, *, counting: bool = False) -> None:
        self.gaps: list[Gap] = []
        self.walks: list[Walk] = []
        self._counting = counting
        self._walking = 0.0
        self.most = 0.0
        self._beat = time.perf_counter()
        self._where = ""
        self._over = threading.Event()
        self._loop = 0
        self._collecting = self._collected = 0.0

    def _counts(self, phase: str, info: dict[str, int]) -> None:
        if info["generation"] < 2:
            return
        if phase == "start":
            self._walking = time.thread_time()
            return
        seconds, objects = time.thread_time() - self._walking, gc.get_objects()
        kinds = Counter(f"{type(entry).__module__}.{type(entry).__qualname__}" for entry in objects)
        most = ", ".join(f"{count} {kind.removeprefix('builtins.')}" for kind, count in kinds.most_common(16))
        self.walks.append(Walk(seconds, len(objects), most))

    def _collects(self, phase: str, _: dict[str, int]) -> None:
        if threading.get_ident() == self._loop:
            if phase == "start":
                self._collecting = time.thread_time()
            else:
                self._collected += time.thread_time() - self._collecting

    async def run(self) -> None:
        """Beat until canceled."""
        self._loop = threading.get_ident()
        threading.Thread(target=self._look, daemon=True).start()
        gc.callbacks.append(self._collects)
        if self._counting:
            gc.callbacks.append(self._counts)
        try:
            while True:
                start, own, process = time.perf_counter(), time.thread_time(), time.process_time()
                self._beat, self._where, self._collected = start, "", 0.0
                await asyncio.sleep(BEAT)
                late = time.perf_counter() - start - BEAT
                if late > 0.02:
                    used = time.thread_time() - own
                    self.gaps.append(Gap(late, min(late, used), time.process_time() - process, self._collected,
                                         self._where))  # fmt: skip
                self.most = max(self.most, memory())
        finally:
            gc.callbacks.remove(self._collects)
            if self._counting:
                gc.callbacks.remove(self._counts)
            self._over.set()

    def _look(self) -> None:
        while not self._over.wait(0.02):
            late = time.perf_counter() - self._beat
            frame = sys._current_frames().get(self._loop)
            if late > 0.04 and frame is not None:
                steps = traceback.extract_stack(frame)
                self._where = " < ".join(f"{Path(step.filename).stem}.{step.name}" for step in reversed(steps[-5:]))

    def worst(self, of: str = "own") -> Gap:
        """The longest gap; by its thread's own CPU, what others take of the processor is no block of its callbacks."""
        return max(self.gaps, key=lambda gap: getattr(gap, of), default=Gap(0.0, 0.0, 0.0, 0.0, ""))
