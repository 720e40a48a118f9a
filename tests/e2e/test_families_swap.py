"""One request, any family that serves it: the provider's name is all that changes, over both drivers."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from ai302_core import ImageRequest, VideoRequest, registry

LANTERN = ImageRequest("a paper lantern over a canal at dusk", aspect_ratio="3:2")
BURNING = VideoRequest("a paper lantern over a canal at dusk", aspect_ratio="16:9")

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
