"""A small picture of what was bought, where a person looks at a terminal that can show it. Needs the extra [cli]."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

LINES = 10
"""Lines of the terminal that the picture is high."""

_SHOWN = {".png", ".jpg", ".jpeg", ".webp"}


def show(files: Sequence[Path]) -> None:
    """Draw the first picture of the files on stderr; nothing in a pipe, without colours, or without the extra."""
    picture = next((file for file in files if file.suffix.lower() in _SHOWN), None)
    # The library asks the terminal what it can draw, which takes both directions.
    streams = (sys.stdin, sys.stdout, sys.stderr)
    watched = all(stream is not None and stream.isatty() for stream in streams)
    if picture is None or not watched or os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb":
        return
    try:
        from rich.console import Console
        from textual_image.renderable import Image

        console = Console(stderr=True)
        if not console.encoding.lower().startswith("utf"):  # its letters would be shown as codes
            return
        console.print(Image(picture, width="auto", height=LINES))
    except Exception:  # noqa: BLE001 - what was paid is on the disk; an ornament changes no outcome
        return
