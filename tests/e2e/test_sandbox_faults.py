"""Each fault of the sandbox does on the wire what its name says, and counts money as the real thing would."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from ai302_core.errors import ParameterError
from ai302_core.sandbox import FAULTS, Answer, Emulation, Route, RunningSandbox, serve
from ai302_midjourney._sandbox import emulation

pytest_plugins = ["ai302_core.testing.fixtures"]

KEY = {"mj-api-secret": "sk-sandbox"}
RELAY = {"Authorization": "Bearer sk-sandbox"}


@pytest.fixture
def gen302_sandbox_options() -> dict[str, Any]:
    """Only this family, and a clock that stands."""
    return {"families": [emulation()], "speed": 0}


def imagine(sandbox: RunningSandbox, headers: dict[str, str] = KEY, timeout: float = 60, **body: Any) -> httpx.Response:
    body = {"prompt": "a lamp", **body}
    url = f"{sandbox.url}/mj/submit/imagine"
    return httpx.post(url, json=body, headers=headers, timeout=timeout, verify=False)


def persistent(sandbox: RunningSandbox) -> httpx.Response:
    """An imagine that is repeated while the port is closed."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return imagine(sandbox)
        except httpx.ConnectError:
            assert time.monotonic() < deadline


def look(sandbox: RunningSandbox, task_id: str, headers: dict[str, str] = KEY) -> httpx.Response:
    return httpx.get(f"{sandbox.url}/mj/task/{task_id}/fetch", headers=headers, verify=False)


def finished(sandbox: RunningSandbox, headers: dict[str, str] = KEY) -> dict[str, Any]:
    task_id = imagine(sandbox, headers).json()["result"]
    sandbox.advance(60)
    return dict(look(sandbox, task_id, headers).json())


def fetched(url: str, **options: Any) -> httpx.Response:
    return httpx.get(url, verify=False, **options)


# -- a submit that goes wrong: what the client sees, and whether it was paid -------------------------------------------


def status_is(status: int, kind: str) -> Callable[[RunningSandbox], None]:
    def check(sandbox: RunningSandbox) -> None:
        answer = imagine(sandbox)
        assert answer.status_code == status
        assert answer.headers["content-type"].startswith(kind)
        assert answer.headers["request-id"]
        if kind == "text/html":
            assert answer.text.startswith("<!DOCTYPE html>")
        else:
            assert "err_code" in answer.json()["error"]

    return check


def raises(*errors: type[Exception], timeout: float = 60) -> Callable[[RunningSandbox], None]:
    def check(sandbox: RunningSandbox) -> None:
        with pytest.raises(errors):
            imagine(sandbox, timeout=timeout)

    return check


def empty(sandbox: RunningSandbox) -> None:
    answer = imagine(sandbox)
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")


def truncated(sandbox: RunningSandbox) -> None:
    answer = imagine(sandbox)
    assert answer.status_code == 200
    assert answer.text.startswith('{"code":1')
    with pytest.raises(ValueError):
        answer.json()


def expired(sandbox: RunningSandbox) -> None:
    assert (imagine(sandbox).status_code, imagine(sandbox).status_code) == (404, 200)


def redirected(sandbox: RunningSandbox) -> None:
    answer = imagine(sandbox)
    assert answer.status_code == 302
    assert answer.headers["location"] == sandbox.url.replace("127.0.0.1", "localhost") + "/mj/submit/imagine"


def slowly(sandbox: RunningSandbox) -> None:
    assert imagine(sandbox).json()["code"] == 1


UNANSWERED = raises(httpx.RemoteProtocolError)
SUBMITS: dict[str, tuple[dict[str, Any], int, Callable[[RunningSandbox], None]]] = {
    # kind -> (options, paid submits afterwards, what the client sees)
    "drop-before": ({}, 0, UNANSWERED),
    "drop": ({}, 1, raises(httpx.ReadError)),
    "late": ({"seconds": 600}, 1, raises(httpx.ReadTimeout, timeout=0.2)),
    "error500": ({}, 0, status_is(500, "application/json")),
    "error502": ({}, 0, status_is(502, "text/html")),
    "error503": ({}, 0, status_is(503, "application/json")),
    "error504html": ({}, 0, status_is(504, "text/html")),
    "error524html": ({}, 0, status_is(524, "text/html")),
    "429": ({}, 0, status_is(429, "application/json")),
    "html": ({}, 0, status_is(200, "text/html")),
    "empty": ({}, 1, empty),
    "truncated": ({}, 1, truncated),
    "expired": ({}, 1, expired),
    "redirect": ({}, 0, redirected),
    "reset": ({}, 1, raises(httpx.ReadError)),
    "short": ({}, 1, truncated),
    "slow": ({"seconds": 0.05}, 1, slowly),
}


