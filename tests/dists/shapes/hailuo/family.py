"""Two steps: a status gives a file id, another call its link (wire/families.md, Hailuo video v1, 2026-11-21)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from ai302_core.family import (
    Asset,
    Call,
    Family,
    Flow,
    Job,
    Operation,
    Refused,
    Send,
    States,
    VideoRequest,
    field,
    get,
    hookimpl,
    post,
)


def _fetched(job: Job, document: Any) -> Flow[list[Asset]]:
    """The link of the file that a finished task names; none yet means: look again."""
    query = urlencode({"file_id": document.get("file_id"), "task_id": job.remote_id})
    reply = yield from Send(Call("GET", f"/minimaxi/v1/files/retrieve?{query}"))
    file = reply.document.get("file") if isinstance(reply.document, dict) else None
    link = file.get("download_url") if isinstance(file, dict) else None
    return [Asset(kind="video", url=link)] if isinstance(link, str) and link else []


_FAMILY = Family(
    "hailuo",
    api=1,
    base_url="https://api.302.ai",
    operations=(
        Operation(
            "video",
            request=VideoRequest,
            submit=post("/minimaxi/v1/video_generation"),
            body={
                "model": field("model"),
                "prompt": field("prompt"),
                "first_frame_image": field("first_frame"),
                "duration": field("duration"),
                "resolution": field("resolution"),
            },
            job_id=("task_id",),
            poll=get("/minimaxi/v1/query/video_generation", query={"task_id": "{job_id}"}),
            states=(
                States(
                    at="status",
                    queued=("Preparing", "Queueing"),
                    running=("Processing",),
                    succeeded=("Success",),
                    failed=("Fail",),
                ),
            ),
            finish=_fetched,
            refused=(
                Refused(
                    at=("base_resp.status_code",),
                    accepted=(0,),
                    kinds={1002: "busy", 1004: "auth", 1026: "content", 1027: "content"},
                    message=("base_resp.status_msg",),
                ),
            ),
        ),
    ),
)


@hookimpl
def ai302_family() -> Family:
    """The record of hailuo."""
    return _FAMILY
