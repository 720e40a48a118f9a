"""The observer `logging`: one line of the logger `ai302_core.jobs` for each event; no prompt, no key, no link."""

from __future__ import annotations

import logging

from ai302_core.events import Event, Saved, Settled, Updated, Warned, hookimpl
from ai302_core.jobs import Status

_LOG = logging.getLogger("ai302_core.jobs")
_GOOD = (Status.SUCCEEDED, Status.CANCELED, Status.ABANDONED)


@hookimpl
def ai302_event(event: Event) -> None:
    """Write a line; `extra` carries the job's id, provider, operation and status for structured handlers."""
    job = event.job
    extra = {"job_id": job.id, "provider": job.provider, "operation": job.operation, "status": str(job.status)}
    level, said = logging.INFO, f"{job.status}"
    match event:
        case Warned():
            level, said = logging.WARNING, event.notice.message
        case Saved():
            said = f"{len(event.files)} saved"
        case Settled() if job.status not in _GOOD:
            level, said = logging.ERROR, f"{job.status}: {job.message or 'no reason given'}"
        case Updated():
            level = logging.DEBUG
    kind = type(event).__name__.lower()
    _LOG.log(level, "%s %s/%s %s: %s", job.id, job.provider, job.operation, kind, said, extra=extra)
