"""Replies as Midjourney servers really give them: odd words, odd shapes, odd refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ai302_midjourney
from ai302_core._accounts import Account
from ai302_core._flows import looking, outcomes, planning, receipts
from ai302_core._steps import Reply
from ai302_core._wire import reading
from ai302_core._wire import trouble as _trouble
from ai302_core.errors import JobFailed, JobRejected
from ai302_core.jobs import Job, Status
from ai302_core.requests import ImageRequest

FAMILY = ai302_midjourney.ai302_family()
NOW = datetime(2026, 11, 21, tzinfo=UTC)
A, B = "https://file.302ai.cn/gpt/imgs/a.png", "https://file.302ai.cn/gpt/imgs/b.png"


class Key:
    source = "the test"

    def reveal(self) -> str:
        return "sk-secret"


def account(gateway: str = "302ai") -> Account:
    chosen = FAMILY.gateway(gateway)
    assert chosen is not None
    base = chosen.base_url or "https://relay.example"
    return Account(name="hero", family=FAMILY, gateway=chosen, base_url=base, key=Key())


def job(operation: str = "imagine") -> Job:
    return Job(
        id="1",
        provider="hero",
        family="midjourney",
        operation=operation,
        status=Status.QUEUED,
        created_at=NOW,
        remote_id="17",
        billed="yes",
    )


def looked(document: Any, operation: str = "imagine", gateway: str = "302ai") -> Job:
    """The job after a poll that brought this document."""
    known = FAMILY.operation(operation)
    assert known is not None
    seen = looking.read(account(gateway), known, job(operation), document, 200, NOW)
    if seen.status is not Status.SUCCEEDED:
        return seen
    assert known.finish is not None
    flow = known.finish(seen, document)
    with pytest.raises(StopIteration) as done:
        next(flow)
    return replace(seen, assets=tuple(done.value.value))


def submitted(status: int, body: Any, gateway: str = "302ai") -> tuple[Status | None, str]:
    """What an answer to the submit makes of the job (None: nothing was created, try again), and its error's class."""
    made = planning.plan(account(gateway), ImageRequest("a cat"))
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    fresh = replace(job(), status=Status.SUBMITTING, remote_id=None, billed="no")
    receipt = receipts.decide(account(gateway), made, fresh, Reply(status, {}, content), NOW)
    return receipt.job.status if receipt.job else None, type(receipt.error).__name__


