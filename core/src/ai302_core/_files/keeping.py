"""Files that came within an answer: on this machine's disk before anything says that they are, and proved when read.

They lie in one folder beside the ledger, readable by their user alone, as JOB-SHA256.suffix: whoever looks for the
result of a job that was killed before its receipt finds it by the job's id. A file is kept until it was saved, and a
week longer; what was never saved stays.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ai302_core.assets import Asset
from ai302_core.jobs import Job, Notice

from .writing import sync_folder

__all__ = ["content", "kept", "place", "saved"]

KEPT = 7 * 86400.0
"""Seconds a file stays after it was saved."""

_NAME = re.compile(r".+-([0-9a-f]{64})\.\w+")
_SAVED = "saved"  # the folder of the marks: a file of the same name in it was saved when that was made
_swept: set[Path] = set()


def kept(folder: Path, job: Job, files: Mapping[str, bytes]) -> Job:
    """Write the files (name -> content); the job with their places in its assets. Synced when this returns.

    Never raises: where the disk takes no file, the content stays in the job itself, which says so.
    """
    places: dict[str, str] = {}
    trouble: OSError | None = None
    for name, found in files.items():
        try:
            places[name] = str(_written(folder / name, found))
        except OSError as problem:
            trouble = problem
    assets = tuple(_at(asset, places, files) for asset in job.assets)
    if trouble is None:
        _sweep(folder)
        return replace(job, assets=assets)
    text = (
        f"A file of this job came within the answer and cannot be written to {folder}: "
        f"{trouble.strerror or trouble}. It is kept in the job itself: save it now, to another disk."
    )
    return replace(job, assets=assets, warnings=(*job.warnings, Notice(code="not_kept", message=text)))


def _at(asset: Asset, places: Mapping[str, str], files: Mapping[str, bytes]) -> Asset:
    name = asset.path or ""
    if name in places:
        return replace(asset, path=places[name])
    if name in files:
        packed = base64.b64encode(files[name]).decode()
        return replace(asset, path=None, url=f"data:{asset.media_type};base64,{packed}")
    return asset


def _written(path: Path, found: bytes) -> Path:
    folder = path.parent
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync_folder(folder.parent)
    part = folder / f".{os.urandom(8).hex()}.part"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(part, flags, 0o600), "wb") as file:
            file.write(found)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    sync_folder(folder)
    return path


def place(asset: Asset) -> Path:
    """Where the asset's file is."""
    return Path(asset.path or "")


def content(asset: Asset, folder: Path) -> bytes:
    """The file's content, proved by the hash in its name, so that no other file is ever taken for it.

    folder  where the ledger keeps such files: it may have moved, together with them

    Raises DownloadError when it is gone, another, or on another machine.
    """
    from .fetching import refuse  # a submit, which keeps files as well, fetches none

    path = place(asset)
    name = _NAME.fullmatch(path.name)
    try:
        if name and not path.exists() and (folder / path.name).exists():
            path = folder / path.name
        found = path.read_bytes() if name else b""
    except OSError as problem:
        reason = f"the service sent it within its answer, and {path} cannot be read here: {problem.strerror}"
        raise refuse(asset, reason, retryable=False) from None
    if name is None or hashlib.sha256(found).hexdigest() != name[1]:
        raise refuse(asset, f"{path} is not the file the service sent", retryable=False)
    return found


def saved(assets: Iterable[Asset]) -> None:
    """Note that these were saved: their files may go in a week. A note that cannot be made keeps a file longer."""
    for asset in assets:
        path = place(asset)
        if asset.path is None or not path.is_file():
            continue
        with suppress(OSError):
            (path.parent / _SAVED).mkdir(mode=0o700, exist_ok=True)
            (path.parent / _SAVED / path.name).touch(mode=0o600)


def _sweep(folder: Path) -> None:
    """Once a process: let go of files saved long ago. The disk's own clock decides."""
    if folder in _swept:
        return
    _swept.add(folder)
    with suppress(OSError):
        now = folder.stat().st_mtime
        for mark in list((folder / _SAVED).iterdir()):
            if now - mark.stat().st_mtime > KEPT:
                (folder / mark.name).unlink(missing_ok=True)
                mark.unlink(missing_ok=True)
