"""Looks by aiohttp, where it is installed: a fifth of what httpx's async pool costs. Never a paid request, no file."""

from __future__ import annotations

import ssl

import aiohttp
from yarl import URL

from ai302_core._clock import ELAPSED
from ai302_core._steps import Call, Reply
from ai302_core.errors import TransportError

from . import bodies, diagnosis, exchange

SOCKETS = 64


class FastClient:
    """The connections of one event loop. TLS is trusted as `context` says; no proxy, no redirect, no cookie."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=SOCKETS, ssl=context),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"user-agent": exchange.USER_AGENT, "accept-encoding": bodies.ACCEPTED},
            auto_decompress=False,
        )

    async def send(self, call: Call, connect: float, wait: float) -> Reply:
        """One free request; `connect` and `wait` in seconds. Raises TransportError."""
        problem: TransportError
        built = False
        try:
            url = URL(call.url)
            if url.scheme not in ("http", "https") or not url.host:
                raise aiohttp.InvalidURL(call.url)
            built = True
            # Counted is the way there, too: a place in the pool, the connection, its handshake; a look says little.
            patience = wait + 3 * connect
            async with self._session.request(
                call.method,
                url,
                headers=exchange.headers(call),
                data=call.body,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(patience, connect=connect, sock_connect=connect, sock_read=wait),
            ) as answer:
                body = await bodies.whole_async(answer.content.iter_any(), answer.headers, ELAPSED() + patience)
                return exchange.reply(call, answer.status, exchange.told(answer.raw_headers), body)
        except _FAILURES as failure:
            problem = _translated(failure, call.url, built)
        raise problem

    async def close(self) -> None:
        """Let go of every connection."""
        await self._session.close()


_FAILURES = (aiohttp.ClientError, bodies.TooMuch, TimeoutError, ValueError, RuntimeError, OSError)
_UNREACHABLE = (aiohttp.ClientConnectorError, aiohttp.ClientConnectorCertificateError)


def _translated(failure: Exception, url: str, built: bool) -> TransportError:
    if not built or isinstance(failure, aiohttp.InvalidURL):
        return diagnosis.error("address", failure, url, sent=False)
    if isinstance(failure, _UNREACHABLE):
        return diagnosis.error("unreachable", failure, url, sent=False)
    if isinstance(failure, aiohttp.ConnectionTimeoutError):
        return diagnosis.error("connecting", failure, url, sent=False)
    if isinstance(failure, bodies.TooMuch):
        return diagnosis.error("too much", failure, url, sent=True)
    return diagnosis.error("silent" if isinstance(failure, TimeoutError) else "broken", failure, url, sent=True)
