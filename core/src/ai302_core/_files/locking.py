"""A file that is one process's own while it holds it open; the system frees it when the process dies."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["locked"]


def locked(path: Path) -> IO[bytes] | None:
    """The file, opened and locked until it is closed or this process ends; None when that cannot be had."""
    while True:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666), "r+b")
        try:
            if sys.platform == "win32":
                file.seek(2**30)  # beyond the notes: the locked byte cannot be read by others
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
                file.seek(0)
            else:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            same = os.path.samestat(os.fstat(file.fileno()), path.stat())
        except FileNotFoundError:
            same = False
        except OSError:
            file.close()
            return None
        if same:
            return file
        file.close()  # the last owner has removed it in between
