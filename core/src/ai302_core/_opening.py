"""connect and aconnect: the front doors, which import what a provider takes only when they are used."""

from __future__ import annotations

TYPE_CHECKING: bool = False  # the type is for jedi, which completes in notebooks: it reads a plain False as never
if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from typing import Any

    from .async_providers import AsyncProvider
    from .providers import Provider

    Config = str | os.PathLike[str] | Mapping[str, Any]

__all__ = ["aconnect", "connect"]


def connect(
    name: str | None = None,
    *,
    api_key: str | None = None,
    base_url: str | None = None,
    gateway: str | None = None,
    config: Config | None = None,
    ledger: str | None = None,
    budget: Mapping[str, Any] | None = None,
) -> Provider:
    """Open a configured provider; without a name, the one the configuration chooses for each request.

    name      a provider of gen302.toml, an alias, or an installed family
    api_key   instead of the environment's; sent to this provider's own address only
    base_url  instead of the configured address
    gateway   instead of the configured gateway
    config    a path or a mapping instead of the files found by the usual search
    ledger    "sqlite:///…", ":memory:" or "off" instead of the user's own
    budget    such as {"max_jobs": 20, "per": "day"}

    Raises ConfigError. Nothing is sent and no family is imported before the first call.
    """
    from ._connection import Connection
    from .providers import Provider

    return Provider(Connection(name, api_key=api_key, base_url=base_url, gateway=gateway, config_from=config,
                               ledger=ledger, budget=budget))  # fmt: skip


def aconnect(
    name: str | None = None,
    *,
    api_key: str | None = None,
    base_url: str | None = None,
    gateway: str | None = None,
    config: Config | None = None,
    ledger: str | None = None,
    budget: Mapping[str, Any] | None = None,
) -> AsyncProvider:
    """`connect` for asyncio; not awaited itself."""
    from ._connection import Connection
    from .async_providers import AsyncProvider

    return AsyncProvider(Connection(name, api_key=api_key, base_url=base_url, gateway=gateway, config_from=config,
                                    ledger=ledger, budget=budget))  # fmt: skip
