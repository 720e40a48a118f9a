"""How much of an answer is read, and for how long: bounded in bytes and seconds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from ._clock import ELAPSED

MAX_BODY = 64 * 2**20
"""Bytes an API answer may have; files are streamed and have their own limit."""


class TooMuch(Exception):
    """The answer is too large, or too slow."""


def whole(pieces: Iterator[bytes], deadline: float) -> bytes:
    """All pieces. Raises TooMuch beyond MAX_BODY bytes or the deadline (by ELAPSED)."""
    body = bytearray()
    for piece in pieces:
        body += piece
        _check(body, deadline)
    return bytes(body)


async def whole_async(pieces: AsyncIterator[bytes], deadline: float) -> bytes:
    """The same, awaited."""
    body = bytearray()
    async for piece in pieces:
        body += piece
        _check(body, deadline)
    return bytes(body)


def _check(body: bytearray, deadline: float) -> None:
    if len(body) > MAX_BODY:
        raise TooMuch(f"the answer is larger than {MAX_BODY // 2**20} MiB")
    if ELAPSED() > deadline:
        raise TooMuch("the answer drips in too slowly")
