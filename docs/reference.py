"""Write docs/command.md from the help of every verb: `python docs/reference.py`; `--check` only compares."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from pathlib import Path

from ai302_core.cli import VERBS, main, usage
from ai302_core.cli.completion import INNER

TARGET = Path(__file__).with_name("command.md")
HEAD = """# The command

What `gen302 --help` and the help of every verb print; written by `python docs/reference.py`, kept equal by a test.
`python -m ai302_core` is the same command where scripts are not on the path.
"""


def reference() -> str:
    """The page."""
    os.environ["COLUMNS"] = "100"
    parts = [HEAD, f"```text\n{usage()}\n```\n"]
    for verb in (entry[0] for entry in VERBS if len(entry) == 3):
        for words in [(verb, word) for word in INNER[verb]] if verb in ("jobs", "plugins") else [(verb,)]:
            into = io.StringIO()
            with contextlib.redirect_stdout(into):
                main([*words, "--help"])
            text = into.getvalue().strip()
            parts.append(f"## gen302 {' '.join(words)}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(TARGET.read_text("utf-8") != reference())
    TARGET.write_text(reference(), "utf-8", newline="\n")
