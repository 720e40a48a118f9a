"""A poll that says `err: "result pending"`, then the wrapped answer (wire/302ai.md 6.5, 2026-11-21)."""

from __future__ import annotations

from ai302_core.family import Family, ImageRequest, Operation, States, field, get, hookimpl, image, post

_FAMILY = Family(
    "gpt_image_async",
    api=1,
    base_url="https://api.302.ai",
    operations=(
        Operation(
            "image",
            request=ImageRequest,
            submit=post("/v1/images/generations", query={"async": "true"}),
            body={"model": field("model"), "prompt": field("prompt"), "n": field("count")},
            job_id=("task_id",),
            poll=get("/async_result", query={"task_id": "{job_id}"}),
            states=(
                States(at="err", running=("result pending",), failed=("?*",)),
                States(at="status_code", succeeded=("200",), failed=("4??", "5??")),
            ),
            assets=(image("data.data[].url", "data"),),
            failure=("data.error.message", "err"),
        ),
    ),
)


@hookimpl
def ai302_family() -> Family:
    """The record of gpt_image_async."""
    return _FAMILY
