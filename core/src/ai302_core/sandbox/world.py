"""What one running sandbox knows: its clock, its tasks, its money, its files, and every request it received."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

from ai302_core.errors import ParameterError

from .callbacks import Agenda
from .vocabulary import Emulation

__all__ = ["Charge", "Seen", "Stored", "Task", "World"]

FIRST_ID = 1_795_219_200_000
"""The fake clock of a seeded world's ids begins here (ms), so that the same calls get the same ids."""

CREDENTIALS = frozenset({"authorization", "mj-api-secret", "x-api-key", "x-goog-api-key", "cookie"})


@dataclass(kw_only=True)
class Task:
    """One remote work. Families extend it with what their documents show.

    submitted  seconds since 1970 on the sandbox's clock
    paid       money was taken for it
    """

    id: str
    family: str
    operation: str
    gateway: str
    submitted: float = 0.0
    paid: bool = False

    def word(self, now: float) -> str:
        """The family's own status word at that moment."""
        raise LookupError(f"{type(self).__name__} has no status word at {now}")


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One request received. Keys in its headers are masked; `body` is JSON data where it was JSON, else bytes.

    route   the route's name, "" for a path nobody serves
    leaked  it carried a credential where none belongs
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any
    route: str
    leaked: bool = False


@dataclass(frozen=True)
class Stored:
    """A file that is made when somebody asks for it; the same bytes each time."""

    media_type: str
    make: Callable[[], bytes]


AnyTask = TypeVar("AnyTask", bound=Task)


@dataclass(frozen=True, kw_only=True)
class Charge:
    """What one request took: PTC, and the model or operation it paid for; `at` on the sandbox's clock."""

    cost: Decimal = Decimal(0)
    model: str = ""
    at: float = 0.0


