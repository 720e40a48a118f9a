"""How much of an answer is read, and for how long: bounded in bytes and seconds, headers and packing included."""

from __future__ import annotations

import math
import threading
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ai302_core._clock import ELAPSED, turn

MAX_BODY = 64 * 2**20
"""Bytes an API answer may have, unpacked; files are streamed and have their own limit."""

ACCEPTED = "gzip"
"""What an answer may be packed with, once. Packed twice, a few thousand bytes fill any memory.

Not asked for is deflate, which comes in two forms; who sends it all the same is understood in both, since what cannot
be read may be the receipt of something paid.
"""


class TooMuch(Exception):
    """The answer is too large, too slow, another's, or packed in a way nobody asked for."""


class Patience(threading.local):
    """How long the answer that this thread waits for may take, from the moment its request was written.

    What httpx calls a read timeout begins anew with every byte: a drop at a time, headers alone may take for ever.
    Called by httpcore's `trace` extension with what happens to a call until its connection is there.
    """

    until = math.inf
    seconds = math.inf
    whole = True

    def begin(self, seconds: float, *, whole: bool = True) -> None:
        """The answer that is waited for next may take so many seconds; not `whole`: its headers may."""
        self.seconds, self.whole = seconds, whole

    def end(self) -> None:
        """Nothing is waited for any more."""
        self.until = math.inf

    def __call__(self, event: str, info: dict[str, Any]) -> None:
        meaning = MEANINGS.get(event.partition(".")[2])
        if meaning == "connected":
            self._watch(info["return_value"])
        elif meaning == "sending" and self.whole:
            request = info["request"]
            # The connection is there. Each of the eight events still to come would cost as much as a small decision;
            # a proxy's CONNECT is followed by a handshake and a request of their own.
            if request.method != b"CONNECT":
                request.extensions.pop("trace", None)
        elif meaning == "answered" and not self.whole:
            self.until = math.inf

    def _watch(self, stream: Any) -> None:
        read, write = stream.read, stream.write

        def within(size: int, timeout: float | None = None) -> Any:
            left = self.until - ELAPSED()
            if left <= 0:
                raise TooMuch(_DRIPS)
            piece = read(size, left if timeout is None or left < timeout else timeout)
            stream.heard = True  # see `exchange.check_own`
            return piece

        def written(content: bytes, timeout: float | None = None) -> None:
            stream.heard = False
            try:
                write(content, timeout)
            finally:
                if content:  # how long the request itself took does not count
                    self.until = ELAPSED() + self.seconds

        stream.read, stream.write = within, written


MEANINGS = {  # of the events that a call's `trace` hears
    "connect_tcp.complete": "connected",
    "start_tls.complete": "connected",
    "send_request_headers.started": "sending",
    "receive_response_headers.complete": "answered",
}
_DRIPS = "the answer drips in too slowly"
PATIENCE = Patience()


@contextmanager
def patient(seconds: float) -> Iterator[Patience]:
    """The `trace` of one call of this thread, the headers of whose answer may take so many seconds."""
    PATIENCE.begin(seconds, whole=False)
    try:
        yield PATIENCE
    finally:
        PATIENCE.end()


class _Unpacking:
    """A packed body, unpacked as it comes in. Its first two bytes tell what it is."""

    def __init__(self, packing: str) -> None:
        self._deflate = packing == "deflate"
        self._head = b""
        self._unpack: Callable[[bytes, int], bytes] | None = None

    def next(self, piece: bytes, most: int) -> bytes:
        """What the piece is unpacked, at most so many bytes. Raises zlib.error."""
        if self._unpack is None:
            self._head = piece = self._head + piece
            if len(piece) < 2:
                return b""
            bare = self._deflate and piece[:2] != b"\x1f\x8b" and not _led_by_zlib(piece)
            self._unpack = zlib.decompressobj(-zlib.MAX_WBITS if bare else 32 + zlib.MAX_WBITS).decompress
        return self._unpack(piece, most)


def _led_by_zlib(piece: bytes) -> bool:
    """Whether it begins as RFC 1950, 2.2 wants it: bare, only a block that fills its first byte with ones would."""
    return piece[0] & 0x0F == zlib.DEFLATED and int.from_bytes(piece[:2]) % 31 == 0


class _Body:
    """A body as it comes in."""

    def __init__(self, headers: Mapping[str, str], deadline: float) -> None:
        packing = headers.get("content-encoding", "").strip().lower()
        packed = packing in ("gzip", "x-gzip", "deflate")
        if not packed and packing not in ("", "identity"):
            raise TooMuch(f"the answer is packed as {packing[:40]!r}, which was not asked for")
        self._unpacking = _Unpacking(packing) if packed else None
        self._deadline = deadline
        self.content = bytearray()

    def take(self, piece: bytes) -> None:
        if ELAPSED() > self._deadline:
            raise TooMuch(_DRIPS)
        if self._unpacking is not None:
            try:
                piece = self._unpacking.next(piece, MAX_BODY + 1 - len(self.content))
            except zlib.error:
                raise TooMuch("the answer cannot be unpacked") from None
        self.content += piece
        if len(self.content) > MAX_BODY:
            raise TooMuch(f"the answer is larger than {MAX_BODY // 2**20} MiB")


def whole(pieces: Iterable[bytes], headers: Mapping[str, str], deadline: float) -> bytes:
    """All pieces, unpacked. Raises TooMuch beyond MAX_BODY bytes or the deadline (by ELAPSED)."""
    body = _Body(headers, deadline)
    for piece in pieces:
        body.take(piece)
    return bytes(body.content)


async def whole_async(pieces: AsyncIterator[bytes], headers: Mapping[str, str], deadline: float) -> bytes:
    """The same, awaited."""
    body = _Body(headers, deadline)
    async for piece in pieces:
        body.take(piece)
    await turn()  # answers come together
    return bytes(body.content)


class Pace:
    """Whether a file comes in fast enough: so many bytes in so many seconds, again and again."""

    LEAST = 2**16

    def __init__(self, seconds: float) -> None:
        self._size, self._seconds = 0, seconds
        self._until = ELAPSED() + seconds

    def slow(self, size: int) -> bool:
        """Told the size so far."""
        now = ELAPSED()
        if size - self._size >= self.LEAST:
            self._size, self._until = size, now + self._seconds
        return now > self._until
