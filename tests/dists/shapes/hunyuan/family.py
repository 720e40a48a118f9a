"""Queue style: the id goes back as ?request_id= (wire/families.md, Hunyuan video, 2026-11-21)."""

from __future__ import annotations

from ai302_core.family import Family, Operation, States, VideoRequest, field, get, hookimpl, post, video

_FAMILY = Family(
    "hunyuan",
    api=1,
    base_url="https://api.302.ai",
    operations=(
        Operation(
            "video",
            request=VideoRequest,
            submit=post("/302/submit/hunyuan-video"),
            body={"prompt": field("prompt")},
            job_id=("request_id",),
            poll=get("/302/submit/hunyuan-video", query={"request_id": "{job_id}"}),
            states=(
                States(
                    at="status",
                    queued=("IN_QUEUE",),
                    running=("IN_PROGRESS",),
                    succeeded=("COMPLETED",),
                    failed=("FAILED", "ERROR"),
                ),
            ),
            assets=(video("video.url"),),
            failure=("detail", "error"),
        ),
    ),
)


@hookimpl
def ai302_family() -> Family:
    """The record of hunyuan."""
    return _FAMILY
