"""Outcomes for a sync caller, from a private event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Generator

from . import _http
from .jobs import Outcome

_PAUSE = 0.5
"""Seconds of one wait. Never for good: a signal that another thread took, or any on Windows, is heard in between."""


_UNREAD = 1000
"""Outcomes that wait for their caller here; the others wait on the loop."""

_LOOK = 0.05
"""Seconds between two looks whether he has taken one."""


def in_thread(
    make: Callable[[], AsyncIterator[Outcome]], close: Callable[[], Awaitable[None]]
) -> Generator[Outcome, None, None]:
    """The outcomes that `make` gives on a loop; `close` lets go of what belongs to that loop."""
    # The one in C: an interrupt cannot leave it locked.
    ready: queue.SimpleQueue[Outcome | BaseException | None] = queue.SimpleQueue()
    stopping = threading.Event()
    loop_task: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = []

    async def work() -> None:
        async for outcome in make():
            ready.put(outcome)
            while ready.qsize() >= _UNREAD:
                await _http.sleep_async(_LOOK)

    async def main() -> None:
        task = asyncio.create_task(work())
        loop_task.append((asyncio.get_running_loop(), task))
        if stopping.is_set():
            task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            pass
        finally:
            await close()

    def thread() -> None:
        try:
            asyncio.run(main())
        except BaseException as problem:  # noqa: BLE001 - handed to the caller
            ready.put(problem)
        else:
            ready.put(None)

    worker = threading.Thread(target=thread, name="gen302-many")
    try:
        worker.start()
        while True:
            try:
                item = ready.get(timeout=_PAUSE)
            except queue.Empty:
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopping.set()
        for loop, task in loop_task:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                loop.call_soon_threadsafe(task.cancel)
        while worker.is_alive():
            worker.join(_PAUSE)
