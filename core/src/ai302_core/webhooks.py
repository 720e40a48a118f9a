"""The receiver of callbacks, to mount in an ASGI application: a callback wakes a look at its job and is never believed.

Callbacks carry no signature (wire/midjourney.md 8.2, 2026-11-21), so their content is not even read as JSON: what
became of a job, the service itself is asked. Lost, late, doubled or forged ones cost at most a free look.

    hooks = Receiver(provider, token=os.environ["HOOK_TOKEN"])
    app = Starlette(routes=[Mount("/hooks", hooks)])
    job = await provider.submit(request, webhook=hooks.address("https://shop.example/hooks"))
"""

from __future__ import annotations

import asyncio
import hmac
import inspect
import logging
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from . import _http
from .async_providers import AsyncProvider
from .errors import Ai302Error, ConfigError, LedgerError, ParameterError
from .jobs import Job, Status

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

    from .providers import Provider

__all__ = ["LARGEST", "Receiver"]

LARGEST = 8 * 2**20
"""Bytes of a callback beyond which it is refused; none of them are kept."""

_GAP = 1.0
_SLOWEST = 10.0
_TOKEN = re.compile(r"[A-Za-z0-9_\-.~]{16,200}")
_LOG = logging.getLogger("ai302_core.webhooks")


class Receiver:
    """An ASGI application that takes `POST /TOKEN/JOB-ID`.

    It answers 200 for a job of the provider's ledger, and then wakes who waits for it in this process, else looks at
    it once itself, at most once a second; 404 for a wrong token or an unknown job; 413 for too long a body, 408 for one
    that is not here within 10 s; 503 while the ledger cannot be read.

    provider  whose jobs they are
    token     16 to 200 letters, digits, - _ . ~ that nobody can guess: `secrets.token_urlsafe()`. It stands in the
              address: keep it out of access logs
    on_look   called with every job the receiver itself looked at; may be a coroutine function

    Raises ParameterError for a token that can be guessed, ConfigError without the extra `webhooks`.
    """

    def __init__(
        self,
        provider: Provider | AsyncProvider,
        *,
        token: str,
        on_look: Callable[[Job], Awaitable[None] | None] | None = None,
    ) -> None:
        if not _TOKEN.fullmatch(token):
            raise ParameterError(
                "token: 16 to 200 letters, digits, - _ . ~ are needed, such as secrets.token_urlsafe() makes.",
                field="token",
            )
        try:
            from starlette.routing import Route, Router
        except ImportError as problem:
            raise ConfigError(
                f"Receiving callbacks needs the package {problem.name}.",
                hint='In the project\'s folder: pip install "./core[webhooks]"',
            ) from None
        self._provider, self._token, self._on_look = provider, token, on_look
        self._connection = provider._connection
        self._connection.bells.armed = True
        self._router = Router([Route("/{token}/{job_id}", self._called, methods=["POST"])], redirect_slashes=False)
        self._looks: dict[str, asyncio.Task[None]] = {}
        self._last: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"<Receiver of {self._provider!r}>"

    def address(self, base: str) -> str:
        """What `submit(webhook=…)` takes, for a receiver that answers below `base`, such as "https://shop.example"."""
        return f"{base.rstrip('/')}/{self._token}/{{job_id}}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._router(scope, receive, send)

    async def _called(self, request: Request) -> Response:
        from starlette.requests import ClientDisconnect
        from starlette.responses import PlainTextResponse

        if not hmac.compare_digest(request.path_params["token"].encode(), self._token.encode()):
            return PlainTextResponse("not found", 404)
        size = 0
        try:
            async with asyncio.timeout(_SLOWEST):
                async for chunk in request.stream():
                    size += len(chunk)
                    if size > LARGEST:
                        return PlainTextResponse("too long", 413, {"connection": "close"})
            job = await asyncio.to_thread(self._connection.ledger.job, request.path_params["job_id"])
        except ClientDisconnect:
            return PlainTextResponse("gone", 400)
        except TimeoutError:
            return PlainTextResponse("too slow", 408, {"connection": "close"})
        except LedgerError:
            _LOG.warning("the ledger cannot be read; a callback was not taken")
            return PlainTextResponse("try again", 503)
        if job is None:
            return PlainTextResponse("not found", 404)
        if not job.status.settled:
            self._wake(job)
        return PlainTextResponse("ok")

    def _wake(self, job: Job) -> None:
        """Let the job be looked at, soon: what comes meanwhile is the same look."""
        if job.id in self._looks:
            return
        now = asyncio.get_running_loop().time()
        wait = max(0.0, self._last.get(job.id, -_GAP) + _GAP - now)
        self._last = {name: moment for name, moment in self._last.items() if moment > now - _GAP}
        self._looks[job.id] = task = asyncio.create_task(self._look(job.id, wait))
        task.add_done_callback(lambda _: self._looks.pop(job.id, None))

    async def _look(self, job_id: str, wait: float) -> None:
        await _http.sleep_async(wait)
        self._last[job_id] = asyncio.get_running_loop().time()
        # From here on, another callback is another look: this one may see the state before it.
        self._looks.pop(job_id, None)
        if self._connection.bells.ring(job_id):
            return
        try:
            job = await asyncio.to_thread(self._connection.ledger.job, job_id)
            if job is None or job.status is Status.SUBMITTING or job.status.settled:
                return
            job = await self._polled(job)
        except Ai302Error as problem:
            _LOG.info("a look at %s after a callback saw nothing: %s", job_id, problem)
            return
        told: Any = None if self._on_look is None else self._on_look(job)
        if inspect.isawaitable(told):
            await told

    async def _polled(self, job: Job) -> Job:
        if isinstance(self._provider, AsyncProvider):
            return await self._provider.poll(job)
        return await asyncio.to_thread(self._provider.poll, job)
