"""Pytest fixtures, opted into with `pytest_plugins = ["ai302_core.testing.fixtures"]`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ai302_core.sandbox import RunningSandbox, serve

__all__ = ["gen302_sandbox", "gen302_sandbox_options"]


@pytest.fixture
def gen302_sandbox_options() -> dict[str, Any]:
    """Arguments for `ai302_core.sandbox.serve`; override this fixture in a test module to change them."""
    return {}


@pytest.fixture
def gen302_sandbox(gen302_sandbox_options: dict[str, Any]) -> Iterator[RunningSandbox]:
    """A sandbox of its own for each test: strict, always the same ids, two hundred times faster than life.

    `.url .key .paid .jobs .requests .leaks .fault(where, kind, times=1) .advance(seconds)`. Nothing is put into the
    environment: a test says itself what it points at `.url`.
    """
    with serve(**{"seed": 1, "speed": 200.0, "strict": True, **gen302_sandbox_options}) as sandbox:
        yield sandbox
