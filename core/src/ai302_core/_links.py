"""Result links: what counts as one, whose host it meant, and when it dies. Pure decisions, no I/O."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache, wraps
from typing import TypeVar
from urllib.parse import SplitResult, parse_qs, urlsplit

from .assets import Asset
from .jobs import Notice

__all__ = ["expiry", "expiry_notice", "host", "is_local", "own_host", "split"]

T = TypeVar("T")

_NEAR = timedelta(hours=2)
_HEX = re.compile(r"[0-9a-fA-F]{8,9}")


def _remembered(work: Callable[[str], T]) -> Callable[[str], T]:
    """Answers are kept, for texts of a link's usual length: what a hostile service sends must not fill the memory."""
    known = lru_cache(maxsize=512)(work)

    @wraps(work)
    def answered(text: str) -> T:
        return known(text) if len(text) <= 2048 else work(text)

    return answered


@_remembered
def split(url: str) -> SplitResult | None:
    """The parts of an http or https link that names a host; None for anything else."""
    try:
        parts = urlsplit(url)
        good = parts.scheme.lower() in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return None
    return parts if good else None


@_remembered
def host(url: str) -> str:
    """The link's host in lower case, or ""."""
    parts = split(url)
    return (parts.hostname or "").rstrip(".").lower() if parts else ""


@_remembered
def is_local(name: str) -> bool:
    """Whether this host is the machine itself: localhost, a loopback or an unspecified address."""
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def own_host(url: str, base_url: str) -> str:
    """The link, its loopback host replaced by the gateway's: a gateway that does not know its own name says localhost.

    Path and query stay byte for byte. (wire/midjourney.md 6.2, 2026-11-21)
    """
    if not is_local(host(url)) or is_local(host(base_url)):
        return url
    parts, home = split(url), split(base_url)
    if parts is None or home is None:
        return url
    return f"{home.scheme}://{home.netloc}{url.partition('://')[2][len(parts.netloc) :]}"


def expiry(url: str) -> datetime | None:
    """When the link dies (UTC), where it says so: Discord's `ex`, hex Unix seconds, on whatever host serves the path.

    (wire/midjourney.md 6.1 and 6.3, 2026-11-21)
    """
    parts = split(url)
    if parts is None or not ("/attachments/" in parts.path or "discord" in (parts.hostname or "")):
        return None
    values = parse_qs(parts.query).get("ex", [])
    return datetime.fromtimestamp(int(values[0], 16), UTC) if values and _HEX.fullmatch(values[0]) else None


def expiry_notice(assets: Sequence[Asset], now: datetime) -> Notice | None:
    """A notice when the first of these links to die has died, or dies within two hours; else None."""
    links = {(asset.url, asset.expires_at) for asset in assets if asset.url}
    moments = [known or expiry(link) for link, known in links]
    first = min((moment for moment in moments if moment), default=None)
    if first is None or first - now > _NEAR:
        return None
    when = f"{first:%Y-%m-%d %H:%M} UTC"
    if first <= now:
        return Notice(code="link_expired", message=f"A link of this job died at {when}.")
    return Notice(code="link_expires", message=f"A link of this job dies at {when}: save the files now.")
