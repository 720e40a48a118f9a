"""One conversation with a hostile service: the real driver and a real ledger, replies by hand, and what must hold."""

from __future__ import annotations

import importlib
import pickle
import struct
import time
import traceback
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from ai302_core import _clock, _http
from ai302_core._accounts import Account
from ai302_core._flows import acting, asking, costs, looking, outcomes, reconciling, settling, submitting
from ai302_core._flows.submitting import Order
from ai302_core._steps import Call, Flow, Reply, Stream, Streamed
from ai302_core._wire import reading
from ai302_core.errors import Ai302Error, TransportError
from ai302_core.family import Family, VideoRequest
from ai302_core.jobs import Job, Result, Status
from ai302_core.sandbox.samples import Exchange, Sample, samples_of
from ai302_core.testing.stand import KEY, Endless, Stand, request_of

Answer = Reply | TransportError

PACKAGES = sorted(path.parent.name for path in Path(__file__).parents[2].glob("plugins/*/src/*/samples"))
VERBS = ("wait", "poll", "cancel", "cost", "balance", "together", "adopt", "ask", "act", "reconcile")
"""What is done with the job once it is bought; every one ends by following it."""

LONGEST = 4000
"""Characters an error or a job may say, whatever the service said."""

SLOWEST = 20.0
"""Seconds of the processor that a whole conversation may take, a thousand looks at an answer of 2 MB included."""

PLENTY = 300_000
"""Bytes a job may be as JSON without the service's own reply, links of 100,000 characters included."""


_LOOKED_INTO: set[tuple[Any, ...]] = set()
"""The ways, frame by frame, that errors have come."""


def _chunk(name: bytes, content: bytes) -> bytes:
    body = name + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


_PICTURE = b"".join(
    (
        b"\x89PNG\r\n\x1a\n",
        _chunk(b"IHDR", struct.pack(">IIBBBBB", 512, 512, 8, 0, 0, 0, 0)),
        _chunk(b"IDAT", zlib.compress(bytes(513 * 512))),
        _chunk(b"IEND", b""),
    )
)


@cache
def conversations() -> tuple[tuple[Family, Sample], ...]:
    """Every sample of every family, and one whose picture is uploaded first."""
    found = []
    for package in PACKAGES:
        family: Family = importlib.import_module(package).ai302_family()
        found += [(family, sample) for sample in samples_of(package)]
        found += [(family, _uploading(sample)) for sample in samples_of(package) if sample.name == "veo3-fast-frames"]
    return tuple(found)


def _uploading(sample: Sample) -> Sample:
    link = {"code": 200, "data": "https://file.302.example/frame.png", "message": "success"}  # wire/302ai.md 7
    door = Exchange(method="POST", path="/302/upload-file", reply=link)
    values = {**vars(sample), "name": "uploading", "request": None, "exchanges": (door, *sample.exchanges)}
    return Sample(**values)


class Mouth(_http.Transport):
    """Answers in place of the network: what the sample says, or at the given calls what somebody hostile says.

    hostile  answers by the number of the call, from 0
    always   the answer to every other free call, if given
    """

    def __init__(self, family: Family, sample: Sample, hostile: Mapping[int, Answer], always: Answer | None) -> None:
        self._hostile, self._always = hostile, always
        paid = set(sample.paid(family))
        self._told = {
            "submit": [entry for number, entry in enumerate(sample.exchanges) if number in paid],
            "upload": [entry for entry in sample.exchanges if entry.path == "/302/upload-file"],
        }
        used = [id(entry) for entries in self._told.values() for entry in entries]
        self._told["poll"] = [entry for entry in sample.exchanges if id(entry) not in used]
        self._said = dict.fromkeys(self._told, 0)
        self.calls: list[tuple[Call, Answer]] = []
        self.paid: list[tuple[Call, Answer]] = []

    def ready(self, call: Call) -> None:
        """Nothing has to be made."""

    def send(self, call: Call, *, paid: bool = False) -> Reply:
        answer = self._hostile.get(len(self.calls)) or self._answer(call)
        self.calls.append((call, answer))
        if call.purpose == "submit":
            assert paid, "a submit went out as a free call"
            self.paid.append((call, answer))
        if isinstance(answer, TransportError):
            raise answer
        return answer

    def _answer(self, call: Call) -> Answer:
        if self._always is not None and call.purpose == "poll":
            return self._always
        told, number = self._told[call.purpose], self._said[call.purpose]
        self._said[call.purpose] += 1
        if not told:
            return Reply(404, {}, b"")
        entry = told[min(number, len(told) - 1)]
        headers = {name.lower(): value for name, value in entry.headers.items()}
        return Reply(entry.status, headers, entry.content())

    def stream(self, step: Stream) -> Streamed:
        """A picture that is needed itself."""
        size = step.path.write_bytes(_PICTURE)
        return Streamed(200, {"content-type": "image/png", "content-length": str(size)}, size)

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class Play:
    """A conversation as it went.

    verb     what was done with the job
    twice    whether the submit was repeated although its answer may have been a yes
    """

    sample: Sample
    verb: str
    jobs: list[Job] = field(default_factory=list)
    errors: list[Ai302Error] = field(default_factory=list)
    paid: int = 0
    calls: int = 0
    twice: bool = False


