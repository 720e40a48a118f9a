"""Which library carries a request: a look by aiohttp where it is installed, everything else by httpx."""

from __future__ import annotations

import ssl
import sys
import urllib.request
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .fast import FastClient


@contextmanager
def spared() -> Iterator[None]:
    """Around the import of httpx: without what costs much and serves nobody here.

    It brings its own command, with rich, click and pygments, where these are installed: half of its import, and a
    sixth of what the collector of cycles walks through for ever. Whoever imported httpx before has it whole, and
    `httpx._main` can still be imported by its name. httpcore asks for sniffio several times a request; known to be
    absent, it is not sought in every folder again.
    """
    if "sniffio" not in sys.modules and find_spec("sniffio") is None:
        sys.modules["sniffio"] = None  # type: ignore[assignment]
    if "httpx" in sys.modules or "httpx._main" in sys.modules:
        yield
        return
    sys.modules["httpx._main"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        sys.modules.pop("httpx._main", None)


def of_looks() -> str:
    """What sends the looks of many jobs: "aiohttp" where it is installed and no proxy is in the way, else "httpx"."""
    return "aiohttp" if find_spec("aiohttp") is not None and direct() else "httpx"


def ready() -> bool:
    """Import what sends them where it is not httpx, a quarter of a second; whether that is so."""
    if of_looks() == "httpx":
        return False
    import_module(f"{__package__}.fast")
    return True


def fast(context: ssl.SSLContext) -> FastClient | None:
    """What sends them on one event loop, where it is not httpx."""
    if of_looks() == "httpx":
        return None
    from .fast import FastClient

    return FastClient(context)


def direct() -> bool:
    """Whether no proxy is in the way."""
    return not urllib.request.getproxies()


async def closing(closes: list[Callable[[], Awaitable[None]]]) -> AsyncGenerator[None, None]:
    """Closes the clients of a loop at its end, when nobody did before: `asyncio.run` finishes what still hangs here."""
    try:
        yield
    finally:
        for close in closes:
            await close()
