"""The record that describes a family: data for where things are, functions for how when data ends.

Everything a family module needs is in this module's `__all__`. Paths use the notation `a.b[].c`: `[]` is every
element of a list; a string met on a path is read as JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as _member
from types import MappingProxyType
from typing import Any, TypeAlias

import pluggy

from ._steps import Call, Flow, Load, Now, Picture, Reply, Send
from .assets import Asset, AssetKind, Media, MediaRef
from .jobs import Action, Job, Model, Notice, Status
from .requests import ActionRequest, ImageRequest, Request, VideoRequest

__all__ = [
    "REFUSED_302AI",
    "Action",
    "ActionRequest",
    "Asset",
    "AssetAt",
    "Call",
    "Endpoint",
    "Family",
    "Field",
    "Flow",
    "Gateway",
    "ImageRequest",
    "Job",
    "Load",
    "Many",
    "Media",
    "MediaRef",
    "Model",
    "Notice",
    "Now",
    "Operation",
    "Picture",
    "Refused",
    "Reply",
    "Request",
    "Rule",
    "Send",
    "States",
    "Status",
    "Times",
    "VideoRequest",
    "audio",
    "field",
    "get",
    "hookimpl",
    "image",
    "post",
    "text",
    "video",
]

hookimpl = pluggy.HookimplMarker("ai302_core")

NOTHING: Mapping[str, Any] = MappingProxyType({})

KINDS = ("busy", "content", "auth", "balance", "rate", "invalid", "missing", "unsupported", "server", "unclear")
"""What a refusal means. "busy": nothing was created, may be repeated. "unclear": something may have been created."""


@dataclass(frozen=True)
class Endpoint:
    """One HTTP call. `{job_id}` and route values are percent-encoded, gateway values stand as they are.

    query  constant parameters; values may hold the same placeholders
    json   a constant body
    """

    method: str
    path: str
    query: Mapping[str, str] = _member(default_factory=dict)
    json: Any = None
    headers: Mapping[str, str] = _member(default_factory=dict)


def get(path: str, **options: Any) -> Endpoint:
    """A GET endpoint."""
    return Endpoint("GET", path, **options)


def post(path: str, **options: Any) -> Endpoint:
    """A POST endpoint."""
    return Endpoint("POST", path, **options)


@dataclass(frozen=True)
class Field:
    """A leaf of a body: the request's field, converted; left out of the body while the field is unset."""

    name: str
    convert: Callable[[Any], Any] | None = None


def field(name: str, convert: Callable[[Any], Any] | None = None) -> Field:
    """A leaf of a body that carries the request's field `name`."""
    return Field(name, convert)


@dataclass(frozen=True, kw_only=True)
class States:
    """Where the status word is, and what the words mean.

    Words are shell patterns, compared without case, numbers as text; "?*" matches whatever is there. `at="#"` is the
    HTTP status. Rows are tried in order; the first that knows its word decides.
    """

    at: str
    queued: tuple[str, ...] = ()
    running: tuple[str, ...] = ()
    input_required: tuple[str, ...] = ()
    succeeded: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    canceled: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Refused:
    """An error envelope: where its code is, which codes are no refusal, what the others mean.

    at        paths of the code, first that yields wins; nothing there: no refusal
    accepted  codes that mean yes
    kinds     code -> kind, see `KINDS`; an unknown code is "invalid"
    texts     regular expression searched in the message -> kind; asked before `kinds`
    message   paths of the text, first that yields wins
    """

    at: tuple[str, ...]
    accepted: tuple[int | str, ...] = ()
    kinds: Mapping[int | str, str] = _member(default_factory=dict)
    texts: Mapping[str, str] = _member(default_factory=dict)
    message: tuple[str, ...] = ("message", "error.message", "msg", "description")


REFUSED_302AI = Refused(
    # wire/302ai.md 1.6 (help centre and first-party tables, 2026-11-21). Both signs of a code occur there.
    at=("error.err_code",),
    kinds={
        **dict.fromkeys((-10001, 10001, -10002, 10002, -10005, 10005), "auth"),
        **dict.fromkeys((-10004, 10004, -10006, 10006, -10007, 10007, -10018, 10018), "balance"),
        **dict.fromkeys((-10012, 10012), "rate"),
        **dict.fromkeys((-10009, 10009), "unsupported"),
        **dict.fromkeys((-10003, 10003, -10008, 10008), "server"),
        # The upstream timed out: it may have made, and billed, what was asked.
        **dict.fromkeys((-1024, 1024), "unclear"),
    },
    message=("error.message", "error.message_en", "error.message_cn", "error"),
)
"""302.AI's own error envelope, the same for every family on its hosts."""


@dataclass(frozen=True)
class AssetAt:
    """Where files or texts of a reply are: the first path that yields wins; several rules add up.

    role  "final" and "tile" are deliverables, "grid" when there is no other; anything else is kept beside them
    size  paths of width and height in pixels, or ()
    """

    kind: AssetKind
    paths: tuple[str, ...]
    role: str = "final"
    size: tuple[str, ...] = ()


def image(*paths: str, role: str = "final", size: tuple[str, ...] = ()) -> AssetAt:
    """Where pictures are."""
    return AssetAt("image", paths, role, size)


def video(*paths: str, role: str = "final", size: tuple[str, ...] = ()) -> AssetAt:
    """Where clips are."""
    return AssetAt("video", paths, role, size)


