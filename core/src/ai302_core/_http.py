"""The only file that imports httpx: sending and streaming, in both worlds."""

from __future__ import annotations

import asyncio
import errno
import http.cookiejar
import os
import ssl
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from . import _addresses, _bodies, _carriers, _diagnosis, _exchange
from ._accounts import Timeouts
from ._clock import ELAPSED
from ._steps import Call, Reply, Stream, Streamed
from .errors import TransportError

if TYPE_CHECKING:
    from ._fast import FastClient

_carriers.spare_searches()
_FRESH = 0.5  # seconds: an idle connection older than this may be dead, and a paid request must not find out


async def sleep_async(seconds: float) -> None:
    """Wait."""
    await asyncio.sleep(seconds)


class Transport:
    """HTTP by httpx, its own retries off: clients made once per process and thread, TLS as the system says.

    Proxies come from the environment (HTTPS_PROXY, NO_PROXY), a custom CA from SSL_CERT_FILE or SSL_CERT_DIR.
    """

    def __init__(self, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._pid = 0
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        # Sockets of a parent process are left alone, not closed: they are still the parent's.
        self._left = getattr(self, "_clients", None)
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._clients: list[httpx.Client] = []
        self._shelf: list[httpx.Client] = []
        self._generation = 0
        self._free: httpx.Client | None = None
        self._loops: dict[int, _OnLoop] = {}
        self._context: ssl.SSLContext | None = None

    def _ready(self) -> None:
        if self._pid != os.getpid():
            self._forget()

    def _options(self) -> dict[str, Any]:
        if self._context is None:
            self._context = httpx.create_ssl_context()
        jar = http.cookiejar.CookieJar(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
        return {
            "verify": self._context,
            "follow_redirects": False,
            "cookies": jar,
            "headers": {"user-agent": _exchange.user_agent(), "accept-encoding": _bodies.ACCEPTED},
        }

    def _made(self, keepalive: float) -> httpx.Client:
        limits = httpx.Limits(max_connections=64, keepalive_expiry=keepalive)
        try:
            client = httpx.Client(limits=limits, **self._options())
        except _MISCONFIGURED as problem:
            raise _unusable(problem) from None
        self._clients.append(client)
        return client

    @contextmanager
    def _client(self, *, paid: bool) -> Iterator[httpx.Client]:
        """The shared client of free requests, or for a paid one a client nobody else uses meanwhile."""
        self._ready()
        with self._lock:
            if not paid and self._free is None:
                self._free = self._made(5.0)
            client = self._free if not paid else self._shelf.pop() if self._shelf else self._made(_FRESH)
            generation = self._generation
        assert client is not None
        try:
            yield client
        finally:
            if paid and generation == self._generation:
                self._shelf.append(client)
            elif paid:  # closed meanwhile: a paid call is never torn, its connection goes when it is done
                client.close()

    def _timeout(self, call: Call) -> httpx.Timeout:
        wait = call.timeout or (self._timeouts.submit if call.purpose != "poll" else self._timeouts.poll)
        return httpx.Timeout(wait, connect=self._timeouts.connect, pool=self._timeouts.connect)

    def send(self, call: Call, *, paid: bool = False) -> Reply:
        """One request, once. Raises TransportError."""
        problem: TransportError
        built = False
        try:
            timeout = self._timeout(call)
            patience = (timeout.read or 0) + self._timeouts.connect
            with self._client(paid=paid) as client, _bodies.patient(patience) as trace:
                request = client.build_request(
                    call.method, call.url, headers=_exchange.headers(call), content=call.body, timeout=timeout
                )
                request.extensions["trace"] = trace
                built = True
                answer = client.send(request, stream=True)
                try:
                    body = _bodies.whole(answer.iter_raw(), answer.headers, trace.until)
                    return _exchange.reply(call, answer.status_code, answer.headers.items(), body)
                finally:
                    answer.close()
        except _FAILURES as failure:
            problem = _translated(failure, call.url, built)
        raise problem

    async def send_async(self, call: Call) -> Reply:
        """One free request, once. Raises TransportError."""
        problem: TransportError
        own = await self._on_loop()
        if own.fast is not None and call.purpose == "poll":
            return await own.fast.send(call, self._timeouts.connect, call.timeout or self._timeouts.poll)
        clients, busy = own.clients, own.busy
        index = busy.index(min(busy))
        busy[index] += 1
        built = False
        try:
            timeout = self._timeout(call)
            # Counted is the way there, too: a place in the pool, the connection, its handshake; a look says little.
            patience = (timeout.read or 0) + 3 * self._timeouts.connect
            client = clients[index]
            request = client.build_request(
                call.method, call.url, headers=_exchange.headers(call), content=call.body, timeout=timeout
            )
            built = True
            async with asyncio.timeout(patience):
                answer = await client.send(request, stream=True)
                try:
                    body = await _bodies.whole_async(answer.aiter_raw(), answer.headers, ELAPSED() + patience)
                    return _exchange.reply(call, answer.status_code, answer.headers.items(), body)
                finally:
                    await answer.aclose()
        except _FAILURES as failure:
            problem = _translated(failure, call.url, built)
        finally:
            busy[index] -= 1
        raise problem

    async def _on_loop(self) -> _OnLoop:
        self._ready()
        loop = asyncio.get_running_loop()
        entry = self._loops.get(id(loop))
        if entry is None or entry.loop is not loop:
            self._loops = {key: entry for key, entry in self._loops.items() if not entry.loop.is_closed()}
            # Eight pools of eight: one pool of 64 spends its time searching itself.
            limits = httpx.Limits(max_connections=8, max_keepalive_connections=8)
            try:
                options = self._options()
                clients = [httpx.AsyncClient(limits=limits, **options) for _ in range(8)]
            except _MISCONFIGURED as problem:
                raise _unusable(problem) from None
            fast = _fast_client(options["verify"])
            keeper = _closing([*(client.aclose for client in clients), *([fast.close] if fast else [])])
            entry = self._loops[id(loop)] = _OnLoop(loop, clients, [0] * 8, fast, keeper)
            await anext(keeper)
        return entry

    def stream(self, step: Stream) -> Streamed:
        """Perform a `Stream` step."""
        problem: Exception
        if not step.private:
            _addresses.check(step.url)
        patience = self._timeouts.download
        timeout = httpx.Timeout(patience, connect=self._timeouts.connect)
        headers = {**step.headers, "accept-encoding": "identity"}
        try:
            with (
                self._client(paid=False) as client,
                _bodies.patient(patience, whole=False) as trace,
                client.stream("GET", step.url, headers=headers, timeout=timeout, extensions={"trace": trace}) as answer,
            ):
                return _written(step, answer, patience)
        except _FAILURES as failure:
            if isinstance(failure, OSError) and failure.errno in _DISK:
                raise
            problem = _translated(failure, step.url, built=False)
            problem.billed = "yes"
        raise problem

    def close(self) -> None:
        """Close what this process opened in the sync world."""
        if self._pid != os.getpid():
            return
        with self._lock:
            idle = [*self._shelf, *([self._free] if self._free else [])]
            self._clients, self._shelf, self._free = [], [], None
            self._generation += 1
        for client in idle:
            client.close()

    async def aclose(self) -> None:
        """Close what belongs to the running loop."""
        entry = self._loops.pop(id(asyncio.get_running_loop()), None)
        if entry is not None:
            await entry.keeper.aclose()


@dataclass(frozen=True)
class _OnLoop:
    """What belongs to one event loop: its clients, how many requests each has out, what closes them."""

    loop: asyncio.AbstractEventLoop
    clients: list[httpx.AsyncClient]
    busy: list[int]
    fast: FastClient | None
    keeper: AsyncGenerator[None, None]


def _fast_client(context: ssl.SSLContext) -> FastClient | None:
    if _carriers.of_looks() == "httpx":
        return None
    from ._fast import FastClient

    return FastClient(context)


async def _closing(closes: list[Callable[[], Awaitable[None]]]) -> AsyncGenerator[None, None]:
    """Closes the clients of a loop at its end, when nobody did before: `asyncio.run` finishes what still hangs here."""
    try:
        yield
    finally:
        for close in closes:
            await close()


_FAILURES = (
    *(httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, _bodies.TooMuch, UnicodeError, RuntimeError),
    OSError,  # a reset may surface when the socket is closed
)
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ENOENT, errno.EFBIG)
_MISCONFIGURED = (OSError, ValueError, ImportError, httpx.InvalidURL)
# Raised before a byte of the request was written; everything else may have reached the service. An invalid address
# is unsent only while the request is built: httpx also reads the address of a redirect it does not follow.
_UNSENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)

