"""What the library costs beside the same requests by hand with httpx: one submit, three looks, read; with a ledger too."""

from __future__ import annotations

import os
import tempfile
import time

import httpx

from ai302_core import ImageRequest, Job, connect

from .measuring import Row, cpu, in_turn, server, settings, told

CYCLES = 60
ROUNDS = 7


def _watch(_: Job) -> None:
    """Whoever watches is shown the first look at once, not when the fastest jobs are usually done."""


def rows() -> list[Row]:
    """The figures."""
    with server("--polls", "3") as address, tempfile.TemporaryDirectory() as folder:
        config = settings(address, poll={"initial": 0.01, "maximum": 0.01})
        provider = connect(config=config, ledger="off")
        durable = connect(config=config, ledger=f"sqlite:///{folder}/ledger.db")
        key = os.environ["BENCH_KEY"]

        with httpx.Client(headers={"accept": "application/json", "mj-api-secret": key}) as client:

            def by_hand() -> None:
                for _ in range(CYCLES):
                    body = {"prompt": "a lantern", "botType": "MID_JOURNEY"}
                    answer = client.post(f"{address}/mj/submit/imagine", json=body, timeout=120).json()
                    assert answer["code"] == 1
                    while True:
                        time.sleep(0.01)
                        task = client.get(f"{address}/mj/task/{answer['result']}/fetch", timeout=30).json()
                        if task["status"] == "SUCCESS":
                            break
                    assert task["imageUrls"][0]["url"]

            def with_the_library() -> None:
                for _ in range(CYCLES):
                    assert provider.run(ImageRequest("a lantern"), on_update=_watch).images[0].url

            def with_a_ledger() -> None:
                for _ in range(CYCLES):
                    assert durable.run(ImageRequest("a lantern"), on_update=_watch).images[0].url

            least = in_turn([lambda: cpu(by_hand), lambda: cpu(with_the_library), lambda: cpu(with_a_ledger)], ROUNDS)
        hand, ours, recorded = (1000 * seconds / CYCLES for seconds in least)
        provider.close()
        durable.close()
    return [
        Row(
            what="a cycle (submit, 3 looks, result), ledger off: CPU",
            value=f"{ours:.2f} ms",
            beside=f"httpx by hand {hand:.2f} ms",
            ratio=ours / hand,
            goal="≤ 1.10×",
            met=ours / hand <= 1.10,
        ),
        Row(what="what the ledger adds to a cycle: CPU", value=f"{recorded - ours:.2f} ms"),
    ]


if __name__ == "__main__":
    told(rows())
