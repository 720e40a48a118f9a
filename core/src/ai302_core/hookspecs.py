"""The hooks a plugin may implement, one per purpose; pluggy checks every implementation against them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from .events import Event
    from .family import Family

__all__ = ["ai302_event", "ai302_family", "ai302_sandbox"]

hookspec = pluggy.HookspecMarker("ai302_core")


@hookspec(firstresult=True)
def ai302_family() -> Family:  # type: ignore[empty-body]
    """The family this plugin describes; its name is the entry point's."""


@hookspec(firstresult=True)
def ai302_sandbox() -> object:
    """What the sandbox cannot know from the record: an `ai302_core.sandbox.Emulation` of the same family."""


@hookspec
def ai302_event(event: Event) -> None:
    """Told after each event of a job's life, one of `ai302_core.events`; keep it short, the job waits for it."""
