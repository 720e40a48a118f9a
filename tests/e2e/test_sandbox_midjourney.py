"""The emulated Midjourney as any client meets it: plain HTTP at both gateways, nothing of our own client."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from PIL import Image, ImageChops

from ai302_core.errors import ConfigError, ParameterError
from ai302_core.sandbox import RunningSandbox, serve
from ai302_midjourney._sandbox import emulation

pytest_plugins = ["ai302_core.testing.fixtures"]

KEY = "sk-sandbox"
AUTH = {"302ai": {"mj-api-secret": KEY}, "new-api": {"Authorization": f"Bearer {KEY}"}}
Body = dict[str, Any]


@pytest.fixture
def gen302_sandbox_options() -> dict[str, Any]:
    """Only this family, and a clock that stands."""
    return {"families": [emulation()], "speed": 0}


OPEN: list[httpx.Client] = []


def client(base_url: str, **headers: str) -> httpx.Client:
    """One that is closed when the test ends."""
    OPEN.append(httpx.Client(base_url=base_url, headers=headers, verify=False))
    return OPEN[-1]


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Every client of the test is closed after it."""
    yield
    while OPEN:
        OPEN.pop().close()


class Caller:
    """A stranger's client: httpx and a header."""

    def __init__(self, sandbox: RunningSandbox, gateway: str = "302ai", root: str = "/mj") -> None:
        self.sandbox, self.root = sandbox, root
        self.http = client(sandbox.url, **AUTH[gateway])

    def post(self, path: str, body: Body) -> httpx.Response:
        return self.http.post(f"{self.root}{path}", json=body)

    def submit(self, verb: str, code: int = 1, **body: Any) -> str:
        answer = self.post(f"/submit/{verb}", body).json()
        assert answer["code"] == code, answer
        return str(answer["result"])

    def look(self, task_id: str) -> Body:
        document = self.http.get(f"{self.root}/task/{task_id}/fetch").json()
        assert document["id"] == task_id
        return dict(document)

    def done(self, task_id: str) -> Body:
        self.sandbox.advance(200)
        document = self.look(task_id)
        assert document["status"] == "SUCCESS", document
        return document

    def press(self, document: Body, word: str, code: int = 1, **body: Any) -> str:
        custom_id = next(b["customId"] for b in document["buttons"] if word in (b["label"], b["emoji"], b["customId"]))
        return self.submit("action", code, taskId=document["id"], customId=custom_id, **body)


def anonymous(url: str, **headers: str) -> httpx.Response:
    return httpx.get(url, headers=headers, verify=False)


def picture(url: str) -> Image.Image:
    answer = anonymous(url)
    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) == len(answer.content)
    loaded = Image.open(io.BytesIO(answer.content))
    loaded.load()
    assert answer.headers["content-type"] == f"image/{(loaded.format or '').lower()}"
    return loaded


def png(width: int = 32, height: int = 16, colour: str = "white") -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


@pytest.fixture
def caller(gen302_sandbox: RunningSandbox) -> Caller:
    return Caller(gen302_sandbox)


@pytest.fixture
def relay(gen302_sandbox: RunningSandbox) -> Caller:
    return Caller(gen302_sandbox, "new-api")


@pytest.fixture(params=["302ai", "new-api"])
def either(request: pytest.FixtureRequest, gen302_sandbox: RunningSandbox) -> Caller:
    return Caller(gen302_sandbox, request.param)


def of(sandbox: RunningSandbox, **headers: str) -> Caller:
    """A stranger with headers of its own, such as those of a self-hosted server."""
    caller = Caller(sandbox)
    caller.http = client(sandbox.url, **headers)
    return caller


# -- from prompt to picture --------------------------------------------------------------------------------------------


def test_imagine_runs_its_course_at_302ai(caller: Caller, gen302_sandbox: RunningSandbox) -> None:
    answer = caller.post("/submit/imagine", {"prompt": "a lamp --ar 3:2", "state": "job-1", "upscaleIndexes": [1]})
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", answer.headers["request-id"])
    assert answer.json()["description"] == "Submit Success"
    task_id = answer.json()["result"]
    assert re.fullmatch(r"\d{16}", task_id)
    seen = []
    for _ in range(120):
        document = caller.look(task_id)
        if (document["status"], document["progress"]) not in seen:
            seen.append((document["status"], document["progress"]))
        gen302_sandbox.advance(0.25)
    running = [("IN_PROGRESS", percent) for percent in ("15%", "31%", "46%", "62%", "78%", "93%")]
    assert seen == [("NOT_START", ""), ("SUBMITTED", "0%"), *running]
    preview = picture(document["imageUrl"])
    assert (preview.format, document["buttons"]) == ("WEBP", [])
    document = caller.done(task_id)
    assert set(document) == {
        *("action", "botType", "buttons", "customId", "description", "failReason", "finishTime", "id", "imageHeight"),
        *("imageUrl", "imageUrls", "imageWidth", "maskBase64", "mode", "progress", "prompt", "promptEn", "proxy"),
        *("startTime", "state", "status", "submitTime", "videoUrl", "videoUrls"),
    }
    assert document["action"] == "IMAGINE"
    assert document["state"] == "job-1"
    assert document["imageUrls"] is None
    assert document["finishTime"] - document["submitTime"] == 30_000
    whole = picture(document["imageUrl"])
    assert whole.size == (document["imageWidth"], document["imageHeight"])
    assert whole.width / whole.height == pytest.approx(1.5, rel=0.01)
    assert gen302_sandbox.paid == 1


