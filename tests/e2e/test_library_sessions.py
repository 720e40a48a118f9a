"""Loops, threads, forks, keys, budgets: one provider in the programs people write, and what its objects survive."""

from __future__ import annotations

import asyncio
import copy
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from ai302_core import ImageRequest, Job, Status, aconnect, connect
from ai302_core._http import Transport
from ai302_core._sqlite import SqliteLedger
from ai302_core.errors import (
    Ai302Error,
    AuthenticationError,
    BalanceError,
    BudgetExceeded,
    ConfigError,
    DownloadError,
    JobUnconfirmed,
    KeyConflict,
    RateLimitError,
)

Shop = Any
REQUEST = ImageRequest("a lamp")


def test_two_loops_in_a_row_share_one_async_provider(shop: Shop) -> None:
    provider = aconnect(**shop.options())

    async def buy(key: str) -> int:
        result = await provider.run(REQUEST, key=key, save_to=shop.folder)
        outcomes = [outcome async for outcome in provider.run_many({f"{key}-{n}": REQUEST for n in range(3)})]
        return len(result.files) + len(outcomes)

    assert asyncio.run(buy("one")) == 7
    assert asyncio.run(buy("two")) == 7
    asyncio.run(provider.aclose())
    assert (shop.sandbox.paid, len(shop.pictures())) == (8, 8)


def test_a_closed_async_provider_may_be_used_and_closed_again(shop: Shop) -> None:
    async def use() -> list[str]:
        async with aconnect(**shop.options()) as provider:
            job = await provider.submit(REQUEST)
        await provider.aclose()
        result = await provider.wait(job)
        await provider.aclose()
        return [asset.role for asset in result.images]

    assert asyncio.run(use()) == ["tile"] * 4


def test_a_closed_provider_may_be_used_and_closed_again(shop: Shop) -> None:
    with connect(**shop.options()) as provider:
        job = provider.submit(REQUEST)
    provider.close()
    assert len(provider.wait(job).images) == 4
    provider.close()
    provider.close()


def test_cells_of_a_notebook_share_a_loop_that_never_ends(shop: Shop) -> None:
    """A notebook's loop runs all the time; its cells call the plain provider inside it as well."""
    provider, plain = aconnect(**shop.options()), connect(**shop.options())

    async def cell_one() -> Job:
        return await provider.submit(REQUEST, key="cell")

    async def cell_two(job: Job) -> int:
        result = await provider.wait(job)
        return len(await provider.save(result, shop.folder))

    async def cell_three() -> tuple[int, int]:
        outcomes = list(plain.run_many([REQUEST, REQUEST], save_to=shop.folder))
        return len(plain.run(REQUEST, key="cell").images), sum(len(outcome.files) for outcome in outcomes)

    loop = asyncio.new_event_loop()
    try:
        job = loop.run_until_complete(cell_one())
        assert loop.run_until_complete(cell_two(job)) == 4
        assert loop.run_until_complete(cell_three()) == (4, 8)
        loop.run_until_complete(provider.aclose())
    finally:
        plain.close()
        loop.close()
    assert shop.sandbox.paid == 3


def test_a_canceled_caller_loses_no_receipt(shop: Shop, held: Any) -> None:
    async def torn() -> None:
        async with aconnect(**shop.options()) as provider:
            shop.sandbox.fault("submit", "late", times=None)
            calls = [asyncio.create_task(provider.submit(REQUEST, key=f"order-{n}")) for n in range(8)]
            while shop.sandbox.paid < 8:
                await asyncio.sleep(0.01)
            for call in calls:
                call.cancel()
            assert all(
                isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*calls, return_exceptions=True)
            )
            held.go.set()

    asyncio.run(torn())
    jobs = shop.buyer().jobs()
    assert {job.status for job in jobs} == {Status.QUEUED}
    assert {job.remote_id for job in jobs} == {job["id"] for job in shop.sandbox.jobs}
    assert len(jobs) == shop.sandbox.paid == 8


def test_many_threads_share_one_provider(shop: Shop, threads: Callable[..., list[Any]]) -> None:
    provider = shop.buyer().provider
    results = threads(lambda n: provider.run(REQUEST, key=f"order-{n}", save_to=shop.folder), range(16))
    assert len({path for result in results for path in result.files}) == len(shop.pictures()) == 64
    assert shop.sandbox.paid == 16


