"""Budgets and limits hold between processes that all want the last place at the same instant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.faults.crowd import Crowd

from ai302_core import ImageRequest, connect
from ai302_core.errors import RateLimitError
from ai302_core.sandbox import RunningSandbox

LAMP = ImageRequest("a lamp")


@pytest.fixture
def options(sandbox: RunningSandbox, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    def made(limits: dict[str, Any] | None = None, ledger: str = "", **more: Any) -> dict[str, Any]:
        provider = {"family": "midjourney", "limits": limits or {}}
        return {
            "config": {"default": "hero", "providers": {"hero": provider}, **more},
            "ledger": ledger or f"sqlite:///{(tmp_path / 'ledger.db').as_posix()}",
        }

    return made


def at_once(sandbox: RunningSandbox, home: Path, options: dict[str, Any], count: int) -> Counter[str]:
    """How so many submits end that begin together, each in a process of its own."""
    common = {"home": str(home), "environment": {"GEN302_SANDBOX": sandbox.url}, "connect": options, "timeout": 0}
    names = [str(number) for number in range(count)]
    with Crowd(common) as crowd:
        for name in names:
            crowd.start(name, "submit")
        crowd.go()
        return Counter(crowd.end(name)["error"] or "accepted" for name in names)


def test_fifty_processes_share_a_budget_of_ten(sandbox: RunningSandbox, tmp_path: Path, options: Any) -> None:
    capped = options(budget={"max_jobs": 10, "per": "ever"})
    assert at_once(sandbox, tmp_path, capped, 50) == {"accepted": 10, "BudgetExceeded": 40}
    assert sandbox.paid == len(sandbox.jobs) == 10


@pytest.mark.parametrize("limits", [{"concurrent": 3}, {"per_minute": 3}], ids=str)
def test_windows_share_a_limit(sandbox: RunningSandbox, tmp_path: Path, options: Any, limits: Any) -> None:
    limited = options(limits)
    assert at_once(sandbox, tmp_path, limited, 8) == {"accepted": 3, "RateLimitError": 5}
    assert sandbox.paid == 3
    sandbox.advance(600)
    with connect(**limited) as provider:
        assert len(list(provider.resume(tmp_path / "shots"))) == 3
        if "per_minute" in limits:
            with pytest.raises(RateLimitError) as busy:
                provider.submit(LAMP, timeout=0)
            assert busy.value.billed == "no"
        else:
            provider.submit(LAMP, timeout=0)


def test_a_minutes_limit_holds_without_a_ledger(options: Any, sandbox: RunningSandbox) -> None:
    with connect(**options({"per_minute": 2}, ledger="off")) as provider:
        sandbox.fault("submit", "refused")
        with pytest.raises(Exception, match="参数错误"):
            provider.submit(LAMP)  # a refusal does not count
        for _ in range(2):
            provider.submit(LAMP, timeout=0)
        sandbox.advance(600)
        with pytest.raises(RateLimitError):
            provider.submit(LAMP, timeout=0)
    assert sandbox.paid == 2