def audio(*paths: str, role: str = "final") -> AssetAt:
    """Where sounds are."""
    return AssetAt("audio", paths, role)


def text(*paths: str, role: str = "final") -> AssetAt:
    """Where texts are."""
    return AssetAt("text", paths, role)


@dataclass(frozen=True, kw_only=True)
class Times:
    """Paths of the service's own moments: ISO text, or numbers in seconds or milliseconds (below 10**11: seconds)."""

    submitted: str = ""
    started: str = ""
    finished: str = ""


@dataclass(frozen=True, kw_only=True)
class Many:
    """One call that looks at many jobs.

    call  its endpoint; the ids go into the body member `ids`
    at    path of the list of documents
    id    path of the id inside one document
    size  ids a call may carry
    """

    call: Endpoint
    ids: str = "ids"
    at: str = "[]"
    id: str = "id"
    size: int = 50


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What the service does with a field.

    allowed      the values it takes
    instead      what it silently does with others, for the message
    least, most  bounds, inclusive
    required     it must be set
    taken        False: the service has no such field
    """

    allowed: tuple[Any, ...] = ()
    instead: str | None = None
    least: float | None = None
    most: float | None = None
    required: bool = False
    taken: bool = True


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """A compatible service's differences.

    base_url  its own address, or None: the configuration must say
    auth      the one header that carries the key
    values    placeholders of paths. A table is looked up by the route value of the same name: `root = {"": "mj"}`
    lacks     operations it does not offer; "many" and "cancel" may be among them
    refused   its own error envelopes, asked before the family's
    """

    name: str = _member(kw_only=False)
    base_url: str | None = None
    auth: str = "Authorization: Bearer {key}"
    values: Mapping[str, str | Mapping[str, str]] = _member(default_factory=dict)
    lacks: tuple[str, ...] = ()
    refused: tuple[Refused, ...] = ()


Body: TypeAlias = Mapping[str, Any] | Callable[[Any], Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One thing a family does.

    name           the word of `--op`
    request, models the request class and then the first model pattern that fits choose the operation; no patterns: all
    submit, body   the paid call; body has the wire's shape with `field()` leaves, or is a function of the request
    route          values for paths, kept with the job
    job_id         paths of the id in the submit's reply, first that yields wins; numbers become text
    poll           the free call that looks; None: the submit's reply is the result
    states         status rows for polls; a submit's reply is read as a finished job first, then for an id
    pending        status rows for the submit's reply alone
    assets         where the files are
    progress       paths of "45%", 45, 0.45 or words
    failure        paths of the reason
    refused        error envelopes, asked before any state
    rejected       regular expressions over the reason: the content was refused
    missing        HTTP statuses that mean "no such task" on a poll; `missing_texts`: regular expressions over its body
    many           looks at many jobs in one call
    cancel         asks the service to stop
    actions        document -> what the job offers
    prepare        flow before the intent: request -> request
    finish         flow of free calls after the success word: (job, document) -> all assets
    images         how pictures may be given: "url" (a link), "data" (a data: link)
    said           request -> fields already said inside others, such as flags in a prompt; defaults yield to them
    rules          request -> what the service does with its fields
    times          the service's own moments
    usual          (seconds until the fastest are done, seconds until most are)
    timeout        seconds a wait lasts unless the caller says otherwise
    """

    name: str = _member(kw_only=False)
    request: type[Request]
    submit: Endpoint
    body: Body = NOTHING
    models: tuple[str, ...] = ()
    route: Callable[[Any], Mapping[str, str]] | None = None
    job_id: tuple[str, ...] = ("id",)
    poll: Endpoint | None = None
    states: tuple[States, ...] = ()
    assets: tuple[AssetAt, ...] = ()
    progress: tuple[str, ...] = ()
    failure: tuple[str, ...] = ()
    refused: tuple[Refused, ...] = ()
    rejected: tuple[str, ...] = ()
    pending: tuple[States, ...] = ()
    missing: tuple[int, ...] = (404,)
    missing_texts: tuple[str, ...] = ()
    many: Many | None = None
    cancel: Endpoint | None = None
    actions: Callable[[Any], Iterable[Action]] | None = None
    prepare: Callable[[Any], Flow[Any]] | None = None
    finish: Callable[[Job, Any], Flow[Sequence[Asset]]] | None = None
    images: tuple[str, ...] = ("url", "data")
    said: Callable[[Any], Mapping[str, Any]] | None = None
    rules: Callable[[Any], Mapping[str, Rule]] | None = None
    times: Times | None = None
    usual: tuple[float, float] = (5.0, 60.0)
    timeout: float = 900.0


@dataclass(frozen=True, kw_only=True)
class Family:
    """A described API: its operations, and the gateways that speak it.

    name        as the entry point and the provider's `family`
    api         the version of this vocabulary: 1
    base_url    the address used unless a gateway or the configuration names another
    gateways    the first is the default
    models      the catalogue, which guides and never gates
    """

    name: str = _member(kw_only=False)
    api: int
    base_url: str
    operations: tuple[Operation, ...]
    gateways: tuple[Gateway, ...] = (Gateway("302ai", refused=(REFUSED_302AI,)),)
    models: tuple[Model, ...] = ()

    def operation(self, name: str) -> Operation | None:
        """The operation of that name, or None."""
        return next((entry for entry in self.operations if entry.name == name), None)

    def gateway(self, name: str) -> Gateway | None:
        """The gateway of that name, or None."""
        return next((entry for entry in self.gateways if entry.name == name), None)
