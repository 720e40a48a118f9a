"""The catalogue of the unified image doors: true to its fact sheets, read late, a guide and never a gate."""

from __future__ import annotations

import csv
import importlib.util
import json
import subprocess
import sys
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import ai302_unified_image
from ai302_core._accounts import Account
from ai302_core._flows import planning
from ai302_core._steps import Picture
from ai302_core.errors import ParameterError
from ai302_core.jobs import Notice
from ai302_core.requests import ImageRequest
from ai302_unified_image.catalogue import DEFAULT, known

HOME = Path(__file__).parents[2] / "plugins/unified_image"
FAMILY = ai302_unified_image.ai302_family()
LINK = "https://pictures.example/a.png"
V1, V2 = "/302/image/generate", "/302/v2/image/generate"


class Key:
    source = "the test"

    def reveal(self) -> str:
        return "sk-secret"


def account(**defaults: Any) -> Account:
    gateway = FAMILY.gateways[0]
    return Account(
        name="draft", family=FAMILY, gateway=gateway, base_url=gateway.base_url or "", key=Key(), defaults=defaults
    )


def asked(
    request: ImageRequest, *, lenient: bool = False, **defaults: Any
) -> tuple[str, dict[str, Any], tuple[Notice, ...]]:
    """(path, body, warnings) of what goes out."""
    who = account(**defaults)
    made = planning.plan(who, request, lenient=lenient)
    given = {
        place: Picture(content=media, media_type="image/png") if isinstance(media, bytes) else Picture(url=str(media))
        for place, media in made.request.media()
    }
    call, warnings = planning.build(who, made, given)
    body = call.shown if call.shown is not None else json.loads(call.body or b"{}")
    return urlsplit(call.url).path, body, warnings


