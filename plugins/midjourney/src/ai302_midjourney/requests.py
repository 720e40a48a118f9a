"""What Midjourney can be asked beyond the common requests. Frozen data, no I/O; the presses are in `presses`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ai302_core.errors import ParameterError
from ai302_core.family import ImageRequest, Media, Request, VideoRequest

from . import prompt as flags

__all__ = [
    "BlendRequest",
    "DescribeRequest",
    "EditRequest",
    "ImagineRequest",
    "MotionRequest",
    "RetextureRequest",
    "ShortenRequest",
    "SwapFaceRequest",
    "SwapFaceVideoRequest",
    "UploadRequest",
]

_WHOLE = ("chaos", "stylize", "weird", "style_weight", "character_weight", "omni_weight", "batch")
_NUMBERS = (*_WHOLE, "quality", "image_weight", "zoom")
_SWITCHES = ("tile", "raw", "loop", "remix")


def check(request: Request) -> None:
    """Refuse values of the wrong shape; versions are written the short way. Raises ParameterError."""

    def refuse(name: str, text: str) -> None:
        raise ParameterError(f"{name}: {text} Nothing was sent.", field=name)

    for name in _NUMBERS:
        value = getattr(request, name, None)
        kinds = (int,) if name in _WHOLE else (int, float)
        number = isinstance(value, kinds) and not isinstance(value, bool) and abs(value) < math.inf
        if value is not None and not number:
            refuse(name, f"expected a {'whole ' if name in _WHOLE else ''}number, not {value!r}.")
    for name in _SWITCHES:
        value = getattr(request, name, None)
        if value is not None and not isinstance(value, bool):
            refuse(name, f"expected true or false, not {value!r}.")
    for name in ("version", "niji"):
        value = getattr(request, name, None)
        if value is None:
            continue
        text = flags.release(str(value))
        if isinstance(value, bool) or not text.replace(".", "", 1).isdigit():
            refuse(name, f'expected a version such as "7" or "6.1", not {value!r}.')
        object.__setattr__(request, name, text)
    for name in ("style_references", "character_references", "omni_reference"):
        value = getattr(request, name, None) or ()
        for entry in (value,) if isinstance(value, str) else value:
            link = isinstance(entry, str) and entry.startswith(("http://", "https://"))
            code = isinstance(entry, str) and name == "style_references" and "/" not in entry and "." not in entry
            if not (link or code) or entry.split() != [entry] or entry.startswith("-"):
                codes = " or style codes" if name == "style_references" else ""
                refuse(name, f"Midjourney takes public links{codes} here, not {entry!r}; `images` takes files.")


@dataclass(frozen=True, kw_only=True)
class Placed:
    """Where a request is to be worked on.

    speed           "relax", "fast" or "turbo", as far as the gateway offers it
    account_filter  which of the operator's accounts, such as {"modes": ["RELAX"], "instanceId": "…"}, where it is taken
    """

    speed: str | None = None
    account_filter: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class ImagineRequest(Placed, ImageRequest):
    """Four pictures from a text, from pictures and a text, in Midjourney's own terms. Each field is a flag.

    model                 "v7", "niji-6": the same as version or niji
    version, niji         "7", "6.1" (--v); "6" (--niji)
    chaos                 0..100, how different the four are
    stylize, weird        0..1000, 0..3000
    quality               0.25..4 (--q)
    tile, raw             a repeating pattern; less of Midjourney's own taste
    image_weight          0..3, of `images` (--iw)
    style_references      public links or style codes (--sref); style_weight 0..1000
    character_references  public links (--cref); character_weight 0..100
    omni_reference        one public link (--oref); omni_weight 1..1000

    `speed` and `account_filter` as in `Placed`. A flag inside the prompt stands for its field. Raises ParameterError
    for a value of the wrong shape.
    """

    version: str | None = None
    niji: str | None = None
    chaos: int | None = None
    stylize: int | None = None
    weird: int | None = None
    quality: float | None = None
    tile: bool | None = None
    raw: bool | None = None
    image_weight: float | None = None
    style_references: tuple[str, ...] = ()
    style_weight: int | None = None
    character_references: tuple[str, ...] = ()
    character_weight: int | None = None
    omni_reference: str | None = None
    omni_weight: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self)


@dataclass(frozen=True, kw_only=True)
class BlendRequest(Placed, Request):
    """Four pictures mixed from two to five.

    images        files, bytes or data: links
    aspect_ratio  "2:3", "1:1" or "3:2"
    """

    media_fields: ClassVar[tuple[str, ...]] = ("images",)
    kind: ClassVar[str] = "image"

    images: tuple[Media, ...] = field(default=(), kw_only=False)
    aspect_ratio: str | None = None


@dataclass(frozen=True, kw_only=True)
class DescribeRequest(Placed, Request):
    """Four prompts that describe a picture: `result.texts`. Actions make pictures of them: "imagine-1" and so on.

    image  a file, bytes or a data: link
    """

    media_fields: ClassVar[tuple[str, ...]] = ("image",)
    kind: ClassVar[str] = "text"

    image: Media = field(kw_only=False)


@dataclass(frozen=True, kw_only=True)
class ShortenRequest(Placed, Request):
    """Shorter forms of a prompt: `result.texts`. Actions make pictures of them: "imagine-1" and so on."""

    kind: ClassVar[str] = "text"

    prompt: str = field(kw_only=False)


@dataclass(frozen=True, kw_only=True)
class EditRequest(Placed, Request):
    """Four pictures: one changed as the prompt says.

    image  a file, bytes, a link or a data: link
    """

    media_fields: ClassVar[tuple[str, ...]] = ("image",)
    kind: ClassVar[str] = "image"

    prompt: str = field(kw_only=False)
    image: Media


@dataclass(frozen=True, kw_only=True)
class RetextureRequest(EditRequest):
    """Four pictures: the shapes of one, made of what the prompt says. Fields as in EditRequest."""


@dataclass(frozen=True, kw_only=True)
class SwapFaceRequest(Placed, Request):
    """A picture with another face.

    face   the picture the face is in
    image  the picture it goes into; both files, bytes or data: links
    """

    media_fields: ClassVar[tuple[str, ...]] = ("face", "image")
    kind: ClassVar[str] = "image"

    image: Media = field(kw_only=False)
    face: Media


@dataclass(frozen=True, kw_only=True)
class SwapFaceVideoRequest(Placed, Request):
    """A clip with another face.

    video  the clip, a file, bytes or a link
    face   the picture the face is in, a file, bytes or a link
    """

    media_fields: ClassVar[tuple[str, ...]] = ("face", "video")
    kind: ClassVar[str] = "video"

    video: Media = field(kw_only=False)
    face: Media


@dataclass(frozen=True, kw_only=True)
class UploadRequest(Placed, Request):
    """Links for pictures, so that prompts and references can name them: the urls of `result.images`, at once.

    images  files, bytes or data: links
    """

    media_fields: ClassVar[tuple[str, ...]] = ("images",)
    kind: ClassVar[str] = "image"

    images: tuple[Media, ...] = field(default=(), kw_only=False)


@dataclass(frozen=True, kw_only=True)
class MotionRequest(Placed, VideoRequest):
    """Four clips from a picture (`first_frame`) and a text.

    motion  "low" (the default) or "high"
    loop    the clip ends where it begins
    batch   how many clips: 1, 2 or 4, where the gateway takes it; as is `resolution`, "480p" or "720p"
    """

    motion: str | None = None
    loop: bool | None = None
    batch: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self)


def said(request: Any) -> dict[str, Any]:
    """The fields a request says inside others: flags in its prompt, and the model, version and niji for each other.

    Raises ParameterError when it says two versions.
    """
    fields = flags.said(getattr(request, "prompt", None) or "")
    if isinstance(request, MotionRequest) and request.model is None:
        fields["model"] = ""  # a clip has no choice of one: a default is meant for pictures
    if not isinstance(request, ImagineRequest):
        return fields
    spoken = [(name, fields[name]) for name in ("version", "niji") if name in fields]
    written = [(name, value) for name in ("version", "niji") if (value := getattr(request, name)) is not None]
    named = [flags.model(request.model)] if request.model is not None else []
    every = {*spoken, *written, *named}
    if len(every) > 1:
        names = " and ".join(sorted(f"{name} {value}".strip() for name, value in every))
        field = "model" if named and len({*spoken, *written}) < 2 else written[0][0] if written else "prompt"
        raise ParameterError(f"{field}: the request says {names}; keep one of them. Nothing was sent.", field=field)
    for name, value in every:
        # Whatever says it, a default for one of the three yields.
        other = {"version": "niji", "niji": "version"}[name]
        fields |= {name: value, other: f"{name} {value}", "model": request.model or f"{name} {value}"}
    return fields