def test_imagine_as_a_relay_rewrites_it(relay: Caller, gen302_sandbox: RunningSandbox) -> None:
    task_id = relay.submit("imagine", prompt="a lamp", state="job-2")
    fresh = relay.look(task_id)
    assert (fresh["status"], fresh["progress"], fresh["state"], fresh["buttons"]) == ("", "0%", "", None)
    gen302_sandbox.advance(15)
    running = relay.look(task_id)
    assert re.fullmatch(rf".*/mj/image/{task_id}\?rand=\d+", running["imageUrl"])
    assert picture(running["imageUrl"]).format == "WEBP"
    document = relay.done(task_id)
    assert document["imageUrl"] == f"{gen302_sandbox.url}/mj/image/{task_id}"
    assert picture(document["imageUrl"]).format == "PNG"
    assert document["properties"] == {"finalPrompt": "a lamp", "finalZhPrompt": ""}
    assert (document["customId"], document["botType"], document["state"]) == ("", "", "job-2")
    assert not {"imageUrls", "imageWidth", "mode", "proxy"} & set(document)
    unknown = anonymous(f"{gen302_sandbox.url}/mj/image/1")
    assert (unknown.status_code, unknown.json()) == (400, {"error": "midjourney_task_not_found"})


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_an_upscale_is_its_quadrant(either: Caller, number: int) -> None:
    parent = either.done(either.submit("imagine", prompt="a lamp --ar 2:3"))
    child = either.done(either.press(parent, f"U{number}"))
    whole, alone = picture(parent["imageUrl"]), picture(child["imageUrl"])
    left, top = (number - 1) % 2 * alone.width, (number - 1) // 2 * alone.height
    cell = whole.crop((left, top, left + alone.width, top + alone.height))
    assert ImageChops.difference(cell, alone).getbbox() is None
    assert child["action"] == "UPSCALE"


def test_the_buttons_are_those_of_midjourney(caller: Caller) -> None:
    parent = caller.done(caller.submit("imagine", prompt="a lamp --ar 3:2"))
    assert [button["label"] or button["emoji"] for button in parent["buttons"]] == [
        *("U1", "U2", "U3", "U4", "🔄", "V1", "V2", "V3", "V4")
    ]
    uuid = parent["buttons"][0]["customId"].rpartition("::")[2]
    assert parent["buttons"][4]["customId"] == f"MJ::JOB::reroll::0::{uuid}::SOLO"
    single = caller.done(caller.press(parent, "U2"))
    assert [button["label"] or button["emoji"] for button in single["buttons"]] == [
        *("Upscale (Subtle)", "Upscale (Creative)", "Vary (Subtle)", "Vary (Strong)", "Vary (Region)"),
        *("Zoom Out 2x", "Zoom Out 1.5x", "Custom Zoom", "Make Square", "⬅️", "➡️", "⬆️", "⬇️"),
        *("Animate (High motion)", "Animate (Low motion)", "❤️", "Web"),
    ]
    assert uuid not in str(single["buttons"]), "a child has a job id of its own"
    assert all(set(button) == {"customId", "emoji", "label", "type", "style"} for button in single["buttons"])
    square = caller.done(caller.press(caller.done(caller.submit("imagine", prompt="a lamp --v 6.1")), "U1"))
    assert "Make Square" not in [button["label"] for button in square["buttons"]]
    assert "MJ::JOB::upsample_v6r1_2x_subtle::1::" in square["buttons"][0]["customId"]


PLAIN = ["Upscale (Subtle)", "Vary (Subtle)", "Vary (Strong)", "Zoom Out 2x", "Zoom Out 1.5x", "Make Square", "⬅️", "⬆️"]


@pytest.mark.parametrize("label", PLAIN)
def test_every_plain_button_makes_its_child(either: Caller, label: str) -> None:
    parent = either.done(either.submit("imagine", prompt="a lamp --ar 3:2"))
    single = either.done(either.press(parent, "U1"))
    child = either.done(either.press(single, label))
    whole, before = picture(child["imageUrl"]), picture(single["imageUrl"])
    if label == "Upscale (Subtle)":
        assert whole.size == (before.width * 2, before.height * 2)
        assert label not in [button["label"] for button in child["buttons"]]
    else:
        wide = 1.5 if label == "⬅️" else 1
        high = 1.5 if label == "⬆️" else 1
        assert whole.size == (int(before.width * wide) * 2, int(before.height * high) * 2)
        assert child["buttons"][0]["label"] == "U1"
    assert either.sandbox.paid == 3


@pytest.mark.parametrize("label", ["V3", "🔄"])
def test_variations_and_rerolls_are_new_pictures(either: Caller, label: str) -> None:
    parent = either.done(either.submit("imagine", prompt="a lamp"))
    child = either.done(either.press(parent, label))
    assert picture(child["imageUrl"]).size == picture(parent["imageUrl"]).size
    assert anonymous(child["imageUrl"]).content != anonymous(parent["imageUrl"]).content


