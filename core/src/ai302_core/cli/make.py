"""The verbs that pay: run, submit, act."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ai302_core import _policies
from ai302_core._flows import acting
from ai302_core._steps import Call, Sleep
from ai302_core.errors import ConfigError, ParameterError
from ai302_core.jobs import Job, Preview

from . import _again, _options, _requests
from ._ending import each, finish, told
from ._options import Parser
from ._phrases import unsent
from ._progress import Watching, watching
from ._session import Session, execute

SENDING = "sending; Ctrl-C is held until the answer is here"
UPLOADING = "uploading a file"
WHOLE = "seconds until it is done, a busy service included"


def perform(verb: str, arguments: Sequence[str]) -> int:
    """Do one of this module's verbs; the exit code."""
    work = {"run": _run, "submit": _submit, "act": _act}[verb]
    return execute(verb, _PARSERS[verb](), work, arguments)


def _run_parser() -> Parser:
    parser = Parser(
        "run",
        "Buy, wait, save the files.",
        (
            'gen302 run "a paper lantern over a canal" --ar 3:2 -o pictures',
            'gen302 run "make it night" --image lantern.png -o "{date}/{id}-{n}" --key lantern-night',
            "gen302 run --op describe --image lantern.png",
            "gen302 run @prompt.txt --dry-run",
            'gen302 run "the same at night" --from last --ar 16:9',
        ),
    )
    _asking(parser)
    _options.saving(parser)
    parser.add_argument("--timeout", metavar="S", type=_options.seconds, help=WHOLE)
    _options.common(parser)
    return parser


def _submit_parser() -> Parser:
    parser = Parser(
        "submit",
        "Buy, and return as soon as it is accepted. The job's id is on stdout.",
        (
            'gen302 submit "a paper lantern" --key lantern -o pictures',
            "echo a paper lantern | gen302 submit - --json",
            "gen302 wait last",
        ),
    )
    _asking(parser)
    parser.add_argument(
        "-o", "--out", metavar="DIR|TEMPLATE", type=_options.path, help="where a later wait or resume puts the files"
    )
    parser.add_argument(
        "--timeout", metavar="S", type=_options.seconds, default=60.0, help="seconds to wait for a busy gateway"
    )
    _options.common(parser)
    return parser


def _asking(parser: Parser) -> None:
    parser.add_argument("prompt", metavar="PROMPT", nargs="*", type=_options.text, help=_options.PROMPT)
    parser.add_argument(
        "--from", dest="source", metavar="JOB|SIDECAR", help="the request of an earlier job, with what is said anew"
    )
    _options.request(parser)
    _options.intention(parser)
    _options.callback(parser)


def _act_parser() -> Parser:
    parser = Parser(
        "act",
        "Press a button of a finished job, or answer one that waits for input; wait, save the files.",
        (
            "gen302 jobs show last            (lists the actions it offers)",
            "gen302 act last upscale-2 -o pictures",
            "gen302 act k3v9 vary-region --mask mask.png --prompt 'a red door'",
            "gen302 act last continue --prompt 'a wider view'",
            "gen302 act last imagine-all      (one press, four jobs)",
        ),
    )
    parser.add_argument("job", metavar="JOB", help=_options.JOB)
    parser.add_argument("action", metavar="ACTION", type=_options.text, help='a name or label: "upscale-2", "U2"')
    parser.add_argument("--prompt", metavar="TEXT", type=_options.text, help="new words, where the action takes them")
    parser.add_argument("--mask", metavar="FILE", help="white = repaint")
    _options.fields(parser)
    parser.add_argument("--key", metavar="K", type=_options.text, help="your name for it: never paid twice")
    _options.callback(parser)
    parser.add_argument("--no-wait", action="store_true", help="return as soon as it is accepted")
    parser.add_argument("--timeout", metavar="S", type=_options.seconds, help=WHOLE)
    _options.saving(parser)
    _options.common(parser)
    return parser


_PARSERS = {"run": _run_parser, "submit": _submit_parser, "act": _act_parser}


def _run(session: Session) -> int:
    options = session.options
    request = _again.requested(session)
    if options.dry_run:
        return _preview(session, session.provider.dry_run(request, lenient=options.lenient, webhook=options.webhook))
    out = _options.open_to(_options.absolute(options.out or "."))
    with buying(session) as watch:
        with session.pays():
            session.job = session.provider.submit(
                request, key=options.key, again=options.again, lenient=options.lenient,
                timeout=_policies.busy(session.patience.left()), save_to=out, webhook=options.webhook,
            )  # fmt: skip
        result = finish(session, session.job, watch, out)
    return told(session, result)


