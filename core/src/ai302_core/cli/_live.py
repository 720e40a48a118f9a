"""One line on a terminal that redraws itself: stage, bar, percent, time so far, time left. Needs rich."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.text import Text

from ai302_core import _policies, _threads

from ._phrases import History, age, duration, phrase, stage

if TYPE_CHECKING:
    from types import TracebackType

    from ai302_core.jobs import Job


class _Clock(ProgressColumn):
    """Time since the submit and, where the ledger knows jobs of this kind, time left."""

    def render(self, task: Task) -> Text:
        seconds = float(task.fields["age"]) + (task.elapsed or 0.0)
        history: Sequence[float] = task.fields["history"]
        left = _policies.remaining(history, seconds)
        return Text(duration(seconds) + (f", about {duration(left)} left" if left else ""))


class LiveLine:
    """The line; a context manager. Every stage that is over leaves one plain line behind."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._console = Console(stderr=True, highlight=False)
        self.possible = self._console.is_terminal and not self._console.is_dumb_terminal
        self._shown = Progress(
            SpinnerColumn("line" if not _unicode(self._console) else "dots"),
            TextColumn("{task.description}"),
            BarColumn(20),
            TextColumn("{task.fields[percent]}"),
            _Clock(),
            console=self._console,
            transient=True,
            redirect_stdout=False,  # stdout is data, and may be a file while stderr is a terminal
            redirect_stderr=False,
            refresh_per_second=5,
        )
        self._task = self._shown.add_task("looking at the request", total=None, percent="", age=0.0, history=())
        self._job: Job | None = None

    def __enter__(self) -> LiveLine:
        with _threads.deaf():
            self._shown.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # the terminal was closed: nobody sees it go
            self._shown.stop()

    def __call__(self, job: Job) -> None:
        with suppress(OSError):  # what is under way is paid, and goes on unseen
            self._show(job)

    def _show(self, job: Job) -> None:
        if self._job is None or self._job.id != job.id:
            self._shown.reset(self._task, percent="", age=age(job), history=tuple(self._history(job)))
        if job.status.settled and (self._job is None or self._job.status is not job.status):
            seen = self._job is not None
            self._shown.print(escape(f"{job.id} {phrase(job, (), age(job), seen=seen)}"))
        self._job = job
        known = job.progress is not None and not job.status.settled
        self._shown.update(
            self._task,
            description=escape(f"{job.id} {stage(job)}"),
            total=1.0 if known else None,
            completed=job.progress if known else 0.0,
            percent=f"{job.progress:.0%}" if known else "",
            refresh=True,
        )

    def stage(self, text: str) -> None:
        """What the command itself does now: the bar moves without an end, since nobody knows."""
        with suppress(OSError):
            self._shown.update(
                self._task, description=escape(text), total=None, completed=0.0, percent="", refresh=True
            )

    def waits(self, why: str) -> None:
        """Why the command waits, as a line that stays."""
        with suppress(OSError):
            self._shown.print(escape(why))
        self.stage("waiting")


def _unicode(console: Console) -> bool:
    return console.encoding.lower().startswith("utf")