@pytest.mark.parametrize("gateway", ["302ai", "new-api"])
@pytest.mark.parametrize(
    ("status", "body", "outcome", "error"),
    [
        (200, {"code": 1, "description": "提交成功", "result": "17"}, Status.QUEUED, "NoneType"),
        (200, {"code": 1, "result": 1795219200123457}, Status.QUEUED, "NoneType"),
        (200, {"code": 22, "description": "排队中，前面还有3个任务", "result": "17"}, Status.QUEUED, "NoneType"),
        (
            200,
            {"code": 21, "description": "Waiting for window confirm", "result": "17"},
            Status.INPUT_REQUIRED,
            "NoneType",
        ),
        (200, {"code": "1", "result": "17"}, Status.QUEUED, "NoneType"),
        (200, {"code": 1, "result": None}, Status.UNCONFIRMED, "JobUnconfirmed"),
        (200, {"code": 1, "result": ""}, Status.UNCONFIRMED, "JobUnconfirmed"),
        (200, {"code": 1}, Status.UNCONFIRMED, "JobUnconfirmed"),
        (200, {}, Status.UNCONFIRMED, "JobUnconfirmed"),
        (200, b"<html>Just a moment</html>", Status.UNCONFIRMED, "JobUnconfirmed"),
        (504, b"<html>time-out</html>", Status.UNCONFIRMED, "JobUnconfirmed"),
        (200, {"code": 23, "description": "队列已满，请稍后尝试"}, None, "RateLimitError"),
        (200, {"code": 9, "description": "提交失败，队列已满，请稍后重试"}, None, "RateLimitError"),
        (200, {"code": 9, "description": "提交失败，系统异常"}, Status.REFUSED, "ServerError"),
        (429, {"description": "当前分组负载已饱和", "type": "upstream_error", "code": 30}, None, "RateLimitError"),
        (429, b"", None, "RateLimitError"),
        (400, {"description": "task_status_not_success ", "type": "upstream_error", "code": 4}, None, "RateLimitError"),
        (
            200,
            {"code": 24, "description": "可能包含敏感词", "properties": {"bannedWord": "x"}},
            Status.REFUSED,
            "ContentRejectedError",
        ),
        (200, {"code": 4, "description": "可能包含敏感词"}, Status.REFUSED, "ContentRejectedError"),
        (200, {"code": 3, "description": "关联任务不存在或已失效", "result": None}, Status.REFUSED, "NotFoundError"),
        (404, {"code": 3, "description": "关联任务不存在或已失效"}, Status.REFUSED, "NotFoundError"),
        (200, {"code": 3, "description": "无可用的账号实例"}, Status.REFUSED, "ServerError"),
        (200, {"code": 4, "description": "prompt不能为空"}, Status.REFUSED, "InvalidRequestError"),
        (200, {"code": 77, "description": "?"}, Status.REFUSED, "InvalidRequestError"),
        (200, {"code": 0, "description": "?"}, Status.UNCONFIRMED, "JobUnconfirmed"),
        (200, {"code": 23, "description": "队列已满", "result": "17"}, Status.UNCONFIRMED, "JobUnconfirmed"),
        (200, {"error": {"message": "upstream?", "type": "?"}}, Status.UNCONFIRMED, "JobUnconfirmed"),
        (
            400,
            {"description": "quota_not_enough ", "type": "upstream_error", "code": 4},
            Status.REFUSED,
            "BalanceError",
        ),
        (
            400,
            {"description": "unknown_action:MJ::X", "type": "upstream_error", "code": 4},
            Status.REFUSED,
            "NotFoundError",
        ),
        (
            400,
            {"description": "do_request_failed ", "type": "upstream_error", "code": 5},
            Status.UNCONFIRMED,
            "JobUnconfirmed",
        ),
        (401, {"error": {"message": "无效的令牌", "type": "new_api_error"}}, Status.REFUSED, "AuthenticationError"),
        (401, b"", Status.REFUSED, "AuthenticationError"),
        (
            401,
            {"description": "无效的令牌", "type": "new_api_error", "code": ""},
            Status.REFUSED,
            "AuthenticationError",
        ),
        (403, {"error": {"message": "用户额度不足", "type": "new_api_error"}}, Status.REFUSED, "BalanceError"),
        (403, "账号不可用".encode(), Status.REFUSED, "AuthenticationError"),
        (404, b"404 page not found", Status.REFUSED, "NotFoundError"),
        (402, {"error": {"err_code": -10004, "message": "Insufficient balance"}}, Status.REFUSED, "BalanceError"),
        (400, {"error": {"err_code": -10001, "message": "API key missing"}}, Status.REFUSED, "AuthenticationError"),
        (503, {"error": {"err_code": -10008, "message": "当前无可用模型"}}, Status.REFUSED, "ServerError"),
        (500, {"error": {"err_code": -1024, "message": "timeout"}}, Status.UNCONFIRMED, "JobUnconfirmed"),
        (
            500,
            {"error": {"message": "do request failed", "type": "new_api_error"}},
            Status.UNCONFIRMED,
            "JobUnconfirmed",
        ),
        (500, {"code": 500, "description": "?"}, Status.UNCONFIRMED, "JobUnconfirmed"),
        (503, {"error": {"message": "no available channel", "type": "new_api_error"}}, Status.REFUSED, "ServerError"),
        (
            503,
            {"error": {"message": "content policy", "type": "new_api_error"}},
            Status.REFUSED,
            "ContentRejectedError",
        ),
    ],
)
def test_what_an_answer_to_the_submit_means(gateway: str, status: int, body: Any, outcome: Any, error: str) -> None:
    assert submitted(status, body, gateway) == (outcome, error)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("", Status.QUEUED),
        (None, Status.QUEUED),
        ("NOT_START", Status.QUEUED),
        ("SUBMITTED", Status.QUEUED),
        ("IN_PROGRESS", Status.RUNNING),
        ("in_progress", Status.RUNNING),
        ("MODAL", Status.INPUT_REQUIRED),
        ("FAILURE", Status.FAILED),
        ("FAILED", Status.FAILED),
        ("Failure", Status.FAILED),
        ("EXPIRED", Status.FAILED),
        ("CANCEL", Status.CANCELED),
        ("CANCELED", Status.CANCELED),
        ("CANCELLED", Status.CANCELED),
        ("DREAMING", Status.QUEUED),
    ],
)
def test_status_words(word: Any, status: Status) -> None:
    # The links of a preview, and 100%, mean nothing without the success word.
    seen = looked({"id": "17", "status": word, "progress": "100%", "imageUrl": A, "failReason": "why"})
    assert seen.status is status
    assert seen.assets == ()
    assert bool(seen.warnings) == (word == "DREAMING")
    assert seen.message == ("why" if status.settled else "")


