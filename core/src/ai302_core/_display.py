"""How results look in a notebook: pictures and clips from saved files, else from their links. Everything is escaped."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .assets import Asset
    from .jobs import Job

EMBEDDED = 20 * 2**20
"""Bytes of files one result puts into a notebook; what is beyond is shown by its path."""

_KINDS = {
    ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp", ".gif": "image/gif",
    ".mp4": "video/mp4", ".webm": "video/webm", ".mp3": "audio/mpeg", ".wav": "audio/wav",
}  # fmt: skip
_STYLE = "max-width:320px;max-height:320px;margin:2px"


def result(job: Job, assets: Sequence[Asset], files: Sequence[Path]) -> str:
    """A finished job: its files, or where there are none its assets' links."""
    room, shown = EMBEDDED, []
    for path in files:
        made = _embedded(path, room)
        if made is not None:
            room -= path.stat().st_size
        shown.append(made or f"<code>{escape(str(path))}</code>")
    if not files:
        shown = [asset(entry) for entry in assets]
    words = f"{escape(job.id)} · {escape(job.provider)}/{escape(job.operation)} · {escape(str(job.status))}"
    return f"<div>{''.join(shown)}<p><small>{words}</small></p></div>"


def asset(entry: Asset) -> str:
    """One asset by its link, or its text."""
    if entry.text is not None:
        return f"<pre>{escape(entry.text)}</pre>"
    if entry.url is None or not entry.url.lower().startswith(("https://", "http://", "data:image/")):
        return f"<code>{escape(entry.kind)} {escape(entry.role)} {entry.index}</code>"
    if entry.cut is not None:  # its link is the whole grid's
        return f"<code>{escape(entry.role)} {entry.index}: save it first, it is cut from a grid</code>"
    return _tag(entry.kind, escape(entry.url), f"{entry.role} {entry.index}")


def _embedded(path: Path, room: int) -> str | None:
    media_type = _KINDS.get(path.suffix.lower())
    try:
        if media_type is None or path.stat().st_size > room:
            return None
        content = base64.b64encode(path.read_bytes()).decode()
    except OSError:
        return None
    return _tag(media_type.partition("/")[0], f"data:{media_type};base64,{content}", path.name)


def _tag(kind: str, link: str, name: str) -> str:
    if kind == "image":
        return f'<img style="{_STYLE}" alt="{escape(name)}" title="{escape(name)}" src="{link}">'
    if kind in ("video", "audio"):
        return f'<{kind} controls style="{_STYLE}" title="{escape(name)}" src="{link}"></{kind}>'
    return f'<a href="{link}">{escape(name)}</a>'
