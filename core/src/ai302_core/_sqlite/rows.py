"""Jobs as rows of the ledger, and rows as jobs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

from ai302_core._frozen import changed
from ai302_core.errors import LedgerError
from ai302_core.jobs import Job, Notice, Status
from ai302_core.ledger import UNREADABLE, unrecorded
from ai302_core.requests import StoredRequest

ORPHANED = (
    "The process that sent this ended before the gateway's answer was written down: it may have been accepted and "
    "billed."
)


def plain(text: str | None) -> str | None:
    """Text as SQLite takes it: lone surrogates, which no UTF-8 has, become escapes."""
    return None if text is None else text.encode("utf-8", "backslashreplace").decode()


_json = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode  # ASCII, so that any text survives


def columns(job: Job) -> dict[str, Any]:
    """What a snapshot changes in its row."""
    return _columns(job, _document(job))


def _document(job: Job) -> dict[str, Any]:
    document = job.to_dict()
    document.pop("raw", None)  # it has a table of its own
    return document


def _columns(job: Job, document: dict[str, Any]) -> dict[str, Any]:
    succeeded = job.status is Status.SUCCEEDED and job.finished_at is not None
    started = job.submitted_at or job.created_at
    finished = None if job.finished_at is None else job.finished_at.timestamp()
    return {
        "status": job.status.value,
        "billed": job.billed,
        "remote_id": plain(job.remote_id),
        "finished_at": finished,
        "seconds": max(0.0, finished - started.timestamp()) if succeeded and finished is not None else None,
        "document": _json(document),
    }


def insert(
    db: sqlite3.Connection, job: Job, *, key: str | None, digest: str | None, owner: str | None, save_to: str | None
) -> None:
    """A new row."""
    document = _document(job)
    row = {
        **_columns(job, document),
        "id": job.id,
        "key": plain(key),
        "attempt": job.attempt,
        "digest": digest,
        "provider": plain(job.provider),
        "family": plain(job.family),
        "operation": plain(job.operation),
        "model": plain(job.model),
        "gateway": plain(job.gateway),
        "base_url": plain(job.base_url),
        "owner": owner,
        "created_at": job.created_at.timestamp(),
        "save_to": plain(save_to),
        "words": words(document.get("request", {})),
    }
    db.execute(_insertion(tuple(row)), tuple(row.values()))


def update(db: sqlite3.Connection, job_id: str, changes: Mapping[str, Any]) -> None:
    """Change columns of a row."""
    db.execute(_change(tuple(changes)), (*changes.values(), job_id))


@cache  # one text each is one prepared statement each
def _insertion(names: tuple[str, ...]) -> str:
    return f"INSERT INTO jobs ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608 - our own column names


@cache
def _change(names: tuple[str, ...]) -> str:
    return f"UPDATE jobs SET {', '.join(f'{name} = ?' for name in names)} WHERE id = ?"  # noqa: S608 - as above


def keep_reply(db: sqlite3.Connection, job: Job, body: bytes) -> None:
    """The last reply in its own table; what a snapshot does not bring stays."""
    if job.raw is None and not body:
        return
    db.execute(
        "INSERT INTO replies (job_id, raw, body) VALUES (?, ?, ?) ON CONFLICT (job_id) DO UPDATE SET"
        " raw = coalesce(excluded.raw, raw), body = coalesce(excluded.body, body)",
        (job.id, None if job.raw is None else _json(job.raw), body or None),
    )


def last_reply(db: sqlite3.Connection, job_id: str) -> Any:
    """The last reply's JSON, or None."""
    found = db.execute("SELECT CAST(raw AS BLOB) FROM replies WHERE job_id = ?", (job_id,)).fetchone()
    return None if found is None or found[0] is None else json_of(found[0], None)


def json_of(text: str | bytes, instead: Any) -> Any:
    """Its JSON; where another program spoiled it, what stands in its place."""
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return instead


