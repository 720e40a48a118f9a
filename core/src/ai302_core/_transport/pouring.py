"""A download on its way into its file: bounded in bytes and pace, hashed beside, synced at its end."""

from __future__ import annotations

import errno
import hashlib
import os
import queue
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from ai302_core import _threads
from ai302_core._steps import Stream, Streamed
from ai302_core._turns import Holding

from . import bodies

DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ENOENT, errno.EFBIG)
"""What the operating system says of a file that cannot be written; everything else is the network's."""

_HEAD = 2000
_SMALL = 2**21  # bytes that are hashed as they come
_MUCH = 2**20  # bytes that are worth waking the thread for
_PIECE = 2**19  # bytes read at once by who hashes: they stay in the processor's cache

AT_ONCE = max(1, (os.cpu_count() or 1) // 2)
"""Files hashed at once in this process: the other processors are for looks, and for what comes in."""


_turns = threading.Semaphore(AT_ONCE)


def _after_fork_in_child() -> None:
    """The threads that held a turn are not in the child."""
    global _turns
    _turns = threading.Semaphore(AT_ONCE)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


class Hashing:
    """SHA-256 of a file while it is written: its beginning as it comes, the rest by a thread that reads behind the
    writer, for which nothing is copied in the interpreter. A small file has no thread: it would cost what it saves."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: FileIO | None = None
        self._buffer = memoryview(b"")
        self._sum = hashlib.sha256()
        self._size = self._begun = 0  # bytes written; of them hashed before there was a thread
        self._wants = 0  # the size at which the thread wants to be told
        self._thread: threading.Thread | None = None
        self._told: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._dropped = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, at: TracebackType | None
    ) -> None:
        self._dropped = True
        self._end()
        if self._file is not None:
            self._file.close()

    def take(self, piece: bytes, file: IO[bytes]) -> None:
        """The next piece, which was just written to `file`. Raises OSError."""
        self._size += len(piece)
        if self._size <= _SMALL:
            with _turns:
                self._sum.update(piece)
            self._begun = self._size
        elif self._size >= self._wants:
            self._wants = self._size + _MUCH
            file.flush()
            if self._thread is None:
                self._begin()
            self._told.put(True)

    def _begin(self) -> None:
        self._file = self._path.open("rb", buffering=0)
        self._file.seek(self._begun)
        self._buffer = memoryview(bytearray(_PIECE))
        self._thread = threading.Thread(target=self._follow, name="gen302-hashing", daemon=True, args=(self._file,))
        with _threads.deaf():
            self._thread.start()

    def hexdigest(self) -> str:
        """The hash of all that was written. Raises OSError where it cannot be read back."""
        self._end()
        if self._file is not None:
            self._read(self._file)
        return self._sum.hexdigest()

    def _follow(self, file: FileIO) -> None:
        with suppress(OSError):  # `hexdigest` meets it again, where somebody hears it
            while self._told.get():
                self._read(file)

    def _read(self, file: FileIO) -> None:
        while not self._dropped:
            with _turns:
                size = file.readinto(self._buffer)
                if not size:
                    return
                self._sum.update(self._buffer[:size])

    def _end(self) -> None:
        if self._thread is not None:
            self._told.put(False)
            self._thread.join()
            self._thread = None


def poured(
    step: Stream,
    status: int,
    headers: Mapping[str, str],
    pieces: Iterator[bytes],
    patience: float,
    failures: tuple[type[Exception], ...],
) -> Streamed:
    """The answer to a `Stream` step in its file, as far as it came.

    pieces    the body as it comes: nothing is unpacked that nobody asked for
    patience  seconds within which something has to come
    failures  what `pieces` raises when the connection breaks
    """
    pace = bodies.Pace(patience)
    if status not in (200, 206):
        head = b""
        with suppress(*failures):
            for piece in pieces:
                head += piece
                if len(head) >= _HEAD or pace.slow(0):
                    break
        return Streamed(status, headers, step.path.stat().st_size if step.path.exists() else 0, head[:_HEAD])
    broken = ""
    hold = step.hold or Holding()
    with hold.writing():
        file = hold.file = step.path.open("ab" if status == 206 else "wb")
    with file, Hashing(step.path) as hashing:
        with hold.writing():
            if step.began is not None:
                step.began(status, headers)
        size = file.tell()
        fresh = not size  # what is resumed is read once more at its end, not at every try
        try:
            for piece in pieces:
                with hold.writing():
                    file.write(piece)
                    size += len(piece)
                    if fresh:
                        hashing.take(piece, file)
                if size > step.limit:
                    broken = f"it is larger than the limit of {step.limit} bytes"
                elif pace.slow(size):
                    broken = "it drips in too slowly"
                if broken:
                    break
        except failures as failure:
            broken = type(failure).__name__
        with hold.writing():
            file.flush()
        os.fsync(file.fileno())
        size = file.tell()
        sha256 = hashing.hexdigest() if fresh and not broken else ""
    return Streamed(status, headers, size, b"", broken, sha256)
