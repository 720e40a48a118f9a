"""How fast it starts: whole processes, CPU of each beside a bare `python -c pass`."""

from __future__ import annotations

import os
import sys
import tempfile
from functools import partial
from pathlib import Path

from .measuring import Row, child_cpu, in_turn, server, told

_BIN = Path(sys.executable).parent
_COMMAND = str(_BIN / "gen302")
ROUNDS = 9


def rows() -> list[Row]:
    """The figures."""
    with tempfile.TemporaryDirectory() as folder, server("--polls", "1") as address:
        config = Path(folder, "gen302.toml")
        config.write_text(
            f'ledger = "sqlite:///{folder}/ledger.db"\n[providers.hero]\nfamily = "midjourney"\n'
            f'base_url = "{address}"\napi_key_env = "BENCH_KEY"\n'
        )
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        compiled = {"PYTHONPYCACHEPREFIX": f"{folder}/compiled"}  # as an installed package is
        env = {**inherited, **compiled, "BENCH_KEY": "sk-benchmark", "GEN302_CONFIG": str(config), "HOME": folder}
        child_cpu([_COMMAND, "run", "a lantern", "-o", folder], env)

        def python(code: str) -> list[str]:
            return [sys.executable, "-c", code]

        asked: list[tuple[str, list[str], float | None]] = [
            ("python -c pass", python("pass"), None),
            ("import ai302_core", python("import ai302_core"), 1.2),
            ("from ai302_core import connect, ImageRequest", python("from ai302_core import connect, ImageRequest"), 4),
            ("import httpx (for comparison)", python("import httpx"), None),
            ("gen302 --version", [_COMMAND, "--version"], 2),
            ("gen302 --help", [_COMMAND, "--help"], 3),
            ("gen302 jobs list", [_COMMAND, "jobs", "list"], None),
            ("gen302 jobs show last", [_COMMAND, "jobs", "show", "last"], None),
            ("gen302 save last (again, nothing to fetch)", [_COMMAND, "save", "last", "-o", folder], None),
            ("gen302 plugins", [_COMMAND, "plugins"], None),
            ("gen302 submit (whole process, answer read)", [_COMMAND, "submit", "a lantern"], 30),
        ]
        least = in_turn([partial(child_cpu, command, env) for _, command, _ in asked], ROUNDS)
        return [
            Row(
                what=what,
                value=f"{1000 * seconds:.0f} ms",
                beside="" if what == asked[0][0] else f"{1000 * least[0]:.0f} ms",
                ratio=None if what == asked[0][0] else seconds / least[0],
                goal=f"≤ {goal:g}×" if goal else "",
                met=seconds / least[0] <= goal if goal else None,
            )
            for (what, _, goal), seconds in zip(asked, least, strict=True)
        ]


if __name__ == "__main__":
    told(rows())
