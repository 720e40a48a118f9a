"""Which models there are, what each takes, and what becomes of a request that names none. Data, and the rules of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
    "references", "enhance_prompt",
)  # fmt: skip
_LESS = "google-veo3.1-t2v, -i2v and -r2v take more than any other model."
_INSTEAD = {
    "first_frame": "Models that take one: google-veo3.1-i2v, veo3-pro-frames, veo3.1.",
    "last_frame": "No Veo model at 302.AI is known to take one.",
    "references": "google-veo3.1-r2v takes them, without a first frame.",
    "seed": "Only the models google/veo3… take one.",
}


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
    if model.startswith(("veo3.1", "veo3_1")):
        model = f"veo3-v2/{model}"
    # (4.1) The unified door reads names without case, and - and _ as the same.
    return MODELS.get(model) or (MODELS.get(model.lower().replace("_", "-")) if "/" not in model else None)


def rules(request: Any) -> Mapping[str, Rule]:
    """What the model of a request takes; an unknown model is sent as it is. Raises ParameterError."""
    model = chosen(request)
    if model == "veo3-v2":
        raise ParameterError(
            'model: "veo3-v2" is a door with several models; say which, such as "veo3-v2/veo3-pro" or "veo3.1". '
            "Nothing was sent.",
            field="model",
        )
    known = facts(model)
    if known is None:
        return {"model": Rule(notice=f"{model!r} is not known here; it is sent as it is, its fields unchecked.")}
    found = {}
    for name in _OPTIONAL:
        found[name] = _rule(known, model, name)
    if "references" in known.more:
        found["references"] = Rule(required=True, instead=f"{model} makes clips of reference pictures.")
    return found


def _rule(known: Facts, model: str, name: str) -> Rule:
    allowed: Mapping[str, tuple[Any, ...]] = {
        "aspect_ratio": known.ratios, "duration": known.seconds, "resolution": known.resolutions,
    }  # fmt: skip
    notice = f"{name} is not documented for {model}; it may be ignored." if name in known.doubtful else ""
    if name == "first_frame" and known.frame:
        return Rule(required=known.frame == "must", instead=f"{model} starts from a picture.")
    if allowed.get(name):
        return Rule(allowed=allowed[name], notice=notice)
    return (
        Rule(least=-1)
        if name == "seed" and name in known.more
        else Rule(taken=name in known.more, instead=f"{model} has no such member. {_INSTEAD.get(name, _LESS)}")
    )


CATALOGUE = tuple(
    Model(
        name=name,
        task="video",
        aspect_ratios=known.ratios,
        sizes=known.resolutions,
        durations=tuple(float(second) for second in known.seconds),
        needs_image=known.frame == "must" or "references" in known.more,
        default=name == "google-veo3.1-t2v",
        source=f"{known.source} (wire/302ai.md 2, 2026-11-21)",
    )
    for name, known in MODELS.items()
)
