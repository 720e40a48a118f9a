"""What the ledger adds to a submit, beside two bare commits; how long ten writers and a million rows let one wait."""

from __future__ import annotations

import itertools
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ai302_core import ImageRequest, Job, Status, _sqlite
from ai302_core._flows import outcomes
from ai302_core.ledger import Intent

from .measuring import ROOT, Row, cpu, in_turn, told

PAIRS = 20
ROUNDS = 25
ROWS = 1_000_000
WRITERS = 10
SECONDS = 5.0


def rows() -> list[Row]:
    """The figures."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = _sqlite.open_ledger(f"sqlite:///{folder}/ledger.db", data_dir=Path(folder))
        db = sqlite3.connect(f"{folder}/bare.db", isolation_level=None)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE jobs (id TEXT PRIMARY KEY, document TEXT)")
        numbers = itertools.count()

        def bare() -> None:
            for _ in range(PAIRS):
                name = f"{next(numbers):016}"
                with db:
                    db.execute("BEGIN IMMEDIATE")
                    db.execute("INSERT INTO jobs VALUES (?, ?)", (name, "x" * 500))
                with db:
                    db.execute("BEGIN IMMEDIATE")
                    db.execute("UPDATE jobs SET document = ? WHERE id = ?", ("y" * 700, name))

        def ours() -> None:
            for _ in range(PAIRS):
                job = Job(id=f"261121-{next(numbers):08}", provider="hero", family="midjourney", operation="imagine",
                          status=Status.SUBMITTING, created_at=datetime.now(UTC), request=ImageRequest("a lantern"),
                          base_url="https://api.302.ai")  # fmt: skip
                ledger.claim(Intent(job=job, digest="x"))
                ledger.write(replace(job, status=Status.QUEUED, remote_id="1", raw={"code": 1}), b'{"code":1}')

        def wall(work: object) -> float:
            start = time.perf_counter()
            work()  # type: ignore[operator]
            return time.perf_counter() - start

        ours()
        alone, recorded = (1000 * s / PAIRS for s in in_turn([lambda: wall(bare), lambda: wall(ours)], ROUNDS))
        alone_cpu, recorded_cpu = (1000 * s / PAIRS for s in in_turn([lambda: cpu(bare), lambda: cpu(ours)], 5))
        ledger.close()
        db.close()
    return [
        Row(what="intent and receipt, durable: wall", value=f"{recorded:.2f} ms", beside=f"two commits {alone:.2f} ms",
            ratio=recorded / alone, goal="≤ 1.50×", met=recorded / alone <= 1.5),
        Row(what="the same: CPU", value=f"{recorded_cpu:.2f} ms", beside=f"{alone_cpu:.2f} ms",
            ratio=recorded_cpu / alone_cpu),
        *_together(),
        *_large(),
    ]  # fmt: skip


def _together() -> list[Row]:
    """How long one of ten processes that write without pause waits at worst."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.durability", "--write", folder, f"{time.time() + 5}"]
        writers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(WRITERS)]
        found = [json.loads(writer.communicate(timeout=120)[0]) for writer in writers]
    waits = sorted(wait for one in found for wait in one)
    counts = [len(one) for one in found]
    return [
        Row(what=f"{WRITERS} processes writing without pause: longest wait", value=f"{1000 * waits[-1]:.0f} ms",
            beside=f"99 %: {1000 * waits[int(len(waits) * 0.99)]:.0f} ms", goal="< 300 ms", met=waits[-1] < 0.3),
        Row(what=f"the same: writes of the fewest, of {len(waits) / SECONDS:.0f} a second", value=f"{min(counts)}",
            beside=f"of the most {max(counts)}", ratio=min(counts) / max(counts)),
    ]  # fmt: skip


def _written(folder: str, start: float) -> list[float]:
    """What each write of one process took, from `start` (seconds since 1970) on: an intent, its receipt, and so on."""
    ledger = _sqlite.open_ledger(f"sqlite:///{folder}/ledger.db", data_dir=Path(folder))
    job = Job(id="", provider="hero", family="midjourney", operation="imagine", created_at=datetime.now(UTC),
              status=Status.SUBMITTING, request=ImageRequest("a lantern"))  # fmt: skip
    ledger.claim(Intent(job=replace(job, id=f"{os.getpid()}-first"), digest="x"))
    time.sleep(max(0.0, start - time.time()))
    waits: list[float] = []
    end = time.perf_counter() + SECONDS
    for number in itertools.count():
        mine = replace(job, id=f"{os.getpid()}-{number}")
        for work in (
            lambda mine=mine: ledger.claim(Intent(job=mine, digest="x")),
            lambda mine=mine: ledger.write(replace(mine, status=Status.QUEUED, remote_id="1")),
        ):
            before = time.perf_counter()
            work()
            waits.append(time.perf_counter() - before)
        if time.perf_counter() > end:
            return waits
    return waits


def _large() -> list[Row]:
    """How long a million rows let a list, a key and an id wait."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = _sqlite.open_ledger(f"sqlite:///{folder}/ledger.db", data_dir=Path(folder))
        start = datetime.now(UTC) - timedelta(days=400)
        job = Job(id="261121-aaaaaaaa", provider="hero", family="midjourney", operation="imagine", key="key-0",
                  status=Status.SUCCEEDED, created_at=start, finished_at=start + timedelta(seconds=40),
                  request=ImageRequest("a lantern"))  # fmt: skip
        ledger.write(job)
        db = sqlite3.connect(f"{folder}/ledger.db")
        names = [row[1] for row in db.execute("PRAGMA table_info(jobs)") if row[1] != "seq"]
        own = {"id": "'261121-' || printf('%08d', n)", "key": "'key-' || n", "created_at": "created_at + n * 30"}
        chosen = ", ".join(own.get(name, name) for name in names)
        db.execute("PRAGMA synchronous = OFF")
        with db:
            db.execute(
                f"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {ROWS})"
                f" INSERT INTO jobs ({', '.join(names)}) SELECT {chosen} FROM jobs, c WHERE jobs.seq = 1"
            )
        db.close()
        still = (Status.SUBMITTING, Status.QUEUED, Status.RUNNING, Status.INPUT_REQUIRED, Status.UNCONFIRMED)
        asked: dict[str, Callable[[], object]] = {
            "jobs list (the newest 20)": lambda: ledger.jobs(limit=20),
            "what is open, for resume": lambda: ledger.jobs(status=still),
            "what is not saved yet, for resume": lambda: ledger.unsaved(outcomes.complete),
            "a key": lambda: ledger.find("key-777777"),
            "an id": lambda: ledger.job("261121-00777777"),
        }
        found = []
        for what, work in asked.items():
            work()
            start_at = time.perf_counter()
            work()
            taken = 1000 * (time.perf_counter() - start_at)
            found.append(
                Row(what=f"1,000,000 rows: {what}", value=f"{taken:.1f} ms", goal="≤ 100 ms", met=taken <= 100)
            )
        ledger.close()
    return found


if __name__ == "__main__":
    if "--write" in sys.argv:
        print(json.dumps(_written(sys.argv[2], float(sys.argv[3]))))
    else:
        told(rows())
