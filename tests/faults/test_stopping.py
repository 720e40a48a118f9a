"""Whoever stops it, and however: what was paid has its receipt, and goes on where it stopped."""

from __future__ import annotations

import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.faults.crowd import Crowd

from ai302_core import ImageRequest, Status, connect
from ai302_core.errors import ParameterError
from ai302_core.sandbox import RunningSandbox

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="terminals and POSIX signals")
LAMP = ImageRequest("a lamp")
CLOSED = "the terminal is closed"
WAYS = {
    "run": ("SIGINT", "SIGTERM", "SIGHUP", CLOSED),
    "wait": ("SIGHUP", CLOSED),
    "batch": ("SIGTERM", CLOSED),
}
ROWS = 4


@pytest.fixture(autouse=True)
def one_family(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several are installed; these tests speak of one."""
    monkeypatch.setenv("GEN302_DEFAULT", "midjourney")


def looks(sandbox: RunningSandbox) -> int:
    return sum(seen.route == "poll" for seen in sandbox.requests)


def more_looks(sandbox: RunningSandbox, than: int) -> bool:
    return looks(sandbox) > than


def all_paid(sandbox: RunningSandbox, count: int) -> bool:
    return sandbox.paid == count


def stopped(crowd: Crowd, name: str, way: str) -> Any:
    if way.startswith("SIG"):
        crowd.signal(name, signal.Signals[way])
    else:
        crowd.hang_up(name)
    return crowd.end(name, hung_up=not way.startswith("SIG"))["code"]


@pytest.mark.parametrize("verb", WAYS)
def test_a_stopped_command_leaves_jobs_that_go_on(
    sandbox: RunningSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until: Any, verb: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").write_text("prompt\n" + "".join(f"study {row}\n" for row in range(ROWS)), "utf-8")
    environment = {"GEN302_SANDBOX": sandbox.url, "GEN302_DEFAULT": "midjourney"}
    common = {"home": str(tmp_path), "environment": environment, "terminal": True}
    each = ROWS if verb == "batch" else 1
    with Crowd(common) as crowd, connect("midjourney") as provider:
        for number, way in enumerate(WAYS[verb], start=1):
            folder = f"shots-{number}"
            words = {
                "run": ["run", f"a lamp {number}", "-o", folder],
                "wait": ["wait"],
                "batch": ["batch", "rows.csv", "--name", f"batch{number}", "-o", folder],
            }[verb]
            if verb == "wait":
                words.append(provider.submit(LAMP, save_to=folder).id)
            polls = looks(sandbox)
            crowd.start(way, "command", words=words)
            crowd.go()
            until(partial(more_looks, sandbox, polls))
            assert stopped(crowd, way, way) == 130, way
            jobs = provider.jobs()
            assert sandbox.paid == len([job for job in jobs if job.remote_id]), f"{way}: a receipt is missing"
            assert {job.status for job in jobs} <= {Status.QUEUED, Status.RUNNING, Status.SUCCEEDED, Status.REFUSED}
            sandbox.advance(900)
            again = words if verb == "batch" else ["jobs", "resume"]
            crowd.start(f"{way}, again", "command", words=again)
            crowd.go()
            until(partial(all_paid, sandbox, number * each))
            sandbox.advance(900)  # for rows that had not begun when it was stopped
            assert crowd.end(f"{way}, again")["code"] == 0, way
            assert len(list(Path(folder).glob("*.png"))) == 4 * each, way
            assert sandbox.paid == number * each, way


def test_who_ignores_a_closed_terminal_goes_on_without_it(sandbox: RunningSandbox, tmp_path: Path, until: Any) -> None:
    common = {"home": str(tmp_path), "environment": {"GEN302_SANDBOX": sandbox.url, "GEN302_DEFAULT": "midjourney"}}
    (tmp_path / "rows.csv").write_text("prompt\na boat\n", "utf-8")
    with Crowd(common) as crowd:
        for verb in (["run", "a lamp"], ["batch", "rows.csv"]):
            polls = looks(sandbox)
            crowd.start(verb[0], "command", words=[*verb, "-o", verb[0]], terminal=True, nohup=True)
            crowd.go()
            until(partial(more_looks, sandbox, polls))
            crowd.hang_up(verb[0])
            sandbox.advance(900)
            assert crowd.end(verb[0], hung_up=True)["code"] == 0
            assert len(list((tmp_path / verb[0]).glob("*.png"))) == 4
    assert sandbox.paid == 2


def test_cancel_says_what_the_service_said(sandbox: RunningSandbox, tmp_path: Path) -> None:
    config = {"default": "hero", "providers": {"hero": {"family": "midjourney"}}}
    with connect("hero", config=config) as provider:
        asked = provider.cancel(provider.submit(LAMP, key="asked"))
        assert asked.status is Status.CANCELED
        assert provider.cancel(asked).status is Status.CANCELED, "again is free"

        late = provider.submit(LAMP, save_to=tmp_path / "late")
        sandbox.advance(900)  # done, before it is asked to stop
        raced = provider.cancel(late)
        assert (raced.status, len(provider.save(raced))) == (Status.SUCCEEDED, 4), "it is delivered all the same"

        for fault in ("error502", "html", "reset"):
            sandbox.fault("cancel", fault)
            job = provider.cancel(provider.submit(LAMP))
            assert job.status is Status.CANCELED, f"after {fault} it was not asked again"
        sandbox.fault("cancel", "drop")  # heard, and the answer is lost
        assert provider.cancel(provider.submit(LAMP)).status is Status.CANCELED
    relayed = {**config, "providers": {"hero": {"family": "midjourney", "gateway": "new-api"}}}
    with connect("hero", config=relayed) as provider:
        job = provider.submit(LAMP)
        with pytest.raises(ParameterError, match="cannot cancel") as impossible:
            provider.cancel(job)
    assert impossible.value.billed == "yes"
