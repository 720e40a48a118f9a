"""Why a request failed on its way, in words a person can act on."""

from __future__ import annotations

import socket
import ssl
import urllib.request
from collections.abc import Iterator
from typing import Literal

from ai302_core import _links
from ai302_core.errors import TransportError

Kind = Literal["unreachable", "connecting", "proxy", "silent", "too much", "broken", "address"]


def error(kind: Kind, failure: Exception, url: str, *, sent: bool) -> TransportError:
    """The error for a request that failed; `sent`: it may have reached the service."""
    host = _links.host(url) or "the service"
    texts = {
        "connecting": f"{host} could not be reached in time.",
        "proxy": f"The proxy refused the way to {host}: {str(failure)[:100]}.",
        "silent": f"{host} did not answer in time.",
        "too much": f"{host}: {failure}.",
        "broken": f"The connection to {host} broke before the answer was complete ({type(failure).__name__}).",
        "address": f"{host} cannot be called: its address is not usable.",
    }
    text = unreachable(failure, host) if kind == "unreachable" else texts[kind]
    return TransportError(text, sent=sent, billed="unknown" if sent else "no", hint="" if sent else "gen302 doctor")


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


def unusable(problem: Exception) -> TransportError:
    """The error of an environment no client can be made in."""
    return TransportError(
        f"The TLS or proxy settings of the environment cannot be used ({type(problem).__name__}). Nothing was sent.",
        sent=False,
        billed="no",
        hint="Look at SSL_CERT_FILE, SSL_CERT_DIR, HTTPS_PROXY and ALL_PROXY; gen302 doctor",
    )
