"""The paid flow, fed by hand: how often a submit goes out, and what is recorded."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ai302_core._flows import outcomes, planning, reconciling, settling, submitting
from ai302_core._flows.submitting import Order
from ai302_core._steps import Sleep
from ai302_core.errors import (
    ApiError,
    AuthenticationError,
    ConfigError,
    ContentRejectedError,
    InvalidRequestError,
    JobRejected,
    JobUnconfirmed,
    KeyConflict,
    LedgerError,
    NotFoundError,
    ParameterError,
    PluginError,
    RateLimitError,
    ReplyError,
    ServerError,
    TransportError,
)
from ai302_core.family import Rule, field
from ai302_core.jobs import Status
from ai302_core.ledger import Limits
from ai302_core.requests import ImageRequest, VideoRequest

CAT = ImageRequest("a cat")
ACCEPTED = {"code": 0, "data": {"id": 42, "status": "wait"}}
REFUSED = TransportError("refused", sent=False)
LOST = TransportError("reset", sent=True)


def test_an_accepted_submit_is_sent_once_and_recorded(account: Any, hand: Any, reply: Any, ledger: Any) -> None:
    fed = hand(reply(ACCEPTED, request_id="r-1"))
    job = fed.run(submitting.submit(account, CAT, Order()))
    assert (job.status, job.remote_id, job.request_id, job.billed) == (Status.QUEUED, "42", "r-1", "yes")
    assert len(fed.paid) == 1
    assert ledger.job(job.id).remote_id == "42"


def test_a_wait_for_a_place_of_our_own_is_told_once_after_a_few_seconds(account: Any, hand: Any, reply: Any) -> None:
    account = replace(account, limits=Limits(concurrent=1))
    fed = hand(reply(ACCEPTED))
    fed.run(submitting.submit(account, CAT, Order()))
    told, perform = [], fed.perform

    def seen(step: Any) -> Any:
        if isinstance(step, Sleep):
            told.append(step.why)
        return perform(step)

    fed.perform = seen
    with pytest.raises(RateLimitError, match="at its own limit"):
        fed.run(submitting.submit(account, ImageRequest("a dog"), Order(timeout=9)))
    (why,) = filter(None, told)
    assert str(why) == "hero is at its own limit of open jobs or jobs a minute. Nothing was sent."
    assert (len(told), told.index(why)) == (9, 3)
    assert len(fed.paid) == 1


@pytest.mark.parametrize(
    "answer",
    [
        LOST,
        (b"<html>bad gateway</html>", 502),
        (b"<html>one moment</html>", 200),
        (b"", 200),
        (b'{"code":0,"data":{"id"', 200),
        ({"code": 0, "data": {}}, 200),
        ({"hello": 1}, 500),
        ({"code": 9, "message": "upstream timed out"}, 200),
        ({"error": {"err_code": -1024, "message": "timeout"}}, 500),
        (b"", 408),
        (b"", 303),
        (b"\xff\xfe\x00", 200),
        ([[[]]], 200),
    ],
    ids=str,
)
def test_an_unclear_answer_is_never_sent_again(account: Any, hand: Any, reply: Any, ledger: Any, answer: Any) -> None:
    fed = hand(answer if isinstance(answer, TransportError) else reply(*answer))
    with pytest.raises(JobUnconfirmed) as caught:
        fed.run(submitting.submit(account, CAT, Order(key="k")))
    assert len(fed.paid) == 1
    assert caught.value.billed == "unknown"
    assert ledger.job(caught.value.job.id).status is Status.UNCONFIRMED
    again = fed.run(submitting.submit(account, CAT, Order(key="k")))
    assert again.id == caught.value.job.id
    assert len(fed.paid) == 1


# wire/302ai.md 1.6: all that are documented.
CODES = (*range(-10012, -10000), -10018, -1024)


@pytest.mark.parametrize("code", CODES)
def test_every_documented_refusal_has_a_next_step(account: Any, hand: Any, reply: Any, code: int) -> None:
    for said in (code, -code):
        fed = hand(*[reply({"error": {"err_code": said, "message": "no"}}, 400)] * 2)
        with pytest.raises((ApiError, JobUnconfirmed)) as caught:
            fed.run(submitting.submit(account, CAT, Order()))
        assert len(fed.paid) == 1
        assert caught.value.hint
    hour = code == -10012
    assert ("hour" in caught.value.hint, isinstance(caught.value, RateLimitError)) == (hour, hour)


@pytest.mark.parametrize(
    "refusal",
    [
        REFUSED,
        (b"", 429),
        ({"code": 7, "message": "busy"}, 200),
        ({"code": 99, "message": "Queue full, later"}, 200),
        ({"error": {"message": "slow down"}}, 429),
    ],
    ids=str,
)
def test_what_created_nothing_is_tried_again(account: Any, hand: Any, reply: Any, refusal: Any) -> None:
    first = refusal if isinstance(refusal, TransportError) else reply(*refusal)
    fed = hand(first, first, reply(ACCEPTED))
    job = fed.run(submitting.submit(account, CAT, Order()))
    assert job.status is Status.QUEUED
    assert (len(fed.paid), fed.sleeps) == (3, [1.0, 2.0])


def test_retry_after_is_obeyed(account: Any, hand: Any, reply: Any) -> None:
    fed = hand(
        reply(b"", 429, retry_after="7"),
        reply(b"", 429, retry_after="Sat, 21 Nov 2026 08:00:20 GMT"),
        reply({"code": 7, "message": "x", "retry_after": 3}),
        reply(ACCEPTED),
    )
    fed.run(submitting.submit(account, CAT, Order()))
    assert fed.sleeps == [7.0, 13.0, 3.0]


def test_a_busy_gateway_is_given_up_in_time_and_the_key_is_free(account: Any, hand: Any, reply: Any) -> None:
    fed = hand(*[reply(b"", 429) for _ in range(6)], reply(ACCEPTED))
    with pytest.raises(RateLimitError) as caught:
        fed.run(submitting.submit(account, CAT, Order(key="k", timeout=20)))
    assert caught.value.billed == "no"
    assert sum(fed.sleeps) <= 20
    fed.answers[:] = [reply(ACCEPTED)]
    assert fed.run(submitting.submit(account, CAT, Order(key="k"))).status is Status.QUEUED


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (({"error": {"err_code": -10001, "message": "no key"}}, 401), AuthenticationError),
        ((b"", 401), AuthenticationError),
        (({"code": 8, "message": "bad words"}, 200), ContentRejectedError),
        (({"code": 4, "message": "odd"}, 400), InvalidRequestError),
        ((b"no", 422), InvalidRequestError),
        (({"error": {"err_code": -10008, "message": "no channel"}}, 503), ServerError),
        ((b"", 404), NotFoundError),
        ((b"", 307), ReplyError),
    ],
    ids=str,
)
def test_a_refusal_is_typed_final_and_frees_the_key(
    account: Any, hand: Any, reply: Any, ledger: Any, answer: Any, error: Any
) -> None:
    fed = hand(reply(*answer), reply(ACCEPTED))
    with pytest.raises(error) as caught:
        fed.run(submitting.submit(account, CAT, Order(key="k")))
    assert (caught.value.billed, len(fed.paid)) == ("no", 1)
    assert ledger.jobs()[0].status is Status.REFUSED
    assert fed.run(submitting.submit(account, CAT, Order(key="k"))).status is Status.QUEUED


def test_the_same_key_is_the_same_job_without_http(account: Any, hand: Any, reply: Any) -> None:
    fed = hand(reply(ACCEPTED))
    first = fed.run(submitting.submit(account, CAT, Order(key="k")))
    second = fed.run(submitting.submit(account, ImageRequest("a cat"), Order(key="k")))
    assert (second.id, len(fed.calls)) == (first.id, 1)
    with pytest.raises(KeyConflict):
        fed.run(submitting.submit(account, ImageRequest("a dog"), Order(key="k")))
    with pytest.raises(KeyConflict):
        fed.run(submitting.submit(account, CAT, Order(key="k", again=True)))
    assert len(fed.calls) == 1


def test_an_interrupt_while_waiting_takes_the_intent_back(account: Any, hand: Any, reply: Any, ledger: Any) -> None:
    fed = hand(reply(b"", 429), reply(ACCEPTED))

    def interrupt() -> None:
        raise KeyboardInterrupt

    fed.on_sleep = interrupt
    with pytest.raises(KeyboardInterrupt):
        fed.run(submitting.submit(account, CAT, Order(key="k")))
    assert ledger.jobs()[0].status is Status.REFUSED
    fed.on_sleep = lambda: None
    assert fed.run(submitting.submit(account, CAT, Order(key="k"))).status is Status.QUEUED


def test_what_the_family_cannot_say_is_refused_or_warned_of(account: Any, hand: Any, reply: Any) -> None:
    fed = hand(reply(ACCEPTED))
    with pytest.raises(ParameterError, match="resolution") as caught:
        fed.run(submitting.submit(account, ImageRequest("x", resolution="2K"), Order()))
    assert (caught.value.field, fed.calls) == ("resolution", [])
    with pytest.raises(ParameterError, match="VideoRequest"):
        fed.run(submitting.submit(account, VideoRequest("x"), Order()))
    job = fed.run(submitting.submit(account, ImageRequest("x", resolution="2K"), Order(lenient=True)))
    assert [notice.field for notice in job.warnings] == ["resolution"]


def test_the_wire_has_the_bodys_shape_and_the_key_in_one_header(account: Any, hand: Any, reply: Any) -> None:
    fed = hand(reply(ACCEPTED))
    request = ImageRequest("ü", seed=3, images=("https://x.example/a.png",), extra={"z": [1]}, query={"q": True})
    fed.run(submitting.submit(account, request, Order()))
    (call,) = fed.paid
    assert call.url == "https://api.302.ai/v1/image?q=true"
    assert call.body.decode() == (
        '{"input":{"text":"ü","refs":["https://x.example/a.png"]},"seed":3,"mode":"std","z":[1]}'
    )
    assert call.secret == ("authorization", "Bearer sk-SENTINEL")
    assert "SENTINEL" not in repr(call) + str(call.headers) + call.url
    shown = fed.run(submitting.preview(account, request))
    assert shown.headers["authorization"] == "***"
    assert shown.body["seed"] == 3
    assert len(fed.calls) == 1


def test_files_are_remembered_by_hash_and_equal_by_content(account: Any, hand: Any, reply: Any, tmp_path: Any) -> None:
    png = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + b"\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0" + b"\0" * 20
    one, two = tmp_path / "one.png", tmp_path / "two.png"
    one.write_bytes(png)
    two.write_bytes(png)
    fed = hand(reply(ACCEPTED))
    job = fed.run(submitting.submit(account, ImageRequest("x", images=(one,)), Order(key="k")))
    assert fed.paid[0].body.count(b"data:image/png;base64,") == 1
    assert "base64" not in job.to_json()
    same = fed.run(submitting.submit(account, ImageRequest("x", images=(two,)), Order(key="k")))
    assert same.id == job.id


def test_a_gateway_that_redirects_a_paid_request_is_not_followed(account: Any, hand: Any, reply: Any) -> None:
    fed = hand(reply(b"", 308, location="https://elsewhere.example/"))
    with pytest.raises(ReplyError, match="elsewhere"):
        fed.run(submitting.submit(account, CAT, Order()))
    assert len(fed.calls) == 1


@pytest.mark.parametrize(
    "answer",
    [
        ({"code": 404404, "data": {"id": 777}}, 200),
        ({"code": 4, "message": "odd"}, 200),
        ({"code": 7, "message": "busy", "data": {"id": 777}}, 200),
        ({"error": {"err_code": -10099, "message": "new"}}, 200),
        ({"code": 7, "message": "busy", "data": {"id": 777}}, 429),
        ({"data": {"id": 777}}, 429),
        ({"data": {"id": 777}}, 400),
        ({"data": {"id": 777}}, 307),
        ({"code": 4, "message": "odd", "data": {"id": 777}}, 400),
        ({"code": 4, "message": "late"}, 408),
        ({"code": 4, "message": "gone"}, 499),
        ({"code": 4, "message": "hm"}, 504),
    ],
    ids=str,
)
def test_an_unknown_no_that_may_hide_a_task_is_unconfirmed(account: Any, hand: Any, reply: Any, answer: Any) -> None:
    fed = hand(reply(*answer))
    with pytest.raises(JobUnconfirmed):
        fed.run(submitting.submit(account, CAT, Order(key="k")))
    assert len(fed.paid) == 1


def test_a_receipt_the_ledger_could_not_take_is_written_by_the_wait(account: Any, hand: Any, reply: Any) -> None:
    fed = hand(reply(ACCEPTED), reply({"data": {"id": 42, "status": "done", "url": "https://f.example/1.png"}}))
    real = fed.ledger.write
    fed.ledger.write = lambda job, body=b"": job  # a full disk, for the moment of the receipt
    job = fed.run(submitting.submit(account, CAT, Order()))
    fed.ledger.write = real
    assert fed.ledger.job(job.id).status is Status.SUBMITTING
    done = fed.run(settling.settle(account, job, timeout=None, on_update=None))
    assert (done.status, fed.ledger.job(job.id).remote_id) == (Status.SUCCEEDED, "42")


@pytest.mark.parametrize("written", [True, False])
def test_a_job_just_bought_is_read_again_only_where_its_receipt_was_not_written(
    account: Any, hand: Any, reply: Any, written: bool
) -> None:
    fed = hand(reply(ACCEPTED), reply({"data": {"id": 42, "status": "done", "url": "https://f.example/1.png"}}))
    real, read = fed.ledger.write, fed.ledger.job
    reads: list[str] = []

    def full(job: Any, body: bytes = b"") -> Any:
        raise LedgerError("The disk is full.")

    def noted(job_id: str) -> Any:
        reads.append(job_id)
        return read(job_id)

    fed.ledger.write = real if written else full
    job = fed.run(submitting.submit(account, CAT, Order()))
    fed.ledger.write, fed.ledger.job = real, noted
    done = fed.run(settling.settle(account, job, timeout=None, on_update=None, bought=True))
    assert (done.status, read(job.id).remote_id, read(job.id).status) == (Status.SUCCEEDED, "42", Status.SUCCEEDED)
    assert reads == ([] if written else [job.id])


def test_two_reconciles_cannot_both_resubmit(account: Any, hand: Any, reply: Any, ledger: Any) -> None:
    fed = hand(LOST, reply(ACCEPTED))
    with pytest.raises(JobUnconfirmed) as caught:
        fed.run(submitting.submit(account, CAT, Order()))
    first = reconciling.reconcile(account, caught.value.job, remote_id=None, resubmit=True, abandon=False)
    second = reconciling.reconcile(account, caught.value.job, remote_id=None, resubmit=True, abandon=False)
    step = next(second)  # has looked, and believes the job to be unconfirmed
    stale = fed.perform(step)
    fed.run(first)

    def finish() -> None:
        step = second.send(stale)
        while True:
            step = second.send(fed.perform(step))

    with pytest.raises((KeyConflict, ParameterError)):
        finish()
    assert len(fed.paid) == 2


def test_a_key_whose_owner_never_finishes_is_not_waited_for_for_ever(account: Any, hand: Any, reply: Any) -> None:
    fed = hand(reply(ACCEPTED))
    real = fed.ledger.write
    fed.ledger.write = lambda job, body=b"": job
    fed.run(submitting.submit(account, CAT, Order(key="k")))
    fed.ledger.write = real
    with pytest.raises(KeyConflict, match="still being sent"):
        fed.run(submitting.submit(account, CAT, Order(key="k")))
    assert len(fed.paid) == 1


def test_a_failure_in_the_answer_itself_is_a_failed_job_not_a_riddle(account: Any, hand: Any, reply: Any) -> None:
    fed = hand(reply({"code": 0, "data": {"status": "failed", "reason": "nsfw picture"}}))
    job = fed.run(submitting.submit(account, CAT, Order(key="k")))
    assert (job.status, job.code, job.message, job.billed) == (Status.FAILED, "failed", "nsfw picture", "unknown")
    with pytest.raises(JobRejected):
        outcomes.result(account, fed.run(settling.settle(account, job, timeout=None, on_update=None)))
    assert len(fed.paid) == len(fed.calls) == 1


def test_rules_refuse_say_sizes_as_people_do_and_notices_stop_nothing(account: Any, hand: Any, reply: Any) -> None:
    rules = {
        "size": Rule(allowed=((512, 512), "1024x1024"), instead="Others silently become 512x512."),
        "seed": Rule(notice="seeds repeat nothing."),
    }
    image = replace(account.family.operations[0], rules=lambda request: rules)
    account = replace(account, family=replace(account.family, operations=(image,)))
    with pytest.raises(ParameterError, match=r"size takes 512x512, 1024x1024, not 640x480\. Others silently become"):
        hand().run(submitting.submit(account, replace(CAT, size="640x480"), Order()))
    untaken = replace(image, rules=lambda request: {"size": Rule(taken=False)})
    loose = replace(account, family=replace(account.family, operations=(untaken,)))
    assert planning.plan(loose, replace(CAT, size="640x480"), lenient=True).request == CAT
    fed = hand(reply(ACCEPTED))
    job = fed.run(submitting.submit(account, replace(CAT, seed=7), Order()))
    assert [(notice.code, notice.field) for notice in job.warnings] == [("notice", "seed")]
    made = planning.plan(account, replace(CAT, size=(1024, 1024)))
    assert made.warnings == ()
    # A word goes out as the service spells it, and is remembered as the caller wrote it.
    worded = replace(
        image, rules=lambda request: {"resolution": Rule(allowed=("1K", "2K"))}, body={"pixels": field("resolution")}
    )
    spelling = replace(account, family=replace(account.family, operations=(worded,)))
    fed = hand(reply(ACCEPTED))
    job = fed.run(submitting.submit(spelling, ImageRequest("", resolution=" 2k"), Order(lenient=True)))
    assert (json.loads(fed.paid[0].body), job.request.resolution) == ({"pixels": "2K"}, " 2k")


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (ValueError, ""),
        (AssertionError, ""),
        (ParameterError, ""),
        (ConfigError, ""),
        (SystemExit, 0),
        (KeyError, "sk-SENTINEL"),
    ],
)
def test_a_family_that_stumbles_without_a_word_is_told_by_type_and_line(
    account: Any, hand: Any, kind: type[BaseException], word: Any
) -> None:
    def stumbles(request: Any) -> Any:
        raise kind(word)

    def stumbling(request: Any) -> Any:
        yield from ()
        raise kind(word)

    for what, function in (("body", stumbles), ("prepare", stumbling), ("rules", stumbles), ("route", stumbles)):
        image = replace(account.family.operations[0], **{what: function})
        broken = replace(account, family=replace(account.family, operations=(image,)))
        fed = hand()
        with pytest.raises(PluginError) as caught:
            fed.run(submitting.submit(broken, CAT, Order()))
        line = function.__code__.co_firstlineno + (2 if function is stumbling else 1)
        where = f"{kind.__name__} ({__name__}, line {line})"
        assert f"The family acme failed in {what}: {where}. Nothing was sent." in caught.value.message
        assert "SENTINEL" not in caught.value.message
        assert fed.paid == []
