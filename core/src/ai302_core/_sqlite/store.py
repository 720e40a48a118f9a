"""One ledger file in this process: writers commit in groups, readers do not wait for them, a fork starts afresh."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from ai302_core.errors import LedgerError

from .database import is_ordered, open_database, passage, standing, sync, transaction
from .filelocks import Gate

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

PATIENCE = 30.0
"""Seconds a write waits for other processes."""


_REST = 0.2
"""Seconds a thread waits to be told that its work is done before it asks to do it itself."""


_GATHERING = 0.005
"""Seconds between two commits of many threads: who comes meanwhile shares the next one, and its sync."""


class _Operation(Generic[T]):
    """One thread's work, done by whichever thread leads. `lasting`: a power cut must not undo it."""

    def __init__(self, work: Work[T], lasting: bool) -> None:
        self.work = work
        self.lasting = lasting
        self.done = False
        self.problem: Exception | None = None
        self.value: T | None = None
        self._called = threading.Lock()
        self._called.acquire()

    def attempt(self, db: sqlite3.Connection, *, apart: bool) -> bool:
        """Do the work inside the open transaction; whether it raised nothing. An error of the file itself is raised.

        apart  where it raises, what it wrote is undone and the work of others in the transaction is not
        """
        if apart:
            db.execute("SAVEPOINT one")
        try:
            value, self.problem = self.work(db), None
            # A cursor dropped later, in the thread that asked, would reset a statement that another one is using.
            self.value = None if isinstance(value, sqlite3.Cursor) else value
            del value
        except sqlite3.Error:
            raise
        except Exception as problem:  # noqa: BLE001 - it is raised in the thread that asked
            self.problem = problem
            if apart:
                db.execute("ROLLBACK TO one")
        if apart:
            db.execute("RELEASE one")
        return self.problem is None

    def finish(self, problem: Exception | None = None) -> None:
        self.problem = problem or self.problem
        self.done = True
        self.call()

    def call(self) -> None:
        """Wake its thread: the work is done, or is to be done by the thread itself."""
        with contextlib.suppress(RuntimeError):  # called before
            self._called.release()

    def rest(self) -> None:
        """Wait to be called; not for long, since who should call may have been interrupted."""
        self._called.acquire(timeout=_REST)

    def outcome(self) -> T:
        if self.problem is not None:
            raise self.problem
        return cast("T", self.value)


