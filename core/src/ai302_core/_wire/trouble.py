"""Why a look at a job saw nothing: what a reply means that speaks of no job. Decisions only."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from ai302_core._accounts import Account
from ai302_core._steps import Reply
from ai302_core.errors import Ai302Error, AuthenticationError, BalanceError, NotFoundError, ReplyError
from ai302_core.family import Operation

from . import reading

_FATAL = ("auth", "balance", "invalid", "unsupported")
_TRANSIENT = frozenset({408, 425, 429})


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """Why a look saw nothing.

    error    what to raise if it comes to that; the next look may see more
    missing  the service does not know the task
    fatal    looking again changes nothing: the caller must act
    after    seconds the service asks to wait
    """

    error: Ai302Error
    missing: bool = False
    fatal: bool = False
    after: float | None = None

    @property
    def about_the_call(self) -> bool:
        """Whether this call alone may be what the service says no to: an id in it, or its whole address."""
        return (self.missing or self.fatal) and not isinstance(self.error, (AuthenticationError, BalanceError))


@lru_cache(maxsize=64)
def _searches(texts: tuple[str, ...]) -> list[Callable[[str], object]]:
    """What finds each of these regular expressions."""
    return [re.compile(text).search for text in texts]


def _says(reply: Reply, texts: tuple[str, ...]) -> bool:
    """Whether one of these stands where a body begins."""
    if not texts:
        return False
    head = reply.text[:2000]
    return any(search(head) for search in _searches(texts))


def unreadable(
    account: Account, operation: Operation, reply: Reply, now: datetime, remote_id: str | None = None
) -> Trouble | None:
    """The trouble with a reply that says nothing about a job; None when it does."""
    name = f"{account.name} ({account.gateway.name})"
    missing = reply.status in operation.missing or _says(reply, operation.missing_texts)
    empty = 200 <= reply.status < 300 and reply.document is None and reply.body.strip() in (b"", b"null")
    if missing or empty:
        unknown = NotFoundError(
            f"{name} does not know this task (HTTP {reply.status}).",
            status_code=reply.status,
            billed="unknown",
            hint="Look at the service's own history before you pay again.",
        )
        return Trouble(error=unknown, missing=True)
    if reply.status >= 500 or reply.status in _TRANSIENT:
        after = reading.retry_after(reply, now)
        text = f"{name} has trouble (HTTP {reply.status}). {reading.likely_cause(reply)}"
        return Trouble(error=ReplyError(text, billed="yes", retryable=True), after=after)
    said = reading.refusal(reply, (*account.gateway.refused, *operation.refused), now)
    if said is not None and not reading.names_task(reply, remote_id):
        error = said.error(name)
        error.billed = "yes"
        return Trouble(error=error, fatal=said.kind in _FATAL, missing=said.kind == "missing",
                       after=reading.retry_after(reply, now))  # fmt: skip
    if reply.document is None or not 200 <= reply.status < 300:
        text = f"{name} answered something unreadable: {reading.excerpt(reply)}. {reading.likely_cause(reply)}"
        return Trouble(error=ReplyError(text, billed="yes", retryable=True))
    return None
