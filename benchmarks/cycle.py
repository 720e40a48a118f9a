"""What the library costs beside the same requests written by hand with httpx: one submit, three looks, read."""

from __future__ import annotations

import itertools
import os
import sqlite3
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from ai302_core import ImageRequest, Job, connect

from .measuring import Row, cpu, in_turn, server, settings, told

CYCLES = 60
ROUNDS = 7


def _watch(_: Job) -> None:
    """Whoever watches is shown the first look at once, not when the fastest jobs are usually done."""


def rows() -> list[Row]:
    """The figures."""
    with server("--polls", "3") as address, tempfile.TemporaryDirectory() as folder:
        config = settings(address, poll={"initial": 0.01, "maximum": 0.01})
        provider = connect(config=config, ledger="off")
        durable = connect(config=config, ledger=f"sqlite:///{folder}/ledger.db")
        key = os.environ["BENCH_KEY"]

        with httpx.Client(headers={"accept": "application/json", "mj-api-secret": key}) as client:

            def by_hand() -> None:
                for _ in range(CYCLES):
                    body = {"prompt": "a lantern", "botType": "MID_JOURNEY"}
                    answer = client.post(f"{address}/mj/submit/imagine", json=body, timeout=120).json()
                    assert answer["code"] == 1
                    while True:
                        time.sleep(0.01)
                        task = client.get(f"{address}/mj/task/{answer['result']}/fetch", timeout=30).json()
                        if task["status"] == "SUCCESS":
                            break
                    assert task["imageUrls"][0]["url"]

            def with_the_library() -> None:
                for _ in range(CYCLES):
                    assert provider.run(ImageRequest("a lantern"), on_update=_watch).images[0].url

            def with_a_ledger() -> None:
                for _ in range(CYCLES):
                    assert durable.run(ImageRequest("a lantern"), on_update=_watch).images[0].url

            least = in_turn([lambda: cpu(by_hand), lambda: cpu(with_the_library), lambda: cpu(with_a_ledger)], ROUNDS)
        hand, ours, recorded = (1000 * seconds / CYCLES for seconds in least)
        provider.close()
        durable.close()
    return [
        Row(
            what="a cycle (submit, 3 looks, result), ledger off: CPU",
            value=f"{ours:.2f} ms",
            beside=f"httpx by hand {hand:.2f} ms",
            ratio=ours / hand,
            goal="≤ 1.10×",
            met=ours / hand <= 1.10,
        ),
        Row(what="what the ledger adds to a cycle: CPU", value=f"{recorded - ours:.2f} ms"),
        *_beside_two_commits(tempfile.gettempdir()),
        *(_beside_two_commits("/dev/shm") if Path("/dev/shm").is_dir() else ()),  # memory: a sync costs nothing
    ]


class _Timed:
    """A ledger that adds up the seconds which calls to it took."""

    def __init__(self, ledger: Any) -> None:
        self._ledger = ledger
        self.seconds = 0.0

    def __getattr__(self, name: str) -> Any:
        work = getattr(self._ledger, name)
        if not callable(work):
            return work

        def timed(*values: Any, **named: Any) -> Any:
            start = time.perf_counter()
            try:
                return work(*values, **named)
            finally:
                self.seconds += time.perf_counter() - start

        return timed


def _beside_two_commits(place: str) -> list[Row]:
    """All that a cycle waits for its ledger, beside two bare commits that are synced, on the disk of a folder.

    The commits are made in turn with the cycles, and after a rest like the cycle's, so that both find the processor's
    caches as cold. The medians are compared: the least of a disk's times is luck.
    """
    with server("--polls", "3") as address, tempfile.TemporaryDirectory(dir=place) as folder:
        kind = subprocess.run(["stat", "-f", "-c", "%T", folder], capture_output=True, text=True).stdout.strip()
        config = settings(address, poll={"initial": 0.01, "maximum": 0.01})
        provider = connect(config=config, ledger=f"sqlite:///{folder}/ledger.db")
        ledger: Any = _Timed(provider._connection.ledger)
        provider._connection.ledger = ledger

        def cycle() -> float:
            before = ledger.seconds
            assert provider.run(ImageRequest("a lantern"), on_update=_watch).images[0].url
            return float(ledger.seconds - before)

        synced, unsynced = _bare(folder, "FULL"), _bare(folder, "OFF")
        turns = [(cycle(), synced(), unsynced()) for _ in range(CYCLES * 3)]
        ours, two, free = (1000 * statistics.median(column) for column in zip(*turns, strict=True))
        provider.close()
    return [
        Row(
            what=f"what the ledger adds to a cycle, on {kind or place}: wall",
            value=f"{ours:.2f} ms",
            beside=f"two commits {two:.2f} ms",
            ratio=ours / two,
            goal="≤ 1.50×",
            met=ours / two <= 1.5,
        ),
        Row(what="  what one sync costs there", value=f"{(two - free) / 2:.2f} ms"),
    ]


def _bare(folder: str, synchronous: str) -> Callable[[], float]:
    """Two commits, an intent and its receipt without any library: the seconds they take."""
    db = sqlite3.connect(Path(folder) / f"{synchronous}.db", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute(f"PRAGMA synchronous = {synchronous}")
    db.execute("CREATE TABLE jobs (id TEXT PRIMARY KEY, document TEXT)")
    numbers = itertools.count()

    def two() -> float:
        name, taken = f"{next(numbers):016}", 0.0
        for statement, values in (
            ("INSERT INTO jobs (document, id) VALUES (?, ?)", ("x" * 500, name)),
            ("UPDATE jobs SET document = ? WHERE id = ?", ("y" * 700, name)),
        ):
            time.sleep(0.01)
            start = time.perf_counter()
            db.execute("BEGIN IMMEDIATE")
            db.execute(statement, values)
            db.execute("COMMIT")
            taken += time.perf_counter() - start
        return taken

    return two


if __name__ == "__main__":
    told(rows())
