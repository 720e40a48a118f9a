"""The command at a self-hosted Midjourney: one press for four jobs, free questions, addresses of callbacks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ai302_core.cli import main
from ai302_core.sandbox import tile
from ai302_core.sandbox.media import Look

Run = Callable[..., tuple[int, list[Any], str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """A command with --json, in this process: exit code, what stdout says line by line, stderr."""
    for name, value in {"DEFAULT": "home", "PROVIDERS__HOME__FAMILY": "midjourney"}.items():
        monkeypatch.setenv(f"GEN302_{name}", value)
    monkeypatch.setenv("GEN302_PROVIDERS__HOME__GATEWAY", "mjproxy-net")
    monkeypatch.chdir(tmp_path)

    def typed(*words: str) -> tuple[int, list[Any], str]:
        code = main([*words, "--json"])
        shown = capsys.readouterr()
        return code, [json.loads(line) for line in shown.out.splitlines()], shown.err

    return typed


@pytest.fixture
def told(open_shop: Callable[..., Any], run: Run, tmp_path: Path) -> Any:
    """A shop where a picture was described."""
    shop = open_shop(gateway="mjproxy-net")
    (tmp_path / "lamp.png").write_bytes(tile(Look("a lamp", "1", "x"), (64, 48)))
    assert run("run", "--op", "describe", "--image", "lamp.png")[0] == 0
    return shop


def test_one_press_is_followed_to_four_pictures_each(told: Any, run: Run, tmp_path: Path) -> None:
    code, _, err = run("act", "last", "imagine-all", "--prompt", "other words")
    assert (code, "takes no prompt" in err, told.count("submit:action")) == (2, True, 0)
    parent = run("jobs", "list")[1][0]["id"]
    code, lines, err = run("act", parent, "imagine-all", "--key", "four", "-o", "all")
    assert (code, [line["job"]["status"] for line in lines]) == (0, ["succeeded"] * 4)
    assert all(line["job"]["id"] in err for line in lines)
    assert [len(line["files"]) for line in lines] == [4] * 4
    assert len({path.read_bytes() for path in (tmp_path / "all").glob("*.png")}) == 16
    code, again, _ = run("act", parent, "imagine-all", "--key", "four", "-o", "all")
    assert (code, len(again)) == (0, 4)
    assert {line["job"]["id"] for line in again} == {line["job"]["id"] for line in lines}  # told as they settle
    assert told.count("submit:action") == 1


def test_a_press_for_four_that_was_never_answered(told: Any, run: Run) -> None:
    told.sandbox.fault("submit:action", "drop")
    code, lines, _ = run("act", "last", "imagine-all", "--key", "four")
    assert (code, lines[0]["error"]["type"], lines[0]["error"]["billed"]) == (7, "JobUnconfirmed", "unknown")
    parent = lines[0]["job"]["parent"]
    assert len(run("jobs", "list", "--status", "unconfirmed")[1]) == 4
    code, lines, _ = run("act", parent, "imagine-all", "--key", "four", "--no-wait")
    assert [line["job"]["status"] for line in lines] == ["unconfirmed"] * 4
    assert told.count("submit:action") == 1
    for row in lines:
        assert run("jobs", "reconcile", row["job"]["id"], "--resubmit")[0] == 2  # else four would be bought four times
        assert run("jobs", "reconcile", row["job"]["id"], "--abandon")[0] == 0
    assert told.count("submit:action") == 1


def test_a_budget_with_room_for_two_of_four_sends_nothing(told: Any, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEN302_BUDGET__MAX_JOBS", "3")
    code, lines, _ = run("act", "last", "imagine-all", "--no-wait")
    assert (code, lines[0]["error"]["type"], told.count("submit:action")) == (5, "BudgetExceeded", 0)
    monkeypatch.setenv("GEN302_BUDGET__MAX_JOBS", "5")
    parent = run("jobs", "list", "--status", "succeeded")[1][0]["id"]
    code, lines, _ = run("act", parent, "imagine-all", "--no-wait")
    assert (code, [line["job"]["billed"] for line in lines]) == (0, ["yes"] * 4)
    assert told.count("submit:action") == 1


def test_free_questions(told: Any, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    _, (bought,), _ = run("run", "a lamp")
    job = bought["job"]
    code, (seed,), _ = run("jobs", "ask", "image-seed", job["id"])
    assert (code, str(seed).isdigit()) == (0, True)
    assert (main(["jobs", "ask", "image-seed", "last"]), capsys.readouterr().out) == (0, f"{seed}\n")
    code, tasks, _ = run("jobs", "ask", "tasks")
    assert job["remote_id"] in [task["id"] for task in tasks]
    paid = told.sandbox.paid
    for words in (("image-seed",), ("image-sed", "last"), ("tasks", "-p", "midjourney")):
        code, (line,), _ = run("jobs", "ask", *words)
        assert (code, line["error"]["billed"]) == (2, "no")
    assert told.sandbox.paid == paid


def test_an_address_of_callbacks_goes_with_every_verb_that_pays(told: Any, run: Run) -> None:
    address = "http://127.0.0.1:9/hook/{job_id}"  # nobody listens there
    code, (line,), _ = run("run", "a lamp", "--webhook", address, "--dry-run")
    assert (code, line["request"]["body"]["notifyHook"]) == (0, "http://127.0.0.1:9/hook/JOB-ID")
    code, (line,), _ = run("run", "a lamp", "--webhook", address)
    hooks = [line["job"]["id"]]
    code, (line,), _ = run("act", "last", "U1", "--webhook", address, "--no-wait")
    hooks.append(line["job"]["id"])
    code, (line,), _ = run("submit", "another lamp", "--webhook", address)
    hooks.append(line["job"]["id"])
    sent = [seen.body.get("notifyHook") for seen in told.sandbox.requests if seen.route.startswith("submit")]
    assert sent[1:] == [f"http://127.0.0.1:9/hook/{job}" for job in hooks]
    paid = told.sandbox.paid
    for words in (("submit", "a lamp", "--dry-run"), ("submit", "a lamp")):
        code, (line,), _ = run(*words, "--webhook", "no-address")
        assert (code, line["error"]["type"]) == (2, "ParameterError")
    assert told.sandbox.paid == paid
