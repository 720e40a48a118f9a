"""What `gen302` alone prints: the next thing to type, given what is configured and installed."""

from __future__ import annotations

import os

from ._place import ourselves

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def first_steps() -> str:
    """A few lines for somebody who typed nothing; looks at the environment, gen302.toml, and what is installed."""
    from importlib.util import find_spec

    me = ourselves()
    files, data, trouble = _configured()
    if trouble:
        return "\n".join([trouble, "", f"  {me} doctor", "", f"{me} --help lists everything."])
    run = f'run "a red fox in the snow"{_named(data)} -o pictures'
    if os.environ.get("GEN302_SANDBOX"):
        state = "GEN302_SANDBOX is set: everything goes to the sandbox, nothing costs money."
    elif files:
        state = f"{files[0]} is in use; `gen302 doctor` tells what answers."
    elif any(os.environ.get(name) for name in ("AI302_API_KEY", "AI302_KEY")):
        state = "A 302.AI key is set; a run costs money."
    else:
        lines = ["No key and no gen302.toml yet: begin in the sandbox, it costs nothing.", ""]
        if find_spec("starlette") is None:
            lines += ['  pip install "./core[sandbox]"        (once, in the folder of the clone)']
        lines += [f"  {me} demo", f"  {me} sandbox -- {me} {run}", ""]
        lines += ["With a key in AI302_API_KEY, the same without the sandbox buys for real."]
        return "\n".join([*lines, "", f"{me} --help lists everything."])
    return "\n".join([state, "", f"  {me} {run}", f"  {me} jobs", "", f"{me} --help lists everything."])


def _named(data: list[dict[str, Any]]) -> str:
    """ " -p NAME" where a run that names nobody would be asked who; else ""."""
    default = next((entry["default"] for entry in data if entry.get("default")), None)
    if isinstance(default, dict):
        default = default.get("image")
    tables = [entry["providers"] for entry in data if isinstance(entry.get("providers"), dict)]
    names = list(dict.fromkeys(name for table in tables for name in table))
    if default or len(names) == 1:
        return ""
    if names:
        return f" -p {names[0]}"
    return next((f" -p {family}" for family in ("midjourney", "unified_image", "veo") if _there(family)), "")


def _there(family: str) -> bool:
    """Whether a first-party family is installed, without the import of all metadata that a full answer takes."""
    from importlib.util import find_spec

    return find_spec(f"ai302_{family}") is not None


def _configured() -> tuple[list[str], list[dict[str, Any]], str]:
    """The files in use, what all layers say, strongest first, and why they cannot be read, or ""."""
    if not (_folder_file() or any(name.startswith("GEN302_") for name in os.environ)):
        return [], [], ""  # the usual newcomer: nothing to read, so nothing is imported to read it with
    from ai302_core._config.layers import layers
    from ai302_core.errors import ConfigError

    try:
        found = layers(None, env=os.environ)
    except ConfigError as problem:
        return [], [], problem.message
    return [layer.name for layer in found if layer.name.endswith(".toml")], [layer.data for layer in found], ""


def _folder_file() -> bool:
    """Whether any folder that could matter has a gen302.toml; which of them counts, the layers know."""
    folder = os.getcwd()  # noqa: PTH109 - os is there already
    homes = [os.environ.get("XDG_CONFIG_HOME") or "~/.config", "~/Library/Application Support", "$LOCALAPPDATA"]
    folders = [os.path.join(os.path.expandvars(os.path.expanduser(home)), "gen302") for home in homes]  # noqa: PTH111, PTH118
    while folder not in folders:
        folders.append(folder)
        folder = os.path.dirname(folder)  # noqa: PTH120
    return any(os.path.isfile(os.path.join(entry, "gen302.toml")) for entry in folders)  # noqa: PTH113, PTH118
