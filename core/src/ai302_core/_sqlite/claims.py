"""What may be paid for, decided inside one transaction: keys, budgets, owners, and which snapshot stands."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime

from ai302_core._frozen import changed
from ai302_core.errors import BudgetExceeded, KeyConflict
from ai302_core.jobs import Job, Status
from ai302_core.ledger import Claim, Intent, Limits
from ai302_core.money import UNKNOWN

from . import rows as _rows
from . import schema
from .owners import Owners

_REPEATABLE = frozenset({Status.FAILED, Status.CANCELED, Status.ABANDONED})
_LATELY = 10_000
"""Rows among which a claim looks for the same press: more than others write while one is made ready."""
_FOLLOWING = ("status", "remote_id", "document", "billed", "finished_at", "seconds", "owner")
"""What a later snapshot may change."""
_STANDS = f"SELECT {', '.join(_FOLLOWING)} FROM jobs WHERE id = ?"  # noqa: S608 - our own column names

_COUNTED = (  # all, without those that were never accepted
    "SELECT (SELECT count(*) FROM jobs WHERE created_at >= ?) - (SELECT count(*) FROM jobs WHERE created_at >= ?"  # noqa: S608
    f" AND {schema.VAIN} AND status IN ('refused', 'abandoned') AND (status = 'refused' OR billed = 'no'))"
)
_SUBMITTING = f"status = 'submitting' AND {schema.OPEN}"
_DOUBTFUL = (Status.SUBMITTING.value, Status.UNCONFIRMED.value)
_BUSY = (Status.SUBMITTING.value, Status.QUEUED.value, Status.RUNNING.value)


def dead_owners(db: sqlite3.Connection, owners: Owners) -> list[str | None]:
    """Owners of SUBMITTING jobs who do not live any more."""
    rows = db.execute(f"SELECT DISTINCT owner FROM jobs WHERE {_SUBMITTING}").fetchall()  # noqa: S608
    return [owner for (owner,) in rows if not owners.alive(owner)]


def bury(db: sqlite3.Connection, owners: Owners) -> None:
    """The SUBMITTING jobs of the dead become UNCONFIRMED."""
    for owner in dead_owners(db, owners):
        rows = db.execute(f"SELECT id, {_rows.DOCUMENT} FROM jobs WHERE {_SUBMITTING} AND owner IS ?", (owner,))  # noqa: S608
        for job_id, document in rows.fetchall():
            _rows.update(db, job_id, _rows.orphaned(document))


def standing(db: sqlite3.Connection, owners: Owners, job_id: str) -> tuple[Job | None, bool]:
    """The job, or None, and whether its owner died before the receipt, which is not accounted for yet."""
    query = f"SELECT status, owner, {_rows.DOCUMENT}, raw FROM jobs LEFT JOIN replies ON job_id = id WHERE id = ?"  # noqa: S608
    row = db.execute(query, (_rows.plain(job_id),)).fetchone()
    if row is None:
        return None, False
    status, owner, document, raw = row
    orphaned = status == Status.SUBMITTING.value and not owners.alive(owner)
    return _rows.job_of(document, None if raw is None else _rows.json_of(raw, None)), orphaned


def held(db: sqlite3.Connection, owners: Owners, key: str, digest: str) -> Claim | None:
    """The newest attempt under `key`, as it reads with the dead accounted for; writes nothing. Raises KeyConflict."""
    row = db.execute(
        "SELECT id, digest, status, owner, document FROM jobs WHERE key = ? ORDER BY attempt DESC LIMIT 1",
        (_rows.plain(key),),
    ).fetchone()
    if row is None:
        return None
    job_id, known, status, owner, document = row
    # A job taken in from JSON has no digest: its key still answers, since paying twice is worse than a wrong guess.
    if known is not None and known != digest:
        raise KeyConflict(
            f"The key {key!r} already names another request (job {job_id}). Nothing was sent.",
            job_id=job_id,
            hint=f"gen302 jobs show {job_id}  # what it was; another request takes another key",
        )
    return _as_it_reads(db, owners, job_id, status, owner, document)


def _as_it_reads(db: sqlite3.Connection, owners: Owners, job_id: str, status: str, owner: str, document: str) -> Claim:
    owned = status == Status.SUBMITTING.value and owners.alive(owner)
    if status == Status.SUBMITTING.value and not owned:
        document = _rows.orphaned(document).get("document", document)
    return Claim(job=_rows.job_of(document, _rows.last_reply(db, job_id)), owned=owned)


def claim(db: sqlite3.Connection, owners: Owners, intent: Intent) -> Claim:
    """Record the intent unless its key is taken, it was bought once already, or a limit is reached."""
    job = intent.job
    if intent.once:
        first = _bought(db, owners, intent.digest)
        if first is not None:
            return first
    if job.key is not None:
        existing = held(db, owners, job.key, intent.digest)
        if existing is not None and existing.job is not None:
            if not intent.again or existing.job.status is Status.SUCCEEDED:
                return existing
            _check_over(existing.job)
            job = changed(job, attempt=existing.job.attempt + 1)
    _check_budget(db, intent.limits, job.created_at)
    if _is_full(db, owners, intent.limits, job):
        return Claim(job=None, waiting=True)
    _rows.insert(db, job, key=job.key, digest=intent.digest, owner=owners.mine(), save_to=intent.save_to)
    return Claim(job=job, fresh=True)


def _bought(db: sqlite3.Connection, owners: Owners, digest: str) -> Claim | None:
    """The newest job of that digest that was not in vain, among those begun lately: an older one was found before."""
    row = db.execute(
        "SELECT id, status, owner, document FROM (SELECT * FROM jobs ORDER BY seq DESC LIMIT ?)"
        " WHERE digest = ? AND status NOT IN (?, ?, ?, ?) ORDER BY seq DESC LIMIT 1",
        (_LATELY, digest, Status.REFUSED.value, *sorted(_REPEATABLE)),
    ).fetchone()
    return None if row is None else _as_it_reads(db, owners, *row)


def _check_over(job: Job) -> None:
    if job.status not in _REPEATABLE:
        raise KeyConflict(
            f"Attempt {job.attempt} under the key {job.key!r} is {job.status.value} (job {job.id}), so no other was "
            "started. Nothing was sent.",
            job_id=job.id,
            hint=f"gen302 jobs reconcile {job.id}  # settles it"
            if job.status is Status.UNCONFIRMED
            else f"gen302 wait {job.id}  # follows it",
        )


def _check_budget(db: sqlite3.Connection, limits: Limits, now: datetime) -> None:
    if limits.max_jobs is None:
        return
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    start = {"day": today, "month": today.replace(day=1)}.get(limits.per)
    since = float("-inf") if start is None else start.timestamp()
    (count,) = db.execute(_COUNTED, (since, since)).fetchone()
    if count >= limits.max_jobs:
        window = "" if start is None else f" per {limits.per} (UTC)"
        raise BudgetExceeded(
            f"The budget is used up: max_jobs is {limits.max_jobs}{window}, {count} were bought. Nothing was sent.",
            hint="Raise max_jobs under [budget] in gen302.toml"
            + (", or remove it." if start is None else f", or wait for the next {limits.per}."),
        )


def _is_full(db: sqlite3.Connection, owners: Owners, limits: Limits, job: Job) -> bool:
    if limits.per_minute is not None and _begun(db, job) >= limits.per_minute:
        return True
    if limits.concurrent is None or _busy(db, limits, job) < limits.concurrent:
        return False
    bury(db, owners)  # jobs of dead processes hold no place
    return _busy(db, limits, job) >= limits.concurrent


def _begun(db: sqlite3.Connection, job: Job) -> int:
    now = job.created_at.timestamp()  # a clock that was put back must not make us wait for what it said before
    (count,) = db.execute(
        "SELECT count(*) FROM jobs WHERE provider = ? AND status <> 'refused' AND created_at BETWEEN ? AND ?",
        (_rows.plain(job.provider), now - 60.0, now + 60.0),
    ).fetchone()
    return int(count)


def _busy(db: sqlite3.Connection, limits: Limits, job: Job) -> int:
    (count,) = db.execute(
        f"SELECT count(*) FROM jobs WHERE provider = ? AND status IN (?, ?, ?) AND created_at > ? AND {schema.OPEN}",  # noqa: S608
        (_rows.plain(job.provider), *_BUSY, job.created_at.timestamp() - limits.stale_after),
    ).fetchone()
    return int(count)


def reopen(db: sqlite3.Connection, owners: Owners, job_id: str, expected: Status) -> bool:
    """Take a job back to SUBMITTING for this process; one that is SUBMITTING is somebody's and never taken."""
    bury(db, owners)
    row = db.execute("SELECT document FROM jobs WHERE id = ? AND status = ?", (job_id, expected.value)).fetchone()
    if row is None or expected is Status.SUBMITTING:
        return False
    taken = changed(_rows.job_of(row[0]), status=Status.SUBMITTING)
    _rows.update(db, job_id, {**_rows.columns(taken), "owner": owners.mine()})
    return True


