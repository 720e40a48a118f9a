"""The page for authors is true: its samples load, its family keeps the contract, its reference leaves nothing out."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from ai302_core import events, family, hookspecs
from ai302_core.sandbox.samples import read_samples
from ai302_core.testing import FamilyContract, findings

DOCS = Path(__file__).parents[2] / "docs"
SHOWN = re.compile(r"`src/ai302_hunyuan_video/([\w./-]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_family_of_the_page_keeps_the_contract(tmp_path: Path) -> None:
    for name, text in SHOWN.findall((DOCS / "plugins.md").read_text("utf-8")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    space: dict[str, Any] = {}
    exec((tmp_path / "__init__.py").read_text("utf-8"), space)
    told = read_samples(tmp_path / "samples")
    assert {sample.name for sample in told} == {"video", "video-failed", "video-refused"}
    contract = type("TestPage", (FamilyContract,), {"family": space["ai302_family"](), "samples": told})
    assert findings(contract) == []


def sections(text: str) -> dict[str, str]:
    parts = re.split(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_the_reference_names_everything() -> None:
    text = (DOCS / "plugins-reference.md").read_text("utf-8")
    told = sections(text)
    missing = [name for name in family.__all__ if f"`{name}`" not in text and name not in told]
    for name in family.__all__:
        member = getattr(family, name)
        record = inspect.isclass(member) and member.__module__ == "ai302_core._vocabulary"
        if record and dataclasses.is_dataclass(member) and name not in told:
            missing.append(f"{name}, field by field")
        if name in told and dataclasses.is_dataclass(member):
            missing += [
                f"{name}.{item.name}" for item in dataclasses.fields(member) if f"`{item.name}`" not in told[name]
            ]
    missing += [name for name in hookspecs.__all__ if f"`{name}`" not in told["Hooks"]]
    classes = [name for name in events.__all__ if inspect.isclass(getattr(events, name))]
    missing += [name for name in classes if dataclasses.is_dataclass(getattr(events, name)) and f"`{name}`" not in text]
    tests = [name for name in dir(FamilyContract) if name.startswith("test_")]
    missing += [name for name in tests if f"`{name}`" not in told["The contract"]]
    assert missing == [], "docs/plugins-reference.md does not tell of these"


def test_the_page_of_every_family_is_json_that_loads() -> None:
    text = (DOCS / "plugins.md").read_text("utf-8")
    blocks = re.findall(r"^```json\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 3
    assert all(json.loads(block)["operation"] == "video" for block in blocks)


def test_the_lines_of_a_plugin_are_counted() -> None:
    program = DOCS.parent / "benchmarks/plugin_lines.py"
    done = subprocess.run([sys.executable, program], capture_output=True, encoding="utf-8", timeout=60, check=True)
    told = {line.split(maxsplit=1)[1]: int(line.split()[0]) for line in done.stdout.splitlines()}
    assert told["smallest (generated)"] < 60
    assert {"midjourney", "veo", "unified_image"} <= set(told)
