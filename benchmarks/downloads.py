"""Files fetched, hashed, synced and named, beside a bare curl of the same files from the same server."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ai302_core import Asset, connect

from .measuring import Row, cpu, in_turn, server, settings, told

SIZES = ((1, 20), (20, 3), (200, 1))
"""Megabytes of a file, and how many of them are fetched one after the other."""

GIGABIT = 125_000_000
ROUNDS = 5
PLACE = "/dev/shm" if Path("/dev/shm").is_dir() else None  # in memory: the disk of the day decides nothing


def clocked(work: Callable[[], object]) -> Callable[[], float]:
    """The same work; tells its seconds."""

    def run() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return run


class Pair:
    """The same files fetched by curl, and saved by this library."""

    def __init__(self, curl: str, address: str, folder: Path, count: int) -> None:
        self._url = f"{address}/file/one.png"
        self._folder = folder
        self._count = count
        self._provider = connect(config=settings(address), ledger="off")
        self._command = [curl, "-s"]
        for number in range(count):
            self._command += ["-o", f"{folder}/curl-{number}.png", self._url]

    def curl(self) -> None:
        """One curl for all of them."""
        subprocess.run(self._command, check=True, timeout=120)

    def piped(self) -> None:
        """The first of them by curl, written and hashed by two more processes while it comes."""
        line = f"{self._command[0]} -s {self._url} | tee {self._folder}/curl-0.png | sha256sum"
        subprocess.run(["sh", "-c", line], check=True, timeout=120, stdout=subprocess.DEVNULL)

    def hashed(self) -> None:
        """SHA-256 of what curl brought, and nothing else."""
        for number in range(self._count):
            with (self._folder / f"curl-{number}.png").open("rb") as file:
                hashlib.file_digest(file, "sha256")

    def save(self) -> None:
        """Ours: one after the other, each under a name of its own, which goes again."""
        for number in range(self._count):
            asset = Asset(kind="image", index=1, url=self._url)
            (path,) = self._provider.save(asset, self._folder / f"ours-{number}.png")
            path.unlink()

    def close(self) -> None:
        """Close the connections."""
        self._provider.close()


def rows() -> list[Row]:
    """The figures; none where there is no curl."""
    curl = shutil.which("curl")
    if curl is None:
        return [Row(what="a download beside curl: there is no curl here", value="")]
    found: list[Row] = []
    for (size, count), rate in [*((sizes, 0) for sizes in SIZES), (SIZES[1], GIGABIT)]:
        options = ["--size", str(size * 2**20), "--rate", str(rate)]
        with server(*options) as address, tempfile.TemporaryDirectory(dir=PLACE) as folder:
            pair = Pair(curl, address, Path(folder), count)
            pair.save()
            works = [clocked(pair.curl), clocked(pair.save), clocked(pair.hashed), clocked(pair.piped)]
            curled, saved, hashed, piped = in_turn(works, ROUNDS)
            spent = min(cpu(pair.save) for _ in range(ROUNDS))
            hashing = min(cpu(pair.hashed) for _ in range(ROUNDS))
            pair.close()
        total = size * count
        what = f"files of {size} MB, hashed and synced{' over a gigabit' if rate else ''}"
        found.append(
            Row(what=f"{what}: beside curl", value=f"{total / saved:.0f} MB/s", beside=f"{total / curled:.0f} MB/s",
                ratio=curled / saved, goal="≥ 0.90×", met=curled / saved >= 0.9)
        )  # fmt: skip
        if rate:
            continue
        found += [
            Row(what="  what SHA-256 alone allows of it", value=f"{total / hashed:.0f} MB/s",
                ratio=min(1.0, curled / hashed)),
            Row(what="  beside curl | tee | sha256sum", value=f"{total / saved:.0f} MB/s",
                beside=f"{size / piped:.0f} MB/s", ratio=piped * count / saved),
            Row(what="  CPU for 100 MB, SHA-256 beside it", value=f"{1e5 * spent / total:.0f} ms",
                beside=f"{1e5 * hashing / total:.0f} ms", ratio=spent / hashing),
        ]  # fmt: skip
    return found


if __name__ == "__main__":
    told(rows())
