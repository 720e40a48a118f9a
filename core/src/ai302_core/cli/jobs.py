"""The verb jobs: list, show, resume, adopt, reconcile, ask, gallery. Looking opens the ledger and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ai302_core.jobs import Job
from ai302_core.ledger import named, unreadable

from . import _history, _options, _table, _verdict, ask, gallery, reconcile
from ._options import Parser
from ._phrases import now
from ._session import Session, execute

if TYPE_CHECKING:
    from ai302_core.jobs import Outcome
    from ai302_core.ledger import FileRecord

_INNER = ("type", "task", "values", "needs")
_FLAGS = ("--json", "-q", "--quiet", "-v", "--verbose")


def perform(verb: str, arguments: Sequence[str]) -> int:
    """Do `jobs` or one of its own verbs; the exit code."""
    words = list(arguments)
    first = next((position for position, word in enumerate(words) if word not in _FLAGS), 0)
    inner = words.pop(first) if words and not words[first].startswith("-") else "list"
    if inner not in _WORK:
        return execute(verb, _list_parser(), _unknown(inner), [word for word in words if word in _FLAGS])
    parser, work = _WORK[inner]
    return execute(verb if inner in ("list", "show") else f"jobs {inner}", parser(), work, words)


def _unknown(word: str) -> Any:
    def work(session: Session) -> int:
        raise _options.unknown("jobs", word, _WORK)

    return work


def _list_parser() -> Parser:
    parser = Parser(
        "jobs list",
        "The jobs of this computer, newest first. Also: gen302 jobs show|resume|adopt|reconcile|ask|gallery --help",
        (
            "gen302 jobs",
            "gen302 jobs list --status running --status queued --since 2h",
            "gen302 jobs list --batch november --csv > november.csv",
            "gen302 jobs list --text lantern -p hero --json",
        ),
    )
    _history.filters(parser)
    parser.add_argument("--csv", action="store_true", help="as CSV; --json gives lines of JSON")
    _options.common(parser)
    return parser


def _show_parser() -> Parser:
    parser = Parser("jobs show", "Everything the ledger knows of a job.", ("gen302 jobs show last",))
    parser.add_argument("job", metavar="JOB", help=_options.JOB)
    _options.common(parser)
    return parser


def _resume_parser() -> Parser:
    parser = Parser(
        "jobs resume",
        "Finish every open job nobody else follows, and fetch files that never came. Pays for nothing. A file that was "
        "saved is yours: what you move or delete stays so, until gen302 save JOB brings it back.",
        ("gen302 jobs resume", "gen302 jobs resume -o pictures"),
    )
    parser.add_argument(
        "-o", "--out", metavar="DIR|TEMPLATE", type=_options.path, help="for all of them; else where each submit said"
    )
    _options.common(parser)
    return parser


def _adopt_parser() -> Parser:
    parser = Parser(
        "jobs adopt",
        "Take up a task that another tool started, by the gateway's task id. Free.",
        ("gen302 jobs adopt 1320098173412546", "gen302 jobs adopt 1320098173412546 --op video -p hero"),
    )
    parser.add_argument("task", metavar="TASK-ID", type=_options.text)
    parser.add_argument("--op", metavar="NAME", type=_options.text, help="the operation that started it")
    _options.common(parser)
    return parser


def _list(session: Session) -> int:
    ledger = session.ledger
    found = _history.found(session.options, ledger)
    if session.output.as_json:
        for job in found:
            session.output.record(job.to_dict())
    elif session.options.csv:
        session.output.data(_history.table(found, ledger))
    else:
        show_list(session, found)
        if not found:
            none = "No job yet: nothing was bought. `gen302` without a verb says how to begin."
            session.output.say("No such job." if _history.narrowed(session.options) else none)
    troubles = [trouble for job in found if (trouble := unreadable(job)) is not None]
    if troubles:
        more = f" And {len(troubles) - 1} more." if troubles[1:] else ""
        session.output.complain(f"{troubles[0].message}{more}", then=troubles[0].hint)
    return 0


def show_list(session: Session, found: Sequence[Job]) -> None:
    """The table of jobs on stdout."""
    if not found:
        return
    moment = now()
    rows = [("ID", "STATUS", "PROVIDER/OPERATION", "AGE", "PROMPT")]
    for job in found:
        where = f"{job.provider}/{job.operation}"
        asked = "(its row cannot be read)" if unreadable(job) else _history.excerpt(job)
        rows.append((job.id, job.status.value, where, _age((moment - job.created_at).total_seconds()), asked))
    for line in _table.lines(rows):
        session.output.data(line)


def _age(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"


def _show(session: Session) -> int:
    ledger = session.ledger
    job = session.job = named(ledger, session.options.job)
    files = ledger.files(job.id)
    if session.output.as_json:
        session.output.record(_verdict.document(job, [Path(file.path) for file in files], None, 0))
        return 0
    session.output.data("\n".join(f"{name + ':':<13}{value}" for name, value in _told(job, files) if value))
    return 0


def _told(job: Job, files: Sequence[FileRecord]) -> list[tuple[str, str]]:
    times = [("asked", job.created_at), ("submitted", job.submitted_at), ("finished", job.finished_at)]
    percent = "" if job.progress is None or job.status.settled else f" {job.progress:.0%}"
    request = {} if job.request is None else job.request.to_json()
    return [
        ("id", job.id),
        ("key", f"{job.key or ''}{f' (attempt {job.attempt})' if job.attempt > 1 else ''}"),
        ("status", f"{job.status}{percent}"),
        ("message", job.message),
        ("provider", f"{job.provider} ({job.family} {job.operation}, gateway {job.gateway}, {job.base_url})"),
        ("sandbox", "no money was spent" if job.sandbox else ""),
        ("billed", job.billed),
        ("cost", _history.cost(job)),
        ("task", job.remote_id or ""),
        ("request id", job.request_id or ""),
        ("parent", job.parent or ""),
        *((name, "" if at is None else f"{at.astimezone():%Y-%m-%d %H:%M:%S}") for name, at in times),
        *((f"  {name}", str(value)) for name, value in request.items() if name not in _INNER),
        *(("note", notice.message) for notice in job.warnings),
        *((asset.role, asset.url or asset.path or asset.text or "") for asset in job.assets),
        *(("file", file.path) for file in files),
        ("actions", ", ".join(action.name for action in job.actions)),
        ("needs", ", ".join(job.needs)),
    ]


def _resume(session: Session) -> int:
    from . import _together

    codes: list[int] = []

    def tell(outcome: Outcome) -> None:
        if outcome.job is not None:
            session.output.say(f"{outcome.job.id} {outcome.job.status}")
        codes.append(session.tell(outcome.job, outcome.files, outcome.error))

    _together.resumed(session, _options.destination(session.options), tell)
    if not codes:
        session.output.say("There is nothing to resume.")
    return next((code for code in codes if code), _verdict.OK)


def _adopt(session: Session) -> int:
    return reconcile.taken(session, session.provider.adopt(session.options.task, session.options.op))


_WORK = {
    "list": (_list_parser, _list),
    "show": (_show_parser, _show),
    "resume": (_resume_parser, _resume),
    "adopt": (_adopt_parser, _adopt),
    "reconcile": (reconcile.parser, reconcile.perform),
    "ask": (ask.parser, ask.perform),
    "gallery": (gallery.parser, gallery.write),
}
