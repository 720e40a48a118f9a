"""Pictures on their way: uploaded once where only links are taken, before any intent; forms; nothing sent in vain."""

from __future__ import annotations

import email.parser
import email.policy
import hashlib
import json
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ai302_core import _sqlite, _turns
from ai302_core._accounts import Account
from ai302_core._flows import submitting
from ai302_core._flows.submitting import Order
from ai302_core.assets import Asset
from ai302_core.errors import (
    AuthenticationError,
    InvalidRequestError,
    ParameterError,
    RateLimitError,
    ReplyError,
    TransportError,
)
from ai302_core.family import UPLOAD_302AI, ImageRequest, Operation, VideoRequest, field, post

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0" + bytes(20)
CLIP = b"\0\0\0\x10ftypisom\0\0\0\0"
LINK = "https://file.302.ai/gpt/imgs/20261121/aa.png"
UPLOADED = {"code": 200, "data": LINK, "message": "success"}
ACCEPTED = {"code": 0, "data": {"id": 41}}


def serving(account: Account, **changes: Any) -> Account:
    """The account, its image operation changed and 302.AI's upload door beside it."""
    family = account.family
    first = replace(family.operations[0], **{"images": ("url",), **changes})
    family = replace(family, operations=(first, *family.operations[1:]))
    return replace(account, family=family, gateway=replace(account.gateway, upload=UPLOAD_302AI))


@pytest.fixture
def links_only(account: Account) -> Account:
    """A service that takes public links only."""
    return serving(account)


def form(call: Any) -> list[tuple[str, str | None, str, bytes]]:
    """(name, file name, type, content) of every part, read by somebody else's parser."""
    head = f"Content-Type: {call.headers['content-type']}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + call.body)
    assert message.is_multipart()
    return [
        (
            str(part.get_param("name", header="content-disposition")),
            part.get_filename(),
            part.get_content_type(),
            part.get_payload(decode=True),  # type: ignore[misc]
        )
        for part in message.iter_parts()
    ]


def buy(fed: Any, account: Account, *images: Any, **order: Any) -> Any:
    return fed.run(submitting.submit(account, ImageRequest("a cat", images=images), Order(**order)))


def test_a_file_is_uploaded_once_and_sent_as_its_link(
    links_only: Account, hand: Any, reply: Any, tmp_path: Path
) -> None:
    path = tmp_path / "Kunde Müller geheim.png"
    path.write_bytes(PNG)
    fed = hand(reply(UPLOADED), reply(ACCEPTED), reply(ACCEPTED))
    job = buy(fed, links_only, path, PNG)
    upload, submit = fed.calls
    assert (upload.method, upload.url, upload.purpose) == ("POST", "https://api.302.ai/302/upload-file", "upload")
    assert upload.secret == ("authorization", "Bearer sk-SENTINEL")
    ((name, file_name, media_type, content),) = form(upload)
    assert (name, media_type, content) == ("file", "image/png", PNG)
    assert file_name == f"{hashlib.sha256(PNG).hexdigest()[:16]}.png"
    assert b"geheim" not in upload.body
    assert json.loads(submit.body)["input"]["refs"] == [LINK, LINK]
    assert fed.paid == [submit]
    kept = json.loads(job.to_json())["request"]["images"]
    assert kept[0] == {"file": {"sha256": hashlib.sha256(PNG).hexdigest(), "size": len(PNG), "name": path.name}}
    # The next job of the same picture, under whatever name: no second upload.
    assert buy(fed, links_only, PNG).remote_id == "41"
    assert [call.purpose for call in fed.calls] == ["upload", "submit", "submit"]


def test_a_link_is_used_again_only_while_it_is_believed_to_live(links_only: Account, hand: Any, reply: Any) -> None:
    fed = hand(reply(UPLOADED), *[reply(ACCEPTED)] * 2, reply({**UPLOADED, "data": LINK + "2"}), reply(ACCEPTED))
    buy(fed, links_only, PNG)
    fed.now += timedelta(seconds=UPLOAD_302AI.lifetime - 1)
    buy(fed, links_only, PNG)
    fed.now += timedelta(seconds=1)
    buy(fed, links_only, PNG)
    assert [call.purpose for call in fed.calls] == ["upload", "submit", "submit", "upload", "submit"]
    assert json.loads(fed.calls[-1].body)["input"]["refs"] == [LINK + "2"]


