"""Contract tests of bad days: whatever happens on the way, one intention is paid once and its job is kept."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ai302_core.errors import Ai302Error, PluginError
from ai302_core.family import Operation, Refused
from ai302_core.jobs import Status
from ai302_core.sandbox.samples import Exchange, Sample

from .stand import Stand, overheard, reason
from .terms import Terms, happy, over

ON_SUBMIT: tuple[tuple[str, dict[str, Any]], ...] = (
    ("drop", {}),
    ("reset", {}),
    ("error500", {"accept": True}),
    ("error502", {"accept": True}),
    ("error503", {"accept": True}),
    ("error504html", {"accept": True}),
    ("error524html", {"accept": True}),
    ("html", {"accept": True}),
    ("empty", {}),
    ("truncated", {}),
    ("redirect", {}),
    ("drop-before", {}),
    ("429", {"retry_after": 2}),
)
ON_POLL = ("error500", "error502", "error504html", "html", "truncated", "429", "drop", "reset")
_UNKNOWN = "upstream error 987654: internal timeout, the service is unavailable, please try again later"


class FaultTests(Terms):
    """Nobody pays twice, no paid job is lost."""

    @over(happy)
    def test_one_paid_submit_in_every_fault(self, sample: Sample) -> None:
        """Whatever becomes of a submit on its way, it is accepted at most once, and the ledger knows of it."""
        with overheard(), Stand(self.described(), [sample]) as stand:
            for kind, options in ON_SUBMIT:
                paid, posts = stand.sandbox.paid, _posts(stand, sample)
                stand.sandbox.fault(f"submit:{sample.operation}", kind, **options)
                error = _bought(stand, sample, kind)
                count = stand.sandbox.paid - paid
                assert count <= 1, (
                    f"{sample.operation}: paid {count} times when the submit met {kind!r}. Only a refusal that proves "
                    f'nothing was created may be "busy" in its Refused. {reason(error)}'
                )
                sent = _posts(stand, sample) - posts
                allowed = 2 if kind == "429" else 1
                assert sent <= allowed, f"{sample.operation}: sent {sent} times when it met {kind!r}. {reason(error)}"
                job = next(iter(stand.ledger.jobs(limit=1)), None)
                kept = job is not None and (job.status is not Status.SUBMITTING)
                assert kept, f"{sample.operation}: after {kind!r} the ledger does not know what became of the job"
                if kind in ("drop", "html"):
                    again = _bought(stand, sample, kind)
                    count = stand.sandbox.paid - paid
                    assert count <= 1, f"{sample.operation}: the same key paid {count} times. {reason(again)}"

    @over(happy)
    def test_an_unclear_error_is_never_sent_again(self, sample: Sample) -> None:
        """A 5xx with a code nobody has documented may have created something: it is sent once."""
        for broken in _unclear(self.described().gateways[0].refused, self.operation_of(sample), sample, self):
            with overheard(), Stand(self.described(), [broken]) as stand:
                error = _bought(stand, broken, "unclear")
                sent = _posts(stand, broken)
                assert sent <= 1, (
                    f"{sample.operation}: sent {sent} times after HTTP 500 with the unknown message {_UNKNOWN!r}. "
                    f'A text or code of a Refused says "busy" too easily. {reason(error)}'
                )

    @over(happy)
    def test_looking_survives_faults(self, sample: Sample) -> None:
        """Web pages, resets, busy answers and broken JSON while looking neither settle a job nor end the wait."""
        if self.operation_of(sample).poll is None:
            return
        with overheard(), Stand(self.described(), [sample]) as stand:
            job = stand.buy(sample)
            for kind in ON_POLL:
                stand.sandbox.fault("poll", kind)
            try:
                job = stand.follow(sample, job)
            except Exception as problem:
                raise AssertionError(f"{sample.name}: looking ends with {reason(problem)}") from problem
            assert job.status is Status.SUCCEEDED, f"{sample.name}: after faults while looking the job is {job.status}"
            expected = len(sample.paid(self.described()))
            assert stand.sandbox.paid == expected, f"{sample.name}: paid {stand.sandbox.paid} times, not {expected}"


def _bought(stand: Stand, sample: Sample, key: str) -> Exception | None:
    try:
        stand.buy(sample, key=key)
    except PluginError:
        raise
    except Exception as problem:
        if not isinstance(problem, Ai302Error):
            raise AssertionError(f"{sample.operation}: outside Ai302Error: {reason(problem)}") from problem
        return problem
    return None


def _posts(stand: Stand, sample: Sample) -> int:
    return sum(seen.route == f"submit:{sample.operation}" for seen in stand.sandbox.requests)


def _unclear(gateway: tuple[Refused, ...], operation: Operation, sample: Sample, terms: Terms) -> Iterator[Sample]:
    """The sample with an unknown error at HTTP 500, once in each envelope the family reads."""
    position = min(sample.paid(terms.described()), default=0)
    for envelope in dict.fromkeys(_Paths(entry) for entry in (*gateway, *operation.refused)):
        document: dict[str, Any] = {}
        for path, value in ((envelope.code, 987654), (envelope.message, _UNKNOWN)):
            with contextlib.suppress(TypeError):
                _set(document, path, value)
        answer = replace(sample.exchanges[position], status=500, reply=document)
        exchanges: tuple[Exchange, ...] = (*sample.exchanges[:position], answer)
        yield replace(sample, exchanges=exchanges)


class _Paths(tuple[str, str]):
    """Where an envelope has its code and its message."""

    def __new__(cls, envelope: Refused) -> _Paths:
        return super().__new__(cls, (envelope.at[0], (*envelope.message, "message")[0]))

    @property
    def code(self) -> str:
        return self[0]

    @property
    def message(self) -> str:
        return self[1]


def _set(document: dict[str, Any], path: str, value: Any) -> None:
    *owners, last = path.replace("[]", "").split(".")
    for name in owners:
        document = document.setdefault(name, {})
    document.setdefault(last, value)
