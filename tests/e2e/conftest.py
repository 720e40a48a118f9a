"""A shop for the library's end-to-end tests: a sandbox that counts, one ledger, and buyers of both kinds."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import inspect
import io
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ai302_core import Outcome, aconnect, connect
from ai302_core.cli import main
from ai302_core.sandbox import RunningSandbox, serve

SENTINEL = "sk-sentinel-7c1e55b2f04d"


class Buyer:
    """Provider or AsyncProvider behind the same plain calls; the async one lives on one event loop."""

    def __init__(self, mode: str, options: dict[str, Any]) -> None:
        self.provider: Any = connect(**options) if mode == "sync" else aconnect(**options)
        self._runner = asyncio.Runner() if mode == "async" else None

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*values: Any, **named: Any) -> Any:
            got = getattr(self.provider, name)(*values, **named)
            return self._runner.run(got) if self._runner is not None and inspect.iscoroutine(got) else got

        return call

    def each(self, name: str, *values: Any, first: int | None = None, **named: Any) -> list[Outcome]:
        """The outcomes of `run_many` or `resume`, or the first so many of them, after which the iterator is closed."""
        outcomes = getattr(self.provider, name)(*values, **named)
        taken: list[Outcome] = []
        if self._runner is None:
            for outcome in outcomes:
                taken.append(outcome)
                if len(taken) == first:
                    break
            outcomes.close()
            return taken

        async def take() -> None:
            async for outcome in outcomes:
                taken.append(outcome)
                if len(taken) == first:
                    break
            await outcomes.aclose()

        self._runner.run(take())
        return taken

    def together(self, name: str, many: Sequence[Sequence[Any]], **named: Any) -> list[Any]:
        """One call for each list of arguments, all at once: threads, or tasks. Errors are returned in their place."""
        if self._runner is None:
            return in_threads(lambda values: getattr(self.provider, name)(*values, **named), many)

        async def gather() -> list[Any]:
            calls = (getattr(self.provider, name)(*values, **named) for values in many)
            return await asyncio.gather(*calls, return_exceptions=True)

        return self._runner.run(gather())

    def shut(self) -> None:
        """Close the provider, then its loop."""
        if self._runner is None:
            self.provider.close()
        else:
            self._runner.run(self.provider.aclose())
            self._runner.close()


def in_threads(call: Callable[[Any], Any], many: Sequence[Any]) -> list[Any]:
    """What the calls return or raise, each in a thread of its own."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(len(many)) as pool:
        started = [pool.submit(call, entry) for entry in many]
    return [entry.exception() or entry.result() for entry in started]


class Shop:
    """A sandbox, the ledger and folder beside it, and what it takes to connect."""

    def __init__(self, sandbox: RunningSandbox, home: Path) -> None:
        self.sandbox, self.home = sandbox, home
        self.folder = home / "shots"
        self.ledger = f"sqlite:///{(home / 'ledger.db').as_posix()}"
        self.buyers: list[Buyer] = []

    def options(self, gateway: str = "302ai", **more: Any) -> dict[str, Any]:
        """Arguments of `connect`: provider "hero" at this sandbox, looked at often."""
        provider: dict[str, Any] = {"family": "midjourney", "gateway": gateway, "base_url": self.sandbox.url}
        provider |= {"poll": {"initial": 0.05, "maximum": 0.1}, **more.pop("provider", {})}
        return {"config": {"default": "hero", "providers": {"hero": provider}}, "ledger": self.ledger, **more}

    def buyer(self, mode: str = "sync", gateway: str = "302ai", **more: Any) -> Buyer:
        """A new one, closed when the test ends."""
        self.buyers.append(Buyer(mode, self.options(gateway, **more)))
        return self.buyers[-1]

    def count(self, *routes: str) -> int:
        """How many requests these routes have got."""
        return sum(seen.route in routes for seen in self.sandbox.requests)

    def names(self) -> list[str]:
        """Every file in the folder, hidden ones too."""
        return sorted(path.name for path in self.folder.rglob("*") if path.is_file())

    def pictures(self) -> list[Path]:
        """The saved files without their sidecars."""
        return sorted(path for path in self.folder.rglob("*") if path.suffix in (".png", ".mp4", ".txt"))


