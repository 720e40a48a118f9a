"""An account: everything the flows must know of one configured provider. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import inf
from typing import Any, Protocol

from ._frozen import once
from ._policies import Schedule, Timeouts
from .family import Family, Gateway, Operation, Rule
from .ledger import Limits


class Secret(Protocol):
    """A key that shows itself only when asked."""

    @property
    def source(self) -> str:
        """Where it came from: the name of an environment variable, or "api_key="."""

    def reveal(self) -> str:
        """The key itself, for the one header that carries it."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """One configured provider, resolved: its family's record, its gateway, its key.

    interval, slowest  seconds between looks, at first and at most
    first              seconds until the first look at most, where the user said how often to look
    schedules          when jobs of a kind are looked at, and when that was asked of the ledger; see `waiting`
    serving            the operations that may serve requests of a class, the likeliest first; see `planning`
    """

    name: str
    family: Family
    gateway: Gateway
    base_url: str
    key: Secret = field(repr=False)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    timeouts: Timeouts = field(default_factory=Timeouts)
    limits: Limits = field(default_factory=Limits)
    interval: float = 2.0
    slowest: float = 60.0
    first: float = inf
    sandbox: bool = False
    schedules: dict[tuple[str, str | None, bool], tuple[datetime, Schedule]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    serving: dict[type, list[Operation]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def operation(self, name: str) -> Operation | None:
        """The family's operation of that name."""
        return self.family.operation(name)

    @once
    def unread(self) -> dict[str, Rule]:
        """The fields of requests that the gateway does not take, as rules."""
        if not self.gateway.unread:
            return {}
        rule = Rule(taken=False, instead=f"Gateway {self.gateway.name} is not known to take it.")
        return dict.fromkeys(self.gateway.unread, rule)
