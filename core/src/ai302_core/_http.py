"""The only file that imports httpx: sending and streaming, in both worlds."""

from __future__ import annotations

import asyncio
import http.cookiejar
import os
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from typing import IO, Any
from urllib.parse import urlsplit

import httpx

from . import _addresses, _diagnosis, _links
from ._accounts import Timeouts
from ._clock import ELAPSED
from ._steps import Call, Reply, Stream, Streamed
from .errors import TransportError

MAX_BODY = 64 * 2**20
"""Bytes an API answer may have; files are streamed and have their own limit."""

_FRESH = 0.5  # seconds: an idle connection older than this may be dead, and a paid request must not find out


async def sleep_async(seconds: float) -> None:
    """Wait."""
    await asyncio.sleep(seconds)


def user_agent() -> str:
    """What this library calls itself."""
    try:
        return f"ai302-core/{version('ai302-core')}"
    except PackageNotFoundError:
        return "ai302-core"


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
        self._free: httpx.Client | None = None
        self._loops: dict[int, tuple[asyncio.AbstractEventLoop, list[httpx.AsyncClient], list[int]]] = {}
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
            "headers": {"user-agent": user_agent()},
        }

    def _made(self, keepalive: float) -> httpx.Client:
        limits = httpx.Limits(max_connections=64, keepalive_expiry=keepalive)
        client = httpx.Client(limits=limits, **self._options())
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
        assert client is not None
        try:
            yield client
        finally:
            if paid:
                self._shelf.append(client)

    def _timeout(self, call: Call) -> httpx.Timeout:
        wait = call.timeout or (self._timeouts.submit if call.purpose != "poll" else self._timeouts.poll)
        return httpx.Timeout(wait, connect=self._timeouts.connect, pool=self._timeouts.connect)

    def send(self, call: Call, *, paid: bool = False) -> Reply:
        """One request, once. Raises TransportError."""
        problem: TransportError
        try:
            timeout = self._timeout(call)
            deadline = ELAPSED() + (timeout.read or 0) + self._timeouts.connect
            with (
                self._client(paid=paid) as client,
                client.stream(
                    call.method, call.url, headers=_headers(call), content=call.body, timeout=timeout
                ) as answer,
            ):
                return _reply(answer, _bounded(answer.iter_bytes(), deadline))
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, _TooMuch, UnicodeError) as failure:
            problem = _translated(failure, call.url)
        raise problem

    async def send_async(self, call: Call) -> Reply:
        """One free request, once. Raises TransportError."""
        problem: TransportError
        clients, busy = self._async_clients()
        index = busy.index(min(busy))
        busy[index] += 1
        try:
            timeout = self._timeout(call)
            deadline = ELAPSED() + (timeout.read or 0) + self._timeouts.connect
            async with clients[index].stream(
                call.method, call.url, headers=_headers(call), content=call.body, timeout=timeout
            ) as answer:
                return _reply(answer, await _bounded_async(answer.aiter_bytes(), deadline))
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, _TooMuch, UnicodeError) as failure:
            problem = _translated(failure, call.url)
        finally:
            busy[index] -= 1
        raise problem

    def _async_clients(self) -> tuple[list[httpx.AsyncClient], list[int]]:
        self._ready()
        loop = asyncio.get_running_loop()
        entry = self._loops.get(id(loop))
        if entry is None or entry[0] is not loop:
            self._loops = {key: entry for key, entry in self._loops.items() if not entry[0].is_closed()}
            # Eight pools of eight: one pool of 64 spends its time searching itself.
            limits = httpx.Limits(max_connections=8, max_keepalive_connections=8)
            clients = [httpx.AsyncClient(limits=limits, **self._options()) for _ in range(8)]
            entry = self._loops[id(loop)] = (loop, clients, [0] * 8)
        return entry[1], entry[2]

    def stream(self, step: Stream) -> Streamed:
        """Perform a `Stream` step."""
        problem: Exception
        if not step.private:
            _addresses.check(step.url)
        timeout = httpx.Timeout(self._timeouts.download, connect=self._timeouts.connect)
        headers = {**step.headers, "accept-encoding": "identity"}
        try:
            with (
                self._client(paid=False) as client,
                client.stream("GET", step.url, headers=headers, timeout=timeout) as answer,
            ):
                return _written(step, answer)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, UnicodeError) as failure:
            problem = _translated(failure, step.url)
            problem.billed = "yes"
        raise problem

    def close(self) -> None:
        """Close what this process opened in the sync world."""
        if self._pid != os.getpid():
            return
        with self._lock:
            clients, self._clients, self._shelf, self._free = self._clients, [], [], None
        for client in clients:
            client.close()

    async def aclose(self) -> None:
        """Close what belongs to the running loop."""
        entry = self._loops.pop(id(asyncio.get_running_loop()), None)
        for client in entry[1] if entry else []:
            await client.aclose()


