"""The two small drivers that perform steps, one sync, one async. No decisions."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Any, TypeVar

from . import _clock, _http, _turns
from ._bells import Bells
from ._files import keeping, media
from ._steps import (
    Alone,
    Begin,
    Call,
    Flow,
    Load,
    NewId,
    Now,
    Paid,
    Ready,
    Receipt,
    Record,
    Reply,
    Save,
    Send,
    Sleep,
    Step,
    Stream,
    Turn,
)
from ._stopping import Interrupted, SignalStop, Stop, hears_ctrl_c
from .errors import LedgerError, TransportError
from .jobs import Job
from .ledger import Ledger

T = TypeVar("T")


class SyncDriver:
    """Performs steps in the calling thread. `places`: how many of its paid calls may be on the wire."""

    def __init__(self, transport: _http.Transport, ledger: Ledger, bells: Bells | None = None) -> None:
        self.places = _turns.Places(None)
        self.transport = transport
        self.ledger = ledger
        self.bells = bells or Bells()
        # Told of a call that may pay, just before it goes out, and of a wait after which it goes out again.
        self.sending: Callable[[Call | Sleep], object] | None = None

    def run(self, flow: Flow[T], stop: Stop | None = None) -> T:
        """The flow's outcome, or what it raises."""
        try:
            step = next(flow)
            while True:
                try:
                    outcome = self.perform(step, stop)
                except BaseException as failure:  # noqa: BLE001 - whatever it is, the flow decides
                    step = flow.throw(failure)
                else:
                    step = flow.send(outcome)
        except StopIteration as finished:
            value: T = finished.value
            return value
        finally:
            flow.close()

    def pay(self, flow: Flow[T], stop: Stop | None = None) -> T:
        """Run a flow that pays: a Ctrl-C is held until its receipt is written, then raised with its outcome.

        A second one breaks the flow off anywhere, so its rows are settled here: no receipt can come for them any more.
        """
        if stop is not None or not hears_ctrl_c():
            return self.run(flow, stop)
        with SignalStop() as own:
            try:
                outcome = self.run(flow, own)
            except KeyboardInterrupt:
                for torn in reversed(own.begun):
                    with contextlib.suppress(Exception):
                        self.run(torn())
                raise
        if own.asked:
            interrupt = Interrupted()
            interrupt.outcome = outcome
            raise interrupt
        return outcome

    def perform(self, step: Step[Any], stop: Stop | None) -> Any:
        """Do one step."""
        work = _PERFORMED.get(type(step))
        if work is None:
            raise TypeError(f"{type(step).__name__} is no step of this driver")
        return work(self, step, stop)

    def _send(self, step: Send, _: Stop | None) -> Reply:
        paid = step.call.purpose == "upload"
        if paid:
            self._announce(step.call)
        return self.transport.send(step.call, paid=paid)

    def _alone(self, step: Alone[Any], stop: Stop | None) -> Any:
        with _turns.turn(step.name):
            return self.run(step.flow, stop)

    def _begin(self, step: Begin[Any], stop: Stop | None) -> Any:
        begun = stop.begun if isinstance(stop, SignalStop) else []
        begun.append(step.torn)
        outcome = step.apply(self.ledger)
        if outcome is False:
            begun.pop()
        return outcome

    def _sleep(self, step: Sleep, stop: Stop | None) -> None:
        seconds = _clock.spread(step.seconds, step.spread)
        if step.why is not None:
            self._announce(replace(step, seconds=seconds, spread=0.0))
        if step.job and self.bells.armed and stop is None:
            return self.bells.sleep(step.job, seconds)
        return stop.sleep(seconds) if stop is not None else _clock.sleep(seconds)

    def _announce(self, step: Call | Sleep) -> None:
        if self.sending is not None:
            with contextlib.suppress(Exception):  # whoever watches costs no job
                self.sending(step)

    def _sent(self, call: Call, stop: Stop | None) -> Reply | TransportError:
        with self.places.one(stop) as free:
            if not free:
                return TransportError("Stopped before it was sent.", sent=False)
            self._announce(call)
            try:
                return self.transport.send(call, paid=True)
            except TransportError as problem:
                return problem

    def _paid(self, step: Paid, stop: Stop | None) -> Receipt:
        answer = self._sent(step.call, stop)
        receipt = step.receipt(answer, _clock.now())
        if receipt.job is None:
            return receipt
        if receipt.files:  # first the bytes, then the job that owns them
            receipt = replace(receipt, job=keeping.kept(self.ledger.results, receipt.job, receipt.files))
        assert receipt.job is not None
        for job in (receipt.job, *receipt.others):
            trouble = self._recorded(job, receipt.reply)
            receipt = receipt if trouble is None else replace(receipt, trouble=trouble)
        return receipt

    def _recorded(self, job: Job, reply: bytes) -> LedgerError | None:
        """Write a paid job down; why it could not be."""
        try:
            try:
                self.ledger.write(job, reply)
            except LedgerError:
                raise
            except Exception:  # noqa: BLE001 - an answer no store can hold; the name of the task must be kept
                self.ledger.write(replace(job, raw=None))
        except LedgerError as trouble:
            return trouble
        return None


