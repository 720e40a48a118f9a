"""Clips of Veo, sync and async, over real sockets: paid once, playable files on disk, failures told."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ai302_core import VideoRequest, connect
from ai302_core.cli import main
from ai302_core.errors import BalanceError, JobRejected, NotFoundError, ServerError

Shop = Any
LINK = "https://pictures.example/a.png"
CLIPS: dict[str, dict[str, Any]] = {
    "": {"aspect_ratio": "9:16", "duration": 8, "resolution": "720p", "audio": True},
    "veo2": {"duration": 6},
    "veo2-i2v": {"first_frame": LINK},
    "veo3": {"aspect_ratio": "1:1"},
    "veo3-pro": {},
    "veo3-fast-frames": {"first_frame": LINK},
    "veo3.1": {"first_frame": LINK},
    "google/veo3.1/image-to-video": {"first_frame": LINK, "seed": 7},
}


def clips(shop: Shop, mode: str) -> Any:
    return shop.buyer(mode, provider={"family": "veo"})


@pytest.mark.parametrize("model", CLIPS, ids=lambda model: model or "default")
def test_a_clip_is_paid_once_and_saved(shop: Shop, mode: str, model: str) -> None:
    request = VideoRequest("a paper boat", model=model or None, **CLIPS[model])
    result = clips(shop, mode).run(request, key="boat", save_to=shop.folder)
    again = clips(shop, mode).run(request, key="boat", save_to=shop.folder)
    assert (shop.sandbox.paid, again.job.id, again.files) == (1, result.job.id, result.files)
    (path,) = result.files
    content = path.read_bytes()
    assert content[4:8] == b"ftyp"
    assert b"moov" in content
    assert b"avc1" in content
    assert path.suffix == ".mp4"
    assert len(result.videos) == 1
    assert not any("/v1/veo" in seen.path for seen in shop.sandbox.requests)
    enlarged = model in ("veo3-pro", "veo3-fast-frames")
    assert [asset.role for asset in result.assets] == ["final", *(["original", "prompt"] if enlarged else [])]


def test_failures_and_refusals_are_told_and_paid_for_once(shop: Shop, mode: str) -> None:
    buyer = clips(shop, mode)
    for model in ("google-veo3.1-t2v", "veo3", "veo3-pro", "veo3.1", "google/veo3"):
        with pytest.raises(JobRejected, match="safety"):
            buyer.run(VideoRequest("a forbidden-word", model=model))
    assert shop.sandbox.paid == 5
    with pytest.raises(ServerError) as unknown:
        buyer.run(VideoRequest("a boat", model="google-veo9"))
    assert (unknown.value.billed, shop.sandbox.paid) == ("no", 5)


def test_no_balance_is_no_job(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop(balance=Decimal(0))
    with pytest.raises(BalanceError):
        clips(shop, "sync").run(VideoRequest("a boat", model="veo3-pro"))
    assert shop.sandbox.paid == 0


def test_the_unified_door_takes_forms_and_older_names(shop: Shop) -> None:
    """(wire/302ai.md 4.1) For other clients: pictures as files, names without case and with older endings."""
    import httpx

    with httpx.Client(base_url=shop.sandbox.url, headers={"Authorization": f"Bearer {shop.sandbox.key}"}) as client:
        said: dict[str, Any] = {
            "model": (None, "google-veo3.1-i2v"),
            "prompt": (None, "it sails"),
            "image": ("a.png", b"\x89PNG\r\n\x1a\n"),
        }
        task = client.post("/302/v2/video/create", files=said).json()["task_id"]
        assert client.get(f"/302/v2/video/fetch/{task}").json()["mode"] == "i2v"
        for name in ("google-veo3-t2v", "Google_Veo3_Fast_I2V"):
            assert client.post("/302/v2/video/create", json={"model": name, "prompt": "a boat"}).status_code == 200
        del said["image"]
        assert client.post("/302/v2/video/create", files=said).status_code == 400
    assert shop.sandbox.paid_by == {("veo", "unified"): 3}


def test_a_task_of_any_door_is_taken_up_by_its_id_alone(shop: Shop, mode: str) -> None:
    """Paid by another tool, at a door that nobody remembers: each address is asked, which is free."""
    import httpx

    doors: dict[str, tuple[str, dict[str, str], str]] = {
        "veo3-pro": ("/302/submit/veo3-pro", {"text_prompt": "a boat"}, "task_id"),
        "veo3-v2": ("/302/submit/veo3-v2", {"prompt": "a boat", "model": "veo3.1"}, "data"),
        "unified": ("/302/v2/video/create", {"prompt": "a boat", "model": "google-veo3.1-t2v"}, "task_id"),
    }
    buyer = clips(shop, mode)
    with httpx.Client(base_url=shop.sandbox.url, headers={"Authorization": f"Bearer {shop.sandbox.key}"}) as client:
        for path, body, name in doors.values():
            job = buyer.adopt(client.post(path, json=body).json()[name])
            assert len(buyer.wait(job).videos) == 1
            assert doors[job.operation][0] == path
    with pytest.raises(NotFoundError):
        buyer.adopt("veo3-pro:11111111-2222-4333-8444-555555555555")
    assert shop.sandbox.paid == len(doors)


def test_the_command_makes_a_clip(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    Path("gen302.toml").write_text('[providers.clips]\nfamily = "veo"\npoll = { initial = 0.1 }\n', "utf-8")
    assert main(["run", "a paper boat", "-p", "clips", "-o", "shots", "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    (path,) = told["files"]
    assert Path(path).read_bytes()[4:8] == b"ftyp"
    assert shop.sandbox.paid_by == {("veo", "unified"): 1}
    assert main(["run", "a boat", "-p", "clips", "--op", "veo3", "--dry-run", "--json"]) == 0
    assert "/302/submit/veo3" in capsys.readouterr().out
    assert main(["run", "a boat", "-p", "clips", "--op", "veo3-v2", "--dry-run"]) == 2
    assert main(["run", "a boat", "-p", "clips", "--op", "veo3", "--model", "veo2", "--dry-run"]) == 2
    with connect("clips") as provider:
        assert len(provider.models()) == 25
