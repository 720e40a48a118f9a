"""Looking back: filters, CSV for spreadsheets, one page of pictures, and the same request once more."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ai302_core import config
from ai302_core.cli import main
from ai302_core.sandbox import RunningSandbox, serve

Gen302 = Callable[..., str]


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningSandbox]:
    monkeypatch.setenv("GEN302_DEFAULT", "midjourney")
    with serve(speed=400, seed=1) as running:
        monkeypatch.setenv("GEN302_SANDBOX", running.url)
        yield running


@pytest.fixture
def gen302(capsys: pytest.CaptureFixture[str]) -> Gen302:
    """`gen302(arguments…, expect=exit code)`: its stdout, or its stderr when it fails."""

    def run(*arguments: str, expect: int = 0) -> str:
        code = main(list(arguments))
        told = capsys.readouterr()
        assert code == expect, told.err
        return told.err if expect else told.out

    return run


def test_jobs_are_found_by_what_is_known_of_them(sandbox: RunningSandbox, gen302: Gen302) -> None:
    Path("p.csv").write_text("prompt\na lamp\na door\n", "utf-8")
    gen302("batch", "p.csv", "-o", "shots", "--name", "november")
    gen302("run", "=HYPERLINK(1)", "-o", "shots", "--key", "solo")
    assert len(gen302("jobs", "list", "--batch", "november", "--json").splitlines()) == 2
    assert len(gen302("jobs", "list", "-p", "midjourney", "--json").splitlines()) == 3
    assert gen302("jobs", "list", "-p", "elsewhere", "--json") == ""
    assert gen302("jobs", "list", "--batch", "nov", "--json") == ""
    rows = list(csv.DictReader(gen302("jobs", "list", "--csv").splitlines()))
    assert (rows[0]["batch"], rows[0]["key"]) == ("", "solo")
    assert {row["batch"] for row in rows[1:]} == {"november"}
    assert rows[0]["prompt"] == "'=HYPERLINK(1)"  # a spreadsheet shows it and does not run it
    assert [row["cost"] for row in rows] == ["", "", ""]  # unknown is never 0
    assert all(Path(path).is_file() for row in rows for path in row["files"].split(" "))
    assert list(csv.DictReader(gen302("jobs", "list", "--batch", "none", "--csv").splitlines())) == []


def test_costs_are_told_and_exported(sandbox: RunningSandbox, gen302: Gen302) -> None:
    gen302("run", "a lamp", "-o", "shots", "--key", "paid")
    gen302("run", "a door", "-o", "shots")
    assert "cost:" not in gen302("jobs", "show", "paid")
    (job,) = csv.DictReader(gen302("cost", "paid", "--csv").splitlines())
    assert (job["provider"], job["cost"], job["unit"]) == ("midjourney", "0.05", "PTC")
    assert re.search(r"^cost: +0.05 PTC$", gen302("jobs", "show", "paid"), re.MULTILINE)
    (model,) = csv.DictReader(gen302("cost", "--by", "model", "--csv").splitlines())
    assert model == {"model": "imagine", "jobs": "2", "unknown": "1", "cost": "0.05", "unit": "PTC"}
    assert len(gen302("jobs", "list", "--limit", "1", "--json").splitlines()) == 1
    for no in ("0", "-3", "x", "1.5"):
        assert f"{no} is no whole number from 1" in gen302("jobs", "list", f"--limit={no}", expect=2)


def test_the_gallery_holds_everything_itself(sandbox: RunningSandbox, gen302: Gen302) -> None:
    gen302("run", "<b>a lamp</b>", "-o", "shots")
    page = Path(gen302("jobs", "gallery", "gallery.html").strip())
    text = page.read_text("utf-8")
    assert text.count('src="data:image/') == 4
    assert re.findall(r'(?:src|href)="(?!data:)', text) == []
    assert "&lt;b&gt;a lamp&lt;/b&gt;" in text
    assert "<b>" not in text
    assert "sandbox: nothing was paid" in text
    next(Path("shots").glob("*.png")).unlink()
    gen302("jobs", "gallery", "gallery.html")  # ours is replaced
    assert page.read_text("utf-8").count('src="data:image/') == 3
    Path("own.html").write_text("my page", "utf-8")
    assert "no gallery" in gen302("jobs", "gallery", "own.html", expect=2)
    assert Path("own.html").read_text("utf-8") == "my page"
    assert "FILE.html" in gen302("jobs", "gallery", "pictures", expect=2)
    assert sorted(path.name for path in Path().glob(".*")) == []


def test_the_same_request_again_from_a_job_or_its_sidecar(sandbox: RunningSandbox, gen302: Gen302) -> None:
    first = json.loads(gen302("run", "a lamp", "--ar", "3:2", "--set", "chaos=10", "-o", "shots", "--json"))
    (sidecar,) = Path("shots").glob("*.json")
    again = json.loads(gen302("run", "--from", "last", "-o", "shots", "--json"))
    assert again["job"]["request"] == first["job"]["request"]
    assert again["job"]["id"] != first["job"]["id"]
    other = json.loads(gen302("run", "a door", "--from", str(sidecar), "--ar", "1:1", "-o", "shots", "--json"))
    assert other["job"]["request"] == {**first["job"]["request"], "prompt": "a door", "aspect_ratio": "1:1"}
    assert sandbox.paid == 3
    gen302("act", "last", "upscale-1", "-o", "shots")
    assert "gen302 act" in gen302("run", "--from", "last", expect=2)
    assert "no job" in gen302("run", "--from", "nothing", expect=2)
    Path("odd.json").write_text("[]", "utf-8")
    assert "no sidecar" in gen302("run", "--from", "odd.json", expect=2)
    assert sandbox.paid == 4


def test_a_row_that_another_program_spoiled_costs_the_others_nothing(
    sandbox: RunningSandbox, gen302: Gen302, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is listed with what is still known, told by every verb that would follow it, and bought by none again."""
    Path("p.csv").write_text("prompt\na lamp\na door\n", "utf-8")
    gen302("batch", "p.csv", "-o", "shots", "--name", "november")
    gen302("submit", "a boat", "-o", "shots", "--key", "boat")
    door, boat = (json.loads(line) for line in gen302("jobs", "list", "--json").splitlines()[1::-1])
    if door["key"] == "boat":
        door, boat = boat, door
    ledger = config.find_ledger(None) or f"sqlite:///{config.data_dir() / 'ledger-sandbox.db'}"
    with closing(sqlite3.connect(ledger.removeprefix("sqlite:///"))) as db, db:
        both = (door["id"], boat["id"])
        assert db.execute("UPDATE jobs SET document = '{' || document WHERE id IN (?, ?)", both).rowcount == 2
        db.execute("DELETE FROM files WHERE job_id = ?", (door["id"],))
    assert sandbox.paid == 3

    for verb in (["jobs"], ["jobs", "list", "--json"], ["jobs", "list", "--csv"], ["cost", "--by", "day", "--csv"]):
        shown = gen302(*verb)
        assert verb[0] == "cost" or (door["id"] in shown and boat["id"] in shown)
    assert main(["jobs", "list"]) == 0
    told = capsys.readouterr()
    assert told.out.count("cannot be read") == 2
    assert "And 1 more" in told.err
    assert f"gen302 jobs adopt {boat['remote_id']} -p midjourney" in gen302("wait", "boat", expect=2)
    told_by_resume = gen302("jobs", "resume", expect=2)
    assert told_by_resume.count("cannot be read") == 2
    assert "cannot be read" in gen302("batch", "p.csv", "--name", "november", expect=8)
    assert "cannot be read" in gen302("submit", "a boat", "--key", "boat", expect=2)
    gen302("jobs", "gallery", "all.html")
    assert sandbox.paid == 3

    gen302("jobs", "adopt", boat["remote_id"], "-p", "midjourney")
    assert gen302("wait", "last") == ""
    assert gen302("save", "last", "-o", "boats").count(".png") == 4
    assert sandbox.paid == 3
