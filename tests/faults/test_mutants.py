"""An engine broken as other clients are is seen by the matrix, the kills and the cancellations."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.faults import crashes, matrix, mutants
from tests.faults.buying import BUYINGS
from tests.faults.cells import SUBMIT

from ai302_core._flows import receipts


@pytest.fixture
def mended(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the test breaks in this process is whole again afterwards."""
    monkeypatch.setattr(receipts, "unclear", receipts.unclear)


@pytest.mark.usefixtures("mended")
def test_a_retry_after_a_500_is_seen_by_the_matrix(tmp_path: Path) -> None:
    mutants.repeats_what_may_have_been_accepted()
    accepted = [cell for cell in SUBMIT if cell.kind in ("error500", "drop", "html") and cell.paid]
    rows = list(matrix.run([(BUYINGS[0], "sync", cell) for cell in accepted], tmp_path))
    assert [row.paid > 1 for row in rows] == [True] * len(accepted)
    assert all(row.wrong for row in rows)


def test_a_receipt_after_the_first_poll_is_seen_by_the_kills(ground: crashes.Ground) -> None:
    def kill_once_paid(key: str) -> None:
        names, _ = ground.whole("run")
        ground.kill("run", key, at=names.index("after step Paid") + 1)

    kill_once_paid("sound")
    assert (ground.tally.unconfirmed, ground.tally.wrong) == (0, [])
    ground.mutant = "writes_the_receipt_after_the_first_poll"
    kill_once_paid("mutant")
    assert ground.tally.unconfirmed == 1, "with a receipt in time nobody would have to ask"


def test_a_paid_request_in_a_coroutine_is_seen_by_the_cancellations(ground: crashes.Ground) -> None:
    crashes.canceled(ground, 4, seed=3)
    assert (ground.tally.paid, ground.tally.lost, ground.tally.wrong) == (4, 0, [])
    ground.mutant = "pays_in_a_coroutine"
    crashes.canceled(ground, 3, seed=4, late=2.5)  # on a machine that sleeps an answer may be the quicker one, once
    assert ground.tally.lost >= 1