def test_the_answer_under_a_key_needs_no_upload_and_a_second_ledger_knows_nothing(
    links_only: Account, hand: Any, reply: Any, tmp_path: Path
) -> None:
    fed = hand(reply(UPLOADED), reply(ACCEPTED))
    first = buy(fed, links_only, PNG, key="k")
    fed.now += timedelta(days=1)
    assert buy(fed, links_only, PNG, key="k").id == first.id
    assert len(fed.calls) == 2
    # With the ledger off a link is remembered for the process.
    off = _sqlite.open_ledger("off", data_dir=tmp_path)
    fed = hand(reply(UPLOADED), reply(ACCEPTED), reply(ACCEPTED))
    fed.ledger = off
    buy(fed, links_only, PNG)
    buy(fed, links_only, PNG)
    assert [call.purpose for call in fed.calls] == ["upload", "submit", "submit"]


def test_a_link_belongs_to_its_door(links_only: Account, hand: Any, reply: Any) -> None:
    fed = hand(*[reply(UPLOADED), reply(ACCEPTED)] * 2)
    buy(fed, links_only, PNG)
    buy(fed, replace(links_only, base_url="https://api.302ai.cn"), PNG)
    assert [call.url for call in fed.calls if call.purpose == "upload"] == [
        "https://api.302.ai/302/upload-file",
        "https://api.302ai.cn/302/upload-file",
    ]


@pytest.mark.parametrize("media", ["http://127.0.0.1:8000/me.png", Asset(kind="image", url="https://x.example/a.png")])
def test_a_link_is_passed_as_it_is(links_only: Account, hand: Any, reply: Any, media: Any) -> None:
    fed = hand(reply(ACCEPTED))
    buy(fed, links_only, media)
    (call,) = fed.paid
    assert json.loads(call.body)["input"]["refs"] == [media if isinstance(media, str) else media.url]


def test_what_cannot_be_sent_is_refused_before_anything_is_uploaded(
    links_only: Account, account: Account, hand: Any, tmp_path: Path
) -> None:
    fed = hand()
    with pytest.raises(ParameterError, match="cannot express resolution"):
        fed.run(submitting.submit(links_only, ImageRequest("x", resolution="2K", images=(PNG,)), Order()))
    with pytest.raises(ParameterError, match=r"images: what was given is video/mp4, but a picture belongs there"):
        buy(fed, links_only, CLIP)
    small = replace(links_only, gateway=replace(links_only.gateway, upload=replace(UPLOAD_302AI, size=20)))
    with pytest.raises(ParameterError, match="too much to upload"):
        buy(fed, small, PNG)
    doorless = replace(serving(account), gateway=account.gateway)
    with pytest.raises(ParameterError, match="takes public links only") as caught:
        buy(fed, doorless, PNG)
    assert (caught.value.field, caught.value.billed) == ("images", "no")
    assert fed.calls == []
    assert fed.ledger.jobs() == []


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        pytest.param(({"code": 413, "message": "too big"},), InvalidRequestError, "too big", id="code-in-200"),
        pytest.param(({"code": 401, "msg": "who?"},), AuthenticationError, "who", id="auth-in-200"),
        pytest.param(({"error": {"err_code": -10001, "message": "no key"}}, 401), AuthenticationError, "no key",
                     id="envelope"),
        pytest.param((b"", 404), Exception, "404", id="no-door"),
        pytest.param((b"", 302), ReplyError, "never redirected", id="redirect"),
    ],
)  # fmt: skip
def test_a_refused_upload_is_an_error_and_starts_no_job(
    links_only: Account, hand: Any, reply: Any, answer: Any, error: Any, words: str
) -> None:
    fed = hand(reply(*answer))
    with pytest.raises(error, match=words) as caught:
        buy(fed, links_only, PNG, key="k")
    assert "No job was started" in str(caught.value)
    assert caught.value.billed == "no"
    assert (len(fed.calls), fed.paid, fed.ledger.jobs()) == (1, [], [])


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(TransportError("It broke.", sent=True), id="reset"),
        pytest.param((b"<html>", 502), id="html"),
        pytest.param((b"", 504), id="504"),
        pytest.param((b"<html>ok", 200), id="html-200"),
        pytest.param(({"code": 200, "data": ""},), id="no-link"),
        pytest.param(({"code": 200, "data": "/relative.png"},), id="no-address"),
        pytest.param(({"error": {"err_code": -1024, "message": "upstream"}}, 500), id="upstream"),
    ],
)
def test_an_unclear_upload_is_never_repeated_by_itself(links_only: Account, hand: Any, reply: Any, answer: Any) -> None:
    fed = hand(answer if isinstance(answer, TransportError) else reply(*answer), reply(UPLOADED), reply(ACCEPTED))
    with pytest.raises(TransportError) as caught:
        buy(fed, links_only, PNG, key="k")
    assert caught.value.sent
    assert (caught.value.billed, caught.value.retryable) == ("unknown", True)
    assert "No job was started" in caught.value.message
    assert "0.001 PTC" in caught.value.hint
    assert (len(fed.calls), fed.paid, fed.ledger.jobs()) == (1, [], [])
    assert buy(fed, links_only, PNG, key="k").remote_id == "41"