@cache
def builder() -> Any:
    spec = importlib.util.spec_from_file_location("build_catalogue", HOME / "build_catalogue.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def facts(name: str) -> list[dict[str, str]]:
    with (HOME / "facts" / name).open(encoding="utf-8", newline="") as sheet:
        return list(csv.DictReader(sheet))


# -- the catalogue ---------------------------------------------------------------------------------------------------


def test_the_catalogue_is_what_the_fact_sheets_make() -> None:
    assert builder().TARGET.read_text("utf-8") == builder().written()
    names = {row["model"] for sheet in ("v1-models.csv", "v2-models.csv") for row in facts(sheet)}
    assert set(known()) == names
    assert {"v1" in entry.doors for name, entry in known().items() if name.startswith("ideogram-v1")} == {True}
    models = {model.name: model for model in FAMILY.models}
    assert [name for name, model in models.items() if model.default] == [DEFAULT]
    assert {model.task for model in FAMILY.models} == {"image"}
    assert all(model.source for model in FAMILY.models)
    assert models["gemini-3-pro-image"].sizes == ("1K", "2K", "4K")
    assert models["doubao-seedream-5-0-260128"].sizes == ("2K", "4K")
    assert models["cogview-4-t2i"].sizes[:2] == ("1024x1024", "768x1344")
    assert "16:9" in models["gpt-image-2-t2i"].aspect_ratios
    needing = {row["model"] for row in facts("v1-models.csv") if row["image_required"] == "true"}
    assert {name for name, model in models.items() if model.needs_image} == needing | {
        "gpt-image-2-i2i", "gpt-image-1.5-i2i",
    }  # fmt: skip
    n = models["gpt-image-1.5-i2i"].parameters["n"]
    assert (n.least, n.most) == (1, 10)
    assert models["luma-t2i"].parameters["aspect_ratio"].instead == "Anything else silently becomes 1:1."


def test_importing_the_family_reads_no_catalogue_and_stays_light() -> None:
    code = (
        "import sys, ai302_unified_image as it; it.ai302_family(); from ai302_unified_image import catalogue; "
        "print(catalogue.known.cache_info().currsize, [name for name in "
        "('httpx', 'PIL', 'starlette', 'pydantic', 'asyncio', 'csv', 'ai302_core.sandbox') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "0 []"


@pytest.mark.parametrize("door", ["v1", "v2"])
def test_every_model_can_be_asked_for_a_picture_without_a_word_of_warning(door: str) -> None:
    for name, entry in known().items():
        if door not in entry.doors:
            continue
        images = [LINK] if entry.needs_image else []
        path, body, warnings = asked(ImageRequest("a lamp", model=f"{door}/{name}", images=images))
        assert (path, body["model"], warnings) == (V1 if door == "v1" else V2, name, ())


@pytest.mark.parametrize(
    ("model", "path"),
    [
        (None, V2), ("gpt-image-2-t2i", V2), ("302ai-sdxl-t2i", V2), ("dall-e-3-t2i", V2), ("v1/302ai-sdxl-t2i", V1),
        ("luma-t2i", V1), ("302ai-lumina-t2i", V2), ("flux-pro-1.1-t2i", V1), ("flux-2-pro", V2), ("stable-v1-t2i", V1),
        ("newcomer-1", V2), ("v1/newcomer-1", V1), ("v2/luma-t2i", V2),
    ],
)  # fmt: skip
def test_the_model_chooses_the_door_and_v2_is_preferred(model: str | None, path: str) -> None:
    found, body, _ = asked(ImageRequest("a lamp", model=model))
    assert (found, body["model"]) == (path, (model or DEFAULT).removeprefix("v1/").removeprefix("v2/"))


# -- what the service would do silently ------------------------------------------------------------------------------


def test_every_silent_replacement_of_the_page_is_refused_and_leniently_sent_with_a_warning() -> None:
    tried = 0
    for row in facts("v1-models.csv"):
        odd: dict[str, Any] = {}
        if row["aspect_ratio_supported"] == "true":
            assert (
                asked(ImageRequest("x", model=row["model"], aspect_ratio=row["aspect_ratios"].split("|")[-1]))[2] == ()
            )
            odd, fallback = {"aspect_ratio": "7:5"}, row["aspect_ratio_fallback"]
        elif row["sizes"]:
            fine = "512x768" if "side" in row["sizes"] else row["sizes"].split("|")[0]
            assert asked(ImageRequest("x", model=row["model"], size=fine))[2] == ()
            odd, fallback = {"size": "1280x577"}, row["size_fallback"]
        if not odd:
            continue
        request = ImageRequest("x", model=row["model"], **odd)
        with pytest.raises(ParameterError, match=f"silently becomes {fallback}. Nothing was sent"):
            asked(request)
        _, body, warnings = asked(request, lenient=True)
        assert [notice.field for notice in warnings] == list(odd)
        assert body.get("aspect_ratio") == odd.get("aspect_ratio")
        assert (body.get("width"), body.get("height")) == ((1280, 577) if "size" in odd else (None, None))
        tried += 1
    assert tried > 20


@pytest.mark.parametrize(
    ("fields", "field", "way"),
    [
        ({"prompt": " " * 0}, "prompt", "Say in words"),
        ({"seed": 7}, "seed", "extra={'seed'"),
        ({"size": "640x640"}, "size", "it takes an aspect_ratio and a resolution"),
        ({"resolution": "4K"}, "resolution", "takes 1K"),
        ({"aspect_ratio": "7:5"}, "aspect_ratio", "takes 1:1, 1:4"),
        ({"count": 2}, "count", "one picture a call"),
        ({"negative_prompt": "people"}, "negative_prompt", "say it in the prompt"),
        ({"mask": LINK}, "mask", "gpt-image-2-i2i takes one"),
        ({"model": "gemini-2.5-flash-image", "size": "640x640"}, "size", "it takes an aspect_ratio"),
        ({"model": "gpt-image-2-t2i", "images": LINK}, "images", "choose gpt-image-2-i2i"),
        ({"model": "gpt-image-2-i2i"}, "images", "gpt-image-2-t2i makes one from words"),
        ({"model": "gpt-image-2-t2i", "count": 11}, "count", "at most 10"),
        ({"model": "gpt-image-2-t2i", "aspect_ratio": "7:5"}, "aspect_ratio", "Say other shapes as size"),
        ({"model": "gpt-image-1.5-t2i", "size": "1000x1000"}, "size", "takes 1024x1024, 1536x1024, 1024x1536, not"),
        ({"model": "gpt-image-1.5-t2i", "resolution": "2K"}, "resolution", "say pixels as size, or an aspect_ratio."),
        ({"model": "flux-2-pro", "resolution": "2K"}, "resolution", "say pixels as size."),
        ({"model": "gemini-2.5-flash-image", "resolution": "2K"}, "resolution", "say an aspect_ratio."),
        ({"model": "doubao-seedream-5-0-260128", "size": "1024x1024"}, "size", "3686400 pixels or more"),
        ({"model": "doubao-seedream-5-0-260128", "count": 3}, "count", "one picture a call"),
        ({"model": "wan2.7-image", "resolution": "4K"}, "resolution", "takes 1K, 2K"),
        ({"model": "wan2.7-image-pro", "resolution": "4K", "images": LINK}, "resolution", "takes 1K, 2K, not"),
        ({"model": "qwen-image-3.0-pro", "images": [LINK] * 4}, "images", "at most 3"),
        ({"model": "flux-2-pro", "aspect_ratio": "1:1"}, "aspect_ratio", "as size, in pixels"),
        ({"model": "gpt-image-2-t2i", "size": "640x640", "aspect_ratio": "1:1"}, "aspect_ratio", "give one of them"),
        ({"model": "stable-sd3-i2i"}, "images", "must be given. stable-sd3-i2i changes"),
        ({"model": "stable-sd3-i2i", "images": LINK, "aspect_ratio": "1:1"}, "aspect_ratio", "is not taken"),
        ({"model": "luma-t2i", "images": [LINK, LINK]}, "images", "one picture"),
        ({"model": "luma-t2i", "mask": LINK}, "mask", "no masks"),
        ({"model": "kling-v2-t2i", "seed": 7}, "seed", "No seed of kling-v2-t2i is known"),
    ],
    ids=str,
)  # fmt: skip
def test_what_a_model_does_not_take_is_refused_with_its_own_way(fields: dict[str, Any], field: str, way: str) -> None:
    with pytest.raises(ParameterError) as caught:
        asked(ImageRequest(**{"prompt": "a lamp", **fields}))
    assert caught.value.field == field
    assert way in str(caught.value)
    assert "Nothing was sent." in str(caught.value)


def test_a_model_the_catalogue_does_not_have_is_sent_with_a_notice() -> None:
    wanted = ImageRequest(
        "a lamp", model="newcomer-1", aspect_ratio="7:5", resolution="8K", seed=7, count=3, negative_prompt="people",
        images=[LINK, LINK], mask=LINK,
    )  # fmt: skip
    _, body, warnings = asked(wanted)
    assert body == {
        "model": "newcomer-1", "prompt": "a lamp", "negative_prompt": "people", "aspect_ratio": "7:5", "size": "8K",
        "seed": 7, "n": 3, "image": [LINK, LINK], "mask_image": LINK,
    }  # fmt: skip
    assert [(notice.code, notice.field) for notice in warnings] == [("notice", "model")]
    assert "not in the catalogue of v2" in warnings[0].message


# -- shapes ----------------------------------------------------------------------------------------------------------


def test_ratios_become_the_pixels_of_the_first_party_client() -> None:
    tried = 0
    for row in facts("v2-ratio-sizes.csv"):
        names = [name for name, entry in known().items() if row["aspect_ratio"] in entry.pixels]
        for name in names:
            if not fnmatchcase(name, row["model"]) or row["resolution"] not in ("", *known()[name].resolutions):
                continue
            word = row["resolution"].lower() or None
            images = [LINK] if known()[name].needs_image else []
            _, body, warnings = asked(
                ImageRequest("x", model=name, images=images, aspect_ratio=row["aspect_ratio"], resolution=word)
            )
            assert (body["width"], body["height"]) == (int(row["width"]), int(row["height"]))
            assert not {"aspect_ratio", "size"} & set(body)
            assert warnings == ()
            tried += 1
    assert tried >= 68


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({"model": "gemini-3-pro-image", "resolution": "2k"}, {"size": "2K"}),
        ({"model": "gemini-3.1-flash-image-preview", "resolution": "512px", "aspect_ratio": "8:1"},
         {"size": "512PX", "aspect_ratio": "8:1"}),
        ({"model": "wan2.7-image", "resolution": "2K"}, {"size": "2K"}),
        ({"model": "wan2.7-image", "aspect_ratio": "1:1"}, {"width": 896, "height": 896}),
        ({"model": "doubao-seedream-5-0-260128", "resolution": "4K"}, {"width": 3840, "height": 3840}),
        ({"model": "qwen-image-3.0-pro", "size": "1000x700"}, {"width": 1000, "height": 700}),
        ({"model": "luma-t2i", "aspect_ratio": "9:21"}, {"aspect_ratio": "9:21"}),
        ({"model": "doubao-v3-t2i", "size": "256x768"}, {"width": 256, "height": 768}),
        ({"count": 1}, {}),
        ({"model": "gpt-image-2-t2i", "count": 1}, {"n": 1}),
    ],
    ids=str,
)  # fmt: skip
def test_shapes_in_each_models_own_members(fields: dict[str, Any], sent: dict[str, Any]) -> None:
    _, body, warnings = asked(ImageRequest("x", **fields))
    assert {name: value for name, value in body.items() if name not in ("model", "prompt")} == sent
    assert warnings == ()


