"""The submits of the emulated Midjourney: what each verb checks and makes (wire/midjourney.md 2, 5; 2026-11-21)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ai302_core.sandbox import Answer, Look, data_link, picture_size

from ._sandbox_buttons import Press, pressed
from ._sandbox_desk import Desk, text_of
from ._sandbox_gateways import envelope
from ._sandbox_tasks import FAMILY, Work, grid_size, suggestions

__all__ = ["BAD_IMAGE", "SUBMITS", "SUFFIXES", "child_of", "new_work"]

BAD_IMAGE = "base64格式错误"
SUFFIXES = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp", "GIF": "gif"}


def _imagine(desk: Desk, body: Mapping[str, Any]) -> Answer:
    prompt = text_of(body, "prompt")
    if not prompt.strip():
        return desk.profile.invalid("prompt_is_required", "prompt不能为空")
    references = body.get("base64Array") or []
    if not isinstance(references, list) or not all(map(data_link, references)):
        return desk.profile.invalid("", BAD_IMAGE)
    work = new_work(desk, "imagine", "IMAGINE", body, prompt, odd=desk.option("odd"))
    return desk.start(work, *(content for _, content in map(_opened, references)))


def _blend(desk: Desk, body: Mapping[str, Any]) -> Answer:
    pictures, shape = body.get("base64Array"), body.get("dimensions") or "SQUARE"
    ratio = {"PORTRAIT": "2:3", "SQUARE": "1:1", "LANDSCAPE": "3:2"}.get(shape)
    if not isinstance(pictures, list) or not 2 <= len(pictures) <= 5 or ratio is None:
        return desk.profile.invalid("", "参数错误")
    if not all(map(data_link, pictures)):
        return desk.profile.invalid("", BAD_IMAGE)
    work = new_work(desk, "blend", "BLEND", body, f"blend of {len(pictures)} pictures --ar {ratio}")
    work.prompt, work.typed = "", f"/blend {work.id} {len(pictures)}"
    return desk.start(work, *(content for _, content in map(_opened, pictures)))


def _describe(desk: Desk, body: Mapping[str, Any]) -> Answer:
    link = data_link(body.get("base64"))
    if link is None:
        return desk.profile.invalid("", BAD_IMAGE)
    return desk.start(_described(desk, link[1], body), link[1])


def _video(desk: Desk, body: Mapping[str, Any]) -> Answer:
    prompt, motion = text_of(body, "prompt"), body.get("motion") or "low"
    if motion not in ("low", "high"):
        return desk.profile.invalid("", "参数错误")
    parent_id = body.get("taskId") or body.get("task_id")
    if body.get("action") == "extend" or parent_id:
        parent = desk.parent(parent_id)
        if isinstance(parent, Answer):
            return parent
        index = str(body.get("index", "0"))
        if parent.kind not in ("video", "clip") or not index.isdigit() or int(index) >= len(parent.looks):
            return desk.profile.invalid("", "关联任务不允许执行变化")
        prompt = prompt or parent.prompt
    elif not prompt.strip():
        return desk.profile.invalid("prompt_is_required", "prompt不能为空")
    elif not isinstance(body.get("image"), str) or not body["image"]:
        return desk.profile.invalid("", "参数错误")
    given = data_link(body.get("image"))
    clips = body.get("batchSize", 4)
    if clips not in (1, 2, 4):
        return desk.profile.invalid("", "参数错误")
    longer = body.get("action") == "extend" and desk.profile.name == "mjproxy-net"
    work = new_work(desk, "video", "VIDEO_EXTEND" if longer else "VIDEO", body, prompt, kind="video")
    work.looks = work.looks[:clips]
    # 302.AI's page shows no buttons under a clip that was asked for directly (wire/midjourney.md 4.9).
    work.buttonless = desk.profile.name == "302ai" and not desk.option("video_buttons")
    return desk.start(work, *([given[1]] if given else []))


def _action(desk: Desk, body: Mapping[str, Any]) -> Answer:
    custom_id = text_of(body, "customId")
    if not custom_id:
        return desk.profile.invalid("custom_id_is_required", "参数错误")
    parent = desk.parent(body.get("taskId"))
    if isinstance(parent, Answer):
        return parent
    net = desk.profile.name == "mjproxy-net"
    if net and custom_id == f"MJ::BOOKMARK::{parent.uuid}":
        # No task, no money: the parent's id comes back (section 2.4).
        return envelope(1, desk.profile.submitted, result=parent.id, properties={})
    if net and custom_id == "MJ::Job::PicReader::all" and parent.kind == "describe":
        return _all(desk, parent, body)
    press = pressed(custom_id, parent.uuid, described=parent.kind in ("describe", "shorten"))
    if desk.profile.relay and (press is None or not press.relay):
        return desk.profile.invalid(f"unknown_action:{custom_id}", "")
    offered = {button["customId"] for button in parent.buttons()}
    if press is None or (desk.world.strict and custom_id not in offered):
        return desk.profile.invalid("", "关联任务不允许执行变化")
    work = child_of(desk, parent, press, body)
    if press.window or (press.remix and body.get("enableRemix") is True):
        return desk.window(work, press)
    # Upscaling the same picture again: Midjourney makes nothing new, so nothing ever comes (section 9, no. 25).
    if press.once and custom_id in parent.presses:
        work.stuck = "silent"
    answer = desk.start(work)
    if work.paid:
        parent.presses.add(custom_id)
    return answer


def _modal(desk: Desk, body: Mapping[str, Any]) -> Answer:
    work = desk.known(body.get("taskId"))
    if isinstance(work, Answer):
        return work
    press, given = work.window, body.get("maskBase64")
    if press is None or work.word(desk.world.now()) != "MODAL":
        return desk.profile.invalid("", "关联任务状态错误")
    if press.verb == "Inpaint" or given:
        mask = data_link(given) or data_link(f"data:image/png;base64,{given}")
        decoded = picture_size(mask[1]) if mask else None
        if decoded is None or decoded[0] != "PNG":
            return desk.profile.invalid("", BAD_IMAGE)
    prompt = text_of(body, "prompt").strip() or work.prompt
    zoom = prompt.partition("--zoom")[2].split() if press.verb == "CustomZoom" else []
    confirmed = replace(
        work,
        id=desk.world.task_id() if desk.option("modal_new_id") else work.id,
        operation="modal",
        prompt=prompt,
        looks=_looks(prompt, work.uuid, len(work.looks)),
        submitted=desk.world.now(),
        hook=text_of(body, "notifyHook") or work.hook,
        window=None,
    )
    if zoom and not _between(zoom[0], 1, 2):
        confirmed.reason = "[Invalid parameter] Invalid value provided for argument --zoom"
    return desk.start(confirmed)


def new_work(
    desk: Desk,
    operation: str,
    action: str,
    body: Mapping[str, Any],
    prompt: str,
    *,
    kind: str = "grid",
    odd: bool = False,
) -> Work:
    """A task nobody has paid for yet."""
    world, size = desk.world, grid_size(prompt, odd=odd)
    uuid, (width, height) = world.uuid(), size or (640, 640)
    work = Work(
        id=world.task_id(),
        family=FAMILY,
        operation=operation,
        gateway=desk.profile.name,
        kind=kind,
        action=action,
        prompt=prompt,
        looks=_looks(prompt, uuid, 4),
        size=(width, height) if kind == "grid" else (width // 2, height // 2),
        uuid=uuid,
        mode=desk.mode,
        state=text_of(body, "state"),
        hook=text_of(body, "notifyHook"),
    )
    if size is None:
        work.reason = "[Invalid parameter] Invalid value provided for argument --ar"
    return work


def _described(desk: Desk, picture: bytes, body: Mapping[str, Any]) -> Work:
    work = new_work(desk, "describe", "DESCRIBE", body, "", kind="describe")
    work.typed = f"/describe {work.id}.png"
    decoded = picture_size(picture)
    if decoded is not None:
        work.upload, work.size = (SUFFIXES.get(decoded[0], "png"), picture), decoded[1:]
    work.text = suggestions(hashlib.sha256(picture).digest(), "3:2" if work.size[0] > work.size[1] else "1:1")
    return work


def child_of(desk: Desk, parent: Work, press: Press, body: Mapping[str, Any]) -> Work:
    """What a press of a parent's button makes."""
    if press.child == "describe" and parent.upload is not None:
        work = _described(desk, parent.upload[1], body)
    else:
        prompt = parent.prompt
        if parent.kind in ("describe", "shorten"):
            prompt = _suggested(parent)[press.number - 1]
        kind = parent.kind if press.verb == "reroll" else press.child
        work = new_work(desk, "action", press.action, body, prompt, kind=kind, odd=desk.option("odd"))
        if parent.kind not in ("describe", "shorten", "video", "clip"):
            halves = parent.size if parent.kind == "single" else (parent.size[0] // 2, parent.size[1] // 2)
            width, height = (int(side * scale) for side, scale in zip(halves, press.scale, strict=True))
            work.size = (2 * width, 2 * height) if kind == "grid" else (width, height)
        elif parent.kind in ("video", "clip"):
            work.size = parent.size
    if press.verb.startswith(("upsample", "video_virtual_upscale")):
        # Enlarged is the very picture that was pressed.
        work.looks = (parent.looks[press.number - 1 if len(parent.looks) > 1 else 0],)
        work.enlarged = press.verb != "upsample"
    work.action, work.parent = _action_word(desk, parent, press), parent.id
    work.operation, work.custom_id, work.mode = "action", text_of(body, "customId"), desk.mode
    return work


def _action_word(desk: Desk, parent: Work, press: Press) -> str:
    """What the gateway calls it. NET has a word of its own for a zoom and none for a reroll (section 4.3)."""
    if desk.profile.name == "mjproxy-net" and press.verb == "Outpaint":
        return "OUTPAINT"
    if desk.profile.name == "mjproxy-net" and press.verb == "reroll":
        return "IMAGINE" if parent.action == "UPSCALE" else parent.action
    return press.relay if desk.profile.relay else press.action


def _looks(prompt: str, uuid: str, count: int) -> tuple[Look, ...]:
    return tuple(Look(prompt, str(number), uuid) for number in range(1, count + 1))


def _opened(link: object) -> tuple[str, bytes]:
    return data_link(link) or ("", b"")


def _between(text: str, least: float, most: float) -> bool:
    try:
        return least <= float(text) <= most
    except ValueError:
        return False


def _suggested(work: Work) -> list[str]:
    """The prompts a task suggests, in order."""
    lines = (line.partition("️⃣ ") for line in work.text.splitlines())
    return [words for number, _, words in lines if number.isdigit()]


def _all(desk: Desk, parent: Work, body: Mapping[str, Any]) -> Answer:
    """Pictures of all four suggestions at one press: four tasks, their ids joined by commas (section 2.4)."""
    ids = []
    for number, prompt in enumerate(_suggested(parent)[:4], 1):
        work = new_work(desk, "action", "IMAGINE", body, prompt, odd=desk.option("odd"))
        work.state = f"{text_of(body, 'state')}::{number}"
        answer = desk.start(work)
        if not work.paid:
            return answer
        ids.append(work.id)
    return envelope(1, desk.profile.submitted, result=",".join(ids), properties={})


SUBMITS: Mapping[str, Callable[[Desk, Mapping[str, Any]], Answer]] = {
    "imagine": _imagine,
    "action": _action,
    "modal": _modal,
    "blend": _blend,
    "describe": _describe,
    "video": _video,
}
"""Last part of the path -> what it does with a body: the submits 302.AI is known to have."""
