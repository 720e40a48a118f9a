"""The ledger's interface: the durable list of paid jobs. `_sqlite/` is its embedded default.

Every method is one transaction, durable when it returns (but for `note`), safe to call from any thread, and raises
LedgerError (a sentence and a hint) when the ledger cannot be read or written. Another store implements `Ledger` and
nothing else.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from .errors import LedgerError, ParameterError
from .jobs import Job, Status
from .requests import expect

__all__ = [
    "UNREADABLE",
    "Claim",
    "FileRecord",
    "Intent",
    "Ledger",
    "Limits",
    "listed",
    "named",
    "unreadable",
    "unrecorded",
]

UNREADABLE = "unreadable"
"""The notice of a job whose row another program spoiled: listed with what is still known of it, and no more."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What is checked in the intent's transaction; None: no such limit.

    max_jobs, per   accepted or open jobs in the running UTC "day" or "month", or "ever"; over every provider
    concurrent      open jobs of one account, younger than `stale_after` seconds and not UNCONFIRMED
    per_minute      jobs of one account begun within 60 seconds
    """

    max_jobs: int | None = None
    per: str = "day"
    concurrent: int | None = None
    per_minute: int | None = None
    stale_after: float = 900.0


@dataclass(frozen=True, kw_only=True)
class Intent:
    """What is about to be paid for.

    job      the new job, SUBMITTING
    digest   of what the caller wrote; the same key with another digest is a KeyConflict
    again    a failed, canceled or abandoned attempt under this key may be followed by a new one
    once     a job of the same digest that was not in vain answers instead, whatever key it has
    save_to  where its files shall go, or None
    """

    job: Job
    digest: str
    again: bool = False
    once: bool = False
    save_to: str | None = None
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The answer to an intent.

    job      the new job when `fresh`, else the one that holds the key, or was bought `once`
    owned    the existing job is SUBMITTING and its owner lives: wait for its receipt
    waiting  `concurrent` or `per_minute` is reached: nothing was recorded, try again later
    """

    job: Job | None
    fresh: bool = False
    owned: bool = False
    waiting: bool = False


@dataclass(frozen=True, kw_only=True)
class FileRecord:
    """A saved file. `path` is absolute, `sha256` of its content, `size` in bytes, `asset` its Asset.to_json()."""

    path: str
    sha256: str
    size: int
    role: str
    index: int
    asset: dict[str, Any] = field(default_factory=dict)


class Ledger(Protocol):
    """The durable list of paid jobs."""

    durable: bool
    """Whether the jobs outlive this process; keys need it."""

    url: str
    """Where it is, without any secret."""

    results: Path
    """A folder of its own for files that came within answers; made when the first comes."""

    def find_key(self, key: str, digest: str) -> Claim | None:
        """The newest attempt under `key` (as `claim` would answer without `again`), or None. Writes nothing.

        Raises KeyConflict when the key names another request.
        """

    def claim(self, intent: Intent) -> Claim:
        """Record the intent, unless its key is taken or a limit is reached.

        Same key and digest: the existing newest attempt, not fresh. With `again`, a FAILED, CANCELED or ABANDONED
        attempt is followed by a fresh one (`attempt` + 1); an open or UNCONFIRMED one raises KeyConflict.
        A REFUSED attempt has freed its key. Raises KeyConflict for another digest, BudgetExceeded.
        """

    def reopen(self, job_id: str, expected: Status) -> bool:
        """Take an `expected` job back to SUBMITTING under this process's ownership, before a second paid call.

        False when it is not `expected` any more: somebody else took it.
        """

    def write(self, job: Job, reply: bytes = b"") -> Job:
        """Record a snapshot. Never steps back from a settled status; returns what stands in the ledger now."""

    def note(self, snapshots: Sequence[tuple[Job, bytes]]) -> list[Job]:
        """As `write`, of several snapshots that looks saw, with their replies at once: all are recorded, or none.

        A look ends no call that is under way: a SUBMITTING job stays so. It knows nothing of answers to a window that
        were sent since: one that was accepted stays `answered`, and one that may have been stays UNCONFIRMED.
        Every process sees them at once, and they survive a crash. A power cut may undo the last seconds of them, never
        anything written before something durable: looking again is free and brings them back.
        """

    def job(self, job_id: str) -> Job | None:
        """The job, its dead owner accounted for (SUBMITTING becomes UNCONFIRMED), or None."""

    def find(self, ref: str) -> list[Job]:
        """Jobs that `ref` names: an id, its last 4 or more letters, "last", a key, a remote id, or a saved file.

        Here, in `jobs` and in `read`, one whose row cannot be read any more is told with a notice UNREADABLE, and
        costs the others nothing; every other method raises LedgerError for it.
        """

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
        """Jobs, newest first, without their `raw`.

        text      is searched in the request, case ignored
        provider  only its jobs
        keys      only jobs whose key begins so, refused ones excepted
        """

    def ids(self, status: Sequence[Status]) -> list[str]:
        """The ids of all jobs of these statuses, oldest first: short texts, where `jobs` would be whole ones."""

    def read(self, job_ids: Sequence[str]) -> list[Job]:
        """These jobs as they stand now, in this order, without their `raw`; what is not there is left out."""

    def unsaved(self, complete: Callable[[Job, Sequence[FileRecord]], bool]) -> list[str]:
        """The ids of succeeded jobs with a destination that are not `complete` with their recorded files, oldest first.

        A job that was complete once is not asked about again. However many there are, few are in memory at once.
        """

    def batch(self, name: str) -> dict[str, Any] | None:
        """What `keep_batch` remembered, or None."""

    def keep_batch(self, name: str, document: Mapping[str, Any]) -> None:
        """Remember a batch of this name: plain JSON data, in place of what was known of it."""

    def lease(self, job_ids: Sequence[str], seconds: float) -> list[str]:
        """Of these jobs, those this process may follow now; for the others another living process does."""

    def release(self, job_ids: Sequence[str]) -> None:
        """Give leases back."""

    def destination(self, job_id: str) -> str | None:
        """Where the job's files shall go, as its intent said."""

    def set_destination(self, job_id: str, save_to: str) -> None:
        """Remember where the job's files shall go."""

    def add_files(self, job_id: str, files: Sequence[FileRecord]) -> None:
        """Record saved files; the same path again replaces its record."""

    def files(self, job_id: str) -> list[FileRecord]:
        """The saved files of a job, in the order of their deliverables."""

    def link(self, door: str, sha256: str, now: datetime) -> str | None:
        """The link that content of this hash got at an upload door (its URL), while it is believed to live."""

    def add_link(self, door: str, sha256: str, link: str, now: datetime, until: datetime) -> None:
        """Remember the link of an upload until it is believed dead; links that are dead by then are forgotten."""

    def durations(self, family: str, operation: str, model: str | None, limit: int = 200) -> list[float]:
        """Seconds from submit to success of the latest such jobs, sorted."""

    def close(self) -> None:
        """Let go of the store. Closing twice is fine; using it again opens it again."""


