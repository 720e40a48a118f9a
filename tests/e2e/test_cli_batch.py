"""A batch buys every row once: killed, repeated, changed, refused; counted at the sandbox and on the disk."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from ai302_core import config
from ai302_core._sqlite import open_ledger
from ai302_core.cli import _crowd, main
from ai302_core.jobs import Status
from ai302_core.sandbox import RunningSandbox

ROWS = 32


@pytest.fixture
def sandbox(stand_in: Callable[..., RunningSandbox]) -> RunningSandbox:
    return stand_in(speed=400)


@pytest.fixture
def batch(gen302: Any) -> Any:
    """`batch(arguments…, expect=exit code)`: (what every row became, the summary)."""

    def run(*arguments: str, expect: int = 0) -> tuple[list[Any], Any]:
        records = [
            json.loads(line) for line in gen302("batch", *arguments, "--json", expect=expect).stdout.splitlines()
        ]
        return records[:-1], records[-1]

    return run


def write(name: str, *lines: str) -> None:
    Path(name).write_text("\n".join(lines) + "\n", "utf-8")


def stored() -> Any:
    return open_ledger(config.find_ledger(None), data_dir=config.data_dir())


def looked_up(sandbox: RunningSandbox) -> int:
    """Do what a person does with unconfirmed jobs: find each in the service's own list, by its prompt."""
    ledger = stored()
    lost = [job for job in ledger.jobs(status=(Status.UNCONFIRMED,)) if job.remote_id is None]
    known = {job.remote_id for job in ledger.jobs()}
    ledger.close()
    there: dict[str, str] = {}
    for task in sandbox.jobs:
        if task["id"] not in known:
            url = f"{sandbox.url}/mj/task/{task['id']}/fetch"
            there[httpx.get(url, headers={"mj-api-secret": sandbox.key}, timeout=10).json()["prompt"]] = task["id"]
    for lost_job in lost:
        found = there.get(lost_job.request.prompt)
        how = ["--found", found] if found else ["--resubmit"]
        assert main(["jobs", "reconcile", lost_job.id, *how]) == 0
    return len(lost)


