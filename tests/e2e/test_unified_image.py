"""The unified image doors over real sockets: paid submits counted, pictures on disk, nothing replaced in silence."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from ai302_core import ImageRequest, ParameterError, Status
from ai302_core.errors import BalanceError, JobFailed, JobRejected, JobUnconfirmed, ServerError
from ai302_core.sandbox import BANNED_WORD, RunningSandbox, data_link, picture_size, serve
from ai302_unified_image._sandbox import emulation
from ai302_unified_image.catalogue import known

Shop = Any
DRAFT = {"family": "unified_image"}
LINK = "https://pictures.example/a.png"
V1, V2 = "/302/image/generate", "/302/v2/image/generate"


def png(colour: str = "navy", size: tuple[int, int] = (64, 48)) -> bytes:
    held = io.BytesIO()
    Image.new("RGB", size, colour).save(held, "PNG")
    return held.getvalue()


def sides(path: Path) -> tuple[str, int, int] | None:
    return picture_size(path.read_bytes())


# -- bought by the library -------------------------------------------------------------------------------------------


def test_v2_works_on_its_own_time_and_every_picture_is_on_disk(shop: Shop, mode: str) -> None:
    buyer = shop.buyer(mode, provider=DRAFT)
    request = ImageRequest("a paper lantern", model="gpt-image-2-t2i", aspect_ratio="16:9", count=2)
    result = buyer.run(request, key="lantern", save_to=shop.folder)
    assert [sides(path) for path in result.files] == [("PNG", 1365, 768)] * 2
    assert len({path.read_bytes() for path in result.files}) == 2
    assert (result.job.operation, result.job.status, result.job.billed) == ("image", Status.SUCCEEDED, "yes")
    submit = next(seen for seen in shop.sandbox.requests if seen.method == "POST")
    assert (submit.path, dict(submit.query)) == (V2, {"run_async": "true"})
    assert buyer.run(request, key="lantern", save_to=shop.folder).files == result.files
    assert (shop.sandbox.paid, shop.count("submit:image")) == (1, 1)


def test_v1_is_the_answer_itself_and_the_vendors_reply_stays(shop: Shop, mode: str) -> None:
    buyer = shop.buyer(mode, provider=DRAFT)
    result = buyer.run(ImageRequest("a canal", model="luma-t2i", aspect_ratio="21:9"), save_to=shop.folder)
    (path,) = result.files
    found = sides(path)
    assert found is not None
    assert round(found[1] / found[2], 1) == 2.3
    assert result.job.raw["data"]["input"] == {"aspect_ratio": "21:9"}
    assert (result.job.operation, result.job.remote_id, shop.count("poll")) == ("image-v1", None, 0)
    assert shop.sandbox.paid_by == {("unified_image", "image-v1"): 1}


def test_pictures_go_inside_the_request_or_as_files_of_a_form(shop: Shop, mode: str) -> None:
    buyer, one, two = shop.buyer(mode, provider=DRAFT), png("navy"), png("orange")
    photo = shop.home / "photo.png"
    photo.write_bytes(one)
    buyer.run(ImageRequest("both", images=[photo, two]))
    buyer.run(ImageRequest("one", model="gpt-image-2-i2i", images=[photo], mask=two))
    buyer.run(ImageRequest("by night", model="302ai-kolors-i2i", images=[photo]))
    several, single, form = (seen for seen in shop.sandbox.requests if seen.method == "POST")
    assert [data_link(text) for text in several.body["image"]] == [("image/png", one), ("image/png", two)]
    assert data_link(single.body["image"]) == ("image/png", one)
    assert data_link(single.body["mask_image"]) == ("image/png", two)
    assert form.headers["content-type"].startswith("multipart/form-data")
    assert one in form.body
    assert shop.sandbox.paid_by[("unified_image", "edit-v1")] == 1
    assert photo.read_bytes() == one


@pytest.mark.parametrize("model", ["luma-t2i", "gpt-image-2-t2i"])
@pytest.mark.parametrize("fault", ["drop", "error524html"])
def test_a_lost_answer_is_unconfirmed_and_never_sent_again(shop: Shop, mode: str, model: str, fault: str) -> None:
    shop.sandbox.fault("submit", fault, accept=True)
    buyer = shop.buyer(mode, provider=DRAFT)
    with pytest.raises(JobUnconfirmed) as caught:
        buyer.run(ImageRequest("a lamp", model=model), key="lamp")
    assert caught.value.billed == "unknown"
    with pytest.raises(JobUnconfirmed):
        buyer.run(ImageRequest("a lamp", model=model), key="lamp")
    assert (shop.sandbox.paid, shop.count("submit:image", "submit:image-v1")) == (1, 1)


def test_what_the_service_would_replace_is_refused_or_known(shop: Shop, mode: str) -> None:
    buyer = shop.buyer(mode, provider=DRAFT)
    request = ImageRequest("a lamp", model="doubao-v3-t2i", size="1280x576")
    with pytest.raises(ParameterError, match="silently becomes 512"):
        buyer.run(request)
    assert shop.sandbox.requests == []
    # At v1 the service does what its page says: each side that is out of range becomes 512.
    lenient = ImageRequest("a lamp", model="v1/doubao-v3-t2i", size="1280x576")
    result = buyer.run(lenient, lenient=True, save_to=shop.folder)
    assert [notice.field for notice in result.job.warnings] == ["size"]
    assert result.job.raw["data"]["input"] == {"width": 512, "height": 576}
    assert sides(result.files[0]) == ("PNG", 512, 576)


def test_a_v2_that_answers_at_once_is_believed(shop: Shop, mode: str) -> None:
    shop.sandbox.fault("submit", "at_once")
    result = shop.buyer(mode, provider=DRAFT).run(ImageRequest("a lamp"), save_to=shop.folder)
    assert (len(result.files), shop.count("poll"), shop.sandbox.paid) == (1, 0, 1)
    asked = ImageRequest("a lamp", query={"run_async": False})
    assert len(shop.buyer(mode, provider=DRAFT).run(asked).images) == 1
    assert (shop.count("poll"), shop.sandbox.paid) == (0, 2)
    assert str(shop.buyer(mode, provider=DRAFT).cost(result.job).observed) == "0.04 PTC"


@pytest.mark.parametrize("error", ["object", "text"])
def test_failures_inside_http_200(open_shop: Callable[..., Shop], mode: str, error: str) -> None:
    shop = open_shop(options={"unified_image": {"error": error, "data_as_text": True, "raw_response": "text"}})
    buyer = shop.buyer(mode, provider=DRAFT)
    for model in ("gpt-image-2-t2i", "dall-e-2-t2i", "flux-dev-t2i"):
        with pytest.raises(JobRejected, match="safety system"):
            buyer.run(ImageRequest(f"a {BANNED_WORD}", model=model))
        shop.sandbox.fault("submit", "fail", reason="CUDA out of memory")
        with pytest.raises(JobFailed, match="CUDA out of memory"):
            buyer.run(ImageRequest("a lamp", model=model))
    assert len(buyer.run(ImageRequest("a lamp", model="flux-dev-t2i")).images) == 1
    assert shop.sandbox.paid == 7


def test_a_vendors_picture_inside_its_reply_is_a_file_like_any_other(open_shop: Callable[..., Shop], mode: str) -> None:
    shop = open_shop(options={"unified_image": {"inline": True}})
    buyer = shop.buyer(mode, provider=DRAFT)
    result = buyer.run(ImageRequest("a lamp", model="dall-e-2-t2i", size="256x256"), save_to=shop.folder)
    assert [sides(path) for path in result.files] == [("PNG", 256, 256)]
    assert len(result.job.to_json()) < 3000
    assert buyer.save(result.job, shop.home / "again")[0].read_bytes() == result.files[0].read_bytes()
    assert shop.sandbox.paid == 1


def test_what_a_picture_cost(shop: Shop, mode: str) -> None:
    buyer = shop.buyer(mode, provider=DRAFT)
    for model, amount in (("gpt-image-2-t2i", "0.04"), ("luma-t2i", "0.03")):
        job = buyer.run(ImageRequest("a lamp", model=model)).job
        assert str(buyer.cost(job).observed) == f"{amount} PTC"


def test_what_is_refused_costs_nothing(open_shop: Callable[..., Shop], mode: str) -> None:
    shop = open_shop(balance="0.05")
    buyer = shop.buyer(mode, provider=DRAFT)
    for model in ("newcomer-1", "v1/newcomer-1"):
        with pytest.raises(ServerError) as caught:
            buyer.run(ImageRequest("a lamp", model=model), key="lamp" + model)
        assert (caught.value.code, caught.value.status_code, caught.value.billed) == ("-10008", 503, "no")
    buyer.run(ImageRequest("a lamp"))
    with pytest.raises(BalanceError):
        buyer.run(ImageRequest("a lamp"))
    assert shop.sandbox.paid == 1


def test_ten_at_once_are_ten(shop: Shop, mode: str) -> None:
    buyer = shop.buyer(mode, provider=DRAFT)
    models = ("gpt-image-2-t2i", "luma-t2i", "flux-dev-t2i", "qwen-image-3.0-pro", "kling-v2-t2i")
    requests = {f"{n}": ImageRequest(f"lamp {n}", model=models[n % 5]) for n in range(10)}
    outcomes = buyer.each("run_many", requests, save_to=shop.folder)
    assert [outcome.error for outcome in outcomes] == [None] * 10
    assert (shop.sandbox.paid, len(shop.pictures())) == (10, 10)


def test_every_model_at_every_door_makes_its_picture(open_shop: Callable[..., Shop]) -> None:
    """A conversation for each model of the catalogue at each door it is served at: paid once, one picture."""
    shop = open_shop(speed=500.0)
    requests = {
        f"{door}/{name}": ImageRequest("a lamp", model=f"{door}/{name}", images=[LINK] if entry.needs_image else [])
        for name, entry in known().items()
        for door in entry.doors
    }
    outcomes = shop.buyer("sync", provider=DRAFT).each("run_many", requests)
    assert {outcome.key: (outcome.error, len(outcome.result.images)) for outcome in outcomes} == dict.fromkeys(
        requests, (None, 1)
    )
    doors = {
        name: sum(entry.path == path for entry in shop.sandbox.requests) for name, path in (("v1", V1), ("v2", V2))
    }
    assert doors == {door: sum(name.startswith(door) for name in requests) for door in doors}
    assert shop.sandbox.paid == len(requests) > 120


def test_looks_survive_what_a_bad_day_brings(shop: Shop, mode: str) -> None:
    for kind in ("error502", "unknown_word", "no_asset"):
        shop.sandbox.fault("poll", kind)
    result = shop.buyer(mode, provider=DRAFT).run(ImageRequest("a lamp"), save_to=shop.folder)
    assert (len(result.files), shop.sandbox.paid) == (1, 1)


def test_the_command_buys_and_adopts(shop: Shop, gen302: Any) -> None:
    def told_by(*words: str) -> Any:
        return json.loads(gen302(*words, "--json").stdout.splitlines()[-1])

    told = told_by("models", "-p", "unified_image", "--task", "image")
    assert (told["family"], told["default"], bool(told["source"])) == ("unified_image", False, True)
    bought = ("run", "a lamp", "-p", "unified_image", "--model", "gpt-image-1.5-t2i", "--size", "1024x1536")
    told = told_by(*bought, "-o", "shots")
    assert [sides(Path(file)) for file in told["files"]] == [("PNG", 1024, 1536)]
    foreign = httpx.post(
        f"{shop.sandbox.url}{V2}?run_async=true", headers={"Authorization": f"Bearer {shop.sandbox.key}"},
        json={"model": "gemini-2.5-flash-image", "prompt": "a canal"}, verify=False,
    ).json()  # fmt: skip
    assert told_by("jobs", "adopt", foreign["task_id"], "-p", "unified_image")["job"]["operation"] == "image"
    told_by("wait", foreign["task_id"])
    assert len(told_by("save", foreign["task_id"], "-o", "shots")["files"]) == 1
    assert shop.sandbox.paid == 2


# -- met by any other client -----------------------------------------------------------------------------------------


@pytest.fixture
def sandbox() -> Any:
    """One whose clock stands."""
    with serve(families=[emulation()], speed=0, seed=1) as running:
        yield running


def call(sandbox: RunningSandbox, method: str, path: str, **options: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {options.pop('key', sandbox.key)}"}
    return httpx.request(method, sandbox.url + path, headers=headers, verify=False, **options)


def test_a_task_of_v2_runs_its_course(sandbox: RunningSandbox) -> None:
    body = {"model": "gpt-image-2-t2i", "prompt": "a fox", "width": 320, "height": 200, "n": 2}
    answer = call(sandbox, "POST", f"{V2}?run_async=true", json=body)
    assert set(answer.json()) == {"task_id", "status", "created_at"}
    assert len(answer.headers["request-id"]) == 36
    fetch = f"/302/v2/image/fetch/{answer.json()['task_id']}"
    words = []
    for _ in range(14):
        document = call(sandbox, "GET", fetch).json()
        words.append(document["status"])
        sandbox.advance(1)
    assert list(dict.fromkeys(words)) == ["pending", "processing", "completed"]
    assert set(document) == {
        *("task_id", "status", "model", "task_type", "req", "webhook", "created_at", "updated_at", "started_at"),
        *("completed_at", "execution_time", "attempts", "upstream_task_id", "ai302_cost_request_ids", "raw_response"),
        *("image_url", "image_urls"),
    }
    assert document["req"] == {"model": "gpt-image-2-t2i", "prompt": "a fox", "width": 320, "height": 200}
    assert isinstance(document["execution_time"], str)
    assert document["image_urls"][0] == document["image_url"]
    drawn = [picture_size(httpx.get(url, verify=False).content) for url in document["image_urls"]]
    assert drawn == [("PNG", 320, 200)] * 2


@pytest.mark.parametrize("door", [V1, V2])
def test_both_doors_take_json_and_forms_and_answer_with_the_picture(sandbox: RunningSandbox, door: str) -> None:
    fields = {"model": "302ai-sdxl-t2i", "prompt": "a fox", "width": "320", "height": "200"}
    forms: list[dict[str, Any]] = [
        {"json": fields | {"width": 320, "height": 200}},
        {"data": fields, "files": {"image": ("fox.png", png(), "image/png")}},
    ]
    for options in forms:
        document = call(sandbox, "POST", door, **options).json()
        assert picture_size(httpx.get(document["image_url"], verify=False).content) == ("PNG", 320, 200)
        if door == V1:
            assert set(document) == {"image_url", "data"}
            assert json.loads(document["data"]["output"]) == [document["image_url"]]
        else:
            assert document["status"] == "completed"
            assert set(document) == {
                "task_id", "status", "created_at", "completed_at", "image_url", "image_urls",
            }  # fmt: skip
    assert sandbox.paid == 2


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        (V1, {"prompt": "x"}, 422, -10011), (V2, {"prompt": "x"}, 400, -10011),
        (V1, {"model": "luma-t2i"}, 422, -10011), (V2, {"model": "gpt-image-2-i2i", "prompt": "x"}, 400, -10011),
        (V1, {"model": "stable-sd3-i2i", "prompt": "x", "image": "no picture"}, 422, -10011),
        (V2, {"model": "gpt-image-2-t2i", "prompt": "x", "width": "wide"}, 400, -10011),
        (V2, {"model": "gpt-image-2-t2i", "prompt": "x", "width": 90000, "height": 1}, 400, -10011),
        (V1, {"model": "newcomer-1", "prompt": "x"}, 503, -10008),
        (V2, {"model": "luma-t2i", "prompt": "x"}, 503, -10008),
        (V1, [], 422, -10011), (V2, {"model": "flux-2-pro", "prompt": "x", "image": ["no"] * 9}, 400, -10011),
    ],
    ids=str,
)  # fmt: skip
def test_what_the_doors_refuse(sandbox: RunningSandbox, path: str, body: Any, status: int, code: int) -> None:
    answer = call(sandbox, "POST", path, json=body)
    assert (answer.status_code, answer.json()["error"]["err_code"]) == (status, code)
    answer = call(sandbox, "POST", path, json=body, key="sk-other")
    assert (answer.status_code, answer.json()["error"]["err_code"]) == (401, -10001)
    assert sandbox.paid == 0


def test_v1_replaces_in_silence_and_only_data_says_so(sandbox: RunningSandbox) -> None:
    for model, asked, made in (
        ("stable-sd3-t2i", {"aspect_ratio": "4:3"}, {"aspect_ratio": "1:1"}),
        ("302ai-flux-v1.1-ultra-t2i", {"aspect_ratio": "3:2"}, {"aspect_ratio": "16:9"}),
        ("dall-e-2-t2i", {"width": 300, "height": 300}, {"width": 1024, "height": 1024}),
        ("cogview-4-t2i", {"width": 1440, "height": 720}, {"width": 1440, "height": 720}),
        ("doubao-v2-t2i", {"width": 100, "height": 700}, {"width": 512, "height": 700}),
        ("stable-sd3-i2i", {"aspect_ratio": "16:9", "image": "https://x.example/a.png"}, {}),
    ):
        answer = call(sandbox, "POST", V1, json={"model": model, "prompt": "a fox", **asked})
        assert (answer.status_code, answer.json()["data"]["input"]) == (200, made)
