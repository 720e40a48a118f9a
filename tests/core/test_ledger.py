"""The ledger in one process: what is kept, which key answers, what a limit allows, which snapshot stands."""

from __future__ import annotations

import itertools
import os
import sqlite3
import stat
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ai302_core import _sqlite
from ai302_core._sqlite import SqliteLedger, noledger, open_ledger, store
from ai302_core.assets import Asset
from ai302_core.errors import BudgetExceeded, ConfigError, KeyConflict, LedgerError
from ai302_core.jobs import Action, Job, Notice, Status
from ai302_core.ledger import Claim, FileRecord, Intent, Ledger, Limits
from ai302_core.requests import ImageRequest, Request, StoredRequest

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def a_job(job_id: str = "job-1", **changes: Any) -> Job:
    values: dict[str, Any] = {
        "id": job_id,
        "provider": "hero",
        "family": "acme",
        "operation": "image",
        "status": Status.SUBMITTING,
        "created_at": NOON,
        "billed": "no",
        "request": ImageRequest("a red fox"),
    }
    return Job(**{**values, **changes})


def take(ledger: Ledger, job: Job, *, digest: str = "d", again: bool = False, **limits: Any) -> Claim:
    return ledger.claim(Intent(job=job, digest=digest, again=again, limits=Limits(**limits)))


def settle(ledger: Ledger, job: Job, status: Status, **changes: Any) -> Job:
    return ledger.write(replace(job, status=status, **changes))


