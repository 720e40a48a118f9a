"""Whatever goes wrong on the wire, the library pays once and the files come: counted at the sandbox."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from ai302_core import ImageRequest, Job, Status
from ai302_core._sqlite import SqliteLedger
from ai302_core.errors import DownloadError, JobTimeout, JobUnconfirmed, LedgerError, RateLimitError, TransportError
from ai302_core.sandbox import picture_size

Shop = Any
REQUEST = ImageRequest("a lamp")

LOST: dict[str, dict[str, Any]] = {
    "drop": {},
    "reset": {},
    "late": {"seconds": 600.0},
    "empty": {},
    "truncated": {},
    "html": {"accept": True},
    "error500": {"accept": True},
    "error502": {"accept": True},
    "error504html": {"accept": True},
    "error524html": {"accept": True},
}
"""Faults after which nobody knows whether the submit was accepted. It was."""


@pytest.mark.parametrize("gateway", ["302ai", "new-api"])
def test_a_submit_without_a_clear_answer_is_unconfirmed_and_never_sent_again(
    shop: Shop, mode: str, gateway: str, until: Any
) -> None:
    buyer, hasty = shop.buyer(mode, gateway), shop.buyer(mode, gateway, provider={"timeouts": {"submit": 0.3}})
    for number, (kind, options) in enumerate(LOST.items(), start=1):
        fault = shop.sandbox.fault("submit", kind, **options)
        with pytest.raises(JobUnconfirmed) as lost:
            (hasty if kind == "late" else buyer).run(REQUEST, key=kind, save_to=shop.folder)
        until(lambda number=number: shop.sandbox.paid >= number)
        assert (fault.hits, shop.sandbox.paid) == (1, number), kind
        assert (lost.value.billed, lost.value.retryable) == ("unknown", False), kind
        assert "reconcile" in lost.value.hint
        assert buyer.job(kind).status is Status.UNCONFIRMED, kind
        assert buyer.submit(REQUEST, key=kind).status is Status.UNCONFIRMED, kind
        with pytest.raises(JobUnconfirmed):
            buyer.run(REQUEST, key=kind)
        assert shop.sandbox.paid == number, kind
    assert shop.count("submit:imagine") == len(LOST)
    assert shop.names() == []


def test_an_unconfirmed_job_is_settled_by_what_its_owner_found(shop: Shop, mode: str) -> None:
    buyer = shop.buyer(mode)
    shop.sandbox.fault("submit", "drop", times=2)
    for key in ("found", "given up"):
        with pytest.raises(JobUnconfirmed):
            buyer.submit(REQUEST, key=key)
    task = shop.sandbox.jobs[0]["id"]
    job = buyer.reconcile(buyer.job("found"), remote_id=task)
    assert len(buyer.save(buyer.wait(job), shop.folder)) == 4
    assert buyer.run(REQUEST, key="found").job.remote_id == task
    assert buyer.reconcile(buyer.job("given up"), abandon=True).status is Status.ABANDONED
    assert shop.sandbox.paid == 2
    assert len(buyer.run(REQUEST, key="given up", again=True).images) == 4
    assert shop.sandbox.paid == 3


def test_a_receipt_that_the_ledger_could_not_take_is_written_by_who_follows_its_job(
    shop: Shop, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    troubles = [LedgerError("The disk was full for a moment.")]
    write = SqliteLedger.write

    def full_once(self: SqliteLedger, job: Job, reply: bytes = b"") -> Job:
        if troubles:
            raise troubles.pop()
        return write(self, job, reply)

    monkeypatch.setattr(SqliteLedger, "write", full_once)
    buyer = shop.buyer(mode)
    (one,) = buyer.each("run_many", {"one": REQUEST}, save_to=shop.folder)
    assert (troubles, one.error, len(one.files)) == ([], None, 4)
    troubles.append(LedgerError("The disk was full for a moment."))
    assert len(buyer.run(REQUEST, key="two").images) == 4
    assert {(job.status, bool(job.remote_id)) for job in buyer.jobs()} == {(Status.SUCCEEDED, True)}
    assert shop.sandbox.paid == 2


def test_a_ledger_that_takes_no_receipt_at_all_costs_no_task_its_name(
    shop: Shop, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: SqliteLedger, job: Job, reply: bytes = b"") -> Job:
        raise LedgerError("The disk is full.", billed="unknown", hint="Free some space, then repeat the call.")

    buyer = shop.buyer(mode)
    with monkeypatch.context() as patched:
        patched.setattr(SqliteLedger, "write", full)
        with pytest.raises(LedgerError) as lost:
            buyer.run(REQUEST)
        (one,) = buyer.each("run_many", [REQUEST])
    tasks = [job["id"] for job in shop.sandbox.jobs]
    assert tasks[0] in lost.value.message
    assert lost.value.billed == "yes"
    assert tasks[1] in str(one.error)
    assert one.job.remote_id == tasks[1]
    assert len(buyer.wait(one.job).images) == 4, "the space was freed"
    assert shop.sandbox.paid == 2


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("queue_full", {}),
        ("queue_full", {"code": 9}),
        ("429", {"retry_after": 1}),
        ("429", {"hint": 0.2}),
        ("refuse", {"seconds": 0.3}),
    ],
)
def test_a_submit_that_created_nothing_is_sent_again(shop: Shop, mode: str, kind: str, options: dict[str, Any]) -> None:
    buyer = shop.buyer(mode)
    fault = shop.sandbox.fault("submit", kind, **options)
    job = buyer.submit(REQUEST, key="order", save_to=shop.folder)
    assert (job.status, fault.hits, shop.sandbox.paid) == (Status.QUEUED, 1, 1)
    assert buyer.submit(REQUEST, key="order").id == job.id
    assert shop.sandbox.paid == 1


@pytest.mark.parametrize(
    ("kind", "error"), [("queue_full", RateLimitError), ("429", RateLimitError), ("refuse", TransportError)]
)
def test_a_busy_gateway_is_given_up_in_time_and_the_key_is_free_again(
    shop: Shop, mode: str, kind: str, error: type[Exception]
) -> None:
    buyer = shop.buyer(mode)
    buyer.dry_run(REQUEST)  # what a first use takes is no part of the time the gateway is away
    shop.sandbox.fault("submit", kind, **({"seconds": 600.0} if kind == "refuse" else {}))
    with pytest.raises(error) as gave_up:
        buyer.submit(REQUEST, key="order", timeout=0)
    assert getattr(gave_up.value, "billed", None) == "no"
    assert shop.sandbox.paid == 0
    if kind == "refuse":
        shop.sandbox.fault("submit", kind, seconds=0.0)  # it is there again
    assert buyer.submit(REQUEST, key="order").status is Status.QUEUED
    assert shop.sandbox.paid == 1


def test_the_timeout_of_a_run_is_for_the_whole(open_shop: Callable[..., Shop], mode: str) -> None:
    shop = open_shop(speed=1.0)
    buyer = shop.buyer(mode)
    shop.sandbox.fault("submit", "429", retry_after=40)
    with pytest.raises(RateLimitError):
        buyer.run(REQUEST, key="busy", timeout=30)
    assert (shop.count("submit:imagine"), shop.sandbox.paid) == (1, 0), "it would have waited longer than it may"
    shop.sandbox.fault("submit", "late", seconds=1.0)
    with pytest.raises(JobTimeout) as late:
        buyer.run(REQUEST, key="late", timeout=0.5)
    assert (shop.count("poll"), shop.sandbox.paid) == (1, 1), "the answer took it all: looked at once"
    assert buyer.job("late").remote_id == late.value.job.remote_id == shop.sandbox.jobs[0]["id"]


POLLS: dict[str, dict[str, Any]] = {
    "error502": {},
    "error504html": {},
    "error500": {},
    "429": {},
    "html": {},
    "empty": {},
    "truncated": {},
    "reset": {},
    "drop": {},
    "late": {"seconds": 600.0},
    "unknown_word": {"times": 2},
    "no_asset": {},
    "missing": {},
    "expired": {},
}


@pytest.mark.parametrize("gateway", ["302ai", "new-api"])
def test_polls_survive_whatever_comes_and_the_job_is_paid_once(shop: Shop, mode: str, gateway: str) -> None:
    buyer, hasty = shop.buyer(mode, gateway), shop.buyer(mode, gateway, provider={"timeouts": {"poll": 0.3}})
    jobs: dict[str, Job] = {kind: buyer.submit(REQUEST, key=kind) for kind in POLLS}
    faults = {
        kind: shop.sandbox.fault(f"GET /mj/task/{jobs[kind].remote_id}/fetch", kind, **options)
        for kind, options in POLLS.items()
    }
    shop.sandbox.advance(60)
    # Who is hasty alone leaves what is late: another answer that a busy machine delays would be lost for the others.
    late = hasty.wait(jobs["late"])
    results = [*buyer.together("wait", [(job,) for kind, job in jobs.items() if kind != "late"]), late]
    kinds = [*(kind for kind in POLLS if kind != "late"), "late"]
    assert {kind: getattr(result, "job", result) for kind, result in zip(kinds, results, strict=True)} == {
        kind: buyer.job(kind) for kind in POLLS
    }
    assert {result.job.status for result in results} == {Status.SUCCEEDED}
    assert {len(result.images) for result in results} == {4}
    assert {kind for kind, fault in faults.items() if fault.hits == 0} == set()
    assert "unknown_status" in {notice.code for notice in buyer.job("unknown_word").warnings}
    assert shop.sandbox.paid == len(POLLS)


def test_the_list_of_a_relay_may_fail_too(shop: Shop, mode: str) -> None:
    buyer = shop.buyer(mode, "new-api", provider={"poll": {"initial": 0.5, "maximum": 0.5}})
    for number in range(8):
        buyer.submit(REQUEST, key=str(number))
    fault = shop.sandbox.fault("list", "html")
    outcomes = buyer.each("resume", shop.folder)
    assert [outcome.error for outcome in outcomes] == [None] * 8
    assert (fault.hits, shop.sandbox.paid, len(shop.pictures())) == (1, 8, 32)
    assert shop.count("poll") < 8, "a list is for many"


DOWNLOADS: dict[str, dict[str, Any]] = {
    "reset": {},
    "short": {},
    "expired": {},
    "html": {},
    "error502": {},
    "redirect": {},
    "elsewhere": {},
    "drop": {},
    "empty": {},
}


def test_downloads_end_complete_or_say_so_and_saving_later_succeeds(shop: Shop, mode: str) -> None:
    buyer = shop.buyer(mode)
    results = {kind: buyer.run(ImageRequest(f"a lamp, {kind}"), key=kind) for kind in DOWNLOADS}
    faults = {}
    for kind, options in DOWNLOADS.items():
        (grid,) = (asset for asset in results[kind].assets if asset.role == "grid")
        where = f"GET {urlsplit(grid.url or '').path}"
        if kind == "elsewhere":
            faults[kind] = shop.sandbox.fault(where, "redirect", to=shop.sandbox.url + "/nowhere")
        else:
            faults[kind] = shop.sandbox.fault(where, kind, **options)
    answers = buyer.together("save", [(result, shop.folder / kind) for kind, result in results.items()])
    for (kind, result), answer in zip(results.items(), answers, strict=True):
        assert faults[kind].hits == 1, kind
        assert isinstance(answer, (list, DownloadError)), (kind, answer)
        if isinstance(answer, DownloadError):
            assert (answer.billed, answer.asset is not None) == ("yes", True), (kind, str(answer))
            assert buyer.job(kind).status is Status.SUCCEEDED
        files = buyer.save(result, shop.folder / kind)
        assert [picture_size(path.read_bytes()) for path in files] == [("PNG", 320, 320)] * 4, kind
        assert len(list((shop.folder / kind).iterdir())) == 5, kind
    assert {kind for kind, answer in zip(DOWNLOADS, answers, strict=True) if isinstance(answer, list)} >= {
        "reset",
        "error502",
        "redirect",
        "drop",
    }
    assert shop.sandbox.paid == len(DOWNLOADS)


@pytest.mark.parametrize("kind", ["expired", "elsewhere"])
def test_a_file_that_never_comes_costs_nothing_but_patience(shop: Shop, mode: str, kind: str) -> None:
    buyer = shop.buyer(mode)
    options = {"to": shop.sandbox.url + "/nowhere"} if kind == "elsewhere" else {}
    fault = shop.sandbox.fault("download", "redirect" if options else kind, times=None, **options)
    with pytest.raises(DownloadError) as missing:
        buyer.run(REQUEST, key="order", save_to=shop.folder)
    assert missing.value.billed == "yes"
    assert "save" in missing.value.hint
    job = buyer.job("order")
    assert job.status is Status.SUCCEEDED
    assert shop.pictures() == []
    fault.times = 0
    (outcome,) = buyer.each("resume")
    assert len(outcome.files) == len(shop.pictures()) == 4
    assert buyer.save(job) == list(outcome.files)
    assert shop.sandbox.paid == 1
