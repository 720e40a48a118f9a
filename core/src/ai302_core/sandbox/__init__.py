"""The local server that speaks the real wire formats, and the words with which a family says what its service answers.

Everything a family's `ai302_sandbox` needs is in `__all__`. Importing this needs no extra; `serve` needs `[sandbox]`.
"""

from __future__ import annotations

from .callbacks import Told
from .faults import CALLBACK_FAULTS, FAULTS, Fault
from .media import Look, clip, data_link, grid, picture_size, preview, tile
from .running import RunningSandbox, serve
from .vocabulary import (
    BANNED_WORD,
    Answer,
    Emulation,
    FormPart,
    Handler,
    Incoming,
    Route,
    bearer,
    kept_out_302ai,
    refusal_302ai,
)
from .world import Seen, Task, World

__all__ = [
    "BANNED_WORD",
    "CALLBACK_FAULTS",
    "FAULTS",
    "Answer",
    "Emulation",
    "Fault",
    "FormPart",
    "Handler",
    "Incoming",
    "Look",
    "Route",
    "RunningSandbox",
    "Seen",
    "Task",
    "Told",
    "World",
    "bearer",
    "clip",
    "data_link",
    "grid",
    "kept_out_302ai",
    "picture_size",
    "preview",
    "refusal_302ai",
    "serve",
    "tile",
]
