"""The buttons of the emulated Midjourney, and what pressing one starts (wire/midjourney.md 5.1, 5.2; 2026-11-21)."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Press", "describe_buttons", "grid_buttons", "pressed", "shorten_buttons", "single_buttons", "video_buttons"]

Button = dict[str, str | int]


@dataclass(frozen=True, kw_only=True)
class Press:
    """What a button does.

    verb    as in its customId
    number  which of the pictures, from 1
    child   what the new task yields: "grid", "single", "video", "clip", "describe"
    action  the task's action at 302.AI
    relay   the same at a GO relay, "" where that does not know the button
    window  it opens a window that waits for `/submit/modal`
    remix   it does so when remix is asked for
    once    a second press makes nothing new
    scale   sides of the picture, against the parent's
    """

    verb: str
    number: int = 1
    child: str = "grid"
    action: str = ""
    relay: str = ""
    window: bool = False
    remix: bool = False
    once: bool = False
    scale: tuple[float, float] = (1, 1)


# verb pattern -> what it does. GO's action words: wire/midjourney.md 4.3; 302.AI publishes none, these are PLUS's.
_PRESSES: tuple[tuple[str, Press], ...] = (
    (r"upsample", Press(verb="", child="single", action="UPSCALE", relay="UPSCALE", once=True)),
    (r"upsample_\w+_4x", Press(verb="", child="single", action="UPSCALE", relay="UPSCALE", once=True, scale=(4, 4))),
    (r"upsample_\w+", Press(verb="", child="single", action="UPSCALE", relay="UPSCALE", once=True, scale=(2, 2))),
    (r"reroll", Press(verb="", action="REROLL", relay="REROLL", remix=True)),
    (r"variation", Press(verb="", action="VARIATION", relay="VARIATION", remix=True)),
    (r"low_variation", Press(verb="", action="VARIATION", relay="LOW_VARIATION", remix=True)),
    (r"high_variation", Press(verb="", action="VARIATION", relay="HIGH_VARIATION", remix=True)),
    (r"Inpaint", Press(verb="", action="VARIATION", relay="INPAINT", window=True)),
    (r"Outpaint", Press(verb="", action="ZOOM", relay="ZOOM")),
    (r"CustomZoom", Press(verb="", action="ZOOM", relay="CUSTOM_ZOOM", window=True)),
    (r"pan_(left|right)", Press(verb="", action="PAN", relay="PAN", remix=True, scale=(1.5, 1))),
    (r"pan_(up|down)", Press(verb="", action="PAN", relay="PAN", remix=True, scale=(1, 1.5))),
    (r"animate_(high|low)", Press(verb="", child="video", action="VIDEO")),
    (r"animate_(high|low)_extend", Press(verb="", child="video", action="VIDEO_EXTEND")),
    (r"video_virtual_upscale", Press(verb="", child="clip", action="UPSCALE", once=True)),
    (r"PicReader", Press(verb="", action="IMAGINE", window=True)),
    (r"PromptAnalyzer", Press(verb="", action="IMAGINE", window=True)),
    (r"Picread", Press(verb="", child="describe", action="DESCRIBE")),
)

_CUSTOM_ID = re.compile(r"MJ::(?:(?:JOB|Job)::)?(?P<verb>[A-Za-z0-9_]+)(?:::(?P<args>.*))?")
_NUMBERED = frozenset({"upsample", "variation", "video_virtual_upscale", "PicReader", "PromptAnalyzer"})
_WORDED = frozenset({"PicReader", "Picread", "PromptAnalyzer"})


def pressed(custom_id: str, uuid: str, *, described: bool) -> Press | None:
    """What the button of that customId does for a task, or None if it does nothing there.

    uuid       the task's job id: a button belongs to its own task
    described  the task is a describe or shorten, whose buttons carry no job id
    """
    match = _CUSTOM_ID.fullmatch(custom_id)
    if not match:
        return None
    verb, arguments = match["verb"], (match["args"] or "").split("::")
    if described != (verb in _WORDED) or (not described and uuid not in arguments):
        return None
    number = 1
    if verb in _NUMBERED:
        if not re.fullmatch("[1-5]", arguments[0]):  # "PicReader::all" is no press of one
            return None
        number = int(arguments[0])
    for pattern, press in _PRESSES:
        if re.fullmatch(pattern, verb):
            return Press(**{**vars(press), "verb": verb, "number": number})
    return None


def _button(custom_id: str, label: str = "", emoji: str = "", style: int = 2) -> Button:
    return {"customId": custom_id, "emoji": emoji, "label": label, "type": 2, "style": style}


def grid_buttons(uuid: str) -> list[Button]:
    """Under four pictures: U1-U4, reroll, V1-V4."""
    return [
        *(_button(f"MJ::JOB::upsample::{number}::{uuid}", f"U{number}") for number in range(1, 5)),
        _button(f"MJ::JOB::reroll::0::{uuid}::SOLO", emoji="🔄"),
        *(_button(f"MJ::JOB::variation::{number}::{uuid}", f"V{number}") for number in range(1, 5)),
    ]


_UPSCALES = {
    # model version in the prompt -> verb and label of the two big upscales
    "5": (("upsample_v5_2x", "Upscale (2x)"), ("upsample_v5_4x", "Upscale (4x)")),
    "6": (("upsample_v6_2x_subtle", "Upscale (Subtle)"), ("upsample_v6_2x_creative", "Upscale (Creative)")),
    "6.1": (("upsample_v6r1_2x_subtle", "Upscale (Subtle)"), ("upsample_v6r1_2x_creative", "Upscale (Creative)")),
    "7": (("upsample_v7_2x_subtle", "Upscale (Subtle)"), ("upsample_v7_2x_creative", "Upscale (Creative)")),
}


def single_buttons(uuid: str, prompt: str, size: tuple[int, int], *, enlarged: bool) -> list[Button]:
    """Under one picture. A picture that was enlarged already is not offered the big upscales again."""
    version = re.search(r"--v(?:ersion)?\s+(\d+(?:\.\d+)?)", prompt)
    number = version[1].removesuffix(".0") if version else "7"
    upscales = _UPSCALES.get(number, _UPSCALES["5" if number.startswith("5") else "7"])
    width, height = size
    buttons = (
        []
        if enlarged
        else [_button(f"MJ::JOB::{verb}::1::{uuid}::SOLO", label, "upscale_1") for verb, label in upscales]
    )
    buttons += [
        _button(f"MJ::JOB::low_variation::1::{uuid}::SOLO", "Vary (Subtle)", "🪄"),
        _button(f"MJ::JOB::high_variation::1::{uuid}::SOLO", "Vary (Strong)", "🪄"),
        _button(f"MJ::Inpaint::1::{uuid}::SOLO", "Vary (Region)", "🖌️"),
        _button(f"MJ::Outpaint::50::1::{uuid}::SOLO", "Zoom Out 2x", "🔍"),
        _button(f"MJ::Outpaint::75::1::{uuid}::SOLO", "Zoom Out 1.5x", "🔍"),
        _button(f"MJ::CustomZoom::{uuid}", "Custom Zoom", "🔍"),
    ]
    if width != height:
        buttons.append(_button(f"MJ::Outpaint::100::1::{uuid}::SOLO", "Make Square", "↕️" if width > height else "↔️"))
    for direction, arrow in (("left", "⬅️"), ("right", "➡️"), ("up", "⬆️"), ("down", "⬇️")):
        buttons.append(_button(f"MJ::JOB::pan_{direction}::1::{uuid}::SOLO", emoji=arrow))
    return [
        *buttons,
        _button(f"MJ::JOB::animate_high::1::{uuid}::SOLO", "Animate (High motion)", "🎞️"),
        _button(f"MJ::JOB::animate_low::1::{uuid}::SOLO", "Animate (Low motion)", "🎞️"),
        _button(f"MJ::BOOKMARK::{uuid}", emoji="❤️"),
        _button("", "Web", style=5),
    ]


def video_buttons(uuid: str, clips: int) -> list[Button]:
    """Under four clips: U1-U4 and reroll; under one: extend."""
    if clips == 1:
        return [
            _button(f"MJ::JOB::animate_high_extend::1::{uuid}", "Extend (High motion)", "🎞️"),
            _button(f"MJ::JOB::animate_low_extend::1::{uuid}", "Extend (Low motion)", "🎞️"),
        ]
    return [
        *(_button(f"MJ::JOB::video_virtual_upscale::{number}::{uuid}", f"U{number}") for number in range(1, clips + 1)),
        _button(f"MJ::JOB::reroll::0::{uuid}::SOLO", emoji="🔄"),
    ]


def shorten_buttons() -> list[Button]:
    """Under five shorter prompts."""
    return [_button(f"MJ::Job::PromptAnalyzer::{number}", emoji=f"{number}️⃣") for number in range(1, 6)]


def describe_buttons() -> list[Button]:
    """Under four suggestions. Mind the other case of `Job`, and that no job id is in them."""
    return [
        *(_button(f"MJ::Job::PicReader::{number}", emoji=f"{number}️⃣") for number in range(1, 5)),
        _button("MJ::Picread::Retry", emoji="🔄"),
        _button("MJ::Job::PicReader::all", "Imagine all"),
    ]