def orphaned(document: str | bytes) -> dict[str, Any]:
    """What changes in the row of a job whose owner died before its receipt; words nobody can read stay."""
    told = {"status": Status.UNCONFIRMED.value, "billed": "unknown"}
    held = json_of(document, None)
    said = {"document": _json({**held, **told, "message": ORPHANED})} if isinstance(held, dict) else {}
    return {**told, "owner": None, **said}


DOCUMENT = "CAST(document AS BLOB)"
"""A row's words as they are: where they are no UTF-8 any more, SQLite gives no row at all."""


def listed(db: sqlite3.Connection, job_id: str, document: bytes) -> Job:
    """The job a row describes, for looking at it: where its words cannot be read, what its columns tell.

    That has a notice UNREADABLE, see `ledger.unreadable`: nothing is to be bought, followed or written on its word.
    """
    try:
        return job_of(document)
    except LedgerError as problem:
        names = ("key", "attempt", "status", "billed", "remote_id", "provider", "family", "operation", "gateway",
                 "base_url", "created_at", "finished_at")  # fmt: skip
        query = f"SELECT {', '.join(names)} FROM jobs WHERE id = ?"  # noqa: S608 - our own column names
        told = dict(zip(names, db.execute(query, (job_id,)).fetchone(), strict=True))
        for name in ("created_at", "finished_at"):
            told[name] = None if told[name] is None else datetime.fromtimestamp(told[name], UTC)
        notice = Notice(code=UNREADABLE, message=problem.message)
        return Job(**{**told, "id": job_id, "status": Status(told["status"]), "warnings": (notice,)})


def job_of(document: str | bytes, raw: Any = None) -> Job:
    """The job a row describes. A request this version cannot read is kept word for word.

    Raises LedgerError for a row that describes no job.
    """
    try:
        values = json.loads(document)
        try:
            job = Job.from_dict(values)
        except ValueError:
            if "request" not in values:
                raise
            request = values.pop("request")
            told = {name: value for name, value in request.items() if name != "type"}
            job = replace(Job.from_dict(values), request=StoredRequest(type=str(request.get("type")), values=told))
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as problem:
        raise LedgerError(
            f"Its row of the ledger was changed by another program and cannot be read: {problem}.",
            hint="Restore the ledger from a backup.",
        ) from None
    return job if raw is None else changed(job, raw=raw)


def batch_of(db: sqlite3.Connection, name: str) -> dict[str, Any] | None:
    """What is remembered of a batch, or None. Raises LedgerError."""
    query = "SELECT CAST(document AS BLOB) FROM batches WHERE name = ?"
    row = db.execute(query, (plain(name),)).fetchone()
    if row is None:
        return None
    held = json_of(row[0], None)
    if not isinstance(held, dict):
        raise LedgerError(
            f"What the ledger remembers of the batch {name!r} was changed by another program and cannot be read.",
            hint="Restore the ledger from a backup; under another --name every row would be bought again.",
        )
    return held


def caught_up(job: Job, stands: Job) -> Job | None:
    """What a look saw, with what it could not know; None: it was overtaken, and what stands says more.

    Whoever follows a job elsewhere has a snapshot from before its window was answered, which is paid: it neither ends
    a call that is under way, nor makes an answer forgotten, since either would let the window be answered twice.
    """
    if unrecorded(job, stands):
        return job
    asks = job.status is Status.INPUT_REQUIRED
    lost = stands.status is Status.UNCONFIRMED and stands.remote_id is not None
    if stands.status is Status.SUBMITTING or (lost and not (job.answered or job.status.settled)):
        return None
    if not stands.answered or job.answered:
        return job
    return changed(job, answered=True, needs=(), status=Status.RUNNING if asks else job.status)


def words(request: Mapping[str, Any]) -> str:
    """Everything a request's JSON says in words, folded, for `jobs(text=…)`."""
    return plain("\n".join(_strings({**request, "type": None})).casefold()) or ""


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from _strings(entry)
