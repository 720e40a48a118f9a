"""302.AI's unified image doors as a family of ai302-core: about a hundred models behind one request."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ai302_core.family import (
    DASHBOARD_302AI,
    ENVELOPES_302AI,
    FAILURE_302AI,
    REJECTED_302AI,
    STATES_302AI_V2,
    Family,
    Gateway,
    ImageRequest,
    Operation,
    States,
    Times,
    Webhook,
    get,
    hookimpl,
    image,
    post,
)

from . import bodies
from .catalogue import MODELS, V1_EDITS, V1_ONLY, Later

if TYPE_CHECKING:
    from ai302_core.sandbox import Emulation

__all__: list[str] = []

# Where pictures are in vendors' own replies, should the doors' own member be missing (wire/302ai.md 3.1, 3.4 and 6,
# 2026-11-21): self-hosted records, OpenAI's shape, queues, Gemini's; as links, or as the content itself.
_VENDORS = (
    "output[]", "output", "images[].url", "images[]", "data[].url", "data[].b64_json", "image.url", "image_url", "url",
    *(f"candidates[].content.parts[].{part}" for part in ("url", "inlineData.data", "inline_data.data")),
)  # fmt: skip

_V1 = Operation(
    "image-v1",
    request=ImageRequest,
    # Served there alone; "v1/…" in front of any other name asks for this door.
    models=Later(lambda: ("v1/*", *V1_ONLY)),
    submit=post("/302/image/generate"),
    body=bodies.v1,
    # (wire/302ai.md 3.1, 2026-11-21) The answer is the picture. `data.id` names no task anybody could look at.
    job_id=(),
    states=(
        States(at="data.status", failed=("failed", "fail", "error", "canceled", "cancelled")),
        States(at="data.error", failed=("?*",)),
        States(at="error", failed=("?*",)),
    ),
    assets=(image("image_urls[]", "image_url", *(f"data.{path}" for path in _VENDORS)),),
    failure=(*(f"data.{path}" for path in FAILURE_302AI), *FAILURE_302AI),
    rejected=REJECTED_302AI,
    said=bodies.said,
    rules=bodies.v1_rules,
)
# The models that change a picture take it as a file of a form, so that it goes out as it is (wire/302ai.md 3.1).
_V1_EDIT = replace(
    _V1,
    name="edit-v1",
    models=Later(lambda: (*V1_EDITS, *(f"v1/{name}" for name in V1_EDITS))),
    submit=post("/302/image/generate", multipart=True),
    images=("url", "file"),
)
_V2 = Operation(
    "image",
    request=ImageRequest,
    # Asynchronous: the edge cuts slow synchronous calls at about 100 s (wire/302ai.md 1.7, 2026-11-21).
    submit=post("/302/v2/image/generate", query={"run_async": "true"}),
    body=bodies.v2,
    job_id=("task_id",),
    poll=get("/302/v2/image/fetch/{job_id}"),
    states=(
        STATES_302AI_V2[0],
        # For an answer that is the picture and says no more; only then does an `error` alone speak.
        States(at="image_url", succeeded=("http*",)),
        *STATES_302AI_V2[1:],
    ),
    assets=(image("image_urls[]", "image_url", *(f"raw_response.{path}" for path in _VENDORS)),),
    failure=FAILURE_302AI,
    rejected=REJECTED_302AI,
    said=bodies.said,
    rules=bodies.v2_rules,
    times=Times(submitted="created_at", started="started_at", finished="completed_at"),
    webhook=Webhook(query="webhook"),
    usual=(3.0, 40.0),
)
_FAMILY = Family(
    "unified_image",
    api=1,
    base_url="https://api.302.ai",
    operations=(_V1_EDIT, _V1, _V2),
    gateways=(Gateway("302ai", base_url="https://api.302.ai", refused=ENVELOPES_302AI, dashboard=DASHBOARD_302AI),),
    models=MODELS,
)


@hookimpl
def ai302_family() -> Family:
    """The record of the unified image doors."""
    return _FAMILY


@hookimpl
def ai302_sandbox() -> Emulation:
    """What the local sandbox answers for them."""
    from ._sandbox import emulation

    return emulation()
