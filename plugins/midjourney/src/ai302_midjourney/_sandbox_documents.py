"""A task of the emulated Midjourney as each gateway writes it (wire/midjourney.md 4 and 10, 2026-11-21)."""

from __future__ import annotations

from typing import Any

from ai302_core.sandbox import World

from ._sandbox_tasks import FAMILY, Work

__all__ = ["at_302ai", "at_java", "at_net", "at_new_api"]


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _times(work: Work, now: float, status: str) -> dict[str, int]:
    begun = status not in ("NOT_START", "MODAL")
    ended = status in ("SUCCESS", "FAILURE", "CANCEL")
    return {
        "submitTime": _ms(work.submitted),
        "startTime": _ms(min(work.start, now)) if begun else 0,
        "finishTime": _ms(work.finish) if ended else 0,
    }


def at_302ai(work: Work, world: World) -> dict[str, Any]:
    """The document as 302.AI writes it (its page "Fetch", video group, 2025-07-01): empty strings rather than null."""
    now = world.now()
    status, progress = work.course(now)
    done = status == "SUCCESS"
    shown = done and not work.bare
    moving = work.kind in ("video", "clip")
    document: dict[str, Any] = {
        "action": work.action,
        "botType": "",
        "buttons": work.buttons() if done else [],
        "customId": work.custom_id,
        "description": "Submit Success",
        "failReason": work.failure if status == "FAILURE" else "",
        "id": work.id,
        "imageHeight": work.size[1] if done else 0,
        "imageUrl": work.picture_url if shown else work.preview_url if status == "IN_PROGRESS" else "",
        "imageUrls": None,
        "imageWidth": work.size[0] if done else 0,
        "maskBase64": "",
        "mode": "",
        "progress": progress,
        "prompt": work.prompt,
        "promptEn": work.text if done else "",
        "proxy": "",
        "state": work.state,
        "status": status,
        "videoUrl": "",
        "videoUrls": [{"url": url} for url in work.clip_urls] if moving and shown else None,
        **_times(work, now, status),
    }
    if shown and work.tile_urls and world.option(FAMILY, "tile_links"):
        document["imageUrls"] = [{"url": url} for url in work.tile_urls]
    if done and work.text:
        document["properties"] = {"finalPrompt": work.text}
    return document


def at_new_api(work: Work, world: World) -> dict[str, Any]:
    """The document as a GO relay rewrites it (wire/midjourney.md 4, 6.2, 10)."""
    now = world.now()
    status, progress = work.course(now)
    done, synced = status == "SUCCESS", status not in ("NOT_START", "MODAL")
    shown = (done and not work.bare) or status == "IN_PROGRESS"
    moving = work.kind in ("video", "clip") and done and not work.bare
    link = f"{world.origin}/mj/image/{work.id}" if shown else ""
    document: dict[str, Any] = {
        "id": work.id,
        "action": work.action,
        "customId": "",
        "botType": "",
        "prompt": work.prompt,
        "promptEn": work.text or work.prompt,
        "description": "提交成功",
        "state": work.state if synced else "",
        "imageUrl": link if done or not link else f"{link}?rand={_ms(now)}000000",
        "videoUrl": work.clip_urls[0] if moving else "",
        "videoUrls": [{"url": url} for url in work.clip_urls] if moving else None,
        # Right after the submit the relay knows no status yet; it copies the upstream's from time to time.
        "status": "" if status == "NOT_START" else status,
        "progress": "100%" if status == "FAILURE" else progress or "0%",
        "failReason": work.failure if status == "FAILURE" else "",
        "buttons": work.buttons() if done else None,
        "maskBase64": "",
        "properties": {"finalPrompt": work.text or work.prompt, "finalZhPrompt": ""} if done else None,
        **_times(work, now, status),
    }
    return document


def _self_hosted(work: Work, world: World) -> dict[str, Any]:
    """The members both self-hosted servers write: null for what is not there."""
    now = world.now()
    status, progress = work.course(now)
    done = status == "SUCCESS"
    shown = (done and not work.bare) or status == "IN_PROGRESS"
    moving = work.kind in ("video", "clip")
    return {
        "id": work.id,
        "action": work.action,
        "status": status,
        "progress": progress if status != "NOT_START" else None,
        "prompt": (work.text or work.prompt) if done else work.prompt,
        "promptEn": (work.text or work.prompt) if done else work.prompt,
        "description": work.typed or f"/{work.operation} {work.prompt}".strip(),
        "state": work.state or None,
        "imageUrl": (work.picture_url if done else work.preview_url) if shown and not (moving and done) else None,
        "failReason": work.failure if status == "FAILURE" else None,
        **{name: moment or None for name, moment in _times(work, now, status).items()},
    }


def at_java(work: Work, world: World) -> dict[str, Any]:
    """The origin of the format: no buttons, many properties, the address of the callback among them."""
    properties = {
        "notifyHook": work.hook or None,
        "finalPrompt": work.text or work.prompt,
        "messageId": work.id,
        "messageHash": work.uuid,
        "flags": 0,
        "discordInstanceId": "900000000000000001",
    }
    return {**_self_hosted(work, world), "properties": properties}


# (wire/midjourney.md 4.1, 2026-11-21)
_NET_ALONE = (
    "parentId", "instanceId", "subInstanceId", "messageId", "messageIds", "nonce", "isCompleted", "promptFull",
    "language", "baseImageUrl", "thumbnailUrl", "url", "proxyUrl", "width", "height", "size", "contentType",
    "videoGenOriginImageUrl", "videoDuration", "frameCount", "useTime", "version", "videoType", "isHdVideo", "seed",
    "seedError", "clientIp", "jobId", "isPartner", "isOfficial", "accountFilter", "requestMode", "storageOption",
    "displays",
)  # fmt: skip


def at_net(work: Work, world: World) -> dict[str, Any]:
    """Its superset: buttons, links of every picture and clip, and about fifty members, null where nothing is said."""
    status = work.word(world.now())
    done = status == "SUCCESS" and not work.bare
    moving = work.kind in ("video", "clip")
    whole = _self_hosted(work, world)
    spent = work.finish - work.start
    return {
        **dict.fromkeys(_NET_ALONE),
        **whole,
        "parentId": work.parent or None,
        "imageWidth": work.size[0] if done else None,
        "imageHeight": work.size[1] if done else None,
        "messageIds": [],
        "useTime": f"{spent:.2f} s" if status == "SUCCESS" else None,
        "imageUrls": [{"url": url, "thumbnail": url} for url in work.tile_urls] if done else [],
        "videoUrl": work.clip_urls[0] if done and moving else None,
        "videoUrls": [{"url": url, "thumbnail": None} for url in work.clip_urls] if done and moving else None,
        "buttons": work.buttons() if status == "SUCCESS" else [],
        "botType": "INSIGHT_FACE" if work.action.startswith("SWAP") else "MID_JOURNEY",
        "mode": work.mode.upper() or None,
        "customId": work.custom_id or None,
        "width": work.size[0] if done else None,
        "height": work.size[1] if done else None,
        "isCompleted": status in ("SUCCESS", "FAILURE", "CANCEL"),
        "jobId": work.uuid,
        "seed": None,
        "properties": {"finalPrompt": work.text or work.prompt, "notifyHook": work.hook or None},
    }
