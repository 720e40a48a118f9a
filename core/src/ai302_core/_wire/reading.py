"""What a reply says: refusals, states, ids, assets, progress, moments. Decisions only; never raises for a reply."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

from ai302_core import _links, _paths
from ai302_core._steps import Picture, Reply
from ai302_core.assets import Asset
from ai302_core.errors import (
    ApiError,
    AuthenticationError,
    BalanceError,
    ContentRejectedError,
    InvalidRequestError,
    NotFoundError,
    RateLimitError,
    ServerError,
)
from ai302_core.family import AssetAt, Dashboard, Refused, States
from ai302_core.jobs import Status

from . import inline
from .advice import NEXT

_BY_KIND: dict[str, type[ApiError]] = {
    "busy": RateLimitError,
    "rate": RateLimitError,
    "content": ContentRejectedError,
    "auth": AuthenticationError,
    "balance": BalanceError,
    "invalid": InvalidRequestError,
    "missing": NotFoundError,
    "unsupported": NotFoundError,
    "server": ServerError,
    "unclear": ServerError,
}
_BY_STATUS = {401: "auth", 402: "balance", 403: "auth", 404: "missing", 405: "unsupported", 410: "missing", 429: "busy"}
_STATUSES = {status.value: status for status in Status}
_PERCENT = re.compile(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*(%?)")
_CODE = 100  # characters a code, a status word or a moment may have; the rest of a longer one says nothing
_FILES = 1000  # files a job may have, and _REQUESTS requests it may have been billed under, of _ID characters each
_REQUESTS, _ID = 100, 200


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """The service said no: what it means, and its own words. `known`: the family knows this code or text."""

    kind: str
    code: str
    known: bool = True
    message: str
    status: int
    request_id: str = ""
    retry_after: float | None = None

    @property
    def again(self) -> bool:
        """Whether it may be sent again: not now, says the service, and that it created nothing."""
        return self.kind == "busy" or (self.kind == "rate" and self.retry_after is not None)

    def error(self, gateway: str) -> ApiError:
        """The typed error for it; what it means for the money is the caller's to say."""
        said = self.message or f"HTTP {self.status} without a reason"
        code = f" [{self.code}]" if self.code else ""
        return _BY_KIND[self.kind](
            f"{gateway} refused: {said}{code}",
            status_code=self.status,
            code=self.code,
            request_id=self.request_id,
            retry_after=self.retry_after,
            hint=NEXT.get(self.kind, ""),
        )


def refusal(reply: Reply, envelopes: Iterable[Refused], now: datetime) -> Refusal | None:
    """The refusal a reply carries in an envelope the family can read, else in its HTTP status (4xx), else None."""
    document = reply.document
    found: tuple[str, str, str] | None = None
    known = True
    for envelope in envelopes:
        code = _paths.first_scalar(document, envelope.at)
        if code is None or code in envelope.yes:
            continue
        kinds = envelope.named
        if code not in kinds and not envelope.others:
            continue
        message = _paths.said(document, envelope.message, envelope.beside)
        by_text = (kind for pattern, kind in envelope.texts.items() if re.search(pattern, message, re.IGNORECASE))
        # A 5xx with a code the family does not know says nothing about what was created.
        unknown = reply.status >= 500 or reply.status in (408, 499)
        other = _BY_STATUS.get(reply.status, "unclear" if unknown else "invalid")
        hit = next(by_text, None) or kinds.get(code)
        kind = hit or other
        # Relays put their general "invalid" code beside a 401 (wire/midjourney.md 7.3, 2026-11-21).
        found = other if reply.status == 401 and kind == "invalid" else kind, code, message
        known = hit is not None
        break
    if found is None:
        if not 400 <= reply.status < 500 or reply.status in (408, 499):
            return None
        found = _BY_STATUS.get(reply.status, "invalid"), "", _short(reply)
    kind, code, message = found
    return Refusal(
        kind=kind,
        code=code[:_CODE],
        known=known,
        message=message.strip(),
        status=reply.status,
        request_id=request_id(reply) or "",
        retry_after=retry_after(reply, now),
    )


