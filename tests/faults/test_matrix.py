"""A part of the matrix in each run of the tests, over both drivers; `make faults` runs all of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.faults import cells, matrix
from tests.faults.buying import BUYINGS, Buying

from ai302_core.sandbox import FAULTS

PARTS = 13
"""Odd, so that neighbours are of different drivers."""
LEFT_TO_MAKE_FAULTS = ("Midjourney blend", "Midjourney describe", "Midjourney video", "Midjourney vary,")
"""What each run of the tests meets in the contract of the family already."""


@pytest.mark.parametrize(
    "buying",
    [entry for entry in BUYINGS if not entry.name.startswith(LEFT_TO_MAKE_FAULTS)],
    ids=lambda buying: buying.name,
)
def test_faults_come_to_what_was_written_down(buying: Buying, tmp_path: Path) -> None:
    every = list(matrix.everything([buying]))
    parts = min(PARTS, len(every) // 4 * 2 + 1)
    chosen = every[BUYINGS.index(buying) % parts :: parts]
    rows = list(matrix.run(chosen, tmp_path))
    assert [str(row) for row in rows if row.wrong] == []
    assert {row.mode for row in rows} == set(matrix.MODES)


@pytest.mark.parametrize("where", ["submit", "poll", "download"])
def test_no_fault_of_the_sandbox_is_left_out(where: str) -> None:
    met = {cell.kind for cell in cells.EVERY if cell.where == where}
    assert set(FAULTS) - met == cells.LEFT_OUT[where].keys()
