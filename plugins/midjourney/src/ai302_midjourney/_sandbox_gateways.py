"""How the emulated gateways differ: who may enter, and how each says no (wire/midjourney.md 1, 7, 10)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ai302_core.sandbox import Answer, Incoming, World, bearer, refusal_302ai

from ._sandbox_tasks import FAMILY, Work, at_302ai, at_new_api

__all__ = ["GATEWAYS", "Profile", "chosen", "envelope"]


def envelope(code: int, description: str, **members: Any) -> Answer:
    """The submit envelope, inside HTTP 200."""
    return Answer(200, {"code": code, "description": description, **members})


def _relay(description: str, code: int = 4, status: int = 400) -> Answer:
    # GO joins a text and an often empty detail, hence the blank at the end (wire/midjourney.md 7.3).
    return Answer(status, {"description": f"{description} ", "type": "upstream_error", "code": code})


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One gateway's ways.

    roots         path roots -> its routes stand below them; "{mode}" is a placeholder
    relay         a GO relay in front: it validates by itself, and rewrites codes 21 and 22
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
    patience: float = math.inf


def _admits_302ai(incoming: Incoming, key: str) -> bool:
    """The raw key; `Bearer ` in front is refused, as nobody documents it (wire/midjourney.md 1.1)."""
    return incoming.headers.get("mj-api-secret") == key


def _admits_new_api(incoming: Incoming, key: str) -> bool:
    """Bearer; only if that is missing or `midjourney-proxy`, the other header. `sk-` may be left out."""
    given = bearer(incoming) or incoming.headers.get("authorization", "")
    if given in ("", "midjourney-proxy"):
        given = incoming.headers.get("mj-api-secret", "").removeprefix("Bearer ")
    return given.strip().removeprefix("sk-") == key.removeprefix("sk-")


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
        patience=3600.0,
    ),
)


def chosen(world: World, incoming: Incoming, candidates: tuple[Profile, ...]) -> Profile | None:
    """The gateway that a request means: the server's only one, else 302.AI wherever its header is, else by the path."""
    if world.gateway is not None and any(profile.name == world.gateway for profile in GATEWAYS):
        candidates = tuple(profile for profile in candidates if profile.name == world.gateway)
    if len(candidates) > 1:
        wanted = (
            "new-api" if "mj-api-secret" not in incoming.headers and "authorization" in incoming.headers else "302ai"
        )
        candidates = tuple(profile for profile in candidates if profile.name == wanted)
    return candidates[0] if candidates else None
