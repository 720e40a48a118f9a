"""Every sample of every family: the exact bytes that go out, and what the engine makes of what comes back."""

from __future__ import annotations

import base64
import hashlib
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.parser import BytesParser
from email.policy import HTTP
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from ai302_core._accounts import Account
from ai302_core._flows import looking, planning, receipts
from ai302_core._steps import Call, Picture, Reply
from ai302_core._wire import calls, reading
from ai302_core.family import Endpoint, Family, Operation
from ai302_core.jobs import Job, Status
from ai302_core.requests import Request

NOW = datetime(2026, 11, 21, tzinfo=UTC)
PACKAGES = sorted(path.parent.name for path in Path(__file__).parents[2].glob("plugins/*/src/*/samples"))
FAMILIES: dict[str, Family] = {name: importlib.import_module(name).ai302_family() for name in PACKAGES}
SAMPLES = {
    (package, entry.name): json.loads(entry.read_text(encoding="utf-8"))
    for package in PACKAGES
    for entry in sorted(files(package).joinpath("samples").iterdir(), key=lambda entry: entry.name)
}
DOCUMENTED = {"ai302_midjourney": 2, "ai302_veo": 1}
BEARER = ("authorization", "Bearer sk-secret")
SECRETS = {
    ("midjourney", "302ai"): ("mj-api-secret", "sk-secret"),
    ("midjourney", "mjproxy-net"): ("authorization", "sk-secret"),
    ("midjourney", "mjproxy-java"): ("mj-api-secret", "sk-secret"),
}


class Key:
    source = "the test"

    def reveal(self) -> str:
        return "sk-secret"


def account(family: Family, gateway: str) -> Account:
    chosen = family.gateway(gateway)
    assert chosen is not None
    base = chosen.base_url or family.base_url
    return Account(name="hero", family=family, gateway=chosen, base_url=base, key=Key())


def pictures(request: Request) -> dict[tuple[str, int], Picture]:
    def read(media: Any) -> Picture:
        if media.startswith("data:"):
            head, _, content = media.partition(",")
            return Picture(content=base64.b64decode(content), media_type=head[5:].partition(";")[0])
        return Picture(url=media)

    return {place: read(media) for place, media in request.media()}


def looked_at(poll: Endpoint, sent: Mapping[str, Any]) -> str | None:
    """The id a call asks for."""
    if "{job_id}" in poll.path:
        pattern = re.sub(r"\\{\w+\\}", ".+", re.escape(poll.path).replace(r"\{job_id\}", "([^/]+)"))
        match = re.fullmatch(pattern, sent["path"])
        return unquote(match[1]) if match else None
    return next((sent["query"][name] for name, value in poll.query.items() if value == "{job_id}"), None)


