"""Observers: loaded by name, told of what the ledger has just been told, each alone, muted after failing."""

from __future__ import annotations

import importlib.metadata
import logging
import threading
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from ._plugins.installed import canonical
from .errors import ConfigError
from .events import Event, Saved, Settled, Submitted, Updated, Warned
from .jobs import Job, Status
from .ledger import FileRecord, Ledger

if TYPE_CHECKING:
    import pluggy

GROUP = "ai302_core.observers"
REMEMBERED = 1000
"""Settled jobs kept in mind where the ledger is off."""

Known: TypeAlias = tuple[Status, int, tuple[object, ...]]
"""What was told of a job: its status, how many warnings, what people see of it. No more: ten thousand may be open."""

_LOG = logging.getLogger("ai302_core.observers")


class Observers:
    """The observers of one configuration."""

    def __init__(self, hooks: dict[str, pluggy.PluginManager]) -> None:
        self._hooks = hooks
        self._lock = threading.Lock()

    def tell(self, event: Event) -> None:
        """Tell each; one that raises is named in the log and hears nothing more in this process."""
        for name, hooks in list(self._hooks.items()):
            try:
                hooks.hook.ai302_event(event=event)
            except (Exception, SystemExit) as problem:  # noqa: BLE001 - an observer never costs a job
                with self._lock:
                    self._hooks.pop(name, None)
                _LOG.warning("The observer %s failed and is muted: %s: %s", name, type(problem).__name__, problem)


def loaded(names: Sequence[str], allowed: Sequence[str] | None) -> Observers:
    """The observers of those names. Raises ConfigError for one that is not installed, not allowed, or broken."""
    import pluggy

    from . import hookspecs

    offered = {entry.name: entry for entry in importlib.metadata.entry_points(group=GROUP)}
    found: dict[str, pluggy.PluginManager] = {}
    for name in dict.fromkeys(names):
        entry = offered.get(name)
        if entry is None:
            near = get_close_matches(name, offered, 1)
            known = ", ".join(sorted(offered)) or "none"
            raise ConfigError(
                f"There is no observer {name!r}{f' (did you mean {near[0]!r}?)' if near else ''}; installed: {known}."
            )
        home = entry.dist.name if entry.dist else ""
        if allowed is not None and canonical(home) not in {"ai302-core", *map(canonical, allowed)}:
            raise ConfigError(
                f"The observer {name!r} is of {home}, which `plugins` in gen302.toml does not allow.",
                hint=f'plugins = ["{home}"]',
            )
        hooks = pluggy.PluginManager("ai302_core")
        hooks.add_hookspecs(hookspecs)
        try:
            hooks.register(entry.load(), name=name)
            hooks.check_pending()
        except ModuleNotFoundError as problem:
            extra = f'In the project\'s folder: pip install "./core[{name}]"' if home == "ai302-core" else ""
            raise ConfigError(
                f"The observer {name!r} needs the package {problem.name}.", hint=extra or f"Install {home} again."
            ) from None
        except (Exception, SystemExit) as problem:
            raise ConfigError(
                f"The observer {name!r} of {home} cannot be used: {type(problem).__name__}: {problem}",
                hint=f"Upgrade {home}, or take {name!r} out of `observers` in gen302.toml.",
            ) from problem
        found[name] = hooks
    return Observers(found)


class _Told:
    """A ledger that tells observers what it was told; everything else it does as before."""

    def __init__(self, ledger: Ledger, observers: Observers) -> None:
        self._ledger = ledger
        self._observers = observers
        self._last: dict[str, Known] = {}  # of open jobs
        self._over: dict[str, Job] = {}  # settled ones, where the ledger itself forgets them

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def write(self, job: Job, reply: bytes = b"") -> Job:
        """Record a snapshot, then tell of it."""
        before = self._before(job)
        return self._told(before, self._ledger.write(job, reply))

    def note(self, snapshots: Sequence[tuple[Job, bytes]]) -> list[Job]:
        """Note snapshots, then tell of each."""
        known = [self._before(job) for job, _ in snapshots]
        return list(map(self._told, known, self._ledger.note(snapshots)))

    def _before(self, job: Job) -> Known | None:
        known = self._last.get(job.id)
        if known is None and (told := self._known(job.id)) is not None:
            known = _of(told)
        return known

    def _told(self, before: Known | None, stands: Job) -> Job:
        for event in _events(before, stands):
            self._observers.tell(event)
        if not stands.status.settled:
            self._last[stands.id] = _of(stands)
            return stands
        self._last.pop(stands.id, None)
        if not self._ledger.durable:
            self._over[stands.id] = stands
            while len(self._over) > REMEMBERED:
                self._over.pop(next(iter(self._over)), None)
        return stands

    def add_files(self, job_id: str, files: Sequence[FileRecord]) -> None:
        """Record saved files, then tell of them."""
        self._ledger.add_files(job_id, files)
        job = self._known(job_id)
        if job is not None and files:
            self._observers.tell(Saved(job=job, files=tuple(Path(file.path) for file in files)))

    def _known(self, job_id: str) -> Job | None:
        """As it was told of before: in this process, or in another that shares the ledger."""
        return self._over.get(job_id) or self._ledger.job(job_id)


def told(ledger: Ledger, names: Sequence[str], allowed: Sequence[str] | None) -> Ledger:
    """The ledger, telling the observers of those names; without any, the ledger itself. Raises ConfigError."""
    return cast("Ledger", _Told(ledger, loaded(names, allowed))) if names else ledger


def _events(before: Known | None, job: Job) -> Iterator[Event]:
    status, told, shown = before or (None, 0, None)
    accepted = status is Status.SUBMITTING and job.status is not Status.SUBMITTING
    if accepted and job.status is not Status.REFUSED and job.submitted_at:
        yield Submitted(job=job)
    for notice in job.warnings[0 if accepted else told :]:
        yield Warned(job=job, notice=notice)
    if job.status.settled:
        if status is None or not status.settled:
            yield Settled(job=job)
    elif not accepted and status is not None and shown != _of(job)[2]:
        yield Updated(job=job)


def _of(job: Job) -> Known:
    return job.status, len(job.warnings), (job.status, job.progress, job.message, job.assets, job.actions)
