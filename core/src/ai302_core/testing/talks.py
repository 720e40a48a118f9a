"""Contract tests of whole conversations: every sample, played by the engine over a real socket."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from email.parser import BytesParser
from email.policy import default
from typing import Any

from ai302_core.errors import JobTimeout
from ai302_core.jobs import Job, Result
from ai302_core.sandbox import Seen
from ai302_core.sandbox.samples import Exchange, Sample

from .stand import KEY, Endless, Played, reason
from .terms import Terms, accepted, every, happy, over, refusals

SLOW = 0.25
"""Seconds a family's own functions may take between two steps: an event loop waits for them."""


class TalkTests(Terms):
    """What is said, what is understood, and what must never be done meanwhile."""

    @over(every)
    def test_requests_go_out_as_the_sample_says(self, sample: Sample) -> None:
        """Method, path, query and body of every request are the sample's, in its order."""
        seen = list(self.played(sample).seen)
        told = self.played(sample)
        for number, exchange in enumerate(sample.exchanges):
            assert number < len(seen), (
                f"{sample.name}: request {number + 1} of the sample, {exchange.method} {exchange.path}, was never "
                f"sent. {reason(told.error)}"
            )
            _same(sample, number, exchange, seen[number], told.job)
        if "kind" not in sample.expect:
            extra = seen[len(sample.exchanges) :]
            assert not extra, (
                f"{sample.name}: a request too many: {extra[0].method} {extra[0].path}. {reason(told.error)}"
            )

    @over(accepted)
    def test_the_job_keeps_its_id(self, sample: Sample) -> None:
        """The id of the submit's reply is found, so that a paid job can be followed by anybody."""
        job = _job(sample, self.played(sample))
        operation = self.operation_of(sample)
        if operation.poll is None:
            return
        expected = sample.remote_id(self.described())
        assert job.remote_id == expected, (
            f"{sample.name}: the job's id is {job.remote_id!r}, the sample's {expected!r}: does job_id="
            f"{operation.job_id!r} name its path? {reason(self.played(sample).error)}"
        )

    @over(accepted)
    def test_the_job_ends_as_the_sample_says(self, sample: Sample) -> None:
        """Status, message, actions and moments are what the sample expects."""
        job = _job(sample, self.played(sample))
        assert job.status == sample.status, (
            f"{sample.name}: the job is {job.status}, expected {sample.status}: are all words in states? "
            f"{reason(self.played(sample).error)} {'; '.join(notice.message for notice in job.warnings)}"
        )
        unknown = [notice.message for notice in job.warnings if notice.code == "unknown_status"]
        assert not unknown, (
            f"{sample.name}: the record does not know a word that the sample itself says, so every job would carry a "
            f"warning: add it to a row of states, as queued or running. {unknown[0]}"
        )
        for name in ("message", "progress"):
            if name in sample.expect:
                assert getattr(job, name) == sample.expect[name], f"{sample.name}: {name} is {getattr(job, name)!r}"
        for name in ("submitted_at", "started_at", "finished_at"):
            if name in sample.expect:
                moment = datetime.fromisoformat(sample.expect[name])
                assert getattr(job, name) == moment, f"{sample.name}: {name} is {getattr(job, name)}, not {moment}"
        actions = [action.name for action in job.actions]
        assert actions == sample.expect.get("actions", []), f"{sample.name}: the actions are {actions}"

    @over(accepted)
    def test_success_brings_its_files(self, sample: Sample) -> None:
        """A job that succeeded has the sample's files, and at least one that is a deliverable."""
        job = _job(sample, self.played(sample))
        if sample.status == "succeeded":
            assert Result(job=job, assets=job.assets).deliverables, (
                f"{sample.name}: success without a file to deliver; the job is {job.status}. Do the paths of assets, "
                "or finish, yield one?"
            )
        found = [_shown(asset.to_json()) for asset in job.assets]
        wanted = [_shown(asset) for asset in sample.expect.get("assets", [])]
        assert found == wanted, f"{sample.name}: the files are {found}, expected {wanted}"

    @over(accepted)
    def test_waiting_has_an_end(self, sample: Sample) -> None:
        """The job settles once the service has said its last word; nothing is asked for ever."""
        error = self.played(sample).error
        assert not isinstance(error, (Endless, JobTimeout)), (
            f"{sample.name}: the wait never ends although the service has said {sample.status}: {reason(error)}"
        )

    @over(refusals)
    def test_refusals_are_understood(self, sample: Sample) -> None:
        """A refusal costs nothing, is no job, and means what the sample says."""
        told = self.played(sample)
        assert told.paid == 0, f"{sample.name}: the refused submit was taken for accepted"
        assert told.error is not None, f"{sample.name}: the refusal was not noticed: Refused(at=…) names its code"
        assert told.kind == sample.expect["kind"], (
            f"{sample.name}: understood as {told.kind or 'no refusal'!r}, expected {sample.expect['kind']!r}: "
            f"see kinds and texts of its Refused. {reason(told.error)}"
        )

    @over(every)
    def test_the_key_stays_in_its_header(self, sample: Sample) -> None:
        """The key is in the gateway's one header and nowhere else: no address, body, log, output, job or error."""
        told = self.played(sample)
        gateway = self.described().gateway(sample.gateway) or self.described().gateways[0]
        home = gateway.auth.partition(":")[0].strip().lower()
        for seen in told.seen:
            carrying = sorted(name for name, value in seen.headers.items() if "***" in value)
            assert carrying == [home], f"{sample.name}: {seen.method} {seen.path} carries the key in {carrying}"
            elsewhere = f"{seen.path} {dict(seen.query)} {seen.body!r}"
            assert KEY not in elsewhere, f"{sample.name}: the key is in the address or body of {seen.method}"
        job = told.job.to_json() if told.job else ""
        for what, text in (
            ("what is logged", told.said), ("what is printed", told.printed), ("the job", job),
            ("the error", reason(told.error)),
        ):  # fmt: skip
            assert KEY not in text, f"{sample.name}: the key is in {what}"

    @over(every)
    def test_nothing_is_printed(self, sample: Sample) -> None:
        """stdout and stderr belong to the program: one line of a plugin breaks everybody's `--json`."""
        printed = self.played(sample).printed
        assert not printed, f"{sample.name}: the family prints {printed[:80]!r}; use logging"

    @over(every)
    def test_no_connection_of_its_own(self, sample: Sample) -> None:
        """Only the engine sends: what a family sends by itself is neither counted nor written down before it pays."""
        own = self.played(sample).own
        assert not own, f"{sample.name}: the family's own code opened {own[0]}; yield Send(Call(…)) from a flow instead"

    @over(happy)
    def test_decisions_are_quick(self, sample: Sample) -> None:
        """No function of the family holds up the event loop that follows ten thousand jobs."""
        slowest = self.played(sample).slowest
        if slowest > SLOW:  # a busy machine deserves another chance, a slow function does not use it
            from .stand import played

            slowest = min(slowest, *(played(self.described(), sample).slowest for _ in range(2)))
        assert slowest <= SLOW, f"{sample.name}: a function of the family takes {slowest:.2f} s between two steps"


