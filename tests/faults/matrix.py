"""Runs cells of the matrix: each in a sandbox, a ledger and a folder of its own, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ai302_core import Job, Outcome, Result, Status, aconnect, connect
from ai302_core.errors import Ai302Error
from ai302_core.sandbox import Look, RunningSandbox, serve, tile

from .buying import PICTURE, Buying
from .cells import FILES, OPEN, Cell, cells

KEY = "sk-sentinel-7c1e55b2f04d"
MODES = ("sync", "async")
TIMEOUTS = {"connect": 60.0, "submit": 60.0, "poll": 60.0, "download": 60.0}
HASTY = {**TIMEOUTS, "submit": 2.5, "poll": 0.8}
"""For what meets a late answer. A machine that sleeps is late with the others too: those have time."""


@dataclass(frozen=True)
class Row:
    """What came of one cell; `wrong` lists every difference from what was written down."""

    buying: str
    mode: str
    cell: Cell
    paid: int
    told: str
    status: str
    wrong: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.buying} · {self.mode} · {self.cell.name}: {'; '.join(self.wrong) or 'as written'}"


def everything(buyings: Iterable[Buying]) -> Iterator[tuple[Buying, str, Cell]]:
    """Every cell of every intention over both drivers."""
    for buying in buyings:
        for cell in cells(buying.has, buying.own):
            if cell in buying.own or (cell.where, cell.kind) not in buying.lacks:
                for mode in MODES:
                    yield buying, mode, cell


def run(chosen: Iterable[tuple[Buying, str, Cell]], home: Path, at_once: int = 8) -> Iterator[Row]:
    """The rows, in order; several cells run side by side, each in a world of its own."""
    places = ((home / str(number), *entry) for number, entry in enumerate(chosen))
    with ThreadPoolExecutor(at_once) as pool:
        yield from pool.map(lambda entry: _met(*entry), places)


def _met(home: Path, buying: Buying, mode: str, cell: Cell) -> Row:
    home.mkdir(parents=True)
    with serve(seed=1, speed=400.0, key=KEY, strict=True) as sandbox:
        return _judged(Attempt(sandbox, home, buying, mode), cell)


def _judged(attempt: Attempt, cell: Cell) -> Row:
    attempt = replace(attempt, parent=attempt.prepared())
    sandbox, wrong = attempt.sandbox, []
    before = sandbox.paid
    fault = sandbox.fault(cell.where, cell.kind, cell.times, **cell.options)
    first = replace(attempt, timeouts=HASTY) if cell.kind == "late" else attempt
    told = first.buy(timeout=3.0 if cell.told == "JobTimeout" else 60.0)
    paid, status = sandbox.paid - before, attempt.status()
    if fault.hits == 0:
        wrong.append("the fault never happened")
    fault.times = 0
    then = attempt.buy(timeout=60.0)
    for what, got, expected in (
        ("accepted submits", paid, cell.paid * attempt.buying.together),
        ("told", told, cell.told),
        ("status", status, cell.status),
        ("told then", then, cell.then),
        ("accepted submits then", sandbox.paid - before, cell.bought * attempt.buying.together),
        ("keys at the file host", sandbox.leaks, 0),
    ):
        if got != expected:
            wrong.append(f"{what}: {got}, not {expected}")
    wrong += attempt.halves()
    return Row(attempt.buying.name, attempt.mode, cell, paid, told, status, tuple(wrong))


def _word(job: Job) -> str:
    return OPEN if job.status in (Status.QUEUED, Status.RUNNING) else job.status.value


@dataclass(frozen=True)
class Attempt:
    """One intention in one world."""

    sandbox: RunningSandbox
    home: Path
    buying: Buying
    mode: str
    parent: Job | None = None
    timeouts: Mapping[str, float] = field(default_factory=lambda: TIMEOUTS)

    def prepared(self) -> Job | None:
        """The job whose button is the intention, bought before anything goes wrong; None for a request."""
        *before, _ = self.buying.presses or ("",)
        if not self.buying.presses:
            return None
        job: Job = self._call("run", self._request(), key="parent").job
        for press in before:
            job = self._call("wait", self._call("act", job, press)).job
        return job

    def buy(self, timeout: float) -> str:
        """Run the intention under its key: "files", or the name of what was raised."""
        if self.buying.together > 1:
            return self._buy_together()
        try:
            if self.parent is None:
                result: Result = self._call("run", self._request(), key="order", timeout=timeout, save_to=self.folder)
                files = result.files
            else:
                job = self._call("act", self.parent, self.buying.presses[-1], key="order", **self.buying.fields)
                files = self._call("save", self._call("wait", job, timeout=timeout), self.folder)
        except Ai302Error as problem:
            return type(problem).__name__
        whole = len(files) == self.buying.files and all(path.stat().st_size for path in files)
        return FILES if whole else f"{len(files)} files"

    def _buy_together(self) -> str:
        requests = {f"order-{number}": self._request() for number in range(self.buying.together)}
        outcomes: list[Outcome] = self._call("run_many", requests, save_to=self.folder)
        ends = {
            type(outcome.error).__name__ if outcome.error else f"{len(outcome.files)} files" for outcome in outcomes
        }
        whole = ends == {f"{self.buying.files} files"} and len(outcomes) == len(requests)
        return FILES if whole else ", ".join(sorted(ends))

    def status(self) -> str:
        """Of the jobs that hold the keys; "" when they are free."""
        jobs = [job for job in self._call("jobs") if (job.key or "").startswith("order")]
        return ", ".join(sorted({_word(job) for job in jobs if job.status is not Status.REFUSED}))

    def halves(self) -> list[str]:
        """What lies in the folder and is no complete file."""
        found = list(self.folder.iterdir()) if self.folder.exists() else []
        ends = {".png": b"IEND\xaeB`\x82", ".json": b"}\n"}
        return [
            f"half a file: {path.name}"
            for path in found
            if path.name.startswith(".") or not path.read_bytes().endswith(ends.get(path.suffix, b""))
        ]

    @property
    def folder(self) -> Path:
        """Where the files go."""
        return self.home / "shots"

    def _request(self) -> Any:
        request = self.buying.request
        if getattr(request, "first_frame", None) != PICTURE:
            return request
        path = self.home / PICTURE
        if not path.exists():
            path.write_bytes(tile(Look("a first frame", "1", "1"), (320, 180)))
        return replace(request, first_frame=path)  # type: ignore[call-arg]

    def _call(self, verb: str, *values: Any, **named: Any) -> Any:
        provider = {
            **self.buying.provider,
            "base_url": self.sandbox.url,
            "poll": {"initial": 0.02, "maximum": 0.05},
            "timeouts": self.timeouts,
        }
        options: dict[str, Any] = {
            "config": {"default": "hero", "providers": {"hero": provider}},
            "ledger": f"sqlite:///{(self.home / 'ledger.db').as_posix()}",
            "api_key": KEY,
        }
        if self.mode == "sync":
            with connect(**options) as buyer:
                got = getattr(buyer, verb)(*values, **named)
                return list(got) if isinstance(got, Iterator) else got

        async def main() -> Any:
            async with aconnect(**options) as buyer:
                got = getattr(buyer, verb)(*values, **named)
                return [entry async for entry in got] if isinstance(got, AsyncIterator) else await got

        return asyncio.run(main())
