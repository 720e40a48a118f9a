"""Every door of Veo at 302.AI: its address, its body, its words, as rows of one table (wire/302ai.md 2; 2026-11-21)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ai302_core.family import (
    FAILURE_302AI,
    REJECTED_302AI,
    STATES_302AI_V2,
    Asset,
    AssetAt,
    Endpoint,
    Field,
    Flow,
    Job,
    Operation,
    Refused,
    States,
    Times,
    Webhook,
    field,
    get,
    post,
    text,
    video,
)

from .models import chosen, rules
from .requests import VeoRequest


def _seconds(value: float) -> float | int:
    return int(value) if float(value).is_integer() else value


_DURATION = field("duration", _seconds)
_FRAME = field("first_frame", lambda frame: [frame])


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How a group of doors speaks: what they have in common of an Operation."""

    job_id: tuple[str, ...]
    states: tuple[States, ...]
    assets: tuple[AssetAt, ...]
    failure: tuple[str, ...] = FAILURE_302AI
    pending: tuple[States, ...] = ()
    refused: tuple[Refused, ...] = ()
    times: Times | None = None
    webhook: Webhook | None = None


# Submit and look alike, as 302.AI's other queues (6.3). An error may stand there without a word for it.
QUEUE = Dialect(
    job_id=("request_id", "task_id"),
    states=(
        States(at="status", succeeded=("COMPLETED",), failed=("FAILED", "ERROR")),
        States(at="state", failed=("FAILED",)),
        States(at="error", running=("0", "false"), failed=("?*",)),
        States(at="status", queued=("IN_QUEUE",), running=("IN_PROGRESS", "RUNNING")),
    ),
    assets=(video("video.url"),),
)
# (1.5 and 2.4) Which id the submit prints is unproven beyond `task_id`; words beyond `completed` and `failed` are a
# sibling's. A clip that could not be enlarged is still the clip that was paid for.
ENLARGED = Dialect(
    job_id=(
        "task_id", "id", "video_id", "request_id", "data.task_id", "data.id", "data.video_id", "data.request_id",
        "data",
    ),
    states=(
        States(
            at="status",
            queued=("pending", "image_downloading"),
            running=(
                "video_generating", "video_generation_completed", "video_upsampling", "video_upsampling_completed",
            ),
            succeeded=("completed", "video_upsampling_failed"),
            failed=("failed", "error", "video_generation_failed"),
        ),
    ),
    assets=(
        video("upsample_video_url", "video_url"),
        video("video_url", role="original"),
        text("enhanced_prompt", role="prompt"),
    ),
    times=Times(submitted="created_at", finished="completed_at"),
)  # fmt: skip
# (2.5) The submit says its status in `code`; its message names an upstream's path, which is not for us.
SECOND = Dialect(
    job_id=("data", "data.taskId", "data.task_id", "taskId", "task_id"),
    states=(
        States(
            at="status", running=("IN_PROCESSING", "IN_PROGRESS"), succeeded=("SUCCESS",), failed=("FAILURE", "FAILED"),
        ),
        States(at="code", failed=("FAILURE", "FAILED")),
    ),
    assets=(video("videoUrl"),),
    failure=("failReason", *FAILURE_302AI),
    pending=(States(at="code", running=("IN_PROGRESS",)),),
    times=Times(started="startTime", finished="finishTime"),
)  # fmt: skip
UNIFIED = Dialect(
    job_id=("task_id",),
    states=STATES_302AI_V2,
    assets=(video("video_url"),),
    times=Times(submitted="created_at", started="started_at", finished="completed_at"),
    webhook=Webhook(query="webhook"),
)
# (2.6) Its own links (`urls.get`) name 302.AI whatever gateway this is; the address is built here instead.
MOUNTED = Dialect(
    job_id=("data.id",),
    states=(
        States(
            at="data.status",
            queued=("created", "queued", "pending"),
            running=("processing",),
            succeeded=("completed",),
            failed=("failed", "timeout"),
            canceled=("cancelled", "canceled"),
        ),
    ),
    assets=(video("data.outputs[]"),),
    failure=("data.error", "message"),
    refused=(
        Refused(
            at=("code",),
            accepted=(200,),
            # Read as HTTP's own numbers, which its one documented code (200) is.
            kinds={
                **dict.fromkeys(range(400, 500), "invalid"),
                401: "auth", 402: "balance", 403: "auth", 404: "missing", 429: "rate",
                **dict.fromkeys((408, 500, 502, 503, 504, 524), "unclear"),
            },
            message=("message", "data.error"),
        ),
    ),
    times=Times(submitted="data.created_at"),
    webhook=Webhook(body="callback"),
)  # fmt: skip


def delivered(job: Job, document: Any) -> Flow[Sequence[Asset]]:
    """The assets of a finished task: without an enlarged clip the plain one is the deliverable alone. Makes no call."""
    yield from ()
    finals = {asset.url for asset in job.assets if asset.role == "final"}
    return [asset for asset in job.assets if asset.role == "final" or asset.url is None or asset.url not in finals]


