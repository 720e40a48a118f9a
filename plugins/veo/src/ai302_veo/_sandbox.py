"""What the emulated Veo answers: every door of it at 302.AI (wire/302ai.md 1, 2, 4, 7; 2026-11-21)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ai302_core.sandbox import (
    BANNED_WORD,
    Answer,
    Emulation,
    Handler,
    Incoming,
    Route,
    World,
    data_link,
    kept_out_302ai,
    refusal_302ai,
)

from ._sandbox_clips import CALLBACKS, DOCUMENTS, FAMILY, Clip

__all__ = ["emulation"]


_SUBMIT_FAULTS = ("refused", "fail", "stuck", "no_asset")
_POLL_FAULTS = ("unknown_word", "no_asset", "says", "missing", "fail", "stuck")
_UNIFIED = {
    "google-veo3.1-t2v": False, "google-veo3.1-i2v": True, "google-veo3.1-r2v": True, "google-veo3.1": False,
    "google-veo3.1-pro": False, "google-veo3": False, "google-veo3-fast": False, "google-veo3-pro": False,
}  # fmt: skip
_SECOND = {
    "veo3": False, "veo3-fast": False, "veo3-fast-frames": True, "veo3-pro": False, "veo3-pro-frames": True,
    "veo3.1": False, "veo3.1-pro": False,
}  # fmt: skip
_MOUNTED = {"veo3": False, "veo3.1/text-to-video": False, "veo3.1/image-to-video": True}
_HINT = "任务已提交，请使用 GET /v1/veo/tasks/{id} 查询结果"


@dataclass(frozen=True)
class Door:
    """One address of Veo.

    path     submit; `look` of the poll, with or without {id}
    models   model -> whether it needs a picture; one name alone is the door's own, which no body says
    prompt, picture  members of the body
    needs    further members its page requires
    inline   a picture may be a data: link
    """

    name: str
    kind: str
    path: str
    look: str
    models: Mapping[str, bool]
    prompt: str = "prompt"
    picture: str = ""
    needs: tuple[str, ...] = ()
    inline: bool = False

    def model(self, incoming: Incoming, body: Mapping[str, Any]) -> str | None:
        """The model that is meant, or None for one that nobody serves."""
        if self.kind == "mounted":
            asked = "/".join(incoming.params.values())
        elif "model" in self.needs:
            asked = str(body.get("model"))
            if self.kind == "unified" and asked not in self.models:
                # (4.1) Case, - for _, and the endings of older names do not matter; the exact name goes first.
                asked = asked.lower().replace("_", "-")
                asked = asked if asked in self.models else re.sub(r"-[tiv]2v$", "", asked)
        else:
            asked = next(iter(self.models))
        return asked if asked in self.models else None

    def pictures(self, body: Mapping[str, Any]) -> list[Any]:
        """What the body gives as pictures."""
        given = body.get(self.picture) if self.picture else None
        return given if isinstance(given, list) else [given] if given else []


def _own(name: str, kind: str, **more: Any) -> Door:
    return Door(name, kind, f"/302/submit/{name}", f"/302/submit/{name}", {name: bool(more.get("picture"))}, **more)


_DOORS = (
    _own("veo2", "queue", needs=("aspect_ratio",)),
    _own("veo2-i2v", "queue", needs=("aspect_ratio",), picture="image_url"),
    _own("veo3", "queue"),
    _own("veo3-fast", "enlarged", prompt="text_prompt"),
    _own("veo3-fast-frames", "enlarged", prompt="text_prompt", picture="input_image"),
    _own("veo3-pro", "enlarged", prompt="text_prompt"),
    _own("veo3-pro-frames", "enlarged", prompt="text_prompt", picture="input_image"),
    Door("veo3-v2", "second", "/302/submit/veo3-v2", "/302/submit/veo3-v2/{id}", _SECOND, picture="images",
         needs=("model",)),
    Door("unified", "unified", "/302/v2/video/create", "/302/v2/video/fetch/{id}", _UNIFIED, picture="image",
         needs=("model",), inline=True),
    Door("mounted", "mounted", "/ws/api/v3/google/{version}/{verb}", "/ws/api/v3/predictions/{id}/result", _MOUNTED,
         picture="image"),
    Door("mounted-whole", "mounted", "/ws/api/v3/google/{version}", "", _MOUNTED, picture="image"),
)  # fmt: skip


def emulation() -> Emulation:
    """Veo as 302.AI offers it.

    Faults beside the core's, on submits: refused (status, code), fail (reason), stuck, no_asset; on polls:
    unknown_word (word), no_asset, says (members=… laid over the document), missing, fail (reason), stuck.
    """
    return Emulation(
        family=FAMILY,
        routes=tuple(_routes()),
        # (2.1) As printed for each model; where none is printed the price is made up.
        prices={
            **dict.fromkeys(("veo2", "veo2-i2v"), Decimal(5)),
            **{
                f"{door}{model}": Decimal(price)
                for door in ("", "veo3-v2/")
                for model, price in (
                    ("veo3", 7), ("veo3-fast", 1), ("veo3-fast-frames", 1), ("veo3-pro", 3), ("veo3-pro-frames", 3),
                )
            },
            "veo3-v2/veo3.1": Decimal("0.5"),
            "veo3-v2/veo3.1-pro": Decimal(1),
            **dict.fromkeys((*_UNIFIED, *(f"google/{model}" for model in _MOUNTED)), Decimal(1)),
        },
        options={
            "balance_status": 402,  # HTTP status of -10004, which nobody documents
            "raw_response": "object",  # or "text"
            "cost_ids": "text",  # or "list"
            "error": "object",  # of a failed task at the unified door; or "text"
        },
    )  # fmt: skip


def _routes() -> Iterator[Route]:
    for door in _DOORS:
        yield Route(
            name=f"submit:{door.name}", method="POST", path=door.path, handler=_submit(door), faults=_SUBMIT_FAULTS
        )
        if door.look:
            yield Route(name="poll", method="GET", path=door.look, handler=_look(door), faults=_POLL_FAULTS)


def _submit(door: Door) -> Handler:
    def submit(world: World, incoming: Incoming) -> Answer:
        if refused := kept_out_302ai(world, incoming):
            return refused
        # (4.1) The unified door takes a form as well, its pictures as files.
        body = (incoming.members() if door.inline else {}) or incoming.json()
        if not isinstance(body, dict) or not _filled(body.get(door.prompt)):
            return refusal_302ai(400, -10011)
        model = door.model(incoming, body)
        if model is None:
            return refusal_302ai(503, -10008)
        pictures = door.pictures(body)
        bad = any(not _readable(world, entry, inline=door.inline) for entry in pictures)
        if bad or (door.models[model] and not pictures) or not all(_filled(body.get(name)) for name in door.needs):
            return refusal_302ai(400, -10011)
        row = {"second": f"veo3-v2/{model}", "mounted": f"google/{model}"}.get(door.kind, model)
        if not world.can_pay(FAMILY, row):
            return refusal_302ai(world.option(FAMILY, "balance_status"), -10004)
        task = _started(world, incoming, door, model, body, tuple(pictures))
        world.accept(task, row, cost_ids=(task.billed,) if door.kind == "unified" else ())
        hook = incoming.query.get("webhook") if door.kind == "unified" else body.get("callback")
        if hook and door.kind in CALLBACKS:
            # (4.1) Three more where the answer is not 200, for pictures; what the mount does then is not known.
            again = (2, 4, 6) if door.kind == "unified" else ()
            world.tell(str(hook), task.ends(), lambda: CALLBACKS[door.kind](task, world, str(hook)), again=again)
        return Answer(200, _accepted(door, task, world))

    return submit


def _started(
    world: World, incoming: Incoming, door: Door, model: str, body: Mapping[str, Any], pictures: tuple[str, ...]
) -> Clip:
    task = Clip(
        id=_new_id(world, door, model),
        family=FAMILY,
        operation=door.name,
        gateway="302ai",
        kind=door.kind,
        model=model,
        prompt=body[door.prompt],
        # As long as the documented one took, where a clip is enlarged; the others are made up.
        seconds=334.0 if door.kind == "enlarged" else 120.0,
        ratio=str(body.get("aspect_ratio") or "16:9"),
        pictures=pictures,
        body=body,
        stuck=incoming.fault_is("stuck") is not None,
        bare=incoming.fault_is("no_asset") is not None,
    )
    if BANNED_WORD in task.prompt:
        task.reason = "The prompt was blocked by our safety filters"
    if fault := incoming.fault_is("fail"):
        task.reason = str(fault.option("reason", "video generation failed upstream"))
    task.publish(world)
    return task


def _new_id(world: World, door: Door, model: str) -> str:
    """(1.5) Each door names its tasks in its own way."""
    if door.kind == "unified":
        return world.task_id()[-15:]
    return f"{model}:{world.uuid()}" if door.kind == "enlarged" else world.uuid()


def _accepted(door: Door, task: Clip, world: World) -> dict[str, Any]:
    """What the submit answers."""
    if door.kind == "enlarged":
        first = {"id": task.id, "task_id": task.id, "request_id": task.id}
        return {**first, "status": "pending", "status_update_time": int(world.now() * 1000)}
    if door.kind == "second":
        return {"code": "IN_PROGRESS", "data": task.id, "message": _HINT.replace("{id}", task.id)}
    document = DOCUMENTS[door.kind](task, world)
    if door.kind == "unified":
        return {name: document[name] for name in ("task_id", "status", "created_at")}
    return document


def _filled(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _readable(world: World, given: Any, *, inline: bool) -> bool:
    """Whether a service could fetch this picture; a link to this server must lead to a file."""
    if not isinstance(given, str) or not given.startswith(("http://", "https://")):
        return inline and data_link(given) is not None
    return not given.startswith(world.origin + "/") or given.removeprefix(world.origin) in world.files


def _look(door: Door) -> Callable[[World, Incoming], Answer]:
    def look(world: World, incoming: Incoming) -> Answer:
        if refused := kept_out_302ai(world, incoming):
            return refused
        task_id = incoming.params.get("id") or incoming.query.get("request_id", "")
        task = world.find(task_id, Clip)
        served = task is not None and task.kind == door.kind and incoming.fault_is("missing") is None
        if task is None or not served or (door.kind == "enlarged" and task.operation != door.name):
            # (10) What an unknown id is answered is not known.
            return refusal_302ai(404, -10011, message="Task not found")
        return Answer(200, _shown(world, incoming, task))

    return look


def _shown(world: World, incoming: Incoming, task: Clip) -> dict[str, Any]:
    if fault := incoming.fault_is("fail"):
        task.reason = str(fault.option("reason", "video generation failed upstream"))
        task.seconds = max(0.001, world.now() - task.submitted) / 0.6
    if incoming.fault_is("stuck"):
        task.stuck = True
    if incoming.fault_is("no_asset"):
        task.bare = True
    document = DOCUMENTS[task.kind](task, world)
    if incoming.fault_is("no_asset"):
        task.bare = False
    holder = document["data"] if task.kind == "mounted" else document
    if fault := incoming.fault_is("unknown_word"):
        holder["status"] = fault.option("word", "REVIEWING")
    if fault := incoming.fault_is("says"):
        document.update(fault.option("members", {}))
    return document
