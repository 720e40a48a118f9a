"""What saved files are called: safe on three systems, inside their folder, never shared. Pure decisions, no I/O."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path

from ai302_core.assets import Asset
from ai302_core.errors import ParameterError
from ai302_core.jobs import Job

from .sniffing import SUFFIXES

__all__ = ["FIELDS", "Target", "candidates", "fill", "number_of", "numbered", "plan", "safe", "shareable"]

FIELDS = ("n", "id", "key", "role", "provider", "model", "date")
"""What a template may name besides the columns of a batch."""

_STEM_BYTES = 200
_VALUE_BYTES = 120
_SLUG_LETTERS = 40
_PLACE = re.compile(r"(\{\{|\}\}|\{[^{}]*\})")
_SEPARATOR = re.compile(r"([/\\])" if os.name == "nt" else r"(/)")
_FORBIDDEN = frozenset('<>:"/\\|?*')
_RESERVED = re.compile(r"(?i:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9¹²³]) *(?:\..*)?", re.DOTALL)
_JOINER = "\u200d"  # holds emoji together


@dataclass(frozen=True)
class Target:
    """Where one asset goes. The suffix follows its content, so the name is complete only afterwards.

    reserved  names (without suffix, folded) that belong to the other assets of the same plan
    """

    asset: Asset
    folder: Path
    stem: str
    reserved: frozenset[str] = field(default=frozenset(), repr=False)


def safe(text: str, limit: int = _STEM_BYTES) -> str:
    """`text` as one file or folder name on Linux, macOS and Windows, at most `limit` bytes; never empty."""
    plain = text.isascii() and text.isprintable() and _FORBIDDEN.isdisjoint(text)
    name = text if plain else unicodedata.normalize("NFC", "".join(map(_letter, text)))
    name = _cut(" ".join(name.split()).strip(" ."), limit)
    if not name:
        return "_"
    return f"_{name}" if _RESERVED.fullmatch(name) else name


def _letter(letter: str) -> str:
    if letter in _FORBIDDEN:
        return "_"
    if letter.isspace():
        return " "
    try:
        os.fsencode(letter)
    except UnicodeEncodeError:  # a file system whose names are not Unicode
        return ""
    # Control and direction marks, lone surrogates.
    return "" if unicodedata.category(letter) in ("Cc", "Cf", "Cs") and letter != _JOINER else letter


def _cut(name: str, limit: int) -> str:
    short = name.encode("utf-8")[:limit].decode("utf-8", "ignore")
    return short if short == name else short.rstrip(" ." + _JOINER)


def fold(name: str) -> str:
    """Names that fold to the same text may be the same file on some system."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def candidates(target: Target, suffix: str) -> Iterator[Path]:
    """The target's path with this suffix, then with "-2", "-3", …; never a name of another target of its plan."""
    yield target.folder / f"{target.stem}{suffix}"
    number = 2
    while True:
        stem = f"{target.stem}-{number}"
        if fold(stem) not in target.reserved:
            yield target.folder / f"{stem}{suffix}"
        number += 1


def fill(to: str | os.PathLike[str], columns: Mapping[str, object]) -> str:
    """`to` with its column fields filled in; what is left names only `FIELDS`. A value never makes a folder.

    A last part that was a name stays one: "{sku}" becomes "{}A-7", whose "{}" stands for nothing.
    Raises ParameterError for a field that is neither.
    """
    text = os.fspath(to)
    if "\0" in text:
        raise ParameterError("The place to save to holds a NUL character. Nothing was sent.", field="to")

    def value(name: str) -> str | None:
        if name in columns:
            return safe(str(columns[name]), _VALUE_BYTES).replace("{", "{{").replace("}", "}}")
        if name in FIELDS or not name:
            return None
        known = ", ".join(f"{{{entry}}}" for entry in (*columns, *(entry for entry in FIELDS if entry not in columns)))
        raise ParameterError(
            f"The place to save to names {{{name}}}, which is unknown. Known: {known}; a brace itself is written "
            "twice. Nothing was sent.",
            field="to",
        )

    parts = _SEPARATOR.split(text)
    filled = [_fill_part(part, value, limit=None) for part in parts]
    if _is_name(parts[-1]) and not _is_name(filled[-1]):
        filled[-1] = "{}" + filled[-1]
    return "".join(filled)


def shareable(to: str) -> bool:
    """Whether two jobs that save there get the same names: it names files, and neither their job nor its key."""
    return _is_name(_SEPARATOR.split(to)[-1]) and not {"{id}", "{key}"} & {*_PLACE.split(to)}


def numbered(to: str, number: int) -> str:
    """The place with a number at the end of its names, for one of several that share it; the first has none."""
    stem, suffix = _split_suffix(to)
    return to if number == 1 else f"{stem}_{number}{suffix}"


def number_of(place: str, to: str) -> int | None:
    """The number that makes `place` of `to`; None when none does."""
    if place == to:
        return 1
    stem, suffix = _split_suffix(to)
    match = re.fullmatch(f"{re.escape(stem)}_([1-9][0-9]{{0,8}}){re.escape(suffix)}", place)
    return int(match[1]) if match and shareable(to) else None


def _is_name(part: str) -> bool:
    return "{" in _without_doubles(part) or Path(part).suffix.lower() in SUFFIXES


