"""Which families are installed: read from the metadata of distributions, nothing imported."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import Distribution

__all__ = ["GROUP", "Installed", "canonical", "installed"]

GROUP = "ai302_core.families"

_REQUIRES_CORE = re.compile(r"ai302[-_.]core(?![\w.-])\s*(?:\[[^\]]*\])?\s*\(?([^;)]*)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Installed:
    """A family that some distribution offers; nothing of it has been imported.

    name          of the family
    module        that will be imported
    distribution  and its version
    requires      the range of ai302-core it declares, such as ">=0.1", or ""
    location      the folder it is installed in
    """

    name: str
    module: str
    distribution: str
    version: str
    requires: str = ""
    location: str = ""

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
    from importlib.metadata import distributions  # twice the start of Python itself, so only when it is asked

    for distribution in distributions():
        # Somebody else's broken metadata is not our trouble.
        with suppress(Exception):
            text = distribution.read_text("entry_points.txt") or ""
            if GROUP in text:
                for entry in _entries(distribution):
                    # The first on the path hides later ones of the same name, as it does for imports.
                    found.setdefault((canonical(entry.distribution), entry.name), entry)
    return tuple(sorted(found.values(), key=lambda entry: (entry.name, entry.distribution)))


def _entries(distribution: Distribution) -> Iterator[Installed]:
    ranges = (_REQUIRES_CORE.match(line) for line in distribution.requires or ())
    requires = next((match[1].strip() for match in ranges if match), "")
    for entry in distribution.entry_points:
        if entry.group == GROUP:
            yield Installed(
                name=entry.name,
                module=entry.module,
                distribution=distribution.metadata["Name"] or "(a distribution without a name)",
                version=distribution.version or "?",
                requires=requires,
                location=str(distribution.locate_file("")),
            )


def canonical(name: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()
