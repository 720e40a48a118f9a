"""The one JSON file a job leaves beside its files: what was asked, what came, and their hashes. Never a key."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ai302_core._version import VERSION
from ai302_core.assets import to_iso
from ai302_core.jobs import Job
from ai302_core.ledger import FileRecord

from .writing import place, replace

__all__ = ["document", "keep"]


def document(job: Job, files: Sequence[FileRecord]) -> dict[str, Any]:
    """The sidecar's content as plain JSON data."""
    request = job.request.to_json() if job.request is not None else None
    values: dict[str, Any] = {
        "v": 1,
        "job": job.id,
        "key": job.key,
        "attempt": job.attempt,
        "remote_id": job.remote_id,
        "request_id": job.request_id,
        "parent": job.parent,
        "provider": job.provider,
        "family": job.family,
        "operation": job.operation,
        "gateway": job.gateway,
        "base_url": job.base_url,
        "sandbox": job.sandbox,
        "model": job.model or (request or {}).get("model"),
        "seed": (request or {}).get("seed"),
        "request": request,
        "files": [_file(entry) for entry in files],
        "billed": job.billed,
        "created_at": to_iso(job.created_at),
        "submitted_at": to_iso(job.submitted_at),
        "started_at": to_iso(job.started_at),
        "finished_at": to_iso(job.finished_at),
        "warnings": [{"code": entry.code, "message": entry.message} for entry in job.warnings],
        "versions": {"ai302-core": VERSION},
    }
    return {name: value for name, value in values.items() if value not in (None, "", [])}


def _file(record: FileRecord) -> dict[str, Any]:
    told: dict[str, Any] = {
        name: record.asset[name] for name in ("media_type", "width", "height") if name in record.asset
    }
    return {
        "name": Path(record.path).name,
        "kind": record.asset.get("kind"),
        "role": record.role,
        "index": record.index,
        "sha256": record.sha256,
        "size": record.size,
        **told,
    }


def keep(job: Job, files: Sequence[FileRecord]) -> Path | None:
    """Write the job's sidecar beside the first of `files`, or bring up to date the one that is there.

    files  the job's saved files in one folder, in order
    """
    if not files:
        return None
    content = json.dumps(document(job, files), ensure_ascii=False, indent=2).encode("utf-8", "replace") + b"\n"
    for entry in files:
        there = Path(entry.path).with_suffix(".json")
        if _belongs(there, job):
            if there.read_bytes() != content:
                replace(there, content)
            return there
    for name in _names(Path(files[0].path)):
        if place(name, content):
            return name
        if _belongs(name, job):
            replace(name, content)
            return name
    return None


def _names(first: Path) -> Iterator[Path]:
    yield first.with_suffix(".json")
    for number in range(2, 1000):
        yield first.with_name(f"{first.stem}-{number}.json")


def _belongs(path: Path, job: Job) -> bool:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("job") == job.id and "files" in found
