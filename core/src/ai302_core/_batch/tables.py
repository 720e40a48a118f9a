"""A file of rows, CSV or JSON lines, from its bytes: decoded, split, each row with its line. No I/O."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ai302_core.errors import ParameterError

__all__ = ["Row", "Table", "read", "still"]

_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_DELIMITERS = ",;\t"
_LONGEST = 10_000_000


@dataclass(frozen=True)
class Row:
    """One row: the line of the file it begins on, from 1, and its cells that are not empty."""

    line: int
    cells: Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """Columns in their order, rows in theirs. A row of a CSV holds text, one of JSON lines whatever JSON holds."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def read(content: bytes, *, name: str, encoding: str | None = None) -> Table:
    """The table in a file's content; `name` ends in .jsonl, .ndjson or it is a CSV.

    encoding  None: UTF-8 with or without its mark, or UTF-16 with it; anything else is refused, never guessed

    Raises ParameterError; nothing was sent.
    """
    text = _decoded(content, name, encoding)
    table = _json_lines(text) if name.lower().endswith((".jsonl", ".ndjson")) else _csv(text)
    if not table.rows:
        raise ParameterError(f"{name} has no rows. Nothing was sent.")
    return table


def _decoded(content: bytes, name: str, encoding: str | None) -> str:
    """The text of a file. Raises ParameterError."""
    found = next((known for mark, known in _MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding or found)
    except LookupError:
        raise ParameterError(
            f"No encoding is called {encoding!r}. Nothing was sent.", hint="For example --encoding gb18030"
        ) from None
    except UnicodeError as problem:
        where = content.count(b"\n", 0, problem.start) + 1 if isinstance(problem, UnicodeDecodeError) else 1
        raise ParameterError(
            f"{name} is not {encoding or found.upper().removesuffix('-SIG')} text (line {where}). Nothing was sent.",
            hint="Say what it is: --encoding gb18030 for a Chinese Windows, --encoding cp1252 for a Western one",
        ) from None
    if "\0" in text:
        raise ParameterError(
            f"{name} holds NUL characters: is it UTF-16 without its mark? Nothing was sent.",
            hint="--encoding utf-16-le",
        )
    return text.removeprefix("\ufeff")


def still(content: bytes, name: str, before: str | None) -> str | None:
    """The encoding of a file that was read as `before` and may have been saved anew; None: what is found out.

    Other letters would be other rows, and be bought: what reads both ways is refused. Raises ParameterError.
    """
    if before is None:
        return None
    try:
        plain = _decoded(content, name, None)
    except ParameterError:
        return before
    if content.startswith(tuple(mark for mark, _ in _MARKS)):
        return None
    try:
        same = _decoded(content, name, before) == plain
    except ParameterError:
        return None
    if not same:
        raise ParameterError(
            f"{name} was {before} when it was read before, and reads as UTF-8 now. Nothing was sent.",
            hint=f"Say which it is: --encoding utf-8 if it was saved anew, --encoding {before} if it was not",
        )
    return before


def _csv(text: str) -> Table:
    delimiter, text, skipped = _delimiter(text)
    numbered = _split(text, delimiter, skipped)
    header = next(numbered, None)
    if header is None:
        return Table((), ())
    columns = [cell.strip() for cell in header[1]]
    while columns and not columns[-1]:
        columns.pop()
    _checked(columns)
    rows = []
    for line, cells in numbered:
        if not any(cell.strip() for cell in cells):
            continue
        while len(cells) > len(columns) and not cells[-1].strip():
            cells.pop()
        if len(cells) != len(columns):
            raise ParameterError(
                f"Line {line} has {len(cells)} cells, the first line {len(columns)}. Nothing was sent.",
                hint='A cell with a comma, a quote or a line break stands in quotes: "red, round"',
            )
        rows.append(Row(line, {name: _said(cell) for name, cell in zip(columns, cells, strict=True) if cell.strip()}))
    return Table(tuple(columns), tuple(rows))


def _said(cell: str) -> str:
    """A cell, the same whichever line ends its file was saved with: another would be another row, and be bought."""
    return cell.strip().replace("\r\n", "\n").replace("\r", "\n")


def _delimiter(text: str) -> tuple[str, str, int]:
    """What separates cells, the text after a spreadsheet's own line about it, and how many lines that took."""
    first, _, rest = text.partition("\n")
    if first[:4].lower() == "sep=" and first.strip()[4:] in tuple(_DELIMITERS):
        return first.strip()[4:], rest, 1
    heads = {mark: next(_split(text, mark, 0), (0, []))[1] for mark in _DELIMITERS}
    most = max(len(cells) for cells in heads.values())
    best = [mark for mark, cells in heads.items() if len(cells) == most]
    if most > 1 and len(best) > 1:
        shown = " and ".join(repr(mark) for mark in best)
        raise ParameterError(
            f"The first line could be separated by {shown}. Nothing was sent.",
            hint="Begin the file with a line that says it: sep=;",
        )
    return best[0], text, 0


def _split(text: str, delimiter: str, skipped: int) -> Iterator[tuple[int, list[str]]]:
    """(first line, cells) of each row."""
    csv.field_size_limit(_LONGEST)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = skipped + 1
    try:
        for cells in reader:
            yield line, cells
            line = skipped + reader.line_num + 1
    except csv.Error as problem:
        raise ParameterError(f"Line {line} is no CSV: {problem}. Nothing was sent.") from None


def _json_lines(text: str) -> Table:
    columns: dict[str, None] = {}
    rows = []
    for line, entry in enumerate(text.split("\n"), 1):
        if not entry.strip():
            continue
        try:
            cells = json.loads(entry, object_pairs_hook=_members)
        except RecursionError:
            raise ParameterError(f"Line {line} is nested too deeply. Nothing was sent.") from None
        except ValueError as problem:
            raise ParameterError(f"Line {line} is no JSON: {problem}. Nothing was sent.") from None
        if not isinstance(cells, dict):
            raise ParameterError(f"Line {line} is no JSON object. Nothing was sent.")
        columns.update(dict.fromkeys(cells))
        rows.append(Row(line, {name: value for name, value in cells.items() if value not in (None, "")}))
    _checked(list(columns))
    return Table(tuple(columns), tuple(rows))


def _members(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, whose members have one value each."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} is there twice")
    return found


def _checked(columns: Sequence[str]) -> None:
    if "" in columns:
        raise ParameterError(f"Column {columns.index('') + 1} has no name in the first line. Nothing was sent.")
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice is not None:
        raise ParameterError(f"There are two columns {twice!r}. Nothing was sent.")
