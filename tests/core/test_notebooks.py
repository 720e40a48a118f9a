"""What a notebook shows of a result, and its bar: files embedded, links where there are none, nothing unescaped."""

from __future__ import annotations

import sys
import types
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ai302_core import Asset, Job, Result, Status, errors, notebooks

JOB = Job(
    id="261121-aaaaaaaa",
    provider="hero<b>",
    family="acme",
    operation="image",
    status=Status.SUCCEEDED,
    created_at=datetime(2026, 11, 21, tzinfo=UTC),
)


def test_saved_files_are_embedded_and_links_are_the_second_best(tmp_path: Path) -> None:
    picture, clip, gone = tmp_path / "a.png", tmp_path / "b.mp4", tmp_path / "c.png"
    picture.write_bytes(b"\x89PNG....")
    clip.write_bytes(b"mp4")
    assets = (Asset(kind="image", url='https://cdn.example/"><script>'),)
    shown = Result(job=JOB, assets=assets, files=(picture, clip, gone))._repr_html_()
    assert 'src="data:image/png;base64,iVBORy4uLi4="' in shown
    assert "<video controls" in shown
    assert f"<code>{gone}</code>" in shown
    assert "cdn.example" not in shown
    assert "<b>" not in shown
    linked = Result(job=JOB, assets=assets)._repr_html_()
    assert "<script>" not in linked
    assert "https://cdn.example/&quot;&gt;" in linked


@pytest.mark.parametrize(
    ("asset", "said"),
    [
        (Asset(kind="text", text="<i>words</i>"), "&lt;i&gt;words"),
        (Asset(kind="image", url="javascript:alert(1)"), "image final 1"),
        (Asset(kind="image", role="tile", url="https://cdn.example/grid.png", cut=(0, 0, 2, 2)), "cut from a grid"),
        (Asset(kind="audio", url="https://cdn.example/a.mp3"), "<audio controls"),
        (Asset(kind="model3d", url="https://cdn.example/a.glb"), '<a href="https://cdn.example/a.glb">'),
    ],
    ids=["text", "script", "tile", "audio", "model3d"],
)
def test_an_asset_shows_itself(asset: Asset, said: str) -> None:
    assert said in asset._repr_html_()
    assert "javascript:" not in asset._repr_html_()


def test_the_bar_is_one_and_invents_no_percentage(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []

    class Handle:
        def update(self, content: str) -> None:
            drawn.append(content)

    def display(content: str, *, display_id: bool) -> Handle:
        drawn.append(content)
        return Handle()

    module: Any = types.ModuleType("IPython")
    module.display = types.SimpleNamespace(HTML=str, display=display)
    monkeypatch.setitem(sys.modules, "IPython", module)
    update = notebooks.bar()
    running = replace(JOB, status=Status.RUNNING)
    for job in (running, replace(running, progress=0.25), JOB):
        update(job)
    assert len(drawn) == 3
    assert "value=" not in drawn[0]
    assert 'value="0.250"' in drawn[1]
    assert "25%" in drawn[1]
    assert 'value="1.000"' in drawn[2]


def test_outside_of_notebooks_the_bar_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython", None)
    with pytest.raises(errors.ConfigError, match="IPython"):
        notebooks.bar()
