"""Aligned text: columns that fit their words, the last one cut to the terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from unicodedata import category, east_asian_width

GAP = "  "


def lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows as lines."""
    last = len(rows[0]) - 1
    widths = [max(_width(row[column]) for row in rows) for column in range(last)]
    room = max(20, _columns() - sum(widths) - len(GAP) * last)
    shown = []
    for row in rows:
        cells = [cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=False)]
        shown.append(GAP.join([*cells, _fitting(row[last], room)]).rstrip())
    return shown


def _columns() -> int:
    return shutil.get_terminal_size().columns if sys.stdout is not None and sys.stdout.isatty() else 200


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
