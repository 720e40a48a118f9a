"""The only file that imports httpx: sending and streaming, in both worlds."""

from __future__ import annotations

import asyncio
import http.cookiejar
import os
import ssl
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from ._clock import ELAPSED
from ._policies import Timeouts
from ._steps import Call, Reply, Stream, Streamed
from ._transport import addresses, bodies, carriers, diagnosis, exchange, pouring
from .errors import TransportError

with carriers.spared():
    import httpx

if TYPE_CHECKING:
    from ._transport.fast import FastClient

_FRESH = 0.5  # seconds: an idle connection older than this may be dead, and a paid request must not find out


async def sleep_async(seconds: float) -> None:
    """Wait."""
    await asyncio.sleep(seconds)


class _Line(NamedTuple):
    """A client, and how a built request leaves it.

    Straight into httpx's transport where no proxy has to be found: cookies, redirects and credentials from elsewhere,
    which nobody here wants, are half of what a client's `send` takes.
    """

    client: httpx.Client
    send: Callable[[httpx.Request], httpx.Response]
    plain: bool


_AsyncLine = tuple[httpx.AsyncClient, Callable[[httpx.Request], Awaitable[httpx.Response]]]


class Transport:
    """HTTP by httpx, its own retries off: clients made once per process and thread, TLS as the system says.

    Proxies come from the environment (HTTPS_PROXY, NO_PROXY), a custom CA from SSL_CERT_FILE or SSL_CERT_DIR.
    """

    def __init__(self, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._forget()

    def _forget(self) -> None:
        # Sockets of a parent process are left alone, not closed: they are still the parent's.
        self._left = getattr(self, "_clients", None)
        self._lock = threading.Lock()
        self._clients: list[_Line] = []
        self._shelf: dict[bool, list[_Line]] = {True: [], False: []}
        self._generation = 0
        self._free: dict[bool, _Line] = {}
        self._loops: dict[int, _OnLoop] = {}
        self._context: ssl.SSLContext | None = None
        self._pid = os.getpid()  # last: a thread that comes meanwhile must find none of them

    def _ready(self) -> None:
        if self._pid != os.getpid():
            self._forget()

    def _options(self, *, plain: bool = False) -> dict[str, Any]:
        """`plain`: for addresses without TLS alone, whose context trusts nobody: reading the authorities is slow."""
        if self._context is None and not plain:
            self._context = httpx.create_ssl_context()
        jar = http.cookiejar.CookieJar(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
        return {
            "verify": self._context or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            "follow_redirects": False,
            "cookies": jar,
            "headers": {"user-agent": exchange.USER_AGENT, "accept-encoding": bodies.ACCEPTED},
        }

    def _made(self, keepalive: float, *, plain: bool) -> _Line:
        limits = httpx.Limits(max_connections=64, keepalive_expiry=keepalive)
        try:
            direct = carriers.direct()
            options = self._options(plain=plain and direct)
            way = httpx.HTTPTransport(options["verify"], limits=limits) if direct else None
            client = httpx.Client(limits=limits, transport=way, **options)
        except _MISCONFIGURED as problem:
            raise diagnosis.unusable(problem) from None
        line = _Line(client, way.handle_request if way else partial(client.send, stream=True), plain)
        self._clients.append(line)
        return line

    def _made_async(self) -> _AsyncLine:
        limits = httpx.Limits(max_connections=8, max_keepalive_connections=8)
        options = self._options()
        way = httpx.AsyncHTTPTransport(options["verify"], limits=limits) if carriers.direct() else None
        client = httpx.AsyncClient(limits=limits, transport=way, **options)
        return client, way.handle_async_request if way else partial(client.send, stream=True)

    def _taken(self, url: str, *, paid: bool) -> tuple[_Line, int]:
        """The shared client of free requests, or for a paid one a client nobody else uses meanwhile."""
        self._ready()
        plain = url.startswith("http://")
        with self._lock:
            if paid:
                line = self._shelf[plain].pop() if self._shelf[plain] else self._made(_FRESH, plain=plain)
            else:
                line = self._free.get(plain) or self._free.setdefault(plain, self._made(5.0, plain=plain))
            return line, self._generation

    def _given_back(self, line: _Line, generation: int) -> None:
        if generation == self._generation:
            self._shelf[line.plain].append(line)
        else:  # closed meanwhile: a paid call is never torn, its connection goes when it is done
            line.client.close()

    def ready(self, call: Call) -> None:
        """Have a client for this paid call. What stands in the way of one is met when the call is sent."""
        with suppress(TransportError):
            self._given_back(*self._taken(call.url, paid=True))

    def _patience(self, call: Call) -> float:
        return call.timeout or (self._timeouts.submit if call.purpose != "poll" else self._timeouts.poll)

    def _built(self, call: Call, trace: Callable[[str, dict[str, Any]], object]) -> httpx.Request:
        """The request of a call; `trace` hears what happens to it until it goes out."""
        request: httpx.Request | None = call.built.get(trace)
        if request is None:
            url, patience, connect = _address(call.url), self._patience(call), self._timeouts.connect
            timeout = {"connect": connect, "read": patience, "write": patience, "pool": connect}
            request = call.built[trace] = httpx.Request(
                call.method,
                url,
                headers=[("Host", url.netloc.decode("ascii")), *exchange.lines(call)],
                stream=httpx.ByteStream(call.body) if call.body else _Empty(b""),
                extensions={"timeout": timeout},
            )
        request.extensions["trace"] = trace
        return request

    def send(self, call: Call, *, paid: bool = False) -> Reply:
        """One request, once. Raises TransportError."""
        problem: TransportError
        built = False
        line: _Line | None = None
        trace = bodies.PATIENCE
        try:
            line, generation = self._taken(call.url, paid=paid)
            request = self._built(call, trace)
            trace.begin(self._patience(call) + self._timeouts.connect)
            built = True
            answer = line.send(request)
            stream = cast("httpx.SyncByteStream", answer.stream)
            try:
                exchange.check_own(answer.extensions)
                headers = exchange.told(answer.headers.raw)
                return exchange.reply(call, answer.status_code, headers, bodies.whole(stream, headers, trace.until))
            finally:
                stream.close()
        except _FAILURES as failure:
            problem = _translated(failure, call.url, built)
        finally:
            trace.end()
            if paid and line is not None:
                self._given_back(line, generation)
        raise problem

    async def send_async(self, call: Call) -> Reply:
        """One free request, once. Raises TransportError."""
        problem: TransportError
        own = await self._on_loop()
        if own.fast is not None and call.purpose == "poll":
            return await own.fast.send(call, self._timeouts.connect, call.timeout or self._timeouts.poll)
        if not own.lines:  # none is sent so today; httpx's asynchronous half is not imported for it
            return await asyncio.to_thread(self.send, call)
        index = (busy := own.busy).index(min(own.busy))
        busy[index] += 1
        built = False
        try:
            # Counted is the way there, too: a place in the pool, the connection, its handshake; a look says little.
            patience = self._patience(call) + 3 * self._timeouts.connect
            request = self._built(call, exchange.listening)
            built = True
            async with asyncio.timeout(patience):
                answer = await own.lines[index][1](request)
                answer.request = request
                try:
                    exchange.check_own(answer.extensions)
                    headers = exchange.told(answer.headers.raw)
                    body = await bodies.whole_async(answer.aiter_raw(), headers, ELAPSED() + patience)
                    return exchange.reply(call, answer.status_code, headers, body)
                finally:
                    await answer.aclose()
        except _FAILURES as failure:
            problem = _translated(failure, call.url, built)
        finally:
            busy[index] -= 1
        raise problem

    def _prepare(self) -> None:
        """Read the certificate authorities, import what httpx and whoever sends the looks import when they are used."""
        with self._lock, suppress(*_MISCONFIGURED):  # the loop meets the same, and says so
            verify = self._options()["verify"]
            carriers.ready() or asyncio.run(httpx.AsyncHTTPTransport(verify).aclose())

    async def _on_loop(self) -> _OnLoop:
        self._ready()
        loop = asyncio.get_running_loop()
        if (entry := self._loops.get(id(loop))) is None or entry.loop is not loop:
            await asyncio.to_thread(self._prepare)  # a third of a second, which the loop has not got
            entry = self._loops.get(id(loop))
        if entry is None or entry.loop is not loop:
            self._loops = {key: entry for key, entry in self._loops.items() if not entry.loop.is_closed()}
            try:
                fast = carriers.fast(self._options()["verify"])
                lines = [] if fast else [self._made_async() for _ in range(8)]  # one of 64 would search itself
            except _MISCONFIGURED as problem:
                raise diagnosis.unusable(problem) from None
            keeper = carriers.closing([*(client.aclose for client, _ in lines), *([fast.close] if fast else [])])
            entry = self._loops[id(loop)] = _OnLoop(loop, lines, [0] * 8, fast, keeper)
            await anext(keeper)
        return entry

    def stream(self, step: Stream) -> Streamed:
        """Perform a `Stream` step."""
        problem: Exception
        if not step.private:
            addresses.check(step.url)
        patience = self._timeouts.download
        timeout = httpx.Timeout(patience, connect=self._timeouts.connect)
        headers = {**step.headers, "accept-encoding": "identity"}
        try:
            line, _ = self._taken(step.url, paid=False)
            with (
                bodies.patient(patience) as trace,
                line.client.stream(
                    "GET", step.url, headers=headers, timeout=timeout, extensions={"trace": trace}
                ) as got,
            ):
                exchange.check_own(got.extensions)
                headers = {name.lower(): value for name, value in got.headers.items()}
                if not step.private:
                    addresses.check_peer(step.url, got.extensions.get("network_stream"))
                return pouring.poured(step, got.status_code, headers, got.iter_raw(), patience, _BROKEN)
        except _FAILURES as failure:
            if isinstance(failure, OSError) and failure.errno in pouring.DISK:
                raise
            problem = _translated(failure, step.url, built=False)
            problem.billed = "yes"
        raise problem

    def close(self) -> None:
        """Close what this process opened in the sync world."""
        if self._pid != os.getpid():
            return
        with self._lock:
            idle = [*self._shelf[True], *self._shelf[False], *self._free.values()]
            self._clients, self._shelf, self._free = [], {True: [], False: []}, {}
            self._generation += 1
        for line in idle:
            line.client.close()

    async def aclose(self) -> None:
        """Close what belongs to the running loop."""
        entry = self._loops.pop(id(asyncio.get_running_loop()), None)
        if entry is not None:
            await entry.keeper.aclose()


class _Empty(httpx.ByteStream):
    """A body in no pieces: an empty one goes through the whole protocol."""

    def __iter__(self) -> Iterator[bytes]:
        return iter(())


_address = lru_cache(maxsize=256)(httpx.URL)  # a submit's is the same each time


@dataclass(frozen=True)
class _OnLoop:
    """What belongs to one event loop: its clients, how many requests each has out, what closes them."""

    loop: asyncio.AbstractEventLoop
    lines: list[_AsyncLine]
    busy: list[int]
    fast: FastClient | None
    keeper: AsyncGenerator[None, None]


_FAILURES = (
    *(httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, bodies.TooMuch, UnicodeError, RuntimeError),
    OSError,  # a reset may surface when the socket is closed
)
_BROKEN = (httpx.HTTPError, httpx.StreamError)
_MISCONFIGURED = (OSError, ValueError, ImportError, httpx.InvalidURL)
# Raised before a byte of the request was written; everything else may have reached the service. An invalid address
# is unsent only while the request is built: httpx also reads the address of a redirect it does not follow.
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)

_KINDS: dict[diagnosis.Kind, tuple[type[Exception], ...]] = {
    "unreachable": (httpx.ConnectError,), "connecting": (httpx.ConnectTimeout, httpx.PoolTimeout),
    "proxy": (httpx.ProxyError,), "silent": (httpx.TimeoutException, TimeoutError), "too much": (bodies.TooMuch,),
}  # fmt: skip


def _translated(failure: Exception, url: str, built: bool) -> TransportError:
    kinds = (kind for kind, classes in _KINDS.items() if isinstance(failure, classes))
    sent = built and not isinstance(failure, _UNSENT)
    return diagnosis.error(next(kinds, "broken" if sent else "address"), failure, url, sent=sent)
