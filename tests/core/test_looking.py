"""The free flows, fed by hand: polls survive everything but their own word, and every wait ends."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ai302_core import _sqlite
from ai302_core._flows import acting, looking, outcomes, reconciling, settling, submitting
from ai302_core._flows.submitting import Order
from ai302_core._steps import Turn
from ai302_core.errors import (
    ApiError,
    AuthenticationError,
    JobFailed,
    JobInputRequired,
    JobRejected,
    JobTimeout,
    JobUnconfirmed,
    KeyConflict,
    LedgerError,
    NotFoundError,
    ParameterError,
    ReplyError,
    TransportError,
)
from ai302_core.family import Lookup, Question, get
from ai302_core.jobs import Job, Status
from ai302_core.requests import ImageRequest

ACCEPTED = {"code": 0, "data": {"id": 42, "status": "wait"}}
RUNNING = {"data": {"id": 42, "status": "run", "progress": "45%"}}
DONE = {"data": {"id": 42, "status": "done", "urls": ["https://f.example/1.png", "https://f.example/2.png"]}}
RESET = TransportError("reset", sent=True)


@pytest.fixture
def bought(account: Any, hand: Any, reply: Any) -> Any:
    def buy(*answers: Any) -> Any:
        fed = hand(reply(ACCEPTED), *[a if isinstance(a, TransportError) else reply(*a) for a in answers])
        return fed, fed.run(submitting.submit(account, ImageRequest("a cat"), Order()))

    return buy


def settle(fed: Any, account: Any, job: Job, timeout: float | None = None) -> Job:
    done: Job = fed.run(settling.settle(account, job, timeout=timeout, on_update=None))
    return done


def test_a_job_is_followed_to_its_files(bought: Any, account: Any) -> None:
    fed, job = bought((RUNNING,), (DONE,))
    done = settle(fed, account, job)
    assert [asset.url for asset in outcomes.result(account, done).images] == DONE["data"]["urls"]
    assert (done.progress, done.billed, len(fed.paid)) == (1.0, "yes", 1)
    assert fed.sleeps[0] == 20.0, "the first look waits until the fastest are usually done"


FAULTS = [
    RESET,
    TransportError("refused", sent=False),
    (b"<!DOCTYPE html><html>Cloudflare</html>", 200),
    (b"<html>bad gateway</html>", 502),
    (b"", 503),
    (b"", 429),
    (b"", 408),
    (b'{"data": {"stat', 200),
    ({"code": 7, "message": "busy"}, 200),
    ({"error": {"err_code": -10003, "message": "network"}}, 500),
    ({"data": {"status": "brand-new-word"}}, 200),
    ({"data": {"status": "done", "urls": []}}, 200),
    ({"data": None}, 200),
    ([], 200),
    ("text", 200),
    (b"\xff\xfe", 200),
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_while_polling_loses_nothing(bought: Any, account: Any, fault: Any) -> None:
    fed, job = bought((RUNNING,), fault, fault, fault, (DONE,))
    assert settle(fed, account, job).status is Status.SUCCEEDED
    assert len(fed.paid) == 1


def test_an_unknown_word_warns_once(bought: Any, account: Any) -> None:
    odd = ({"data": {"status": "brand-new-word"}},)
    fed, job = bought(odd, odd, (DONE,))
    assert [notice.code for notice in settle(fed, account, job).warnings] == ["unknown_status"]


def test_an_envelope_or_5xx_never_settles_a_job(bought: Any, account: Any) -> None:
    bad = {"error": {"err_code": -10003, "message": "x"}, "data": {"status": "failed"}}
    fed, job = bought((bad, 200), ({"data": {"status": "failed"}}, 500), (DONE,))
    assert settle(fed, account, job).status is Status.SUCCEEDED


def test_an_error_beside_the_tasks_own_name_is_the_tasks(bought: Any, account: Any) -> None:
    own = {"error": {"err_code": -10008, "message": "x"}, "data": {"id": 42, "status": "failed", "reason": "upstream"}}
    fed, job = bought((RUNNING,), (own,))
    done = settle(fed, account, job)
    assert (done.status, done.message, len(fed.paid)) == (Status.FAILED, "upstream", 1)


def test_a_refused_key_raises_at_once_and_leaves_the_job_open(bought: Any, account: Any, ledger: Any) -> None:
    fed, job = bought((b"", 401), (DONE,))
    with pytest.raises(AuthenticationError) as caught:
        settle(fed, account, job)
    assert caught.value.billed == "yes"
    assert not ledger.job(job.id).status.settled
    assert settle(fed, account, job).status is Status.SUCCEEDED


def test_not_found_is_waited_out_then_raised_and_the_job_stays_open(bought: Any, account: Any, ledger: Any) -> None:
    fed, job = bought((b"", 404), (b"null", 200), (DONE,))
    assert settle(fed, account, job).status is Status.SUCCEEDED
    fed, job = bought(*[(b"", 404)] * 50)
    with pytest.raises(NotFoundError):
        settle(fed, account, job)
    assert ledger.job(job.id).status is Status.QUEUED


def test_every_wait_has_an_end(bought: Any, account: Any) -> None:
    fed, job = bought(*[(RUNNING,)] * 500)
    with pytest.raises(JobTimeout) as caught:
        settle(fed, account, job, timeout=100)
    assert caught.value.job.status is Status.RUNNING
    assert 99 <= sum(fed.sleeps) <= 101
    fed, job = bought((RUNNING,))
    with pytest.raises(JobTimeout):
        settle(fed, account, job, timeout=0)
    assert len(fed.calls) == 2, "0 looks once"


@pytest.mark.parametrize(
    ("members", "seen"),
    [({}, "nothing where its files belong"), ({"urls": [], "url": "ftp://f.example/1.png"}, 'data.url: "ftp://f.exam')],
    ids=["nothing", "no link"],
)
def test_success_without_a_file_says_so_when_the_wait_is_over(
    bought: Any, account: Any, ledger: Any, members: dict[str, Any], seen: str
) -> None:
    empty = {"data": {"status": "done", **members}}
    fed, job = bought(*[(empty,)] * 300)
    with pytest.raises(JobTimeout, match=r"says that .* is done, but gave no file within 100 s") as caught:
        settle(fed, account, job, timeout=100)
    problem = caught.value
    assert "last it said 'done'" in problem.message
    assert seen in problem.message
    assert (problem.billed, f"gen302 wait {job.id}" in problem.hint, len(fed.paid)) == ("yes", True, 1)
    assert not ledger.job(job.id).status.settled
    fed.answers[:] = [_reply(RUNNING)] * 300  # the service takes its word back
    with pytest.raises(JobTimeout, match=f"{job.id} is still running"):
        settle(fed, account, job, timeout=100)
    fed.answers[:] = [_reply(DONE)]
    done = settle(fed, account, job)
    assert (done.status, done.warnings) == (Status.SUCCEEDED, ()), "it came late, and nothing is amiss any more"


def test_a_job_that_comes_to_no_end_can_be_given_up_and_bought_again(account: Any, hand: Any, reply: Any) -> None:
    fed = hand(reply(ACCEPTED), reply(RUNNING))
    job = fed.run(submitting.submit(account, ImageRequest("a cat"), Order(key="k")))
    with pytest.raises(JobTimeout):
        settle(fed, account, job, timeout=0)
    for wrong in ({"remote_id": "9"}, {"resubmit": True}, {}):
        with pytest.raises(ParameterError, match="not unconfirmed"):
            fed.run(reconciling.reconcile(account, job, **wrong))
    fed.answers[:] = [reply(RUNNING)]
    given_up = fed.run(reconciling.reconcile(account, job, abandon=True))
    assert (given_up.status, given_up.billed, given_up.remote_id) == (Status.ABANDONED, "yes", "42")
    with pytest.raises(ParameterError, match="not unconfirmed"):
        fed.run(reconciling.reconcile(account, given_up, abandon=True))
    fed.answers[:] = [reply({"code": 0, "data": {"id": 43, "status": "wait"}})]
    second = fed.run(submitting.submit(account, ImageRequest("a cat"), Order(key="k", again=True)))
    assert (second.attempt, len(fed.paid)) == (2, 2)


def test_a_failure_says_why(bought: Any, account: Any) -> None:
    fed, job = bought(({"data": {"status": "FAILED", "reason": "out of paint"}},))
    with pytest.raises(JobFailed, match="out of paint") as caught:
        outcomes.result(account, settle(fed, account, job))
    assert caught.value.billed == "unknown"
    fed, job = bought(({"data": {"status": "failure", "reason": "NSFW detected"}},))
    with pytest.raises(JobRejected):
        outcomes.result(account, settle(fed, account, job))


def test_a_settled_job_is_never_looked_at_again(bought: Any, account: Any) -> None:
    fed, job = bought((DONE,))
    done = settle(fed, account, job)
    assert settle(fed, account, done) == done
    assert fed.run(settling.poll(account, done)).status is Status.SUCCEEDED
    assert len(fed.calls) == 2


def test_moments_are_read_in_every_form(account: Any) -> None:
    operation = account.family.operations[0]
    job = Job(
        id="j", provider="p", family="acme", operation="image", status=Status.QUEUED, created_at=datetime.now(UTC)
    )
    document = {"data": {"status": "run", "t0": 1795219200, "t1": 1795219200123, "t2": 0}}
    seen = looking.read(account, operation, job, document, 200, datetime.now(UTC))
    assert seen.submitted_at == datetime(2026, 11, 21, 0, 0, tzinfo=UTC)
    assert seen.started_at == datetime(2026, 11, 21, 0, 0, 0, 123000, tzinfo=UTC)
    assert seen.finished_at is None


def test_many_jobs_ride_one_call(account: Any, hand: Any, reply: Any, ledger: Any) -> None:
    fed = hand(reply(ACCEPTED), reply({"code": 0, "data": {"id": 43, "status": "wait"}}))
    jobs = [fed.run(submitting.submit(account, ImageRequest(text), Order())) for text in ("a", "b")]
    fed.answers[:] = [reply({"data": [{"data": {"id": 43, "status": "run"}}, DONE]})]
    looks = fed.run(looking.look_together(account, jobs))
    assert [seen.job.status for seen in looks] == [Status.SUCCEEDED, Status.RUNNING]
    assert fed.calls[-1].body == b'{"ids":["42","43"]}'
    assert len(fed.calls) == 3


def test_a_list_is_read_with_a_turn_for_others_before_each_job(
    account: Any, hand: Any, reply: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fed, jobs = many(account, hand, reply, *map(str, range(41, 51)))
    done: list[str] = []
    plain, perform = looking.read, fed.perform

    def read(*told: Any) -> Job:
        done.append("job")
        return plain(*told)

    def performed(step: Any) -> Any:
        if isinstance(step, Turn):
            done.append("turn")
        return perform(step)

    monkeypatch.setattr(looking, "read", read)
    monkeypatch.setattr(fed, "perform", performed)
    fed.answers[:] = [reply({"data": [{"data": {"id": entry, "status": "run"}} for entry in range(41, 51)]})]
    assert len(fed.run(looking.look_together(account, jobs))) == 10
    assert done == ["turn", "job"] * 10


def test_what_one_call_tells_of_many_is_one_write_and_nothing_new_is_none(
    account: Any, hand: Any, reply: Any, ledger: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fed, jobs = many(account, hand, reply, "41", "42", "43")
    written: list[list[str]] = []
    plain = ledger.note

    def note(news: list[tuple[Job, bytes]]) -> list[Job]:
        written.append([job.id for job, _ in news])
        stand: list[Job] = plain(news)
        return stand

    monkeypatch.setattr(ledger, "write", None)
    monkeypatch.setattr(ledger, "note", note)
    running = {"data": [{"data": {"id": entry, "status": "run"}} for entry in (41, 43)] + [DONE]}
    fed.answers[:] = [reply(running), reply(running)]
    jobs = [seen.job for seen in fed.run(looking.look_together(account, jobs))]
    assert [job.status for job in jobs] == [Status.RUNNING, Status.SUCCEEDED, Status.RUNNING]
    assert [ledger.job(job.id).status for job in jobs] == [job.status for job in jobs]
    assert written == [[job.id for job in jobs]]
    fed.run(looking.look_together(account, jobs))
    assert len(written) == 1


def test_a_job_a_batch_leaves_out_is_looked_at_alone(account: Any, hand: Any, reply: Any) -> None:
    fed = hand(reply(ACCEPTED), reply({"code": 0, "data": {"id": 43, "status": "wait"}}))
    jobs = [fed.run(submitting.submit(account, ImageRequest(text), Order())) for text in ("a", "b")]
    fed.answers[:] = [reply({"data": [{"data": {"id": 43, "status": "run"}}]}), reply(DONE)]
    looks = fed.run(looking.look_together(account, jobs))
    assert looks[0].job.status is Status.SUCCEEDED


def many(account: Any, hand: Any, reply: Any, *ids: str) -> tuple[Any, list[Job]]:
    fed = hand(*[reply({"code": 0, "data": {"id": entry, "status": "wait"}}) for entry in ids])
    return fed, [fed.run(submitting.submit(account, ImageRequest("a cat"), Order())) for _ in ids]


def test_an_id_that_cannot_be_written_costs_only_its_own_job(account: Any, hand: Any, reply: Any) -> None:
    fed, jobs = many(account, hand, reply, "42", "x\ud800", "43")
    running = {"data": {"id": "43", "status": "run"}}
    fed.answers[:] = [reply({"data": [DONE, running]}), reply({"data": {"status": "fail", "reason": "odd"}})]
    looks = fed.run(looking.look_together(account, jobs))
    assert [seen.job.status for seen in looks] == [Status.SUCCEEDED, Status.FAILED, Status.RUNNING]
    assert [call.body for call in fed.calls[3:]] == [b'{"ids":["42","43"]}', None]
    fed, jobs = many(account, hand, reply, "\ud800", "\udfff")
    fed.answers[:] = [reply(DONE), reply(RUNNING)]
    assert [seen.job.status for seen in fed.run(looking.look_together(account, jobs))] == ["succeeded", "running"]


@pytest.mark.parametrize("said", [(b"", 404), ({"code": 4, "message": "one id is no id"}, 200), (b"", 405)], ids=str)
def test_a_batched_look_the_gateway_refuses_is_made_one_by_one(
    account: Any, hand: Any, reply: Any, said: tuple[Any, int]
) -> None:
    fed, jobs = many(account, hand, reply, "42", "43")
    fed.answers[:] = [reply(*said), reply(DONE), reply({"data": {"id": "43", "status": "run"}})]
    looks = fed.run(looking.look_together(account, jobs))
    assert [(seen.job.status, seen.trouble) for seen in looks] == [("succeeded", None), ("running", None)]


def test_a_refused_key_and_bad_weather_are_one_call_for_all(account: Any, hand: Any, reply: Any) -> None:
    for status, fatal in ((401, True), (502, False)):
        fed, jobs = many(account, hand, reply, "42", "43")
        fed.answers[:] = [reply(b"", status)]
        assert [seen.trouble.fatal for seen in fed.run(looking.look_together(account, jobs))] == [fatal, fatal]


def test_a_document_the_family_trips_over_costs_only_its_own_job(account: Any, hand: Any, reply: Any) -> None:
    fed, jobs = many(account, hand, reply, "42", "43")
    odd = {"data": {"id": "43", "status": "done", "url": "https://f.example/1.png", "buttons": 3}}
    fed.answers[:] = [reply({"data": [DONE, odd]})]
    looks = fed.run(looking.look_together(account, jobs))
    assert looks[0].job.status is Status.SUCCEEDED
    assert looks[1].trouble.fatal
    assert jobs[1].id in str(looks[1].trouble.error)


def pressable(bought: Any, account: Any, *answers: Any) -> tuple[Any, Job]:
    document = {"data": {**DONE["data"], "buttons": ["up1", "ask"]}}
    fed, job = bought((document,), *answers)
    return fed, settle(fed, account, job)


def test_the_same_upscale_twice_is_the_first_job(bought: Any, account: Any) -> None:
    pressed = ({"code": 0, "data": {"id": 50, "status": "wait"}},)
    fed, parent = pressable(bought, account, pressed)
    first = fed.run(acting.act(account, parent, "UP1", {}))
    second = fed.run(acting.act(account, parent, "up1", {}))
    assert (first.id, first.parent, len(fed.paid)) == (second.id, parent.id, 2)


def test_a_failed_upscale_may_be_pressed_again(bought: Any, account: Any, reply: Any) -> None:
    pressed = ({"code": 0, "data": {"id": 50, "status": "wait"}},)
    fed, parent = pressable(bought, account, pressed, ({"data": {"status": "fail"}},), pressed)
    first = settle(fed, account, fed.run(acting.act(account, parent, "up1", {})))
    assert first.status is Status.FAILED
    second = fed.run(acting.act(account, parent, "up1", {}))
    assert (second.attempt, second.id != first.id) == (2, True)


WINDOW = {"data": {"id": 50, "status": "window"}}


def test_a_window_is_answered_within_the_press(bought: Any, account: Any) -> None:
    pressed = ({"code": 0, "data": {"id": 50, "status": "wait"}},)
    fed, parent = pressable(bought, account, pressed, (WINDOW,), pressed, (WINDOW,), (DONE,))
    job = fed.run(acting.act(account, parent, "region", {"prompt": "a hat"}))
    assert (job.answered, len(fed.paid)) == (True, 3)
    assert fed.paid[-1].url.endswith("/v1/answer")
    assert fed.paid[-1].body == b'{"id":"50","prompt":"a hat"}'
    done = settle(fed, account, job)
    assert done.status is Status.SUCCEEDED
    assert len(fed.paid) == 3, "a window that still shows after its answer is not answered twice"


def test_a_window_nobody_could_see_is_answered_by_the_same_press_later(bought: Any, account: Any) -> None:
    pressed, page = ({"code": 0, "data": {"id": 50, "status": "wait"}},), (b"<html>", 502)
    fed, parent = pressable(bought, account, pressed, *[page] * 12)
    press = {"account": account, "job": parent, "name": "region", "values": {"prompt": "a hat"}, "key": "k"}
    child = fed.run(acting.act(**press))
    fed.ledger.write(replace(child, status=Status.INPUT_REQUIRED))  # as where the answer to the press announces it
    fed.answers[:] = [RESET] * 12
    blind = fed.run(acting.act(**press))
    assert (blind.id, blind.status, len(fed.paid)) == (child.id, Status.INPUT_REQUIRED, 2)
    fed.answers[:] = [_reply(WINDOW), _reply({"code": 0, "data": {"id": 50}}), _reply(DONE)]
    answered = fed.run(acting.act(account, blind, "continue", {"prompt": "a hat"}))
    assert (answered.answered, fed.paid[-1].body) == (True, b'{"id":"50","prompt":"a hat"}')
    assert (settle(fed, account, answered).status, len(fed.paid)) == (Status.SUCCEEDED, 3)


def test_a_press_that_lacks_what_it_needs_is_refused(bought: Any, account: Any) -> None:
    fed, parent = pressable(bought, account)
    with pytest.raises(ParameterError, match="needs prompt"):
        fed.run(acting.act(account, parent, "region", {}))
    with pytest.raises(ParameterError, match="did you mean 'up1'"):
        fed.run(acting.act(account, parent, "up11", {}))
    with pytest.raises(ParameterError, match="takes no 'zoom'"):
        fed.run(acting.act(account, parent, "up1", {"zoom": 2}))
    assert len(fed.paid) == 1


def test_a_lost_answer_to_a_window_is_not_repeated_and_settles_by_looking(bought: Any, account: Any) -> None:
    pressed = ({"code": 0, "data": {"id": 50, "status": "wait"}},)
    fed, parent = pressable(bought, account, pressed, (WINDOW,), RESET)
    with pytest.raises(JobUnconfirmed) as caught:
        fed.run(acting.act(account, parent, "region", {"prompt": "a hat"}))
    fed.answers[:] = [_reply(WINDOW)]
    still = settle(fed, account, caught.value.job)
    assert still.status is Status.UNCONFIRMED
    fed.answers[:] = [_reply(DONE)]
    assert settle(fed, account, still).status is Status.SUCCEEDED
    assert len(fed.paid) == 3


def _reply(document: Any) -> Any:
    import json

    from ai302_core._steps import Reply

    return Reply(200, {}, json.dumps(document).encode())


def test_an_unforeseen_window_waits_for_its_caller(bought: Any, account: Any) -> None:
    fed, job = bought((WINDOW,))
    waiting = settle(fed, account, job)
    for needs, words in (((), "--prompt …"), (("mask", "zoom"), "--mask FILE --set zoom=…")):
        with pytest.raises(JobInputRequired) as told:
            outcomes.result(account, replace(waiting, needs=needs))
        assert told.value.hint == f"gen302 act {waiting.id} continue {words}"
    fed.answers[:] = [_reply({"code": 0, "data": {"id": 42}}), _reply(DONE)]
    answered = fed.run(acting.act(account, waiting, "continue", {"prompt": "go on"}))
    assert settle(fed, account, answered).status is Status.SUCCEEDED
    with pytest.raises((ParameterError, KeyConflict)):
        fed.run(acting.act(account, waiting, "continue", {"prompt": "go on"}))


@pytest.mark.parametrize("url", [":memory:", "off"])
@pytest.mark.parametrize("when", ["under way", "accepted", "lost"])
def test_who_looks_elsewhere_does_not_open_an_answered_window_again(
    account: Any, hand: Any, reply: Any, tmp_path: Path, url: str, when: str
) -> None:
    ledger = _sqlite.open_ledger(url, data_dir=tmp_path)
    shown = {"data": {"id": 42, "status": "window"}}
    fed, elsewhere = hand(reply(ACCEPTED), reply(shown)), hand()
    fed.ledger = elsewhere.ledger = ledger
    job = fed.run(submitting.submit(account, ImageRequest("a cat"), Order()))
    (window,) = fed.run(looking.look(account, [job]))

    def look_elsewhere() -> None:
        elsewhere.answers += [_reply(shown), _reply({"data": [shown]})]
        (seen,) = elsewhere.run(looking.look(account, [job]))
        listed = elsewhere.run(looking.look_together(account, [job, job]))
        assert {entry.job.status for entry in (seen, *listed)}.isdisjoint({Status.INPUT_REQUIRED, Status.SUBMITTING})
        with pytest.raises((KeyConflict, ParameterError)):
            elsewhere.run(acting.act(account, window.job, "continue", {"prompt": "a hat"}))

    def answer(call: Any) -> Any:
        if when == "under way":
            look_elsewhere()
        return RESET if when == "lost" else _reply({"code": 0, "data": {"id": 42}})

    fed.answers.append(answer)
    with suppress(JobUnconfirmed):
        fed.run(acting.act(account, window.job, "continue", {"prompt": "a hat"}))
    look_elsewhere()
    stands = ledger.job(job.id)
    assert stands is not None
    assert stands.status is (Status.UNCONFIRMED if when == "lost" else Status.RUNNING)
    fed.answers.append(_reply({"data": {"id": 42, "status": "a new word"}}))
    (seen,) = fed.run(looking.look(account, [stands]))
    assert seen.job.status is stands.status, "a word nobody knows does not say that an answer was heard"
    fed.answers.append(_reply({"data": {"id": 42, "status": "run"}}))
    (seen,) = fed.run(looking.look(account, [seen.job]))
    assert (seen.job.status, seen.job.answered) == (Status.RUNNING, True), "this one does"
    look_elsewhere()
    fed.answers.append(_reply({"data": {"id": 42, "status": "done", "url": "https://f.example/1.png"}}))
    assert fed.run(looking.look(account, [seen.job]))[0].job.status is Status.SUCCEEDED
    with pytest.raises((KeyConflict, ParameterError)):
        elsewhere.run(acting.act(account, window.job, "continue", {"prompt": "a hat"}))
    assert (len(fed.paid), elsewhere.paid) == (2, [])
    ledger.close()


def test_an_answer_that_the_ledger_could_not_take_is_there_with_the_next_look(
    account: Any, hand: Any, reply: Any, ledger: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(job: Job, reply: bytes = b"") -> Job:
        raise LedgerError("The disk is full.")

    shown, runs = {"data": {"id": 42, "status": "window"}}, {"data": {"id": 42, "status": "run"}}
    fed = hand(reply(ACCEPTED), reply(shown), reply({"code": 0, "data": {"id": 42}}), reply(shown), reply(runs))
    job = fed.run(submitting.submit(account, ImageRequest("a cat"), Order()))
    (window,) = fed.run(looking.look(account, [job]))
    with monkeypatch.context() as patched:
        patched.setattr(ledger, "write", full)
        answered = fed.run(acting.act(account, window.job, "continue", {"prompt": "a hat"}))
    (elsewhere,) = fed.run(looking.look(account, [window.job]))  # who has not the answer's receipt ends no call
    stands = ledger.job(job.id)
    assert (elsewhere.job.status, stands.status, stands.answered) == ("input_required", "submitting", False)
    (seen,) = fed.run(looking.look(account, [answered]))
    stands = ledger.job(job.id)
    assert (seen.job.status, stands.status, stands.answered) == ("running", "running", True)
    assert len(fed.paid) == 2


def test_cancel_is_honest(bought: Any, account: Any) -> None:
    fed, job = bought((b"", 200), ({"data": {"status": "stop"}},))
    assert fed.run(settling.cancel(account, job)).status is Status.CANCELED
    fed, job = bought((b"", 200), (DONE,))
    assert fed.run(settling.cancel(account, job)).status is Status.SUCCEEDED, "raced by completion: the files are kept"
    fed, job = bought((b"", 200), ({"data": {"status": "fail", "reason": "canceled"}},))
    assert fed.run(settling.cancel(account, job)).status is Status.CANCELED
    fed, job = bought((b"", 200), *[(RUNNING,)] * 5)
    kept = fed.run(settling.cancel(account, job))
    assert (kept.status, kept.warnings[-1].code) == (Status.RUNNING, "cancel_asked")
    fed, job = bought((b"", 504), (b"<html>", 200), (b"", 200), ({"data": {"status": "fail", "reason": "canceled"}},))
    assert fed.run(settling.cancel(account, job)).status is Status.CANCELED, "asked until it was heard"
    fed, job = bought((b"no such address", 404))
    with pytest.raises(ApiError):
        fed.run(settling.cancel(account, job))
    assert fed.ledger.job(job.id).warnings == (), "it was not asked, whatever it says later"
    fed, job = bought(*[TransportError("reset", sent=True)] * 20)
    with pytest.raises(TransportError) as trouble:
        fed.run(settling.cancel(account, job))
    assert (trouble.value.billed, f"gen302 cancel {job.id}" in trouble.value.hint) == ("yes", True)
    assert sum(fed.sleeps) <= 31
    plain = replace(account, gateway=account.family.gateways[1])
    with pytest.raises(ParameterError, match="cannot cancel"):
        fed.run(settling.cancel(plain, kept))


def test_reconcile_settles_only_what_is_unconfirmed(account: Any, hand: Any, reply: Any, ledger: Any) -> None:
    fed = hand(RESET)
    with pytest.raises(JobUnconfirmed) as caught:
        fed.run(submitting.submit(account, ImageRequest("x"), Order(key="k")))
    lost = caught.value.job

    def reconcile(job: Job, **how: Any) -> Any:
        how = {"remote_id": None, "resubmit": False, "abandon": False, **how}
        return fed.run(reconciling.reconcile(account, job, **how))

    fed.answers[:] = [reply(b"", 404)]
    with pytest.raises(NotFoundError):
        reconcile(lost, remote_id="77")
    fed.answers[:] = [reply(DONE)]
    found = reconcile(lost, remote_id="42")
    assert (found.status, found.id, len(fed.paid)) == (Status.SUCCEEDED, lost.id, 1)
    with pytest.raises(ParameterError, match="not unconfirmed"):
        reconcile(found, abandon=True)
    fed.answers[:] = [RESET]
    with pytest.raises(JobUnconfirmed) as caught:
        fed.run(submitting.submit(account, ImageRequest("y"), Order(key="k2")))
    fed.answers[:] = [reply(ACCEPTED)]
    anew = reconcile(caught.value.job, resubmit=True)
    assert (anew.attempt, anew.key, anew.status) == (2, "k2", Status.QUEUED)
    assert ledger.job(caught.value.job.id).status is Status.ABANDONED


def test_what_its_service_has_forgotten_is_given_up_and_what_has_ended_is_not(
    account: Any, hand: Any, reply: Any, ledger: Any
) -> None:
    fed = hand(reply(ACCEPTED), *[reply(b"", 404)] * 99)
    order = Order(key="k")
    job = fed.run(submitting.submit(account, ImageRequest("x"), order))
    with pytest.raises(NotFoundError) as gone:
        settle(fed, account, job)
    assert f"gen302 jobs reconcile {job.id} --abandon" in gone.value.hint
    over = fed.run(reconciling.reconcile(account, job, abandon=True))
    assert (over.status, over.billed, ledger.job(job.id).status) == (Status.ABANDONED, "yes", Status.ABANDONED)
    fed.answers[:] = [reply(ACCEPTED), reply(DONE)]
    anew = fed.run(submitting.submit(account, ImageRequest("x"), replace(order, again=True)))
    assert (anew.attempt, len(fed.paid)) == (2, 2)
    done = fed.run(reconciling.reconcile(account, anew, abandon=True))
    assert (done.status, len(done.assets)) == (Status.SUCCEEDED, 2), "it came meanwhile, and is not thrown away"


def test_a_list_that_cannot_be_read_settles_nothing(account: Any, hand: Any, reply: Any, ledger: Any) -> None:
    finding = Lookup(body="tag", question="tasks", echo="tag", id="id")
    operations = tuple(replace(entry, lookup=finding) for entry in account.family.operations)
    family = replace(account.family, operations=operations, questions=(Question("tasks", get("/v1/all"), at="all[]"),))
    account = replace(account, family=family)
    fed = hand(RESET)
    with pytest.raises(JobUnconfirmed) as caught:
        fed.run(submitting.submit(account, ImageRequest("x"), Order(key="k")))
    lost = caught.value.job
    assert json.loads(fed.paid[0].body)["tag"] == lost.id
    for resubmit in (False, True):
        fed.answers[:] = [reply(b"<html>", 502)] * 99
        with pytest.raises(ReplyError) as trouble:
            fed.run(reconciling.reconcile(account, lost, resubmit=resubmit))
        assert trouble.value.billed == "unknown"
    assert ledger.job(lost.id).status is Status.UNCONFIRMED
    hostile: list[Any] = [
        {"tag": 5, "id": "1"},
        7,
        None,
        {"id": lost.id},
        {"tag": [lost.id]},
        {"tag": lost.id, "id": {}},
    ]
    answers: list[Any] = [{"all": hostile}, {"all": None}, [], 3]
    for listed in answers:
        fed.answers[:] = [reply(listed)]
        with pytest.raises(JobUnconfirmed):
            fed.run(reconciling.reconcile(account, lost))
    fed.answers[:] = [reply(b"", 404)]  # a server without that address: as where there is no list
    with pytest.raises(JobUnconfirmed, match="can look a lost submit up"):
        fed.run(reconciling.reconcile(account, lost))
    fed.answers[:] = [reply({"all": [*hostile, {"tag": lost.id, "id": 42}]}), reply(DONE)]
    found = fed.run(reconciling.reconcile(account, lost, resubmit=True))
    assert (found.remote_id, found.status, len(fed.paid)) == ("42", Status.SUCCEEDED, 1)


def test_a_foreign_task_is_adopted_once_and_free(account: Any, hand: Any, reply: Any) -> None:
    fed = hand(reply(b"", 404), reply(RUNNING))
    with pytest.raises(NotFoundError):
        fed.run(settling.adopt(account, "42", None))
    job = fed.run(settling.adopt(account, "42", None))
    assert (job.remote_id, job.status, job.request, fed.paid) == ("42", Status.RUNNING, None, [])
    assert fed.run(settling.adopt(account, "42", None)).id == job.id


def test_a_job_from_elsewheres_json_is_taken_in(account: Any, hand: Any, reply: Any, ledger: Any) -> None:
    fed = hand(reply(DONE))
    job = Job(
        id="261121-zzzzzzzz", provider="hero", family="acme", operation="image", status=Status.QUEUED, remote_id="42",
        base_url="https://api.302.ai", created_at=datetime.now(UTC) - timedelta(minutes=2),
    )  # fmt: skip
    done = settle(fed, account, Job.from_json(job.to_json()))
    assert done.status is Status.SUCCEEDED
    assert ledger.job(job.id).status is Status.SUCCEEDED


def test_what_was_given_up_is_taken_up_again_by_its_task(bought: Any, account: Any) -> None:
    fed, job = bought((RUNNING,))
    given_up = fed.run(reconciling.reconcile(account, job, abandon=True))
    fed.answers[:] = [_reply(DONE)]
    adopted = fed.run(settling.adopt(account, "42", "image"))
    assert (given_up.status, adopted.status, adopted.id != job.id) == (Status.ABANDONED, Status.SUCCEEDED, True)
    assert fed.run(settling.adopt(account, "42", "image")).id == adopted.id
    assert len(fed.paid) == 1
