"""Upload first, then submit: pictures go as links only (wire/families.md, wan-2.2-i2v-fast, 2026-11-21)."""

from __future__ import annotations

from ai302_core.family import Family, Operation, Rule, States, VideoRequest, field, get, hookimpl, post, video

_FAMILY = Family(
    "wan22_fast",
    api=1,
    base_url="https://api.302.ai",
    operations=(
        Operation(
            "video",
            request=VideoRequest,
            submit=post("/302/submit/wan-2.2-i2v-fast"),
            body={
                "image": field("first_frame"),
                "prompt": field("prompt"),
                "last_image": field("last_frame"),
                "resolution": field("resolution"),
                "seed": field("seed"),
            },
            images=("url",),
            rules=lambda request: {"first_frame": Rule(required=True)},
            poll=get("/302/task/{job_id}/fetch"),
            states=(
                States(
                    at="status",
                    queued=("starting",),
                    running=("processing",),
                    succeeded=("succeeded",),
                    failed=("failed",),
                    canceled=("canceled",),
                ),
            ),
            assets=(video("output[]", "output"),),
            failure=("error",),
        ),
    ),
)


@hookimpl
def ai302_family() -> Family:
    """The record of wan22_fast."""
    return _FAMILY
