"""A synchronous answer that is the sound itself (wire/families.md, ElevenLabs native, 2026-11-21)."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as member
from typing import ClassVar

from ai302_core.family import Family, Operation, Request, audio, field, hookimpl, post


@dataclass(frozen=True, kw_only=True)
class MusicRequest(Request):
    """Music from words; length in seconds."""

    kind: ClassVar[str] = "audio"

    prompt: str = member(kw_only=False)
    length: float | None = None


_FAMILY = Family(
    "elevenlabs_music",
    api=1,
    base_url="https://api.302.ai",
    operations=(
        Operation(
            "music",
            request=MusicRequest,
            submit=post("/elevenlabs/music"),
            body={"prompt": field("prompt"), "music_length_ms": field("length", lambda seconds: round(seconds * 1000))},
            assets=(audio("url"),),
        ),
    ),
)


@hookimpl
def ai302_family() -> Family:
    """The record of elevenlabs_music."""
    return _FAMILY
