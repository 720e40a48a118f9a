"""One result link, fetched into a complete and checked part: resumed, retried, refused, never with a secret."""

from __future__ import annotations

import ipaddress
import math
import mimetypes
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import PurePosixPath
from urllib.parse import urljoin, urlsplit

from ai302_core import _links, _policies
from ai302_core._steps import Flow, Now, Save, Sleep, Stream, Streamed
from ai302_core.assets import Asset
from ai302_core.errors import DownloadError, TransportError

from .parts import Fetched, Part
from .sniffing import SUFFIXES, describe, looks_like_html, looks_like_text, sniff

__all__ = ["LIMIT", "fetch", "fitting", "refuse"]

LIMIT = 2**33
"""Bytes a result file may have."""

TRIES = 6
"""Fruitless tries in a row; bytes that come start the count again."""

_HOPS = 5
_PROGRESS = 2**16  # bytes that count as progress: a host that drips must not keep us for ever
_PATIENCE = 60.0  # seconds a host may ask us to wait
_LOCAL_NAMES = (".local", ".internal", ".lan", ".home.arpa")
# A declared type of these shows its own sign; without it the content is something else.
_MAIN = {"image": "image/", "video": "video/", "audio": "audio/"}


@dataclass(frozen=True)
class _Trouble:
    """Why a try did not bring the file, and how many tries it counts for."""

    reason: str
    weight: int = 1
    wait: float | None = None


def refuse(asset: Asset, reason: str, *, retryable: bool = True) -> DownloadError:
    """The error for one asset: what happened, and that the job is fine."""
    name = f"{asset.role + ' ' if asset.role != 'final' else ''}{asset.kind} {asset.index}"
    return DownloadError(
        f"The {name} could not be saved: {reason}. The job is fine and paid; saving again is free.",
        asset=asset,
        reason=reason,
        retryable=retryable,
    )


def fetch(asset: Asset, part: Part, *, base_url: str, limit: int = LIMIT) -> Flow[Fetched]:
    """Bring the file behind `asset.url` into `part`, complete and checked by its content.

    base_url  of the job's provider: only a provider that is itself in a private network may link there
    limit     bytes

    Raises DownloadError: the link died, is not allowed, gives something else, or too much; or the tries are used up.
    """
    tries, most, ended = 0, part.size, -1
    while part.done is None:
        try:
            trouble, ended = yield from _attempt(asset, part, base_url, limit, ended)
        except TransportError as problem:
            trouble = _Trouble(problem.message.rstrip("."))
        except DownloadError as problem:
            problem.asset = problem.asset or asset
            raise
        if trouble is None:
            continue
        if part.size >= most + _PROGRESS:
            tries, most = 0, part.size
        tries += trouble.weight
        if tries >= TRIES:
            raise refuse(asset, trouble.reason)
        yield Sleep(_policies.backoff(tries, trouble.wait), _policies.SPREAD)
    return part.done


def _attempt(asset: Asset, part: Part, base_url: str, limit: int, ended: int) -> Flow[tuple[_Trouble | None, int]]:
    """One try, redirects followed. Also returns the size of a file whose end nobody announced."""
    url = asset.url or ""
    for _ in range(_HOPS + 1):
        if _links.split(url) is None:
            raise refuse(asset, f"its link begins with {url[:12]!r}; only http and https are fetched", retryable=False)
        before, private = part.size, _private(url, base_url)
        got = yield from Stream(url, part.path, part.headers(), limit=limit, private=private, began=part.began)
        location = got.headers.get("location")
        if got.status not in (301, 302, 303, 307, 308) or not location:
            return (yield from _judged(asset, part, got, before, limit, ended))
        there = urljoin(url, location.strip())
        if urlsplit(url).scheme.lower() == "https" and urlsplit(there).scheme.lower() == "http":
            raise refuse(asset, "its link is redirected from https to plain http", retryable=False)
        url = there
    raise refuse(asset, f"its link is redirected more than {_HOPS} times", retryable=False)


def _private(url: str, base_url: str) -> bool:
    home, host = _links.host(base_url), _links.host(url)
    if not home or host == home:
        return bool(home)
    with suppress(ValueError):
        if ipaddress.ip_address(host.partition("%")[0]).is_link_local:
            return False  # where clouds keep the secrets of a machine: nobody's files
    try:
        return not ipaddress.ip_address(home.partition("%")[0]).is_global
    except ValueError:
        return "." not in home or home.endswith(_LOCAL_NAMES) or _links.is_local(home)