def test_every_kind_is_shown_here() -> None:
    assert {*SUBMITS, "refuse"} == set(FAULTS)


@pytest.mark.parametrize("kind", sorted(SUBMITS))
def test_a_submit_meets_a_fault(gen302_sandbox: RunningSandbox, kind: str) -> None:
    options, paid, check = SUBMITS[kind]
    fault = gen302_sandbox.fault("submit", kind, **options)
    check(gen302_sandbox)
    assert (gen302_sandbox.paid, fault.hits) == (paid, 1)
    assert imagine(gen302_sandbox).json()["code"] == 1, "once is once"
    assert gen302_sandbox.paid == paid + 1


@pytest.mark.parametrize("kind", sorted(kind for kind, options in FAULTS.items() if "accept" in options))
@pytest.mark.parametrize("accept", [True, False])
def test_accept_says_whether_it_was_paid(gen302_sandbox: RunningSandbox, kind: str, accept: bool) -> None:
    gen302_sandbox.fault("submit:imagine", kind, accept=accept)
    try:
        answer = imagine(gen302_sandbox)
        assert kind == "empty" or b"result" not in answer.content or kind == "truncated"
    except httpx.TransportError:
        assert kind == "drop"
    assert gen302_sandbox.paid == accept


def test_a_dropped_submit_was_received_and_an_unread_one_was_not(gen302_sandbox: RunningSandbox) -> None:
    gen302_sandbox.fault("submit", "drop-before")
    UNANSWERED(gen302_sandbox)
    assert gen302_sandbox.requests == []
    gen302_sandbox.fault("submit", "drop", reset=False)
    UNANSWERED(gen302_sandbox)
    assert [seen.route for seen in gen302_sandbox.requests] == ["submit:imagine"]
    assert gen302_sandbox.jobs[0]["paid"] is True


def test_a_refused_connection_is_refused_by_the_machine(gen302_sandbox: RunningSandbox) -> None:
    with httpx.Client(base_url=gen302_sandbox.url, verify=False) as kept:
        kept.get("/")
        fault = gen302_sandbox.fault("*", "refuse", seconds=600)
        for _ in range(3):
            with pytest.raises(httpx.ConnectError):
                imagine(gen302_sandbox)
        with pytest.raises(httpx.TransportError):
            kept.get("/")
        with socket.socket() as other, pytest.raises(OSError, match="in use"):  # the port stays its own meanwhile
            other.bind(("127.0.0.1", int(gen302_sandbox.url.rpartition(":")[2])))
    gen302_sandbox.fault("*", "refuse", seconds=0.1)
    assert persistent(gen302_sandbox).json()["code"] == 1
    assert (gen302_sandbox.paid, fault.hits) == (1, 1)


def test_closing_the_port_under_load_does_not_hang(gen302_sandbox: RunningSandbox) -> None:
    over = threading.Event()

    def ask() -> None:
        with httpx.Client(verify=False, headers=KEY) as asking:
            while not over.is_set():
                with contextlib.suppress(httpx.TransportError):
                    asking.get(f"{gen302_sandbox.url}/mj/task/1/fetch")

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    for _ in range(30):
        gen302_sandbox.fault("*", "refuse", seconds=0)
        assert gen302_sandbox.paid == 0
    over.set()
    for asker in askers:
        asker.join(60)
    assert not any(asker.is_alive() for asker in askers)
    assert persistent(gen302_sandbox).json()["code"] == 1


def test_429_says_how_long_in_the_header_or_in_the_body(gen302_sandbox: RunningSandbox) -> None:
    gen302_sandbox.fault("submit", "429", retry_after=7)
    gen302_sandbox.fault("submit", "429", retry_after="Sat, 21 Nov 2026 12:00:00 GMT")
    gen302_sandbox.fault("submit", "429", hint=9)
    seconds, date, hint = (imagine(gen302_sandbox) for _ in range(3))
    assert (seconds.headers["retry-after"], date.headers["retry-after"]) == ("7", "Sat, 21 Nov 2026 12:00:00 GMT")
    assert "retry-after" not in hint.headers
    assert hint.json()["error"]["retry_after"] == 9
    assert gen302_sandbox.paid == 0


def test_a_full_queue_speaks_the_gateways_words(gen302_sandbox: RunningSandbox) -> None:
    gen302_sandbox.fault("submit", "queue_full", times=2)
    gen302_sandbox.fault("submit", "queue_full", code=9)
    at_302ai, at_relay, as_net = imagine(gen302_sandbox), imagine(gen302_sandbox, RELAY), imagine(gen302_sandbox)
    assert (at_302ai.status_code, at_302ai.json()["code"], at_302ai.json()["result"]) == (200, 23, None)
    assert (at_relay.status_code, at_relay.json()["code"]) == (429, 30)
    assert (as_net.status_code, as_net.json()["code"]) == (200, 9)
    assert "队列已满" in as_net.json()["description"]
    assert gen302_sandbox.paid == 0


