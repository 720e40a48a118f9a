"""A service that answers with the picture itself: bought, killed in between, saved, over real sockets and processes."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ai302_core import ImageRequest, Job
from ai302_core._sqlite import SqliteLedger
from ai302_core.errors import JobUnconfirmed, LedgerError

Shop = Any
REQUEST = ImageRequest("a cat")

FLASH = '''
"""A family made up for the tests: its submit's answer holds the picture."""
import base64

from ai302_core.family import Family, Gateway, Operation, ImageRequest, field, hookimpl, image, post

@hookimpl
def ai302_family():
    return Family("flash", api=1, base_url="https://api.302.ai", gateways=(Gateway("302ai"),), operations=(
        Operation("image", request=ImageRequest, submit=post("/flash"), body={"text": field("prompt")},
                  assets=(image("data[].b64_json"),)),))

@hookimpl
def ai302_sandbox():
    from ai302_core.sandbox import Answer, Emulation, Look, Route, Task, tile

    def submit(world, incoming):
        text = incoming.json()["text"]
        content = tile(Look(text, "A", "1"), (320, 200))
        world.paid["flash", "image"] += 1
        if "binary" in text:
            return Answer(200, content, media_type="image/png")
        return Answer(200, {"created": 1, "data": [{"b64_json": base64.b64encode(content).decode()}]})

    return Emulation(family="flash", routes=(Route(name="submit:image", method="POST", path="/flash", handler=submit),))
'''

DYING = """
import os, signal, sys
from ai302_core import ImageRequest, connect
from ai302_core._files import keeping
from ai302_core._sqlite import SqliteLedger

def dying(function):
    def call(*values, **named):
        function(*values, **named)
        os.kill(os.getpid(), signal.SIGKILL)
    return call

if sys.argv[2] == "file":
    keeping.kept = dying(keeping.kept)
else:
    SqliteLedger.write = dying(SqliteLedger.write)
connect("flash", ledger=sys.argv[1]).submit(ImageRequest("a cat"), key="k")
"""


@pytest.fixture
def flash(install: Callable[[str, str], None], open_shop: Callable[..., Shop]) -> Shop:
    install("flash", FLASH)
    return open_shop()


def buyer_of(shop: Shop, mode: str) -> Any:
    return shop.buyer(mode, provider={"family": "flash"})


def results(shop: Shop) -> list[Path]:
    """What lies beside the sandbox's ledger, which is beside the shop's."""
    return sorted(path for path in shop.home.glob("*-results/*") if path.is_file())


def test_the_picture_of_the_answer_is_saved_opened_and_found_again(flash: Shop, mode: str) -> None:
    buyer = buyer_of(flash, mode)
    result = buyer.run(REQUEST, key="k", save_to=flash.folder)
    (file,) = result.files
    content = Path(file).read_bytes()
    assert content.startswith(b"\x89PNG")
    (asset,) = result.images
    assert (asset.url, asset.width, asset.height) == (None, 320, 200)
    assert [path.read_bytes() for path in results(flash)] == [content]
    with buyer.open(asset) as opened:
        assert opened.read() == content
    Path(file).unlink()
    again = buyer_of(flash, mode)
    assert [Path(path).read_bytes() for path in again.save(again.job("k"), flash.folder)] == [content]
    outcomes = buyer.each("run_many", [ImageRequest(f"binary {n}") for n in range(4)], save_to=flash.folder)
    assert [outcome.error for outcome in outcomes] == [None] * 4
    assert len({path.read_bytes() for path in results(flash)}) == 5
    assert flash.sandbox.paid == 5
    assert flash.count("submit:image") == 5


def test_a_ledger_that_takes_no_receipt_keeps_no_picture_from_its_buyer(
    flash: Shop, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: SqliteLedger, job: Job, reply: bytes = b"") -> Job:
        raise LedgerError("The disk is full.")

    buyer = buyer_of(flash, mode)
    monkeypatch.setattr(SqliteLedger, "write", full)
    result = buyer.run(REQUEST, key="k", save_to=flash.folder)
    assert len(result.files) == 1
    assert "Save it now" in result.job.warnings[-1].message
    (outcome,) = buyer.each("run_many", [REQUEST], save_to=flash.folder)
    assert (outcome.error, len(outcome.files)) == (None, 1)
    assert flash.sandbox.paid == 2


def test_a_ledger_that_moves_takes_its_files_along(flash: Shop, mode: str) -> None:
    buyer = buyer_of(flash, mode)
    buyer.submit(REQUEST, key="k")
    getattr(buyer, "close" if mode == "sync" else "aclose")()
    (before,) = (path.read_bytes() for path in results(flash))
    moved = flash.home / "moved"
    moved.mkdir()
    for part in sorted(flash.home.glob("ledger*")):
        part.rename(moved / part.name)
    flash.ledger = f"sqlite:///{(moved / 'ledger.db').as_posix()}"
    again = buyer_of(flash, mode)
    job = again.job("k")
    assert [Path(path).read_bytes() for path in again.save(job, flash.folder)] == [before]
    with again.open(job.assets[0]) as opened:
        assert opened.read() == before
    assert flash.sandbox.paid == 1


@pytest.mark.skipif(sys.platform == "win32", reason="nothing there kills as SIGKILL does")
@pytest.mark.parametrize(("after", "mode"), [("file", "sync"), ("receipt", "async")])
def test_killed_after_the_file_nothing_is_sent_again_after_the_receipt_nothing_is_missing(
    flash: Shop, mode: str, after: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DYING, flash.ledger, after], capture_output=True, timeout=60, text=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    (found,) = results(flash)
    assert found.read_bytes().startswith(b"\x89PNG")
    buyer = buyer_of(flash, mode)
    job = buyer.job("k")
    assert found.name.startswith(job.id)
    if after == "file":
        assert (job.status, job.billed) == ("unconfirmed", "unknown")
        with pytest.raises(JobUnconfirmed):
            buyer.run(REQUEST, key="k", save_to=flash.folder)
        assert flash.names() == []
    else:
        result = buyer.run(REQUEST, key="k", save_to=flash.folder)
        assert [Path(path).read_bytes() for path in result.files] == [found.read_bytes()]
    assert flash.sandbox.paid == 1


def test_the_command_saves_what_the_answer_carried(flash: Shop) -> None:
    command = [sys.executable, "-m", "ai302_core", "run", "a cat", "-p", "flash", "-o", str(flash.folder)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=60)
    assert done.returncode == 0, done.stderr
    assert [path.read_bytes()[:4] for path in flash.pictures()] == [b"\x89PNG"]
    assert "base64" not in done.stdout + done.stderr
