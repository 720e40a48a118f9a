"""The layers of a configuration: files, environment variables, arguments; each value with the place it was written."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import platformdirs

from ai302_core.errors import ConfigError

from .settings import nearest
from .tomllines import key_lines

__all__ = ["CONFIG_NAME", "Layer", "config_dir", "data_dir", "find", "layers", "merged", "search_paths"]

CONFIG_NAME = "gen302.toml"
PREFIX = "GEN302_"
TABLES = ("default", "providers", "aliases", "budget", "gateways", "ledger", "plugins", "observers")
NO_SETTINGS = ("GEN302_CONFIG", "GEN302_SANDBOX", "GEN302_SANDBOX_KEY")
"""Variables of ours that are not part of the settings."""

# In these tables "4" and "true" are a number and a truth; elsewhere they are text.
_DATA = frozenset({"defaults", "timeouts", "poll", "limits", "max_jobs"})

KeyPath = tuple[str, ...]
Config = str | os.PathLike[str] | Mapping[str, Any]


@dataclass(frozen=True)
class Layer:
    """One source. `name` is how messages call it, `origins` the place of each key and table."""

    name: str
    data: dict[str, Any]
    origins: Mapping[KeyPath, str] = field(default_factory=dict)


def config_dir() -> Path:
    """The user's own folder for `gen302.toml`."""
    return Path(platformdirs.user_config_dir("gen302", appauthor=False))


def data_dir() -> Path:
    """The user's own folder for the ledger and what belongs to it."""
    return Path(platformdirs.user_data_dir("gen302", appauthor=False))


