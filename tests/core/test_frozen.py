"""Frozen records that are changed and asked at a part of the cost are the same records."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from ai302_core._frozen import changed, once
from ai302_core._steps import Call


@dataclass(frozen=True)
class Plain:
    """A record."""

    name: str
    number: int = 2
    held: dict[str, int] = field(default_factory=dict)
    built: list[int] = field(default_factory=list, init=False, compare=False)
    word: str = field(default="a", kw_only=True)

    @once
    def asked(self) -> list[str]:
        """How often it was made."""
        return [self.name]


def test_a_change_is_a_copy_and_a_member_is_asked_once() -> None:
    record = Plain("x", 1)
    other = changed(record, number=2)
    assert (record.number, other.number, type(other)) == (1, 2, Plain)
    assert record.asked is record.asked
    with pytest.raises(TypeError, match="color"):
        changed(record, color=1)  # type: ignore[call-arg]


def test_the_key_stays_out_of_what_is_printed() -> None:
    call = Call("GET", "https://api.example", secret=("authorization", "Bearer sk-secret"))
    assert "sk-secret" not in repr(call)
    assert call.built == {}
