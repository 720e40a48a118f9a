"""What every contract test stands on: the family, its samples, and the rule that an override needs a reason."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from weakref import WeakKeyDictionary

from ai302_core import registry
from ai302_core.family import Family, Operation
from ai302_core.sandbox.samples import Sample, read_samples, samples_of

from .members import misfits
from .stand import Elsewhere, Endless, Played, played, reason

__all__ = ["Finding", "Terms", "because", "count", "findings", "over"]

# Read once a contract: looking up an installed family asks every distribution there is, and a test each sample.
_DESCRIBED: WeakKeyDictionary[type, Family] = WeakKeyDictionary()
_TOLD: WeakKeyDictionary[type, tuple[Sample, ...]] = WeakKeyDictionary()
_PLAYED: WeakKeyDictionary[type, dict[str, Played]] = WeakKeyDictionary()
F = TypeVar("F", bound=Callable[..., Any])
Chooser = Callable[[Family, tuple[Sample, ...]], Iterable[Sample]]


def because(reason: str) -> Callable[[F], F]:
    """Marks a test that replaces one of the contract's, with the reason why this family may."""
    if len(reason.split()) < 3:
        raise TypeError("A reason is a sentence: what about the service makes the contract's own test wrong here?")

    def mark(test: F) -> F:
        test.__contract_reason__ = reason  # type: ignore[attr-defined]
        return test

    return mark


def over(chooser: Chooser) -> Callable[[F], F]:
    """Marks a test that runs once for each sample it chooses."""

    def mark(test: F) -> F:
        test.__contract_samples__ = chooser  # type: ignore[attr-defined]
        return test

    return mark


def every(family: Family, samples: tuple[Sample, ...]) -> Iterable[Sample]:
    """All samples."""
    return samples


def refusals(family: Family, samples: tuple[Sample, ...]) -> Iterable[Sample]:
    """Those whose submit is refused."""
    return (sample for sample in samples if "kind" in sample.expect)


def accepted(family: Family, samples: tuple[Sample, ...]) -> Iterable[Sample]:
    """Those that become a job."""
    return (sample for sample in samples if "kind" not in sample.expect)


def happy(family: Family, samples: tuple[Sample, ...]) -> Iterable[Sample]:
    """The first of each operation that is bought and succeeds."""
    found: dict[str, Sample] = {}
    for sample in samples:
        if sample.status == "succeeded" and sample.request is not None:
            found.setdefault(sample.operation, sample)
    return found.values()


def misfit(family: Family, sample: Sample) -> str:
    """What a sample is about that the family does not have; "" when it has all of it."""
    lacks = [] if family.operation(sample.operation) else [f"the operation {sample.operation!r}"]
    if sample.gateway and family.gateway(sample.gateway) is None:
        lacks.append(f"the gateway {sample.gateway!r}")
    return f"{sample.name}.json is about {' and '.join(lacks)}, which the family does not have" if lacks else ""


class Terms:
    """A family and its samples.

    family   the name of an installed family, or the `Family` itself
    samples  a folder, or samples; None: the folder `samples` in the family's package
    """

    family: ClassVar[str | Family]
    samples: ClassVar[Path | str | tuple[Sample, ...] | None] = None

    @classmethod
    def described(cls) -> Family:
        """The record under test. Fails when its members are of other types: every other test would say so obscurely."""
        if cls not in _DESCRIBED:
            family = registry.load(cls.family) if isinstance(cls.family, str) else cls.family
            wrong = list(misfits(family))
            assert not wrong, f"the record cannot be read: {'; '.join(wrong[:3])}"
            _DESCRIBED[cls] = family
        return _DESCRIBED[cls]

    @classmethod
    def told(cls) -> tuple[Sample, ...]:
        """The samples under test."""
        if cls not in _TOLD:
            _TOLD[cls] = cls._read()
        return _TOLD[cls]

    @classmethod
    def _read(cls) -> tuple[Sample, ...]:
        if isinstance(cls.samples, tuple):
            return cls.samples
        if cls.samples is not None:
            return read_samples(Path(cls.samples))
        assert isinstance(cls.family, str), "a contract for a Family object names its samples itself"
        return samples_of(registry.load_plugin(cls.family).installed.module)

    @classmethod
    def fitting(cls) -> tuple[Sample, ...]:
        """The samples that can be played: one of another record is a finding of its own, and of no other test."""
        family = cls.described()
        return tuple(sample for sample in cls.told() if not misfit(family, sample))

    @classmethod
    def operation_of(cls, sample: Sample) -> Operation:
        """The operation a sample is about."""
        operation = cls.described().operation(sample.operation)
        assert operation is not None, misfit(cls.described(), sample)
        return operation

    @classmethod
    def played(cls, sample: Sample) -> Played:
        """What happened when the sample was played; played once for all tests."""
        kept = _PLAYED.setdefault(cls, {})
        if sample.name not in kept:
            kept[sample.name] = played(cls.described(), sample)
        return kept[sample.name]

    @classmethod
    def chosen(cls, name: str) -> tuple[Sample, ...] | None:
        """The samples a test runs for; None for a test of the family as a whole."""
        chooser: Chooser | None = getattr(getattr(cls, name), "__contract_samples__", None)
        return None if chooser is None else tuple(chooser(cls.described(), cls.fitting()))


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A test of the contract that a family fails.

    test, sample  which one, and for which sample ("" for the family as a whole)
    message       what is wrong, and what to do
    """

    test: str
    sample: str
    message: str


def findings(contract: type[Terms], only: str = "test_*") -> list[Finding]:
    """Run a contract without pytest, or those of its tests that fit a shell pattern: what it finds."""
    found: list[Finding] = []
    try:
        contract.described()
    except AssertionError as problem:
        return [Finding(test="test_the_record_is_sound", sample="", message=_said(problem))]
    for name in fnmatch.filter(dir(contract), only):
        test = getattr(contract(), name)
        try:
            samples = contract.chosen(name)
        except Exception as problem:  # noqa: BLE001 - samples that cannot be read
            return [Finding(test=name, sample="", message=_said(problem))]
        for sample in [None] if samples is None else samples:
            try:
                test() if sample is None else test(sample)
            except (Exception, Endless, Elsewhere) as problem:  # noqa: BLE001 - whatever it raises is what it finds
                found.append(Finding(test=name, sample=sample.name if sample else "", message=_said(problem)))
    return found


def count(contract: type[Terms]) -> int:
    """How many tests a contract comes to, each counted once for each of its samples; 1 for a record nobody can read."""
    try:
        chosen = [contract.chosen(name) for name in dir(contract) if name.startswith("test_")]
    except AssertionError:
        return 1
    return sum(1 if samples is None else len(samples) for samples in chosen)


def _said(problem: BaseException) -> str:
    text = str(problem).partition("\nassert ")[0]
    return text if isinstance(problem, AssertionError) and text else reason(problem)