def test_the_same_upscale_twice_makes_nothing_new(caller: Caller, gen302_sandbox: RunningSandbox) -> None:
    parent = caller.done(caller.submit("imagine", prompt="a lamp"))
    caller.done(caller.press(parent, "U1"))
    second = caller.press(parent, "U1")
    gen302_sandbox.advance(290)
    assert caller.look(second)["status"] == "SUBMITTED"
    gen302_sandbox.advance(20)
    assert (caller.look(second)["status"], caller.look(second)["failReason"]) == ("FAILURE", "任务超时")
    assert gen302_sandbox.paid == 3, "and yet it was taken"


# -- windows -----------------------------------------------------------------------------------------------------------


def window(caller: Caller, label: str, code: int = 21, **body: Any) -> tuple[Body, str]:
    parent = caller.done(caller.submit("imagine", prompt="a lamp"))
    single = caller.done(caller.press(parent, "U1"))
    return single, caller.press(single, label, code, **body)


def test_vary_region_waits_for_its_window(either: Caller) -> None:
    single, task_id = window(either, "Vary (Region)")
    assert task_id != single["id"]
    either.sandbox.advance(3000)
    assert either.look(task_id)["status"] == "MODAL"
    assert either.sandbox.paid == 2, "opening a window is free"
    for bad in (None, "", "nonsense", "data:image/png;base64,AAAA"):
        refused = either.post("/submit/modal", {"taskId": task_id, "prompt": "a tree", "maskBase64": bad}).json()
        assert refused["code"] == 4
    assert either.submit("modal", taskId=task_id, prompt="a tree", maskBase64=png()) == task_id
    assert either.sandbox.paid == 3
    document = either.done(task_id)
    assert (document["prompt"], document["action"]) == (
        "a tree",
        "INPAINT" if "properties" in document else "VARIATION",
    )
    assert picture(document["imageUrl"]).format == "PNG"
    again = either.post("/submit/modal", {"taskId": task_id, "prompt": "a tree", "maskBase64": png()}).json()
    assert again["code"] == 4, "a window is confirmed once"
    assert either.sandbox.paid == 3


def test_custom_zoom_takes_the_zoom_from_the_prompt(either: Caller) -> None:
    _, task_id = window(either, "Custom Zoom")
    either.submit("modal", taskId=task_id, prompt="a lamp --zoom 1.8")
    assert either.done(task_id)["prompt"] == "a lamp --zoom 1.8"
    _, too_far = window(either, "Custom Zoom")
    either.submit("modal", taskId=too_far, prompt="a lamp --zoom 5")
    either.sandbox.advance(60)
    assert either.look(too_far)["failReason"].startswith("[Invalid parameter]")


def test_remix_asks_and_a_relay_hides_it(caller: Caller, relay: Caller) -> None:
    for who, code in ((caller, 21), (relay, 1)):
        parent = who.done(who.submit("imagine", prompt="a lamp"))
        task_id = who.press(parent, "V1", code, enableRemix=True)
        assert who.look(task_id)["status"] == "MODAL"
        assert who.submit("modal", taskId=task_id) == task_id
        assert who.done(task_id)["prompt"] == "a lamp", "an empty prompt keeps the old one"


def test_a_relay_gives_up_after_an_hour_and_302ai_waits(caller: Caller, relay: Caller) -> None:
    for who, word in ((relay, "FAILURE"), (caller, "MODAL")):
        _, task_id = window(who, "Custom Zoom")
        who.sandbox.advance(3700)
        assert who.look(task_id)["status"] == word
        answer = who.post("/submit/modal", {"taskId": task_id, "prompt": "a lamp --zoom 2"}).json()
        assert answer["code"] == (4 if word == "FAILURE" else 1)
    relay.sandbox.fault("submit", "stuck")
    task_id = relay.submit("imagine", prompt="a lamp")
    relay.sandbox.advance(3700)
    assert relay.look(task_id)["failReason"] == "上游任务超时（超过1小时）"


def test_windows_can_answer_one_and_go_on_elsewhere() -> None:
    options = {"midjourney": {"window_code": 1, "modal_new_id": True}}
    with serve(families=[emulation()], speed=0, options=options) as sandbox:
        caller = Caller(sandbox)
        _, task_id = window(caller, "Custom Zoom", code=1)
        other = caller.submit("modal", taskId=task_id, prompt="a lamp --zoom 2")
        assert other != task_id
        assert caller.done(other)["status"] == "SUCCESS"
        assert caller.look(task_id)["status"] == "MODAL"


# -- the other submits -------------------------------------------------------------------------------------------------


def test_describe_suggests_four_prompts_and_picks_one(caller: Caller) -> None:
    upload = png(48, 32, "navy")
    document = caller.done(caller.submit("describe", base64=upload))
    lines = document["properties"]["finalPrompt"].split("\n\n")
    assert [line[0] for line in lines] == ["1", "2", "3", "4"]
    assert picture(document["imageUrl"]).size == (48, 32)
    assert [button["customId"] for button in document["buttons"]] == [
        *(f"MJ::Job::PicReader::{number}" for number in range(1, 5)),
        "MJ::Picread::Retry",
        "MJ::Job::PicReader::all",
    ]
    task_id = caller.press(document, "3️⃣", 21)
    caller.submit("modal", taskId=task_id)
    child = caller.done(task_id)
    assert child["prompt"] == lines[2].partition(" ")[2]
    assert child["action"] == "IMAGINE"
    assert caller.done(caller.press(document, "🔄"))["action"] == "DESCRIBE"
    everything = {"taskId": document["id"], "customId": "MJ::Job::PicReader::all"}
    assert caller.post("/submit/action", everything).json()["code"] == 4
    assert caller.sandbox.paid_by[("midjourney", "describe")] == 1
    assert caller.sandbox.paid == 3


