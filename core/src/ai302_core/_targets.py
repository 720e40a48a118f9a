"""Where a caller wants files, as text that another process understands."""

from __future__ import annotations

import os

Target = str | os.PathLike[str]


def path_text(target: Target | None) -> str | None:
    """A target as absolute text: another process, elsewhere, may save the files. A trailing separator is kept."""
    return None if target is None else os.path.join(os.getcwd(), os.fspath(target))  # noqa: PTH109, PTH118
