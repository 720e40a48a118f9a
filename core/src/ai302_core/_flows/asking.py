"""Free questions a family's record knows beside looking at jobs: asked until answered, within the caller's patience."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from ai302_core import _paths, _policies
from ai302_core._accounts import Account
from ai302_core._policies import SPREAD
from ai302_core._steps import Flow, Now, Sleep
from ai302_core._wire import calls
from ai302_core.errors import NotFoundError, ParameterError
from ai302_core.jobs import Job

from . import looking, planning


def ask(account: Account, name: str, job: Job | None = None, *, timeout: float = 60.0) -> Flow[list[Any]]:
    """The values a question's path yields, such as every task the service knows. Costs nothing.

    Raises ParameterError for a question the family does not know or that needs a job, NotFoundError where the gateway
    does not answer it, else as a look: ApiError, TransportError, ReplyError.
    """
    questions = {entry.name: entry for entry in account.family.questions}
    question = questions.get(name)
    if question is None:
        near = get_close_matches(name, questions, 1)
        raise ParameterError(
            f"{account.family.name} knows no question {name!r}{f'; did you mean {near[0]!r}?' if near else '.'} "
            f"It answers: {', '.join(questions) or 'none'}.",
            field="question",
        )
    if name in account.gateway.lacks:
        raise NotFoundError(f"Gateway {account.gateway.name} does not answer {name!r}.", status_code=0, billed="no")
    if job is None and "{job_id}" in question.call.path:
        raise ParameterError(f"{name!r} is asked about a job.", field="job")
    if job is not None and job.remote_id is None:
        raise ParameterError(f"{job.id} has no task at the service to ask about.", field="job")
    operation = account.family.operations[0] if job is None else looking.operation_of(account, job)
    route = planning.default_route(account, operation) if job is None else job.route
    remote = "" if job is None or job.remote_id is None else job.remote_id
    call = calls.call(account, question.call, route, purpose="poll", job_id=remote, timeout=question.timeout)
    start = yield from Now()
    failures = 0
    while True:
        reply, trouble, _ = yield from looking.asked(account, operation, call)
        if reply is not None:
            return _paths.values(reply.document, question.at)
        now = yield from Now()
        failures += 1
        wait = _policies.backoff(failures, trouble.after if trouble else None)
        if trouble is not None and (trouble.fatal or trouble.missing or (now - start).total_seconds() + wait > timeout):
            trouble.error.billed = "no" if job is None else job.billed
            raise trouble.error
        yield from Sleep(wait, SPREAD)
