"""Midjourney at 302.AI and at compatible gateways, as a family of ai302-core."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai302_core.family import (
    Family,
    Lookup,
    Many,
    Model,
    Operation,
    Question,
    Request,
    Times,
    Webhook,
    field,
    get,
    hookimpl,
    post,
)

from . import bodies, replies, results
from .actions import actions
from .gateways import GATEWAYS
from .presses import (
    ChangeRequest,
    ClipRequest,
    DescribeAgainRequest,
    ExtendRequest,
    ImagineAllRequest,
    UpscaleRequest,
    VaryRequest,
    WindowRequest,
)
from .requests import (
    BlendRequest,
    DescribeRequest,
    EditRequest,
    ImagineRequest,
    MotionRequest,
    Placed,
    RetextureRequest,
    ShortenRequest,
    SwapFaceRequest,
    SwapFaceVideoRequest,
    UploadRequest,
    said,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from ai302_core.family import AssetAt, Rule
    from ai302_core.sandbox import Emulation

    Body = Mapping[str, Any] | Callable[[Any], Mapping[str, Any]]

__all__ = [
    "BlendRequest",
    "ChangeRequest",
    "ClipRequest",
    "DescribeAgainRequest",
    "DescribeRequest",
    "EditRequest",
    "ExtendRequest",
    "ImagineAllRequest",
    "ImagineRequest",
    "MotionRequest",
    "RetextureRequest",
    "ShortenRequest",
    "SwapFaceRequest",
    "SwapFaceVideoRequest",
    "UploadRequest",
    "UpscaleRequest",
    "VaryRequest",
    "WindowRequest",
]


def _operation(
    name: str,
    request: type[Request],
    address: str,
    body: Body,
    assets: tuple[AssetAt, ...],
    usual: tuple[float, float],
    *,
    rules: Callable[[Any], Mapping[str, Rule]] | None = None,
    images: tuple[str, ...] = ("data",),
    followed: bool = True,
    form: bool = False,
) -> Operation:
    placed = issubclass(request, Placed)
    return Operation(
        name,
        request=request,
        submit=post(f"/{{speed}}/{address}", multipart=form),
        body=_filtered(body) if placed else body,
        # A press goes where its parent went.
        route=bodies.route if placed else None,
        job_id=("result",),
        poll=get("/{speed}/task/{job_id}/fetch") if followed else None,
        states=replies.STATES,
        pending=replies.PENDING,
        assets=assets,
        progress=("progress",),
        failure=("failReason",),
        refused=replies.REFUSED,
        rejected=replies.REJECTED,
        missing=replies.MISSING,
        missing_texts=replies.MISSING_TEXTS,
        many=Many(call=post("/{speed}/task/list-by-condition")),
        cancel=post("/{speed}/task/{job_id}/cancel"),
        lookup=_LOOKUP if name not in _UNFINDABLE else None,
        webhook=Webhook(body="notifyHook") if followed else None,
        actions=actions,
        finish=results.delivered,
        images=images,
        said=said,
        rules=rules,
        times=Times(submitted="submitTime", started="startTime", finished="finishTime"),
        usual=usual,
        # The relax queue is long (wire/midjourney.md 7.5, 2026-11-21).
        timeout=1800.0,
    )


def _filtered(body: Body) -> Body:
    """The body with the account filter (wire/midjourney.md 1.4, 2026-11-21)."""
    if not callable(body):
        return {**body, "accountFilter": field("account_filter")}
    return lambda request: {**body(request), "accountFilter": request.account_filter}


# Every submit takes a `state`, and self-hosted servers list it with the task (wire/midjourney.md 2.2, 2.18 and 8.1,
# 2026-11-21). Not so: an upload makes no task; of a form nobody tells; a button for four jobs changes it; the task of
# an open window is known.
_LOOKUP = Lookup(body="state", question="tasks", echo="state")
_UNFINDABLE = ("upload", "swap-face-video", "imagine-all", "modal")
_BOTH = ("url", "data")
_FOUR, _ONE, _WORDS, _MOVING = (10.0, 75.0), (2.0, 60.0), (5.0, 40.0), (40.0, 240.0)
_EDIT = {"prompt": field("prompt"), "image": field("image")}
_OPERATIONS = (
    _operation("imagine", ImagineRequest, "submit/imagine", bodies.imagine, results.PICTURES, _FOUR,
               rules=bodies.imagine_rules, images=_BOTH),
    _operation("blend", BlendRequest, "submit/blend", bodies.blend, results.PICTURES, _FOUR, rules=bodies.blend_rules),
    _operation("describe", DescribeRequest, "submit/describe", {"base64": field("image")}, results.TEXTS, _WORDS),
    _operation("shorten", ShortenRequest, "submit/shorten", {"prompt": field("prompt")}, results.SHORTENED, _WORDS,
               rules=bodies.prompt_rules),
    _operation("edits", EditRequest, "submit/edits", _EDIT, results.PICTURES, _FOUR, rules=bodies.prompt_rules,
               images=_BOTH),
    _operation("retexture", RetextureRequest, "submit/retexture", _EDIT, results.PICTURES, _FOUR,
               rules=bodies.prompt_rules, images=_BOTH),
    # The face is the source (wire/midjourney.md 2.13, 2026-11-21).
    _operation("swap-face", SwapFaceRequest, "insight-face/swap",
               {"sourceBase64": field("face"), "targetBase64": field("image")}, results.SINGLE, _ONE),
    _operation("swap-face-video", SwapFaceVideoRequest, "insight-face/video-swap", bodies.swap_video, results.CLIPS,
               _MOVING, images=("url", "file"), form=True),
    _operation("video", MotionRequest, "submit/video", bodies.motion, results.CLIPS, _MOVING,
               rules=bodies.motion_rules, images=_BOTH),
    _operation("upload", UploadRequest, "submit/upload-discord-images", {"base64Array": field("images")},
               results.UPLOADED, _ONE, rules=bodies.upload_rules, followed=False),
    _operation("action", VaryRequest, "submit/action", bodies.press, results.PICTURES, _FOUR, rules=bodies.press_rules),
    _operation("upscale", UpscaleRequest, "submit/action", bodies.press, results.SINGLE, _ONE),
    _operation("clip", ClipRequest, "submit/action", bodies.press, results.CLIPS, (5.0, 240.0),
               rules=bodies.press_rules),
    _operation("extend", ExtendRequest, "submit/video", bodies.extend, results.CLIPS, _MOVING,
               rules=bodies.extend_rules),
    _operation("describe-again", DescribeAgainRequest, "submit/action", bodies.press, results.TEXTS, _WORDS),
    _operation("imagine-all", ImagineAllRequest, "submit/action", bodies.press, results.PICTURES, _FOUR),
    _operation("change", ChangeRequest, "submit/change", bodies.change, results.PICTURES, _FOUR),
    _operation("modal", WindowRequest, "submit/modal", bodies.answer, results.PICTURES, _FOUR,
               rules=bodies.answer_rules),
)  # fmt: skip
_FAMILY = Family(
    "midjourney",
    api=1,
    base_url="https://api.302.ai",
    operations=_OPERATIONS,
    gateways=GATEWAYS,
    questions=(
        # It may take the server a minute to learn the seed (wire/midjourney.md 2.16, 2026-11-21).
        Question("image-seed", get("/{speed}/task/{job_id}/image-seed"), at="result", timeout=90.0),
        # Every task, newest first, whoever started it; `state` is echoed (wire/midjourney.md 2.18 and 8.1, 2026-11-21).
        Question("tasks", get("/{speed}/task/list"), at="[]"),
    ),
    models=tuple(
        # (wire/midjourney.md 2.3, 2026-11-21)
        Model(name=name, task="image", source="302.AI's own JavaScript client; read 2026-11-21")
        for name in ("v7", "v6.1", "v6", "niji-6")
    ),
)


@hookimpl
def ai302_family() -> Family:
    """The record of Midjourney."""
    return _FAMILY


@hookimpl
def ai302_sandbox() -> Emulation:
    """What the local sandbox answers for Midjourney."""
    from ._sandbox import emulation

    return emulation()