def named(ledger: Ledger, ref: str) -> Job:
    """The one job `ref` names, see `Ledger.find`. Raises ParameterError for none or several, LedgerError."""
    found = ledger.find(expect(ref, str, "the id, key or task of a job as text"))
    if len(found) == 1 or (found and found[0].id == ref):
        if (trouble := unreadable(found[0])) is not None:
            raise trouble
        return found[0]
    if found:
        names = ", ".join(job.id for job in found[:5])
        raise ParameterError(f"{ref!r} names {len(found)} jobs: {names}. Say more letters.")
    raise _unknown(ledger, ref)


def listed(ledger: Ledger, status: Sequence[Status], since: datetime | None, text: str, limit: int | None) -> list[Job]:
    """What a caller asked of `Ledger.jobs`: a lone status, or its word, is one as well. Raises ParameterError."""
    try:
        asked = [Status(word) for word in ((status,) if isinstance(status, str) else status)]
    except ValueError as problem:
        known = ", ".join(Status)
        raise ParameterError(f"status: {problem}; there are: {known}.", field="status") from None
    since = since and expect(since, datetime, "a moment, such as datetime(2026, 11, 22, tzinfo=UTC)")
    return ledger.jobs(status=asked, since=since, text=text, limit=limit)


def unreadable(job: Job) -> LedgerError | None:
    """The error of a job whose row cannot be read any more; None for every other."""
    notice = next((entry for entry in job.warnings if entry.code == UNREADABLE), None)
    if notice is None:
        return None
    task = job.remote_id or ""
    adopt = f"gen302 jobs adopt {shlex.quote(task)} -p {job.provider}  # takes its task in anew, for free; or: "
    return LedgerError(
        f"{job.id}{f' (task {task} at {job.provider})' if task else ''}: {notice.message}",
        billed=job.billed,
        hint=f"{adopt if task else ''}restore the ledger from a backup",
    )


def unrecorded(job: Job, stands: Job) -> bool:
    """Whether a snapshot has the receipt of a paid call that its row still waits for: it could not be written then."""
    if stands.status is not Status.SUBMITTING:
        return False
    if stands.remote_id is not None:  # the answer to a window
        return job.answered and not stands.answered
    return job.remote_id is not None or job.status is Status.UNCONFIRMED or job.status.settled


def _unknown(ledger: Ledger, ref: str) -> ParameterError:
    adopt = "" if ref == "last" else f"gen302 jobs adopt {shlex.quote(ref)} takes in a task that another tool started"
    if not ledger.durable:
        return ParameterError(
            f'There is no job {ref!r} in this process, and with ledger = "{ledger.url}" nothing else is remembered.',
            hint=f"Leave `ledger` at its default, and jobs are found later.{adopt and f' {adopt}.'}",
        )
    if not ledger.jobs(limit=1):
        return ParameterError(
            f"There is no job {ref!r}: nothing was bought yet, the ledger {ledger.url} is empty.",
            hint=f"gen302  # how to begin{adopt and f'; {adopt}'}",
        )
    return ParameterError(f"The ledger has no job {ref!r}.", hint=f"gen302 jobs list{adopt and f'  # {adopt}'}")
