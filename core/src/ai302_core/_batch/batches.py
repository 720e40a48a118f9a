"""Batches: which rows are the same intention, and what another run of them may buy. Decisions only."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from difflib import get_close_matches
from typing import Any

from ai302_core.errors import (
    Ai302Error,
    AuthenticationError,
    BalanceError,
    BudgetExceeded,
    ConfigError,
    ContentRejected,
    InvalidRequestError,
    LedgerError,
    ParameterError,
    PluginError,
)
from ai302_core.jobs import Job, Status

__all__ = [
    "DEAD",
    "Batch",
    "Halt",
    "advance",
    "checked",
    "fill",
    "keys",
    "name_of",
    "names_in",
    "prefix",
    "round_of",
    "settled",
]

DEAD = frozenset({Status.FAILED, Status.CANCELED, Status.ABANDONED, Status.REFUSED})
PATIENCE = 8
"""Troubles in a row after which no further row is begun."""

_KEY = re.compile(r"(.+)#[0-9a-f]{16}\.\d+(?:@(\d+))?", re.DOTALL)
_PLACE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_FATAL = (AuthenticationError, BalanceError, BudgetExceeded, ConfigError, LedgerError, PluginError)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What the ledger remembers of a batch between its runs.

    file      the file of its latest run, absolute
    recipe    what turns a row into a request: the columns that are fields, the options of the request
    identity  the columns that tell rows apart
    options   the other options: they may change without anything being bought again
    round     how often all of it was asked for, from 1
    complete  every row of this round has come to an end
    """

    name: str
    file: str
    recipe: Mapping[str, Any]
    identity: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    round: int = 1
    complete: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data."""
        return {"v": 1, **asdict(self), "identity": list(self.identity)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Batch:
        """The batch that `to_json` described."""
        names = {item.name for item in fields(cls)}
        values = {name: value for name, value in document.items() if name in names}
        return cls(**{**values, "identity": tuple(values["identity"])})


def checked(name: str) -> str:
    """A batch's name, if it can be one. Raises ParameterError."""
    if not name.strip() or "#" in name or not name.isprintable():
        raise ParameterError(
            f"{name!r} cannot be the name of a batch: it needs a letter, and no #. Nothing was sent.",
            field="name",
            hint="--name november",
        )
    return name


def prefix(name: str) -> str:
    """How the keys of a batch begin."""
    return f"{name}#"


def name_of(key: str | None) -> str | None:
    """The batch a key belongs to, or None for a key somebody chose."""
    match = _KEY.fullmatch(key or "")
    return match[1] if match else None


