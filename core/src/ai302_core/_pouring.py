"""A download on its way into its file: bounded in bytes and pace, synced at its end."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress

from . import _bodies
from ._steps import Stream, Streamed

_HEAD = 2000


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
    pace = _bodies.Pace(patience)
    if status not in (200, 206):
        head = b""
        with suppress(*failures):
            for piece in pieces:
                head += piece
                if len(head) >= _HEAD or pace.slow(0):
                    break
        return Streamed(status, headers, step.path.stat().st_size if step.path.exists() else 0, head[:_HEAD])
    broken = ""
    with step.path.open("ab" if status == 206 else "wb") as file:
        if step.began is not None:
            step.began(status, headers)
        size = file.tell()
        try:
            for piece in pieces:
                file.write(piece)
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
    return Streamed(status, headers, size, b"", broken)
