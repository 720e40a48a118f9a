"""What is bought in the matrix: one intention for each family and operation of interest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ai302_core import ImageRequest, Request, VideoRequest
from ai302_core.sandbox import Look, tile
from ai302_midjourney import BlendRequest, DescribeRequest, MotionRequest

from .cells import DOWNLOAD, FILES, NOBODY_KNOWS, POLL, SUBMIT, Cell

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
    lacks     common faults its sandbox route does not know, or that are another buying's to meet: (where, kind)
    presses   buttons pressed one after the other on what the request makes; the last of them is the intention
    fields    of the last press
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
    presses: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)


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

# What the other operations of a family meet as its first one does is met once.
_AS_IMAGINE = frozenset(
    (cell.where, cell.kind)
    for cell in (*POLL, *DOWNLOAD)
    if (cell.where, cell.kind) not in {("poll", "html"), ("poll", "missing"), ("poll", "fail"), ("download", "reset")}
)
_LAMP, _PNG = ImageRequest("a lamp"), tile(Look("a lamp", "1", "1"), (320, 320))
# The answer to a window: that it was lost is seen by a look at the task, which has moved on or still waits.
_HEARD = ("drop", "late", "error502", "error504html", "html", "empty", "truncated", "reset")
WINDOW = (
    *(
        Cell("submit:modal", kind, {"seconds": 600} if kind == "late" else {} if kind in ("drop", "empty", "truncated",
             "reset") else {"accept": True}, told=NOBODY_KNOWS, status="unconfirmed")
        for kind in _HEARD
    ),
    *(
        Cell("submit:modal", kind, paid=0, told=NOBODY_KNOWS, status="unconfirmed", then=NOBODY_KNOWS, bought=0)
        for kind in ("drop-before", "error500")
    ),
    Cell("submit:modal", "429", {"retry_after": 0}),
    Cell("submit:modal", "refuse", {"seconds": 0.3}),
    Cell("poll", "html", times=2),
    Cell("poll", "unknown_word"),
    Cell("poll", "fail", {"reason": "the renderer broke"}, 1, 0, "JobFailed", "failed", "JobFailed", 0),
)  # fmt: skip


def _midjourney(name: str, request: Request, files: int = 4, **more: Any) -> Buying:
    lacks = _AS_IMAGINE | more.pop("lacks", frozenset())
    return Buying(f"Midjourney {name}, 302ai", {"family": "midjourney"}, request, files=files, lacks=lacks, **more)


BUYINGS = (
    Buying("Midjourney imagine, 302ai", {"family": "midjourney"}, ImageRequest("a lamp"), files=4, own=MIDJOURNEY),
    Buying("Midjourney imagine, new-api", {"family": "midjourney", "gateway": "new-api"}, ImageRequest("a lamp"),
           files=4, own=MIDJOURNEY),
    Buying("Midjourney imagine, new-api, eight looked at together", {"family": "midjourney", "gateway": "new-api"},
           ImageRequest("a lamp"), files=4, together=8, has=frozenset({"list"})),
    _midjourney("blend", BlendRequest((_PNG, _PNG))),
    _midjourney("describe", DescribeRequest(_PNG), lacks=frozenset({("download", "reset")})),
    _midjourney("video", MotionRequest("a lamp", first_frame=_PNG)),
    _midjourney("upscale", _LAMP, 1, presses=("upscale-2",)),
    _midjourney("vary", _LAMP, presses=("vary-3",)),
    _midjourney("vary-region", _LAMP, presses=("upscale-1", "vary-region"), fields={"mask": _PNG, "prompt": "a door"},
                lacks=frozenset((cell.where, cell.kind) for cell in (*SUBMIT, *POLL)), own=WINDOW),
    Buying("unified image v2", {"family": "unified_image"}, ImageRequest("a lamp"), own=_302AI),
    Buying("unified image v1 (synchronous)", {"family": "unified_image"}, ImageRequest("a lamp", model="luma-t2i"),
           has=frozenset(), lacks=frozenset({("submit", "late")}), own=(*_302AI, SLOW)),
    Buying("Veo, unified endpoint", {"family": "veo"}, VideoRequest("a boat"), own=_302AI),
    Buying("Veo, veo3-pro", {"family": "veo"}, VideoRequest("a boat", model="veo3-pro"), own=_302AI),
    Buying("Veo, veo3-v2", {"family": "veo"}, VideoRequest("a boat", model="veo3.1"), own=_302AI),
    Buying("Veo, mounted endpoint", {"family": "veo"}, VideoRequest("a boat", model="google/veo3.1/text-to-video"),
           own=_302AI),
    Buying("Veo, veo2 from a picture", {"family": "veo"}, VideoRequest("a boat", model="veo2-i2v", first_frame=PICTURE),
           has=frozenset({"poll", "upload"}), own=_302AI),
)  # fmt: skip
