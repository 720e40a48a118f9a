"""A job at rest between two looks: what sets it apart from another of its kind, in bytes. No I/O.

Of ten thousand that wait, the collector of cycles walks through every member of every one each time it runs, and the
loop stands still meanwhile; bytes hold nothing to walk through, and take a sixth of the memory.
"""

from __future__ import annotations

import pickle
from datetime import datetime
from typing import Any, TypeAlias

from ai302_core._frozen import changed
from ai302_core.jobs import Job, Status

Apart: TypeAlias = bytes | dict[str, Any]
_PLAIN = frozenset({str, bool, int, float, datetime, Status})


def rested(job: Job, like: Job) -> Apart:
    """What sets `job` apart from `like`; as it is where a request cannot be written down."""
    other = vars(like)
    apart = {name: value for name, value in vars(job).items() if not _same(name, value, other[name])}
    try:
        return pickle.dumps(apart, 5)
    except Exception:  # noqa: BLE001 - a request holds what its caller put there
        return apart


def woken(apart: Apart, like: Job) -> Job:
    """The job again."""
    return changed(like, **(pickle.loads(apart) if isinstance(apart, bytes) else apart))  # noqa: S301 - our own bytes


def _same(name: str, value: Any, other: Any) -> bool:
    # Only what cannot be equal and different at once, as 1 and True are.
    plain = type(value) is type(other) and type(value) in _PLAIN
    return value is other or ((plain or name == "route") and bool(value == other))
