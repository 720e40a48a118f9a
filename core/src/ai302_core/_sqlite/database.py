"""A ledger's file, opened: private to its user, on a disk of this machine, current, durable."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from ai302_core.errors import LedgerError

from . import schema
from .filelocks import Gate

# By the names Linux gives them: their locks do not, or not always, bind the other machines.
_SHARED = frozenset({"nfs", "nfs4", "cifs", "smbfs", "smb3", "9p", "ncpfs", "afs", "ceph", "glusterfs", "lustre",
                     "gfs2", "ocfs2", "gpfs", "beegfs", "pvfs2", "orangefs", "coda", "davfs", "vboxsf"})  # fmt: skip
_SHARED_FUSE = frozenset({"sshfs", "glusterfs", "ceph", "cephfs", "s3fs", "rclone", "gcsfuse", "davfs2", "smbnetfs",
                          "juicefs", "mfs", "lustre", "nfs"})  # fmt: skip


def shared_file_system(path: Path, mounts: str) -> str:
    """The type of the file system `path` (absolute) is on when other machines share it, else "".

    mounts  the text of /proc/mounts: device, mount point, type, …; blanks written as \\040
    """
    longest, found = -1, ""
    for line in mounts.splitlines():
        columns = line.split()
        if len(columns) < 3:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), columns[1])
        if path.is_relative_to(point) and len(point) >= longest:
            longest, found = len(point), columns[2]
    kind, _, name = found.partition(".")
    return found if found in _SHARED or (kind == "fuse" and name in _SHARED_FUSE) else ""


def open_database(
    path: Path | None, alone: Callable[[], AbstractContextManager[None]], patience: float
) -> sqlite3.Connection:
    """A connection to the ledger at `path` (None: in memory), made or migrated where needed.

    alone     held while the file is made or migrated: no other thread or process does so
    patience  seconds to wait for a lock of SQLite's
    Raises LedgerError, OSError, sqlite3.Error.
    """
    if path is None:
        db = _connect(":memory:", patience)
        with transaction(db):
            schema.migrate(db)
        return db
    _make_private(path)
    db = _connect(str(path), patience)
    try:
        with transaction(db, "DEFERRED"):
            current = schema.is_current(db)
        if not current:
            db.close()
            with alone():
                _prepare(path, patience)
            db = _connect(str(path), patience)
        _pledge(db)
    except BaseException:
        db.close()
        raise
    return db


def standing(path: Path | None) -> tuple[int, int] | None:
    """Which file is at the path: one that was moved away, deleted or replaced goes on taking rows nobody would find."""
    try:
        there = os.stat(path or "")  # noqa: PTH116 - asked at every read and write
    except OSError:
        return None
    return there.st_dev, there.st_ino


@contextlib.contextmanager
def passage(gate: Gate | None, patience: float) -> Iterator[None]:
    """Hold the gate. Raises LedgerError when its turn does not come within `patience` seconds."""
    if gate is not None and not gate.enter(patience):
        raise LedgerError(
            f"The ledger is locked by another process: no turn came within {patience:.0f} s.",
            hint="Look for a hung gen302 or a program that has the ledger open, end it, and try again.",
            retryable=True,
        )
    try:
        yield
    finally:
        if gate is not None:
            gate.leave()


@contextlib.contextmanager
def transaction(db: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[None]:
    """All or nothing."""
    db.execute(f"BEGIN {kind}")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


class _Connection(sqlite3.Connection):
    """Closed when it is dropped, and no warning: Python 3.13 has one, which strict tests of a user's make an error."""

    def __del__(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self.close()


def _connect(name: str, patience: float) -> sqlite3.Connection:
    return sqlite3.connect(name, timeout=patience, isolation_level=None, check_same_thread=False, factory=_Connection)


def _make_private(path: Path) -> None:
    """The folder and the file, for this user only; a folder that was there before stays as it is."""
    if sys.platform == "linux":  # elsewhere the system does not say it in a form worth trusting
        with contextlib.suppress(FileNotFoundError):
            kind = shared_file_system(path, Path("/proc/mounts").read_text("utf-8", "surrogateescape"))
            if kind:
                raise LedgerError(
                    f"{path} is on a file system shared between machines ({kind}), where locks cannot be trusted.",
                    hint='Put the ledger on a disk of this machine: ledger = "sqlite:////some/folder/ledger.db".',
                )
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # By O_EXCL only a file that is not there is opened and closed here: closing one that SQLite uses in this process
    # would drop SQLite's locks.
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        if path.is_dir():
            raise IsADirectoryError(f"{path} is a folder") from None
        if path.stat().st_mode & 0o077:
            with contextlib.suppress(PermissionError):
                path.chmod(0o600)
    else:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _prepare(path: Path, patience: float) -> None:
    """Make or migrate the tables. This first write is also the probe: where it fails with WAL, the journal is used."""
    try:
        _write_tables(path, patience, "WAL")
    except sqlite3.OperationalError as problem:
        name = getattr(problem, "sqlite_errorname", "")
        if name.startswith(("SQLITE_BUSY", "SQLITE_FULL")):  # has nothing to do with WAL
            raise
        _write_tables(path, patience, "DELETE")


def _write_tables(path: Path, patience: float, journal: str) -> None:
    db = _connect(str(path), patience)
    try:
        if journal == "DELETE":  # leaving WAL without shared memory takes the file for oneself
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute(f"PRAGMA journal_mode = {journal}")
        _pledge(db)
        with transaction(db):
            if not schema.is_current(db):
                schema.migrate(db)
    finally:
        db.close()


def is_ordered(db: sqlite3.Connection) -> bool:
    """Whether the file has a WAL, of which a power cut takes the last commits only, never one before another's."""
    (journal,) = db.execute("PRAGMA journal_mode").fetchone()
    return bool(journal == "wal")


def _pledge(db: sqlite3.Connection) -> None:
    """What is committed survives a power cut. Without WAL that takes EXTRA: the journal's removal is synced too."""
    db.execute(f"PRAGMA synchronous = {'FULL' if is_ordered(db) else 'EXTRA'}")
    db.execute("PRAGMA fullfsync = 1")  # macOS only, where fsync alone stops at the drive's cache


def sync(db: sqlite3.Connection, *, each: bool) -> None:
    """Whether each commit from now on is synced; outside a transaction, with WAL only.

    One that is not survives a power cut once a later one does that is.
    """
    # Not by `execute`: it keeps statements, and this one works when it is made, not when it is run.
    db.executescript(f"PRAGMA synchronous = {'FULL' if each else 'NORMAL'}")
