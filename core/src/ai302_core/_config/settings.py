"""What a configuration says: frozen data, standard library only. `config.load_settings` makes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal

from ai302_core import registry
from ai302_core._policies import Timeouts as TimeoutSettings
from ai302_core.errors import ConfigError

__all__ = [
    "Budget",
    "GatewaySettings",
    "Kind",
    "LimitSettings",
    "PollSettings",
    "ProviderSettings",
    "Settings",
    "TimeoutSettings",
    "meant",
    "nearest",
]

Kind = Literal["image", "video"]


@dataclass(frozen=True, kw_only=True)
class PollSettings:
    """Seconds between two looks at a job, at first and at most; None: as the engine sees fit."""

    initial: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, kw_only=True)
class LimitSettings:
    """Open jobs of the account at a time, and submits a minute; None: no limit."""

    concurrent: int | None = None
    per_minute: int | None = None


@dataclass(frozen=True, kw_only=True)
class ProviderSettings:
    """A configured account of a family.

    family       the installed family
    gateway      None: the family's first
    base_url     normalised; None: the gateway's or the family's own
    api_key_env  the environment variable that holds its key; None: the common key, where that may go
    plugin       the distribution, where several bring the family
    defaults     request fields; they fill what the caller left unset
    withheld     why a lower source's `api_key_env` does not count here, or ""
    """

    family: str
    gateway: str | None = None
    base_url: str | None = None
    api_key_env: str | None = None
    plugin: str | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict, hash=False)
    timeouts: TimeoutSettings = field(default_factory=TimeoutSettings)
    poll: PollSettings = field(default_factory=PollSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    withheld: str = ""


@dataclass(frozen=True, kw_only=True)
class GatewaySettings:
    """A gateway of the user's own: what differs from the family's gateway `like`. None: nothing does."""

    like: str
    base_url: str | None = None
    auth: str | None = None
    values: Mapping[str, str | Mapping[str, str]] = field(default_factory=dict, hash=False)
    members: Mapping[str, Any] = field(default_factory=dict, hash=False)
    lacks: tuple[str, ...] | None = None
    unread: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Budget:
    """At most `max_jobs` paid jobs in the running UTC "day" or "month", or "ever"; over all providers."""

    max_jobs: int
    per: str = "day"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything configured, merged. Holds no secret.

    default   the provider to use, or one for each kind of request, or None
    ledger    its URL, or None for the user's own; see `config.ledger_url`
    plugins   the distributions whose families and observers may be loaded; None: all, (): none
    observers names of those that are told of every job
    sandbox   the sandbox's address, while GEN302_SANDBOX replaces every provider
    sources   what was read, strongest first
    origins   where each value was written: ("providers", "hero", "family") -> "…/gen302.toml, line 4"
    """

    default: str | Mapping[str, str] | None = None
    providers: Mapping[str, ProviderSettings] = field(default_factory=dict)
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    budget: Budget | None = None
    gateways: Mapping[str, GatewaySettings] = field(default_factory=dict)
    ledger: str | None = None
    plugins: tuple[str, ...] | None = None
    observers: tuple[str, ...] = ()
    sandbox: str | None = None
    sources: tuple[str, ...] = ()
    origins: Mapping[tuple[str, ...], str] = field(default_factory=dict, repr=False)

    def provider(self, name: str) -> ProviderSettings:
        """The provider of that name; an installed family's own name stands for it with nothing configured.

        Raises ConfigError for any other name, with the nearest.
        """
        key = name.replace("-", "_")
        if key in self.providers:
            return self.providers[key]
        families = [entry.name for entry in registry.installed()]
        if key in families:
            return ProviderSettings(family=key)
        raise self.unknown(name, families)

    def unknown(self, name: str, families: list[str]) -> ConfigError:
        """The error for a name that is no provider, alias or installed family."""
        known = [*self.providers, *self.aliases, *families]
        where = next((place for path, place in self.origins.items() if _names(self, path) == name), "")
        offered = (
            f"known are {', '.join(dict.fromkeys(known))}" if known else "none is configured and no family installed"
        )
        return ConfigError(
            f"{where + ': ' if where else ''}There is no provider {name!r}{meant(name, known)}; {offered}. "
            "Nothing was sent.",
            hint=f"For a new one, [providers.{name.replace('-', '_')}] in gen302.toml: "
            f'family = "{families[0] if families else "…"}"',
        )


def _names(settings: Settings, path: tuple[str, ...]) -> str | None:
    """The provider that the value at `path` names, if it names one."""
    if path == ("default",) and isinstance(settings.default, str):
        return settings.default
    if path[:1] == ("default",) and len(path) == 2 and isinstance(settings.default, Mapping):
        return settings.default.get(path[1])
    return None


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` was probably meant to be, or None."""
    return next(iter(get_close_matches(name.lower(), list(known), n=1, cutoff=0.6)), None)


def meant(name: str, known: Iterable[str]) -> str:
    """ " (did you mean 'x'?)", or nothing when no known name is near."""
    close = nearest(name, known)
    return f" (did you mean {close!r}?)" if close else ""
