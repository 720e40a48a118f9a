"""The documented imports and methods are fully typed, for mypy and for pyright."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
USAGE = ROOT / "tests/typing/usage.py"


def check(*command: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    run = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_mypy_knows_every_type() -> None:
    check("mypy", "--strict", str(USAGE))


def test_pyright_knows_every_type() -> None:
    check("pyright", "--pythonpath", sys.executable)  # its settings name the file


def test_who_completes_names_sees_the_lazy_ones() -> None:
    """jedi, behind notebooks and several editors, takes a plain `TYPE_CHECKING = False` at its word."""
    for name in ("__init__", "_opening"):
        module = ast.parse((ROOT / f"core/src/ai302_core/{name}.py").read_text("utf-8"))
        flags = [line for line in module.body if isinstance(line, ast.AnnAssign)]
        assert [ast.unparse(line) for line in flags] == ["TYPE_CHECKING: bool = False"]


def test_every_public_method_is_used() -> None:
    from ai302_core import AsyncProvider, Provider

    text = USAGE.read_text("utf-8")
    methods = {name for cls in (Provider, AsyncProvider) for name in vars(cls) if not name.startswith("_")}
    assert sorted(name for name in methods if f"hero.{name}(" not in text) == []
