"""What a settled job means to its caller: a result, or the error its status stands for. Decisions only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ai302_core._accounts import Account
from ai302_core.assets import Asset
from ai302_core.errors import JobCanceled, JobError, JobFailed, JobInputRequired, JobRejected, JobUnconfirmed
from ai302_core.jobs import Job, Notice, Result, Status
from ai302_core.ledger import FileRecord


def result(account: Account, job: Job, files: Sequence[Path] = ()) -> Result:
    """What the job yielded. Raises the JobError that its status stands for."""
    if job.status is Status.SUCCEEDED:
        return Result(job=job, assets=job.assets, files=tuple(files))
    raise problem(account, job)


def problem(account: Account, job: Job) -> JobError:
    """The error a job that did not succeed stands for."""
    reason = job.message or "the service gives no reason"
    if job.status is Status.UNCONFIRMED:
        return JobUnconfirmed(job.message or "Nobody knows whether this was accepted.", job=job, billed="unknown",
                              hint=f"gen302 jobs reconcile {job.id}")  # fmt: skip
    if job.status is Status.INPUT_REQUIRED:
        wants = f" It takes: {', '.join(job.needs)}." if job.needs else ""
        return JobInputRequired(
            f"{job.id} waits for an answer.{wants}", job=job, hint=f"gen302 act {job.id} continue --prompt …"
        )
    if job.status in (Status.CANCELED, Status.ABANDONED):
        return JobCanceled(f"{job.id} was {job.status}.", job=job)
    operation = account.operation(job.operation)
    rejected = operation is not None and any(re.search(text, reason, re.IGNORECASE) for text in operation.rejected)
    kind = JobRejected if rejected else JobFailed
    text = f"{job.id} was {'refused' if job.status is Status.REFUSED else 'accepted and failed'}: {reason}"
    billed = "no" if job.status is Status.REFUSED else "unknown"
    hint = "Change the prompt or the pictures." if rejected else "The same request again: --again with its key."
    return kind(text, job=job, code=job.code, billed=billed, hint=hint)


def complete(job: Job, files: Sequence[FileRecord]) -> bool:
    """Whether every deliverable of a job is recorded as saved."""
    wanted = Result(job=job, assets=job.assets).deliverables
    return {(asset.role, asset.index) for asset in wanted} <= {(file.role, file.index) for file in files}


def saved(result: Result, files: Sequence[Path], notices: Sequence[Notice]) -> Result:
    """The result with where its files are, and what was noticed while saving."""
    job = replace(result.job, warnings=(*result.job.warnings, *notices))
    return replace(result, job=job, files=tuple(files))


def subject(what: Job | Result | Asset) -> tuple[Job | None, tuple[Asset, ...]]:
    """The job to save, or the bare asset."""
    if isinstance(what, Asset):
        return None, (what,)
    job = what.job if isinstance(what, Result) else what
    return job, job.assets
