"""What a job means to its caller when its wait is over: a result, or the error it stands for. Decisions only."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Container, Sequence
from dataclasses import replace
from itertools import chain, count
from pathlib import Path

from ai302_core import _paths
from ai302_core._accounts import Account
from ai302_core._wire import reading
from ai302_core.assets import Asset
from ai302_core.errors import (
    ConfigError,
    JobCanceled,
    JobError,
    JobFailed,
    JobInputRequired,
    JobRejected,
    JobTimeout,
    JobUnconfirmed,
)
from ai302_core.jobs import Job, Notice, Result, Status
from ai302_core.ledger import FileRecord, unreadable
from ai302_core.requests import ActionRequest, expect


def result(account: Account, job: Job, files: Sequence[Path] = ()) -> Result:
    """What the job yielded. Raises the JobError that its status stands for."""
    if job.status is Status.SUCCEEDED:
        return Result(job=job, assets=job.assets, files=tuple(files))
    raise problem(account, job)


def _option(need: str) -> str:
    """How the command is given what an answer needs."""
    return {"prompt": "--prompt …", "mask": "--mask FILE"}.get(need, f"--set {need}=…")


def problem(account: Account, job: Job) -> JobError:
    """The error a job that did not succeed stands for."""
    reason = job.message or "the service gives no reason"
    if job.status is Status.UNCONFIRMED:
        return JobUnconfirmed(job.message or "Nobody knows whether this was accepted.", job=job, billed="unknown",
                              hint=f"gen302 jobs reconcile {job.id}")  # fmt: skip
    if job.status is Status.INPUT_REQUIRED:
        wants = f" It takes: {', '.join(job.needs)}." if job.needs else ""
        return JobInputRequired(
            f"{job.id} waits for an answer.{wants}",
            job=job,
            hint=" ".join((f"gen302 act {job.id} continue", *(_option(name) for name in job.needs or ("prompt",)))),
        )
    if job.status in (Status.CANCELED, Status.ABANDONED):
        return JobCanceled(f"{job.id} was {job.status}.", job=job)
    operation = account.operation(job.operation)
    rejected = operation is not None and any(re.search(text, reason, re.IGNORECASE) for text in operation.rejected)
    kind = JobRejected if rejected else JobFailed
    text = f"{job.id} was {'refused' if job.status is Status.REFUSED else 'accepted and failed'}: {reason}"
    billed = "no" if job.status is Status.REFUSED else "unknown"
    hint = "Change the prompt or the pictures." if rejected else _once_more(job)
    return kind(text, job=job, code=job.code, billed=billed, hint=hint)


def _once_more(job: Job) -> str:
    """The command that buys the same again."""
    if job.request is None:  # adopted: what it was asked is not known
        return ""
    if isinstance(job.request, ActionRequest):
        # A press is known by its parent, and a dead one is followed by another; a key of the caller's own is used up.
        return f"gen302 act {job.parent} {shlex.quote(job.request.action)}" if job.parent else ""
    key = f" --key {shlex.quote(job.key)} --again" if job.key is not None else ""
    return f"gen302 run --from {job.id}{key}  # buys it once more"


def overdue(account: Account, job: Job, limit: float) -> JobTimeout:
    """The error of a wait of `limit` seconds that is over before the job is."""
    said, limit = _empty_success(account, job), round(limit, 2)
    if said:
        return JobTimeout(
            f"{account.name} says that {job.id} is done, but gave no file within {limit:g} s ({said}). "
            "It is paid, and stays open: a file may come late.",
            job=job,
            hint=f"gen302 wait {job.id}  # looks again, for free; gen302 jobs reconcile {job.id} --abandon gives it up",
        )
    return JobTimeout(
        f"{job.id} is still {job.status} after {limit:g} s. It lives on{' and is paid' if job.remote_id else ''}.",
        job=job,
        billed=job.billed if job.remote_id else "unknown",
        hint=f"gen302 wait {job.id}",
    )


def _empty_success(account: Account, job: Job) -> str:
    """What stood in the last reply where files belong, if that reply said success; else ""."""
    operation = account.operation(job.operation)
    lacks = job.status is Status.RUNNING and any(notice.code == "no_file" for notice in job.warnings)
    if operation is None or not lacks:
        return ""
    found, word = reading.state(job.raw, 200, operation.states)
    if found is not Status.SUCCEEDED:
        return ""
    places = [path for rule in operation.assets for path in rule.paths]
    held = [(path, value) for path in places for value in _paths.values(job.raw, path)][:3]
    shown = [f"{path}: {json.dumps(value, ensure_ascii=False)[:80]}" for path, value in held]
    return f"last it said {word!r}, with {', '.join(shown) or 'nothing where its files belong'}"


def unowned(job: Job, taken: Container[str]) -> ConfigError:
    """The error for a job at whose address no configured provider is; `taken` are the names of those that are."""
    if job.sandbox:
        return ConfigError(
            f"{job.id} was made in a sandbox at {job.base_url}, which is not the one in use. It cost no money.",
            hint="A sandbox takes its jobs with it when it ends; saved files stay. Make it again.",
        )
    names = chain([job.provider], (f"{job.provider}_{number}" for number in count(2)))
    return ConfigError(
        f"No configured provider of {job.family} is at {job.base_url}, where job {job.id} lives.",
        billed=job.billed,
        hint=f"[providers.{next(name for name in names if name not in taken)}] in gen302.toml: "
        f'family = "{job.family}", gateway = "{job.gateway}", base_url = "{job.base_url}"',
    )


def complete(job: Job, files: Sequence[FileRecord]) -> bool:
    """Whether every deliverable of a job is recorded as saved; what those of an unreadable one are, nobody knows."""
    wanted = Result(job=job, assets=job.assets).deliverables
    known = {(asset.role, asset.index) for asset in wanted} <= {(file.role, file.index) for file in files}
    return known and unreadable(job) is None


def saved(result: Result, files: Sequence[Path], notices: Sequence[Notice]) -> Result:
    """The result with where its files are, and what was noticed while saving."""
    job = replace(result.job, warnings=(*result.job.warnings, *notices))
    return replace(result, job=job, files=tuple(files))


def subject(what: Job | Result | Asset) -> tuple[Job | None, tuple[Asset, ...]]:
    """The job to save, or the bare asset."""
    if isinstance(what, Asset):
        return None, (what,)
    job = what.job if isinstance(what, Result) else what
    return job, expect(job, Job, "a job, a result or an asset").assets


def kind_of(asset: Asset) -> str:
    """What kind of file it is to open. Raises ParameterError for what is no asset."""
    return expect(asset, Asset, "an asset, such as result.images[0]").kind
