"""Google's Veo at 302.AI, every generation of it, as a family of ai302-core."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai302_core.family import DASHBOARD_302AI, ENVELOPES_302AI, UPLOAD_302AI, Family, Gateway, hookimpl

from .doors import operations
from .models import CATALOGUE
from .requests import VeoRequest

if TYPE_CHECKING:
    from ai302_core.sandbox import Emulation

__all__ = ["VeoRequest"]

_FAMILY = Family(
    "veo",
    api=1,
    base_url="https://api.302.ai",
    operations=operations(),
    gateways=(
        Gateway(
            "302ai",
            base_url="https://api.302.ai",
            # Where a veo2-i2v is looked at: the pages show one look-up beside both veo2 doors (wire/302ai.md 2.2).
            values={"veo2_i2v": "veo2"},
            refused=ENVELOPES_302AI,
            upload=UPLOAD_302AI,
            dashboard=DASHBOARD_302AI,
        ),
    ),
    models=CATALOGUE,
)


@hookimpl
def ai302_family() -> Family:
    """The record of Veo."""
    return _FAMILY


@hookimpl
def ai302_sandbox() -> Emulation:
    """What the local sandbox answers for Veo."""
    from ._sandbox import emulation

    return emulation()
