"""Children of one process, all alive at once: forked after the imports, let go together, stopped one by one.

Run as a program it takes one JSON order a line on stdin and answers each with one line; `Crowd` speaks to it.
"""

from __future__ import annotations

import faulthandler
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from ai302_core import ImageRequest, _clock, _http, _loopthread, _many, connect
from ai302_core.cli import _live as _live_line
from ai302_core.cli import batch, follow, jobs, make
from ai302_core.cli import main as command_main
from ai302_core.errors import Ai302Error

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
BEFORE_THE_FORKS = (_loopthread, _many, _live_line, batch, follow, jobs, make)
Order = dict[str, Any]


# --- what a child does


def submit(order: Order) -> Any:
    """One request, accepted: [job id, task id, codes of warnings]."""
    with connect(**order["connect"]) as provider:
        job = provider.submit(
            ImageRequest("a lamp"), key=order.get("key"), timeout=order.get("timeout", 60), save_to=order.get("save_to")
        )
        return [job.id, job.remote_id, [notice.code for notice in job.warnings]]


def resume(order: Order) -> Any:
    """What others left open: [job id, number of files] of each."""
    with connect(**order["connect"]) as provider:
        return [[outcome.job and outcome.job.id, len(outcome.files)] for outcome in provider.resume()]


def full_disk(order: Order) -> Any:
    """Buys on a disk that is full: before the intent, then between the answer and its receipt, then no more."""
    import resource

    def limit(size: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    sending = _http.Transport.send

    def filled(transport: Any, call: Any, **how: Any) -> Any:
        reply = sending(transport, call, **how)
        if how.get("paid"):
            limit(0)
        return reply

    told: list[Any] = []
    with connect(**order["connect"]) as provider:
        provider.submit(ImageRequest("a lamp"), key="before")
        limit(0)
        try:
            provider.submit(ImageRequest("a lamp"), key="intent")
        except Ai302Error as problem:
            told.append([type(problem).__name__, problem.billed])
        limit(resource.RLIM_INFINITY)
        _http.Transport.send = filled  # type: ignore[assignment,method-assign]
        job = provider.submit(ImageRequest("a lamp"), key="receipt")
        told.append([job.remote_id, [notice.code for notice in job.warnings]])
        _http.Transport.send = sending  # type: ignore[method-assign]
        limit(resource.RLIM_INFINITY)
        result = provider.wait(job)
        kept = provider.job("receipt")
        told.append([kept.status.value, kept.remote_id, len(result.images)])
    return told


def command(order: Order) -> Any:
    """A command as it is typed; its exit code."""
    return command_main(order["words"])


WORK: Mapping[str, Callable[[Order], Any]] = {work.__name__: work for work in (submit, resume, full_disk, command)}


def _live(order: Order, out: int, gate: int) -> None:
    """The whole life of a child; never returns."""
    os.environ.update(order["environment"])
    os.chdir(order["home"])
    # The parent's were pipes: what a child's are must be found out anew.
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(fd, mode) for fd, mode in enumerate("rww"))
    stacks = os.open(f"stacks-{os.getpid()}", os.O_CREAT | os.O_WRONLY, 0o600)
    faulthandler.register(signal.SIGUSR2, file=stacks)
    signal.signal(signal.SIGHUP, signal.SIG_IGN if order.get("nohup") else signal.SIG_DFL)  # whoever started the tests
    if skew := order.get("skew"):  # a machine whose clock is elsewhere
        (start, elapsed), wall = _clock._STARTED, time.time
        _clock._STARTED = start, elapsed - skew
        time.time = lambda: wall() + skew
    end: dict[str, Any] = {"told": None, "error": None}
    os.write(out, b"\n")  # alive, and at the gate
    os.read(gate, 1)
    try:
        end["told"] = WORK[order["work"]](order)
    except Ai302Error as problem:
        end["error"] = type(problem).__name__
    except BaseException as problem:
        end["error"] = f"!{type(problem).__name__}: {problem}"
    os.write(out, json.dumps(end).encode())
    os._exit(end["told"] if order["work"] == "command" and isinstance(end["told"], int) else 0)


# --- the process that forks them