def test_blend_takes_two_to_five_pictures(either: Caller) -> None:
    for count in (0, 1, 6):
        assert either.post("/submit/blend", {"base64Array": [png()] * count}).json()["code"] == 4
    document = either.done(either.submit("blend", base64Array=[png(), png()], dimensions="LANDSCAPE"))
    whole = picture(document["imageUrl"])
    assert whole.width / whole.height == pytest.approx(1.5, rel=0.01)
    assert document["action"] == "BLEND"


def mp4_of(url: str) -> bytes:
    answer = anonymous(url)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "video/mp4")
    assert answer.content[4:8] == b"ftyp"
    return answer.content


def test_video_is_four_clips_as_302ai_prints_them(caller: Caller) -> None:
    document = caller.done(caller.submit("video", prompt="rain", motion="low", image="https://file.302.ai/a.png"))
    assert (document["action"], document["videoUrl"], document["buttons"]) == ("VIDEO", "", [])
    assert len({mp4_of(entry["url"]) for entry in document["videoUrls"]}) == 4
    assert picture(document["imageUrl"]).size == (document["imageWidth"], document["imageHeight"])
    extended = caller.done(caller.submit("video", action="extend", task_id=document["id"], index="2", motion="high"))
    assert len(extended["videoUrls"]) == 4
    for wrong in ({"motion": "wild"}, {"image": ""}, {"prompt": ""}):
        body = {"prompt": "rain", "motion": "low", "image": png(), **wrong}
        assert caller.post("/submit/video", body).json()["code"] == 4
    assert caller.sandbox.paid == 2


def test_video_at_a_relay_names_the_first_clip_twice(relay: Caller) -> None:
    document = relay.done(relay.submit("video", prompt="rain", image=png()))
    assert document["videoUrl"] == document["videoUrls"][0]["url"]
    assert mp4_of(document["videoUrl"])


def test_animate_then_upscale_a_clip_then_extend_it(caller: Caller) -> None:
    single = caller.done(caller.press(caller.done(caller.submit("imagine", prompt="a lamp")), "U1"))
    moving = caller.done(caller.press(single, "Animate (High motion)"))
    assert len(moving["videoUrls"]) == 4
    clip = caller.done(caller.press(moving, "U3"))
    assert clip["action"] == "UPSCALE"
    assert len(clip["videoUrls"]) == 1
    extended = caller.done(caller.press(clip, "Extend (Low motion)"))
    assert (extended["action"], len(extended["videoUrls"])) == ("VIDEO_EXTEND", 4)


def test_a_relay_knows_fewer_buttons(relay: Caller) -> None:
    single = relay.done(relay.press(relay.done(relay.submit("imagine", prompt="a lamp")), "U1"))
    custom_id = next(b["customId"] for b in single["buttons"] if b["label"] == "Animate (Low motion)")
    refused = relay.post("/submit/action", {"taskId": single["id"], "customId": custom_id})
    assert refused.status_code == 400
    assert refused.json()["description"] == f"unknown_action:{custom_id} "
    assert relay.sandbox.paid == 2


def test_many_tasks_are_listed_at_a_relay_only(caller: Caller, relay: Caller) -> None:
    mine = [relay.submit("imagine", prompt=f"lamp {number}") for number in range(3)]
    foreign = caller.submit("imagine", prompt="not the relay's")
    listed = relay.post("/task/list-by-condition", {"ids": [*reversed(mine), foreign, "1"]}).json()
    assert [document["id"] for document in listed] == mine
    assert relay.post("/task/list-by-condition", {"ids": None}).json() == []
    assert caller.post("/task/list-by-condition", {"ids": [foreign]}).status_code == 404


def test_cancel_is_302ais_only(caller: Caller, relay: Caller) -> None:
    task_id = caller.submit("imagine", prompt="a lamp")
    caller.sandbox.advance(10)
    assert caller.post(f"/task/{task_id}/cancel", {}).json()["code"] == 1
    assert caller.look(task_id)["status"] == "CANCEL"
    caller.sandbox.advance(100)
    assert caller.look(task_id)["status"] == "CANCEL"
    assert caller.post(f"/task/{task_id}/cancel", {}).json()["code"] == 4
    assert caller.post("/task/1/cancel", {}).status_code == 404
    other = relay.submit("imagine", prompt="a lamp")
    assert relay.post(f"/task/{other}/cancel", {}).status_code == 404
    assert relay.done(other)["status"] == "SUCCESS"


