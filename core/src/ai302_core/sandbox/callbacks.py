"""The callbacks of the sandbox: told when they are due on its clock, and spoiled as a fault script says."""

from __future__ import annotations

import heapq
import http.client
import ipaddress
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ai302_core import _threads

if TYPE_CHECKING:
    from .faults import FaultBook
    from .world import World

__all__ = ["Agenda", "Teller", "Told"]

TIMEOUT = 5.0


@dataclass(frozen=True)
class Told:
    """One callback that left. `status` is what its receiver answered; 0: nothing, or it is not on this machine."""

    url: str
    body: Any
    status: int


@dataclass(order=True)
class Due:
    """One callback to come: at `at` it tells what was true at `moment`; `make` may then have nothing to tell."""

    at: float
    number: int
    url: str = field(compare=False)
    make: Callable[[], Any] = field(compare=False)
    moment: float = field(compare=False)
    again: tuple[float, ...] = field(compare=False, default=())
    spoiled: bool = field(compare=False, default=False)


class Agenda:
    """Callbacks by the moment they are due; every call is made under the world's lock."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.changed = threading.Event()
        self._heap: list[Due] = []
        self._count = 0

    def add(self, url: str, at: float, make: Callable[[], Any], again: tuple[float, ...] = ()) -> None:
        """Plan one. `again`: seconds after which it is repeated, one by one, unless it was answered with 200."""
        self._count += 1
        self.push(Due(at, self._count, url, make, at, again))

    def push(self, due: Due) -> None:
        """Plan one as it is."""
        heapq.heappush(self._heap, due)
        self.changed.set()

    def next(self, now: float) -> Due | None:
        """The first that is due, taken off."""
        return heapq.heappop(self._heap) if self._heap and self._heap[0].at <= now else None

    def wait(self, now: float) -> float | None:
        """Sandbox seconds until one is due; None: none is planned."""
        return max(0.0, self._heap[0].at - now) if self._heap else None

    def follower(self, url: str) -> Due | None:
        """The next one to the same address."""
        return min((entry for entry in self._heap if entry.url == url), default=None)


class Teller:
    """The thread that sends them."""

    def __init__(self, world: World, book: FaultBook) -> None:
        self._world, self._book, self._agenda = world, book, world.callbacks
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="gen302-callbacks", daemon=True)
        with _threads.deaf():
            self._thread.start()

    def stop(self) -> None:
        """Send no more; returns when the thread has ended."""
        self._stopping = True
        self._agenda.changed.set()
        self._thread.join(TIMEOUT + 1)

    def _run(self) -> None:
        while not self._stopping:
            self._agenda.changed.clear()
            with self._world.lock:
                due = self._agenda.next(self._world.now())
                calls = [] if due is None else self._calls(due)
                wait = self._agenda.wait(self._world.now())
                speed = self._world.speed
            for url, body in calls:
                self._tell(url, body, due)
            if due is None:
                self._agenda.changed.wait(None if wait is None or not speed else wait / speed)

    def _calls(self, due: Due) -> list[tuple[str, Any]]:
        """What goes out now, (address, body), after a fault had its way."""
        with self._world.at(due.moment):
            body = due.make()
        if body is None:
            return []
        fault = None if due.spoiled else self._book.take_callback()
        if fault is None:
            return [(due.url, body)]
        match fault.kind:
            case "missing":
                return []
            case "duplicate":
                return [(due.url, body), (due.url, body)]
            case "late":
                later = self._world.now() + float(fault.option("seconds", 5.0))
                self._agenda.push(replace(due, at=later, spoiled=True))
                return []
            case "reorder" if (after := self._agenda.follower(due.url)) is not None:
                self._agenda.push(replace(due, at=after.at, number=after.number + 1, spoiled=True))
                return []
            case "forge":
                url = due.url.rpartition("/")[0] + "/" + fault.option("job", due.url.rpartition("/")[2])
                forged = {**body, **fault.option("members", {})} if isinstance(body, Mapping) else body
                return [(url, forged), (due.url, body)]
        return [(due.url, body)]

    def _tell(self, url: str, body: Any, due: Due | None) -> None:
        status = _posted(url, body)
        with self._world.lock:
            self._agenda.told.append(Told(url, body, status))
            if due is not None and due.again and status != 200:
                later = self._world.now() + due.again[0]
                self._agenda.push(replace(due, at=later, again=due.again[1:], spoiled=True))


def _posted(url: str, body: Any) -> int:
    """The status of the answer; 0 without one. Only this machine is called: an address may be a live one's."""
    parts = urlsplit(url)
    try:
        if parts.hostname != "localhost" and not ipaddress.ip_address(parts.hostname or "").is_loopback:
            return 0
        secure = parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        line = kind(parts.hostname or "", parts.port, timeout=TIMEOUT)
        try:
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            content = json.dumps(body, ensure_ascii=False).encode()
            line.request("POST", path, content, {"content-type": "application/json"})
            return line.getresponse().status
        finally:
            line.close()
    except (OSError, ValueError, http.client.HTTPException):
        return 0
