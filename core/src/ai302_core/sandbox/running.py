"""Start a sandbox and hold it: what tests, the pytest fixture and the command use."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from decimal import Decimal
from os import PathLike
from typing import TYPE_CHECKING, Any

from ai302_core import registry
from ai302_core.errors import ConfigError

from .callbacks import Teller, Told
from .dashboard import ACCOUNT
from .faults import Fault, FaultBook, read_faults
from .uploads import UPLOADS
from .vocabulary import Emulation
from .world import Seen, World

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["RunningSandbox", "installed", "serve"]


def installed() -> tuple[list[Emulation], list[str]]:
    """(what the installed families emulate, a sentence for each family that could not say). Imports every family."""
    found: list[Emulation] = []
    skipped: list[str] = []
    for entry in registry.installed():
        try:
            plugin = registry.load_plugin(entry.name, choice=entry.distribution)
            emulation = plugin.sandbox() or _replayed(plugin)
        except Exception as problem:  # noqa: BLE001 - a broken family costs only itself
            skipped.append(f"The family {entry.name} is left out: {type(problem).__name__}: {problem}")
            continue
        if isinstance(emulation, Emulation):
            found.append(emulation)
        elif emulation is not None:
            kind = type(emulation).__name__
            skipped.append(f"The family {entry.name} is left out: its ai302_sandbox gives {kind}, not an Emulation")
    return found, skipped


def _replayed(plugin: registry.Plugin) -> Emulation | None:
    """What the family's samples say, or None without any."""
    from .replaying import emulation_of
    from .samples import samples_of

    samples = samples_of(plugin.installed.module)
    return emulation_of(plugin.family, samples) if samples else None


class RunningSandbox:
    """A sandbox that answers at `url`. A context manager; usable from any thread.

    url      "http://127.0.0.1:PORT"
    key      the one key it takes
    skipped  a sentence for each installed family that could not be emulated
    """

    def __init__(self, world: World, book: FaultBook, port: int, skipped: Iterable[str] = ()) -> None:
        try:
            from .app import application
            from .listener import Listener
        except ImportError as problem:
            raise ConfigError(
                f"The sandbox needs the package {problem.name}.",
                hint='In the project\'s folder: pip install "./core[sandbox]"',
            ) from None
        self._world, self._book = world, book
        self._listener = Listener(application(world, book), port)
        self._book.refuse = self._listener.refuse
        self._teller = Teller(world, book)
        self.url = world.origin = f"http://127.0.0.1:{self._listener.port}"
        self.key = world.key
        self.skipped = tuple(skipped)

    @property
    def paid(self) -> int:
        """How many paid submits were accepted."""
        with self._world.lock:
            return self._world.paid.total()

    @property
    def paid_by(self) -> dict[tuple[str, str], int]:
        """The same for each (family, operation)."""
        with self._world.lock:
            return dict(self._world.paid)

    @property
    def uploads(self) -> int:
        """How many files were uploaded; they cost, and are not among the paid submits."""
        with self._world.lock:
            return self._world.uploads

    @property
    def balance(self) -> Decimal:
        """What is left, in PTC that nobody paid for."""
        with self._world.lock:
            return self._world.balance

    @property
    def leaks(self) -> int:
        """How many requests carried a key to the file host."""
        with self._world.lock:
            return self._world.leaks

    @property
    def jobs(self) -> list[dict[str, Any]]:
        """Every task, oldest first: id, family, operation, gateway, submitted, paid, status (the family's word)."""
        with self._world.lock:
            return self._world.jobs()

    @property
    def requests(self) -> list[Seen]:
        """Every request received (the last 20,000), keys masked; control requests are not among them."""
        with self._world.lock:
            return list(self._world.seen)

    @property
    def callbacks(self) -> list[Told]:
        """Every callback that left, in order, with what its receiver answered; only this machine is ever called."""
        with self._world.lock:
            return list(self._world.callbacks.told)

    def fault(self, where: str, kind: str, times: int | None = 1, **options: Any) -> Fault:
        """Make the next `times` matching requests go wrong (None: all). Raises ParameterError for an unknown kind.

        where  "submit", "submit:imagine", "poll", "upload", "download", … or a shell pattern over "METHOD /path";
               "callback" takes the kinds of `CALLBACK_FAULTS`
        kind   one of `FAULTS` or of the family's own; the returned fault's `hits` tells how often it happened
        """
        # Without the lock: closing the port waits for the server's thread, which may be waiting for the lock.
        return self._book.arm(where, kind, times, **options)

    def advance(self, seconds: float) -> None:
        """Let sandbox time pass at once."""
        with self._world.lock:
            self._world.advance(seconds)

    def run_forever(self) -> None:
        """Block until Ctrl-C."""
        forever = threading.Event()
        try:
            while not forever.wait(0.5):  # a wait without an end cannot be interrupted on Windows
                pass
        except KeyboardInterrupt:
            return
        finally:
            self.stop()

    def stop(self) -> None:
        """Close the port and every connection. Stopping twice is fine."""
        self._teller.stop()
        self._listener.stop()

    def __enter__(self) -> RunningSandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<RunningSandbox {self.url} paid={self.paid}>"


def serve(
    port: int = 0,
    *,
    key: str = "sk-sandbox",
    seed: int | None = None,
    speed: float = 10.0,
    balance: Decimal | int | str = 1000,
    families: Iterable[Emulation] | None = None,
    faults: Iterable[Mapping[str, Any]] | str | PathLike[str] | None = None,
    strict: bool = False,
    gateway: str | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> RunningSandbox:
    """Start a sandbox on 127.0.0.1; it answers when this returns.

    port      0: any free one
    key       the only key it takes
    seed      same seed, same calls: same ids, names and pictures. None: fresh
    speed     sandbox seconds a real second; 10: a Midjourney imagine takes about 3 s. 0: time stands until `advance`
    balance   PTC on the fake account
    families  what to emulate; None: every installed family
    faults    a fault script: a JSON file, or its entries
    strict    refuse what the documents leave open, to surface mistakes of a client
    gateway   be this gateway only; None: as header and path of a request say
    options   family -> name -> value, as its `Emulation.options` lists them

    Raises ConfigError when the port is taken or the extra is missing, ParameterError for an unknown fault or option.
    """
    emulations, skipped = (list(families), []) if families is not None else installed()
    world = World(
        emulations,
        key=key,
        seed=seed,
        speed=speed,
        balance=Decimal(balance),
        strict=strict,
        gateway=gateway,
        options=options,
    )
    book = FaultBook((*(route for emulation in emulations for route in emulation.routes), *UPLOADS, *ACCOUNT))
    entries = read_faults(faults) if isinstance(faults, (str, PathLike)) else list(faults or ())
    sandbox = RunningSandbox(world, book, port, skipped)
    try:
        for entry in entries:
            book.arm_entry(entry)
    except BaseException:
        sandbox.stop()
        raise
    return sandbox
