"""The embedded default of the ledger: one SQLite file, shared by every process of this user on this machine."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ai302_core._frozen import changed
from ai302_core.errors import Billed, ConfigError, LedgerError
from ai302_core.jobs import Job, Status
from ai302_core.ledger import Claim, FileRecord, Intent, Ledger

from . import claims, schema
from . import rows as _rows
from .noledger import NoLedger
from .owners import Owners
from .store import Store, Work
from .troubles import NOT_RECORDED, NOTHING_SENT, explain

T = TypeVar("T")

_OPEN: dict[str, SqliteLedger] = {}

_FEW = 100
"""Jobs that are read at once where all of a kind are walked through."""


def open_ledger(url: str | None, *, data_dir: Path) -> Ledger:
    """The ledger behind `url`; nothing is opened or made before its first use.

    url  "sqlite:///relative.db", "sqlite:////absolute.db", "sqlite:///C:/absolute.db", ":memory:" (gone with this
         process), "off" (remembers no more than this process's open jobs); None: `ledger.db` in `data_dir`

    One file is one ledger in a process, however often it is asked for. Raises ConfigError for any other url.
    """
    if url == "off":
        return NoLedger(data_dir / "results")
    if url == ":memory:":
        return SqliteLedger(None, data_dir / "results")
    scheme, mark, name = (url or "").partition(":///")
    if url is not None and (scheme != "sqlite" or not mark or not name):
        shown = f"{scheme.partition(':')[0]}:…" if ":" in url else repr(url)  # the rest may hold a password
        raise ConfigError(
            f"No ledger is known by {shown}; known are sqlite:///FILE, :memory: and off. Nothing was sent.",
            hint='For example: ledger = "sqlite:///jobs.db"; without the line it is in your data folder.',
        )
    path = (data_dir / "ledger.db" if url is None else Path(name).expanduser()).resolve()
    return _OPEN.setdefault(str(path), SqliteLedger(path))


class SqliteLedger:
    """The ledger in the file `path` (absolute), or in memory. See `ledger.Ledger` for what its methods promise.

    results  a folder for files; None: one beside `path`
    """

    def __init__(self, path: Path | None, results: Path | None = None) -> None:
        self._path = path
        self.results = results or Path(f"{path or 'ledger'}-results")
        self._store = Store(path)
        self._owners = Owners(None if path is None else path.with_name(path.name + "-owners"))
        self.durable = path is not None
        self.url = ":memory:" if path is None else f"sqlite:///{path.as_posix()}"

    def _write(self, work: Work[T], money: str = NOTHING_SENT, billed: Billed = "no", *, lasting: bool = True) -> T:
        try:
            return self._store.write(work, lasting=lasting)
        except (sqlite3.Error, OSError, LedgerError) as problem:
            raise explain(problem, self._path, money, billed) from problem

    def _read(self, work: Work[T]) -> T:
        try:
            return self._store.read(work)
        except (sqlite3.Error, OSError, LedgerError) as problem:
            raise explain(problem, self._path, NOTHING_SENT, "no") from problem

    def _account_for_the_dead(self) -> None:
        """Jobs whose owner died before the receipt become UNCONFIRMED; one look at an index while there are none."""
        if self._read(lambda db: claims.dead_owners(db, self._owners)):
            self._write(lambda db: claims.bury(db, self._owners))

    def find_key(self, key: str, digest: str) -> Claim | None:
        return self._read(lambda db: claims.held(db, self._owners, key, digest))

    def claim(self, intent: Intent) -> Claim:
        return self._write(lambda db: claims.claim(db, self._owners, intent))

    def reopen(self, job_id: str, expected: Status) -> bool:
        return self._write(lambda db: claims.reopen(db, self._owners, job_id, expected))

    def write(self, job: Job, reply: bytes = b"") -> Job:
        billed: Billed = "no" if job.status is Status.REFUSED else "unknown"
        return self._write(lambda db: claims.record(db, job, reply), NOT_RECORDED, billed)

    def note(self, snapshots: Sequence[tuple[Job, bytes]]) -> list[Job]:
        def work(db: sqlite3.Connection) -> list[Job]:
            return [claims.record(db, job, reply, looked=True) for job, reply in snapshots]

        return self._write(work, NOT_RECORDED, "unknown", lasting=False)

    def job(self, job_id: str) -> Job | None:
        job, orphaned = self._read(lambda db: claims.standing(db, self._owners, job_id))
        if orphaned:
            self._account_for_the_dead()
            job, _ = self._read(lambda db: claims.standing(db, self._owners, job_id))
        return job

    def find(self, ref: str) -> list[Job]:
        self._account_for_the_dead()
        return self._read(lambda db: _find(db, _rows.plain(ref) or ""))

    def jobs(
        self,
        *,
        status: Sequence[Status] = (),
        since: datetime | None = None,
        text: str = "",
        limit: int | None = None,
        provider: str = "",
        keys: str = "",
    ) -> list[Job]:
        self._account_for_the_dead()
        start = float("-inf") if since is None else since.timestamp()
        chosen = [entry.value for entry in status or tuple(Status)]
        few = schema.indexed(chosen)  # which the planner would not take of itself
        narrower, moment, wanted = f" AND {few}" if few else "", "+created_at" if few else "created_at", []
        if provider:
            narrower, wanted = f"{narrower} AND provider = ?", [_rows.plain(provider)]
        if keys:
            narrower, wanted = f"{narrower} AND substr(key, 1, length(?)) = ?", [*wanted, *[_rows.plain(keys)] * 2]
        query = (
            f"SELECT id, {_rows.DOCUMENT} FROM jobs WHERE status IN ({_places(chosen)})"  # noqa: S608
            f" AND {moment} >= ? AND instr(words, ?){narrower} ORDER BY {moment} DESC, seq DESC LIMIT ?"
        )
        values = (*chosen, start, _rows.plain(text.casefold()), *wanted, -1 if limit is None else limit)
        return self._read(lambda db: [_rows.listed(db, *row) for row in db.execute(query, values)])

    def ids(self, status: Sequence[Status]) -> list[str]:
        self._account_for_the_dead()
        chosen = [entry.value for entry in status]
        narrower = f" AND {few}" if (few := schema.indexed(chosen)) else ""
        query = f"SELECT id FROM jobs WHERE status IN ({_places(chosen)}){narrower} ORDER BY +created_at, seq"  # noqa: S608
        return self._read(lambda db: [job_id for (job_id,) in db.execute(query, chosen)])

    def read(self, job_ids: Sequence[str]) -> list[Job]:
        def work(db: sqlite3.Connection) -> list[Job]:
            query = f"SELECT id, {_rows.DOCUMENT} FROM jobs WHERE id = ?"  # noqa: S608
            rows = (db.execute(query, (_rows.plain(job_id),)).fetchone() for job_id in job_ids)
            return [_rows.listed(db, *row) for row in rows if row is not None]

        return self._read(work)

    def unsaved(self, complete: Callable[[Job, Sequence[FileRecord]], bool]) -> list[str]:
        found: dict[str, bool] = {}
        last = float("-inf"), 0
        while page := self._read(partial(_unsaved, after=last)):
            found |= {job.id: complete(job, self.files(job.id)) for _, job in page}
            last = page[-1][0]
        mark, saved = "UPDATE jobs SET saved = 1 WHERE id = ?", [(job_id,) for job_id, whole in found.items() if whole]
        if saved:
            self._write(lambda db: db.executemany(mark, saved))
        return [job_id for job_id, whole in found.items() if not whole]

    def batch(self, name: str) -> dict[str, Any] | None:
        return self._read(lambda db: _rows.batch_of(db, name))

    def keep_batch(self, name: str, document: Mapping[str, Any]) -> None:
        values = (_rows.plain(name), json.dumps(document))
        self._write(lambda db: db.execute("INSERT OR REPLACE INTO batches (name, document) VALUES (?, ?)", values))

    def lease(self, job_ids: Sequence[str], seconds: float) -> list[str]:
        def take(db: sqlite3.Connection) -> list[str]:
            now, mine = time.time(), self._owners.mine()
            free: list[str] = []
            for job_id in job_ids:
                row = db.execute("SELECT lease_owner, lease_until FROM jobs WHERE id = ?", (job_id,)).fetchone()
                owner, until = row or (None, 0.0)
                if owner in (None, mine) or until <= now or not self._owners.alive(owner):
                    free.append(job_id)
            db.executemany(
                "UPDATE jobs SET lease_owner = ?, lease_until = ? WHERE id = ?",
                ((mine, now + seconds, job_id) for job_id in free),
            )
            return free

        return self._write(take)

    def release(self, job_ids: Sequence[str]) -> None:
        def give_back(db: sqlite3.Connection) -> None:
            mine = self._owners.mine()
            db.executemany(
                "UPDATE jobs SET lease_owner = NULL, lease_until = NULL WHERE id = ? AND lease_owner = ?",
                ((job_id, mine) for job_id in job_ids),
            )

        self._write(give_back)

    def destination(self, job_id: str) -> str | None:
        row = self._read(lambda db: db.execute("SELECT save_to FROM jobs WHERE id = ?", (job_id,)).fetchone())
        return None if row is None or row[0] is None else str(row[0])

    def set_destination(self, job_id: str, save_to: str) -> None:
        def remember(db: sqlite3.Connection) -> None:
            if not db.execute("UPDATE jobs SET save_to = ? WHERE id = ?", (_rows.plain(save_to), job_id)).rowcount:
                raise LedgerError(
                    f"The ledger has no job {job_id}.", hint="Look at it first (`gen302 wait`), then it is known here."
                )

        self._write(remember)

    def add_files(self, job_id: str, files: Sequence[FileRecord]) -> None:
        self._write(
            lambda db: db.executemany(
                "INSERT OR REPLACE INTO files (path, job_id, sha256, size, role, position, asset)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (_rows.plain(f.path), job_id, f.sha256, f.size, _rows.plain(f.role), f.index, json.dumps(f.asset))
                    for f in files
                ],
            ),
            "The files themselves are saved; saving again is free.",
        )

    def files(self, job_id: str) -> list[FileRecord]:
        rows = self._read(
            lambda db: db.execute(
                "SELECT path, sha256, size, role, position, asset FROM files WHERE job_id = ? ORDER BY"
                " CASE role WHEN 'tile' THEN 0 WHEN 'final' THEN 1 WHEN 'grid' THEN 2 ELSE 3 END, position, rowid",
                (job_id,),
            ).fetchall()
        )
        return [
            FileRecord(path=path, sha256=sha256, size=size, role=role, index=index, asset=_rows.json_of(asset, {}))
            for path, sha256, size, role, index, asset in rows
        ]

    def link(self, door: str, sha256: str, now: datetime) -> str | None:
        query = "SELECT link FROM uploads WHERE door = ? AND sha256 = ? AND uploaded_at <= ? AND until > ?"
        values = (_rows.plain(door), sha256, now.timestamp(), now.timestamp())
        row = self._read(lambda db: db.execute(query, values).fetchone())
        return None if row is None else str(row[0])

    def add_link(self, door: str, sha256: str, link: str, now: datetime, until: datetime) -> None:
        def remember(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM uploads WHERE until <= ?", (now.timestamp(),))
            db.execute(
                "INSERT OR REPLACE INTO uploads (door, sha256, link, uploaded_at, until) VALUES (?, ?, ?, ?, ?)",
                (_rows.plain(door), sha256, _rows.plain(link), now.timestamp(), until.timestamp()),
            )

        self._write(remember, "The picture is uploaded; no job was started.")

    def durations(self, family: str, operation: str, model: str | None, limit: int = 200) -> list[float]:
        rows = self._read(
            lambda db: db.execute(
                "SELECT seconds FROM jobs WHERE family = ? AND operation = ? AND model IS ? AND seconds IS NOT NULL"
                " ORDER BY finished_at DESC LIMIT ?",
                (family, operation, _rows.plain(model), limit),
            ).fetchall()
        )
        return sorted(seconds for (seconds,) in rows)

    def close(self) -> None:
        self._store.close()


def _places(values: Sequence[object]) -> str:
    return ", ".join("?" for _ in values)


def _chosen(db: sqlite3.Connection, condition: str, values: Iterable[object]) -> list[Job]:
    """Jobs with their last replies, newest first; `condition` is ours, its values are the caller's."""
    rows = db.execute(
        f"SELECT id, {_rows.DOCUMENT} FROM jobs WHERE {condition} ORDER BY created_at DESC, seq DESC",  # noqa: S608
        tuple(values),
    ).fetchall()
    return [changed(_rows.listed(db, *row), raw=_rows.last_reply(db, row[0])) for row in rows]


def _unsaved(db: sqlite3.Connection, after: tuple[float, int]) -> list[tuple[tuple[float, int], Job]]:
    """A few jobs that may lack files, oldest first, each with its place in that order."""
    query = (
        f"SELECT created_at, seq, id, {_rows.DOCUMENT} FROM jobs"  # noqa: S608
        f" WHERE {schema.UNSAVED} AND (created_at, seq) > (?, ?)"
        " ORDER BY created_at, seq LIMIT ?"
    )
    return [((created, seq), _rows.listed(db, *row)) for created, seq, *row in db.execute(query, (*after, _FEW))]


def _find(db: sqlite3.Connection, ref: str) -> list[Job]:
    if ref == "last":
        return _chosen(db, "seq = (SELECT seq FROM jobs ORDER BY created_at DESC, seq DESC LIMIT 1)", ())
    paths = [ref]
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        path = Path(ref).expanduser()
        paths += [str(path.absolute()), str(path.resolve())]
    for condition, values in (
        ("id = ?", [ref]),
        ("key = ? AND attempt = (SELECT max(attempt) FROM jobs WHERE key = ?)", [ref, ref]),
        ("remote_id = ?", [ref]),
        (f"id IN (SELECT job_id FROM files WHERE path IN ({_places(paths)}))", paths),  # noqa: S608
        ("length(?) >= 4 AND lower(substr(id, -length(?))) = lower(?)", [ref, ref, ref]),
    ):
        found = _chosen(db, condition, values)
        if found:
            return found
    return []
