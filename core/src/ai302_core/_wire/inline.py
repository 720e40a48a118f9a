"""Bytes that came within an answer: found by what they are, taken out of its document, named. No I/O."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from ai302_core import _paths
from ai302_core._files.media import data_content
from ai302_core._files.sniffing import HEAD, pixels, sniff
from ai302_core._steps import Picture, Reply
from ai302_core.assets import Asset, AssetKind

_TAKEN = ("image/", "video/", "audio/", "model/")
_BASE64 = re.compile(r"[A-Za-z0-9+/_=\s-]+")
_LEAST = 64  # characters of base64 that can hold a file at all
_SURE = 1000  # and those from which on even a weak sign is believed


@dataclass(frozen=True)
class Carried:
    """An answer and the files that were in it.

    document  the answer's JSON; in the place of every file stands its mark, "inline:SHA-256.suffix"
    files     mark -> file
    """

    document: Any
    files: Mapping[str, Picture] = field(default_factory=dict)

    def body(self, reply: Reply) -> bytes:
        """The answer's body without the files."""
        return json.dumps(self.document, ensure_ascii=False).encode("utf-8", "replace") if self.files else reply.body

    def named(self, job_id: str, assets: tuple[Asset, ...]) -> tuple[tuple[Asset, ...], dict[str, bytes]]:
        """The assets with the names their files get, and the content of every file by its name."""
        names = {mark: f"{job_id}-{mark.removeprefix('inline:')}" for mark in self.files}
        contents = {names[mark]: picture.content or b"" for mark, picture in self.files.items()}
        return tuple(_placed(asset, names) for asset in assets), contents


def _placed(asset: Asset, names: Mapping[str, str]) -> Asset:
    return replace(asset, path=names.get(asset.path or "", asset.path))


def carried(reply: Reply) -> Carried:
    """The answer to a paid call, its files taken out; a file that is the whole body counts, too."""
    if reply.document is None and 200 <= reply.status < 300:
        picture = _picture(reply.body, 0)
        if picture is not None:
            told = {"media_type": picture.media_type, "size": len(reply.body), "inline": _mark(picture)}
            return Carried(told, {_mark(picture): picture})
    return taken_out(reply.document)


def taken_out(document: Any) -> Carried:
    """The document without the files in it: data: links and base64 whose content is a picture, clip, sound or model."""
    files: dict[str, Picture] = {}
    try:
        document = _without(document, files)
    except RecursionError:
        return Carried(document)
    return Carried(document, files)


def whole(found: Carried) -> tuple[Asset, ...]:
    """The asset of an answer that was nothing but a file."""
    if not isinstance(found.document, dict) or set(found.document) != {"media_type", "size", "inline"}:
        return ()
    picture = found.files.get(found.document["inline"])
    if picture is None:
        return ()
    return (asset(picture, found.document["inline"]),)


def asset(picture: Picture, mark: str, *, kind: AssetKind | None = None, role: str = "final", index: int = 1) -> Asset:
    """The asset of a file that came within an answer; its path is the mark until the file is written."""
    main = picture.media_type.partition("/")[0]
    told = cast("AssetKind", "model3d" if main == "model" else main)
    return Asset(
        kind=kind or told,
        role=role,
        index=index,
        path=mark,
        media_type=picture.media_type,
        width=picture.width,
        height=picture.height,
    )


def _without(value: Any, files: dict[str, Picture]) -> Any:
    """The value itself where nothing was in it."""
    if isinstance(value, (dict, list)):
        taken = {}
        for place, entry in value.items() if isinstance(value, dict) else enumerate(value):
            kind = type(entry)
            if kind is str:
                if len(entry) < _LEAST:
                    continue
            elif kind is not dict and kind is not list:
                continue
            slim = _without(entry, files)
            if slim is not entry:
                taken[place] = slim
        if not taken:
            return value
        other = value.copy()
        for place, slim in taken.items():
            other[place] = slim
        return other
    if not isinstance(value, str) or len(value) < _LEAST:
        return value
    if value.lstrip()[:1] in ("{", "["):
        return _within(value, files)
    content = _content(value)
    picture = None if content is None else _picture(content, len(value))
    if picture is None:
        return value
    files[_mark(picture)] = picture
    return _mark(picture)


def _within(text: str, files: dict[str, Picture]) -> Any:
    """JSON inside a string: opened only where a file is in it."""
    try:
        document = _paths.loads(text)
    except ValueError:
        return text
    slim = _without(document, files)
    return text if slim is document else slim


def _content(text: str) -> bytes | None:
    if text[:5].lower() == "data:":
        return data_content(text)
    head = text[:_LEAST]
    if not _BASE64.fullmatch(head) or sniff(data_content(f";base64,{head[: len(head) // 4 * 4]}") or b"") is None:
        return None
    return data_content(f";base64,{text}")


def _picture(content: bytes, characters: int) -> Picture | None:
    """`characters`: of base64 the content was; 0 for content as it is."""
    found = sniff(content[:HEAD])
    if found is None or not found[0].startswith(_TAKEN):
        return None
    weak = content[:1] == b"\xff" and content[1:2] != b"\xd8"  # two bytes, which the letters of a path may give
    if weak and 0 < characters < _SURE:
        return None
    width, height = pixels(content) or (None, None)
    sha256 = hashlib.sha256(content).hexdigest()
    return Picture(name=f"{sha256}{found[1]}", content=content, media_type=found[0], sha256=sha256, width=width,
                   height=height)  # fmt: skip


def _mark(picture: Picture) -> str:
    return f"inline:{picture.name}"
