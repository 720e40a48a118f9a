"""From a call to its header lines, from an answer to a Reply: the key put in, and cut out again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ai302_core._steps import Call, Reply
from ai302_core._version import VERSION

from . import bodies

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
    if len(key) >= 6:
        body = body.replace(key.encode(), b"***")
        if key in "\n".join(headers.values()):
            headers = {name: value.replace(key, "***") for name, value in headers.items()}
    return Reply(status, headers, body)