class Conversation:
    """A sample's exchanges, played against the engine's decisions."""

    def __init__(self, package: str, sample: Mapping[str, Any]) -> None:
        self.sample = sample
        self.family = FAMILIES[package]
        self.account = account(self.family, sample["gateway"])
        self.operation = self.family.operation(sample["operation"])
        assert self.operation is not None
        self.kind = ""
        self.request = Request.from_json(sample["request"]) if sample["request"] else None
        found = None
        if self.request is None:
            assert self.operation.poll is not None
            found = looked_at(self.operation.poll, sample["exchanges"][0]["sent"])
        self.job = Job(
            id="1",
            provider="hero",
            family=self.family.name,
            operation=sample["operation"],
            status=Status.QUEUED,
            created_at=NOW,
            remote_id=found,
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
            operation = self.family.operation(answer.operation)
            assert operation is not None
            assert self.job.remote_id is not None
            answers = self.sample["answer"]
            request = planning.press(operation, answer.name, self.job.remote_id, answer, answers)
            parent = self.job
        made = planning.plan(self.account, request, parent=parent)
        assert parent is not None or made.operation is self.operation
        call, warnings = planning.build(self.account, made, pictures(made.request))
        if (told := self.sample["expect"].get("warnings")) is not None or self.family.name != "unified_image":
            assert [notice.field for notice in warnings] == (told or [])
        self._is(call, sent)
        self.job = replace(self.job, route=made.route)
        receipt = receipts.decide(self.account, made, self.job, reply, NOW)
        said = reading.refusal(reply, (*self.account.gateway.refused, *made.operation.refused), NOW)
        self.kind = said.kind if said else ""
        if receipt.job is not None:
            self.job = receipt.job

    def _looked(self, sent: Mapping[str, Any], reply: Reply) -> None:
        assert self.operation is not None
        call = calls.poll_call(self.account, self.operation, self.job)
        assert call is not None
        self._is(call, sent)
        self.job = look(self.account, self.operation, self.job, reply.document)

    def _is(self, call: Call, sent: Mapping[str, Any]) -> None:
        parts = urlsplit(call.url)
        assert (call.method, parts.path) == (sent["method"], sent["path"])
        assert dict(parse_qsl(parts.query)) == sent.get("query", {})
        if "form" in sent:
            assert form(call) == sent["form"]
        else:
            assert (json.loads(call.body) if call.body else None) == sent.get("body")
        assert call.secret == SECRETS.get((self.family.name, self.sample["gateway"]), BEARER)


def form(call: Call) -> dict[str, Any]:
    """The parts of a multipart body, files by size and type."""
    message = BytesParser(policy=HTTP).parsebytes(
        b"content-type: " + call.headers["content-type"].encode() + b"\r\n\r\n" + (call.body or b"")
    )
    assert message.is_multipart()
    parts = [part for part in message.walk() if not part.is_multipart()]
    return {str(part.get_param("name", header="content-disposition")): _told(part) for part in parts}


def _told(part: Any) -> Any:
    content = part.get_content()
    if part.get_filename() is None:
        return content
    digest = hashlib.sha256(content).hexdigest()
    return {"file": {"size": len(content), "sha256": digest, "media_type": part.get_content_type()}}


def look(account: Account, operation: Operation, job: Job, document: Any) -> Job:
    job = looking.read(account, operation, job, document, 200, NOW)
    if job.status is not Status.SUCCEEDED or operation.finish is None:
        return job
    flow = operation.finish(job, document)
    with pytest.raises(StopIteration) as done:
        next(flow)
    return replace(job, assets=tuple(done.value.value))


@pytest.mark.parametrize(("package", "name"), SAMPLES, ids=[f"{package}-{name}" for package, name in SAMPLES])
def test_a_sample_is_spoken_and_understood(package: str, name: str) -> None:
    sample = SAMPLES[package, name]
    expect = sample["expect"]
    conversation = Conversation(package, sample)
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


def of(package: str) -> list[dict[str, Any]]:
    return [sample for (owner, _), sample in SAMPLES.items() if owner == package]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_operation_has_a_sample(package: str) -> None:
    shown = {sample["operation"] for sample in of(package)}
    answered = any(e["sent"]["path"].endswith("/modal") for sample in of(package) for e in sample["exchanges"])
    assert shown | ({"modal"} if answered else set()) == {operation.name for operation in FAMILIES[package].operations}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_sample_says_where_it_is_from(package: str) -> None:
    documented = sum(sample["source"].startswith("documented") for sample in of(package))
    assert documented == DOCUMENTED.get(package, documented)
    assert all(sample["source"].startswith(("documented", "synthesized")) for sample in of(package))


def test_the_indices_of_a_role_run_from_one() -> None:
    conversation = Conversation("ai302_midjourney", SAMPLES["ai302_midjourney", "documented-imagine.json"])
    conversation.play()
    assert [(asset.role, asset.index) for asset in conversation.job.assets] == [
        ("tile", 1), ("tile", 2), ("tile", 3), ("tile", 4), ("grid", 1),
    ]  # fmt: skip


def test_every_model_and_door_of_veo_has_its_conversation_its_refusal_and_its_failure() -> None:
    samples = of("ai302_veo")
    named = {
        (sample["operation"], e["sent"]["body"].get("model"), e["sent"]["path"])
        for sample in samples
        for e in sample["exchanges"]
        if e["sent"]["method"] == "POST" and sample["expect"]["status"] == "succeeded"
    }
    family = FAMILIES["ai302_veo"]
    for model in family.models:
        request = Request.from_json({"type": "ai302_veo.VeoRequest", "prompt": "x", "model": model.name})
        operation, _ = planning._operation_for(account(family, "302ai"), request)
        said = model.name.removeprefix("veo3-v2/") if operation.name in ("unified", "veo3-v2") else None
        path = f"/ws/api/v3/{model.name}" if operation.submit.path.startswith("/ws/") else operation.submit.path
        assert (operation.name, said, path) in named, model.name
    for operation in family.operations:
        own = [sample["expect"] for sample in samples if sample["operation"] == operation.name]
        assert any("kind" in expect for expect in own), operation.name
        assert any(expect["status"] == "failed" for expect in own), operation.name


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_family_stays_light(package: str) -> None:
    code = (
        f"import sys, {package} as family; family.ai302_family(); "
        "print([name for name in ('httpx', 'PIL', 'starlette', 'pydantic', 'asyncio') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_family_names_its_requests(package: str) -> None:
    module = importlib.import_module(package)
    own = [name for name in dir(module) if getattr(vars(module)[name], "__module__", "").startswith(package)]
    assert module.__all__ == sorted(name for name in own if name.endswith("Request"))