_KINDS: dict[_diagnosis.Kind, tuple[type[Exception], ...]] = {
    "unreachable": (httpx.ConnectError,),
    "connecting": (httpx.ConnectTimeout, httpx.PoolTimeout),
    "proxy": (httpx.ProxyError,),
    "silent": (httpx.TimeoutException, TimeoutError),
    "too much": (_bodies.TooMuch,),
}


def _unusable(problem: Exception) -> TransportError:
    return TransportError(
        f"The TLS or proxy settings of the environment cannot be used ({type(problem).__name__}). Nothing was sent.",
        sent=False,
        billed="no",
        hint="Look at SSL_CERT_FILE, SSL_CERT_DIR, HTTPS_PROXY and ALL_PROXY; gen302 doctor",
    )


def _translated(failure: Exception, url: str, built: bool) -> TransportError:
    kinds = (kind for kind, classes in _KINDS.items() if isinstance(failure, classes))
    sent = built and not isinstance(failure, _UNSENT)
    return _diagnosis.error(next(kinds, "broken" if sent else "address"), failure, url, sent=sent)


def _written(step: Stream, answer: httpx.Response, patience: float) -> Streamed:
    headers = {name.lower(): value for name, value in answer.headers.items()}
    if not step.private:
        _addresses.check_peer(step.url, answer.extensions.get("network_stream"))
    pace = _bodies.Pace(patience)
    if answer.status_code not in (200, 206):
        head = b""
        with suppress(httpx.HTTPError):
            for piece in answer.iter_raw():  # as it comes: nothing is unpacked that nobody asked for
                head += piece
                if len(head) >= 2000 or pace.slow(0):
                    break
        return Streamed(answer.status_code, headers, step.path.stat().st_size if step.path.exists() else 0, head[:2000])
    broken = ""
    with step.path.open("ab" if answer.status_code == 206 else "wb") as file:
        if step.began is not None:
            step.began(answer.status_code, headers)
        try:
            for piece in answer.iter_raw():
                file.write(piece)
                if file.tell() > step.limit:
                    broken = f"it is larger than the limit of {step.limit} bytes"
                elif pace.slow(file.tell()):
                    broken = "it drips in too slowly"
                if broken:
                    break
        except (httpx.HTTPError, httpx.StreamError) as failure:
            broken = type(failure).__name__
        file.flush()
        os.fsync(file.fileno())
        size = file.tell()
    return Streamed(answer.status_code, headers, size, b"", broken)
