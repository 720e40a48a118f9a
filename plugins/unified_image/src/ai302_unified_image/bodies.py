"""From a request to the members the unified image doors take, and what a model does not take."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ai302_core.errors import ParameterError
from ai302_core.family import ImageRequest, Rule

from .catalogue import DEFAULT, Entry, find, known

__all__ = ["said", "v1", "v1_rules", "v2", "v2_rules"]

_SMALL_WITH_IMAGE = "wan2.7-image-pro"
"""Takes no 4K beside a picture (302.AI's command line 1.0.5, 2026-11-21)."""


def named(request: ImageRequest) -> str:
    """The model as the wire has it; "v1/" and "v2/" in front of a name choose the door."""
    model = request.model or DEFAULT
    return model[3:] if model.startswith(("v1/", "v2/")) else model


def said(request: Any) -> dict[str, Any]:
    """Fields that others already say: a size in pixels says shape and resolution, those two say the size."""
    if request.size is not None:
        return {name: "size" for name in ("aspect_ratio", "resolution") if getattr(request, name) is None}
    return {"size": "aspect_ratio"} if request.aspect_ratio or request.resolution else {}


def v1(request: ImageRequest) -> dict[str, Any]:
    """Body of POST /302/image/generate (wire/302ai.md 3.1, 2026-11-21)."""
    return _body(request, find(named(request), "v1"))


def v2(request: ImageRequest) -> dict[str, Any]:
    """Body of POST /302/v2/image/generate (wire/302ai.md 3.3, 2026-11-21)."""
    return _body(request, find(named(request), "v2"))


def _body(request: ImageRequest, entry: Entry | None) -> dict[str, Any]:
    images = list(request.images)
    if entry is not None and entry.largest:
        _not_too_large(images, entry)
    counted = entry is None or "n" in entry.parameters
    return {
        "model": named(request),
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt,
        **_shape(request, entry),
        "seed": request.seed,
        # Where one picture a call is all there is, one is not said; another number goes out leniently, with a warning.
        "n": request.count if counted or request.count != 1 else None,
        # One as a text, several as a list, as 302.AI's own client does (wire/302ai.md 3.3).
        "image": images[0] if len(images) == 1 else images or None,
        "mask_image": request.mask,
    }


def _not_too_large(images: Iterable[Any], entry: Entry) -> None:
    """Raises ParameterError for a picture from this machine that the model would not take."""
    for picture in images:
        head, _, content = str(picture).partition(",")
        size = len(content) * 3 // 4
        if head.startswith("data:") and size >= entry.largest:
            raise ParameterError(
                f"images: {entry.name} takes pictures under {entry.largest / 1e6:.0f} MB, and one has "
                f"{size / 1e6:.1f} MB. Make it smaller. Nothing was sent.",
                field="images",
            )


def _shape(request: ImageRequest, entry: Entry | None) -> dict[str, Any]:
    size, ratio, word = request.size, request.aspect_ratio, request.resolution
    shapes: Mapping[str, Mapping[str, tuple[int, int]]] = entry.pixels if entry else {}
    known_words = entry.resolutions if entry else ()
    word = next((known for known in known_words if word and known.casefold() == word.casefold()), word)
    if size is None and (ratio or word) and not (word and not ratio and _says_words(entry)):
        by_word = shapes.get(ratio or "1:1", {})
        size = by_word.get(word or "", next(iter(by_word.values()), None) if word is None else None)
        if size is not None:
            ratio = word = None
    width, height = size if isinstance(size, tuple) else (None, None)
    return {"width": width, "height": height, "aspect_ratio": ratio, "size": word}


def _says_words(entry: Entry | None) -> bool:
    """Whether the member `size` itself takes a resolution's word."""
    return entry is not None and any(word in entry.resolutions for word in entry.parameters.get("size", Rule()).allowed)


def v1_rules(request: ImageRequest) -> dict[str, Rule]:
    """What v1 does with the fields. The catalogue guides: a model it does not have is sent, with a notice."""
    rules = _rules(request, "v1")
    if request.mask is not None:
        rules["mask"] = Rule(taken=False, instead="v1 knows no masks; gpt-image-2-i2i takes one.")
    if request.images and not rules.get("images", Rule()).required:
        rules["images"] = replace(rules.get("images", Rule()), most=1, instead="v1 takes one picture.")
    return rules


def v2_rules(request: ImageRequest) -> dict[str, Rule]:
    """What v2 does with the fields. The catalogue guides: a model it does not have is sent, with a notice."""
    return _rules(request, "v2")


def _rules(request: ImageRequest, door: str) -> dict[str, Rule]:
    name = named(request)
    entry = find(name, door)
    rules = {"prompt": Rule(required=True, instead="Say in words what to make.")}
    if entry is None:
        text = f"{name} is not in the catalogue of {door}; it is sent as it is, fields under their usual names."
        text += f" The other endpoint has it: leave {door}/ out." if name in known() else ""
        return {**rules, "model": Rule(notice=text)}
    rules |= _pictures(entry, request)
    rules |= _pixels(entry, request)
    takes = entry.parameters
    if not entry.complete or "seed" not in takes:
        rules["seed"] = Rule(taken=False, instead=f"No seed of {name} is known; extra={{'seed': …}} goes untouched.")
    if entry.complete and "negative_prompt" not in takes:
        rules["negative_prompt"] = Rule(taken=False, instead=f"{name} has no such member; say it in the prompt.")
    if not entry.complete:
        rules |= _unstated(entry, request, rules)
    one = Rule(allowed=(1,), instead=f"{name} makes one picture a call; ask again for more.")
    # A number that begins with two is an upper bound of a series, not how many there will be.
    rules["count"] = takes["n"] if "n" in takes and takes["n"].least != 2 else one
    return rules


def _unstated(entry: Entry, request: ImageRequest, rules: Mapping[str, Rule]) -> dict[str, Rule]:
    """Fields that 302.AI's page says some models take, and not which (wire/302ai.md 3.1, 2026-11-21): sent and told."""
    takes = entry.parameters
    stated = {
        "aspect_ratio": "aspect_ratio" in takes,
        "size": "size" in takes or "width" in takes,
        "negative_prompt": False,
        "images": entry.needs_image,
    }
    return {
        name: replace(
            rules.get(name, Rule()),
            notice=f"whether {entry.name} takes {name} is documented nowhere; it is sent, and may be ignored.",
        )
        for name, known_of in stated.items()
        if not known_of and getattr(request, name)
    }


def _pictures(entry: Entry, request: ImageRequest) -> dict[str, Rule]:
    takes, stem = entry.parameters, entry.name.rpartition("-")[0]
    if not entry.complete:
        needed = Rule(required=True, most=1, instead=f"{entry.name} changes a picture.")
        return {"images": needed} if entry.needs_image else {}
    rules = {}
    if "image" not in takes:
        other = f"{stem}-i2i" if f"{stem}-i2i" in known() else DEFAULT
        rules["images"] = Rule(taken=False, instead=f"{entry.name} makes pictures from words; choose {other}.")
    elif takes["image"].required:
        rules["images"] = Rule(
            required=True, instead=f"{entry.name} changes a picture; {stem}-t2i makes one from words."
        )
    else:
        rules["images"] = takes["image"]
    if "mask" in takes:
        # Vendors differ in what a mask repaints, and nothing says that 302.AI turns one into the other.
        rules["mask"] = Rule(
            notice=f"{entry.name}'s vendor repaints where a mask is transparent, elsewhere white is repainted; "
            "the mask is sent as it is."
        )
    else:
        rules["mask"] = Rule(taken=False, instead=f"{entry.name} knows no masks; gpt-image-2-i2i takes one.")
    return rules


def _pixels(entry: Entry, request: ImageRequest) -> dict[str, Rule]:
    """Rules for size, aspect_ratio and resolution, of those that are set."""
    rules = {}
    if request.size is not None:
        rules["size"] = _size(entry, request)
        if request.aspect_ratio is not None or request.resolution is not None:
            twice = Rule(taken=False, instead="size already says the pixels; give one of them.")
            return {**rules, "aspect_ratio": twice, "resolution": twice}
    if request.aspect_ratio is not None:
        rules["aspect_ratio"] = _ratio(entry)
    if request.resolution is not None:
        words = entry.resolutions
        if entry.name == _SMALL_WITH_IMAGE and request.images:
            words = tuple(word for word in words if word != "4K")
        ways = [
            way
            for way, open_ in (("pixels as size", _pixels_taken(entry)), ("an aspect_ratio", _ratio(entry).taken))
            if open_
        ]
        unknown = Rule(taken=False, instead=f"{entry.name} has no words for it; say {', or '.join(ways)}.")
        rules["resolution"] = Rule(allowed=words) if words else unknown
    return rules


def _ratio(entry: Entry) -> Rule:
    rule = entry.parameters.get("aspect_ratio")
    if entry.pixels:
        return Rule(allowed=tuple(entry.pixels), instead="Say other shapes as size, in pixels.")
    if rule is None and entry.complete:
        return Rule(taken=False, instead="Say the shape as size, in pixels.")
    return rule or Rule()


def _pixels_taken(entry: Entry) -> bool:
    """Whether it makes the pixels that it is asked for."""
    return not entry.complete or ("width" in entry.parameters and not (entry.resolutions and not entry.pixels))


def _size(entry: Entry, request: ImageRequest) -> Rule:
    takes = entry.parameters
    if not _pixels_taken(entry):
        own = "an aspect_ratio and a resolution" if entry.resolutions else "an aspect_ratio"
        return Rule(taken=False, instead=f"{entry.name} chooses the pixels; it takes {own}.")
    if entry.sizes and not (entry.complete and takes["size"].instead):
        return Rule(allowed=entry.sizes, instead=takes["size"].instead)
    sides = request.size if isinstance(request.size, tuple) else ()
    if math.prod(sides) < (takes.get("size", Rule()).least or 0):
        return Rule(allowed=(f"{takes['size'].least} pixels or more",))
    side = takes.get("width", Rule())
    least, most = side.least or 1, side.most or float("inf")
    if all(least <= pixels <= most for pixels in sides):
        return Rule()
    return Rule(allowed=(f"sides of {least:g} to {most:g} pixels",), instead=side.instead)
