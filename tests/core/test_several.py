"""One press for several jobs: a row for each before anything goes out, one paid call; and free questions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ai302_core._flows import acting, looking, several, submitting
from ai302_core._flows import asking as _asking
from ai302_core._flows.submitting import Order
from ai302_core.errors import (
    BudgetExceeded,
    JobUnconfirmed,
    KeyConflict,
    LedgerError,
    NotFoundError,
    ParameterError,
    RateLimitError,
    TransportError,
)
from ai302_core.family import Question, get
from ai302_core.jobs import Action, Job, Status
from ai302_core.ledger import Limits
from ai302_core.requests import ImageRequest

ALL = Action(name="all", label="All", operation="press", jobs=4)
STARTED = {"code": 0, "data": {"id": "11,12, 13,14", "status": "wait"}}


@pytest.fixture
def parent(account: Any, hand: Any, reply: Any, ledger: Any) -> Job:
    fed = hand(reply({"code": 0, "data": {"id": 1, "status": "wait"}}))
    job = fed.run(submitting.submit(account, ImageRequest("a cat"), Order()))
    stands: Job = ledger.write(replace(job, status=Status.SUCCEEDED, actions=(ALL,), finished_at=fed.now))
    return stands


def rows(ledger: Any, parent: Job) -> list[Job]:
    return [job for job in reversed(ledger.jobs()) if job.parent == parent.id]


def test_one_press_is_four_rows_before_it_goes_out(
    account: Any, hand: Any, reply: Any, ledger: Any, parent: Job
) -> None:
    before: list[Status] = []

    def answer(call: Any) -> Any:
        before.extend(row.status for row in rows(ledger, parent))
        return reply(STARTED)

    fed = hand(answer)
    jobs = fed.run(several.act_all(account, parent, "all"))
    assert before == [Status.SUBMITTING] * 4
    assert len(fed.paid) == 1
    assert [job.remote_id for job in jobs] == ["11", "12", "13", "14"]
    assert {(job.status, job.billed, job.parent) for job in jobs} == {(Status.QUEUED, "yes", parent.id)}
    assert rows(ledger, parent) == [replace(job, raw=None) for job in jobs]


def test_fewer_than_asked_for_leaves_no_open_row(account: Any, hand: Any, reply: Any, ledger: Any, parent: Job) -> None:
    fed = hand(reply({"code": 0, "data": {"id": "11,12", "status": "wait"}}))
    jobs = fed.run(several.act_all(account, parent, "all", key="k"))
    assert [job.remote_id for job in jobs] == ["11", "12"]
    assert [row.status for row in rows(ledger, parent)] == [Status.QUEUED] * 2 + [Status.REFUSED] * 2
    assert {row.billed for row in rows(ledger, parent)[2:]} == {"no"}
    again = fed.run(several.act_all(account, parent, "all", key="k"))
    assert [job.id for job in again] == [job.id for job in jobs]
    assert len(fed.paid) == 1


def test_a_key_is_pressed_once(account: Any, hand: Any, reply: Any, parent: Job) -> None:
    fed = hand(reply(STARTED), reply(STARTED))
    first = fed.run(several.act_all(account, parent, "all", key="four"))
    second = fed.run(several.act_all(account, parent, "all", key="four"))
    assert [job.id for job in second] == [job.id for job in first]
    third = fed.run(several.act_all(account, parent, "all"))  # without a key it is another intention
    assert ({job.id for job in third} & {job.id for job in first}, len(fed.paid)) == (set(), 2)


def test_who_presses_at_the_same_instant_under_the_same_key_waits_and_gets_those_jobs(
    account: Any, hand: Any, reply: Any, ledger: Any, parent: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    first: list[Job] = []
    find = ledger.find_key

    def find_too_early(key: str, digest: str) -> Any:
        found = find(key, digest)
        if key == "k/4" and not first:  # the other one presses between this question and the claims
            monkeypatch.setattr(ledger, "find_key", find)
            first.extend(fed.run(several.act_all(account, parent, "all", key="k")))
        return found

    fed = hand(reply(STARTED))
    monkeypatch.setattr(ledger, "find_key", find_too_early)
    second = hand().run(several.act_all(account, parent, "all", key="k"))
    assert ([job.id for job in second], len(first), len(fed.paid)) == ([job.id for job in first], 4, 1)


def test_where_the_ledger_takes_no_receipt_every_task_is_named(
    account: Any, hand: Any, reply: Any, ledger: Any, parent: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(job: Job, reply: bytes = b"") -> Job:
        raise LedgerError("The disk is full.")

    fed = hand(reply(STARTED))
    with monkeypatch.context() as patched:
        patched.setattr(ledger, "write", full)
        jobs = fed.run(several.act_all(account, parent, "all", key="k"))
    assert [job.remote_id for job in jobs] == ["11", "12", "13", "14"]
    assert all(job.remote_id in job.warnings[-1].message for job in jobs)
    assert [row.status for row in rows(ledger, parent)] == [Status.SUBMITTING] * 4
    fed.answers += [reply({"data": {"id": job.remote_id, "status": "run"}}) for job in jobs]
    assert [look.job.status for look in fed.run(looking.look(account, jobs))] == [Status.RUNNING] * 4
    assert [(row.status, row.remote_id) for row in rows(ledger, parent)] == [("running", job.remote_id) for job in jobs]
    assert len(fed.paid) == 1


@pytest.mark.parametrize("how", ["lost", "html", "stopped"])
def test_what_nobody_knows_is_unconfirmed_four_times(
    account: Any, hand: Any, reply: Any, ledger: Any, parent: Job, how: str
) -> None:
    def stopped(call: Any) -> Any:
        raise KeyboardInterrupt

    answers: dict[str, TransportError | Callable[[Any], Any]] = {
        "lost": TransportError("reset", sent=True),
        "html": reply(b"<html>", 502),
        "stopped": stopped,
    }
    fed = hand(answers[how])
    with pytest.raises(KeyboardInterrupt if how == "stopped" else JobUnconfirmed):
        fed.run(several.act_all(account, parent, "all", key="k"))
    assert [row.status for row in rows(ledger, parent)] == [Status.UNCONFIRMED] * 4
    assert {row.billed for row in rows(ledger, parent)} == {"unknown"}
    again = fed.run(several.act_all(account, parent, "all", key="k"))
    assert ([job.status for job in again], len(fed.paid)) == ([Status.UNCONFIRMED] * 4, 1)


def test_what_created_nothing_frees_all_four(account: Any, hand: Any, reply: Any, ledger: Any, parent: Job) -> None:
    fed = hand(reply({"code": 7, "message": "busy"}), reply(STARTED))
    jobs = fed.run(several.act_all(account, parent, "all"))
    assert (len(jobs), len(fed.paid)) == (4, 2)
    fed = hand(*[reply({"code": 7, "message": "busy"})] * 9)
    with pytest.raises(RateLimitError):
        fed.run(several.act_all(account, parent, "all", key="k", timeout=3))
    assert [row.status for row in rows(ledger, parent)[4:]] == [Status.REFUSED] * 4


def test_a_limit_in_the_middle_takes_back_what_was_claimed(
    account: Any, hand: Any, reply: Any, ledger: Any, parent: Job
) -> None:
    tight = replace(account, limits=Limits(max_jobs=3, per="ever"))  # the parent is one of them
    fed = hand()
    with pytest.raises(BudgetExceeded):
        fed.run(several.act_all(tight, parent, "all"))
    assert fed.paid == []
    assert {row.status for row in rows(ledger, parent)} == {Status.REFUSED}
    fed = hand(reply(STARTED))
    assert len(fed.run(several.act_all(account, parent, "all"))) == 4


def test_a_single_press_of_it_is_refused_with_the_way(account: Any, hand: Any, parent: Job) -> None:
    fed = hand()
    with pytest.raises(ParameterError, match="starts 4 jobs") as caught:
        fed.run(acting.act(account, parent, "all", {}))
    assert 'act_all(job, "all")' in caught.value.hint
    with pytest.raises(KeyConflict):
        _raise_conflict(account, hand, parent)


def _raise_conflict(account: Any, hand: Any, parent: Job) -> None:
    """The key of its second row names another request."""
    fed = hand(lambda call: (_ for _ in ()).throw(AssertionError("nothing may be sent")))
    other = Order(key="k/2")
    fed.answers = [TransportError("refused", sent=True)]
    with pytest.raises(JobUnconfirmed):
        fed.run(submitting.submit(account, ImageRequest("another"), other))
    fed.run(several.act_all(account, parent, "all", key="k"))


def test_free_questions(account: Any, hand: Any, reply: Any, parent: Job) -> None:
    questions = (
        Question("seed", get("/v1/job/{job_id}/seed"), at="data.seed"),
        Question("tasks", get("/v1/jobs"), "[]"),
    )
    asking = replace(account, family=replace(account.family, questions=questions))
    fed = hand(reply({"code": 0, "data": {"seed": 7}}))
    assert fed.run(_asking.ask(asking, "seed", parent)) == [7]
    assert fed.calls[0].url == "https://api.302.ai/v1/job/1/seed"
    fed = hand(reply(b"<html>", 502), TransportError("reset", sent=True), reply([{"id": 1}, {"id": 2}]))
    assert fed.run(_asking.ask(asking, "tasks")) == [{"id": 1}, {"id": 2}]
    assert fed.paid == []
    fed = hand(*[reply(b"", 502)] * 30)
    with pytest.raises(Exception, match="has trouble"):
        fed.run(_asking.ask(asking, "tasks", timeout=5))
    with pytest.raises(ParameterError, match="about a job"):
        fed.run(_asking.ask(asking, "seed"))
    with pytest.raises(ParameterError, match="did you mean 'seed'"):
        fed.run(_asking.ask(asking, "sed", parent))
    lacking = replace(asking, gateway=replace(asking.gateway, lacks=("tasks",)))
    with pytest.raises(NotFoundError, match="does not answer"):
        fed.run(_asking.ask(lacking, "tasks"))
