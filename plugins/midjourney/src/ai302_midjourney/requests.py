"""What Midjourney can be asked beyond the common requests, and the presses of its buttons. Frozen data, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from ai302_core.errors import ParameterError
from ai302_core.family import ActionRequest, ImageRequest, Media, Request, VideoRequest

from . import prompt as flags

__all__ = [
    "BlendRequest",
    "ClipRequest",
    "DescribeAgainRequest",
    "DescribeRequest",
    "ImagineRequest",
    "MotionRequest",
    "UpscaleRequest",
    "VaryRequest",
    "WindowRequest",
]

_WHOLE = ("chaos", "stylize", "weird", "style_weight", "character_weight", "omni_weight")
_NUMBERS = (*_WHOLE, "quality", "image_weight", "zoom")
_SWITCHES = ("tile", "raw", "loop", "remix")


def _check(request: Request) -> None:
    def refuse(name: str, text: str) -> None:
        raise ParameterError(f"{name}: {text} Nothing was sent.", field=name)

    for name in _NUMBERS:
        value = getattr(request, name, None)
        kinds = (int,) if name in _WHOLE else (int, float)
        if value is not None and (isinstance(value, bool) or not isinstance(value, kinds)):
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
class ImagineRequest(ImageRequest):
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
    speed                 "relax", "fast" or "turbo", as far as the gateway offers it

    A flag inside the prompt stands for its field. Raises ParameterError for a value of the wrong shape.
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
    speed: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(self)


@dataclass(frozen=True, kw_only=True)
class BlendRequest(Request):
    """Four pictures mixed from two to five.

    images        files, bytes or data: links
    aspect_ratio  "2:3", "1:1" or "3:2"
    speed         as in ImagineRequest
    """

    media_fields: ClassVar[tuple[str, ...]] = ("images",)
    kind: ClassVar[str] = "image"

    images: tuple[Media, ...] = field(default=(), kw_only=False)
    aspect_ratio: str | None = None
    speed: str | None = None


@dataclass(frozen=True, kw_only=True)
class DescribeRequest(Request):
    """Four prompts that describe a picture: `result.texts`. Actions make pictures of them: "imagine-1" and so on.

    image  a file, bytes or a data: link
    speed  as in ImagineRequest
    """

    media_fields: ClassVar[tuple[str, ...]] = ("image",)
    kind: ClassVar[str] = "text"

    image: Media = field(kw_only=False)
    speed: str | None = None


@dataclass(frozen=True, kw_only=True)
class MotionRequest(VideoRequest):
    """Four clips from a picture (`first_frame`) and a text.

    motion  "low" (the default) or "high"
    loop    the clip ends where it begins
    speed   as in ImagineRequest
    """

    motion: str | None = None
    loop: bool | None = None
    speed: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(self)


@dataclass(frozen=True, kw_only=True)
class UpscaleRequest(ActionRequest):
    """A press that makes one picture larger. Made by `act`."""


@dataclass(frozen=True, kw_only=True)
class VaryRequest(ActionRequest):
    """A press that makes four new pictures: vary, reroll, zoom, pan, a describe's pick. Made by `act`.

    prompt        new words, where the press opens a window
    mask          white = repaint, for "vary-region"
    zoom          1..2, for "custom-zoom"
    aspect_ratio  for "custom-zoom"
    remix         open a window where Midjourney does not by itself, so that `prompt` can change the words
    """

    media_fields: ClassVar[tuple[str, ...]] = ("mask",)

    prompt: str | None = None
    mask: Media | None = None
    zoom: float | None = None
    aspect_ratio: str | None = None
    remix: bool | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(self)


@dataclass(frozen=True, kw_only=True)
class ClipRequest(ActionRequest):
    """A press that makes clips: animate, extend, a clip's upscale, its reroll. Made by `act`.

    prompt  new words, where the press opens a window
    remix   as in VaryRequest
    """

    prompt: str | None = None
    remix: bool | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(self)


@dataclass(frozen=True, kw_only=True)
class DescribeAgainRequest(ActionRequest):
    """A press for four other descriptions. Made by `act`."""


@dataclass(frozen=True, kw_only=True)
class WindowRequest(ActionRequest):
    """The answer to the window a press opened: `act(job, "continue", …)`. Fields as in VaryRequest."""

    media_fields: ClassVar[tuple[str, ...]] = ("mask",)

    prompt: str | None = None
    mask: Media | None = None
    zoom: float | None = None
    aspect_ratio: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(self)


def said(request: Any) -> dict[str, Any]:
    """The fields a request says inside others: flags in its prompt, and the model, version and niji for each other.

    Raises ParameterError when it says two versions.
    """
    fields = flags.said(getattr(request, "prompt", None) or "")
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
