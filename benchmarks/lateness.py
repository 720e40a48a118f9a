"""How late the looks at many jobs are, alone and with eight files coming in beside them in the same process."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from ai302_core import Asset, AsyncProvider, ImageRequest, _crowd, aconnect, connect
from ai302_core._flows.following import Agenda, Batch, Followed
from ai302_core._flows.looking import Look

from .measuring import Row, server, settings, told

JOBS = 100
FILES = 8
SIZE = 64 * 2**20
LINE = 125_000_000  # bytes a second that a line of a gigabit brings, shared by the files
WARM = 3.0  # seconds until every job was submitted
SETTLE = 1.5  # seconds until every file comes in
SECONDS = 6.0
ROUNDS = 3
PLACE = "/dev/shm" if Path("/dev/shm").is_dir() else None  # in memory: the disk of the day decides nothing


class Noting(Agenda):
    """An agenda that notes how long after its planned moment each look was answered and read."""

    def __init__(self, late: list[float]) -> None:
        super().__init__()
        self._late = late
        self._planned: dict[str, datetime] = {}

    def due(self, now: datetime, most: int) -> Iterator[Batch]:
        """The same; remembers when they were planned."""
        waiting = self._waiting
        moments = {self.risen(waiting[place]).id: moment for moment, place in self._heap if place in waiting}
        for batch in super().due(now, most):
            self._planned.update((entry.id, moments[entry.id]) for entry in batch)
            yield batch

    def take(self, batch: Batch, looks: list[Look], now: datetime) -> Iterator[Followed | None]:
        """The same; notes how late it is."""
        self._late += [(now - self._planned.pop(entry.id)).total_seconds() for entry in batch]
        return super().take(batch, looks, now)


class Arriving:
    """Files saved again and again by threads of this process, while it is entered."""

    def __init__(self, address: str, folder: str) -> None:
        self._provider = connect(config=settings(address), ledger="off")
        self._stop = threading.Event()
        self._folder = Path(folder)
        self._url = f"{address}/file/one.png"
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(FILES)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, at: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(120)
        self._provider.close()

    def _work(self, number: int) -> None:
        asset = Asset(kind="image", index=number + 1, url=self._url)
        while not self._stop.is_set():
            (path,) = self._provider.save(asset, self._folder / f"{number}-{time.monotonic_ns()}.png")
            path.unlink()


@dataclass
class Seen:
    """Seconds late, of every look of all rounds, and the processors this process used."""

    late: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)

    def part(self, share: float) -> float:
        """Milliseconds within which this share of the looks was done."""
        return 1000 * sorted(self.late)[int((len(self.late) - 1) * share)]


async def follow(address: str, seen: Seen, host: str, folder: str) -> None:
    """Look at the jobs for a while, each about every second; files come from `host`, where there is one."""
    late: list[float] = []
    _crowd.Agenda = lambda: Noting(late)  # type: ignore[assignment, attr-defined]
    arriving = Arriving(host, folder) if host else nullcontext()
    config = settings(address, poll={"initial": 1.0, "maximum": 1.0})
    async with aconnect(config=config, ledger=":memory:") as provider:
        following = asyncio.create_task(_all(provider))
        await asyncio.sleep(WARM)
        with arriving:
            await asyncio.sleep(SETTLE)
            late.clear()
            start, cpu = time.perf_counter(), time.process_time()
            await asyncio.sleep(SECONDS)
            seen.late += late
            seen.busy.append((time.process_time() - cpu) / (time.perf_counter() - start))
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following


async def _all(provider: AsyncProvider) -> None:
    async for outcome in provider.run_many(ImageRequest(f"a lantern {number}") for number in range(JOBS)):
        raise RuntimeError(f"no job was to end: {outcome.error}")


def rows() -> list[Row]:
    """The figures."""
    alone, line, full = Seen(), Seen(), Seen()
    size = ("--size", str(SIZE))
    with (
        server("--seconds", "3600", "--delay", "0.01") as jobs,
        server(*size, "--rate", str(LINE // FILES)) as slow,
        server(*size) as fast,
        tempfile.TemporaryDirectory(dir=PLACE) as folder,
    ):
        for _ in range(ROUNDS):
            for seen, host in ((alone, ""), (line, slow), (full, fast)):
                asyncio.run(follow(jobs, seen, host, folder))
    found = [
        Row(what=f"{JOBS} looks a second alone: half of them done within", value=f"{alone.part(0.5):.0f} ms",
            beside=f"99 %: {alone.part(0.99):.0f} ms")
    ]  # fmt: skip
    for seen, how in ((line, "on a gigabit"), (full, "as fast as it goes")):
        # A tenth of the second between two looks is what nobody notices.
        found.append(
            Row(what=f"  {FILES} files beside, {how} ({max(seen.busy):.1f} processors)",
                value=f"{seen.part(0.5):.0f} ms", beside=f"99 %: {seen.part(0.99):.0f} ms",
                goal="+ ≤ 100 ms", met=seen.part(0.99) - alone.part(0.99) <= 100)
        )  # fmt: skip
    return found


if __name__ == "__main__":
    told(rows())
