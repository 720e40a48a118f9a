"""One run of a verb: options read, work done, and whatever happens told with the right exit code."""

from __future__ import annotations

import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ai302_core.errors import Ai302Error, Billed, ConfigError

from . import _verdict
from ._output import Output

if TYPE_CHECKING:
    from argparse import Namespace
    from pathlib import Path

    from ai302_core._clock import Span
    from ai302_core._connection import Connection
    from ai302_core._drivers import SyncDriver
    from ai302_core._http import Transport
    from ai302_core.jobs import Job
    from ai302_core.ledger import Ledger
    from ai302_core.providers import Provider

    from ._options import Parser

Work = Callable[["Session"], int]
PAYING = ("run", "submit", "act")


class Session:
    """What a verb's work holds.

    job      the job it is about, as soon as there is one
    paying   a paid call may be on the wire: what is interrupted now may have been paid
    stopped  somebody asked politely to stop meanwhile
    goes_on  the command that takes up many jobs where this one was stopped, or ""
    ends_with_us  the jobs are in a sandbox of this process's own
    """

    options: Namespace

    def __init__(self, verb: str, output: Output) -> None:
        self.verb = verb
        self.output = output
        self.job: Job | None = None
        self.paying = False
        self.stopped = False
        self.goes_on = ""
        self.ends_with_us = False

    @cached_property
    def connection(self) -> Connection:
        """The configuration in use. Raises ConfigError."""
        from ai302_core._connection import Connection

        return Connection(self.options.provider, config_from=self.options.config)

    def connect(self, name: str) -> None:
        """Name another provider than the options did, before anything was asked of one."""
        self.close()
        self.options.provider = name
        for made in ("connection", "provider"):
            self.__dict__.pop(made, None)

    def choose(self, operation: str | None) -> None:
        """Where nobody is named, name the only provider that has this operation. Raises ConfigError for several."""
        if operation is None:
            return
        try:
            self.connection.default()
        except ConfigError:
            self.connect(self.connection.offering(operation).name)

    @cached_property
    def provider(self) -> Provider:
        """The provider the options name."""
        from ai302_core.providers import Provider

        return Provider(self.connection)

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger alone, without checking the rest of the configuration. Raises ConfigError."""
        from ai302_core import _sqlite, config

        return _sqlite.open_ledger(config.find_ledger(self.options.config), data_dir=config.data_dir())

    @cached_property
    def _transport(self) -> Transport:
        from ai302_core import config
        from ai302_core._http import Transport
        from ai302_core._policies import Timeouts

        wait = None if self.job is None else config.find_download_timeout(self.job.provider, self.options.config)
        return Transport(Timeouts() if wait is None else Timeouts(download=wait))

    def driver(self, job: Job) -> SyncDriver:
        """What saves the job's files: needs neither key nor family, so nothing else of the configuration is read."""
        from ai302_core._drivers import SyncDriver

        if "connection" in self.__dict__:
            return self.connection.driver(self.connection.owning(job))
        return SyncDriver(self._transport, self.ledger)

    def typed(self, command: str) -> str:
        """A next command with the --config this one was given: what it is about may be known there alone."""
        file = getattr(getattr(self, "options", None), "config", None)
        words, mark, why = command.partition("  # ")
        prose = any(part in words for part in (" -- ", ", ", "; ", "--config"))
        if not file or prose or not words.startswith("gen302 ") or words[7:8] == "-":
            return command
        from ._place import quoted

        return f"{words} --config {quoted(str(file))}{mark}{why}"

    @cached_property
    def patience(self) -> Span:
        """The seconds of --timeout; they begin when they are asked for first."""
        from ai302_core._clock import Span

        return Span(self.options.timeout)

    def close(self) -> None:
        """Let go of connections."""
        if "_transport" in self.__dict__:
            self._transport.close()
        if "connection" in self.__dict__:
            self.connection.close()

    @contextmanager
    def pays(self) -> Iterator[None]:
        """Around a call that may pay."""
        self.paying = True
        yield
        self.paying = False
        if self.stopped:
            raise KeyboardInterrupt

    def tell(
        self,
        job: Job | None,
        files: Sequence[Path] = (),
        error: Ai302Error | None = None,
        code: int | None = None,
        **more: Any,
    ) -> int:
        """Tell an outcome to script and person; its exit code."""
        output = self.output
        if code is None:
            code = _verdict.OK if error is None else _verdict.exit_code(error)
        if error is not None:
            error.hint = self.typed(error.hint)
        for notice in () if job is None else job.warnings:
            if error is None or notice.message not in error.message:
                output.say(f"note: {notice.message}")
        if error is not None:
            silent = error.billed == "no" and self.verb not in PAYING
            output.complain(error.message, "" if silent else _verdict.money(error, job), error.hint)
        if output.as_json:
            output.record(_verdict.document(job, files, error, code, **more))
        else:
            for path in files:
                output.data(str(path))
        return code


