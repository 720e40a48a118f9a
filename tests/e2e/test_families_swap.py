"""One request, any family that serves it: the provider's name is all that changes, over both drivers."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from ai302_core import ImageRequest, VideoRequest, registry
from ai302_core.errors import Ai302Error, ConfigError
from ai302_core.sandbox import Look, tile

LANTERN = ImageRequest("a paper lantern over a canal at dusk", aspect_ratio="3:2")
BURNING = VideoRequest("a paper lantern over a canal at dusk", aspect_ratio="16:9")

PNG = tile(Look("a lamp", "1", "seed"), (64, 64))
FAMILIES = sorted({entry.name for entry in registry.installed()} & {"midjourney", "unified_image", "veo"})


def configured(shop: Any, default: str) -> dict[str, Any]:
    """Three providers; only `default` changes."""
    fast = {"base_url": shop.sandbox.url, "poll": {"initial": 0.05, "maximum": 0.1}}
    names = {"hero": "midjourney", "draft": "unified_image", "clips": "veo"}
    return {"default": default, "providers": {name: {"family": names[name], **fast} for name in names}}


@pytest.mark.parametrize("name", ["hero", "draft"])
def test_a_picture(shop: Any, mode: str, name: str) -> None:
    buyer = shop.buyer(mode, config=configured(shop, name))
    shown = buyer.dry_run(LANTERN)
    assert "***" in shown.headers.values()
    assert "paper lantern" in str(shown.body)
    result = buyer.run(LANTERN, key="lantern", save_to=shop.folder)
    assert result.job.provider == name
    assert result.images
    assert not result.videos
    assert len(shop.pictures()) == len(result.images) == len(result.files)
    assert shop.sandbox.paid == 1
    # The key names the intention, whoever serves it.
    other = {"hero": "draft", "draft": "hero"}[name]
    assert shop.buyer(mode, config=configured(shop, other)).submit(LANTERN, key="lantern").id == result.job.id
    assert shop.sandbox.paid == 1
    if name == "draft":
        assert result.job.cost_request_ids
    observed = buyer.cost(result.job).observed
    assert observed is not None
    assert observed.amount == 1000 - shop.sandbox.balance


@pytest.mark.skipif("veo" not in FAMILIES, reason="the family veo is not installed")
def test_a_clip(shop: Any, mode: str) -> None:
    buyer = shop.buyer(mode, config=configured(shop, "clips"))
    result = buyer.run(BURNING, save_to=shop.folder)
    assert (result.job.family, len(result.videos), shop.sandbox.paid) == ("veo", 1, 1)
    assert shop.pictures()[0].read_bytes()[4:8] == b"ftyp"
    observed = buyer.cost(result.job).observed
    assert observed is not None
    assert observed.amount == 1000 - shop.sandbox.balance


def test_models_of_all(shop: Any, mode: str) -> None:
    config = configured(shop, "hero")
    count = Counter[str]()
    for name, family in (("hero", "midjourney"), ("draft", "unified_image")):
        models = shop.buyer(mode, config={**config, "default": name}).models()
        count[family] = len(models)
        assert all(model.name for model in models)
    assert count["unified_image"] > 50
    both = shop.buyer(mode, config={**config, "default": {"image": "draft", "video": "hero"}}).models()
    assert len(both) == count.total()


OWN = """
from ai302_core.family import Family, Operation, VideoRequest, field, get, hookimpl, post, video

@hookimpl
def ai302_family():
    clip = Operation("film", request=VideoRequest, submit=post("/v1/video"), body={"text": field("prompt")},
                     poll=get("/v1/video/{job_id}"), assets=(video("url"),))
    return Family("reel", api=1, base_url="https://api.reel.example", operations=(clip,))
"""


def test_a_family_answers_at_its_own_address(shop: Any, install: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that names no gateway: its own address is used, and only the key meant for it goes there."""
    install("reel", OWN)
    monkeypatch.delenv("GEN302_SANDBOX")
    monkeypatch.setenv("AI302_API_KEY", "sk-common")
    config: dict[str, Any] = {"providers": {"reel": {"family": "reel"}}}
    clip = VideoRequest("a boat")
    buyer = shop.buyer(config=config)
    assert buyer.dry_run(clip).url == "https://api.reel.example/v1/video"
    with pytest.raises(ConfigError, match=r"302\.AI's own hosts only"):
        buyer.submit(clip)
    config["gateways"] = {"mine": {"like": "302ai", "auth": "X-Key: {key}"}}
    config["providers"]["reel"]["gateway"] = "mine"
    assert shop.buyer(config=config).dry_run(clip).url == "https://api.reel.example/v1/video"


def test_where_nobody_is_named(shop: Any, mode: str) -> None:
    """A family's own request and operation find the only one that has them; what several serve is asked about."""
    fast = {"base_url": shop.sandbox.url, "poll": {"initial": 0.05, "maximum": 0.1}}
    providers = {name: {"family": name, **fast} for name in ("midjourney", "unified_image")}
    buyer = shop.buyer(mode, config={"providers": providers})
    with pytest.raises(ConfigError, match="There are midjourney, unified_image") as caught:
        buyer.submit(LANTERN)
    assert 'connect("midjourney")' in caught.value.hint
    assert 'default = "midjourney"' in caught.value.hint
    assert shop.sandbox.requests == []
    own = registry.load("midjourney").operation("describe")
    describe: Any = own.request if own is not None else None
    job = buyer.submit(describe(PNG))
    assert (job.provider, shop.sandbox.paid) == ("midjourney", 1)
    other = shop.buyer(mode, config={"providers": providers}, ledger=f"sqlite:///{(shop.home / 'two.db').as_posix()}")
    assert other.adopt(job.remote_id, "describe").provider == "midjourney"
    with pytest.raises(ConfigError, match="Which"):
        other.adopt(job.remote_id)
    misspelt = shop.buyer(mode, config={"providers": providers, "default": "midjurney"})
    with pytest.raises(ConfigError, match="midjurney"):
        misspelt.submit(describe(PNG))
    assert shop.sandbox.paid == 1


def test_a_mistyped_model_is_told_its_neighbour(shop: Any, mode: str) -> None:
    """Before the payment as a warning; once more where the service knows no such model."""
    request = ImageRequest("a lantern", model="gemini-3.1-flash-lite-imag")
    buyer = shop.buyer(mode, config=configured(shop, "draft"))
    (notice,) = buyer.dry_run(request).warnings
    assert notice.message.endswith("Did you mean 'gemini-3.1-flash-lite-image'?")
    with pytest.raises(Ai302Error) as caught:
        buyer.submit(request)
    assert "Did you mean 'gemini-3.1-flash-lite-image'?" in caught.value.hint
    assert (caught.value.billed, shop.sandbox.paid) == ("no", 0)
