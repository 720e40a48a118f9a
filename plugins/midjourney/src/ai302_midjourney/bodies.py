"""From a request to the members Midjourney's submits take, and what Midjourney does not take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ai302_core.errors import ParameterError
from ai302_core.family import ActionRequest, Picture, Rule

from . import prompt as flags
from .actions import REGION, WINDOWS, ZOOM, window
from .presses import ClipRequest, ExtendRequest, UpscaleRequest, VaryRequest, WindowRequest
from .requests import (
    BlendRequest,
    EditRequest,
    ImagineRequest,
    MotionRequest,
    ShortenRequest,
    SwapFaceVideoRequest,
    UploadRequest,
    said,
)

LONGEST = 8000
"""Characters of a prompt. The bound is ours: none is documented, and far longer ones fail after they were paid for."""

_FLAGS = (
    "aspect_ratio", "seed", "image_weight", "style_references", "style_weight", "character_references",
    "character_weight", "omni_reference", "omni_weight", "chaos", "stylize", "weird", "quality", "tile", "raw",
    "negative_prompt",
)  # fmt: skip
_SHARPNESS = {"480p": "vid_1.1_i2v_480", "720p": "vid_1.1_i2v_720"}
_DIMENSIONS = {"2:3": "PORTRAIT", "1:1": "SQUARE", "3:2": "LANDSCAPE"}
# Midjourney's own bounds of its parameters, as its documentation gives them (2026-11-21).
_BOUNDS: Mapping[str, Rule] = {
    "seed": Rule(least=0, most=4294967295),
    "chaos": Rule(least=0, most=100),
    "stylize": Rule(least=0, most=1000),
    "weird": Rule(least=0, most=3000),
    "quality": Rule(least=0.25, most=4),
    "image_weight": Rule(least=0, most=3),
    "style_weight": Rule(least=0, most=1000),
    "character_weight": Rule(least=0, most=100),
    "omni_weight": Rule(least=1, most=1000),
}

_WORDS = Rule(required=True, most=LONGEST, instead="Say in words what to make.")
_PICTURES: Mapping[str, Rule] = {
    "size": Rule(taken=False, instead="Give its shape as aspect_ratio; Midjourney chooses the pixels."),
    "resolution": Rule(taken=False, instead="Upscale a finished picture: act(job, 'upscale-1')."),
    "count": Rule(allowed=(4,), instead="Midjourney makes four at a time; submit more often for more."),
    "mask": Rule(taken=False, instead="Upscale a finished picture, then act(job, 'vary-region', mask=…)."),
    **_BOUNDS,
}


def route(request: Any) -> dict[str, str]:
    """The speed chooses the path's prefix; as `mode`, it may go into the body (wire/midjourney.md 1.3, 2026-11-21)."""
    speed = str(request.speed or flags.said(getattr(request, "prompt", None) or "").get("speed", ""))
    return {"speed": speed} | ({"mode": speed} if speed else {})


def _worded(request: Any) -> Rule:
    """Words are needed, and they must say one job. Raises ParameterError."""
    fields = said(request)
    if "repeat" in fields:
        raise ParameterError(
            "prompt: --repeat starts several paid jobs that nobody would follow; submit the request several times "
            "instead. Nothing was sent.",
            field="prompt",
        )
    if request.prompt and not flags.words(request.prompt):
        raise ParameterError("prompt: it holds no words, so nothing can be made. Nothing was sent.", field="prompt")
    negative = request.negative_prompt or ""
    if flags.words(negative) != negative.strip():
        raise ParameterError(
            "negative_prompt: it holds a flag; put flags into the prompt. Nothing was sent.", field="negative_prompt"
        )
    return _WORDS


def imagine_rules(request: ImagineRequest) -> dict[str, Rule]:
    """What Midjourney does with the fields of a picture."""
    return {"prompt": _worded(request), **_PICTURES}


def imagine(request: ImagineRequest) -> dict[str, Any]:
    """Body of imagine: links go in front of the words, files beside them (wire/midjourney.md 2.3, 2026-11-21)."""
    _ = request.count  # four is what is made, see the rules
    fields = {name: getattr(request, name) for name in _FLAGS}
    versions = {"version": request.version, "niji": request.niji}
    if request.model is not None:
        versions.update([flags.model(request.model)])
    if not {"version", "niji"} & flags.said(request.prompt).keys():
        fields |= versions
    links = [str(entry) for entry in request.images if not str(entry).startswith("data:")]
    files = [str(entry) for entry in request.images if str(entry).startswith("data:")]
    words = flags.with_flags(request.prompt, fields)
    return {"prompt": " ".join((*links, words)), "base64Array": files or None}


def blend_rules(request: BlendRequest) -> dict[str, Rule]:
    """What Midjourney does with the fields of a blend."""
    return {"images": Rule(required=True, least=2, most=5), "aspect_ratio": Rule(allowed=tuple(_DIMENSIONS))}


def blend(request: BlendRequest) -> dict[str, Any]:
    """Body of blend (wire/midjourney.md 2.6, 2026-11-21)."""
    ratio = request.aspect_ratio
    return {"base64Array": list(request.images), "dimensions": _DIMENSIONS[ratio] if ratio else None}


def prompt_rules(request: ShortenRequest | EditRequest) -> dict[str, Rule]:
    """Words are needed; any flag may be among them."""
    return {"prompt": Rule(required=True, most=LONGEST, instead="Say in words what is meant.")}


