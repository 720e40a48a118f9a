"""The library buys what Midjourney offers, sync and async, over real sockets: paid submits counted, bytes on disk."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from PIL import Image

from ai302_core import ImageRequest, Job, ParameterError, Status, connect
from ai302_core.errors import AuthenticationError, DownloadError, JobCanceled, RateLimitError
from ai302_core.sandbox import picture_size
from ai302_midjourney import BlendRequest, DescribeRequest, ImagineRequest, MotionRequest

Shop = Any
GATEWAYS = ("302ai", "new-api")


def png(colour: str = "navy", size: tuple[int, int] = (64, 48)) -> bytes:
    held = io.BytesIO()
    Image.new("RGB", size, colour).save(held, "PNG")
    return held.getvalue()


def made(buyer: Any, prompt: str = "a lamp") -> Job:
    """A finished imagine."""
    job = buyer.run(ImageRequest(prompt)).job
    assert isinstance(job, Job)
    return job


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_an_imagine_is_four_files_and_a_sidecar_and_saving_again_is_free(shop: Shop, mode: str, gateway: str) -> None:
    buyer = shop.buyer(mode, gateway)
    seen: list[Job] = []
    result = buyer.run(
        ImagineRequest("a paper lantern", aspect_ratio="3:2", seed=7, stylize=50),
        key="lantern",
        save_to=shop.folder,
        on_update=seen.append,
    )
    assert shop.sandbox.paid == 1
    assert [picture_size(path.read_bytes()) for path in result.files] == [("PNG", 392, 261)] * 4
    assert [asset.role for asset in result.images] == ["tile"] * 4
    assert [asset.index for asset in result.images] == [1, 2, 3, 4]
    assert len({path.read_bytes() for path in result.files}) == 4
    assert seen[0].status is Status.QUEUED
    assert seen[-1].status is Status.SUCCEEDED
    (sidecar,) = (path for path in shop.folder.iterdir() if path.suffix == ".json")
    told = json.loads(sidecar.read_text(encoding="utf-8"))
    assert (told["key"], told["provider"], told["gateway"], told["seed"]) == ("lantern", "hero", gateway, 7)
    assert (told["remote_id"], told["sandbox"]) == (result.job.remote_id, True)
    assert told["request"]["prompt"] == "a paper lantern"
    assert told["request"]["stylize"] == 50
    assert [entry["name"] for entry in told["files"]] == [path.name for path in result.files]
    for entry, path in zip(told["files"], result.files, strict=True):
        assert entry["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert entry["size"] == path.stat().st_size
    before, requests = shop.names(), len(shop.sandbox.requests)
    assert buyer.save(result.job, shop.folder) == list(result.files)
    assert buyer.save(result) == list(result.files)
    assert buyer.run(ImagineRequest("a paper lantern", aspect_ratio="3:2", seed=7, stylize=50),
                     key="lantern", save_to=shop.folder).files == result.files  # fmt: skip
    assert (shop.names(), len(shop.sandbox.requests), shop.sandbox.paid) == (before, requests, 1)


def test_tiles_of_a_grid_with_odd_sides_are_every_pixel_of_it(open_shop: Callable[..., Shop], mode: str) -> None:
    shop = open_shop(options={"midjourney": {"odd": True}})
    result = shop.buyer(mode).run(ImageRequest("a kite", aspect_ratio="16:9"), save_to=shop.folder)
    (whole,) = shop.buyer(mode).save(result.job, shop.home / "grid", roles=["grid"])
    grid = Image.open(io.BytesIO(whole.read_bytes()))
    one, two, three, four = (Image.open(io.BytesIO(path.read_bytes())) for path in result.files)
    assert grid.width % 2 == 1
    assert grid.height % 2 == 1
    assert (one.width + two.width, one.height + three.height) == grid.size
    again = Image.new(grid.mode, grid.size)
    places = ((0, 0), (one.width, 0), (0, one.height), (three.width, two.height))
    for tile, place in zip((one, two, three, four), places, strict=True):
        again.paste(tile, place)
    assert again.tobytes() == grid.tobytes()
    assert shop.sandbox.paid == 1


def test_upscaling_the_same_picture_twice_pays_once(shop: Shop, mode: str) -> None:
    buyer = shop.buyer(mode)
    parent = made(buyer)
    first = buyer.act(parent, "upscale-2")
    result = buyer.wait(first)
    again = buyer.act(parent, "U2")
    assert (again.id, again.parent, again.status) == (first.id, parent.id, Status.SUCCEEDED)
    assert buyer.act(parent, "upscale-3").id != first.id
    assert shop.sandbox.paid_by == {("midjourney", "imagine"): 1, ("midjourney", "action"): 2}
    named = buyer.act(parent, "U4", key="the fourth")
    assert {buyer.act(parent, "upscale-4", key=key).id for key in (None, "another name")} == {named.id}
    assert shop.sandbox.paid_by == {("midjourney", "imagine"): 1, ("midjourney", "action"): 3}
    (path,) = buyer.save(result, shop.folder)
    assert picture_size(path.read_bytes()) == ("PNG", 320, 320)


def test_ten_who_press_the_same_upscale_at_once_pay_once_without_a_ledger(shop: Shop, mode: str) -> None:
    buyer = shop.buyer(mode, ledger="off")
    jobs = buyer.together("act", [[made(buyer), "upscale-2"]] * 10)
    assert len({job.id for job in jobs}) == 1
    assert shop.sandbox.paid_by == {("midjourney", "imagine"): 1, ("midjourney", "action"): 1}


def test_ten_who_press_the_same_upscale_at_once_under_ten_keys_pay_once(shop: Shop) -> None:
    buyer = shop.buyer()
    parent = made(buyer)
    ready = Barrier(10)

    def press(number: int) -> Job:
        with connect(**shop.options()) as own:
            ready.wait(30)
            return own.act(parent, "upscale-2", key=f"key {number}")

    with ThreadPoolExecutor(10) as pool:
        jobs = list(pool.map(press, range(10)))
    assert len({job.id for job in jobs}) == 1
    assert shop.sandbox.paid_by == {("midjourney", "imagine"): 1, ("midjourney", "action"): 1}


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_a_region_is_varied_through_the_window(shop: Shop, mode: str, gateway: str) -> None:
    buyer = shop.buyer(mode, gateway)
    single = buyer.wait(buyer.act(made(buyer), "upscale-1")).job
    with pytest.raises(ParameterError) as refused:
        buyer.act(single, "vary-region", prompt="a red door")
    assert refused.value.field == "mask"
    mask = png("white", (320, 320))
    shop.sandbox.fault("poll", "unknown_word")  # before the window shows
    result = buyer.wait(buyer.act(single, "vary-region", mask=mask, prompt="a red door"))
    assert len(buyer.save(result, shop.folder)) == 4
    assert shop.sandbox.paid_by[("midjourney", "modal")] == 1
    assert shop.sandbox.paid == 3
    (window,) = (seen for seen in shop.sandbox.requests if seen.route == "submit:modal")
    assert window.body["prompt"] == "a red door"
    assert window.body["maskBase64"].startswith("data:image/png;base64,")


def test_two_who_wait_for_a_press_that_brought_its_answer_pay_once_and_both_get_it(
    shop: Shop, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    buyer = shop.buyer(mode)
    single = buyer.wait(buyer.act(made(buyer), "upscale-1")).job
    shop.sandbox.fault("submit:modal", "queue_full")
    with pytest.raises(RateLimitError):
        buyer.act(single, "custom-zoom", zoom=1.8, timeout=0)
    (window,) = buyer.jobs(status=[Status.INPUT_REQUIRED])
    both, ledger = Barrier(2), buyer.provider._connection.ledger
    reopen = ledger.reopen

    def at_once(*given: Any) -> Any:
        both.wait(60)
        return reopen(*given)

    monkeypatch.setattr(ledger, "reopen", at_once)
    first, second = buyer.together("wait", [[window], [window]])
    assert (first.job.id, len(first.images), second.images) == (window.id, 4, first.images)
    assert shop.sandbox.paid_by[("midjourney", "modal")] == 1


def test_describe_gives_four_texts(shop: Shop, mode: str) -> None:
    buyer = shop.buyer(mode)
    result = buyer.run(DescribeRequest(png()), save_to=shop.folder)
    assert len(result.texts) == 4
    assert [path.read_text(encoding="utf-8").strip() for path in result.files] == [
        text.strip() for text in result.texts
    ]
    assert len(buyer.wait(buyer.act(result.job, "imagine-1")).images) == 4
    assert shop.sandbox.paid == 2


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_a_video_is_four_clips(shop: Shop, mode: str, gateway: str) -> None:
    first = shop.home / "first.png"
    first.write_bytes(png())
    result = shop.buyer(mode, gateway).run(MotionRequest("it waves", first_frame=first), save_to=shop.folder)
    assert len(result.videos) == len(result.files) == 4
    assert {path.suffix for path in result.files} == {".mp4"}
    assert all(path.read_bytes()[4:8] == b"ftyp" for path in result.files)
    assert shop.sandbox.paid == 1


def test_a_blend_is_four_pictures_and_its_job_holds_no_picture(shop: Shop, mode: str) -> None:
    buyer = shop.buyer(mode)
    result = buyer.run(BlendRequest((png("red"), png("blue")), aspect_ratio="2:3"), save_to=shop.folder)
    assert len(result.files) == 4
    assert shop.sandbox.paid_by == {("midjourney", "blend"): 1}
    assert len(result.job.to_json()) < 20_000
    assert hashlib.sha256(png("red")).hexdigest() in result.job.to_json()


def test_302ai_cancels(open_shop: Callable[..., Shop], mode: str) -> None:
    shop = open_shop(speed=0)
    buyer = shop.buyer(mode)
    job = buyer.submit(ImageRequest("a lamp"))
    shop.sandbox.advance(10)
    assert buyer.cancel(job).status is Status.CANCELED
    with pytest.raises(JobCanceled):
        buyer.wait(job)
    assert buyer.job(job.id).status is Status.CANCELED
    assert (shop.sandbox.paid, shop.count("cancel")) == (1, 1)


def test_new_api_cannot_cancel_and_says_so_before_asking(open_shop: Callable[..., Shop], mode: str) -> None:
    shop = open_shop(speed=0)
    buyer = shop.buyer(mode, "new-api")
    job = buyer.submit(ImageRequest("a lamp"))
    asked = len(shop.sandbox.requests)
    with pytest.raises(ParameterError, match="cannot cancel"):
        buyer.cancel(job)
    assert len(shop.sandbox.requests) == asked
    shop.sandbox.advance(60)
    assert len(buyer.wait(job).images) == 4


def test_the_same_call_through_both_gateways_by_one_line(
    shop: Shop, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with real services: no sandbox in the environment, only the configuration and a key of the caller."""
    monkeypatch.setenv("AI302_API_KEY", shop.sandbox.key)
    monkeypatch.delenv("GEN302_SANDBOX")
    monkeypatch.delenv("GEN302_SANDBOX_KEY")
    fast = {"base_url": shop.sandbox.url + "/v1", "poll": {"initial": 0.05}, "family": "midjourney"}
    providers = {"hero": fast, "relay": {**fast, "gateway": "new-api"}}
    sizes = []
    for default in ("hero", "relay"):
        buyer = shop.buyer(mode, config={"default": default, "providers": providers})
        result = buyer.run(ImageRequest("a fox", aspect_ratio="3:2"), save_to=shop.folder, on_update=lambda job: None)
        assert (result.job.provider, result.job.sandbox) == (default, False)
        sizes.append([picture_size(path.read_bytes()) for path in result.files])
    assert sizes == [[("PNG", 392, 261)] * 4] * 2
    hero, relay = (seen for seen in shop.sandbox.requests if seen.route == "submit:imagine")
    assert hero.headers["mj-api-secret"] == "***"
    assert "authorization" not in hero.headers
    assert relay.headers["authorization"] == "Bearer ***"
    assert "mj-api-secret" not in relay.headers
    assert {entry["gateway"] for entry in shop.sandbox.jobs} == set(GATEWAYS)


