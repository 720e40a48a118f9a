"""Every sample of the Midjourney family: the exact bytes that go out, and what the engine makes of what comes back."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.parser import BytesParser
from email.policy import HTTP
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

import pytest

import ai302_midjourney
from ai302_core import _looking, _planning, _reading, _receipts, _wire
from ai302_core._accounts import Account
from ai302_core._steps import Call, Picture, Reply
from ai302_core.family import Operation
from ai302_core.jobs import Job, Status
from ai302_core.requests import Request

FAMILY = ai302_midjourney.ai302_family()
NOW = datetime(2026, 11, 21, tzinfo=UTC)
SAMPLES = {
    entry.name: json.loads(entry.read_text(encoding="utf-8"))
    for entry in sorted(files(ai302_midjourney).joinpath("samples").iterdir(), key=lambda entry: entry.name)
}


SECRETS = {
    "302ai": ("mj-api-secret", "sk-secret"),
    "new-api": ("authorization", "Bearer sk-secret"),
    "mjproxy-net": ("authorization", "sk-secret"),
    "mjproxy-java": ("mj-api-secret", "sk-secret"),
}


class Key:
    source = "the test"

    def reveal(self) -> str:
        return "sk-secret"


def account(gateway: str) -> Account:
    chosen = FAMILY.gateway(gateway)
    assert chosen is not None
    base = chosen.base_url or "https://relay.example"
    return Account(name="hero", family=FAMILY, gateway=chosen, base_url=base, key=Key())


def pictures(request: Request) -> dict[tuple[str, int], Picture]:
    def read(media: Any) -> Picture:
        if media.startswith("data:"):
            head, _, content = media.partition(",")
            return Picture(content=base64.b64decode(content), media_type=head[5:].partition(";")[0])
        return Picture(url=media)

    return {place: read(media) for place, media in request.media()}


class Conversation:
    """A sample's exchanges, played against the engine's decisions."""

    def __init__(self, sample: Mapping[str, Any]) -> None:
        self.sample = sample
        self.account = account(sample["gateway"])
        self.operation = FAMILY.operation(sample["operation"])
        self.kind = ""
        request = Request.from_json(sample["request"]) if sample["request"] else None
        looked_at = sample["exchanges"][0]["sent"]["path"].split("/")[-2]
        self.request = request
        self.job = Job(
            id="1",
            provider="hero",
            family="midjourney",
            operation=sample["operation"],
            status=Status.QUEUED,
            created_at=NOW,
            remote_id=None if request else looked_at,
        )

    def play(self) -> None:
        for exchange in self.sample["exchanges"]:
            body = exchange["reply"]["body"]
            reply = Reply(exchange["reply"]["status"], {}, json.dumps(body).encode())
            if exchange["sent"]["method"] == "POST":
                self._paid(exchange["sent"], reply)
            else:
                self._looked(exchange["sent"], reply)

    def _paid(self, sent: Mapping[str, Any], reply: Reply) -> None:
        parent = None
        request = self.request
        assert request is not None
        if sent["path"].endswith("/modal"):
            assert self.job.status is Status.INPUT_REQUIRED
            (answer,) = self.job.actions
            operation = FAMILY.operation(answer.operation)
            assert operation is not None
            assert self.job.remote_id is not None
            answers = self.sample["answer"]
            request = _planning.press(operation, answer.name, self.job.remote_id, answer, answers)
            parent = self.job
        made = _planning.plan(self.account, request, parent=parent)
        call, warnings = _planning.build(self.account, made, pictures(made.request))
        assert warnings == ()
        self._is(call, sent)
        self.job = replace(self.job, route=made.route)
        receipt = _receipts.decide(self.account, made, self.job, reply, NOW)
        said = _reading.refusal(reply, (*self.account.gateway.refused, *made.operation.refused), NOW)
        self.kind = said.kind if said else ""
        if receipt.job is not None:
            self.job = receipt.job

    def _looked(self, sent: Mapping[str, Any], reply: Reply) -> None:
        assert self.operation is not None
        call = _wire.poll_call(self.account, self.operation, self.job)
        assert call is not None
        self._is(call, sent)
        self.job = look(self.account, self.operation, self.job, reply.document)

    def _is(self, call: Call, sent: Mapping[str, Any]) -> None:
        assert (call.method, urlsplit(call.url).path) == (sent["method"], sent["path"])
        if "form" in sent:
            assert form(call) == sent["form"]
        else:
            assert (json.loads(call.body) if call.body else None) == sent.get("body")
        assert call.secret == SECRETS[self.sample["gateway"]]


def form(call: Call) -> dict[str, str]:
    """The parts of a multipart body."""
    message = BytesParser(policy=HTTP).parsebytes(
        b"content-type: " + call.headers["content-type"].encode() + b"\r\n\r\n" + (call.body or b"")
    )
    assert message.is_multipart()
    return {
        str(part.get_param("name", header="content-disposition")): part.get_content()
        for part in message.walk()
        if not part.is_multipart()
    }


def look(account: Account, operation: Operation, job: Job, document: Any) -> Job:
    job = _looking.read(account, operation, job, document, 200, NOW)
    if job.status is not Status.SUCCEEDED or operation.finish is None:
        return job
    flow = operation.finish(job, document)
    with pytest.raises(StopIteration) as done:
        next(flow)
    return replace(job, assets=tuple(done.value.value))


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_sample_is_spoken_and_understood(name: str) -> None:
    sample = SAMPLES[name]
    expect = sample["expect"]
    conversation = Conversation(sample)
    conversation.play()
    job = conversation.job
    if "kind" in expect:
        assert conversation.kind == expect["kind"]
        assert job.remote_id is None
        assert (job.status is Status.REFUSED) == (expect["status"] == "refused")
        return
    assert job.status == expect["status"]
    shown = [{k: v for k, v in asset.to_json().items() if k in ("role", "url", "text", "cut")} for asset in job.assets]
    kept = [
        {k: v for k, v in asset.items() if k != "kind" and (k, v) != ("role", "final")} for asset in expect["assets"]
    ]
    assert shown == kept
    assert [asset.kind for asset in job.assets] == [asset["kind"] for asset in expect["assets"]]
    assert [action.name for action in job.actions] == expect["actions"]
    for name in ("submitted_at", "started_at", "finished_at"):
        if name in expect:
            assert getattr(job, name) == datetime.fromisoformat(expect[name])
    if "expires_at" in expect:
        assert {asset.expires_at for asset in job.assets} == {datetime.fromisoformat(expect["expires_at"])}
    assert job.message == expect.get("message", "")
    if job.status is Status.SUCCEEDED and len(sample["exchanges"]) > 1:
        assert job.progress == 1.0
    assert Job.from_json(job.to_json()) == job


def test_every_operation_has_a_sample() -> None:
    shown = {sample["operation"] for sample in SAMPLES.values()}
    answered = any(e["sent"]["path"].endswith("/modal") for sample in SAMPLES.values() for e in sample["exchanges"])
    assert shown | ({"modal"} if answered else set()) == {operation.name for operation in FAMILY.operations}


def test_every_sample_says_where_it_is_from() -> None:
    assert sum(sample["source"].startswith("documented") for sample in SAMPLES.values()) == 2
    assert all(sample["source"].startswith(("documented", "synthesized")) for sample in SAMPLES.values())


def test_the_indices_of_a_role_run_from_one() -> None:
    conversation = Conversation(SAMPLES["documented-imagine.json"])
    conversation.play()
    assert [(asset.role, asset.index) for asset in conversation.job.assets] == [
        ("tile", 1), ("tile", 2), ("tile", 3), ("tile", 4), ("grid", 1),
    ]  # fmt: skip


def test_importing_the_family_stays_light() -> None:
    code = (
        "import sys, ai302_midjourney as family; family.ai302_family(); "
        "print([name for name in ('httpx', 'PIL', 'starlette', 'pydantic', 'asyncio') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_family_names_its_requests() -> None:
    assert ai302_midjourney.__all__ == sorted(
        name for name in dir(ai302_midjourney) if name.endswith("Request") and name != "Request"
    )
