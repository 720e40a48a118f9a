"""Where words go: stdout for data, stderr for people. A closed pipe or a poor console stops nothing."""

from __future__ import annotations

import errno
import os
import sys
from stat import S_ISCHR

from ai302_core._visible import visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO

UNTOLD = 11
"""The exit code of a success whose data stdout did not take."""


class Output:
    """Two streams.

    as_json  outcomes are JSON lines on stdout
    quiet    only errors on stderr
    verbose  tracebacks of our own mistakes on stderr
    """

    def __init__(self, *, as_json: bool = False, quiet: bool = False, verbose: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self.verbose = verbose
        self._untold = False

    def data(self, text: str) -> None:
        """A line of data."""
        reason = _written(sys.stdout, text)
        if reason and not self._untold:
            self._untold = True
            self.complain(f"stdout {reason}; what follows on it is lost. The jobs are not.")

    def ended(self, code: int) -> int:
        """The exit code of work that ended with this one: data that nobody got are no success."""
        return UNTOLD if code == 0 and self._untold else code

    def record(self, document: Any) -> None:
        """A line of JSON."""
        from json import dumps

        encoding = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "")
        ascii_only = encoding not in ("utf8", "utf8sig")
        self.data(dumps(document, ensure_ascii=ascii_only, separators=(",", ":"), default=str))

    def say(self, text: str) -> None:
        """A line for the person, unless quiet."""
        if not self.quiet:
            _written(sys.stderr, text)

    def complain(self, said: str, money: str = "", then: str = "") -> None:
        """An error: what happened, what it means for the money, what to do next."""
        lines = [f"gen302: {said}", *(f"  {line}" for line in (money, then and f"Next: {then}") if line)]
        _written(sys.stderr, "\n".join(lines))


def _written(stream: TextIO | None, text: str) -> str:
    """Why the stream did not take it, or ""; a reader who left, as `| head` does, wants no more. Then it is silent."""
    if stream is None:
        return "is closed"
    try:
        # Data goes out as it is, unless to eyes: a prompt or a text may come from anywhere.
        shown = visible(text) if stream is sys.stderr or stream.isatty() else text
        stream.write(f"{shown}\n")
        stream.flush()
    except OSError as trouble:
        left = _has_left(stream, trouble)
        # What is under way is paid and goes on.
        _silence(stream)
        if left:
            return ""
        if trouble.errno in (errno.ENOSPC, errno.EDQUOT):
            return "goes to a disk that is full"
        return f"cannot be written ({trouble.strerror or trouble})"
    except ValueError:
        return "is closed"
    return ""


def _has_left(stream: TextIO, trouble: OSError) -> bool:
    """Whether it is the reader who went: of a pipe, or the terminal of somebody who told the program to go on."""
    if trouble.errno == errno.EIO:  # on a file it is the disk
        return S_ISCHR(os.fstat(stream.fileno()).st_mode)
    return trouble.errno == errno.EPIPE or (os.name == "nt" and trouble.errno == errno.EINVAL)


def _silence(stream: TextIO) -> None:
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        pass