def search_paths(
    config: str | os.PathLike[str] | None = None, *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> tuple[Path, ...]:
    """Where `gen302.toml` is looked for, strongest first. A path given, here or in GEN302_CONFIG, is the only one.

    Else: `cwd` and its parents up to the repository's root or the home folder (only `cwd` when it is in neither: a
    file in a shared folder above is not the user's), then the user's configuration folder.
    """
    env = os.environ if env is None else env
    here = Path.cwd() if cwd is None else cwd.absolute()
    given = os.fspath(config) if config is not None else env.get("GEN302_CONFIG")
    if given:
        return (here / Path(given).expanduser(),)
    return (*(folder / CONFIG_NAME for folder in _up(here)), config_dir() / CONFIG_NAME)


def _up(here: Path) -> list[Path]:
    home = Path.home()
    folders: list[Path] = []
    for folder in (here, *here.parents):
        folders.append(folder)
        if folder == home or (folder / ".git").exists():
            return folders
    return [here]


def layers(
    config: Config | None = None,
    *,
    arguments: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> list[Layer]:
    """All layers, strongest first: arguments, environment, then the mapping or the files. Raises ConfigError."""
    env = os.environ if env is None else env
    found = [_given("arguments", arguments or {}), _environment(env)]
    if isinstance(config, Mapping):
        return [*found, _given("config=", config)]
    explicit = config is not None or bool(env.get("GEN302_CONFIG"))
    paths = search_paths(config, env=env, cwd=cwd)
    if explicit:
        if not paths[0].exists():
            origin = "" if config is not None else " named by GEN302_CONFIG"
            raise ConfigError(
                f"The configuration file {paths[0]}{origin} does not exist. Nothing was sent.",
                hint="gen302 config path  # where files are looked for",
            )
        return [*found, _file(paths[0])]
    project = next((path for path in paths[:-1] if path.is_file()), None)
    user = paths[-1] if paths[-1].is_file() else None
    if project is not None and user is not None and project.samefile(user):
        project = None
    return [*found, *(_file(path) for path in (project, user) if path is not None)]


def merged(all_layers: Sequence[Layer]) -> dict[str, Any]:
    """What the layers say together, table by table; the strongest first."""
    told: dict[str, Any] = {}
    for layer in all_layers:
        told = _over(told, layer.data)
    return told


def _over(stronger: dict[str, Any], weaker: dict[str, Any]) -> dict[str, Any]:
    both = dict(weaker)
    for key, value in stronger.items():
        below = weaker.get(key)
        both[key] = _over(value, below) if isinstance(value, dict) and isinstance(below, dict) else value
    return both


def find(all_layers: Sequence[Layer], path: KeyPath) -> str:
    """The place of the strongest mention of `path`, or of what is nearest above it; "" when there is none."""
    for length in range(len(path), 0, -1):
        part = path[:length]
        for layer in all_layers:
            if part in layer.origins:
                return layer.origins[part]
        for layer in all_layers:
            for known, place in layer.origins.items():
                if known[:length] == part:
                    return place
    return next((layer.name for layer in all_layers if layer.data), "")


def _file(path: Path) -> Layer:
    try:
        # utf-8-sig: an editor of Windows may have put a byte order mark in front.
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text; save it as UTF-8. Nothing was sent.") from None
    except OSError as problem:
        raise ConfigError(f"{path} cannot be read: {problem.strerror}. Nothing was sent.") from None
    text = text.replace("\r\n", "\n")
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        reason = str(problem)
    else:
        origins = {
            tuple(map(str, key)): f"{path}, line {line}"
            for key, line in key_lines(text).items()
            if not any(isinstance(part, int) for part in key)
        }
        _resolve_ledger(data, path.parent)
        return Layer(str(path), data, origins)
    raise _syntax(path, text, reason)


def _syntax(path: Path, text: str, reason: str) -> ConfigError:
    what, _, place = reason.rpartition(" (at ")
    place = place.rstrip(")")
    if not place.startswith("line "):
        place = f"line {text.rstrip().count(chr(10)) + 1}"
    return ConfigError(f"{path}, {place}: this is not TOML: {what}. Nothing was sent.", hint='Text needs quotes: "…".')


def _resolve_ledger(data: dict[str, Any], folder: Path) -> None:
    """A ledger named by a file lies beside that file, from wherever the command runs: one place, one list of jobs."""
    ledger = data.get("ledger")
    if isinstance(ledger, str) and ledger.startswith("sqlite:///"):
        name = Path(ledger.removeprefix("sqlite:///")).expanduser()
        data["ledger"] = f"sqlite:///{(folder.absolute() / name).as_posix()}"


def _given(name: str, given: Mapping[str, Any]) -> Layer:
    data = _plain(given)
    return Layer(name, data, dict.fromkeys(_paths(data), name))


def _plain(value: Any) -> Any:
    """Tables and lists of the exact types that validation expects."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def _paths(data: Mapping[str, Any], above: KeyPath = ()) -> Iterator[KeyPath]:
    for key, value in data.items():
        yield (*above, key)
        if isinstance(value, dict):
            yield from _paths(value, (*above, key))


def _environment(env: Mapping[str, str]) -> Layer:
    data: dict[str, Any] = {}
    origins: dict[KeyPath, str] = {}
    for name in sorted(env):
        if not name.startswith(PREFIX) or name in NO_SETTINGS:
            continue
        path = tuple(name.removeprefix(PREFIX).lower().split("__"))
        if path[0] not in TABLES or "" in path:
            raise _unknown_variable(name, path)
        if env[name]:
            _put(data, path, _value(path, env[name]))
            origins[path] = name
    return Layer("the environment", data, origins)


def _value(path: KeyPath, text: str) -> Any:
    if text.lstrip()[:1] in ("[", "{") or not _DATA.isdisjoint(path):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _put(data: dict[str, Any], path: KeyPath, value: Any) -> None:
    table = data
    for key in path[:-1]:
        below = table.setdefault(key, {})
        if not isinstance(below, dict):
            table[key] = below = {}  # the longer name says more than the whole table's
        table = below
    table[path[-1]] = value


def _unknown_variable(name: str, path: KeyPath) -> ConfigError:
    joined = next((table for table in TABLES if path[0].startswith(table + "_")), None)
    if joined is not None and joined not in ("default", "ledger"):
        first = f"{PREFIX}{joined.upper()}"
        return ConfigError(
            f"{name} is no variable of gen302: after {first} come two underscores. Nothing was sent.",
            hint=f"{first}__{name.removeprefix(first).strip('_')}, with two underscores between all its parts",
        )
    known = [*NO_SETTINGS, *(f"{PREFIX}{table.upper()}" for table in TABLES)]
    near = nearest(path[0], [entry.removeprefix(PREFIX).lower() for entry in known])
    told = f" (did you mean {PREFIX}{near.upper()}?)" if near else ""
    return ConfigError(
        f"{name} is no variable of gen302{told}; known are {', '.join(known)}. Nothing was sent.",
        hint=f"unset {name}",
    )
