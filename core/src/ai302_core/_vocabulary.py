"""The words of a record: endpoints, fields, states, refusals, assets, gateways. Data only; see `family`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from dataclasses import field as _member
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

from .assets import AssetKind

STATES = ("queued", "running", "input_required", "succeeded", "failed", "canceled")
"""What a status word can mean."""

KINDS = ("busy", "content", "auth", "balance", "rate", "invalid", "missing", "unsupported", "server", "unclear")
"""What a refusal means. "busy": nothing was created, may be repeated. "unclear": something may have been created."""


@dataclass(frozen=True)
class Endpoint:
    """One HTTP call. `{job_id}` and route values are percent-encoded, gateway values stand as they are.

    query      constant parameters; values may hold the same placeholders
    json       a constant body
    multipart  the body goes as a form: one part a member, a list as parts of one name, pictures as files where the
               operation's `images` says "file", anything nested as JSON text
    """

    method: str
    path: str
    query: Mapping[str, str] = _member(default_factory=dict)
    json: Any = None
    headers: Mapping[str, str] = _member(default_factory=dict)
    multipart: bool = False


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

    def meaning(self, word: str) -> str:
        """The member that knows the word, such as "queued"; "" when none does."""
        told = word.casefold()
        return self._plain.get(told) or self._matching(told)

    @cached_property
    def _plain(self) -> dict[str, str]:
        """The words that are no patterns, and what they mean."""
        words = (pattern.casefold() for name in STATES for pattern in getattr(self, name))
        return {word: self._matching(word) for word in words if not set(word) & set("*?[")}

    def _matching(self, word: str) -> str:
        known = (name for name in STATES for pattern in getattr(self, name) if fnmatchcase(word, pattern.casefold()))
        return next(known, "")


@dataclass(frozen=True, kw_only=True)
class Refused:
    """An error envelope: where its code is, which codes are no refusal, what the others mean.

    at        paths of the code, first that yields wins; nothing there: no refusal
    accepted  codes that mean yes
    kinds     code -> kind, see `KINDS`; any other is "invalid" with an HTTP status of 400 to 499, and leaves a submit
              unconfirmed with one of 200 to 299: name every code that says that nothing was created
    others    False: codes that `kinds` does not name are no refusal
    texts     regular expression searched in the message -> kind; asked before `kinds`
    message   paths of the text, first that yields wins
    beside    paths of the same in another language, told beside it
    """

    at: tuple[str, ...]
    accepted: tuple[int | str, ...] = ()
    kinds: Mapping[int | str, str] = _member(default_factory=dict)
    others: bool = True
    texts: Mapping[str, str] = _member(default_factory=dict)
    message: tuple[str, ...] = ("message", "error.message", "msg", "description")
    beside: tuple[str, ...] = ()

    @cached_property
    def yes(self) -> frozenset[str]:
        """`accepted` as text."""
        return frozenset(map(str, self.accepted))

    @cached_property
    def named(self) -> Mapping[str, str]:
        """`kinds` by text."""
        return {str(code): kind for code, kind in self.kinds.items()}


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


@dataclass(frozen=True)
class Question:
    """A free call beside looking at jobs, for `Provider.ask`. One whose path has `{job_id}` is asked about a job.

    at       path of what it answers, such as "result" or "[]"
    timeout  seconds for its answer; None: as for a look
    """

    name: str
    call: Endpoint
    at: str
    timeout: float | None = None


@dataclass(frozen=True, kw_only=True)
class Lookup:
    """How a submit whose answer was lost is found again: it carries our job's id, and a list of tasks echoes it.

    body      member of the submit's body that carries the id
    question  the family's question that lists tasks; where a gateway lacks it, no id is sent and nothing looked up
    echo, id  paths of what is echoed, and of the task's own id, in one document of the list
    """

    body: str
    question: str
    echo: str
    id: str = "id"


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """Where a submit says which address is to be told of its job: a member of the body, or a parameter of the query."""

    body: str = ""
    query: str = ""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What the service does with a field.

    allowed      the values it takes; words are compared without case, and go out as they stand here
    instead      what it silently does with others, for the message
    least, most  bounds, inclusive
    required     it must be set
    taken        False: the service has no such field
    notice       a warning for the job whenever the field is set; it stops nothing
    """

    allowed: tuple[Any, ...] = ()
    instead: str | None = None
    least: float | None = None
    most: float | None = None
    required: bool = False
    taken: bool = True
    notice: str = ""


@dataclass(frozen=True, kw_only=True)
class Upload:
    """An endpoint that makes a public link of a file, for operations whose `images` are links only.

    call      its endpoint, with `multipart=True`
    part      the file's name in the form
    url       paths of the link in its reply
    auth      the one header that carries the key
    refused   its error envelopes, asked before the gateway's
    size      bytes a file may have
    lifetime  seconds for which a link is believed to live, and is used again for the same content
    """

    call: Endpoint
    part: str = "file"
    url: tuple[str, ...] = ("url",)
    auth: str = "Authorization: Bearer {key}"
    refused: tuple[Refused, ...] = ()
    size: int = 50_000_000
    lifetime: float = 3600.0


@dataclass(frozen=True, kw_only=True)
class Dashboard:
    """Where a gateway tells what it took and what is left: free calls, late and best effort.

    record       what one request cost; `{request_id}` in its path
    cost         paths of that amount
    request_ids  paths, in a task's document, of the requests it was billed under: a text with commas, a list, or null
    balance      what is left on the account, for a key that may see it
    left         paths of that amount
    unit         of both
    auth         the header that carries the key there
    refused      its own envelopes, inside HTTP 200 too
    """

    record: Endpoint
    cost: tuple[str, ...]
    balance: Endpoint
    left: tuple[str, ...]
    request_ids: tuple[str, ...] = ()
    unit: str = "PTC"
    auth: str = "Authorization: Bearer {key}"
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """A compatible service's differences.

    base_url  its own address, or None: the configuration must say
    auth      the one header that carries the key
    values    placeholders of paths. A table is looked up by the route value of the same name: `root = {"": "mj"}`
    members   what it wants in the body of every submit; texts may hold placeholders, an empty text is left out
    lacks     operations and questions it does not offer; "many", "cancel" and "webhook" may be among them
    unread    fields of requests that it does not take
    refused   its own error envelopes, asked before the family's
    upload    where a file becomes a public link, or None: then links must be given where only links are taken
    dashboard where it tells costs and the balance, or None
    """

    name: str = _member(kw_only=False)
    base_url: str | None = None
    auth: str = "Authorization: Bearer {key}"
    values: Mapping[str, str | Mapping[str, str]] = _member(default_factory=dict)
    members: Mapping[str, Any] = _member(default_factory=dict)
    lacks: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    refused: tuple[Refused, ...] = ()
    upload: Upload | None = None
    dashboard: Dashboard | None = None