# -- doors and keys ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"mj-api-secret": f"Bearer {KEY}"},
        {"mj-api-secret": "sk-other"},
        {"mj-api-secret": ""},
        {"mj-api-secret": "sk-other", "Authorization": f"Bearer {KEY}"},
        {"x-api-key": KEY},
    ],
)
def test_302ai_takes_the_raw_key_in_its_own_header_only(
    gen302_sandbox: RunningSandbox, headers: dict[str, str]
) -> None:
    for path in ("/mj", "/mj-relax", "/mj-turbo"):
        refused = httpx.post(f"{gen302_sandbox.url}{path}/submit/imagine", json={"prompt": "a"}, headers=headers)
        assert refused.status_code == 401
        assert refused.json()["error"]["err_code"] == -10001
        assert {"message", "message_cn", "message_jp", "type"} < set(refused.json()["error"])
        looked = anonymous(f"{gen302_sandbox.url}{path}/task/1/fetch", **headers)
        assert looked.status_code == 401
    assert gen302_sandbox.paid == 0


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": f"Bearer {KEY}"}, 200),
        ({"Authorization": "Bearer sandbox"}, 200),
        ({"mj-api-secret": KEY}, 200),
        ({"Authorization": "Bearer midjourney-proxy", "mj-api-secret": f"Bearer {KEY}"}, 200),
        ({"Authorization": "Bearer sk-other", "mj-api-secret": KEY}, 401),
        ({}, 401),
        ({"x-api-key": KEY}, 401),
    ],
)
def test_a_relay_takes_bearer_and_falls_back(
    gen302_sandbox: RunningSandbox, headers: dict[str, str], status: int
) -> None:
    url = f"{gen302_sandbox.url}/mj-fast/mj/submit/imagine"
    answer = httpx.post(url, json={"prompt": "a"}, headers=headers)
    assert answer.status_code == status
    if status == 401:
        assert answer.json()["type"] == "new_api_error"
    assert gen302_sandbox.paid == (status == 200)


def test_both_headers_mean_302ai(gen302_sandbox: RunningSandbox) -> None:
    both = {"Authorization": f"Bearer {KEY}", "mj-api-secret": KEY}
    answer = httpx.post(f"{gen302_sandbox.url}/mj/submit/imagine", json={"prompt": "a"}, headers=both)
    assert answer.json()["description"] == "Submit Success"
    assert gen302_sandbox.jobs[0]["gateway"] == "302ai"


def test_one_gateway_only() -> None:
    with serve(families=[emulation()], gateway="302ai") as sandbox:
        url = f"{sandbox.url}/mj/submit/imagine"
        assert httpx.post(url, json={"prompt": "a"}, headers=AUTH["new-api"]).status_code == 401
        assert (
            httpx.post(f"{sandbox.url}/mj-relax/mj/submit/imagine", json={}, headers=AUTH["new-api"]).status_code == 404
        )
    with serve(families=[emulation()], gateway="new-api") as sandbox:
        url = f"{sandbox.url}/mj-relax/submit/imagine"
        assert httpx.post(url, json={"prompt": "a"}, headers=AUTH["302ai"]).status_code == 404


def test_modes_have_the_paths_and_the_pace_of_their_gateway(gen302_sandbox: RunningSandbox) -> None:
    pace = {}
    for gateway, root in (
        ("302ai", "/mj-relax"),
        ("302ai", "/mj-turbo"),
        ("new-api", "/mj-relax/mj"),
        ("new-api", "/fast/mj"),
    ):
        caller = Caller(gen302_sandbox, gateway, root)
        document = caller.done(caller.submit("imagine", prompt="a lamp"))
        pace[root] = (document["finishTime"] - document["submitTime"]) / 1000
    assert pace == {"/mj-relax": 60, "/mj-turbo": 12, "/mj-relax/mj": 60, "/fast/mj": 30}
    strange = httpx.post(f"{gen302_sandbox.url}/mj-fast/submit/imagine", json={"prompt": "a"}, headers=AUTH["302ai"])
    assert strange.status_code == 404


def test_a_strict_sandbox_looks_up_by_the_same_prefix(gen302_sandbox: RunningSandbox) -> None:
    task_id = Caller(gen302_sandbox, root="/mj-relax").submit("imagine", prompt="a lamp")
    assert httpx.get(f"{gen302_sandbox.url}/mj/task/{task_id}/fetch", headers=AUTH["302ai"]).status_code == 404
    with serve(families=[emulation()]) as lenient:
        task_id = Caller(lenient, root="/mj-relax").submit("imagine", prompt="a lamp")
        assert Caller(lenient).look(task_id)["prompt"] == "a lamp"


# -- saying no ---------------------------------------------------------------------------------------------------------


def test_an_unknown_task(caller: Caller, relay: Caller) -> None:
    at_302ai = caller.http.get("/mj/task/1/fetch")
    assert (at_302ai.status_code, at_302ai.content) == (404, b"")
    at_relay = relay.http.get("/mj/task/1/fetch")
    assert at_relay.status_code == 400
    assert at_relay.json() == {"description": "task_no_found ", "type": "upstream_error", "code": 4}


@pytest.mark.parametrize(
    ("verb", "body", "literal"),
    [
        ("imagine", {}, "prompt_is_required "),
        ("imagine", {"prompt": "  "}, "prompt_is_required "),
        ("imagine", {"prompt": "a", "base64Array": ["iVBORw0KGgo="]}, ""),
        ("imagine", {"prompt": "a", "base64Array": "x"}, ""),
        ("describe", {"base64": "iVBORw0KGgo="}, ""),
        ("describe", {}, ""),
        ("action", {"taskId": "1"}, "custom_id_is_required "),
        ("action", {"taskId": "1", "customId": "MJ::JOB::upsample::1::x"}, "task_not_found "),
        ("action", {"taskId": 1, "customId": "MJ::JOB::upsample::1::x"}, "bind_request_body_failed "),
        ("modal", {"taskId": "1"}, "task_not_found "),
        ("modal", {}, "task_id_is_required "),
        ("imagine", [], "bind_request_body_failed "),
    ],
)
def test_a_bad_submit_costs_nothing(caller: Caller, relay: Caller, verb: str, body: Any, literal: str) -> None:
    at_302ai = caller.post(f"/submit/{verb}", body)
    assert at_302ai.status_code == 200
    assert at_302ai.json()["code"] in (3, 4)
    at_relay = relay.post(f"/submit/{verb}", body)
    assert at_relay.json()["code"] == 4
    assert at_relay.status_code == (400 if literal else 200)
    if literal:
        assert at_relay.json()["description"] == literal
    assert caller.sandbox.paid == 0


