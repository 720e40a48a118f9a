"""How many lines a family takes: those of the smallest plugin, and of ours, without samples and the sandbox's part."""

from __future__ import annotations

import io
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

from ai302_core.cli import main

ROOT = Path(__file__).parents[1]


def lines(package: Path) -> int:
    """Lines that are neither empty nor a comment."""
    files = [path for path in sorted(package.glob("*.py")) if not path.name.startswith("_sandbox")]
    texts = (line.strip() for path in files for line in path.read_text("utf-8").splitlines())
    return sum(1 for line in texts if line and not line.startswith("#"))


def counted() -> dict[str, int]:
    """name -> lines, the generated plugin first."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "smallest"
        with redirect_stdout(io.StringIO()):
            code = main(["plugins", "new", "smallest", "--dir", str(target), "--quiet"])
        if code:
            sys.exit(code)
        found = {"smallest (generated)": lines(target / "src/ai302_smallest")}
    for package in sorted(ROOT.glob("plugins/*/src/*")):
        found[package.name.removeprefix("ai302_")] = lines(package)
    return found


if __name__ == "__main__":
    for name, count in counted().items():
        print(f"{count:>6}  {name}")
