"""A progress bar for notebooks: `provider.run(request, on_update=notebooks.bar())`. It needs IPython."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

from .errors import ConfigError
from .jobs import Job

__all__ = ["bar"]


def bar() -> Callable[[Job], None]:
    """An `on_update` that shows one bar in the cell it is used in. Raises ConfigError outside of IPython."""
    try:
        from IPython import display  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        raise ConfigError(
            "A notebook's bar needs IPython, which is not installed here. Nothing was sent.",
            hint="Outside of notebooks leave on_update out; the command gen302 shows progress by itself.",
        ) from None
    shown: dict[str, Any] = {}

    def update(job: Job) -> None:
        content = display.HTML(_drawn(job))
        if "handle" in shown:
            shown["handle"].update(content)
        else:
            shown["handle"] = display.display(content, display_id=True)

    return update


def _drawn(job: Job) -> str:
    """The bar as HTML; without a number from the service it moves without an end."""
    value = 1.0 if job.status.settled else job.progress
    number = "" if value is None else f' value="{value:.3f}"'
    percent = "" if job.progress is None or job.status.settled else f" {job.progress:.0%}"
    words = escape(f"{job.id} {job.status.replace('_', ' ')}{percent}")
    return f'<progress max="1"{number}></progress> <small>{words}</small>'
