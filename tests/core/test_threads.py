"""A request to stop is heard, whichever thread the system gives it to."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator

import pytest

from ai302_core import _loopthread, _threads
from ai302_core.jobs import Outcome

STOPPING = {signal.SIGINT, signal.SIGTERM} | ({signal.SIGHUP} if sys.platform != "win32" else set())
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows gives signals to the main thread alone")

TAKEN = """
import asyncio, signal, threading
from ai302_core._loopthread import in_thread

async def outcomes():
    begun.set()
    await asyncio.sleep(600)
    yield

async def close(): ...

def takes():
    begun.wait()
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)

begun = threading.Event()
threading.Thread(target=takes).start()
try:
    next(in_thread(outcomes, close))
except KeyboardInterrupt:
    print("stopped")
"""


async def endless() -> AsyncIterator[Outcome]:
    await asyncio.sleep(600)
    yield Outcome()


async def close() -> None:
    """Nothing belongs to the loop here."""


@posix
def test_a_signal_that_another_thread_took_stops_the_caller() -> None:
    ended = subprocess.run([sys.executable, "-c", TAKEN], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.stdout, ended.returncode) == ("stopped\n", 0), ended.stderr


def test_who_is_stopped_while_the_thread_starts_leaves_none_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(threading.Thread):
        def start(self) -> None:
            super().start()
            raise KeyboardInterrupt

    before = set(threading.enumerate())
    monkeypatch.setattr(threading, "Thread", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        next(_loopthread.in_thread(endless, close))
    assert set(threading.enumerate()) <= before


@posix
def test_a_deaf_thread_leaves_the_signals_to_the_main_one() -> None:
    masks: list[set[int]] = []

    def look() -> None:
        masks.append({int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())})

    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    for block in (_threads.deaf(), None):
        thread = threading.Thread(target=look)
        if block is None:
            thread.start()
        else:
            with block:
                thread.start()
        thread.join()
    assert [mask & STOPPING for mask in masks] == [STOPPING, set()]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
