"""The server's application: routes, faults, the record of what came in, and control for other processes."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Callable
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route as Door
from starlette.routing import Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ai302_core.errors import ParameterError

from .dashboard import ACCOUNT
from .disguises import disguised
from .faults import Fault, FaultBook
from .files import FILES
from .uploads import UPLOADS
from .vocabulary import Answer, Incoming, Route
from .world import Seen, World

__all__ = ["TRANSPORT", "application", "served"]

REQUEST_ID = "ai302.request_id"
TRANSPORT = "ai302.transport"
"""The ASGI extension through which a fault reaches the connection itself."""

KEPT = 4_000_000
"""Bytes of a body up to which the record keeps it, so that a long session of big pictures stays small."""

_LOG = logging.getLogger("ai302_core.sandbox")


def served(world: World) -> tuple[Route, ...]:
    """Every route of a world: its families', then those all of 302.AI's families share."""
    return (*(route for emulation in world.emulations for route in emulation.routes), *UPLOADS, *ACCOUNT, *FILES)


def application(world: World, book: FaultBook) -> ASGIApp:
    """The ASGI application of one sandbox."""
    doors: list[Any] = [
        Door(route.path, _Endpoint(world, book, route), methods=[route.method]) for route in served(world)
    ]
    router = Router([*_controls(world, book), *doors], redirect_slashes=False, default=_Unknown(world))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                name = scope.get(REQUEST_ID) or world.request_id()
                message["headers"] = [*message["headers"], (b"request-id", name.encode())]
            await send(message)

        try:
            await router(scope, receive, send_named)
        except (asyncio.CancelledError, ClientDisconnect):
            # The client or the server went away; there is nobody left to answer.
            return

    return app


class _Endpoint:
    """One route: reads, records, answers or misbehaves."""

    def __init__(self, world: World, book: FaultBook, route: Route) -> None:
        self.world, self.book, self.route = world, book, route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        with self.world.lock:
            scope[REQUEST_ID] = self.world.request_id()
            fault = self.book.take(self.route, request.method, request.url.path)
            if fault is None or fault.kind != "drop-before":
                answer = self._answered(_incoming(request, body, fault))
        if fault is None or fault.kind not in _MISBEHAVIOUR:
            await _response(answer)(scope, receive, send)
        elif fault.kind == "drop-before":
            await _sever(scope, receive, reset=False)
        else:
            await _MISBEHAVIOUR[fault.kind](fault, answer, scope, receive, send)

    def _answered(self, incoming: Incoming) -> Answer:
        world, fault = self.world, incoming.fault
        world.remember(_seen(incoming, self.route.name), keyless=self.route.keyless)
        try:
            answer = self.route.handler(world, incoming) if fault is None or fault.accepts else Answer()
        except Exception as problem:  # noqa: BLE001 - a family's defect must show, and must not cost the others
            _LOG.exception("the sandbox's route %s failed", self.route.name)
            answer = Answer(500, f"defect of the sandbox: {problem!r}".encode(), media_type="text/plain")
        return answer if fault is None else disguised(fault, answer, incoming, world.origin)


class _Unknown:
    """Paths that nobody serves."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        incoming = _incoming(request, await request.body(), None)
        with self.world.lock:
            self.world.remember(_seen(incoming, ""), keyless=False)
        families = ", ".join(emulation.family for emulation in self.world.emulations) or "none"
        if incoming.path == "/":
            text = f"gen302 sandbox: nothing here costs money. Families: {families}.\n"
            await PlainTextResponse(text)(scope, receive, send)
            return
        message = f"The sandbox has no route {incoming.method} {incoming.path}; families: {families}."
        await JSONResponse({"error": {"message": message, "type": "sandbox"}}, 404)(scope, receive, send)


def _incoming(request: Request, body: bytes, fault: Fault | None) -> Incoming:
    return Incoming(
        method=request.method,
        path=request.url.path,
        params={name: str(value) for name, value in request.path_params.items()},
        query=dict(request.query_params),
        headers=dict(request.headers),
        body=body,
        fault=fault,
    )