class Store:
    """`path`: the file; None: a private one in memory. Everything raises LedgerError, OSError or sqlite3.Error."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._gate = None if path is None else Gate(path.with_name(path.name + "-queue"))
        self._queue: deque[_Operation[Any]] = deque()
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._read_from: tuple[int, int] | None = None  # the file that was opened
        self._written_to: tuple[int, int] | None = None
        self._syncs = True  # the writer's commits last
        self._ordered = False
        self._wrote: tuple[float, int | None] = 0.0, None  # when it was last committed, and which thread's work alone
        self._new_locks()
        _STORES.add(self)

    def _new_locks(self) -> None:
        # Whoever needs both takes `_reading` first.
        self._leading = threading.Lock()
        self._reading = threading.Lock()

    def write(self, work: Work[T], *, lasting: bool = True) -> T:
        """Do the work in a transaction and return what it returned, once every process sees it.

        lasting  it is on the disk, too; else it is there with the next write that has to be, or when the system likes

        The first thread to come leads: it does the work of all that queued up meanwhile and commits once. The others
        are told when theirs is done; they do not queue for the lead to find out.
        """
        operation = _Operation(work, lasting)
        self._queue.append(operation)
        try:
            if self._leading.locked():
                operation.rest()
            while not operation.done:
                with self._leading:
                    if not operation.done:
                        self._lead(operation)
                self._call_next()
        except BaseException:
            with contextlib.suppress(ValueError):
                self._queue.remove(operation)  # interrupted while waiting: nobody needs it any more
            raise
        return operation.outcome()

    @contextlib.contextmanager
    def _lead_taken(self) -> Iterator[None]:
        """Lead; whoever came meanwhile leads next."""
        with self._leading:
            yield
        self._call_next()

    def _call_next(self) -> None:
        for first in self._queue.copy():
            first.call()
            break

    def read(self, work: Work[T]) -> T:
        """Do the work on one consistent state."""
        if self._path is None:
            with self._lead_taken():
                return _consult(self._writing(), work)
        with self._reading:
            if self._reader is not None and standing(self._path) != self._read_from:
                _close(self._reader)
                self._reader = None
            if self._reader is None:
                self._reader = open_database(self._path, self._alone, PATIENCE)
                self._read_from = standing(self._path)
            try:
                return _consult(self._reader, work)
            except sqlite3.Error:
                _close(self._reader)
                self._reader = None
                raise

    def _writing(self) -> sqlite3.Connection:
        if self._writer is not None and self._gate is not None and standing(self._path) != self._written_to:
            _close(self._writer)
            self._writer = None
            self._gate.close()  # it went the same way
        if self._writer is None:
            self._writer = open_database(self._path, lambda: passage(self._gate, PATIENCE), PATIENCE)
            self._written_to = standing(self._path)
            self._syncs, self._ordered = True, is_ordered(self._writer)
        return self._writer

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        with self._lead_taken(), passage(self._gate, PATIENCE):
            yield

    def _lead(self, own: _Operation[Any]) -> None:
        batch: list[_Operation[Any]] = []
        committed = False
        try:
            self._gather(own)
            db = self._writing()
            with passage(self._gate, PATIENCE):
                committing = False
                try:
                    self._syncs = self._choose(db)
                    db.execute("BEGIN IMMEDIATE")
                    batch = self._gathered()
                    if not all(operation.attempt(db, apart=False) for operation in batch):
                        # Rare: what one wrote before it raised is undone, and the others' work done again, each apart.
                        db.execute("ROLLBACK")
                        if len(batch) > 1:
                            db.execute("BEGIN IMMEDIATE")
                            for operation in batch:
                                operation.attempt(db, apart=True)
                    committing = True
                    if db.in_transaction:
                        db.execute("COMMIT")
                finally:
                    committed = committing and not db.in_transaction
                    if db.in_transaction:
                        with contextlib.suppress(sqlite3.Error):
                            db.execute("ROLLBACK")
        except (sqlite3.Error, OSError, LedgerError) as problem:
            for operation in batch or self._gathered():
                operation.finish(problem)
            if self._path is not None:  # a file that is mended or restored is found at the next use
                _close(self._writer)
                self._writer = None
        except BaseException:
            # Ctrl-C in the thread that leads: the others' work is done, or done again by the next leader.
            if committed:
                for operation in batch:
                    operation.finish()
            else:
                self._queue.extendleft(operation for operation in reversed(batch) if operation is not own)
            raise
        else:
            alone = len(batch) == 1 and batch[0] is own
            self._wrote = time.monotonic(), threading.get_ident() if alone else None
            for operation in batch:
                operation.finish()

    def _gather(self, own: _Operation[Any]) -> None:
        """Where other threads wrote a moment ago, more are on their way; who writes alone never waits."""
        when, who = self._wrote
        if own.lasting and self._path is not None and who != threading.get_ident():
            pause = when + _GATHERING - time.monotonic()
            if pause > 0:
                time.sleep(min(pause, _GATHERING))

    def _choose(self, db: sqlite3.Connection) -> bool:
        """Whether the next commit lasts: where one of those who wait needs it."""
        lasting = not self._ordered or any(operation.lasting for operation in self._queue.copy())
        if lasting is not self._syncs:
            sync(db, each=lasting)
        return lasting

    def _gathered(self) -> list[_Operation[Any]]:
        """Those who wait; one that came too late to say that it has to last waits for the next commit."""
        batch: list[_Operation[Any]] = []
        while self._queue and (self._syncs or not self._queue[0].lasting):
            batch.append(self._queue.popleft())
        return batch

    def close(self) -> None:
        """Let go of the file; the next use opens it again."""
        with self._reading, self._lead_taken():
            self._release()

    def _release(self) -> None:
        if self._path is not None and self._gate is not None:
            _close(self._reader)
            _close(self._writer)
            self._reader = self._writer = None
            self._gate.close()

    def pause(self) -> None:
        """Before a fork: nothing is under way and no connection open, since a child must not inherit SQLite's state."""
        self._reading.acquire()
        self._leading.acquire()
        self._release()

    def resume(self) -> None:
        """After a fork, in the parent."""
        self._leading.release()
        self._reading.release()

    def reborn(self) -> None:
        """After a fork, in the child: what other threads had queued is the parent's."""
        self._queue.clear()
        self._new_locks()


def _consult(db: sqlite3.Connection, work: Work[T]) -> T:
    with transaction(db, "DEFERRED"):
        return work(db)


def _close(db: sqlite3.Connection | None) -> None:
    if db is not None:
        with contextlib.suppress(sqlite3.Error):
            db.close()


_STORES: weakref.WeakSet[Store] = weakref.WeakSet()
_paused: list[Store] = []
_forking = threading.Lock()


def _before_fork() -> None:
    _forking.acquire()
    for store in list(_STORES):
        store.pause()
        _paused.append(store)


def _after_fork_in_parent() -> None:
    while _paused:
        _paused.pop().resume()
    _forking.release()


def _after_fork_in_child() -> None:
    while _paused:
        _paused.pop().reborn()
    _forking.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
