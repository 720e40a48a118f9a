"""One run of a batch: rows looked at before any is sent, bought or taken up again, told and summed up."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path

from ai302_core import _loopthread, _many
from ai302_core._batch import batches
from ai302_core._batch.batches import Batch, Halt
from ai302_core._batch.tables import Row
from ai302_core._crowd import Crowd
from ai302_core._flows import outcomes as _outcomes
from ai302_core._flows.submitting import Order
from ai302_core._many import Wanted
from ai302_core._steps import Call, Sleep
from ai302_core.errors import Ai302Error, ParameterError
from ai302_core.jobs import Job, Outcome, Status
from ai302_core.ledger import unreadable

from . import _crowd, _rows, _verdict
from ._phrases import at_own_limits, unsent
from ._place import quoted
from ._rows import Reading
from ._session import Session
from ._tally import Tally


class Round:
    """One run of a batch."""

    def __init__(
        self, session: Session, batch: Batch, how: Reading, rows: Mapping[str, Row], jobs: Mapping[str, Job]
    ) -> None:
        self.session = session
        self.batch = batch
        self.how = how
        self.rows = rows
        self.jobs = {key: job for key, job in jobs.items() if key in rows}
        cap = batch.options.get("max_jobs")
        self.left = float("inf") if cap is None else max(0, cap - _bought(session, batch.name))
        self.halt = Halt()
        self.skipped = 0
        self._begun: set[str] = set()
        self.lenient = bool(batch.options.get("lenient"))
        ledger = session.connection.ledger
        self._before = {key: ledger.destination(job.id) or "" for key, job in self.jobs.items()}

    @cached_property
    def _places(self) -> dict[str, str]:
        return _rows.places(self.how, self.rows, self._before)

    def validate(self) -> None:
        """Every row that would be sent can be. Raises ParameterError naming the lines."""
        problems: list[tuple[Row, Ai302Error]] = []
        heads: dict[str, bytes] = {}
        for key, row in self.rows.items():
            if key in self.jobs:
                continue
            try:
                request = _rows.request(self.how, row)
                _rows.destination(self.how, row)
                shown = _rows.headed(request, heads)
                self.session.provider.dry_run(shown, lenient=self.lenient)
            except ParameterError as problem:
                problems.append((row, problem))
        if problems:
            raise _rows.refused(problems, len(self.rows))
        fresh = [row for key, row in self.rows.items() if key not in self.jobs]
        for note in (*_rows.blanks(self.how, fresh), *_rows.shared(self.how, fresh)):
            self.session.output.say(f"note: {note}")

    def preview(self) -> int:
        """What would be sent, the first row in full."""
        fresh = [(key, row) for key, row in self.rows.items() if key not in self.jobs]
        output = self.session.output
        for position, (key, row) in enumerate(fresh):
            if position and not output.as_json:
                break
            shown = self.session.provider.dry_run(_rows.request(self.how, row), lenient=self.lenient)
            request = {"method": shown.method, "url": shown.url, "headers": dict(shown.headers), "body": shown.body}
            if output.as_json:
                self.session.tell(None, row=row.line, key=key, request=request, to=self._places[key])
            else:
                output.data(f"line {row.line}:\n{json.dumps(request, ensure_ascii=False, indent=2)}")
        output.say(f"{self.batch.name}: {_rows_of(len(self.rows))}, {len(self.jobs)} bought before, "
                   f"{int(min(len(fresh), self.left))} to buy. Nothing was sent.")  # fmt: skip
        return 0

    def run(self) -> int:
        """Buy, follow, save, tell."""
        session = self.session
        session.goes_on = self._again()
        tally = Tally(self.batch.name, len(self.rows))
        roles, sidecar = self.batch.options.get("only"), not self.batch.options.get("no_sidecar")
        with _crowd.watching(session, tally) as watch:

            def sending(step: Call | Sleep) -> None:
                if isinstance(step, Sleep):
                    watch.waits(unsent(step), once=at_own_limits(step))

            session.connection.sending = sending
            finished = self._finished(roles)
            for key, files in finished.items():
                self._told(tally, watch, Outcome(key=key, job=self.jobs[key], files=files))
            crowd = Crowd(session.connection, None, roles=roles, sidecar=sidecar, on_update=watch.update)
            make = partial(_many.run_wanted, session.connection, self._orders(finished), crowd)
            # Closed here and not when it is forgotten: no receipt may still be under way when the ledger closes.
            with closing(_loopthread.in_thread(make, session.connection.release_loop)) as outcomes:
                for outcome in outcomes:
                    if outcome.key in self._begun:  # what an earlier run left says nothing of this one
                        self.halt.see(outcome.job, outcome.error)
                    self._told(tally, watch, outcome)
        return self._summed_up(tally)

    def _finished(self, roles: Sequence[str] | None) -> dict[str, tuple[Path, ...]]:
        """Rows of which nothing is missing: their files stand where this run wants them."""
        ledger = self.session.connection.ledger
        found: dict[str, tuple[Path, ...]] = {}
        for key, job in self.jobs.items():
            to = self._places[key]
            moved = self._before[key] != to
            if moved:
                ledger.set_destination(job.id, to)
            if moved or job.status is not Status.SUCCEEDED or roles is not None:
                continue
            records = ledger.files(job.id)
            if _outcomes.complete(job, records) and all(_stands(record.path, record.size) for record in records):
                found[key] = tuple(Path(record.path) for record in records)
        return found

    def _orders(self, finished: Mapping[str, object]) -> Iterator[Wanted]:
        for key, row in self.rows.items():
            if key in finished:
                continue
            job = self.jobs.get(key)
            dead = job is not None and job.status in batches.DEAD and unreadable(job) is None
            again = self.session.options.again == "failed" and dead
            fresh = job is None or again
            if fresh and (self.halt.reason is not None or self.left < 1):
                self.skipped += 1
                continue
            if fresh:
                self.left -= 1
                self._begun.add(key)
            order = Order(key=key, again=again, lenient=self.lenient, save_to=self._places[key])
            known = None if fresh or job is None or job.status is Status.SUBMITTING else job
            request = known.request if known is not None and known.request is not None else None
            yield Wanted(request or _rows.request(self.how, row), order, known)

    def _told(self, tally: Tally, watch: _crowd.Watching, outcome: Outcome) -> None:
        line = self.rows[outcome.key or ""].line
        error = outcome.error
        code = _verdict.OK if error is None else _verdict.exit_code(error)
        tally.add(code, outcome)
        watch.outcome(outcome)
        output = self.session.output
        if output.as_json:
            output.record(_verdict.document(outcome.job, outcome.files, error, code, row=line, key=outcome.key))
            return
        if error is not None and tally.worth_telling():
            output.complain(f"line {line}: {error.message}", _verdict.money(error, outcome.job), error.hint)
        if not watch.covers_stdout:
            for path in outcome.files:
                output.data(str(path))

    def _again(self) -> str:
        """The command that goes on with this batch, from any folder."""
        name = "" if Path(self.batch.file).stem == self.batch.name else f" --name {quoted(self.batch.name)}"
        return self.session.typed(f"gen302 batch {quoted(self.batch.file)}{name}")

    def _summed_up(self, tally: Tally) -> int:
        session = self.session
        code = tally.code(self.skipped)
        complete = tally.unsettled == 0 and self.skipped == 0
        if complete != self.batch.complete:
            session.connection.ledger.keep_batch(self.batch.name, replace(self.batch, complete=complete).to_json())
        if session.output.as_json:
            session.output.record({"v": 1, "batch": self.batch.name, "round": self.batch.round,
                                   **tally.counts(self.skipped), "exit": code})  # fmt: skip
        for text in tally.told(self.skipped, self.halt.reason, self.left < 1, self._again()):
            session.output.say(text)
        return code


def _bought(session: Session, name: str) -> int:
    return len(session.connection.ledger.jobs(keys=batches.prefix(name)))


def _rows_of(number: int) -> str:
    return f"{number} row{'' if number == 1 else 's'}"


def _stands(path: str, size: int) -> bool:
    try:
        return Path(path).stat().st_size == size
    except OSError:
        return False
