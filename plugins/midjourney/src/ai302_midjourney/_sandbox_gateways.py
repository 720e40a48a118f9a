"""How the emulated gateways differ: who may enter, and how each says no (wire/midjourney.md 1, 7, 10)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ai302_core.sandbox import Answer, Incoming, World, bearer, refusal_302ai

from ._sandbox_documents import at_302ai, at_java, at_net, at_new_api
from ._sandbox_tasks import FAMILY, Work

__all__ = ["GATEWAYS", "Profile", "chosen", "envelope"]


def envelope(code: int, description: str, **members: Any) -> Answer:
    """The submit envelope, inside HTTP 200."""
    return Answer(200, {"code": code, "description": description, **members})


def _relay(description: str, code: int = 4, status: int = 400) -> Answer:
    # GO joins a text and an often empty detail, hence the blank at the end (wire/midjourney.md 7.3).
    return Answer(status, {"description": f"{description} ", "type": "upstream_error", "code": code})


_ABSENT = envelope(3, "关联任务不存在或已失效")


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One gateway's ways.

    roots         path roots -> its routes stand below them; "{mode}" is a placeholder
    relay         a GO relay in front: it validates by itself, and rewrites codes 21 and 22
    lacks         calls it has no address for: verbs of submits, "cancel", "list-by-condition", "list-by-ids", "list",
                  "queue", "image-seed"
    absent        how a parent that nobody knows is answered
    calls         it makes callbacks
    banned        what a banned word is: "code", "task", or "" for what the server was told
    admits        whether the request carries the right key in the right place
    invalid       (relay's literal, upstream's text) -> how a bad submit is answered
    patience      seconds after which it calls an unfinished task failed (section 5.2)
    """

    name: str
    roots: tuple[str, ...]
    relay: bool
    submitted: str
    document: Callable[[Work, World], dict[str, Any]]
    admits: Callable[[Incoming, str], bool]
    unauthorized: Answer
    unknown: Answer
    invalid: Callable[[str, str], Answer]
    penniless: Callable[[World], Answer]
    full: Answer
    lacks: frozenset[str] = frozenset()
    absent: Answer = _ABSENT
    calls: bool = True
    banned: str = ""
    patience: float = math.inf


def _admits_302ai(incoming: Incoming, key: str) -> bool:
    """The raw key; `Bearer ` in front is refused, as nobody documents it (wire/midjourney.md 1.1)."""
    return incoming.headers.get("mj-api-secret") == key


def _admits_java(incoming: Incoming, key: str) -> bool:
    """Exactly the configured secret in `mj-api-secret`, and no other header (wire/midjourney.md 1.1)."""
    return incoming.headers.get("mj-api-secret") == key


def _admits_net(incoming: Incoming, key: str) -> bool:
    """The raw value of `Authorization`, else of the other header; `Bearer` stays in it (wire/midjourney.md 1.1)."""
    return incoming.headers.get("authorization", incoming.headers.get("mj-api-secret")) == key


def _admits_new_api(incoming: Incoming, key: str) -> bool:
    """Bearer; only if that is missing or `midjourney-proxy`, the other header. `sk-` may be left out."""
    given = bearer(incoming) or incoming.headers.get("authorization", "")
    if given in ("", "midjourney-proxy"):
        given = incoming.headers.get("mj-api-secret", "").removeprefix("Bearer ")
    return given.strip().removeprefix("sk-") == key.removeprefix("sk-")


_NOT_FOUND_AT_302AI = {"shorten", "edits", "edit", "retexture", "swap", "video-swap", "upload-discord-images"}
# What a self-hosted server alone lists, and one of them under another name (wire/midjourney.md 2.17 and 2.18).
_LISTS = ("list", "list-by-ids", "queue")

GATEWAYS = (
    Profile(
        name="302ai",
        roots=("/mj", "/mj-relax", "/mj-turbo"),
        relay=False,
        submitted="Submit Success",
        document=at_302ai,
        admits=_admits_302ai,
        unauthorized=refusal_302ai(401, -10001),
        unknown=Answer(404),
        invalid=lambda literal, text: envelope(4, text),
        penniless=lambda world: refusal_302ai(world.option(FAMILY, "balance_status"), -10004),
        full=envelope(23, "队列已满，请稍后尝试", result=None),
        # Nobody is known to have called them there (wire/midjourney.md 2.1).
        lacks=frozenset({*_NOT_FOUND_AT_302AI, "change", "simple-change", *_LISTS, "list-by-condition", "image-seed"}),
    ),
    Profile(
        name="new-api",
        roots=("/mj", "/{mode}/mj"),
        relay=True,
        submitted="提交成功",
        document=at_new_api,
        admits=_admits_new_api,
        unauthorized=Answer(401, {"description": "无效的令牌", "type": "new_api_error", "code": 4}),
        unknown=_relay("task_no_found"),
        invalid=lambda literal, text: _relay(literal) if literal else envelope(4, text),
        penniless=lambda world: _relay("quota_not_enough"),
        full=_relay("当前分组上游负载已饱和，请稍后再试", 30, 429),
        lacks=frozenset({"retexture", "video-swap", "cancel", *_LISTS}),
        absent=_relay("task_not_found"),
        calls=False,
        patience=3600.0,
    ),
    Profile(
        name="mjproxy-net",
        roots=("/mj", "/{mode}/mj"),
        relay=False,
        submitted="提交成功",
        document=at_net,
        admits=_admits_net,
        unauthorized=Answer(401, b"Authorization header missing.", media_type="text/plain"),
        unknown=Answer(204),
        invalid=lambda literal, text: envelope(4, text),
        # It knows no money, only a daily limit (wire/midjourney.md 3.2).
        penniless=lambda world: envelope(4, "今日绘图次数已达上限"),
        full=envelope(9, "提交失败，队列已满，请稍后重试", result=None),
        lacks=frozenset({"change", "simple-change", "queue"}),
        absent=Answer(404, {"code": 3, "description": "关联任务不存在或已失效"}),
        banned="task",
    ),
    Profile(
        name="mjproxy-java",
        roots=("/mj",),
        relay=False,
        submitted="提交成功",
        document=at_java,
        admits=_admits_java,
        unauthorized=Answer(401),
        unknown=Answer(200),
        invalid=lambda literal, text: envelope(4, text),
        penniless=lambda world: envelope(3, "无可用的账号实例"),
        full=envelope(23, "队列已满，请稍后尝试", result=None),
        lacks=frozenset({*_NOT_FOUND_AT_302AI, "action", "modal", "video", "cancel", "image-seed", "list-by-ids"}),
        banned="code",
    ),
)


def chosen(world: World, incoming: Incoming, candidates: tuple[Profile, ...]) -> Profile | None:
    """The gateway that a request means: the server's only one, else 302.AI wherever its header is, else by the path."""
    if world.gateway is not None and any(profile.name == world.gateway for profile in GATEWAYS):
        candidates = tuple(profile for profile in candidates if profile.name == world.gateway)
    if len(candidates) > 1:
        # JAVA cannot be told from 302.AI: it is only what a server was told to be.
        given = incoming.headers.get("authorization", "")
        home = any(profile.name == "302ai" for profile in candidates)
        raw = bool(given) and not given.lower().startswith("bearer ") and given != "midjourney-proxy"
        own = home and ("mj-api-secret" in incoming.headers or not given)
        wanted = "302ai" if own else "mjproxy-net" if raw else "new-api"
        candidates = tuple(profile for profile in candidates if profile.name == wanted)
    return candidates[0] if candidates else None
