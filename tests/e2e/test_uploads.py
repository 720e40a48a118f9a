"""Local pictures where a service takes links only: uploaded, bought, polled, downloaded, over real sockets."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from ai302_core import Asset, ImageRequest, VideoRequest
from ai302_core.errors import (
    AuthenticationError,
    BalanceError,
    InvalidRequestError,
    ParameterError,
    ServerError,
    TransportError,
)
from ai302_midjourney import BlendRequest

Shop = Any
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0" + bytes(20)

FRAMES = '''
"""A family made up for the tests: clips from a picture, which it fetches itself."""
from dataclasses import dataclass

from ai302_core.family import Family, Operation, REFUSED_302AI, States, VideoRequest, field, get, hookimpl, post, video

@hookimpl
def ai302_family():
    return Family("frames", api=1, base_url="https://api.302.ai", operations=(
        Operation("video", request=VideoRequest, submit=post("/frames/submit"),
                  body={"text": field("prompt"), "image_url": field("first_frame"), "last": field("last_frame")},
                  poll=get("/frames/{job_id}"), states=(States(at="status", queued=("wait",), succeeded=("done",)),),
                  refused=(REFUSED_302AI,), assets=(video("url"),), images=("url",), usual=(0.1, 1.0)),))

@hookimpl
def ai302_sandbox():
    from ai302_core.sandbox import Answer, Emulation, Look, Route, Task, bearer, clip, refusal_302ai

    @dataclass(kw_only=True)
    class Clip(Task):
        url: str = ""

        def word(self, now):
            return "done" if now > self.submitted + 5 else "wait"

    def submit(world, incoming):
        if bearer(incoming) != world.key:
            return refusal_302ai(401, -10001)
        body = incoming.json()
        for name in ("image_url", "last"):
            if name in body and not body[name].startswith("http://10.") and not world.content(body[name]):
                return refusal_302ai(400, -10011)
        task = Clip(id=world.task_id(), family="frames", operation="video", gateway="302ai")
        task.url = world.publish(lambda: clip(Look(body["text"], "A", "1"), (64, 48), 2), "mp4")
        world.accept(task)
        return Answer(200, {"id": task.id})

    def look(world, incoming):
        task = world.find(incoming.params["id"], Clip)
        if task is None:
            return Answer(404, {})
        return Answer(200, {"status": task.word(world.now()), "url": task.url})

    return Emulation(family="frames", routes=(
        Route(name="submit:video", method="POST", path="/frames/submit", handler=submit),
        Route(name="poll", method="GET", path="/frames/{id}", handler=look)))
'''


@pytest.fixture(autouse=True)
def frames(install: Callable[[str, str], None]) -> None:
    install("frames", FRAMES)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "Frühling.png"
    path.write_bytes(PNG)
    return path


def buyer_of(shop: Shop, mode: str, **more: Any) -> Any:
    provider = {"family": "frames", **more.pop("provider", {})}
    return shop.buyer(mode, provider=provider, **more)


def test_a_clip_from_a_local_picture_from_upload_to_file(shop: Shop, mode: str, picture: Path) -> None:
    buyer = buyer_of(shop, mode)
    request = VideoRequest("a fox", first_frame=picture)
    preview = buyer.dry_run(request)
    assert [entry.url for entry in preview.uploads] == [f"{shop.sandbox.url}/302/upload-file"]
    assert shop.sandbox.requests == []
    result = buyer.run(request, key="fox", save_to=shop.folder)
    (file,) = result.files
    assert Path(file).read_bytes()[4:8] == b"ftyp"
    assert (shop.sandbox.paid, shop.sandbox.uploads, str(shop.sandbox.balance)) == (1, 1, "999.999")
    sent = next(seen.body for seen in shop.sandbox.requests if seen.route == "submit:video")
    assert httpx.get(sent["image_url"], verify=False).content == PNG
    assert "/gpt/imgs/" in sent["image_url"]
    # The same key: nothing at all. The same picture otherwise: its link is known, to other processes too.
    assert buyer.run(request, key="fox", save_to=shop.folder).files == result.files
    buyer_of(shop, mode).run(VideoRequest("a hare", first_frame=PNG, last_frame=picture), save_to=shop.folder)
    assert (shop.sandbox.paid, shop.sandbox.uploads) == (2, 1)
    (asset,) = result.assets
    # An earlier asset goes as its link, and so does an address nobody else can reach.
    buyer.submit(VideoRequest("a deer", first_frame=Asset(kind="image", url=sent["image_url"])))
    buyer.submit(VideoRequest("a deer", first_frame="http://10.0.0.1/a.png"))
    assert (shop.sandbox.paid, shop.sandbox.uploads, asset.kind) == (4, 1, "video")


@pytest.mark.parametrize("ledger", ["off", None])
def test_ten_at_once_upload_their_picture_once(shop: Shop, mode: str, picture: Path, ledger: str | None) -> None:
    buyer = buyer_of(shop, mode, **({"ledger": ledger} if ledger else {}))
    shop.sandbox.fault("upload", "late", seconds=0.2)
    requests = [VideoRequest(f"fox {number}", first_frame=picture) for number in range(10)]
    outcomes = buyer.each("run_many", requests)
    assert [outcome.error for outcome in outcomes] == [None] * 10
    assert (shop.sandbox.paid, shop.sandbox.uploads, shop.count("upload")) == (10, 1, 1)
    jobs = buyer.together("submit", [[request] for request in requests])
    assert {job.status for job in jobs} == {"queued"}
    assert (shop.sandbox.paid, shop.sandbox.uploads) == (20, 1)


def test_what_is_no_link_of_its_own_is_fetched_where_it_is_needed(shop: Shop, mode: str, tmp_path: Path) -> None:
    """A tile of a grid, for a service that takes links; a link, for one that takes content."""
    seller = shop.buyer(mode)
    grid = seller.run(ImageRequest("a lamp"))
    tile = grid.images[1]
    assert tile.cut is not None
    shown = buyer_of(shop, mode).dry_run(VideoRequest("a fox", first_frame=tile))
    assert "once uploaded" in shown.body["image_url"]
    buyer = buyer_of(shop, mode)
    job = buyer.submit(VideoRequest("a fox", first_frame=tile), key="k")
    sent = next(seen.body for seen in shop.sandbox.requests if seen.route == "submit:video")
    (file,) = seller.save(tile, tmp_path / "tile")
    assert httpx.get(sent["image_url"], verify=False).content == Path(file).read_bytes()
    assert buyer.submit(VideoRequest("a fox", first_frame=tile), key="k").id == job.id
    assert shop.sandbox.uploads == 1
    # Midjourney blends content only: the uploaded picture's link, and the tile.
    blend = BlendRequest(images=(sent["image_url"], tile))
    assert seller.dry_run(blend).uploads == ()
    seller.submit(blend)
    body = next(seen.body for seen in shop.sandbox.requests if seen.route == "submit:blend")
    head, packed = body["base64Array"][0].split(",")
    assert (head, len(body["base64Array"])) == ("data:image/png;base64", 2)
    assert base64.b64decode(packed) == Path(file).read_bytes()
    paid = shop.sandbox.paid
    gone = f"{shop.sandbox.url}/gpt/imgs/20261121/gone.png"
    with pytest.raises(ParameterError, match=r"must be sent itself, and cannot be had: .*\. Nothing was sent"):
        seller.submit(BlendRequest(images=(gone, tile)))
    assert shop.sandbox.paid == paid


@pytest.mark.parametrize("model", ["veo3-pro-frames", "veo3-v2/veo3-pro-frames"])
def test_a_veo_clip_from_a_local_picture(shop: Shop, mode: str, picture: Path, model: str) -> None:
    pytest.importorskip("ai302_veo", reason="the family veo is not installed")
    buyer = shop.buyer(mode, provider={"family": "veo"})
    result = buyer.run(VideoRequest("a fox", first_frame=picture, model=model), save_to=shop.folder)
    assert [Path(file).read_bytes()[4:8] for file in result.files] == [b"ftyp"] * len(result.files) != []
    sent = next(seen.body for seen in shop.sandbox.requests if seen.route.startswith("submit"))
    links = [link for value in sent.values() for link in (value if isinstance(value, list) else [value])]
    (link,) = [link for link in links if str(link).startswith(shop.sandbox.url)]
    assert httpx.get(link, verify=False).content == PNG
    assert (shop.sandbox.paid, shop.sandbox.uploads) == (1, 1)


UNCLEAR = ["drop", "reset", "late", "empty", "truncated", "html", "error500", "error504html", "no_link"]


def test_an_upload_without_a_clear_answer_is_told_and_never_repeated(shop: Shop, mode: str, until: Any) -> None:
    buyer, hasty = buyer_of(shop, mode), buyer_of(shop, mode, provider={"timeouts": {"submit": 0.3}})
    for number, kind in enumerate(UNCLEAR, start=1):
        options = {"seconds": 600.0} if kind == "late" else {"accept": True} if kind in ("html", "error500") else {}
        shop.sandbox.fault("upload", kind, **options)
        request = VideoRequest("a fox", first_frame=PNG + bytes([number]))
        with pytest.raises(TransportError) as unclear:
            (hasty if kind == "late" else buyer).submit(request, key=kind)
        assert (unclear.value.sent, unclear.value.billed) == (True, "unknown"), kind
        until(lambda number=number: shop.count("upload") >= number)
        assert (shop.count("upload"), shop.sandbox.paid) == (number, 0), kind
    assert buyer.jobs() == []
    # The key is free, and the same call again goes through.
    assert buyer.submit(VideoRequest("a fox", first_frame=PNG + b"\1"), key="drop").status == "queued"
    assert shop.sandbox.paid == 1


def test_a_refused_upload_starts_nothing(open_shop: Callable[..., Shop], mode: str) -> None:
    shop = open_shop()
    buyer = buyer_of(shop, mode)
    request = VideoRequest("a fox", first_frame=PNG)
    for code, error in ((500, ServerError), (413, InvalidRequestError), (403, AuthenticationError)):
        shop.sandbox.fault("upload", "refused", code=code, message="no")
        with pytest.raises(error, match="No job was started"):
            buyer.submit(request)
    poor = open_shop(balance="0.0005")
    with pytest.raises(BalanceError):
        buyer_of(poor, mode).submit(request)
    assert (shop.count("upload"), shop.sandbox.uploads, shop.sandbox.paid, poor.sandbox.paid) == (3, 0, 0, 0)
    # Busy, or not there for a moment: nothing was left behind, so it is sent again.
    shop.sandbox.fault("upload", "429", retry_after=0)
    assert buyer.submit(request).status == "queued"
    assert (shop.sandbox.uploads, shop.sandbox.paid) == (1, 1)


def test_the_door_itself_takes_a_file_and_no_more_than_50_megabytes(shop: Shop) -> None:
    door = f"{shop.sandbox.url}/302/upload-file"
    bearer = {"Authorization": f"Bearer {shop.sandbox.key}"}

    def post(**body: Any) -> httpx.Response:
        return httpx.post(door, verify=False, **{"headers": bearer, **body})

    assert post(files={"file": PNG}, headers={}).status_code == 401
    assert post(files={"file": PNG}, headers={"mj-api-secret": shop.sandbox.key}).status_code == 401
    for wrong in (
        {"files": {"image": PNG}},
        {"data": {"file": "text"}},
        {"json": {"file": "x"}},
        {"files": {"file": b""}},
    ):
        said = post(**wrong)
        assert (said.status_code, said.json()["code"] == 200) == (200, False), wrong
    said = post(files={"file": ("x.png", PNG, "image/png")}).json()
    assert (said["code"], set(said)) == (200, {"code", "data", "message"})
    got = httpx.get(said["data"], verify=False)
    assert (got.content, got.headers["content-type"]) == (PNG, "image/png")
    assert post(files={"file": bytes(50 * 2**20 + 1)}).status_code == 413
    assert (shop.sandbox.uploads, shop.sandbox.paid) == (1, 0)


def test_the_command_uploads_and_says_what_is_wrong_with_a_file(
    shop: Shop, picture: Path, tmp_path: Path, gen302: Any
) -> None:
    shown = json.loads(gen302("run", "a fox", "-p", "frames", "--first-frame", picture, "--dry-run", "--json").stdout)
    sha256 = hashlib.sha256(PNG).hexdigest()
    assert shown["uploads"][0]["body"]["file"]["file"]["sha256"] == sha256
    assert "(the link of Frühling.png, once uploaded)" in json.dumps(shown["request"], ensure_ascii=False)
    assert shop.sandbox.requests == []
    gen302("run", "a fox", "-p", "frames", "--first-frame", picture, "-o", shop.folder)
    assert [path.suffix for path in shop.pictures()] == [".mp4"]
    assert (shop.sandbox.paid, shop.sandbox.uploads) == (1, 1)

    large = tmp_path / "large.png"
    with large.open("wb") as file:
        file.write(PNG)
        file.truncate(51 * 2**20)
    for file_name, words in (
        ("missing.png", "There is no file"),
        (large, "too large"),
        (shop.pictures()[0], "but a picture belongs there"),
    ):
        said = gen302("run", "a fox", "-p", "frames", "--first-frame", file_name, expect=2).stderr
        assert words in said
        assert "Nothing was sent" in said
    assert (shop.sandbox.paid, shop.sandbox.uploads) == (1, 1)
    shop.sandbox.fault("upload", "drop")
    link = "data:image/gif;base64,R0lGODlhAQABAAAA"
    unclear = gen302("run", "a fox", "-p", "frames", "--first-frame", link, expect=7)
    assert "No job was started" in unclear.stderr
    assert "0.001 PTC" in unclear.stderr