def _headers(call: Call) -> dict[str, str]:
    return {**call.headers, call.secret[0]: call.secret[1]} if call.secret else dict(call.headers)


class _TooMuch(Exception):
    pass


def _bounded(pieces: Iterator[bytes], deadline: float) -> bytes:
    body = bytearray()
    for piece in pieces:
        body += piece
        _check(body, deadline)
    return bytes(body)


async def _bounded_async(pieces: AsyncIterator[bytes], deadline: float) -> bytes:
    body = bytearray()
    async for piece in pieces:
        body += piece
        _check(body, deadline)
    return bytes(body)


def _check(body: bytearray, deadline: float) -> None:
    if len(body) > MAX_BODY:
        raise _TooMuch(f"the answer is larger than {MAX_BODY // 2**20} MiB")
    if ELAPSED() > deadline:
        raise _TooMuch("the answer drips in too slowly")


def _reply(answer: httpx.Response, body: bytes) -> Reply:
    return Reply(answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, body)


# Raised before a byte of the request was written; everything else may have reached the service.
_UNSENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
    UnicodeError,
)


def _translated(failure: Exception, url: str) -> TransportError:
    host = _links.host(url) or "the service"
    sent = not isinstance(failure, _UNSENT)
    if isinstance(failure, httpx.ConnectError):
        text = _diagnosis.unreachable(failure, host)
    elif isinstance(failure, (httpx.ConnectTimeout, httpx.PoolTimeout)):
        text = f"{host} could not be reached in time."
    elif isinstance(failure, httpx.ProxyError):
        text = f"The proxy refused the way to {host}: {str(failure)[:100]}."
    elif isinstance(failure, httpx.TimeoutException):
        text = f"{host} did not answer in time."
    elif isinstance(failure, _TooMuch):
        text = f"{host}: {failure}."
    elif sent:
        text = f"The connection to {host} broke before the answer was complete ({type(failure).__name__})."
    else:
        text = f"{host} cannot be called: its address is not usable."
    return TransportError(text, sent=sent, billed="unknown" if sent else "no", hint="" if sent else "gen302 doctor")


def _written(step: Stream, answer: httpx.Response) -> Streamed:
    headers = {name.lower(): value for name, value in answer.headers.items()}
    _peer_checked(step, answer)
    if answer.status_code not in (200, 206):
        head = b""
        with suppress(httpx.HTTPError):
            for piece in answer.iter_bytes():
                head += piece
                if len(head) >= 2000:
                    break
        return Streamed(answer.status_code, headers, _size(step), head[:2000])
    broken = ""
    with step.path.open("ab" if answer.status_code == 206 else "wb") as file:
        if step.began is not None:
            step.began(answer.status_code, headers)
        try:
            for piece in answer.iter_raw():
                file.write(piece)
                if file.tell() > step.limit:
                    broken = f"it is larger than the limit of {step.limit} bytes"
                    break
        except (httpx.HTTPError, httpx.StreamError) as failure:
            broken = type(failure).__name__
        _synced(file)
        size = file.tell()
    return Streamed(answer.status_code, headers, size, b"", broken)


def _peer_checked(step: Stream, answer: httpx.Response) -> None:
    """The address really connected to: a name may resolve to another one each time it is asked."""
    network = answer.extensions.get("network_stream")
    peer = network.get_extra_info("server_addr") if network is not None else None
    if peer and not step.private and not _addresses.proxied(step.url):
        _addresses.refuse_private(str(peer[0]), urlsplit(step.url).hostname or "")


def _size(step: Stream) -> int:
    return step.path.stat().st_size if step.path.exists() else 0


def _synced(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())