def test_a_button_belongs_to_its_task(caller: Caller) -> None:
    first = caller.done(caller.submit("imagine", prompt="a lamp"))
    second = caller.done(caller.submit("imagine", prompt="a chair"))
    foreign = second["buttons"][0]["customId"]
    assert caller.post("/submit/action", {"taskId": first["id"], "customId": foreign}).json()["code"] == 4
    unfinished = caller.submit("imagine", prompt="a table")
    assert caller.post("/submit/action", {"taskId": unfinished, "customId": foreign}).json()["code"] == 4
    for nonsense in ("", "U1", "MJ::JOB::upsample::9::x", "MJ::BOOKMARK::x", "MJ::Job::PicReader::1"):
        assert caller.post("/submit/action", {"taskId": first["id"], "customId": nonsense}).json()["code"] == 4
    assert caller.sandbox.paid == 3


def test_a_banned_word_is_code_24_or_a_failed_task(either: Caller) -> None:
    refused = either.post("/submit/imagine", {"prompt": "a forbidden-word"}).json()
    assert (refused["code"], refused["properties"]["bannedWord"]) == (24, "forbidden-word")
    assert "result" not in refused
    assert either.sandbox.paid == 0
    with serve(families=[emulation()], speed=0, options={"midjourney": {"banned": "task"}}) as sandbox:
        caller = Caller(sandbox)
        task_id = caller.submit("imagine", prompt="a forbidden-word")
        sandbox.advance(60)
        document = caller.look(task_id)
        assert (document["status"], document["progress"], document["imageUrl"]) == ("FAILURE", "", "")
        assert document["failReason"].startswith("[Banned prompt detected]")


def test_a_picture_that_is_none_fails_the_task(either: Caller) -> None:
    link = "data:image/png;base64," + base64.b64encode(b"not a picture").decode()
    for verb, body in (("imagine", {"prompt": "a", "base64Array": [link]}), ("describe", {"base64": link})):
        task_id = either.submit(verb, **body)
        either.sandbox.advance(60)
        assert either.look(task_id)["failReason"].startswith("[Invalid link]")


def test_a_failure_at_a_relay_shows_100_percent(relay: Caller) -> None:
    task_id = relay.submit("imagine", prompt="a lamp --ar wide")
    relay.sandbox.advance(60)
    document = relay.look(task_id)
    assert (document["status"], document["progress"], document["buttons"]) == ("FAILURE", "100%", None)
    assert document["failReason"].startswith("[Invalid parameter]")


def test_money_runs_out() -> None:
    with serve(families=[emulation()], balance="0.12", options={"midjourney": {"balance_status": 403}}) as sandbox:
        caller, relay = Caller(sandbox), Caller(sandbox, "new-api")
        caller.submit("imagine", prompt="one")
        caller.submit("imagine", prompt="two")
        refused = caller.post("/submit/imagine", {"prompt": "three"})
        assert (refused.status_code, refused.json()["error"]["err_code"]) == (403, -10004)
        assert relay.post("/submit/imagine", {"prompt": "three"}).json()["description"] == "quota_not_enough "
        Caller(sandbox, root="/mj-relax").submit("imagine", prompt="the slow lane is cheaper")
        assert (sandbox.paid, str(sandbox.balance)) == (3, "0.00")


def test_capacity_is_javas_when_asked_for() -> None:
    with serve(families=[emulation()], speed=0, options={"midjourney": {"capacity": (3, 10)}}) as sandbox:
        caller, relay = Caller(sandbox), Caller(sandbox, "new-api")
        answers = [caller.post("/submit/imagine", {"prompt": f"lamp {n}"}).json() for n in range(14)]
        assert [answer["code"] for answer in answers] == [1] * 4 + [22] * 9 + [23]
        assert [answer["properties"]["numberOfQueues"] for answer in answers[4:13]] == list(range(1, 10))
        assert answers[13]["result"] is None
        assert sandbox.paid == 13
        sandbox.advance(15)
        assert caller.look(answers[2]["result"])["status"] == "IN_PROGRESS"
        assert caller.look(answers[3]["result"])["status"] == "NOT_START"
        sandbox.advance(30)
        assert caller.look(answers[3]["result"])["status"] == "IN_PROGRESS"
        assert caller.post("/submit/imagine", {"prompt": "room again"}).json()["code"] == 22
        hidden = [relay.post("/submit/imagine", {"prompt": f"lamp {n}"}) for n in range(14)]
        assert [answer.json()["code"] for answer in hidden] == [1] * 13 + [30]
        assert hidden[13].status_code == 429


# -- the server around it ----------------------------------------------------------------------------------------------


