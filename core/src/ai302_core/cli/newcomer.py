"""What `gen302` alone prints: the next thing to type, given what is configured and installed."""

from __future__ import annotations

import os

from ai302_core._config.layers import Layer, layers
from ai302_core._plugins.installed import installed
from ai302_core.errors import ConfigError

from ._place import ourselves


def first_steps() -> str:
    """A few lines for somebody who typed nothing; looks at the environment, gen302.toml, and what is installed."""
    me = ourselves()
    try:
        found = layers(None, env=os.environ)
    except ConfigError as problem:
        return "\n".join([problem.message, "", f"  {me} doctor", "", f"{me} --help lists everything."])
    files = [layer.name for layer in found if layer.name.endswith(".toml")]
    run = f'run "a red fox in the snow"{_named(found)} -o pictures'
    if os.environ.get("GEN302_SANDBOX"):
        state = "GEN302_SANDBOX is set: everything goes to the sandbox, nothing costs money."
    elif files:
        state = f"{files[0]} is in use; `gen302 doctor` tells what answers."
    elif any(os.environ.get(name) for name in ("AI302_API_KEY", "AI302_KEY")):
        state = "A 302.AI key is set; a run costs money."
    else:
        lines = ["No key and no gen302.toml yet: begin in the sandbox, it costs nothing.", ""]
        lines += [f"  {me} demo", f"  {me} sandbox -- {me} {run}", ""]
        lines += ["With a key in AI302_API_KEY, the same without the sandbox buys for real."]
        return "\n".join([*lines, "", f"{me} --help lists everything."])
    return "\n".join([state, "", f"  {me} {run}", f"  {me} jobs", "", f"{me} --help lists everything."])


def _named(found: list[Layer]) -> str:
    """ " -p NAME" where a run that names nobody would be asked who; else ""."""
    data = [layer.data for layer in found]
    default = next((entry["default"] for entry in data if entry.get("default")), None)
    if isinstance(default, dict):
        default = default.get("image")
    tables = [entry["providers"] for entry in data if isinstance(entry.get("providers"), dict)]
    providers = [name for table in tables for name in table]
    names = list(dict.fromkeys(providers)) or [family.name for family in installed()]
    if default or len(names) < 2:
        return ""
    return f" -p {names[0]}"
