"""Pictures and clips that show the prompt they were asked with: real PNG, WebP and MP4 files."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import textwrap
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from .mp4 import mp4

if TYPE_CHECKING:
    from PIL.Image import Image

_FONTS = (
    # What Windows, macOS and Linux distributions have, Chinese first; Pillow looks in their folders.
    "msyh.ttc", "simsun.ttc", "PingFang.ttc", "Hiragino Sans GB.ttc", "NotoSansCJK-Regular.ttc",
    "NotoSansCJKsc-Regular.otf", "SourceHanSansSC-Regular.otf", "wqy-microhei.ttc", "wqy-zenhei.ttc",
    "DroidSansFallbackFull.ttf", "DroidSansFallback.ttf", "arial.ttf", "Arial.ttf", "DejaVuSans.ttf",
)  # fmt: skip
_NOBODYS = "\U0010fffd"

__all__ = ["Look", "clip", "data_link", "grid", "picture_size", "preview", "tile"]


@dataclass(frozen=True)
class Look:
    """What one picture shows: the text, a mark in its corner, and a seed that gives the colours."""

    text: str
    mark: str
    seed: str


def tile(look: Look, size: tuple[int, int]) -> bytes:
    """A PNG of one picture, `size` in pixels."""
    return _encoded(_drawn(look, size), "PNG")


def grid(looks: Sequence[Look], size: tuple[int, int]) -> bytes:
    """A PNG of four pictures, 2x2, `size` in pixels altogether; each quadrant is drawn as `tile` draws it."""
    return _encoded(_gridded(looks, size), "PNG")


def preview(looks: Sequence[Look], size: tuple[int, int], done: float) -> bytes:
    """A small blurred WebP of one picture or a grid, sharper as `done` goes from 0 to 1."""
    whole = _gridded(looks, size) if len(looks) == 4 else _drawn(looks[0], size)
    small = whole.resize((max(1, int(size[0] * 0.5 * done)), max(1, int(size[1] * 0.5 * done))))
    return _encoded(small.resize((max(1, size[0] // 2), max(1, size[1] // 2))), "WEBP")


def clip(look: Look, size: tuple[int, int], frames: int = 8) -> bytes:
    """An MP4 of one picture with a bar that runs; `size` is cut to multiples of 16."""
    from PIL import ImageDraw

    width, height = (max(16, side // 16 * 16) for side in size)
    still = _drawn(look, (width, height))
    pictures = []
    for number in range(frames):
        picture = still.copy()
        bar = ImageDraw.Draw(picture)
        bar.rectangle((0, height - 4, width * (number + 1) // frames, height), fill=(255, 255, 255))
        pictures.append(picture)
    return mp4(pictures)


def data_link(text: object) -> tuple[str, bytes] | None:
    """(media type, content) of a `data:…;base64,` link, or None for anything else."""
    if not isinstance(text, str) or text[:5].lower() != "data:":
        return None
    head, _, body = text[5:].partition(",")
    media_type, _, encoding = head.partition(";")
    try:
        content = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        return None
    return (media_type, content) if encoding.lower() == "base64" and content else None


def picture_size(content: bytes) -> tuple[str, int, int] | None:
    """(format such as "PNG", width, height) of an encoded picture, or None if it cannot be decoded."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(content)) as picture:
            picture.load()
            return picture.format or "", picture.width, picture.height
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _gridded(looks: Sequence[Look], size: tuple[int, int]) -> Image:
    from PIL import Image

    width, height = size
    # Halved downwards, as 302.AI's own client cuts (wire/midjourney.md 4.7): the odd pixel goes right and down.
    columns, rows = (width // 2, width - width // 2), (height // 2, height - height // 2)
    whole = Image.new("RGB", size)
    for place, look in enumerate(looks):
        column, row = place % 2, place // 2
        whole.paste(_drawn(look, (columns[column], rows[row])), (columns[0] * column, rows[0] * row))
    return whole


def _drawn(look: Look, size: tuple[int, int]) -> Image:
    from PIL import Image, ImageDraw, ImageFont

    width, height = size
    digest = hashlib.sha256(f"{look.seed}|{look.mark}|{look.text}".encode()).digest()
    dark, light = ((digest[0] // 3, digest[1] // 3, digest[2] // 3), (digest[3] // 2, digest[4] // 2, digest[5] // 2))
    shades = Image.new("RGB", (1, max(1, height // 2)))
    mixed = (
        tuple(low + (high - low) * row // shades.height for low, high in zip(dark, light, strict=True))
        for row in range(shades.height)
    )
    shades.putdata(list(mixed))
    picture = shades.resize(size, Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(picture)
    radius = min(width, height) // 4
    left, top = digest[6] * width // 256, digest[7] * height // 256
    draw.ellipse(
        (left - radius, top - radius, left + radius, top + radius), fill=tuple(128 + byte // 2 for byte in digest[8:11])
    )
    letters = max(8, min(width, height) // 11)
    font, text, narrow = _lettered(look.text, letters)
    lines = textwrap.wrap(text, max(6, int(width / letters * (1.7 if narrow else 0.9))))[
        : max(1, (height - 2 * letters) // (letters + 4))
    ]
    draw.multiline_text((letters // 2, letters // 2), "\n".join(lines), font=font, fill=(255, 255, 255), spacing=4,
                        stroke_width=max(1, letters // 12), stroke_fill=(0, 0, 0))  # fmt: skip
    mark = ImageFont.load_default(letters)
    draw.text((width - letters, height - letters), look.mark, font=mark, fill=(255, 255, 255), anchor="rs")
    return picture


def _lettered(text: str, letters: int) -> tuple[Any, str, bool]:
    """A font, the text as it can be drawn with it, and whether its letters are narrow.

    The font that comes with Pillow has ASCII and little more: what it lacks is drawn with a font of this system, where
    one has it. A letter that none has loses its accent or is shown by its code; it is never an empty box.
    """
    from PIL import ImageFont

    name: str | None = None
    if not text.isascii():
        name = max((None, *_fonts()), key=lambda font: sum(_drawable(font, letter) for letter in set(text)))
        text = "".join(letter if _drawable(name, letter) else _plain(name, letter) for letter in text)
    font: Any = ImageFont.load_default(letters) if name is None else ImageFont.truetype(name, letters)
    return font, text, not any(unicodedata.east_asian_width(letter) in "WF" for letter in text)


def _plain(name: str | None, letter: str) -> str:
    bare = unicodedata.normalize("NFKD", letter)[:1]
    return bare if _drawable(name, bare) else letter.encode("ascii", "backslashreplace").decode()


@lru_cache(maxsize=4096)
def _drawable(name: str | None, letter: str) -> bool:
    """Whether a font (None: Pillow's own) has a letter: one it lacks looks like one that nobody has."""
    from PIL import ImageFont

    font: Any = ImageFont.load_default(16) if name is None else ImageFont.truetype(name, 16)
    return letter.isspace() or bytes(font.getmask(letter)) != bytes(font.getmask(_NOBODYS))


@lru_cache(maxsize=1)
def _fonts() -> tuple[str, ...]:
    """Those of `_FONTS` that this system has."""
    from PIL import ImageFont

    there = []
    for name in _FONTS:
        with suppress(OSError):
            ImageFont.truetype(name, 16)
            there.append(name)
    return tuple(there)


def _encoded(picture: Image, format_name: str) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format_name, compress_level=1, method=0)  # PNG's and WebP's fastest
    return buffer.getvalue()
