"""The paid flow: intent, one paid call, receipt. The only place that decides whether a submit is sent again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from operator import methodcaller

from ai302_core import _policies
from ai302_core._accounts import Account
from ai302_core._files import media as _media
from ai302_core._files import naming
from ai302_core._frozen import changed
from ai302_core._steps import Begin, Call, Flow, Load, NewId, Now, Paid, Picture, Ready, Receipt, Record, Reply, Sleep
from ai302_core.errors import Ai302Error, ConfigError, KeyConflict, ParameterError, RateLimitError, TransportError
from ai302_core.family import Operation
from ai302_core.jobs import Job, Notice, Preview, Status
from ai302_core.ledger import Claim, Intent, unreadable
from ai302_core.requests import Request

from . import additions, blaming, errands, giving, planning, receipts, uploading
from .planning import Plan

OVER = frozenset({Status.FAILED, Status.CANCELED, Status.ABANDONED})
_WAITS_FOR_OWNER = 0.1
_TOLD = 4  # the turn at which a wait for a place within our own limits is told: once, after three seconds


@dataclass(frozen=True, kw_only=True)
class Order:
    """How an intention is to be bought.

    key      the caller's name for it; `implied` when the library gave it, then a dead attempt is followed by a new one
    timeout  seconds to wait for a busy gateway; `place_timeout` for a place within our own limits, if longer
    webhook  the address the service is to call, `{job_id}` in it filled
    parent, operation  of a press: whose action it is, and what it starts
    once     pressing again makes nothing new: the job of the first press answers, whatever key it has
    notices  what was learned on the way here; the job says it
    """

    key: str | None = None
    implied: bool = False
    again: bool = False
    lenient: bool = False
    timeout: float = 60.0
    place_timeout: float | None = None
    save_to: str | None = None
    webhook: str | None = None
    parent: Job | None = None
    operation: Operation | None = None
    once: bool = False
    notices: tuple[Notice, ...] = ()


Pictures = Mapping[tuple[str, int], Picture]


def pictures(request: Request) -> Flow[Pictures]:
    """Read what the caller gave, by field and position in it."""
    loaded: dict[tuple[str, int], Picture] = {}
    for place, media in request.media():
        loaded[place] = yield from Load(media, place[0])
        giving.check(place[0], loaded[place])
    return loaded


def remembered(request: Request, loaded: Pictures) -> Request:
    """The request as a job keeps it: files by their hash, never their content."""
    return request.with_media({place: _media.ref(loaded[place], media) for place, media in request.media()})


class _Masked:
    """In the place of a key where nothing is sent."""

    source = ""

    def reveal(self) -> str:
        return "***"


def preview(account: Account, request: Request, *, lenient: bool = False, webhook: str | None = None) -> Flow[Preview]:
    """The exact request a submit would send, its key masked. Sends nothing, records nothing."""
    account = replace(account, key=_Masked())
    made = planning.plan(account, request, lenient=lenient)
    additions.check_webhook(account, made.operation, webhook)
    loaded = yield from pictures(made.request)
    made = additions.added(account, made, webhook, "JOB-ID")
    planning.build(account, made, loaded)
    links, uploads = yield from uploading.foreseen(account, made, loaded)
    call, warnings = planning.build(account, made, loaded, links)
    return planning.masked(call, warnings, uploads)


def submit(account: Account, request: Request, order: Order) -> Flow[Job]:
    """Buy one intention, once.

    Raises ParameterError, ConfigError, KeyConflict, BudgetExceeded, ApiError, TransportError(sent=False) when nothing
    was created, JobUnconfirmed when nobody knows.
    """
    remembers = (yield from Record(lambda ledger: ledger.url)) != "off"
    if order.key is not None and not order.implied and not remembers:
        raise ConfigError(
            "A key needs a ledger to be remembered in, and it is off. Nothing was sent.",
            hint="Leave `ledger` at its default, or drop the key.",
        )
    made = planning.plan(account, request, lenient=order.lenient, parent=order.parent, operation=order.operation)
    additions.check_terms(account, made.operation, order.webhook, order.timeout, order.key)
    if order.save_to is not None:
        order = replace(order, save_to=naming.fill(order.save_to, {}))
    loaded = yield from pictures(made.request)
    stored = remembered(request, loaded)
    # Where nothing is remembered nobody compares it.
    digest = planning.digest(stored, order.parent.id if order.parent else None) if remembers or order.once else ""
    order = yield from _known(order, digest)
    if order.key is not None and not order.again:
        held = yield from holder(account, order, digest)
        if held is not None:
            return held
    if order.once and order.parent is not None:
        first = yield from _pressed(order.parent, digest)
        if first is not None:
            return first
    if made.operation.prepare:
        flow = blaming.guarded(account, "prepare", made.operation.prepare, made.request)
        prepared: object = yield from errands.run(account, "prepare", flow)
        if not isinstance(prepared, Request):
            raise blaming.broken(account, "prepare", f"it returns {type(prepared).__name__}, not the request", None)
        made = replace(made, request=prepared)
    job = yield from new_job(account, made, stored, order)
    made = additions.added(account, made, order.webhook, job.id)
    call, warnings = yield from uploading.ready(account, made, loaded, order.timeout)
    if order.notices or warnings:
        job = changed(job, warnings=(*order.notices, *warnings))
    limits = changed(account.limits, stale_after=account.timeouts.wait or made.operation.timeout)
    intent = Intent(job=job, digest=digest, again=order.again, once=order.once, save_to=order.save_to, limits=limits)
    yield from Ready(call)
    while True:
        claim = yield from claimed(account, intent, order.place_timeout or order.timeout)
        if claim.fresh:
            return (yield from bought(account, made, claim.job or job, call, order.timeout))
        if not claim.owned and claim.job is not None:
            return claim.job
        held = yield from holder(account, replace(order, key=claim.job.key if claim.job else None), digest)
        if held is not None:
            return held
        yield from Sleep(_WAITS_FOR_OWNER, _policies.SPREAD)


def _known(order: Order, digest: str) -> Flow[Order]:
    """An implied key whose attempt is dead asks for a new attempt by itself."""
    if not order.implied or order.key is None:
        return order
    key = order.key
    claim = yield from Record(lambda ledger: ledger.find_key(key, digest))
    dead = claim is not None and claim.job is not None and claim.job.status in OVER
    return replace(order, again=dead)


def _pressed(parent: Job, digest: str) -> Flow[Job | None]:
    """The first job of the same press that was not in vain; None when there is none."""
    jobs = yield from Record(lambda ledger: ledger.jobs(since=parent.created_at, text=parent.remote_id or ""))
    for entry in reversed(jobs):
        vain = entry.status in OVER or entry.status is Status.REFUSED
        if not vain and (spoiled := unreadable(entry)) is not None:
            raise spoiled  # it may be this press
        if vain or entry.parent != parent.id or entry.request is None:
            continue
        if planning.digest(entry.request, entry.parent) == digest:
            return entry
    return None


def holder(account: Account, order: Order, digest: str) -> Flow[Job | None]:
    """The job that holds the key, once its owner has its receipt; None when the key is free.

    Raises KeyConflict when that takes longer than a submit can take.
    """
    key = order.key or ""
    start = yield from Now()
    while True:
        claim = yield from Record(lambda ledger: ledger.find_key(key, digest))
        if claim is None:
            return None
        if not claim.owned:
            return claim.job
        now = yield from Now()
        if (now - start).total_seconds() > order.timeout + max(account.timeouts.submit, 200.0):
            job_id = claim.job.id if claim.job else ""
            raise KeyConflict(
                f"The job {job_id} under the key {key!r} is still being sent elsewhere. Nothing was sent.",
                job_id=job_id,
            )
        yield from Sleep(_WAITS_FOR_OWNER, _policies.SPREAD)


def new_job(account: Account, made: Plan, stored: Request, order: Order) -> Flow[Job]:
    """The row an intention begins as."""
    now = yield from Now()
    return Job(
        id=(yield from NewId()),
        key=order.key,
        provider=account.name,
        family=account.family.name,
        operation=made.operation.name,
        gateway=account.gateway.name,
        base_url=account.base_url,
        route=made.route,
        request=stored,
        parent=order.parent.id if order.parent else None,
        sandbox=account.sandbox,
        status=Status.SUBMITTING,
        billed="no",
        created_at=now,
    )


def claimed(account: Account, intent: Intent, timeout: float) -> Flow[Claim]:
    """Record the intent, waiting while the account's `concurrent` jobs are all busy."""
    now = start = yield from Now()
    turn = 0
    full = RateLimitError(
        f"{account.name} is at its own limit of open jobs or jobs a minute. Nothing was sent.",
        status_code=0,
        hint=f"gen302 jobs resume  # what is done frees its place; or raise [providers.{account.name}] limits",
    )
    while True:
        intent = changed(intent, job=changed(intent.job, created_at=now))
        claim: Claim = yield from Begin(methodcaller("claim", intent), torn=partial(receipts.torn, intent.job))
        if not claim.waiting:
            return claim
        if (now - start).total_seconds() >= timeout:
            raise full
        yield from Sleep(1.0, _policies.SPREAD, why=full if (turn := turn + 1) == _TOLD else None)
        now = yield from Now()


