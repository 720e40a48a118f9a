"""One press that starts several jobs: a row for each before anything goes out, one paid call, one receipt for all."""

from __future__ import annotations

from dataclasses import replace

from ai302_core._accounts import Account
from ai302_core._steps import Flow, Now, Ready, Record
from ai302_core.errors import Ai302Error, KeyConflict, ParameterError
from ai302_core.jobs import Action, Job, Status
from ai302_core.ledger import Intent

from . import acting, additions, planning, receipts, submitting
from .looking import current
from .submitting import Order


def act_all(
    account: Account,
    job: Job,
    name: str,
    *,
    key: str | None = None,
    timeout: float = 60.0,
    save_to: str | None = None,
    webhook: str | None = None,
) -> Flow[list[Job]]:
    """Press an action; every job it started, in the service's order.

    Under a key that any of them already holds, those come back and nothing is sent. Raises as `submit`; when nobody
    knows what a press did, every row is UNCONFIRMED.
    """
    job = yield from current(job)
    action = acting.chosen(job, name)
    if action.jobs == 1:
        one = acting.act(account, job, name, {}, key=key, timeout=timeout, save_to=save_to, webhook=webhook)
        return [(yield from one)]
    operation = account.operation(action.operation)
    if operation is None or job.remote_id is None:
        raise ParameterError(f"{account.family.name} cannot press {name!r} of {job.id}. Nothing was sent.")
    request = planning.press(operation, action.name, job.remote_id, action, {})
    digest = planning.digest(request, job.id)
    orders = [
        Order(key=f"{key}/{number}" if key is not None else None, timeout=timeout, save_to=save_to, webhook=webhook,
              parent=job, operation=operation)
        for number in range(1, action.jobs + 1)
    ]  # fmt: skip
    if held := (yield from _held(account, orders, digest)):
        return held
    made = planning.plan(account, request, parent=job, operation=operation)
    additions.check_terms(account, operation, webhook, timeout, key)
    rows: list[Job] = []
    for order in orders:
        rows.append((yield from submitting.new_job(account, made, request, order)))
    call, warnings = planning.build(account, additions.added(account, made, webhook, rows[0].id), {})
    limits = replace(account.limits, stale_after=account.timeouts.wait or operation.timeout)
    intents = [
        Intent(job=replace(row, warnings=warnings), digest=digest, save_to=save_to, limits=limits) for row in rows
    ]
    yield from Ready(call)
    while not (mine := (yield from _claimed(account, action, intents, timeout))):
        if held := (yield from _held(account, orders, digest)):
            return held
    lead, *rest = mine
    try:
        jobs = yield from submitting.bought_all(account, made, mine, call, timeout)
    except GeneratorExit:
        raise
    except BaseException:
        yield from _left(lead, rest)
        raise
    return [row for row in jobs if row.status is not Status.REFUSED]


def _held(account: Account, orders: list[Order], digest: str) -> Flow[list[Job]]:
    found = []
    for order in orders if orders[0].key is not None else ():
        held = yield from submitting.holder(account, order, digest)
        if held is not None:
            found.append(held)
    return found


def _claimed(account: Account, action: Action, intents: list[Intent], timeout: float) -> Flow[list[Job]]:
    """A row for each job; none where another caller's press took the key. A refusal takes back what was claimed."""
    rows: list[Job] = []
    try:
        for intent in intents:
            claim = yield from submitting.claimed(account, intent, timeout)
            if not claim.fresh and not rows:
                return []
            if not claim.fresh or claim.job is None:
                raise KeyConflict(
                    f"The key {intent.job.key!r} of {action.name} was taken a moment ago. Nothing was sent; try again.",
                    job_id=claim.job.id if claim.job else "",
                )
            rows.append(claim.job)
    except GeneratorExit:
        raise
    except BaseException as problem:
        why = problem.message if isinstance(problem, Ai302Error) else "Interrupted before it was sent."
        for row in rows:
            yield from _written(receipts.before(row, why, None))
        raise
    return rows


def _left(lead: Job, rest: list[Job]) -> Flow[None]:
    """The rows that no receipt reached share the fate of the first."""
    now = yield from Now()
    stands = yield from _standing(lead.id)
    for row in rest:
        other = yield from _standing(row.id)
        if stands is not None and other is not None and other.status is Status.SUBMITTING:
            yield from _written(receipts.sharing(stands, row, now))


def _standing(job_id: str) -> Flow[Job | None]:
    return (yield from Record(lambda ledger: ledger.job(job_id)))


def _written(job: Job) -> Flow[Job]:
    return (yield from Record(lambda ledger: ledger.write(job)))
