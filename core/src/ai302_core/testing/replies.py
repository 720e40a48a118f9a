"""Contract tests of strange replies: unknown words keep waiting, mangled documents do no harm."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from ai302_core import _paths
from ai302_core._accounts import Account
from ai302_core._flows import errands, looking, planning, receipts
from ai302_core._steps import Call, Load, Now, Reply, Send
from ai302_core._wire import reading
from ai302_core.errors import ReplyError, TransportError
from ai302_core.family import Operation
from ai302_core.jobs import Job, Status
from ai302_core.sandbox.samples import Sample, looked_at

from .stand import STEPS, Stand, overheard, request_of
from .terms import Terms, happy, over

WORD = "ai302-contract-word"
MOST = 400
"""Mangled copies of one reply: enough for every member of a big document."""

_NOW = datetime(2026, 11, 21, tzinfo=UTC)
_GONE = object()


class ReplyTests(Terms):
    """What a service may answer one day, and has not answered yet."""

    @over(happy)
    def test_unknown_words_keep_waiting(self, sample: Sample) -> None:
        """A status word the family does not know neither fails a job nor finishes it."""
        operation = self.operation_of(sample)
        polls = [entry.reply for entry in sample.exchanges[1:] if not isinstance(entry.reply, bytes)]
        if operation.poll is None or not polls:
            return
        with Stand(self.described()) as stand:
            account = stand.account(sample.gateway)
        for document in _other_words(operation, polls[-1]):
            job = looking.read(account, operation, _open_job(sample), document, 200, _NOW)
            open_end = any("*" in word or "?" in word for row in operation.states for word in row.succeeded)
            assert not job.status.settled or (job.status is Status.SUCCEEDED and open_end), (
                f"{sample.name}: the unknown status word {WORD!r} makes the job {job.status}; a shell pattern in "
                "states says too much"
            )

    @over(happy)
    def test_mangled_replies_do_no_harm(self, sample: Sample) -> None:
        """Every member of every reply dropped, nulled and retyped: the family's functions never raise."""
        operation = self.operation_of(sample)
        with overheard(), Stand(self.described()) as stand:
            account = stand.account(sample.gateway)
            request = request_of(sample)
            made = planning.plan(account, request)
            paid = sample.paid(self.described())
            fetching = _fetching(operation, sample) if operation.finish else ()
            for position, exchange in enumerate(sample.exchanges):
                if isinstance(exchange.reply, bytes) or (paid and position < paid[0]):
                    continue
                for where, document in islice(_mangled(exchange.reply), MOST):
                    try:
                        if position in paid:
                            reply = Reply(exchange.status, {}, json.dumps(document).encode())
                            receipts.decide(account, made, _open_job(sample), reply, _NOW)
                        elif position in fetching:
                            _read(account, operation, sample, _last_look(operation, sample), {position: document})
                        else:
                            _read(account, operation, sample, document, {})
                    except Exception as problem:
                        cause = problem.__cause__ or problem
                        raise AssertionError(
                            f"{sample.name}: reply {position + 1} with {where} makes the family raise "
                            f"{type(cause).__name__}: {cause}"
                        ) from problem


def _open_job(sample: Sample) -> Job:
    return Job(
        id="261121-contract", provider="contract", family="contract", operation=sample.operation,
        status=Status.QUEUED, created_at=_NOW, remote_id="contract", base_url="https://contract.example",
    )  # fmt: skip


def _fetching(operation: Operation, sample: Sample) -> tuple[int, ...]:
    """The positions of the free calls that are no looks: those of `finish`."""
    return tuple(number for number, entry in enumerate(sample.exchanges) if not looked_at(operation, entry))


def _last_look(operation: Operation, sample: Sample) -> Any:
    return next((entry.reply for entry in reversed(sample.exchanges) if looked_at(operation, entry)), None)


def _read(account: Account, operation: Operation, sample: Sample, document: Any, instead: Mapping[int, Any]) -> None:
    """Look, and let `finish` make its calls, to which the sample answers; `instead` of some replies others."""
    job = replace(_open_job(sample), remote_id=sample.remote_id(account.family))
    seen = looking.read(account, operation, job, document, 200, _NOW)
    if seen.status is not Status.SUCCEEDED or operation.finish is None:
        return
    flow = errands.delivered(account, operation.finish, job, seen, document)
    outcome: Any = None
    try:
        for _ in range(STEPS):
            step = flow.send(outcome)
            if isinstance(step, Load):
                return
            outcome = _answer(account, sample, step.call, instead) if isinstance(step, Send) else None
            outcome = _NOW if isinstance(step, Now) else outcome
    except (StopIteration, TransportError, ReplyError):
        return
    finally:
        flow.close()


def _answer(account: Account, sample: Sample, call: Call, instead: Mapping[int, Any]) -> Reply:
    """What the sample answers to a call of the family's own; what it does not know, as a service would."""
    parts = urlsplit(call.url.removeprefix(account.base_url))
    asked = (call.method, parts.path, dict(parse_qsl(parts.query, keep_blank_values=True)))
    known = [number for number, one in enumerate(sample.exchanges) if (one.method, one.path, dict(one.query)) == asked]
    if not known:
        return Reply(404, {}, b"{}")
    number = next((number for number in known if number in instead), known[-1])
    exchange = sample.exchanges[number]
    body = json.dumps(instead[number]).encode() if number in instead else exchange.content()
    return Reply(exchange.status, {}, body)


def _other_words(operation: Operation, document: Any) -> Iterator[Any]:
    """The document with an unknown word in the place of each status word that decides."""
    for row in operation.states:
        words = [*row.queued, *row.running, *row.input_required, *row.succeeded, *row.failed, *row.canceled]
        if row.at == "#" or not _paths.values(document, row.at) or any("?*" in word for word in words):
            continue
        for path, value in _leaves(document):
            if isinstance(value, (str, int)) and not isinstance(value, bool):
                other = _with(document, path, WORD)
                found = _paths.first_scalar(other, (row.at,))
                if found == WORD and reading.state(other, 200, [row])[1] == WORD:
                    yield other


def _mangled(document: Any) -> Iterator[tuple[str, Any]]:
    """(what was done, the document after it)."""
    wholes: tuple[Any, ...] = (None, [], {}, "text", 7, [None])
    for whole in wholes:
        yield f"the body {json.dumps(whole)}", whole
    for path, value in _members(document):
        name = ".".join(map(str, path))
        yield f"{name} dropped", _with(document, path, _GONE)
        yield f"{name} null", _with(document, path, None)
        other: Any = {"x": 1} if isinstance(value, (str, int, float, type(None))) else "text"
        yield f"{name} as {json.dumps(other)}", _with(document, path, other)
        if isinstance(value, list):
            yield f"{name} with a null in it", _with(document, path, [None, *value])


def _members(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every member, the first two elements of a list standing for all of them."""
    items: list[tuple[Any, Any]] = []
    if isinstance(document, dict):
        items = list(document.items())
    elif isinstance(document, list):
        items = list(enumerate(document[:2]))
    for name, value in items:
        yield (*path, name), value
        yield from _members(value, (*path, name))


def _leaves(document: Any) -> Iterator[tuple[tuple[Any, ...], Any]]:
    return ((path, value) for path, value in _members(document) if not isinstance(value, (dict, list)))


def _with(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(document)
    owner = changed
    for part in path[:-1]:
        owner = owner[part]
    if value is _GONE:
        del owner[path[-1]]
    else:
        owner[path[-1]] = value
    return changed