def names_task(reply: Reply, remote_id: str | None) -> bool:
    """Whether a body inside HTTP 200 names the task: an error in it is then the task's own, not the gateway's.

    (wire/302ai.md 1.6, last row, 2026-11-21) A status word alone is no proof: gateways say "failed" as well.
    """
    document = reply.document
    if remote_id is None or not 200 <= reply.status < 300 or not isinstance(document, dict):
        return False
    inner = document.get("data")
    members = [*document.values(), *(inner.values() if isinstance(inner, dict) else ())]
    return remote_id in map(_paths.scalar, members)


def _short(reply: Reply) -> str:
    document = reply.document
    said = _paths.first_scalar(
        document, ("error.message", "error", "message", "description", "msg", "detail", "detail[].msg")
    )
    if said:
        return said[:300]
    return f"HTTP {reply.status}{': ' + excerpt(reply) if reply.body.strip() else ' without a body'}"


def excerpt(reply: Reply) -> str:
    """The first characters of a body, on one line."""
    text = " ".join(reply.text[:480].split())
    return repr(text[:120] + ("…" if len(text) > 120 else ""))


def likely_cause(reply: Reply) -> str:
    """What an unreadable body most likely is, as a sentence."""
    head = reply.body[:500].lstrip().lower()
    if head.startswith((b"<!doctype", b"<html", b"<head", b"<?xml")) or b"<html" in head:
        if b"cloudflare" in reply.body[:20_000].lower():
            return "This is a web page of the CDN in front of the service: overloaded, or it blocks this address."
        return "This is a web page: a wrong base_url, a proxy or login page in between, or the service is down."
    if not head:
        return "The body is empty."
    if head[:1] in (b"{", b"["):
        cut = reply.document is None
        return "This is broken JSON, most likely cut off on the way." if cut else "The service itself says so."
    return "This is no JSON."


def request_id(reply: Reply) -> str | None:
    """302.AI's name of the billed request (wire/302ai.md 1.2, 2026-11-21), or None."""
    named = _paths.scalar(reply.headers.get("request-id") or reply.headers.get("x-request-id"))
    return named if named is None or len(named) <= _ID else None


def cost_request_ids(document: Any, dashboard: Dashboard | None) -> tuple[str, ...]:
    """The requests a task was billed under: a text with commas, a list, or null (wire/302ai.md 8, 2026-11-21)."""
    paths = dashboard.request_ids if dashboard is not None else ()
    for path in () if _paths.lacks(document, paths) else paths:
        if not _paths.values(document, path):
            continue
        listed = [_paths.scalar(value) for value in _paths.values(document, f"{path}[]")]
        texts = listed or [_paths.scalar(value) for value in _paths.values(document, path)]
        found = [part.strip() for text in texts if text for part in text.split(",") if part.strip()]
        if found and len(found) <= _REQUESTS and max(map(len, found)) <= _ID:
            return tuple(dict.fromkeys(found))
    return ()


def retry_after(reply: Reply, now: datetime) -> float | None:
    """Seconds the service asks to wait: header or body, seconds or a date."""
    hint = reply.headers.get("retry-after") or _paths.first_scalar(
        reply.document, ("retry_after", "error.retry_after", "retryAfter", "retry_after_seconds")
    )
    if hint is None:
        return None
    try:
        seconds = float(hint)
    except ValueError:
        try:
            date = parsedate_to_datetime(hint)
            seconds = (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(0.0, seconds), 3600.0) if math.isfinite(seconds) else None


def state(document: Any, status: int, rows: Sequence[States]) -> tuple[Status | None, str]:
    """The status the rows read, and the word it stands on; (None, word) for an unknown word."""
    unknown = ""
    for row in rows:
        word = str(status) if row.at == "#" else _word(document, row.at)
        if word is None:
            continue
        if name := row.meaning(word):
            return _STATUSES[name], word[:_CODE]
        unknown = unknown or word[:_CODE]
    return None, unknown


