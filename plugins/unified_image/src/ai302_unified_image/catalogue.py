"""The models 302.AI names for its unified image doors, read from the package's data when somebody asks for them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from ai302_core.family import Model, Rule

__all__ = ["DEFAULT", "MODELS", "V1_EDITS", "V1_ONLY", "Entry", "Later", "find", "known"]

T = TypeVar("T")

DEFAULT = "gemini-3.1-flash-lite-image"
"""Of 302.AI's current models the one its own command line calls the cheapest: a slip costs least. It makes pictures
from words and from pictures, in fourteen shapes, and replaces nothing silently (command line 1.0.5, 2026-11-21)."""

_PIXELS = re.compile(r"\d+x\d+")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What is known of one model.

    doors       "v1", "v2" or both
    complete    `parameters` is all it takes; else only what a page states of it
    parameters  wire name -> what the service does with it
    pixels      ratio -> resolution word, or "" -> (width, height), as 302.AI's command line sends them
    source      where this is from
    largest     bytes a picture must stay under; 0: nothing says
    """

    name: str
    doors: Sequence[str]
    complete: bool
    source: str
    parameters: Mapping[str, Rule]
    pixels: Mapping[str, Mapping[str, tuple[int, int]]] = field(default_factory=dict)
    largest: int = 0

    @property
    def needs_image(self) -> bool:
        """Whether it changes a picture rather than makes one from words."""
        return self.parameters.get("image", Rule()).required

    @property
    def sizes(self) -> tuple[str, ...]:
        """The sizes in pixels it keeps to, none if any will do."""
        return tuple(size for size in self._listed("size") if _PIXELS.fullmatch(size))

    @property
    def resolutions(self) -> tuple[str, ...]:
        """Its words for a resolution, such as "2K"."""
        words = [word for word in self._listed("size") if word[:1].isdigit() and not _PIXELS.fullmatch(word)]
        return tuple(words or (word for word in next(iter(self.pixels.values()), ()) if word))

    @property
    def ratios(self) -> tuple[str, ...]:
        """The shapes it makes."""
        return self._listed("aspect_ratio") or tuple(self.pixels)

    def _listed(self, name: str) -> tuple[str, ...]:
        return tuple(map(str, self.parameters.get(name, Rule()).allowed))


@cache
def known() -> Mapping[str, Entry]:
    """Every model by its name."""
    text = Path(__file__).with_name("catalogue.json").read_text(encoding="utf-8")
    return {entry["name"]: _read(entry) for entry in json.loads(text)}


def _read(entry: dict[str, Any]) -> Entry:
    entry["parameters"] = {name: Rule(**rule) for name, rule in entry["parameters"].items()}
    pixels = entry.get("pixels", {})
    entry["pixels"] = {
        ratio: {word: (width, height) for word, (width, height) in sides.items()} for ratio, sides in pixels.items()
    }
    return Entry(**entry)


def find(name: str, door: str) -> Entry | None:
    """What is known of a model at a door, or None."""
    entry = known().get(name)
    return entry if entry is not None and door in entry.doors else None


class Later(Sequence[T]):
    """A sequence that is made when somebody looks into it, so that importing the family reads no catalogue."""

    def __init__(self, make: Callable[[], Sequence[T]]) -> None:
        self._made = cache(make)

    def __getitem__(self, index: Any) -> Any:
        return self._made()[index]

    def __len__(self) -> int:
        return len(self._made())


def _model(entry: Entry) -> Model:
    return Model(
        name=entry.name,
        task="image",
        aspect_ratios=entry.ratios,
        sizes=entry.sizes or entry.resolutions,
        needs_image=entry.needs_image,
        default=entry.name == DEFAULT,
        source=entry.source,
        parameters=entry.parameters,
    )


MODELS: Sequence[Model] = Later(lambda: tuple(map(_model, known().values())))
V1_ONLY: Sequence[str] = Later(lambda: tuple(name for name, entry in known().items() if "v2" not in entry.doors))
V1_EDITS: Sequence[str] = Later(lambda: tuple(name for name in V1_ONLY if known()[name].needs_image))
