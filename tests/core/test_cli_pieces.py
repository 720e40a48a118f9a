"""Pieces of the command: exit codes, typed fields, plain progress, tables, what is imported."""

from __future__ import annotations

import ast
import io
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

import ai302_core
from ai302_core import errors
from ai302_core._files.naming import plan
from ai302_core._version import VERSION
from ai302_core.assets import Asset, Media
from ai302_core.cli import EXITS, VERBS, _crowd, _thumbnail, _together, main
from ai302_core.cli._options import absolute
from ai302_core.cli._phrases import duration, phrase
from ai302_core.cli._requests import typed
from ai302_core.cli._table import lines
from ai302_core.cli._tally import Tally
from ai302_core.cli._verdict import exit_code, money
from ai302_core.jobs import Job, Outcome, Status
from ai302_core.requests import ImageRequest

JOB = Job(
    id="261121-aaaaaaaa",
    provider="hero",
    family="acme",
    operation="image",
    status=Status.RUNNING,
    created_at=datetime(2026, 11, 21, tzinfo=UTC),
    progress=0.456,
)

VERDICTS = [
    (errors.ConfigError("x"), 2),
    (errors.PluginError("x"), 2),
    (errors.LedgerError("x"), 2),
    (errors.ParameterError("x"), 2),
    (errors.KeyConflict("x"), 2),
    (errors.AuthenticationError("x", status_code=401), 2),
    (errors.InvalidRequestError("x", status_code=400), 2),
    (errors.NotFoundError("x", status_code=404), 2),
    (errors.NotFoundError("x", status_code=404, billed="unknown"), 7),
    (errors.BudgetExceeded("x"), 5),
    (errors.BalanceError("x", status_code=402), 5),
    (errors.ContentRejectedError("x", status_code=400), 4),
    (errors.JobRejected("x", job=JOB), 4),
    (errors.TransportError("x", sent=False), 6),
    (errors.TransportError("x", sent=True, billed="unknown"), 7),
    (errors.TransportError("x", sent=True, billed="yes"), 3),
    (errors.RateLimitError("x", status_code=429), 6),
    (errors.ServerError("x", status_code=503), 6),
    (errors.ReplyError("x"), 2),
    (errors.DownloadError("x"), 9),
    (errors.JobFailed("x", job=JOB), 1),
    (errors.JobCanceled("x", job=JOB), 1),
    (errors.JobTimeout("x", job=JOB), 3),
    (errors.JobUnconfirmed("x", job=JOB), 7),
    (errors.JobInputRequired("x", job=JOB), 10),
]


@pytest.mark.parametrize(("error", "code"), VERDICTS, ids=lambda value: type(value).__name__)
def test_exit_codes(error: errors.Ai302Error, code: int) -> None:
    assert exit_code(error) == code
    assert str(code) in dict(EXITS)


def test_every_error_has_a_verdict_under_test() -> None:
    raised = {type(error).__name__ for error, _ in VERDICTS}
    groups = {"Ai302Error", "ApiError", "ContentRejected", "JobError"}
    assert raised | groups == {name for name in ai302_core.__all__ if isinstance(getattr(ai302_core, name), type)
                               and issubclass(getattr(ai302_core, name), errors.Ai302Error)}  # fmt: skip


def test_money_is_said_for_every_outcome() -> None:
    assert money(errors.ConfigError("x"), None) == "Nothing was paid."
    assert "before you pay again" in money(errors.JobUnconfirmed("x", job=JOB, billed="unknown"), JOB)
    assert "lives on" in money(errors.JobTimeout("x", job=JOB, billed="yes"), JOB)
    assert "free" in money(errors.DownloadError("x"), JOB)
    failed = replace(JOB, status=Status.FAILED)
    assert "records" in money(errors.JobFailed("x", job=failed, billed="unknown"), failed)


@dataclass(frozen=True, kw_only=True)
class PosterRequest(ImageRequest):
    """Every type a field may have."""

    glow: float | None = None
    tiled: bool | None = None
    tags: tuple[str, ...] = ()
    base: Media | None = None


