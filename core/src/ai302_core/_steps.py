"""The steps a flow may yield, and what they speak of: calls, replies, pictures. No I/O, no clock.

A flow is a generator. `reply = yield from Send(call)` hands the step to a driver and takes back its typed outcome;
a failed step raises inside the flow.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeAlias, TypeVar

from . import _paths
from ._frozen import once
from .errors import Ai302Error, LedgerError, TransportError

if TYPE_CHECKING:
    from .assets import Asset, Media
    from .jobs import Job
    from .ledger import Ledger

T = TypeVar("T")
Purpose = Literal["submit", "poll", "upload"]


class Step(Generic[T]):
    """One thing only a driver can do; `yield from` it for its outcome."""

    __slots__ = ()

    def __iter__(self) -> Generator[Step[Any], Any, T]:
        outcome: T = yield self
        return outcome


Flow: TypeAlias = Generator[Step[Any], Any, T]


@dataclass(frozen=True)
class Call:
    """One HTTP request, ready to send. The secret header is apart, so that nothing prints it.

    shown  what people see of a body that is no JSON
    built  what a driver made of it, by driver: a look is sent many times and built once
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    secret: tuple[str, str] | None = field(default=None, repr=False)
    purpose: Purpose = "poll"
    timeout: float | None = None
    shown: Any = field(default=None, hash=False)
    built: dict[object, Any] = field(default_factory=dict, init=False, repr=False, compare=False)


@dataclass(frozen=True)
class Reply:
    """What came back: status, headers in lower case, the whole body (bounded by the driver)."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)

    @once
    def document(self) -> Any:
        """The body as JSON; None when it is empty, no JSON, or nested beyond reason."""
        try:
            return _paths.loads(self.body) if self.body.strip() else None
        except ValueError:
            return None

    @property
    def text(self) -> str:
        """The body as text, whatever it is."""
        return self.body.decode("utf-8", "replace")


@dataclass(frozen=True)
class Picture:
    """A picture or clip given by the caller, read and recognised by its content.

    content     the bytes; None for a link
    url         the link; None for content
    behind      the asset to fetch the content of, where the link alone shows more than is meant: a tile of a grid
    media_type  recognised from the content, such as "image/png"; "" for a link
    width, height  pixels, where the content says so
    """

    name: str = ""
    content: bytes | None = field(default=None, repr=False)
    url: str | None = None
    media_type: str = ""
    sha256: str = ""
    width: int | None = None
    height: int | None = None
    behind: Asset | None = None

    def data_url(self) -> str:
        """The content as a data: link."""
        return f"data:{self.media_type};base64,{base64.b64encode(self.content or b'').decode()}"


@dataclass(frozen=True)
class Send(Step[Reply]):
    """Send a free request. Raises TransportError."""

    call: Call


@dataclass(frozen=True)
class Receipt:
    """What is written down in the same breath as a paid request's answer.

    job      the snapshot to record; None leaves the intent as it is: nothing was created
    reply    the answer's body, kept beside it
    files    name -> content of what the answer carried: on the disk before the job is recorded
    error    what the flow shall raise, or, while `job` is None, why nothing was created
    after    seconds the service asks to wait before trying again
    others   snapshots of the other jobs that the same call started
    trouble  filled in by the driver: the ledger could not record the job
    """

    job: Job | None
    reply: bytes = field(default=b"", repr=False)
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    error: Ai302Error | None = None
    after: float | None = None
    others: tuple[Job, ...] = ()
    trouble: LedgerError | None = None


@dataclass(frozen=True)
class Ready(Step[None]):
    """Make ready what sends a paid call. In a new process it takes a while, and a kill would leave an unsent intent."""

    call: Call


@dataclass(frozen=True)
class Paid(Step[Receipt]):
    """Send a paid request once and record its receipt, as one step that no cancellation can split.

    receipt  decides from the answer (or the TransportError) what is recorded; called with the moment of the answer
    """

    call: Call
    receipt: Callable[[Reply | TransportError, datetime], Receipt]


@dataclass(frozen=True)
class Sleep(Step[None]):
    """Wait for `seconds`, give or take the fraction `spread`. The only step a Ctrl-C or a cancellation may end.

    job  the id of a job whose callback ends it early
    why  what was answered to a call that may pay and goes out again afterwards: nothing was created
    """

    seconds: float
    spread: float = 0.0
    job: str = ""
    why: Ai302Error | None = None


@dataclass(frozen=True)
class Now(Step[datetime]):
    """The moment, aware UTC. Never runs backwards inside one process."""


@dataclass(frozen=True)
class Turn(Step[None]):
    """Let others on the same event loop have their turn, before the next of many pieces of work."""


@dataclass(frozen=True)
class Alone(Step[T]):
    """Run `flow` while nobody else in this process runs one of the same `name`."""

    name: str
    flow: Flow[T]


@dataclass(frozen=True)
class NewId(Step[str]):
    """A new job id: the day and eight letters and digits, such as "261121-k3v9xq2m"; random, or of what `of` names."""

    of: str = ""


@dataclass(frozen=True)
class Record(Step[T]):
    """Read or write the ledger."""

    apply: Callable[[Ledger], T]


@dataclass(frozen=True)
class Begin(Record[T]):
    """The same, of what makes a row for a paid call, or takes one for it; False: it took none.

    torn  what is done with the row when its flow was broken off where it cannot hear it: while its process lives,
          nobody else may
    """

    torn: Callable[[], Flow[None]]


@dataclass(frozen=True)
class Load(Step[Picture]):
    """Read a picture or clip the caller gave. Raises ParameterError when it is missing, empty, or no media file."""

    media: Media
    field: str = ""


@dataclass(frozen=True)
class Streamed:
    """How far a download came.

    status   HTTP status; headers in lower case
    size     bytes now in the file
    head     the first bytes of a body that was not written (any status but 200 and 206)
    broken   why the body ended early, or ""
    sha256   of the whole file, where it was hashed as it came, or ""
    """

    status: int
    headers: Mapping[str, str]
    size: int = 0
    head: bytes = field(default=b"", repr=False)
    broken: str = ""
    sha256: str = ""


class Hold(Protocol):
    """Whether what a `Stream` brings may still be written.

    file  the one it is written to, once it is open
    """

    file: IO[bytes] | None

    def writing(self) -> AbstractContextManager[None]:
        """Around whatever changes the file. Raises where it may not be changed any more."""


@dataclass(frozen=True)
class Stream(Step[Streamed]):
    """GET `url` into the file `path`: no secret, no redirects followed, memory flat, synced at the end.

    A 200 replaces the file's content, a 206 is appended to it. Stops with `broken` beyond `limit` bytes.
    `private` allows loopback and private addresses, looked at before and after connecting.
    `began` is called with status and headers of a 200 or 206 when the file is ready for the body (a 200 has emptied
    it), before the first byte is written: a process killed in the middle leaves what a resume needs.
    Raises TransportError when no answer came, DownloadError for an address that is not allowed.
    """

    url: str
    path: Path
    headers: Mapping[str, str] = field(default_factory=dict)
    limit: int = 2**33
    private: bool = False
    began: Callable[[int, Mapping[str, str]], None] | None = None
    hold: Hold | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Save(Step[T]):
    """Work on files: name, move, cut, write a sidecar. Runs in one piece."""

    work: Callable[[], T]
