"""What a person sees: the real command in a real terminal, typed and read through tmux."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ai302_core.sandbox import RunningSandbox, serve

pytestmark = pytest.mark.browser

ME = f"{Path(sys.executable).parent}/gen302"


class Terminal:
    """A tmux of its own, 110 columns by 40 lines."""

    def __init__(self) -> None:
        self._tmux = ["tmux", "-L", f"gen302-{os.urandom(4).hex()}", "-f", os.devnull]
        self.do("new-session", "-d", "-x", "110", "-y", "40", "env", "PS1=$ ", "bash", "--norc", "--noprofile")

    def do(self, *words: str) -> str:
        return subprocess.run([*self._tmux, *words], capture_output=True, text=True, timeout=20, check=True).stdout

    def type(self, line: str) -> None:
        self.do("send-keys", "-l", line)
        self.do("send-keys", "Enter")

    def screen(self, *, colours: bool = False) -> str:
        """What stands there now, what has scrolled away too."""
        return self.do("capture-pane", "-p", "-J", "-S", "-500", *(["-e"] if colours else []))

    def until(self, seen: Callable[[str], object], seconds: float = 60) -> str:
        """The screen as soon as it shows what is waited for."""
        deadline = time.monotonic() + seconds
        while True:
            screen = self.screen()
            if seen(screen):
                return screen
            assert time.monotonic() < deadline, f"not seen within {seconds} s:\n{screen}"
            time.sleep(0.05)

    def run(self, line: str) -> str:
        """Type a line; what stands there when it has ended."""
        self.do("send-keys", "-R")
        self.do("clear-history")
        self.type(f'{line}; echo "ended $?"')
        return self.until(lambda screen: re.search(r"^ended \d+", screen, re.MULTILINE))

    def close(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], capture_output=True, timeout=20, check=False)


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningSandbox]:
    """Its time stands until the test lets it pass: what a person sees on the way stays until it has been seen."""
    with serve(seed=1, speed=0) as running:
        monkeypatch.setenv("GEN302_SANDBOX", running.url)
        yield running


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    assert shutil.which("tmux"), "there is no tmux: make test-browser installs it"
    monkeypatch.setenv("GEN302_DEFAULT", "midjourney")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    there = Terminal()
    try:
        yield there
    finally:
        there.close()


def test_the_newcomer_is_told_what_to_type(terminal: Terminal) -> None:
    seen = terminal.run(ME)
    assert "begin in the sandbox, it costs nothing" in seen
    assert "gen302 demo" in seen
    assert "ended 0" in seen
    assert "did you mean 'batch'?" in terminal.run(f"{ME} batsh")


def test_a_run_shows_its_stages_and_leaves_the_files(sandbox: RunningSandbox, terminal: Terminal, until: Any) -> None:
    terminal.type(f"{ME} run 'a red fox' -o shots; echo \"ended $?\"")
    until(lambda: sandbox.paid)
    sandbox.advance(15)
    moving = terminal.until(lambda screen: re.search(r"running .*\d+%", screen))
    assert re.search(r"\d+ s", moving)
    sandbox.advance(600)
    seen = terminal.until(lambda screen: "ended 0" in screen)
    assert seen.count(".png") == 4
    assert re.search(r"[▀▄█]{8}", seen), "the small picture"
    assert "From the sandbox: no money was spent." in seen
    assert len(list(Path("shots").glob("*.png"))) == 4


def test_a_batch_is_one_compact_table(sandbox: RunningSandbox, terminal: Terminal, until: Any) -> None:
    Path("skus.csv").write_text("sku,name\n" + "".join(f"S{n},mug {n}\n" for n in range(12)), "utf-8")
    line = f"{ME} batch skus.csv --prompt 'photo of {{name}}' -o 'shots/{{sku}}-{{n}}'"
    terminal.type(f'{line}; echo "ended $?"')
    until(lambda: sandbox.paid == 12)
    moving = terminal.until(lambda screen: re.search(r"skus: 0 of 12 rows, 12 under way", screen))
    assert "and 4 more" in moving
    assert moving.count(" running") + moving.count(" queued") <= 8
    sandbox.advance(600)
    seen = terminal.until(lambda screen: "ended 0" in screen)
    assert re.search(r"rows +12\n +done +12\n +files +48", seen)
    assert " under way" not in seen  # the table is gone, the summary stays
    assert ".png" not in seen  # on a terminal the summary says where they are


def test_many_open_jobs_are_one_compact_table(sandbox: RunningSandbox, terminal: Terminal) -> None:
    buying = f"for n in 1 2 3; do {ME} submit fox$n -o shots -q; done"
    terminal.type(f"sh -c '{buying}; {ME} jobs resume'; echo \"ended $?\"")
    moving = terminal.until(lambda screen: re.search(r"resume: 0 of 3 jobs, 3 under way", screen))
    assert len(re.findall(r"\d{6}-\w{8}  (?:queued|running)", moving)) == 3
    sandbox.advance(600)
    seen = terminal.until(lambda screen: "ended 0" in screen)
    assert " under way" not in seen
    assert seen.count(".png") == 12


def test_ctrl_c_says_how_to_go_on(terminal: Terminal) -> None:
    Path("stuck.json").write_text('[{"where": "submit", "kind": "stuck"}]')  # it does not end before Ctrl-C comes
    terminal.type(f"{ME} sandbox --faults stuck.json -- {ME} run 'a slow fox' -o shots; echo \"ended $?\"")
    terminal.until(lambda screen: re.search(r"(running|queued)", screen))
    terminal.do("send-keys", "C-c")
    seen = terminal.until(lambda screen: "ended 130" in screen)
    assert re.search(r"Next: gen302 wait \d{6}-\w{8}", seen)
    assert "Traceback" not in seen


def test_no_color_is_kept(sandbox: RunningSandbox, terminal: Terminal, until: Any) -> None:
    terminal.type(f"NO_COLOR=1 {ME} run 'a red fox' -o shots; echo \"ended $?\"")
    until(lambda: sandbox.paid)
    sandbox.advance(15)
    terminal.until(lambda screen: "%" in screen)
    assert not re.search(r"\x1b\[(3|4|9)\d", terminal.screen(colours=True))
    sandbox.advance(600)
    terminal.until(lambda screen: "ended 0" in screen)