def keys(batch: Batch, rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The key of each row: the cells it uses, and its number among rows that are equal in them."""
    seen: Counter[str] = Counter()
    found = []
    for cells in rows:
        used = {name: cells[name] for name in sorted(batch.identity) if name in cells}
        text = json.dumps(used, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
        mark = hashlib.sha256(text.encode()).hexdigest()[:16]
        seen[mark] += 1
        again = f"@{batch.round}" if batch.round > 1 else ""
        found.append(f"{prefix(batch.name)}{mark}.{seen[mark]}{again}")
    return found


def advance(
    kept: Batch | None,
    wanted: Batch,
    columns: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    jobs: Iterable[Job],
    *,
    again_all: bool,
) -> Batch:
    """The round this run belongs to.

    kept     of the run before, or None
    wanted   what this run asks for
    columns  of the file
    rows     of the file, their cells
    jobs     of the batch, from the ledger

    A round that is not complete is finished before `again_all` begins another: repeating a command that was killed
    buys nothing twice. Raises ParameterError where other options would buy finished rows again.
    """
    if kept is None:
        return wanted
    bought = [job for job in jobs if job.status is not Status.REFUSED]
    mine = [job for job in bought if round_of(job) == kept.round]
    # Where this round has none, those of the rounds before are what their buyer has.
    alive = [job for job in mine if job.status not in DEAD] or [job for job in bought if job.status not in DEAD]
    whole = set(kept.identity) <= set(columns)
    if kept.recipe != wanted.recipe or not whole:
        if alive and not again_all:
            raise ParameterError(
                f"With these options {_again(kept, rows, alive, whole=whole)}: "
                f"{_difference(kept.recipe, wanted.recipe)}. Nothing was sent.",
                hint="Leave the options out, they are remembered; or --name for another batch; or --again all",
            )
        # A column that once told rows apart goes on doing so while the file has it.
        identity = (*wanted.identity, *sorted({*kept.identity} & {*columns} - {*wanted.identity}))
        return replace(wanted, identity=identity, round=kept.round + 1 if mine else kept.round)
    if again_all and kept.complete:
        return replace(wanted, identity=kept.identity, round=kept.round + 1)
    return replace(wanted, identity=kept.identity, round=kept.round, complete=kept.complete)


def _again(kept: Batch, rows: Sequence[Mapping[str, Any]], alive: Sequence[Job], *, whole: bool) -> str:
    """Which rows would be bought again: those of the file. Without a column that tells rows apart nobody knows them."""
    of = f"of the batch {kept.name!r}"
    if not whole:
        return f"up to {_rows(min(len(alive), len(rows)))} {of} would be bought again"
    there = {*keys(replace(kept, round=1), rows)}
    again = len(there & {(job.key or "").removesuffix(f"@{round_of(job)}") for job in alive})
    if again:
        return f"{_rows(again)} {of} would be bought again"
    # Refused nevertheless: the round they belong to would end here, unseen.
    return f"{_rows(len(alive))} {of}, in the file no more, would be bought again once back"


def _rows(number: int) -> str:
    return f"{number} row{'' if number == 1 else 's'}"


def round_of(job: Job) -> int:
    """The round its key belongs to; 0 for a job of no batch."""
    match = _KEY.fullmatch(job.key or "")
    return int(match[2] or 1) if match else 0


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            return f"{name} was {_short(before.get(name))} and is {_short(after.get(name))}"
    return "a column that tells its rows apart is missing"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def names_in(template: str | None) -> tuple[str, ...]:
    """The {names} of a template, in order, each once. Raises ParameterError for a lone brace."""
    found: dict[str, None] = {}
    for match in _PLACE.finditer(template or ""):
        if match[1] is not None:
            found[match[1]] = None
        elif match[0] in ("{", "}"):
            raise ParameterError(
                f"There is a lone {match[0]} in {template!r}; a brace itself is written twice. Nothing was sent.",
                field="prompt",
            )
    return tuple(found)


def fill(template: str, cells: Mapping[str, Any], columns: Sequence[str]) -> str:
    """A prompt from its template; an empty cell becomes nothing. Raises ParameterError for an unknown name."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return match[0][0]
        if name not in columns:
            near = get_close_matches(name, columns, 1)
            raise ParameterError(
                f"The prompt names {{{name}}}{f'; did you mean {{{near[0]}}}?' if near else '.'} "
                f"The columns are: {', '.join(columns)}. Nothing was sent.",
                field="prompt",
            )
        found = cells.get(name, "")
        return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)

    return _PLACE.sub(value, template)


def settled(job: Job | None, error: Ai302Error | None) -> bool:
    """Whether a row has come to an end that running the batch again would not change by itself."""
    if error is None:
        return True
    return (job is not None and job.status.settled) or isinstance(error, (ContentRejected, InvalidRequestError))


class Halt:
    """Whether further rows should be begun: not after an error they would all meet, nor after many in a row."""

    def __init__(self) -> None:
        self.reason: Ai302Error | None = None
        self._row = 0

    def see(self, job: Job | None, error: Ai302Error | None) -> None:
        """One row's outcome."""
        self._row = 0 if settled(job, error) else self._row + 1
        if isinstance(error, _FATAL) or self._row >= PATIENCE:
            self.reason = self.reason or error
