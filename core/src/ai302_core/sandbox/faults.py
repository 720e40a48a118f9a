"""Faults: what can go wrong on purpose, where, and how often."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase
from os import PathLike
from pathlib import Path
from typing import Any

from ai302_core.errors import ParameterError

from .vocabulary import Route

__all__ = ["CALLBACK_FAULTS", "FAULTS", "Fault", "FaultBook", "read_faults"]

_WORD = re.compile(r"[\w:.-]+")  # no pattern, no path: the name of a call
_USUAL = ("submit", "poll", "list", "cancel", "upload", "download")  # names of calls that not every family makes

# The option `accept` says whether the service does its work before the fault hides it.
FAULTS: Mapping[str, frozenset[str]] = {
    "refuse": frozenset({"seconds"}),  # the port itself is closed for a while; at once, whatever `where` says
    "drop-before": frozenset(),  # the socket closes unanswered, nothing was read or created
    "drop": frozenset({"accept", "reset"}),  # accepted, then the socket closes unanswered
    "late": frozenset({"seconds"}),  # accepted at once, answered late
    "error500": frozenset({"accept"}),
    "error502": frozenset({"accept"}),
    "error503": frozenset({"accept"}),
    "error504html": frozenset({"accept"}),  # the front's time-out page; "error524html" is the other edge's
    "error524html": frozenset({"accept"}),
    "429": frozenset({"retry_after", "hint", "accept"}),  # the wait in the header, or in the body's words
    "html": frozenset({"accept"}),  # a web page with status 200
    "empty": frozenset({"accept"}),  # status 200 without a body
    "truncated": frozenset({"accept"}),  # JSON that stops in the middle
    "expired": frozenset(),  # the link is dead
    "redirect": frozenset({"to", "status"}),  # to the same path on another host
    "reset": frozenset({"at", "clean"}),  # the body stops in the middle: the socket is reset, or closed cleanly
    "short": frozenset({"at"}),  # a complete reply by HTTP's rules, with half of the file
    "slow": frozenset({"seconds"}),  # the body trickles
}
"""The kinds every route knows -> their options. Families add their own."""

CALLBACK_FAULTS: Mapping[str, frozenset[str]] = {
    "missing": frozenset(),  # it is never sent
    "duplicate": frozenset(),  # it is sent twice
    "reorder": frozenset(),  # it is sent after the one that follows it
    "late": frozenset({"seconds"}),  # sandbox seconds
    "forge": frozenset({"members", "job"}),  # before it, another: members laid over it, or for another job's address
}
"""The kinds that happen to `where = "callback"` -> their options."""

ACCEPTING = frozenset({"drop", "late", "empty", "truncated", "reset", "short", "slow"})
"""Kinds that do the work first, unless the option `accept` says otherwise; the others hide work only if it says so."""


@dataclass
class Fault:
    """One armed fault.

    where    a route's name ("poll", "submit", "submit:imagine") or a shell pattern over "METHOD /path"
    times    how many matching requests it hits; None: all
    options  as its kind takes them
    hits     how often it has happened
    """

    where: str
    kind: str
    times: int | None = 1
    options: Mapping[str, Any] = field(default_factory=dict)
    hits: int = 0

    def option(self, name: str, default: Any) -> Any:
        """An option of this fault, or the default."""
        return self.options.get(name, default)

    @property
    def accepts(self) -> bool:
        """Whether the service does its work before the fault hides it."""
        return bool(self.option("accept", self.kind in ACCEPTING or self.kind not in FAULTS))

    def meets(self, route: Route, method: str, path: str) -> bool:
        """Whether it is to happen to this request."""
        if self.kind == "refuse" or (self.times is not None and self.hits >= self.times):
            return False
        if self.kind not in FAULTS and self.kind not in route.faults:
            return False
        names = (route.name, route.name.partition(":")[0], f"{method} {path}")
        return any(fnmatchcase(name, self.where) for name in names)


class FaultBook:
    """The armed faults of one server, in the order in which they were armed."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.refuse: Callable[[float], None] = lambda seconds: None
        known = tuple(routes)
        self.kinds = {*FAULTS, *(kind for route in known for kind in route.faults)}
        self.names = {*_USUAL, *(name for route in known for name in (route.name, route.name.partition(":")[0]))}
        self.armed: list[Fault] = []

    def arm(self, where: str, kind: str, times: int | None = 1, **options: Any) -> Fault:
        """Arm one. Raises ParameterError for an unknown kind, option or name of a call."""
        if _WORD.fullmatch(where) and where != "callback" and kind != "refuse" and where not in self.names:
            # It would never happen, and a test that waits for it would pass without it.
            near = get_close_matches(where, self.names, 1)
            meant = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(self.names))}."
            raise ParameterError(f"No call of this sandbox is named {where!r}; {meant}", field="where")
        if where == "callback" and kind not in CALLBACK_FAULTS:
            known = ", ".join(CALLBACK_FAULTS)
            raise ParameterError(f"To a callback there happens one of {known}, not {kind!r}.", field="kind")
        if kind not in self.kinds and where != "callback":
            raise ParameterError(f"There is no fault {kind!r}; known: {', '.join(sorted(self.kinds))}.", field="kind")
        if not (times is None or (type(times) is int and times > 0)):
            raise ParameterError(
                f"A fault happens 1 or more times, or null times for always, not {times!r}.", field="times"
            )
        taken = CALLBACK_FAULTS.get(kind) if where == "callback" else FAULTS.get(kind)
        if taken is not None and (unknown := sorted(set(options) - taken)):
            known = ", ".join(sorted(taken)) or "none"
            raise ParameterError(f"The fault {kind!r} has no option {unknown[0]!r}; it takes: {known}.", field="kind")
        fault = Fault(where, kind, times, options)
        if kind == "refuse":
            fault.hits = 1
            self.refuse(float(fault.option("seconds", 1.0)))
        self.armed.append(fault)
        return fault

    def arm_entry(self, entry: Mapping[str, Any]) -> Fault:
        """Arm one entry of a fault script. Raises ParameterError."""
        if not isinstance(entry.get("where"), str) or not isinstance(entry.get("kind"), str):
            raise ParameterError(f'A fault needs the texts "where" and "kind", not {dict(entry)}.', field="faults")
        return self.arm(**entry)

    def take_callback(self) -> Fault | None:
        """The fault that is to happen to this callback, counted as happened."""
        for fault in self.armed:
            if fault.where == "callback" and (fault.times is None or fault.hits < fault.times):
                fault.hits += 1
                return fault
        return None

    def take(self, route: Route, method: str, path: str) -> Fault | None:
        """The fault that is to happen to this request, counted as happened."""
        for fault in self.armed:
            if fault.meets(route, method, path):
                fault.hits += 1
                return fault
        return None


def read_faults(script: str | PathLike[str]) -> list[dict[str, Any]]:
    """A fault script: a JSON list of {"where", "kind", "times", options…}. Raises ParameterError."""
    path = Path(script)
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        reason = (isinstance(problem, OSError) and problem.strerror) or problem
        raise ParameterError(f"The fault script {path} cannot be read: {reason}.", field="faults") from None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ParameterError(
            f'The fault script {path} must be a list such as [{{"where": "poll", "kind": "html", "times": 2}}].',
            field="faults",
        )
    return entries
