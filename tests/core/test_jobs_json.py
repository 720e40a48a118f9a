"""Requests, jobs and assets: exact JSON round trips, readable reprs, errors that travel."""

from __future__ import annotations

import json
import pickle
import string
import traceback
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai302_core import errors
from ai302_core.assets import Asset, MediaRef
from ai302_core.errors import Ai302Error, JobFailed, ParameterError
from ai302_core.jobs import Action, Job, Notice, Result, Status
from ai302_core.requests import ActionRequest, ImageRequest, Request, StoredRequest, VideoRequest

words = st.text(min_size=1, max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
moments = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))
hashes = st.text("0123456789abcdef", min_size=64, max_size=64)
refs = st.builds(MediaRef, sha256=hashes, size=st.integers(1, 10**9), name=words)
assets = st.builds(
    Asset,
    kind=st.sampled_from(["image", "video", "audio", "text", "model3d"]),
    role=st.sampled_from(["final", "grid", "tile"]),
    index=st.integers(1, 9),
    url=st.none() | words,
    text=st.none() | words,
    width=st.none() | st.integers(1, 9999),
    expires_at=st.none() | moments,
    cut=st.none() | st.just((0, 1, 2, 2)),
)
media = refs | assets | st.just("https://x.example/a.png") | st.just("pictures/a.png")
options: dict[str, Any] = {
    "model": st.none() | words,
    "negative_prompt": st.none() | words,
    "aspect_ratio": st.sampled_from([None, "16:9", "1:1"]),
    "seed": st.none() | st.integers(),
    "extra": st.dictionaries(words, json_values, max_size=2),
    "query": st.dictionaries(words, words, max_size=2),
}
image_requests = st.builds(
    ImageRequest,
    st.text(),
    images=st.lists(media, max_size=2).map(tuple),
    mask=st.none() | media,
    size=st.sampled_from([None, "1024x1536", (3, 4)]),
    **options,
)
video_requests = st.builds(
    VideoRequest, st.text(), first_frame=st.none() | media, duration=st.none() | st.integers(1, 9), **options
)
presses = st.builds(
    ActionRequest, words, task=words, values=st.dictionaries(words, json_values, max_size=2), needs=st.just(("mask",))
)
stored = st.builds(StoredRequest, type=st.just("elsewhere.Thing"), values=st.dictionaries(words, json_values))
requests = image_requests | video_requests | presses | stored
names = st.text(string.ascii_lowercase, min_size=1, max_size=8)
jobs = st.builds(
    Job,
    id=names,
    provider=names,
    family=names,
    operation=names,
    status=st.sampled_from(Status),
    created_at=moments,
    key=st.none() | words,
    remote_id=st.none() | words,
    route=st.dictionaries(names, words, max_size=2),
    request=st.none() | requests,
    progress=st.none() | st.floats(0, 1),
    warnings=st.lists(st.builds(Notice, code=names, message=words, field=names), max_size=2).map(tuple),
    actions=st.lists(
        st.builds(
            Action, name=words, needs=st.just(("mask",)), values=st.dictionaries(words, words), once=st.booleans()
        ),
        max_size=2,
    ).map(tuple),
    needs=st.just(()) | st.just(("prompt",)),
    answered=st.booleans(),
    sandbox=st.booleans(),
    finished_at=st.none() | moments,
    assets=st.lists(assets, max_size=3).map(tuple),
    raw=json_values,
)


@given(requests)
def test_a_request_survives_json(request: Request) -> None:
    assert Request.from_json(json.loads(json.dumps(request.to_json()))) == request


@given(jobs)
def test_a_job_survives_json_and_pickle(job: Job) -> None:
    assert Job.from_json(job.to_json()) == job
    assert pickle.loads(pickle.dumps(job)) == job
    assert "\n" not in job.to_json()


@given(st.text() | st.binary() | json_values.map(json.dumps))
def test_foreign_json_is_a_value_error_or_a_job(text: Any) -> None:
    try:
        Job.from_json(text)
    except (ValueError, ParameterError):
        return
    pytest.fail("no job can be made of this")


def test_members_of_later_versions_are_ignored() -> None:
    job = Job(id="j", provider="p", family="f", operation="o", status=Status.QUEUED, created_at=datetime.now(UTC))
    document = {**job.to_dict(), "v": 2, "brand_new": 1}
    assert Job.from_dict(document) == job


