"""Tiles cut from the grid they are printed on: pixel for pixel, nothing dropped."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Cell", "Uncut", "Unreadable", "cut"]

Cell = tuple[int, int, int, int]
"""(column, row, columns, rows)"""


class Uncut(Exception):
    """The grid is fine but is not cut here. `code` is a Notice's, the message its sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Unreadable(Exception):
    """What should be a grid is no complete picture. The message is the end of a sentence."""


def cut(path: Path, cells: Sequence[Cell]) -> list[tuple[bytes, int, int]]:
    """(PNG, width, height) of each cell of the picture; of an odd side the last cell gets the rest.

    Raises Uncut where Pillow is missing or cannot keep every pixel, Unreadable for a broken picture.
    """
    try:
        import PIL.Image
    except ImportError:
        raise Uncut(
            "images_extra",
            "The tiles are still one picture, the grid: cutting it needs Pillow. In the project's folder: "
            'pip install "./core[images]", then save again; that is free.',
        ) from None
    with path.open("rb") as file:
        head = file.read(26)
    if head[:8] == b"\x89PNG\r\n\x1a\n" and head[24] == 16 and head[25] != 0:
        raise Uncut("deep_grid", "The grid has 16 bits a colour, which cutting would halve; it is saved whole.")
    try:
        with PIL.Image.open(path) as grid:
            grid.load()
            if grid.mode not in ("1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16"):
                raise Uncut(
                    "grid_colours", f"The grid's colours ({grid.mode}) have no lossless PNG; it is saved whole."
                )
            return [_cell(grid, cell) for cell in cells]
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning):
        raise Unreadable("its grid claims more pixels than is safe to open") from None
    except (OSError, SyntaxError, ValueError, EOFError) as problem:
        raise Unreadable(f"its grid is not a complete picture ({str(problem)[:100]})") from None


def _cell(grid: Image, cell: Cell) -> tuple[bytes, int, int]:
    column, row, columns, rows = cell
    wide, high = grid.width // columns, grid.height // rows
    if not (0 <= column < columns and 0 <= row < rows and wide and high):
        raise Unreadable(f"its grid of {grid.width}x{grid.height} pixels has no cell {cell}")
    right = grid.width if column == columns - 1 else (column + 1) * wide
    bottom = grid.height if row == rows - 1 else (row + 1) * high
    tile = grid.crop((column * wide, row * high, right, bottom))
    file = io.BytesIO()
    tile.save(file, "PNG", icc_profile=grid.info.get("icc_profile"))
    return file.getvalue(), tile.width, tile.height
