"""The tables of a ledger file, and how an older file becomes a current one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable

from ai302_core.errors import LedgerError

APPLICATION_ID = 0x41333032  # "A302", at offset 68 of the file


def _first(db: sqlite3.Connection) -> None:
    for statement in _TABLES:
        db.execute(statement)


_TABLES = (
    # document: Job.to_json() without raw. key: empty for a refused job. seconds: from submit to success.
    """CREATE TABLE jobs (
        seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, key TEXT, attempt INTEGER NOT NULL, digest TEXT,
        status TEXT NOT NULL, billed TEXT NOT NULL, remote_id TEXT, provider TEXT NOT NULL, family TEXT NOT NULL,
        operation TEXT NOT NULL, model TEXT, gateway TEXT NOT NULL, base_url TEXT NOT NULL, owner TEXT,
        created_at REAL NOT NULL, finished_at REAL, seconds REAL, save_to TEXT, lease_owner TEXT, lease_until REAL,
        words TEXT NOT NULL, document TEXT NOT NULL)""",
    "CREATE UNIQUE INDEX jobs_key ON jobs (key, attempt) WHERE key IS NOT NULL",
    "CREATE INDEX jobs_remote_id ON jobs (remote_id) WHERE remote_id IS NOT NULL",
    "CREATE INDEX jobs_created_at ON jobs (created_at, status, billed)",
    "CREATE INDEX jobs_account ON jobs (provider, status, created_at)",
    "CREATE INDEX jobs_submitting ON jobs (owner) WHERE status = 'submitting'",
    "CREATE INDEX jobs_seconds ON jobs (family, operation, model, finished_at) WHERE seconds IS NOT NULL",
    # raw: the last reply as JSON; body: the answer of the paid request, byte for byte
    "CREATE TABLE replies (job_id TEXT PRIMARY KEY, raw TEXT, body BLOB)",
    """CREATE TABLE files (
        path TEXT PRIMARY KEY, job_id TEXT NOT NULL, sha256 TEXT NOT NULL, size INTEGER NOT NULL, role TEXT NOT NULL,
        position INTEGER NOT NULL, asset TEXT NOT NULL)""",
    "CREATE INDEX files_job ON files (job_id)",
)


def _links_of_uploads(db: sqlite3.Connection) -> None:
    # door: the URL it was sent to; uploaded_at, until: seconds since 1970
    db.execute(
        """CREATE TABLE uploads (
            door TEXT NOT NULL, sha256 TEXT NOT NULL, link TEXT NOT NULL, uploaded_at REAL NOT NULL,
            until REAL NOT NULL, PRIMARY KEY (door, sha256)) WITHOUT ROWID"""
    )


def _batches(db: sqlite3.Connection) -> None:
    # What batches remember between their runs, see `_batch.batches.Batch`; their jobs are found by their keys.
    db.execute("CREATE TABLE batches (name TEXT PRIMARY KEY, document TEXT NOT NULL)")


# SQLite uses an index of some rows only for a query that repeats its condition word for word.
_OPEN_IN_A_LIST = "status IN ('submitting', 'queued', 'running', 'input_required', 'unconfirmed')"
UNSAVED = "status = 'succeeded' AND save_to IS NOT NULL AND saved IS NULL"


def _what_resume_asks(db: sqlite3.Connection) -> None:
    # saved: 1 once every file of the job is known to be recorded, so that a resume reads it no more
    db.execute("ALTER TABLE jobs ADD COLUMN saved INTEGER")
    db.execute("DROP INDEX jobs_submitting")
    db.execute(f"CREATE INDEX jobs_open ON jobs (status, owner, created_at) WHERE {_OPEN_IN_A_LIST}")
    db.execute(f"CREATE INDEX jobs_unsaved ON jobs (created_at) WHERE {UNSAVED}")


_VAIN_IN_A_LIST = "status IN ('failed', 'canceled', 'refused', 'abandoned')"


def _fewer_pages(db: sqlite3.Connection) -> None:
    # An index that names the status of every job is one page more at each of a job's commits. Those that are open have
    # an index of few rows, and so have those that came to nothing.
    db.execute("DROP INDEX jobs_account")
    db.execute("DROP INDEX jobs_created_at")
    db.execute("CREATE INDEX jobs_created_at ON jobs (created_at)")
    db.execute(f"CREATE INDEX jobs_vain ON jobs (status, created_at, billed) WHERE {_VAIN_IN_A_LIST}")


def _one_of(*words: str) -> str:
    return "(" + " OR ".join(f"status = '{word}'" for word in words) + ")"


_STILL_OPEN = ("submitting", "queued", "running", "input_required", "unconfirmed")
_IN_VAIN = ("failed", "canceled", "refused", "abandoned")
OPEN, VAIN = _one_of(*_STILL_OPEN), _one_of(*_IN_VAIN)


def indexed(chosen: Iterable[str]) -> str:
    """The condition of the index that the few open jobs, or those that came to nothing, have of their own, or ""."""
    if set(chosen) <= set(_STILL_OPEN):
        return OPEN
    return VAIN if set(chosen) <= set(_IN_VAIN) else ""


def _no_lists(db: sqlite3.Connection) -> None:
    # For a list of more than two words SQLite makes a table at each change of a row, before and after, for each index:
    # two thirds of what a change took.
    db.execute("DROP INDEX jobs_open")
    db.execute("DROP INDEX jobs_vain")
    db.execute(f"CREATE INDEX jobs_open ON jobs (status, owner, created_at) WHERE {OPEN}")
    db.execute(f"CREATE INDEX jobs_vain ON jobs (status, created_at, billed) WHERE {VAIN}")


# The nth function leads from version n to version n + 1. Never edit one that was released: append.
MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    _first,
    _links_of_uploads,
    _batches,
    _what_resume_asks,
    _fewer_pages,
    _no_lists,
)


def is_current(db: sqlite3.Connection) -> bool:
    """Whether the file is a ledger of this version; False for a new or an older one.

    Raises LedgerError for another program's file and for a newer ledger, sqlite3.DatabaseError for no SQLite file.
    """
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (application or version or tables):
        raise LedgerError(
            "This SQLite file is not a ledger: another program made it.",
            hint="Name another file as `ledger`, or move this one away.",
        )
    if version > len(MIGRATIONS):
        raise LedgerError(
            f"The ledger has version {version}, made by a newer ai302-core; this one knows versions up to "
            f"{len(MIGRATIONS)}.",
            hint="Bring your clone up to date and install it: git pull && pip install ./core",
        )
    return bool(application == APPLICATION_ID and version == len(MIGRATIONS))


def migrate(db: sqlite3.Connection) -> None:
    """Bring a new or older file to this version, in the transaction that is open."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    for migration in MIGRATIONS[version:]:
        migration(db)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
