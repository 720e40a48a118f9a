"""Pictures, clips and texts: what a job yields, and what a caller gives to one. Frozen data, no I/O."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from .errors import ParameterError

__all__ = ["Asset", "AssetKind", "Media", "MediaRef", "from_iso", "to_iso"]

AssetKind = Literal["image", "video", "audio", "text", "model3d"]


def to_iso(moment: datetime | None) -> str | None:
    return None if moment is None else (moment if moment.tzinfo is UTC else moment.astimezone(UTC)).isoformat()


def from_iso(text: str | None) -> datetime | None:
    moment = None if text is None else datetime.fromisoformat(text)
    return moment if moment is None or moment.tzinfo is UTC else moment.astimezone(UTC)


@dataclass(frozen=True, kw_only=True)
class Asset:
    """One file or text of a result.

    kind          image, video, audio, text, model3d
    role          final, grid, tile, preview, …; the deliverables are final and tile
    index         from 1 within its kind and role
    url, text     where the file is, or the text itself
    media_type    as the service says, or ""
    width, height pixels
    expires_at    when the link dies (UTC), where the link says so
    path          where the file is on this machine, when the service sent it within its answer instead of a link: kept
                  beside the ledger until it was saved, and a week longer
    cut           (column, row, columns, rows): this asset is that cell of the picture behind `url`
    """

    kind: AssetKind
    role: str = "final"
    index: int = 1
    url: str | None = None
    text: str | None = None
    media_type: str = ""
    width: int | None = None
    height: int | None = None
    expires_at: datetime | None = None
    cut: tuple[int, int, int, int] | None = None
    path: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Only the members that say something, as plain JSON data."""
        document = {name: value for name, value in vars(self).items() if value != _DEFAULTS[name]}
        if self.expires_at is not None:
            document["expires_at"] = to_iso(self.expires_at)
        if self.cut is not None:
            document["cut"] = list(self.cut)
        return document

    def _repr_html_(self) -> str:
        """How a notebook shows it."""
        from . import _display

        return _display.asset(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Asset:
        """The asset that `to_json` described."""
        values = dict(document)
        if "expires_at" in values:
            values["expires_at"] = from_iso(values["expires_at"])
        if "cut" in values:
            column, row, columns, rows = values["cut"]
            values["cut"] = (column, row, columns, rows)
        return cls(**values)


_DEFAULTS = {item.name: item.default for item in fields(Asset)}


@dataclass(frozen=True, kw_only=True)
class MediaRef:
    """What a job remembers of a picture that was given as a file: never the content."""

    sha256: str
    size: int
    name: str = ""

    def to_json(self) -> dict[str, Any]:
        """{"sha256": …, "size": bytes, "name": …}"""
        return {"sha256": self.sha256, "size": self.size, "name": self.name}


# http(s):// or data: is a URL, other strings are paths. MediaRef stands in stored requests only.
Media: TypeAlias = str | os.PathLike[str] | bytes | Asset | MediaRef


def media_to_json(media: Media) -> Any:
    """Plain JSON for a stored request. Content (bytes, data: links) must have become a MediaRef before."""
    if isinstance(media, (Asset, MediaRef)):
        kind = "asset" if isinstance(media, Asset) else "file"
        return {kind: media.to_json()}
    if isinstance(media, bytes) or (isinstance(media, str) and media[:5].lower() == "data:"):
        raise ParameterError("A request holding picture content has no JSON; only the stored one of a job has.")
    return os.fspath(media)


def media_from_json(document: Any) -> Media:
    """The media that `media_to_json` described."""
    if isinstance(document, str):
        return document
    if "asset" in document:
        return Asset.from_json(document["asset"])
    return MediaRef(**document["file"])
