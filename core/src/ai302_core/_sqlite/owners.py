"""Who lives: every process that submits holds a lock on a file of its own beside the ledger until it dies.

The lock is taken once and its file never opened again by its process, since closing a second descriptor would drop
it. No pid, host name or clock decides; after a fork the child is somebody else.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from .filelocks import try_lock

# Every owner this process is, in any ledger, with the descriptor that holds its lock (-1: in memory).
_OWN: dict[str, int] = {}


def _after_fork_in_child() -> None:
    for descriptor in _OWN.values():
        if descriptor >= 0:
            os.close(descriptor)  # the lock is the parent's: closing here takes nothing from it
    _OWN.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


class Owners:
    """The owners of one ledger. `folder` holds their files; None: a ledger in memory, which knows this process only."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._current = self._path = ""

    def mine(self) -> str:
        """This process as an owner, living until it dies.

        Call it inside a ledger's write only: the files of the dead are swept here, and while one process at a time
        does so, nobody sweeps a file that is made and not yet locked.
        """
        if self._current not in _OWN or not self._on_disk():
            owner = os.urandom(16).hex()
            _OWN[owner] = -1 if self._folder is None else self._lock(self._folder, owner)
            self._current = owner
            self._path = "" if self._folder is None else str(self._folder / owner)
        return self._current

    def alive(self, owner: str | None) -> bool:
        """Whether that owner's process still runs. Raises OSError when its file cannot be tried."""
        if owner in _OWN:
            return True
        if self._folder is None or not owner or not owner.isalnum():
            return False
        try:
            descriptor = os.open(self._folder / owner, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            # Shared: any number may try at the same instant, and only an owner's exclusive lock stands in their way.
            return not try_lock(descriptor, 0, shared=True)
        finally:
            os.close(descriptor)

    def _on_disk(self) -> bool:
        """Whether the file is still there: who deletes it must not make later jobs of this process look orphaned."""
        if self._folder is None:
            return True
        try:
            there = os.stat(self._path)  # noqa: PTH116 - asked at every intent
        except OSError:
            return False
        return os.path.samestat(there, os.fstat(_OWN[self._current]))

    def _lock(self, folder: Path, owner: str) -> int:
        folder.mkdir(mode=0o700, exist_ok=True)
        for path in folder.iterdir():
            if not self.alive(path.name):
                with contextlib.suppress(OSError):
                    path.unlink()
        descriptor = os.open(folder / owner, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        if not try_lock(descriptor, 0):
            os.close(descriptor)
            raise OSError(f"the fresh lock file {folder / owner} is locked by somebody else")
        return descriptor
