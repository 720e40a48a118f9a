"""The submit's status is a word in `code`, its id the whole of `data` (wire/302ai.md 2.5, 2026-11-21)."""

from __future__ import annotations

from ai302_core.family import Family, Operation, States, VideoRequest, field, get, hookimpl, post, video

_FAMILY = Family(
    "veo3_v2",
    api=1,
    base_url="https://api.302.ai",
    operations=(
        Operation(
            "video",
            request=VideoRequest,
            submit=post("/302/submit/veo3-v2"),
            body={"prompt": field("prompt"), "model": field("model"), "images": [field("first_frame")]},
            images=("url",),
            job_id=("data",),
            pending=(States(at="code", running=("IN_PROGRESS",)),),
            poll=get("/302/submit/veo3-v2/{job_id}"),
            states=(States(at="status", running=("IN_PROCESSING",), succeeded=("SUCCESS",), failed=("FAILURE",)),),
            assets=(video("videoUrl"),),
            failure=("message", "error.message"),
        ),
    ),
)


@hookimpl
def ai302_family() -> Family:
    """The record of veo3_v2."""
    return _FAMILY
