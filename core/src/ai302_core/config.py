"""Settings from `gen302.toml`, environment and arguments: named providers, and which of them serves a request.

pydantic is imported by `schema_json`, and by `load_settings` for what it has not checked before: it takes a third of a
start.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from . import _remembered
from ._config.keys import COMMON_KEYS, SecretKey, key_for, normalise_base_url, sandbox_address
from ._config.layers import CONFIG_NAME, Layer, config_dir, data_dir, find, layers, merged, search_paths
from ._config.picking import pick_provider, pick_providers
from ._config.settings import (
    Budget,
    GatewaySettings,
    LimitSettings,
    PollSettings,
    ProviderSettings,
    Settings,
    TimeoutSettings,
)
from ._config.showing import show
from .errors import ConfigError

__all__ = [
    "COMMON_KEYS",
    "CONFIG_NAME",
    "Budget",
    "GatewaySettings",
    "LimitSettings",
    "PollSettings",
    "ProviderSettings",
    "SecretKey",
    "Settings",
    "TimeoutSettings",
    "config_dir",
    "data_dir",
    "find_download_timeout",
    "find_ledger",
    "key_for",
    "ledger_url",
    "load_settings",
    "normalise_base_url",
    "pick_provider",
    "pick_providers",
    "schema_json",
    "search_paths",
    "show",
]

Config = str | os.PathLike[str] | Mapping[str, Any]
_KNOWN = 31  # further configurations that are remembered, such as those of other folders


def load_settings(
    config: Config | None = None,
    *,
    budget: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Settings:
    """The merged settings: arguments over GEN302_ variables over the project's file over the user's.

    config  a file or a mapping instead of the files found by the usual search
    budget  over any configured one, such as {"max_jobs": 20, "per": "day"}
    env     instead of the process's environment; cwd instead of its folder

    Raises ConfigError with file, line and the nearest known key; never with a value.
    """
    env = os.environ if env is None else env
    found = layers(config, arguments={"budget": budget} if budget is not None else None, env=env, cwd=cwd)
    found = [_joined_names(layer) for layer in found]
    checked = _checked(found)
    origins = {path: find(found, path) for layer in found for path in layer.origins}
    budget_told, plugins = checked.get("budget"), checked.get("plugins")
    return Settings(
        default=_default(checked.get("default")),
        providers={name: _provider(found, name, checked) for name in checked.get("providers", ())},
        aliases={name: tuple(map(_joined, members)) for name, members in checked.get("aliases", {}).items()},
        budget=None if budget_told is None else Budget(**budget_told),
        gateways={name: _gateway(found, name, table) for name, table in checked.get("gateways", {}).items()},
        ledger=checked.get("ledger"),
        plugins=None if plugins is None else tuple(plugins),
        observers=tuple(checked.get("observers", ())),
        sandbox=_sandbox(env),
        sources=tuple(layer.name for layer in found if layer.data),
        origins=origins,
    )


def _checked(found: Sequence[Layer]) -> dict[str, Any]:
    """What the layers say together. The same layers are checked once: then only their digest is remembered."""
    told = merged(found)
    digest = _digest(found)
    good = _remembered.recalled("configurations").get("good")
    known = good if isinstance(good, list) else []
    if digest is None or digest not in known:
        from ._config.validation import validated

        if validated(found) == told and digest is not None:  # what is believed next time is exactly what was checked
            _remembered.remember("configurations", {"good": [digest, *known[:_KNOWN]]})
    return told


def _digest(found: Sequence[Layer]) -> str | None:
    """What the layers say and all that the verdict on it depends on; None for what JSON cannot tell apart."""
    import hashlib
    import json

    rules = [Path(__file__), Path(__file__).with_name("_config") / "validation.py", *_judges()]
    stamps = [(str(path), _remembered.stamp(path)) for path in rules]
    try:
        text = json.dumps([sys.version, stamps, [layer.data for layer in found]], allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return None
    return hashlib.sha256(text.encode()).hexdigest()


def _judges() -> Iterator[Path]:
    """The packages that validate, and the folders they are installed in, where another version leaves a mark."""
    for name in ("pydantic", "pydantic_core", "pydantic_settings"):
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            yield from (Path(spec.origin), Path(spec.origin).parents[1])


def _gateway(found: Sequence[Layer], name: str, table: Mapping[str, Any]) -> GatewaySettings:
    lists = {key: None if table.get(key) is None else tuple(table[key]) for key in ("lacks", "unread")}
    address = _address(found, ("gateways", name, "base_url"), table.get("base_url"))
    return GatewaySettings(**{**table, **lists, "base_url": address})


def _joined(name: str) -> str:
    return name.replace("-", "_")


def _joined_names(layer: Layer) -> Layer:
    """The layer with `-` read as `_` in the names of providers and aliases."""
    data = dict(layer.data)
    for table in ("providers", "aliases"):
        entries = data.get(table)
        if isinstance(entries, dict):
            data[table] = {}
            for name, entry in entries.items():
                if _joined(name) in data[table]:
                    raise ConfigError(
                        f"{layer.origins.get((table, name), layer.name)}: {name!r} in [{table}] is there twice: "
                        "- is read as _. Nothing was sent."
                    )
                data[table][_joined(name)] = entry
    origins = {
        (path[0], _joined(path[1]), *path[2:]) if path[0] in ("providers", "aliases") and len(path) > 1 else path: place
        for path, place in layer.origins.items()
    }
    return Layer(layer.name, data, origins)


def _default(told: str | Mapping[str, str | None] | None) -> str | dict[str, str] | None:
    if told is None or isinstance(told, str):
        return None if told is None else _joined(told)
    return {kind: _joined(name) for kind, name in told.items() if name is not None}


def _provider(found: Sequence[Layer], name: str, checked: Mapping[str, Any]) -> ProviderSettings:
    path = ("providers", name)
    table = checked["providers"][name]
    poll = PollSettings(**_seconds(table, "poll"))
    if poll.initial is not None and poll.maximum is not None and poll.maximum < poll.initial:
        raise ConfigError(
            f"{find(found, (*path, 'poll', 'maximum'))}: `maximum` in [providers.{name}.poll] is below `initial`. "
            "Nothing was sent."
        )
    withheld = _withheld(found, name, checked)
    return ProviderSettings(
        family=table["family"],
        gateway=table.get("gateway"),
        base_url=_address(found, (*path, "base_url"), table.get("base_url")),
        api_key_env=None if withheld else table.get("api_key_env"),
        plugin=table.get("plugin"),
        defaults=table.get("defaults", {}),
        timeouts=TimeoutSettings(**_seconds(table, "timeouts")),
        poll=poll,
        limits=LimitSettings(**table.get("limits", {})),
        withheld=withheld,
    )


def _seconds(table: Mapping[str, Any], part: str) -> dict[str, Any]:
    """Whole seconds may be written without a point."""
    return {name: None if value is None else float(value) for name, value in table.get(part, {}).items()}


def _withheld(found: Sequence[Layer], name: str, checked: Mapping[str, Any]) -> str:
    """Why the provider's own key stays at home: a stronger source than the one that names it moved the address.

    Else a `gen302.toml` in a folder from somebody else could send the user's keys wherever it likes.
    """
    table = checked["providers"][name]
    variable, gateway = table.get("api_key_env"), table.get("gateway")
    owner = _strength(found, ("providers", name, "api_key_env"))
    if variable is None or owner is None:
        return ""
    below = found[owner + 1 :] if owner > 1 else ()  # of a file; who sets a variable or an argument means it
    named = {home for layer in below for home in _homes(layer, below, variable)}
    if named and _home(found, name) not in named:
        place = find(found, ("providers", name, "api_key_env"))
        return f"{variable} was named for another address (in {below[0].name}), and {place} names it for this one"
    decisive = [("providers", name, key) for key in ("base_url", "gateway", "family")]
    if gateway in checked.get("gateways", ()):
        decisive += [("gateways", gateway, key) for key in ("base_url", "like", "auth")]
    beside = found[owner:]
    if owner < 2 and _value(found[3:], ("providers", name)) is not None:
        beside = [*found[owner:2], *found[3:]]  # a variable names it: its address is the user's, not a project's
    for path in decisive:
        if _value(found, path) != _value(beside, path):
            return (
                f"{variable} was named for another address (in {found[owner].name}), "
                f"and {find(found, path)} changed `{path[-1]}`"
            )
    return ""


def _homes(layer: Layer, found: Sequence[Layer], variable: str) -> Iterator[tuple[str | None, ...]]:
    """The addresses of all providers of the layer whose key this variable holds."""
    tables = layer.data.get("providers")
    for name, table in tables.items() if isinstance(tables, dict) else ():
        if isinstance(table, dict) and table.get("api_key_env") == variable:
            yield _home(found, name)


def _home(found: Sequence[Layer], name: str) -> tuple[str | None, ...]:
    """A provider's address; where none is written, what says it."""
    gateway, family = (_value(found, ("providers", name, key)) for key in ("gateway", "family"))
    for path in (("providers", name, "base_url"), ("gateways", str(gateway), "base_url")):
        url = _value(found, path)
        if url is not None:
            return (_address(found, path, str(url)),)
    return gateway, family


