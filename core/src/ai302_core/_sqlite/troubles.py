"""What went wrong with the ledger's file: one sentence, what it means for the money, what to do."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

from ai302_core.errors import Billed, LedgerError

NOTHING_SENT = "Nothing was sent."
NOT_RECORDED = "The job is not affected, but what the gateway answered is not recorded here."

_ELSEWHERE = 'name another place: ledger = "sqlite:////some/folder/ledger.db"'
_DISK_FULL = ("The disk that holds the ledger {path} is full.", "Free some space, then repeat the call.")
_READ_ONLY = (
    "The ledger {path} is read-only: the file or its folder takes no writes.",
    f"Make both writable for this user, or {_ELSEWHERE}.",
)
_FORBIDDEN = ("This user may not open the ledger {path}: permission denied.", _READ_ONLY[1])
_LOCKED = (
    "The ledger {path} is locked by another program.",
    "Close the program that has it open, then repeat the call.",
)
_DAMAGED = (
    "The ledger {path} is damaged: {problem}.",
    "Move it away, with its -wal and -shm files, or restore it from a backup.",
)
_BY_NAME = {
    "SQLITE_NOTADB": (
        "{path} is not a ledger: it is no SQLite file, or its beginning is damaged.",
        f"Move it away or restore it, or {_ELSEWHERE}.",
    ),
    "SQLITE_CORRUPT": _DAMAGED,
    "SQLITE_FULL": _DISK_FULL,
    "SQLITE_READONLY": _READ_ONLY,
    "SQLITE_PERM": _FORBIDDEN,
    "SQLITE_AUTH": _FORBIDDEN,
    "SQLITE_BUSY": _LOCKED,
    "SQLITE_LOCKED": _LOCKED,
    "SQLITE_CANTOPEN": (
        "The ledger {path} cannot be opened: this user may not, or its folder takes no new files.",
        _READ_ONLY[1],
    ),
    "SQLITE_IOERR": (
        "The disk that holds the ledger {path} fails: {problem}.",
        "Check the disk, then repeat the call.",
    ),
}
_BY_NUMBER = {
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
    errno.EROFS: _READ_ONLY,
    errno.ENOSPC: _DISK_FULL,
    getattr(errno, "EDQUOT", errno.ENOSPC): _DISK_FULL,
}
_OTHER = ("The ledger {path} cannot be used: {problem}.", f"Mend that, or {_ELSEWHERE}.")


def explain(problem: Exception, path: Path | None, money: str, billed: Billed) -> LedgerError:
    """The LedgerError to raise for `problem` (LedgerError, OSError or sqlite3.Error); `money` ends its message."""
    if isinstance(problem, LedgerError):
        return LedgerError(f"{problem.message} {money}", billed=billed, retryable=problem.retryable, hint=problem.hint)
    sentence, hint = _OTHER
    if isinstance(problem, sqlite3.Error):
        name = getattr(problem, "sqlite_errorname", "")  # such as SQLITE_IOERR_WRITE; a few errors have none
        sentence, hint = _BY_NAME.get("_".join(name.split("_")[:2]), _DAMAGED if _misses_tables(problem) else _OTHER)
    elif isinstance(problem, OSError):
        sentence, hint = _BY_NUMBER.get(problem.errno or 0, _OTHER)
    said = str(problem)
    if isinstance(problem, OSError) and problem.filename:
        said = f"{problem.strerror}: {problem.filename}"
    text = sentence.format(path=path or "in memory", problem=said.rstrip("."))
    return LedgerError(f"{text} {money}", billed=billed, retryable=(sentence, hint) == _LOCKED, hint=hint)


def _misses_tables(problem: sqlite3.Error) -> bool:
    return str(problem).startswith(("no such table", "no such column"))
