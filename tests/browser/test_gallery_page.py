"""The gallery in a real browser: pictures are decoded, a clip plays, prompts run nothing, nothing is fetched."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ai302_core.cli import main
from ai302_core.sandbox import serve

pytestmark = pytest.mark.browser

HOSTILE = (
    """a lantern</p><script>document.title='owned'</script><img src=x onerror="document.title='owned'"> & "done" """
)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--window-size=1280,900",
    "--remote-debugging-pipe",
    "--autoplay-policy=no-user-gesture-required",
]


class Browser:
    """A headless Chromium that is told what to do over two pipes; every answer is awaited for a bounded time."""

    def __init__(self, program: str, profile: Path) -> None:
        down_read, down_write = os.pipe()
        up_read, up_write = os.pipe()

        def places() -> None:
            os.dup2(down_read, 3)
            os.dup2(up_write, 4)

        kept = {3, 4, down_read, up_write}
        self._child = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=tuple(kept), preexec_fn=places,
        )  # fmt: skip
        os.close(down_read)
        os.close(up_write)
        self._to, self._from, self._rest, self._number = down_write, up_read, b"", 0
        self.events: list[dict[str, Any]] = []
        self._session: str | None = None

    def page(self) -> None:
        """Take up the page that is open."""
        target = next(entry for entry in self.call("Target.getTargets")["targetInfos"] if entry["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer to one command."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + 60
        while True:
            told = self._next(deadline - time.monotonic())
            if told.get("id") == self._number:
                assert "error" not in told, told["error"]
                return dict(told["result"])
            self.events.append(told)

    def _next(self, seconds: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._from], [], [], max(0.0, seconds))
            assert ready, "the browser does not answer"
            more = os.read(self._from, 1 << 20)
            assert more, "the browser has ended"
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(line))

    def value(self, script: str) -> Any:
        """What a script comes to, promises awaited."""
        got = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in got, got
        return got["result"].get("value")

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(OSError, AssertionError):
            self._session = None
            self.call("Browser.close")
        try:
            self._child.wait(20)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait(20)
        os.close(self._to)
        os.close(self._from)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert program, "there is no Chromium: make test-browser installs it"
    running = Browser(program, tmp_path / "profile")
    try:
        running.page()
        yield running
    finally:
        running.close()


PLAYS = """(async () => {
  const clip = document.querySelector('video'); clip.muted = true; await clip.play();
  const until = Date.now() + 20000;
  while (clip.currentTime === 0 && Date.now() < until) await new Promise(go => setTimeout(go, 50));
  return [clip.currentTime > 0, clip.videoWidth > 0, clip.error && clip.error.message];
})()"""
PICTURES = """(async () => {
  const all = [...document.querySelectorAll('img')];
  await Promise.all(all.map(picture => { picture.loading = 'eager'; return picture.decode(); }));
  return all.map(picture => picture.naturalWidth);
})()"""


def test_the_gallery_shows_and_plays_and_runs_nothing(
    browser: Browser, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GEN302_DEFAULT", "midjourney")
    with serve(speed=400, seed=1) as sandbox:
        monkeypatch.setenv("GEN302_SANDBOX", sandbox.url)
        assert main(["run", HOSTILE, "-o", "shots"]) == 0
        assert main(["act", "last", "upscale-1", "-o", "shots"]) == 0
        assert main(["act", "last", "animate-high", "-o", "shots"]) == 0
        assert main(["jobs", "gallery", "gallery.html"]) == 0
    page = Path("gallery.html").resolve()
    capsys.readouterr()
    browser.call("Page.navigate", url=page.as_uri())
    deadline = time.monotonic() + 30
    while browser.value("document.readyState") != "complete":
        assert time.monotonic() < deadline
    widths = browser.value(PICTURES)
    assert len(widths) == 5
    assert min(widths) > 200
    assert browser.value(PLAYS) == [True, True, None]
    assert browser.value("document.title") == "3 jobs"
    assert browser.value("document.querySelectorAll('script').length") == 0
    said = browser.value("[...document.querySelectorAll('.prompt')].map(each => each.textContent)")
    assert said == [f"{press}{' '.join(HOSTILE.split())}" for press in ("animate-high: upscale-1: ", "upscale-1: ", "")]
    asked = [event["params"]["request"]["url"] for event in browser.events
             if event.get("method") == "Network.requestWillBeSent"]  # fmt: skip
    assert {url.partition(":")[0] for url in asked} <= {"file", "data"}
    picture = base64.b64decode(browser.call("Page.captureScreenshot", format="png")["data"])
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    kept = os.environ.get("SCREENSHOT")
    if kept:
        Path(kept).write_bytes(picture)
    assert len(picture) > 20_000  # a page of pictures, not an empty one