def test_what_sends_a_submit_is_there_before_its_intent(shop: Shop, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    buyer = shop.buyer(mode)
    ledger = buyer.provider._connection.ledger
    intents: list[int] = []
    made = Transport._made

    def counted(*values: Any, **named: Any) -> Any:
        intents.append(len(ledger.ids(tuple(Status))))
        return made(*values, **named)

    monkeypatch.setattr(Transport, "_made", counted)
    buyer.submit(REQUEST)
    assert intents == [0]


def test_a_task_taken_up_twice_is_one_job(shop: Shop, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    task = shop.buyer(mode).run(REQUEST).job.remote_id
    shop.ledger = f"sqlite:///{(shop.home / 'two.db').as_posix()}"
    options = shop.options()
    options["config"]["providers"]["again"] = options["config"]["providers"]["hero"]
    options["config"]["default"] = "again"  # the same account by another name
    buyers = [shop.buyer(mode), shop.buyer(mode), shop.buyer(mode, config=options["config"])]
    with monkeypatch.context() as patch:
        patch.setattr(SqliteLedger, "find", lambda *_: [])  # at one instant, when nobody has written it down
        taken = [buyer.adopt(task) for buyer in buyers[:2]]
    taken.append(buyers[2].adopt(task))
    assert len({job.id for job in taken}) == 1
    pressed = [buyer.act(job, "upscale-1") for buyer, job in zip(buyers, taken, strict=True)]
    assert len({job.id for job in pressed}) == 1
    assert shop.sandbox.paid == 2


def test_one_key_from_many_callers_is_one_job(shop: Shop, mode: str) -> None:
    buyer = shop.buyer(mode)
    shop.sandbox.fault("submit", "late", seconds=0.2)
    jobs = buyer.together("submit", [(REQUEST,)] * 8, key="order")
    assert len({job.id for job in jobs}) == 1
    assert all(job.remote_id for job in jobs)
    with pytest.raises(KeyConflict):
        buyer.submit(ImageRequest("another lamp"), key="order")
    assert shop.sandbox.paid == 1


def test_a_provider_that_is_handed_to_another_process_says_what_travels(shop: Shop, mode: str) -> None:
    provider = shop.buyer(mode).provider
    for hand_over in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match=r"connect\(\) in the other one; what travels is a job"):
            hand_over(provider)


FORKING = """
import json, os, sys
from ai302_core import ImageRequest, connect
options = json.loads(sys.argv[1])
provider = connect(**options)
first = provider.run(ImageRequest("before"), key="before")
child = os.fork()
if child == 0:
    try:
        provider.run(ImageRequest("child"), key="child", save_to=sys.argv[2])
        assert provider.job("before").id == first.job.id
    except BaseException as problem:
        print(repr(problem), file=sys.stderr)
        os._exit(1)
    os._exit(0)
provider.run(ImageRequest("parent"), key="parent", save_to=sys.argv[2])
_, status = os.waitpid(child, 0)
provider.close()
print(json.dumps([os.waitstatus_to_exitcode(status), sorted(job.key for job in provider.jobs())]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_provider_works_on_both_sides_of_a_fork(shop: Shop) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKING, json.dumps(shop.options()), str(shop.folder)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [0, ["before", "child", "parent"]], done.stderr
    assert (shop.sandbox.paid, len(shop.pictures())) == (3, 8)


def test_jobs_results_and_errors_travel(shop: Shop, mode: str) -> None:
    buyer = shop.buyer(mode)
    result = buyer.run(REQUEST, key="order", save_to=shop.folder)
    for thing in (result.job, result):
        assert pickle.loads(pickle.dumps(thing)) == thing
        assert copy.deepcopy(thing) == thing
        assert shop.sandbox.key not in repr(thing) + repr(vars(thing))
    assert Job.from_json(result.job.to_json()) == result.job
    shop.sandbox.fault("submit", "drop")
    shop.sandbox.fault("submit", "refused")
    shop.sandbox.fault("download", "expired")
    errors: list[Ai302Error] = []
    calls: list[Callable[[], Any]] = [
        lambda: buyer.submit(REQUEST),
        lambda: buyer.submit(REQUEST),
        lambda: buyer.submit(ImageRequest("another"), key="order"),
        lambda: buyer.run(ImageRequest("a third"), save_to=shop.folder),
    ]
    for call in calls:
        with pytest.raises(Ai302Error) as caught:
            call()
        errors.append(caught.value)
    assert [type(error).__name__ for error in errors][::2] == ["JobUnconfirmed", "KeyConflict"]
    assert isinstance(errors[0], JobUnconfirmed)
    assert isinstance(errors[3], DownloadError)
    for error in errors:
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
        assert shop.sandbox.key not in str(error) + repr(vars(error))


# -- keys, money, limits --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["https://relay.example", "http://api.302.ai", "https://api.302.ai.example"])
def test_the_common_key_goes_nowhere_else(shop: Shop, mode: str, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GEN302_SANDBOX")
    monkeypatch.setenv("AI302_API_KEY", shop.sandbox.key)
    buyer = shop.buyer(mode, provider={"base_url": address})
    with pytest.raises(ConfigError) as refused:
        buyer.run(REQUEST)
    assert "Nothing was sent" in str(refused.value)
    assert shop.sandbox.key not in str(refused.value) + refused.value.hint
    assert shop.sandbox.requests == []
    assert buyer.jobs() == []


@pytest.mark.parametrize("gateway", ["302ai", "new-api"])
def test_a_wrong_key_is_said_and_frees_the_intention(
    shop: Shop, mode: str, gateway: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEN302_SANDBOX_KEY", "sk-wrong-one-00000000")
    with pytest.raises(AuthenticationError) as refused:
        shop.buyer(mode, gateway).run(REQUEST, key="order")
    assert (refused.value.billed, refused.value.status_code) == ("no", 401)
    assert "sk-wrong" not in str(refused.value) + repr(vars(refused.value))
    monkeypatch.setenv("GEN302_SANDBOX_KEY", shop.sandbox.key)
    assert shop.sandbox.paid == 0
    assert len(shop.buyer(mode, gateway).run(REQUEST, key="order").images) == 4
    assert shop.sandbox.paid == 1


@pytest.mark.parametrize("gateway", ["302ai", "new-api"])
def test_an_empty_account_is_said(open_shop: Callable[..., Shop], mode: str, gateway: str) -> None:
    shop = open_shop(balance=0)
    with pytest.raises(BalanceError) as refused:
        shop.buyer(mode, gateway).run(REQUEST, key="order")
    assert refused.value.billed == "no"
    assert (shop.sandbox.paid, shop.count("submit:imagine")) == (0, 1)


def test_a_budget_ends_before_the_money_does(shop: Shop, mode: str) -> None:
    buyer = shop.buyer(mode, budget={"max_jobs": 2})
    for key in ("one", "two"):
        buyer.submit(REQUEST, key=key)
    with pytest.raises(BudgetExceeded):
        buyer.submit(REQUEST, key="three")
    assert buyer.submit(REQUEST, key="two").remote_id
    outcomes = shop.buyer(mode, budget={"max_jobs": 3}).each("run_many", [REQUEST] * 4)
    assert sorted(type(outcome.error).__name__ for outcome in outcomes) == ["BudgetExceeded"] * 3 + ["NoneType"]
    assert (shop.sandbox.paid, shop.count("submit:imagine")) == (3, 3)


def test_concurrent_counts_the_open_jobs_of_the_account(open_shop: Callable[..., Shop], mode: str) -> None:
    shop = open_shop(speed=0)
    buyer = shop.buyer(mode, provider={"limits": {"concurrent": 1}})
    first = buyer.submit(REQUEST)
    with pytest.raises(RateLimitError, match="Nothing was sent"):
        shop.buyer(mode, provider={"limits": {"concurrent": 1}}).submit(REQUEST, timeout=0)
    assert shop.sandbox.paid == 1
    shop.sandbox.advance(60)
    buyer.wait(first)
    assert buyer.submit(REQUEST, timeout=0).status is Status.QUEUED
    assert shop.sandbox.paid == 2
