"""The submits that only other servers have: shorten, edits, face swaps, uploads, changes (wire/midjourney.md 2)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ai302_core.sandbox import Answer, data_link, picture_size

from ._sandbox_buttons import pressed
from ._sandbox_desk import Desk, text_of
from ._sandbox_gateways import envelope
from ._sandbox_submits import BAD_IMAGE, SUBMITS, SUFFIXES, child_of, new_work
from ._sandbox_tasks import shortened

__all__ = ["VERBS"]

_CHANGES = {"U": "UPSCALE", "V": "VARIATION", "R": "REROLL"}
Body = Mapping[str, Any]


def _shorten(desk: Desk, body: Body) -> Answer:
    prompt = text_of(body, "prompt")
    if not prompt.strip():
        return desk.profile.invalid("prompt_is_required", "prompt不能为空")
    work = new_work(desk, "shorten", "SHORTEN", body, prompt, kind="shorten")
    work.text = shortened(prompt)
    return desk.start(work)


def _edited(action: str, desk: Desk, body: Body) -> Answer:
    prompt, given = text_of(body, "prompt"), text_of(body, "image")
    if not prompt.strip():
        return desk.profile.invalid("prompt_is_required", "prompt不能为空")
    link = data_link(given)
    if link is None and not given.startswith(("http://", "https://")):
        return desk.profile.invalid("", BAD_IMAGE)
    work = new_work(desk, action.lower(), "EDITS" if desk.profile.relay and action == "EDIT" else action, body, prompt)
    return desk.start(work, *([link[1]] if link else []))


def _swap(desk: Desk, body: Body) -> Answer:
    links = [data_link(body.get(name)) for name in ("sourceBase64", "targetBase64")]
    urls = [text_of(body, name) for name in ("sourceUrl", "targetUrl")]
    if desk.profile.relay and None in links:
        return desk.profile.invalid("sour_base64_and_target_base64_is_required", "")
    if not all(link or url for link, url in zip(links, urls, strict=True)):
        return desk.profile.invalid("", "人脸图片不能为空")
    work = new_work(desk, "swap-face", "SWAP_FACE", body, "", kind="single")
    work.buttonless = True
    size = picture_size(links[1][1]) if links[1] else None
    if size is not None:
        work.size = size[1:]
    return desk.start(work, *(link[1] for link in links if link))


def _swap_video(desk: Desk, body: Body) -> Answer:
    parts = {part.name.lower(): part for part in desk.incoming.form()}
    face = any(parts[name].content for name in ("sourcebase64", "sourceurl") if name in parts)
    clip = any(parts[name].content for name in ("targetfile", "targeturl") if name in parts)
    if not face or not clip:
        return desk.profile.invalid("", "目标视频不能为空" if face else "人脸图片不能为空")
    fields = {"notifyHook": parts["notifyhook"].content.decode("utf-8", "replace")} if "notifyhook" in parts else {}
    work = new_work(desk, "swap-face-video", "SWAP_VIDEO_FACE", fields, "", kind="clip")
    work.looks, work.buttonless = work.looks[:1], True
    return desk.start(work)


def _upload(desk: Desk, body: Body) -> Answer:
    given = body.get("base64Array")
    links = [data_link(entry) for entry in given] if isinstance(given, list) else []
    if not links or not all(links):
        return desk.profile.invalid("", BAD_IMAGE)
    urls = []
    for link in links:
        content = link[1] if link else b""
        shape = picture_size(content)
        if shape is None:
            return desk.profile.invalid("", BAD_IMAGE)
        urls.append(desk.world.publish(partial(bytes, content), SUFFIXES.get(shape[0], "png")))
    return envelope(1, desk.profile.submitted, result=urls, properties={})


def _change(desk: Desk, body: Body) -> Answer:
    action, index = text_of(body, "action").upper(), body.get("index")
    if action not in _CHANGES.values():
        return desk.profile.invalid("action_is_required", "参数错误")
    if (desk.profile.relay or action != "REROLL") and index not in (1, 2, 3, 4):
        return desk.profile.invalid("index_is_required", "参数错误")
    parent = desk.parent(body.get("taskId"))
    if isinstance(parent, Answer):
        return parent
    if parent.kind != "grid":
        return desk.profile.invalid("", "关联任务不允许执行变化")
    verb = {"UPSCALE": "upsample", "VARIATION": "variation", "REROLL": "reroll"}[action]
    press = pressed(f"MJ::JOB::{verb}::{index or 0}::{parent.uuid}", parent.uuid, described=False)
    assert press is not None
    name = f"{action}-{index}"
    work = child_of(desk, parent, press, body)
    work.operation, work.custom_id = "change", ""
    work.typed = f"/up {parent.id} {action[0]}{index if action != 'REROLL' else ''}"
    if press.once and name in parent.presses:
        work.stuck = "silent"
    answer = desk.start(work)
    if work.paid:
        parent.presses.add(name)
    return answer


def _simple_change(desk: Desk, body: Body) -> Answer:
    match = re.fullmatch(r"(\d+) ([UV])([1-4])|(\d+) (R)", text_of(body, "content").strip(), re.IGNORECASE)
    if match is None or desk.profile.relay:
        return desk.profile.invalid("content_parse_failed", "参数错误")
    letter = (match[2] or match[5]).upper()
    said = {"taskId": match[1] or match[4], "action": _CHANGES[letter], "index": int(match[3] or 1)}
    return _change(desk, {**body, **said})


VERBS: Mapping[str, Callable[[Desk, Body], Answer]] = {
    **SUBMITS,
    "shorten": _shorten,
    "edits": partial(_edited, "EDIT"),
    "edit": partial(_edited, "EDIT"),
    "retexture": partial(_edited, "RETEXTURE"),
    "swap": _swap,
    "video-swap": _swap_video,
    "upload-discord-images": _upload,
    "change": _change,
    "simple-change": _simple_change,
}
"""Last part of the path -> what it does with a body."""
