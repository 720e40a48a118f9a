"""A download on its way into its file: bounded in bytes and pace, hashed beside, synced at its end."""

from __future__ import annotations

import hashlib
import os
import queue
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

from ai302_core import _threads
from ai302_core._steps import Stream, Streamed

from . import bodies

_HEAD = 2000
_MUCH = 2**20  # bytes hashed in one go; a file of less needs no thread


class Hashing:
    """SHA-256 of bytes that come in pieces, taken by a thread of its own: hashing leaves the interpreter to others."""

    def __init__(self) -> None:
        self._sum = hashlib.sha256()
        self._waiting = bytearray()
        self._thread: threading.Thread | None = None
        self._given: queue.Queue[bytearray | None] = queue.Queue(8)  # memory stays flat when hashing is the slower

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, at: TracebackType | None
    ) -> None:
        self._end()

    def take(self, piece: bytes) -> None:
        """The next bytes."""
        self._waiting += piece
        if len(self._waiting) >= _MUCH:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="gen302-hashing", daemon=True)
                with _threads.deaf():
                    self._thread.start()
            self._given.put(self._waiting)
            self._waiting = bytearray()

    def hexdigest(self) -> str:
        """The hash of all that was taken."""
        self._end()
        self._sum.update(self._waiting)
        self._waiting = bytearray()
        return self._sum.hexdigest()

    def _work(self) -> None:
        while (content := self._given.get()) is not None:
            self._sum.update(content)

    def _end(self) -> None:
        if self._thread is not None:
            self._given.put(None)
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
    with step.path.open("ab" if status == 206 else "wb") as file, Hashing() as hashing:
        if step.began is not None:
            step.began(status, headers)
        size = file.tell()
        fresh = not size  # what is resumed is read once more at its end, not at every try
        try:
            for piece in pieces:
                file.write(piece)
                if fresh:
                    hashing.take(piece)
                size += len(piece)
                if size > step.limit:
                    broken = f"it is larger than the limit of {step.limit} bytes"
                elif pace.slow(size):
                    broken = "it drips in too slowly"
                if broken:
                    break
        except failures as failure:
            broken = type(failure).__name__
        file.flush()
        os.fsync(file.fileno())
        size = file.tell()
        sha256 = hashing.hexdigest() if fresh and not broken else ""
    return Streamed(status, headers, size, b"", broken, sha256)
