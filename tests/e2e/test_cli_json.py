"""What `--json` says, verb by verb, against a page kept beside this file: `GOLDEN=write` writes it anew."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ai302_core.cli import VERBS, main
from ai302_core.sandbox import serve

GOLDEN = Path(__file__).with_name("json_said.txt")
KEPT = {"v", "exit", "type", "billed", "retryable"}
STEPS: tuple[tuple[str, ...], ...] = (
    ("run", "a lantern", "-o", "shots", "--key", "first"),
    ("run", "a lantern", "--dry-run"),
    ("run", "a lantern", "--size", "7x7"),
    ("run",),
    ("run", "a lantern", "--arr", "3:2"),
    ("submit", "a boat", "-o", "shots"),
    ("wait", "last"),
    ("save", "last"),
    ("act", "first", "upscale-2", "-o", "shots"),
    ("act", "first", "upscale-9"),
    ("batch", "skus.csv", "--prompt", "photo of {name}", "-o", "shots"),
    ("batch", "none.csv"),
    ("cancel", "first"),
    ("wait", "nobody"),
    ("cost", "first"),
    ("cost", "--by", "model"),
    ("jobs", "list", "--batch", "skus"),
    ("jobs", "show", "first"),
    ("jobs", "resume"),
    ("jobs", "adopt", "unknown-task"),
    ("jobs", "reconcile", "first"),
    ("jobs", "gallery", "gallery.html"),
    ("doctor",),
    ("config", "show"),
    ("config", "path"),
    ("providers",),
    ("models",),
    ("plugins", "list"),
    ("rnu", "a lantern"),
)
ELSEWHERE = {"init", "completion", "demo", "sandbox"}  # they ask, print a script, or run another command


def shape(value: Any, key: str = "") -> Any:
    """Members and types; the words that programs decide by are kept. A job is told by its state."""
    if isinstance(value, dict):
        if "created_at" in value and "operation" in value:
            return f"{value['operation']} {value['status']}"
        return {name: shape(entry, name) for name, entry in sorted(value.items())}
    if isinstance(value, list):
        shapes = [shape(entry, key) for entry in value]
        return [entry for place, entry in enumerate(shapes) if entry not in shapes[:place]]
    return value if key in KEPT or value is None else type(value).__name__


def test_json_says_the_same_as_ever(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert {entry[0] for entry in VERBS if len(entry) == 3} - {step[0] for step in STEPS} == ELSEWHERE
    Path("skus.csv").write_text("name\nred mug\nblue mug\n", "utf-8")
    monkeypatch.setenv("GEN302_DEFAULT", "midjourney")
    said = []
    with serve(speed=400, seed=1) as sandbox:
        monkeypatch.setenv("GEN302_SANDBOX", sandbox.url)
        for step in STEPS:
            code = main([*step, "--json"])
            out = capsys.readouterr().out
            lines = [shape(json.loads(line)) for line in out.splitlines()]  # nothing but JSON, errors too
            said.append(f"$ gen302 {' '.join(step)} --json   # {code}")
            said += [json.dumps(line) for place, line in enumerate(lines) if line not in lines[:place]]
    text = "\n".join(said) + "\n"
    if os.environ.get("GOLDEN") == "write":
        GOLDEN.write_text(text, "utf-8", newline="\n")
    assert text == GOLDEN.read_text("utf-8")
