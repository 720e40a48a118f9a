"""The record carries the variety of 302.AI's families: ten shapes as distributions, sold by samples alone."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ai302_core import connect, registry
from ai302_core.requests import Request
from ai302_core.sandbox import serve
from ai302_core.sandbox.replaying import emulation_of
from ai302_core.sandbox.samples import samples_of
from ai302_core.testing import FamilyContract, findings

SHAPES = Path(__file__).parent / "shapes"
NAMES = sorted(path.name for path in SHAPES.iterdir())


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What pip would leave behind of ten distributions."""
    site = tmp_path_factory.mktemp("site")
    for name in NAMES:
        package = site / f"ai302_{name}"
        shutil.copytree(SHAPES / name / "samples", package / "samples")
        shutil.copy(SHAPES / name / "family.py", package / "__init__.py")
        info = site / f"ai302_{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: ai302-{name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[ai302_core.families]\n{name} = ai302_{name}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        yield
    for name in NAMES:
        sys.modules.pop(f"ai302_{name}", None)


def test_there_are_ten() -> None:
    assert len(NAMES) >= 10


@pytest.mark.parametrize("name", NAMES)
def test_a_shape_keeps_the_contract_and_is_sold_by_the_sandbox(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = type("TestShape", (FamilyContract,), {"family": name})
    assert findings(contract) == []
    family, samples = registry.load(name), samples_of(f"ai302_{name}")
    good = next(sample for sample in samples if sample.name == "good")
    with serve(families=[emulation_of(family, samples)], seed=1, speed=200) as sandbox:
        monkeypatch.setenv("GEN302_SANDBOX", sandbox.url)
        provider = {"family": name, "poll": {"initial": 0.02, "maximum": 0.05}}
        with connect(config={"providers": {"it": provider}}, ledger=":memory:") as shop:
            result = shop.run(Request.from_json(good.request or {}), save_to=tmp_path / "files", timeout=20)
        assert sandbox.paid == 1
        assert sandbox.leaks == 0
    wanted = [asset["kind"] for asset in good.expect["assets"] if asset.get("role", "final") == "final"]
    assert [asset.kind for asset in result.assets if asset.role == "final"] == wanted
    heads = {"image": b"\x89PNG", "video": b"ftyp", "audio": b"RIFF"}
    assert [heads[kind] in path.read_bytes()[:12] for kind, path in zip(wanted, result.files, strict=False)] == [
        True for _ in wanted
    ]
