"""Hostile answers over real sockets: drops, floods, bombs and endless bodies end in time and in little memory."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import itertools
import socket
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pytest

from ai302_core._http import Transport
from ai302_core._policies import Timeouts
from ai302_core._steps import Call, Reply, Stream
from ai302_core._transport import bodies, carriers
from ai302_core.errors import TransportError

Pieces = Callable[[], Iterable[bytes]]
T = TypeVar("T")
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
MIB = 2**20


def slowly(*pieces: bytes) -> Iterator[bytes]:
    """Each in its own packet, a tenth of a second apart: far within what one read may take."""
    for piece in pieces:
        yield piece
        time.sleep(0.1)


class Service:
    """A service on a socket: whatever is asked, the next of its answers goes out piece by piece, the last for ever."""

    def __init__(self, *answers: Pieces) -> None:
        self.answers = iter(itertools.chain(answers[:-1], itertools.repeat(answers[-1])))
        self.asked: list[bytes] = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}/x"
        self._peers: list[socket.socket] = []
        self._closing = False
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            peer = self.socket.accept()[0]
            if self._closing:
                return peer.close()
            self._peers.append(peer)
            self._threads.append(threading.Thread(target=self._serve, args=(peer,), daemon=True))
            self._threads[-1].start()

    def _serve(self, peer: socket.socket) -> None:
        heard = b""
        try:
            while piece := peer.recv(65536):
                heard += piece
                if b"\r\n\r\n{}" not in heard and not (heard[:3] == b"GET" and b"\r\n\r\n" in heard):
                    continue
                self.asked.append(heard)
                heard = b""
                for piece in next(self.answers)():
                    peer.sendall(piece)
        except OSError:
            return
        finally:
            peer.close()

    def close(self) -> None:
        """A socket is closed when no thread waits on it: its number is the next one's, whose calls it would take."""
        self._closing = True
        socket.create_connection(self.socket.getsockname(), timeout=30).close()
        self._threads[0].join(30)
        self.socket.close()
        for peer in self._peers:
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(30)


@pytest.fixture
def serve() -> Iterator[Callable[..., Service]]:
    services: list[Service] = []

    def start(*answers: Pieces) -> Service:
        services.append(Service(*answers))
        return services[-1]

    yield start
    for service in services:
        service.close()


@pytest.fixture(params=["sync", "httpx", "aiohttp"])
def ask(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Any]]:
    """Asks once for each number of seconds to wait, one after the other, by each carrier; what came of it."""
    monkeypatch.setattr(carriers, "of_looks", lambda: request.param)

    def asked(url: str, *waits: float) -> list[Any]:
        each = [Timeouts(connect=wait / 2, submit=wait, poll=wait) for wait in waits or (60.0,)]
        transport = Transport(each[0])
        call = Call("POST", url, body=b"{}", secret=("authorization", "Bearer sk-sentinel"))
        outcomes: list[Any] = []

        async def later() -> None:
            for transport._timeouts in each:
                try:
                    outcomes.append(await transport.send_async(call))
                except TransportError as problem:
                    outcomes.append(problem)
            await transport.aclose()

        if request.param != "sync":
            asyncio.run(later())
        for transport._timeouts in each if request.param == "sync" else ():
            try:
                outcomes.append(transport.send(call, paid=True))
            except TransportError as problem:
                outcomes.append(problem)
        transport.close()
        return outcomes

    return asked


def remembering(call: Callable[[], T]) -> tuple[T, int]:
    """What a call returns, and how much memory was taken at the same time while it ran."""
    tracemalloc.start()
    try:
        return call(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def drops() -> Iterable[bytes]:
    return slowly(b"HTTP/1.1 200 OK\r\n", *(f"x-{number}: 1\r\n".encode() for number in range(600)))


def dropping_continues() -> Iterable[bytes]:
    return slowly(*[b"HTTP/1.1 100 Continue\r\n\r\n"] * 600)


def flood_of_continues() -> Iterable[bytes]:
    return itertools.repeat(b"HTTP/1.1 102 Processing\r\n\r\n" * 100)


@pytest.mark.parametrize("answer", [drops, dropping_continues, flood_of_continues])
def test_headers_that_never_end(serve: Any, ask: Any, answer: Pieces, until: Any) -> None:
    """On a connection that has served before, too. What was sent stays sent: it is never taken for not accepted."""
    service = serve(lambda: [OK], answer)
    began = time.monotonic()
    first, second = ask(service.url, 60.0, 1.5)
    assert time.monotonic() - began < 50, "and the drops fall for a minute"
    assert isinstance(first, Reply)
    assert isinstance(second, TransportError)
    assert second.sent is True
    until(lambda: len(service.asked) == 2)


@cache
def bomb(times: int) -> Pieces:
    """Forty MiB of nothing, packed so many times."""
    return packed(bytes(40 * MIB), times)


def packed(content: bytes, times: int = 1, **headers: str) -> Pieces:
    for _ in range(times):
        content = gzip.compress(content)
    names = {
        "content-encoding": ", ".join(["gzip"] * times),
        **{key.replace("_", "-"): headers[key] for key in headers},
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in names.items())
    head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(content)}\r\n{lines}\r\n".encode()
    return lambda: [head + content]


