"""The contract's test stand: the real engine on a clock of its own, before a loopback server made from samples."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeVar

from ai302_core import _clock, _drivers, _http, _sqlite, _stopping
from ai302_core._accounts import Account
from ai302_core._flows import acting, settling, submitting
from ai302_core._flows.submitting import Order
from ai302_core._policies import Timeouts
from ai302_core._steps import Flow, Now, Reply, Send, Sleep, Step
from ai302_core._wire import reading
from ai302_core.errors import Ai302Error, JobUnconfirmed, PluginError
from ai302_core.family import Family
from ai302_core.jobs import Job, Preview, Status
from ai302_core.ledger import Ledger
from ai302_core.requests import Request
from ai302_core.sandbox import RunningSandbox, Seen, serve
from ai302_core.sandbox.replaying import emulation_of
from ai302_core.sandbox.samples import Sample

from . import leaving

__all__ = ["KEY", "Played", "Stand", "played"]

T = TypeVar("T")
KEY = "sk-contract-5e1f9b27c0d84a36"
STEPS = 5000
"""Steps a conversation may take: far more than any honest one needs."""

_HERE = "http://127.0.0.1:"
_TIMEOUTS = Timeouts(connect=5.0, submit=10.0, poll=10.0, download=10.0)


class Endless(BaseException):
    """A conversation that would never end. Nothing a family catches."""


class Elsewhere(BaseException):
    """A call to an address where no sample answers. Nothing a family catches."""


class _Key:
    source = "the contract"

    def reveal(self) -> str:
        return KEY


class _Driver(_drivers.SyncDriver):
    """The real driver; waiting moves its clock, and what happens between two steps is watched."""

    def __init__(self, transport: _http.Transport, ledger: Ledger) -> None:
        super().__init__(transport, ledger)
        self.skipped = 0.0
        self.steps = 0
        self.io: list[str] = []
        self.slowest = 0.0
        self._resumed: float | None = None

    def run(self, flow: Flow[T], stop: _stopping.Stop | None = None) -> T:
        leaving.listen(self.io)
        self._resumed = time.monotonic()
        try:
            return super().run(flow, stop)
        finally:
            self._rested()
            leaving.listen(None)

    def _rested(self) -> None:
        if self._resumed is not None:
            self.slowest = max(self.slowest, time.monotonic() - self._resumed)
        self._resumed = None

    def perform(self, step: Step[Any], stop: _stopping.Stop | None) -> Any:
        self._rested()
        heard = leaving.listen(None)
        self.steps += 1
        try:
            if self.steps > STEPS:
                raise Endless(f"The conversation is not over after {STEPS} steps.")
            match step:
                case Sleep():
                    self.skipped += step.seconds
                    return None
                case Now():
                    return self._now()
                case Send() if not step.call.url.startswith(_HERE):
                    raise Elsewhere(
                        f"A flow calls {step.call.url}, where nobody answers in the contract, and gets no key there. "
                        'The service\'s own addresses begin with "/", as in Call("GET", "/v1/files").'
                    )
            return super().perform(step, stop)
        finally:
            leaving.listen(heard)
            self._resumed = time.monotonic()

    def _now(self) -> datetime:
        return _clock.now() + timedelta(seconds=self.skipped)


@cache
def _transport() -> _http.Transport:
    """One for all stands: reading the machine's certificates takes longer than a whole conversation."""
    return _http.Transport(_TIMEOUTS)


