"""Which door a Veo request goes to, what is refused before paying, and what becomes of odd replies."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

import ai302_veo
from ai302_core._accounts import Account
from ai302_core._flows import looking, planning, receipts
from ai302_core._steps import Picture, Reply
from ai302_core._wire import calls
from ai302_core.errors import ParameterError
from ai302_core.jobs import Job, Notice, Status
from ai302_core.requests import Request, VideoRequest
from ai302_veo import VeoRequest

FAMILY = ai302_veo.ai302_family()
_NOW = datetime(2026, 11, 21, tzinfo=UTC)
LINK = "https://pictures.example/a.png"


class Key:
    source = "the test"

    def reveal(self) -> str:
        return "sk-secret"


def account(**defaults: Any) -> Account:
    return Account(
        name="clips", family=FAMILY, gateway=FAMILY.gateways[0], base_url="https://api.302.ai", key=Key(),
        defaults=defaults,
    )  # fmt: skip


def sent(request: Request, *, lenient: bool = False, **defaults: Any) -> tuple[str, Any, tuple[Notice, ...]]:
    """Address, body and warnings of the submit."""
    made = planning.plan(account(**defaults), request, lenient=lenient)
    pictures = {
        place: Picture(content=media, media_type="image/png") if isinstance(media, bytes) else Picture(url=str(media))
        for place, media in made.request.media()
    }
    call, warnings = planning.build(account(**defaults), made, pictures)
    assert call.body is not None
    return call.url.removeprefix("https://api.302.ai"), json.loads(call.body), warnings


def job_of(request: Request, answer: Any, status: int = 200) -> tuple[planning.Plan, Job]:
    """The job after this answer to its submit."""
    made = planning.plan(account(), request)
    job = Job(
        id="1", provider="clips", family="veo", operation=made.operation.name, status=Status.SUBMITTING,
        created_at=_NOW, route=made.route, request=request,
    )  # fmt: skip
    receipt = receipts.decide(account(), made, job, Reply(status, {}, json.dumps(answer).encode()), _NOW)
    assert receipt.job is not None
    return made, receipt.job


@pytest.mark.parametrize(
    ("fields", "path", "model"),
    [
        ({}, "/302/v2/video/create", "google-veo3.1-t2v"),
        ({"first_frame": LINK}, "/302/v2/video/create", "google-veo3.1-i2v"),
        ({"references": [LINK]}, "/302/v2/video/create", "google-veo3.1-r2v"),
        ({"model": "Google_Veo3.1_T2V", "duration": 8.0}, "/302/v2/video/create", "Google_Veo3.1_T2V"),
        ({"model": "google_veo3_fast_i2v", "first_frame": LINK}, "/302/v2/video/create", "google_veo3_fast_i2v"),
        ({"model": "google-veo3.1-pro-t2v", "aspect_ratio": "9:16"}, "/302/v2/video/create", "google-veo3.1-pro-t2v"),
        ({"model": "veo3-pro"}, "/302/submit/veo3-pro", None),
        ({"model": "veo3.1-pro"}, "/302/submit/veo3-v2", "veo3.1-pro"),
        ({"model": "veo3-v2/veo3-pro"}, "/302/submit/veo3-v2", "veo3-pro"),
        ({"model": "google/veo3"}, "/ws/api/v3/google/veo3", None),
        ({"model": "google/veo3.1/text-to-video"}, "/ws/api/v3/google/veo3.1/text-to-video", None),
    ],
)
def test_the_model_chooses_the_door(fields: dict[str, Any], path: str, model: str | None) -> None:
    url, body, warnings = sent(VideoRequest("a boat", **fields))
    assert (url, body.get("model"), warnings) == (path, model, ())
    if fields.get("duration"):
        assert body["duration"] == 8


def test_words_go_out_as_the_service_spells_them() -> None:
    """720p is what the pages print: another case is understood here, and might be ignored there."""
    assert sent(VideoRequest("a boat", resolution="1080P"))[1]["resolution"] == "1080p"
    assert sent(VideoRequest("a boat", model="google/veo3", resolution=" 720P"))[1]["resolution"] == "720p"


def test_a_default_of_the_configuration_chooses_too() -> None:
    assert sent(VideoRequest("a boat"), model="veo3-fast")[0] == "/302/submit/veo3-fast"


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("veo4", "/302/v2/video/create"),
        ("google-veo4-t2v", "/302/v2/video/create"),
        ("VEO3-PRO", "/302/v2/video/create"),  # doors of their own go by exact names, and so do their rules
        ("veo3.1-ultra", "/302/submit/veo3-v2"),
        ("veo3-v2/veo5", "/302/submit/veo3-v2"),
        ("google/veo4/text-to-video", "/ws/api/v3/google/veo4/text-to-video"),
    ],
)
def test_an_unknown_model_is_sent_with_a_warning(model: str, path: str) -> None:
    url, _, warnings = sent(VideoRequest("a boat", model=model, duration=30, aspect_ratio="21:9"))
    assert ("Did you mean 'veo3-pro'?" in warnings[0].message) == (model == "VEO3-PRO")
    assert (url, [notice.field for notice in warnings]) == (path, ["model"])


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"aspect_ratio": "4:3"}, "aspect_ratio", "16:9, 9:16"),
        ({"duration": 5}, "duration", "4, 6, 8"),
        ({"resolution": "4K"}, "resolution", "720p, 1080p"),
        ({"seed": 3}, "seed", "google/veo3"),
        ({"last_frame": LINK, "first_frame": LINK}, "last_frame", "No Veo model"),
        ({"first_frame": LINK, "references": [LINK]}, "first_frame", "google-veo3.1-i2v"),
        ({"video": "https://clips.example/a.mp4"}, "video", "No Veo model"),
        ({"model": "veo2", "video": "https://clips.example/a.mp4"}, "video", "No Veo model"),
        ({"model": "google-veo4", "video": "https://clips.example/a.mp4"}, "video", "extra={'video'"),
        ({"model": "veo3-fast", "first_frame": LINK}, "first_frame", "veo3-fast-frames"),
        ({"references": [LINK], "aspect_ratio": "9:16"}, "aspect_ratio", "take one: google-veo3.1-t2v"),
        ({"prompt": ""}, "prompt", "Say in words"),
        ({"prompt": " \n", "model": "google-veo4"}, "prompt", "Say in words"),
        # Older names of the unified door are the models they are tolerated for, and obey the same rules.
        ({"model": "google_veo3_t2v", "aspect_ratio": "4:3"}, "aspect_ratio", "1:1, 16:9, 9:16"),
        ({"model": "veo3-fast-frames"}, "first_frame", "must be given"),
        ({"model": "google-veo3.1-i2v"}, "first_frame", "must be given"),
        ({"model": "google-veo3.1-r2v"}, "references", "must be given"),
        ({"model": "veo3-pro", "aspect_ratio": "16:9"}, "aspect_ratio", "no such member"),
        ({"model": "veo2", "audio": True}, "audio", "no such member"),
        ({"model": "veo3-v2"}, "model", "veo3-v2/veo3-pro"),
    ],
)
def test_what_a_model_does_not_take_is_refused_before_paying(fields: dict[str, Any], field: str, says: str) -> None:
    with pytest.raises(ParameterError, match="Nothing was sent") as refused:
        sent(VideoRequest(**{"prompt": "a boat", **fields}))
    assert refused.value.field == field
    assert says in str(refused.value)


def test_leniently_it_is_left_out_and_told() -> None:
    _, body, warnings = sent(VideoRequest("a boat", model="veo3-pro", aspect_ratio="16:9", seed=3), lenient=True)
    assert body == {"text_prompt": "a boat"}
    assert {notice.field for notice in warnings} == {"aspect_ratio", "seed"}


def test_a_switch_that_is_none_is_refused() -> None:
    with pytest.raises(ParameterError, match="enhance_prompt"):
        VeoRequest("a boat", enhance_prompt="yes")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "answer",
    [
        {"task_id": "veo3-pro:1", "id": "other", "request_id": "another"},
        {"id": "veo3-pro:1"},
        {"video_id": "veo3-pro:1"},
        {"request_id": "veo3-pro:1"},
        {"data": "veo3-pro:1"},
        {"data": {"id": "veo3-pro:1"}},
    ],
    ids=lambda answer: "-".join(answer),
)
def test_an_id_is_found_wherever_it_stands_and_its_colon_is_quoted(answer: dict[str, Any]) -> None:
    made, job = job_of(VideoRequest("a boat", model="veo3-pro"), answer)
    call = calls.poll_call(account(), made.operation, job)
    assert call is not None
    assert call.url == "https://api.302.ai/302/submit/veo3-pro?request_id=veo3-pro%3A1"


def test_hints_at_other_addresses_are_not_followed() -> None:
    made, job = job_of(
        VideoRequest("a boat", model="veo3.1"),
        {"code": "IN_PROGRESS", "data": "t/1", "message": "GET https://elsewhere.example/v1/veo/tasks/t"},
    )
    call = calls.poll_call(account(), made.operation, job)
    assert call is not None
    assert call.url == "https://api.302.ai/302/submit/veo3-v2/t%2F1"
    assert job.status is Status.RUNNING


def test_a_clip_that_could_not_be_enlarged_is_delivered() -> None:
    made, job = job_of(VideoRequest("a boat", model="veo3-pro"), {"task_id": "t"})
    document = {"status": "video_upsampling_failed", "video_url": "https://file.302.ai/a.mp4", "upsample_video_url": ""}
    seen = looking.read(account(), made.operation, job, document, 200, _NOW)
    assert seen.status is Status.SUCCEEDED
    assert made.operation.finish is not None
    with pytest.raises(StopIteration) as done:
        next(made.operation.finish(seen, document))
    assert [(asset.role, asset.url) for asset in done.value.value] == [("final", "https://file.302.ai/a.mp4")]


@pytest.mark.parametrize("error", [None, {}, "", False, 0], ids=str)
def test_an_empty_error_is_none(error: object) -> None:
    document = {"status": "IN_PROGRESS", "error": error}
    made, job = job_of(VideoRequest("a boat", model="veo3"), {"request_id": "r", "status": "IN_QUEUE"})
    assert looking.read(account(), made.operation, job, document, 200, _NOW).status is Status.RUNNING
