"""The verb jobs reconcile: what became of submits that were never answered, and what each answer costs."""

from __future__ import annotations

from ai302_core.errors import Ai302Error, JobUnconfirmed, ParameterError
from ai302_core.jobs import Job, Status

from . import _history, _options, _verdict
from ._options import Parser
from ._session import Session

WAYS = (
    ("--found TASK-ID", "it became that task: followed from there, nothing more is paid"),
    ("--resubmit", "it was never accepted: bought again. If it was accepted after all, it is paid twice"),
    ("--abandon", "given up: nothing is sent, and it may have been billed all the same"),
)


def parser() -> Parser:
    """Its options."""
    parser = Parser(
        "jobs reconcile",
        "Settle unconfirmed jobs, whose submits were never answered. Looks each up where the service keeps a list; "
        "never buys unless told to. Without JOB: all of them.",
        (
            "gen302 jobs reconcile",
            "gen302 jobs reconcile k3v9 --found 1320098173412546",
            "gen302 jobs reconcile k3v9 --abandon",
        ),
    )
    parser.add_argument("job", metavar="JOB", nargs="?", help=_options.JOB)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--found", metavar="TASK-ID", type=_options.text, help="it was accepted as this task; free")
    how.add_argument("--resubmit", action="store_true", help="it is not there: buy it again; twice, if it is after all")
    how.add_argument("--abandon", action="store_true", help="give it up; it may have been billed all the same")
    _options.callback(parser)
    _options.common(parser)
    return parser


def perform(session: Session) -> int:
    """Settle what is named, or look up whatever is unconfirmed; 7 while a job stays so."""
    options = session.options
    said = options.found is not None or options.resubmit or options.abandon
    if options.job is not None:
        job = session.job = session.provider.job(options.job)
        return _settled(session, job) if said else _looked_up(session, job)
    if said:
        raise ParameterError(
            "--found, --resubmit and --abandon settle one job; name it. Nothing was sent.", hint="gen302 jobs reconcile"
        )
    codes: list[int] = []
    for job in session.provider.jobs(status=(Status.UNCONFIRMED,)):
        try:
            codes.append(_looked_up(session, job))
        except Ai302Error as problem:  # the others may be found all the same
            codes.append(session.tell(job, error=problem))
    if not codes:
        session.output.say("Every job is settled or followed: nothing is unconfirmed.")
    return next((code for code in codes if code), _verdict.OK)


def _settled(session: Session, job: Job) -> int:
    options = session.options
    with session.pays():
        after = session.provider.reconcile(
            job,
            remote_id=options.found,
            resubmit=options.resubmit,
            abandon=options.abandon,
            webhook=options.webhook,
        )
    if options.resubmit and after.id == job.id:
        session.output.say(f"The service lists it as task {after.remote_id}: it was accepted, so nothing was sent.")
    return taken(session, after)


def _looked_up(session: Session, job: Job) -> int:
    sent = job.submitted_at or job.created_at
    about = f" {_history.excerpt(job)}" if job.request is not None else ""
    session.output.say(f"{job.id} {job.provider}/{job.operation} of {sent.astimezone():%Y-%m-%d %H:%M:%S}{about}")
    try:
        found = session.provider.reconcile(job)
    except JobUnconfirmed as unknown:
        code = session.tell(job, error=unknown)
        for way, meaning in WAYS:
            session.output.say(f"    gen302 jobs reconcile {job.id} {way}\n        {meaning}")
        return code
    session.output.say(f"Found as task {found.remote_id}: it was accepted once and is followed; nothing more is paid.")
    return taken(session, found)


def taken(session: Session, job: Job) -> int:
    """Tell where a job stands, and the next command."""
    session.job = job
    code = session.tell(job)
    session.output.say(f"{job.id} is {job.status}.")
    if not session.output.as_json:
        session.output.data(job.id)
    if not job.status.settled:
        session.output.say(f"Next: {session.typed(f'gen302 wait {job.id}')}")
    elif job.status is Status.SUCCEEDED:
        session.output.say(f"Next: {session.typed(f'gen302 save {job.id}')}")
    return code
