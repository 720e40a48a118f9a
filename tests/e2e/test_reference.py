"""The command reference says what the help says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="argparse wraps and words its help otherwise from 3.13 on")
def test_the_command_reference_is_the_help() -> None:
    done = subprocess.run([sys.executable, ROOT / "docs/reference.py", "--check"], capture_output=True, timeout=60)
    assert done.returncode == 0, (
        f"the help has changed: `make docs` writes docs/command.md anew\n{done.stderr.decode()}"
    )
