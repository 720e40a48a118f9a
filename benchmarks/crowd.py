"""Ten thousand open jobs of a ledger, resumed in one process: one by one, then by a gateway that lists them by ids.

python -m benchmarks.crowd --jobs 10000 --where     where the loop stood still, and what was collected, too
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from ai302_core import ImageRequest, Job, Status, _crowd, aconnect
from ai302_core._flows import following
from ai302_core.config import load_settings
from ai302_core.ledger import Intent

from .measuring import Row, server, settings, stats, told
from .watching import Watched, memory

FIRST = 1_800_000_000_000_000
"""The task id of the first job."""


def seeded(path: Path, address: str, gateway: str, count: int, spread: float) -> None:
    """A ledger with so many queued jobs, bought one after the other in the last `spread` seconds."""
    from ai302_core import _sqlite

    ledger = _sqlite.open_ledger(f"sqlite:///{path}", data_dir=path.parent)
    job = Job(id="261121-00000000", provider="hero", family="midjourney", operation="imagine", gateway=gateway,
              status=Status.SUBMITTING, created_at=datetime.now(UTC), request=ImageRequest("a lantern"),
              route={"speed": ""}, base_url=address)  # fmt: skip
    ledger.claim(Intent(job=job, digest="x"))
    ledger.write(replace(job, status=Status.QUEUED, billed="yes", remote_id=f"{FIRST}", submitted_at=job.created_at))
    ledger.close()
    db = sqlite3.connect(path)
    names = [row[1] for row in db.execute("PRAGMA table_info(jobs)") if row[1] != "seq"]
    began = f"created_at - {spread} * (1 - n * 1.0 / {count})"
    own = {
        "id": "'261121-' || printf('%08d', n)",
        "remote_id": f"cast({FIRST} + n AS TEXT)",
        "created_at": began,
        "document": f"json_set(document, '$.id', '261121-' || printf('%08d', n), '$.remote_id',"
                    f" cast({FIRST} + n AS TEXT), '$.request.prompt', 'a lantern on hill ' || n, '$.created_at',"
                    f" strftime('%Y-%m-%dT%H:%M:%f+00:00', {began}, 'unixepoch'))",
    }  # fmt: skip
    with db:
        db.execute(
            f"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {count - 1})"
            f" INSERT INTO jobs ({', '.join(names)}) SELECT {', '.join(own.get(name, name) for name in names)}"
            " FROM jobs, c WHERE jobs.seq = 1"
        )
    db.close()


class Kept(following.Agenda):
    """An agenda that remembers the latest look beside what was planned, both since the look before, or the submit."""

    ratio = 0.0
    late = 0.0

    def __init__(self) -> None:
        super().__init__()
        self._planned: dict[str, tuple[datetime, datetime]] = {}

    def add(self, entry: following.Followed, now: datetime, place: float | None = None) -> None:
        """As the agenda does."""
        before = now if entry.looked else entry.created_at
        wait = entry.wait(entry.kind.schedule, entry.created_at, now)
        self._planned[entry.id] = before, now + timedelta(seconds=wait)
        super().add(entry, now, place)

    def due(self, now: datetime, most: int) -> Iterator[following.Batch]:
        """As the agenda does."""
        for batch in super().due(now, most):
            for entry in batch:
                before, planned = self._planned.pop(entry.id)
                Kept.late = max(Kept.late, (now - planned).total_seconds())
                Kept.ratio = max(Kept.ratio, (now - before) / (planned - before))
            yield batch


async def followed(config: dict[str, Any], ledger: str, count: int, counting: bool) -> dict[str, Any]:
    """Resume so many jobs at once."""
    watched, before = Watched(counting=counting), memory()
    watching = asyncio.create_task(watched.run())
    Kept.ratio = Kept.late = 0.0
    start, cpu, done = time.perf_counter(), time.process_time(), 0
    async with aconnect(config=config, ledger=ledger) as provider:
        async for outcome in provider.resume():
            if outcome.error is not None:
                raise outcome.error
            done += 1
    if done != count:
        sys.exit(f"{done} of {count} jobs came back")
    watching.cancel()
    return {"wall": time.perf_counter() - start, "cpu": time.process_time() - cpu, "memory": watched.most,
            "before": before, "gap": watched.worst(), "waited": watched.worst("wall"), "gaps": len(watched.gaps),
            "rest": max((gap.own - gap.gc for gap in watched.gaps), default=0.0),
            "late": Kept.late, "ratio": Kept.ratio, "walks": watched.walks}  # fmt: skip


def measured(gateway: str, count: int, seconds: float, planned: float, counting: bool) -> dict[str, Any]:
    """One round: what the process used and what the server saw."""
    _crowd.Agenda = Kept  # type: ignore[attr-defined]
    with server("--seconds", f"{seconds}", "--delay", "0.05") as address, tempfile.TemporaryDirectory() as folder:
        seeded(Path(folder, "ledger.db"), address, gateway, count, planned)
        config = settings(address, gateway, poll={"initial": planned, "maximum": 2 * planned})
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as earlier:
            earlier.submit(load_settings, config).result(60)  # as at any start but the first: it is known to be good
        seen = asyncio.run(followed(config, f"sqlite:///{folder}/ledger.db", count, counting))
        return {**seen, **stats(address)}


def rows(count: int, where: bool) -> list[Row]:
    """The figures."""
    found = []
    for gateway, how, seconds, planned in (("302ai", "one by one", 50.0, 30.0), ("new-api", "by lists", 30.0, 10.0)):
        # In a process of its own each: the memory of one is not the other's.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
            seen = alone.submit(measured, gateway, count, seconds, planned, where).result(300)
        gap, waited = seen["gap"], seen["waited"]
        jobs, listed = f"{count:,} jobs {how}", how == "by lists"
        each = seen["looks"] / count
        found += [
            Row(what=f"{jobs}: sockets at once", value=f"{seen['sockets'] - 1}", goal="≤ 64",
                met=seen["sockets"] <= 65),
            Row(what=f"{jobs}: memory (before: {seen['before']:.0f} MB)", value=f"{seen['memory']:.0f} MB",
                goal="< 150 MB", met=seen["memory"] < 150),
            Row(what=f"{jobs}: longest block of the loop, its own CPU", value=f"{1000 * gap.own:.0f} ms",
                beside=f"gc {1000 * gap.gc:.0f}; {seen['gaps']} over 20 ms", goal="≤ 50 ms", met=gap.own <= 0.05),
            Row(what="  without the collector of cycles, which walks all that the program imported",
                value=f"{1000 * seen['rest']:.0f} ms", goal="≤ 50 ms", met=seen["rest"] <= 0.05),
            Row(what=f"{jobs}: longest gap on the wall", value=f"{1000 * waited.wall:.0f} ms",
                beside=f"own {1000 * waited.own:.0f}, all {1000 * waited.process:.0f} ms"),
            Row(what=f"{jobs}: latest look beside its plan ({planned:g} s on)", value=f"{seen['late']:.1f} s late",
                beside=f"widest {seen['widest']:.1f} s", ratio=seen["ratio"], goal="≤ 2×", met=seen["ratio"] <= 2),
            Row(what=f"{jobs}: requests a job, {each:.1f} looks each", value=f"{seen['requests'] / count:.2f}",
                ratio=seen["requests"] / seen["looks"], goal="≤ 0.1×" if listed else "",
                met=seen["requests"] <= 0.1 * seen["looks"] if listed else None),
            Row(what=f"{jobs}: CPU a look", value=f"{1000 * seen['cpu'] / seen['looks']:.2f} ms",
                beside=f"{seen['cpu']:.0f} of {seen['wall']:.0f} s"),
        ]  # fmt: skip
        if where:
            walks = sorted(seen["walks"], key=lambda walk: -walk.objects)
            print(how, gap, waited, f"{len(walks)} whole collections", *walks[:3], sep="\n", file=sys.stderr)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--where", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    told(rows(options.jobs, options.where))