def bought(account: Account, made: Plan, job: Job, call: Call, timeout: float) -> Flow[Job]:
    """Send the paid call; send it again only when it provably created nothing."""
    return (yield from bought_all(account, made, [job], call, timeout))[0]


def bought_all(account: Account, made: Plan, rows: Sequence[Job], call: Call, timeout: float) -> Flow[list[Job]]:
    """The same of a call that starts several jobs, each of which has its row."""
    job, *rest = rows
    start = yield from Now()
    attempt = 0
    asked: float | None = None
    why: Ai302Error | None = None

    def receipt(answer: Reply | TransportError, now: datetime) -> Receipt:
        try:
            return receipts.shared(receipts.decide(account, made, job, answer, now), rest, now)
        except Exception as problem:  # noqa: BLE001 - an answer we stumble over may still have been a yes
            body = answer if isinstance(answer, Reply) else None
            lost = receipts.unclear(job, f"reading it failed: {type(problem).__name__}.", now, body)
            return receipts.shared(lost, rest, now)

    wait = 0.0
    while True:
        attempt += 1
        try:
            yield from Sleep(wait, _policies.SPREAD if asked is None else 0.0, why=why)
        except GeneratorExit:
            raise
        except BaseException:
            # Stopped before it was sent, for the first or another time: nothing was created.
            yield from _take_back(job, "Interrupted before it was sent.", None)
            raise
        try:
            got = yield from Paid(call, receipt)
        except GeneratorExit:
            raise
        except BaseException:
            # A second Ctrl-C, or worse, in the middle of it: nobody knows what the service did.
            yield from receipts.torn(job)
            raise
        if got.job is not None:
            if got.error is not None:
                raise got.error  # a caller who waits for its job writes what the ledger could not
            trouble, jobs = got.trouble, [got.job, *got.others]
            return jobs if trouble is None else [receipts.unwritten(entry, trouble) for entry in jobs]
        asked, why = got.after, got.error
        wait = _policies.backoff(attempt, asked)
        now = yield from Now()
        if got.error is None or (now - start).total_seconds() + wait > timeout:
            yield from _take_back(job, str(got.error), now)
            raise got.error or TransportError("The submit created nothing.", sent=False)


