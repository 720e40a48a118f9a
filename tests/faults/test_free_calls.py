"""The small matrix: faults of the free calls after a purchase, cancel and the cost look-up, over both drivers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.faults.buying import BUYINGS, Buying
from tests.faults.matrix import KEY, MODES, Attempt

from ai302_core.errors import Ai302Error
from ai302_core.sandbox import serve

FAULTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("error502", {}), ("error504html", {}), ("html", {}), ("429", {"retry_after": 0}), ("reset", {}), ("drop", {}),
    ("truncated", {}),
)  # fmt: skip
CANCELED, OBSERVED = "canceled", "known"
BY_NAME = {buying.name: buying for buying in BUYINGS}
CELLS = [
    *(("cancel", "Midjourney imagine, 302ai", "cancel", fault) for fault in FAULTS),
    # A look into the record is late and best effort: what nobody knows stays unknown, never 0, never an error.
    *(("cost", "unified image v2", "record", fault) for fault in FAULTS),
]


def met(home: Path, mode: str, verb: str, buying: Buying, where: str, fault: tuple[str, dict[str, Any]]) -> list[str]:
    """What the call came to, and what it came to when it was made again."""
    home.mkdir(parents=True)
    kind, options = fault
    with serve(seed=1, speed=0 if verb == "cancel" else 400.0, key=KEY, strict=True) as sandbox:
        attempt = Attempt(sandbox, home, buying, mode)
        job = attempt._call("submit", buying.request, key="order")
        if verb == "cost":
            job = attempt._call("wait", job).job
        armed = sandbox.fault(where, kind, **options)
        told = []
        for _ in range(2):
            try:
                got = attempt._call(verb, job)
                told.append(got.status.value if verb == "cancel" else "known" if got.observed else "unknown")
            except Ai302Error as problem:
                told.append(type(problem).__name__)
        assert sandbox.paid == 1
        assert sandbox.leaks == 0
        return [*told, "" if armed.hits else "the fault never happened"]


@pytest.mark.parametrize("verb", ["cancel", "cost"])
def test_a_free_call_survives_and_pays_nothing(verb: str, tmp_path: Path) -> None:
    chosen = [
        (tmp_path / f"{number}-{mode}", mode, cell[0], BY_NAME[cell[1]], cell[2], cell[3])
        for number, cell in enumerate(CELLS)
        for mode in MODES
        if cell[0] == verb
    ]
    with ThreadPoolExecutor(7) as pool:
        came = list(pool.map(lambda entry: met(*entry), chosen))
    expected = CANCELED if verb == "cancel" else OBSERVED
    once = {expected} if verb == "cancel" else {expected, "unknown"}
    wrong = [
        (entry[1], entry[5][0], told)
        for entry, told in zip(chosen, came, strict=True)
        if told[2] or told[1] != expected or told[0] not in once
    ]
    assert wrong == []
