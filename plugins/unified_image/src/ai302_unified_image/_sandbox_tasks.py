"""One picture task of the emulated image doors: its course in time, its pictures, and its documents.

Facts: wire/302ai.md 3 and 6.1 (2026-11-21).
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ai302_core.sandbox import Look, Task, World, tile

__all__ = ["FAMILY", "SECONDS", "Work", "answer_v1", "task_v2"]

FAMILY = "unified_image"
SECONDS = 12.0


@dataclass(kw_only=True)
class Work(Task):
    """One task.

    request    the body as it came, echoed by v2
    effective  what the model was really asked: after v1 has silently replaced what it does not take
    size       pixels of each picture, `count` of them
    reason     why it fails, "" if it does not; `fails_at` when
    bare       it succeeds without a link
    stuck      it never ends
    """

    model: str
    request: Mapping[str, Any]
    effective: Mapping[str, Any]
    size: tuple[int, int]
    count: int = 1
    webhook: str = ""
    reason: str = ""
    fails_at: float = math.inf
    bare: bool = False
    stuck: bool = False
    urls: list[str] = field(default_factory=list)
    upstream: str = ""
    cost_ids: list[str] = field(default_factory=list)

    @property
    def finish(self) -> float:
        """When it ends; infinite for one that never does."""
        return min(self.fails_at, math.inf if self.stuck else self.submitted + SECONDS)

    def word(self, now: float) -> str:
        """Its status at that moment, as v2 says it."""
        if now >= self.finish:
            return "failed" if self.reason else "completed"
        return "pending" if now < self.submitted + 0.1 * SECONDS else "processing"

    def publish(self, world: World) -> None:
        """Put its pictures on the file host; they are drawn when somebody downloads them."""
        prompt = str(self.request.get("prompt", ""))
        for number in range(1, self.count + 1):
            look = Look(prompt, str(number), self.upstream)
            self.urls.append(world.publish(partial(tile, look, self.size), "png"))


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def answer_v1(work: Work, world: World) -> dict[str, Any]:
    """The synchronous answer of v1: a link, and the vendor's own reply."""
    url = "" if work.bare or work.reason else work.urls[0]
    if url and world.option(FAMILY, "inline"):
        content = base64.b64encode(world.content(url)).decode()
        return {"image_url": "", "data": {"created": int(work.submitted), "data": [{"b64_json": content}]}}
    data = _VENDORS.get(work.model.partition("-")[0], _record)(work, url)
    data["input"] = dict(work.effective)
    text = world.option(FAMILY, "data_as_text")
    return {"image_url": url, "data": json.dumps(data, ensure_ascii=False) if text else data}


def _record(work: Work, url: str) -> dict[str, Any]:
    """302.AI's self-hosted record: `output` is a list in a text."""
    return {
        "id": work.upstream,
        "model": work.model,
        "status": "failed" if work.reason else "succeeded",
        "error": work.reason,
        "created_at": _iso(work.submitted),
        "started_at": _iso(work.submitted),
        "completed_at": _iso(work.submitted + SECONDS),
        "output": json.dumps([url]) if url else "",
    }


def _openai(work: Work, url: str) -> dict[str, Any]:
    if work.reason:
        return {"error": {"message": work.reason, "type": "image_generation_user_error"}}
    return {"created": int(work.submitted), "data": [{"url": url}] if url else []}


def _gemini(work: Work, url: str) -> dict[str, Any]:
    if work.reason:
        return {"error": {"message": work.reason, "code": 400}}
    parts = [{"url": url}] if url else []
    return {
        "candidates": [{"content": {"parts": parts, "role": "model"}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 1290},
    }


_VENDORS = {"dall": _openai, "gpt": _openai, "gemini": _gemini}
"""What `data` looks like, by the beginning of the model's name; else 302.AI's own record."""


def _error(work: Work, world: World) -> Any:
    """The error of a failed v2 task: an object, or the text alone."""
    if world.option(FAMILY, "error") == "text":
        return work.reason
    spent = f"{work.finish - work.submitted:.1f}"
    return {
        "error": work.reason,
        "message": f"{work.model}: {work.reason}",
        "error_type": "api_error",
        "attempts": 1,
        "execution_time": spent,
        "is_network_error": False,
    }


def task_v2(work: Work, world: World) -> dict[str, Any]:
    """The document of `/302/v2/image/fetch`, and of a synchronous answer."""
    now = world.now()
    status = work.word(now)
    ended = status in ("completed", "failed")
    document: dict[str, Any] = {
        "task_id": work.id,
        "status": status,
        "model": work.model,
        "task_type": "image",
        "req": dict(work.request),
        "webhook": work.webhook,
        "created_at": _iso(work.submitted),
        "updated_at": _iso(min(now, work.finish)),
        "execution_time": f"{min(now, work.finish) - work.submitted:.1f}",
        "attempts": 1,
        "upstream_task_id": work.upstream,
    }
    if status != "pending":
        document["started_at"] = _iso(work.submitted + 0.1 * SECONDS)
    if ended:
        ids = work.cost_ids
        document["ai302_cost_request_ids"] = ",".join(ids) if world.option(FAMILY, "cost_ids") == "text" else ids
    if status == "completed":
        document["completed_at"] = _iso(work.finish)
        raw = {"data": [{"url": url} for url in work.urls]}
        document["raw_response"] = json.dumps(raw) if world.option(FAMILY, "raw_response") == "text" else raw
        document |= {"image_url": work.urls[0], "image_urls": list(work.urls)}
        if work.bare:
            document |= {"image_url": "", "image_urls": [], "raw_response": None}
    if status == "failed":
        document |= {"failed_at": _iso(work.finish), "error": _error(work, world)}
    return document
