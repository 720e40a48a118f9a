"""SIGKILL between two steps of a save: what the next command does about what was left beside the files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from ai302_core import ImageRequest

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="kill -9 is a POSIX signal"),
    pytest.mark.unmeasured,  # who is killed has nothing to tell
]

Shop = Any
DYING = """
import json, os, signal, sys
from ai302_core import ImageRequest, connect
from ai302_core._files import sidecar
from ai302_core._sqlite import SqliteLedger

def dying(*values, **named):
    os.kill(os.getpid(), signal.SIGKILL)

def after(function):
    def call(*values, **named):
        function(*values, **named)
        dying()
    return call

order = json.loads(sys.argv[1])
match order["at"]:
    case "named": os.link = after(os.link)
    case "recorded": SqliteLedger.add_files = after(SqliteLedger.add_files)
    case "without a sidecar": sidecar.keep = dying
with connect(**order["connect"]) as provider:
    provider.run(ImageRequest("a lamp"), key="order", save_to=order["folder"])
"""


def killed(shop: Shop, at: str) -> None:
    """Another Python, gone at that step of its first file."""
    order = json.dumps({"connect": shop.options("302ai"), "at": at, "folder": str(shop.folder)})
    done = subprocess.run([sys.executable, "-c", DYING, order], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.parametrize(
    ("at", "again"),
    [
        *((at, again) for at in ("named", "recorded") for again in ("resume", "save", "run")),
        ("without a sidecar", "resume"),
    ],
)
def test_the_next_command_leaves_the_files_and_their_sidecar_and_nothing_else(
    open_shop: Callable[..., Shop], at: str, again: str
) -> None:
    shop = open_shop()
    killed(shop, at)
    assert [path.name for path in shop.folder.glob(".*.part")]
    buyer = shop.buyer("sync")
    if again == "resume":
        assert [outcome.error for outcome in buyer.each("resume")] == [None]
        assert buyer.each("resume") == []
    elif again == "save":
        buyer.save(buyer.job("order"), shop.folder)
    else:
        buyer.run(ImageRequest("a lamp"), key="order", save_to=shop.folder)
    assert len(shop.pictures()) == 4
    assert [path.name for path in shop.folder.iterdir() if path.name.startswith(".")] == []
    assert len(list(shop.folder.glob("*.json"))) == 1
    assert all(path.stat().st_nlink == 1 for path in shop.folder.iterdir())
    assert (shop.sandbox.paid, shop.count("download")) == (1, 1)
