"""Which families are installed: read from the metadata of distributions, nothing imported."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import Distribution

__all__ = ["GROUP", "Installed", "canonical", "installed"]

GROUP = "ai302_core.families"

_REQUIRES_CORE = re.compile(r"ai302[-_.]core(?![\w.-])\s*(?:\[[^\]]*\])?\s*\(?([^;)]*)", re.IGNORECASE)
_ENTRY = re.compile(r"([^\s=][^=]*?)\s*=\s*([\w.]+)")
_HEADER = re.compile(r"(name|version|requires-dist):[ \t]*(.*)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Installed:
    """A family that some distribution offers; nothing of it has been imported.

    name          of the family
    module        that will be imported
    distribution  and its version
    requires      the range of ai302-core it declares, such as ">=0.1", or ""
    location      the folder it is installed in
    metadata      the folder of its metadata, or "" where that is none of pip's
    """

    name: str
    module: str
    distribution: str
    version: str
    requires: str = ""
    location: str = ""
    metadata: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


def installed() -> tuple[Installed, ...]:
    """Every family on `sys.path`, by name. Imports none; one pass over the metadata, again when a folder changed."""
    return _listed(tuple((entry, _changed(entry)) for entry in sys.path))


def _changed(entry: str) -> int:
    try:
        return Path(entry).stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=4)
def _listed(_paths: tuple[tuple[str, int], ...]) -> tuple[Installed, ...]:
    found: dict[tuple[str, str], Installed] = {}
    for entry in _offered():
        # The first on the path hides later ones of the same name, as it does for imports.
        found.setdefault((canonical(entry.distribution), entry.name), entry)
    return tuple(sorted(found.values(), key=lambda entry: (entry.name, entry.distribution)))


def _offered() -> Iterator[Installed]:
    """What importlib.metadata finds, read without it where it is plain: its import takes twice the start of Python."""
    finders = [finder for finder in sys.meta_path if hasattr(finder, "find_distributions")]
    if [getattr(finder, "__name__", "") for finder in finders] != ["PathFinder"]:  # somebody's own
        from importlib.metadata import distributions

        yield from _told(distributions())
        return
    for entry in sys.path:
        folder = Path(entry)
        if folder.is_file():  # a zip file or an egg
            from importlib.metadata import distributions

            yield from _told(distributions(path=[entry]))
            continue
        with suppress(OSError):
            for info in folder.iterdir():
                if info.name.lower().endswith((".dist-info", "egg-info")):
                    yield from _of(info)


def _of(info: Path) -> Iterable[Installed]:
    try:
        text = (info / "entry_points.txt").read_text("utf-8")
    except (OSError, ValueError):
        return ()
    if GROUP not in text:
        return ()
    plain = _plain(info, text) if info.name.endswith(".dist-info") else None
    if plain is None:
        from importlib.metadata import Distribution

        plain = list(_told([Distribution.at(info)]))
    return plain


def _plain(info: Path, text: str) -> list[Installed] | None:
    """As pip and others write it; None for anything that needs a closer look."""
    group = ""
    entries: list[tuple[str, str]] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.startswith("[") and line.endswith("]"):
            group = line.strip("[]")
        elif group == GROUP and not line.startswith("#"):
            match = _ENTRY.fullmatch(line)
            if match is None:
                return None
            entries.append((match[1], match[2]))
    try:
        head = (info / "METADATA").read_text("utf-8").partition("\n\n")[0]
    except (OSError, ValueError):
        return None
    headers: dict[str, list[str]] = {"name": [], "version": [], "requires-dist": []}
    match = None
    for line in head.split("\n"):
        if match is not None and line[:1] in (" ", "\t"):  # it goes on
            return None
        match = _HEADER.fullmatch(line)
        if match is not None:
            headers[match[1].lower()].append(match[2].strip())
    if not (headers["name"] and headers["name"][0] and headers["version"] and headers["version"][0]):
        return None
    return [
        Installed(
            name=name,
            module=module,
            distribution=headers["name"][0],
            version=headers["version"][0],
            requires=_range(headers["requires-dist"]),
            location=str(info.parent),
            metadata=str(info),
        )
        for name, module in entries
    ]


def _range(requires: Iterable[str]) -> str:
    matches = map(_REQUIRES_CORE.match, requires)
    return next((match[1].strip() for match in matches if match), "")


def _told(distributions: Iterable[Distribution]) -> Iterator[Installed]:
    for distribution in distributions:
        # Somebody else's broken metadata is not our trouble.
        with suppress(Exception):
            text = distribution.read_text("entry_points.txt") or ""
            for entry in distribution.entry_points if GROUP in text else ():
                if entry.group == GROUP:
                    yield Installed(
                        name=entry.name,
                        module=entry.module,
                        distribution=distribution.metadata["Name"] or "(a distribution without a name)",
                        version=distribution.version or "?",
                        requires=_range(distribution.requires or ()),
                        location=str(distribution.locate_file("")),
                    )


def canonical(name: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()
