"""Many jobs on a terminal: one headline, and a row for each of those under way longest. Needs rich."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ai302_core import _policies, _threads

from ._pace import Pace, headline
from ._phrases import History, age, duration, stage

if TYPE_CHECKING:
    from types import TracebackType

    from ai302_core.jobs import Job, Outcome

    from ._tally import Tally

ROWS = 8


class LiveTable:
    """The table; a context manager. It is gone when the block ends: the summary follows."""

    def __init__(self, tally: Tally, history: History) -> None:
        self._tally = tally
        self._history = history
        self._pace = Pace()
        self._jobs: dict[str, Job] = {}
        self._why = ""
        self._known: dict[tuple[str, str, str | None], list[float]] = {}
        console = Console(stderr=True, highlight=False)
        self.possible = console.is_terminal and not console.is_dumb_terminal
        self.covers_stdout = sys.stdout is not None and sys.stdout.isatty()
        self._live = Live(
            get_renderable=self._rendered,
            console=console,
            transient=True,
            refresh_per_second=4,
            redirect_stdout=False,  # data; on a terminal there is none while this stands
            redirect_stderr=True,
        )

    def __enter__(self) -> LiveTable:
        with _threads.deaf():
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # the terminal was closed: nobody sees it go
            self._live.stop()

    def update(self, job: Job) -> None:
        """A new snapshot, from any thread."""
        if job.status.settled:
            self._jobs.pop(job.id, None)
        else:
            if job.id not in self._jobs:
                self._why = ""
            self._jobs[job.id] = job

    def outcome(self, outcome: Outcome) -> None:
        """One has come to its end."""
        if outcome.job is not None:
            self._jobs.pop(outcome.job.id, None)

    def waits(self, why: str, once: bool = False) -> None:
        """One waits to be sent, from any thread: the reason stands below until another was accepted."""
        self._why = why

    def _rendered(self) -> Group:
        tally, jobs = self._tally, list(self._jobs.values())
        left = self._pace.left(tally.done, tally.rows)
        bar = Table.grid()  # a bar by itself ends no line
        bar.add_row(ProgressBar(total=max(1, tally.rows), completed=tally.done, width=40))
        lines = Table.grid(padding=(0, 2))
        for job in jobs[:ROWS]:
            seconds = age(job)
            rest = _policies.remaining(self._past(job), seconds)
            percent = "" if job.progress is None else f"{job.progress:.0%}"
            lines.add_row(*map(Text, (
                job.id, stage(job), percent, duration(seconds),
                f"about {duration(rest)} left" if rest else "",
            )))  # fmt: skip
        more = [Text(f"and {len(jobs) - ROWS} more")] if len(jobs) > ROWS else []
        more += [Text(self._why)] if self._why else []
        return Group(Text(headline(tally, len(jobs), left)), bar, lines, *more)

    def _past(self, job: Job) -> list[float]:
        kind = (job.family, job.operation, job.model)
        if kind not in self._known:
            self._known[kind] = list(self._history(job))
        return self._known[kind]