@pytest.fixture
def gen302(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Types a command, in this process: what comes out, and its exit code. Signals and consoles want one of its own."""

    def typed(*arguments: str | Path, expect: int | None = 0, input: str = "") -> subprocess.CompletedProcess[str]:
        words = list(map(str, arguments))
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(input.encode()), "utf-8"))
        capsys.readouterr()
        code = main(words)
        done = subprocess.CompletedProcess(words, code, *capsys.readouterr())
        assert expect is None or code == expect, f"exit {code}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    return typed


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., RunningSandbox]]:
    """Starts the sandbox that every command of the test uses; of the installed families these tests speak of one."""
    monkeypatch.setenv("GEN302_DEFAULT", "midjourney")
    with contextlib.ExitStack() as running:

        def started(**options: Any) -> RunningSandbox:
            sandbox = running.enter_context(serve(**{"seed": 1, **options}))
            monkeypatch.setenv("GEN302_SANDBOX", sandbox.url)
            return sandbox

        yield started


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Installs a family of one module, for this process and those it starts."""

    def installed(name: str, source: str) -> None:
        folder = tmp_path / f"site-{name}"
        info = folder / f"{name}_family-1.0.dist-info"
        info.mkdir(parents=True)
        (folder / f"{name}_family.py").write_text(source, encoding="utf-8")
        metadata = f"Metadata-Version: 2.1\nName: {name}-family\nVersion: 1.0\n"
        (info / "METADATA").write_text(metadata, encoding="utf-8")
        entry = f"[ai302_core.families]\n{name} = {name}_family\n"
        (info / "entry_points.txt").write_text(entry, encoding="utf-8")
        monkeypatch.syspath_prepend(folder)
        monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        monkeypatch.delitem(sys.modules, f"{name}_family", raising=False)
        importlib.invalidate_caches()

    return installed


@pytest.fixture(params=["sync", "async"])
def mode(request: pytest.FixtureRequest) -> str:
    """Both kinds of provider."""
    return str(request.param)


@pytest.fixture
def threads() -> Callable[[Callable[[Any], Any], Sequence[Any]], list[Any]]:
    """`in_threads`, for test files, which import nothing from each other."""
    return in_threads


@pytest.fixture
def open_shop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Iterator[Callable[..., Shop]]:
    """Opens shops; at the end the key must be nowhere but in its header: no file, no log, no file host saw it."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.INFO, "httpcore")  # ten lines a request, which tests/faults/test_secrets.py listens to
    shops: list[Shop] = []

    def opened(**options: Any) -> Shop:
        sandbox = serve(**{"seed": 1, "speed": 200.0, "strict": True, "key": SENTINEL, **options})
        home = tmp_path / f"shop-{len(shops)}"
        home.mkdir()
        shops.append(Shop(sandbox, home))
        monkeypatch.setenv("GEN302_SANDBOX", sandbox.url)
        monkeypatch.setenv("GEN302_SANDBOX_KEY", SENTINEL)
        return shops[-1]

    yield opened
    for shop in shops:
        for buyer in shop.buyers:
            buyer.shut()
        shop.sandbox.stop()
        assert shop.sandbox.leaks == 0
        shown = [repr(buyer.provider) + repr(vars(buyer.provider)) for buyer in shop.buyers]
        assert SENTINEL not in "".join(shown)
        assert [path.name for path in shop.home.rglob("*") if path.name.endswith(".part")] == []
        holders = [path for path in shop.home.rglob("*") if path.is_file() and SENTINEL.encode() in path.read_bytes()]
        assert holders == []
    assert SENTINEL not in caplog.text


@pytest.fixture
def shop(open_shop: Callable[..., Shop]) -> Shop:
    """One, two hundred times faster than life."""
    return open_shop()
