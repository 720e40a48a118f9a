"""The verb cost: what jobs cost by the service's own records, one by one or summed from the ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ai302_core._batch import batches
from ai302_core.jobs import Job, Status
from ai302_core.money import Cost, Money

from . import _history, _options
from ._ending import each
from ._options import Parser
from ._session import Session, execute
from ._table import lines

if TYPE_CHECKING:
    from ai302_core.ledger import Ledger

NEWEST = 100
"""Jobs asked about when none is named."""

IN_VAIN = 5
"""Jobs of one provider in a row without an answer, after which it is asked no more."""


def _batch(job: Job) -> str:
    return batches.name_of(job.key) or "(no batch)"


_GROUPS: Mapping[str, Callable[[Job], str]] = {
    "model": lambda job: job.model or job.operation,
    "day": lambda job: f"{job.created_at.astimezone(UTC):%Y-%m-%d}",
    "batch": _batch,
    "provider": lambda job: job.provider,
}


@dataclass
class Sum:
    """What a group of jobs cost: each unit for itself; `unknown` jobs are in no sum."""

    jobs: int = 0
    unknown: int = 0
    observed: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))

    def add(self, cost: Cost) -> None:
        """Count one job."""
        self.jobs += 1
        if cost.observed is None:
            self.unknown += 1
        else:
            self.observed[cost.observed.unit] += cost.observed.amount

    def money(self) -> list[Money]:
        """The sums, one a unit."""
        return [Money(amount, unit) for unit, amount in sorted(self.observed.items())]


def perform(verb: str, arguments: Sequence[str]) -> int:
    """Do `cost`; the exit code."""
    return execute(verb, _parser(), _cost, arguments)


def _parser() -> Parser:
    parser = Parser(
        "cost",
        "What jobs cost, by the service's own records: free, late, best effort. What nobody knows is unknown, never 0. "
        f"Without JOB the newest {NEWEST}. --by sums what the ledger knows, asks nobody and needs no network.",
        ("gen302 cost last", "gen302 cost", "gen302 cost --by model", "gen302 cost --by day --csv > days.csv"),
    )
    parser.add_argument("jobs", metavar="JOB", nargs="*", help=_options.JOB)
    parser.add_argument("--by", metavar="|".join(_GROUPS), choices=tuple(_GROUPS), help="sum by model, day (UTC), ...")
    parser.add_argument("--csv", action="store_true", help="as CSV; --json gives lines of JSON")
    _options.common(parser)
    return parser


def _cost(session: Session) -> int:
    options = session.options
    if options.by is not None:
        named = [session.provider.job(ref) for ref in options.jobs] if options.jobs else None
        return _summed(session, _paid(session.connection.ledger) if named is None else named)
    if not options.jobs:
        options.jobs = [job.id for job in _paid(session.connection.ledger)[:NEWEST]]
    rows = [("JOB", "PROVIDER", "MODEL", "COST")]
    table: list[tuple[object, ...]] = [("job", "provider", "model", "cost", "unit")]
    vain: dict[str, int] = defaultdict(int)

    def one(job: Job) -> int:
        cost = job.cost
        if vain[job.provider] < IN_VAIN:
            cost = session.provider.cost(job)
            vain[job.provider] = 0 if cost.observed is not None else vain[job.provider] + 1
        if session.output.as_json:
            session.output.record({"v": 1, "job": job.id, "provider": job.provider, "model": job.model,
                                   "cost": cost.to_json(), "error": None, "exit": 0})  # fmt: skip
        rows.append((job.id, job.provider, job.model or job.operation, _words(cost)))
        table.append((job.id, job.provider, job.model or job.operation, *_cells(cost.observed)))
        return 0

    code = each(session, session.options.jobs, one)
    if options.csv and not options.json:
        session.output.data(_history.as_csv(table))
    elif not session.output.as_json and len(rows) > 1:
        for line in lines(rows):
            session.output.data(line)
    if len(rows) == 1 and not code:
        session.output.say("There is no paid job yet.")
    return code


def _words(cost: Cost) -> str:
    if cost.observed is not None:
        return str(cost.observed)
    guess = cost.quoted or cost.estimated
    return (
        "unknown" if guess is None else f"unknown; {'asked were' if cost.quoted else 'the latest such job was'} {guess}"
    )


def _paid(ledger: Ledger) -> list[Job]:
    """Jobs that may have cost something, newest first."""
    free = (Status.REFUSED, Status.SUBMITTING)
    return [job for job in ledger.jobs() if job.status not in free and job.billed != "no"]


def _summed(session: Session, jobs: Iterable[Job]) -> int:
    by = session.options.by
    sums: dict[str, Sum] = defaultdict(Sum)
    total = Sum()
    for job in jobs:
        sums[_GROUPS[by](job)].add(job.cost)
        total.add(job.cost)
    if session.output.as_json:
        for name, group in sums.items():
            session.output.record({"v": 1, by: name, **_told(group)})
        return 0
    if session.options.csv:
        table: list[tuple[object, ...]] = [(by, "jobs", "unknown", "cost", "unit")]
        for name, group in sums.items():
            amounts: list[Money | None] = [*group.money()]
            table += [(name, group.jobs, group.unknown, *_cells(money)) for money in amounts or [None]]
        session.output.data(_history.as_csv(table))
        return 0
    if not sums:
        session.output.say("There is no paid job yet.")
        return 0
    rows = [(by.upper(), "JOBS", "UNKNOWN", "OBSERVED")]
    rows += [(name, str(group.jobs), str(group.unknown or ""), _amounts(group)) for name, group in sums.items()]
    if len(sums) > 1:
        rows.append(("all", str(total.jobs), str(total.unknown or ""), _amounts(total)))
    for line in lines(rows):
        session.output.data(line)
    if total.unknown:
        session.output.say(f"{total.unknown} are unknown and in no sum. `gen302 cost` asks about the newest {NEWEST}.")
    return 0


def _cells(money: Money | None) -> tuple[object, object]:
    return (None, None) if money is None else (money.amount, money.unit)


def _amounts(group: Sum) -> str:
    return ", ".join(str(money) for money in group.money())


def _told(group: Sum) -> dict[str, Any]:
    return {"jobs": group.jobs, "unknown": group.unknown, "observed": [money.to_json() for money in group.money()]}
