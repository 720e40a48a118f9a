"""Receipts under cancels, deadlines, Ctrl-C and the end of the loop: the number of lost ones is 0."""

from __future__ import annotations

import asyncio
import http.server
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ai302_core import _sqlite
from ai302_core._drivers import AsyncDriver, SyncDriver
from ai302_core._flows import submitting
from ai302_core._flows.submitting import Order
from ai302_core._http import Transport
from ai302_core._policies import Timeouts
from ai302_core._steps import Call, Flow, Record, Reply, Save, Send
from ai302_core._stopping import Interrupted, Stop
from ai302_core._turns import AHEAD, PAID_AT_ONCE, Desk
from ai302_core.jobs import Status
from ai302_core.requests import ImageRequest


class Gateway(http.server.ThreadingHTTPServer):
    """Accepts submits slowly and remembers each as paid."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, delay: float) -> None:
        super().__init__(("127.0.0.1", 0), Accepting)
        self.delay = delay
        self.go = threading.Event()  # cleared, the answers wait until it is set
        self.go.set()
        self.paid: list[str] = []
        self.lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what these tests are about."""


class Accepting(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Gateway

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        with self.server.lock:
            self.server.paid.append(str(len(self.server.paid) + 1000))
            number = self.server.paid[-1]
        time.sleep(self.server.delay)
        self.server.go.wait(60)
        body = json.dumps({"code": 0, "data": {"id": number, "status": "wait"}}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    server = Gateway(delay=0.05)
    yield server
    server.go.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def shop(account: Any, gateway: Gateway, tmp_path: Path) -> Iterator[Any]:
    ledger = _sqlite.open_ledger(f"sqlite:///{tmp_path}/ledger.db", data_dir=tmp_path)
    transport = Transport(Timeouts())
    yield replace(account, base_url=gateway.url), transport, ledger
    transport.close()
    ledger.close()


def receipts(ledger: Any) -> list[str]:
    return sorted(job.remote_id for job in ledger.jobs() if job.remote_id)


def lost(gateway: Gateway, ledger: Any) -> set[str]:
    return set(gateway.paid) - set(receipts(ledger))


@pytest.mark.parametrize("seed", range(3))
def test_random_cancels_lose_no_receipt(shop: Any, gateway: Gateway, seed: int) -> None:
    account, transport, ledger = shop
    dice = random.Random(seed)

    async def main() -> None:
        driver = AsyncDriver(transport, ledger)
        tasks = [
            asyncio.create_task(driver.pay(partial(submitting.submit, account, ImageRequest(f"{n}"), Order())))
            for n in range(40)
        ]
        for task in dice.sample(tasks, 30):
            await asyncio.sleep(dice.random() * 0.01)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await driver.aclose()

    asyncio.run(main())
    assert lost(gateway, ledger) == set()
    assert gateway.paid
    assert not [job for job in ledger.jobs() if job.status in (Status.SUBMITTING, Status.UNCONFIRMED)]


def test_only_a_few_answers_are_read_at_once(shop: Any) -> None:
    _, _, ledger = shop
    reading = most = 0

    class Prompt(Transport):
        async def send_async(self, call: Call) -> Reply:
            return Reply(200, {}, b"{}")

    def read(steps: int) -> Flow[None]:
        nonlocal reading, most
        for _ in range(steps):
            yield from Send(Call("GET", "http://127.0.0.1/"))
            reading += 1
            most = max(most, reading)
            yield from Record(lambda _: time.sleep(0.002))
            reading -= 1

    async def main() -> None:
        transport, desks = Prompt(Timeouts()), asyncio.Semaphore(3)
        driver = AsyncDriver(transport, ledger)

        async def look() -> None:
            desk = Desk(desks)
            try:
                await driver.run(read(2), desk)
            finally:
                desk.rise()

        await asyncio.wait_for(asyncio.gather(*(look() for _ in range(20))), 30)
        assert not desks.locked(), "each has left its desk"
        await driver.aclose()

    asyncio.run(main())
    assert most == 3


def test_a_canceled_caller_returns_at_once(shop: Any, gateway: Gateway) -> None:
    account, transport, ledger = shop
    gateway.go.clear()

    async def main() -> None:
        driver = AsyncDriver(transport, ledger)
        call = asyncio.create_task(driver.pay(partial(submitting.submit, account, ImageRequest("x"), Order())))
        async with asyncio.timeout(30):
            while not gateway.paid:
                await asyncio.sleep(0.005)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        assert not receipts(ledger)
        gateway.go.set()
        await driver.aclose()

    asyncio.run(main())
    assert (len(gateway.paid), lost(gateway, ledger)) == (1, set())


def test_the_event_loop_keeps_turning_while_paying(shop: Any, gateway: Gateway) -> None:
    account, transport, ledger = shop
    gateway.delay = 0.0
    turned, plain, held = threading.Event(), transport.send, []

    def send(*call: Any, **options: Any) -> Any:
        held.append(turned.wait(30))
        return plain(*call, **options)

    transport.send = send

    async def main() -> None:
        driver = AsyncDriver(transport, ledger)
        job = asyncio.create_task(driver.pay(partial(submitting.submit, account, ImageRequest("x"), Order())))
        for _ in range(50):
            await asyncio.sleep(0.001)
        assert not job.done()
        turned.set()
        await job
        await driver.aclose()

    asyncio.run(main())
    assert held == [True]


def test_sixteen_paid_calls_are_on_the_wire_and_whoever_waits_for_a_place_can_be_stopped(
    shop: Any, gateway: Gateway
) -> None:
    account, transport, ledger = shop
    gateway.delay = 0.0
    go, most, out = threading.Event(), 0, 0
    lock, plain = threading.Lock(), transport.send

    def send(*call: Any, **options: Any) -> Any:
        nonlocal most, out
        with lock:
            out += 1
            most = max(most, out)
        go.wait(30)
        with lock:
            out -= 1
        return plain(*call, **options)

    transport.send = send

    async def main() -> None:
        driver = AsyncDriver(transport, ledger)
        pay = partial(submitting.submit, account, ImageRequest("x"), Order())
        tasks = [asyncio.create_task(driver.pay(pay)) for _ in range(PAID_AT_ONCE + AHEAD)]
        until = time.monotonic() + 30
        # Each intent is written, waiting or not; and who has a place has begun.
        while out < PAID_AT_ONCE or len(await asyncio.to_thread(ledger.jobs)) < len(tasks):
            assert time.monotonic() < until
            await asyncio.sleep(0.01)
        assert out == PAID_AT_ONCE
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        go.set()
        await driver.aclose()

    asyncio.run(main())
    assert (len(gateway.paid), most, lost(gateway, ledger)) == (16, 16, set())
    left = [job for job in ledger.jobs() if job.remote_id is None]
    assert {(job.status, job.billed) for job in left} == {(Status.REFUSED, "no")}
    assert len(left) == AHEAD


SCRIPT = """
import asyncio, sys
from dataclasses import replace
from functools import partial
sys.path.insert(0, {here!r})
from conftest import acme, Key
from ai302_core import _sqlite
from ai302_core._accounts import Account
from ai302_core._policies import Timeouts
from ai302_core._drivers import AsyncDriver, SyncDriver
from ai302_core._http import Transport
from ai302_core._flows import submitting
from ai302_core._flows.submitting import Order
from ai302_core.requests import ImageRequest
from pathlib import Path

family = acme()
account = Account(name="hero", family=family, gateway=family.gateways[0], base_url={url!r}, key=Key())
ledger = _sqlite.open_ledger("sqlite:///" + {db!r}, data_dir=Path({db!r}).parent)
transport = Transport(Timeouts())
submit = lambda text: submitting.submit(account, ImageRequest(text), Order())
"""


def child(tmp_path: Path, gateway: Gateway, body: str) -> subprocess.Popen[str]:
    script = SCRIPT.format(here=str(Path(__file__).parent), url=gateway.url, db=str(tmp_path / "ledger.db"))
    return subprocess.Popen(
        [sys.executable, "-c", script + textwrap.dedent(body)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, "nothing came of it within 30 s"
        time.sleep(0.005)


def test_the_end_of_asyncio_run_loses_no_receipt(shop: Any, gateway: Gateway, tmp_path: Path) -> None:
    process = child(
        tmp_path,
        gateway,
        """
        async def main():
            driver = AsyncDriver(transport, ledger)
            await driver.pay(partial(submit, "the first, however slow the machine"))
            for n in range(40):
                asyncio.create_task(driver.pay(partial(submit, str(n))))
            await asyncio.sleep(0.4)
        asyncio.run(main())
        """,
    )
    process.communicate(timeout=30)
    assert gateway.paid
    assert lost(gateway, shop[2]) == set()


@pytest.mark.parametrize("delay", [0.0, 0.2])
def test_ctrl_c_is_held_until_the_receipt_is_written(shop: Any, gateway: Gateway, tmp_path: Path, delay: float) -> None:
    gateway.go.clear()
    process = child(
        tmp_path,
        gateway,
        """
        try:
            SyncDriver(transport, ledger).pay(submit("x"))
        except KeyboardInterrupt as interrupt:
            print("interrupted", interrupt.outcome.remote_id)
        """,
    )
    until(lambda: gateway.paid)
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    gateway.go.set()
    out, err = process.communicate(timeout=30)
    assert out.strip() == f"interrupted {gateway.paid[0]}", err
    assert lost(gateway, shop[2]) == set()


def test_the_second_ctrl_c_does_not_wait_and_is_reported_as_unconfirmed(
    shop: Any, gateway: Gateway, tmp_path: Path
) -> None:
    gateway.go.clear()
    heard = tmp_path / "heard"
    process = child(
        tmp_path,
        gateway,
        f"""
        from ai302_core._stopping import SignalStop
        hear = SignalStop.heard
        def heard(stop, *given):
            hear(stop, *given)
            Path({str(heard)!r}).touch()
        SignalStop.heard = heard
        SyncDriver(transport, ledger).pay(submit('x'))
        """,
    )
    until(lambda: gateway.paid)
    process.send_signal(signal.SIGINT)
    until(heard.exists)  # two that come as one would be one
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert [job.status for job in shop[2].jobs()] == [Status.UNCONFIRMED]
    assert len(gateway.paid) == 1


@pytest.mark.parametrize(("twice", "once"), [("ledger.claim", ""), ("transport.send", "ledger.job")])
def test_a_ctrl_c_that_no_flow_can_hear_leaves_no_row_that_only_its_process_may_settle(
    gateway: Gateway, tmp_path: Path, twice: str, once: str
) -> None:
    """When the row is made, before anything goes out; and the third, while the second's row is being settled."""
    process = child(
        tmp_path,
        gateway,
        f"""
        def pressing(owner, name, times):
            work = getattr(owner, name)
            def pressed(*given, **named):
                setattr(owner, name, work)
                outcome = work(*given, **named)
                for _ in range(times):
                    signal.raise_signal(signal.SIGINT)
                return outcome
            setattr(owner, name, pressed)

        import signal
        for where, times in (({twice!r}, 2), ({once!r}, 1)):
            if where:
                pressing({{"ledger": ledger, "transport": transport}}[where.split(".")[0]], where.split(".")[1], times)
        try:
            SyncDriver(transport, ledger).pay(submit("x"))
        except KeyboardInterrupt:
            print([job.status.value for job in ledger.jobs()])
        """,
    )
    out, err = process.communicate(timeout=60)
    assert out.strip() == "['unconfirmed']", err
    assert len(gateway.paid) == (1 if once else 0)


@pytest.mark.parametrize("theirs", [False, True], ids=["ours", "theirs"])
def test_a_ctrl_c_that_no_flow_can_hear_leaves_no_window_that_nobody_answers(
    gateway: Gateway, tmp_path: Path, theirs: bool
) -> None:
    """The row is settled by who took it; somebody else's answer is under way, and its receipt will come."""
    process = child(
        tmp_path,
        gateway,
        f"""
        import signal
        from ai302_core._flows import acting
        from ai302_core.jobs import Action, Status

        job = SyncDriver(transport, ledger).run(submit("x"))
        action = Action(name="continue", operation="answer")
        job = ledger.write(replace(job, status=Status.INPUT_REQUIRED, actions=(action,)))
        if {theirs}:
            ledger.reopen(job.id, Status.INPUT_REQUIRED)
        def pressing(name, times):
            work = getattr(ledger, name)
            def pressed(*given):
                setattr(ledger, name, work)
                outcome = work(*given)
                for _ in range(times):
                    signal.raise_signal(signal.SIGINT)
                return outcome
            setattr(ledger, name, pressed)
        pressing("reopen", 1 if {theirs} else 2)
        if {theirs}:
            pressing("job", 1)  # by which it is read as they left it
        try:
            SyncDriver(transport, ledger).pay(acting.answer(account, job))
        except KeyboardInterrupt:
            stands = ledger.job(job.id)
            print(stands.status.value, stands.remote_id, [entry.name for entry in stands.actions])
        """,
    )
    out, err = process.communicate(timeout=60)
    assert out.strip() == f"{'submitting' if theirs else 'unconfirmed'} 1000 ['continue']", out + err
    assert len(gateway.paid) == 1


def test_ctrl_c_under_asyncio_run_loses_no_receipt(shop: Any, gateway: Gateway, tmp_path: Path) -> None:
    gateway.delay = 0.3
    process = child(
        tmp_path,
        gateway,
        """
        async def main():
            driver = AsyncDriver(transport, ledger)
            await asyncio.gather(*[driver.pay(partial(submit, str(n))) for n in range(8)])
        asyncio.run(main())
        """,
    )
    until(lambda: len(gateway.paid) == 8)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert (len(gateway.paid), lost(gateway, shop[2])) == (8, set())


def test_a_kill_during_the_submit_is_reported_as_unconfirmed(shop: Any, gateway: Gateway, tmp_path: Path) -> None:
    gateway.go.clear()
    process = child(tmp_path, gateway, "SyncDriver(transport, ledger).pay(submit('x'))")
    until(lambda: gateway.paid)
    assert [job.status for job in shop[2].jobs()] == [Status.SUBMITTING], "its owner still lives"
    process.kill()
    process.communicate(timeout=30)
    assert [job.status for job in shop[2].jobs()] == [Status.UNCONFIRMED]


def test_a_stop_before_paying_takes_the_intent_back(shop: Any, gateway: Gateway) -> None:
    account, transport, ledger = shop
    stop = Stop()
    stop.ask()
    with pytest.raises(Interrupted):
        SyncDriver(transport, ledger).pay(submitting.submit(account, ImageRequest("x"), Order()), stop)
    assert (gateway.paid, [job.status for job in ledger.jobs()]) == ([], [Status.REFUSED])


def test_many_threads_share_a_driver(shop: Any, gateway: Gateway) -> None:
    account, transport, ledger = shop
    driver = SyncDriver(transport, ledger)
    threads = [
        threading.Thread(target=lambda n=n: driver.pay(submitting.submit(account, ImageRequest(f"{n}"), Order())))
        for n in range(24)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(receipts(ledger)) == len(gateway.paid) == 24


def test_a_busy_key_waits_for_the_first_receipt(shop: Any, gateway: Gateway) -> None:
    account, transport, ledger = shop
    driver = SyncDriver(transport, ledger)
    found: list[str] = []

    def buy() -> None:
        flow = submitting.submit(account, ImageRequest("x"), Order(key="k"))
        found.append(driver.pay(flow).remote_id or "")

    threads = [threading.Thread(target=buy) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (len(gateway.paid), set(found)) == (1, {"1000"})


def test_a_cancel_that_meets_a_failure_of_the_disk_is_not_forgotten(shop: Any) -> None:
    _, transport, ledger = shop
    begun, fails = threading.Event(), threading.Event()
    went_on: list[bool] = []

    def failing() -> None:
        begun.set()
        fails.wait(60)
        raise OSError("the disk is full")

    def flow() -> Flow[None]:
        try:
            yield from Save(failing)
        except OSError:
            went_on.append((yield from Save(lambda: True)))

    async def main() -> None:
        task = asyncio.create_task(AsyncDriver(transport, ledger).run(flow()))
        await asyncio.to_thread(begun.wait, 60)
        task.cancel()
        await asyncio.sleep(0)
        fails.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert went_on == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_both_sides_of_a_fork_buy(shop: Any, gateway: Gateway) -> None:
    account, transport, ledger = shop
    driver = SyncDriver(transport, ledger)
    driver.pay(submitting.submit(account, ImageRequest("before"), Order()))
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            driver.pay(submitting.submit(account, ImageRequest("child"), Order()))
            code = 0
        finally:
            os._exit(code)
    driver.pay(submitting.submit(account, ImageRequest("parent"), Order()))
    assert os.waitpid(pid, 0)[1] == 0
    assert (len(gateway.paid), lost(gateway, ledger)) == (3, set())


def test_a_full_disk_after_the_yes_still_hands_over_the_job(
    shop: Any, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ai302_core.errors import LedgerError

    account, transport, ledger = shop
    real = type(ledger).write

    def full(self: Any, job: Any, reply: bytes = b"") -> Any:
        if job.status is Status.QUEUED and not healed:
            raise LedgerError("The disk is full.")
        return real(self, job, reply)

    healed: list[bool] = []
    monkeypatch.setattr(type(ledger), "write", full)
    job = SyncDriver(transport, ledger).pay(submitting.submit(account, ImageRequest("x"), Order()))
    assert (job.remote_id, job.warnings[-1].code) == (gateway.paid[0], "ledger")
    assert gateway.paid[0] in job.warnings[-1].message
    healed.append(True)
    ledger.write(job)
    assert receipts(ledger) == gateway.paid
