"""A few kills among those who buy or finish many, and of those who get the files with the answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.faults import many
from tests.faults.__main__ import MANY

CHOSEN = [entry for entry in MANY if entry[1] != "run_many"]  # a batch is many at once too


@pytest.mark.parametrize(("work", "row"), [entry[1:] for entry in CHOSEN], ids=[entry[0] for entry in CHOSEN])
def test_a_kill_among_many_costs_nothing(tmp_path: Path, work: str, row: dict[str, Any]) -> None:
    with many.fought(tmp_path, **row) as field:
        length, _ = field.whole(work)
        many.every(field, work, max(1, length // (5 if work == "run" else 2)), first=length // 4, length=length)
    tally = field.tally
    assert tally.wrong == []
    assert (tally.paid, tally.lost, tally.half_files) == (tally.intentions, 0, 0)
    assert tally.kills >= 2
