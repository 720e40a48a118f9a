"""A thousand submits at once: beside the ideal of sixteen in flight, and beside sixteen threads that post by hand."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from typing import Any

import httpx

from ai302_core import ImageRequest, aconnect

from .measuring import Row, asked, server, settings, stats, told

COUNT, IN_FLIGHT, DELAY = 1000, 16, 0.05


async def _bought(address: str, ledger: str) -> dict[str, float]:
    """All of them by `run_many`; the following has not begun when the last is out."""
    config = settings(address, poll={"initial": 600, "maximum": 600})
    commits = 0

    def seen(statement: str) -> None:
        nonlocal commits
        commits += statement.startswith("COMMIT")

    async with aconnect(config=config, ledger=ledger) as provider:
        await provider.submit(ImageRequest("warm"))
        store: Any = getattr(provider._connection.ledger, "_store", None)
        if store is not None:
            store._writer.set_trace_callback(seen)
        before, cpu = stats(address)["submits"], time.process_time()
        outcomes = provider.run_many(ImageRequest(f"a lantern {n}") for n in range(COUNT))
        following = asyncio.ensure_future(anext(outcomes))
        until = time.monotonic() + 120
        while (await asyncio.to_thread(stats, address))["submits"] < before + COUNT:
            if time.monotonic() > until or following.done():
                raise SystemExit("the submits did not end")
            await asyncio.sleep(0.05)
        used = time.process_time() - cpu
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    times = asked(address, "times")
    return {"wall": times[-1] - times[before], "cpu": used, "commits": commits}


def _by_hand(address: str) -> dict[str, float]:
    """The same posts by sixteen threads, each with a client of httpx; nothing is written down."""
    rest, lock = iter(range(COUNT)), threading.Lock()
    body = b'{"prompt": "a lantern"}'

    def post() -> None:
        with httpx.Client() as client:
            while True:
                with lock:
                    if next(rest, None) is None:
                        return
                client.post(f"{address}/mj/submit/imagine", content=body).json()

    threads = [threading.Thread(target=post) for _ in range(IN_FLIGHT)]
    before, cpu = stats(address)["submits"], time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    used, times = time.process_time() - cpu, asked(address, "times")
    return {"wall": times[-1] - times[before], "cpu": used}


def rows() -> list[Row]:
    """The figures."""
    best: dict[str, dict[str, float]] = {}
    with server("--seconds", "600", "--delay", f"{DELAY}") as address, tempfile.TemporaryDirectory() as folder:
        for turn in range(2):
            for name, ledger in (("hand", None), ("off", "off"), ("ours", f"sqlite:///{folder}/ledger-{turn}.db")):
                seen = _by_hand(address) if ledger is None else asyncio.run(_bought(address, ledger))
                if name not in best or seen["wall"] < best[name]["wall"]:
                    best[name] = seen
        sockets = stats(address)["sockets"]
    ideal = COUNT / IN_FLIGHT * DELAY
    ours, hand, off = best["ours"], best["hand"], best["off"]
    return [
        Row(what="1,000 submits at once: the last went out after", value=f"{ours['wall']:.2f} s",
            beside=f"ideal {ideal:.2f} s", ratio=ours["wall"] / ideal, goal="≤ 1.10×",
            met=ours["wall"] <= 1.1 * ideal),
        Row(what="the same beside sixteen threads with httpx by hand", value=f"{ours['wall']:.2f} s",
            beside=f"{hand['wall']:.2f} s", ratio=ours["wall"] / hand["wall"]),
        Row(what="the same, ledger off", value=f"{off['wall']:.2f} s", beside=f"{hand['wall']:.2f} s",
            ratio=off["wall"] / hand["wall"]),
        Row(what="CPU a submit, intent and receipt durable", value=f"{1000 * ours['cpu'] / COUNT:.2f} ms",
            beside=f"by hand {1000 * hand['cpu'] / COUNT:.2f} ms", ratio=ours["cpu"] / hand["cpu"]),
        Row(what="sockets at once (one asks the server)", value=f"{sockets}", goal=f"≤ {IN_FLIGHT} + 1",
            met=sockets <= IN_FLIGHT + 1),
        Row(what="1,000 durable submits: commits", value=f"{ours['commits']:g}", beside="2,000 alone",
            ratio=ours["commits"] / 2000, goal="far fewer", met=ours["commits"] < 1500),
    ]  # fmt: skip


if __name__ == "__main__":
    told(rows())