def test_picture_content_never_becomes_json() -> None:
    for content in (b"\x89PNG", "data:image/png;base64,AAAA"):
        with pytest.raises(ParameterError):
            ImageRequest("x", images=(content,)).to_json()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("aspect_ratio", "wide"),
        ("aspect_ratio", 1.5),
        ("aspect_ratio", "0:5"),
        ("aspect_ratio", "3:0.0"),
        ("aspect_ratio", "٣:٤"),
        ("extra", [1]),
        ("query", 5),
        ("query", {"a": None}),
        ("query", {"a": ["b"]}),
        ("duration", []),
        ("duration", float("inf")),
        ("duration", float("nan")),
        ("size", "big"),
        ("size", (0, 3)),
        ("size", (1, 2, 3)),
        ("count", 0),
        ("count", True),
        ("seed", "7"),
        ("model", 3),
        ("negative_prompt", b"x"),
    ],
)
def test_a_value_of_the_wrong_shape_names_its_field(field: str, value: Any) -> None:
    with pytest.raises(ParameterError, match="Nothing was sent") as caught:
        (VideoRequest if field == "duration" else ImageRequest)("x", **{field: value})
    assert caught.value.field == field
    assert isinstance(caught.value, ValueError)


def test_one_picture_may_stand_without_its_tuple_and_lists_become_tuples() -> None:
    assert ImageRequest("x", images="a.png").images == ("a.png",)
    assert ImageRequest("x", images=["a.png", "b.png"]).images == ("a.png", "b.png")


def test_what_was_written_is_what_was_set() -> None:
    assert ImageRequest("x", seed=0).written() == {"prompt": "x", "seed": 0}
    assert VideoRequest("x", audio=False).written() == {"prompt": "x", "audio": False}


def test_requests_are_frozen_and_do_not_share_what_they_were_given() -> None:
    extra = {"a": [1]}
    request = ImageRequest("x", extra=extra)
    extra["a"].append(2)
    assert request.extra == {"a": [1]}
    with pytest.raises(AttributeError):
        request.prompt = "y"  # type: ignore[misc]
    assert hash(request) == hash(ImageRequest("x", extra={"other": 1}))


def test_a_result_gives_tiles_before_the_grid_and_never_previews() -> None:
    job = Job(id="j", provider="p", family="f", operation="o", status=Status.SUCCEEDED, created_at=datetime.now(UTC))
    grid = Asset(kind="image", role="grid", url="g")
    tiles = tuple(Asset(kind="image", role="tile", index=n, url=str(n)) for n in (1, 2))
    preview = Asset(kind="image", role="preview", url="p")
    assert Result(job=job, assets=(grid, preview, *tiles)).images == tiles
    assert Result(job=job, assets=(grid, preview)).images == (grid,)
    assert Result(job=job, assets=(preview,)).images == ()
    assert "secret" not in repr(job)


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name != "Billed"])
def test_every_error_travels_to_another_process(name: str) -> None:
    cls = getattr(errors, name)
    job = Job(id="j", provider="p", family="f", operation="o", status=Status.FAILED, created_at=datetime.now(UTC))
    details: dict[str, Any] = {"hint": "do this"}
    if issubclass(cls, errors.JobError):
        details["job"] = job
    if issubclass(cls, errors.ApiError):
        details |= {"status_code": 500, "code": "x", "retry_after": 2.0}
    if cls is errors.TransportError:
        details["sent"] = True
    error = cls("what happened", **details)
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (cls, "what happened", vars(error))
    assert isinstance(error, Ai302Error)
    assert error.billed in ("yes", "no", "unknown")


def test_a_traceback_tells_what_to_do_next() -> None:
    error = ParameterError("what happened")
    assert traceback.format_exception_only(error)[1:] == []
    for hint in ("gen302 doctor", "gen302 jobs"):  # who knows more says it later
        error.hint = hint
    error.add_note("while the order was packed")
    for told in (error, pickle.loads(pickle.dumps(error))):
        assert (str(told), told.hint) == ("what happened", "gen302 jobs")
        assert traceback.format_exception_only(told)[1:] == ["gen302 jobs\n", "while the order was packed\n"]


def test_content_is_caught_by_one_name_before_and_after_the_start() -> None:
    job = Job(id="j", provider="p", family="f", operation="o", status=Status.FAILED, created_at=datetime.now(UTC))
    before = errors.ContentRejectedError("no", status_code=400)
    after = errors.JobRejected("no", job=job)
    assert isinstance(before, errors.ContentRejected)
    assert isinstance(after, errors.ContentRejected)
    assert isinstance(after, JobFailed)
    assert isinstance(errors.JobTimeout("late", job=job), TimeoutError)


def test_iso_moments_of_other_zones_become_utc() -> None:
    asset = Asset(kind="image", expires_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=1))
    assert Asset.from_json({**asset.to_json(), "expires_at": "2026-01-01T02:00:00+01:00"}) == asset