def test_refusals_inside_http_200(gen302_sandbox: RunningSandbox) -> None:
    gen302_sandbox.fault("submit", "refused", code=3, description="无可用的账号实例")
    gen302_sandbox.fault("submit", "banned")
    gen302_sandbox.fault("submit", "banned", as_task=True)
    refused, banned, accepted = (imagine(gen302_sandbox) for _ in range(3))
    assert (refused.status_code, refused.json()) == (200, {"code": 3, "description": "无可用的账号实例"})
    assert (banned.status_code, banned.json()["code"]) == (200, 24)
    assert gen302_sandbox.paid == 1
    gen302_sandbox.advance(60)
    assert look(gen302_sandbox, accepted.json()["result"]).json()["failReason"].startswith("[Banned prompt")


# -- tasks that end badly ----------------------------------------------------------------------------------------------


def test_a_task_may_fail_hang_or_end_with_nothing(gen302_sandbox: RunningSandbox) -> None:
    gen302_sandbox.fault("submit:imagine", "fail", reason="[Queue full] later")
    gen302_sandbox.fault("submit:imagine", "stuck")
    gen302_sandbox.fault("submit:imagine", "no_asset")
    failing, hanging, bare = (imagine(gen302_sandbox).json()["result"] for _ in range(3))
    gen302_sandbox.advance(100_000)
    failed, stuck, empty_handed = (look(gen302_sandbox, task_id).json() for task_id in (failing, hanging, bare))
    assert (failed["status"], failed["failReason"]) == ("FAILURE", "[Queue full] later")
    assert (stuck["status"], stuck["progress"]) == ("IN_PROGRESS", "85%")
    assert (empty_handed["status"], empty_handed["imageUrl"]) == ("SUCCESS", "")


def test_a_poll_may_say_anything_once(gen302_sandbox: RunningSandbox) -> None:
    task_id = finished(gen302_sandbox)["id"]
    gen302_sandbox.fault("poll", "unknown_word")
    gen302_sandbox.fault("poll", "no_asset")
    gen302_sandbox.fault("poll", "says", members={"status": "IN_PROGRESS", "progress": "Waiting to start"})
    gen302_sandbox.fault("poll", "missing")
    odd, bare, waiting, missing, whole = (look(gen302_sandbox, task_id) for _ in range(5))
    assert odd.json()["status"] == "REVIEWING"
    assert (bare.json()["status"], bare.json()["imageUrl"]) == ("SUCCESS", "")
    assert (waiting.json()["status"], waiting.json()["progress"]) == ("IN_PROGRESS", "Waiting to start")
    assert (missing.status_code, missing.content) == (404, b"")
    assert whole.json()["imageUrl"]


def test_polls_and_lists_meet_the_same_faults_at_a_relay(gen302_sandbox: RunningSandbox) -> None:
    task_id = finished(gen302_sandbox, RELAY)["id"]
    gen302_sandbox.fault("poll", "missing")
    assert look(gen302_sandbox, task_id, RELAY).json()["description"] == "task_no_found "
    gen302_sandbox.fault("list", "unknown_word", word="PAUSED")
    listing = f"{gen302_sandbox.url}/mj/task/list-by-condition"
    answer = httpx.post(listing, json={"ids": [task_id]}, headers=RELAY, verify=False)
    assert [document["status"] for document in answer.json()] == ["PAUSED"]
    gen302_sandbox.fault("poll", "fail", reason="上游任务超时（超过1小时）")
    assert look(gen302_sandbox, task_id, RELAY).json()["progress"] == "100%"
    assert look(gen302_sandbox, task_id, RELAY).json()["status"] == "FAILURE", "a failure stays"


@pytest.mark.parametrize("kind", ["error502", "html", "empty", "truncated", "drop", "drop-before", "reset"])
def test_a_poll_survives_what_it_meets(gen302_sandbox: RunningSandbox, kind: str) -> None:
    task_id = finished(gen302_sandbox)["id"]
    gen302_sandbox.fault("poll", kind, times=2)
    for _ in range(2):
        try:
            answer = look(gen302_sandbox, task_id)
        except httpx.TransportError:
            continue
        assert answer.status_code == 502 or not answer.content.endswith(b"}")
    assert look(gen302_sandbox, task_id).json()["status"] == "SUCCESS"
    assert gen302_sandbox.paid == 1


