"""Whatever is done in whatever order, the money is what a simple model of it says."""

from __future__ import annotations

import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.faults.crashes import KEY, Nursery

from ai302_core import ImageRequest, Job, Status, connect
from ai302_core.errors import ApiError, BudgetExceeded, JobFailed, JobUnconfirmed, KeyConflict
from ai302_core.sandbox import serve

KEYS = st.sampled_from(["order-1", "order-2", "order-3"])
TEXTS = st.sampled_from(["a lamp", "a boat"])
ACCEPTED = ("", "refuse", "429", "queue_full")
FAULTS: dict[str, dict[str, Any]] = {"refuse": {"seconds": 0.05}, "429": {"retry_after": 0}, "error500": {}}
UNKNOWN = {"drop": 1, "truncated": 1, "drop-before": 0, "error500": 0}
"""Faults after which nobody knows -> accepted submits."""
OVER = {Status.FAILED, Status.CANCELED, Status.ABANDONED}


@dataclass
class Held:
    """What the model knows of a key: its text, the newest attempt's status, and the service's tasks behind it."""

    text: str
    status: Status


class Money(RuleBasedStateMachine):
    """Submits with and without keys, `again`, faults, kills, restarts, workers at once, cancels, adoption, budgets."""

    nursery: Nursery

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="gen302-money-"))
        self.sandbox = serve(seed=1, speed=0, key=KEY, strict=True)
        self.held: dict[str, Held] = {}
        self.paid = self.rows = 0
        self.budget: int | None = None
        self.provider = connect(**self.options())

    def options(self) -> dict[str, Any]:
        provider = {"family": "midjourney", "base_url": self.sandbox.url, "poll": {"initial": 0.01, "maximum": 0.02}}
        settings: dict[str, Any] = {"default": "hero", "providers": {"hero": provider}}
        if self.budget is not None:
            settings["budget"] = {"max_jobs": self.budget, "per": "ever"}
        return {"config": settings, "ledger": f"sqlite:///{(self.home / 'ledger.db').as_posix()}", "api_key": KEY}

    def teardown(self) -> None:
        self.provider.close()
        self.sandbox.stop()
        shutil.rmtree(self.home)

    # --- buying

    def _answered(self, key: str, text: str, again: bool) -> bool:
        """Whether the key's present holder answers for it; what must happen then is checked here."""
        held = self.held.get(key)
        if held is None or (held.text == text and again and held.status in OVER):
            return False
        if held.text != text or (again and held.status is not Status.SUCCEEDED):
            with pytest.raises(KeyConflict):
                self.provider.submit(ImageRequest(text), key=key, again=again)
        else:
            assert self.provider.submit(ImageRequest(text), key=key, again=again).status is held.status
        return True

    def _spent(self, key: str, text: str, again: bool) -> bool:
        if self.budget is None or self.rows < self.budget:
            return False
        with pytest.raises(BudgetExceeded):
            self.provider.submit(ImageRequest(text), key=key, again=again)
        return True

    @rule(key=KEYS, text=TEXTS, again=st.booleans(), fault=st.sampled_from([*ACCEPTED, *UNKNOWN, "refused"]))
    def buys(self, key: str, text: str, again: bool, fault: str) -> None:
        if self._answered(key, text, again) or self._spent(key, text, again):
            return
        armed = self.sandbox.fault("submit", fault, **FAULTS.get(fault, {})) if fault else None
        request = ImageRequest(text)
        if fault in ACCEPTED:
            assert self.provider.submit(request, key=key, again=again).status is Status.QUEUED
            self._holds(key, text, Status.QUEUED, 1)
        elif fault in UNKNOWN:
            with pytest.raises(JobUnconfirmed):
                self.provider.submit(request, key=key, again=again)
            self._holds(key, text, Status.UNCONFIRMED, UNKNOWN[fault])
        else:
            with pytest.raises(ApiError):
                self.provider.submit(request, key=key, again=again)
        assert armed is None or armed.hits == 1

    def _holds(self, key: str, text: str, status: Status, paid: int) -> None:
        self.held[key] = Held(text, status)
        self.paid += paid
        self.rows += 1

    @rule(text=TEXTS)
    def buys_without_a_key(self, text: str) -> None:
        if self.budget is None or self.rows < self.budget:
            self.provider.submit(ImageRequest(text))
            self.paid += 1
            self.rows += 1

    @rule(key=KEYS, text=TEXTS)
    def workers_buy_at_once(self, key: str, text: str) -> None:
        if self._answered(key, text, False) or self._spent(key, text, False):
            return
        with ThreadPoolExecutor(4) as pool:
            jobs = list(pool.map(lambda _: self.provider.submit(ImageRequest(text), key=key), range(4)))
        assert len({job.id for job in jobs}) == 1
        self._holds(key, text, Status.QUEUED, 1)

    # --- dying

    @rule(key=KEYS, text=TEXTS, where=st.sampled_from(["before request submit", "after request submit"]))
    def is_killed(self, key: str, text: str, where: str) -> None:
        if self._answered(key, text, False) or self._spent(key, text, False):
            return
        account = self.nursery.ask(
            {
                "work": "submit",
                "key": key,
                "request": ImageRequest(text).to_json(),
                "connect": self.options(),
                "home": str(self.home),
                "environment": {},
                "kill_on": where,
            }
        )
        assert account["killed"], account
        self._holds(key, text, Status.UNCONFIRMED, int(where.startswith("after")))

    @rule()
    def restarts(self) -> None:
        self.provider.close()
        self.provider = connect(**self.options())

    @rule(most=st.sampled_from([None, 3, 6]))
    def changes_the_budget(self, most: int | None) -> None:
        self.budget = most
        self.restarts()

    # --- following

    def _with(self, key: str, status: Status) -> Job | None:
        held = self.held.get(key)
        return self.provider.job(key) if held is not None and held.status is status else None

    @rule(key=KEYS, ends=st.sampled_from(["well", "badly"]))
    def waits(self, key: str, ends: str) -> None:
        job = self._with(key, Status.QUEUED)
        if job is None:
            return
        if ends == "badly":
            self.sandbox.fault("poll", "fail")
            with pytest.raises(JobFailed):
                self.provider.wait(job)
            self.held[key].status = Status.FAILED
        else:
            self.sandbox.advance(120)
            assert len(self.provider.wait(job).images) == 4
            self.held[key].status = Status.SUCCEEDED

    @rule(key=KEYS)
    def cancels(self, key: str) -> None:
        job = self._with(key, Status.QUEUED)
        if job is not None:
            self.held[key].status = self.provider.cancel(job).status

    @precondition(lambda self: any(held.status is Status.UNCONFIRMED for held in self.held.values()))
    @rule(key=KEYS, how=st.sampled_from(["found", "resubmit", "abandon"]))
    def reconciles(self, key: str, how: str) -> None:
        job = self._with(key, Status.UNCONFIRMED)
        if job is None:
            return
        known = {row.remote_id for row in self.provider.jobs()}
        strays = [task["id"] for task in self.sandbox.jobs if task["id"] not in known]
        if how == "found" and strays:
            found = self.provider.reconcile(job, remote_id=strays[0])
            assert found.remote_id == strays[0]
            self.held[key].status = found.status
        elif how == "abandon":
            assert self.provider.reconcile(job, abandon=True).status is Status.ABANDONED
            self.held[key].status = Status.ABANDONED
        elif how == "resubmit" and (self.budget is None or self.rows < self.budget):
            assert self.provider.reconcile(job, resubmit=True).status is Status.QUEUED
            self._holds(key, self.held[key].text, Status.QUEUED, 1)

    @rule()
    def adopts_what_another_tool_bought(self) -> None:
        bought = httpx.post(
            f"{self.sandbox.url}/mj/submit/imagine", json={"prompt": "a cat"}, headers={"mj-api-secret": KEY}
        )
        self.paid += 1
        self.rows += 1
        assert self.provider.adopt(bought.json()["result"]).billed == "unknown"

    # --- what always holds

    @invariant()
    def nobody_paid_twice_and_nothing_is_lost(self) -> None:
        assert self.sandbox.paid == self.paid
        newest: dict[str, Job] = {}
        for job in self.provider.jobs():
            if job.key is None or job.status is Status.REFUSED:
                continue
            if job.key not in newest or newest[job.key].attempt < job.attempt:
                newest[job.key] = job
        assert {key: job.status for key, job in newest.items()} == {k: held.status for k, held in self.held.items()}


@pytest.fixture(scope="module", autouse=True)
def _nursery() -> Any:
    with Nursery() as nursery:
        Money.nursery = nursery
        yield


TestMoney = Money.TestCase
TestMoney.settings = settings(
    max_examples=10, stateful_step_count=25, suppress_health_check=list(HealthCheck), print_blob=False
)
