"""From the rows of a table to requests: which column fills which field, paths relative to the file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ai302_core._batch import batches
from ai302_core._batch.tables import Row, Table
from ai302_core._files import media as _media
from ai302_core._files import naming, sniffing
from ai302_core.errors import Ai302Error, ParameterError
from ai302_core.requests import Request

from . import _requests

if TYPE_CHECKING:
    from argparse import Namespace

    from ai302_core._connection import Connection

SHOWN = 10
"""Problems told one by one."""

_LINKS = ("http://", "https://", "data:")


@dataclass(frozen=True)
class Reading:
    """How rows are read.

    fields   the field of each column that fills one
    used     the columns that say what a row is
    values   what the options give every row
    folder   the file's own: paths in cells begin there
    """

    cls: type[Request]
    columns: tuple[str, ...]
    fields: Mapping[str, str]
    used: tuple[str, ...]
    template: str | None
    out: str
    values: Mapping[str, Any]
    folder: Path


def reading(
    options: Namespace, connection: Connection, table: Table, folder: Path, out: str, before: Sequence[str]
) -> Reading:
    """What each column is for. Raises ParameterError for one that is for nothing, and was not in the run `before`."""
    template = options.prompt
    words, placed = batches.names_in(template), batches.names_in(out)
    columns = tuple(name for name in table.columns if name not in options.ignore)
    batches.fill(template or "", {}, columns)
    naming.fill(out, dict.fromkeys(columns, ""))
    free = [name for name in columns if name not in words]
    names = [field for name in free if (field := _requests.field_for(name, _every(options, connection, free)))]
    cls = _requests.class_of(options, connection, [*_requests.set_by(options), *names])
    fields: dict[str, str] = {}
    for name in free:
        field = _requests.field_for(name, _requests.names_of(cls))
        if field is not None:
            twice = next((other for other, taken in fields.items() if taken == field), None)
            if twice is not None:
                raise ParameterError(
                    f"The columns {twice!r} and {name!r} are both {field}. Nothing was sent.",
                    hint=f"--ignore {name}",
                )
            fields[name] = field
        elif name not in placed and name not in before:
            raise _useless(name, cls, wordless=template is None and "prompt" not in names)
    if template is not None and "prompt" in fields.values():
        raise ParameterError(
            "The prompt is given twice: by the column prompt and by --prompt. Nothing was sent.",
            hint='Use the column in the template, --prompt "... {prompt}", or --ignore prompt',
        )
    used = tuple(name for name in columns if name in fields or name in words or name in placed)
    return Reading(cls, columns, fields, used, template, out, _requests.given(cls, options), folder)


def _every(options: Namespace, connection: Connection, columns: Sequence[str]) -> frozenset[str]:
    plain = ["_".join(name.casefold().replace("-", " ").split()) for name in columns]
    return _requests.fields_known(options, connection, plain)


def _useless(name: str, cls: type[Request], *, wordless: bool) -> ParameterError:
    known = _requests.names_of(cls)
    near = get_close_matches(name.casefold(), known, 1)
    wordless = wordless and "prompt" in known and not near
    use = f'--prompt "photo of {{{name}}}" makes words of it; ' if wordless else ""
    return ParameterError(
        f"The column {name!r} is no field of {cls.__name__}{f'; did you mean {near[0]!r}?' if near else ''} and no "
        f"{{name}} of --prompt or -o uses it. The fields are: {', '.join(known)}. Nothing was sent.",
        field=name,
        hint=f"{use}--ignore {name!r} leaves it out",
    )


def request(how: Reading, row: Row) -> Request:
    """The request of a row: its cells, and what the options give where a cell is empty. Raises ParameterError."""
    values = dict(how.values)
    for column, field in how.fields.items():
        if column in row.cells:
            values[field] = _located(how, field, _requests.cell(how.cls, field, row.cells[column]))
    if how.template is not None:
        values["prompt"] = batches.fill(how.template, row.cells, how.columns)
    if "prompt" in _requests.names_of(how.cls) and not str(values.get("prompt", "")).strip():
        raise ParameterError("There is no prompt. Nothing was sent.", field="prompt")
    wanted = _requests.made(how.cls, values)
    for (name, _), media in wanted.media():
        if isinstance(media, str) and not _is_link(media) and not Path(media).is_file():
            raise ParameterError(f"{name}: there is no file {media}. Nothing was sent.", field=name)
    return wanted


def _located(how: Reading, field: str, value: Any) -> Any:
    """Paths of a media field from the file's own folder."""
    if field not in how.cls.media_fields:
        return value
    if isinstance(value, (list, tuple)):
        return tuple(_located(how, field, entry) for entry in value)
    if isinstance(value, str) and not _is_link(value):
        return str(how.folder / Path(value).expanduser())
    return value


