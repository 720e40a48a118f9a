"""Plugins: listed without importing any, loaded one by one and remembered, reported from a process of their own."""

from __future__ import annotations

import sys
import threading
from difflib import get_close_matches
from typing import TYPE_CHECKING

from ._plugins.installed import GROUP, Installed, canonical, installed
from ._plugins.loading import Plugin, load_one
from ._plugins.probing import PluginReport, report
from .errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .family import Family

__all__ = [
    "GROUP",
    "Installed",
    "Plugin",
    "PluginReport",
    "canonical",
    "chosen",
    "installed",
    "load",
    "load_plugin",
    "report",
    "serves",
]

_loaded: dict[Installed, Plugin] = {}
_lock = threading.RLock()


def load(name: str, *, choice: str | None = None, allowed: Sequence[str] | None = None) -> Family:
    """The family of that name: imports its plugin and no other, checks it, and remembers it.

    choice   the distribution to take it from, where several offer it
    allowed  the distributions that may be loaded; None: all

    Raises PluginError with the distribution, what is wrong, and what to do; that plugin alone is unusable.
    """
    return load_plugin(name, choice=choice, allowed=allowed).family


def load_plugin(name: str, *, choice: str | None = None, allowed: Sequence[str] | None = None) -> Plugin:
    """As `load`, with the plugin's other hooks."""
    entry = chosen(name, choice, allowed)
    with _lock:
        if entry not in _loaded:
            _loaded[entry] = load_one(entry)
        return _loaded[entry]


def serves(name: str, kind: str) -> bool:
    """Whether the installed family has an operation for this kind of request ("image", "video"); a broken one: no."""
    try:
        return any(operation.request.kind == kind for operation in load(name).operations)
    except PluginError:
        return False


def chosen(name: str, choice: str | None, allowed: Sequence[str] | None = None) -> Installed:
    """The installed plugin that serves a family. Raises PluginError for none, or several without a choice."""
    everything = installed()
    offers = [entry for entry in everything if entry.name == name]
    if not offers:
        names = list(dict.fromkeys(entry.name for entry in everything))
        close = get_close_matches(name.replace("-", "_").lower(), names, n=1, cutoff=0.6)
        raise PluginError(
            f"No family {name!r} is installed{f' (did you mean {close[0]!r}?)' if close else ''}; "
            f"installed: {', '.join(names) or 'none'}. Nothing was sent.",
            hint=f"Install the distribution that brings {name!r} into this Python: {sys.executable}",
        )
    if allowed is not None:
        permitted = {canonical(entry) for entry in allowed}
        kept = [entry for entry in offers if canonical(entry.distribution) in permitted]
        if not kept:
            raise PluginError(
                f"Family {name!r} is of {offers[0].distribution}, which `plugins` in gen302.toml does not allow. "
                "Nothing was sent.",
                hint=f'plugins = ["{offers[0].distribution}"], or take the line out to allow every installed one',
            )
        offers = kept
    named = ", ".join(map(str, offers))
    if choice is not None:
        fitting = [entry for entry in offers if canonical(entry.distribution) == canonical(choice)]
        if not fitting:
            raise PluginError(
                f"Family {name!r} shall come from {choice}, which does not offer it here; {named} does. "
                "Nothing was sent.",
                hint=f'plugin = "{offers[0].distribution}", or install {choice}',
            )
        return fitting[0]
    if len(offers) > 1:
        raise PluginError(
            f"Family {name!r} is offered by {' and '.join(map(str, offers))}; which one is yours to say. "
            "Nothing was sent.",
            hint=f'Under the provider in gen302.toml: family = "{name}", plugin = "{offers[0].distribution}"; '
            "or uninstall one.",
        )
    return offers[0]