def test_an_upload_that_left_nothing_behind_waits_for_the_door(links_only: Account, hand: Any, reply: Any) -> None:
    refused = TransportError("It cannot be reached.", sent=False)
    fed = hand(refused, reply({}, 429, retry_after="3"), reply(UPLOADED), reply(ACCEPTED))
    buy(fed, links_only, PNG)
    assert fed.sleeps == [1.0, 3.0]
    fed = hand(*[refused] * 9)
    with pytest.raises(TransportError) as caught:
        buy(fed, links_only, b"\x89PNG\r\n\x1a\n" + bytes(30), timeout=5)
    assert not caught.value.sent
    assert len(fed.calls) == 3
    fed = hand(*[reply({}, 429)] * 9)
    with pytest.raises(RateLimitError, match="No job was started"):
        buy(fed, links_only, b"\x89PNG\r\n\x1a\n" + bytes(31), timeout=5)


def test_a_dry_run_shows_the_upload_and_sends_nothing(
    links_only: Account, hand: Any, reply: Any, tmp_path: Path
) -> None:
    path = tmp_path / "front.png"
    path.write_bytes(PNG)
    request = ImageRequest("a cat", images=(path,))
    fed = hand(reply(UPLOADED), reply(ACCEPTED))
    shown = fed.run(submitting.preview(links_only, request))
    (upload,) = shown.uploads
    assert (upload.method, upload.url) == ("POST", "https://api.302.ai/302/upload-file")
    assert upload.headers["authorization"] == "***"
    sha256 = hashlib.sha256(PNG).hexdigest()
    told = {"name": "front.png", "size": len(PNG), "sha256": sha256, "media_type": "image/png"}
    assert upload.body == {"file": {"file": told}}
    assert shown.body["input"]["refs"] == ["https://(the link of front.png, once uploaded)"]
    assert "SENTINEL" not in repr(shown)
    assert fed.calls == []
    fed.run(submitting.submit(links_only, request, Order()))
    shown = fed.run(submitting.preview(links_only, request))
    assert (shown.uploads, shown.body["input"]["refs"]) == ((), [LINK])


# --- forms

FORM = {
    "submit": post("/v1/edit", multipart=True),
    "body": {"prompt": field("prompt"), "image[]": field("images"), "mask": field("mask"), "seed": field("seed")},
    "images": ("url", "file"),
}


