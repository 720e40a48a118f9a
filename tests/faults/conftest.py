"""Where faults happen: a service whose time stands, and the ground on which buyers are killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults import crashes

from ai302_core.sandbox import RunningSandbox, serve


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningSandbox]:
    """One that every connection of the test finds; its time stands until the test lets it pass."""
    with serve(seed=1, speed=0) as running:
        monkeypatch.setenv("GEN302_SANDBOX", running.url)
        yield running


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[crashes.Ground]:
    """A fast service, and a nursery of buyers that die."""
    with serve(seed=1, speed=400.0, key=crashes.KEY, strict=True) as sandbox, crashes.Nursery() as nursery:
        yield crashes.Ground(sandbox, tmp_path, nursery, {"family": "midjourney"})
