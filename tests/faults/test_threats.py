"""Every threat that docs/security.md names has its test, and the test is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_threat_is_covered_by_a_test_that_exists() -> None:
    page = (ROOT / "docs" / "security.md").read_text("utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| Threat")]
    assert len(rows) > 12
    for row in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", row.rpartition(" | ")[2])
        assert named, f"no test is named for: {row[:80]}"
        for path, test in named:
            source = (ROOT / path).read_text("utf-8")
            assert re.search(rf"^(async )?def {test}\(", source, re.MULTILINE), f"{path} has no {test}"
