"""302.AI's upload door, the same for every family on its hosts (wire/302ai.md 7; 2026-11-21)."""

from __future__ import annotations

from decimal import Decimal

from ai302_core._files.sniffing import HEAD, sniff

from .vocabulary import Answer, Incoming, Route, bearer, refusal_302ai
from .world import World

__all__ = ["UPLOADS"]

PRICE = Decimal("0.001")
LARGEST = 50 * 2**20
"""Bytes a file may have: the page says 50 MB, which this reads in the sender's favour."""


def _upload(world: World, incoming: Incoming) -> Answer:
    if bearer(incoming) != world.key:
        return refusal_302ai(401, -10001)
    if fault := incoming.fault_is("refused"):
        return _no(fault.option("code", 500), fault.option("message", "上传失败"))
    if world.balance < PRICE:
        return refusal_302ai(402, -10004)  # the HTTP status is documented nowhere
    file = next((part for part in incoming.form() if part.name == "file" and part.file_name is not None), None)
    # That another code is an error in HTTP 200 is known; which codes there are is not.
    if file is None or not file.content:
        return _no(400, "file is required")
    if len(file.content) > LARGEST:
        return refusal_302ai(413, -10011)
    world.balance -= PRICE
    world.uploads += 1
    media_type, suffix = sniff(file.content[:HEAD]) or (file.media_type or "application/octet-stream", ".bin")
    content = file.content
    link = world.publish(lambda: content, suffix.removeprefix("."), media_type)
    if incoming.fault_is("no_link"):
        return Answer(200, {"code": 200, "data": "", "message": "success"})
    return Answer(200, {"code": 200, "data": link, "message": "success"})


def _no(code: int, message: str) -> Answer:
    return Answer(200, {"code": code, "data": None, "message": message})


UPLOADS = (
    Route(name="upload", method="POST", path="/302/upload-file", handler=_upload, faults=("refused", "no_link")),
)
