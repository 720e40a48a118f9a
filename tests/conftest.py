"""Every test: no network but loopback, and nothing of the person who runs it: no home, no key, no configuration."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis.database import DirectoryBasedExampleDatabase

ROOT = Path(__file__).parents[1]
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

# Two busy cores under coverage: a slow example says nothing. In CI the examples are the same on every run.
settings.register_profile(
    "house",
    deadline=None,
    derandomize="CI" in os.environ,
    database=None if "CI" in os.environ else DirectoryBasedExampleDatabase(ROOT / ".hypothesis" / "examples"),
)
settings.load_profile("house")

# A shell that starts the tests in its background lets them ignore Ctrl-C, and their children too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


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


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home of this test's own; the test starts in an empty folder inside it."""
    home = tmp_path_factory.mktemp("home")
    _settle_in(home, monkeypatch)
    (home / "here").mkdir()
    monkeypatch.chdir(home / "here")
    return home


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
