"""The presses of Midjourney's buttons, and the answer to the window one may open. Made by `act`; frozen data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ai302_core.family import ActionRequest, Media

from .requests import check

__all__ = [
    "ChangeRequest",
    "ClipRequest",
    "DescribeAgainRequest",
    "ExtendRequest",
    "ImagineAllRequest",
    "UpscaleRequest",
    "VaryRequest",
    "WindowRequest",
]


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
        check(self)


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
        check(self)


@dataclass(frozen=True, kw_only=True)
class ExtendRequest(ActionRequest):
    """One of a job's clips made longer, without a button. Made by `act`.

    prompt  new words; unset: those of the clip
    motion  as in MotionRequest
    """

    prompt: str | None = None
    motion: str | None = None


@dataclass(frozen=True, kw_only=True)
class DescribeAgainRequest(ActionRequest):
    """A press for four other descriptions. Made by `act`."""


@dataclass(frozen=True, kw_only=True)
class ImagineAllRequest(ActionRequest):
    """A press that makes four pictures of each of four descriptions: four jobs. Made by `act_all`."""


@dataclass(frozen=True, kw_only=True)
class ChangeRequest(ActionRequest):
    """An upscale, a variation or a reroll at a server without buttons. Made by `act`."""


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
        check(self)