def _judged(
    asset: Asset, part: Part, got: Streamed, before: int, limit: int, ended: int
) -> Flow[tuple[_Trouble | None, int]]:
    if got.status == 416:
        # Everything was there already, unless the file became another one.
        if before and _number(got.headers.get("content-range", "").rpartition("/")[2]) == before:
            return (yield from _checked(asset, part, got, before, ended))
        yield from Save(part.restart)
        return _Trouble("the file host refuses the rest of the file"), -1
    if got.status in (403, 404, 410):
        raise (yield from _dead(asset, got))
    if got.status in (408, 409, 425, 429) or got.status >= 500:
        wait = yield from _asked_to_wait(got)
        return _Trouble(f"the file host answers with HTTP {got.status}", wait=wait), -1
    if got.status not in (200, 206):
        raise refuse(asset, f"the file host answers with HTTP {got.status}, {describe(got.head)}", retryable=False)
    part.size = got.size
    start, total = _extent(got)
    if (total or 0) > limit or (got.broken and got.size >= limit):
        yield from Save(part.restart)
        raise refuse(asset, f"it is larger than the limit of {limit} bytes", retryable=False)
    if got.status == 206 and (start != before or not part.goes_on(got.headers, total)):
        yield from Save(part.restart)
        return _Trouble("the file host sent another part of the file than was asked for"), -1
    if got.broken or (total is not None and got.size < total):
        # Also where the driver could not note it while the body came.
        yield from Save(partial(part.began, got.status, got.headers))
        told = f" of {total}" if total is not None else ""
        return _Trouble(f"the connection ended after {got.size}{told} bytes"), -1
    if total is not None and got.size > total:
        yield from Save(part.restart)
        return _Trouble(f"the file host announced {total} bytes and sent {got.size}"), -1
    return (yield from _checked(asset, part, got, total, ended))


def _checked(
    asset: Asset, part: Part, got: Streamed, total: int | None, ended: int
) -> Flow[tuple[_Trouble | None, int]]:
    """All bytes seem to be there: are they the file?"""
    declared = got.headers.get("content-type", "").partition(";")[0].strip().lower()
    found = yield from Save(partial(part.examine, (got.sha256, got.size)))
    fits = fitting(asset, found.head, declared)
    if fits is None:
        yield from Save(part.restart)
        what = "the link gives nothing at all" if not found.size else f"the link gives {describe(found.head)}"
        return _Trouble(f"{what}{_cause(found.head)}", weight=2), -1
    if not found.ends and found.size != ended:
        # The file looks cut off, though nobody announced more. The same length twice is the file's own.
        if total is not None:
            yield from Save(part.restart)
        return _Trouble(f"the file ends early, after {found.size} bytes"), found.size
    yield from Save(partial(part.finish, *fits, found))
    return None, -1


def fitting(asset: Asset, head: bytes, declared: str) -> tuple[str, str] | None:
    """(media type, suffix) of content that can be this asset; None when it is something else, such as a web page."""
    if not head:
        return None
    found = sniff(head)
    named = PurePosixPath(urlsplit(asset.url or "").path).suffix.lower()
    if found is not None:
        # A model may come as an archive; its name says which.
        return (found[0], named) if found[1] == ".zip" and named in SUFFIXES and asset.kind == "model3d" else found
    ending = named if named in SUFFIXES else mimetypes.guess_extension(declared) or ".bin"
    if asset.kind == "text":
        return (declared or "text/plain"), (".txt" if ending == ".bin" else ending)
    if asset.kind == "model3d":
        return None if looks_like_html(head) else (declared or "application/octet-stream", ending)
    # A rare format we have no sign for, declared as such; a declared PNG without its sign is no PNG.
    rare = declared.startswith(_MAIN[asset.kind]) and ending not in SUFFIXES and not looks_like_text(head)
    return (declared, ending) if rare else None


def _cause(head: bytes) -> str:
    if looks_like_html(head):
        return " (a login page, a proxy's notice or a dead link)"
    if head.lstrip()[:1] in (b"{", b"[", b"<"):
        return " (an error message in place of the file)"
    return ""


def _dead(asset: Asset, got: Streamed) -> Flow[DownloadError]:
    now = yield from Now()
    dies = asset.expires_at or _links.expiry(asset.url or "")
    when = "" if dies is None else f"{dies.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    said = " ".join(got.head.decode("utf-8", "replace").split())[:120] if looks_like_text(got.head) else ""
    shown = f" ({said!r})" if said and not looks_like_html(got.head) else ""
    if dies is not None and dies > now:
        return refuse(asset, f"its link should work until {when}, but the file host answers HTTP {got.status}{shown}")
    return refuse(asset, f"its link has expired{' at ' + when if when else ''}: HTTP {got.status}{shown}")


def _asked_to_wait(got: Streamed) -> Flow[float | None]:
    hint = got.headers.get("retry-after", "").strip()
    if not hint:
        return None
    try:
        seconds = float(hint)
    except ValueError:
        now = yield from Now()
        try:
            seconds = _seconds(parsedate_to_datetime(hint), now)
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(seconds, 0.0), _PATIENCE) if math.isfinite(seconds) else None


def _seconds(date: datetime, now: datetime) -> float:
    return (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds()


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None


def _extent(got: Streamed) -> tuple[int | None, int | None]:
    """(position of the first byte sent, length of the whole file), as the headers say; None: not said."""
    if got.status == 206:
        span, _, total = got.headers.get("content-range", "").removeprefix("bytes ").partition("/")
        return _number(span.partition("-")[0].strip()), _number(total.strip())
    if got.headers.get("content-encoding", "identity").lower() != "identity":
        return 0, None
    return 0, _number(got.headers.get("content-length"))
