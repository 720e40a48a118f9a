"""What was found good before, in the user's cache folder; whoever asks compares what it was found good for."""

from __future__ import annotations

import json
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

import platformdirs

__all__ = ["forget", "recalled", "remember", "stamp"]

_LARGEST = 2**20  # bytes: more is none of ours


def recalled(kind: str) -> dict[str, Any]:
    """What was remembered of this kind; {} where nothing is, or what is there is unreadable, somebody else's or odd."""
    with suppress(OSError, RuntimeError, ValueError, RecursionError):
        # Neither through a link nor waiting for a pipe: whoever may write here says what is not looked at again.
        handle = os.open(_file(kind), os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        try:
            told = os.fstat(handle)
            if stat.S_ISREG(told.st_mode) and told.st_size <= _LARGEST and _is_ours(told):
                found = json.loads(os.read(handle, _LARGEST))
                return found if isinstance(found, dict) else {}
        finally:
            os.close(handle)
    return {}


def _is_ours(told: os.stat_result) -> bool:
    return os.name == "nt" or (told.st_uid == os.geteuid() and not told.st_mode & 0o077)


def remember(kind: str, told: dict[str, Any]) -> None:
    """Keep this instead of what was remembered of this kind. Without a place to write: nothing is kept, nothing said.

    Nothing secret belongs in it: the cache folder is copied and thrown away without a thought.
    """
    with suppress(OSError, RuntimeError):
        path = _file(kind)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}-{os.urandom(4).hex()}.part")
        try:
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(json.dumps(told).encode())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def forget(beginning: str, most: int) -> None:
    """Of the kinds that begin so, keep those that were remembered last."""
    with suppress(OSError, RuntimeError):
        files = sorted(_file("x").parent.glob(f"{beginning}*.json"), key=lambda path: path.stat().st_mtime_ns)
        for path in files[:-most]:
            path.unlink(missing_ok=True)


def _file(kind: str) -> Path:
    return Path(platformdirs.user_cache_dir("gen302", appauthor=False)) / f"{kind}.json"


def stamp(path: str | Path) -> list[int]:
    """What changes when a file or folder does: [size, time of its last change]; [] where there is none."""
    try:
        told = os.stat(path)  # noqa: PTH116 - hundreds at a start, four times as fast as by a Path
    except OSError:
        return []
    return [told.st_size, told.st_mtime_ns]