def test_assets_open_as_files_and_save_on_their_own(shop: Shop, mode: str) -> None:
    buyer = shop.buyer(mode)
    result = buyer.run(ImageRequest("a lamp"), save_to=shop.folder)
    grid = next(asset for asset in result.assets if asset.role == "grid")
    with buyer.open(grid) as file:
        assert picture_size(file.read()) == ("PNG", 640, 640)
    (path,) = buyer.save(grid, shop.home / "alone")
    assert picture_size(path.read_bytes()) == ("PNG", 640, 640)


def test_a_job_from_another_ledger_is_taken_in_and_saved(shop: Shop, mode: str) -> None:
    job = shop.buyer(mode).submit(ImageRequest("a lamp"), key="order-1")
    other = shop.buyer(mode, ledger=f"sqlite:///{(shop.home / 'other.db').as_posix()}")
    result = other.wait(Job.from_json(job.to_json()))
    assert [Path(path).suffix for path in other.save(result, shop.folder)] == [".png"] * 4
    assert other.job(job.id).status is Status.SUCCEEDED
    assert replace(result.job, raw=None).key == "order-1"
    assert shop.sandbox.paid == 1


def test_what_is_no_request_job_or_key_is_told_before_money_moves(shop: Shop, mode: str) -> None:
    buyer: Any = shop.buyer(mode)

    async def awaited(job: Job) -> None: ...

    wrong: list[tuple[str, tuple[Any, ...], dict[str, Any], str]] = [
        ("run", ("a lantern",), {}, "ImageRequest("),
        ("submit", (ImageRequest("a lantern"),), {"key": 4711}, "key that is text"),
        ("submit", (ImageRequest("a lantern"),), {"key": " "}, "not an empty one"),
        ("submit", (ImageRequest("a lantern"),), {"timeout": "5"}, "a timeout in seconds"),
        ("run", (ImageRequest("a lantern"),), {"timeout": "5"}, "a timeout in seconds"),
        ("run", (ImageRequest("a lantern"),), {"timeout": float("nan")}, "not nan"),
        ("run", (ImageRequest("a lantern"),), {"on_update": awaited}, "a coroutine function would never be awaited"),
        ("run", (ImageRequest("a lantern"),), {"on_update": 5}, "a plain function that takes a job"),
        ("wait", ("261121-aaaaaaaa",), {}, "provider.job(ID)"),
        ("wait", ("261121-aaaaaaaa",), {"timeout": timedelta(seconds=5)}, "a timeout in seconds"),
        ("wait", ("261121-aaaaaaaa",), {"on_update": awaited}, "a plain function that takes a job"),
        ("act", ("261121-aaaaaaaa", "upscale-1"), {}, "as result.job is"),
        ("open", ("261121-aaaaaaaa",), {}, "an asset, such as result.images[0]"),
        ("adopt", (1795219200783064,), {}, "the id of a task as text"),
        ("job", (4711,), {}, "the id, key or task of a job as text"),
        ("jobs", (), {"status": "done"}, "there are: submitting, queued"),
        ("jobs", (), {"status": [Status.QUEUED, "done"]}, "there are: submitting, queued"),
        ("jobs", (), {"since": date(2026, 11, 22)}, "a moment, such as datetime("),
        ("save", ("261121-aaaaaaaa",), {}, "a job, a result or an asset"),
    ]
    for name, values, named, said in wrong:
        with pytest.raises(ParameterError, match=re.escape(said)):
            getattr(buyer, name)(*values, **named)
    (told,) = buyer.each("run_many", ["a lantern"])
    assert told.error.message.startswith("Expected a request")
    assert shop.sandbox.paid == 0