def test_killed_twice_and_repeated_it_pays_once_a_row(sandbox: RunningSandbox, until: Any) -> None:
    write("skus.csv", "sku;name;cost", *(f"S{n:03};mug number {n};{n}" for n in range(ROWS)))
    typed = ["batch", "skus.csv", "--prompt", "photo of {name}", "-o", "shots/{sku}-{n}", "--ignore", "cost"]
    for paid in (ROWS // 4, ROWS // 2):
        with subprocess.Popen(
            [sys.executable, "-m", "ai302_core", *typed], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as running:
            until(lambda paid=paid: sandbox.paid >= paid)
            running.send_signal(signal.SIGKILL if os.name != "nt" else signal.SIGTERM)
            running.wait(30)
    code = main(typed)
    if lost := looked_up(sandbox):
        assert code == (7 if lost == ROWS else 8)  # no row's answer may have been written down before the kills
        code = main(typed)
    assert code == 0
    assert sandbox.paid == ROWS
    there = Counter(path.name.partition("-")[0] for path in Path("shots").glob("*.png"))
    assert there == {f"S{n:03}": 4 for n in range(ROWS)}
    polls = len(sandbox.requests)
    assert main(["batch", "skus.csv"]) == 0  # the options are remembered, and nothing is left to ask
    assert len(sandbox.requests) == polls


def test_options_that_would_buy_again_stop_it(sandbox: RunningSandbox, batch: Any, gen302: Any) -> None:
    write("skus.csv", "sku,name", "A,red mug", "B,red mug", "C,red mug")
    rows, told = batch("skus.csv", "--prompt", "photo of {name}", "-o", "shots/{sku}-{n}")
    assert sorted(row["row"] for row in rows) == [2, 3, 4]
    assert told == {"v": 1, "batch": "skus", "round": 1, "rows": 3, "done": 3, "not_begun": 0, "files": 12, "exit": 0}
    _, refused = batch("skus.csv", "--prompt", "drawing of {name}", expect=2)
    assert "3 rows of the batch 'skus' would be bought again" in refused["error"]["message"]
    assert refused["error"]["billed"] == "no"
    write("skus.csv", "sku,name", "B,red mug", "D,blue mug")
    refused = gen302("batch", "skus.csv", "--prompt", "drawing of {name}", expect=2)
    assert "1 row of the batch 'skus' would be bought again" in refused.stderr  # not those that were taken out
    write("skus.csv", "sku,name", "A,red mug", "B,red mug", "C,red mug")
    _, elsewhere = batch("skus.csv", "-o", "other")  # only the place: free
    assert (elsewhere["done"], sandbox.paid) == (3, 3)
    assert len(list(Path("other").glob("*.png"))) == 12
    batch("skus.csv", "--prompt", "drawing of {name}", "--again", "all")
    assert sandbox.paid == 6
    write("skus.csv", "sku,name", "A,red mug", "D,blue mug", "B,red mug", "C,red mug", "A,red mug")
    _, told = batch("skus.csv")
    assert (told["rows"], sandbox.paid) == (5, 8)  # the new row, and one more like the first
    batch("skus.csv", "--again", "all")
    assert sandbox.paid == 13


def test_failed_rows_are_bought_again_only_when_asked(sandbox: RunningSandbox, batch: Any) -> None:
    write("p.jsonl", *(json.dumps({"prompt": f"study {n}"}) for n in range(4)))
    sandbox.fault("submit", "fail")
    rows, told = batch("p.jsonl", "-o", "shots", expect=8)
    assert (told["done"], told["failed"], sandbox.paid) == (3, 1, 4)
    assert [row["error"]["type"] for row in rows if row["error"]] == ["JobFailed"]
    batch("p.jsonl", expect=8)
    assert sandbox.paid == 4
    _, told = batch("p.jsonl", "--again", "failed")
    assert (told["done"], sandbox.paid) == (4, 5)


def test_no_more_than_max_jobs_over_all_runs(sandbox: RunningSandbox, batch: Any) -> None:
    write("p.csv", "prompt", *(f"study {n}" for n in range(5)))
    _, told = batch("p.csv", "--max-jobs", "2", expect=8)
    assert (told["done"], told["not_begun"], sandbox.paid) == (2, 3, 2)
    _, told = batch("p.csv", expect=8)
    assert (told["not_begun"], sandbox.paid) == (3, 2)
    _, told = batch("p.csv", "--max-jobs", "9")
    assert (told["done"], sandbox.paid) == (5, 5)


def test_no_balance_stops_the_rest(stand_in: Callable[..., RunningSandbox], batch: Any) -> None:
    write("p.csv", "prompt", *(f"study {n}" for n in range(600)))
    poor = stand_in(speed=400, balance=0)
    _, told = batch("p.csv", expect=5)
    assert (told["no_money"] + told["not_begun"], poor.paid) == (600, 0)
    assert told["not_begun"] > 100, "two dozen are on their way at once, and more until the first no is read"


def test_what_an_earlier_run_left_unconfirmed_does_not_stop_this_one(sandbox: RunningSandbox, batch: Any) -> None:
    write("p.csv", "prompt", *(f"study {n}" for n in range(10)))
    sandbox.fault("submit", "drop", times=8)
    assert batch("p.csv", expect=8)[1]["unconfirmed"] == 8
    write("p.csv", "prompt", *(f"study {n}" for n in range(20)))
    _, told = batch("p.csv", expect=8)
    assert (told["unconfirmed"], told["done"], told["not_begun"]) == (8, 12, 0)
    assert sandbox.paid == 20


def test_every_row_is_looked_at_before_the_first_is_sent(sandbox: RunningSandbox, batch: Any) -> None:
    write("bad.csv", "prompt,seed,ar,image", "one,1,3:2,", "two,x,3:2,", "three,3,wide,", ",4,3:2,", "five,5,,gone.png")
    _, told = batch("bad.csv", expect=2)
    message = told["error"]["message"]
    assert "4 of 5 rows cannot be sent" in message
    for said in ("line 3: seed=x: expected a whole number", "line 4: aspect_ratio", "line 5: There is no prompt",
                 "line 6: images: there is no file"):  # fmt: skip
        assert said in message
    write("odd.csv", "prompt,seeds", "one,1")
    assert "did you mean 'seed'?" in batch("odd.csv", expect=2)[1]["error"]["message"]
    assert batch("odd.csv", "--ignore", "seeds", "--dry-run")[0] == []
    assert sandbox.requests == []
    assert stored().jobs() == []


def test_a_file_that_is_no_picture_stops_the_whole(sandbox: RunningSandbox, batch: Any) -> None:
    Image.new("RGB", (96, 64), "orange").save("lamp.png")
    Path("note.png").write_text("a note", "utf-8")
    write("p.csv", "prompt,image", "one,lamp.png", "two,lamp.png", "three,note.png")
    message = batch("p.csv", expect=2)[1]["error"]["message"]
    assert "1 of 3 rows cannot be sent" in message
    assert "line 4: images: " in message
    assert "note.png': not a picture" in message
    assert sandbox.requests == []
    write("p.csv", "prompt,image", "one,lamp.png", "two,lamp.png")
    assert batch("p.csv")[1]["done"] == sandbox.paid == 2
    sent = [seen.body["base64Array"] for seen in sandbox.requests if seen.method == "POST"]
    assert {len(pictures) for pictures in sent} == {1}
    assert all(Path("lamp.png").stat().st_size < len(pictures[0]) for pictures in sent)  # whole, not its beginning


def test_a_file_saved_anew_is_read_as_what_it_is(sandbox: RunningSandbox, batch: Any) -> None:
    rows = "name,cost\n红色杯子,1\n蓝色盘子,2\n"
    Path("p.csv").write_bytes(rows.encode("gb18030"))
    assert "--encoding gb18030" in batch("p.csv", "--prompt", "{name}", expect=2)[1]["error"]["hint"]
    batch("p.csv", "--prompt", "{name}", "--ignore", "cost", "--encoding", "gb18030")
    assert batch("p.csv")[1]["done"] == sandbox.paid == 2
    Path("p.csv").write_bytes(rows.encode("utf-8"))  # read as before it would be other words, and bought
    refused = batch("p.csv", expect=2)[1]["error"]
    assert "reads as UTF-8 now" in refused["message"]
    assert batch("p.csv", "--encoding", "utf-8")[1]["done"] == sandbox.paid == 2
    Path("p.csv").write_bytes(rows.encode("gb18030"))
    batch("p.csv", "--encoding", "gb18030")
    Path("p.csv").write_bytes(rows.encode("utf-8-sig"))  # its mark says it
    assert batch("p.csv")[1]["done"] == sandbox.paid == 2
    write("p.csv", "name", "红色杯子", "蓝色盘子")  # the column that was for nothing has gone
    assert batch("p.csv")[1]["done"] == sandbox.paid == 2
    assert "no such column" in batch("p.csv", "--ignore", "cost", expect=2)[1]["error"]["message"]


def test_cells_are_fields_and_paths_begin_at_the_file(sandbox: RunningSandbox, batch: Any) -> None:
    Path("job").mkdir()
    Image.new("RGB", (96, 64), "orange").save("job/lamp.png")
    write("job/list.csv", "Prompt\tAspect Ratio\tchaos\timage\tsku", "a lamp\t3:2\t10\tlamp.png\tNUL",
          "a lamp\t\t\t\t../x")  # fmt: skip
    rows, _ = batch("job/list.csv", "--ar", "1:1", "-o", "out/{sku}/{n}")
    requests = {row["row"]: row["job"]["request"] for row in rows}
    assert (requests[2]["aspect_ratio"], requests[2]["chaos"]) == ("3:2", 10)
    assert requests[2]["images"][0]["file"]["name"] == "lamp.png"
    assert requests[3]["aspect_ratio"] == "1:1"  # where a cell is empty, the option speaks
    assert sorted({path.parent.name for path in Path("out").rglob("*.png")}) == ["_NUL", "_x"]


def test_another_file_of_the_same_name_is_no_part_of_the_batch(sandbox: RunningSandbox, batch: Any) -> None:
    Path("november").mkdir()
    write("p.csv", "prompt", "a lamp")
    write("november/p.csv", "prompt", "a door")
    batch("p.csv", "-o", "shots")
    _, told = batch("november/p.csv", expect=2)
    assert "no row of this file belongs to it" in told["error"]["message"]
    batch("november/p.csv", "--name", "november")
    assert sandbox.paid == 2
    assert len(list(Path("november").glob("*.png"))) == 4  # without -o: a folder called like the batch


def test_two_windows_share_one_batch(sandbox: RunningSandbox) -> None:
    write("p.csv", "prompt", *(f"study {n}" for n in range(12)))
    typed = [sys.executable, "-m", "ai302_core", "batch", "p.csv", "-o", "shots"]
    running = [subprocess.Popen(typed, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(2)]
    assert [window.wait(120) for window in running] == [0, 0]
    assert sandbox.paid == 12


def test_ctrl_c_leaves_nothing_unconfirmed(sandbox: RunningSandbox, until: Any) -> None:
    write("p.csv", "prompt", *(f"study {n}" for n in range(200)))
    typed = [sys.executable, "-m", "ai302_core", "batch", "p.csv", "-o", "shots"]
    with subprocess.Popen(typed, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as running:
        until(lambda: sandbox.paid >= 20)
        running.send_signal(signal.SIGINT)
        told = running.communicate(timeout=60)[1]
    assert running.returncode == 130
    assert "Next: gen302 batch" in told
    jobs = stored().jobs()
    assert Counter(job.status for job in jobs)[Status.UNCONFIRMED] == 0
    assert len([job for job in jobs if job.remote_id]) == sandbox.paid < 200


def test_rows_that_share_a_name_keep_their_files_together(sandbox: RunningSandbox, gen302: Any, batch: Any) -> None:
    """A number each, whoever is done first; it stays the row's own, and what was saved before stays where it is."""
    write("skus.csv", "sku,name", "A,mug", "A,jug", "A-1,cup", "B,pan", "A,pot")
    typed = ("batch", "skus.csv", "--prompt", "photo of {name}")

    def named() -> dict[str, set[str]]:
        jobs = {job.id: job.request.prompt.split()[-1] for job in stored().jobs()}
        found: dict[str, set[str]] = {name: set() for name in jobs.values()}
        for job in stored().jobs():
            found[jobs[job.id]] |= {
                Path(file.path).relative_to(Path.cwd()).as_posix() for file in stored().files(job.id)
            }
        return found

    note = "note: line 2, line 3, line 6 save to the same names, "
    assert note in gen302(*typed, "-o", "shots/{sku}-{n}").stderr
    first = {"mug": "A-{n}", "jug": "A-{n}_2", "cup": "A-1-{n}", "pan": "B-{n}", "pot": "A-{n}_3"}
    assert named() == {name: {f"shots/{to.format(n=n)}.png" for n in range(1, 5)} for name, to in first.items()}
    write("skus.csv", "sku,name", "A,pot", "A,cap", "A,jug")
    batch("skus.csv")  # the first is gone, others have moved: what was bought has its names, the new row a free one
    files = named()
    assert {name: files[name] for name in ("jug", "pot")} == {
        name: {f"shots/{first[name].format(n=n)}.png" for n in range(1, 5)} for name in ("jug", "pot")
    }
    assert all(Path(file).exists() for names in files.values() for file in names)
    assert (len(files["cap"]), sandbox.paid) == (4, 6)
    # What an earlier version saved to one place stays there.
    for job in stored().jobs():
        stored().set_destination(job.id, str(Path("shots/A-{n}").absolute()))
    before = {path: path.stat().st_mtime_ns for path in Path("shots").iterdir()}
    batch("skus.csv")
    assert {path: path.stat().st_mtime_ns for path in Path("shots").iterdir()} == before
    # A folder holds names with the end of a job's id: nothing is shared there.
    assert note not in gen302(*typed, "-o", "folders/{sku}/", "--name", "another").stderr
    assert len(list(Path("folders/A").glob("*.png"))) == 12


def test_a_batch_at_a_busy_service_says_why_it_waits(
    sandbox: RunningSandbox, gen302: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_crowd, "PAUSE", 1e9)
    write("p.csv", "prompt", *(f"study {n}" for n in range(4)))
    sandbox.fault("submit", "429", retry_after=1, times=3)
    told = gen302("batch", "p.csv", "-o", "shots").stderr
    assert told.count("not accepted") == 1  # many rows hear the same
    reason = r"p: not accepted, nothing was paid: midjourney \(302ai\) refused: .* \[-10012\]; sending again in 1 s\n"
    assert re.search(reason, told), told
    assert sandbox.paid == 4


def test_what_is_told_before_and_after_can_be_acted_on(sandbox: RunningSandbox, gen302: Any) -> None:
    """A place nobody can write to costs nothing; notes name the lines; the last line goes on, whatever the names."""
    Path("my shop").mkdir()
    file = Path("my shop") / "skus.csv"
    write(str(file), "sku,name", "A-1,mug", "A-1,jug", "A-3,")
    typed = ("batch", file, "--prompt", "photo of {name}", "--name", "for november")
    Path("taken").write_text("a file")
    refused = gen302(*typed, "-o", "taken/{sku}-{n}", expect=2).stderr
    assert ("'taken' is a file" in refused.replace(f"{Path.cwd()}{os.sep}", ""), sandbox.paid) == (True, 0)
    assert "did you mean {name}?" in gen302("batch", file, "--prompt", "photo of {nmae}", expect=2).stderr
    dead = sandbox.fault("download", "expired", times=None)
    told = gen302(*typed, "-o", "shots/{sku}-{n}", expect=9).stderr
    assert "note: the prompt names an empty cell: {name} in line 4." in told
    assert "note: line 2, line 3 save to the same names" in told
    assert " for november: 0 of 3 rows" in told  # said as soon as the first is paid, not after a silent while
    (again,) = (line.removeprefix("Goes on: ") for line in told.splitlines() if line.startswith("Goes on: "))
    dead.times = dead.hits
    gen302(*shlex.split(again)[1:])
    assert (sandbox.paid, len(list(Path("shots").glob("*.png")))) == (3, 12)
