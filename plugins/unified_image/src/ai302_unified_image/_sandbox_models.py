"""What the emulated doors make of a body: sizes, silent replacements, refusals (wire/302ai.md 3.2, 2026-11-21)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from ai302_core.family import Rule
from ai302_core.sandbox import data_link, picture_size

from .catalogue import Entry

__all__ = ["count_of", "effective_v1", "images_of", "pixels_v1", "pixels_v2", "unusable"]

_WORDS = {"512PX": 512, "1K": 1024, "2K": 2048, "4K": 4096}
_LARGEST = 6144
_INSTEAD = re.compile(r"silently becomes ([\w:]+)")


def _instead(rule: Rule) -> str:
    found = _INSTEAD.search(rule.instead or "")
    return found[1] if found else ""


def effective_v1(entry: Entry | None, body: Mapping[str, Any]) -> dict[str, Any]:
    """The shape a v1 model really gets: what it does not take is replaced, and nobody is told."""
    shape = {name: body[name] for name in ("width", "height", "aspect_ratio") if body.get(name) is not None}
    takes = entry.parameters if entry else {}
    ratio, size, side = (takes.get(name, Rule()) for name in ("aspect_ratio", "size", "width"))
    if not ratio.taken:
        shape.pop("aspect_ratio", None)
    elif ratio.allowed and shape.get("aspect_ratio", "1:1") not in ratio.allowed:
        shape["aspect_ratio"] = _instead(ratio)
    width, height = (int(shape.get(name, 1024)) for name in ("width", "height"))
    if size.allowed and f"{width}x{height}" not in size.allowed:
        width, height = map(int, _instead(size).split("x"))
    if side.least is not None and side.most is not None:
        least, most, other = side.least, side.most, int(_instead(side))
        width, height = (pixels if least <= pixels <= most else other for pixels in (width, height))
    if {"width", "height"} & shape.keys() or size.allowed or side.least is not None:
        shape |= {"width": width, "height": height}
    return shape


def pixels_v1(shape: Mapping[str, Any]) -> tuple[int, int]:
    """The pixels of an effective shape."""
    if "width" in shape:
        return int(shape["width"]), int(shape["height"])
    return _by_ratio(shape.get("aspect_ratio"), 1024)


def pixels_v2(entry: Entry | None, body: Mapping[str, Any]) -> tuple[int, int]:
    """The pixels a v2 model makes of a body."""
    words = entry.resolutions if entry else ()
    size, ratio = str(body.get("size") or ""), str(body.get("aspect_ratio") or "")
    native = words and entry is not None and not entry.pixels
    if not native and (body.get("width") or body.get("height")):
        return int(body.get("width") or 1024), int(body.get("height") or 1024)
    if pair := re.fullmatch(r"(\d+)[x*](\d+)", size):
        return int(pair[1]), int(pair[2])
    if entry is not None and ratio in entry.pixels:
        return next(iter(entry.pixels[ratio].values()))
    return _by_ratio(ratio, _WORDS.get(size.upper(), 2048 if entry and entry.name.startswith("doubao-see") else 1024))


def _by_ratio(ratio: object, base: int) -> tuple[int, int]:
    sides = re.fullmatch(r"(\d+):(\d+)", str(ratio))
    part = math.sqrt(int(sides[1]) / int(sides[2])) if sides and int(sides[1]) and int(sides[2]) else 1.0
    return max(1, round(base * part)), max(1, round(base / part))


def count_of(entry: Entry | None, body: Mapping[str, Any]) -> int:
    """How many pictures a v2 model makes."""
    takes = entry is None or "n" in entry.parameters
    series = entry is None or entry.parameters.get("n", Rule()).least != 2 or "sequential_image_generation" in body
    number = body.get("n")
    return min(number, 15) if takes and series and isinstance(number, int) and number > 0 else 1


def images_of(body: Mapping[str, Any]) -> list[Any]:
    """The pictures of a body: one as a text, or several as a list."""
    given = body.get("image")
    return given if isinstance(given, list) else [] if given in (None, "") else [given]


def unusable(entry: Entry | None, body: Mapping[str, Any], size: tuple[int, int]) -> str:
    """Why a body cannot be done, or ""."""
    if not isinstance(body.get("prompt"), str) or not body["prompt"].strip():
        return "prompt is required"
    images = images_of(body)
    takes = entry.parameters.get("image", Rule()) if entry else Rule()
    if takes.required and not images:
        return "image is required"
    if takes.most is not None and len(images) > takes.most:
        return f"at most {takes.most:g} images"
    masks = [body["mask_image"]] if body.get("mask_image") is not None else []
    if not all(map(_is_picture, (*images, *masks))):
        return "image must be a link, or base64 with its data: head"
    return f"no side may exceed {_LARGEST}" if max(size) > _LARGEST or min(size) < 1 else ""


def _is_picture(given: object) -> bool:
    if not isinstance(given, str):
        return False
    link = data_link(given)
    return given.startswith(("http://", "https://")) if link is None else picture_size(link[1]) is not None
