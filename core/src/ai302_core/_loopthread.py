"""Outcomes for a sync caller, from a private event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Generator

from .jobs import Outcome


def in_thread(
    make: Callable[[], AsyncIterator[Outcome]], close: Callable[[], Awaitable[None]]
) -> Generator[Outcome, None, None]:
    """The outcomes that `make` gives on a loop; `close` lets go of what belongs to that loop."""
    ready: queue.Queue[Outcome | BaseException | None] = queue.Queue()
    loop_task: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = []

    async def work() -> None:
        async for outcome in make():
            ready.put(outcome)

    async def main() -> None:
        task = asyncio.create_task(work())
        loop_task.append((asyncio.get_running_loop(), task))
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
    worker.start()
    try:
        while True:
            item = ready.get()
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        if worker.is_alive() and loop_task:
            loop, task = loop_task[0]
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(task.cancel)
        worker.join()