@pytest.mark.parametrize(
    ("progress", "fraction"),
    [
        (None, None),
        ("", None),
        ("0%", 0.0),
        ("15%", 0.15),
        ("Waiting to start", None),
        ("Paused", None),
        ("100%", 0.99),
        (45, 0.45),
        ("31% (relaxed)", 0.31),
        ("250%", 0.99),
    ],
)
def test_progress_in_all_its_forms(progress: Any, fraction: float | None) -> None:
    assert looked({"status": "IN_PROGRESS", "progress": progress}).progress == fraction


def shown(seen: Job) -> list[tuple[str, str, str | None]]:
    return [(asset.kind, asset.role, asset.url) for asset in seen.assets]


TILES = [("image", "tile", A), ("image", "tile", B)]
CUT = [("image", "tile", A)] * 4 + [("image", "grid", A)]


@pytest.mark.parametrize(
    ("members", "assets"),
    [
        ({"imageUrl": A}, CUT),
        ({"imageUrl": A, "imageUrls": None}, CUT),
        ({"imageUrl": A, "imageUrls": []}, CUT),
        ({"imageUrl": A, "imageUrls": [A]}, CUT),
        ({"imageUrl": A, "imageUrls": [{"imageUrl": B}, 7, None]}, CUT),
        (
            {"imageUrl": "https://g.example/g.png", "imageUrls": [A, B]},
            [*TILES, ("image", "grid", "https://g.example/g.png")],
        ),
        ({"imageUrl": "", "imageUrls": [{"url": A}, {"url": B}]}, TILES),
        ({"imageUrl": None, "imageUrls": [{"url": A, "thumbnail": "https://t.example/t"}, {"url": B}]}, TILES),
        ({"image_urls": [A, B]}, TILES),
        ({"imageUrls": json.dumps([{"url": A}, {"url": B}])}, TILES),
    ],
)
def test_pictures_wherever_they_are(members: dict[str, Any], assets: Any) -> None:
    assert shown(looked({"status": "SUCCESS", "action": "IMAGINE", **members})) == assets


def test_a_grid_is_cut_in_the_order_of_its_buttons() -> None:
    tiles = looked({"status": "SUCCESS", "imageUrl": A, "imageWidth": 2049, "imageHeight": 1025}).assets[:4]
    assert [tile.cut for tile in tiles] == [(0, 0, 2, 2), (1, 0, 2, 2), (0, 1, 2, 2), (1, 1, 2, 2)]
    assert {(tile.width, tile.height) for tile in tiles} == {(None, None)}


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"imageUrl": ""},
        {"imageUrl": None, "imageUrls": None},
        {"imageUrls": [{}]},
        {"imageUrl": "not a link"},
    ],
)
@pytest.mark.parametrize("operation", ["imagine", "upscale", "clip", "describe"])
def test_success_without_a_link_goes_on(members: dict[str, Any], operation: str) -> None:
    seen = looked({"status": "SUCCESS", "progress": "100%", **members}, operation)
    assert seen.status is Status.RUNNING
    assert seen.progress == 0.99


