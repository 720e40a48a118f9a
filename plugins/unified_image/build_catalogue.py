"""Writes the family's catalogue from the fact sheets in `facts/`: `python plugins/unified_image/build_catalogue.py`.

facts/v1-models.csv       302.AI's page of POST /302/image/generate: what each model does with sizes and ratios
facts/v2-models.csv       parameters of each model of /302/v2/image/generate, with the first-party source of each row
facts/v2-ratio-sizes.csv  the pixels that 302.AI's own command line sends for a ratio
"""

from __future__ import annotations

import csv
import json
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TARGET = HERE / "src/ai302_unified_image/catalogue.json"

PAGE = "302.AI's page of POST /302/image/generate, 2025-09-01"
SOURCES = {
    "cli-1.0.5 model_params.json": "model_params.json of 302.AI's command line 1.0.5",
    "302ai/302-video-generator-public@90a34bb:src/constants/image-models.ts": "302.AI's web app, model name only",
}
COERCED = re.compile(r"coerced|otherwise|falls back")
LARGEST = re.compile(r"each under (\d+) MB")

Entry = dict[str, Any]


def rows(name: str) -> list[dict[str, str]]:
    """The rows of a fact sheet."""
    with (HERE / "facts" / name).open(encoding="utf-8", newline="") as sheet:
        return list(csv.DictReader(sheet))


def split(text: str) -> list[str]:
    """The values of a cell."""
    return text.split("|") if text else []


def page(row: dict[str, str]) -> Entry:
    """What the v1 page says of a model: it replaces silently, and never refuses."""
    rules: Entry = {}
    if row["aspect_ratio_supported"] != "unstated":
        silently = f"Anything else silently becomes {row['aspect_ratio_fallback']}."
        supported = {"allowed": split(row["aspect_ratios"]), "instead": silently}
        rules["aspect_ratio"] = supported if row["aspect_ratio_supported"] == "true" else {"taken": False}
    silently = f"Anything else silently becomes {row['size_fallback']}."
    sides = re.fullmatch(r"each side in (\d+)\.\.(\d+)", row["sizes"])
    if sides:
        side = {"least": int(sides[1]), "most": int(sides[2]), "instead": silently}
        rules |= {"width": side, "height": side}
    elif row["sizes"]:
        rules["size"] = {"allowed": split(row["sizes"]), "instead": silently}
    if row["image_required"] == "true":
        rules["image"] = {"required": True}
    return rules


def parameter(row: dict[str, str]) -> Entry:
    """One parameter of a v2 model as a rule."""
    rule: Entry = {}
    if row["enum"]:
        rule["allowed"] = [value.replace("*", "x") for value in split(row["enum"])]
    if row["min"]:
        rule["least"] = int(row["min"])
    if row["max"] or row["max_items"]:
        rule["most"] = int(row["max"] or row["max_items"])
    if least := re.search(r"at least (\d+) pixels", row["notes"]):
        rule["least"] = int(least[1])
    if row["required"] == "true":
        rule["required"] = True
    if COERCED.search(row["notes"]):
        rule["instead"] = f"{row['notes'][0].upper()}{row['notes'][1:]}."
    return rule


def catalogue() -> list[Entry]:
    """Every model, those of 302.AI's current command line first, then by name of the sheet."""
    models: dict[str, Entry] = {}
    current: set[str] = set()
    for row in rows("v2-models.csv"):
        fresh = {"doors": ["v2"], "complete": bool(row["param"]), "parameters": {}, "source": SOURCES[row["source"]]}
        entry = models.setdefault(row["model"], fresh)
        if row["param"]:
            entry["parameters"][row["param"]] = parameter(row)
        if largest := LARGEST.search(row["notes"]):
            entry["largest"] = int(largest[1]) * 1_000_000
        if row["in_cli_catalogue"] == "true":
            current.add(row["model"])
    for row in rows("v1-models.csv"):
        entry = models.setdefault(row["model"], {"doors": [], "complete": False, "source": ""})
        entry["doors"].insert(0, "v1")
        entry["parameters"] = page(row)
        entry["source"] = "; ".join(filter(None, (PAGE, entry["source"])))
    for row in rows("v2-ratio-sizes.csv"):
        for name, entry in models.items():
            words = entry["parameters"].get("size", {}).get("allowed", [])
            known = not row["resolution"] or row["resolution"] in words or not words
            if fnmatchcase(name, row["model"]) and known:
                pixels = entry.setdefault("pixels", {}).setdefault(row["aspect_ratio"], {})
                pixels[row["resolution"]] = [int(row["width"]), int(row["height"])]
    ordered = sorted(models.items(), key=lambda item: item[0] not in current)
    return [{"name": name, **entry} for name, entry in ordered]


def written() -> str:
    """The catalogue as the package holds it: one model a line."""
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in catalogue())
    return f"[\n{lines}\n]\n"


if __name__ == "__main__":
    TARGET.write_text(written(), encoding="utf-8")
