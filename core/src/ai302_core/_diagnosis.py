"""Why a connection could not be made, in words a person can act on."""

from __future__ import annotations

import socket
import ssl
import urllib.request
from collections.abc import Iterator


def unreachable(failure: BaseException, host: str) -> str:
    """A sentence for a connection that could not be made."""
    causes = list(_causes(failure))
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        reason = str(failure).partition("certificate verify failed:")[2].strip() or str(failure)
        reason = reason[:120].rstrip(").")
        return f"The TLS certificate of {host} is not trusted ({reason}). A company proxy needs SSL_CERT_FILE."
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return f"The name {host} cannot be resolved: no network, or a typo in base_url."
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return f"{host} refuses connections: nothing listens there."
    proxy = "; a proxy is configured in the environment" if urllib.request.getproxies() else ""
    return f"No connection to {host} ({str(failure)[:120]}){proxy}."


def _causes(failure: BaseException | None) -> Iterator[BaseException]:
    """An exception and everything it was made from; asyncio wraps refusals in groups."""
    while failure is not None:
        yield failure
        if isinstance(failure, BaseExceptionGroup):
            for inner in failure.exceptions:
                yield from _causes(inner)
        failure = failure.__cause__ or failure.__context__
