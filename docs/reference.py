"""Write command.md from the help and settings.md from the schema; `python docs/reference.py --check` only compares."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


PAGES = {"command.md": command, "settings.md": settings}


if __name__ == "__main__":
    stale = []
    for name, page in PAGES.items():
        target = Path(__file__).with_name(name)
        if "--check" not in sys.argv:
            target.write_text(page(), "utf-8", newline="\n")
        elif target.read_text("utf-8") != page():
            stale.append(name)
    sys.exit(f"not what the code says: {', '.join(stale)}" if stale else 0)