def execute(verb: str, parser: Parser, work: Work, arguments: Sequence[str]) -> int:
    """Read the options, do the work, tell what happened; the exit code. Never a traceback unless asked for."""
    # A mistake in the options is told as they ask, so these are looked for before.
    session = Session(verb, Output(as_json="--json" in arguments, verbose="-v" in arguments))
    try:
        with _ends_like_ctrl_c(session):
            try:
                options = session.options = parser.read(arguments)
                session.output = Output(as_json=options.json, quiet=options.quiet, verbose=options.verbose)
                return session.output.ended(work(session))
            finally:
                session.close()
    except SystemExit as end:  # --help was printed
        return end.code if isinstance(end.code, int) else 0
    except Ai302Error as error:
        _trace(session.output, error)
        return session.tell(getattr(error, "job", None) or session.job, error=error)
    except KeyboardInterrupt as interrupt:
        return _interrupted(session, interrupt)
    except Exception as problem:  # noqa: BLE001 - a person never sees a traceback unasked
        return _ours(session, problem)


def _trace(output: Output, problem: BaseException) -> None:
    if output.verbose:
        output.say("".join(traceback.format_exception(problem)).rstrip())


@contextmanager
def _ends_like_ctrl_c(session: Session) -> Iterator[None]:
    """A polite kill, a closed terminal and Ctrl-Break end the work as Ctrl-C does: held while a paid call is out."""

    def like_ctrl_c(number: int, frame: Any) -> None:
        heard = signal.getsignal(signal.SIGINT)
        if callable(heard):
            heard(number, frame)
        elif session.paying and not session.stopped:  # Ctrl-C is ignored, as in a script's background: held here
            session.stopped = True
        else:
            raise KeyboardInterrupt

    taken: list[signal.Signals] = []
    main = threading.current_thread() is threading.main_thread()
    for name in ("SIGTERM", "SIGHUP", "SIGBREAK") if main else ():
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, like_ctrl_c)
            taken.append(number)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


class Stopped(Ai302Error):
    """Ctrl-C, as an outcome."""


def _interrupted(session: Session, interrupt: KeyboardInterrupt) -> int:
    held = hasattr(interrupt, "outcome")  # by the engine, until the receipt of a paid call was written
    job = job_of(interrupt) or session.job
    billed: Billed = "no"
    if session.ends_with_us and (job is None or job.sandbox):
        text, hint = "Stopped. It was all the sandbox, which has ended: no money was spent.", session.goes_on
    elif job is not None:
        text = f"Stopped. {job.id} is {job.status}."
        billed, hint = job.billed, _then(job)
        if session.verb == "cancel" and not job.status.settled:
            text, hint = f"{text} It may have been asked to stop already.", f"gen302 cancel {job.id}"
    elif session.paying and not held:
        text, billed, hint = "Stopped before the answer of a paid call came.", "unknown", "gen302 jobs"
    else:
        text, hint = f"Stopped.{' The open jobs live on.' if session.goes_on else ''}", session.goes_on
    return session.tell(job, error=Stopped(text, billed=billed, hint=hint), code=_verdict.INTERRUPTED)


def job_of(interrupt: BaseException) -> Job | None:
    """The job an interrupted call had already paid for, or None."""
    from ai302_core.jobs import Job

    outcome = getattr(interrupt, "outcome", None)
    return outcome if isinstance(outcome, Job) else None


def _then(job: Job) -> str:
    """The next command for a job that was left where it is."""
    return f"gen302 {'save' if job.status == 'succeeded' else 'wait'} {job.id}"


def _ours(session: Session, problem: Exception) -> int:
    """A bug, in one sentence, with where the job is. While something may be paid, that is exit code 7."""
    _trace(session.output, problem)
    reason = " ".join(str(problem).split())[:300]
    text = f"This is a bug of ours: {type(problem).__name__}{f': {reason}' if reason else ''}."
    job = session.job
    if job is None and not session.paying and isinstance(problem, FileNotFoundError) and not _somewhere():
        gone = ConfigError("The folder this was typed in is gone. Nothing was sent.", hint="cd to another folder")
        return session.tell(None, error=gone)
    if job is not None:
        error = Ai302Error(f"{text} {job.id} is {job.status}.", billed=job.billed, hint=_then(job))
    elif session.paying:
        error = Ai302Error(text, billed="unknown", hint="gen302 jobs")
    else:
        error = Ai302Error(text, hint="-v shows where it happened; please report that.")
    code = _verdict.UNCONFIRMED if job is not None or session.paying else _verdict.FAILED
    return session.tell(job, error=error, code=code)


def _somewhere() -> bool:
    """Whether the working folder is still there."""
    try:
        os.getcwd()  # noqa: PTH109
    except FileNotFoundError:
        return False
    return True
