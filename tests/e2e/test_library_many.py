"""Many requests, many processes: each paid once, each file once, whoever breaks off, dies or joins in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ai302_core import ImageRequest, Outcome, ParameterError, Status, _many
from ai302_core._flows import settling
from ai302_core._turns import AHEAD, PAID_AT_ONCE
from ai302_core.sandbox import picture_size

Shop = Any
MANY = 24  # more than are paid at once
PROCESS = """
import json, sys
from ai302_core import ImageRequest, connect
from ai302_core._flows import settling
settling._PAGE = 3
order = json.loads(sys.argv[1])
with connect(**order["connect"]) as provider:
    if order["do"] == "run":
        provider.run(ImageRequest("a lamp"), key="order", save_to=order["folder"])
    elif order["do"] == "resume":
        files = [str(path) for outcome in provider.resume(order["folder"]) for path in outcome.files]
        print(json.dumps(files))
    else:
        requests = {f"sku-{number}": ImageRequest(f"shoe {number}") for number in range(order["count"])}
        print(json.dumps([outcome.key for outcome in provider.run_many(requests, save_to=order["folder"])]))
"""


def process(shop: Shop, do: str, gateway: str = "302ai", **more: Any) -> subprocess.Popen[str]:
    """Another Python that opens the same ledger."""
    order = json.dumps({"connect": shop.options(gateway), "do": do, "folder": str(shop.folder), **more})
    return subprocess.Popen(
        [sys.executable, "-c", PROCESS, order], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def said(started: subprocess.Popen[str]) -> Any:
    """What it printed, once it has ended well."""
    out, problems = started.communicate(timeout=120)
    assert started.returncode == 0, problems
    return json.loads(out)


def shoes(count: int) -> dict[str, ImageRequest]:
    return {f"sku-{number}": ImageRequest(f"shoe {number}") for number in range(count)}


@pytest.mark.parametrize(("patience", "out"), [(1e6, AHEAD), (0.0, PAID_AT_ONCE)], ids=["few", "slow"])
def test_many_begin_with_a_few_until_one_is_answered_or_might_have_been(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, until: Any, held: Any, patience: float, out: int
) -> None:
    """What is begun and not sent when it is killed, its owner has to look for."""
    monkeypatch.setattr(_many, "_ANSWERED", patience)
    shop.sandbox.fault("submit", "late", times=None)
    buyer = shop.buyer()
    with ThreadPoolExecutor(1) as pool:
        outcomes = pool.submit(buyer.each, "run_many", shoes(MANY))
        try:
            until(lambda: shop.sandbox.paid >= out)
            begun = len(buyer.jobs())
        finally:
            held.go.set()
        assert {outcome.error for outcome in outcomes.result(timeout=120)} == {None}
    assert begun == AHEAD or patience == 0
    assert shop.sandbox.paid == MANY


@pytest.mark.parametrize(("mode", "gateway"), [("sync", "302ai"), ("async", "new-api")])
def test_many_requests_are_paid_once_each_and_another_process_pays_nothing(shop: Shop, mode: str, gateway: str) -> None:
    buyer = shop.buyer(mode, gateway)
    outcomes = buyer.each("run_many", shoes(MANY), save_to=shop.folder)
    assert [outcome.error for outcome in outcomes] == [None] * MANY
    assert {outcome.key: outcome.request for outcome in outcomes} == shoes(MANY)
    assert all(outcome.key == outcome.job.key for outcome in outcomes)
    assert {len(outcome.files) for outcome in outcomes} == {4}
    assert len({path for outcome in outcomes for path in outcome.files}) == len(shop.pictures()) == 4 * MANY
    assert all(picture_size(path.read_bytes()) == ("PNG", 320, 320) for path in shop.pictures())
    assert len(shop.names()) == 5 * MANY
    assert shop.sandbox.paid == MANY
    before, requests = shop.names(), len(shop.sandbox.requests)
    assert sorted(said(process(shop, "run_many", gateway, count=MANY))) == sorted(shoes(MANY))
    assert (shop.sandbox.paid, len(shop.sandbox.requests), shop.names()) == (MANY, requests, before)


def test_breaking_off_loses_nothing_and_resume_finishes(open_shop: Callable[..., Shop], mode: str, until: Any) -> None:
    shop = open_shop(speed=60.0)
    buyer = shop.buyer(mode)
    pulled: list[int] = []

    def lazily() -> Iterator[ImageRequest]:
        for number in range(MANY):
            pulled.append(number)
            yield ImageRequest(f"shoe {number}")

    first = buyer.each("run_many", lazily(), first=3, save_to=shop.folder)
    assert len(first) == 3
    # What was being paid comes to its receipt in its own time, and a close waits for that.
    getattr(buyer, "close" if mode == "sync" else "aclose")()
    until(lambda: all(job.status is not Status.SUBMITTING for job in buyer.jobs()))
    bought = shop.sandbox.paid
    assert 3 <= bought <= len(pulled)
    jobs = buyer.jobs()
    assert {job.status for job in jobs} <= {Status.QUEUED, Status.RUNNING, Status.SUCCEEDED, Status.REFUSED}
    assert {job.remote_id for job in jobs if job.remote_id} == {job["id"] for job in shop.sandbox.jobs}
    shop.sandbox.advance(60)
    rest = buyer.each("resume")
    assert [outcome.error for outcome in rest] == [None] * len(rest)
    saved = {path for outcome in [*first, *rest] for path in outcome.files}
    # What a broken off save had under way may still have come to its end, and is then nobody's outcome.
    assert saved <= set(shop.pictures())
    assert len(shop.pictures()) == 4 * bought
    assert buyer.each("resume") == []
    assert shop.sandbox.paid == bought


def test_one_bad_request_costs_only_itself(shop: Shop, mode: str) -> None:
    shop.sandbox.fault("submit", "banned")
    requests = {
        "wrong field": ImageRequest("a lamp", negative_prompt="fog", resolution="2K"),
        **{f"good {number}": ImageRequest(f"lamp {number}") for number in range(4)},
        "no file": ImageRequest("a lamp", images=(shop.home / "missing.png",)),
    }
    outcomes: dict[str, Outcome] = {
        outcome.key: outcome for outcome in shop.buyer(mode).each("run_many", requests, save_to=shop.folder)
    }
    assert set(outcomes) == set(requests)
    assert {key for key, outcome in outcomes.items() if isinstance(outcome.error, ParameterError)} == {
        "wrong field",
        "no file",
    }
    (refused,) = (key for key in requests if key.startswith("good") and outcomes[key].error is not None)
    assert "sensitive" in str(outcomes[refused].error) or "敏感" in str(outcomes[refused].error)
    assert (shop.sandbox.paid, len(shop.pictures())) == (3, 12)


def test_a_caller_who_raises_in_the_middle_still_finds_every_job(shop: Shop, mode: str) -> None:
    buyer = shop.buyer(mode)

    def torn() -> Iterator[ImageRequest]:
        yield from (ImageRequest(f"shoe {number}") for number in range(5))
        raise RuntimeError("the list of shoes ends here")

    with pytest.raises(RuntimeError, match="ends here"):
        buyer.each("run_many", torn(), save_to=shop.folder)
    bought = shop.sandbox.paid
    buyer.each("resume")
    assert len(shop.pictures()) == 4 * bought


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is a POSIX signal")
def test_a_killed_process_is_finished_by_another(open_shop: Callable[..., Shop], mode: str, until: Any) -> None:
    shop = open_shop(speed=0)
    with process(shop, "run") as child:
        until(lambda: shop.count("poll") > 0)
        child.send_signal(signal.SIGKILL)
    assert shop.sandbox.paid == 1
    shop.sandbox.advance(60)
    buyer = shop.buyer(mode)
    (outcome,) = buyer.each("resume", save_to=shop.home / "rescued")
    assert (outcome.key, outcome.error, len(outcome.files)) == ("order", None, 4)
    assert {path.parent.name for path in outcome.files} == {"rescued"}
    assert all(picture_size(path.read_bytes()) for path in outcome.files)
    assert buyer.run(ImageRequest("a lamp"), key="order").job.id == outcome.job.id
    assert shop.sandbox.paid == 1


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is a POSIX signal")
def test_killed_before_the_answer_it_is_unconfirmed_and_not_sent_again(
    open_shop: Callable[..., Shop], mode: str, until: Any
) -> None:
    shop = open_shop(speed=0)
    shop.sandbox.fault("submit", "late", seconds=600.0)
    with process(shop, "run") as child:
        until(lambda: shop.sandbox.paid == 1)
        child.send_signal(signal.SIGKILL)
    buyer = shop.buyer(mode)
    assert buyer.job("order").status is Status.UNCONFIRMED
    assert buyer.submit(ImageRequest("a lamp"), key="order").status is Status.UNCONFIRMED
    (outcome,) = buyer.each("resume")
    assert type(outcome.error).__name__ == "JobUnconfirmed"
    assert shop.sandbox.paid == 1


def test_resumers_at_once_save_each_file_once(
    open_shop: Callable[..., Shop], mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "_PAGE", 3)
    shop = open_shop(speed=0)
    buyer = shop.buyer(mode)
    for number in range(10):
        buyer.submit(ImageRequest(f"shoe {number}"), save_to=shop.folder)
    shop.sandbox.advance(60)
    others = [process(shop, "resume") for _ in range(2)]
    mine = [str(path) for outcome in buyer.each("resume") for path in outcome.files]
    saved = [*mine, *(path for other in others for path in said(other))]
    assert len(saved) == len(set(saved)) == len(shop.pictures()) == 40
    assert len(shop.names()) == 50
    assert shop.count("download") == 10
    assert shop.sandbox.paid == 10
