"""What importing a plugin does besides: what it loads, prints, calls. Asked in a process that has loaded little."""

from __future__ import annotations

import io
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any

from ai302_core.errors import PluginError

from .installed import installed
from .loading import load_one

__all__ = ["HEAVY", "weigh"]

HEAVY = ("httpx", "pydantic", "starlette", "PIL", "asyncio", "requests", "aiohttp")
"""What importing a family must not load: twenty installed families may not slow a command down."""


def weigh(name: str, distribution: str) -> tuple[str, list[str], list[str]]:
    """(what the import prints, which heavy modules it loads, whom it calls). One that cannot be loaded: nothing."""
    entry = next(entry for entry in installed() if (entry.name, entry.distribution) == (name, distribution))
    before = set(sys.modules)
    printed = io.StringIO()
    with suppress(PluginError), redirect_stdout(printed), redirect_stderr(printed), _listening() as called:
        load_one(entry)
    return printed.getvalue(), sorted(set(HEAVY) & (set(sys.modules) - before)), called


@contextmanager
def _listening() -> Iterator[list[str]]:
    """The addresses that are connected to meanwhile. `unittest.mock` would do it, and load what is to be weighed."""
    called: list[str] = []
    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        called.append(str(address))
        return real(self, address)

    setattr(socket.socket, "connect", connect)  # noqa: B010 - to a type checker a method cannot be changed
    try:
        yield called
    finally:
        setattr(socket.socket, "connect", real)  # noqa: B010