_PERFORMED: dict[type[Step[Any]], Callable[[SyncDriver, Any, Stop | None], Any]] = {
    Send: SyncDriver._send,
    Alone: SyncDriver._alone,
    Ready: lambda driver, step, _: driver.transport.ready(step.call),
    Paid: SyncDriver._paid,
    Sleep: SyncDriver._sleep,
    Now: lambda *_: _clock.now(),
    Turn: lambda *_: None,
    NewId: lambda _, step, __: _clock.new_id(step.of),
    Record: lambda driver, step, _: step.apply(driver.ledger),
    Begin: SyncDriver._begin,
    Load: lambda _, step, __: media.load(step.media, step.field),
    Stream: lambda driver, step, _: driver.transport.stream(step),
    Save: lambda _, step, __: step.work(),
}


class AsyncDriver:
    """Performs free steps on the running loop; everything paid, and all disk work, in threads by the sync driver."""

    def __init__(self, transport: _http.Transport, ledger: Ledger, bells: Bells | None = None) -> None:
        self.sync = SyncDriver(transport, ledger, bells)
        self.sync.places = _turns.Places(_turns.PAID_AT_ONCE)
        self._transport = transport
        self._pid = os.getpid()
        self._pools: dict[str, ThreadPoolExecutor] = {}
        self._paying: set[Future[Any]] = set()

    def _pool(self, name: str, size: int) -> ThreadPoolExecutor:
        if self._pid != os.getpid():
            self._pools, self._paying = {}, set()
            self.sync.places = _turns.Places(_turns.PAID_AT_ONCE)
            self._pid = os.getpid()
        if name not in self._pools:
            self._pools[name] = ThreadPoolExecutor(size, thread_name_prefix=f"gen302-{name}")
        return self._pools[name]

    async def run(self, flow: Flow[T], desk: _turns.Desk | None = None) -> T:
        """The flow's outcome, or what it raises. A `desk` is sat at from an answer until another is asked for."""
        canceled: asyncio.CancelledError | None = None
        try:
            step = next(flow)
            while True:
                try:
                    if canceled is not None:
                        raise canceled
                    if isinstance(step, (Record, Save, Load)):
                        outcome, canceled = await self._on_disk(step)
                    elif desk is not None and isinstance(step, Send):
                        desk.rise()
                        outcome = await self._perform(step)
                        await desk.sit()
                    else:
                        outcome = await self._perform(step)
                except BaseException as failure:  # noqa: BLE001 - whatever it is, the flow decides
                    canceled = None
                    step = flow.throw(failure)
                else:
                    step = flow.send(outcome)
        except StopIteration as finished:
            if canceled is not None:
                raise canceled from None
            value: T = finished.value
            return value
        finally:
            flow.close()

    async def pay(self, make: Callable[[], Flow[T]]) -> T:
        """Run a flow that pays in a thread. A canceled caller returns at once; the thread writes its receipt."""
        stop = Stop()
        future = self._pool("paid", _turns.PAID_AT_ONCE + _turns.AHEAD).submit(lambda: self.sync.run(make(), stop))
        self._paying.add(future)
        future.add_done_callback(self._paying.discard)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            stop.ask()
            raise

    async def _perform(self, step: Step[Any]) -> Any:
        match step:
            case Send():
                reply = await self._transport.send_async(step.call)
                await _clock.turn()  # many came at one moment
                return reply
            case Sleep():
                seconds = _clock.spread(step.seconds, step.spread)
                if step.job and self.sync.bells.armed:
                    return await self.sync.bells.sleep_async(step.job, seconds)
                return await _http.sleep_async(seconds)
            case Now():
                return _clock.now()
            case Turn():
                return await _clock.turn(begun=True)
            case NewId():
                return _clock.new_id(step.of)
            case Paid():
                raise TypeError("a paid step never runs in a coroutine")
            case Stream():
                hold = _turns.Holding()
                try:
                    return await self._in_thread("files", replace(step, hold=hold))
                except asyncio.CancelledError:
                    hold.give_up()
                    raise
            case _:
                raise TypeError(f"{type(step).__name__} is no step of this driver")

    async def _on_disk(self, step: Step[Any]) -> tuple[Any, asyncio.CancelledError | None]:
        """Disk work in a thread. A cancellation waits for it: the flow must hear what was done before it stops."""
        work = self._in_thread("disk", step)
        canceled: asyncio.CancelledError | None = None
        while not work.done():
            try:
                await asyncio.wait({work})
            except asyncio.CancelledError as asked:
                canceled = asked
        if canceled is not None and (failure := work.exception()) is not None:
            raise canceled from failure  # a flow that goes on after a failure must not forget that it is to stop
        return work.result(), canceled

    def _in_thread(self, name: str, step: Step[Any]) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().run_in_executor(self._pool(name, 4), self.sync.perform, step, None)

    async def aclose(self) -> None:
        """Wait for every receipt that is still to be written, then let go of threads and connections."""
        if self._paying:
            await asyncio.to_thread(wait, list(self._paying))
        self.release()
        await self._transport.aclose()

    def release(self) -> None:
        """Let the threads end once their work is done; the next use starts others."""
        pools, self._pools = self._pools, {}
        for pool in pools.values() if self._pid == os.getpid() else ():
            pool.shutdown(wait=False)
