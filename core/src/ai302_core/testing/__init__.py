"""For people who test against a sandbox: its words here, the pytest fixture in `ai302_core.testing.fixtures`."""

from __future__ import annotations

from ai302_core.sandbox import Fault, RunningSandbox, serve

__all__ = ["Fault", "RunningSandbox", "serve"]
