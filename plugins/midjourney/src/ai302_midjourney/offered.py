"""What each gateway offers, printed from the samples: `python -m ai302_midjourney.offered`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

from . import ai302_family

__all__ = ["standing", "table"]

_WORDS = re.compile(r"(documented|inferred): ([^;]*)")
_RANK = {"documented": 3, "inferred": 2, "refused": 1}


def standing() -> dict[tuple[str, str], str]:
    """(operation, gateway) -> "documented", "inferred" or "refused" there, as the best sample of it says."""
    family = ai302_family()
    found: dict[tuple[str, str], str] = {}
    for sample in _samples():
        match = _WORDS.search(sample["source"])
        kind = sample["expect"].get("kind")
        if sample["request"] is None or match is None or kind not in (None, "unsupported"):
            continue
        word = "refused" if kind else match[1]
        operations = {sample["operation"]}
        for exchange in sample["exchanges"]:
            operations |= {"modal"} if exchange["sent"]["path"].endswith("/submit/modal") else set()
        for operation in operations:
            assert family.operation(operation) is not None, operation
            place = operation, sample["gateway"]
            if _RANK[word] > _RANK.get(found.get(place, ""), 0):
                found[place] = word
    return found


def table() -> str:
    """The table of docs/midjourney.md, as Markdown."""
    family, known = ai302_family(), standing()
    gateways = [gateway.name for gateway in family.gateways]
    lines = [
        "| Operation | Address | " + " | ".join(f"`{name}`" for name in gateways) + " |",
        "|---" * (len(gateways) + 2) + "|",
    ]
    for operation in family.operations:
        cells = [
            "not offered" if operation.name in gateway.lacks else known.get((operation.name, gateway.name), "unknown")
            for gateway in family.gateways
        ]
        address = operation.submit.path.removeprefix("/{speed}/")
        lines.append(f"| {operation.name} | `{address}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _samples() -> Iterator[dict[str, Any]]:
    for entry in sorted(files(__package__).joinpath("samples").iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".json"):
            yield json.loads(entry.read_text(encoding="utf-8"))


if __name__ == "__main__":
    print(table())
