"""Callbacks over real sockets: they wake a look and are never believed; without them polling finishes just as well."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from ai302_core import ImageRequest, Job, ParameterError, VideoRequest, aconnect, webhooks
from ai302_core.sandbox import RunningSandbox, serve
from ai302_core.sandbox.listener import Listener
from ai302_core.webhooks import LARGEST, Receiver
from ai302_midjourney._sandbox import emulation

TOKEN = "t0ken-that-nobody-can-guess"
LAMP = ImageRequest("a lamp")
SLOW = {"poll": {"initial": 600.0, "maximum": 600.0}}
SOON = 120
"""Seconds within which a callback has woken who waits, on any machine; by itself he looks every ten minutes."""


@pytest.fixture
def listening() -> Iterator[Callable[[Any], str]]:
    """Serves an application on this machine; its address."""
    listeners: list[Listener] = []

    def listen(app: Any) -> str:
        listeners.append(Listener(app, 0))
        return f"http://127.0.0.1:{listeners[-1].port}"

    yield listen
    for listener in listeners:
        listener.stop()


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch, until: Any) -> Callable[[Receiver], None]:
    """Waits until every look that a callback asked for is over: one may be on its way when another has seen it all."""
    under_way: list[str] = []
    look = Receiver._look

    async def watched(hooks: Receiver, job_id: str, wait: float) -> None:
        under_way.append(job_id)
        try:
            await look(hooks, job_id, wait)
        finally:
            under_way.remove(job_id)

    monkeypatch.setattr(Receiver, "_look", watched)
    return lambda hooks: until(lambda: not hooks._looks and not under_way)


def mounted(hooks: Receiver) -> Starlette:
    return Starlette(routes=[Mount("/hooks", hooks)])


def post(url: str, content: bytes = b"{}", method: str = "POST") -> int:
    parts = urlsplit(url)
    line = http.client.HTTPConnection(parts.netloc, timeout=10)
    try:
        line.request(method, parts.path, content)
        return line.getresponse().status
    finally:
        line.close()


# -- the client -------------------------------------------------------------------------------------------------------


def test_a_callback_wakes_who_waits(open_shop: Callable[..., Any], listening: Callable[[Any], str], until: Any) -> None:
    shop = open_shop()
    buyer = shop.buyer(provider=SLOW)
    hooks = Receiver(buyer.provider, token=TOKEN)
    base = listening(mounted(hooks))
    job = buyer.submit(LAMP, webhook=hooks.address(f"{base}/hooks"))
    result = buyer.wait(job, timeout=SOON)
    assert (len(result.images), shop.sandbox.paid) == (4, 1)
    assert shop.count("poll") <= 5
    until(lambda: len(shop.sandbox.callbacks) >= 3)
    assert {told.status for told in shop.sandbox.callbacks} == {200}
    assert {told.url for told in shop.sandbox.callbacks} == {f"{base}/hooks/{TOKEN}/{job.id}"}


def test_the_receiver_looks_where_nobody_waits(
    open_shop: Callable[..., Any], listening: Callable[[Any], str], until: Any, idle: Any
) -> None:
    shop = open_shop()
    buyer = shop.buyer(provider=SLOW)
    seen: list[Job] = []
    hooks = Receiver(buyer.provider, token=TOKEN, on_look=seen.append)
    job = buyer.submit(LAMP, webhook=hooks.address(listening(hooks)))
    until(lambda: bool(seen) and seen[-1].status.settled)
    assert buyer.job(job.id).status == "succeeded"
    idle(hooks)
    polls = shop.count("poll")
    assert len(buyer.wait(job).images) == 4
    assert (shop.count("poll"), shop.sandbox.paid) == (polls, 1)


def test_on_one_event_loop(open_shop: Callable[..., Any]) -> None:
    shop = open_shop()

    async def main() -> int:
        import uvicorn

        async with aconnect(**shop.options(provider=SLOW)) as provider:
            hooks = Receiver(provider, token=TOKEN)
            server = uvicorn.Server(uvicorn.Config(mounted(hooks), port=0, log_config=None, lifespan="off"))
            serving = asyncio.create_task(server.serve())
            while not server.started:
                await asyncio.sleep(0.01)
            port = server.servers[0].sockets[0].getsockname()[1]
            job = await provider.submit(LAMP, webhook=hooks.address(f"http://127.0.0.1:{port}/hooks"))
            result = await asyncio.wait_for(provider.wait(job), SOON)
            server.should_exit = True
            await serving
            return len(result.images)

    assert asyncio.run(main()) == 4


def test_a_callback_wakes_many_and_those_resumed(
    open_shop: Callable[..., Any], listening: Callable[[Any], str], mode: str
) -> None:
    shop = open_shop()
    left, buyer = shop.buyer(), shop.buyer(mode, provider=SLOW)
    hooks = Receiver(buyer.provider, token=TOKEN)
    address = hooks.address(listening(hooks))
    left.submit(LAMP, webhook=address)
    (resumed,) = buyer.each("resume")
    many = buyer.each("run_many", {f"lamp {n}": ImageRequest(f"lamp {n}") for n in range(3)}, webhook=address)
    assert [len(outcome.result.images) for outcome in (resumed, *many)] == [4] * 4
    assert shop.sandbox.paid == 4


def test_without_any_callback_polling_finishes_at_no_cost(
    open_shop: Callable[..., Any], listening: Callable[[Any], str]
) -> None:
    shop = open_shop()
    shop.sandbox.fault("callback", "missing", times=None)
    buyer = shop.buyer()
    hooks = Receiver(buyer.provider, token=TOKEN)
    job = buyer.submit(LAMP, key="lamp", webhook=hooks.address(listening(hooks)))
    assert len(buyer.wait(job).images) == 4
    assert (shop.sandbox.paid, shop.count("submit:imagine"), shop.sandbox.callbacks) == (1, 1, [])


def test_what_a_callback_says_is_never_believed(
    open_shop: Callable[..., Any], listening: Callable[[Any], str], until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "_GAP", 600.0)
    shop = open_shop(speed=0.0)
    buyer = shop.buyer(provider=SLOW)
    seen: list[Job] = []
    hooks = Receiver(buyer.provider, token=TOKEN, on_look=seen.append)
    base = listening(mounted(hooks))
    job = buyer.submit(LAMP)
    forged = {"id": job.remote_id, "status": "SUCCESS", "progress": "100%", "imageUrl": "https://evil.example/a.png"}
    for content in (json.dumps(forged).encode(), b"\xff{", b"", b"null"):
        assert post(f"{base}/hooks/{TOKEN}/{job.id}", content) == 200
    until(lambda: bool(seen))
    assert not buyer.job(job.id).status.settled
    assert all("evil" not in look.to_json() for look in seen)
    for _ in range(50):  # all of them are one more look, once the gap between two is over
        assert post(f"{base}/hooks/{TOKEN}/{job.id}") == 200
    assert shop.count("poll") == 1
    for path in (f"/hooks/{TOKEN[:-1]}x/{job.id}", f"/hooks/{TOKEN}/261121-aaaaaaaa", f"/hooks//{job.id}"):
        assert post(base + path) == 404
    assert post(f"{base}/hooks/{TOKEN}/{job.id}/more") == 404
    assert post(f"{base}/hooks/{TOKEN}/{job.id}", b"", "GET") == 405
    assert post(f"{base}/hooks/{TOKEN}/{job.id}", b"x" * (LARGEST + 1)) == 413
    shop.sandbox.advance(100)
    assert buyer.poll(job).status == "succeeded"
    assert post(f"{base}/hooks/{TOKEN}/{job.id}") == 200  # late: it is settled, nobody is asked
    assert shop.sandbox.paid == 1


def test_a_body_that_never_ends_holds_nobody_up(
    open_shop: Callable[..., Any], listening: Callable[[Any], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "_SLOWEST", 0.2)
    shop = open_shop(speed=0.0)
    buyer = shop.buyer(provider=SLOW)
    job = buyer.submit(LAMP)
    port = int(listening(Receiver(buyer.provider, token=TOKEN)).rpartition(":")[2])
    for token, status in ((TOKEN, b"408"), (TOKEN[:-1] + "x", b"404")):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
            line.sendall(f"POST /{token}/{job.id} HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{{".encode())
            assert line.recv(100).split()[1] == status
    assert shop.count("poll") == 0


def test_another_family_calls_once_it_has_ended(
    open_shop: Callable[..., Any], listening: Callable[[Any], str], until: Any
) -> None:
    shop = open_shop()
    buyer = shop.buyer(provider={**SLOW, "family": "unified_image"})
    hooks = Receiver(buyer.provider, token=TOKEN)
    base = listening(hooks)
    job = buyer.submit(ImageRequest("a lamp", model="gpt-image-2-t2i"), webhook=hooks.address(base))
    assert len(buyer.wait(job, timeout=SOON).images) >= 1
    until(lambda: [told.status for told in shop.sandbox.callbacks] == [200])
    (told,) = shop.sandbox.callbacks
    assert (told.body["status"], told.body["request_id"] == job.remote_id) == ("completed", False)
    assert shop.sandbox.paid == 1


@pytest.mark.parametrize(
    ("family", "model", "order"),
    [
        ("veo", "google-veo3.1-t2v", VideoRequest),
        ("veo", "google/veo3.1/text-to-video", VideoRequest),
        ("unified_image", "gpt-image-2-t2i", ImageRequest),
    ],
)
def test_every_way_a_callback_goes_wrong(
    open_shop: Callable[..., Any],
    listening: Callable[[Any], str],
    family: str,
    model: str,
    order: Any,
    until: Any,
    idle: Any,
) -> None:
    shop = open_shop(speed=0.0)
    buyer = shop.buyer(provider={"family": family})
    hooks = Receiver(buyer.provider, token=TOKEN)
    address = hooks.address(listening(hooks))
    lies = {
        "status": "failed",
        "result": {"video_url": "https://evil.example/a", "image_url": "https://evil.example/a"},
    }
    jobs = [buyer.submit(order(f"lamp {n}", model=model), webhook=address) for n in range(5)]
    early = post(address.replace("{job_id}", jobs[0].id), json.dumps(lies).encode())
    assert (early, buyer.poll(jobs[0]).status.settled) == (200, False)
    for kind, more in {"duplicate": {}, "missing": {}, "late": {"seconds": 900}, "reorder": {}}.items():
        shop.sandbox.fault("callback", kind, **more)
    shop.sandbox.fault("callback", "forge", members=lies)
    shop.sandbox.advance(400)
    results = [buyer.wait(job, timeout=SOON) for job in jobs]
    assert all(len(result.images) + len(result.videos) >= 1 for result in results)
    until(lambda: len(shop.sandbox.callbacks) == 5)  # two, none, none yet, one, two
    idle(hooks)
    polls = shop.count("poll")
    shop.sandbox.advance(900)
    until(lambda: len(shop.sandbox.callbacks) == 6)
    idle(hooks)
    assert {told.status for told in shop.sandbox.callbacks} == {200}
    assert shop.count("poll") == polls  # what is settled is not looked at again
    assert all("evil" not in buyer.job(job.id).to_json() for job in jobs)
    assert shop.sandbox.paid == 5


def test_a_token_that_can_be_guessed_is_refused(open_shop: Callable[..., Any]) -> None:
    buyer = open_shop().buyer()
    for token in ("", "short", "with/slash-and-more-letters", "spaces are no good here"):
        with pytest.raises(ParameterError, match="token"):
            Receiver(buyer.provider, token=token)
    hooks = Receiver(buyer.provider, token=TOKEN)
    assert TOKEN not in repr(hooks)


def test_a_relay_that_makes_none_refuses_the_address(open_shop: Callable[..., Any]) -> None:
    shop = open_shop()
    buyer = shop.buyer(gateway="new-api")
    with pytest.raises(ParameterError, match="makes no callbacks"):
        buyer.submit(LAMP, webhook="https://shop.example/{job_id}")
    assert shop.sandbox.paid == 0


# -- the sandbox, as any client meets it -------------------------------------------------------------------------------


class Listening:
    """A receiver of nobody's: it keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []
        self.lock = threading.Lock()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        content, more = b"", True
        while more:
            message = await receive()
            content, more = content + message.get("body", b""), message.get("more_body", False)
        with self.lock:
            self.told.append((scope["path"], json.loads(content)))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def words(self) -> list[str]:
        with self.lock:
            return [f"{body['status']} {body['progress']}" for _, body in self.told]


