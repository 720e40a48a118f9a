"""Every plugin tried in another process, with a time limit: what crashes or hangs there costs nothing here."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ai302_core.errors import PluginError

from . import remembering
from .installed import Installed, installed
from .loading import load_one
from .remembering import Stamps

__all__ = ["PluginReport", "report"]

# The child takes over this process's path: it must find what this one would.
_CHILD = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from ai302_core._plugins.probing import answer; answer(json.loads(sys.argv[2]))"
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


_Trial = tuple[PluginReport, Stamps | None]


def report(limit: float = 20.0, *, remembered: bool = False) -> tuple[PluginReport, ...]:
    """One report for each installed plugin, by name. Each has `limit` seconds to load.

    remembered  whoever loaded when last tried is not tried again while nothing that this hangs on has changed: its own
                files, those of what it imported, Python, this library, and what is installed beside it

    A process costs more than a plugin, so all are tried in one at first; whoever does not load there, or whose turn
    never came, is tried in a process of its own: nobody is called broken for what another one did.
    """
    entries = installed()
    known, files = remembering.fine(entries) if remembered else ({}, {})
    reports = {entry: _known(entry, told) for entry, told in known.items()}
    untried = [entry for entry in entries if entry not in known]
    for one, stamps in _tried(untried, limit) if untried else ():
        reports[one.plugin] = one
        if one.ok and stamps is not None:
            known[one.plugin] = vars(one)
            files |= stamps
    if untried:
        remembering.keep(known, files)
    return tuple(reports[entry] for entry in entries)


def _known(entry: Installed, told: Mapping[str, Any]) -> PluginReport:
    return PluginReport(plugin=entry, ok=True, operations=tuple(told["operations"]), gateways=tuple(told["gateways"]))


def _tried(entries: Sequence[Installed], limit: float) -> list[_Trial]:
    from concurrent.futures import ThreadPoolExecutor

    fine = (
        {one.plugin: (one, files) for one, files in _told(entries, limit / 4)[0] if one.ok} if len(entries) > 1 else {}
    )
    with ThreadPoolExecutor(max_workers=4) as pool:
        return list(pool.map(lambda entry: fine.get(entry) or _alone(entry, limit), entries))


def _alone(entry: Installed, limit: float) -> _Trial:
    found, ended = _told([entry], limit)
    if found:
        return found[0]
    if ended is None:
        return _failed(entry, f"importing it takes longer than {limit:g} s"), None
    return _failed(entry, f"importing it ends Python itself (exit code {ended})"), None


def _told(entries: Sequence[Installed], limit: float) -> tuple[list[_Trial], int | None]:
    """What a child told of these before it ended, and its exit code; None: it was ended after `limit` seconds."""
    import subprocess

    named = [[entry.name, entry.distribution] for entry in entries]
    command = [sys.executable, "-P", "-c", _CHILD, json.dumps(sys.path), json.dumps(named)]
    ended: int | None = None
    try:
        done = subprocess.run(  # noqa: S603 - this interpreter, our own words
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=limit,
            check=False,
        )
        text, ended = done.stdout, done.returncode
    except subprocess.TimeoutExpired as late:
        text = late.stdout or b""
    answers = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith(b"\n")]
    return [
        (
            PluginReport(
                plugin=entry,
                ok=told["ok"],
                operations=tuple(told["operations"]),
                gateways=tuple(told["gateways"]),
                reason=told["reason"],
                remedy=told["remedy"],
            ),
            told["files"],
        )
        for entry, told in zip(entries, answers, strict=False)  # the child may have ended early
    ], ended


def _failed(entry: Installed, what: str) -> PluginReport:
    return PluginReport(
        plugin=entry,
        ok=False,
        reason=f"Family {entry.name!r} of {entry} cannot be used: {what}.",
        remedy=f"Upgrade or uninstall {entry.distribution}, or report it to its author.",
    )


def answer(named: Sequence[Sequence[str]]) -> None:
    """What the child does: load the plugins, write a line of JSON for each, end without waiting for anything.

    named  (name, distribution) of each
    """
    # What a plugin prints goes nowhere, and what it starts cannot hold the pipe open.
    out = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    known = {(entry.name, entry.distribution): entry for entry in installed()}
    before, watched = set(sys.modules), set[str]()
    for name, distribution in named:
        told: dict[str, Any] = {"ok": True, "operations": [], "gateways": [], "reason": "", "remedy": "", "files": None}
        try:
            family = load_one(known[name, distribution]).family
            told["operations"] = [operation.name for operation in family.operations]
            told["gateways"] = [gateway.name for gateway in family.gateways]
            files = remembering.watched(known[name, distribution].module, before)
            if files is not None:  # what an earlier one has told of is in the parent's hands
                told["files"] = {path: stamp for path, stamp in files.items() if path not in watched}
                watched |= files.keys()
        except PluginError as problem:
            told |= {"ok": False, "reason": problem.message, "remedy": problem.hint}
        out.write(json.dumps(told).encode() + b"\n")
        out.flush()
    os._exit(0)
