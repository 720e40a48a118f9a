"""A short campaign of kills: all kinds of boundaries are met, a few are killed at. `make faults` kills at every one."""

from __future__ import annotations

import pytest
from tests.faults import crashes

KINDS = (
    *("before step Record", "after ledger write", "before request submit", "after request submit", "after step Paid"),
    *("before request poll", "before step Stream", "before a piece of a body", "before fsync", "after link"),
    "before unlink",
)


@pytest.mark.parametrize("work", ["run", "arun"])
def test_a_kill_costs_nothing_wherever_it_comes(ground: crashes.Ground, work: str) -> None:
    names, _ = ground.whole(work)
    assert set(KINDS) <= set(names), "a boundary is not watched any more"
    paying = names.index("before request submit")
    for at in (paying, paying + 1, paying + 2, paying + 5, *range(paying + 10, len(names), len(names) // 5)):
        ground.kill(work, f"{work}-{at}", at=at)
    crashes.at_random(ground, work, 2, seed=len(names))
    tally = ground.tally
    assert tally.wrong == []
    assert (tally.paid, tally.lost, tally.half_files) == (tally.intentions, 0, 0)
    assert tally.unconfirmed >= 1, "killed while the answer was out, nobody can know"
    assert tally.kills >= 6
