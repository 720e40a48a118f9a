"""Which provider serves: the one named, the default, or the only one there is; of an alias, its members in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ai302_core import registry
from ai302_core.errors import ConfigError

from .settings import Settings

__all__ = ["pick_provider", "pick_providers"]


def pick_provider(
    settings: Settings,
    name: str | None,
    kind: str | None,
    installed: Sequence[str],
    *,
    serves: Callable[[str, str], bool] = registry.serves,
) -> str:
    """The first of `pick_providers`."""
    return pick_providers(settings, name, kind, installed, serves=serves)[0]


def pick_providers(
    settings: Settings,
    name: str | None,
    kind: str | None,
    installed: Sequence[str],
    *,
    serves: Callable[[str, str], bool] = registry.serves,
) -> tuple[str, ...]:
    """The providers that may serve a request of `kind` ("image", "video", None: unknown), in the order to be asked.

    The one named, or the members of that alias; else the default; else the only one configured; else, with none
    configured, the only installed family that serves the kind. An installed family's name stands for a provider of it.
    Raises ConfigError with the candidates and the line to add.

    serves  (family, kind) -> whether it does; asked only when several families are installed
    """
    chosen = name or (settings.default if isinstance(settings.default, str) else None)
    if chosen is None and isinstance(settings.default, Mapping):
        named = set(settings.default.values())
        chosen = settings.default.get(kind or "") or (named.pop() if kind is None and len(named) == 1 else None)
    if chosen is not None:
        return _known(settings, chosen, installed)
    candidates, what = list(settings.providers), "configured provider"
    if not candidates:
        candidates, what = list(dict.fromkeys(installed)), "installed family"
        if kind and len(candidates) > 1:
            candidates = [family for family in candidates if serves(family, kind)]
            if not candidates:
                raise ConfigError(
                    f"No installed family serves {kind} requests; installed are {', '.join(installed)}. "
                    "Nothing was sent.",
                    hint="Install the distribution of one that does; gen302 plugins lists what is there.",
                )
    if len(candidates) == 1:
        return (candidates[0],)
    if candidates:
        raise ConfigError(
            f"Which {what}{f' for {kind} requests' if kind else ''}? There are {', '.join(candidates)}. "
            "Nothing was sent.",
            hint=f'Name one: connect("{candidates[0]}"), gen302 … -p {candidates[0]}; or add to gen302.toml: '
            f"{_line(settings, kind, candidates[0])}",
        )
    raise ConfigError(
        "No provider is configured and no family is installed. Nothing was sent.",
        hint="Install a family's distribution, such as ai302-midjourney, beside ai302-core.",
    )


def _line(settings: Settings, kind: str | None, candidate: str) -> str:
    """The line that would have decided, with what it says already."""
    if not isinstance(settings.default, Mapping) or kind not in ("image", "video"):
        return f'default = "{candidate}"'
    told = ", ".join(f'{word} = "{name}"' for word, name in {**settings.default, kind: candidate}.items())
    return f"default = {{ {told} }}"


def _known(settings: Settings, name: str, installed: Sequence[str]) -> tuple[str, ...]:
    key = name.replace("-", "_")
    if key in settings.providers or (key in installed and key not in settings.aliases):
        return (key,)
    if key not in settings.aliases:
        raise settings.unknown(name, list(installed))
    members = tuple(dict.fromkeys(settings.aliases[key]))
    for member in members:
        if member not in settings.providers and member not in installed:
            raise settings.unknown(member, list(installed))
    return members
