"""Which models there are, what each takes, and what becomes of a request that names none. Data, and the rules of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from ai302_core.errors import ParameterError
from ai302_core.family import Model, Rule

_WIDE = ("16:9", "9:16")
_CLI = "302.AI's own command 1.0.5, parameter file"
_OLDER = "302.AI's own command 1.0.0 and its web app of 2025-11"
_APP = "302.AI's web app of 2025-11"
_PAGE = "302.AI's page of this door"
_CLIENTS = "302.AI's apps and other clients"


@dataclass(frozen=True)
class Facts:
    """What one model takes beside the prompt.

    frame     first_frame: "" not taken, "may", "must"
    more      other fields that are taken as they are
    doubtful  fields that clients send though no page of 302.AI lists them for this model
    """

    source: str
    ratios: tuple[str, ...] = ()
    seconds: tuple[int, ...] = ()
    resolutions: tuple[str, ...] = ()
    frame: str = ""
    more: tuple[str, ...] = ()
    doubtful: tuple[str, ...] = ()


_FULL: dict[str, Any] = {"resolutions": ("720p", "1080p"), "more": ("audio", "negative_prompt")}
_V2_TEXT: dict[str, Any] = {
    "ratios": _WIDE, "seconds": (4, 6, 8), "more": ("enhance_prompt",), "doubtful": ("aspect_ratio", "duration"),
}  # fmt: skip
_V2_FRAMES: dict[str, Any] = {**_V2_TEXT, "frame": "must"}
_V2_BOTH: dict[str, Any] = {**_V2_TEXT, "frame": "may", "doubtful": ("duration",)}
_MOUNTED: dict[str, Any] = {
    "ratios": _WIDE, "seconds": (4, 6, 8), "resolutions": ("720p", "1080p"),
    "more": ("audio", "negative_prompt", "seed"),
}  # fmt: skip

MODELS: Mapping[str, Facts] = {
    # (wire/302ai.md 2.7 and v2-video-models.csv, 2026-11-21)
    "google-veo3.1-t2v": Facts(_CLI, _WIDE, (4, 6, 8), **_FULL),
    "google-veo3.1-i2v": Facts(_CLI, _WIDE, (4, 6, 8), frame="must", **_FULL),
    "google-veo3.1-r2v": Facts(_CLI, resolutions=("720p", "1080p"), more=("references", "audio", "negative_prompt")),
    "google-veo3.1": Facts(_OLDER, _WIDE, frame="may", more=("enhance_prompt",)),
    "google-veo3.1-pro": Facts(_OLDER, _WIDE, frame="may", more=("enhance_prompt",)),
    "google-veo3": Facts(_APP, ("1:1", *_WIDE), more=("enhance_prompt", "audio")),
    "google-veo3-fast": Facts(_APP, frame="may"),
    "google-veo3-pro": Facts(_APP, frame="may"),
    # (2.2 and 2.3)
    "veo2": Facts(_PAGE, _WIDE, (5, 6, 7, 8)),
    "veo2-i2v": Facts(_PAGE + ", by its place alone", _WIDE, (5, 6, 7, 8), frame="must"),
    "veo3": Facts(_CLIENTS, (*_WIDE, "1:1"), more=("enhance_prompt", "audio")),
    # (2.4) No ratio, duration or seed is known for these four.
    "veo3-fast": Facts(_CLIENTS),
    "veo3-fast-frames": Facts(_CLIENTS, frame="must"),
    "veo3-pro": Facts(_PAGE),
    "veo3-pro-frames": Facts(_CLIENTS, frame="must"),
    # (2.5)
    "veo3-v2/veo3": Facts(_PAGE, **_V2_TEXT),
    "veo3-v2/veo3-fast": Facts(_PAGE, **_V2_TEXT),
    "veo3-v2/veo3-fast-frames": Facts(_PAGE, **_V2_FRAMES),
    "veo3-v2/veo3-pro": Facts(_PAGE, **_V2_TEXT),
    "veo3-v2/veo3-pro-frames": Facts(_PAGE, **_V2_FRAMES),
    "veo3-v2/veo3.1": Facts(_PAGE, **_V2_BOTH),
    "veo3-v2/veo3.1-pro": Facts(_PAGE, **_V2_BOTH),
    # (2.6)
    "google/veo3": Facts(_CLIENTS, **_MOUNTED),
    "google/veo3.1/text-to-video": Facts(_CLIENTS, **_MOUNTED),
    "google/veo3.1/image-to-video": Facts(_CLIENTS, frame="must", **_MOUNTED),
}
_OPTIONAL = (
    "negative_prompt", "aspect_ratio", "resolution", "duration", "seed", "audio", "first_frame", "last_frame",
    "references", "video", "enhance_prompt",
)  # fmt: skip
_PROMPT = Rule(required=True, instead="Say in words what to make.")
# The unified door has a member for it (4.1), though no model of Veo there is known to read one.
_VIDEO = Rule(taken=False, instead="No Veo model at 302.AI is known to take one; extra={'video': …} goes untouched.")


def chosen(request: Any) -> str:
    """The model, as its service spells it: the one asked for, else by the pictures of the request.

    The newest of the unified video door, which 302.AI's own command offers today: they take most of what a request
    can say, and pictures from this machine without an upload.
    """
    if request.model:
        return str(request.model)
    kind = "r2v" if request.references else "t2v" if request.first_frame is None else "i2v"
    return f"google-veo3.1-{kind}"


def facts(model: str) -> Facts | None:
    """What is known of a model; None for one that is not."""
    if model in MODELS or model.startswith("veo3.1"):
        return MODELS.get(model) or MODELS.get(f"veo3-v2/{model}")
    # (4.1) The unified door reads names without case, - and _ as the same, and takes the endings of older names. An
    # exact name goes first: google-veo3.1-t2v is another model than google-veo3.1.
    plain = model.lower().replace("_", "-")
    short = re.sub(r"-[tiv]2v$", "", plain)
    return next((MODELS[name] for name in (plain, short) if name.startswith("google-") and name in MODELS), None)


def rules(request: Any) -> Mapping[str, Rule]:
    """What the model of a request takes; an unknown model is sent as it is. Raises ParameterError."""
    model = chosen(request)
    if model == "veo3-v2":
        raise ParameterError(
            'model: "veo3-v2" is an endpoint with several models; say which, such as "veo3-v2/veo3-pro" or "veo3.1". '
            "Nothing was sent.",
            field="model",
        )
    known = facts(model)
    if known is None:
        notice = f"{model!r} is not known here; it is sent as it is, its fields unchecked."
        return {"prompt": _PROMPT, "model": Rule(notice=notice), "video": _VIDEO}
    found = {"prompt": _PROMPT} | {name: _rule(known, model, name) for name in _OPTIONAL}
    if "references" in known.more:
        found["references"] = Rule(required=True, instead=f"{model} makes clips of reference pictures.")
    return found


def _takes(known: Facts, name: str) -> bool:
    """Whether a model takes a field."""
    listed: Mapping[str, object] = {
        "aspect_ratio": known.ratios, "duration": known.seconds, "resolution": known.resolutions,
        "first_frame": known.frame,
    }  # fmt: skip
    return bool(listed[name]) if name in listed else name in known.more


@lru_cache(1000)  # asked for each such field at each submit, and comparing names is slow
def _other_way(model: str, name: str) -> str:
    """Who takes a field that this model does not take: the models of the nearest names."""
    taking = [entry for entry, known in MODELS.items() if _takes(known, name)]
    if not taking:
        return f"{model} has no such member. No Veo model at 302.AI is known to take one."
    near = ", ".join(get_close_matches(model, taking, 3, 0.0))
    return f"{model} has no such member. Models that take one: {near}."


def _rule(known: Facts, model: str, name: str) -> Rule:
    if name == "video":
        return _VIDEO
    if not _takes(known, name):
        return Rule(taken=False, instead=_other_way(model, name))
    allowed: Mapping[str, tuple[Any, ...]] = {
        "aspect_ratio": known.ratios, "duration": known.seconds, "resolution": known.resolutions,
    }  # fmt: skip
    notice = f"{name} is not documented for {model}; it may be ignored." if name in known.doubtful else ""
    if name == "first_frame":
        return Rule(required=known.frame == "must", instead=f"{model} starts from a picture.")
    return Rule(least=-1) if name == "seed" else Rule(allowed=allowed.get(name, ()), notice=notice)


CATALOGUE = tuple(
    Model(
        name=name,
        task="video",
        aspect_ratios=known.ratios,
        sizes=known.resolutions,
        durations=tuple(float(second) for second in known.seconds),
        needs_image=known.frame == "must" or "references" in known.more,
        default=name == "google-veo3.1-t2v",
        source=f"{known.source}; read 2026-11-21",
    )
    for name, known in MODELS.items()
)