def test_options_change_what_nobody_documents() -> None:
    options = {"midjourney": {"numeric_ids": True, "tile_links": True, "odd": True, "cancel_word": "FAILURE"}}
    with serve(families=[emulation()], speed=0, options=options) as sandbox:
        caller = Caller(sandbox)
        result = caller.post("/submit/imagine", {"prompt": "a lamp"}).json()["result"]
        assert isinstance(result, int)
        document = caller.done(str(result))
        whole = picture(document["imageUrl"])
        assert (whole.width % 2, whole.height % 2) == (1, 1)
        tiles = [picture(entry["url"]) for entry in document["imageUrls"]]
        assert len(tiles) == 4
        canceled = caller.submit("imagine", prompt="a lamp")
        caller.post(f"/task/{canceled}/cancel", {})
        assert caller.look(canceled)["status"] == "FAILURE"
    with pytest.raises(ParameterError, match="tile_link"):
        serve(families=[emulation()], options={"midjourney": {"tile_link": True}})


def story(sandbox: RunningSandbox) -> list[Any]:
    caller = Caller(sandbox)
    parent = caller.done(caller.submit("imagine", prompt="a lamp"))
    child = caller.done(caller.press(parent, "U1"))
    files = [anonymous(document["imageUrl"]) for document in (parent, child)]
    names = [document["imageUrl"].rpartition("/")[2] for document in (parent, child)]
    return [parent["id"], child["id"], parent["buttons"], names, [file.content for file in files]]


def test_the_same_seed_tells_the_same_story() -> None:
    stories = []
    for seed in (7, 7, 8):
        with serve(families=[emulation()], speed=0, seed=seed) as sandbox:
            stories.append(story(sandbox))
    assert stories[0] == stories[1]
    assert stories[0][0] != stories[2][0]


def test_the_clock_runs_by_itself_when_told_to() -> None:
    with serve(families=[emulation()], speed=100_000) as sandbox:
        caller = Caller(sandbox)
        task_id = caller.submit("imagine", prompt="a lamp")
        words = (caller.look(task_id)["status"] for _ in range(1000))
        assert "SUCCESS" in words


def test_another_process_can_drive_it(caller: Caller, gen302_sandbox: RunningSandbox) -> None:
    task_id = caller.submit("imagine", prompt="a lamp")
    control = client(f"{gen302_sandbox.url}/__sandbox__")
    assert control.post("/advance", json={"seconds": 100}).status_code == 200
    assert caller.look(task_id)["status"] == "SUCCESS"
    armed = control.post("/fault", json={"where": "poll", "kind": "says", "times": 1, "members": {"status": "ODD"}})
    assert armed.status_code == 200
    assert caller.look(task_id)["status"] == "ODD"
    assert control.post("/fault", json={"where": "poll", "kind": "earthquake"}).status_code == 400
    assert control.post("/fault", json=["poll"]).status_code == 400
    assert control.post("/advance", json={"seconds": "soon"}).status_code == 400
    state = control.get("/state").json()
    assert (state["paid"], state["leaks"], state["balance"]) == (1, 0, "999.95")
    assert state["paid_by"] == {"midjourney/imagine": 1}
    assert [(job["id"], job["status"]) for job in state["jobs"]] == [(task_id, "SUCCESS")]
    assert [entry["route"] for entry in state["requests"]] == ["submit:imagine", "poll", "poll"]
    assert KEY not in str(state)


def test_what_came_in_is_kept_without_the_key(caller: Caller, gen302_sandbox: RunningSandbox) -> None:
    caller.submit("imagine", prompt="a lamp")
    httpx.post(f"{gen302_sandbox.url}/mj/submit/imagine", json={}, headers={"mj-api-secret": "sk-real"})
    httpx.get(f"{gen302_sandbox.url}/elsewhere?q=1")
    first, second, third = gen302_sandbox.requests
    assert (first.method, first.path, first.body, first.route) == (
        "POST",
        "/mj/submit/imagine",
        {"prompt": "a lamp"},
        "submit:imagine",
    )
    assert first.headers["mj-api-secret"] == "***"
    assert second.headers["mj-api-secret"] == "(another key)"
    assert (third.route, third.query) == ("", {"q": "1"})


def test_files_come_whole_or_in_part_and_without_a_key(caller: Caller, gen302_sandbox: RunningSandbox) -> None:
    url = caller.done(caller.submit("imagine", prompt="a lamp"))["imageUrl"]
    assert re.search(r"/gpt/imgs/\d{8}/[0-9a-f]{32}\.png$", url)
    whole = anonymous(url)
    tag, size = whole.headers["etag"], len(whole.content)
    assert whole.headers["accept-ranges"] == "bytes"
    for wanted, part in (
        ("bytes=0-9", whole.content[:10]),
        (f"bytes={size - 5}-", whole.content[-5:]),
        ("bytes=-7", whole.content[-7:]),
        (f"bytes=100-{size * 2}", whole.content[100:]),
    ):
        answer = anonymous(url, Range=wanted)
        assert (answer.status_code, answer.content) == (206, part)
        assert answer.headers["content-range"].endswith(f"/{size}")
    assert anonymous(url, Range=f"bytes={size}-").status_code == 416
    assert anonymous(url, Range=f"bytes={size}-").headers["content-range"] == f"bytes */{size}"
    assert anonymous(url, Range="bytes=5-9", **{"If-Range": tag}).status_code == 206
    changed = anonymous(url, Range="bytes=5-9", **{"If-Range": '"other"'})
    assert (changed.status_code, changed.content) == (200, whole.content)
    assert anonymous(url, Range="lines=1-2").status_code == 200
    assert httpx.head(url).headers["content-length"] == str(size)
    assert anonymous(url.replace(".png", "x.png")).status_code == 404
    assert gen302_sandbox.leaks == 0
    anonymous(url, **{"mj-api-secret": KEY})
    anonymous(url, Authorization="Bearer sk-real")
    anonymous(f"{url}?key={KEY}")
    assert gen302_sandbox.leaks == 3


