"""`make faults`: the whole matrix, every crash point, hundreds of random kills; prints what came of them.

With the name of a document it also writes the tables between the document's marks.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from ai302_core.sandbox import serve

from . import crashes, many, matrix
from .buying import BUYINGS
from .cells import EVERY, Cell

RANDOM_KILLS = 100  # over each driver
RANDOM_AMONG_MANY = 10  # in each work of many
LONG_STEP = 7  # lives of many jobs have hundreds of boundaries: every seventh of them, and all of a single purchase
PICTURES: dict[str, Any] = {"provider": {"family": "midjourney"}, "model": None, "files": 4, "options": {}}
WITHIN: dict[str, Any] = {
    "provider": {"family": "unified_image"},
    "model": "dall-e-2-t2i",
    "files": 1,
    "options": {"unified_image": {"inline": True}},
}
MANY = (
    ("three at once", "run_many", PICTURES),
    ("a batch of three", "batch", PICTURES),
    ("resume of three", "resume", PICTURES),
    ("files within the answer", "run", WITHIN),
)
BEGIN, END = "<!-- make faults: begin -->", "<!-- make faults: end -->"


def main(document: str | None = None) -> int:
    """Run everything; 1 when anything came otherwise than written."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for row in matrix.run(matrix.everything(BUYINGS), Path(folder, "matrix"), at_once=16):
            rows.append(row)
            if row.wrong:
                print(row, flush=True)
        lines = [*_matrix(rows)]
        print("\n".join(lines), flush=True)
        tallies = dict(_crashes(Path(folder, "crashes")))
    table = [*_kills(tallies)]
    print("\n".join(table), f"\n{time.monotonic() - start:.0f} s", sep="\n")
    if document is not None:
        _write(Path(document), [*lines, "", *table])
    return int(any(row.wrong for row in rows) or any(tally.wrong for tally in tallies.values()))


def _crashes(home: Path) -> Iterator[tuple[str, crashes.Tally]]:
    for work in ("run", "arun"):
        for name, campaign in (("every boundary", crashes.every), ("random instants", crashes.at_random)):
            place = home / f"{work} {name}"
            place.mkdir(parents=True)
            with serve(seed=1, speed=400.0, key=crashes.KEY, strict=True) as sandbox, crashes.Nursery() as nursery:
                ground = crashes.Ground(sandbox, place, nursery, {"family": "midjourney"})
                if campaign is crashes.every:
                    crashes.every(ground, work)
                else:
                    crashes.at_random(ground, work, RANDOM_KILLS, seed=302)
            for wrong in ground.tally.wrong:
                print(wrong)
            yield f"{'async' if work == 'arun' else 'sync'}, {name}", ground.tally
    for name, work, row in MANY:
        with (
            serve(seed=1, speed=400.0, key=crashes.KEY, options=row["options"]) as sandbox,
            crashes.Nursery() as nursery,
        ):
            field = many.Field(sandbox, home / name, nursery, row["provider"], row["model"], row["files"])
            many.every(field, work, step=LONG_STEP)
            boundaries, field.tally = field.tally, crashes.Tally()
            many.at_random(field, work, RANDOM_AMONG_MANY, seed=302)
        for told, tally in (("every seventh boundary", boundaries), ("random instants", field.tally)):
            for wrong in tally.wrong:
                print(wrong)
            yield f"{name}, {told}", tally


def _matrix(rows: list[matrix.Row]) -> Iterator[str]:
    """What each fault comes to, then how often it came so."""
    yield "| The fault | Accepted submits | The caller gets | The job | The same call again | Accepted then |"
    yield "|---|---|---|---|---|---|"
    for cell in EVERY:
        yield f"| {' | '.join(_shown(cell))} |"
    yield ""
    yield "| Bought | Cells, over both drivers | As written |"
    yield "|---|---|---|"
    for name, group in groupby(rows, key=lambda row: row.buying):
        kept = list(group)
        yield f"| {name} | {len(kept)} | {sum(not row.wrong for row in kept)} |"


def _shown(cell: Cell) -> tuple[str, ...]:
    status = cell.status or "none: the key is free"
    return cell.name, str(cell.paid), cell.told, status, cell.then, str(cell.bought)


def _kills(tallies: dict[str, crashes.Tally]) -> Iterator[str]:
    yield "| Killed | Kills | Intentions | Accepted submits | Lost jobs | Half files | Reported unconfirmed |"
    yield "|---|---|---|---|---|---|---|"
    total = [0] * 6
    for name, tally in tallies.items():
        counts = (tally.kills, tally.intentions, tally.paid, tally.lost, tally.half_files, tally.unconfirmed)
        total = [one + other for one, other in zip(total, counts, strict=True)]
        yield f"| {name} | {' | '.join(map(str, counts))} |"
    yield f"| **all** | {' | '.join(f'**{count}**' for count in total)} |"


def _write(document: Path, lines: list[str]) -> None:
    text = document.read_text("utf-8")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    document.write_text(f"{head}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{tail}", "utf-8")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
