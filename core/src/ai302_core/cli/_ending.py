"""How a verb ends that follows a job: wait for it, save its files, tell it; one job after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ai302_core._flows import outcomes, settling
from ai302_core.errors import Ai302Error
from ai302_core.jobs import Job, Result
from ai302_core.ledger import named

from . import _thumbnail, _verdict

if TYPE_CHECKING:
    from ._progress import Watching
    from ._session import Session


def each(session: Session, jobs: Iterable[Job | str], work: Callable[[Job], int]) -> int:
    """Do the work for every job, an error of one told and the next one done; the first code that is not 0."""
    codes: list[int] = []
    for entry in jobs:
        session.job = None
        try:
            session.job = entry if isinstance(entry, Job) else named(session.ledger, entry)
            codes.append(work(session.job))
        except Ai302Error as error:
            codes.append(session.tell(getattr(error, "job", None) or session.job, error=error))
    return next((code for code in codes if code), _verdict.OK)


def finish(session: Session, job: Job, watch: Watching, out: str | None) -> Result:
    """Wait for a job and save its files where `out` says (None: nowhere). Raises as `Provider.wait` and `save`."""
    watch(job)
    result = session.provider.wait(job, timeout=session.patience.left(), on_update=_kept(session, watch))
    session.job = result.job
    watch(result.job)
    if out is not None:
        watch.stage("saving")
        result = saved(session, result, out)
    return result


def _kept(session: Session, watch: Watching) -> Any:
    def update(job: Job) -> None:
        session.job = job
        watch(job)

    return update


def saved(session: Session, result: Result, out: str | None) -> Result:
    """The result with its files on disk; None: where the intent said. Raises DownloadError."""
    options = session.options
    flow = settling.save(
        result.job,
        out,
        roles=getattr(options, "only", None),
        sidecar=not getattr(options, "no_sidecar", False),
    )
    files, notices = session.driver(result.job).run(flow)
    return outcomes.saved(result, files, notices)


def told(session: Session, result: Result) -> int:
    """Tell a result; texts are for the person as well."""
    for text in result.texts:
        session.output.say(text)
    if result.job.sandbox:
        session.output.say("From the sandbox: no money was spent.")
    files = [Path(path) for path in result.files]
    if not (session.output.as_json or session.output.quiet):
        _thumbnail.show(files)
    return session.tell(result.job, files)
