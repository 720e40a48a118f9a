"""One key, everything a user can see: it is in one header of each request to its own service, and nowhere else."""

from __future__ import annotations

import logging
import pickle
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ai302_core import Ai302Error, ImageRequest, Job, Provider, VideoRequest, connect
from ai302_core.cli import main
from ai302_core.errors import ConfigError
from ai302_core.sandbox import RunningSandbox, serve

KEY = "sk-sentinel-9a4410c7d2e8"
FAMILIES = ("midjourney", "unified_image", "veo")
HOMES = {"authorization", "mj-api-secret"}


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[RunningSandbox]:
    """A service that takes the key; every library logs all it has to say."""
    for name in ("", "httpx", "httpcore", "aiohttp", "asyncio", "ai302_core"):
        caplog.set_level(logging.DEBUG, name)
    monkeypatch.setenv("AI302_API_KEY", KEY)
    with serve(seed=1, speed=400.0, strict=True, key=KEY) as served:
        yield served
        assert served.leaks == 0
        for seen in served.requests:
            carrying = {name for name, value in seen.headers.items() if "***" in value}
            assert len(carrying) <= 1
            assert carrying <= HOMES
            assert KEY not in f"{seen.path}{dict(seen.query)}{seen.body!r}"


@pytest.fixture
def nowhere(home: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Fails where the key shows: in these texts, in what was logged and printed, in any file of the home."""

    def look(*texts: str) -> str:
        printed = "".join(capfd.readouterr())
        for text in (*texts, caplog.text, printed):
            assert KEY not in text
        for path in home.rglob("*"):
            assert not path.is_file() or KEY.encode() not in path.read_bytes(), path
        return printed

    return look


def configured(url: str) -> dict[str, Any]:
    fast = {"base_url": url, "poll": {"initial": 0.05, "maximum": 0.1}}
    return {"default": "midjourney", "providers": {name: {"family": name, **fast} for name in FAMILIES}}


def rendered(problem: BaseException) -> str:
    """A traceback as tools show it that print every local variable of every frame."""
    whole = traceback.TracebackException.from_exception(problem, capture_locals=True)
    return f"{''.join(whole.format())}{problem!r}{problem.__dict__}{pickle.dumps(problem)!r}"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_purchase_shows_its_key_to_nobody(
    sandbox: RunningSandbox, nowhere: Any, tmp_path: Path, home: Path, family: str
) -> None:
    picture = home / "frame.png"
    picture.write_bytes(PICTURE)
    request: Any = ImageRequest("a lantern") if family != "veo" else VideoRequest("a lantern", first_frame=picture)
    with connect(family, config=configured(sandbox.url)) as provider:
        preview = provider.dry_run(request)
        assert "***" in "".join(preview.headers.values())
        result = provider.run(request, key="lantern", save_to=home / "shots")
        provider.cost(result.job)
        shown = [repr(thing) for thing in (provider, vars(provider), result, result.job, preview, preview.headers)]
        nowhere(*shown, result.job.to_json(), repr(pickle.dumps(result)), repr(pickle.dumps(preview)))
        with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
            pickle.dumps(provider)
    assert any("***" in value for seen in sandbox.requests for value in seen.headers.values())
    assert result.files


FAULTS = ("drop", "drop-before", "error500", "error504html", "html", "truncated", "redirect", "reset", "429")


@pytest.mark.parametrize("kind", FAULTS)
def test_no_error_shows_it_even_with_every_local_variable(sandbox: RunningSandbox, nowhere: Any, kind: str) -> None:
    with connect(config=configured(sandbox.url)) as provider:
        sandbox.fault("submit", kind, times=20)
        with pytest.raises(Ai302Error) as caught:
            provider.submit(ImageRequest("a lantern"), timeout=0)
        nowhere(rendered(caught.value))


MISTAKES: dict[str, Callable[[str], object]] = {
    "a mangled key": lambda url: buy(url, key=f"{KEY}\n"),
    "a mangled key given": lambda url: buy(url, api_key=f" {KEY}"),
    "a foreign address": lambda url: buy(url, base_url="https://relay.example"),
    "plain http": lambda url: buy(url, base_url="http://api.302.ai"),
    "a user name in the address": lambda url: buy(url, base_url=f"https://me:{KEY}@api.302.ai"),
    "a key in the configuration": lambda url: connect(config={"providers": {"hero": {"api_key": KEY}}}),
    "a key for its variable's name": lambda url: connect(config={"providers": {"hero": {"api_key_env": KEY}}}),
    "a wrong timeout": lambda url: connect(config={"providers": {"hero": {"timeouts": {"submit": KEY}}}}),
    "an unknown gateway": lambda url: buy(url, gateway="no-such"),
    "an unknown provider": lambda url: buy(url, name="no-such"),
}


def buy(url: str, name: str = "midjourney", key: str = "", **more: Any) -> Job:
    if key:
        pytest.MonkeyPatch().setenv("AI302_API_KEY", key)
    with connect(name, config=configured(url), **more) as provider:
        return provider.submit(ImageRequest("a lantern"))


@pytest.mark.parametrize("name", MISTAKES)
def test_no_mistake_shows_it(sandbox: RunningSandbox, nowhere: Any, name: str) -> None:
    before = len(sandbox.requests)
    with pytest.raises(ConfigError) as caught:
        MISTAKES[name](sandbox.url)
    problem = caught.value
    whole = traceback.TracebackException.from_exception(problem, capture_locals=True)
    # What the caller wrote himself stands in his own frame and in those he handed it to.
    handed = ("connect", "__init__")
    ours = [frame for frame in whole.stack if frame.filename != __file__ and frame.name not in handed]
    nowhere(f"{problem}{problem.hint}{pickle.dumps(problem)!r}", *(str(frame.locals) for frame in ours))
    assert len(sandbox.requests) == before


COMMANDS = (
    ("config", "show"),
    ("doctor",),
    ("-p", "midjourney", "run", "a lantern", "--dry-run", "--json"),
    ("run", "a lantern", "--json", "-o", "shots"),
    ("jobs", "--json"),
    ("jobs", "show", "last", "--json"),
    ("cost", "last", "--json"),
    ("run", "a lantern", "--ar", "nonsense"),
    ("providers",),
)


def test_no_command_shows_it(
    sandbox: RunningSandbox, nowhere: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f'default = "hero"\n[providers.hero]\nfamily = "midjourney"\nbase_url = "{sandbox.url}"\n'
    Path("gen302.toml").write_text(f"{text}poll = {{ initial = 0.05, maximum = 0.1 }}\n", encoding="utf-8")
    said = 0
    for words in COMMANDS:
        main(list(words))
        said += bool(nowhere())
    assert said == len(COMMANDS)
    assert sandbox.paid == 1


class Listener:
    """A stranger's socket: whoever connects is kept."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.heard = b""
        self.visits = 0
        self.closing = False
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def close(self) -> None:
        """Only when the thread does not wait on the socket is it closed: its number is the next one's."""
        self.closing = True
        socket.create_connection(self.socket.getsockname(), timeout=30).close()
        self.thread.join(30)
        self.socket.close()

    def _listen(self) -> None:
        while True:
            peer = self.socket.accept()[0]
            if self.closing:
                return peer.close()
            self.visits += 1
            peer.settimeout(10)
            try:
                self.heard += peer.recv(65536)
                peer.sendall(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            except OSError:
                pass
            peer.close()


@pytest.fixture
def stranger() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


def test_a_jobs_json_takes_no_key_anywhere(sandbox: RunningSandbox, stranger: Listener, nowhere: Any) -> None:
    """Whatever address, family or gateway a job from elsewhere claims."""
    with connect(config=configured(sandbox.url)) as provider:
        values = provider.submit(ImageRequest("a lantern")).to_dict()
        for number, family in enumerate(FAMILIES):
            told = {**values, "id": f"261121-stranger{number}", "family": family, "provider": family}
            job = Job.from_dict({**told, "base_url": stranger.url})
            for ask in (provider.poll, provider.wait, provider.cancel, lambda job: provider.act(job, "upscale-1")):
                with pytest.raises(Ai302Error) as caught:
                    ask(job)
                nowhere(rendered(caught.value))
    assert (stranger.visits, stranger.heard) == (0, b"")


def test_a_redirect_takes_no_key_anywhere(sandbox: RunningSandbox, stranger: Listener, nowhere: Any) -> None:
    """A paid call is not redirected at all; a file's link may be, and never had a key to lose."""
    with connect(config=configured(sandbox.url)) as provider:
        sandbox.fault("submit", "redirect", to=stranger.url)
        with pytest.raises(Ai302Error) as caught:
            provider.submit(ImageRequest("a lantern"))
        nowhere(rendered(caught.value))
        assert stranger.visits == 0
        job = provider.submit(ImageRequest("a lantern"))
        sandbox.fault("poll", "redirect", to=stranger.url)
        result = provider.wait(job)
        assert stranger.visits == 0
        sandbox.fault("download", "redirect", to=stranger.url, times=50)
        with pytest.raises(Ai302Error) as caught:
            provider.save(result, "shots")
        nowhere(rendered(caught.value), stranger.heard.decode("latin-1"))
    assert stranger.visits
    assert not any(name in stranger.heard.lower() for name in (b"authorization", b"mj-api-secret"))


def test_a_webhook_gets_no_key(sandbox: RunningSandbox, stranger: Listener, nowhere: Any, until: Any) -> None:
    with connect(config=configured(sandbox.url)) as provider:
        job = provider.submit(ImageRequest("a lantern"), webhook=f"{stranger.url}/done/{{job_id}}")
        provider.wait(job)
        until(lambda: stranger.heard)
        nowhere(job.to_json(), stranger.heard.decode("latin-1"))
    assert stranger.heard.startswith(f"POST /done/{job.id}".encode())


def test_one_provider_is_not_anothers(sandbox: RunningSandbox) -> None:
    """Keys live in the provider that was connected; two in one process do not share one."""
    with (
        connect(config=configured(sandbox.url)) as own,
        connect(config=configured(sandbox.url), api_key="sk-x") as other,
    ):
        assert isinstance(own, Provider)
        with pytest.raises(Ai302Error):
            other.submit(ImageRequest("a lantern"))
        assert own.submit(ImageRequest("a lantern")).remote_id


PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c6360000000020001"
    "48afa4710000000049454e44ae426082"
)