def _fill_part(part: str, value: Callable[[str], str | None], limit: int | None) -> str:
    """One name between separators; made safe once a field of it was filled."""
    filled, pieces = False, []
    for piece in _PLACE.split(part):
        if piece[:1] == "{" and piece[-1:] == "}":
            found = value(piece[1:-1])
            filled = filled or found is not None
            pieces.append(piece if found is None else found)
        elif piece in ("{{", "}}"):
            pieces.append(piece if limit is None else piece[0])
        elif "{" in piece or "}" in piece:
            raise _unbalanced(part)
        else:
            pieces.append(piece)
    text = "".join(pieces)
    return safe(text, limit or len(text.encode("utf-8", "replace")) + 1) if filled else text


def _unbalanced(part: str) -> ParameterError:
    return ParameterError(
        f"The place to save to has a lone brace in {part!r}; a brace itself is written twice. Nothing was sent.",
        field="to",
    )


def plan(to: str | os.PathLike[str], job: Job, assets: Sequence[Asset]) -> list[Target]:
    """Where each of these assets goes, in their order; no two names are the same on any system.

    to  a folder, unless its last part has a field or the suffix of a media file; a batch's columns are filled in

    Raises ParameterError for an unknown field.
    """
    parts = _SEPARATOR.split(fill(to, {}) or ".")
    ours = not _is_name(parts[-1])
    if ours:
        parts += ["/", _default_name(job)] if parts[-1] else [_default_name(job)]
    named = {name for name in FIELDS if any(f"{{{name}}}" in _without_doubles(part) for part in parts)}
    groups = {asset: asset.role if asset.role not in ("final", "tile") else "" for asset in assets}
    counts = Counter(groups[asset] for asset in assets)
    role_wanted = "role" not in named and (ours or len(counts) > 1)
    placed: list[tuple[Path, str]] = []
    taken: dict[str, set[str]] = {}
    for asset, number in zip(assets, _numbers(assets, groups), strict=True):
        values = _values(job, asset, number)
        names = [_fill_part(part, values.__getitem__, _STEM_BYTES) for part in parts]
        ending = "-" + values["role"] if groups[asset] and role_wanted else ""
        if counts[groups[asset]] > 1 and "n" not in named:
            ending += f"-{number}"
        stem = safe(_split_suffix(names[-1])[0], _STEM_BYTES - len(ending.encode("utf-8"))) + ending
        folder = Path("".join(names[:-1]) or ".")
        there = taken.setdefault(fold(str(folder)), set())
        stem = _unshared(stem, there)
        there.add(fold(stem))
        placed.append((folder, stem))
    return [
        Target(asset, folder, stem, frozenset(taken[fold(str(folder))] - {fold(stem)}))
        for asset, (folder, stem) in zip(assets, placed, strict=True)
    ]


def _numbers(assets: Sequence[Asset], groups: Mapping[Asset, str]) -> list[int]:
    """The asset's own index where that tells it apart within its group, else its position there."""
    indexes: dict[str, list[int]] = {}
    for asset in assets:
        indexes.setdefault(groups[asset], []).append(asset.index)
    for group, numbers in indexes.items():
        if len(set(numbers)) < len(numbers):
            indexes[group] = list(range(1, len(numbers) + 1))
    return [indexes[groups[asset]].pop(0) for asset in assets]


def _without_doubles(part: str) -> str:
    return part.replace("{{", "").replace("}}", "")


def _split_suffix(name: str) -> tuple[str, str]:
    stem, dot, suffix = name.rpartition(".")
    return (stem, dot + suffix) if stem and (dot + suffix).lower() in SUFFIXES else (name, "")


def _unshared(stem: str, taken: set[str]) -> str:
    number, unique = 2, stem
    while fold(unique) in taken:
        unique = f"{stem}-{number}"
        number += 1
    return unique


def _values(job: Job, asset: Asset, number: int) -> dict[str, str]:
    values = {
        "n": str(number),
        "id": job.id,
        "key": job.key or job.id,
        "role": asset.role,
        "provider": job.provider,
        "model": job.model or job.family,
        "date": job.created_at.astimezone(UTC).strftime("%Y-%m-%d"),
    }
    return {"": "", **{name: safe(value, _VALUE_BYTES) for name, value in values.items()}}


def _default_name(job: Job) -> str:
    """A name people recognise: the beginning of the prompt, and the end of the job's id."""
    request = job.request
    stored = getattr(request, "values", {})
    prompt = getattr(request, "prompt", None) or stored.get("prompt") or getattr(request, "action", None)
    text = str(prompt or job.operation).split(" --")[0]  # without Midjourney's flags
    letters = unicodedata.normalize("NFC", text[:400]).lower()
    # Letters, digits and the marks that belong to them, in every script.
    spaced = "".join(letter if unicodedata.category(letter)[0] in "LNM" else " " for letter in letters)
    words = "-".join(spaced.split())
    if len(words) > _SLUG_LETTERS:
        words = words[: _SLUG_LETTERS + 1].rpartition("-")[0] or words[:_SLUG_LETTERS]
    slug = f"{words}-" if words else ""
    return safe(f"{slug}{job.id[-6:]}").lstrip("-").replace("{", "{{").replace("}", "}}")
