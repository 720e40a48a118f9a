"""What a family opens by itself while it decides: connections, look-ups and processes of the thread that is watched."""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

_DOORS: tuple[tuple[Any, str, int], ...] = (
    (socket.socket, "connect", 1),
    (socket.socket, "connect_ex", 1),
    (socket, "getaddrinfo", 0),
    (subprocess.Popen, "__init__", 1),
    (os, "system", 0),
    (os, "execv", 0),
    (os, "execve", 0),
    (os, "posix_spawn", 0),
    (os, "posix_spawnp", 0),
)
"""Where each is, its name, and which of its arguments says what is opened."""

_watched: dict[int, list[str]] = {}


@contextlib.contextmanager
def watching() -> Iterator[None]:
    """Meanwhile what a watched thread opens is told.

    An audit hook would miss less, but it stays for ever, and in Python 3.11 it breaks coverage: a thread that starts
    while the hook runs for another "cannot install a trace function".
    """
    with contextlib.ExitStack() as stack:
        for owner, name, telling in _DOORS:
            if hasattr(owner, name):
                door = _telling(f"{owner.__name__}.{name}".removesuffix(".__init__"), getattr(owner, name), telling)
                stack.enter_context(mock.patch.object(owner, name, door))
        yield


def listen(heard: list[str] | None) -> list[str] | None:
    """Tell `heard` what this thread opens from now on, None: nobody. Returns who was told before."""
    me = threading.get_ident()
    before = _watched.pop(me, None)
    if heard is not None:
        _watched[me] = heard
    return before


def _telling(name: str, function: Callable[..., Any], telling: int) -> Callable[..., Any]:
    @functools.wraps(function)
    def door(*arguments: Any, **named: Any) -> Any:
        heard = _watched.get(threading.get_ident())
        if heard is not None:
            what = (*arguments, *named.values())[telling : telling + 1]
            heard.append(f"{name} {what[0]!r}" if what else name)
        return function(*arguments, **named)

    return door
