"""Replies of the unified image doors as they are and as they might be: answers to submits, looks, failures."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ai302_unified_image
from ai302_core._accounts import Account
from ai302_core._flows import looking, outcomes, planning, receipts
from ai302_core._steps import Reply
from ai302_core.errors import JobFailed, JobRejected
from ai302_core.jobs import Job, Status
from ai302_core.requests import ImageRequest

FAMILY = ai302_unified_image.ai302_family()
NOW = datetime(2026, 11, 21, tzinfo=UTC)
A, B = "https://file.302.ai/gpt/imgs/a.png", "https://file.302ai.cn/gpt/imgs/b.png"
V1, V2 = "luma-t2i", "gpt-image-2-t2i"


class Key:
    source = "the test"

    def reveal(self) -> str:
        return "sk-secret"


def account() -> Account:
    return Account(name="draft", family=FAMILY, gateway=FAMILY.gateways[0], base_url="https://api.302.ai", key=Key())


def job(operation: str = "image", **more: Any) -> Job:
    fresh = Job(
        id="1", provider="draft", family="unified_image", operation=operation, status=Status.QUEUED, created_at=NOW,
        remote_id="t-1", billed="yes",
    )  # fmt: skip
    return replace(fresh, **more)


def answered(model: str, status: int, body: Any) -> Job | str:
    """The job an answer to the submit makes, or the name of its error."""
    made = planning.plan(account(), ImageRequest("a lamp", model=model))
    fresh = job(made.operation.name, status=Status.SUBMITTING, remote_id=None, billed="no")
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    receipt = receipts.decide(account(), made, fresh, Reply(status, {"request-id": "r-1"}, content), NOW)
    return receipt.job if receipt.job is not None and receipt.error is None else type(receipt.error).__name__


def looked(document: Any) -> Job:
    """The job after a look that brought this document."""
    operation = FAMILY.operation("image")
    assert operation is not None
    return looking.read(account(), operation, job(), document, 200, NOW)


def links(found: Job | str) -> list[str | None]:
    assert isinstance(found, Job)
    assert found.status is Status.SUCCEEDED, found
    assert (found.billed, found.progress) == ("yes", 1.0)
    return [asset.url for asset in found.assets]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"image_url": A, "data": {}}, [A]),
        ({"image_url": A, "data": {"output": json.dumps([B]), "status": "succeeded", "error": ""}}, [A]),
        ({"image_url": A, "data": json.dumps({"status": "failed", "error": "late"})}, [A]),
        ({"image_url": A}, [A]),
        ({"image_urls": [A, B], "image_url": A, "data": None}, [A, B]),
        ({"image_url": "", "data": {"output": json.dumps([A, B])}}, [A, B]),
        ({"image_url": None, "data": {"output": A}}, [A]),
        ({"image_url": "", "data": json.dumps({"data": [{"url": A}, {"b64_json": None}]})}, [A]),
        ({"data": {"images": [{"url": A, "width": 8}]}}, [A]),
        ({"data": {"image": {"url": A}}}, [A]),
    ],
    ids=str,
)  # fmt: skip
def test_v1_answers_with_the_picture_wherever_a_vendor_puts_it(body: Any, found: list[str]) -> None:
    answer = answered(V1, 200, body)
    assert links(answer) == found
    assert isinstance(answer, Job)
    assert (answer.raw, answer.request_id, answer.remote_id) == (body, "r-1", None)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"image_url": "", "data": {"status": "failed", "error": "CUDA"}}, "CUDA"),
        ({"image_url": "", "data": {"error": {"message": "nsfw", "code": 1}}}, "nsfw"),
        ({"image_url": "", "data": json.dumps({"error": "upstream"})}, "upstream"),
        ({"error": "overloaded"}, "overloaded"),
        ({"image_url": "", "data": {"status": "error"}}, ""),
    ],
    ids=str,
)
def test_v1_fails_inside_http_200(body: Any, reason: str) -> None:
    found = answered(V1, 200, body)
    assert isinstance(found, Job)
    assert (found.status, found.message, found.billed, found.assets) == (Status.FAILED, reason, "unknown", ())
    kind = JobRejected if reason == "nsfw" else JobFailed
    assert type(outcomes.problem(account(), found)) is kind


@pytest.mark.parametrize("model", [V1, V2])
@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, {"image_url": "", "data": {"status": "succeeded", "error": ""}}, "JobUnconfirmed"),
        (200, {"image_url": "not a link"}, "JobUnconfirmed"),
        (200, {}, "JobUnconfirmed"),
        (200, b"<html>one moment</html>", "JobUnconfirmed"),
        (200, b"", "JobUnconfirmed"),
        (500, {"error": {"message": "generation failed"}}, "JobUnconfirmed"),
        (500, {"error": {"err_code": -1024, "message": "timeout"}}, "JobUnconfirmed"),
        (524, b"<html>cloudflare</html>", "JobUnconfirmed"),
        (422, {"detail": [{"msg": "width"}]}, "InvalidRequestError"),
        (400, {"code": "InvalidParameter", "message": "width", "request_id": "r"}, "InvalidRequestError"),
        (401, {"error": {"err_code": 10001, "message": "key", "type": "unauthorized"}}, "AuthenticationError"),
        (402, {"error": {"err_code": -10004, "message": "balance"}}, "BalanceError"),
        (403, {"error": {"err_code": -10006, "message": "quota"}}, "BalanceError"),
        (503, {"error": {"err_code": -10008, "message": "no channel"}}, "ServerError"),
        (200, {"error": {"err_code": -10004, "message": "balance"}}, "BalanceError"),
        (429, {}, "RateLimitError"),
        (404, b"not found", "NotFoundError"),
    ],
    ids=str,
)
def test_what_an_answer_to_the_submit_means(model: str, status: int, body: Any, error: str) -> None:
    assert answered(model, status, body) == error


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"task_id": "t-1", "status": "pending", "created_at": "2026-11-21T08:00:00Z"}, Status.QUEUED),
        ({"task_id": "t-1"}, Status.QUEUED),
        ({"task_id": 7, "status": "processing"}, Status.QUEUED),
        ({"task_id": "t-1", "status": "failed", "error": "nsfw"}, Status.QUEUED),  # the first look says it
        ({"status": "failed", "error": {"error": "nsfw"}}, Status.FAILED),
        ({"task_id": "t-1", "status": "completed", "image_url": A}, Status.SUCCEEDED),
        ({"status": "success", "image_urls": [A]}, Status.SUCCEEDED),
        ({"image_url": A}, Status.SUCCEEDED),
        ({"task_id": "t-1", "status": "completed", "image_url": ""}, Status.QUEUED),
    ],
    ids=str,
)
def test_v2_answers_with_a_task_or_with_the_finished_one(body: Any, status: Status) -> None:
    found = answered(V2, 200, body)
    assert isinstance(found, Job)
    assert found.status is status
    assert found.remote_id == (str(body["task_id"]) if "task_id" in body else None)
    assert bool(found.assets) == (status is Status.SUCCEEDED)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("pending", Status.QUEUED), ("processing", Status.RUNNING), ("Processing", Status.RUNNING),
        ("completed", Status.SUCCEEDED), ("succeed", Status.SUCCEEDED), ("success", Status.SUCCEEDED),
        ("failed", Status.FAILED), ("error", Status.FAILED), ("dreaming", Status.SUCCEEDED), ("", Status.SUCCEEDED),
    ],
)  # fmt: skip
def test_status_words(word: str, status: Status) -> None:
    # A picture under a word nobody knows is a picture; under "processing" it is not believed yet.
    seen = looked({"task_id": "t-1", "status": word, "image_url": A, "error": "why"})
    assert seen.status is status
    assert bool(seen.assets) == (status is Status.SUCCEEDED)
    assert seen.message == ("why" if status is Status.FAILED else "")


@pytest.mark.parametrize(
    ("error", "reason", "kind"),
    [
        ({"error": "upstream rejected", "message": "…", "is_network_error": False}, "upstream rejected", JobFailed),
        ({"message": "sensitive words", "error_type": "api_error"}, "sensitive words", JobRejected),
        ("moderation_blocked", "moderation_blocked", JobRejected),
        ("内容违规", "内容违规", JobRejected),
        ({}, "", JobFailed),
        (None, "", JobFailed),
    ],
    ids=str,
)
def test_why_a_task_failed(error: Any, reason: str, kind: type[JobFailed]) -> None:
    seen = looked({"task_id": "t-1", "status": "failed", "error": error, "execution_time": "41.2"})
    assert (seen.status, seen.message) == (Status.FAILED, reason)
    assert type(outcomes.problem(account(), seen)) is kind


@pytest.mark.parametrize(
    ("members", "found"),
    [
        ({"image_url": A, "image_urls": [A, B]}, [A, B]),
        ({"image_url": A, "image_urls": []}, [A]),
        ({"image_url": A, "image_urls": None}, [A]),
        ({"image_urls": json.dumps([A, B])}, [A, B]),
        ({"image_url": "", "raw_response": {"data": [{"url": A}, {"url": B}]}}, [A, B]),
        ({"raw_response": json.dumps({"output": [A]})}, [A]),
        ({"image_url": A, "raw_response": {"data": [{"url": B}]}}, [A]),
    ],
    ids=str,
)
def test_pictures_wherever_they_are(members: dict[str, Any], found: list[str]) -> None:
    seen = looked({"task_id": "t-1", "status": "completed", **members})
    assert links(seen) == found
    assert [asset.index for asset in seen.assets] == list(range(1, len(found) + 1))


def test_success_without_a_link_goes_on() -> None:
    seen = looked({"task_id": "t-1", "status": "completed", "image_url": "", "image_urls": []})
    assert (seen.status, seen.progress) == (Status.RUNNING, None)
    assert [notice.code for notice in seen.warnings] == ["no_file"]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(("", "completed", "failed", A, "[", "{}")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(("url", "error", "output")), inner),
    max_leaves=8,
)
NAMES = ("task_id", "status", "image_url", "image_urls", "data", "error", "raw_response", "created_at", "completed_at")


@given(st.dictionaries(st.sampled_from(NAMES), JSON) | JSON, st.sampled_from([V1, V2]))
def test_no_reply_is_too_odd(document: Any, model: str) -> None:
    found = answered(model, 200, document)
    if isinstance(found, Job):
        assert found.status in (Status.QUEUED, Status.SUCCEEDED, Status.FAILED)
        assert bool(found.assets) == (found.status is Status.SUCCEEDED)
        assert found.remote_id is not None or found.status is not Status.QUEUED
    seen = looked(document)
    assert (seen.status is Status.SUCCEEDED) == bool(seen.assets)
    assert Job.from_json(seen.to_json()).assets == seen.assets
