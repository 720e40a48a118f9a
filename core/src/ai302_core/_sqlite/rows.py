"""Jobs as rows of the ledger, and rows as jobs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from ai302_core._frozen import changed
from ai302_core.errors import LedgerError
from ai302_core.jobs import Job, Status
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
    found = db.execute("SELECT raw FROM replies WHERE job_id = ?", (job_id,)).fetchone()
    return None if found is None or found[0] is None else json.loads(found[0])


def orphaned(document: str) -> dict[str, Any]:
    """What changes in the row of a job whose owner died before its receipt."""
    told = {"status": Status.UNCONFIRMED.value, "billed": "unknown", "message": ORPHANED}
    return {
        "status": Status.UNCONFIRMED.value,
        "billed": "unknown",
        "owner": None,
        "document": _json({**json.loads(document), **told}),
    }


def job_of(document: str, raw: Any = None) -> Job:
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
    except (ValueError, KeyError, AttributeError) as problem:
        raise LedgerError(
            f"A row of the ledger describes no job: {problem}.",
            hint="Restore the ledger from a backup; the row was changed by another program.",
        ) from None
    return job if raw is None else changed(job, raw=raw)


def caught_up(job: Job, stands: Job) -> Job | None:
    """What a look saw, with what it could not know; None: it was overtaken, and what stands says more.

    Whoever follows a job elsewhere has a snapshot from before its window was answered, which is paid: it neither ends
    a call that is under way, nor makes an answer forgotten, since either would let the window be answered twice.
    """
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
