"""The temporary file of a download, resumed by whoever comes next.

Beside the target lie `.NAME.part` and `.NAME.part.json`: what proves, to a later process too, that a rest belongs to
the bytes that are there, or that they are complete. The second file is also the lock: one process, one part.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .locking import locked
from .sniffing import sniff, whole
from .writing import beginning, digest, write

__all__ = ["Examined", "Fetched", "Part", "left"]


@dataclass(frozen=True)
class Fetched:
    """A complete file: `suffix` follows its content, `size` in bytes."""

    path: Path
    media_type: str
    suffix: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Examined:
    """What is in a part. `ends`: its own structure ends where the file does."""

    head: bytes
    sha256: str
    size: int
    ends: bool


class Part:
    """The temporary file of one download, this process's own while it is open. Every method does I/O.

    path  the file; `size` bytes are in it; `done` when it is complete and checked
    """

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = _path(folder, name)
        lock = locked(_notes(self.path))
        self._shared = lock is not None
        if lock is None:  # another process is at it, or this file system has no locks: an own file, not resumed later
            self.path = folder / f".{name}-{os.urandom(4).hex()}.part"
            # Held like the other, so that the process that finishes first does not sweep it away.
            lock = locked(_notes(self.path)) or _notes(self.path).open("w+b")
        self._lock = lock
        self._known: dict[str, Any] = self._read()
        self.size = 0
        self.done: Fetched | None = None
        with suppress(FileNotFoundError):
            status = self.path.stat()
            self.size = status.st_size
            done = self._known.get("done")
            if done and done["size"] == self.size:
                self.done = Fetched(self.path, **done)
            elif not self._validator() or status.st_nlink > 1:
                # A second name means it was published: writing into it would change a saved file.
                self.restart()

    def _read(self) -> dict[str, Any]:
        try:
            known = json.loads(self._lock.read())
        except ValueError:
            return {}
        return known if isinstance(known, dict) else {}

    def _write(self, durable: bool = True) -> None:
        self._lock.seek(0)
        self._lock.truncate()
        self._lock.write(json.dumps(self._known).encode())
        self._lock.flush()
        if durable:
            os.fsync(self._lock.fileno())

    def _validator(self) -> str:
        # If-Range takes strong validators only (RFC 9110 13.1.5).
        etag = str(self._known.get("etag") or "")
        return etag if etag.startswith('"') else str(self._known.get("modified") or "")

    def goes_on(self, headers: Mapping[str, str], total: int | None) -> bool:
        """Whether a rest is of the file that was begun: a host may ignore If-Range, and send that of another one.

        total  bytes of the whole file, as the rest says
        """
        strong = str(self._known.get("etag") or "").startswith('"')
        said = headers.get("etag" if strong else "last-modified")
        length = self._known.get("length")
        return said in (None, self._validator()) and (None in (total, length) or str(total) == length)

    def headers(self) -> dict[str, str]:
        """The request's headers: the rest only, where it provably belongs to what is there."""
        headers = {"accept": "*/*", "accept-encoding": "identity"}
        if self.size and self._validator():
            headers |= {"range": f"bytes={self.size}-", "if-range": self._validator()}
        return headers

    def began(self, status: int, headers: Mapping[str, str]) -> None:
        """Note what identifies the body that follows."""
        if status == 200:
            before = self._known
            coded = headers.get("content-encoding", "identity") != "identity"
            told = {"etag": "etag", "modified": "last-modified", "length": "content-length"}
            self._known = {} if coded else {name: headers.get(header) for name, header in told.items()}
            # Where nothing was known, a crash of the machine can only lose this note, and the bytes with it.
            self._write(durable=bool(before or self.size))

    def restart(self) -> None:
        """Forget the bytes that are there."""
        self.path.unlink(missing_ok=True)
        self.size, self.done, self._known = 0, None, {}
        self._write()

    def fill(self, content: bytes, media_type: str, suffix: str) -> Fetched:
        """Make `content` the file."""
        self.restart()
        write(self.path, content)
        return self._whole(media_type, suffix)

    def copy(self, source: Path) -> Fetched:
        """Make the content of a saved file the file."""
        self.restart()
        shutil.copyfile(source, self.path)
        with self.path.open("rb+") as file:
            os.fsync(file.fileno())
        found = sniff(beginning(self.path))
        return self._whole(found[0] if found else "application/octet-stream", source.suffix)

    def _whole(self, media_type: str, suffix: str) -> Fetched:
        found = self.examine()
        self.size = found.size
        return self.finish(media_type, suffix, found)

    def examine(self, known: tuple[str, int] | None = None) -> Examined:
        """What the file is, and whether its own structure ends where the file does.

        known  its hash and size, where it was hashed as it came; else it is read once more
        """
        head = beginning(self.path)
        if known is None or not known[0] or known[1] != self.path.stat().st_size:
            known = digest(self.path)
        sha256, size = known
        found = sniff(head)
        return Examined(head, sha256, size, found is None or whole(self.path, found[0]))

    def finish(self, media_type: str, suffix: str, found: Examined) -> Fetched:
        """Note that the file is complete, for later processes too."""
        self.done = Fetched(self.path, media_type, suffix, found.sha256, found.size)
        self._known["done"] = {name: value for name, value in vars(self.done).items() if name != "path"}
        self._write()
        return self.done

    def release(self) -> None:
        """Let others have it; both files stay."""
        with suppress(OSError):  # notes that a full disk did not take are tried once more, and were told of before
            self._lock.close()

    def hand_over(self) -> bool:
        """Leave both files for whoever tells in full what was saved; False where nobody else would find them."""
        if self._shared:
            self.release()
        return self._shared

    def close(self, *, keep: bool) -> None:
        """Let go of it. `keep` leaves the bytes for a later process, where it can use them."""
        # Asked anew: a download that was interrupted has not told how far it came.
        size = self.path.stat().st_size if self.path.exists() else 0
        if keep and self._shared and size and (self.done or self._validator()):
            self.release()
            return
        notes = _notes(self.path)
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
        if sys.platform == "win32":  # an open file cannot be removed there
            self.release()
        with suppress(OSError):
            notes.unlink(missing_ok=True)
        self.release()


def left(folder: Path, name: str) -> bool:
    """Whether there is a part of that name: in use, or left by a process that died. Its notes come first, go last."""
    return _notes(_path(folder, name)).exists()


def _path(folder: Path, name: str) -> Path:
    return folder / f".{name}.part"


def _notes(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")
