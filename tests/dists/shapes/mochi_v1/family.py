"""Success is the presence of the output, no word says it (wire/families.md, pattern B, 2026-11-21)."""

from __future__ import annotations

from ai302_core.family import Family, Operation, States, VideoRequest, field, get, hookimpl, post, video

_FAMILY = Family(
    "mochi_v1",
    api=1,
    base_url="https://api.302.ai",
    operations=(
        Operation(
            "video",
            request=VideoRequest,
            submit=post("/302/submit/mochi-v1"),
            body={"prompt": field("prompt")},
            job_id=("request_id",),
            poll=get("/302/submit/mochi-v1", query={"request_id": "{job_id}"}),
            states=(
                States(at="video.url", succeeded=("?*",)),
                States(at="status", queued=("IN_QUEUE",), running=("IN_PROGRESS",), failed=("FAILED", "ERROR")),
            ),
            assets=(video("video.url"),),
            failure=("detail", "error"),
        ),
    ),
)


@hookimpl
def ai302_family() -> Family:
    """The record of mochi_v1."""
    return _FAMILY
