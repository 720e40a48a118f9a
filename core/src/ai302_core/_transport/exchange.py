"""From a call to its header lines, from its own answer to a Reply: the key put in, and cut out again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ai302_core._steps import Call, Reply
from ai302_core._version import VERSION

from . import bodies

_SHORTEST, _LONG = 6, 16  # characters of a key that is no word, and of one that nothing else holds by chance

USER_AGENT = f"ai302-core/{VERSION}"
"""What this library calls itself."""


def headers(call: Call) -> dict[str, str]:
    """The lines to send, the one with the key among them."""
    return {**call.headers, call.secret[0]: call.secret[1]} if call.secret else dict(call.headers)


def lines(call: Call) -> Iterator[tuple[str, str]]:
    """Every line of a request but its host's."""
    yield "User-Agent", USER_AGENT
    yield "Accept-Encoding", bodies.ACCEPTED
    yield from headers(call).items()
    if call.body or call.method != "GET":
        yield "Content-Length", str(len(call.body or b""))


async def listening(event: str, info: dict[str, Any]) -> None:
    """The `trace` of a call on an event loop, until its request goes out; what `Patience` is in a thread."""
    meaning = bodies.MEANINGS.get(event.partition(".")[2])
    if meaning == "connected":
        _listen(info["return_value"])
    elif meaning == "sending" and info["request"].method != b"CONNECT":
        info["request"].extensions.pop("trace", None)


def _listen(stream: Any) -> None:
    read, write = stream.read, stream.write

    async def heard(size: int, timeout: float | None = None) -> Any:
        piece = await read(size, timeout)
        stream.heard = True
        return piece

    async def written(content: bytes, timeout: float | None = None) -> None:
        stream.heard = False
        await write(content, timeout)

    stream.read, stream.write = heard, written


def check_own(extensions: Mapping[str, Any]) -> None:
    """Raise TooMuch for an answer of which nothing came after its request went out.

    Who answers twice leaves bytes on the connection that read like the answer to whatever is asked there next: the
    receipt of another job, which would lose this one's.
    """
    if not getattr(extensions.get("network_stream"), "heard", True):
        raise bodies.TooMuch("an answer was there before the request went out, so it belongs to another")


def told(lines: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """The lines of an answer by their names in lower case; of one name, joined by commas."""
    found: dict[str, str] = {}
    for raw, content in lines:
        name = raw.decode("latin-1").lower()
        try:
            value = content.decode()
        except UnicodeDecodeError:
            value = content.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def reply(call: Call, status: int, headers: dict[str, str], body: bytes) -> Reply:
    """The answer, the key cut out of it: some services repeat a wrong key in their error."""
    key = call.secret[1].split()[-1] if call.secret and call.secret[1].strip() else ""
    if len(key) >= _SHORTEST:
        body = _hidden(body, key)
        if key in "\n".join(headers.values()):
            headers = {name: value.replace(key, "***") for name, value in headers.items()}
    return Reply(status, headers, body)


def _hidden(body: bytes, key: str) -> bytes:
    secret = key.encode()
    if len(key) >= _LONG or secret not in body:
        return body.replace(secret, b"***")
    # The short key of one's own proxy may be part of a task's id, or the name of a member, by chance.
    return re.sub(rb"(?<![A-Za-z0-9])%b(?![A-Za-z0-9]|\"\s*:)" % re.escape(secret), b"***", body)
