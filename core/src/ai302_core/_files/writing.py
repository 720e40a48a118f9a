"""Files that appear whole or not at all, and never in the place of another: written beside, synced, then named."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path

from .locking import locked
from .sniffing import HEAD

__all__ = ["beginning", "digest", "discard", "place", "publish", "publish_content", "replace", "sweep", "write"]


def digest(path: Path) -> tuple[str, int]:
    """(SHA-256, size in bytes) of a file."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return sha256, file.tell()


def beginning(path: Path) -> bytes:
    """What a file begins with, as much as its kind needs to be told."""
    with path.open("rb") as file:
        return file.read(HEAD)


def write(path: Path, content: bytes) -> None:
    """A new file with this content, on the disk when this returns."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Put the folder's names on the disk, where the system can."""
    if os.name == "nt":
        return
    with suppress(OSError):  # some network file systems refuse
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def publish(path: Path, sha256: str, size: int, names: Iterable[Path]) -> Path:
    """Give the file `path` the first of `names` that is free or already holds the same content.

    Nothing that exists is ever replaced, whoever made it and however late it came. `path` may stay as a second name.
    """
    for name in names:
        try:
            _place(path, name)
        except FileExistsError:
            if not (name.is_file() and name.stat().st_size == size and digest(name)[0] == sha256):
                continue
        sync_folder(name.parent)
        return name
    raise AssertionError("names never end")


def publish_content(content: bytes, names: Iterable[Path]) -> tuple[Path, str]:
    """The same for content: (the name it got, its SHA-256)."""
    names = iter(names)
    first = next(names)
    sha256 = hashlib.sha256(content).hexdigest()
    with _written(first, content) as part:
        return publish(part, sha256, len(content), chain((first,), names)), sha256


def _place(path: Path, name: Path) -> None:
    """Rename without replacing: a link fails where the name is taken, in one step, and against other processes too."""
    try:
        os.link(path, name)
    except FileExistsError:
        raise
    except OSError as problem:
        if problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.ENAMETOOLONG):
            raise
        # No links on this file system (FAT, some network ones).
        if os.name != "nt":  # where to rename is to refuse a name that is taken
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))  # an empty file holds it meanwhile
            try:
                path.replace(name)
            except OSError:
                name.unlink()
                raise
        else:
            path.rename(name)


def place(path: Path, content: bytes) -> bool:
    """A new file with this content in one step; False where the name is taken."""
    with _written(path, content) as part:
        try:
            _place(part, path)
        except FileExistsError:
            return False
    sync_folder(path.parent)
    return True


def replace(path: Path, content: bytes) -> None:
    """Give our own file a new content, in one step."""
    with _written(path, content) as part:
        part.replace(path)
    sync_folder(path.parent)


@contextmanager
def _written(path: Path, content: bytes) -> Iterator[Path]:
    """A temporary file beside `path` with this content, on the disk; this process's own, and gone at the end."""
    part = path.with_name(f".{_tag(path)}-{os.urandom(4).hex()}.part")
    held = locked(part) or part.open("w+b")  # not every file system has locks
    try:
        with held:
            held.write(content)
            held.flush()
            os.fsync(held.fileno())
            if os.name != "nt":  # an open file can be neither renamed nor removed there
                yield part
        if os.name == "nt":
            yield part
    finally:
        part.unlink(missing_ok=True)


def sweep(paths: Iterable[Path], prefix: str) -> None:
    """Remove what dead processes left beside these files: temporary ones, and parts whose name has the prefix."""
    folders: dict[Path, set[str]] = {}
    for path in paths:
        folders.setdefault(path.parent, set()).add(_tag(path))
    for folder, tags in folders.items():
        # The notes of a part may have outlived it.
        for name in {stale.name.removesuffix(".json") for stale in folder.glob(".*.part*")}:
            if name[1:].partition("-")[0] in tags or name[1:].startswith(prefix):
                _remove_unless_held(folder / name, noted=name[1:].startswith(prefix))


def discard(parts: Iterable[Path]) -> None:
    """Remove these parts of downloads, where nobody holds them."""
    for part in parts:
        _remove_unless_held(part, noted=True)


def _remove_unless_held(stale: Path, *, noted: bool) -> None:
    """`noted`: the part of a download, whose notes are its lock."""
    notes = stale.with_name(f"{stale.name}.json")
    held = locked(notes if noted else stale)
    if held is None:
        return
    with held:
        if os.name != "nt":
            _unlink(stale, notes if noted else stale)
    if os.name == "nt":  # an open file cannot be removed there
        _unlink(stale, notes if noted else stale)


def _unlink(*paths: Path) -> None:
    with suppress(OSError):
        for path in paths:
            path.unlink(missing_ok=True)


def _tag(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path.name)).hexdigest()[:8]
