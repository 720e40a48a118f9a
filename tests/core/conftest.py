"""A family made up for the tests, and a hand that feeds flows: no loop, no clock, no network."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ai302_core import _sqlite
from ai302_core._accounts import Account
from ai302_core._files import keeping, media
from ai302_core._steps import Alone, Call, Flow, Load, NewId, Now, Paid, Ready, Record, Reply, Save, Send, Sleep, Turn
from ai302_core.errors import LedgerError, TransportError
from ai302_core.family import (
    REFUSED_302AI,
    Action,
    ActionRequest,
    Family,
    Gateway,
    ImageRequest,
    Many,
    Operation,
    Refused,
    States,
    Times,
    field,
    get,
    image,
    post,
)
from ai302_core.ledger import Ledger, Limits

Answer = Reply | TransportError
_COUNT = itertools.count(100)


class Key:
    """A sentinel that must never be seen."""

    source = "the test"

    def reveal(self) -> str:
        return "sk-SENTINEL"


class Hand:
    """Feeds a flow: answers in the order given, a clock that only steps move, a real ledger in memory."""

    def __init__(self, ledger: Ledger, answers: list[Answer | Callable[[Call], Answer]]) -> None:
        self.ledger = ledger
        self.answers = answers
        self.now = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
        self.calls: list[Call] = []
        self.paid: list[Call] = []
        self.sleeps: list[float] = []
        self.on_sleep: Callable[[], None] = lambda: None

    def run(self, flow: Flow[Any]) -> Any:
        try:
            step = next(flow)
            while True:
                try:
                    outcome = self.perform(step)
                except BaseException as failure:
                    step = flow.throw(failure)
                else:
                    step = flow.send(outcome)
        except StopIteration as finished:
            return finished.value
        finally:
            flow.close()

    def perform(self, step: Any) -> Any:
        match step:
            case Send():
                return self._answer(step.call)
            case Paid():
                self.paid.append(step.call)
                answer: Answer
                try:
                    answer = self._answer(step.call)
                except TransportError as problem:
                    answer = problem
                receipt = step.receipt(answer, self.now)
                if receipt.job is not None:
                    job = keeping.kept(self.ledger.results, receipt.job, receipt.files)
                    receipt = replace(receipt, job=job)
                    for entry in (job, *receipt.others):
                        try:
                            self.ledger.write(entry, receipt.reply)
                        except LedgerError as trouble:
                            receipt = replace(receipt, trouble=trouble)
                return receipt
            case Sleep():
                if step.seconds:
                    self.sleeps.append(step.seconds)
                    self.now += timedelta(seconds=step.seconds)
                    self.on_sleep()
            case Now():
                return self.now
            case NewId():
                return f"261121-aaaaa{next(_COUNT):03}"
            case Record():
                return step.apply(self.ledger)
            case Ready() | Turn():
                pass
            case Alone():
                return self.run(step.flow)
            case Load():
                return media.load(step.media, step.field)
            case Save():
                return step.work()
            case _:
                raise AssertionError(f"unexpected step {step!r}")
        return None

    def _answer(self, call: Call) -> Reply:
        self.calls.append(call)
        answer = self.answers.pop(0)
        answer = answer(call) if callable(answer) else answer
        if isinstance(answer, TransportError):
            raise answer
        return answer


def _actions(document: Any) -> Iterator[Action]:
    if document["data"]["status"] == "window":
        yield Action(name="continue", operation="answer")
    for name in document["data"].get("buttons", ()):
        yield Action(name=name, label=name.upper(), operation="press", once=name.startswith("up"), values={"b": name})
    if "ask" in document["data"].get("buttons", ()):
        yield Action(name="region", operation="press", needs=("prompt",), values={"b": "region"})


@dataclass(frozen=True, kw_only=True)
class AcmePress(ActionRequest):
    """A press with words."""

    prompt: str | None = None


def acme() -> Family:
    shared: dict[str, Any] = {
        "poll": get("/v1/job/{job_id}"),
        "job_id": ("data.id",),
        "states": (
            States(
                at="data.status",
                queued=("wait",),
                running=("run",),
                input_required=("window",),
                succeeded=("done",),
                failed=("fail*",),
                canceled=("stop",),
            ),
        ),
        "assets": (image("data.urls[]", "data.url"),),
        "progress": ("data.progress",),
        "failure": ("data.reason",),
        "rejected": ("nsfw",),
        "refused": (
            Refused(
                at=("code",), accepted=(0,), kinds={7: "busy", 8: "content", 9: "unclear"}, texts={"queue full": "busy"}
            ),
            REFUSED_302AI,
        ),
        "actions": _actions,
        "many": Many(call=post("/v1/jobs"), at="data[]", id="data.id", size=3),
        "cancel": post("/v1/job/{job_id}/stop"),
        "times": Times(submitted="data.t0", started="data.t1", finished="data.t2"),
        "usual": (20.0, 60.0),
    }
    return Family(
        "acme",
        api=1,
        base_url="https://api.302.ai",
        gateways=(Gateway("302ai", base_url="https://api.302.ai"), Gateway("plain", lacks=("many", "cancel"))),
        operations=(
            Operation(
                "image",
                request=ImageRequest,
                submit=post("/v1/image"),
                body={
                    "input": {"text": field("prompt"), "refs": field("images")},
                    "seed": field("seed"),
                    "mode": "std",
                },
                **shared,
            ),
            Operation(
                "press",
                request=AcmePress,
                submit=post("/v1/press"),
                body={"id": field("task"), "button": field("values"), "prompt": field("prompt")},
                **shared,
            ),
            Operation(
                "answer",
                request=AcmePress,
                submit=post("/v1/answer"),
                body={"id": field("task"), "prompt": field("prompt")},
                **shared,
            ),
        ),
    )


@pytest.fixture
def account() -> Account:
    family = acme()
    return Account(
        name="hero",
        family=family,
        gateway=family.gateways[0],
        base_url="https://api.302.ai",
        key=Key(),
        limits=Limits(),
    )


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    store = _sqlite.open_ledger(":memory:", data_dir=tmp_path)
    yield store
    store.close()


@pytest.fixture
def hand(ledger: Ledger) -> Callable[..., Hand]:
    return lambda *answers: Hand(ledger, list(answers))


@pytest.fixture
def reply() -> Callable[..., Reply]:
    def make(document: Any = None, status: int = 200, **headers: str) -> Reply:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)

    return make
