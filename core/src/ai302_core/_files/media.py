"""Pictures and clips the caller gives: read, recognised by their content, and what a job remembers of them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import unquote_to_bytes, urlsplit

from ai302_core._steps import Picture
from ai302_core.assets import Asset, Media, MediaRef
from ai302_core.errors import ParameterError

from .sniffing import HEAD, describe, pixels, sniff

__all__ = ["LIMIT", "data_content", "load", "ref"]

LIMIT = 50 * 2**20
"""Bytes a given file may have."""

# Two letters at least: "C:/pictures" is a path.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(/{0,3})")
_WEB = frozenset({"http", "https"})


def load(media: Media, field: str = "", *, limit: int = LIMIT) -> Picture:
    """The picture or clip behind `media`: links stay links, everything else is read and recognised by its content.

    limit  bytes it may have

    Raises ParameterError(field) when it is missing, empty, unreadable, too large, or no picture, clip or sound.
    """
    if isinstance(media, Asset):
        return _of_asset(media, field, limit)
    if isinstance(media, MediaRef):
        _refuse(field, f"The content of {media.name or 'this picture'!r} is not kept with a job. Give the file again.")
    if isinstance(media, bytes):
        return _recognised(media, "", "The bytes given", field, limit)
    text: Any = os.fspath(media) if isinstance(media, os.PathLike) else media
    if not isinstance(text, str):
        instead = "; give what its read() returns" if hasattr(text, "read") else ""
        _refuse(field, f"Expected a path, a link, bytes or an Asset, not {type(media).__name__}{instead}.")
    return _of_text(text, field, limit) if isinstance(media, str) else _of_file(text, field, limit)


def _refuse(field: str, text: str) -> NoReturn:
    raise ParameterError(f"{field + ': ' if field else ''}{text} Nothing was sent.", field=field)


def _of_asset(asset: Asset, field: str, limit: int) -> Picture:
    if asset.path is not None:
        return _of_file(asset.path, field, limit)
    if asset.url is None:
        _refuse(field, f"This asset is {'a text' if asset.kind == 'text' else 'without a link'}, not a picture.")
    picture = _of_text(asset.url, field, limit)
    # The link of a tile is the whole grid's: sending that would be another picture than the one meant.
    return picture if asset.cut is None else replace(picture, behind=asset)


def _of_text(text: str, field: str, limit: int) -> Picture:
    link = text.strip()
    match = _SCHEME.match(link)
    scheme = match[1].lower() if match else ""
    if scheme == "data":
        content = data_content(link)
        if content is None:
            _refuse(field, "This data: link cannot be decoded.")
        return _recognised(content, "", "The data: link", field, limit)
    if scheme in _WEB:
        try:
            host = urlsplit(link).hostname
        except ValueError:
            host = None
        if not host or not link[len(scheme) :].startswith("://") or re.search(r"\s", link):
            _refuse(field, f"{_shown(link)} is not a complete link; expected https://host/picture.png, without spaces.")
        return Picture(name=link.partition("?")[0].rpartition("/")[2], url=link)
    if scheme == "file":
        _refuse(field, f"{_shown(link)}: give the path itself, without file://.")
    if match and match[2]:
        _refuse(field, f"{_shown(link)} begins with {match[0]!r}; a link begins with http:// or https://.")
    return _of_file(text, field, limit)


def _shown(text: str) -> str:
    # The query may hold a signature.
    bare = text.partition("?")[0]
    return repr(bare if len(bare) <= 200 else bare[:200] + "…")


def _of_file(text: str, field: str, limit: int) -> Picture:
    path = Path(text)
    if not text.strip():
        _refuse(field, "The path is empty.")
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            _refuse(field, f"{_shown(text)} is a folder; give one file.")
        if not stat.S_ISREG(status.st_mode):
            _refuse(field, f"{_shown(text)} is not a regular file.")
        if status.st_size > limit:
            _refuse(field, _too_large(_shown(text), status.st_size, limit))
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except ParameterError:
        raise
    except (FileNotFoundError, NotADirectoryError):
        link = " A link begins with https://." if text.lower().startswith("www.") else ""
        _refuse(field, f"There is no file {_shown(text)} (looked in {_shown(str(Path.cwd()))}).{link}")
    except (OSError, ValueError) as problem:
        # ValueError: a path with a NUL in it, which no file can have.
        reason = problem.strerror if isinstance(problem, OSError) else None
        _refuse(field, f"{_shown(text)} cannot be read: {reason or 'not a path'}.")
    return _recognised(content, path.name, _shown(text), field, limit)


def _too_large(what: str, size: int, limit: int) -> str:
    return f"{what}: too large, {size / 2**20:.1f} MB, at most {limit / 2**20:.0f} MB are sent."


def _recognised(content: bytes, name: str, what: str, field: str, limit: int) -> Picture:
    if not content:
        _refuse(field, f"{what}: empty, 0 bytes.")
    if len(content) > limit:
        _refuse(field, _too_large(what, len(content), limit))
    found = sniff(content[:HEAD])
    if found is None or not found[0].startswith(("image/", "video/", "audio/")):
        _refuse(field, f"{what}: not a picture, clip or sound, but {describe(content[:HEAD])}.")
    sides: Any = pixels(content) or (None, None)
    return Picture(
        name=name,
        content=content,
        media_type=found[0],
        sha256=hashlib.sha256(content).hexdigest(),
        width=sides[0],
        height=sides[1],
    )


def data_content(link: str) -> bytes | None:
    """What a data: link holds; None when it cannot be decoded."""
    head, comma, body = link.partition(",")
    if not comma:
        return None
    if not head.lower().endswith(";base64"):
        return unquote_to_bytes(body)
    packed = re.sub(rb"\s", b"", unquote_to_bytes(body)).replace(b"-", b"+").replace(b"_", b"/").rstrip(b"=")
    try:
        return base64.b64decode(packed + b"=" * (-len(packed) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def ref(picture: Picture, media: Media) -> Media:
    """What the stored request keeps of `media`, loaded as `picture`: links stay, content becomes a MediaRef."""
    if picture.content is None:
        return media
    return MediaRef(sha256=picture.sha256, size=len(picture.content), name=picture.name)
