"""What a job cost and what is left, asked of the gateway's own records: free, late, best effort."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from ai302_core import _paths
from ai302_core._accounts import Account
from ai302_core._policies import SPREAD
from ai302_core._steps import Call, Flow, Now, Record, Reply, Send, Sleep
from ai302_core._wire import calls, reading
from ai302_core.errors import TransportError
from ai302_core.family import Dashboard, Endpoint
from ai302_core.jobs import Job, Status
from ai302_core.money import Money

_TRIES = (0.0, 0.25, 0.75, 2.0)
"""Seconds before each try: a record may lag its call (wire/302ai.md 8, 2026-11-21)."""

_FRESH = 60.0
"""Seconds after which a record that is not there is not late any more."""

_AMOUNT = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?([eE][-+]?[0-9]{1,2})?")
_SHUT = frozenset({"auth", "unsupported"})
"""Refusals that no later try mends."""


def money(document: Any, paths: Sequence[str], unit: str) -> Money | None:
    """An amount, as number or text; None for anything else: unknown is never 0."""
    text = _paths.first_scalar(document, paths) or ""
    if not _AMOUNT.fullmatch(text):
        return None
    amount = Decimal(text)
    # Written out, an amount of a hostile exponent would fill the memory.
    return Money(amount, unit) if amount.adjusted() < 12 and int(amount.as_tuple().exponent) > -30 else None


def known(account: Account, job: Job) -> Flow[Job]:
    """The job with what is known of its cost; what the record says is kept in the ledger. Never raises for a reply."""
    stands = yield from Record(lambda ledger: ledger.job(job.id))
    job = stands or job
    if job.cost.observed is not None:
        return job
    observed = yield from _observed(account, job)
    if observed is not None:
        job = replace(job, cost=replace(job.cost, estimated=None, observed=observed))
        if stands is not None:
            paid = job
            yield from Record(lambda ledger: ledger.write(paid))
        return job
    estimated = yield from _estimated(job)
    return replace(job, cost=replace(job.cost, estimated=estimated))


def _observed(account: Account, job: Job) -> Flow[Money | None]:
    """The sum over all requests the job was billed under; None unless every one of them is known."""
    dashboard = account.gateway.dashboard
    over = job.status.settled or job.status is Status.UNCONFIRMED
    ids = job.cost_request_ids or ((job.request_id,) if job.request_id else ())
    if dashboard is None or not over or not ids:
        return None
    total = Decimal(0)
    for request_id in ids:
        found = yield from _recorded(account, dashboard, job, request_id)
        # The submit's own request may know nothing of what its task is billed later: a 0 there is no answer.
        if found is None or (found.amount == 0 and not job.cost_request_ids):
            return None
        total += found.amount
    return Money(total, dashboard.unit)


def _recorded(account: Account, dashboard: Dashboard, job: Job, request_id: str) -> Flow[Money | None]:
    call = _call(account, dashboard, dashboard.record, {"request_id": request_id})
    now = yield from Now()
    age = (now - (job.finished_at or job.created_at)).total_seconds()
    for wait in _TRIES if account.sandbox or age < _FRESH else _TRIES[:1]:
        yield from Sleep(wait, SPREAD)
        reply, _ = yield from _asked(call)
        found = money(reply.document, dashboard.cost, dashboard.unit) if reply is not None else None
        if found is not None and found.amount >= 0:
            return found
        if reply is not None and _refusal(dashboard, reply, now) in _SHUT:
            return None
    return None


def _estimated(job: Job) -> Flow[Money | None]:
    """What the latest job of this kind cost at this provider, by the ledger."""
    past: Sequence[Job] = yield from Record(lambda ledger: ledger.jobs(status=(Status.SUCCEEDED,), limit=200))
    kind = (job.provider, job.family, job.operation, job.model)
    alike = (entry for entry in past if (entry.provider, entry.family, entry.operation, entry.model) == kind)
    return next((entry.cost.observed for entry in alike if entry.cost.observed is not None), None)


def balance(account: Account) -> Flow[tuple[Money | None, str, bool]]:
    """(what is left, "", False), or (None, why nobody knows, whether buying would fail too)."""
    dashboard = account.gateway.dashboard
    if dashboard is None:
        return None, f"gateway {account.gateway.name} has no record of the balance that we know", False
    reply, trouble = yield from _asked(_call(account, dashboard, dashboard.balance, {}))
    if reply is None:
        return None, trouble, False
    left = money(reply.document, dashboard.left, dashboard.unit)
    if left is not None:
        return left, "", False
    now = yield from Now()
    kind = _refusal(dashboard, reply, now)
    if reply.status == 401:
        return None, "The service does not take this key (HTTP 401). Look whether it is whole and still valid.", True
    if kind == "auth":
        return None, "this key may not see it, which is fine; the service's own pages show it", False
    if reply.document is None:  # a page with a success status comes from somebody else
        cause = reading.likely_cause(reply)
        why = f"No JSON came where the service tells the balance (HTTP {reply.status}). {cause}"
        return None, why, reply.status < 300 and "web page" in cause
    return None, f"the service does not say (HTTP {reply.status})", False


def _refusal(dashboard: Dashboard, reply: Reply, now: datetime) -> str:
    said = reading.refusal(reply, dashboard.refused, now)
    return said.kind if said is not None else ""


def _asked(call: Call) -> Flow[tuple[Reply | None, str]]:
    try:
        return (yield from Send(call)), ""
    except TransportError as problem:
        return None, problem.message


def _call(account: Account, dashboard: Dashboard, endpoint: Endpoint, route: dict[str, str]) -> Call:
    """The dashboard's own header carries the key, to the account's own address."""
    there = replace(account, gateway=replace(account.gateway, auth=dashboard.auth, values={}))
    return calls.call(there, endpoint, route, purpose="poll")