def swap_video(request: SwapFaceVideoRequest) -> dict[str, Any]:
    """Form of a face swap in a clip: the face as text, the clip as a file, or both as links.

    The names are those of the server's own data class (trueai-org/midjourney-proxy, Dto/InsightVideoFaceSwapDto.cs,
    read 2026-11-21); the server compares them without case.
    """
    face: Any = request.face
    clip = request.video
    shown = {"sourceBase64": face.data_url()} if isinstance(face, Picture) else {"sourceUrl": face}
    return shown | {"targetFile" if isinstance(clip, Picture) else "targetUrl": clip}


def upload_rules(request: UploadRequest) -> dict[str, Rule]:
    """One picture or more."""
    return {"images": Rule(required=True, least=1, instead="Give files.")}


def motion_rules(request: MotionRequest) -> dict[str, Rule]:
    """What Midjourney does with the fields of a clip."""
    longer = "Its clips last about five seconds; extend one: act(job, 'extend-low')."
    return {
        "negative_prompt": Rule(taken=False, instead="A clip is made of a picture and words; say it in the prompt."),
        "seed": Rule(taken=False, instead="No seed of its clips is known; extra={'seed': …} goes untouched."),
        **({"model": Rule(taken=False, instead="No choice of a model is known for clips.")} if request.model else {}),
        "prompt": _worded(request),
        "first_frame": Rule(required=True, instead="Midjourney animates a picture; imagine one first."),
        "motion": Rule(allowed=("low", "high")),
        "duration": Rule(least=5, most=5, instead=longer),
        "video": Rule(taken=False, instead=longer),
        "audio": Rule(allowed=(False,), instead="Its clips are silent."),
        "aspect_ratio": Rule(taken=False, instead="A clip has the shape of its first_frame."),
        "resolution": Rule(allowed=tuple(_SHARPNESS)),
        "batch": Rule(allowed=(1, 2, 4)),
        "references": Rule(taken=False, instead="A clip starts from one picture, its first_frame."),
    }


def motion(request: MotionRequest) -> dict[str, Any]:
    """Body of video (wire/midjourney.md 2.11, 2026-11-21). Gateways that document it require `motion`."""
    _ = request.duration, request.audio  # five seconds without sound are what is made, see the rules
    known = flags.said(request.prompt)
    return {
        "prompt": request.prompt,
        "motion": request.motion or known.get("motion") or "low",
        "image": request.first_frame,
        "endImage": request.last_frame,
        "loop": request.loop,
        "videoType": _SHARPNESS.get(request.resolution or ""),
        "batchSize": request.batch,
    }


def extend_rules(request: ExtendRequest) -> dict[str, Rule]:
    """What an extension takes."""
    return {"motion": Rule(allowed=("low", "high"))}


def extend(request: ExtendRequest) -> dict[str, Any]:
    """Body of video for a clip made longer: servers call the parent one name or the other (wire/midjourney.md 2.11)."""
    known = flags.said(request.prompt or "")
    return {
        "prompt": request.prompt or request.values.get("prompt"),
        "motion": request.motion or known.get("motion") or "low",
        "action": "extend",
        "index": request.values.get("index"),
        "taskId": request.task,
        "task_id": request.task,
    }


def change(request: ActionRequest) -> dict[str, Any]:
    """Body of change (wire/midjourney.md 2.9, 2026-11-21). A relay wants an index even for a reroll."""
    return {"taskId": request.task, **request.values}


def press_rules(request: VaryRequest | ClipRequest) -> dict[str, Rule]:
    """What a press takes: words only where a window opens for them."""
    kind = window(request.values.get("customId"))
    takes = WINDOWS.get(kind, ("prompt",) if request.remix else ())
    closed = Rule(taken=False, instead=f"{request.action} opens no window for it.")
    # Only for fields of their own: the words of a window may hold any flag.
    own = request.written()
    rules: dict[str, Rule] = {
        name: closed for name in ("mask", "zoom", "aspect_ratio") if name in own and name not in takes
    }
    if "prompt" not in takes:
        rules["prompt"] = Rule(taken=False, instead=f"{request.action} asks for no words; remix=True makes it ask.")
    return rules | _answer_rules(kind == ZOOM, kind == REGION)


def _answer_rules(zoom: bool, mask: bool) -> dict[str, Rule]:
    rules = {"zoom": Rule(required=True, least=1, most=2, instead="Say it as zoom, or as --zoom in the prompt.")}
    return (rules if zoom else {}) | ({"mask": Rule(required=True, instead="White is repainted.")} if mask else {})


def press(request: UpscaleRequest | VaryRequest | ClipRequest) -> dict[str, Any]:
    """Body of action (wire/midjourney.md 2.4, 2026-11-21). What its window takes is sent by the answer to it."""
    remix = getattr(request, "remix", None)
    for name in WINDOWS.get(window(request.values.get("customId")), ("prompt",) if remix else ()):
        getattr(request, name, None)
    return {"taskId": request.task, "customId": request.values.get("customId"), "enableRemix": remix}


def answer_rules(request: WindowRequest) -> dict[str, Rule]:
    """What the answer to an open window must hold."""
    return _answer_rules("zoom" in request.needs, "mask" in request.needs)


def answer(request: WindowRequest) -> dict[str, Any]:
    """Body of modal (wire/midjourney.md 2.5 and 5.2, 2026-11-21): without words, the service keeps the window's own."""
    words = request.prompt or ""
    changes = {"zoom": request.zoom, "aspect_ratio": request.aspect_ratio}
    if any(value is not None for value in changes.values()):
        shown = str(request.values.get("prompt", ""))
        words = flags.with_flags(words or flags.without(shown, changes), changes)
        if not flags.words(words):
            raise ParameterError(
                "prompt: the window shows no words; give them as well. Nothing was sent.", field="prompt"
            )
    return {"taskId": request.task, "prompt": words, "maskBase64": request.mask}