def play(
    family: Family, sample: Sample, verb: str, hostile: Mapping[int, Answer], always: Answer | None = None
) -> Play:
    """Buy, do the verb, follow to the end, judge. Raises AssertionError for a broken promise, and what is not ours."""
    began = time.process_time()
    with ExitStack() as held:
        stand = held.enter_context(Stand(family))
        mouth = Mouth(family, sample, hostile, always)
        stand.driver.transport = mouth
        account = stand.account(sample.gateway)
        played = Play(sample, verb)
        for flow in _acts(stand, account, sample, verb, played):
            try:
                outcome: Any = stand.driver.run(flow)
            except Ai302Error as problem:
                _judge_error(problem)
                played.errors.append(problem)
            except Endless as endless:
                raise AssertionError(f"{sample.name}: {verb} never ends") from endless
            else:
                played.jobs += [outcome] if isinstance(outcome, Job) else []
        played.paid, played.calls = len(mouth.paid), len(mouth.calls)
        stored = stand.ledger.jobs()
        assert stored or not mouth.paid, "money went out and the ledger knows of nothing"
        for job in (*stored, *played.jobs):
            _judge_job(account, job)
        played.jobs = stored
        _judge_money(account, mouth, stored)
    assert time.process_time() - began < SLOWEST, f"{sample.name}: {verb} keeps the processor busy"
    return played


def _acts(stand: Stand, account: Account, sample: Sample, verb: str, played: Play) -> Iterator[Flow[Any]]:
    """One flow after the other, as long as there is a job to do something with."""
    if sample.name == "uploading":
        request: Any = VideoRequest("a boat", model="veo3-fast-frames", first_frame=_PICTURE)
        yield submitting.submit(account, request, Order(key=sample.name))
    elif sample.request is not None:
        yield submitting.submit(account, request_of(sample), Order(key=sample.name))
    else:
        yield settling.adopt(account, sample.remote_id(account.family) or "x", sample.operation)
    job = next(iter(stand.ledger.jobs(limit=1)), None)
    if job is None:
        return
    match verb:
        case "poll":
            yield settling.poll(account, job)
        case "cancel":
            yield settling.cancel(account, job)
        case "cost":
            yield costs.known(account, job)
        case "balance":
            yield costs.balance(account)
        case "together" if job.remote_id is not None:
            yield looking.look_together(account, [job, job])
        case "adopt" if job.remote_id is not None:
            yield settling.adopt(account, f"{job.remote_id}-other", sample.operation)
        case "ask":
            for question in account.family.questions:
                yield asking.ask(account, question.name, job)
        case "reconcile" if job.status is Status.UNCONFIRMED:
            yield reconciling.reconcile(account, job, remote_id="x", resubmit=False, abandon=False)
    yield settling.settle(account, job, timeout=None, on_update=None)
    job = cast("Job", stand.ledger.job(job.id))
    if verb == "act":
        for action in job.actions[:2]:
            yield acting.act(account, job, action.name, dict.fromkeys(action.needs, "words"))
    if job.status is Status.SUCCEEDED:
        yield costs.known(account, job)


def _judge_error(problem: Ai302Error) -> None:
    for text in (str(problem), repr(problem), problem.message, problem.hint):
        assert len(text) <= LONGEST, f"an error of {len(text)} characters: {text[:80]!r}"
        assert KEY not in text
    again = pickle.loads(pickle.dumps(problem))
    assert (type(again), str(again)) == (type(problem), str(problem))
    way = tuple((frame.f_code, line) for cause in _causes(problem) for frame, line in traceback.walk_tb(cause))
    if way not in _LOOKED_INTO:  # the same frames hold the same things, and showing them is what takes longest here
        assert KEY not in "".join(traceback.TracebackException.from_exception(problem, capture_locals=True).format())
        _LOOKED_INTO.add(way)


def _causes(problem: BaseException | None) -> Iterator[TracebackType | None]:
    while problem is not None:
        yield problem.__traceback__
        problem = problem.__cause__ or problem.__context__


def _judge_job(account: Account, job: Job) -> None:
    assert job.status is not Status.SUCCEEDED or Result(job=job, assets=job.assets).deliverables, "success of nothing"
    assert job.status is not Status.SUBMITTING, "nobody knows what became of the submit, and nothing says so"
    assert job.progress is None or 0.0 <= job.progress <= 1.0
    for text in (job.message, job.code, job.request_id or "", *(notice.message for notice in job.warnings)):
        assert len(text) <= LONGEST, f"a job that says {len(text)} characters"
    values = job.to_dict()
    values.pop("raw", None)
    told = type(job).from_dict(values).to_json()
    assert len(told) <= PLENTY, f"a job of {len(told)} bytes"
    assert type(job).from_json(job.to_json()).status is job.status
    assert len(repr(job)) <= LONGEST
    if job.status.settled and job.status is not Status.SUCCEEDED:
        _judge_error(outcomes.problem(account, job))


def _judge_money(account: Account, mouth: Mouth, stored: list[Job]) -> None:
    """Whoever got an answer that may have been a yes is not paid again for the same."""
    sent: set[tuple[str, bytes | None]] = set()
    for call, answer in mouth.paid:
        intention = (call.url, call.body)
        assert intention not in sent, f"paid twice: {call.method} {call.url}"
        if isinstance(answer, TransportError):
            free = not answer.sent
        else:
            envelopes = [*account.gateway.refused]
            for operation in account.family.operations:
                envelopes += operation.refused
            said = reading.refusal(answer, envelopes, _clock.now())
            free = answer.status == 429 or (said is not None and said.kind in ("busy", "rate"))
        if not free:
            sent.add(intention)
    if sent:
        told = {job.status for job in stored}
        assert told, "what was bought is nowhere"