@pytest.fixture(params=["302ai", "mjproxy-java", "mjproxy-net"])
def gateway(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with serve(families=[emulation()], seed=1, speed=0) as running:
        yield running


def imagined(sandbox: RunningSandbox, gateway: str, hook: str) -> str:
    header = "authorization" if gateway == "mjproxy-net" else "mj-api-secret"
    sandbox._world.gateway = gateway
    answer = httpx.post(
        f"{sandbox.url}/mj/submit/imagine",
        headers={header: "sk-sandbox"},
        json={"prompt": "a lamp", "notifyHook": hook, "state": "s-1"},
        timeout=10,
    ).json()
    return str(answer["result"])


COURSE = [
    "SUBMITTED 0%",
    *(f"IN_PROGRESS {percent}" for percent in ("15%", "31%", "46%", "62%", "78%", "93%")),
    "SUCCESS 100%",
]


def test_callbacks_follow_the_course(
    sandbox: RunningSandbox, listening: Callable[[Any], str], gateway: str, until: Any
) -> None:
    ears = Listening()
    task_id = imagined(sandbox, gateway, f"{listening(ears)}/a?b=c")
    sandbox.advance(1.0)
    until(lambda: ears.words() == ["SUBMITTED 0%"])
    sandbox.advance(60)
    until(lambda: len(ears.told) == len(COURSE))
    assert ears.words() == COURSE
    path, last = ears.told[-1]
    assert (path, last["id"], last["state"]) == ("/a", task_id, "s-1")
    assert last["imageUrl"]
    if gateway == "mjproxy-java":
        assert last["properties"]["notifyHook"].endswith("/a?b=c")


def test_callbacks_go_wrong_as_the_script_says(
    sandbox: RunningSandbox, listening: Callable[[Any], str], until: Any
) -> None:
    ears = Listening()
    base = listening(ears)
    sandbox.fault("callback", "duplicate")
    sandbox.fault("callback", "missing")
    sandbox.fault("callback", "reorder")
    sandbox.fault("callback", "forge", members={"status": "SUCCESS", "progress": "1%"}, job="another")
    imagined(sandbox, "302ai", f"{base}/mine")
    sandbox.advance(60)
    told = ["SUBMITTED 0%"] * 2 + ["SUCCESS 1%", COURSE[3], COURSE[2], *COURSE[4:]]
    until(lambda: len(ears.told) == len(told))
    assert ears.words() == told
    assert [path for path, body in ears.told if body["progress"] == "1%"] == ["/another"]
    ears.told.clear()
    sandbox.fault("callback", "late", times=len(COURSE), seconds=100)
    imagined(sandbox, "302ai", f"{base}/late")
    sandbox.advance(60)
    imagined(sandbox, "302ai", "http://192.0.2.7/nobody")  # not this machine: never called
    sandbox.advance(60)
    until(lambda: sum(told.status == 0 for told in sandbox.callbacks) == len(COURSE))
    sandbox.advance(60)
    until(lambda: ears.words() == COURSE)
    with pytest.raises(ParameterError, match="duplicate"):
        sandbox.fault("callback", "html")
