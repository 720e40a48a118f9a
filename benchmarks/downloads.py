"""A large file, fetched, hashed, synced and named, beside a bare curl of the same file from the same server."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from ai302_core import Asset, connect

from .measuring import Row, in_turn, server, settings, told

SIZE = 64 * 2**20
ROUNDS = 5
PLACE = "/dev/shm" if Path("/dev/shm").is_dir() else None  # in memory: the disk of the day decides nothing


def rows() -> list[Row]:
    """The figures; none where there is no curl."""
    curl = shutil.which("curl")
    if curl is None:
        return [Row(what="a download beside curl: there is no curl here", value="")]
    with server("--size", str(SIZE)) as address, tempfile.TemporaryDirectory(dir=PLACE) as folder:
        url = f"{address}/file/one.png"
        provider = connect(config=settings(address), ledger="off")
        count = 0

        def bare() -> float:
            start = time.perf_counter()
            subprocess.run([curl, "-s", "-o", f"{folder}/curl.png", url], check=True, timeout=60)
            return time.perf_counter() - start

        def synced() -> float:
            start = time.perf_counter()
            bare()
            with Path(folder, "curl.png").open("rb") as file:
                hashlib.file_digest(file, "sha256")
                os.fsync(file.fileno())
            return time.perf_counter() - start

        def ours() -> float:
            nonlocal count
            count += 1
            start = time.perf_counter()
            (path,) = provider.save(Asset(kind="image", index=1, url=url), Path(folder, f"ours-{count}.png"))
            taken = time.perf_counter() - start
            assert path.stat().st_size > SIZE // 2
            path.unlink()
            return taken

        ours()
        curled, whole, saved = in_turn([bare, synced, ours], ROUNDS)
        provider.close()
    speed = SIZE / 2**20
    return [
        Row(what="a file of 64 MB, hashed and synced: MB/s beside curl alone", value=f"{speed / saved:.0f} MB/s",
            beside=f"curl {speed / curled:.0f} MB/s", ratio=curled / saved, goal="≥ 0.90×",
            met=curled / saved >= 0.9),
        Row(what="the same beside curl, sha256 and fsync", value=f"{speed / saved:.0f} MB/s",
            beside=f"{speed / whole:.0f} MB/s", ratio=whole / saved),
    ]  # fmt: skip


if __name__ == "__main__":
    told(rows())
