"""What is bought in the matrix: one intention for each family and operation of interest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ai302_core import ImageRequest, Request, VideoRequest

from .cells import FILES, Cell

PICTURE = "picture.png"
"""Stands for a picture on disk in a request."""


@dataclass(frozen=True)
class Buying:
    """One intention.

    name      as the report shows it
    provider  its table in gen302.toml
    request   what is asked for; a first frame of PICTURE is written to disk before
    files     how many come
    together  how many of it are bought at once
    has       what it can meet beyond submit and download: "poll", "upload", "list"
    lacks     common faults its sandbox route does not know: (where, kind)
    own       cells of this family alone
    """

    name: str
    provider: Mapping[str, Any]
    request: Request
    files: int = 1
    together: int = 1
    has: frozenset[str] = frozenset({"poll"})
    lacks: frozenset[tuple[str, str]] = frozenset()
    own: tuple[Cell, ...] = field(default=())


def _refusal(error: str, **options: Any) -> Cell:
    return Cell("submit", "refused", options, paid=0, told=error, status="", then=FILES)


_302AI = (
    _refusal("InvalidRequestError", status=400, code=-10011),
    _refusal("AuthenticationError", status=401, code=-10001),
    _refusal("BalanceError", status=402, code=-10004),
    _refusal("ServerError", status=503, code=-10008),
)

SLOW = Cell("submit", "late", {"seconds": 3.0})  # a synchronous call is waited for until the edge has cut it
MIDJOURNEY = (Cell("submit", "queue_full"), _refusal("InvalidRequestError"))

BUYINGS = (
    Buying("Midjourney imagine, 302ai", {"family": "midjourney"}, ImageRequest("a lamp"), files=4, own=MIDJOURNEY),
    Buying("Midjourney imagine, new-api", {"family": "midjourney", "gateway": "new-api"}, ImageRequest("a lamp"),
           files=4, own=MIDJOURNEY),
    Buying("Midjourney imagine, new-api, eight looked at together", {"family": "midjourney", "gateway": "new-api"},
           ImageRequest("a lamp"), files=4, together=8, has=frozenset({"list"})),
    Buying("unified image v2", {"family": "unified_image"}, ImageRequest("a lamp"), own=_302AI),
    Buying("unified image v1 (synchronous)", {"family": "unified_image"}, ImageRequest("a lamp", model="luma-t2i"),
           has=frozenset(), lacks=frozenset({("submit", "late")}), own=(*_302AI, SLOW)),
    Buying("Veo, unified door", {"family": "veo"}, VideoRequest("a boat"), own=_302AI),
    Buying("Veo, veo3-pro", {"family": "veo"}, VideoRequest("a boat", model="veo3-pro"), own=_302AI),
    Buying("Veo, veo3-v2", {"family": "veo"}, VideoRequest("a boat", model="veo3.1"), own=_302AI),
    Buying("Veo, mounted door", {"family": "veo"}, VideoRequest("a boat", model="google/veo3.1/text-to-video"),
           own=_302AI),
    Buying("Veo, veo2 from a picture", {"family": "veo"}, VideoRequest("a boat", model="veo2-i2v", first_frame=PICTURE),
           has=frozenset({"poll", "upload"}), own=_302AI),
)  # fmt: skip
