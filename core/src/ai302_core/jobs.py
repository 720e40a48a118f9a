"""Jobs, results and what surrounds them: frozen snapshots with an exact JSON form. No I/O."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from ._vocabulary import Rule
from .assets import Asset, from_iso, to_iso
from .errors import Ai302Error, Billed
from .money import UNKNOWN, Cost, Money
from .requests import Request

__all__ = ["Action", "Cost", "Job", "Model", "Money", "Notice", "Outcome", "Preview", "Result", "Status"]


class Status(StrEnum):
    """Where a job stands. `settled` statuses never change again."""

    SUBMITTING = "submitting"
    QUEUED = "queued"
    RUNNING = "running"
    INPUT_REQUIRED = "input_required"
    UNCONFIRMED = "unconfirmed"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    REFUSED = "refused"
    ABANDONED = "abandoned"

    @property
    def settled(self) -> bool:
        """Whether nothing more will happen to the job."""
        return self in _SETTLED

    @property
    def followed(self) -> bool:
        """Whether looking at the job again can tell something new."""
        return self in _FOLLOWED


_SETTLED = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELED, Status.REFUSED, Status.ABANDONED})
_FOLLOWED = frozenset({Status.QUEUED, Status.RUNNING})


@dataclass(frozen=True, kw_only=True)
class Notice:
    """Something worth knowing that stops nothing.

    code     a stable word, such as "unknown_status"
    message  one sentence
    field    the request field it speaks of, or ""
    """

    code: str
    message: str
    field: str = ""


@dataclass(frozen=True, kw_only=True)
class Action:
    """Something a finished job offers, such as "upscale-2".

    name, label  ours and the service's; `act` takes either
    needs        fields `act` must be given, such as ("mask",)
    operation    the operation that a press starts
    values       what the press carries on the wire
    once, jobs   pressing again makes nothing new: the first job answers; how many jobs one press starts, see `act_all`
    """

    name: str
    label: str = ""
    needs: tuple[str, ...] = ()
    operation: str = "action"
    values: Mapping[str, Any] = field(default_factory=dict, hash=False)
    once: bool = False
    jobs: int = 1


@dataclass(frozen=True, kw_only=True)
class Job:
    """A snapshot of one paid intention; every call returns a new one.

    id           ours, made before the submit
    key          the caller's name for the intention, or None
    attempt      1, or more after `again=True`
    remote_id    the service's name of the task, or None while unknown
    request_id   the service's name of the submit's request, or None; `cost_request_ids`: of those it billed, if it says
    cost         what is known of it; `Provider.cost` asks
    route        what chose the endpoint, for later looks
    request      what was asked, pictures given as files reduced to MediaRef; None for an adopted job
    parent       the id of the job whose action was pressed, or None
    sandbox      made by the local sandbox: no money
    progress     0..1, or None when the service does not say
    needs        fields that an answer to INPUT_REQUIRED takes; `answered` once one was accepted
    assets       what it yielded so far
    raw          the service's last reply (JSON), or None
    *_at         aware UTC
    """

    id: str
    provider: str
    family: str
    operation: str
    status: Status
    created_at: datetime
    key: str | None = None
    attempt: int = 1
    remote_id: str | None = None
    request_id: str | None = None
    cost_request_ids: tuple[str, ...] = ()
    cost: Cost = UNKNOWN
    gateway: str = ""
    base_url: str = ""
    route: Mapping[str, str] = field(default_factory=dict, hash=False)
    request: Request | None = None
    parent: str | None = None
    sandbox: bool = False
    progress: float | None = None
    message: str = ""
    code: str = ""
    warnings: tuple[Notice, ...] = ()
    actions: tuple[Action, ...] = ()
    needs: tuple[str, ...] = ()
    answered: bool = False
    billed: Billed = "unknown"
    submitted_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    assets: tuple[Asset, ...] = ()
    raw: Any = field(default=None, repr=False, hash=False)

    def __repr__(self) -> str:
        percent = "" if self.progress is None else f" {self.progress:.0%}"
        remote = f" remote_id={self.remote_id!r}" if self.remote_id else ""
        return f"<Job {self.id} {self.provider}/{self.operation} {self.status}{percent}{remote}>"

    @property
    def model(self) -> str | None:
        """The model that was asked for, or None."""
        return None if self.request is None else self.request.model

    def to_json(self) -> str:
        """One line of JSON; `from_json` reads it back in any process. Holds no key and no picture content."""
        return json.dumps(self.to_dict(), ensure_ascii=False, separators=(",", ":"))

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON data; members that say nothing are left out."""
        document: dict[str, Any] = {"v": 1}
        held = vars(self)
        for name in _NAMES:
            value = held[name]
            if value is None:
                continue
            if not value and name != "raw" and type(value) not in (int, float):  # 0 says something
                continue
            if type(value) in (str, int, float, bool):
                document[name] = value
            elif value is not UNKNOWN and (name != "cost" or value != UNKNOWN):
                document[name] = _ENCODE.get(name, _plain)(value)
        return document

    @classmethod
    def from_json(cls, text: str | bytes) -> Job:
        """The job that `to_json` described. Raises ValueError for anything else."""
        document = json.loads(text)
        if not isinstance(document, dict):
            raise ValueError("a job's JSON is an object")
        return cls.from_dict(document)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Job:
        """The job that `to_dict` described; members of later versions are ignored. Raises ValueError."""
        try:
            values = {
                name: _DECODE[name](value) if name in _DECODE else value
                for name, value in document.items()
                if name in _NAMES
            }
            return cls(**values)
        except (KeyError, TypeError, AttributeError) as problem:
            raise ValueError(f"this is not a job's JSON: {problem}") from None