def test_a_packed_answer_is_unpacked(serve: Any, ask: Any) -> None:
    (reply,) = ask(serve(packed(b'{"a": 1}')).url)
    assert reply.document == {"a": 1}
    (reply,) = ask(serve(packed(b"{}", 0, content_encoding="Identity")).url)
    assert reply.document == {}


def deflated(content: bytes, *, bare: bool) -> bytes:
    """In one of the two forms that go by this name: within zlib's two bytes and its sum, or bare."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS if bare else zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


@pytest.mark.parametrize("bare", [False, True], ids=["zlib", "bare"])
def test_an_answer_that_comes_deflated_is_no_lost_receipt(serve: Any, ask: Any, bare: bool) -> None:
    """Only gzip is asked for; deflate is read in both forms all the same, in one piece and a byte at a time."""
    body = deflated(b'{"b": 2}', bare=bare)
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: deflate\r\n"
    pieces = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    service = serve(
        lambda: [head + b"content-length: %d\r\n\r\n" % len(body) + body],
        lambda: [head + b"transfer-encoding: chunked\r\n\r\n" + pieces + b"0\r\n\r\n"],
    )
    assert [reply.document for reply in ask(service.url, 60.0, 60.0)] == [{"b": 2}] * 2
    assert all(b"\r\naccept-encoding: gzip\r\n" in asked.lower() for asked in service.asked)
    drops = (bytes([byte]) for byte in body)
    assert bodies.whole(drops, {"content-encoding": "deflate"}, float("inf")) == b'{"b": 2}'


@pytest.mark.parametrize(
    "made",
    [
        lambda: bomb(1),
        lambda: bomb(2),
        lambda: bomb(3),
        lambda: packed(b"\x1f\x8b no gzip at all", 0, content_encoding="gzip"),
        lambda: packed(deflated(bytes(40 * MIB), bare=True), 0, content_encoding="deflate"),
        lambda: packed(b"\x07 nothing deflated", 0, content_encoding="deflate"),
        lambda: packed(b"{}", 0, content_encoding="br"),
        lambda: packed(b"{}", 0, content_encoding="zstd, zstd"),
        lambda: lambda: itertools.chain([b"HTTP/1.1 200 OK\r\n\r\n"], itertools.repeat(bytes(MIB), 40)),
    ],
    ids=[
        "bomb",
        "bomb in a bomb",
        "and once more",
        "no gzip",
        "bare bomb",
        "no deflate",
        "br",
        "zstd, zstd",
        "endless",
    ],
)
def test_what_fills_the_memory_is_left(
    serve: Any, ask: Any, made: Callable[[], Pieces], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "MAX_BODY", 2 * MIB)
    service = serve(made())
    (problem,), peak = remembering(lambda: ask(service.url))
    assert isinstance(problem, TransportError)
    assert problem.sent is True
    assert peak < 20 * MIB, f"{peak} bytes for an answer of which {2 * MIB} are read"


@pytest.fixture
def fetch(tmp_path: Path) -> Callable[..., Any]:
    def fetched(url: str, wait: float = 20.0) -> Any:
        transport = Transport(Timeouts(connect=wait / 2, download=wait))
        try:
            return transport.stream(Stream(url, tmp_path / "part", private=True))
        finally:
            transport.close()

    return fetched


def test_a_file_of_any_size_takes_no_memory(serve: Any, fetch: Any, tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (64 * MIB)
    piece = bytes(MIB)
    service = serve(lambda: itertools.chain([head], itertools.repeat(piece, 64)))
    got, peak = remembering(lambda: fetch(service.url))
    assert (got.size, got.broken) == (64 * MIB, "")
    assert peak < 16 * MIB


def test_a_file_that_drips_is_broken_off_and_kept_for_the_next_try(serve: Any, fetch: Any, tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"
    service = serve(lambda: slowly(head, *[b"drop"] * 240))
    began = time.monotonic()
    got = fetch(service.url, wait=1.0)
    assert time.monotonic() - began < 30
    assert "drips" in got.broken or got.broken == "ReadTimeout", "the latter where the machine slept"
    assert (tmp_path / "part").read_bytes() == b"drop" * (got.size // 4)
    assert got.size < 500, "half of what would have come"


@pytest.mark.parametrize("answer", [drops, flood_of_continues])
def test_a_file_whose_headers_never_end(serve: Any, fetch: Any, answer: Pieces) -> None:
    with pytest.raises(TransportError):
        fetch(serve(answer).url, wait=0.5)


@pytest.mark.parametrize("status", [200, 404])
def test_a_file_that_is_a_bomb_stays_packed(serve: Any, fetch: Any, tmp_path: Path, status: int) -> None:
    answer = bomb(2)
    service = serve(lambda: [next(iter(answer())).replace(b"200 OK", b"%d X" % status, 1)])
    got, peak = remembering(lambda: fetch(service.url))
    assert got.status == status
    assert max(got.size, len(got.head)) <= 2000
    assert peak < 16 * MIB
