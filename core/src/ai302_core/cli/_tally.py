"""What became of the rows of a batch: counted, summed up for people and scripts, one exit code for all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ai302_core._batch import batches

from . import _verdict
from ._place import quoted

if TYPE_CHECKING:
    from ai302_core.errors import Ai302Error
    from ai302_core.jobs import Outcome

TOLD = 10
"""Errors told one by one; the summary has the rest."""

WORDS = (
    # what a person reads, the exit code a row of it has
    ("done", 0),
    ("failed", 1),
    ("not sendable", 2),
    ("still running", 3),
    ("content refused", 4),
    ("no money", 5),
    ("not reached", 6),
    ("unconfirmed", 7),
    ("file missing", 9),
    ("waits for input", 10),
)


class Tally:
    """Counts rows of a file, or jobs, by how they ended."""

    def __init__(self, name: str, rows: int, noun: str = "rows") -> None:
        self.name = name
        self.rows = rows
        self.noun = noun
        self.codes: Counter[int] = Counter()
        self.files = 0
        self.unsettled = 0
        self.sandbox = False
        self._told = 0

    @property
    def done(self) -> int:
        """Rows that have come to an end of any kind."""
        return self.codes.total()

    @property
    def troubles(self) -> int:
        """Rows that are not what was wanted."""
        return self.done - self.codes[0]

    def add(self, code: int, outcome: Outcome) -> None:
        """One row's outcome."""
        self.codes[code] += 1
        self.files += len(outcome.files)
        self.unsettled += not batches.settled(outcome.job, outcome.error)
        self.sandbox = self.sandbox or (outcome.job is not None and outcome.job.sandbox)

    def worth_telling(self) -> bool:
        """Whether one more error is told by itself."""
        self._told += 1
        return self._told <= TOLD

    def code(self, skipped: int) -> int:
        """0 all done, 8 some, else what kept the first kind of row from being done."""
        if not self.troubles and not skipped:
            return _verdict.OK
        if self.codes[0] or not self.troubles:
            return _verdict.PARTLY
        kinds = [code for _, code in WORDS if self.codes[code]]
        return kinds[0] if len(kinds) == 1 else _verdict.PARTLY

    def counts(self, skipped: int) -> dict[str, Any]:
        """Numbers of rows by how they ended, and of files."""
        ended = {word.replace(" ", "_"): self.codes[code] for word, code in WORDS if self.codes[code] or code == 0}
        return {"rows": self.rows, **ended, "not_begun": skipped, "files": self.files}

    def told(self, skipped: int, reason: Ai302Error | None, full: bool, again: str) -> Sequence[str]:
        """The summary, and what to do next; `again` is the command that was typed."""
        table = [(word, self.codes[code]) for word, code in WORDS if self.codes[code] or code == 0]
        table += [("not begun", skipped)] if skipped else []
        wide = max(len(word) for word, _ in [*table, ("rows", 0), ("files", 0)])
        deep = max(len(str(self.rows)), len(str(self.files)))
        lines = [f"{self.name}"]
        lines += [f"  {word:<{wide}}  {number:>{deep}}" for word, number in
                  [("rows", self.rows), *table, ("files", self.files)]]  # fmt: skip
        if self._told > TOLD:
            lines.append(
                f"{self._told - TOLD} more errors were not shown: gen302 jobs list --batch {quoted(self.name)}"
            )
        if self.sandbox:
            lines.append("From the sandbox: no money was spent.")
        if skipped and reason is not None:
            lines.append(f"No further row was begun: {reason.message}")
        elif skipped and full:
            lines.append("No further row was begun: --max-jobs is reached. A larger one lets the batch go on.")
        return [*lines, *self._next(skipped, again)]

    def _next(self, skipped: int, again: str) -> list[str]:
        lines = []
        if self.codes[_verdict.UNCONFIRMED]:
            shown = f"gen302 jobs list --batch {quoted(self.name)} --status unconfirmed"
            lines.append(f"Look before you pay again: {shown}")
        if self.codes[_verdict.FAILED]:
            lines.append(f"Buys those that failed once more: {again} --again failed")
        if self.unsettled or skipped or self.codes[_verdict.FILE_MISSING]:
            lines.append(f"Goes on: {again}")
        return lines
