"""Where result links may lead: public addresses only, unless the provider itself is a private one."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from ai302_core.errors import DownloadError, TransportError


def check(url: str) -> None:
    """Refuse addresses a result link has no business with, before anything is sent there.

    Raises DownloadError for a private address, TransportError for a name that cannot be resolved.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if proxied(url):
        return None
    with contextlib.suppress(ValueError):
        return refuse_private(str(ipaddress.ip_address(host)), host)
    try:
        found = socket.getaddrinfo(host, parts.port or 443, type=socket.SOCK_STREAM)
    except (OSError, ValueError):  # a UnicodeError is a ValueError
        raise TransportError(
            f"The name {host} of a result link cannot be resolved.", sent=False, billed="yes"
        ) from None
    for entry in found:
        refuse_private(str(entry[4][0]), host)
    return None


def proxied(url: str) -> bool:
    """Whether the environment sends this link through a proxy, which then resolves and connects."""
    parts = urlsplit(url)
    return parts.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(parts.hostname or "")


def check_peer(url: str, network: Any) -> None:
    """Refuse the address really connected to: a name may resolve to another one each time it is asked.

    network  httpcore's stream of the connection, or None
    """
    peer = network.get_extra_info("server_addr") if network is not None else None
    if peer and not proxied(url):
        refuse_private(str(peer[0]), urlsplit(url).hostname or "")


def refuse_private(address: str, host: str) -> None:
    """Raise DownloadError unless the address is a public one."""
    if not ipaddress.ip_address(address.partition("%")[0]).is_global:
        raise DownloadError(
            f"A result link points at {host}, a private address; it is not followed. The job is fine and paid.",
            retryable=False,
        )