_NAMES = tuple(item.name for item in fields(Job))


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, Mapping) else value


def _action_json(action: Action) -> dict[str, Any]:
    said = [(item, getattr(action, item.name)) for item in fields(action)]
    return {item.name: _plain(value) for item, value in said if value not in (item.default, {})}


_ENCODE: dict[str, Callable[[Any], Any]] = {
    "status": str,
    "request": lambda value: value.to_json(),
    "cost": lambda value: value.to_json(),
    "warnings": lambda value: [vars(notice) for notice in value],
    "actions": lambda value: [_action_json(action) for action in value],
    "assets": lambda value: [asset.to_json() for asset in value],
    "raw": lambda value: value,
    **dict.fromkeys(("created_at", "submitted_at", "started_at", "finished_at"), to_iso),
}
_DECODE: dict[str, Callable[[Any], Any]] = {
    "status": Status,
    "request": Request.from_json,
    "cost": Cost.from_json,
    "cost_request_ids": tuple,
    "warnings": lambda value: tuple(Notice(**entry) for entry in value),
    "actions": lambda value: tuple(Action(**{**entry, "needs": tuple(entry.get("needs", ()))}) for entry in value),
    "assets": lambda value: tuple(Asset.from_json(entry) for entry in value),
    "needs": tuple,
    **dict.fromkeys(("created_at", "submitted_at", "started_at", "finished_at"), from_iso),
}


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a job yielded.

    images, videos, audios   the deliverables, in order; on Midjourney the four tiles, not the grid; never previews
    files                    where they were saved, if they were
    """

    job: Job
    assets: tuple[Asset, ...] = ()
    files: tuple[Path, ...] = ()

    def _repr_html_(self) -> str:
        """How a notebook shows it: the saved files, else the links."""
        from . import _display

        return _display.result(self.job, self.deliverables, self.files)

    @property
    def deliverables(self) -> tuple[Asset, ...]:
        """The assets that were asked for: tiles before the picture they are cut from, else the final ones."""
        tiles = tuple(asset for asset in self.assets if asset.role == "tile")
        finals = tuple(asset for asset in self.assets if asset.role == "final")
        return tiles + finals or tuple(asset for asset in self.assets if asset.role == "grid")

    def _of(self, kind: Literal["image", "video", "audio", "text"]) -> tuple[Asset, ...]:
        return tuple(asset for asset in self.deliverables if asset.kind == kind)

    @property
    def images(self) -> tuple[Asset, ...]:
        """The pictures, in order."""
        return self._of("image")

    @property
    def videos(self) -> tuple[Asset, ...]:
        """The clips, in order."""
        return self._of("video")

    @property
    def audios(self) -> tuple[Asset, ...]:
        """The sounds, in order."""
        return self._of("audio")

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts, in order."""
        return tuple(asset.text or "" for asset in self._of("text"))


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one request of many ended: with a result, or with an error; the job where there is one."""

    key: str | None = None
    request: Request | None = None
    job: Job | None = None
    result: Result | None = None
    error: Ai302Error | None = None
    files: tuple[Path, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model a family knows of. The catalogue guides and never gates.

    parameters  what the service does with the members it takes, by their names on the wire
    source      where this is known from
    """

    name: str
    task: str = ""
    aspect_ratios: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    durations: tuple[float, ...] = ()
    needs_image: bool = False
    default: bool = False
    source: str = ""
    parameters: Mapping[str, Rule] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, kw_only=True)
class Preview:
    """The exact HTTP request a submit would send, the key masked.

    body     as JSON data; a form by its parts, files as {"file": {"name", "size", "sha256", "media_type"}}
    uploads  requests that would go out before it, to make links of files; their links are not known yet
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(hash=False)
    body: Any = field(default=None, hash=False)
    warnings: tuple[Notice, ...] = ()
    uploads: tuple[Preview, ...] = ()
