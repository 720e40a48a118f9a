"""Engines broken on purpose, each as another client is: the proof that the machinery here would see it.

Each function breaks the engine of the process it is called in. Nothing calls them but children and one test.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ai302_core import _clock, _drivers, _http
from ai302_core._flows import receipts
from ai302_core._steps import Paid, Ready, Receipt, Reply
from ai302_core.errors import TransportError


def repeats_what_may_have_been_accepted() -> None:
    """A 500, a reset or an unreadable answer is taken for "nothing happened", and the submit goes out again."""

    def unclear(job: Any, why: str, now: Any, answer: Reply | None = None) -> Receipt:
        return Receipt(job=None, error=TransportError(why, sent=False))

    receipts.unclear = unclear


def writes_the_receipt_after_the_first_poll() -> None:
    """The id of a paid task lives in memory alone until somebody has looked at it."""
    late: list[Callable[[], object]] = []
    sending = _http.Transport.send

    def paid(driver: Any, step: Paid, _: object) -> Receipt:
        receipt = step.receipt(driver.transport.send(step.call, paid=True), _clock.now())
        if receipt.job is not None:
            late.append(lambda: driver.ledger.write(receipt.job, receipt.reply))
        return receipt

    def send(transport: Any, call: Any, **how: Any) -> Reply:
        reply = sending(transport, call, **how)
        while late and not how.get("paid"):
            late.pop()()
        return reply

    _drivers._PERFORMED[Paid] = paid
    _http.Transport.send = send  # type: ignore[assignment,method-assign]


def pays_in_a_coroutine() -> None:
    """A paid request is awaited on the caller's loop, where a cancellation tears it from its receipt."""
    performing = _drivers.AsyncDriver._perform

    async def perform(driver: Any, step: Any) -> Any:
        if isinstance(step, Ready):
            return None
        if not isinstance(step, Paid):
            return await performing(driver, step)
        receipt = step.receipt(await driver._transport.send_async(step.call), _clock.now())
        if receipt.job is not None:
            await asyncio.to_thread(driver.sync.ledger.write, receipt.job, receipt.reply)
        return receipt

    async def pay(driver: Any, make: Callable[[], Any]) -> Any:
        return await driver.run(make())

    _drivers.AsyncDriver._perform = perform  # type: ignore[assignment,method-assign]
    _drivers.AsyncDriver.pay = pay  # type: ignore[assignment,method-assign]


MUTANTS: dict[str, Callable[[], None]] = {
    mutant.__name__: mutant
    for mutant in (
        repeats_what_may_have_been_accepted,
        writes_the_receipt_after_the_first_poll,
        pays_in_a_coroutine,
    )
}
