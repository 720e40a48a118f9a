"""The self-hosted record: output is a list of links as JSON text, the submit a form (wire/302ai.md 6.1, 2026-11-21)."""

from __future__ import annotations

from ai302_core.family import Family, ImageRequest, Operation, States, field, get, hookimpl, image, post

_FAMILY = Family(
    "sdxl",
    api=1,
    base_url="https://api.302.ai",
    operations=(
        Operation(
            "image",
            request=ImageRequest,
            submit=post("/302/submit/sdxl", multipart=True),
            body={"prompt": field("prompt"), "negative_prompt": field("negative_prompt"), "seed": field("seed", str)},
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
            assets=(image("output[]", "output"),),
            failure=("error", "error.message"),
        ),
    ),
)


@hookimpl
def ai302_family() -> Family:
    """The record of sdxl."""
    return _FAMILY