def record(db: sqlite3.Connection, job: Job, reply: bytes, *, looked: bool = False) -> Job:
    """Record a snapshot and return what stands; `looked`: a look saw it, nobody paid for it."""
    row = db.execute(_STANDS, (job.id,)).fetchone()
    if row is None:
        if job.status is Status.SUBMITTING:  # from another ledger's JSON: nobody here waits for its receipt
            job = changed(job, status=Status.UNCONFIRMED, billed="unknown", message=_rows.ORPHANED)
        key = None if job.status is Status.REFUSED or _is_taken(db, job.key, job.attempt) else job.key
        _rows.insert(db, job, key=key, digest=None, owner=None, save_to=None)
    else:
        stands = dict(zip(_FOLLOWING, row, strict=True))
        status, remote_id, document = row[:3]
        if not _may_follow(job.status, Status(status)):
            over = _rows.job_of(document)
            if job.remote_id is not None and remote_id is None:
                # Given up while its owner only seemed dead, and paid all the same: the name of the task is not lost.
                over = changed(over, remote_id=job.remote_id, billed=job.billed)
                _rows.update(db, job.id, _rows.columns(over))
                _rows.keep_reply(db, job, reply)
            return changed(over, raw=_rows.last_reply(db, job.id))
        if looked and (status in _DOUBTFUL or '"answered":true' in document):
            seen = _rows.caught_up(job, _rows.job_of(document))
            if seen is None:
                return _rows.job_of(document, _rows.last_reply(db, job.id))
            job = seen
        if job.remote_id is None and remote_id is not None:
            # A snapshot from before the receipt must not lose the name of what was paid.
            job = changed(job, remote_id=_rows.job_of(document).remote_id)
        if job.status.settled and job.cost == UNKNOWN and '"cost":' in document:
            job = changed(job, cost=_rows.job_of(document).cost)  # nor one from before its cost was asked for
        changes = _rows.columns(job)
        if job.status is not Status.SUBMITTING:
            changes["owner"] = None
        # What stays is left alone: a column that is named is written to every index it is in.
        changes = {name: value for name, value in changes.items() if value != stands[name]}
        if job.status is Status.REFUSED:
            changes["key"] = None
        if changes:
            _rows.update(db, job.id, changes)
    _rows.keep_reply(db, job, reply)
    return job if job.raw is not None else changed(job, raw=_rows.last_reply(db, job.id))


def _may_follow(status: Status, current: Status) -> bool:
    if current.settled:
        return status is current
    # Only `claim` and `reopen` start a paid call; any other step back to SUBMITTING comes from an old snapshot.
    return status is not Status.SUBMITTING or current is Status.SUBMITTING


def _is_taken(db: sqlite3.Connection, key: str | None, attempt: int) -> bool:
    query = "SELECT 1 FROM jobs WHERE key = ? AND attempt >= ?"
    return db.execute(query, (_rows.plain(key), attempt)).fetchone() is not None