def absolute(text: str) -> str:
    """A path of the command line that means the same in every working folder; a link as it is."""
    return text if _is_link(text) else str(Path(text).expanduser().absolute())


def _is_link(text: str) -> bool:
    return text.lower().startswith(_LINKS)


def headed(request: Request, heads: dict[str, bytes]) -> Request:
    """The request with the beginning of each file in its place: enough to try it, thousands of times.

    heads  path -> that beginning, of files that were read and recognised

    Raises ParameterError.
    """
    places = {}
    for place, file in request.media():
        if isinstance(file, str) and not _is_link(file):
            if file not in heads:
                heads[file] = (_media.load(file, place[0]).content or b"")[: sniffing.HEAD]
            places[place] = heads[file]
    return request.with_media(places)


def destination(how: Reading, row: Row) -> str:
    """Where the files of a row are to go. Raises ParameterError."""
    return naming.fill(how.out, {name: row.cells.get(name, "") for name in how.columns})


def places(how: Reading, rows: Mapping[str, Row], before: Mapping[str, str]) -> dict[str, str]:
    """Where the files of each row go, by its key: of rows that share their names every one but the first has a number.

    before  where those go that were bought earlier: a row keeps its number, whatever became of the others
    """
    wanted = {key: destination(how, row) for key, row in rows.items()}
    found = {key: before[key] for key, to in wanted.items() if naming.number_of(before.get(key, ""), to)}
    named, taken = {*wanted.values()}, {*found.values()}
    numbers: Counter[str] = Counter()
    for key, to in wanted.items():
        if key in found:
            continue
        found[key] = to
        while found[key] in taken and naming.shareable(to):
            numbers[to] += 1
            place = naming.numbered(to, numbers[to] + 1)
            found[key] = to if place in named else place
        taken.add(found[key])
    return found


def blanks(how: Reading, rows: Sequence[Row]) -> Iterator[str]:
    """A sentence where the prompt's template meets empty cells: allowed, and worth a look before it is paid."""
    words = [name for name in batches.names_in(how.template) if name in how.columns]
    found = [(row, name) for row in rows for name in words if not str(row.cells.get(name, "")).strip()]
    if found:
        yield f"the prompt names an empty cell: {_listed([f'{{{name}}} in line {row.line}' for row, name in found])}."


def shared(how: Reading, rows: Sequence[Row]) -> Iterator[str]:
    """A sentence where a template of columns gives several rows the same names."""
    if not set(batches.names_in(how.out)) & set(how.columns):
        return
    places: dict[str, list[Row]] = {}
    for row in rows:
        places.setdefault(destination(how, row), []).append(row)
    found = [(to, same) for to, same in places.items() if len(same) > 1 and naming.shareable(to)]
    if found:
        to, same = found[0]
        more = f", and so do {len(found) - 1} more groups of rows" if len(found) > 1 else ""
        lines = _listed([f"line {row.line}" for row in same])
        yield f"{lines} save to the same names, {to}{more}; those of every row but the first get a number, _2, _3."


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words[:SHOWN]) + (f" and {len(words) - SHOWN} more" if len(words) > SHOWN else "")


def refused(problems: Sequence[tuple[Row, Ai302Error]], rows: int) -> ParameterError:
    """One error for all the rows that cannot be sent."""
    told = [f"line {row.line}: {_bare(error)}" for row, error in problems[:SHOWN]]
    more = f"\n  and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
    return ParameterError(
        f"{len(problems)} of {rows} rows cannot be sent. Nothing was sent.\n  " + "\n  ".join(told) + more,
        field=getattr(problems[0][1], "field", ""),
        hint="Mend these rows and type the same again.",
    )


def _bare(error: Ai302Error) -> str:
    return error.message.removesuffix(" Nothing was sent.")