def test_fields_are_typed_by_their_class() -> None:
    given = [("glow", "1"), ("tiled", "no"), ("tags", "a"), ("tags", '["b", "c"]'), ("base", "x.png"), ("seed", "3")]
    values = typed(PosterRequest, [*given, ("negative-prompt", "1"), ("size", "10x20")])
    assert values == {
        "glow": 1.0,
        "tiled": False,
        "tags": ("a", "b", "c"),
        "base": "x.png",
        "seed": 3,
        "negative_prompt": "1",
        "size": "10x20",
    }
    assert type(values["glow"]) is float


@pytest.mark.parametrize("text", ["tiled=maybe", "seed=1.5", "glow=bright", "seed=1\nseed=2", "extra={}", "action=x"])
def test_values_of_another_type_are_refused(text: str) -> None:
    pairs = [(name, value) for name, _, value in (entry.partition("=") for entry in text.split("\n"))]
    with pytest.raises(errors.ParameterError):
        typed(PosterRequest, pairs)


def test_progress_never_invents_a_percentage() -> None:
    assert phrase(JOB, (), 8.4) == "running 46%, 8 s so far"
    assert phrase(replace(JOB, progress=None), (), 8) == "running, 8 s so far"
    assert phrase(JOB, (30.0, 60.0, 90.0), 20) == "running 46%, 20 s so far, about 40 s left"
    assert phrase(JOB, (30.0, 60.0, 90.0), 70) == "running 46%, 1 min 10 s so far"
    assert phrase(replace(JOB, status=Status.SUCCEEDED), (1.0, 1.0, 1.0), 0.4) == "succeeded, after 0 s"
    assert [duration(seconds) for seconds in (59.4, 59.5, 7500)] == ["59 s", "1 min 0 s", "2 h 5 min"]


def test_where_files_go_means_the_same_in_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "a {b}"
    here.mkdir()
    monkeypatch.chdir(here)
    assert absolute("shots/../x") == str(tmp_path / "a {{b}}" / "x")
    (target,) = plan(absolute("{id}"), JOB, [Asset(kind="image")])
    assert target.folder / target.stem == here / JOB.id


def test_columns_stay_aligned_with_wide_letters() -> None:
    assert lines([("灯笼", "x", "end"), ("a", "yy", "end")]) == ["灯笼  x   end", "a     yy  end"]


def test_a_narrow_terminal_folds_a_table_between_its_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        ("ID", "STATUS", "PROVIDER/OPERATION", "PROMPT"),
        ("261121-k3v9xq2m", "succeeded", "hero/imagine", "a " * 99),
    ]
    piped = lines(rows)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    assert lines(rows) == [
        "ID               STATUS",
        "  PROVIDER/OPERATION",
        "  PROMPT",
        "261121-k3v9xq2m  succeeded",
        "  hero/imagine",
        f"  {'a ' * 17}a...",
    ]
    monkeypatch.setenv("COLUMNS", "300")
    assert lines(rows)[0] == piped[0]
    assert len(piped) == 2


@pytest.mark.skipif(os.name == "nt", reason="a folder in use cannot be removed there")
def test_a_folder_that_is_gone_is_no_bug_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = tmp_path / "gone"
    for words in (["jobs"], ["run", "a lantern"], ["batch", "rows.csv"]):
        gone.mkdir()
        with monkeypatch.context() as patch:
            patch.chdir(gone)
            gone.rmdir()
            assert main(words) == 2
        assert "gen302: The folder this was typed in is gone. Nothing was sent." in capsys.readouterr().err


def test_the_version_is_the_distributions() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "core/pyproject.toml").read_text("utf-8"))["project"]
    assert project["version"] == VERSION


@pytest.mark.parametrize(
    ("arguments", "forbidden"),
    [
        (["--version"], ("argparse", "typing", "json", "re", "importlib.metadata")),
        (["--help"], ("argparse", "typing", "json", "re", "importlib.metadata")),
        ([], ("argparse", "typing", "importlib.metadata")),
        (["jobs"], ("pydantic", "httpx", "rich", "asyncio")),
        (["jobs", "show", "zzzz"], ("pydantic", "httpx", "rich", "asyncio")),
        (["run", "--help"], ("pydantic", "httpx", "asyncio")),
    ],
    ids=lambda value: " ".join(value),
)
def test_a_verb_imports_only_what_it_needs(arguments: list[str], forbidden: tuple[str, ...]) -> None:
    script = (
        "import sys; before = set(sys.modules); from ai302_core.cli import main; main(sys.argv[1:]);"
        "print(*sorted(set(sys.modules) - before), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", script, *arguments], capture_output=True, text=True, timeout=60, check=True
    )
    assert set(done.stderr.splitlines()[-1].split()) & set(forbidden) == set()


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Poor(Screen):
    """One that cannot show the blocks a picture is made of."""

    encoding = "ascii"