def test_jobs_are_listed_by_a_status_its_word_and_a_moment(shop: Shop, mode: str) -> None:
    buyer = shop.buyer(mode)
    job = buyer.submit(ImageRequest("a lamp"))
    asked: list[Any] = [Status.QUEUED, "queued", ["queued"], (Status.RUNNING, Status.QUEUED), []]
    assert [[found.id for found in buyer.jobs(status=words)] for words in asked] == [[job.id]] * 5
    assert buyer.jobs(status="succeeded") == buyer.jobs(since=datetime.now(UTC) + timedelta(days=1)) == []
    assert [found.id for found in buyer.jobs(since=datetime.now() - timedelta(days=1))] == [job.id]


def test_an_error_after_money_moved_carries_the_job(shop: Shop, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever called `run` holds no job: what failed afterwards names it, and from it everything goes on."""
    buyer = shop.buyer(mode)
    fault = shop.sandbox.fault("download", "expired", times=None)
    with pytest.raises(DownloadError) as missing:
        buyer.run(ImageRequest("a lamp"), save_to=shop.folder)
    saved = pickle.loads(pickle.dumps(missing.value)).job
    assert (missing.value.billed, saved.status) == ("yes", Status.SUCCEEDED)
    (told,) = buyer.each("run_many", [ImageRequest("a second lamp")], save_to=shop.folder)
    assert told.error.job == told.job
    fault.times = fault.hits
    assert len(buyer.save(saved)) == 4

    job = buyer.submit(ImageRequest("a third lamp"), key="third")
    monkeypatch.setenv("GEN302_SANDBOX_KEY", "sk-wrong")
    other = shop.buyer(mode)
    with pytest.raises(AuthenticationError) as refused:
        other.run(ImageRequest("a third lamp"), key="third")
    assert refused.value.job is not None
    assert (refused.value.billed, refused.value.job.id) == ("yes", job.id)
    with pytest.raises(AuthenticationError) as unsent:
        other.submit(ImageRequest("a fourth lamp"))
    assert (unsent.value.billed, unsent.value.job) == ("no", None)
    assert shop.sandbox.paid == 3
