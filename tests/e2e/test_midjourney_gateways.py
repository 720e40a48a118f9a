"""Every operation at the self-hosted servers and at a relay, bought from the sandbox by the library."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ai302_core import (
    ImageRequest,
    JobRejected,
    NotFoundError,
    ParameterError,
    RateLimitError,
    Result,
    VideoRequest,
)
from ai302_core.sandbox import clip
from ai302_core.sandbox.media import Look
from ai302_midjourney import (
    BlendRequest,
    DescribeRequest,
    EditRequest,
    ImagineRequest,
    MotionRequest,
    RetextureRequest,
    ShortenRequest,
    SwapFaceRequest,
    SwapFaceVideoRequest,
    UploadRequest,
)


def png(colour: str = "white") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(buffer, "PNG")
    return buffer.getvalue()


def opened(open_shop: Callable[..., Any], gateway: str, **options: Any) -> tuple[Any, Any]:
    shop = open_shop(gateway=gateway, **options)
    return shop, shop.buyer(gateway=gateway)


@pytest.mark.parametrize("gateway", ["mjproxy-net", "new-api"])
def test_every_operation_of_a_gateway_with_buttons(open_shop: Callable[..., Any], gateway: str) -> None:
    shop, buyer = opened(open_shop, gateway)
    net = gateway == "mjproxy-net"

    def run(request: Any) -> Result:
        result: Result = buyer.run(request)
        return result

    grid = run(ImageRequest("a lamp"))
    assert len(grid.images) == 4
    larger = buyer.wait(buyer.act(grid.job, "upscale-2"))
    assert len(larger.images) == 1
    assert len(buyer.wait(buyer.act(larger.job, "vary-region", mask=png(), prompt="a red door")).images) == 4
    assert len(run(BlendRequest((png(), png("red")))).images) == 4
    told = run(DescribeRequest(png()))
    assert len(told.texts) == 4
    short = run(ShortenRequest("a very long prompt about a paper lantern over a canal at dusk"))
    assert (len(short.texts), "Important" in "".join(short.texts)) == (5, False)
    assert len(run(EditRequest("make it night", image=png())).images) == 4
    assert len(run(SwapFaceRequest(png(), face=png("red"))).images) == 1
    moving = run(VideoRequest("rain", first_frame=png()))
    assert len(moving.videos) == 4
    longer = buyer.wait(buyer.act(moving.job, "extend-2", motion="high"))
    assert len(longer.videos) == 4
    links = [asset.url for asset in run(UploadRequest((png(), png("red")))).images]
    assert (len(links), all(str(link).startswith("http") for link in links)) == (2, True)
    (seed,) = buyer.ask("image-seed", grid.job)
    assert str(seed).isdigit()
    paid = 10
    if net:
        picked = buyer.wait(buyer.act(short.job, "imagine-2"))
        assert len(picked.images) == 4
        assert len(run(RetextureRequest("made of glass", image=png())).images) == 4
        film = clip(Look("rain", "1", "u"), (160, 120))
        assert len(run(SwapFaceVideoRequest(film, face=png())).videos) == 1
        tasks = {task["id"]: task for task in buyer.ask("tasks")}
        assert grid.job.remote_id in tasks
        two = run(MotionRequest("rain", first_frame=png(), batch=2, resolution="720p", loop=True))
        assert len(two.videos) == 2
        filtered = run(ImagineRequest("a lamp", account_filter={"modes": ["RELAX"]}, extra={"state": "order-7"}))
        assert {task["state"] for task in buyer.ask("tasks")} >= {"order-7"}
        assert filtered.job.status == "succeeded"
        paid += 5
    else:
        with pytest.raises(NotFoundError):
            run(RetextureRequest("made of glass", image=png()))
        with pytest.raises(ParameterError, match="account_filter"):
            run(ImagineRequest("a lamp", account_filter={"modes": ["RELAX"]}))
        with pytest.raises(NotFoundError):  # the open version of the relay knows no pick; nothing is paid
            buyer.act(short.job, "imagine-2")
    assert shop.sandbox.paid == paid


def test_the_server_without_buttons(open_shop: Callable[..., Any]) -> None:
    shop, buyer = opened(open_shop, "mjproxy-java")
    grid = buyer.run(ImageRequest("a lamp"))
    assert [action.operation for action in grid.job.actions] == ["change"] * 9
    larger = buyer.act(grid.job, "U2")
    assert buyer.act(grid.job, "upscale-2").id == larger.id
    assert len(buyer.wait(larger).images) == 1
    assert len(buyer.wait(buyer.act(grid.job, "reroll")).images) == 4
    assert len(buyer.run(DescribeRequest(png())).texts) == 4
    for request in (ShortenRequest("a lamp"), VideoRequest("rain", first_frame=png())):
        with pytest.raises(NotFoundError, match="does not offer"):
            buyer.run(request)
    with pytest.raises(ParameterError, match="speed"):
        buyer.run(ImagineRequest("a lamp", speed="relax"))
    with pytest.raises(ParameterError, match="cannot cancel"):
        buyer.cancel(buyer.submit(ImageRequest("a lamp")))
    assert shop.sandbox.paid == 5


def test_imagine_all_is_one_press_and_four_jobs(open_shop: Callable[..., Any], mode: str, tmp_path: Path) -> None:
    shop = open_shop(gateway="mjproxy-net")
    buyer = shop.buyer(mode, gateway="mjproxy-net")
    told = buyer.run(DescribeRequest(png()))
    before = shop.sandbox.paid
    jobs = buyer.act_all(told.job, "imagine-all", key="four")
    assert [job.id for job in buyer.act_all(told.job, "imagine-all", key="four")] == [job.id for job in jobs]
    assert (shop.count("submit:action"), shop.sandbox.paid - before) == (1, 4)
    assert len({job.remote_id for job in jobs}) == 4
    for job in jobs:
        assert len(buyer.wait(job).images) == 4
    with pytest.raises(ParameterError, match="starts 4 jobs"):
        buyer.act(told.job, "imagine-all")


def test_a_lost_answer_to_imagine_all_is_never_sent_again(open_shop: Callable[..., Any]) -> None:
    shop, buyer = opened(open_shop, "mjproxy-net")
    told = buyer.run(DescribeRequest(png()))
    shop.sandbox.fault("submit:action", "drop")
    with pytest.raises(Exception, match="may have been accepted"):
        buyer.act_all(told.job, "imagine-all", key="four")
    again = buyer.act_all(told.job, "imagine-all", key="four")
    assert [job.status for job in again] == ["unconfirmed"] * 4
    assert shop.count("submit:action") == 1


def test_how_the_self_hosted_servers_say_no(open_shop: Callable[..., Any]) -> None:
    _, patient = opened(open_shop, "mjproxy-net", speed=0)
    job = patient.submit(ImageRequest("a lamp"))
    assert patient.cancel(job).status == "canceled"  # it says FAILURE
    shop, buyer = opened(open_shop, "mjproxy-net")
    shop.sandbox.fault("submit", "queue_full")
    assert len(buyer.run(ImageRequest("another lamp")).images) == 4  # code 9: waited, sent again
    with pytest.raises(JobRejected):  # a banned word fails the task, and not the submit
        buyer.run(ImageRequest("forbidden-word"))
    shop.sandbox.fault("submit", "queue_full", times=None)
    with pytest.raises(RateLimitError):
        buyer.submit(ImageRequest("a lamp"), timeout=0.2)
    with pytest.raises(NotFoundError):
        buyer.adopt("1234567890123456")  # 204, and an empty 200 at JAVA
    assert shop.sandbox.paid == 2
    java, other = opened(open_shop, "mjproxy-java")
    with pytest.raises(NotFoundError):
        other.adopt("1234567890123456")
    assert java.sandbox.paid == 0


@pytest.mark.parametrize("kind", ["waiting", "early", "back"])
def test_odd_courses_end_all_the_same(open_shop: Callable[..., Any], kind: str) -> None:
    shop, buyer = opened(open_shop, "302ai", speed=60.0)
    shop.sandbox.fault("submit", kind)
    seen: list[Any] = []
    result = buyer.wait(buyer.submit(ImageRequest("a lamp")), on_update=seen.append)
    assert len(result.images) == 4
    progress = [job.progress for job in seen if job.status == "running"]
    assert all(value is None or value < 1 for value in progress)
    assert shop.sandbox.paid == 1


def test_variants_an_operator_switches_on_are_data(open_shop: Callable[..., Any]) -> None:
    shop = open_shop(gateway="new-api")
    gateways = {
        "house": {
            "like": "new-api",
            "base_url": "https://mj.house.example",
            "values": {
                "speed": {"": "mj-proxy/mj", "fast": "mj-fast-proxy/mj"},
                "mode": {"": "", "fast": "FAST"},
            },
            "members": {"mode": "{mode}", "noStorage": True},
            "lacks": ["cancel", "tasks", "retexture", "swap-face-video", "imagine-all"],
            "unread": ["batch"],
        }
    }
    options = shop.options(gateway="house")
    options["config"]["gateways"] = gateways
    shop.buyers.append(type(shop.buyer(gateway="new-api"))("sync", options))
    buyer = shop.buyers[-1]
    fast = buyer.dry_run(ImagineRequest("a lamp", speed="fast", account_filter={"modes": ["FAST"]}))
    assert fast.url.endswith("/mj-fast-proxy/mj/submit/imagine")
    assert (fast.body["mode"], fast.body["noStorage"]) == ("FAST", True)
    assert fast.body["accountFilter"] == {"modes": ["FAST"]}
    plain = buyer.dry_run(ImagineRequest("a lamp"))
    assert plain.url.endswith("/mj-proxy/mj/submit/imagine")
    assert "mode" not in plain.body
    assert len(buyer.run(ImagineRequest("a lamp", speed="fast")).images) == 4
