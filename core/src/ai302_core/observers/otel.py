"""The observer `otel` (extra [otel]): a span and a duration for each settled job, by OpenTelemetry's GenAI conventions.

Attributes as the semantic conventions for generative AI name them (development status, 2026-11-21). The span begins
when the job was made and ends when it settled, whichever process saw that. No prompt is recorded.
"""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlsplit

from opentelemetry import metrics, trace
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from ai302_core.events import Event, Settled, Warned, hookimpl
from ai302_core.jobs import Job
from ai302_core.jobs import Status as JobStatus

_BUCKETS = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 1280.0)
_GOOD = (JobStatus.SUCCEEDED, JobStatus.CANCELED, JobStatus.ABANDONED)


@hookimpl
def ai302_event(event: Event) -> None:
    """Record a settled job; count a warning."""
    if isinstance(event, Warned):
        counter = metrics.get_meter("ai302_core").create_counter("ai302.job.warnings", unit="{warning}")
        counter.add(1, {**_attributes(event.job), "ai302.warning": event.notice.code})
    elif isinstance(event, Settled):
        _record(event.job)


def _record(job: Job) -> None:
    attributes = _attributes(job)
    end = job.finished_at or job.created_at
    span = trace.get_tracer("ai302_core").start_span(
        f"generate_content {job.model or job.family}",
        kind=SpanKind.CLIENT,
        start_time=_nanoseconds(job.created_at),
        attributes={**attributes, **_details(job)},
    )
    if job.status not in _GOOD:
        span.set_status(Status(StatusCode.ERROR, job.message[:200]))
    span.end(end_time=max(_nanoseconds(end), _nanoseconds(job.created_at)))
    histogram = metrics.get_meter("ai302_core").create_histogram(
        "gen_ai.client.operation.duration",
        unit="s",
        description="GenAI operation duration.",
        explicit_bucket_boundaries_advisory=_BUCKETS,
    )
    histogram.record(max(0.0, (end - job.created_at).total_seconds()), attributes)


def _attributes(job: Job) -> dict[str, AttributeValue]:
    """What few values tell apart: for metrics and spans."""
    parts = urlsplit(job.base_url)
    found: dict[str, AttributeValue] = {
        "gen_ai.operation.name": "generate_content",
        "gen_ai.provider.name": job.family,
        "gen_ai.request.model": job.model or job.family,
        "ai302.operation": job.operation,
        "ai302.sandbox": job.sandbox,
    }
    if parts.hostname:
        found["server.address"] = parts.hostname
        found["server.port"] = parts.port or (443 if parts.scheme == "https" else 80)
    if job.status not in _GOOD and job.status.settled:
        found["error.type"] = job.code or str(job.status)
    return found


def _details(job: Job) -> dict[str, AttributeValue]:
    """What is different for each job: for spans alone."""
    found: dict[str, AttributeValue] = {"ai302.job.id": job.id, "ai302.job.status": str(job.status)}
    kinds = sorted({asset.kind for asset in job.assets})
    if kinds:
        found["gen_ai.output.type"] = kinds[0] if len(kinds) == 1 else ",".join(kinds)
    if job.remote_id:
        found["gen_ai.response.id"] = job.remote_id
    seed, count = getattr(job.request, "seed", None), getattr(job.request, "count", None)
    if seed is not None:
        found["gen_ai.request.seed"] = seed
    if count is not None:
        found["gen_ai.request.choice.count"] = count
    return found


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1000
