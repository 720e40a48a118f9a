"""The contract: what every family must keep, as a test class that an author inherits in three lines."""

from __future__ import annotations

from typing import Any

from .faults import FaultTests
from .records import RecordTests
from .replies import ReplyTests
from .requests import RequestTests
from .talks import TalkTests

__all__ = ["FamilyContract"]

_OWN = {"family", "samples"}


class FamilyContract(RecordTests, TalkTests, RequestTests, FaultTests, ReplyTests):
    """The tests of a family.

        class TestAcme(FamilyContract):
            family = "acme"

    The class attributes `family` and `samples` are yours. A test that does not fit is replaced by one marked
    `@because("the reason")`; without a reason the class cannot be made.
    """

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        for name in dir(FamilyContract):
            if name.startswith("__") or name in _OWN:
                continue
            own = getattr(cls, name)
            kept = getattr(FamilyContract, name)
            if getattr(own, "__func__", own) is not getattr(kept, "__func__", kept) and not getattr(
                own, "__contract_reason__", ""
            ):
                raise TypeError(
                    f"{cls.__name__} replaces {name} of the contract without a reason. "
                    'Mark yours: @because("what about the service makes the test wrong here").'
                )

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """Run the tests that want a sample once for each of theirs."""
        if "sample" in metafunc.fixturenames:
            chosen = type(self).chosen(metafunc.function.__name__)
            samples = type(self).fitting() if chosen is None else chosen
            metafunc.parametrize("sample", samples, ids=[sample.name for sample in samples])
