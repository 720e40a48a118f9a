"""Locks on single bytes of a file, freed by the system when their process dies.

POSIX locks belong to the process: closing *any* descriptor of a file drops all its locks there, a fork inherits none.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def try_lock(descriptor: int, at: int, *, shared: bool = False) -> bool:
        """Lock the byte `at` without waiting; False when another process holds it.

        Windows has no shared byte lock here: who only tries asks a few times, so that two who try do not mistake
        each other for a holder.
        """
        for _ in range(5 if shared else 1):
            os.lseek(descriptor, at, os.SEEK_SET)
            try:
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            except PermissionError:
                time.sleep(0.001)
            else:
                return True
        return False

    def unlock(descriptor: int, at: int) -> None:
        """Free the byte `at`, whether it was locked or not."""
        os.lseek(descriptor, at, os.SEEK_SET)
        with contextlib.suppress(OSError):
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def try_lock(descriptor: int, at: int, *, shared: bool = False) -> bool:
        """Lock the byte `at` without waiting; False when another process holds it."""
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.lockf(descriptor, kind | fcntl.LOCK_NB, 1, at)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def unlock(descriptor: int, at: int) -> None:
        """Free the byte `at`, whether it was locked or not."""
        fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, at)


_NEXT, _TURN = 0, 1


class Gate:
    """Lets one process at a time through, in turn.

    Only who is next (holds byte 0) asks for the turn (byte 1), so a process that writes without pause cannot keep the
    others out, as it does with SQLite's own waiting. One thread at a time may use it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def enter(self, patience: float) -> bool:
        """Wait up to `patience` seconds for the turn; False when it did not come."""
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + patience
        try:
            for at, pause in ((_NEXT, 0.002), (_TURN, 0.0003)):
                while not try_lock(self._descriptor, at):
                    if time.monotonic() > deadline:
                        self.leave()
                        return False
                    time.sleep(pause)
        except BaseException:
            self.leave()
            raise
        unlock(self._descriptor, _NEXT)
        return True

    def leave(self) -> None:
        """Let the next one through."""
        if self._descriptor is not None:
            unlock(self._descriptor, _TURN)
            unlock(self._descriptor, _NEXT)

    def close(self) -> None:
        """Let go of the file; entering opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
