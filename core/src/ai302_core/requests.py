"""What a caller asks: frozen requests, compared by what was written, never by defaults. No I/O."""

from __future__ import annotations

import copy
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any, ClassVar, TypeVar

from .assets import Media, media_from_json, media_to_json
from .errors import ParameterError

__all__ = ["ActionRequest", "ImageRequest", "Request", "StoredRequest", "VideoRequest"]

R = TypeVar("R", bound="Request")
T = TypeVar("T")


def expect(value: object, kind: type[T] | tuple[type[T], ...], like: str) -> T:
    """`value`, which is a `kind`. Raises ParameterError that shows one; checked before money moves."""
    if isinstance(value, kind):
        return value
    raise ParameterError(f"Expected {like}, not {type(value).__name__} {str(value)[:80]!r}. Nothing was sent.")


_SIDE = r"(?=[0.]*[1-9])[0-9]{1,5}(?:\.[0-9]{1,5})?"  # of a shape: any number but 0
_RATIO = re.compile(f"{_SIDE}:{_SIDE}")
_SIZE = re.compile(r"\s*(\d+)\s*[xX×*]\s*(\d+)\s*")
_CLASSES: dict[str, type[Request]] = {}
_MEMBERS: dict[type, tuple[tuple[str, Any], ...]] = {}


def _tag(cls: type[Request]) -> str:
    package = cls.__module__.partition(".")[0]
    return cls.__name__ if package == __name__.partition(".")[0] else f"{package}.{cls.__name__}"


@dataclass(frozen=True, kw_only=True)
class Request:
    """The members every request has.

    model  the service's name of the model; None: the family's default
    extra  members added to the wire body untouched
    query  members added to the wire query untouched
    """

    media_fields: ClassVar[tuple[str, ...]] = ()
    kind: ClassVar[str] = ""

    model: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)
    query: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        _CLASSES[_tag(cls)] = cls

    def __post_init__(self) -> None:
        held = vars(self)
        for name, default in _members(type(self)):
            value = held[name]
            if value is default:
                continue
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(value))
            elif isinstance(value, Mapping):
                object.__setattr__(self, name, copy.deepcopy(dict(value)) if value else {})
            elif isinstance(value, (str, bytes, os.PathLike)) and default == ():
                object.__setattr__(self, name, (value,))
        _check(self)

    def written(self) -> dict[str, Any]:
        """The members the caller set, by name, in the order of the class."""
        held = vars(self)
        return {
            name: held[name]
            for name, default in _members(type(self))
            if held[name] is not default and _is_set(held[name], default)
        }

    def media(self) -> Iterator[tuple[tuple[str, int], Media]]:
        """Every picture or clip the request holds, with its place: the field, and the position in it from 0."""
        for name in self.media_fields:
            value = getattr(self, name)
            entries = value if isinstance(value, tuple) else () if value is None else (value,)
            yield from (((name, position), entry) for position, entry in enumerate(entries))

    def with_media(self: R, exchange: Mapping[tuple[str, int], Media]) -> R:
        """A copy whose pictures at the given places are replaced."""
        changes: dict[str, Any] = {}
        for (name, position), media in exchange.items():
            value = changes.get(name, getattr(self, name))
            many = isinstance(value, tuple)
            changes[name] = (*value[:position], media, *value[position + 1 :]) if many else media
        return replace(self, **changes) if changes else self

    def to_json(self) -> dict[str, Any]:
        """{"type": …} and the members that were set, as plain JSON data."""
        return {"type": _tag(type(self)), **self._written_json()}

    def _written_json(self) -> dict[str, Any]:
        document: dict[str, Any] = {}
        for name, value in self.written().items():
            if name in self.media_fields:
                document[name] = (
                    [media_to_json(entry) for entry in value] if isinstance(value, tuple) else media_to_json(value)
                )
            elif name == "size" and isinstance(value, tuple):
                document[name] = f"{value[0]}x{value[1]}"
            elif isinstance(value, tuple):
                document[name] = list(value)
            else:
                document[name] = value if type(value) is str else copy.deepcopy(value)
        return document

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> Request:
        """The request that `to_json` described; a StoredRequest while the class's family is not loaded."""
        values = {name: value for name, value in document.items() if name != "type"}
        cls = _CLASSES.get(str(document.get("type")))
        if cls is None or cls is StoredRequest:
            return StoredRequest(type=str(document.get("type")), values=values)
        unknown = sorted(values.keys() - dict(_members(cls)).keys())
        if unknown:
            raise ParameterError(f"{cls.__name__} has no field {unknown[0]!r}.", field=unknown[0])
        for name in cls.media_fields:
            if name in values:
                value = values[name]
                many = isinstance(value, list)
                values[name] = tuple(map(media_from_json, value)) if many else media_from_json(value)
        try:
            return cls(**values)
        except TypeError as problem:
            raise ParameterError(f"{cls.__name__}: {problem}") from None


