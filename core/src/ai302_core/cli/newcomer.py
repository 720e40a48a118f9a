"""What `gen302` alone prints: the next thing to type, given what is configured."""

from __future__ import annotations

import os

from ._place import ourselves


def first_steps() -> str:
    """A few lines for somebody who typed nothing; looks at the environment and for gen302.toml, at nothing else."""
    me = ourselves()
    if os.environ.get("GEN302_SANDBOX"):
        state, try_next = "GEN302_SANDBOX is set: everything goes to the sandbox, nothing costs money.", "run"
    elif _config_here():
        state, try_next = "gen302.toml is here; `gen302 doctor` tells what answers.", "run"
    elif any(os.environ.get(name) for name in ("AI302_API_KEY", "AI302_KEY")):
        state, try_next = "A 302.AI key is set; a run costs money.", "run"
    else:
        state, try_next = "No key and no gen302.toml yet: begin in the sandbox, it costs nothing.", "demo"
    lines = [state, ""]
    if try_next == "demo":
        lines += [
            f"  {me} demo",
            f'  {me} sandbox -- {me} run "a red fox in the snow" -o pictures',
            "",
            "With a key in AI302_API_KEY, the same without the sandbox buys for real.",
        ]
    else:
        lines += [f'  {me} run "a red fox in the snow" -o pictures', f"  {me} jobs"]
    return "\n".join([*lines, "", f"{me} --help lists everything."])


def _config_here() -> bool:
    if os.environ.get("GEN302_CONFIG"):
        return True
    folder = os.getcwd()  # noqa: PTH109 - pathlib would take longer to import than this verb runs
    while True:
        if os.path.isfile(os.path.join(folder, "gen302.toml")):  # noqa: PTH113, PTH118
            return True
        above = os.path.dirname(folder)  # noqa: PTH120
        if above == folder or os.path.exists(os.path.join(folder, ".git")):  # noqa: PTH110, PTH118
            return False
        folder = above