def _word(document: Any, path: str) -> str | None:
    """The word at a path; "" when the member is there and empty or null; None when it is not there."""
    found = _paths.values(document, path)
    if found:
        value = found[0]
        return (_paths.scalar(value) or "") if not isinstance(value, (dict, list, bool)) else str(bool(value)).lower()
    parent, _, name = path.rpartition(".")
    owners = _paths.values(document, parent) if parent else [document]
    return "" if any(isinstance(owner, dict) and name in owner for owner in owners) else None


def assets(
    document: Any, rules: Sequence[AssetAt], base_url: str, files: Mapping[str, Picture] | None = None
) -> tuple[Asset, ...]:
    """Every file and text the rules find, indexed within its kind and role, no link twice in a role.

    files  what was taken out of the document, by the marks that stand there
    """
    files = files or {}
    found: list[Asset] = []
    counts: dict[tuple[str, str], int] = {}
    for rule in rules:
        if _paths.lacks(document, rule.paths):
            continue
        links = _found(document, rule, base_url, files)
        sides = [_side(document, path) for path in rule.size] if len(links) == 1 else []
        for link in links:
            is_text = rule.kind == "text"
            if any(link in (entry.url, entry.path) and entry.role == rule.role for entry in found if not is_text):
                continue
            index = counts[rule.kind, rule.role] = counts.get((rule.kind, rule.role), 0) + 1
            if not is_text and link in files:
                found.append(inline.asset(files[link], link, kind=rule.kind, role=rule.role, index=index))
                continue
            found.append(
                Asset(
                    kind=rule.kind,
                    role=rule.role,
                    index=index,
                    url=None if is_text else link,
                    text=link if is_text else None,
                    width=sides[0] if len(sides) == 2 else None,
                    height=sides[1] if len(sides) == 2 else None,
                    expires_at=None if is_text else _links.expiry(link),
                )
            )
    return tuple(found)


def _found(document: Any, rule: AssetAt, base_url: str, files: Mapping[str, Picture]) -> list[str]:
    for path in rule.paths:
        texts = [value.strip() for value in _paths.values(document, path) if isinstance(value, str) and value.strip()]
        if rule.kind == "text":
            if texts:
                return texts[:_FILES]
            continue
        given = (text if text in files else _links.split(text) and _links.own_host(text, base_url) for text in texts)
        links = [link for link in given if isinstance(link, str)]
        if links:
            return links[:_FILES]
    return []


def _side(document: Any, path: str) -> int | None:
    text = _paths.first_scalar(document, (path,))
    return int(text) if text and text.isascii() and text.isdigit() and 0 < int(text) < 10**6 else None


def progress(document: Any, paths: Iterable[str]) -> float | None:
    """0..1 from "45%", 45, "45" or 0.45; None for words and nothing."""
    for path in paths:
        for value in _paths.values(document, path):
            match = _PERCENT.match(str(value)) if not isinstance(value, bool) else None
            if match:
                number = float(match[1])
                fraction = isinstance(value, float) and number <= 1 and not match[2]
                return min(1.0, number if fraction else number / 100)
    return None


def moment(document: Any, path: str) -> datetime | None:
    """A moment as aware UTC, from ISO text or a number; below 10**11 it counts seconds, else milliseconds."""
    text = _paths.first_scalar(document, (path,)) if path else None
    return None if text is None or len(text) > _CODE else _moment(text)


@lru_cache(maxsize=512)  # every look at a job brings its first moments again
def _moment(text: str) -> datetime | None:
    try:
        try:
            number = float(text)
        except ValueError:
            read = datetime.fromisoformat(text)
            return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
        return datetime.fromtimestamp(number if number < 1e11 else number / 1000, UTC) if number > 0 else None
    except (ValueError, OverflowError, OSError):
        return None