def _job(sample: Sample, told: Played) -> Job:
    assert told.job is not None, f"{sample.name}: there is no job. {reason(told.error)}"
    return told.job


def _same(sample: Sample, number: int, exchange: Exchange, seen: Seen, job: Job | None) -> None:
    where = f"{sample.name}: request {number + 1}"
    assert (seen.method, seen.path) == (exchange.method, exchange.path), (
        f"{where} is {seen.method} {seen.path}, the sample says {exchange.method} {exchange.path}"
    )
    assert dict(seen.query) == dict(exchange.query), (
        f"{where} has the query {dict(seen.query)}, the sample {dict(exchange.query)}"
    )
    if exchange.form is not None:
        sent = _parts(seen)
        # A file is described, not shown: that it is there is what counts.
        missing = {
            name: value
            for name, value in exchange.form.items()
            if name not in sent or (not isinstance(value, dict) and sent[name] != str(value))
        }
        assert not missing, f"{where} has the form fields {sorted(sent)}; the sample has {missing}"
    else:
        body = None if seen.body in (b"", None) else seen.body
        if isinstance(body, Mapping) and job is not None:
            body = {name: value for name, value in body.items() if value != job.id}  # for a look-up, see Operation
        assert body == exchange.body, f"{where} has the body {body!r}, the sample {exchange.body!r}"


def _parts(seen: Seen) -> dict[str, str]:
    """The texts of a multipart body, by their names."""
    body = seen.body if isinstance(seen.body, bytes) else b""
    head = f"content-type: {seen.headers.get('content-type', '')}\r\n\r\n".encode()
    found = BytesParser(policy=default).parsebytes(head + body)
    texts: dict[str, str] = {}
    for part in found.iter_parts():
        content = part.get_payload(decode=True)
        if isinstance(content, bytes):
            texts[str(part.get_param("name", header="content-disposition"))] = content.decode("utf-8", "replace")
    return texts


def _shown(asset: Mapping[str, Any]) -> dict[str, Any]:
    """What a sample compares of an asset: its kind, its role unless it is "final", where it is."""
    kept = {name: asset[name] for name in ("kind", "role", "url", "text", "cut") if name in asset}
    return {name: value for name, value in kept.items() if (name, value) != ("role", "final")}
