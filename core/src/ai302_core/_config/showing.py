"""Settings as text: TOML that can be read back, each value with the place it was written; no secret."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, time
from typing import Any

from .settings import ProviderSettings, Settings

__all__ = ["show"]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_PRIVATE = re.compile(r"key|token|secret|passw|auth|credential", re.IGNORECASE)
_USERINFO = re.compile(r"//[^/@]*@")


def show(settings: Settings) -> str:
    """The settings as TOML, with sources as comments. Only what was written; defaults are not repeated."""
    lines = [f"# {source}" for source in settings.sources] or ["# nothing is configured: no file and no variable"]
    if settings.sandbox is not None:
        lines.append(f"# GEN302_SANDBOX: every provider is the sandbox at {settings.sandbox}")
    written = {path for path in settings.origins if path}
    for name in ("default", "ledger", "plugins", "observers"):
        value = getattr(settings, name)
        if value is not None and (name,) in written:
            lines.append(_line(name, _without_userinfo(value), settings.origins.get((name,), "")))
    if settings.budget is not None:
        lines += ["", "[budget]", *_members(settings, ("budget",), settings.budget, written)]
    if settings.aliases:
        lines += ["", "[aliases]"]
        lines += [
            _line(name, names, settings.origins.get(("aliases", name), "")) for name, names in settings.aliases.items()
        ]
    tables: Iterable[tuple[str, Mapping[str, Any]]] = (
        ("providers", settings.providers),
        ("gateways", settings.gateways),
    )
    for table, entries in tables:
        for name, entry in entries.items():
            lines += ["", f"[{table}.{_key(name)}]", *_members(settings, (table, name), entry, written)]
    return "\n".join(lines) + "\n"


def _members(settings: Settings, path: tuple[str, ...], entry: Any, written: set[tuple[str, ...]]) -> list[str]:
    lines = []
    for item in fields(entry):
        value, here = getattr(entry, item.name), (*path, item.name)
        if isinstance(entry, ProviderSettings) and item.name == "withheld":
            if value:
                lines.append(f"# its key is withheld: {value}")
        elif is_dataclass(value):
            lines += _below(settings, here, {part.name: getattr(value, part.name) for part in fields(value)}, written)
        elif isinstance(value, Mapping):
            lines += _below(settings, here, value, written)
        elif value is not None and any(known[: len(here)] == here for known in written):
            lines.append(_line(item.name, value, settings.origins.get(here, "")))
    return lines


def _below(
    settings: Settings, path: tuple[str, ...], values: Mapping[str, Any], written: set[tuple[str, ...]]
) -> list[str]:
    """Dotted lines: each value of a table may come from another source."""
    return [
        _line(f"{path[-1]}.{_key(name)}", _masked(name, value), settings.origins.get((*path, name), ""))
        for name, value in values.items()
        if value is not None and ((*path, name) in written or path[-1] in ("defaults", "values", "members"))
    ]


def _masked(name: str, value: Any) -> Any:
    return "…" if _PRIVATE.search(name) and not isinstance(value, (bool, int, float)) else value


def _without_userinfo(value: Any) -> Any:
    return _USERINFO.sub("//…@", value) if isinstance(value, str) else value


def _line(key: str, value: Any, place: str) -> str:
    return f"{key} = {_toml(value)}" + (f"  # {place}" if place else "")


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _toml(name)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        inner = ", ".join(
            f"{_key(str(name))} = {_toml(_masked(str(name), entry))}"
            for name, entry in value.items()
            if entry is not None
        )
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_toml(entry) for entry in value)}]"
    return value.isoformat() if isinstance(value, (date, time)) else repr(value)