class Stand:
    """A server that answers as samples say, and the engine before it. A context manager."""

    def __init__(self, family: Family, samples: Iterable[Sample] = ()) -> None:
        self.family = family
        self._held = contextlib.ExitStack()
        self._told = tuple(samples)
        self.base_url = self.sandbox.url if self._told else "http://127.0.0.1:9"
        self.ledger = _sqlite.open_ledger(":memory:", data_dir=Path())
        self._held.callback(self.ledger.close)
        transport = _transport()
        self._held.callback(transport.close)
        self.driver = _Driver(transport, self.ledger)

    @cached_property
    def sandbox(self) -> RunningSandbox:
        """The server, which counts and misbehaves on demand; without samples there is none to start."""
        emulation = emulation_of(self.family, self._told, fresh=False, price="0")
        return self._held.enter_context(serve(families=[emulation], key=KEY, seed=1, speed=0))

    def __enter__(self) -> Stand:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def account(self, gateway: str) -> Account:
        """The account of a gateway of the family, at this stand. An unknown name is a defect of the sample."""
        chosen = self.family.gateway(gateway) if gateway else self.family.gateways[0]
        assert chosen is not None, f"the sample names the gateway {gateway!r}, which the family does not have"
        return Account(
            name=self.family.name.replace("-", "_"), family=self.family, gateway=chosen, base_url=self.base_url,
            key=_Key(), timeouts=_TIMEOUTS, interval=20.0, slowest=60.0,
        )  # fmt: skip

    def buy(self, sample: Sample, key: str | None = None) -> Job:
        """Submit the sample's request, or take up its task. Raises as a Provider does."""
        account = self.account(sample.gateway)
        if sample.request is None:
            remote_id = sample.remote_id(self.family)
            assert remote_id is not None, f"the sample {sample.name} looks at no task of {sample.operation}"
            return self.driver.run(settling.adopt(account, remote_id, sample.operation))
        return self.driver.run(submitting.submit(account, request_of(sample), Order(key=key or sample.name)))

    def preview(self, sample: Sample, request: Request) -> Preview:
        """What a submit of that request would send. Raises as a Provider does; nothing is sent."""
        return self.driver.run(submitting.preview(self.account(sample.gateway), request))

    def follow(self, sample: Sample, job: Job) -> Job:
        """Follow it to its end, answering a window as the sample does."""
        account = self.account(sample.gateway)
        job = self.driver.run(settling.settle(account, job, timeout=None, on_update=None))
        if job.status is Status.INPUT_REQUIRED and sample.answer is not None:
            job = job if job.actions else self.driver.run(acting.window(account, job))
            flow = submitting.answer_window(account, job, sample.answer, 60.0)
            job = self.driver.run(flow)
            job = self.driver.run(settling.settle(account, job, timeout=None, on_update=None))
        return job

    def kind(self, sample: Sample) -> str:
        """What the sample's last reply refuses, in the record's words; "" for no refusal."""
        account = self.account(sample.gateway)
        operation = account.operation(sample.operation)
        last = sample.exchanges[-1]
        envelopes = (*account.gateway.refused, *(operation.refused if operation else ()))
        said = reading.refusal(Reply(last.status, {}, last.content()), envelopes, _clock.now())
        return said.kind if said else ""


def request_of(sample: Sample) -> Request:
    """The request a sample asks with. Raises ParameterError."""
    assert sample.request is not None, f"the sample {sample.name} has no request"
    return Request.from_json(sample.request)


@dataclass(frozen=True, kw_only=True)
class Played:
    """What happened while a sample was played.

    job, error  how it ended: a job, or what was raised
    seen        the requests the server got; paid: accepted paid submits
    said        everything logged; printed: everything written to stdout and stderr
    own         connections and processes that the family opened by itself
    slowest     seconds of the longest decision
    """

    job: Job | None
    error: BaseException | None
    paid: int
    kind: str = ""
    seen: tuple[Seen, ...] = ()
    said: str = ""
    printed: str = ""
    own: tuple[str, ...] = ()
    slowest: float = 0.0


def played(family: Family, sample: Sample) -> Played:
    """Play one sample to its end."""
    job: Job | None = None
    error: BaseException | None = None
    with leaving.watching(), overheard() as (said, printed), Stand(family, [sample]) as stand:
        try:
            job = stand.buy(sample)
            job = stand.follow(sample, job)
        except JobUnconfirmed as problem:
            job, error = problem.job, problem
        except (Exception, Endless, Elsewhere) as problem:  # noqa: BLE001 - whatever the family does, the tests judge it
            error = problem
        stored = stand.ledger.jobs()
        return Played(
            job=job or (stored[0] if stored else None), error=error, paid=stand.sandbox.paid, kind=stand.kind(sample),
            seen=tuple(stand.sandbox.requests), said=said.getvalue(), printed=printed.getvalue(),
            own=tuple(stand.driver.io), slowest=stand.driver.slowest,
        )  # fmt: skip


@contextlib.contextmanager
def overheard() -> Iterator[tuple[io.StringIO, io.StringIO]]:
    """(what is logged, what is printed) meanwhile, with the contract's key as the key of the environment."""
    said, printed = io.StringIO(), io.StringIO()
    handler = logging.StreamHandler(said)
    root = logging.getLogger()
    level, key = root.level, os.environ.get("AI302_API_KEY")
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    os.environ["AI302_API_KEY"] = KEY
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            yield said, printed
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        if key is None:
            del os.environ["AI302_API_KEY"]
        else:
            os.environ["AI302_API_KEY"] = key


def reason(error: BaseException | None) -> str:
    """An error as one line for a test's message; a family's own exception with the words that no user is shown."""
    if error is None:
        return ""
    text = error.message if isinstance(error, Ai302Error) else str(error)
    words = str(error.__cause__ or "") if isinstance(error, PluginError) else ""
    return f"{type(error).__name__}: {text}" + (f" The exception says: {words}" if words else "")