def test_a_form_carries_files_texts_and_nested_json(account: Account, hand: Any, reply: Any, tmp_path: Path) -> None:
    other = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 3
    request = ImageRequest(
        'ü "quoted"\r\n--line', seed=3, images=(PNG, "https://x.example/a.png", other), mask=PNG,
        extra={'we"ird\n': True, "nested": {"a": [1, {"b": "ü"}]}, "empty": None},
    )  # fmt: skip
    fed = hand(reply(ACCEPTED))
    making = serving(account, **FORM)
    shown = fed.run(submitting.preview(making, request))
    job = fed.run(submitting.submit(making, request, Order()))
    (call,) = fed.calls
    parts = form(call)
    assert [name for name, *_ in parts] == ["prompt", "image[]", "image[]", "image[]", "mask", "seed", 'we%22ird%0A',
                                            "nested"]  # fmt: skip
    assert parts[0][3].decode() == request.prompt
    assert [content for *_, content in parts[1:5]] == [PNG, b"https://x.example/a.png", other, PNG]
    assert [kind for _, _, kind, _ in parts[1:5]] == ["image/png", "text/plain", "image/png", "image/png"]
    assert [content for *_, content in parts[5:]] == [b"3", b"true", '{"a":[1,{"b":"ü"}]}'.encode()]
    assert call.secret == ("authorization", "Bearer sk-SENTINEL")
    assert shown.body["mask"] == {"file": {"size": len(PNG), "sha256": hashlib.sha256(PNG).hexdigest(),
                                           "media_type": "image/png"}}  # fmt: skip
    assert json.loads(job.to_json())["request"]["mask"]["file"]["size"] == len(PNG)
    assert len(job.to_json()) < 3000


def test_a_form_without_any_file_is_a_form_all_the_same(account: Account, hand: Any, reply: Any) -> None:
    fed = hand(reply(ACCEPTED))
    fed.run(submitting.submit(serving(account, **FORM), ImageRequest("a cat"), Order()))
    assert form(fed.calls[0]) == [("prompt", None, "text/plain", b"a cat")]


def test_half_a_letter_is_refused_in_a_form_as_in_json(account: Account, hand: Any) -> None:
    for making in (serving(account, **FORM), account):
        fed = hand()
        with pytest.raises(ParameterError, match="Nothing was sent"):
            fed.run(submitting.submit(making, ImageRequest("\ud800"), Order()))
        assert fed.calls == []


# --- turns


def test_one_thread_has_the_turn_and_a_child_process_starts_without_any() -> None:
    order: list[str] = []
    inside = threading.Event()

    def first() -> None:
        with _turns.turn("a"):
            inside.set()
            threading.Event().wait(0.05)
            order.append("first")

    def second() -> None:
        assert inside.wait(60)
        with _turns.turn("b"):
            order.append("another name")
        with _turns.turn("a"):
            order.append("second")

    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert order.index("first") < order.index("second")
    assert order[-1] == "second"
    with pytest.raises(KeyError), _turns.turn("a"):
        raise KeyError
    with _turns.turn("a"):
        pass
    if hasattr(os, "fork"):
        with _turns.turn("a"):
            child = os.fork()
            if child == 0:
                with _turns.turn("a"):
                    os._exit(7)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_links_are_kept_per_door_and_forgotten_when_dead(tmp_path: Path) -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    for url in (":memory:", "off", f"sqlite:///{(tmp_path / 'l.db').as_posix()}"):
        ledger = _sqlite.open_ledger(url, data_dir=tmp_path)
        ledger.add_link("door", "a", "one", now, now + timedelta(seconds=10))
        ledger.add_link("door", "a", "two", now, now + timedelta(seconds=20))
        assert ledger.link("door", "a", now) == "two"
        assert ledger.link("other", "a", now) is None
        assert ledger.link("door", "b", now) is None
        assert ledger.link("door", "a", now - timedelta(seconds=1)) is None
        assert ledger.link("door", "a", now + timedelta(seconds=20)) is None
        ledger.close()


def test_a_clip_belongs_where_a_clip_is_asked_for(account: Account, hand: Any) -> None:
    operation = Operation("video", request=VideoRequest, submit=post("/v1/v"), body={"f": field("first_frame")})
    making = replace(account, family=replace(account.family, operations=(operation,)))
    for name, content in (("first_frame", CLIP), ("video", PNG)):
        request: Callable[..., VideoRequest] = VideoRequest
        with pytest.raises(ParameterError, match=f"{name}: what was given is"):
            hand().run(submitting.submit(making, request("x", **{name: content}), Order()))
