"""A load server in a process of its own: Midjourney's wire shapes from plain asyncio, faster than any client beside it.

    python -m benchmarks.server --polls 3         a task is done at its third look
    python -m benchmarks.server --seconds 20      or so long after its submit
    python -m benchmarks.server --delay 0.05      every answer takes so long
    python -m benchmarks.server --size 1000000 --rate 125000000    a file, over a line of a gigabit

Prints its address. `GET /stats` tells what it saw: sockets at once, submits, looks, how late each first saw the end;
`GET /times` when each submit came. A task it does not know begins at its first look.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import tempfile
import time
from collections import Counter
from typing import Any

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


class World:
    """The tasks, and what was seen of them."""

    def __init__(self, polls: int, seconds: float, delay: float, size: int, rate: int) -> None:
        self.polls, self.seconds, self.delay, self.rate = polls, seconds, delay, rate
        # Ends as a PNG ends: a file that looks cut off is fetched twice before it is believed.
        content = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * (size // 256) + b"\0\0\0\0IEND\xaeB`\x82"
        self.file = tempfile.TemporaryFile()  # noqa: SIM115 - the system sends it, without a copy here, until the end
        self.file.write(content)
        self.file.flush()
        self.size = len(content)
        self.address = ""
        self.born: dict[str, float] = {}
        self.looks: Counter[str] = Counter()
        self.late: list[float] = []
        self.seen: dict[str, float] = {}
        self.widest = 0.0
        self.requests = self.sockets = self.most = self.submits = 0
        self.times: list[float] = []

    def answer(self, method: bytes, path: str, body: bytes) -> bytes:
        self.requests += 1
        if "/task/list-by-condition" in path:
            return _json([self.task(name) for name in json.loads(body)["ids"]])
        if "/task/" in path:
            return _json(self.task(path.split("/")[-2]))
        if "/submit/" in path:
            self.submits += 1
            self.times.append(time.time())
            name = f"{1_700_000_000_000_000 + self.submits}"
            self.born[name] = time.monotonic()
            return _json({"code": 1, "description": "ok", "result": name})
        if path.startswith("/file"):
            head = b'HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nETag: "one"\r\nContent-Length: %d\r\n\r\n'
            return head % self.size
        if path.startswith("/times"):
            return _json(self.times)
        if path.startswith("/stats"):
            return _json(self.stats())
        return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"

    def task(self, name: str) -> dict[str, Any]:
        now = time.monotonic()
        self.looks[name] += 1
        if name in self.seen:
            self.widest = max(self.widest, now - self.seen[name])
        self.seen[name] = now
        over = now - self.born.setdefault(name, now) - self.seconds
        done = self.looks[name] >= self.polls if self.polls else over >= 0
        if done and not self.polls:
            self.late.append(over)
        begun = 1763700000000 + int(name[-9:]) if name.isdigit() else 1763700000000  # no two of one moment
        document = {"id": name, "action": "IMAGINE", "prompt": "a lantern", "description": "Submit success",
                    "submitTime": begun, "startTime": begun + 1000, "properties": {"notifyHook": ""},
                    "buttons": [], "status": "IN_PROGRESS", "progress": "45%", "imageUrl": ""}  # fmt: skip
        if done:
            link = f"{self.address}/file/{name}.png"
            document |= {"status": "SUCCESS", "progress": "100%", "imageUrl": link, "imageUrls": [{"url": link}]}
        return document

    def stats(self) -> dict[str, Any]:
        late = sorted(self.late)
        return {
            "requests": self.requests,
            "sockets": self.most,
            "submits": self.submits,
            "looks": sum(self.looks.values()),
            "late_mean": sum(late) / len(late) if late else None,
            "late_most": late[-1] if late else None,
            "widest": self.widest,
            "submitting": self.times[-1] - self.times[0] if self.times else None,
        }


def _json(document: Any) -> bytes:
    body = json.dumps(document).encode()
    return _HEAD % len(body) + body


class Connection(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rest = b""
        self.sending: asyncio.Task[None] | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.world.sockets += 1
        self.world.most = max(self.world.most, self.world.sockets)

    def connection_lost(self, _: Exception | None) -> None:
        self.world.sockets -= 1

    def data_received(self, data: bytes) -> None:
        self.rest += data
        while (end := self.rest.find(b"\r\n\r\n")) >= 0:
            head = self.rest[:end]
            match = _LENGTH.search(head)
            stop = end + 4 + (int(match[1]) if match else 0)
            if len(self.rest) < stop:
                return
            body, self.rest = self.rest[end + 4 : stop], self.rest[stop:]
            method, path = head.split(b" ", 2)[:2]
            answer = self.world.answer(method, path.decode(), body)
            if self.world.delay:
                asyncio.get_running_loop().call_later(self.world.delay, self.transport.write, answer)
            else:
                self.transport.write(answer)
            if path.startswith(b"/file") and method == b"GET":
                self.sending = asyncio.create_task(self.send_file())

    async def send_file(self) -> None:
        loop, world = asyncio.get_running_loop(), self.world
        step = world.rate // 100 or world.size
        start = loop.time()
        with contextlib.suppress(ConnectionError):
            for at in range(0, world.size, step):
                await loop.sendfile(self.transport, world.file, at, min(step, world.size - at))
                if world.rate:
                    await asyncio.sleep(start + (at + step) / world.rate - loop.time())


async def serve(world: World) -> None:
    """Answer until killed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(world), "127.0.0.1", 0, backlog=1024)
    world.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    print(world.address, flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--polls", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--rate", type=int, default=0)
    options = parser.parse_args()
    asyncio.run(serve(World(options.polls, options.seconds, options.delay, options.size, options.rate)))
