"""Result links: which may be followed, where a redirect leads, and when they die. Pure decisions, no I/O."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urljoin, urlsplit

from .assets import Asset
from .jobs import Notice

__all__ = ["expiry_notice", "followed", "link_expiry", "private", "refusal"]

_NEAR = timedelta(hours=2)
_HEX = re.compile(r"[0-9a-fA-F]{8,9}")
_LOCAL_NAMES = (".localhost", ".local", ".internal", ".lan", ".home.arpa")


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").rstrip(".").lower()
    except ValueError:
        return ""


def refusal(url: str) -> str:
    """Why this link is not fetched, as the end of a sentence; "" when it may be."""
    scheme = url.partition(":")[0].lower()
    if scheme not in ("http", "https"):
        return f"its link begins with {scheme[:20]!r}, and only http and https are fetched"
    return "" if _host(url) else "its link names no host"


def followed(url: str, location: str) -> tuple[str, str]:
    """(where a redirect from `url` leads, why it is not followed or "")."""
    there = urljoin(url, location.strip())
    reason = refusal(there)
    if not reason and url[:6].lower() == "https:" and there[:5].lower() == "http:":
        reason = "its link is redirected from https to plain http"
    return there, reason


def private(url: str, base_url: str) -> bool:
    """Whether a link may lead to a loopback or private address: the provider itself is there."""
    home = _host(base_url)
    if not home:
        return False
    return _host(url) == home or _is_local(home)


def _is_local(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        # A name without a dot is found in a local network only.
        return "." not in host or host.endswith(_LOCAL_NAMES)
    return not address.is_global


def link_expiry(url: str) -> datetime | None:
    """When the link dies (UTC), where it says so: Discord's `ex`, hex Unix seconds, on whatever host serves the path.

    (wire/midjourney.md 6.1 and 6.3, 2026-11-21)
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if "/attachments/" not in parts.path and "discord" not in (parts.hostname or ""):
        return None
    values = parse_qs(parts.query).get("ex", [])
    if not values or not _HEX.fullmatch(values[0]):
        return None
    return datetime.fromtimestamp(int(values[0], 16), UTC)


def expiry_notice(assets: Sequence[Asset], now: datetime) -> Notice | None:
    """A notice when the first of these links to die has died, or dies within two hours; else None."""
    moments = [asset.expires_at or link_expiry(asset.url) for asset in assets if asset.url]
    first = min((moment for moment in moments if moment), default=None)
    if first is None or first - now > _NEAR:
        return None
    when = f"{first:%Y-%m-%d %H:%M} UTC"
    if first <= now:
        return Notice(code="link_expired", message=f"A link of this job died at {when}.")
    return Notice(code="link_expires", message=f"A link of this job dies at {when}: save the files now.")