def _seen(incoming: Incoming, route: str) -> Seen:
    body = incoming.json()
    if len(incoming.body) > KEPT:
        body = f"({len(incoming.body)} bytes)"
    return Seen(
        method=incoming.method,
        path=incoming.path,
        query=incoming.query,
        headers=incoming.headers,
        body=incoming.body if body is None else body,
        route=route,
    )


def _response(answer: Answer) -> Response:
    return Response(answer.content(), answer.status, dict(answer.headers), answer.media_type)


# -- misbehaviour on the wire ---------------------------------------------------------------------------------------


async def _sever(scope: Scope, receive: Receive, *, reset: bool) -> None:
    """Close the connection: with a reset, or cleanly after what was already sent."""
    transport: asyncio.Transport = scope["extensions"][TRANSPORT]
    if reset:
        on_and_now = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, on_and_now)
        transport.abort()
    else:
        transport.close()
    while (await receive())["type"] != "http.disconnect":
        pass


async def _drop(fault: Fault, answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
    await _sever(scope, receive, reset=fault.option("reset", True))


async def _late(fault: Fault, answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.sleep(fault.option("seconds", 5.0))
    await _response(answer)(scope, receive, send)


async def _begin(answer: Answer, send: Send) -> None:
    await send({"type": "http.response.start", "status": answer.status, "headers": _response(answer).raw_headers})


async def _reset(fault: Fault, answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
    await _begin(answer, send)
    content = answer.content()
    part = content[: int(len(content) * fault.option("at", 0.5))]
    scope["extensions"][TRANSPORT].set_write_buffer_limits(0)
    for piece in (part, b""):  # the second waits until the first has left
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await _sever(scope, receive, reset=not fault.option("clean", False))


async def _slow(fault: Fault, answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
    await _begin(answer, send)
    content, pieces = answer.content(), 10
    step = -(-len(content) // pieces) or 1
    for start in range(0, len(content), step):
        await asyncio.sleep(fault.option("seconds", 2.0) / pieces)
        await send({"type": "http.response.body", "body": content[start : start + step], "more_body": True})
    await send({"type": "http.response.body", "body": b""})


_MISBEHAVIOUR: dict[str, Callable[..., Any]] = {
    "drop-before": _drop,
    "drop": _drop,
    "late": _late,
    "reset": _reset,
    "slow": _slow,
}


# -- control --------------------------------------------------------------------------------------------------------


def _controls(world: World, book: FaultBook) -> list[Door]:
    """Control over HTTP, so that a test can drive a sandbox from another process of this machine."""

    async def state(request: Request) -> Response:
        with world.lock:
            return JSONResponse(world.state())

    async def advance(request: Request) -> Response:
        order = await _order(request)
        seconds = order.get("seconds")
        if not isinstance(seconds, (int, float)):
            raise ParameterError('Send {"seconds": number}.', field="seconds")
        with world.lock:
            world.advance(seconds)
            return JSONResponse({"now": world.now()})

    async def fault(request: Request) -> Response:
        order = await _order(request)
        with world.lock:
            book.arm_entry(order)
        return JSONResponse({"armed": order})

    def local(control: Callable[[Request], Any]) -> Callable[[Request], Any]:
        async def guarded(request: Request) -> Response:
            if request.client is None or request.client.host not in ("127.0.0.1", "::1"):
                return PlainTextResponse("control is for this machine only", 403)
            try:
                response: Response = await control(request)
            except ParameterError as problem:
                response = JSONResponse({"error": {"message": str(problem), "type": "sandbox"}}, 400)
            return response

        return guarded

    return [
        Door("/__sandbox__/state", local(state), methods=["GET"]),
        Door("/__sandbox__/advance", local(advance), methods=["POST"]),
        Door("/__sandbox__/fault", local(fault), methods=["POST"]),
    ]


async def _order(request: Request) -> dict[str, Any]:
    try:
        order = await request.json()
    except ValueError:
        order = None
    if not isinstance(order, dict):
        raise ParameterError("Send a JSON object.")
    return order
