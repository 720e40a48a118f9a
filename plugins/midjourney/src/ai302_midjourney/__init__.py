"""Midjourney at 302.AI and at compatible gateways, as a family of ai302-core."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai302_core.family import (
    DASHBOARD_302AI,
    ENVELOPES_302AI,
    REFUSED_302AI,
    Family,
    Gateway,
    Many,
    Model,
    Operation,
    Request,
    Times,
    Webhook,
    get,
    hookimpl,
    post,
)

from . import bodies, replies, results
from .actions import actions
from .requests import (
    BlendRequest,
    ClipRequest,
    DescribeAgainRequest,
    DescribeRequest,
    ImagineRequest,
    MotionRequest,
    UpscaleRequest,
    VaryRequest,
    WindowRequest,
    said,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from ai302_core.family import AssetAt, Rule
    from ai302_core.sandbox import Emulation

__all__ = [
    "BlendRequest",
    "ClipRequest",
    "DescribeAgainRequest",
    "DescribeRequest",
    "ImagineRequest",
    "MotionRequest",
    "UpscaleRequest",
    "VaryRequest",
    "WindowRequest",
]


def _operation(
    name: str,
    request: type[Request],
    verb: str,
    body: Callable[[Any], Mapping[str, Any]],
    assets: tuple[AssetAt, ...],
    usual: tuple[float, float],
    *,
    rules: Callable[[Any], Mapping[str, Rule]] | None = None,
    images: tuple[str, ...] = ("data",),
) -> Operation:
    pressed = verb in ("action", "modal")
    return Operation(
        name,
        request=request,
        submit=post(f"/{{speed}}/submit/{verb}"),
        body=body,
        # A press goes where its parent went.
        route=None if pressed else bodies.route,
        job_id=("result",),
        poll=get("/{speed}/task/{job_id}/fetch"),
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
        webhook=Webhook(body="notifyHook"),
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


_BOTH = ("url", "data")
_FAMILY = Family(
    "midjourney",
    api=1,
    base_url="https://api.302.ai",
    operations=(
        _operation("imagine", ImagineRequest, "imagine", bodies.imagine, results.PICTURES, (10.0, 75.0),
                   rules=bodies.imagine_rules, images=_BOTH),
        _operation("blend", BlendRequest, "blend", bodies.blend, results.PICTURES, (10.0, 75.0),
                   rules=bodies.blend_rules),
        _operation("describe", DescribeRequest, "describe", bodies.describe, results.TEXTS, (5.0, 40.0)),
        _operation("video", MotionRequest, "video", bodies.motion, results.CLIPS, (40.0, 240.0),
                   rules=bodies.motion_rules, images=_BOTH),
        _operation("action", VaryRequest, "action", bodies.press, results.PICTURES, (10.0, 75.0),
                   rules=bodies.press_rules),
        _operation("upscale", UpscaleRequest, "action", bodies.press, results.SINGLE, (2.0, 60.0)),
        _operation("clip", ClipRequest, "action", bodies.press, results.CLIPS, (5.0, 240.0),
                   rules=bodies.press_rules),
        _operation("describe-again", DescribeAgainRequest, "action", bodies.press, results.TEXTS, (5.0, 40.0)),
        _operation("modal", WindowRequest, "modal", bodies.answer, results.PICTURES, (10.0, 75.0),
                   rules=bodies.answer_rules),
    ),
    gateways=(
        # (wire/midjourney.md 1.1 to 1.3, 2026-11-21) The raw key; the speed replaces /mj; no fast prefix is known.
        Gateway(
            "302ai",
            base_url="https://api.302.ai",
            auth="mj-api-secret: {key}",
            values={"speed": {"": "mj", "relax": "mj-relax", "turbo": "mj-turbo"}},
            lacks=("many",),
            refused=ENVELOPES_302AI,
            dashboard=DASHBOARD_302AI,
        ),
        # Bearer; the speed precedes /mj; no route to cancel; unless its operator switches callbacks on, it removes the
        # address and nobody calls (wire/midjourney.md 8.2, 2026-11-21).
        Gateway(
            "new-api",
            values={"speed": {"": "mj", "relax": "mj-relax/mj", "fast": "mj-fast/mj", "turbo": "mj-turbo/mj"}},
            lacks=("cancel", "webhook"),
            refused=(REFUSED_302AI, replies.RELAY),
        ),
    ),
    models=tuple(
        Model(name=name, task="image", source="302.AI's own JavaScript client (wire/midjourney.md 2.3, 2026-11-21)")
        for name in ("v7", "v6.1", "v6", "niji-6")
    ),
)  # fmt: skip


@hookimpl
def ai302_family() -> Family:
    """The record of Midjourney."""
    return _FAMILY


@hookimpl
def ai302_sandbox() -> Emulation:
    """What the local sandbox answers for Midjourney."""
    from ._sandbox import emulation

    return emulation()
