"""The page's table of what each gateway offers is what the samples and the record say."""

from __future__ import annotations

from pathlib import Path

import ai302_midjourney
from ai302_midjourney import offered

PAGE = Path(__file__).parents[2] / "docs/midjourney.md"


def test_the_table_is_the_samples() -> None:
    shown = PAGE.read_text("utf-8").partition("<!-- offered -->\n")[2].partition("\n<!-- /offered -->")[0]
    assert shown == offered.table()


def test_every_operation_a_gateway_offers_has_a_sample_there() -> None:
    family, known = ai302_midjourney.ai302_family(), offered.standing()
    for operation in family.operations:
        for gateway in family.gateways:
            place = operation.name, gateway.name
            assert (place not in known) == (operation.name in gateway.lacks), place