# -- downloads ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [KEY, RELAY], ids=["302ai", "new-api"])
@pytest.mark.parametrize("clean", [True, False])
def test_a_download_stops_in_the_middle(gen302_sandbox: RunningSandbox, headers: dict[str, str], clean: bool) -> None:
    url = finished(gen302_sandbox, headers)["imageUrl"]
    whole = fetched(url).content
    gen302_sandbox.fault("download", "reset", clean=clean, at=0.25)
    received = b""

    def receive() -> None:
        nonlocal received
        with httpx.stream("GET", url, verify=False) as answer:
            assert int(answer.headers["content-length"]) == len(whole)
            for piece in answer.iter_raw():
                received += piece

    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        receive()
    assert whole.startswith(received)
    assert len(received) <= len(whole) // 4
    if clean:
        assert len(received) == len(whole) // 4
    assert fetched(url).content == whole


def test_a_short_download_is_complete_for_http(gen302_sandbox: RunningSandbox) -> None:
    url = finished(gen302_sandbox)["imageUrl"]
    whole = fetched(url).content
    gen302_sandbox.fault("download", "short")
    short = fetched(url)
    assert (short.status_code, short.content) == (200, whole[: len(whole) // 2])


def test_a_dead_link_and_a_link_elsewhere(gen302_sandbox: RunningSandbox) -> None:
    url = finished(gen302_sandbox)["imageUrl"]
    gen302_sandbox.fault("download", "expired")
    dead = fetched(url)
    assert (dead.status_code, dead.text) == (404, "This content is no longer available.")
    gen302_sandbox.fault("download", "redirect", to="http://files.example", status=307)
    gen302_sandbox.fault("GET /gpt/*", "redirect")
    away = fetched(url)
    assert away.status_code == 307
    assert re.match(r"http://files\.example/gpt/imgs/\d{8}/\w+\.png$", away.headers["location"])
    assert fetched(url).headers["location"].startswith("http://localhost:")


def test_a_slow_download_trickles_and_arrives(gen302_sandbox: RunningSandbox) -> None:
    url = finished(gen302_sandbox)["imageUrl"]
    whole = fetched(url).content
    gen302_sandbox.fault("download", "slow", seconds=0.2)
    began = time.monotonic()
    assert fetched(url).content == whole
    assert time.monotonic() - began > 0.15


# -- scripts and mistakes ----------------------------------------------------------------------------------------------


def test_a_script_is_obeyed_in_order(tmp_path: Path) -> None:
    script = tmp_path / "faults.json"
    entries = [
        {"where": "submit", "kind": "error502"},
        {"where": "POST /mj/submit/*", "kind": "queue_full", "times": 2, "code": 9},
        {"where": "poll", "kind": "html", "times": None},
    ]
    script.write_text(json.dumps(entries), encoding="utf-8")
    with serve(families=[emulation()], faults=script) as sandbox:
        first, second, third, fourth = (imagine(sandbox) for _ in range(4))
        assert first.status_code == 502
        assert [answer.json()["code"] for answer in (second, third, fourth)] == [9, 9, 1]
        for _ in range(5):
            assert look(sandbox, "1").text.startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ('[{"where": "poll", "kind": "earthquake"}]', "earthquake"),
        ('[{"where": "pol", "kind": "html"}]', "No call of this sandbox is named 'pol'; did you mean 'poll'?"),
        ('[{"where": "submit:paint", "kind": "html"}]', "No call of this sandbox is named 'submit:paint'"),
        ('[{"where": "poll"}]', "kind"),
        ('[{"where": "poll", "kind": "html", "seconds": 3}]', "seconds"),
        ('[{"where": "poll", "kind": "html", "times": 0}]', "times"),
        ('{"where": "poll"}', "list"),
        ("[", "cannot be read"),
    ],
)
def test_a_wrong_script_is_said_in_a_sentence(tmp_path: Path, script: str, complaint: str) -> None:
    path = tmp_path / "faults.json"
    path.write_text(script, encoding="utf-8")
    with pytest.raises(ParameterError, match=complaint):
        serve(families=[emulation()], faults=path)
    with pytest.raises(ParameterError, match="cannot be read"):
        serve(families=[emulation()], faults=tmp_path / "none.json")


def test_a_defect_of_one_family_shows_and_costs_the_others_nothing() -> None:
    broken = Route(name="poll", method="GET", path="/broken", handler=lambda world, incoming: 1 / 0)  # type: ignore[arg-type,return-value]
    fine = Route(name="poll", method="GET", path="/fine", handler=lambda world, incoming: Answer(200, {"fine": True}))
    with serve(families=[Emulation(family="acme", routes=(broken, fine))]) as sandbox:
        answer = fetched(f"{sandbox.url}/broken")
        assert answer.status_code == 500
        assert "ZeroDivisionError" in answer.text
        assert fetched(f"{sandbox.url}/fine").json() == {"fine": True}