M = [f"https://cdn.midjourney.com/video/x/0_{n}.mp4" for n in range(4)]


@pytest.mark.parametrize(
    ("members", "clips"),
    [
        ({"videoUrls": [{"url": M[0]}, {"url": M[1]}], "videoUrl": ""}, M[:2]),
        ({"videoUrls": [M[0], M[1]], "videoUrl": M[0]}, M[:2]),
        ({"videoUrls": [M[0]], "videoUrl": M[1]}, M[:2]),
        ({"videoUrls": None, "videoUrl": M[0]}, M[:1]),
        ({"videoUrls": [{"url": M[0], "thumbnail": A}]}, M[:1]),
        ({"imageUrls": [{"url": M[0]}, {"url": M[1]}, {"url": B}]}, M[:2]),
        ({"videoUrl": M[0], "imageUrl": M[0], "imageUrls": M[:2]}, M[:2]),
        ({"videoUrl": "https://relay.example/v1/clip/7"}, ["https://relay.example/v1/clip/7"]),
    ],
)
@pytest.mark.parametrize("operation", ["video", "clip", "imagine"])
def test_clips_wherever_they_are(members: dict[str, Any], clips: list[str], operation: str) -> None:
    seen = looked({"status": "SUCCESS", "action": "VIDEO", "imageUrl": A, **members}, operation)
    found = [asset for asset in seen.assets if asset.role == "final"]
    if operation == "imagine":
        # Adopted without a name for its operation: the clips of the first list that has any.
        assert {asset.kind for asset in found} == {"video"}
        assert found[0].url == clips[0]
    else:
        assert [(asset.kind, asset.url, asset.index) for asset in found] == [
            ("video", url, n) for n, url in enumerate(clips, 1)
        ]
    assert all(asset.role == "preview" for asset in seen.assets if asset.kind == "image")


def test_a_still_alone_is_no_clip() -> None:
    assert (
        looked({"status": "SUCCESS", "action": "VIDEO", "imageUrl": A, "videoUrls": None}, "video").status
        is Status.RUNNING
    )


@pytest.mark.parametrize(
    "members",
    [
        {"action": "UPSCALE"},
        {"action": "UPSCALE_HD"},
        {"action": "ACTION", "buttons": [{"customId": "MJ::JOB::high_variation::1::u::SOLO", "label": ""}]},
    ],
)
def test_an_adopted_upscale_is_one_picture(members: dict[str, Any]) -> None:
    assert shown(looked({"status": "SUCCESS", "imageUrl": A, "imageUrls": [{"url": B}], **members})) == [
        ("image", "final", A)
    ]


@pytest.mark.parametrize(
    ("members", "texts"),
    [
        ({"prompt": "1️⃣ one\n\n2️⃣ two\n\n3️⃣ three\n\n4️⃣ four"}, ["one", "two", "three", "four"]),
        ({"promptEn": "1️⃣ one --ar 3:2\r\n\r\n2️⃣ two", "prompt": "zh"}, ["one --ar 3:2", "two"]),
        ({"properties": {"finalPrompt": "1⃣ one\n2⃣ two\nand more"}, "prompt": "x"}, ["one", "two\nand more"]),
        ({"properties": {"finalPrompt": ""}, "promptEn": None, "prompt": "just one"}, ["just one"]),
    ],
)
def test_a_describes_suggestions_are_single_texts(members: dict[str, Any], texts: list[str]) -> None:
    seen = looked({"status": "SUCCESS", "action": "DESCRIBE", "imageUrl": A, **members}, "describe")
    assert [asset.text for asset in seen.assets] == texts
    assert [asset.index for asset in seen.assets] == list(range(1, len(texts) + 1))
    assert {asset.kind for asset in seen.assets} == {"text"}