def test_a_taken_port_is_said_in_a_sentence(gen302_sandbox: RunningSandbox) -> None:
    port = int(gen302_sandbox.url.rpartition(":")[2])
    with pytest.raises(ConfigError, match=f"port {port}"):
        serve(port, families=[emulation()])


def test_stopping_twice_is_fine_and_closes_the_port() -> None:
    sandbox = serve(families=[emulation()])
    open_connection = client(sandbox.url)
    assert "midjourney" in open_connection.get("/").text
    sandbox.stop()
    sandbox.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(sandbox.url)


# -- self-hosted: the .NET server and the Java one, as their sources say (wire/midjourney.md 2 to 10) -----------------


def test_the_net_server_as_a_stranger_meets_it() -> None:
    with serve(families=[emulation()], speed=0, gateway="mjproxy-net") as sandbox:
        assert anonymous(sandbox.url + "/mj/task/1/fetch").text == "Authorization header missing."
        assert of(sandbox, Authorization=f"Bearer {KEY}").post("/submit/imagine", {"prompt": "a"}).status_code == 401
        net = of(sandbox, Authorization=KEY)
        assert (net.http.get("/mj/task/1/fetch").status_code, net.http.get("/mj/task/queue").status_code) == (204, 404)
        first = net.look(net.submit("imagine", prompt="a lamp", state="job-1"))
        assert (first["status"], first["progress"], first["startTime"], first["imageUrl"]) == ("NOT_START",) + (
            None,
        ) * 3
        grid = net.done(first["id"])
        assert [set(entry) for entry in grid["imageUrls"]] == [{"url", "thumbnail"}] * 4
        assert {"messageIds", "displays", "isOfficial", "videoDuration", "seedError"} < set(grid)
        assert (grid["state"], grid["parentId"], grid["useTime"]) == ("job-1", None, "30.00 s")
        # A bookmark makes no task: the parent's id comes back, and nothing is paid for.
        uuid = grid["jobId"]
        assert net.submit("action", taskId=grid["id"], customId=f"MJ::BOOKMARK::{uuid}") == grid["id"]
        assert sandbox.paid == 1
        single = net.done(net.press(grid, "U2"))
        assert (single["action"], single["parentId"]) == ("UPSCALE", grid["id"])
        # Its words: a zoom is OUTPAINT, a reroll is whatever was rolled.
        assert net.done(net.press(single, "Zoom Out 2x"))["action"] == "OUTPAINT"
        assert net.done(net.press(net.done(net.press(grid, "V1")), "🔄"))["action"] == "VARIATION"
        both = [{entry["id"] for entry in net.post(f"/task/list-by-{what}", {"ids": [grid["id"], "x"]}).json()}
                for what in ("ids", "condition")]  # fmt: skip
        assert both == [{grid["id"]}] * 2
        assert net.post("/submit/change", {"action": "UPSCALE", "index": 1, "taskId": grid["id"]}).status_code == 404
        assert net.post("/submit/action", {"taskId": "1", "customId": "x"}).json()["code"] == 3
        running = net.submit("imagine", prompt="another")
        assert (net.http.post(f"/mj/task/{running}/cancel").content, net.look(running)["status"]) == (b"", "FAILURE")
        assert net.http.post("/mj/task/12345/cancel").status_code == 200


def test_the_java_server_as_a_stranger_meets_it() -> None:
    with serve(families=[emulation()], speed=0, gateway="mjproxy-java") as sandbox:
        refused = anonymous(sandbox.url + "/mj/task/1/fetch", Authorization=f"Bearer {KEY}")
        assert (refused.status_code, refused.content) == (401, b"")
        java = of(sandbox, **{"mj-api-secret": KEY})
        unknown = java.http.get("/mj/task/1/fetch")
        assert (unknown.status_code, unknown.content) == (200, b"")
        grid = java.done(java.submit("imagine", prompt="a lamp"))
        assert "buttons" not in grid
        assert grid["description"] == "/imagine a lamp"
        told = java.done(java.submit("describe", base64=png()))
        assert told["description"] == f"/describe {told['id']}.png"
        first = java.submit("change", taskId=grid["id"], action="UPSCALE", index=1)
        second = java.submit("blend", base64Array=[png(), png()])
        assert [entry["id"] for entry in java.http.get("/mj/task/queue").json()] == [first, second]
        assert [java.done(made)["description"] for made in (first, second)] == [
            f"/up {grid['id']} U1", f"/blend {second} 2",
        ]  # fmt: skip
        assert java.http.get("/mj/task/queue").json() == []
        assert java.http.get("/mj/task/list").json()[0]["id"] == second
        assert java.http.post("/mj/task/list-by-ids", json={"ids": [first]}).status_code == 404
        assert sandbox.paid == 4
