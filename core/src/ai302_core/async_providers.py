"""AsyncProvider: the names of Provider, awaited. Every decision is the same flow."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from . import _many, _policies, downloads
from ._clock import Span
from ._connection import Connection
from ._flows import acting, additions, asking, costs, outcomes, reconciling, routing, settling, several
from ._flows.submitting import Order
from ._flows.waiting import OnUpdate
from ._targets import Target, path_text
from .assets import Asset
from .jobs import Cost, Job, Model, Outcome, Preview, Result, Status
from .ledger import listed
from .requests import Request

__all__ = ["AsyncProvider"]


class AsyncProvider:
    """The same names as `Provider`, with the same arguments, awaited; `async with`, and `aclose` for `close`.

    `run_many` and `resume` are not awaited but looped over with `async for`.
    A paid request never rides on a coroutine: a canceled caller loses no receipt.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __repr__(self) -> str:
        return f"<AsyncProvider {self._connection.name or 'default'}>"

    async def __aenter__(self) -> AsyncProvider:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Wait for receipts that are still to be written, then let go of connections. Twice is fine."""
        await self._connection.aclose()

    async def submit(
        self,
        request: Request,
        *,
        key: str | None = None,
        again: bool = False,
        lenient: bool = False,
        timeout: float = 60.0,
        save_to: Target | None = None,
        webhook: str | None = None,
    ) -> Job:
        """See `Provider.submit`."""
        members = await to_thread(self._connection.members, request)
        order = Order(
            key=key, again=again, lenient=lenient, timeout=timeout, save_to=path_text(save_to), webhook=webhook
        )
        driver = self._connection.async_driver(routing.leader(members))
        return await driver.pay(partial(routing.submit, members, request, order))

    async def wait(self, job: Job, *, timeout: float | None = None, on_update: OnUpdate | None = None) -> Result:
        """See `Provider.wait`."""
        additions.check_following(timeout, on_update)
        return await self._settled(job, Span(timeout), on_update)

    async def _settled(self, job: Job, span: Span, on_update: OnUpdate | None, *, bought: bool = False) -> Result:
        account = await to_thread(self._connection.owning, job)
        driver = self._connection.async_driver(account)
        while True:
            job = await driver.run(
                settling.settle(account, job, timeout=span.left(), on_update=on_update, bought=bought)
            )
            if job.status is not Status.INPUT_REQUIRED or not acting.foreseen(job):
                return outcomes.result(account, job)
            job = await driver.pay(partial(acting.answer, account, job, span.left()))

    async def run(
        self,
        request: Request,
        *,
        key: str | None = None,
        again: bool = False,
        lenient: bool = False,
        timeout: float | None = None,
        on_update: OnUpdate | None = None,
        save_to: Target | None = None,
        webhook: str | None = None,
    ) -> Result:
        """See `Provider.run`."""
        additions.check_following(timeout, on_update)
        span = Span(timeout)
        job = await self.submit(
            request, key=key, again=again, lenient=lenient, timeout=_policies.busy(timeout), save_to=save_to,
            webhook=webhook,
        )  # fmt: skip
        if on_update is not None:
            on_update(job)
        result = await self._settled(job, span, on_update, bought=True)
        if save_to is None:
            return result
        driver = self._connection.async_driver(self._connection.owning(job))
        files, notices = await driver.run(settling.save(result.job, path_text(save_to)))
        return outcomes.saved(result, files, notices)

    def run_many(
        self,
        requests: Iterable[Request] | Mapping[str, Request],
        *,
        again: bool = False,
        lenient: bool = False,
        save_to: Target | None = None,
        webhook: str | None = None,
    ) -> AsyncGenerator[Outcome, None]:
        """See `Provider.run_many`."""
        return _many.run_many(
            self._connection, requests, again=again, lenient=lenient, save_to=path_text(save_to), webhook=webhook
        )

    async def act(
        self,
        job: Job,
        action: str,
        *,
        key: str | None = None,
        timeout: float = 60.0,
        save_to: Target | None = None,
        webhook: str | None = None,
        **fields: Any,
    ) -> Job:
        """See `Provider.act`."""
        account = await to_thread(self._connection.owning, job)
        make = partial(
            acting.act, account, job, action, fields,
            key=key, timeout=timeout, save_to=path_text(save_to), webhook=webhook,
        )  # fmt: skip
        return await self._connection.async_driver(account).pay(make)

    async def act_all(
        self,
        job: Job,
        action: str,
        *,
        key: str | None = None,
        timeout: float = 60.0,
        save_to: Target | None = None,
        webhook: str | None = None,
    ) -> list[Job]:
        """See `Provider.act_all`."""
        account = await to_thread(self._connection.owning, job)
        make = partial(
            several.act_all,
            account,
            job,
            action,
            key=key,
            timeout=timeout,
            save_to=path_text(save_to),
            webhook=webhook,
        )
        return await self._connection.async_driver(account).pay(make)

    async def ask(self, question: str, job: Job | None = None, *, timeout: float = 60.0) -> list[Any]:
        """See `Provider.ask`."""
        account = await to_thread(self._connection.of, job)
        return await self._connection.async_driver(account).run(asking.ask(account, question, job, timeout=timeout))

    async def poll(self, job: Job) -> Job:
        """See `Provider.poll`."""
        account = await to_thread(self._connection.owning, job)
        return await self._connection.async_driver(account).run(settling.poll(account, job))

    async def cancel(self, job: Job) -> Job:
        """See `Provider.cancel`."""
        account = await to_thread(self._connection.owning, job)
        return await self._connection.async_driver(account).run(settling.cancel(account, job))

    async def save(
        self,
        what: Job | Result | Asset,
        to: Target | None = None,
        *,
        roles: Sequence[str] | None = None,
        sidecar: bool = True,
    ) -> list[Path]:
        """See `Provider.save`."""
        job, assets = outcomes.subject(what)
        account = await to_thread(self._connection.of, job, assets[0].kind if assets else None)
        driver = self._connection.async_driver(account)
        if job is None:
            return await driver.run(downloads.save_assets(assets, path_text(to) or ".", account.base_url))
        return (await driver.run(settling.save(job, path_text(to), roles=roles, sidecar=sidecar)))[0]

    async def open(self, asset: Asset) -> BinaryIO:
        """See `Provider.open`."""
        account = await to_thread(self._connection.of, None, outcomes.kind_of(asset))
        return await self._connection.async_driver(account).run(downloads.open_stream(asset, base_url=account.base_url))

    async def dry_run(self, request: Request, *, lenient: bool = False, webhook: str | None = None) -> Preview:
        """See `Provider.dry_run`."""
        members = await to_thread(self._connection.members, request)
        flow = routing.preview(members, request, lenient=lenient, webhook=webhook)
        return await self._connection.async_driver(routing.leader(members)).run(flow)

    async def models(self, task: str | None = None) -> tuple[Model, ...]:
        """See `Provider.models`."""
        return tuple(model for _, model in await to_thread(self._connection.models, task))

    async def cost(self, job: Job) -> Cost:
        """See `Provider.cost`."""
        account = await to_thread(self._connection.owning, job)
        return (await self._connection.async_driver(account).run(costs.known(account, job))).cost

    async def job(self, ref: str) -> Job:
        """See `Provider.job`."""
        return await to_thread(self._connection.found, ref)

    async def jobs(
        self, *, status: Sequence[Status] = (), since: datetime | None = None, text: str = "", limit: int | None = None
    ) -> list[Job]:
        """See `Provider.jobs`."""
        return await to_thread(listed, self._connection.ledger, status, since, text, limit)

    def resume(self, save_to: Target | None = None) -> AsyncGenerator[Outcome, None]:
        """See `Provider.resume`."""
        return _many.resume(self._connection, path_text(save_to))

    async def reconcile(
        self,
        job: Job,
        *,
        remote_id: str | None = None,
        resubmit: bool = False,
        abandon: bool = False,
        webhook: str | None = None,
    ) -> Job:
        """See `Provider.reconcile`."""
        owner = await to_thread(self._connection.owner, job)
        make = partial(reconciling.reconcile, owner, job, remote_id=remote_id, resubmit=resubmit, abandon=abandon,
                       webhook=webhook)  # fmt: skip
        return await self._connection.async_driver(owner).pay(make)

    async def adopt(self, remote_id: str, operation: str | None = None) -> Job:
        """See `Provider.adopt`."""
        account = await to_thread(self._connection.offering, operation)
        return await self._connection.async_driver(account).run(settling.adopt(account, remote_id, operation))
