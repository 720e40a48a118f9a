"""Every plugin tried in a process of its own, with a time limit: what crashes or hangs there costs nothing here."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from typing import Any

from ai302_core.errors import PluginError

from .installed import Installed, installed
from .loading import load_one

__all__ = ["PluginReport", "report"]

# The child takes over this process's path: it must find what this one would.
_CHILD = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from ai302_core._plugins.probing import answer; answer(sys.argv[2], sys.argv[3])"
)


@dataclass(frozen=True, kw_only=True)
class PluginReport:
    """How one plugin fares.

    ok                    it loads
    operations, gateways  their names, while it does
    reason, remedy        what is wrong and what to do, while it does not
    """

    plugin: Installed
    ok: bool
    operations: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    reason: str = ""
    remedy: str = ""


def report(limit: float = 20.0) -> tuple[PluginReport, ...]:
    """One report for each installed plugin, by name. Each has `limit` seconds to load."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=4) as pool:
        return tuple(pool.map(lambda entry: _probed(entry, limit), installed()))


def _probed(entry: Installed, limit: float) -> PluginReport:
    import subprocess

    command = [sys.executable, "-P", "-c", _CHILD, json.dumps(sys.path), entry.name, entry.distribution]
    try:
        done = subprocess.run(  # noqa: S603 - this interpreter, our own words
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=limit,
            check=False,
        )
        answer: dict[str, Any] = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return _failed(entry, f"importing it takes longer than {limit:g} s")
    except ValueError:
        return _failed(entry, f"importing it ends Python itself (exit code {done.returncode})")
    return PluginReport(
        plugin=entry,
        ok=answer["ok"],
        operations=tuple(answer["operations"]),
        gateways=tuple(answer["gateways"]),
        reason=answer["reason"],
        remedy=answer["remedy"],
    )


def _failed(entry: Installed, what: str) -> PluginReport:
    return PluginReport(
        plugin=entry,
        ok=False,
        reason=f"Family {entry.name!r} of {entry} cannot be used: {what}.",
        remedy=f"Upgrade or uninstall {entry.distribution}, or report it to its author.",
    )


def answer(name: str, distribution: str) -> None:
    """What the child does: load one plugin, write one JSON document, end without waiting for anything."""
    # What the plugin prints goes nowhere, and what it starts cannot hold the pipe open.
    out = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    told: dict[str, Any] = {"ok": True, "operations": [], "gateways": [], "reason": "", "remedy": ""}
    try:
        entry = next(entry for entry in installed() if (entry.name, entry.distribution) == (name, distribution))
        family = load_one(entry).family
        told["operations"] = [operation.name for operation in family.operations]
        told["gateways"] = [gateway.name for gateway in family.gateways]
    except PluginError as problem:
        told |= {"ok": False, "reason": problem.message, "remedy": problem.hint}
    out.write(json.dumps(told).encode())
    out.flush()
    os._exit(0)
