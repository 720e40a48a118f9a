"""Reading replies: every form of progress, word, link and refusal; never an exception, whatever comes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai302_core import _links, _paths
from ai302_core._steps import Reply
from ai302_core._wire import reading
from ai302_core.family import ENVELOPES_302AI, REFUSED_302AI, Refused, States, image, text
from ai302_core.jobs import Status

NOW = datetime(2026, 11, 21, tzinfo=UTC)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["a", "b", "url", "code", "error", "status", "message"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("document", "path", "found"),
    [
        ({"a": {"b": 1}}, "a.b", [1]),
        ({"a": [{"b": 1}, {"b": 2}, {}]}, "a[].b", [1, 2]),
        ({"a": ["x", "y"]}, "a[]", ["x", "y"]),
        ({"a": ["x", "y"]}, "a[1]", ["y"]),
        ({"a": '["x", "y"]'}, "a[]", ["x", "y"]),
        ({"a": '{"b": [1]}'}, "a.b[0]", [1]),
        ([{"id": 1}], "[].id", [1]),
        ({"a": None}, "a", []),
        ({"a": None}, "a.b", []),
        ({"a": "[broken"}, "a[]", []),
        ("text", "a", []),
        (None, "a", []),
    ],
)
def test_paths(document: Any, path: str, found: list[Any]) -> None:
    assert _paths.values(document, path) == found


@pytest.mark.parametrize(
    ("value", "fraction"),
    [
        ("45%", 0.45),
        ("0%", 0.0),
        ("100%", 1.0),
        (45, 0.45),
        ("45", 0.45),
        (0.45, 0.45),
        (45.0, 0.45),
        ("250%", 1.0),
        ("Waiting to start", None),
        ("", None),
        (None, None),
        (True, None),
        ("31% (fast)", 0.31),
        (-3, None),
    ],
)
def test_progress(value: Any, fraction: float | None) -> None:
    assert reading.progress({"p": value}, ("p",)) == fraction


ROWS = (
    States(at="error", failed=("?*",)),
    States(at="state", succeeded=("done", "30"), failed=("fail*", "4?"), queued=("", "wait")),
    States(at="#", running=("202",)),
)


@pytest.mark.parametrize(
    ("document", "http", "status"),
    [
        ({"state": "DONE"}, 200, Status.SUCCEEDED),
        ({"state": 30}, 200, Status.SUCCEEDED),
        ({"state": 41}, 200, Status.FAILED),
        ({"state": "Failure"}, 200, Status.FAILED),
        ({"state": ""}, 200, Status.QUEUED),
        ({"state": None}, 200, Status.QUEUED),
        ({"error": "boom", "state": "done"}, 200, Status.FAILED),
        ({"error": "", "state": "done"}, 200, Status.SUCCEEDED),
        ({}, 202, Status.RUNNING),
        ({}, 200, None),
        ({"state": "what"}, 200, None),
        ([], 200, None),
    ],
)
def test_states(document: Any, http: int, status: Status | None) -> None:
    assert reading.state(document, http, ROWS)[0] is status


def test_the_first_path_that_yields_wins_and_rules_add_up() -> None:
    rules = (image("tiles[].url", "tiles[]", role="tile"), image("grid", role="grid", size=("w", "h")), text("say"))
    document = {
        "tiles": [{"url": "https://x.example/1"}, {"url": ""}, {"thumb": 1}, {"url": "https://x.example/2"}],
        "grid": "https://x.example/g",
        "w": 576,
        "h": "672",
        "say": "hello",
    }
    found = reading.assets(document, rules, "https://api.302.ai")
    assert [(asset.role, asset.index, asset.url or asset.text) for asset in found] == [
        ("tile", 1, "https://x.example/1"),
        ("tile", 2, "https://x.example/2"),
        ("grid", 1, "https://x.example/g"),
        ("final", 1, "hello"),
    ]
    assert (found[2].width, found[2].height) == (576, 672)
    strings = reading.assets({"tiles": ["https://x.example/1", "no link", "ftp://x"]}, rules, "")
    assert [asset.url for asset in strings] == ["https://x.example/1"]


def test_a_loopback_link_means_the_gateways_own_host() -> None:
    link = "http://localhost:3000/mj/image/17?rand=1"
    assert _links.own_host(link, "https://relay.example/api") == "https://relay.example/mj/image/17?rand=1"
    assert _links.own_host(link, "http://127.0.0.1:9") == link
    assert _links.own_host("https://x.example/a", "https://relay.example") == "https://x.example/a"


def test_discord_links_tell_when_they_die() -> None:
    link = "https://cdn.discordapp.com/attachments/1/2/a.png?ex=6b023080&is=6b00df00&hm=ab&"
    assert _links.expiry(link) == datetime(2026, 11, 22, tzinfo=UTC)
    assert _links.expiry("https://x.example/a.png?ex=6b023080") is None
    assert _links.expiry("https://cdn.discordapp.com/attachments/1/2/a.png?ex=zz") is None


@pytest.mark.parametrize(
    ("document", "status", "kind"),
    [
        ({"error": {"err_code": -10004, "message": "Insufficient balance"}}, 402, "balance"),
        ({"error": {"err_code": 10001, "message": "x", "type": "unauthorized"}}, 401, "auth"),
        ({"error": {"err_code": -10012}}, 200, "rate"),
        ({"error": {"err_code": -1024, "message": "timeout"}}, 500, "unclear"),
        ({"error": {"err_code": -99999, "message": "new"}}, 200, "invalid"),
        ({"code": 23, "description": "x"}, 200, "busy"),
        ({"code": 9, "description": "提交失败，队列已满，请稍后重试"}, 200, "busy"),
        ({"code": 9, "description": "系统异常"}, 200, "server"),
        ({"code": 1}, 200, None),
        ({"status": "SUCCESS"}, 200, None),
        (None, 401, "auth"),
        (None, 402, "balance"),
        (None, 404, "missing"),
        (None, 413, "invalid"),
        (None, 500, None),
        (None, 408, None),
    ],
)
def test_refusals(document: Any, status: int, kind: str | None) -> None:
    codes = Refused(at=("code",), accepted=(1, 22), kinds={23: "busy", 9: "server"}, texts={"队列": "busy"},
                    message=("description",))  # fmt: skip
    said = reading.refusal(Reply(status, {}, json.dumps(document).encode()), (codes, REFUSED_302AI), NOW)
    assert (said.kind if said else None) == kind


@pytest.mark.parametrize(
    ("document", "status", "kind"),
    [
        ({"error": {"err_code": 10004, "message": "x"}}, 200, "balance"),
        ({"error": {"err_code": "-10008", "message": "x"}}, 503, "server"),
        ({"error": {"err_code": -10011, "message": "x"}}, 400, "invalid"),
        ({"error": {"err_code": -10003, "message": "x"}}, 200, "unclear"),
        ({"code": "InvalidParameter", "message": "x", "request_id": "r"}, 400, "invalid"),
        ({"code": "Unauthorized", "message": "x"}, 200, "auth"),
        ({"code": "RateLimitExceeded", "message": "x"}, 200, "rate"),
        ({"code": "InsufficientBalance", "message": "x"}, 200, "balance"),
        ({"code": "InternalError", "message": "x"}, 500, "unclear"),
        ({"status": 1, "message": "x", "data": {"state": "failed", "error": {"err_code": -10006, "message": "x"}}},
         200, "balance"),
        ({"code": -1, "msg": "x"}, 200, "auth"),
        ({"code": 403, "msg": "x"}, 200, "auth"),
        ({"code": 0, "data": {"balance": "1"}}, 200, None),
        ({"code": "IN_PROGRESS", "data": "id"}, 200, None),
        ({"code": "SUCCESS"}, 200, None),
        ({"error": "words alone"}, 200, None),
        ({"error": None, "code": None}, 200, None),
        ({"error": {"message": "no code"}}, 200, None),
        ({"code": "SomethingNew", "message": "x"}, 422, "invalid"),
    ],
)  # fmt: skip
def test_every_form_in_which_302ai_says_no(document: Any, status: int, kind: str | None) -> None:
    said = reading.refusal(Reply(status, {}, json.dumps(document).encode()), ENVELOPES_302AI, NOW)
    assert (said.kind if said else None) == kind
    if said is not None and status == 200:
        assert said.message == "x"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ({"message": "Insufficient balance", "message_cn": "余额不足"}, "Insufficient balance (余额不足)"),
        ({"message": "余额不足", "message_cn": "余额不足"}, "余额不足"),
        ({"message": "No balance", "message_cn": ""}, "No balance"),
        ({"message": "", "message_cn": "余额不足"}, "余额不足"),
        ({"message": "No balance", "message_cn": None, "message_jp": "残高不足"}, "No balance"),
        ({"message": "No balance", "message_cn": {"text": ["?"]}}, "No balance"),
    ],
)
def test_the_chinese_words_stand_beside_the_english_ones(error: dict[str, Any], told: str) -> None:
    reply = Reply(402, {}, json.dumps({"error": {"err_code": -10004, **error}}).encode())
    said = reading.refusal(reply, ENVELOPES_302AI, NOW)
    assert said is not None
    assert said.message == told


@given(anything, st.integers(100, 599))
def test_no_document_makes_the_reader_raise(document: Any, status: int) -> None:
    reply = Reply(status, {"retry-after": str(document)[:40]}, json.dumps(document).encode())
    said = reading.refusal(reply, (REFUSED_302AI, Refused(at=("code", "error"))), NOW)
    assert said is None or str(said.error("x"))
    reading.state(reply.document, status, ROWS)
    for asset in reading.assets(reply.document, (image("a[].url", "a", "url"), text("b")), "https://x.example"):
        assert asset.url or asset.text
    assert reading.progress(reply.document, ("a", "b")) is None or True
    reading.moment(reply.document, "a")


@given(st.binary(max_size=300))
def test_no_bytes_make_the_reader_raise(body: bytes) -> None:
    reply = Reply(200, {}, body)
    assert isinstance(reading.likely_cause(reply), str)
    assert len(reading.excerpt(reply)) < 700
    reading.refusal(reply, (REFUSED_302AI,), NOW)


def test_only_json_that_breaks_off_is_called_broken() -> None:
    for body, broken in ((b'{"error": "busy"}', False), (b'["busy"]', False), (b'{"error": "bu', True), (b"[", True)):
        assert ("broken JSON" in reading.likely_cause(Reply(503, {}, body))) is broken


def test_hostile_json_is_no_document() -> None:
    assert Reply(200, {}, b"[" * 100_000).document is None
    assert Reply(200, {}, b"1" * 100_000).document is None
    assert Reply(200, {}, b'{"a": NaN}').document == {"a": None}
    assert Reply(200, {}, b'{"a": 1e999}').document is not None


@pytest.mark.parametrize(
    ("text_", "moment"),
    [
        (1795219200, datetime(2026, 11, 21, tzinfo=UTC)),
        (1795219200000, datetime(2026, 11, 21, tzinfo=UTC)),
        ("2026-11-21T00:00:00Z", datetime(2026, 11, 21, tzinfo=UTC)),
        ("2025-04-18T10:29:16.80035912Z", datetime(2025, 4, 18, 10, 29, 16, 800359, tzinfo=UTC)),
        ("2026-11-21T01:00:00+01:00", datetime(2026, 11, 21, tzinfo=UTC)),
        (0, None),
        ("", None),
        ("soon", None),
        (1e300, None),
        (-5, None),
    ],
)
def test_moments(text_: Any, moment: datetime | None) -> None:
    assert reading.moment({"t": text_}, "t") == moment
