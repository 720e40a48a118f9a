"""Where this command stands: how it was called, so that what it prints can be typed again."""

from __future__ import annotations

import os
import shlex
import shutil
import sys


def ourselves() -> str:
    """The words that call this command again from here: "gen302", ".venv/bin/gen302", or "python -m ai302_core"."""
    called = sys.argv[0] if sys.argv else ""
    name = os.path.basename(called)  # noqa: PTH119 - os is there already
    if name.partition(".")[0] != "gen302":
        return f"{_short(sys.executable)} -m ai302_core"
    found = shutil.which("gen302")
    return "gen302" if found and os.path.samefile(found, shutil.which(called) or found) else _short(called)  # noqa: PTH121


def quoted(text: str) -> str:
    """A word of the command line, so that the shell of this system takes it whole."""
    if os.name != "nt":
        return shlex.quote(text)
    return f'"{text}"' if set(text) & set(" &()^;,=") else text


def _short(path: str) -> str:
    near = os.path.relpath(path) if os.path.isabs(path) and path.startswith(os.getcwd() + os.sep) else path  # noqa: PTH109, PTH117
    return quoted(near)
