"""Where words go: stdout for data, stderr for people. A closed pipe or a poor console stops nothing."""

from __future__ import annotations

import errno
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO


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

    def data(self, text: str) -> None:
        """A line of data."""
        trouble = _written(sys.stdout, text)
        if trouble is not None and trouble.errno in (errno.ENOSPC, errno.EDQUOT):
            self.complain("The disk that stdout goes to is full; what follows on it is lost. The jobs are not.")

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


def _written(stream: TextIO | None, text: str) -> OSError | None:
    """Why the stream takes nothing any more; told once, then it is silent."""
    if stream is None:  # a process without a console
        return None
    try:
        stream.write(f"{text}\n")
        stream.flush()
    except OSError as trouble:
        # `| head` has gone, or the terminal was closed: what is under way is paid and goes on.
        _silence(stream)
        return trouble
    except ValueError:
        pass
    return None


def _silence(stream: TextIO) -> None:
    import os

    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        pass
