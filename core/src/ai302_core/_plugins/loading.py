"""One plugin: imported, checked by pluggy and against its own names, alone with its faults."""

from __future__ import annotations

import importlib
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ai302_core.errors import PluginError

from .installed import Installed

if TYPE_CHECKING:
    import pluggy

    from ai302_core.family import Family

__all__ = ["Plugin", "load_one"]

API = 1
_CODE = (".py", ".so", ".pyd")


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """A loaded plugin: its family, and its other hooks, called alone."""

    installed: Installed
    family: Family
    _hooks: pluggy.PluginManager = field(repr=False, compare=False)

    def sandbox(self) -> object | None:
        """What the plugin's `ai302_sandbox` gives (an `ai302_core.sandbox.Emulation`), or None without that hook.

        Raises PluginError when the hook raises.
        """
        emulation: object | None = _call(self.installed, "ai302_sandbox", self._hooks)
        return emulation


def load_one(entry: Installed) -> Plugin:
    """Import and check the plugin. Raises PluginError; what it does to itself stays with it."""
    import pluggy

    from ai302_core import hookspecs

    module = _imported(entry)
    _check_home(entry, module)
    hooks = pluggy.PluginManager("ai302_core")
    hooks.add_hookspecs(hookspecs)
    try:
        hooks.register(module, name=str(entry))
        hooks.check_pending()
    except KeyboardInterrupt:
        raise
    except pluggy.PluginValidationError as problem:
        known = ", ".join(name for name in vars(hookspecs) if name.startswith("ai302_"))
        reason = _one_line(problem)
        raise _broken(
            entry, f"a hook does not fit: {reason}", f"Hooks of this version: {known}. {_either(entry)}"
        ) from problem
    except BaseException as problem:
        raise _broken(entry, f"it cannot be registered: {_describe(problem)}", _either(entry)) from problem
    return Plugin(installed=entry, family=_family(entry, module, hooks), _hooks=hooks)


def _imported(entry: Installed) -> ModuleType:
    try:
        return importlib.import_module(entry.module)
    except KeyboardInterrupt:
        raise
    except ModuleNotFoundError as problem:
        missing = problem.name or "a module"
        if missing == entry.module or entry.module.startswith(f"{missing}."):
            reason, remedy = f"its module {missing} is not there", f"Install {entry.distribution} again."
        elif missing.partition(".")[0] == __package__.partition(".")[0]:
            reason, remedy = f"it wants {missing}, which this ai302-core does not have", _either(entry)
        else:
            reason = f"it needs {missing}, which is not installed"
            remedy = f"Install {missing}, or {entry.distribution} again with its dependencies."
        raise _broken(entry, reason, remedy) from problem
    except ImportError as problem:
        ours = (problem.name or "").partition(".")[0] == __package__.partition(".")[0]
        remedy = _either(entry) if ours else f"Install {entry.distribution} again, or report it to its author."
        raise _broken(entry, f"importing it fails: {_describe(problem)}", remedy) from problem
    except BaseException as problem:
        raise _broken(
            entry,
            f"importing it fails: {_describe(problem)}{_where(problem, entry.module)}",
            f"Upgrade or uninstall {entry.distribution}, or report it to its author.",
        ) from problem


def _listed(entry: Installed) -> list[Path]:
    """The files of its distribution; RECORD is read without importlib.metadata, which every start would pay for."""
    if entry.metadata:
        lines = Path(entry.metadata, "RECORD").read_text("utf-8").splitlines()
        names = (line.rsplit(",", 2)[0].strip('"').replace('""', '"') for line in lines)
        return [Path(entry.location, name) for name in names]
    from importlib.metadata import distribution

    return [Path(str(file.locate())) for file in distribution(entry.distribution).files or ()]


def _check_home(entry: Installed, module: ModuleType) -> None:
    """The module must be the distribution's own, where the distribution lists its files (an editable one does not)."""
    own: list[Path] = []
    with suppress(Exception):
        own = [file for file in _listed(entry) if file.suffix in _CODE and not file.name.startswith("__editable__")]
    if module.__file__ is None or not own:
        return
    here = Path(module.__file__).resolve()
    if not any(file.name == here.name and file.resolve() == here for file in own):
        raise _broken(
            entry,
            f"the module {entry.module} is another one, from {module.__file__}",
            f"Rename or remove what hides the one of {entry.distribution}.",
        )


def _family(entry: Installed, module: ModuleType, hooks: pluggy.PluginManager) -> Family:
    from ai302_core.family import Family, Gateway, Operation

    if not hooks.hook.ai302_family.get_hookimpls():
        unmarked = callable(getattr(module, "ai302_family", None))
        reason = "its ai302_family lacks @hookimpl" if unmarked else "it has no hook ai302_family"
        raise _broken(entry, reason, f"Upgrade {entry.distribution}, or report it to its author.")
    family = _call(entry, "ai302_family", hooks)
    if not isinstance(family, Family):
        raise _broken(
            entry,
            f"its ai302_family gives {type(family).__name__}, not a Family",
            f"Upgrade {entry.distribution}, or report it to its author.",
        )
    api: object = family.api  # whatever its author wrote
    if api != API:
        newer = isinstance(api, int) and api > API
        raise _broken(
            entry,
            f"it is made for api={api!r}, this ai302-core knows api={API}",
            f"Upgrade {'ai302-core' if newer else entry.distribution}. {_range(entry)}",
        )
    if family.name != entry.name:
        raise _broken(
            entry,
            f"it calls its family {family.name!r}, and its entry point calls it {entry.name!r}",
            f"Upgrade {entry.distribution}, or report it to its author.",
        )
    parts: tuple[tuple[str, object, type], ...] = (
        ("operations", family.operations, Operation),
        ("gateways", family.gateways, Gateway),
    )
    for member, value, kind in parts:
        if not isinstance(value, tuple) or not value or not all(isinstance(part, kind) for part in value):
            raise _broken(
                entry,
                f"the {member} of its family are no tuple of one {kind.__name__} or more",
                f"Upgrade {entry.distribution}, or report it to its author.",
            )
    return family


def _call(entry: Installed, hook: str, hooks: pluggy.PluginManager) -> Any:
    try:
        return getattr(hooks.hook, hook)()
    except KeyboardInterrupt:
        raise
    except BaseException as problem:
        raise _broken(entry, f"its {hook} fails: {_describe(problem)}", _either(entry)) from problem


def _broken(entry: Installed, reason: str, remedy: str) -> PluginError:
    return PluginError(f"Family {entry.name!r} of {entry} cannot be used: {reason}. Nothing was sent.", hint=remedy)


def _describe(problem: BaseException) -> str:
    text = _one_line(problem)
    return f"{type(problem).__name__}: {text}" if text else type(problem).__name__


def _where(problem: BaseException, module: str) -> str:
    """The line of the plugin that raised, for its author; a SyntaxError says its own."""
    place, trace = "", problem.__traceback__
    while trace is not None:
        name = str(trace.tb_frame.f_globals.get("__name__", ""))
        if name.partition(".")[0] == module.partition(".")[0]:
            place = f" ({name}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return place


def _one_line(problem: BaseException) -> str:
    return " ".join(str(problem).split())[:300].rstrip(".")


def _range(entry: Installed) -> str:
    declared = f"ai302-core{entry.requires}" if entry.requires else "no range of ai302-core"
    return f"{entry} declares {declared}; installed is {_core_version()}."


def _either(entry: Installed) -> str:
    return f"Upgrade {entry.distribution} or ai302-core. {_range(entry)}"


def _core_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("ai302-core")
    except PackageNotFoundError:
        return "unknown"