@pytest.mark.filterwarnings("ignore:Image.Image.getdata:DeprecationWarning")  # within the library
@pytest.mark.parametrize(
    ("pipe", "environment", "drawn"),
    [
        ("", {}, True),
        ("stdout", {}, False),
        ("stderr", {}, False),
        ("stdin", {}, False),
        ("", {"NO_COLOR": "1"}, False),
        ("", {"TERM": "dumb"}, False),
        ("ascii", {}, False),
    ],
)
def test_a_small_picture_is_drawn_on_a_terminal_and_nowhere_else(
    pipe: str, environment: dict[str, str], drawn: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("textual_image")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    Image.new("RGB", (96, 64), "orange").save(tmp_path / "good.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    streams = {name: io.StringIO() if name == pipe else Screen() for name in ("stdin", "stdout", "stderr")}
    if pipe == "ascii":
        streams["stderr"] = Poor()
    for name, stream in streams.items():
        monkeypatch.setattr(sys, name, stream)
    _thumbnail.show([tmp_path / "broken.png"])
    _thumbnail.show([tmp_path / "clip.mp4"])
    assert streams["stderr"].getvalue() == ""
    _thumbnail.show([tmp_path / "sidecar.json", tmp_path / "good.png"])
    assert len(streams["stderr"].getvalue().splitlines()) == (_thumbnail.LINES if drawn else 0)
    assert streams["stdout"].getvalue() == ""


def test_jobs_under_way_are_counted_beside_those_that_ended() -> None:
    async def follow(update: Any) -> AsyncIterator[Outcome]:
        update(JOB)
        for number in range(3):
            yield Outcome(job=replace(JOB, id=f"ended-{number}"))
        yield Outcome(job=JOB)

    async def release() -> None:
        """There is nothing to let go."""

    rows: list[int] = []
    tally = Tally("resume", 0, "jobs")
    session: Any = SimpleNamespace(output=SimpleNamespace(quiet=True), connection=SimpleNamespace(release_loop=release))
    _together._told(session, tally, follow, lambda outcome: rows.append(tally.rows))
    assert rows == [2, 3, 4, 4]


def test_a_narrow_terminal_keeps_the_rows_of_a_batch_below_its_bar() -> None:
    pytest.importorskip("rich")
    from rich.console import Console

    from ai302_core.cli._livetable import LiveTable

    table = LiveTable(Tally("skus", 60), lambda job: [])
    table.update(JOB)
    screen = io.StringIO()
    Console(file=screen, width=60).print(table._rendered())
    headline, bar, row = screen.getvalue().splitlines()
    assert (headline, bar.strip("\u2501 "), row.startswith(JOB.id)) == ("skus: 0 of 60 rows, 1 under way", "", True)


def test_many_that_wait_for_the_same_place_say_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_crowd, "PAUSE", 0.0)
    said: list[str] = []
    shown = _crowd._Plain(said.append, Tally("skus", 60))
    for _ in range(3):
        shown.waits("full", once=True)
        shown.waits("busy")
    assert [line.rpartition(" ")[2] for line in said] == ["full", "busy", "busy", "busy"]


def hints() -> list[str]:
    """Every hint of the source that begins with a command, with X for what is filled in."""
    found = []
    for path in sorted(Path(ai302_core.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            value = node.value if isinstance(node, ast.keyword) and node.arg == "hint" else None
            parts = value.values if isinstance(value, ast.JoinedStr) else [value]
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in parts)
            found += [text] if text.startswith("gen302") else []
    return found


@pytest.mark.unmeasured  # it reads the sources
def test_a_hint_that_begins_with_a_command_can_be_typed_as_it_stands() -> None:
    found = hints()
    assert len(found) > 25
    for hint in found:
        command, _, why = hint.partition("  # ")
        words = shlex.split(command, comments=True)
        assert not re.search(r"[|;,(`]| or | and ", command.replace("X", "")), hint
        assert not why.endswith("."), hint
        verb = "run" if len(words) == 1 else words[1]
        assert verb in ("X", "--help") or verb in {entry[0] for entry in VERBS}, hint
