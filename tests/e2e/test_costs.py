"""What a job cost and what is left, by the service's own records: late, best effort, never guessed."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from ai302_core import Cost, ImageRequest, Job, Money
from ai302_core._flows import costs
from ai302_core._steps import Reply
from ai302_core._wire import reading
from ai302_core.family import DASHBOARD_302AI

LANTERN = ImageRequest("a paper lantern")
PRICE = Money(Decimal("0.05"), "PTC")


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many looks for a record as ever, in a tenth of the time."""
    monkeypatch.setattr(costs, "_TRIES", tuple(wait / 10 for wait in costs._TRIES))


@pytest.fixture
def bought(shop: Any, mode: str) -> tuple[Any, Job]:
    buyer = shop.buyer(mode)
    return buyer, buyer.run(LANTERN, key="k").job


def test_the_record_is_asked_once_and_kept(shop: Any, bought: tuple[Any, Job]) -> None:
    buyer, job = bought
    assert job.cost == Cost()
    assert buyer.cost(job) == Cost(observed=PRICE)
    assert buyer.cost(job) == Cost(observed=PRICE)
    assert shop.count("record") == 1
    kept = buyer.job("k")
    assert (kept.cost.observed, Job.from_json(kept.to_json())) == (PRICE, kept)
    buyer.poll(job)  # a snapshot from before must not lose it
    assert buyer.jobs()[0].cost.observed == PRICE
    assert shop.sandbox.paid == 1


def test_a_late_record_is_waited_for_a_little(shop: Any, bought: tuple[Any, Job]) -> None:
    buyer, job = bought
    shop.sandbox.fault("record", "not_yet", 2)
    assert buyer.cost(job).observed == PRICE
    assert shop.count("record") == 3


@pytest.mark.parametrize("kind", ["expired", "error502", "html", "empty", "truncated", "drop"])
def test_what_cannot_be_read_is_unknown_and_not_zero(shop: Any, bought: tuple[Any, Job], kind: str) -> None:
    buyer, job = bought
    shop.sandbox.fault("record", kind, None)
    assert buyer.cost(job) == Cost()
    assert buyer.job("k").cost == Cost()


def test_a_refused_job_and_another_gateway_are_not_asked_about(shop: Any, mode: str) -> None:
    buyer = shop.buyer(mode, "new-api")
    job = buyer.run(LANTERN).job
    assert buyer.cost(job) == Cost()
    assert shop.count("record") == 0


def test_an_estimate_is_no_observation(shop: Any, bought: tuple[Any, Job]) -> None:
    buyer, job = bought
    second = buyer.run(ImageRequest("another")).job
    buyer.cost(job)
    shop.sandbox.fault("record", "expired", None)
    assert buyer.cost(second) == Cost(estimated=PRICE)
    assert buyer.job(second.id).cost == Cost()
    action = buyer.act(job, "upscale-1")
    assert buyer.cost(buyer.wait(action).job).estimated is None


@pytest.mark.parametrize(
    ("told", "ids"),
    [
        ("a,b, c", ("a", "b", "c")),
        (["a", "b", None, "a"], ("a", "b")),
        ('["a", "b"]', ("a", "b")),
        ("a", ("a",)),
        (7, ("7",)),
        (None, ()),
        ("", ()),
        ([], ()),
        ({"x": 1}, ()),
        ([["a"]], ()),
    ],
)
def test_the_requests_a_task_was_billed_under(told: Any, ids: tuple[str, ...]) -> None:
    assert reading.cost_request_ids({"ai302_cost_request_ids": told}, DASHBOARD_302AI) == ids
    assert reading.cost_request_ids({"data": {"ai302_cost_request_ids": told}}, DASHBOARD_302AI) == ids
    assert reading.cost_request_ids({"ai302_cost_request_ids": told}, None) == ()


@pytest.mark.parametrize(
    ("cost", "amount"),
    [
        (0.05, "0.05"),
        ("12.340", "12.340"),
        (0, "0"),
        (1e-05, "0.00001"),
        (None, None),
        ("free", None),
        ("NaN", None),
        ("Infinity", None),
        ("1e-99999999", None),
        ("1e99999999", None),
        ("9" * 400, None),
        ("0.05 USD", None),
        ("$0.05", None),
        ("1_000", None),
        ("\uff11", None),
        (True, None),
        ([], None),
    ],
)
def test_amounts(cost: Any, amount: str | None) -> None:
    document = Reply(200, {}, json.dumps({"data": {"cost": cost}}).encode()).document
    money = costs.money(document, DASHBOARD_302AI.cost, "PTC")
    assert (None if money is None else str(money)) == (None if amount is None else f"{amount} PTC")


def test_several_requests_are_one_cost_or_none(shop: Any, bought: tuple[Any, Job]) -> None:
    """A task billed under two requests, of which one is not in the records: no sum is told."""
    buyer, job = bought
    assert job.request_id
    both = replace(job, id="261121-aaaaaaaa", key=None, cost_request_ids=(job.request_id, job.request_id + "x"))
    assert buyer.cost(both) == Cost()
    twice = replace(both, cost_request_ids=(job.request_id, job.request_id))
    assert buyer.cost(twice).observed == Money(Decimal("0.10"), "PTC")


def test_the_command_sums_without_a_network(shop: Any, monkeypatch: pytest.MonkeyPatch, gen302: Any) -> None:
    monkeypatch.chdir(shop.home)
    buyer = shop.buyer()
    keys = [f"shots#0123456789abcdef.{number}" for number in (1, 2)]
    for key in [*keys, None]:
        buyer.run(LANTERN, key=key)

    def cost(*words: str) -> list[Any]:
        told = gen302("cost", *words, "--config", config).stdout
        return [json.loads(line) for line in told.splitlines()] if "--json" in words else [told]

    config = shop.home / "gen302.toml"
    config.write_text(f'ledger = "{shop.ledger}"\n[providers.hero]\nfamily = "midjourney"\n', "utf-8")
    (one,) = cost(keys[0], "--json")
    assert (one["cost"], one["exit"]) == ({"observed": {"amount": "0.05", "unit": "PTC"}}, 0)
    shop.sandbox.fault("record", "expired", 4)
    assert "unknown; the latest such job was 0.05 PTC" in cost()[0]
    shop.sandbox.stop()
    groups = {row["batch"]: (row["jobs"], row["unknown"], row["observed"]) for row in cost("--by", "batch", "--json")}
    assert groups["shots"][0] == 2
    assert groups["(no batch)"][0] == 1
    assert sum(unknown for _, unknown, _ in groups.values()) == 1
    for by in ("model", "day", "provider"):
        assert "0.10 PTC" in cost("--by", by)[0]
