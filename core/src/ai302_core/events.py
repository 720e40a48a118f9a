"""What observers hear: typed events of a job's life. Frozen data, no I/O, no key, no picture content.

An observer is a module with `@hookimpl def ai302_event(event)`, named by an entry point of the group
`ai302_core.observers` and switched on by its name: `observers = ["logging"]` in gen302.toml.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pluggy

from .jobs import Job, Notice

__all__ = ["Event", "Saved", "Settled", "Submitted", "Updated", "Warned", "hookimpl"]

hookimpl = pluggy.HookimplMarker("ai302_core")


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to a job, after the ledger knows of it.

    job  the snapshot after it
    """

    job: Job


@dataclass(frozen=True, kw_only=True)
class Submitted(Event):
    """A submit was accepted, or nobody knows whether it was: `job.status` says which."""


@dataclass(frozen=True, kw_only=True)
class Updated(Event):
    """A look saw something new: another status, progress, files or a message."""


@dataclass(frozen=True, kw_only=True)
class Settled(Event):
    """Nothing more will happen to the job: it succeeded, failed, was canceled, refused or given up."""


@dataclass(frozen=True, kw_only=True)
class Saved(Event):
    """Files of the job were put on disk.

    files  their paths
    """

    files: tuple[Path, ...]


@dataclass(frozen=True, kw_only=True)
class Warned(Event):
    """The job has a new warning.

    notice  what it says
    """

    notice: Notice
