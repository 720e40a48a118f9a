"""A folder to install distributions in, and programs of their own that tell what they found."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def site(tmp_path: Path) -> Path:
    site = tmp_path / "site"
    site.mkdir()
    return site


@pytest.fixture
def told_by() -> Callable[[str], Any]:
    """What a program calls `told`, run in a process of its own."""

    def run(program: str) -> Any:
        script = f"import json, os, sys\n{program}\nprint('told', json.dumps(told))\n"
        done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.rpartition("told ")[2])

    return run
