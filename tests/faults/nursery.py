"""A process that forks children which do paid work and die of SIGKILL where they are told.

Run as a program: one JSON order a line on stdin, one JSON account a line on stdout. Everything is imported before the
first fork, and nothing runs in this process but the forking, so that a child costs milliseconds.

An order:   {"work": name of a function below, "environment": {}, …its arguments}; "kill_at", the number
            of a boundary, or "kill_on", its name; "mutant" breaks the child's engine first
An account: {"boundaries": [names met], "told": what the work returned, "error": [type, message], "killed": bool}
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import httpx

from ai302_core import ImageRequest, Job, Provider, _drivers, _http, _loopthread, _many, aconnect, connect
from ai302_core._sqlite import store
from ai302_core.cli import batch as batch_verb
from ai302_core.cli import main as command
from ai302_core.errors import Ai302Error
from ai302_core.requests import Request

from .mutants import MUTANTS

Order = dict[str, Any]
LOADED = (_loopthread, _many, batch_verb)


class Life:
    """What one child has met so far; ends it at the boundary it is told."""

    def __init__(self, kill_at: int, kill_on: str, out: int) -> None:
        self._left, self._name, self._out = kill_at, kill_on, out

    def boundary(self, name: str) -> None:
        """One more; the name goes out before the kill, in one write."""
        os.write(self._out, f"{name}\n".encode())
        self._left -= 1
        if self._left == 0 or name == self._name:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, owner: Any, name: str, label: Callable[..., str]) -> None:
        """Boundaries before and after every call of `owner.name`."""
        real = getattr(owner, name)

        @wraps(real)
        def called(*arguments: Any, **named: Any) -> Any:
            said = label(*arguments, **named)
            self.boundary(f"before {said}")
            outcome = real(*arguments, **named)
            self.boundary(f"after {said}")
            return outcome

        @wraps(real)
        async def awaited(*arguments: Any, **named: Any) -> Any:
            said = label(*arguments, **named)
            self.boundary(f"before {said}")
            outcome = await real(*arguments, **named)
            self.boundary(f"after {said}")
            return outcome

        setattr(owner, name, awaited if asyncio.iscoroutinefunction(real) else called)

    def between_pieces(self) -> None:
        """A boundary before every piece of a body."""
        real = httpx.Response.iter_raw

        def pieces(response: httpx.Response, chunk_size: int | None = None) -> Iterator[bytes]:
            for piece in real(response, 16384 if response.request.method == "GET" else chunk_size):
                self.boundary("before a piece of a body")
                yield piece

        httpx.Response.iter_raw = pieces  # type: ignore[assignment,method-assign]

    def watch(self) -> None:
        """Every step, request, ledger write and change of a file name is a boundary from now on."""
        self.around(_drivers.SyncDriver, "perform", lambda driver, step, *rest: f"step {type(step).__name__}")
        self.around(_drivers.AsyncDriver, "_perform", lambda driver, step: f"step {type(step).__name__}")
        self.around(_http.Transport, "send", lambda transport, call, **how: f"request {call.purpose}")
        self.around(_http.Transport, "send_async", lambda transport, call, **how: f"request {call.purpose}")
        self.around(store.Store, "write", lambda *_, **how: "ledger write")
        for name in ("fsync", "replace", "rename", "link", "unlink"):
            self.around(os, name, lambda *_, name=name, **how: name)
        self.between_pieces()


def _request(order: Order) -> Request:
    return Request.from_json(order["request"])


def _told(job: Job | None, files: Any) -> dict[str, Any]:
    status = job.status.value if job is not None else ""
    return {"status": status, "remote_id": job.remote_id if job else None, "files": sorted(map(str, files))}


def run(order: Order) -> Any:
    """One request, to its files."""
    with connect(**order["connect"]) as provider:
        result = provider.run(_request(order), key=order["key"], save_to=order["save_to"])
        return _told(result.job, result.files)


def submit(order: Order) -> Any:
    """One request, accepted."""
    with connect(**order["connect"]) as provider:
        return _told(provider.submit(_request(order), key=order["key"], save_to=order.get("save_to")), ())


def arun(order: Order) -> Any:
    """The same, async."""

    async def main() -> Any:
        async with aconnect(**order["connect"]) as provider:
            result = await provider.run(_request(order), key=order["key"], save_to=order["save_to"])
            return _told(result.job, result.files)

    return asyncio.run(main())


def canceled(order: Order) -> Any:
    """The same, and its caller is canceled as soon as the file `sign` is there; then `asyncio.run` ends."""
    sign = Path(order["sign"])

    async def main() -> None:
        provider = aconnect(**order["connect"])
        call = asyncio.create_task(provider.run(_request(order), key=order["key"], save_to=order["save_to"]))
        while not sign.exists():
            await asyncio.sleep(0.002)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)

    asyncio.run(main())


def run_many(order: Order) -> Any:
    """As many requests as `count` says, under keys of their own."""
    requests = {f"{order['key']}-{number}": _request(order) for number in range(order["count"])}
    with connect(**order["connect"]) as provider:
        return [
            [outcome.key, type(outcome.error).__name__ if outcome.error else "", len(outcome.files)]
            for outcome in provider.run_many(requests, save_to=order["save_to"])
        ]


def resume(order: Order) -> Any:
    """What another process left open."""
    with connect(**order["connect"]) as provider:
        return [
            [outcome.key, type(outcome.error).__name__ if outcome.error else "", len(outcome.files)]
            for outcome in provider.resume()
        ]


def batch(order: Order) -> Any:
    """A command as it is typed, unseen; its exit code."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    return command(order["words"])


