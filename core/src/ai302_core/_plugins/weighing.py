"""What importing a plugin does besides: what it loads, what it prints. Asked in a process that has loaded little."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr, redirect_stdout, suppress

from ai302_core.errors import PluginError

from .installed import installed
from .loading import load_one

__all__ = ["HEAVY", "weigh"]

HEAVY = ("httpx", "pydantic", "starlette", "PIL", "asyncio", "requests", "aiohttp")
"""What importing a family must not load: twenty installed families may not slow a command down."""


def weigh(name: str, distribution: str) -> tuple[str, list[str]]:
    """(what the import prints, which heavy modules it loads). A plugin that cannot be loaded weighs nothing."""
    entry = next(entry for entry in installed() if (entry.name, entry.distribution) == (name, distribution))
    before = set(sys.modules)
    printed = io.StringIO()
    with suppress(PluginError), redirect_stdout(printed), redirect_stderr(printed):
        load_one(entry)
    return printed.getvalue(), sorted(set(HEAVY) & (set(sys.modules) - before))
