"""What a kill cannot show: the disk is asked to keep the intent before the paid request, its receipt, and each file."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from ai302_core import ImageRequest, connect
from ai302_core._sqlite import SqliteLedger
from ai302_core.sandbox import serve

BUY = """
import sys
from ai302_core import ImageRequest, connect
with connect("midjourney", ledger=sys.argv[1]) as provider:
    provider.submit(ImageRequest("the journal is made"))
    provider.run(ImageRequest("a lamp"), key="k", save_to=sys.argv[2])
"""
CALL = re.compile(r"(?P<name>fsync|fdatasync|sendto|write|link|linkat|rename)\((?P<rest>.*)")


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed; the next test asks the settings")
def test_the_disk_is_asked_before_the_next_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, ledger = tmp_path / "log", f"sqlite:///{(tmp_path / 'ledger.db').as_posix()}"
    traced = ["strace", "-f", "-y", "-s", "40", "-e", "trace=fsync,fdatasync,sendto,write,link,linkat,rename"]
    with serve(seed=1, speed=400.0) as sandbox:
        monkeypatch.setenv("GEN302_SANDBOX", sandbox.url)
        words = [*traced, "-o", str(log), sys.executable, "-c", BUY, ledger, str(tmp_path / "shots")]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    if done.returncode and "ptrace" in done.stderr:
        pytest.skip("this system lets nobody be traced")
    assert done.returncode == 0, done.stderr
    happened = [match for line in log.read_text("utf-8", "replace").splitlines() if (match := CALL.search(line))]
    told = []
    for entry in happened:
        name, rest = entry["name"], entry["rest"]
        if "sync" in name:
            told.append("ledger" if "/ledger" in rest else "file" if "shots" in rest else "")
        elif "POST /mj/submit" in rest:
            told.append("POST")
        elif "GET /mj/task" in rest:
            told.append("GET")
        elif name in ("link", "linkat", "rename") and rest.count("shots") >= 2:
            told.append("name")
    story = [entry for entry in told if entry]
    first, second = (at for at, entry in enumerate(story) if entry == "POST")
    assert "ledger" in story[:first], "the intent is on the disk before it is sent"
    assert story[second - 1] == "ledger", "and so is every later one"
    assert story[second + 1] == "ledger", "the receipt is on the disk before the first look"
    names = [at for at, entry in enumerate(story) if entry == "name"]
    assert len(names) >= 5, "four pictures and what is told of them"
    for at, before in zip(names, [second, *names], strict=False):
        assert "file" in story[before:at], "a file is on the disk before it has its name"


def test_the_settings_say_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real, linked = os.fsync, os.link

    def fsync(descriptor: int) -> None:
        synced.append("file")
        real(descriptor)

    def link(*values: str, **named: bool) -> None:
        synced.append("name")
        linked(*values, **named)  # type: ignore[arg-type]

    with serve(seed=1, speed=400.0) as sandbox:
        monkeypatch.setenv("GEN302_SANDBOX", sandbox.url)
        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(os, "link", link)
        with connect("midjourney", ledger=f"sqlite:///{(tmp_path / 'ledger.db').as_posix()}") as provider:
            provider.run(ImageRequest("a lamp"), save_to=tmp_path / "shots")
            ledger = provider._connection.ledger
            assert isinstance(ledger, SqliteLedger)
            asked: list[sqlite3.Connection] = []
            ledger._write(asked.append)
            assert asked[0].execute("PRAGMA synchronous").fetchone() == (2,)
    names = [at for at, entry in enumerate(synced) if entry == "name"]
    assert len(names) >= 4
    assert all(synced[at - 1] == "file" for at in names)