def _take_back(job: Job, why: str, now: datetime | None) -> Flow[None]:
    before = receipts.before(job, why, now)
    yield from Record(lambda ledger: ledger.write(before))


def answer_window(
    account: Account, job: Job, values: Mapping[str, object], timeout: float, webhook: str | None = None
) -> Flow[Job]:
    """Send the answer an INPUT_REQUIRED job waits for: a second paid call on the same row.

    Raises ParameterError when the job takes no answer, KeyConflict when another process is answering.
    """
    action = next((entry for entry in job.actions if entry.name == "continue"), None)
    operation = account.operation(action.operation) if action else None
    if action is None or operation is None or job.remote_id is None:
        raise ParameterError(f"{job.id} takes no answer. Nothing was sent.")
    known = {name: value for name, value in values.items() if value is not None}
    request = planning.press(operation, "continue", job.remote_id, action, known)
    made = planning.plan(account, request, parent=job, operation=operation)
    additions.check_terms(account, operation, webhook, timeout, None)
    loaded = yield from pictures(made.request)
    made = additions.added(account, made, webhook, job.id)
    call, _ = yield from uploading.ready(account, made, loaded, timeout)
    yield from Ready(call)
    taken = replace(job, status=Status.SUBMITTING)
    torn = partial(receipts.torn, taken)
    if not (yield from Begin(lambda ledger: ledger.reopen(job.id, Status.INPUT_REQUIRED), torn)):
        raise KeyConflict(f"{job.id} is being answered elsewhere. Nothing was sent.", job_id=job.id)
    return (yield from bought(account, made, taken, call, timeout))