class World:
    """The state behind one server. Handlers get it; every call is made under its lock.

    speed    sandbox seconds a real second; 0: the clock stands until `advance`
    seed     the same seed and calls give the same ids, pictures and names; None: fresh each time
    strict   refuse what the documents leave open, to surface mistakes of a client
    gateway  the one gateway to be, or None: what header and path say
    origin   scheme, host and port of this server
    """

    def __init__(
        self,
        emulations: Iterable[Emulation],
        *,
        key: str = "sk-sandbox",
        seed: int | None = None,
        speed: float = 10.0,
        balance: Decimal = Decimal(1000),
        strict: bool = False,
        gateway: str | None = None,
        options: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.emulations = tuple(emulations)
        self.key, self.speed, self.strict, self.gateway = key, speed, strict, gateway
        self.balance = balance
        self.origin = ""
        self.lock = threading.RLock()
        self.tasks: dict[str, Task] = {}
        self.paid: Counter[tuple[str, str]] = Counter()
        self.charges: dict[str, Charge] = {}
        self._answering = ""
        self.seen: deque[Seen] = deque(maxlen=20_000)
        self.uploads = 0
        self.leaks = 0
        self.files: dict[str, Stored] = {}
        self._contents: dict[str, bytes] = {}
        self._seed = random.SystemRandom().getrandbits(64) if seed is None else seed
        self._random = random.Random(self._seed)  # noqa: S311 - names and pictures, no secrets
        self._request_ids = random.Random(f"{self._seed}:request")  # noqa: S311 - polls must not shift the ids of tasks
        self.callbacks = Agenda()
        self._moment: float | None = None
        self._started, self._skipped = time.time(), 0.0
        self._began = time.monotonic()
        self._next_id = FIRST_ID if seed is not None else int(self._started * 1000)
        self._options = self._merged(options or {})

    def _merged(self, given: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        merged = {emulation.family: dict(emulation.options) for emulation in self.emulations}
        for family, values in given.items():
            for name, value in values.items():
                if name not in merged.get(family, {}):
                    known = ", ".join(sorted(merged.get(family, {}))) or "none"
                    raise ParameterError(
                        f"The sandbox of {family} has no option {name!r}; known: {known}.", field="options"
                    )
                merged[family][name] = value
        return merged

    def option(self, family: str, name: str) -> Any:
        """What this server was told about a family, or the family's default."""
        return self._options[family][name]

    # -- time ------------------------------------------------------------------------------------------------------

    def now(self) -> float:
        """Seconds since 1970 on the sandbox's clock."""
        if self._moment is not None:
            return self._moment
        return self._started + self._skipped + (time.monotonic() - self._began) * self.speed

    @contextmanager
    def at(self, moment: float) -> Iterator[None]:
        """Let it be another moment for a while."""
        before, self._moment = self._moment, moment
        try:
            yield
        finally:
            self._moment = before

    def advance(self, seconds: float) -> None:
        """Let sandbox time pass at once."""
        self._skipped += seconds
        self.callbacks.changed.set()

    def tell(self, url: str, at: float, make: Callable[[], Any], *, again: Sequence[float] = ()) -> None:
        """Make a callback at a moment of the sandbox's clock, with what `make` says then; None: nothing is sent.

        again  seconds after which it is repeated, one by one, unless it was answered with 200
        """
        self.callbacks.add(url, at, make, tuple(again))

    # -- names -----------------------------------------------------------------------------------------------------

    def task_id(self) -> str:
        """A new id: milliseconds and three digits (wire/midjourney.md 4.1)."""
        self._next_id += self._random.randrange(1, 1000)
        return f"{self._next_id}{self._random.randrange(1000):03d}"

    def uuid(self) -> str:
        """A new UUID for something a document names."""
        return _uuid(self._random)

    def request_id(self) -> str:
        """A new UUID for one answer; what its handler takes is charged under it."""
        self._answering = _uuid(self._request_ids)
        return self._answering

    # -- tasks and money -------------------------------------------------------------------------------------------

    def price(self, family: str, row: str) -> Decimal:
        """PTC a call; 0 for what has no price."""
        prices = next((emulation.prices for emulation in self.emulations if emulation.family == family), {})
        return prices.get(row, Decimal(0))

    def can_pay(self, family: str, row: str) -> bool:
        """Whether the balance covers one more call of that row of the price list."""
        return self.balance >= self.price(family, row)

    def accept(self, task: Task, row: str | None = None, *, cost_ids: Sequence[str] = ()) -> None:
        """Keep a task and take its price, of the price list's row `row` or its operation's: one paid submit.

        cost_ids  what it is charged under, the first of them, instead of the id of this answer
        """
        price = self.price(task.family, row or task.operation)
        self.balance -= price
        model = row or task.operation
        for name in (self._answering, *cost_ids):
            self.charges[name] = Charge(model=model, at=self.now())
        self.charges[[*cost_ids, self._answering][0]] = Charge(cost=price, model=model, at=self.now())
        self.paid[task.family, task.operation] += 1
        task.paid = True
        self.keep(task)

    def keep(self, task: Task) -> None:
        """Keep a task for which nothing is paid."""
        task.submitted = task.submitted or self.now()
        self.tasks[task.id] = task

    def find(self, task_id: str, kind: type[AnyTask]) -> AnyTask | None:
        """The task of that id, if it is of that class."""
        task = self.tasks.get(task_id)
        return task if isinstance(task, kind) else None

    # -- files -----------------------------------------------------------------------------------------------------

    def publish(self, make: Callable[[], bytes], suffix: str, media_type: str = "") -> str:
        """Keep a file under a path as 302.AI's file host has them; its URL. `make` is asked when somebody downloads."""
        day = datetime.fromtimestamp(self.now(), UTC)
        name = hashlib.md5(self._random.randbytes(16), usedforsecurity=False).hexdigest()
        path = f"/gpt/imgs/{day:%Y%m%d}/{name}.{suffix}"
        self.files[path] = Stored(media_type or _MEDIA_TYPES[suffix], make)
        return self.origin + path

    def content(self, path: str) -> bytes:
        """The bytes of a published file, by its path or URL. Raises KeyError."""
        path = path.removeprefix(self.origin)
        if path not in self._contents:
            if len(self._contents) >= 64:
                del self._contents[next(iter(self._contents))]
            self._contents[path] = self.files[path].make()
        return self._contents[path]

    def media_type(self, path: str) -> str:
        """The media type of a published file, by its path or URL. Raises KeyError."""
        return self.files[path.removeprefix(self.origin)].media_type

    # -- requests --------------------------------------------------------------------------------------------------

    def remember(self, seen: Seen, *, keyless: bool) -> None:
        """Keep a request with its keys masked; count it if it carried one where none belongs."""
        carried = bool(CREDENTIALS & set(seen.headers)) or self.key in seen.path or self.key in str(dict(seen.query))
        headers = {name: self._masked(name, value) for name, value in seen.headers.items()}
        leaked = keyless and carried
        self.leaks += leaked
        self.seen.append(Seen(**{**vars(seen), "headers": headers, "leaked": leaked}))

    def _masked(self, name: str, value: str) -> str:
        if self.key in value:
            return value.replace(self.key, "***")
        return "(another key)" if name in CREDENTIALS else value

    def jobs(self) -> list[dict[str, Any]]:
        """Every task, oldest first, as JSON data."""
        now = self.now()
        names = ("id", "family", "operation", "gateway", "submitted", "paid")
        return [
            {**{name: getattr(task, name) for name in names}, "status": task.word(now)} for task in self.tasks.values()
        ]

    def state(self) -> dict[str, Any]:
        """Everything worth an assertion, as JSON data."""
        return {
            "now": self.now(),
            "paid": self.paid.total(),
            "paid_by": {f"{family}/{operation}": count for (family, operation), count in self.paid.items()},
            "balance": str(self.balance),
            "uploads": self.uploads,
            "leaks": self.leaks,
            "jobs": self.jobs(),
            "requests": [
                {**vars(seen), "body": _text(seen.body) if isinstance(seen.body, bytes) else seen.body}
                for seen in self.seen
            ],
        }


_MEDIA_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "mp4": "video/mp4",
    "wav": "audio/wav",
}


def _text(body: bytes) -> str:
    return body.decode("utf-8", "replace")


def _uuid(source: random.Random) -> str:
    digits = f"{source.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
