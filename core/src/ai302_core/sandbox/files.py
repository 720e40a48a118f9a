"""The file host: published files over HTTP, whole or in part."""

from __future__ import annotations

import hashlib
import re

from .vocabulary import Answer, Incoming, Route
from .world import World

__all__ = ["FILES"]


def _download(world: World, incoming: Incoming) -> Answer:
    try:
        content, media_type = world.content(incoming.path), world.files[incoming.path].media_type
    except KeyError:
        return Answer(404, b"Not Found", media_type="text/plain")
    tag = f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
    headers = {"ETag": tag, "Accept-Ranges": "bytes"}
    wanted = _span(incoming.headers.get("range", ""), len(content))
    if wanted is None or incoming.headers.get("if-range", tag) != tag:
        return Answer(200, content, headers, media_type)
    first, last = wanted
    if first > last:
        return Answer(416, None, {**headers, "Content-Range": f"bytes */{len(content)}"}, media_type)
    headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
    return Answer(206, content[first : last + 1], headers, media_type)


def _span(text: str, size: int) -> tuple[int, int] | None:
    """First and last byte of a `Range` header; (1, 0) cannot be served, None asks for the whole file."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", text.strip())
    if not match or match[0] == "bytes=-":
        return None
    first, last = match[1], match[2]
    if not first:
        return (max(0, size - int(last)), size - 1) if int(last) else (1, 0)
    if last and int(last) < int(first):
        return None
    return (int(first), min(int(last or size), size - 1)) if int(first) < size else (1, 0)


FILES = tuple(
    Route(name="download", method="GET", path=path, handler=_download, keyless=True)
    for path in ("/gpt/imgs/{day}/{name}", "/gpt/imgs/{name}")
)
"""Routes of 302.AI's file host (wire/302ai.md 1.4): no key belongs there."""
