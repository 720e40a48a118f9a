"""`make bench`: every program in a process of its own, one table of ratios, the machine named."""

from __future__ import annotations

import json
import subprocess
import sys

from .measuring import HEADER, ROOT, Row, machine

PROGRAMS = ("starting", "cycle", "durability", "submits", "crowd", "polling", "downloads", "lateness")


def main(names: list[str]) -> int:
    """Run the programs named, or all; 0 unless one could not run."""
    print(machine(), flush=True)
    print(HEADER, flush=True)
    broken = 0
    for name in names or PROGRAMS:
        run = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}", "--json"], cwd=ROOT, capture_output=True, text=True,
            timeout=900, check=False,
        )  # fmt: skip
        if run.returncode:
            broken += 1
            print(f"{name}: {(run.stderr.strip().splitlines() or ['failed'])[-1]}", flush=True)
            continue
        for row in json.loads(run.stdout):
            print(Row(**row), flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
