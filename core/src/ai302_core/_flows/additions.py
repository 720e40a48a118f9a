"""What goes into a submit beside its request: a gateway's own members, our job's id, a callback's address. No I/O."""

from __future__ import annotations

import inspect
import math
from dataclasses import replace
from urllib.parse import quote, urlsplit

from ai302_core._accounts import Account
from ai302_core._frozen import changed
from ai302_core._wire import calls
from ai302_core.errors import ParameterError
from ai302_core.family import Operation
from ai302_core.requests import expect

from .planning import Plan

LONGEST = 2000
"""Characters of an address: the shortest bound known of any service (wire/midjourney.md 2.2, 2026-11-21)."""


def check_terms(account: Account, operation: Operation, webhook: str | None, timeout: float, key: str | None) -> None:
    """Refuse, before anything is read or sent, terms that mean nothing. Raises ParameterError."""
    # Two intentions would share an empty key.
    if key is not None and not expect(key, str, 'a key that is text, such as "order-4711"').strip():
        raise ParameterError("key: expected a name for the intention, not an empty one. Nothing was sent.", field="key")
    check_timeout(timeout)
    check_webhook(account, operation, webhook)


def check_timeout(timeout: float | None) -> None:
    """Refuse what is no number of seconds: compared once something was paid, it would raise then."""
    if timeout is not None and math.isnan(expect(timeout, (float, int), "a timeout in seconds, such as 60")):
        raise ParameterError("timeout: expected seconds, such as 60, not nan. Nothing was sent.", field="timeout")


def check_following(timeout: float | None, on_update: object) -> None:
    """Refuse, before money moves, terms of a wait that cannot be kept. Raises ParameterError."""
    check_timeout(timeout)
    if on_update is not None and (not callable(on_update) or inspect.iscoroutinefunction(on_update)):
        raise ParameterError(
            "on_update: expected a plain function that takes a job; a coroutine function would never be awaited. "
            "Nothing was sent.",
            field="on_update",
            hint="Let a plain function put the job into an asyncio.Queue, or start a task with it.",
        )


def check_webhook(account: Account, operation: Operation, address: str | None) -> None:
    """Refuse, before anything is read or sent, an address nobody would call. Raises ParameterError."""
    if address is None:
        return
    gateway = account.gateway
    if operation.webhook is None or "webhook" in gateway.lacks:
        who = account.family.name if operation.webhook is None else f"Gateway {gateway.name}"
        raise ParameterError(
            f"webhook: {who} makes no callbacks for {operation.name}. Nothing was sent.",
            field="webhook",
            hint="Leave it out; `wait` finds out by itself.",
        )
    try:
        parts = urlsplit(address.replace("{job_id}", "1"))
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        whole = False
    if not whole or not address.isprintable() or " " in address or len(address) > LONGEST:
        # Not shown: it usually carries a token.
        raise ParameterError(
            f"webhook: expected a public http(s) address of at most {LONGEST} characters, such as "
            '"https://shop.example/hooks/TOKEN/{job_id}". Nothing was sent.',
            field="webhook",
        )


def added(account: Account, made: Plan, address: str | None, job_id: str) -> Plan:
    """The plan with everything that must be sent beside what was asked. Raises ParameterError for a contradiction."""
    request = made.request
    members = {name: calls.placed(account, value, made.route) for name, value in account.gateway.members.items()}
    extra = {**{name: value for name, value in members.items() if value != ""}, **request.extra}
    query = dict(request.query)
    lookup = made.operation.lookup
    if job_id and lookup is not None and lookup.question not in account.gateway.lacks:
        extra.setdefault(lookup.body, job_id)  # the caller's own stands: then nothing is looked up
    hook = made.operation.webhook
    if address is not None and hook is not None:
        target, name = (extra, hook.body) if hook.body else (query, hook.query)
        if name in target:
            raise ParameterError(
                f"webhook: {name!r} is given as well; say the address once. Nothing was sent.", field="webhook"
            )
        target[name] = address.replace("{job_id}", quote(job_id, safe=""))
    if extra == request.extra and query == request.query:
        return made
    return changed(made, request=replace(request, extra=extra, query=query))
