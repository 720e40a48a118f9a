"""Which jobs of the ledger are meant, and what of them is told: filters, one line each, one row of CSV each."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ai302_core._batch import batches
from ai302_core.errors import ParameterError
from ai302_core.jobs import Job, Status

from . import _options
from ._phrases import now

if TYPE_CHECKING:
    from argparse import Namespace

    from ai302_core.ledger import Ledger

    from ._options import Parser

COLUMNS: tuple[str, ...] = ("id", "status", "provider", "family", "operation", "model", "batch", "key", "attempt")
COLUMNS += ("prompt", "cost", "unit", "billed", "created_at", "submitted_at", "finished_at", "remote_id", "parent")
COLUMNS += ("sandbox", "message", "files")

_SINCE = re.compile(r"(\d+)([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def filters(parser: Parser, *, status: bool = True) -> None:
    """--status --since --text --batch --limit; -p is a filter too."""
    if status:
        known = ", ".join(word.value for word in Status)
        parser.add_argument("--status", metavar="S", action="append", default=[], help=known)
    parser.add_argument("--since", metavar="WHEN", help="2h, 3d, or a moment such as 2026-11-21T08:00")
    parser.add_argument("--text", metavar="WORDS", type=_options.text, default="", help="in what was asked")
    parser.add_argument("--batch", metavar="N", type=_options.name, help="rows of this batch")
    parser.add_argument("--limit", metavar="N", type=_options.number, help="at most so many")


def found(options: Namespace, ledger: Ledger, *, status: Sequence[Status] | None = None) -> list[Job]:
    """The jobs the filters mean, newest first. Raises ParameterError, LedgerError."""
    return ledger.jobs(
        status=_statuses(options.status) if status is None else status,
        since=None if options.since is None else moment(options.since),
        text=options.text,
        limit=options.limit,
        provider=options.provider or "",
        keys=batches.prefix(options.batch) if options.batch else "",
    )


def narrowed(options: Namespace) -> bool:
    """Whether any filter was given."""
    return bool(options.status or options.since or options.text or options.batch or options.provider)


def _statuses(words: Sequence[str]) -> list[Status]:
    known = {status.value for status in Status}
    for word in words:
        if word not in known:
            raise ParameterError(f"There is no status {word!r}; there are: {', '.join(sorted(known))}.", field="status")
    return [Status(word) for word in words]


def moment(text: str) -> datetime:
    """What --since says. Raises ParameterError."""
    match = _SINCE.fullmatch(text)
    if match:
        return now() - timedelta(seconds=int(match[1]) * _SECONDS[match[2]])
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ParameterError(f"--since {text}: expected 2h, 3d, or 2026-11-21T08:00.", field="since") from None
    return (at if at.tzinfo else at.astimezone()).astimezone(UTC)


def excerpt(job: Job) -> str:
    """What was asked, on one line."""
    request = job.request
    values: Any = getattr(request, "values", None) or {}
    said = [getattr(request, name, None) or values.get(name) for name in ("action", "prompt")]
    return " ".join(" ".join(str(part) for part in said if part).split())


def words(job: Job, ledger: Ledger) -> str:
    """The same; for a press, with what was asked in the first place."""
    said = [excerpt(job)]
    while job.parent is not None and len(said) < 10:
        parent = ledger.read([job.parent])
        if not parent:
            break
        job = parent[0]
        said.append(excerpt(job))
    return ": ".join(filter(None, said))


def cost(job: Job) -> str:
    """What is known of its cost: the record's word, else the estimate, marked; "" when nothing is."""
    if job.cost.observed is not None:
        return str(job.cost.observed)
    return f"about {job.cost.estimated}" if job.cost.estimated is not None else ""


def table(jobs: Iterable[Job], ledger: Ledger) -> str:
    """The jobs as CSV with a head line; times in UTC, an unknown cost is an empty cell."""
    rows: list[Sequence[Any]] = [COLUMNS]
    for job in jobs:
        paid = job.cost.observed
        values = {
            **{name: getattr(job, name, None) for name in COLUMNS},
            "batch": batches.name_of(job.key),
            "prompt": excerpt(job),
            "cost": None if paid is None else paid.amount,
            "unit": None if paid is None else paid.unit,
            "files": " ".join(file.path for file in ledger.files(job.id)),
        }
        rows.append([values[name] for name in COLUMNS])
    return as_csv(rows)


def as_csv(rows: Iterable[Sequence[Any]]) -> str:
    """The rows as CSV, the first of them its head line."""
    into = io.StringIO()
    csv.writer(into, lineterminator="\n").writerows([_cell(value) for value in row] for row in rows)
    return into.getvalue().rstrip("\n")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    text = str(value)
    # A spreadsheet runs what begins like a formula: prompts and messages are other people's words.
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
