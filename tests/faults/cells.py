"""The fault matrix: what goes wrong where, and what must come of it. Data, written down before it is run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

FILES = "files"
NOBODY_KNOWS = "JobUnconfirmed"
OPEN = "open"
"""Queued or running."""


@dataclass(frozen=True)
class Cell:
    """One fault in the life of one intention.

    where, kind, options  as the sandbox takes them; `times`: how often, None: until the end of the first call
    paid    accepted submits after the first call
    told    what the caller gets: "files", or the name of the error's class
    status  of the job in the ledger after it; "" when the key is free again
    then    what the same call with the same key gets once the fault is over
    bought  accepted submits after that
    needs   only for intentions that have this: "cancel", "upload", "list", …
    """

    where: str
    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    times: int | None = 1
    paid: int = 1
    told: str = FILES
    status: str = "succeeded"
    then: str = FILES
    bought: int = 1
    needs: str = ""

    @property
    def name(self) -> str:
        """As a person writes it."""
        options = " ".join(f"{name}={value}" for name, value in self.options.items())
        times = "" if self.times == 1 else " always" if self.times is None else f" x{self.times}"
        return f"{self.where}: {self.kind}{f' {options}' if options else ''}{times}"


def _unconfirmed(kind: str, *, paid: int = 1, **options: Any) -> Cell:
    """The answer never came, or says nothing: nobody knows, and nothing is ever sent again by itself."""
    return Cell("submit", kind, options, paid=paid, told=NOBODY_KNOWS, status="unconfirmed", then=NOBODY_KNOWS,
                bought=paid)  # fmt: skip


def _repeated(kind: str, **options: Any) -> Cell:
    """Nothing was created: the submit is sent again, and paid once."""
    return Cell("submit", kind, options)


def _refused(error: str, kind: str = "refused", **options: Any) -> Cell:
    """A no: nothing was created, the key is free."""
    return Cell("submit", kind, options, paid=0, told=error, status="", then=FILES)


SUBMIT = (
    _repeated("refuse", seconds=0.3),
    _repeated("429", retry_after=0),
    _repeated("429", hint=0.1),
    _unconfirmed("drop-before", paid=0),
    _unconfirmed("drop"),
    _unconfirmed("drop", reset=True),
    _unconfirmed("late", seconds=600),
    _unconfirmed("error500", accept=True),
    _unconfirmed("error500", paid=0),
    _unconfirmed("error502", accept=True),
    _unconfirmed("error504html", accept=True),
    _unconfirmed("error524html", accept=True),
    _unconfirmed("html", accept=True),
    _unconfirmed("empty"),
    _unconfirmed("truncated"),
    _unconfirmed("reset"),
    _unconfirmed("redirect", paid=0),
    _refused("ReplyError", "redirect", status=307),
    _refused("ServerError", "error503"),  # 302.AI's "no channel" (-10008): a no that is documented
)

POLL = (
    *(
        Cell("poll", kind, options, needs="poll")
        for kind, options in (
            ("error500", {}),
            ("error502", {}),
            ("error503", {}),
            ("error504html", {}),
            ("error524html", {}),
            ("429", {}),
            ("429", {"retry_after": 1}),
            ("html", {}),
            ("empty", {}),
            ("truncated", {}),
            ("reset", {}),
            ("drop", {}),
            ("redirect", {}),
            ("refuse", {"seconds": 0.3}),
            ("unknown_word", {}),
            ("missing", {}),
        )
    ),
    Cell("poll", "late", {"seconds": 1.5}, needs="poll"),
    Cell("poll", "no_asset", needs="poll"),
    Cell("poll", "html", times=None, told="JobTimeout", status=OPEN, needs="poll"),
    Cell(
        "poll",
        "fail",
        {"reason": "the renderer broke"},
        told="JobFailed",
        status="failed",
        then="JobFailed",
        needs="poll",
    ),
)

DOWNLOAD = (
    *(
        Cell("download", kind, options)
        for kind, options in (
            ("drop", {}),
            ("error500", {}),
            ("error502", {}),
            ("error504html", {}),
            ("429", {"retry_after": 0}),
            ("reset", {"at": 200}),
            ("reset", {"at": 200, "clean": True}),
            ("empty", {}),
            ("html", {}),
            ("short", {}),  # by HTTP's rules complete
            ("redirect", {}),
            ("slow", {"seconds": 0.5}),
            ("refuse", {"seconds": 0.3}),
        )
    ),
    Cell("download", "expired", told="DownloadError"),
    Cell("download", "expired", times=None, told="DownloadError"),
    Cell("download", "html", times=None, told="DownloadError"),
    Cell("download", "redirect", {"to": "file:///etc/passwd"}, times=None, told="DownloadError"),
    Cell("download", "redirect", {"to": "http://169.254.169.254/"}, times=None, told="DownloadError"),
)

UPLOAD = (
    Cell("upload", "refuse", {"seconds": 0.3}, needs="upload"),
    *(
        Cell("upload", kind, options, paid=0, told="TransportError", status="", needs="upload")
        for kind, options in (
            ("drop", {}),
            ("drop-before", {}),
            ("late", {"seconds": 600}),
            ("error500", {"accept": True}),
            ("html", {"accept": True}),
            ("truncated", {}),
        )
    ),
    Cell("upload", "refused", paid=0, told="ServerError", status="", needs="upload"),
)

BATCH = tuple(
    Cell("list", kind, times=2, needs="list") for kind in ("html", "error502", "drop", "truncated", "empty", "429")
)

BASIC = (*SUBMIT, *POLL, *DOWNLOAD)
EVERY = (*BASIC, *UPLOAD, *BATCH)

LEFT_OUT: dict[str, dict[str, str]] = {
    "submit": {"expired": "a dead file link", "short": "as truncated", "slow": "a late answer that comes in time"},
    "poll": {"expired": "as missing", "short": "as truncated", "slow": "as late", "drop-before": "as drop"},
    "download": {
        "truncated": "as short",
        "late": "as slow",
        "drop-before": "as drop",
        "error503": "as error502",
        "error524html": "as error504html",
    },
}
"""What the sandbox can do wrong there and is no cell of its own, and why."""


def cells(has: frozenset[str], own: tuple[Cell, ...] = ()) -> Iterator[Cell]:
    """Those that an intention with these abilities can meet, its family's own after the common ones.

    Jobs that are looked at together meet the faults of that look alone: one by one they meet the others.
    """
    for cell in BATCH if "list" in has else (*EVERY, *own):
        if not cell.needs or cell.needs in has:
            yield cell
