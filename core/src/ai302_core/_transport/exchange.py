"""From a call to its header lines, from an answer to a Reply: the key put in, and cut out again."""

from __future__ import annotations

from collections.abc import Iterable

from ai302_core._steps import Call, Reply


def user_agent() -> str:
    """What this library calls itself."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"ai302-core/{version('ai302-core')}"
    except PackageNotFoundError:
        return "ai302-core"


def headers(call: Call) -> dict[str, str]:
    """The lines to send, the one with the key among them."""
    return {**call.headers, call.secret[0]: call.secret[1]} if call.secret else dict(call.headers)


def reply(call: Call, status: int, lines: Iterable[tuple[str, str]], body: bytes) -> Reply:
    """The answer, the key cut out of it: some services repeat a wrong key in their error."""
    told: dict[str, str] = {}
    for name, value in lines:
        name = name.lower()
        told[name] = f"{told[name]}, {value}" if name in told else value
    key = call.secret[1].split()[-1] if call.secret and call.secret[1].strip() else ""
    if len(key) >= 6:
        body = body.replace(key.encode(), b"***")
        told = {name: value.replace(key, "***") for name, value in told.items()}
    return Reply(status, told, body)