def _members(cls: type[Request]) -> tuple[tuple[str, Any], ...]:
    """Each member's name and default, asked of a class once: a submit looks at them a few hundred times."""
    found = _MEMBERS.get(cls)
    if found is None:
        found = _MEMBERS[cls] = tuple(
            (item.name, item.default_factory() if item.default_factory is not MISSING else item.default)
            for item in fields(cls)
        )
    return found


def _is_set(value: Any, default: Any) -> bool:
    return default is MISSING or type(value) is not type(default) or bool(value != default)


def _check(request: Request) -> None:
    def refuse(name: str, text: str) -> None:
        raise ParameterError(f"{name}: {text} Nothing was sent.", field=name)

    for name in ("prompt", "negative_prompt", "model", "resolution"):
        value = getattr(request, name, None)
        if value is not None and not isinstance(value, str):
            refuse(name, f"expected text, not {type(value).__name__}.")
    ratio = getattr(request, "aspect_ratio", None)
    if ratio is not None and (not isinstance(ratio, str) or not _RATIO.fullmatch(ratio)):
        refuse("aspect_ratio", f'expected "W:H" such as "16:9", not {ratio!r}.')
    size = getattr(request, "size", None)
    if size is not None:
        match = _SIZE.fullmatch(size) if isinstance(size, str) else None
        pair = (int(match[1]), int(match[2])) if match else size
        good = isinstance(pair, tuple) and len(pair) == 2 and all(type(side) is int and side > 0 for side in pair)
        if not good:
            refuse("size", f'expected pixels as "1024x1536" or (1024, 1536), not {size!r}.')
        object.__setattr__(request, "size", pair)
    for name, least in (("count", 1), ("seed", None)):
        value = getattr(request, name, None)
        if value is not None and (type(value) is not int or (least is not None and value < least)):
            refuse(name, f"expected a whole number{f' from {least}' if least is not None else ''}, not {value!r}.")
    for name in request.media_fields:
        if getattr(request, name) is None and request.__dataclass_fields__[name].default is MISSING:
            refuse(name, "it must be given.")
    for name in ("extra", "query"):
        if not isinstance(value := getattr(request, name), dict):
            refuse(name, f"expected names with values, not {value!r}.")
    for name, value in request.query.items():
        if not isinstance(value, (str, int, float)):
            refuse("query", f"{name} expected text or a number, not {value!r}.")
    duration = getattr(request, "duration", None)
    number = isinstance(duration, (int, float)) and not isinstance(duration, bool)
    if duration is not None and not (number and 0 < duration < math.inf):
        refuse("duration", f"expected seconds as a number, not {duration!r}.")


@dataclass(frozen=True, kw_only=True)
class ImageRequest(Request):
    """Pictures from a text, from pictures, or both. Runs on every family that makes pictures.

    prompt           what to make
    negative_prompt  what to keep out
    aspect_ratio     "W:H", such as "16:9"
    size             pixels, "1024x1536" or (1024, 1536)
    resolution       the service's word, such as "2K"
    seed, count      whole numbers
    images           reference pictures: paths, bytes, links, data: links or earlier assets
    mask             white = repaint

    Raises ParameterError for a value of the wrong shape.
    """

    media_fields: ClassVar[tuple[str, ...]] = ("images", "mask")
    kind: ClassVar[str] = "image"

    prompt: str = field(kw_only=False)
    negative_prompt: str | None = None
    aspect_ratio: str | None = None
    size: str | tuple[int, int] | None = None
    resolution: str | None = None
    seed: int | None = None
    count: int | None = None
    images: Sequence[Media] = ()
    mask: Media | None = None


@dataclass(frozen=True, kw_only=True)
class VideoRequest(Request):
    """Clips from a text, from pictures, or both. Runs on every family that makes clips.

    duration    seconds
    resolution  the service's word, such as "720p"
    audio       whether the clip has sound
    first_frame, last_frame, references, video   paths, bytes, links, data: links or earlier assets

    Raises ParameterError for a value of the wrong shape.
    """

    media_fields: ClassVar[tuple[str, ...]] = ("first_frame", "last_frame", "references", "video")
    kind: ClassVar[str] = "video"

    prompt: str = field(kw_only=False)
    negative_prompt: str | None = None
    aspect_ratio: str | None = None
    resolution: str | None = None
    duration: float | None = None
    seed: int | None = None
    audio: bool | None = None
    first_frame: Media | None = None
    last_frame: Media | None = None
    references: Sequence[Media] = ()
    video: Media | None = None


@dataclass(frozen=True, kw_only=True)
class ActionRequest(Request):
    """One press of an action a job offers. Made by `act`; a family extends it with the fields its actions take.

    action  the action's name
    task    the remote id of the job it belongs to
    values  what the action itself carries on the wire
    needs   the fields that an answer to INPUT_REQUIRED must bring
    """

    action: str = field(kw_only=False)
    task: str = ""
    values: Mapping[str, Any] = field(default_factory=dict, hash=False)
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class StoredRequest(Request):
    """A request whose class belongs to a family that is not loaded here. Kept word for word."""

    type: str = ""
    values: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def to_json(self) -> dict[str, Any]:
        """What it was made from."""
        return {"type": self.type, **copy.deepcopy(dict(self.values))}
