"""The reference pages say what the help and the schema say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.unmeasured
ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="argparse wraps and words its help otherwise from 3.13 on")
def test_the_reference_pages_are_the_help_and_the_schema() -> None:
    done = subprocess.run([sys.executable, ROOT / "docs/reference.py", "--check"], capture_output=True, timeout=60)
    assert done.returncode == 0, (
        f"the help or the schema has changed: `make docs` writes the pages anew\n{done.stderr.decode()}"
    )
