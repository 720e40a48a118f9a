"""The listening socket: uvicorn's HTTP protocol on a loop thread of our own.

uvicorn's own server has no way to close its port for a while, keeps the transport from the application, and takes a
tenth of a second to stop; faults and tests need all three.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from concurrent.futures import Future
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from ai302_core import _threads
from ai302_core.errors import ConfigError

from .app import TRANSPORT

__all__ = ["Listener"]

HOST = "127.0.0.1"


class _Connection(H11Protocol):
    """uvicorn's protocol, whose application sees the transport."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        inner: Any = self.app

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("extensions", {})[TRANSPORT] = transport
            await inner(scope, receive, send)

        self.app = app

    @property
    def idle(self) -> bool:
        """Whether no request is under way."""
        return bool(getattr(self.cycle, "response_complete", True))


def _bound(port: int) -> socket.socket:
    """A socket that holds a port on which nobody listens: connections are refused, and no other program gets it."""
    held = socket.socket()
    if os.name == "posix":  # where connections of before still stand on it
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind((HOST, port))
    return held


class Listener:
    """Serves an application on 127.0.0.1 until `stop`."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._config = Config(
            app,
            log_config=None,
            access_log=False,
            proxy_headers=False,
            lifespan="off",
            ws="none",
            timeout_keep_alive=60,
        )
        self._state = ServerState()
        self._ready: Future[int] = Future()
        self._closed: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve, args=(port,), name="gen302-sandbox", daemon=True)
        with _threads.deaf():
            self._thread.start()
        try:
            self.port = self._ready.result()
        except (OSError, OverflowError) as problem:  # OverflowError: no such port, as asyncio says it
            reason = problem.strerror if isinstance(problem, OSError) else "ports are 0 to 65535"
            raise ConfigError(
                f"The sandbox cannot listen on port {port}: {reason}.", hint="Give another --port, or 0 for any."
            ) from None

    def _serve(self, port: int) -> None:
        try:
            with asyncio.Runner() as runner:
                runner.run(self._main(port))
        except BaseException as problem:
            if self._ready.done():
                raise
            self._ready.set_exception(problem)  # whoever waits for the port must not wait for ever

    async def _main(self, port: int) -> None:
        self._loop, self._stopping, self._turn = asyncio.get_running_loop(), asyncio.Event(), asyncio.Lock()
        self._reopening: asyncio.Task[None] | None = None
        self._config.load()
        self._server = await self._loop.create_server(self._connection, HOST, port)
        self._ready.set_result(self._server.sockets[0].getsockname()[1])
        await self._stopping.wait()
        async with self._turn:
            await self._close()
            if self._closed is not None:
                self._closed.close()
        self._hang_up(idle_only=False)
        await self._let_others_run()

    async def _let_others_run(self) -> None:
        """Two turns of the loop: connections that were just accepted, or aborted, learn of it."""
        for _ in range(2):
            await asyncio.sleep(0)

    def _connection(self) -> _Connection:
        return _Connection(config=self._config, server_state=self._state, app_state={})

    async def _close(self) -> None:
        # Stop accepting first: asyncio loses the socket of a connection that it accepted in the turn of the close.
        for listening in self._server.sockets:
            with contextlib.suppress(NotImplementedError):  # Windows' loop has no readers, and not that trouble
                self._loop.remove_reader(listening.fileno())
        await self._let_others_run()
        self._server.close()

    def _hang_up(self, *, idle_only: bool) -> None:
        for connection in list(self._state.connections):
            if isinstance(connection, _Connection) and (connection.idle or not idle_only):
                connection.transport.abort()

    def refuse(self, seconds: float) -> None:
        """Refuse connections for a while (real seconds); idle ones are closed."""
        if threading.current_thread() is self._thread:
            self._work = self._loop.create_task(self._refuse(seconds))
        else:
            asyncio.run_coroutine_threadsafe(self._refuse(seconds), self._loop).result()

    async def _refuse(self, seconds: float) -> None:
        async with self._turn:
            if self._reopening is not None:
                self._reopening.cancel()
            await self._close()
            self._closed = self._closed or _bound(self.port)
            self._hang_up(idle_only=True)
            self._reopening = self._loop.create_task(self._reopen(seconds))

    async def _reopen(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        async with self._turn:
            self._reopening = None
            if self._closed is not None and not self._stopping.is_set():
                self._server = await self._loop.create_server(self._connection, sock=self._closed)
                self._closed = None

    def stop(self) -> None:
        """Close the port and every connection; returns when the thread has ended."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()
