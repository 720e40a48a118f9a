"""One clip of the emulated Veo: its course in time, its files, and its document at each kind of door.

Facts: wire/302ai.md 2 and 4 (2026-11-21).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ai302_core.sandbox import Look, Task, World, clip

__all__ = ["CALLBACKS", "DOCUMENTS", "FAMILY", "WORDS", "Clip"]

FAMILY = "veo"

WORDS: Mapping[str, Mapping[str, str]] = {
    "queue": {
        "queued": "IN_QUEUE", "running": "IN_PROGRESS", "enlarging": "IN_PROGRESS", "done": "COMPLETED",
        "failed": "FAILED",
    },
    "enlarged": {
        "queued": "pending", "running": "video_generating", "enlarging": "video_upsampling", "done": "completed",
        "failed": "failed",
    },
    "second": {
        "queued": "IN_PROCESSING", "running": "IN_PROCESSING", "enlarging": "IN_PROCESSING", "done": "SUCCESS",
        "failed": "FAILURE",
    },
    "unified": {
        "queued": "pending", "running": "processing", "enlarging": "processing", "done": "completed",
        "failed": "failed",
    },
    "mounted": {
        "queued": "created", "running": "processing", "enlarging": "processing", "done": "completed",
        "failed": "failed",
    },
}  # fmt: skip
"""Kind of door -> phase -> its word."""

_SIDES = {"16:9": (256, 144), "9:16": (144, 256), "1:1": (192, 192)}


@dataclass(kw_only=True)
class Clip(Task):
    """One Veo task.

    kind     of its door, see WORDS
    seconds  it takes altogether
    body     what was asked, as it came
    reason   it fails with this
    stuck    it never ends
    bare     it ends without a link
    """

    kind: str
    model: str
    prompt: str
    seconds: float
    ratio: str = "16:9"
    pictures: tuple[str, ...] = ()
    body: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    stuck: bool = False
    bare: bool = False
    link: str = ""
    large: str = ""
    uuid: str = ""
    billed: str = ""

    def phase(self, now: float) -> str:
        """queued, running, enlarging, done or failed."""
        part = (now - self.submitted) / self.seconds
        if part < 0.1:
            return "queued"
        if self.reason and part >= 0.6:
            return "failed"
        if self.stuck or part < 0.7:
            return "running"
        return "done" if part >= 1 else "enlarging"

    def word(self, now: float) -> str:
        """The status word of its door."""
        return WORDS[self.kind][self.phase(now)]

    def publish(self, world: World) -> None:
        """Put its files where their links will point."""
        width, height = _SIDES.get(self.ratio, _SIDES["16:9"])
        self.uuid, self.billed = world.uuid(), world.uuid()
        self.link = world.publish(partial(clip, Look(self.prompt, "1", self.uuid), (width, height)), "mp4")
        if self.kind == "enlarged":
            shown = Look(self.prompt, "1", self.uuid)
            self.large = world.publish(partial(clip, shown, (width * 3 // 2, height * 3 // 2), 4), "mp4")

    def ends(self) -> float:
        """When it will be over, unless it is stuck; seconds since 1970."""
        return self.submitted + (0.6 if self.reason else 1.0) * self.seconds

    def ended(self, now: float) -> float:
        """When it was over, seconds since 1970; 0 while it is not."""
        return self.ends() if self.phase(now) in ("done", "failed") else 0.0


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _queue(task: Clip, world: World) -> dict[str, Any]:
    """(2.2) The object of the submit; the clip, or the error, beside it."""
    phase = task.phase(world.now())
    document: dict[str, Any] = {
        "logs": None, "metrics": {}, "queue_position": 0, "request_id": task.id, "status": WORDS["queue"][phase],
    }  # fmt: skip
    if phase == "done" and not task.bare:
        size = len(world.content(task.link))
        document |= {"video": {"url": task.link, "content_type": "video/mp4", "file_size": size}, "seed": 1}
    if phase == "failed":
        document["error"] = task.reason
    return document


def _enlarged(task: Clip, world: World) -> dict[str, Any]:
    """(2.4) As printed for veo3-pro; what cannot be known before the end is null until then."""
    now = world.now()
    phase = task.phase(now)
    word = WORDS["enlarged"][phase]
    if phase == "queued" and task.pictures:
        word = "image_downloading"
    made, done = phase in ("enlarging", "done"), phase == "done"
    good = "MEDIA_GENERATION_STATUS_SUCCESSFUL"
    document: dict[str, Any] = {
        "completed_at": _ms(task.ended(now)) or None,
        "created_at": _ms(task.submitted),
        "enhanced_prompt": f"A cinematic shot: {task.prompt}",
        "id": task.id,
        "images": [{"mediaId": task.uuid, "status": "completed", "url": url} for url in task.pictures],
        "max_retries": 3,
        "req": {
            "enable_upsample": True, "enhance_prompt": True, "images": list(task.pictures), "model": task.model,
            "prompt": task.prompt,
        },
        "retry_count": 0,
        "running": phase not in ("done", "failed"),
        "status": word,
        "status_update_time": _ms(task.ended(now) or now),
        "upsample_generation_id": task.uuid.replace("-", "") if made else "",
        "upsample_status": good if done else None,
        "upsample_video_url": task.large if done and not task.bare else None,
        "video_generation_id": task.uuid.replace("-", ""),
        "video_generation_status": good if made else None,
        "video_media_id": task.uuid,
        "video_url": task.link if made and not task.bare else None,
    }  # fmt: skip
    if phase == "failed":
        document["error"] = task.reason
    return document


def _second(task: Clip, world: World) -> dict[str, Any]:
    """(2.5) camelCase; where the reason of a failure stands is not known."""
    now = world.now()
    phase = task.phase(now)
    document: dict[str, Any] = {
        "taskId": task.id, "status": WORDS["second"][phase], "startTime": _ms(task.submitted),
        "finishTime": _ms(task.ended(now)) or None,
    }  # fmt: skip
    if phase == "done" and not task.bare:
        document["videoUrl"] = task.link
    if phase == "failed":
        document["failReason"] = task.reason
    return document


def _unified(task: Clip, world: World) -> dict[str, Any]:
    """(4.2) A failure stands inside HTTP 200."""
    now = world.now()
    phase = task.phase(now)
    over = phase in ("done", "failed")
    spent = f"{min(now - task.submitted, task.seconds):.1f}"
    raw: Any = {"output": {"message": task.reason}} if phase == "failed" else {"id": task.uuid}
    document: dict[str, Any] = {
        "task_id": task.id,
        "model": task.model,
        "mode": "i2v" if task.pictures else "t2v",
        "status": WORDS["unified"][phase],
        "video_url": task.link if phase == "done" and not task.bare else "",
        "attempts": 1,
        "execution_time": spent,
        "created_at": _iso(task.submitted),
        "updated_at": _iso(task.ended(now) or now),
        "raw_response": json.dumps(raw) if world.option(FAMILY, "raw_response") == "text" else raw,
        "upstream_task_id": task.uuid,
        "ai302_cost_request_ids": task.billed if world.option(FAMILY, "cost_ids") == "text" else [task.billed],
    }
    if over:
        document["completed_at"] = _iso(task.ended(now))
    if phase == "failed":
        told = {
            "error": task.reason, "message": task.reason, "error_type": "api_error", "attempts": 1,
            "execution_time": spent, "is_network_error": False,
        }  # fmt: skip
        document["error"] = task.reason if world.option(FAMILY, "error") == "text" else told
    return document


def _mounted(task: Clip, world: World) -> dict[str, Any]:
    """(2.6) The envelope of the mount, its model empty; its own link is absolute."""
    phase = task.phase(world.now())
    data = {
        "id": task.id,
        "model": "",
        "status": WORDS["mounted"][phase],
        "outputs": [task.link] if phase == "done" and not task.bare else [],
        "urls": {"get": f"{world.origin}/ws/api/v3/predictions/{task.id}/result"},
        "has_nsfw_contents": [],
        "created_at": _iso(task.submitted),
        "error": task.reason if phase == "failed" else "",
        "executionTime": 0,
        "timings": {"inference": 0},
    }
    return {"code": 200, "message": "success", "data": data}


DOCUMENTS: Mapping[str, Callable[[Clip, World], dict[str, Any]]] = {
    "queue": _queue,
    "enlarged": _enlarged,
    "second": _second,
    "unified": _unified,
    "mounted": _mounted,
}
"""Kind of door -> the document of a clip."""


def _unified_callback(task: Clip, world: World, hook: str) -> dict[str, Any] | None:
    """(4.4) Not what a look says: the link is nested, and the id is the call's own. Of a failure nothing is known."""
    document = _unified(task, world)
    if not task.ended(world.now()):
        return None
    result = {name: document[name] for name in ("video_url", "raw_response", "error") if name in document}
    said = {"model": task.model, "status": document["status"], "webhook": hook}
    return {**said, "request_id": world.request_id(), "result": result}


def _mounted_callback(task: Clip, world: World, hook: str) -> dict[str, Any] | None:
    """(2.6) `callback` is documented and what it sends is not: here, what a look says, once it is over."""
    return _mounted(task, world) if task.ended(world.now()) else None


CALLBACKS: Mapping[str, Callable[[Clip, World, str], dict[str, Any] | None]] = {
    "unified": _unified_callback,
    "mounted": _mounted_callback,
}
"""Kind of door -> what it posts to the address given with the submit, and nothing while the clip is not over."""
