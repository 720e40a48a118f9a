"""What the programs share: CPU of a piece of work beside another, a server to talk to, one line of the table."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure: what was measured, its value, what it is held against, the goal, and whether it is met."""

    what: str
    value: str
    beside: str = ""
    ratio: float | None = None
    goal: str = ""
    met: bool | None = None

    def __str__(self) -> str:
        shown = "" if self.ratio is None else f"{self.ratio:.2f}×"
        sign = {True: "yes", False: "NO", None: ""}[self.met]
        return f"{self.what:<58} {self.value:>16} {self.beside:>22} {shown:>8} {self.goal:>12} {sign:>4}"


HEADER = f"{'':<58} {'ours':>16} {'beside':>22} {'ratio':>8} {'goal':>12} {'met':>4}"


def machine() -> str:
    """What this was measured on."""
    model = ""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return (
        f"{platform.system()} {platform.release()}, {os.cpu_count()} × {model or platform.machine()}, "
        f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f} at the start"
    )


def child_cpu(command: Sequence[str], env: dict[str, str] | None = None) -> float:
    """CPU seconds, user and system, of a whole process."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env, cwd="/tmp")
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    return usage.ru_utime + usage.ru_stime


def in_turn(works: Sequence[Callable[[], float]], rounds: int) -> list[float]:
    """The least each work took, A B A B …: what another program on the machine adds hits all alike."""
    least = [float("inf")] * len(works)
    for _ in range(rounds):
        for number, work in enumerate(works):
            least[number] = min(least[number], work())
    return least


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of this process, all threads."""
    start = time.process_time()
    work()
    return time.process_time() - start


@contextlib.contextmanager
def server(*options: str) -> Iterator[str]:
    """The address of a load server in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.server", *options], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


def asked(address: str, what: str) -> Any:
    """What the server tells of itself."""
    with urllib.request.urlopen(f"{address}/{what}", timeout=10) as answer:
        return json.load(answer)


def stats(address: str) -> dict[str, Any]:
    """What the server saw."""
    found: dict[str, Any] = asked(address, "stats")
    return found


def settings(address: str, gateway: str = "302ai", **more: Any) -> dict[str, Any]:
    """A configuration with one provider: Midjourney at that address."""
    os.environ.setdefault("BENCH_KEY", "sk-benchmark")
    hero = {"family": "midjourney", "gateway": gateway, "base_url": address, "api_key_env": "BENCH_KEY", **more}
    return {"default": "hero", "providers": {"hero": hero}}


def told(rows: Sequence[Row]) -> None:
    """Print the rows; as JSON for `python -m benchmarks`, which makes one table of them."""
    if "--json" in sys.argv:
        print(json.dumps([asdict(row) for row in rows]))
        return
    print(machine())
    print(HEADER)
    for row in rows:
        print(row)