def jobs(order: Order) -> Any:
    """Every row of the ledger."""
    with connect(**order["connect"]) as provider:
        return [[job.key, job.status.value, job.remote_id] for job in provider.jobs()]


def reconcile(order: Order) -> Any:
    """Settle the job of a key as its owner says."""
    with connect(**order["connect"]) as provider:
        job = _held(provider, order["key"])
        return _told(provider.reconcile(job, **order["how"]), ())


def _held(provider: Provider, key: str) -> Job:
    return provider.job(key)


WORK: dict[str, Callable[[Order], Any]] = {
    work.__name__: work for work in (run, submit, arun, canceled, run_many, batch, resume, jobs, reconcile)
}


def _live(order: Order, out: int) -> None:
    """The whole life of a child; never returns."""
    os.environ.update(order["environment"])
    Path(order["home"]).mkdir(parents=True, exist_ok=True)
    os.chdir(order["home"])
    if order.get("mutant"):
        MUTANTS[order["mutant"]]()
    if order.get("watched", True):
        Life(order.get("kill_at", 0), order.get("kill_on", ""), out).watch()
    end: dict[str, Any] = {"told": None, "error": None}
    try:
        end["told"] = WORK[order["work"]](order)
    except Ai302Error as problem:
        end["error"] = [type(problem).__name__, str(problem)]
    except BaseException as problem:
        end["error"] = [f"!{type(problem).__name__}", str(problem)]
    os.write(out, f"={json.dumps(end)}\n".encode())
    _drain()
    os._exit(0)


def _drain() -> None:
    """What the end of an interpreter waits for: threads that still write their receipts."""
    threading._shutdown()  # type: ignore[attr-defined]


@contextmanager
def child(order: Order) -> Iterator[tuple[int, int]]:
    """A forked child at work: its pid, and the pipe on which it tells what it meets."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _live(order, writing)
    os.close(writing)
    try:
        yield pid, reading
    finally:
        os.close(reading)


def account(order: Order) -> dict[str, Any]:
    """Let a child live, kill it after `seconds` of its life if the order says so, and tell what it met."""
    with child(order) as (pid, reading):
        if order.get("seconds"):
            signal.setitimer(signal.ITIMER_REAL, order["seconds"])
            signal.signal(signal.SIGALRM, lambda *_: os.kill(pid, signal.SIGKILL))
        text = b""
        while piece := os.read(reading, 65536):
            text += piece
        signal.setitimer(signal.ITIMER_REAL, 0)
        _, code = os.waitpid(pid, 0)
    met, _, end = text.decode().partition("\n=") if not text.startswith(b"=") else ("", "", text.decode()[1:])
    told = json.loads(end) if end else {"told": None, "error": None}
    names = [name for name in met.splitlines() if name]
    return {"boundaries": names, "killed": os.WIFSIGNALED(code), **told}


def main() -> None:
    """Serve until stdin ends."""
    warm = {"default": "hero", "providers": {"hero": {"family": "midjourney"}}}
    with connect(config=warm, ledger=":memory:", api_key="sk-warm") as provider:
        provider.dry_run(ImageRequest("what is loaded late is loaded before the first fork"))
    for line in sys.stdin:
        print(json.dumps(account(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
