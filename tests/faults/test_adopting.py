"""Adopting a task of any operation of any family: no request is known, and none is needed."""

from __future__ import annotations

import pytest
from tests.faults import hostility

from ai302_core._flows import planning
from ai302_core.family import Family
from ai302_core.testing.stand import Stand

FAMILIES = {family.name: family for family, _ in hostility.conversations()}


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_every_operation_has_a_route_without_a_request(family: Family) -> None:
    with Stand(family) as stand:
        for gateway in family.gateways:
            for operation in family.operations:
                assert isinstance(planning.default_route(stand.account(gateway.name), operation), dict)
