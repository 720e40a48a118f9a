"""Many jobs at once: closing ends, whatever happens in the same moment."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from ai302_core._bells import Bells
from ai302_core._many import Crowd


class Waiting:
    """An agenda on which somebody is due in an hour."""

    def due(self, now: Any, most: int) -> list[Any]:
        return []

    def wait(self, now: Any) -> float:
        return 3600.0


@pytest.mark.parametrize("turns", range(6))
def test_a_wake_and_a_close_in_one_moment_end_the_following(turns: int) -> None:
    async def closed() -> bool:
        crowd = Crowd(SimpleNamespace(bells=Bells()), None)  # type: ignore[arg-type]  # nothing else is asked of it
        crowd._agenda = Waiting()  # type: ignore[assignment]
        following = asyncio.create_task(crowd._follow())
        for _ in range(3):
            await asyncio.sleep(0)
        crowd._woken.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        following.cancel()
        ended, _ = await asyncio.wait({following}, timeout=1)
        if not ended:
            following.cancel()
        return bool(ended)

    assert asyncio.run(closed())
