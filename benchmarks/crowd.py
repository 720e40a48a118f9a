"""Many jobs in one process: sockets, memory, lateness, blocks of the loop, CPU; then many submits at once."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sqlite3
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from ai302_core import ImageRequest, aconnect, connect

from .measuring import Row, server, settings, stats, told


def memory() -> float:
    """Megabytes this process holds, or 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except OSError:
        return 0.0


class Watched:
    """How long the loop stood still, and the most memory, while it runs."""

    def __init__(self) -> None:
        self.blocked: list[float] = []
        self.most = 0.0

    async def run(self) -> None:
        """Ask to be woken every hundredth of a second, and note how much later it was."""
        while True:
            start, cpu = time.perf_counter(), time.thread_time()
            await asyncio.sleep(0.01)
            late = time.perf_counter() - start - 0.01
            # By this thread's own CPU: what other programs on the machine take is no block of ours.
            self.blocked.append(min(late, time.thread_time() - cpu))
            self.most = max(self.most, memory())


async def many(address: str, count: int, config: dict[str, Any], ledger: str) -> dict[str, Any]:
    """Follow `count` jobs at once."""
    watched = Watched()
    before = memory()
    watching = asyncio.create_task(watched.run())
    start, cpu = time.perf_counter(), time.process_time()
    done = 0
    async with aconnect(config=config, ledger=ledger) as provider:
        async for outcome in provider.run_many(ImageRequest(f"a lantern {n}") for n in range(count)):
            if outcome.error is not None:
                raise outcome.error
            done += 1
    watching.cancel()
    blocked = sorted(watched.blocked)
    return {
        "done": done,
        "wall": time.perf_counter() - start,
        "cpu": time.process_time() - cpu,
        "memory": watched.most,
        "before": before,
        "blocked": blocked[-1],
        "blocked_99": blocked[int(len(blocked) * 0.99)],
        **stats(address),
    }


def submits(count: int) -> dict[str, Any]:
    """So many durable submits at once, by threads: how many commits they took."""
    commits = 0

    def seen(statement: str) -> None:
        nonlocal commits
        commits += statement.startswith("COMMIT")

    with server("--polls", "1", "--delay", "0.05") as address, tempfile.TemporaryDirectory() as folder:
        provider = connect(config=settings(address), ledger=f"sqlite:///{folder}/ledger.db")
        provider.submit(ImageRequest("warm"))
        store = provider._connection.ledger._store  # type: ignore[attr-defined]
        store._writer.set_trace_callback(seen)
        gate = threading.Semaphore(64)

        def one(number: int) -> None:
            with gate:
                provider.submit(ImageRequest(f"lantern {number}"))

        threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        wall = time.perf_counter() - start
        rows = sqlite3.connect(f"{folder}/ledger.db").execute("SELECT count(*) FROM jobs").fetchone()[0]
        provider.close()
        return {"commits": commits, "wall": wall, "rows": rows, **stats(address)}


def rows(count: int, seconds: float) -> list[Row]:
    """The figures."""
    with server("--seconds", f"{seconds}", "--delay", "0.05") as address, tempfile.TemporaryDirectory() as folder:
        config = settings(address, poll={"initial": 10, "maximum": 20})
        seen = asyncio.run(many(address, count, config, f"sqlite:///{folder}/ledger.db"))
    gc.collect()
    at_once = submits(1000)
    jobs = f"{count:,} jobs of {seconds:g} s"
    ideal = count / 16 * 0.05
    return [
        Row(what=f"{jobs}: sockets at once", value=f"{seen['sockets']}", goal="≤ 64 + 16",
            met=seen["sockets"] <= 80),
        Row(what=f"{jobs}: memory (before: {seen['before']:.0f} MB)", value=f"{seen['memory']:.0f} MB",
            goal="< 150 MB", met=seen["memory"] < 150),
        Row(what=f"{jobs}: longest block of the loop (own CPU)", value=f"{1000 * seen['blocked']:.0f} ms",
            beside=f"99 %: {1000 * seen['blocked_99']:.0f} ms", goal="≤ 50 ms", met=seen["blocked"] <= 0.05),
        Row(what=f"{jobs}: longest time between looks (planned 10 s)", value=f"{seen['widest']:.1f} s", goal="≤ 20 s",
            met=seen["widest"] <= 20),
        Row(what=f"{jobs}: the last submit went out after", value=f"{seen['submitting']:.1f} s",
            beside=f"ideal {ideal:.1f} s", ratio=seen["submitting"] / ideal, goal="≤ 1.10×",
            met=seen["submitting"] <= 1.1 * ideal),
        Row(what=f"{jobs}: CPU a job, {seen['looks'] / count:.1f} looks each",
            value=f"{1000 * seen['cpu'] / count:.1f} ms"),
        Row(what="1,000 durable submits, 64 threads: commits", value=f"{at_once['commits']}", beside="2,000 alone",
            ratio=at_once["commits"] / 2000, goal="far fewer", met=at_once["commits"] < 1500),
    ]  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    told(rows(options.jobs, options.seconds))
