"""A gallery of broken plugins: the contract catches each by the test that names its fault, and clears the good one."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from ai302_core.errors import ParameterError
from ai302_core.family import (
    Asset,
    Call,
    Family,
    Gateway,
    ImageRequest,
    Job,
    Now,
    Operation,
    Refused,
    Rule,
    Send,
    States,
    field,
    get,
    image,
    post,
)
from ai302_core.sandbox.samples import Exchange, Sample
from ai302_core.testing import FamilyContract, because, findings
from ai302_core.testing.stand import Stand, request_of

URL = "https://file.302.ai/gpt/imgs/20261121/one.png"
SHAPE: Mapping[str, Any] = {"prompt": field("prompt"), "seed": field("seed"), "mode": "std"}
DRAW = Operation(
    "draw",
    request=ImageRequest,
    submit=post("/v1/draw"),
    body=SHAPE,
    job_id=("data.id",),
    poll=get("/v1/draw/{job_id}"),
    states=(States(at="data.status", queued=("wait",), succeeded=("done",), failed=("fail",)),),
    assets=(image("data.urls[]"),),
    failure=("data.reason",),
    refused=(Refused(at=("code",), accepted=(0,), kinds={7: "content"}, message=("msg",)),),
)


def family(**changes: Any) -> Family:
    return Family(
        "acme", api=1, base_url="https://api.acme.example", operations=(replace(DRAW, **changes),),
        gateways=(Gateway("302ai"),),
    )  # fmt: skip


def submit(reply: Any, body: Any = None) -> Exchange:
    return Exchange(method="POST", path="/v1/draw", body=body or {"prompt": "a boat", "mode": "std"}, reply=reply)


def look(**data: Any) -> Exchange:
    return Exchange(method="GET", path="/v1/draw/task-000017", reply={"code": 0, "data": {"id": "task-000017", **data}})


ACCEPTED = submit({"code": 0, "data": {"id": "task-000017"}})
ASKED = {"type": "ImageRequest", "prompt": "a boat"}
GOOD = Sample(
    name="good", source="synthesized", operation="draw", request=ASKED,
    exchanges=(ACCEPTED, look(status="wait"), look(status="done", urls=[URL], reason=None)),
    expect={"status": "succeeded", "assets": [{"kind": "image", "url": URL}]},
)  # fmt: skip
FAILED = replace(
    GOOD, name="failed", exchanges=(ACCEPTED, look(status="fail", reason="too dark")),
    expect={"status": "failed", "message": "too dark"},
)  # fmt: skip
BANNED = replace(
    GOOD, name="banned", exchanges=(submit({"code": 7, "msg": "banned"}),),
    expect={"status": "refused", "kind": "content"},
)  # fmt: skip
MODEL = replace(
    GOOD, name="model", request={**ASKED, "model": "one"},
    exchanges=(submit({"data": {"id": "task-000017"}}, {"prompt": "a boat", "mode": "std", "model": "one"}),
               *GOOD.exchanges[1:]),
)  # fmt: skip
FETCHED = replace(
    GOOD, name="fetched",
    exchanges=(ACCEPTED, look(status="done"), Exchange(method="GET", path="/v1/file", reply={"file": {"url": URL}})),
)  # fmt: skip
OLD = replace(GOOD, name="old", operation="paint", gateway="own")


def contract(record: Family, *told: Sample) -> type[FamilyContract]:
    return type("TestOne", (FamilyContract,), {"family": record, "samples": told or (GOOD, FAILED, BANNED)})


def key() -> str:
    return os.environ.get("AI302_API_KEY", "")


def spoken(request: Any, **more: Any) -> dict[str, Any]:
    return {"prompt": request.prompt, "seed": request.seed, "mode": "std", **more}


def retrying(request: Any) -> dict[str, Any]:
    try:
        urllib.request.urlopen("http://127.0.0.1:9/v1/draw", timeout=0.2)
    except OSError:
        return spoken(request)
    raise AssertionError("nobody serves there")


def starting_a_program(request: Any) -> dict[str, Any]:
    subprocess.run(["true"], check=False)
    return spoken(request)


def logging_the_key(request: Any) -> dict[str, Any]:
    logging.getLogger("acme").info("sending with %s", key())
    return spoken(request)


def dropping(request: Any) -> dict[str, Any]:
    _ = request.negative_prompt
    return spoken(request)


def printing(request: Any) -> dict[str, Any]:
    print("sending", request.prompt)
    return spoken(request)


def dozing(request: Any) -> dict[str, Any]:
    time.sleep(0.3)
    return spoken(request)


def crashing(document: Any) -> Iterator[Any]:
    yield from document["data"]["reason"] or ()


def fetching_nothing(job: Job, document: Any) -> Any:
    yield from ()
    return []


def asking_for_ever(job: Job, document: Any) -> Any:
    while True:
        yield from Now()


def paying_to_finish(job: Job, document: Any) -> Any:
    yield from Send(Call("POST", f"{job.base_url}/v1/draw", headers={"authorization": f"Bearer {key()}"}, body=b"{}"))
    return [Asset(kind="image", url=URL)]


def fetching(address: str) -> Callable[[Job, Any], Any]:
    def finish(job: Job, document: Any) -> Any:
        reply = yield from Send(Call("GET", address))
        return [Asset(kind="image", url=reply.document["file"]["url"])]

    return finish


def preparing_nothing(request: Any) -> Any:
    yield from Now()


def text(text: str) -> Any:
    """What no type checker lets through, and not every author runs one."""
    return text


@dataclass(frozen=True)
class Broken:
    """What is wrong with a plugin, and the test that must say so."""

    record: Callable[[], Family]
    caught_by: str
    saying: str
    told: tuple[Sample, ...] = ()


BUSY = Refused(at=("code",), accepted=(0,), kinds={7: "content"}, texts={"time.?out|error": "busy"}, message=("msg",))
GALLERY = {
    "pays twice, taking a timeout for busy": Broken(
        lambda: family(refused=(BUSY,)), "test_an_unclear_error_is_never_sent_again", "too easily"
    ),
    "pays twice, in a flow that should be free": Broken(
        lambda: family(finish=paying_to_finish), "test_the_job_ends_as_the_sample_says", "it would send a paid POST"
    ),
    "retries inside a client of its own": Broken(
        lambda: family(body=retrying), "test_no_connection_of_its_own", "opened socket."
    ),
    "starts a program": Broken(
        lambda: family(body=starting_a_program), "test_no_connection_of_its_own", "opened Popen ['true']"
    ),
    "leaks the key in a log": Broken(
        lambda: family(body=logging_the_key), "test_the_key_stays_in_its_header", "what is logged"
    ),
    "leaks the key in an address": Broken(
        lambda: family(submit=post("/v1/draw", query={"k": "{k}"}), route=lambda request: {"k": key()}),
        "test_the_key_stays_in_its_header",
        "in the address",
    ),
    "ignores the prompt": Broken(
        lambda: family(body=lambda request: spoken(request) | {"prompt": "a boat"}),
        "test_every_field_is_sent_or_refused",
        "prompt='a sentence of the contract'",
    ),
    "drops a field silently": Broken(
        lambda: family(body=dropping), "test_every_field_is_sent_or_refused", "negative_prompt="
    ),
    "speaks another body": Broken(
        lambda: family(body=lambda request: {"text": request.prompt}), "test_requests_go_out_as_the_sample_says", "body"
    ),
    "loses the id": Broken(lambda: family(job_id=("id",)), "test_the_job_keeps_its_id", "job_id="),
    "waits for ever for a word it does not know": Broken(
        lambda: family(states=(States(at="data.status", queued=("wait",), succeeded=("done",), failed=("failed",)),)),
        "test_waiting_has_an_end",
        "never ends",
    ),
    "asks for ever in a flow": Broken(lambda: family(finish=asking_for_ever), "test_waiting_has_an_end", "never ends"),
    "succeeds without assets": Broken(
        lambda: family(finish=fetching_nothing), "test_success_brings_its_files", "success without a file"
    ),
    "looks for its files in the wrong place": Broken(
        lambda: family(assets=(image("data.url"),)), "test_the_job_ends_as_the_sample_says", "expected succeeded"
    ),
    "takes failure for success": Broken(
        lambda: family(states=(States(at="data.status", queued=("wait", "fail"), succeeded=("done",), failed=("x",)),)),
        "test_the_job_ends_as_the_sample_says",
        "expected failed",
    ),
    "fails on every word it does not know": Broken(
        lambda: family(states=(States(at="data.status", queued=("wait",), succeeded=("done",), failed=("*",)),)),
        "test_unknown_words_keep_waiting",
        "says too much",
    ),
    "crashes on a null": Broken(
        lambda: family(actions=crashing), "test_mangled_replies_do_no_harm", "makes the family raise"
    ),
    "raises as it writes the body": Broken(
        lambda: family(body={"prompt": field("prompt", bytes.decode)}),
        "test_requests_go_out_as_the_sample_says",
        "The exception says: descriptor 'decode'",
    ),
    "blocks the event loop": Broken(lambda: family(body=dozing), "test_decisions_are_quick", "between two steps"),
    "writes to stdout": Broken(lambda: family(body=printing), "test_nothing_is_printed", "prints 'sending a boat"),
    "misses a refusal": Broken(
        lambda: family(refused=(Refused(at=("error",)),)), "test_refusals_are_understood", "expected 'content'"
    ),
    "means another refusal": Broken(
        lambda: family(refused=(Refused(at=("code",), accepted=(0,), kinds={7: "busy"}),)),
        "test_refusals_are_understood",
        "understood as 'busy'",
    ),
    "cannot fail": Broken(
        lambda: family(states=(States(at="data.status", succeeded=("done",)),)), "test_the_record_is_sound", "failure"
    ),
    "has one address for all jobs": Broken(
        lambda: family(poll=get("/v1/draw/last")), "test_the_record_is_sound", "every job would look the same"
    ),
    "writes a text for a tuple of one": Broken(
        lambda: family(failure=text("data.reason")), "test_the_record_is_sound", "in a comma: ('data.reason',)"
    ),
    "writes a text for a tuple, deep inside": Broken(
        lambda: family(states=(States(at="data.status", succeeded=text("done"), failed=("fail",)),)),
        "test_the_record_is_sound",
        "succeeded of states of Operation 'draw' is 'done'",
    ),
    "calls a field's converter instead of naming it": Broken(
        lambda: family(body={**SHAPE, "seed": field("seed", text("int"))}),
        "test_the_record_is_sound",
        "it must be a function or None",
    ),
    "does not know a word of its own sample": Broken(
        lambda: family(states=(States(at="data.status", succeeded=("done",), failed=("fail",)),)),
        "test_the_job_ends_as_the_sample_says",
        "add it to a row of states",
    ),
    "crashes on the answer to its own call": Broken(
        lambda: family(assets=(), finish=fetching("/v1/file")),
        "test_mangled_replies_do_no_harm",
        "reply 3 with the body null makes the family raise TypeError",
        (FETCHED, FAILED, BANNED),
    ),
    "calls its service by the whole address": Broken(
        lambda: family(assets=(), finish=fetching("https://api.acme.example/v1/file")),
        "test_requests_go_out_as_the_sample_says",
        'addresses begin with "/"',
        (FETCHED, FAILED, BANNED),
    ),
    "breaks when no model is named": Broken(
        lambda: family(
            body={**SHAPE, "model": field("model")}, rules=lambda request: {"seed": Rule(least=len(request.model))}
        ),
        "test_every_field_is_sent_or_refused",
        "model=None breaks the family",
        (MODEL, FAILED, BANNED),
    ),
    "has a rule for a name of the wire": Broken(
        lambda: family(rules=lambda request: {"n": Rule(most=4)}),
        "test_every_field_is_sent_or_refused",
        "rules name 'n', which ImageRequest does not have",
    ),
    "sends one word for all": Broken(
        lambda: family(body={**SHAPE, "quality": field("resolution", lambda _: "hd")}),
        "test_every_field_is_sent_or_refused",
        "whatever resolution is, the same is sent",
    ),
    "raises for a value that its own rule allows": Broken(
        lambda: family(
            body={**SHAPE, "quality": field("resolution", {"4K": "uhd"}.__getitem__)},
            rules=lambda request: {"resolution": Rule(allowed=("8K", "4K"))},
        ),
        "test_every_field_is_sent_or_refused",
        "resolution='8K' breaks the family",
    ),
    "gives no rules": Broken(
        lambda: family(rules=lambda request: None),
        "test_requests_go_out_as_the_sample_says",
        "failed in rules: it gives NoneType, not a dict",
    ),
    "gives words for rules": Broken(
        lambda: family(rules=lambda request: {"seed": (1, 2)}),
        "test_requests_go_out_as_the_sample_says",
        "something that is no Rule",
    ),
    "writes no body": Broken(
        lambda: family(body=lambda request: None), "test_requests_go_out_as_the_sample_says", "is NoneType, not a dict"
    ),
    "forgets the request that it prepared": Broken(
        lambda: family(prepare=preparing_nothing), "test_requests_go_out_as_the_sample_says", "returns NoneType, not"
    ),
    "offers words for actions": Broken(
        lambda: family(actions=lambda document: ["again"]),
        "test_the_job_ends_as_the_sample_says",
        "it offers something that is no Action",
    ),
    "counts in milliseconds": Broken(
        lambda: family(usual=(5000, 60000)), "test_the_record_is_sound", "of draw are seconds"
    ),
    "would call another host": Broken(
        lambda: family(submit=post("v1/draw")), "test_the_record_is_sound", "must begin with a slash"
    ),
    "would send the key to another host": Broken(
        lambda: family(submit=post("v1/draw")), "test_requests_go_out_as_the_sample_says", "Nothing was sent to it"
    ),
    "sends pictures that it cannot carry": Broken(
        lambda: family(images=("file",)), "test_the_record_is_sound", "multipart=True"
    ),
    "writes a path in another notation": Broken(
        lambda: family(assets=(image("$.data.urls"),)), "test_the_record_is_sound", "they are written a.b[].c"
    ),
    "cancels whatever runs": Broken(
        lambda: family(cancel=post("/v1/cancel")), "test_the_record_is_sound", "the cancel of draw does not say"
    ),
    "sends its key in the clear": Broken(
        lambda: replace(family(), base_url="http://api.acme.example"), "test_names_and_api", "begin with https://"
    ),
    "speaks another API": Broken(lambda: replace(family(), api=2), "test_names_and_api", "api=2"),
    "shows no failure": Broken(
        family, "test_samples_show_what_goes_wrong", "no sample shows a job fail", (GOOD, BANNED)
    ),
    "shows another service": Broken(
        family,
        "test_samples_fit_the_record",
        "old.json is about the operation 'paint' and the gateway 'own'",
        (GOOD, FAILED, BANNED, OLD),
    ),
    "shows nothing": Broken(family, "test_samples_show_every_operation", "add one to the samples folder", (FAILED,)),
}


def test_the_good_one_is_cleared() -> None:
    assert findings(contract(family())) == []


@pytest.mark.parametrize("name", GALLERY)
def test_each_broken_plugin_is_caught_by_name(name: str) -> None:
    broken = GALLERY[name]
    found = findings(contract(broken.record(), *broken.told), only=broken.caught_by)
    said = [finding.message for finding in found]
    assert said, "not caught"
    assert any(broken.saying in message for message in said), said


def test_the_kit_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """An audit hook could not be taken back: with it, coverage fails a thread that starts while another one does."""
    monkeypatch.setattr(sys, "addaudithook", None)
    before = [socket.socket.connect, socket.getaddrinfo, subprocess.Popen.__init__, os.system]
    assert findings(contract(family()), only="test_no_connection_of_its_own") == []
    assert [socket.socket.connect, socket.getaddrinfo, subprocess.Popen.__init__, os.system] == before


def test_a_model_that_must_be_named_says_where_the_names_are() -> None:
    record = family(rules=lambda request: {"model": Rule(required=True)})
    with Stand(record) as stand, pytest.raises(ParameterError, match="model must be given") as told:
        stand.preview(GOOD, request_of(GOOD))
    assert told.value.hint.startswith("gen302 models -p acme")


def test_a_sample_of_another_record_is_one_finding() -> None:
    (found,) = findings(contract(family(), GOOD, FAILED, BANNED, OLD))
    assert found.test == "test_samples_fit_the_record"
    assert "or delete it" in found.message


def test_an_override_needs_a_reason() -> None:
    with pytest.raises(TypeError, match="replaces test_nothing_is_printed of the contract without a reason"):
        type("TestOne", (FamilyContract,), {"family": family(), "test_nothing_is_printed": None})
    with pytest.raises(TypeError, match="replaces played of the contract"):
        type("TestOne", (FamilyContract,), {"family": family(), "played": classmethod(lambda cls, sample: None)})
    with pytest.raises(TypeError, match="A reason is a sentence"):
        because("")

    class Noisy:
        @because("the vendor's licence must be shown")
        def test_nothing_is_printed(self, sample: Sample) -> None:
            assert sample.name

    assert type("TestOne", (Noisy, FamilyContract), {"family": family()}).__name__ == "TestOne"
