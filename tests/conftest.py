"""Every test: no network but loopback, and nothing of the person who runs it: no home, no key, no configuration."""

from __future__ import annotations

import asyncio
import functools
import importlib
import ipaddress
import itertools
import os
import pkgutil
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import coverage
import httpx
import pytest
from hypothesis import settings
from hypothesis.database import DirectoryBasedExampleDatabase

ROOT = Path(__file__).parents[1]
MEASURED = {"core", "e2e"}
BUSY = {
    "test_cli_batch.py",
    "test_drivers.py",
    "test_families_swap.py",
    "test_house.py",
    "test_interleaving.py",
    "test_kills_while_saving.py",
    "test_library_faults.py",
    "test_library_many.py",
    "test_library_sessions.py",
    "test_many.py",
    "test_resuming.py",
}
AMBIENT = ("GEN302_", "AI302_", "302AI_")
OUTSIDE = {"NETRC", "SSL_CERT_FILE", "SSL_CERT_DIR", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"}
FOLDERS = {
    "HOME": "",
    "USERPROFILE": "",
    "XDG_CONFIG_HOME": ".config",
    "XDG_DATA_HOME": ".local/share",
    "XDG_STATE_HOME": ".local/state",
    "XDG_CACHE_HOME": ".cache",
    "APPDATA": "AppData/Roaming",
    "LOCALAPPDATA": "AppData/Local",
}

# Two busy cores under coverage: a slow example says nothing. In CI the examples are the same on every run; elsewhere
# they are others each time, and half of hypothesis' hundred meets as many in two runs.
settings.register_profile(
    "house",
    max_examples=50,
    deadline=None,
    derandomize="CI" in os.environ,
    database=None if "CI" in os.environ else DirectoryBasedExampleDatabase(ROOT / ".hypothesis" / "examples"),
)
settings.load_profile("house")

# A shell that starts the tests in its background lets them ignore Ctrl-C, and their children too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _measuring(config: pytest.Config) -> Any:
    """What starts and stops the measuring of pytest-cov, or None."""
    return getattr(config.pluginmanager.get_plugin("_cov"), "cov_controller", None)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """Finding the tests is not measured, only what the measured packages do while they are imported."""
    measuring = _measuring(session.config)
    if measuring is None or not measuring.started:
        return (yield)
    first = getattr(session.config, "workerinput", {}).get("workerid", "gw0") == "gw0"  # the others would say the same
    for package in sorted(path.parent.name for path in ROOT.glob("*/**/src/*/__init__.py")) if first else ():
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            # Not a program, nor what pytest rewrites while it imports it.
            if not module.name.endswith((".__main__", ".testing.fixtures")):
                importlib.import_module(module.name)
    measuring.pause()
    # pytest-cov begins in a worker of xdist before it knows that it is one, and what it began goes on beneath.
    while hasattr(session.config, "workerinput") and (beneath := coverage.Coverage.current()):
        beneath.stop()
    try:
        return (yield)
    finally:
        measuring.resume()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Measured is what tests/core and tests/e2e reach in this process by what they mean to say.

    Measuring makes Python twice as slow: too dear for those that say the same thousands of times in other words, for
    processes of their own, for many jobs where others say the same with one, for what reads the sources and runs
    none, and for the async twin of a sync test; the library's own files measure both.
    """
    for item in items:
        room = item.path.relative_to(ROOT / "tests").parts[0] if item.path.is_relative_to(ROOT / "tests") else ""
        given = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        twin = given.get("mode") == "async" and not item.path.name.startswith("test_library")
        if (
            room not in MEASURED
            or item.path.name in BUSY
            or twin
            or getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
        ):
            item.add_marker(pytest.mark.unmeasured)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Measuring stops and starts where that changes, fixtures included; pytest-cov's own marker knows calls alone."""
    measuring, wanted = _measuring(item.config), item.get_closest_marker("unmeasured") is None
    if measuring is not None and measuring.started is not wanted:
        (measuring.resume if wanted else measuring.pause)()
    return (yield)


def _settle_in(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(AMBIENT) or name in OUTSIDE or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name, folder in FOLDERS.items():
        monkeypatch.setenv(name, str(home / folder))


@pytest.fixture(scope="session", autouse=True)
def ambient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The same for fixtures that live longer than one test; gives the environment as it was, for installing things."""
    before = dict(os.environ)
    with pytest.MonkeyPatch.context() as monkeypatch:
        _settle_in(tmp_path_factory.mktemp("house"), monkeypatch)
        yield before


@pytest.fixture(scope="session")
def _homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folders to be made: pytest's own numbering reads all names of before for each new one, thousands of times."""
    parent = tmp_path_factory.mktemp("homes")
    return (parent / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def home(_homes: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home of this test's own; the test starts in an empty folder inside it."""
    home = next(_homes)
    _settle_in(home, monkeypatch)
    (home / "here").mkdir(parents=True)
    monkeypatch.chdir(home / "here")
    return home


@pytest.fixture
def until() -> Callable[[Callable[[], Any]], None]:
    """Waits for something to become true; a minute is the end of it."""

    def wait(true: Callable[[], Any]) -> None:
        deadline = time.monotonic() + 60
        while not true():
            assert time.monotonic() < deadline, "nothing came of it within 60 s"
            time.sleep(0.01)

    return wait


class Held:
    """The answers that the sandbox's fault "late" delays: held until they are let go, however busy the machine is."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.gone = threading.Event()

    async def __call__(self, fault: Any, answer: Any, scope: Any, receive: Any, send: Any) -> None:
        from ai302_core.sandbox import app

        for _ in range(6000):  # a minute is the end of it
            if self.go.is_set():
                break
            await asyncio.sleep(0.01)
        await app._response(answer)(scope, receive, send)
        self.gone.set()


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    """What is "late" from now on waits for `held.go`; `held.gone` says that it has left."""
    from ai302_core.sandbox import app

    answers = Held()
    monkeypatch.setitem(app._MISBEHAVIOUR, "late", answers)
    return answers


@pytest.fixture(scope="session", autouse=True)
def _patience() -> None:
    """What tests ask by themselves may take a minute: httpx's five seconds are short on a machine with much to do."""
    for part in ("connect", "read", "write", "pool"):
        setattr(httpx._config.DEFAULT_TIMEOUT_CONFIG, part, 60.0)


@pytest.fixture(scope="session", autouse=True)
def _trust() -> Iterator[None]:
    """The certificates everybody trusts are read once, not for each client that a test makes: 40 ms each."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(ssl, "create_default_context", functools.cache(ssl.create_default_context))
        yield


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


@pytest.fixture(scope="session", autouse=True)
def escapes() -> Iterator[list[str]]:
    """Refuses every connection and look-up that leaves this machine, and lists them; `_stayed_inside` fails the test.

    Names that can never exist (`.invalid`, `.test`, `.example`) fail as a resolver would let them fail.
    """
    seen: list[str] = []
    connect, connect_ex, sendto = socket.socket.connect, socket.socket.connect_ex, socket.socket.sendto
    getaddrinfo = socket.getaddrinfo

    def watch(sock: socket.socket, address: Any) -> None:
        if sock.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(str(address[0])):
            seen.append(f"a connection to {address[0]}")
            raise OSError(f"tests may connect to loopback only, not to {address[0]}")

    def watched_connect(self: socket.socket, address: Any) -> None:
        watch(self, address)
        connect(self, address)

    def watched_connect_ex(self: socket.socket, address: Any) -> int:
        watch(self, address)
        return connect_ex(self, address)

    def watched_sendto(self: socket.socket, data: Any, *rest: Any) -> int:
        watch(self, rest[-1])
        return sendto(self, data, *rest)

    def watched_getaddrinfo(host: Any, *rest: Any, **named: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name is None or name == "" or _is_loopback(name):
            return getaddrinfo(host, *rest, **named)
        if not name.rstrip(".").endswith((".invalid", ".test", ".example")):
            seen.append(f"a look-up of {name}")
        raise socket.gaierror(socket.EAI_NONAME, f"tests may look up loopback only, not {name}")

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(socket.socket, "connect", watched_connect)
        monkeypatch.setattr(socket.socket, "connect_ex", watched_connect_ex)
        monkeypatch.setattr(socket.socket, "sendto", watched_sendto)
        monkeypatch.setattr(socket, "getaddrinfo", watched_getaddrinfo)
        yield seen


@pytest.fixture(autouse=True)
def _stayed_inside(escapes: list[str]) -> Iterator[None]:
    """Fails the test that tried to leave, even where the code took the refusal for a network error."""
    before = len(escapes)
    yield
    assert escapes[before:] == [], "a test may speak to loopback only"
