"""Whoever looks, answers, cancels and reconciles, in whatever order their steps come: a window is paid for once."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ai302_core import _sqlite
from ai302_core._flows import acting, looking, reconciling, settling, submitting
from ai302_core._flows.submitting import Order
from ai302_core._steps import Call, Flow, Reply
from ai302_core.errors import Ai302Error, TransportError
from ai302_core.jobs import Job, Status
from ai302_core.requests import ImageRequest

SAID = {"prompt": "a hat"}


@dataclass
class Window:
    """The service: shows a window until it is answered, and for a few looks longer."""

    chance: random.Random
    fate: str
    lag: int
    answers: list[Call] = field(default_factory=list)

    def says(self, call: Call) -> dict[str, Any]:
        if call.url.endswith("/v1/answer"):
            if self.fate == "never came":
                raise TransportError("reset", sent=True)
            if self.fate == "busy" and self.chance.random() < 0.7:
                return {"code": 7, "message": "queue full"}
            self.answers.append(call)
            if self.fate == "lost":
                raise TransportError("reset", sent=True)
        elif call.method == "GET":
            if not self.answers or self.lag > 0:
                self.lag -= bool(self.answers)
                return {"data": {"id": 42, "status": "window"}}
            word = self.chance.choice(["run", "run", "done"])
            return {"data": {"id": 42, "status": word, "url": "https://f.example/1.png"}}
        return {"code": 0, "data": {"id": 42, "status": "wait"}}


def everybody(account: Any, job: Job) -> list[Callable[[], Flow[object]]]:
    def act() -> Flow[object]:
        seen = job
        for _ in range(3):
            (look,) = yield from looking.look(account, [seen])
            seen = look.job
            if seen.status is Status.INPUT_REQUIRED:
                seen = yield from acting.act(account, seen, "continue", SAID)
        return seen

    def follow() -> Flow[object]:
        seen = yield from settling.settle(account, job, timeout=3, on_update=None)
        return (yield from submitting.answer_window(account, seen, SAID, 5.0))

    def cancel() -> Flow[object]:
        return (yield from settling.cancel(account, job))

    def reconcile() -> Flow[object]:
        yield from settling.poll(account, job)
        return (yield from reconciling.reconcile(account, job))

    return [act, act, follow, follow, cancel, reconcile]


@pytest.mark.parametrize("url", [":memory:", "off"])
def test_a_window_is_paid_for_once(account: Any, hand: Any, reply: Any, tmp_path: Path, url: str) -> None:
    for seed in range(150):
        chance = random.Random(seed)
        service = Window(chance, chance.choice(["heard", "lost", "never came", "busy"]), chance.randint(0, 3))
        fed = hand()

        def answer(call: Call, service: Window = service) -> Reply:
            answered: Reply = reply(service.says(call))
            return answered

        fed.ledger, fed._answer = _sqlite.open_ledger(url, data_dir=tmp_path), answer
        job = fed.run(submitting.submit(account, ImageRequest("a cat"), Order()))
        flows: list[list[Any]] = [[make(), None, None] for make in chance.sample(everybody(account, job), 4)]
        while flows:
            turn = chance.choice(flows)
            flow, outcome, failure = turn
            try:
                step = flow.send(outcome) if failure is None else flow.throw(failure)
                turn[1:] = fed.perform(step), None
            except StopIteration:
                flows.remove(turn)
            except Ai302Error as problem:
                if flow.gi_frame is None:
                    flows.remove(turn)
                turn[1:] = None, problem
        stands = fed.ledger.job(job.id)
        assert len(service.answers) <= 1, (seed, service.fate)
        if service.answers:
            assert stands is None or stands.status is not Status.INPUT_REQUIRED, (seed, service.fate)
        fed.ledger.close()