def _unified(request: Any) -> Mapping[str, Any]:
    """The body of the unified video door (4.1): pictures in one list, which models they suit says the catalogue."""
    pictures = [entry for entry in (request.first_frame, *request.references) if entry is not None]
    return {
        "model": chosen(request),
        "prompt": request.prompt,
        "image": pictures or None,
        "end_image": request.last_frame,
        "aspect_ratio": request.aspect_ratio,
        "duration": None if request.duration is None else _seconds(request.duration),
        "resolution": request.resolution,
        "generate_audio": request.audio,
        "negative_prompt": request.negative_prompt,
        "enhance_prompt": request.enhance_prompt,
    }


def _second(**frames: Field) -> Mapping[str, Any]:
    return {
        "prompt": field("prompt"),
        "model": field("model", lambda model: model.removeprefix("veo3-v2/")),
        "enhance_prompt": field("enhance_prompt"),
        **frames,
        "aspect_ratio": field("aspect_ratio"),
        "duration": _DURATION,
    }


def _veo2(request: Any) -> Mapping[str, Any]:
    """(2.2) The ratio is the one member its page requires, the duration a text with its unit."""
    return {
        "prompt": request.prompt,
        "image_url": request.first_frame,
        "aspect_ratio": request.aspect_ratio or "16:9",
        "duration": None if request.duration is None else f"{_seconds(request.duration)}s",
    }


_VEO3 = {
    "prompt": field("prompt"),
    "aspect_ratio": field("aspect_ratio"),
    "enhance_prompt": field("enhance_prompt"),
    "generate_audio": field("audio"),
}
_TEXT = {"text_prompt": field("prompt")}
_FRAMES = {"text_prompt": field("prompt"), "input_image": field("first_frame")}
_MOUNT = {
    "prompt": field("prompt"),
    "image": field("first_frame"),
    "aspect_ratio": field("aspect_ratio"),
    "duration": _DURATION,
    "resolution": field("resolution"),
    "generate_audio": field("audio"),
    "seed": field("seed"),
    "negative_prompt": field("negative_prompt"),
}


def _mount(request: Any) -> dict[str, str]:
    """google/veo3.1/text-to-video: the segments of the address."""
    version, _, verb = (request.model or "").partition("/")[2].partition("/")
    return {"version": version, "verb": verb}


def _asked(path: str) -> Endpoint:
    return get(path, query={"request_id": "{job_id}"})


_RESULT = get("/ws/api/v3/predictions/{job_id}/result")
_OWN = "/302/submit/"
# operation, patterns of its models, submit, poll, dialect, body, pictures, (seconds of the fastest, of most)
_TABLE: tuple[tuple[str, tuple[str, ...], str, Endpoint, Dialect, Any, tuple[str, ...], tuple[float, float]], ...] = (
    ("veo2", ("veo2",), _OWN + "veo2", _asked(_OWN + "veo2"), QUEUE, _veo2, (), (30, 180)),
    # The address of this look-up is not known: a value of the gateway.
    ("veo2-i2v", ("veo2-i2v",), _OWN + "veo2-i2v", _asked(_OWN + "{veo2_i2v}"), QUEUE, _veo2, ("url",), (30, 180)),
    ("veo3", ("veo3",), _OWN + "veo3", _asked(_OWN + "veo3"), QUEUE, _VEO3, (), (45, 240)),
    *(
        (name, (name,), _OWN + name, _asked(_OWN + name), ENLARGED, _TEXT, (), usual)
        for name, usual in (("veo3-fast", (30.0, 180.0)), ("veo3-pro", (60.0, 360.0)))
    ),
    *(
        (name, (name,), _OWN + name, _asked(_OWN + name), ENLARGED, _FRAMES, ("url",), usual)
        for name, usual in (("veo3-fast-frames", (30.0, 180.0)), ("veo3-pro-frames", (60.0, 360.0)))
    ),
    ("veo3-v2", ("veo3-v2/*", "veo3.1*"), _OWN + "veo3-v2", get(_OWN + "veo3-v2/{job_id}"), SECOND,
     _second(images=_FRAME), ("url",), (45, 300)),
    ("mounted", ("google/*/*",), "/ws/api/v3/google/{version}/{verb}", _RESULT, MOUNTED, _MOUNT, ("url",), (30, 240)),
    ("mounted-whole", ("google/*",), "/ws/api/v3/google/{version}", _RESULT, MOUNTED, _MOUNT, ("url",), (30, 240)),
    # Whatever else it is called, and what is not called at all: new models appear at this door.
    ("unified", ("*",), "/302/v2/video/create", get("/302/v2/video/fetch/{job_id}"), UNIFIED, _unified,
     ("url", "data"), (45, 240)),
)  # fmt: skip


def operations() -> tuple[Operation, ...]:
    """The table as operations: the model of a request chooses among them, in this order."""
    return tuple(
        Operation(
            name,
            request=VeoRequest,
            models=models,
            submit=post(submit),
            route=_mount if dialect is MOUNTED else None,
            body=body,
            poll=poll,
            **vars(dialect),
            rejected=REJECTED_302AI,
            missing_texts=MISSING_TEXTS,
            finish=delivered,
            images=pictures,
            rules=rules,
            usual=usual,
            # The most patient client waits 1200 s (2.4), and an upscale may follow.
            timeout=1800.0,
        )
        for name, models, submit, poll, dialect, body, pictures, usual in _TABLE
    )


# What an unknown id is answered is not documented either.
MISSING_TEXTS = (r'(?i)"(task|record|request|prediction)[ _](id )?(is )?(not[ _]found|does not exist)',)
