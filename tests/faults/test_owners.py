"""Odd owners: whoever submits, wherever it runs and whatever becomes of it, nobody pays in its place."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.faults.crowd import Crowd

from ai302_core import ImageRequest, Status, connect
from ai302_core.errors import ParameterError
from ai302_core.sandbox import RunningSandbox

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks")
LAMP = ImageRequest("a lamp")
DAY = 86400.0


@pytest.fixture
def common(sandbox: RunningSandbox, tmp_path: Path) -> dict[str, Any]:
    return {
        "home": str(tmp_path),
        "environment": {"GEN302_SANDBOX": sandbox.url},
        "connect": {
            "config": {"default": "hero", "providers": {"hero": {"family": "midjourney"}}},
            "ledger": f"sqlite:///{(tmp_path / 'ledger.db').as_posix()}",
        },
    }


def elsewhere() -> tuple[str, ...]:
    """Starts a program in another process namespace, as a container does: its pids mean nothing here."""
    for words in (("unshare", "-p", "-f"), ("unshare", "-U", "-r", "-p", "-f")):
        try:
            subprocess.run([*words, "true"], check=True, capture_output=True, timeout=20)
        except (OSError, subprocess.SubprocessError):
            continue
        return (*words, "--kill-child")
    pytest.skip("this system gives nobody a process namespace")


@pytest.mark.parametrize("where", ["beside", "in another container"])
def test_while_one_is_submitting_others_wait_for_its_receipt(
    sandbox: RunningSandbox, common: dict[str, Any], where: str, until: Any, held: Any
) -> None:
    """The owner is stopped while its request is out, goes on, and is killed in the next; a clock is a day ahead."""
    within = () if where == "beside" else elsewhere()
    with Crowd(common, within) as owners, Crowd(common) as others, connect(**common["connect"]) as provider:
        sandbox.fault("submit", "late")
        owners.start("first", "submit", key="k")
        owners.go()
        until(lambda: sandbox.paid == 1)
        owners.signal("first", signal.SIGSTOP)
        for name in ("a", "b"):
            others.start(name, "submit", key="k", skew=DAY if name == "a" else -DAY)
        others.go()
        held.go.set()
        assert held.gone.wait(20), "the answer has come, and nobody is there to read it"
        owners.start("second", "submit", key="l")
        owners.go()
        assert owners.end("second")["error"] is None, "who buys something else waits for nobody"
        stopped = provider.job("k")
        assert (stopped.status, stopped.remote_id) == (Status.SUBMITTING, None)
        with pytest.raises(ParameterError, match="not unconfirmed"):
            provider.reconcile(stopped, resubmit=True)
        owners.signal("first", signal.SIGCONT)
        told = [owners.end("first"), others.end("a"), others.end("b")]
        assert {entry["error"] for entry in told} == {None}
        assert len({entry["told"][1] for entry in told}) == 1
        assert sandbox.paid == 2

        held.go.clear()
        sandbox.fault("submit", "late")
        owners.start("third", "submit", key="m")
        owners.go()
        until(lambda: sandbox.paid == 3)
        owners.signal("third", signal.SIGSTOP)
        assert provider.job("m").status is Status.SUBMITTING
        others.start("c", "submit", key="m")
        others.go()
        owners.signal("third", signal.SIGKILL)
        assert owners.end("third")["code"] == -signal.SIGKILL
        assert others.end("c")["told"][1] is None, "it is told of the job, and buys nothing in its place"
        assert provider.job("m").status is Status.UNCONFIRMED
        assert sandbox.paid == 3
        held.go.set()


@pytest.mark.parametrize("skew", [1200.0, DAY], ids=["twenty minutes later", "a day ahead"])
def test_two_resumers_at_once_share_the_work(
    sandbox: RunningSandbox, common: dict[str, Any], tmp_path: Path, skew: float
) -> None:
    with connect(**common["connect"]) as provider:
        jobs = [provider.submit(LAMP, save_to=tmp_path / "shots") for _ in range(5)]
    sandbox.advance(600)
    with Crowd(common) as crowd:
        crowd.start("a", "resume")
        crowd.start("b", "resume", skew=skew)
        crowd.go()
        told = crowd.end("a"), crowd.end("b")
    assert [entry["error"] for entry in told] == [None, None]
    done = Counter(job_id for entry in told for job_id, files in entry["told"] if files == 4)
    assert set(done) == {job.id for job in jobs}
    if skew < DAY:
        assert done.total() == 5, "each was finished by one of them"
        assert sum(seen.route == "download" for seen in sandbox.requests) == 5, "a grid each"
    names = [path.name for path in (tmp_path / "shots").iterdir()]
    assert sorted(names) == sorted({*names})
    assert len([name for name in names if name.endswith(".png")]) == 20, "and nothing lies there twice"
    assert sandbox.paid == 5


def test_an_owner_on_a_full_disk_pays_for_nothing_it_cannot_write_down(
    sandbox: RunningSandbox, common: dict[str, Any], until: Any
) -> None:
    with Crowd(common) as crowd:
        crowd.start("full", "full_disk")
        crowd.go()
        until(lambda: sandbox.paid == 2)
        sandbox.advance(600)
        end = crowd.end("full")
    assert end["error"] is None
    refused, handed, kept = end["told"]
    assert refused == ["LedgerError", "no"]
    assert handed[0] in {task["id"] for task in sandbox.jobs}
    assert handed[1] == ["ledger"], "the receipt is in the caller's hands, and he is told"
    assert kept == ["succeeded", handed[0], 4]
    assert sandbox.paid == 2
