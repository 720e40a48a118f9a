"""What a record's members are: of the types the vocabulary says, or a sentence that says what to write instead."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

__all__ = ["misfits"]

_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "True or False", NoneType: "None"}
_SHOWN = 60


@cache
def _hints(cls: Any) -> Mapping[str, Any]:
    return get_type_hints(cls)


def misfits(record: Any, where: str = "") -> Iterator[str]:
    """A sentence for every member, at any depth, that is not what its annotation says.

    A type checker says the same, and not every author runs one: the text "done" is a tuple of its letters to a loop,
    so that nothing fails and nothing fits.
    """
    cls: Any = type(record)
    where = where or f"{cls.__name__} {getattr(record, 'name', '')!r}"
    for item in fields(cls):
        value = getattr(record, item.name)
        place = f"{item.name} of {where}"
        if not _fits(value, _hints(cls)[item.name]):
            yield f"{place} is {_shown(value)}: {_instead(value, _hints(cls)[item.name])}"
            continue
        for entry in _records(value):
            name = getattr(entry, "name", "")
            yield from misfits(entry, f"{type(entry).__name__} {name!r}" if name else place)


def _records(value: Any) -> Iterator[Any]:
    """The records inside a member: a body has its leaves at any depth."""
    if is_dataclass(value) and not isinstance(value, type):
        yield value
    elif isinstance(value, (Mapping, Sequence)) and not isinstance(value, str):
        for entry in value.values() if isinstance(value, Mapping) else value:
            yield from _records(entry)


def _fits(value: Any, kind: Any) -> bool:
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return True
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in inner)
    if origin is Literal:
        return value in inner
    if origin is type:
        return isinstance(value, type) and issubclass(value, inner[0])
    if origin in (tuple, Sequence):  # a list serves as well; a text is a sequence, and never meant
        if not isinstance(value, Sequence) or isinstance(value, str):
            return False
        if _many(kind):
            return all(_fits(entry, inner[0]) for entry in value)
        return len(value) == len(inner) and all(map(_fits, value, inner))
    if origin is Mapping:
        known = isinstance(value, Mapping)
        return known and all(_fits(name, inner[0]) and _fits(entry, inner[1]) for name, entry in value.items())
    if origin is Callable:
        return callable(value)
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind) if isinstance(kind, type) else True


def _many(kind: Any) -> bool:
    """Whether a type is a sequence of any length."""
    origin = get_origin(kind)
    return origin is Sequence or (origin is tuple and get_args(kind)[-1:] == (Ellipsis,))


def _instead(value: Any, kind: Any) -> str:
    """What to write, where a comma is all that is missing."""
    if _many(kind) and _fits(value, get_args(kind)[0]):
        return f"it must be a tuple, and a tuple of one ends in a comma: ({_shown(value)},)"
    return f"it must be {_told(kind)}"


def _told(kind: Any) -> str:
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_told(one) for one in inner))
    if origin is Literal:
        return " or ".join(map(repr, inner))
    if origin is type:
        return f"a class, {inner[0].__name__} or one made from it"
    if origin in (tuple, Sequence):
        return f"a tuple of {_told(inner[0])}" if _many(kind) else f"a tuple of {len(inner)} numbers"
    if origin is Mapping:
        return "a dict"
    if origin is Callable:
        return "a function"
    return _WORDS.get(kind, f"one {getattr(kind, '__name__', kind)}")


def _shown(value: Any) -> str:
    if is_dataclass(value) and not isinstance(value, type):
        return f"{type(value).__name__}(…)"
    if callable(value):
        return getattr(value, "__name__", type(value).__name__)
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