@pytest.fixture(params=["file", "memory"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    opened = open_ledger(None if request.param == "file" else ":memory:", data_dir=tmp_path / "data")
    yield opened
    opened.close()


# --- where it is


def test_nothing_is_made_before_the_first_use(tmp_path: Path) -> None:
    ledger = open_ledger(None, data_dir=tmp_path / "deep" / "data")
    assert list(tmp_path.iterdir()) == []
    assert ledger.durable
    assert ledger.jobs() == []
    assert (tmp_path / "deep" / "data" / "ledger.db").is_file()
    ledger.close()


def test_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    relative = open_ledger("sqlite:///some/jobs.db", data_dir=tmp_path)
    absolute = open_ledger(f"sqlite:///{tmp_path.as_posix()}/some/jobs.db", data_dir=tmp_path)
    assert relative is absolute  # one file, one ledger, one owner
    assert relative.url == f"sqlite:///{(tmp_path / 'some' / 'jobs.db').as_posix()}"
    assert open_ledger(relative.url, data_dir=tmp_path) is relative
    take(relative, a_job())
    assert (tmp_path / "some" / "jobs.db").is_file()
    relative.close()
    assert not open_ledger(":memory:", data_dir=tmp_path).durable
    assert not open_ledger("off", data_dir=tmp_path).durable


@pytest.mark.parametrize("url", ["postgresql://me:hunter2@db/x", "jobs.db", "sqlite://", "sqlite:///", "mysql:x"])
def test_other_urls_are_refused_without_their_secret(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"known are sqlite:///FILE, :memory: and off. Nothing was sent") as caught:
        open_ledger(url, data_dir=tmp_path)
    assert "hunter2" not in str(caught.value) + caught.value.hint


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permission bits")
def test_everything_is_private_to_the_user(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        ledger = open_ledger(None, data_dir=tmp_path / "data")
        take(ledger, a_job())
    finally:
        os.umask(before)
    paths = [tmp_path / "data", *(tmp_path / "data").rglob("*")]
    assert len(paths) >= 5  # the folder, the file, its WAL, the queue, the owners and one owner
    for path in paths:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    ledger.close()
    (tmp_path / "data" / "ledger.db").chmod(0o644)
    assert len(ledger.jobs()) == 1
    assert stat.S_IMODE((tmp_path / "data" / "ledger.db").stat().st_mode) == 0o600
    ledger.close()


def test_closing_twice_and_using_again(tmp_path: Path) -> None:
    ledger = open_ledger(None, data_dir=tmp_path)
    take(ledger, a_job())
    ledger.close()
    ledger.close()
    found = ledger.job("job-1")
    assert found is not None
    assert found.status is Status.SUBMITTING  # this process still lives
    ledger.close()


# --- what is kept


def test_a_process_without_a_ledger_may_run_for_months(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What settled goes after a while, with all that was remembered for it; no open job does, however many."""
    monkeypatch.setattr(noledger, "_OVER", 10)
    off = open_ledger("off", data_dir=tmp_path)
    for number in range(200):
        name, now = f"job-{number}", NOON + timedelta(minutes=number)
        job = a_job(name, created_at=now)
        off.claim(Intent(job=job, digest=name, once=True, save_to=f"shots/{number}", limits=Limits(per_minute=2)))
        off.write(replace(job, status=Status.QUEUED, remote_id=name))
        off.add_link("door", name, "https://files.example/1", now, now + timedelta(minutes=5))
        off.set_destination(f"stranger-{number}", "shots")
        if number % 10:
            settle(off, job, Status.SUCCEEDED, remote_id=name)
            assert off.destination(name) == f"shots/{number}"  # its files are still on their way
    assert [job.id for job in reversed(off.jobs())] == [f"job-{number}" for number in range(0, 200, 10)]
    assert {off.destination(f"job-{number}") for number in range(0, 200, 10)} >= {"shots/0", "shots/190"}
    assert off.link("door", "job-199", NOON + timedelta(minutes=200)) is not None
    sizes = {name: len(held) for name, held in vars(off).items() if isinstance(held, dict)}
    assert max(sizes.values()) <= 30, sizes


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
MOMENTS = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
REQUESTS: st.SearchStrategy[Request] = st.builds(
    ImageRequest,
    st.text(),
    seed=st.none() | st.integers(0, 2**63),
    count=st.none() | st.integers(1, 9),
    extra=st.dictionaries(st.text(), JSON, max_size=2),
) | st.builds(StoredRequest, type=st.just("elsewhere.Request"), values=st.dictionaries(st.text(min_size=5), JSON))
NUMBERS = itertools.count()
JOBS = st.builds(
    Job,
    id=st.just(""),
    provider=st.text(min_size=1),
    family=st.text(min_size=1),
    operation=st.text(min_size=1),
    status=st.sampled_from([status for status in Status if status is not Status.SUBMITTING]),
    created_at=MOMENTS,
    key=st.none() | st.text(min_size=1),
    attempt=st.integers(1, 5),
    remote_id=st.none() | st.text(min_size=1),
    route=st.dictionaries(st.text(), st.text(), max_size=2),
    request=st.none() | REQUESTS,
    progress=st.none() | st.floats(0, 1),
    message=st.text(),
    warnings=st.lists(st.builds(Notice, code=st.text(), message=st.text()), max_size=2).map(tuple),
    actions=st.lists(st.builds(Action, name=st.text(), needs=st.tuples(st.text())), max_size=2).map(tuple),
    billed=st.sampled_from(["yes", "no", "unknown"]),
    finished_at=st.none() | MOMENTS,
    assets=st.lists(st.builds(Asset, kind=st.just("image"), url=st.text(min_size=1)), max_size=2).map(tuple),
    raw=JSON,
)


@given(job=JOBS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_job_comes_back_as_it_went_in(ledger: Ledger, job: Job) -> None:
    job = replace(job, id=f"job-{next(NUMBERS)}")
    assert ledger.write(job) == job
    assert ledger.job(job.id) == job
    assert [found for found in ledger.find(job.id) if found == job]
    assert replace(job, raw=None) in ledger.jobs()


def test_text_that_is_no_unicode_survives(ledger: Ledger) -> None:
    job = a_job(key="order-\udcff", remote_id="task-\ud800", status=Status.QUEUED, raw={"id": "task-\ud800"},
                request=ImageRequest("fox \udcfe"))  # fmt: skip
    ledger.write(job)
    assert ledger.job(job.id) == job
    assert ledger.find("task-\ud800") == [job]
    assert ledger.find("order-\udcff") == [job]


def test_a_request_this_version_cannot_read_is_kept_word_for_word(tmp_path: Path) -> None:
    ledger = open_ledger(None, data_dir=tmp_path)
    take(ledger, a_job())
    ledger.close()
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        db.execute('UPDATE jobs SET document = replace(document, \'"prompt"\', \'"mood":"calm","prompt"\')')
    db.close()
    (job,) = ledger.jobs()
    assert job.request == StoredRequest(type="ImageRequest", values={"mood": "calm", "prompt": "a red fox"})
    ledger.close()


def test_the_last_reply_stays_until_another_one_comes(ledger: Ledger) -> None:
    job = take(ledger, a_job()).job
    assert job is not None
    queued = ledger.write(replace(job, status=Status.QUEUED, raw={"code": 1}), b'{"code": 1}')
    assert queued.raw == {"code": 1}
    (listed,) = ledger.jobs()
    assert listed.raw is None
    assert ledger.write(replace(listed, progress=0.5)).raw == {"code": 1}
    running = ledger.write(replace(listed, status=Status.RUNNING, raw=[2]))
    assert (running.raw, ledger.find("last")[0].raw) == ([2], [2])


# --- which key answers


def test_the_same_key_and_request_is_the_same_job(ledger: Ledger) -> None:
    first = take(ledger, a_job("a", key="order-1"))
    assert first.fresh
    second = take(ledger, a_job("b", key="order-1"))
    assert (second.fresh, second.owned, second.job) == (False, True, first.job)
    assert ledger.find_key("order-1", "d") == second
    assert ledger.find_key("order-2", "d") is None
    assert first.job is not None
    settle(ledger, first.job, Status.SUCCEEDED)
    third = take(ledger, a_job("c", key="order-1"))
    assert third.job is not None
    assert (third.fresh, third.owned, third.job.id, third.job.status) == (False, False, "a", Status.SUCCEEDED)
    assert [job.id for job in ledger.jobs()] == ["a"]


def test_another_request_under_the_key_is_a_conflict(ledger: Ledger) -> None:
    take(ledger, a_job("a", key="order-1"))
    with pytest.raises(KeyConflict, match="Nothing was sent") as claimed:
        take(ledger, a_job("b", key="order-1"), digest="other")
    with pytest.raises(KeyConflict, match="Nothing was sent") as found:
        ledger.find_key("order-1", "other")
    assert claimed.value.job_id == found.value.job_id == "a"
    assert len(ledger.jobs()) == 1


def test_a_refused_submit_frees_its_key(ledger: Ledger) -> None:
    job = take(ledger, a_job("a", key="order-1")).job
    assert job is not None
    settle(ledger, job, Status.REFUSED)
    assert ledger.find_key("order-1", "d") is None
    assert ledger.find("order-1") == []
    claim = take(ledger, a_job("b", key="order-1"), digest="other")
    assert claim.fresh
    assert [job.key for job in ledger.jobs()] == ["order-1", "order-1"]  # the snapshots still tell


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELED, Status.ABANDONED])
def test_a_dead_attempt_answers_until_again(ledger: Ledger, status: Status) -> None:
    job = take(ledger, a_job("a", key="order-1")).job
    assert job is not None
    settle(ledger, job, status)
    answer = take(ledger, a_job("b", key="order-1")).job
    assert answer is not None
    assert answer.id == "a"
    second = take(ledger, a_job("c", key="order-1"), again=True)
    assert second.job is not None
    assert (second.fresh, second.job.id, second.job.attempt) == (True, "c", 2)
    assert [job.id for job in ledger.find("order-1")] == ["c"]
    with pytest.raises(KeyConflict):
        take(ledger, a_job("d", key="order-1"), again=True)


@pytest.mark.parametrize(
    "status", [Status.SUBMITTING, Status.QUEUED, Status.RUNNING, Status.INPUT_REQUIRED, Status.UNCONFIRMED]
)
def test_again_is_refused_while_an_attempt_is_open(ledger: Ledger, status: Status) -> None:
    job = take(ledger, a_job("a", key="order-1")).job
    assert job is not None
    settle(ledger, job, status)
    with pytest.raises(KeyConflict, match="Nothing was sent") as caught:
        take(ledger, a_job("b", key="order-1"), again=True)
    assert caught.value.job_id == "a"
    assert len(ledger.jobs()) == 1


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELED, Status.ABANDONED, Status.REFUSED])
def test_what_is_bought_once_is_claimed_under_one_key(ledger: Ledger, status: Status) -> None:
    def press(job_id: str) -> Claim:
        return ledger.claim(Intent(job=a_job(job_id, key=job_id), digest="press", once=True))

    take(ledger, a_job("no press", key="another"), digest="another")
    assert press("first").fresh
    second = press("second")
    assert (second.fresh, second.owned, second.job and second.job.id) == (False, True, "first")
    assert ledger.job("second") is None
    settle(ledger, a_job("first", key="first"), Status.QUEUED, remote_id="task-1")
    assert not press("second").owned
    settle(ledger, a_job("first", key="first", remote_id="task-1"), status)
    assert press("third").fresh


def test_again_never_buys_what_succeeded_twice(ledger: Ledger) -> None:
    job = take(ledger, a_job("a", key="order-1")).job
    assert job is not None
    done = settle(ledger, job, Status.SUCCEEDED)
    assert take(ledger, a_job("b", key="order-1"), again=True) == Claim(job=done)


# --- what a limit allows


@pytest.mark.parametrize(
    ("per", "inside", "outside"),
    [
        ("day", timedelta(hours=11, minutes=59), timedelta(hours=12)),
        ("month", timedelta(days=9), timedelta(days=10)),
        ("ever", timedelta(days=9999), None),
    ],
)
def test_the_budget_counts_utc_days_and_months(
    ledger: Ledger, per: str, inside: timedelta, outside: timedelta | None
) -> None:
    take(ledger, a_job("a"), max_jobs=2, per=per)
    take(ledger, a_job("b", provider="another"), max_jobs=2, per=per)
    with pytest.raises(BudgetExceeded, match=r"used up: max_jobs is 2.* Nothing was sent") as caught:
        take(ledger, a_job("c", created_at=NOON + inside), max_jobs=2, per=per)
    assert "[budget]" in caught.value.hint
    if outside is not None:
        assert take(ledger, a_job("d", created_at=NOON + outside), max_jobs=2, per=per).fresh
    assert "c" not in {job.id for job in ledger.jobs()}


def test_the_budget_does_not_count_what_was_never_accepted(ledger: Ledger) -> None:
    ledger.write(a_job("a", status=Status.REFUSED))
    ledger.write(a_job("b", status=Status.ABANDONED, billed="no"))
    assert take(ledger, a_job("c"), max_jobs=1).fresh
    ledger.write(a_job("d", status=Status.ABANDONED, billed="unknown"))
    with pytest.raises(BudgetExceeded):
        take(ledger, a_job("e"), max_jobs=2)


def test_a_known_key_needs_no_budget(ledger: Ledger) -> None:
    take(ledger, a_job("a", key="order-1"), max_jobs=1)
    assert not take(ledger, a_job("b", key="order-1"), max_jobs=1).fresh


def test_a_clock_that_was_put_back_holds_no_minute(ledger: Ledger) -> None:
    for number, ahead in enumerate((timedelta(days=1), timedelta(seconds=30))):
        ledger.write(a_job(f"ahead-{number}", status=Status.RUNNING, created_at=NOON + ahead))
    assert take(ledger, a_job("a"), per_minute=1) == Claim(job=None, waiting=True)
    assert take(ledger, a_job("b"), per_minute=2).fresh


def test_concurrent_jobs_of_one_account(ledger: Ledger) -> None:
    for number, status in enumerate((Status.QUEUED, Status.RUNNING, Status.UNCONFIRMED, Status.SUCCEEDED)):
        ledger.write(a_job(f"open-{number}", status=status))
    ledger.write(a_job("stale", status=Status.RUNNING, created_at=NOON - timedelta(seconds=901)))
    assert take(ledger, a_job("a"), concurrent=2) == Claim(job=None, waiting=True)
    assert ledger.job("a") is None
    assert take(ledger, a_job("b", provider="another"), concurrent=2).fresh
    assert take(ledger, a_job("c"), concurrent=3).fresh
    settle(ledger, a_job("open-0"), Status.FAILED)
    assert take(ledger, a_job("a"), concurrent=3).fresh


# --- which snapshot stands


@pytest.mark.parametrize("settled", [status for status in Status if status.settled])
def test_a_settled_job_stays_settled(ledger: Ledger, settled: Status) -> None:
    end = ledger.write(a_job(status=settled, raw={"end": True}))
    for status in Status:
        if status is not settled:
            assert ledger.write(a_job(status=status, raw={"late": True})) == end
    assert ledger.job("job-1") == end
    told = ledger.write(replace(end, message="with files"))
    assert told.message == "with files"


def test_the_receipt_of_what_was_given_up_keeps_its_name(ledger: Ledger) -> None:
    job = take(ledger, a_job(key="order-1")).job
    assert job is not None
    settle(ledger, job, Status.ABANDONED)  # where its owner seemed dead: the call is still on its way
    late = replace(job, status=Status.QUEUED, remote_id="task-7", billed="yes", raw={"id": "task-7"})
    told = ledger.write(late, b"the answer")
    assert (told.status, told.remote_id, told.billed, told.raw) == (Status.ABANDONED, "task-7", "yes", late.raw)
    assert ledger.find("task-7") == [told]
    assert take(ledger, a_job("b", key="order-1")).job == told, "its key answers as before"


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.SUBMITTING])
def test_an_unconfirmed_job_may_become_anything(ledger: Ledger, status: Status) -> None:
    ledger.write(a_job(status=Status.UNCONFIRMED))
    assert settle(ledger, a_job(), status).status is status


def test_an_old_snapshot_neither_reopens_a_submit_nor_forgets_the_task(ledger: Ledger) -> None:
    job = take(ledger, a_job()).job
    assert job is not None
    settle(ledger, job, Status.QUEUED, remote_id="task-7")
    assert ledger.write(job).status is Status.QUEUED
    assert settle(ledger, job, Status.RUNNING).remote_id == "task-7"
    assert [found.status for found in ledger.find("task-7")] == [Status.RUNNING]


def test_a_job_from_json_is_taken_in_with_its_key(ledger: Ledger) -> None:
    foreign = a_job(key="order-1", attempt=2, status=Status.RUNNING, remote_id="task-7")
    assert ledger.write(Job.from_json(foreign.to_json())) == foreign
    assert take(ledger, a_job("b", key="order-1")).job == foreign
    again = ledger.write(replace(foreign, id="c"))  # the key is taken: the job is kept, the key stays where it is
    assert ledger.job("c") == again
    assert [job.id for job in ledger.find("order-1")] == ["job-1"]
    stranger = ledger.write(a_job("d"))
    assert (stranger.status, stranger.billed) == (Status.UNCONFIRMED, "unknown")


def test_reopening_is_won_once(ledger: Ledger) -> None:
    ledger.write(a_job(status=Status.INPUT_REQUIRED, remote_id="task-7", raw={"a": 1}))
    assert not ledger.reopen("job-1", Status.UNCONFIRMED)
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda _: ledger.reopen("job-1", Status.INPUT_REQUIRED), range(8)))
    assert won.count(True) == 1
    assert not ledger.reopen("job-1", Status.SUBMITTING)
    assert not ledger.reopen("nobody", Status.UNCONFIRMED)
    job = ledger.job("job-1")
    assert job is not None
    assert (job.status, job.remote_id, job.raw) == (Status.SUBMITTING, "task-7", {"a": 1})


# --- finding


def test_what_a_reference_may_be(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ledger.write(a_job("0001-abcd", key="order-1", remote_id="task-7", status=Status.QUEUED))
    second = ledger.write(
        a_job("0002-wxyz", remote_id="task-8", status=Status.QUEUED, created_at=NOON + timedelta(seconds=1))
    )
    third = ledger.write(a_job("0003-wxyz", remote_id="task-8", status=Status.FAILED, created_at=NOON))
    picture = tmp_path / "fox.png"
    ledger.add_files(first.id, [FileRecord(path=str(picture), sha256="0" * 64, size=3, role="final", index=1)])
    monkeypatch.chdir(tmp_path)
    for ref in ("0001-abcd", "abcd", "ABCD", "order-1", "task-7", str(picture), "fox.png", "./fox.png"):
        assert ledger.find(ref) == [first], ref
    assert ledger.find("last") == [second]
    assert ledger.find("wxyz") == ledger.find("task-8") == [second, third]
    for ref in ("xyz", "", "%", "____", "nothing\0", "cat.png"):
        assert ledger.find(ref) == [], ref


def test_jobs_are_chosen_and_newest_first(ledger: Ledger) -> None:
    for number, prompt in enumerate(("ein GRÜNER Fuchs", "一只红狐狸", "cat")):
        ledger.write(
            a_job(f"job-{number}", status=Status.FAILED if number else Status.QUEUED,
                  created_at=NOON + timedelta(seconds=number), request=ImageRequest(prompt, extra={"mood": ["calm"]}))
        )  # fmt: skip
    ledger.write(a_job("bare", status=Status.QUEUED, request=None))

    def ids(**choice: Any) -> list[str]:
        return [job.id for job in ledger.jobs(**choice)]

    assert ids() == ["job-2", "job-1", "bare", "job-0"]
    assert ids(limit=1) == ["job-2"]
    assert ids(status=[Status.QUEUED]) == ["bare", "job-0"]
    assert ids(since=NOON + timedelta(seconds=1)) == ["job-2", "job-1"]
    assert ids(text="grüner") == ["job-0"]
    assert ids(text="狐狸") == ["job-1"]
    assert ids(text="CALM") == ["job-2", "job-1", "job-0"]
    assert ids(text="ImageRequest") == ids(text="prompt") == []


# --- files, times, leases


def test_files_in_the_order_of_the_deliverables(ledger: Ledger, tmp_path: Path) -> None:
    def record(name: str, role: str, index: int, size: int = 1) -> FileRecord:
        return FileRecord(path=str(tmp_path / name), sha256="0" * 64, size=size, role=role, index=index,
                          asset={"kind": "image", "url": "https://x"})  # fmt: skip

    grid, last, first = record("g", "grid", 1), record("2", "tile", 2), record("1", "tile", 1)
    ledger.add_files("job-1", [grid, last, first])
    better = replace(last, size=9)
    ledger.add_files("job-1", [better])
    assert ledger.files("job-1") == [first, better, grid]
    assert ledger.files("job-2") == []


def test_the_destination_is_kept_with_the_intent(ledger: Ledger) -> None:
    ledger.claim(Intent(job=a_job("a"), digest="d", save_to="shots/{n}"))
    take(ledger, a_job("b"))
    assert (ledger.destination("a"), ledger.destination("b"), ledger.destination("c")) == ("shots/{n}", None, None)
    ledger.set_destination("b", "out")
    assert ledger.destination("b") == "out"
    with pytest.raises(LedgerError, match="no job c"):
        ledger.set_destination("c", "out")


def test_durations_of_the_latest_such_jobs(ledger: Ledger) -> None:
    for number in range(4):
        ledger.write(
            a_job(f"job-{number}", status=Status.SUCCEEDED, submitted_at=NOON,
                  finished_at=NOON + timedelta(seconds=40 - number), created_at=NOON - timedelta(seconds=9))
        )  # fmt: skip
    ledger.write(a_job("failed", status=Status.FAILED, finished_at=NOON + timedelta(seconds=1)))
    ledger.write(a_job("model", status=Status.SUCCEEDED, finished_at=NOON + timedelta(seconds=5),
                       request=ImageRequest("x", model="m")))  # fmt: skip
    assert ledger.durations("acme", "image", None) == [37, 38, 39, 40]
    assert ledger.durations("acme", "image", None, limit=2) == [39, 40]
    assert ledger.durations("acme", "image", "m") == [5]
    assert ledger.durations("acme", "video", None) == []
    ledger.write(a_job("late", status=Status.SUCCEEDED, submitted_at=NOON, finished_at=NOON + timedelta(seconds=60)))
    assert ledger.durations("acme", "image", None) == [37, 38, 39, 40, 60]


def test_this_process_holds_its_leases_and_follows_strangers(ledger: Ledger) -> None:
    take(ledger, a_job("a"))
    assert ledger.lease(["a", "unknown"], 60) == ["a", "unknown"]
    assert ledger.lease(["a"], 60) == ["a"]
    ledger.release(["a", "unknown"])
    assert ledger.lease([], 60) == []


# --- many threads


def _commits(wal: Path) -> int:
    """Commit frames in a WAL file: those that carry the size of the database."""
    content = wal.read_bytes()
    page = struct.unpack(">I", content[8:12])[0]
    salts = content[16:24]
    frames = (content[at : at + 24] for at in range(32, len(content), 24 + page))
    return sum(1 for frame in frames if frame[8:16] == salts and struct.unpack(">I", frame[4:8])[0])


def test_sixteen_threads_share_commits_and_not_their_errors(tmp_path: Path) -> None:
    ledger = open_ledger(None, data_dir=tmp_path)
    take(ledger, a_job("a", key="taken"))
    busy = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    busy.execute("BEGIN IMMEDIATE")  # until all sixteen wait
    before = _commits(tmp_path / "ledger.db-wal")
    results: list[Claim | KeyConflict] = []

    def work(number: int) -> None:
        try:
            results.append(take(ledger, a_job(f"t{number}", key="taken" if number % 4 == 0 else f"k{number}"),
                                digest="other"))  # fmt: skip
        except KeyConflict as problem:
            results.append(problem)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    assert isinstance(ledger, SqliteLedger)
    assert [job.id for job in ledger.jobs()] == ["a"]  # a reader does not wait for the writers
    deadline = time.monotonic() + 20
    while len(ledger._store._queue) < 16:
        assert time.monotonic() < deadline, results
        threading.Event().wait(0.001)
    busy.execute("ROLLBACK")
    busy.close()
    for thread in threads:
        thread.join(60)
    assert sum(isinstance(result, KeyConflict) for result in results) == 4
    assert sum(isinstance(result, Claim) and result.fresh for result in results) == 12
    assert len(ledger.jobs()) == 13
    assert _commits(tmp_path / "ledger.db-wal") - before == 1
    ledger.close()


def test_whose_work_another_thread_did_does_not_queue_for_the_lead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_REST", 60)  # nobody is in doubt, however slow the machine is
    ledger = SqliteLedger(tmp_path / "ledger.db")
    take(ledger, a_job("a"))
    started, go = threading.Event(), threading.Event()

    class Lead:
        """The lock of the lead: how often it was taken."""

        taken = 0

        def __init__(self) -> None:
            self.lock = threading.Lock()
            self.locked = self.lock.locked

        def __enter__(self) -> None:
            self.lock.acquire()
            Lead.taken += 1

        def __exit__(self, *_: object) -> None:
            self.lock.release()

    def slow(db: sqlite3.Connection) -> None:
        started.set()
        go.wait(60)

    monkeypatch.setattr(ledger._store, "_leading", Lead())
    leader = threading.Thread(target=ledger._store.write, args=(slow,))
    leader.start()
    assert started.wait(60)
    others = [threading.Thread(target=take, args=(ledger, a_job(f"b{number}"))) for number in range(10)]
    for thread in others:
        thread.start()
    deadline = time.monotonic() + 30
    while len(ledger._store._queue) < 10:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    go.set()
    for thread in (leader, *others):
        thread.join(60)
    assert (Lead.taken, len(ledger.jobs())) == (2, 11)
    ledger.close()


def test_who_writes_alone_never_waits_and_many_share_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db")
    monkeypatch.setattr(store, "_GATHERING", 60)
    start = time.monotonic()
    for number in range(5):
        settle(ledger, take(ledger, a_job(f"alone-{number}")).job or a_job(), Status.QUEUED)
    seen = threading.Thread(target=ledger.note, args=([(a_job("alone-0", status=Status.RUNNING), b"")],))
    seen.start()
    seen.join(30)  # and what a look saw waits for nobody
    assert (seen.is_alive(), time.monotonic() - start < 30) == (False, True)
    monkeypatch.setattr(store, "_GATHERING", 1.0)
    before = _commits(tmp_path / "ledger.db-wal")
    there = threading.Barrier(8)

    def together(number: int) -> None:
        there.wait(30)
        take(ledger, a_job(f"t{number}"))

    threads = [threading.Thread(target=together, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(ledger.jobs()) == 13
    assert _commits(tmp_path / "ledger.db-wal") - before <= 5  # 2; a machine that sleeps for a second breaks one up
    ledger.close()


def test_an_interrupted_leader_loses_nobody_elses_work(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db")
    take(ledger, a_job("a"))
    started, go = threading.Event(), threading.Event()
    problems: list[BaseException] = []

    def interrupted(db: sqlite3.Connection) -> None:
        started.set()
        go.wait(60)
        raise KeyboardInterrupt

    def lead() -> None:
        try:
            ledger._store.write(interrupted)
        except KeyboardInterrupt as problem:
            problems.append(problem)

    leader = threading.Thread(target=lead)
    leader.start()
    assert started.wait(60)
    others = [threading.Thread(target=take, args=(ledger, a_job(f"b{number}"))) for number in range(3)]
    for thread in others:
        thread.start()
    go.set()
    for thread in (leader, *others):
        thread.join(60)
    assert len(problems) == 1
    assert {job.id for job in ledger.jobs()} == {"a", "b0", "b1", "b2"}
    ledger.close()


# --- what a power cut may take


def test_what_a_look_saw_waits_for_the_disk_and_what_is_paid_for_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = store.Store(tmp_path / "ledger.db")
    levels: list[tuple[str, int]] = []

    def work(name: str) -> Callable[[sqlite3.Connection], None]:
        return lambda db: levels.append((name, *db.execute("PRAGMA synchronous").fetchone()))

    one.write(work("intent"))
    one.write(work("look"), lasting=False)
    one.write(work("receipt"))
    assert levels == [("intent", 2), ("look", 1), ("receipt", 2)]
    late = threading.Thread(target=one.write, args=(work("late intent"),))
    chosen = one._choose

    def just_before(db: sqlite3.Connection) -> bool:
        found = chosen(db)
        if not late.ident:  # an intent that comes once it is settled that the commit of a look is not synced
            late.start()
            while len(one._queue) < 2:
                time.sleep(0.001)
        return found

    monkeypatch.setattr(one, "_choose", just_before)
    one.write(work("look"), lasting=False)
    late.join(60)
    assert levels[3:] == [("look", 1), ("late intent", 2)]
    one.close()


@pytest.mark.parametrize("journal", ["delete", "memory"])
def test_without_a_wal_every_write_is_alike(tmp_path: Path, journal: str) -> None:
    ledger = SqliteLedger(None if journal == "memory" else tmp_path / "ledger.db")
    ledger.write(a_job("a"))
    if journal == "delete":
        ledger._store._writing().execute("PRAGMA journal_mode = DELETE")
        ledger.close()
    told: list[Any] = []
    for pragma in ("synchronous", "journal_mode"):
        ledger._store.write(lambda db, asked=pragma: told.extend(db.execute(f"PRAGMA {asked}")), lasting=False)  # type: ignore[misc]
    assert told == [(3 if journal == "delete" else 2,), (journal,)]
    assert [job.id for job in ledger.note([(a_job("b"), b""), (a_job("a"), b"")])] == ["b", "a"]
    ledger.close()


# --- off


def test_off_remembers_open_jobs_only(tmp_path: Path) -> None:
    ledger = open_ledger("off", data_dir=tmp_path / "data")
    assert take(ledger, a_job("a", key="order-1"), concurrent=1).fresh
    assert take(ledger, a_job("b"), concurrent=1).waiting
    assert ledger.find_key("order-1", "d") is None
    queued = settle(ledger, a_job("a"), Status.QUEUED, remote_id="task-7")
    assert ledger.find("task-7") == ledger.find("last") == ledger.jobs(text="FOX") == [queued]
    assert ledger.jobs(status=[Status.FAILED]) == ledger.jobs(text="cat") == []
    done = settle(ledger, queued, Status.SUCCEEDED)
    assert done.status is Status.SUCCEEDED
    assert ledger.job("a") is None
    assert take(ledger, a_job("b"), concurrent=1).fresh
    with pytest.raises(ConfigError, match="Nothing was sent"):
        take(ledger, a_job("c"), max_jobs=5)
    once = Intent(job=a_job("d"), digest="press", once=True)
    assert ledger.claim(once).fresh
    assert (claim := ledger.claim(replace(once, job=a_job("e")))).owned
    assert claim.job == once.job
    settle(ledger, a_job("d"), Status.SUCCEEDED)
    assert ledger.claim(replace(once, job=a_job("e"))).fresh
    assert not ledger.reopen("b", Status.SUBMITTING)
    ledger.write(a_job("b", status=Status.UNCONFIRMED))
    assert ledger.reopen("b", Status.UNCONFIRMED)
    assert not (tmp_path / "data").exists()
    ledger.close()


# --- what a resume asks


def test_a_job_that_was_saved_whole_is_asked_about_once(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sqlite, "_FEW", 1)  # in pages of one
    files = [FileRecord(path="/shots/1.png", sha256="0" * 64, size=4, role="final", index=1)]
    for name, save_to in (("job-1", "/shots"), ("job-2", "/shots"), ("job-0", "/shots"), ("job-3", None)):
        ledger.claim(Intent(job=a_job(name), digest=name, save_to=save_to))
        settle(ledger, a_job(name), Status.SUCCEEDED, finished_at=NOON)
    ledger.add_files("job-1", files)
    asked: list[str] = []

    def complete(job: Job, found: Any) -> bool:
        asked.append(job.id)
        return list(found) == files

    assert [ledger.unsaved(complete) for _ in range(2)] == [["job-2", "job-0"]] * 2
    assert asked == ["job-1", "job-2", "job-0", "job-2", "job-0"]


def test_ids_are_listed_oldest_first_and_read_as_they_stand(ledger: Ledger, tmp_path: Path) -> None:
    for kept in (ledger, open_ledger("off", data_dir=tmp_path)):
        for name, seconds in (("b", 2), ("a", 1), ("d", 1), ("c", 3)):
            kept.write(a_job(name, status=Status.QUEUED, created_at=NOON + timedelta(seconds=seconds), raw={"n": 1}))
        take(kept, a_job("sent"))
        kept.write(a_job("b", status=Status.UNCONFIRMED, created_at=NOON + timedelta(seconds=2)))
        ids = kept.ids([Status.QUEUED, Status.UNCONFIRMED])
        assert ids == ["a", "d", "b", "c"]
        assert kept.ids([Status.FAILED]) == []
        assert kept.read([]) == []
        settle(kept, kept.read(["d"])[0], Status.FAILED)
        found = [(job.id, job.status) for job in kept.read([*reversed(ids), "never"])]
        forgotten = [("d", Status.FAILED)] if kept is ledger else []
        assert found == [("c", Status.QUEUED), ("b", Status.UNCONFIRMED), *forgotten, ("a", Status.QUEUED)]
        assert set(kept.ids(list(Status))) == {"a", "b", "c", "sent", *(name for name, _ in forgotten)}


def test_what_a_resume_asks_is_found_by_an_index(tmp_path: Path) -> None:
    ledger = open_ledger(None, data_dir=tmp_path)
    take(ledger, a_job())
    seen: list[str] = []
    store: Any = ledger._store  # type: ignore[attr-defined]
    still = (Status.SUBMITTING, Status.QUEUED, Status.RUNNING, Status.INPUT_REQUIRED, Status.UNCONFIRMED)
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        store.read(lambda reading: reading.set_trace_callback(seen.append))
        ledger.jobs(status=still)
        ledger.jobs(status=[Status.FAILED])
        ledger.ids(still)
        ledger.unsaved(lambda *_: True)
        plans = {
            query: " ".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {query.replace('-Inf', '-9e999')}"))
            for query in seen
            if query.startswith("SELECT") and " status " in query
        }
    db.close()
    found = [name for plan in plans.values() for name in ("open", "vain", "unsaved") if f"INDEX jobs_{name}" in plan]
    assert (len(plans), sorted(set(found))) == (len(found), ["open", "unsaved", "vain"]), plans
    ledger.close()


def test_no_change_of_a_row_makes_a_table(tmp_path: Path) -> None:
    # As SQLite does for a list of more than two words in the condition of an index, before and after each change.
    ledger = SqliteLedger(tmp_path / "ledger.db")
    seen: list[str] = []
    ledger._store.write(lambda db: db.set_trace_callback(seen.append))
    job = a_job()
    take(ledger, job)
    for status in (Status.QUEUED, Status.RUNNING, Status.SUCCEEDED):
        ledger.write(replace(job, status=status, remote_id="7", raw={"status": status.value}))
    ledger.close()
    changes = [text for text in seen if text.startswith(("INSERT", "UPDATE"))]
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        taken = [{row[1] for row in db.execute(f"EXPLAIN {text}")} for text in changes]
    db.close()
    assert len(changes) == 7  # the intent; three times the row and its reply
    assert not [text for text, steps in zip(changes, taken, strict=True) if "OpenEphemeral" in steps]


def test_no_cursor_leaves_the_thread_that_leads(tmp_path: Path) -> None:
    one = store.Store(tmp_path / "ledger.db")
    # Dropped in the thread that asked, it would reset a statement that the next leader has in use.
    left: object = one.write(lambda db: db.executemany("DELETE FROM files WHERE path = ?", [("a",), ("b",)]))
    assert left is None
    assert one.write(lambda db: db.execute("SELECT 7").fetchone()) == (7,)
    one.close()
