"""Midjourney's flags: what a prompt already says, and the text that says the rest. The user's words are never changed.

Flags are part of the prompt's text (wire/midjourney.md 2.3, 2026-11-21); their names and bounds are Midjourney's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from ai302_core.errors import ParameterError

# Phones turn "--" into a dash; a dash is believed only in front of a flag we know.
_MARK = re.compile(r"(?:(?<=\s)|^)(--|[—–])([A-Za-z]+)(?=\s|$)")
_MODEL = re.compile(
    r"(?:midjourney[/ -]?)?(?:v ?)?(\d+(?:\.\d+)?)|(niji)(?:journey)?[/ -]?(\d+(?:\.\d+)?)", re.IGNORECASE
)


def _text(value: str) -> str:
    return value.rstrip(", ")


def _word(value: str) -> str:
    return _text(value.split()[0]) if value.split() else ""


def _number(value: str) -> float | str:
    word = _word(value)
    if re.fullmatch(r"\d{1,15}", word):
        return int(word)
    return float(word) if re.fullmatch(r"\d{0,9}\.\d{1,9}", word) else word


def _on(value: str) -> bool:
    return True


def _release(value: str) -> str:
    return release(_word(value))


def _words(value: str) -> tuple[str, ...]:
    return tuple(value.split())


def release(text: str) -> str:
    """A version the short way: "7.0" and "v7" are "7"."""
    return re.sub(r"\.0+$", "", text.strip().lower().removeprefix("v"))


class _Flag(NamedTuple):
    field: str
    names: tuple[str, ...]
    read: Callable[[str], Any]


_FLAGS = (
    _Flag("aspect_ratio", ("ar", "aspect"), _word),
    _Flag("version", ("v", "version"), _release),
    _Flag("niji", ("niji",), _release),
    _Flag("seed", ("seed",), _number),
    _Flag("image_weight", ("iw",), _number),
    _Flag("style_references", ("sref",), _words),
    _Flag("style_weight", ("sw",), _number),
    _Flag("character_references", ("cref",), _words),
    _Flag("character_weight", ("cw",), _number),
    _Flag("omni_reference", ("oref",), _word),
    _Flag("omni_weight", ("ow",), _number),
    _Flag("chaos", ("chaos", "c"), _number),
    _Flag("stylize", ("stylize", "s"), _number),
    _Flag("weird", ("weird", "w"), _number),
    _Flag("quality", ("q", "quality"), _number),
    _Flag("tile", ("tile",), _on),
    _Flag("raw", ("raw",), _on),
    _Flag("negative_prompt", ("no",), _text),
    _Flag("motion", ("motion",), _word),
    _Flag("loop", ("loop",), _on),
    _Flag("zoom", ("zoom",), _number),
    _Flag("repeat", ("repeat", "r"), _number),
)
_BY_NAME = {name: flag for flag in _FLAGS for name in flag.names}
_WRITTEN = tuple((flag.field, flag.names[0]) for flag in _FLAGS if flag.field not in ("motion", "loop", "repeat"))
_SPEEDS = ("relax", "fast", "turbo")


class _Found(NamedTuple):
    name: str
    value: str
    start: int
    end: int


@lru_cache(maxsize=64)
def _found(text: str) -> tuple[_Found, ...]:
    """The flags in a text, asked of one prompt half a dozen times."""
    marks = [
        match
        for match in _MARK.finditer(text)
        if match[1] == "--" or match[2].lower() in _BY_NAME or match[2].lower() in _SPEEDS
    ]
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    return tuple(
        _Found(match[2].lower(), text[match.end() : end].strip(), match.start(), end)
        for match, end in zip(marks, ends, strict=False)
    )


def said(text: str) -> dict[str, Any]:
    """The fields that the flags in a prompt already say, with their values; later flags win, as at Midjourney."""
    fields: dict[str, Any] = {}
    for flag in _found(text):
        if flag.name in _SPEEDS:
            fields["speed"] = flag.name
        elif flag.name == "style":
            fields.update({"raw": True} if _word(flag.value).lower() == "raw" else {})
        elif flag.name in _BY_NAME:
            known = _BY_NAME[flag.name]
            fields[known.field] = known.read(flag.value)
    return fields


def words(text: str) -> str:
    """The prompt in front of its first flag."""
    return text[: next((flag.start for flag in _found(text)), len(text))].strip()


def model(text: str) -> tuple[str, str]:
    """The field and the version a model's name means: "v7" is ("version", "7"), "niji-6" is ("niji", "6")."""
    match = _MODEL.fullmatch(text.strip())
    if match is None:
        raise ParameterError(
            f'model: Midjourney has "v7", "v6.1", "niji-6" and so on, not {text!r}. Nothing was sent.', field="model"
        )
    return ("niji", release(match[3])) if match[2] else ("version", release(match[1]))


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value).strip()


def with_flags(text: str, fields: Mapping[str, Any]) -> str:
    """The text and, behind it, a flag for each field that is set and that the text does not say yet."""
    present = said(text)
    flags = []
    for field, name in _WRITTEN:
        value = fields.get(field)
        if field in present or value is None or value is False or value == ():
            continue
        flags.append(f"--{name}" if value is True else f"--{name} {_shown(value)}")
    return " ".join((text, *flags)) if text else " ".join(flags)


def without(text: str, fields: Mapping[str, Any]) -> str:
    """A text of the service without the flags of the fields that are set. Never for the user's own text."""
    for flag in reversed(_found(text)):
        known = _BY_NAME.get(flag.name)
        if known and fields.get(known.field) is not None:
            text = f"{text[: flag.start].rstrip()} {text[flag.end :]}".strip()
    return text
