"""Aligned text: columns that fit their words, the last one cut to the terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from unicodedata import category, east_asian_width

GAP = "  "


LEAST = 20
"""Columns the last cell has at least."""


def lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows as lines; on a terminal too narrow for them, what does not fit stands indented below."""
    last, narrow = len(rows[0]) - 1, sys.stdout is not None and sys.stdout.isatty()
    columns = shutil.get_terminal_size().columns if narrow else 200
    widths = [max(_width(row[column]) for row in rows) for column in range(last + 1)]
    folds, end = [[0]], widths[0]
    for column in range(1, last + 1):
        needed = len(GAP) + (widths[column] if column < last else min(LEAST, widths[column]))
        if narrow and end + needed > columns:
            folds.append([])
            end = 0
        folds[-1].append(column)
        end += needed
    return [line for row in rows for line in _folded(row, widths, folds, columns)]


def _folded(row: Sequence[str], widths: Sequence[int], folds: Sequence[Sequence[int]], columns: int) -> Iterator[str]:
    last = len(row) - 1
    for fold in folds:
        start = "" if 0 in fold else GAP
        taken = len(start) + sum(widths[column] + len(GAP) for column in fold if column < last)
        cells = [
            row[column] + " " * (widths[column] - _width(row[column]))
            if column < last
            else _fitting(row[last], max(LEAST, columns - taken))
            for column in fold
        ]
        line = f"{start}{GAP.join(cells)}".rstrip()
        if line or not start:
            yield line


def _letter(letter: str) -> int:
    return 0 if category(letter) in ("Mn", "Me", "Cf") else 2 if east_asian_width(letter) in "WF" else 1


def _width(text: str) -> int:
    return sum(map(_letter, text))


def _fitting(text: str, room: int) -> str:
    if _width(text) <= room:
        return text
    taken = 0
    for position, letter in enumerate(text):
        taken += _letter(letter)
        if taken > room - 3:
            return text[:position] + "..."
    return text
