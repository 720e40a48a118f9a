"""Many jobs followed together: a compact table while they are under way, and what became of each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing, closing
from functools import partial
from typing import TYPE_CHECKING

from ai302_core import _loopthread, _many
from ai302_core._crowd import Crowd

from . import _crowd, _ending, _verdict
from ._progress import watching
from ._tally import Tally

if TYPE_CHECKING:
    from ai302_core._flows.waiting import OnUpdate
    from ai302_core.jobs import Job, Outcome, Result

    from ._session import Session

Follow = Callable[["OnUpdate"], AsyncIterator["Outcome"]]


def wait_for(session: Session, jobs: Iterable[Job | str]) -> int:
    """Follow them until they settle, all of them within --timeout; put their files where their submits said."""
    found: dict[str, Job] = {}
    codes: dict[str, int] = {}

    def find(job: Job) -> int:
        found[job.id] = job
        return _verdict.OK

    def tell(outcome: Outcome) -> None:
        if outcome.result is None or outcome.error is not None:
            code = session.tell(outcome.job, outcome.files, outcome.error)
        else:
            code = ended(outcome.result)
        codes[outcome.job.id if outcome.job is not None else ""] = code

    def ended(result: Result) -> int:
        code = _ending.told(session, result)
        if session.connection.ledger.destination(result.job.id) is None:
            session.output.say(f"Next: {session.typed(f'gen302 save {result.job.id}')}")
        return code

    def wait(job: Job) -> int:
        out = session.connection.ledger.destination(job.id)
        with watching(session) as watch:
            result = _ending.finish(session, job, watch, out)
        return ended(result)

    unknown = _ending.each(session, jobs, find)
    if len(found) > 1 and session.options.timeout != 0:
        session.job = None
        _waited(session, list(found.values()), session.patience.left(), tell)
    still = _ending.each(session, [job for job in found.values() if job.id not in codes], wait)
    return unknown or next((codes[job_id] for job_id in found if codes.get(job_id)), still)


def _waited(session: Session, jobs: Sequence[Job], seconds: float | None, tell: Callable[[Outcome], object]) -> None:
    """Follow these until they settle, or so many seconds; tell of each that did."""

    def follow(on_update: OnUpdate) -> AsyncIterator[Outcome]:
        crowd = Crowd(session.connection, None, on_update=on_update)
        return _within(_many.follow(session.connection, [jobs], crowd), seconds)

    session.goes_on = f"gen302 wait {' '.join(job.id for job in jobs)}"
    _told(session, Tally("wait", len(jobs), "jobs"), follow, tell)


def resumed(session: Session, to: str | None, tell: Callable[[Outcome], object]) -> None:
    """Finish every open job; tell of each."""
    session.goes_on = "gen302 jobs resume"
    _told(session, Tally("resume", 0, "jobs"), partial(_many.resume, session.connection, to), tell)


def _told(session: Session, tally: Tally, follow: Follow, tell: Callable[[Outcome], object]) -> None:
    known: set[str] = set()
    held: list[Outcome] = []
    try:
        with _crowd.watching(session, tally) as watch:

            def update(job: Job) -> None:
                known.add(job.id)
                tally.rows = max(tally.rows, len(known))
                watch.update(job)

            with closing(_loopthread.in_thread(partial(follow, update), session.connection.release_loop)) as outcomes:
                for outcome in outcomes:
                    if outcome.job is not None:
                        known.add(outcome.job.id)
                    tally.rows = max(tally.rows, len(known), tally.done + 1)
                    tally.add(_verdict.OK if outcome.error is None else _verdict.exit_code(outcome.error), outcome)
                    watch.outcome(outcome)
                    if watch.covers_stdout:
                        held.append(outcome)  # told where the table stood
                    else:
                        tell(outcome)
    finally:
        for outcome in held:
            tell(outcome)


async def _within(outcomes: AsyncIterator[Outcome], seconds: float | None) -> AsyncIterator[Outcome]:
    """The outcomes of so many seconds."""
    end = None if seconds is None else asyncio.get_running_loop().time() + seconds
    async with aclosing(outcomes):  # type: ignore[type-var]
        while True:
            try:
                # Not `wait_for`, which forgets a cancellation that meets an outcome (Python 3.11).
                async with asyncio.timeout_at(end):
                    outcome = await anext(outcomes)
            except (StopAsyncIteration, TimeoutError):
                return
            yield outcome
