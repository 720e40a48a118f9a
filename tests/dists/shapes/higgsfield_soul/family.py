"""Many results with a status each: over when all are (wire/families.md, Higgsfield Soul, 2026-11-21)."""

from __future__ import annotations

from typing import Any

from ai302_core.family import Asset, Family, Flow, ImageRequest, Job, Now, Operation, States, field, get, hookimpl, post


def _all_of_them(job: Job, document: Any) -> Flow[list[Asset]]:
    """Every picture once the last one is over; none while one is still made, which means: look again."""
    yield from Now()
    parts = [part for part in document.get("jobs") or () if isinstance(part, dict)]
    if any(part.get("status") not in ("completed", "failed", "nsfw") for part in parts):
        return []
    raws = [part["results"].get("raw") for part in parts if isinstance(part.get("results"), dict)]
    links = [raw.get("url") for raw in raws if isinstance(raw, dict)]
    good = [link for link in links if isinstance(link, str) and link]
    return [Asset(kind="image", index=number, url=link) for number, link in enumerate(good, 1)]


_FAMILY = Family(
    "higgsfield_soul",
    api=1,
    base_url="https://api.302.ai",
    operations=(
        Operation(
            "image",
            request=ImageRequest,
            submit=post("/higgsfield/text2image_soul"),
            body={
                "prompt": field("prompt"),
                "aspect_ratio": field("aspect_ratio"),
                "quality": field("resolution"),
                "seed": field("seed"),
                "negative_prompt": field("negative_prompt"),
                "batch_size": field("count"),
            },
            poll=get("/higgsfield/task/{job_id}/fetch"),
            states=(
                States(
                    at="jobs[].status",
                    queued=("queued",),
                    running=("processing", "in_progress"),
                    succeeded=("completed",),
                    failed=("failed", "nsfw"),
                ),
            ),
            failure=("jobs[].error",),
            finish=_all_of_them,
        ),
    ),
)


@hookimpl
def ai302_family() -> Family:
    """The record of higgsfield_soul."""
    return _FAMILY