@pytest.mark.parametrize("unit", [1, 1000])
def test_seconds_and_milliseconds(unit: int) -> None:
    seen = looked(
        {"status": "SUCCESS", "imageUrl": A, "submitTime": 1795219200 * unit, "startTime": 0, "finishTime": None}
    )
    assert seen.submitted_at == datetime(2026, 11, 21, 0, 0, tzinfo=UTC)
    assert seen.started_at is None
    assert seen.finished_at == NOW


def test_a_relays_loopback_link_means_the_relay() -> None:
    link = "http://localhost:3000/mj/image/17?rand=5"
    seen = looked({"status": "SUCCESS", "imageUrl": link}, gateway="new-api")
    assert seen.assets[-1].url == "https://relay.example/mj/image/17?rand=5"


def test_a_discord_link_keeps_its_query_and_tells_when_it_dies() -> None:
    link = "https://cdn.discordapp.com/attachments/1/2/a.png?ex=6b023080&is=6b00df00&hm=00ff&"
    grid = looked({"status": "SUCCESS", "imageUrl": link}).assets[-1]
    assert grid.url == link
    assert grid.expires_at == datetime.fromtimestamp(0x6B023080, UTC)


@pytest.mark.parametrize(
    ("status", "body", "missing"),
    [
        (404, b"", True),
        (204, b"", True),
        (200, b"", True),
        (200, b"null", True),
        (400, b'{"description":"task_no_found ","type":"upstream_error","code":4}', True),
        (404, b'{"error":{"message":"?"}}', True),
        (
            200,
            b'{"id":"17","status":"FAILURE","failReason":"task_no_found","prompt":"\\"description\\":\\"task_no_found"}',
            False,
        ),
        (200, b'{"id":"17","status":"IN_PROGRESS","description":"Submit Success"}', False),
        (502, b"<html>", False),
    ],
)
def test_an_unknown_task(status: int, body: bytes, missing: bool) -> None:
    known = FAMILY.operation("imagine")
    assert known is not None
    trouble = _trouble.unreadable(account("new-api"), known, Reply(status, {}, body), NOW)
    assert (trouble is not None and trouble.missing) == missing


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("[Banned prompt detected] Sorry!", JobRejected),
        ("可能包含敏感词", JobRejected),
        ("[Image denied] …", JobRejected),
        ("Request cancelled due to output filters", JobRejected),
        ("任务超时", JobFailed),
        ("[Invalid parameter] --foo", JobFailed),
        ("[Queue full] …", JobFailed),
        ("[Blocked] …", JobFailed),
        ("", JobFailed),
    ],
)
def test_why_a_job_failed(reason: str, kind: type[JobFailed]) -> None:
    seen = looked({"status": "FAILURE", "progress": "100%", "failReason": reason})
    assert type(outcomes.problem(account(), seen)) is kind


def test_documents_are_no_refusals() -> None:
    known = FAMILY.operation("imagine")
    assert known is not None
    document = {"id": "17", "status": "FAILURE", "description": "队列已满", "failReason": "banned"}
    reply = Reply(200, {}, json.dumps(document).encode())
    assert reading.refusal(reply, known.refused, NOW) is None


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(("", "SUCCESS", A, "1️⃣ x", "MODAL")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(("url", "customId", "x")), inner),
    max_leaves=8,
)
NAMES = (
    "status",
    "imageUrl",
    "imageUrls",
    "videoUrl",
    "videoUrls",
    "buttons",
    "progress",
    "failReason",
    "properties",
    "prompt",
    "submitTime",
    "finishTime",
    "action",
    "customId",
)


@given(st.dictionaries(st.sampled_from(NAMES), JSON), st.sampled_from([entry.name for entry in FAMILY.operations]))
def test_no_reply_is_too_odd(document: dict[str, Any], operation: str) -> None:
    seen = looked(document, operation)
    assert (seen.status is Status.SUCCEEDED) <= bool(seen.assets)
    assert Job.from_json(seen.to_json()).assets == seen.assets