class _Parent:
    """Everything that was forked, by name: pid, the pipe it tells on, its terminal or -1."""

    def __init__(self) -> None:
        self._gate, self._closed = os.pipe()
        self._children: dict[str, tuple[int, int, int]] = {}

    def start(self, order: Order) -> Any:
        reading, writing = os.pipe()
        pid, terminal = pty.fork() if order.get("terminal") else (os.fork(), -1)
        if pid == 0:
            os.close(reading)
            os.close(self._closed)
            nowhere = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2) if terminal == -1 and not order.get("terminal") else ():
                os.dup2(nowhere, stream)
            _live(order, writing, self._gate)
        os.close(writing)
        self._children[order["name"]] = pid, reading, terminal
        os.read(reading, 1)
        return pid

    def go(self, order: Order) -> Any:
        os.close(self._closed)
        self._gate, self._closed = os.pipe()

    def signal(self, order: Order) -> Any:
        os.kill(self._children[order["name"]][0], order["number"])

    def hang_up(self, order: Order) -> Any:
        os.close(self._children[order["name"]][2])

    def end(self, order: Order) -> Any:
        pid, reading, terminal = self._children[order["name"]]
        stacks = Path(order["home"], f"stacks-{pid}")
        deadline, text = time.monotonic() + order["patience"], b""
        while True:
            watched = [reading] if terminal < 0 or order.get("hung_up") else [reading, terminal]
            ready, _, _ = select.select(watched, (), (), max(0.0, deadline - time.monotonic()))
            if terminal in ready and terminal >= 0:
                try:
                    os.read(terminal, 65536)
                except OSError:  # the child has closed its side
                    terminal = -1
            elif not ready:
                if time.monotonic() >= deadline:
                    os.kill(pid, signal.SIGUSR2)
                    time.sleep(1)
                    os.kill(pid, signal.SIGKILL)
            elif piece := os.read(reading, 65536):
                text += piece
            else:
                break
        _, code = os.waitpid(pid, 0)
        told = json.loads(text) if text else {"told": None, "error": None}
        return {**told, "code": os.waitstatus_to_exitcode(code), "stacks": stacks.read_text("utf-8")}


def _serve() -> None:
    warm = {"default": "hero", "providers": {"hero": {"family": "midjourney"}}}
    with connect(config=warm, ledger=":memory:", api_key="sk-warm") as provider:
        provider.dry_run(ImageRequest("everything is imported before the first fork"))
    parent = _Parent()
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(getattr(parent, order["do"])(order)), flush=True)


# --- the test's side


class Crowd:
    """The process that forks; a context manager. `within` is the command that starts it, such as `unshare`."""

    def __init__(self, common: Mapping[str, Any], within: Sequence[str] = ()) -> None:
        self._common = dict(common)
        self._process = subprocess.Popen(
            [*within, sys.executable, "-m", "tests.faults.crowd"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def start(self, name: str, work: str, **order: Any) -> None:
        """A child called `name`, ready to work."""
        self._ask("start", name=name, work=work, **self._common, **order)

    def go(self) -> None:
        """Let every child that waits begin, at the same instant."""
        self._ask("go")

    def signal(self, name: str, number: int) -> None:
        """Send one of them a signal."""
        self._ask("signal", name=name, number=int(number))

    def hang_up(self, name: str) -> None:
        """Close the terminal of one."""
        self._ask("hang_up", name=name)

    def end(self, name: str, *, hung_up: bool = False) -> Any:
        """What one has told, and how it ended: told, error, code. Fails, with its stacks, when it does not end."""
        end = self._ask("end", name=name, home=self._common["home"], patience=PATIENCE, hung_up=hung_up)
        assert not end["stacks"], f"{name} did not end within {PATIENCE:.0f} s:\n{end['stacks']}"
        return end

    def _ask(self, do: str, **order: Any) -> Any:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps({"do": do, **order}) + "\n")
        stdin.flush()
        ready, _, _ = select.select([stdout], (), (), PATIENCE + 30)
        line = stdout.readline() if ready else ""
        assert line, f"the crowd's process has nothing to say to {do}"
        return json.loads(line)

    def __enter__(self) -> Crowd:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait(30)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


if __name__ == "__main__":
    _serve()
