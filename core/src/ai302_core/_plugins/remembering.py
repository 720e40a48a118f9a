"""Plugins that loaded when they were last tried, and all that the verdict on them hangs on."""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ai302_core import _remembered

from .installed import Installed

__all__ = ["Stamps", "fine", "keep", "kind", "watched"]

_ENVIRONMENTS = 8  # that share a home, each with a memory of its own
_MOST = 5000  # files of all plugins together; with more of them nothing is remembered

Stamps = dict[str, list[int]]
"""Files and folders as they are, by `_remembered.stamp`."""


def kind() -> str:
    """What this environment's plugins are remembered as."""
    return f"plugins-{zlib.crc32(os.fsencode(sys.prefix)):08x}"


def fine(entries: Iterable[Installed]) -> tuple[dict[Installed, dict[str, Any]], Stamps]:
    """The plugins known to load, each with what was told of it, and what was watched; nothing of it has changed.

    One change anywhere, and all of them are tried again: it costs little, and they may import each other.
    """
    known = _remembered.recalled(kind())
    found: dict[Installed, dict[str, Any]] = {}
    try:
        files, told = known["files"], {(one["name"], one["distribution"]): one for one in known["fine"]}
        if known["of"] != _surroundings() or any(_remembered.stamp(path) != was for path, was in files.items()):
            return {}, {}
        for entry in entries:
            one = told.get((entry.name, entry.distribution), {})
            names = (one.get("operations"), one.get("gateways"))
            if one.get("plugin") == vars(entry) and all(map(_are_names, names)):
                found[entry] = one
    except (KeyError, TypeError, AttributeError, ValueError):  # another version wrote it, or nobody of ours
        return {}, {}
    return found, files


def _are_names(told: Any) -> bool:
    return isinstance(told, list) and all(isinstance(name, str) for name in told)


def keep(found: Mapping[Installed, Mapping[str, Any]], files: Stamps) -> None:
    """Remember these plugins as fine while the files and folders are as they are now; any others are forgotten."""
    told = [
        {
            "name": entry.name,
            "distribution": entry.distribution,
            "plugin": vars(entry),
            "operations": list(one["operations"]),
            "gateways": list(one["gateways"]),
        }
        for entry, one in found.items()
    ]
    if len(files) <= _MOST:
        _remembered.remember(kind(), {"of": _surroundings(), "files": files, "fine": told})
        _remembered.forget("plugins-", _ENVIRONMENTS)


def _surroundings() -> list[Any]:
    """Python, the folders it finds modules in (installing anything changes one of them), this library's own files."""
    folders = [[entry, _remembered.stamp(entry or ".")] for entry in sys.path]
    return [sys.version, sys.executable, folders, _tree(Path(__file__).parents[1], folders=False)]


def watched(module: str, before: Iterable[str]) -> Stamps | None:
    """What a plugin hangs on, from the process it was loaded in; None where something cannot be watched.

    That is the whole package of its module, and every module that came since those in `before`, but Python's own.
    """
    own = module.partition(".")[0]
    stamps: Stamps = {}
    for folder in map(str, getattr(sys.modules.get(own), "__path__", ())):
        stamps |= _tree(Path(folder))
    for name in sys.modules.keys() - set(before):
        top = name.partition(".")[0]
        file = getattr(sys.modules[name], "__file__", None)
        if file is not None and top != "ai302_core" and top not in sys.stdlib_module_names:
            stamps[file] = _remembered.stamp(file)
    return stamps if all(stamps.values()) else None  # inside a zip file nothing can be looked at


def _tree(folder: Path, *, folders: bool = True) -> Stamps:
    stamps: Stamps = {}
    for root, below, names in os.walk(folder):
        below[:] = [name for name in below if name != "__pycache__"]
        paths = [f"{root}{os.sep}{name}" for name in names]
        stamps |= {path: _remembered.stamp(path) for path in ([root, *paths] if folders else paths)}
    return stamps