def test_a_picture_that_is_too_large_for_its_model_is_refused_before_paying() -> None:
    small, large = b"\x89PNG" + bytes(9_900_000), b"\x89PNG" + bytes(10_000_000)
    request = ImageRequest("a lamp", model="qwen-image-3.0-pro", images=[small, LINK])
    assert len(asked(request)[1]["image"]) == 2
    with pytest.raises(ParameterError, match=r"under 10 MB, and one has 10.0 MB.*Nothing was sent"):
        asked(replace(request, images=[LINK, large]))
    assert asked(replace(request, model="wan2.7-image", images=[large]))[1]["model"] == "wan2.7-image"


@pytest.mark.parametrize(
    ("fields", "sent", "told"),
    [
        ({"model": "recraft-v3-t2i", "size": "1024x707"}, {"width": 1024, "height": 707}, ["size"]),
        ({"model": "kling-v2-t2i", "aspect_ratio": "5:4"}, {"aspect_ratio": "5:4"}, ["aspect_ratio"]),
        ({"model": "luma-t2i", "negative_prompt": "fog", "images": LINK}, {"negative_prompt": "fog", "image": LINK},
         ["negative_prompt", "images"]),
        ({"model": "luma-t2i", "aspect_ratio": "16:9"}, {"aspect_ratio": "16:9"}, []),
        ({"model": "dall-e-3-t2i", "aspect_ratio": "1:1"}, {"aspect_ratio": "1:1"}, ["aspect_ratio"]),
        ({"model": "stable-sd3-i2i", "images": LINK}, {"image": LINK}, []),
    ],
    ids=str,
)  # fmt: skip
def test_what_nothing_says_of_a_model_is_sent_and_told(fields: Any, sent: Any, told: list[str]) -> None:
    """302.AI's page says that some models take a shape or a negative prompt, and not which: no paid surprise."""
    _, body, warnings = asked(ImageRequest("x", **fields))
    assert {name: value for name, value in body.items() if name not in ("model", "prompt")} == sent
    assert [notice.field for notice in warnings] == told
    assert all("may be ignored" in notice.message for notice in warnings)


def test_defaults_for_the_shape_yield_to_what_the_call_says_of_it() -> None:
    seedream = ImageRequest("x", model="doubao-seedream-5-0-260128")
    _, body, _ = asked(replace(seedream, size="2048x2048"), aspect_ratio="16:9", resolution="4K")
    assert (body["width"], body["height"]) == (2048, 2048)
    _, body, _ = asked(replace(seedream, aspect_ratio="1:1"), size="4096x2304")
    assert (body["width"], body["height"]) == (1920, 1920)
    _, body, _ = asked(seedream, aspect_ratio="16:9")
    assert (body["width"], body["height"]) == (2624, 1472)
    assert asked(ImageRequest("x"), model="flux-dev-t2i")[:2] == (V1, {"model": "flux-dev-t2i", "prompt": "x"})
