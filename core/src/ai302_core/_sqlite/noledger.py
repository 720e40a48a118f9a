"""`ledger = "off"`: remembers this process's open jobs, last minute and uploads, so that its limits hold."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ai302_core.errors import ConfigError
from ai302_core.jobs import Job, Status
from ai302_core.ledger import Claim, FileRecord, Intent

from .rows import caught_up, words

_OVER = 10_000
"""Settled jobs whose names are kept, so that no older snapshot of one opens it again, with their destinations.

An open one is never forgotten, whoever else may follow it: it is paid for.
"""

_BUSY = frozenset({Status.SUBMITTING, Status.QUEUED, Status.RUNNING})


class NoLedger:
    """See `ledger.Ledger` for what its methods promise; a settled job is forgotten, and keys name nothing."""

    durable = False
    url = "off"

    def __init__(self, results: Path) -> None:
        self.results = results
        self._destinations: dict[str, str] = {}
        self._links: dict[tuple[str, str], tuple[str, datetime, datetime]] = {}
        self.forget()
        _ALL.add(self)

    def forget(self) -> None:
        """After a fork: the open jobs are the parent's."""
        self._lock = threading.Lock()
        self._open: dict[str, Job] = {}
        self._once: dict[str, str] = {}
        self._over: dict[str, None] = {}
        self._begun: dict[str, tuple[str, datetime]] = {}

    def find_key(self, key: str, digest: str) -> Claim | None:
        return None

    def claim(self, intent: Intent) -> Claim:
        limits, job = intent.limits, intent.job
        if limits.max_jobs is not None:
            raise ConfigError(
                "A budget needs a ledger that counts, and it is off. Nothing was sent.",
                hint="Leave `ledger` at its default, or remove max_jobs under [budget] in gen302.toml.",
            )
        oldest = job.created_at - timedelta(seconds=limits.stale_after)
        with self._lock:
            first = self._open.get(self._once.get(intent.digest, "")) if intent.once else None
            if first is not None:
                return Claim(job=first, owned=first.status is Status.SUBMITTING)
            if limits.concurrent is not None:
                busy = [
                    entry
                    for entry in self._open.values()
                    if entry.provider == job.provider and entry.status in _BUSY and entry.created_at > oldest
                ]
                if len(busy) >= limits.concurrent:
                    return Claim(job=None, waiting=True)
            if limits.per_minute is not None:
                minute = job.created_at - timedelta(seconds=60)
                self._begun = {name: entry for name, entry in self._begun.items() if entry[1] > minute}
                if sum(provider == job.provider for provider, _ in self._begun.values()) >= limits.per_minute:
                    return Claim(job=None, waiting=True)
                self._begun[job.id] = job.provider, job.created_at
            self._open[job.id] = job
            if intent.once:
                self._once[intent.digest] = job.id
        if intent.save_to is not None:
            self.set_destination(job.id, intent.save_to)
        return Claim(job=job, fresh=True)

    def reopen(self, job_id: str, expected: Status) -> bool:
        with self._lock:
            job = self._open.get(job_id)
            if job is None or job.status is not expected or expected is Status.SUBMITTING:
                return False
            self._open[job_id] = replace(job, status=Status.SUBMITTING)
            return True

    def write(self, job: Job, reply: bytes = b"") -> Job:
        with self._lock:
            if job.status is Status.REFUSED:
                self._begun.pop(job.id, None)
            if job.status.settled:
                self._open.pop(job.id, None)
                self._once = {digest: entry for digest, entry in self._once.items() if entry != job.id}
                self._over[job.id] = None
                if len(self._over) > _OVER:
                    oldest = next(iter(self._over))
                    del self._over[oldest]
                    self._destinations.pop(oldest, None)
            elif job.id not in self._over:
                self._open[job.id] = job
        return job

    def note(self, snapshots: Sequence[tuple[Job, bytes]]) -> list[Job]:
        return [self._noted(job, reply) for job, reply in snapshots]

    def _noted(self, job: Job, reply: bytes) -> Job:
        stands = self._open.get(job.id)
        if stands is None:
            return self.write(job, reply)
        seen = caught_up(job, stands)
        return stands if seen is None else self.write(seen, reply)

    def job(self, job_id: str) -> Job | None:
        return self._open.get(job_id)

    def find(self, ref: str) -> list[Job]:
        jobs = self.jobs()
        if ref == "last":
            return jobs[:1]
        exact = [job for job in jobs if ref in (job.id, job.remote_id)]
        return exact or [job for job in jobs if len(ref) >= 4 and job.id.lower().endswith(ref.lower())]

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
        with self._lock:
            jobs = list(self._open.values())
        chosen = [
            job
            for job in reversed(jobs)
            if (not status or job.status in status)
            and (since is None or job.created_at >= since)
            and (not provider or job.provider == provider)
            and (job.key or "").startswith(keys)
            and text.casefold() in words(job.to_dict().get("request", {}))
        ]
        return sorted(chosen, key=lambda job: job.created_at, reverse=True)[:limit]

    def ids(self, status: Sequence[Status]) -> list[str]:
        return [job.id for job in reversed(self.jobs(status=status))]

    def read(self, job_ids: Sequence[str]) -> list[Job]:
        return [job for job in map(self._open.get, job_ids) if job is not None]

    def unsaved(self, complete: Callable[[Job, Sequence[FileRecord]], bool]) -> list[str]:
        return []

    def batch(self, name: str) -> dict[str, Any] | None:
        return None

    def keep_batch(self, name: str, document: Mapping[str, Any]) -> None:
        """Nothing is remembered."""

    def lease(self, job_ids: Sequence[str], seconds: float) -> list[str]:
        return list(job_ids)

    def release(self, job_ids: Sequence[str]) -> None:
        """Nobody else knows these jobs."""

    def destination(self, job_id: str) -> str | None:
        return self._destinations.get(job_id)

    def set_destination(self, job_id: str, save_to: str) -> None:
        with self._lock:
            if job_id in self._open or job_id in self._over:  # of a stranger nothing else is remembered either
                self._destinations[job_id] = save_to

    def add_files(self, job_id: str, files: Sequence[FileRecord]) -> None:
        """The files are on the disk; nothing else is remembered of them."""

    def files(self, job_id: str) -> list[FileRecord]:
        return []

    def link(self, door: str, sha256: str, now: datetime) -> str | None:
        link, since, until = self._links.get((door, sha256), ("", now, now))
        return link if since <= now < until else None

    def add_link(self, door: str, sha256: str, link: str, now: datetime, until: datetime) -> None:
        with self._lock:
            self._links = {name: entry for name, entry in self._links.items() if entry[2] > now}
            self._links[door, sha256] = link, now, until

    def durations(self, family: str, operation: str, model: str | None, limit: int = 200) -> list[float]:
        return []

    def close(self) -> None:
        """There is nothing to let go of."""


_ALL: weakref.WeakSet[NoLedger] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for ledger in list(_ALL):
        ledger.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
