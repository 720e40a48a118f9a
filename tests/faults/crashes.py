"""Kill a buyer anywhere, let another finish, and count: paid submits, files, rows."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from ai302_core import ImageRequest
from ai302_core.requests import Request
from ai302_core.sandbox import RunningSandbox

ROOT = Path(__file__).parents[2]
KEY = "sk-sentinel-7c1e55b2f04d"
PNG_END, MP4_START = b"IEND\xaeB`\x82", b"ftyp"


class Nursery:
    """The process that forks the children; a context manager."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.nursery"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip

    def ask(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """The account of one child."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the nursery ended with {self._process.wait(10)}"
        account: dict[str, Any] = json.loads(line)
        return account

    def __enter__(self) -> Nursery:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait(10)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


@dataclass
class Tally:
    """What a campaign came to."""

    kills: int = 0
    intentions: int = 0
    paid: int = 0
    lost: int = 0
    half_files: int = 0
    unconfirmed: int = 0
    points: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.kills} kills at {len(self.points)} kinds of boundaries: {self.paid} accepted submits for "
            f"{self.intentions} intentions, {self.lost} lost jobs, {self.half_files} half files; "
            f"{self.unconfirmed} reported as unconfirmed and settled by their owner"
        )


@dataclass
class Ground:
    """One sandbox, one ledger, one nursery: where a campaign is fought."""

    sandbox: RunningSandbox
    home: Path
    nursery: Nursery
    provider: Mapping[str, Any]
    request: Request = field(default_factory=lambda: ImageRequest("a lamp"))
    files: int = 4
    mutant: str = ""
    tally: Tally = field(default_factory=Tally)

    def order(self, work: str, key: str, **more: Any) -> dict[str, Any]:
        """What a child is told."""
        provider = {**self.provider, "base_url": self.sandbox.url, "poll": {"initial": 0.02, "maximum": 0.05}}
        return {
            "work": work,
            "key": key,
            "kill_at": 0,
            "home": str(self.home),
            "save_to": str(self.home / key),
            "request": self.request.to_json(),
            "connect": {
                "config": {"default": "hero", "providers": {"hero": provider}},
                "ledger": f"sqlite:///{(self.home / 'ledger.db').as_posix()}",
            },
            "environment": {"GEN302_SANDBOX": self.sandbox.url, "GEN302_SANDBOX_KEY": KEY, "HOME": str(self.home)},
            **more,
        }

    def whole(self, work: str) -> tuple[list[str], float]:
        """A life that nobody ends: the names of its boundaries, and its seconds."""
        start = time.monotonic()
        account = self.nursery.ask(self.order(work, f"whole-{work}-{self.sandbox.paid}", mutant=self.mutant))
        assert account["error"] is None, account
        return list(account["boundaries"]), time.monotonic() - start

    def kill(self, work: str, key: str, *, at: int = 0, seconds: float = 0.0) -> None:
        """One buyer dies; another comes, settles what must be settled, and everything is counted."""
        before, known = self.sandbox.paid, len(self.sandbox.jobs)
        died = self.nursery.ask(self.order(work, key, kill_at=at, seconds=seconds, mutant=self.mutant))
        caught_up(self.sandbox)
        self.tally.intentions += 1
        if died["killed"]:
            self.tally.kills += 1
            self.tally.points[_kind(died["boundaries"])] += 1
        self._look_for_halves(key)
        self._look_for_lost(key, self.sandbox.paid - before)
        end = self.nursery.ask(self.order("run", key, watched=False))
        if end["error"] and end["error"][0] == "JobUnconfirmed":
            self.tally.unconfirmed += 1
            self._settle(key, self.sandbox.jobs[known:])
            end = self.nursery.ask(self.order("run", key, watched=False))
        where = f"{work} killed at {at or seconds} ({died['boundaries'][-1:]})"
        paid = self.sandbox.paid - before
        self.tally.paid += paid
        if paid != 1:
            self.tally.wrong.append(f"{where}: {paid} paid submits")
        if end["error"] or len(end["told"]["files"]) != self.files:
            self.tally.wrong.append(f"{where}: not finished: {end['error'] or end['told']}")
        self._look_for_halves(key)
        if hidden := [path.name for path in (self.home / key).iterdir() if path.name.startswith(".")]:
            self.tally.wrong.append(f"{where}: left behind {hidden}")

    def cancel(self, key: str, patience: float) -> None:
        """One caller loses patience. Nobody was killed: what is paid must have its receipt."""
        before, sign = self.sandbox.paid, self.home / f"{key}.sign"

        def lose_patience() -> None:
            deadline = time.monotonic() + 30
            while self.sandbox.paid == before and time.monotonic() < deadline:
                time.sleep(0.002)
            time.sleep(patience)
            sign.touch()

        waiting = threading.Thread(target=lose_patience)
        waiting.start()
        self.nursery.ask(self.order("canceled", key, sign=str(sign), mutant=self.mutant, watched=False))
        waiting.join()
        paid = self.sandbox.paid - before
        self.tally.intentions += 1
        self.tally.paid += paid
        rows = self.nursery.ask(self.order("jobs", key, watched=False))["told"]
        if paid and not any(row[0] == key and row[2] for row in rows):
            self.tally.lost += 1
            self.tally.wrong.append(
                f"{key}: canceled {patience:.3f} s after its submit was accepted, no receipt: {rows}"
            )

    def _settle(self, key: str, tasks: Iterable[Mapping[str, Any]]) -> None:
        """The owner looks at the service: there is the task, or there is none."""
        found = [task["id"] for task in tasks]
        how = {"remote_id": found[0]} if found else {"resubmit": True}
        settled = self.nursery.ask(self.order("reconcile", key, how=how, watched=False))
        if settled["error"]:
            self.tally.wrong.append(f"{key}: reconcile {how}: {settled['error']}")

    def _look_for_halves(self, key: str) -> None:
        for path in (self.home / key).glob("[!.]*") if (self.home / key).exists() else ():
            content = path.read_bytes()
            whole = content.endswith(PNG_END) if path.suffix == ".png" else MP4_START in content[:16]
            if path.suffix == ".json":
                whole = _is_json(content)
            if not whole:
                self.tally.half_files += 1
                self.tally.wrong.append(f"half a file: {path.name}, {len(content)} bytes")

    def _look_for_lost(self, key: str, paid: int) -> None:
        rows = self.nursery.ask(self.order("jobs", key, watched=False))["told"]
        if paid and not any(row[0] == key and row[1] != "refused" for row in rows):
            self.tally.lost += 1
            self.tally.wrong.append(f"{key} is paid and forgotten")


def every(ground: Ground, work: str, step: int = 1, first: int = 1) -> None:
    """A kill at every `step`-th boundary of a life."""
    for at in range(first, len(ground.whole(work)[0]) + 1, step):
        ground.kill(work, f"{work}-{at}", at=at)


def at_random(ground: Ground, work: str, count: int, seed: int) -> None:
    """So many kills at moments nobody chose. A child that was faster than its moment is none, and another is tried."""
    life = min(ground.whole(work)[1] for _ in range(3))
    for number, seconds in moments(life, seed, lambda: ground.tally.kills, count):
        ground.kill(work, f"{work}-random-{number}", seconds=seconds)


def moments(life: float, seed: int, kills: Callable[[], int], count: int) -> Iterator[tuple[int, float]]:
    """Numbered moments of a life in seconds, until `kills` counts so many more; three times as many at most."""
    chance, before = random.Random(seed), kills()
    for number in range(3 * count):
        if kills() - before >= count:
            return
        yield number, chance.uniform(0.001, life)


def canceled(ground: Ground, count: int, seed: int, late: float = 0.8) -> None:
    """So many callers that lose patience while the answer to their accepted submit is on its way for `late` seconds."""
    chance = random.Random(seed)
    fault = ground.sandbox.fault("submit", "late", times=None, seconds=late)
    for number in range(count):
        ground.cancel(f"canceled-{seed}-{number}", chance.uniform(0, 0.3))
    fault.times = 0


def caught_up(sandbox: RunningSandbox) -> None:
    """Returns once the service has read what the dead had sent: it hears one connection after the other."""
    for _ in range(2):  # its connection may have been open, and its request not yet read
        httpx.get(f"{sandbox.url}/__sandbox__/state", verify=False)


def _kind(met: list[str]) -> str:
    return met[-1] if met else "before the first boundary"


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except ValueError:
        return False
    return True
