"""Money, and what is known of a job's cost: frozen data with an exact JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

__all__ = ["Cost", "Money"]


@dataclass(frozen=True)
class Money:
    """An amount in one unit; units are never added."""

    amount: Decimal
    unit: str = "PTC"

    def __str__(self) -> str:
        return f"{self.amount:f} {self.unit}"

    def to_json(self) -> dict[str, str]:
        """Plain JSON data, exact."""
        return {"amount": f"{self.amount:f}", "unit": self.unit}

    @classmethod
    def from_json(cls, document: Mapping[str, str]) -> Money:
        """The money that `to_json` described. Raises ValueError."""
        try:
            return cls(Decimal(document["amount"]), document["unit"])
        except InvalidOperation:
            raise ValueError("an amount is a decimal number") from None


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a job costs. The three are never mixed; None is unknown, and unknown is never 0.

    quoted     what the service asked before the submit
    estimated  what the latest job of this kind cost at this provider
    observed   what the service's own record says was taken
    """

    quoted: Money | None = None
    estimated: Money | None = None
    observed: Money | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data; what is unknown is left out."""
        return {name: money.to_json() for name, money in vars(self).items() if money is not None}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Cost:
        """The cost that `to_json` described. Raises ValueError."""
        names = ("quoted", "estimated", "observed")
        return cls(**{name: Money.from_json(document[name]) for name in names if name in document})


UNKNOWN = Cost()
"""Nothing is known."""
