"""Kill those who buy many, finish many, or get files with the answer; let others finish, and count the money."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai302_core import ImageRequest
from ai302_core.sandbox import serve

from . import crashes
from .crashes import KEY, Nursery, Tally

PNG_END = b"IEND\xaeB`\x82"
COUNT = 3
BATCH = ["batch", "rows.csv", "--name", "rows", "--prompt", "study {row}", "-o", "shots"]


@dataclass
class Field:
    """Where a campaign against many is fought: every kill in a home of its own, all of them at one sandbox."""

    sandbox: Any
    home: Path
    nursery: Nursery
    provider: Mapping[str, Any]
    model: str | None = None
    files: int = 4

    def __post_init__(self) -> None:
        self.tally = Tally()

    def order(self, home: Path, work: str, **more: Any) -> dict[str, Any]:
        """What a child is told. The ledger is the default one, so that the command finds it too."""
        provider = {**self.provider, "base_url": self.sandbox.url, "poll": {"initial": 0.02, "maximum": 0.05}}
        places = {f"XDG_{name}_HOME": str(home / name.lower()) for name in ("DATA", "CONFIG", "CACHE", "STATE")}
        return {
            "work": work,
            "key": "k",
            "count": COUNT,
            "words": BATCH,
            "home": str(home),
            "save_to": str(home / "shots"),
            "request": ImageRequest("a lamp", model=self.model).to_json(),
            "connect": {"config": {"default": "hero", "providers": {"hero": provider}}},
            "environment": {
                "GEN302_SANDBOX": self.sandbox.url, "GEN302_SANDBOX_KEY": KEY, "GEN302_DEFAULT": "hero",
                "GEN302_PROVIDERS__HERO__FAMILY": self.provider["family"], "HOME": str(home), **places,
            },
            "watched": False,
            **more,
        }  # fmt: skip

    def ask(self, home: Path, work: str, **more: Any) -> dict[str, Any]:
        """The account of one child."""
        return self.nursery.ask(self.order(home, work, **more))

    def whole(self, work: str) -> tuple[int, float]:
        """How many boundaries a life has that nobody ends, and its seconds."""
        home = self._prepared(work, f"whole-{work}-{self.sandbox.paid}")
        start = time.monotonic()
        account = self.ask(home, work, watched=True)
        assert account["error"] is None, account
        return len(account["boundaries"]), time.monotonic() - start

    def _prepared(self, work: str, name: str) -> Path:
        home = self.home / name
        home.mkdir(parents=True)
        (home / "rows.csv").write_text("row\n" + "".join(f"{row}\n" for row in range(COUNT)), "utf-8")
        if work == "resume":
            for number in range(COUNT):
                bought = self.ask(home, "submit", key=f"k-{number}")
                assert bought["error"] is None, bought
        return home

    def kill(self, work: str, at: int = 0, seconds: float = 0.0) -> None:
        """One dies at that boundary or moment; the same is done again, after its owner settled what nobody knows."""
        before = self.sandbox.paid
        home = self._prepared(work, f"{work}-{at or f'{seconds:.6f}'}")
        died = self.ask(home, work, watched=True, kill_at=at, seconds=seconds)
        crashes.caught_up(self.sandbox)
        count = 1 if work == "run" else COUNT
        self.tally.intentions += count
        if died["killed"]:
            self.tally.kills += 1
            self.tally.points[(died["boundaries"] or [""])[-1]] += 1
        again = "run_many" if work == "resume" else work
        self.ask(home, "resume")
        abandoned = self._settled(home, before)
        end = self.ask(home, again)
        paid = self.sandbox.paid - before
        self.tally.paid += paid
        where = f"{work} killed at {at or seconds} ({died['boundaries'][-1:]})"
        rows = self.ask(home, "jobs")["told"]
        if sum(row[1] != "refused" for row in rows) < paid:
            self.tally.lost += 1
            self.tally.wrong.append(f"{where}: {paid} paid, and of these the ledger knows {rows}")
        if paid != count:
            self.tally.wrong.append(f"{where}: {paid} paid submits for {count} intentions")
        shots = [path for path in (home / "shots").glob("*") if path.name != "gen302-batch.json"]
        halves = [
            path.name
            for path in shots
            if path.name[0] != "." and path.suffix == ".png" and not path.read_bytes().endswith(PNG_END)
        ]
        self.tally.half_files += len(halves)
        whole = sum(path.suffix == ".png" and not path.name.startswith(".") for path in shots)
        # A second name of a complete file may be left: nobody looks into a folder in which nothing is missing.
        if whole != (count - abandoned) * self.files:
            self.tally.wrong.append(f"{where}: {sorted(path.name for path in shots)}, told {end}")

    def _settled(self, home: Path, before: int) -> int:
        """The owner's decision about each job nobody knows of; how many were paid and cannot be had."""
        rows = self.ask(home, "jobs")["told"]
        lost = [key for key, status, remote_id in rows if status == "unconfirmed" and remote_id is None]
        known = {remote_id for _, _, remote_id in rows}
        strays = [task["id"] for task in self.sandbox.jobs[before:] if task["id"] not in known]
        unlisted = self.sandbox.paid - before - len([row for row in rows if row[1] not in ("unconfirmed", "refused")])
        gone = 0
        for key in lost:
            self.tally.unconfirmed += 1
            how: dict[str, Any] = {"remote_id": strays.pop(0)} if strays else {"resubmit": True}
            if self.model is not None and unlisted > 0:  # answered at once: there is no task to find
                how, gone, unlisted = {"abandon": True}, gone + 1, unlisted - 1
            settled = self.ask(home, "reconcile", key=key, how=how)
            if settled["error"]:
                self.tally.wrong.append(f"{home.name}: reconcile {how}: {settled['error']}")
        return gone


@contextmanager
def fought(home: Path, options: Mapping[str, Any], **row: Any) -> Iterator[Field]:
    """A field with a sandbox and a nursery of its own."""
    with serve(seed=1, speed=400.0, key=KEY, options=options) as sandbox, Nursery() as nursery:
        yield Field(sandbox, home, nursery, **row)


def every(field: Field, work: str, step: int = 1, first: int = 1, length: int | None = None) -> None:
    """A kill at every `step`-th boundary of a life of that length, or of one that is lived to see."""
    for at in range(first, (length or field.whole(work)[0]) + 1, step):
        field.kill(work, at)


def at_random(field: Field, work: str, count: int, seed: int) -> None:
    """So many kills at moments nobody chose."""
    life = min(field.whole(work)[1] for _ in range(2))
    for _, seconds in crashes.moments(life, seed, lambda: field.tally.kills, count):
        field.kill(work, seconds=seconds)
