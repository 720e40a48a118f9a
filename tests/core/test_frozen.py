"""Frozen records that are made, changed and asked at a part of the cost are the same records."""

from __future__ import annotations

import inspect
import pickle
from dataclasses import FrozenInstanceError, dataclass, field

import pytest

from ai302_core._frozen import changed, once, swift
from ai302_core._steps import Call


@dataclass(frozen=True)
class Plain:
    """The standard library's own way."""

    name: str
    number: int = 2
    held: dict[str, int] = field(default_factory=dict)
    built: list[int] = field(default_factory=list, init=False, compare=False)
    word: str = field(default="a", kw_only=True)

    @once
    def asked(self) -> list[str]:
        """How often it was made."""
        return [self.name]


@swift
@dataclass(frozen=True)
class Swift(Plain):
    """The same, swiftly."""


def test_a_swift_record_is_the_plain_one_at_first_and_later() -> None:
    for count in range(120):
        plain, made = Plain("x", count, word="b"), Swift("x", count, word="b")
        assert list(vars(plain).items()) == list(vars(made).items())
        assert Swift("x", count, word="b") == made != Swift("y", count, word="b")
        assert Swift(name="x").held is not Swift(name="x").held
    assert Swift("x").built is not Swift("x").built
    assert str(inspect.signature(Swift)) == str(inspect.signature(Plain))
    assert pickle.loads(pickle.dumps(made)) == made
    with pytest.raises(FrozenInstanceError):
        made.number = 3  # type: ignore[misc]


@pytest.mark.parametrize("records", [1, 120])
def test_what_a_record_does_not_take_is_refused_in_the_same_words(records: int) -> None:
    for _ in range(records):
        Swift("x")
    for given in ({}, {"name": "x", "color": 1}, {"name": "x", "built": []}):
        with pytest.raises(TypeError) as told:
            Plain(**given)
        with pytest.raises(TypeError) as heard:
            Swift(**given)
        assert str(heard.value).partition(".")[2] == str(told.value).partition(".")[2]


def test_a_change_is_a_copy_and_a_member_is_asked_once() -> None:
    record = Swift("x", 1)
    other = changed(record, number=2)
    assert (record.number, other.number, type(other)) == (1, 2, Swift)
    assert record.asked is record.asked
    with pytest.raises(TypeError, match="color"):
        changed(record, color=1)  # type: ignore[call-arg]


def test_the_key_stays_out_of_what_is_printed() -> None:
    for _ in range(120):
        call = Call("GET", "https://api.example", secret=("authorization", "Bearer sk-secret"))
        assert "sk-secret" not in repr(call)
        assert call.built == {}
