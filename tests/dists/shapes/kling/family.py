"""Integer statuses; the length of the clip is part of the path (wire/families.md, Kling, 302 format, 2026-11-21)."""

from __future__ import annotations

from ai302_core.family import (
    Family,
    Operation,
    Refused,
    Rule,
    States,
    VideoRequest,
    field,
    get,
    hookimpl,
    image,
    post,
    video,
)

_FAMILY = Family(
    "kling",
    api=1,
    base_url="https://api.302.ai",
    operations=(
        Operation(
            "video",
            request=VideoRequest,
            submit=post("/klingai/m2v_16_txt2video_{length}"),
            route=lambda request: {"length": f"{request.duration or 5:g}s"},
            rules=lambda request: {"duration": Rule(allowed=(5, 10))},
            body={
                "prompt": field("prompt"),
                "negative_prompt": field("negative_prompt"),
                "aspect_ratio": field("aspect_ratio"),
            },
            job_id=("data.task.id",),
            poll=get("/klingai/task/{job_id}/fetch"),
            states=(States(at="data.status", queued=("5",), running=("10",), succeeded=("99",), failed=("50",)),),
            assets=(
                video("data.works[].resource.resource"),
                image("data.works[].cover.resource", role="cover"),
            ),
            failure=("data.message", "message"),
            refused=(Refused(at=("result",), accepted=(1,)),),
        ),
    ),
)


@hookimpl
def ai302_family() -> Family:
    """The record of kling."""
    return _FAMILY
