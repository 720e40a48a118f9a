"""The verbs that follow: wait, save, cancel."""

from __future__ import annotations

from collections.abc import Sequence

from ai302_core.errors import Ai302Error
from ai302_core.jobs import Job, Result, Status

from . import _ending, _options, _verdict
from ._options import Parser
from ._session import Session, execute


def perform(verb: str, arguments: Sequence[str]) -> int:
    """Do one of this module's verbs; the exit code."""
    parser, work = {"wait": (_wait_parser, _wait), "save": (_save_parser, _save), "cancel": (_cancel_parser, _cancel)}[
        verb
    ]
    return execute(verb, parser(), work, arguments)


def _wait_parser() -> Parser:
    parser = Parser(
        "wait",
        "Follow jobs until they settle; put the files where the submit said.",
        ("gen302 wait last", "gen302 wait k3v9 --timeout 50", "gen302 wait last --timeout 0      (looks once)"),
    )
    _jobs(parser)
    parser.add_argument("--timeout", metavar="S", type=_options.seconds, help="seconds; 0 looks once")
    _options.common(parser)
    return parser


def _save_parser() -> Parser:
    parser = Parser(
        "save",
        "Put the files of finished jobs on disk; again is free. Without -o where the submit said, else here.",
        ("gen302 save last -o pictures", "gen302 save k3v9 --only grid --no-sidecar"),
    )
    _jobs(parser)
    _options.saving(parser)
    _options.common(parser)
    return parser


def _cancel_parser() -> Parser:
    parser = Parser(
        "cancel",
        "Ask the service to stop. What was billed until then, the service's own records tell.",
        ("gen302 cancel last",),
    )
    _jobs(parser)
    _options.common(parser)
    return parser


def _jobs(parser: Parser) -> None:
    parser.add_argument("jobs", metavar="JOB", nargs="+", help=_options.JOB)


def _wait(session: Session) -> int:
    from ._together import wait_for

    return wait_for(session, session.options.jobs)


def _save(session: Session) -> int:
    def save(job: Job) -> int:
        out = _options.destination(session.options)
        if job.status is Status.SUCCEEDED:
            return _ending.told(session, _ending.saved(session, Result(job=job, assets=job.assets), out))
        job = session.job = session.provider.poll(job)
        if not job.status.settled and job.status is not Status.UNCONFIRMED:
            return session.tell(job, error=_unfinished(job), code=_verdict.RUNNING)
        result = session.provider.wait(job, timeout=0)
        session.job = result.job
        return _ending.told(session, _ending.saved(session, result, out))

    return _ending.each(session, session.options.jobs, save)


def _unfinished(job: Job) -> Ai302Error:
    return Ai302Error(
        f"{job.id} is still {job.status}; there are no files yet.", billed=job.billed, hint=f"gen302 wait {job.id}"
    )


def _cancel(session: Session) -> int:
    def cancel(job: Job) -> int:
        if job.status.settled:
            session.output.say(f"{job.id} is {job.status} already.")
            return session.tell(job)
        after = session.job = session.provider.cancel(job)
        code = _verdict.OK if after.status.settled else _verdict.RUNNING
        asked = "" if after.status.settled else " still; it was asked to stop"
        session.output.say(f"{after.id} is {after.status}{asked}.")
        if after.status is Status.SUCCEEDED:
            session.output.say(f"Next: {session.typed(f'gen302 save {after.id}')}")
        return session.tell(after, code=code)

    return _ending.each(session, session.options.jobs, cancel)