def _submit(session: Session) -> int:
    options = session.options
    request = _again.requested(session)
    if options.dry_run:
        return _preview(session, session.provider.dry_run(request, lenient=options.lenient, webhook=options.webhook))
    ledger = session.connection.ledger
    if not ledger.durable:
        raise ConfigError(
            f"Nobody could wait for this job: the ledger is {ledger.url}, and forgets it. Nothing was sent.",
            hint="Leave `ledger` at its default, or let gen302 run wait for it.",
        )
    out = _options.destination(options)
    if out is not None:
        _options.open_to(out)
    with buying(session), session.pays():
        session.job = session.provider.submit(
            request, key=options.key, again=options.again, lenient=options.lenient, timeout=options.timeout,
            save_to=out, webhook=options.webhook,
        )  # fmt: skip
    return accepted(session, session.job)


def _act(session: Session) -> int:
    options = session.options
    parent = session.provider.job(options.job)
    fields = _answers(session, parent)
    out = _options.open_to(_options.absolute(options.out or "."))
    keep = out if not options.no_wait or options.out is not None else None
    terms = {"key": options.key, "timeout": _policies.busy(session.patience.left()), "save_to": keep,
             "webhook": options.webhook}  # fmt: skip
    if options.action != "continue" and (action := acting.chosen(parent, options.action)).jobs > 1:
        if fields:
            raise ParameterError(f"{action.name} takes no {next(iter(fields))}. Nothing was sent.")
        return _act_all(session, parent, terms)
    with buying(session) as watch:
        with session.pays():
            session.job = session.provider.act(parent, options.action, **terms, **fields)
        result = None if options.no_wait else finish(session, session.job, watch, out)
    return accepted(session, session.job) if result is None else told(session, result)


def _act_all(session: Session, parent: Job, terms: dict[str, Any]) -> int:
    options = session.options
    session.goes_on = "gen302 jobs resume"
    with buying(session), session.pays():
        jobs = session.provider.act_all(parent, options.action, **terms)
    if options.no_wait:
        return each(session, jobs, lambda job: accepted(session, job))
    session.output.say(f"{len(jobs)} jobs: {' '.join(job.id for job in jobs)}")
    from ._together import wait_for  # a loop and all that goes with it

    return wait_for(session, jobs)


@contextmanager
def buying(session: Session) -> Iterator[Watching]:
    """As `watching`, told as well when something is sent: nothing is while a request is being checked."""
    with watching(session) as watch:

        def sending(step: Call | Sleep) -> None:
            if isinstance(step, Sleep):
                watch.waits(unsent(step))
            else:
                watch.stage(UPLOADING if step.purpose == "upload" else SENDING)

        session.connection.sending = sending
        yield watch


def _answers(session: Session, job: Job) -> dict[str, Any]:
    """The fields of a press, those of --set typed by the request of the action's operation."""
    options = session.options
    settings = _requests.pairs(options.set, "--set FIELD=VALUE")
    fields: dict[str, Any] = {}
    if settings:
        operation = session.connection.owning(job).operation(acting.chosen(job, options.action).operation)
        if operation is not None:
            fields = _requests.typed(operation.request, settings)
    for name in ("prompt", "mask"):
        if getattr(options, name) is not None:
            fields[name] = getattr(options, name)
    return fields


def accepted(session: Session, job: Job) -> int:
    """Tell that a job was accepted: its id is the data."""
    code = session.tell(job)
    if not session.output.as_json:
        session.output.data(job.id)
    verb = "save" if job.status.settled else "wait"
    session.output.say(f"Next: {session.typed(f'gen302 {verb} {job.id}')}")
    return code


def _preview(session: Session, preview: Preview) -> int:
    if session.output.as_json:
        return session.tell(None, request=_document(preview), uploads=[_document(entry) for entry in preview.uploads])
    for entry in (*preview.uploads, preview):
        lines = [f"{entry.method} {entry.url}", *(f"{name}: {value}" for name, value in entry.headers.items())]
        session.output.data("\n".join(lines))
        if entry.body is not None:
            session.output.data("\n" + json.dumps(_short(entry.body), ensure_ascii=False, indent=2))
        if entry is not preview:
            session.output.data("")
    for notice in preview.warnings:
        session.output.say(f"note: {notice.message}")
    session.output.say("Nothing was sent.")
    return 0


def _document(preview: Preview) -> dict[str, Any]:
    headers = dict(preview.headers)
    return {"method": preview.method, "url": preview.url, "headers": headers, "body": preview.body}


def _short(body: Any) -> Any:
    """The body with picture content cut short: a person reads this; --json has it whole."""
    if isinstance(body, dict):
        return {name: _short(value) for name, value in body.items()}
    if isinstance(body, list):
        return [_short(value) for value in body]
    if isinstance(body, str) and body.startswith("data:") and len(body) > 100:
        return f"{body[:60]}... ({len(body)} characters)"
    return body
