"""The verb batch: a file of rows, bought once each, however often the command is typed."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ai302_core._batch import batches, tables
from ai302_core._batch.batches import Batch
from ai302_core.errors import ConfigError, ParameterError
from ai302_core.jobs import Job

from . import _options, _requests, _rows
from ._options import Parser
from ._round import Round
from ._rows import Reading
from ._session import Session, execute

# Kept by the ledger with the first run: the first decide what is bought, the others may change freely.
RECIPE: tuple[str, ...] = ("prompt", "op", "model", "ar", "size", "resolution", "duration", "seed", "count", "negative")
RECIPE += ("image", "mask", "first_frame", "last_frame", "set", "extra")
OTHERS = ("out", "only", "no_sidecar", "ignore", "encoding", "max_jobs", "provider", "lenient")


def perform(verb: str, arguments: Sequence[str]) -> int:
    """Do `batch`; the exit code."""
    return execute(verb, _parser(), _batch, arguments)


def _parser() -> Parser:
    parser = Parser(
        "batch",
        "Buy every row of a CSV or JSONL file once, wait, save. Typed again, it finishes what is missing and pays for "
        "nothing twice; the options of the first run are remembered.",
        (
            'gen302 batch skus.csv --prompt "studio photo of {name}" -o "shots/{sku}-{n}"',
            "gen302 batch skus.csv                 (again: finishes the rest)",
            "gen302 batch skus.csv --again failed  (buys those that failed once more)",
            "gen302 batch prompts.jsonl --dry-run",
        ),
    )
    parser.add_argument("file", metavar="FILE", help=".jsonl: an object a line; else CSV with , ; or tab")
    group = parser.add_argument_group("batch")
    group.add_argument(
        "--prompt", metavar="TEMPLATE", type=_options.text, help="with columns in braces; else a column prompt is it"
    )
    group.add_argument("--name", metavar="N", type=_options.text, help="of the batch; the file's name unless given")
    group.add_argument("--max-jobs", metavar="N", type=_options.number, help="buy at most so many, over all runs")
    group.add_argument(
        "--again", choices=("failed", "all"), help="failed: buy those once more; all: buy the whole batch once more"
    )
    group.add_argument("--encoding", metavar="E", help="of the file, such as gb18030; UTF-8 and UTF-16 are found out")
    group.add_argument(
        "--ignore", metavar="COLUMN", action="append", type=_options.text, help="a column that is for nothing here"
    )
    _options.request(parser)
    _options.saving(parser)
    _options.common(parser)
    return parser


def _batch(session: Session) -> int:
    options = session.options
    file = Path(options.file).expanduser().absolute()
    if options.prompt is not None:
        options.prompt = _requests.prompt([options.prompt])
    ledger = session.connection.ledger
    if not ledger.durable:
        raise ConfigError(
            f"A batch needs a ledger that remembers its rows; it is {ledger.url}. Nothing was sent.",
            hint="Leave `ledger` at its default.",
        )
    named = options.name is not None
    name = batches.checked(options.name if named else file.stem)
    known = ledger.batch(name)
    kept = None if known is None else Batch.from_json(known)
    content, encoding, ignored = _content(file), options.encoding, options.ignore or ()
    _remembered(options, kept)
    options.encoding = encoding or tables.still(content, file.name, options.encoding)
    if options.provider is not None and options.provider != session.connection.name:
        session.connect(options.provider)
    session.choose(options.op)
    table = tables.read(content, name=file.name, encoding=options.encoding)
    for column in ignored:  # one that was ignored before may have gone
        if column not in table.columns:
            raise ParameterError(f"--ignore {column}: there is no such column. Nothing was sent.", field="ignore")
    out = _options.absolute(options.out if options.out is not None else name.replace("{", "{{").replace("}", "}}"))
    _options.open_to(out)
    how = _rows.reading(options, session.connection, table, file.parent, out, kept.identity if kept else ())
    jobs = _newest(session.connection.ledger.jobs(keys=batches.prefix(name)))
    wanted = _wanted(options, name, file, how)
    cells = [row.cells for row in table.rows]
    batch = batches.advance(kept, wanted, table.columns, cells, jobs.values(), again_all=options.again == "all")
    if _gone(session, [job for job in jobs.values() if batches.round_of(job) == batch.round]):
        session.output.say(
            "note: the sandbox this batch was begun in has ended; it begins anew. Nothing is paid there."
        )
        batch = replace(batch, round=batch.round + 1)
    rows = dict(zip(batches.keys(batch, cells), table.rows, strict=True))
    if kept is not None and kept.file != batch.file:
        _other_file(session, kept, named, bool(jobs and not jobs.keys() & rows.keys()))
    work = Round(session, batch, how, rows, jobs)
    work.validate()
    if options.dry_run:
        return work.preview()
    ledger.keep_batch(name, batch.to_json())
    return work.run()


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as problem:
        raise ParameterError(f"{file} cannot be read: {problem.strerror}. Nothing was sent.", field="file") from None


def _remembered(options: Namespace, kept: Batch | None) -> None:
    """Fill in what was not typed from the run before; paths become absolute, so that they keep their meaning."""
    for name in ("image", "mask", "first_frame", "last_frame"):
        value = getattr(options, name)
        if value is not None:
            setattr(options, name, [_rows.absolute(entry) for entry in value] if isinstance(value, list)
                    else _rows.absolute(value))  # fmt: skip
    if options.out is not None:
        options.out = _options.absolute(options.out)
    before: Mapping[str, Any] = {} if kept is None else {**kept.recipe, **kept.options}
    for name in (*RECIPE, *OTHERS):
        if not getattr(options, name):
            setattr(options, name, before.get(name))
    options.ignore = options.ignore or []


def _wanted(options: Namespace, name: str, file: Path, how: Reading) -> Batch:
    recipe = {option: getattr(options, option) for option in RECIPE if getattr(options, option)}
    return Batch(
        name=name,
        file=str(file),
        recipe={**recipe, "columns": sorted(how.fields)},
        identity=how.used,
        options={option: getattr(options, option) for option in OTHERS if getattr(options, option)},
    )


def _newest(jobs: Sequence[Job]) -> dict[str, Job]:
    newest: dict[str, Job] = {}
    for job in jobs:
        if job.key is not None and (job.key not in newest or newest[job.key].attempt < job.attempt):
            newest[job.key] = job
    return newest


def _gone(session: Session, jobs: Iterable[Job]) -> bool:
    """Whether rows were bought in a sandbox that is not the one in use: nobody can tell what became of them."""
    sandbox = session.connection.settings.sandbox
    return sandbox is not None and any(job.base_url != sandbox for job in jobs)


def _other_file(session: Session, kept: Batch, named: bool, strange: bool) -> None:
    if strange and not named:
        raise ParameterError(
            f"The batch {kept.name!r} was begun with {kept.file}, and no row of this file belongs to it. Nothing was "
            "sent.",
            hint=f"--name gives this file a batch of its own; --name {kept.name} goes on with that one.",
        )
    session.output.say(f"note: this goes on with the batch {kept.name!r}, last run with {kept.file}")