def _strength(found: Sequence[Layer], path: tuple[str, ...]) -> int | None:
    """The number of the strongest layer that says something at `path`."""
    return next((number for number, layer in enumerate(found) if _value([layer], path) is not None), None)


def _value(found: Sequence[Layer], path: tuple[str, ...]) -> Any:
    for layer in found:
        value: Any = layer.data
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if value is not None:
            return value
    return None


def _address(found: Sequence[Layer], path: tuple[str, ...], url: str | None) -> str | None:
    if url is None:
        return None
    try:
        return normalise_base_url(url)
    except ConfigError as problem:
        raise ConfigError(f"{find(found, path)}: {problem.message}", hint=problem.hint) from None


def _sandbox(env: Mapping[str, str]) -> str | None:
    url = env.get("GEN302_SANDBOX")
    return sandbox_address(url) if url else None


def ledger_url(settings: Settings, ledger: str | None = None) -> str | None:
    """The URL of the ledger to use: the argument, else the configured one; None is the user's own.

    Under GEN302_SANDBOX another file beside it, so that no sandbox job ever answers a live order.
    """
    return _ledger(str(ledger) if ledger else settings.ledger, sandbox=settings.sandbox is not None)


def find_ledger(config: Config | None = None, *, env: Mapping[str, str] | None = None) -> str | None:
    """`ledger_url` of what `load_settings` would find, without importing pydantic or checking the rest."""
    env = os.environ if env is None else env
    found = layers(config, env=env)
    ledger = next((layer.data["ledger"] for layer in found if "ledger" in layer.data), None)
    if ledger is not None and not isinstance(ledger, str):
        raise ConfigError(f"{find(found, ('ledger',))}: `ledger`: expected text. Nothing was sent.")
    return _ledger(ledger, sandbox=_sandbox(env) is not None)


def find_download_timeout(provider: str, config: Config | None = None) -> float | None:
    """The seconds configured for that provider's downloads, without importing pydantic; None: nothing is said."""
    found = [_joined_names(layer) for layer in layers(config, env=os.environ)]
    seconds = _value(found, ("providers", provider, "timeouts", "download"))
    return float(seconds) if isinstance(seconds, (int, float)) and seconds > 0 else None


def _ledger(url: str | None, *, sandbox: bool) -> str | None:
    if not sandbox:
        return url
    path = data_dir() / "ledger.db" if url is None else Path(url.removeprefix("sqlite:///"))
    if url is not None and not (url.startswith("sqlite:///") and path.name):
        return url  # what it is for real: no file, or refused
    return f"sqlite:///{path.with_stem(path.stem + '-sandbox').as_posix()}"


def schema_json() -> dict[str, Any]:
    """The JSON schema of `gen302.toml`, for editors."""
    from ._config.validation import Configuration

    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Configuration.model_json_schema()}
