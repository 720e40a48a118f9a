"""Write command.md from the help, settings.md from the schema, python.md from the docstrings; --check only compares."""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import ai302_core
from ai302_core.cli import VERBS, main, usage
from ai302_core.cli.completion import INNER
from ai302_core.config import schema_json

COMMAND = """# The command

What `gen302 --help` and the help of every verb print; written by `python docs/reference.py`, kept equal by a test.
`python -m ai302_core` is the same command where scripts are not on the path.
"""
SETTINGS = """# Settings

Everything `gen302.toml` may say, from its schema (`gen302 config schema`); written by `python docs/reference.py`, kept
equal by a test. What it is for is told in [Configuration](configuration.md).
"""
TABLES = {
    "[providers.NAME]": "ProviderTable",
    "[providers.NAME.timeouts]": "TimeoutsTable",
    "[providers.NAME.poll]": "PollTable",
    "[providers.NAME.limits]": "LimitsTable",
    "[gateways.NAME]": "GatewayTable",
    "[budget]": "BudgetTable",
    "[default]": "DefaultTable",
}

PYTHON = """# Python

Every name that `ai302_core` gives, with its arguments and fields; written by `python docs/reference.py` from the
docstrings, kept equal by a test. [Concepts](concepts.md) tells what belongs together, and why; the requests of a family
stand on its own page. Durations are seconds, sizes pixels, moments aware UTC.

Elsewhere: [the pytest fixture](recipes.md#tests-of-your-own), [the bar of notebooks](recipes.md#notebooks),
[the receiver of callbacks](webhooks.md), [observers and their events](plugins.md#observers), and the words of
[a family of your own](plugins-reference.md).
"""
NAMES = {
    "Connect": ("connect", "aconnect"),
    "Provider": ("Provider", "AsyncProvider"),
    "Requests": ("ImageRequest", "VideoRequest", "ActionRequest", "Request", "Media", "MediaRef"),
    "Jobs and results": ("Job", "Status", "Result", "Asset", "Outcome", "Action", "Notice"),
    "Before and after": ("Preview", "Model", "Cost", "Money"),
    "Errors": (
        "Ai302Error", "ConfigError", "PluginError", "LedgerError", "ParameterError", "KeyConflict", "BudgetExceeded",
        "ContentRejected", "TransportError", "ReplyError", "DownloadError", "ApiError", "AuthenticationError",
        "BalanceError", "RateLimitError", "InvalidRequestError", "NotFoundError", "ServerError", "ContentRejectedError",
        "JobError", "JobFailed", "JobRejected", "JobCanceled", "JobInputRequired", "JobUnconfirmed", "JobTimeout",
    ),
}  # fmt: skip
ALIASES = {
    "Target": "str | os.PathLike[str]",
    "OnUpdate": "Callable[[Job], object]",
    "Config": "str | os.PathLike[str] | Mapping[str, Any]",
}


