"""Paths into JSON: `a.b[].c`, `a[0]`, `[]`. A string met on the way is read as JSON. Never raises."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from ._visible import one_line

DEEPEST = 100
"""Levels a service's JSON may have: every reader of it recurses, and no honest reply needs a fifth of them."""

WIDEST = 1_000_000
"""Commas it may have: each costs a hundred times its byte in memory."""

_SAID = 1000  # characters of a service's own words that anybody is shown
_DECODER = json.JSONDecoder(parse_constant=lambda _: None)
_PART = re.compile(r"([^.\[\]]+)|\[(\d*)\]")


@lru_cache(maxsize=512)
def _parts(path: str) -> tuple[str | int | None, ...]:
    """Names, list positions, and None for "every element"."""
    parts: list[str | int | None] = []
    for match in _PART.finditer(path):
        if match[1] is not None:
            parts.append(match[1])
        else:
            parts.append(int(match[2]) if match[2] else None)
    return tuple(parts)


@lru_cache(maxsize=512)
def _heads(paths: tuple[str, ...]) -> frozenset[str]:
    """The members in which the paths begin."""
    return frozenset(part for path in paths for part in _parts(path)[:1] if isinstance(part, str))


def lacks(document: Any, paths: Sequence[str]) -> bool:
    """Whether these paths lead nowhere, as far as a glance at the document's own members tells."""
    return type(document) is dict and _heads(tuple(paths)).isdisjoint(document)


def loads(text: str | bytes) -> Any:
    """JSON as data, numbers that are none as null. Raises ValueError for anything else, and beyond DEEPEST levels or
    WIDEST commas.
    """
    told = text.encode("utf-8", "replace") if isinstance(text, str) else text
    if told.count(b",") > WIDEST:
        raise ValueError("too many members")
    try:
        document = _DECODER.decode(text if isinstance(text, str) else text.decode(_encoding(text), "surrogatepass"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if told.count(b"[") + told.count(b"{") <= DEEPEST:
        return document
    level = [document]
    for _ in range(DEEPEST):
        inner = (value.values() if isinstance(value, dict) else value for value in level)
        level = [entry for entries in inner for entry in entries if isinstance(entry, (dict, list))]
        if not level:
            return document
    raise ValueError("nested too deeply")


def _encoding(text: bytes) -> str:
    """UTF-8 wherever JSON begins as nearly all does."""
    return "utf-8" if text[:1] in (b"{", b"[") and text[1:2] != b"\0" else json.detect_encoding(text)


def _opened(value: Any) -> Any:
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return loads(value)
        except ValueError:
            return value
    return value


def values(document: Any, path: str) -> list[Any]:
    """Everything at `path`, in order; members that are missing or null yield nothing."""
    if type(document) is dict and path.isidentifier():  # most paths are one name
        value = document.get(path)
        return [] if value is None else [value]
    parts = _parts(path)
    for place, part in enumerate(parts):
        if type(part) is not str or type(document) is not dict:
            parts = parts[place:]
            break
        document = document.get(part)  # the usual way, member by member
        if document is None:
            return []
    else:
        return [] if document is None else [document]
    found = [document]
    for part in parts:
        found = list(_step(found, part))
        if not found:
            break
    return [value for value in found if value is not None]


def _step(found: Iterable[Any], part: str | int | None) -> Iterator[Any]:
    for entry in found:
        value = _opened(entry)
        if part is None:
            if isinstance(value, list):
                yield from value
        elif isinstance(part, int):
            if isinstance(value, list) and part < len(value):
                yield value[part]
        elif isinstance(value, dict) and value.get(part) is not None:
            yield value[part]


def first(document: Any, paths: Iterable[str]) -> Any:
    """The first value the first yielding path has, or None."""
    for path in paths:
        found = values(document, path)
        if found:
            return found[0]
    return None


def scalar(value: Any) -> str | None:
    """Text and numbers as text (12, not 12.0); None for anything else and for empty text."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else str(value)
    if isinstance(value, (int, str)):
        return str(value).strip() or None
    return None


def first_scalar(document: Any, paths: Sequence[str]) -> str | None:
    """The first text or number, as text, that one of the paths yields."""
    if len(paths) > 1 and lacks(document, paths):  # most are of errors, and most answers bring none
        return None
    for path in paths:
        for value in values(document, path):
            text = scalar(value)
            if text is not None:
                return text
    return None


def said(document: Any, paths: Sequence[str], beside: Sequence[str] = ()) -> str:
    """A service's own words, and those in another language beside them, on one line; "" without any.

    No more than anybody reads, and nothing that a terminal would obey.
    """
    text = first_scalar(document, paths) or ""
    other = (first_scalar(document, beside) or "").strip()
    if other and other not in text:
        text = f"{text} ({other})" if text.strip() else other
    return one_line(text if len(text) <= _SAID else f"{text[:_SAID]}…")


def fits(template: str, path: str) -> bool:
    """Whether an address path is one that a template with `{placeholders}` makes."""
    return re.fullmatch(re.sub(r"\\{\w+\\}", ".+", re.escape(template)), path) is not None
