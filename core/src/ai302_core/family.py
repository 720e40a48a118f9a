"""The record that describes a family: data for where things are, functions for how when data ends.

Everything a family module needs is in this module's `__all__`. Paths use the notation `a.b[].c`: `[]` is every
element of a list; a string met on a path is read as JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as _member
from typing import Any, TypeAlias

import pluggy

from ._gateway_302ai import (
    DASHBOARD_302AI,
    ENVELOPES_302AI,
    FAILURE_302AI,
    REFUSED_302AI,
    REJECTED_302AI,
    STATES_302AI_V2,
    UPLOAD_302AI,
)
from ._steps import Call, Flow, Load, Now, Picture, Reply, Send
from ._vocabulary import (
    AssetAt,
    Dashboard,
    Endpoint,
    Field,
    Gateway,
    Lookup,
    Many,
    Question,
    Refused,
    Rule,
    States,
    Times,
    Upload,
    Webhook,
    audio,
    field,
    get,
    image,
    post,
    text,
    video,
)
from .assets import Asset, Media, MediaRef
from .jobs import Action, Job, Model, Notice, Status
from .requests import ActionRequest, ImageRequest, Request, VideoRequest

__all__ = [
    "DASHBOARD_302AI",
    "ENVELOPES_302AI",
    "FAILURE_302AI",
    "REFUSED_302AI",
    "REJECTED_302AI",
    "STATES_302AI_V2",
    "UPLOAD_302AI",
    "Action",
    "ActionRequest",
    "Asset",
    "AssetAt",
    "Call",
    "Dashboard",
    "Endpoint",
    "Family",
    "Field",
    "Flow",
    "Gateway",
    "ImageRequest",
    "Job",
    "Load",
    "Lookup",
    "Many",
    "Media",
    "MediaRef",
    "Model",
    "Notice",
    "Now",
    "Operation",
    "Picture",
    "Question",
    "Refused",
    "Reply",
    "Request",
    "Rule",
    "Send",
    "States",
    "Status",
    "Times",
    "Upload",
    "VideoRequest",
    "Webhook",
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
    lookup         how a submit whose answer was lost is found again; None: it cannot be
    webhook        where its submit takes the address of a callback; None: it makes none
    actions        document -> what the job offers
    prepare        flow before the intent: request -> request
    finish         flow of free calls after the success word: (job, document) -> all assets. In both flows an address
                   that begins with "/" is the service's own and gets the key; calls elsewhere get none
    images         how pictures go on the wire: "url" (a public link), "data" (a data: link), "file" (a file of the
                   multipart submit). A picture that is no link goes as file, else as data: link, else it is uploaded
                   where the gateway has an `upload`, and goes as link
    said           request -> fields already said inside others, such as flags in a prompt; defaults yield to them
    rules          request -> what the service does with its fields
    times          the service's own moments
    usual          (seconds until the fastest are done, seconds until most are)
    timeout        seconds a wait lasts unless the caller says otherwise
    """

    name: str = _member(kw_only=False)
    request: type[Request]
    submit: Endpoint
    body: Body = _member(default_factory=dict)
    models: Sequence[str] = ()
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
    lookup: Lookup | None = None
    webhook: Webhook | None = None
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
    questions   free calls beside looking at jobs
    models      the catalogue, which guides and never gates; any sequence, so that a large one can wait to be asked for
    """

    name: str = _member(kw_only=False)
    api: int
    base_url: str
    operations: tuple[Operation, ...]
    gateways: tuple[Gateway, ...] = (
        Gateway("302ai", refused=ENVELOPES_302AI, upload=UPLOAD_302AI, dashboard=DASHBOARD_302AI),
    )
    questions: tuple[Question, ...] = ()
    models: Sequence[Model] = ()

    def operation(self, name: str) -> Operation | None:
        """The operation of that name, or None."""
        return next((entry for entry in self.operations if entry.name == name), None)

    def gateway(self, name: str) -> Gateway | None:
        """The gateway of that name, or None."""
        return next((entry for entry in self.gateways if entry.name == name), None)

    def address(self, gateway: Gateway) -> str | None:
        """Where a gateway answers: at its own address, the first one else at the family's; None: nobody knows."""
        return gateway.base_url or (self.base_url if gateway.name == self.gateways[0].name else None)