def command() -> str:
    """The page of the command."""
    os.environ["COLUMNS"] = "100"
    parts = [COMMAND, f"```text\n{usage()}\n```\n"]
    for verb in (entry[0] for entry in VERBS if len(entry) == 3):
        for words in [(verb, word) for word in INNER[verb]] if verb == "jobs" else [(verb,)]:
            into = io.StringIO()
            with contextlib.redirect_stdout(into):
                main([*words, "--help"])
            text = into.getvalue().strip()
            parts.append(f"## gen302 {' '.join(words)}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


def settings() -> str:
    """The page of the settings."""
    schema = schema_json()
    told = {name: f"`{title}`" for title, name in TABLES.items()}
    parts = [SETTINGS, *_table("Outside of tables", schema, told)]
    # A table that the schema has and this page does not is an error here, not a gap there.
    assert sorted(TABLES.values()) == sorted(schema["$defs"])
    for title, name in TABLES.items():
        parts += _table(title, schema["$defs"][name], told)
    return "\n".join(parts)


def _table(title: str, table: dict[str, Any], told: dict[str, str]) -> Iterator[str]:
    yield f"## {title}\n\n{table['description']}\n\n| Key | Takes | Unless given | Means |\n|---|---|---|---|"
    for key, value in table["properties"].items():
        given = "needed" if key in table.get("required", ()) else _default(value)
        yield f"| `{key}` | {_kind(value, told)} | {given} | {value['description']} |"
    yield ""


def _default(value: dict[str, Any]) -> str:
    default = value.get("default")
    return "—" if default in (None, {}, []) or "$ref" in value else f"`{json.dumps(default)}`"


def _kind(value: dict[str, Any], told: dict[str, str]) -> str:
    """A value's type, in words."""
    if "$ref" in value:
        return told[value["$ref"].rpartition("/")[2]]
    if "anyOf" in value:
        return " or ".join(_kind(one, told) for one in value["anyOf"] if one.get("type") != "null")
    if "enum" in value:
        return ", ".join(f'`"{word}"`' for word in value["enum"])
    if "pattern" in value:
        return str(value["description"])
    kind = value["type"]
    if kind == "array":
        return f"a list of {_kind(value['items'], told)}" + (", not empty" if value.get("minItems") else "")
    if kind == "object":
        inner = value.get("additionalProperties")
        return f"a table of {_kind(inner, told)}" if isinstance(inner, dict) else "a table"
    words = {"string": "text", "number": "a number", "integer": "a whole number", "boolean": "true or false"}[kind]
    bounds = {"minimum": " from {}", "exclusiveMinimum": " above {}"}
    return words + "".join(said.format(value[bound]) for bound, said in bounds.items() if bound in value)


def python() -> str:
    """The page of the names."""
    # A name that the library gives and this page does not is an error here, not a gap there.
    assert sorted(name for names in NAMES.values() for name in names) == sorted(ai302_core.__all__)
    parts = [PYTHON]
    for title, names in NAMES.items():
        parts.append(f"## {title}\n")
        for name in names:
            parts += _named(name, getattr(ai302_core, name))
    return "\n".join(parts)


def _named(name: str, thing: Any) -> Iterator[str]:
    """A name's part of the page: what it is, takes and holds."""
    yield f"### {name}\n"
    if not isinstance(thing, type):
        called = _signature(name, thing) if inspect.isfunction(thing) else f"{name} = {thing}"
        yield f"```text\n{called.replace('ai302_core.assets.', '')}\n```\n"
    elif is_dataclass(thing):
        held = sorted(fields(thing), key=lambda item: bool(item.kw_only))  # what needs no name comes first
        yield "```text\n" + "\n".join(map(_field, held)) + "\n```\n"
    elif issubclass(thing, Exception):
        yield f"A kind of {' and '.join(f'`{base.__name__}`' for base in thing.__bases__)}.\n"
    if isinstance(thing, type) or inspect.isfunction(thing):  # an alias has no docstring of its own
        yield from _told(thing)
    if not isinstance(thing, type) or name == "AsyncProvider":
        return
    if issubclass(thing, Enum):
        yield ", ".join(f"`{member.name}`" for member in thing) + "\n"
    public = {own: member for own, member in vars(thing).items() if not own.startswith("_")}
    methods = {own: getattr(member, "__func__", member) for own, member in public.items()}
    if name == "Provider":
        for own, method in methods.items():
            yield f"#### {own}\n\n```text\n{_signature(own, method)}\n```\n"
            yield from _told(method)
        return
    shown = {own: own for own, member in public.items() if isinstance(member, property)}
    shown |= {own: _signature(own, method) for own, method in methods.items() if inspect.isfunction(method)}
    for own in filter(shown.get, public):
        yield f"- `{shown[own]}`: {(inspect.getdoc(public[own]) or '').partition(chr(10))[0]}"
    if shown:
        yield ""


def _told(thing: Any) -> Iterator[str]:
    """A docstring: its paragraphs as prose, its columns as they stand."""
    for part in (inspect.getdoc(thing) or "").split("\n\n"):
        columns = any("  " in line.strip() for line in part.splitlines())
        yield f"```text\n{part}\n```\n" if columns else f"{part}\n"


def _field(item: Field[Any]) -> str:
    made = item.default_factory() if item.default_factory is not MISSING else item.default
    return f"{item.name}: {item.type}" + ("" if made is MISSING else f" = {made!r}")


def _signature(name: str, function: Callable[..., Any]) -> str:
    """How it is called: on one line, or one for each argument."""
    signature, shown = inspect.signature(function), []
    for item in signature.parameters.values():
        if item.name in ("self", "cls"):
            continue
        if item.kind is item.KEYWORD_ONLY and "*" not in shown:
            shown.append("*")
        kind, optional, _ = item.annotation.partition(" | None")
        stars = "**" if item.kind is item.VAR_KEYWORD else ""
        default = "" if item.default is item.empty else f" = {item.default!r}"
        shown.append(f"{stars}{item.name}: {ALIASES.get(kind, kind)}{optional}{default}")
    whole = f"{name}({', '.join(shown)}) -> {signature.return_annotation}"
    lines = "".join(f"    {argument},\n" for argument in shown)
    return whole if len(whole) <= 100 else f"{name}(\n{lines}) -> {signature.return_annotation}"


PAGES = {"command.md": command, "settings.md": settings, "python.md": python}


if __name__ == "__main__":
    stale = []
    for name, page in PAGES.items():
        target = Path(__file__).with_name(name)
        if "--check" not in sys.argv:
            target.write_text(page(), "utf-8", newline="\n")
        elif target.read_text("utf-8") != page():
            stale.append(name)
    sys.exit(f"not what the code says: {', '.join(stale)}" if stale else 0)
