"""What a finished task offers: its buttons read by what they mean, never by where they stand.

The grammar is that of wire/midjourney.md 5.1 (2026-11-21): `MJ::JOB::upsample::2::…`, `MJ::Outpaint::50::1::…`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ai302_core.family import Action

_CUSTOM_ID = re.compile(r"MJ::(?:job::)?(?P<verb>\w+)(?:::(?P<rest>.*))?", re.IGNORECASE)
_LABELS = (
    (re.compile(r"u([1-4])"), r"upscale-\1"),
    (re.compile(r"v([1-4])"), r"vary-\1"),
    (re.compile(r"(upscale|vary) \((\w+)\)"), r"\1-\2"),
    (re.compile(r"(animate|extend) \((high|low) motion\)"), r"\1-\2"),
    (re.compile(r"zoom out ([\d.]+)x"), r"zoom-out-\1x"),
    (re.compile(r"custom zoom"), "custom-zoom"),
    (re.compile(r"make square"), "make-square"),
    (re.compile(r"re-?roll"), "reroll"),
)
PICK, REGION, ZOOM, MANUAL = "pick", "region", "zoom", "manual"
WINDOWS: Mapping[str, tuple[str, ...]] = {
    # What the answer to a press's window may hold (wire/midjourney.md 5.2, 2026-11-21).
    PICK: ("prompt",),
    REGION: ("prompt", "mask"),
    ZOOM: ("prompt", "zoom", "aspect_ratio"),
    MANUAL: ("prompt",),
}


def parsed(custom_id: object) -> tuple[str, tuple[str, ...]]:
    """The verb of a customId in lower case, and what follows it; ("", ()) for anything else."""
    match = _CUSTOM_ID.fullmatch(custom_id.strip()) if isinstance(custom_id, str) else None
    return (match["verb"].lower(), tuple((match["rest"] or "").split("::"))) if match else ("", ())


def buttons(document: Any) -> Iterator[tuple[str, str]]:
    """The customId and the label of each button that can be pressed."""
    entries = document.get("buttons") if isinstance(document, Mapping) else None
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, Mapping) and isinstance(entry.get("customId"), str) and entry["customId"].strip():
            label = entry.get("label")
            emoji = entry.get("emoji")
            yield entry["customId"], next((text for text in (label, emoji) if isinstance(text, str) and text), "")


def window(custom_id: object) -> str:
    """Which window a press opens by itself: PICK, REGION, ZOOM, MANUAL or "" for none."""
    verb, rest = parsed(custom_id)
    if verb in ("picreader", "promptanalyzer"):
        return "" if rest[0].lower() == "all" else PICK
    if verb == "video" and rest[-1:] == ("manual",):
        return MANUAL
    return {"inpaint": REGION, "customzoom": ZOOM}.get(verb, "")


_Read = Callable[[tuple[str, ...]], str]


def _scale(rest: tuple[str, ...]) -> str:
    return {"50": "zoom-out-2x", "75": "zoom-out-1.5x", "100": "make-square"}.get(rest[0], "")


def _numbered(name: str) -> _Read:
    return lambda rest: f"{name}-{rest[0]}" if rest[0].isdigit() else ""


def _named(name: str) -> _Read:
    return lambda rest: name


_NAMES: Mapping[str, _Read] = {
    "upsample": _numbered("upscale"),
    "variation": _numbered("vary"),
    "video_virtual_upscale": _numbered("upscale"),
    "picreader": lambda rest: "imagine-all" if rest[0].lower() == "all" else _numbered("imagine")(rest),
    "promptanalyzer": _numbered("imagine"),
    "picread": lambda rest: "describe-again" if rest[0].lower() == "retry" else "",
    "reroll": _named("reroll"),
    "low_variation": _named("vary-subtle"),
    "high_variation": _named("vary-strong"),
    "inpaint": _named("vary-region"),
    "outpaint": _scale,
    "customzoom": _named("custom-zoom"),
    "video": lambda rest: "animate-manual" if rest[-1] == "manual" else "",
}
_SILENT = frozenset({"bookmark", "canceljob", "prompts"})


def _name(custom_id: str, label: str) -> str:
    """Our name of a button, or "" for one that is no action."""
    verb, rest = parsed(custom_id)
    if verb in _NAMES:
        return _NAMES[verb](rest)
    if verb in _SILENT:
        return ""
    if match := re.fullmatch(r"upsample_(?:v\w+?_)?(?:2x_)?(\w+)", verb):
        return f"upscale-{match[1]}"
    if match := re.fullmatch(r"pan_(left|right|up|down)|animate_(high|low)(_extend)?", verb):
        return f"pan-{match[1]}" if match[1] else f"{'extend' if match[3] else 'animate'}-{match[2]}"
    plain = label.strip().casefold()
    return next((match.expand(name) for pattern, name in _LABELS if (match := pattern.fullmatch(plain))), "")


def is_clip(document: Any) -> bool:
    """Whether the task made clips."""
    said = str(document.get("action") or "") if isinstance(document, Mapping) else ""
    verbs = {parsed(custom_id)[0] for custom_id, _ in buttons(document)}
    filled = isinstance(document, Mapping) and bool(document.get("videoUrl") or document.get("videoUrls"))
    return said.upper().startswith("VIDEO") or filled or "video_virtual_upscale" in verbs


def _operation(name: str, clip: bool) -> str:
    if name.startswith(("animate", "extend")) or (clip and name.startswith(("upscale", "reroll"))):
        return "clip"
    if name.startswith("upscale"):
        return "upscale"
    return name if name in ("describe-again", "imagine-all") else "action"


def _answer(document: Mapping[str, Any]) -> Action:
    """The answer to an open window. Its values carry the words the window shows."""
    properties = document.get("properties")
    inside = properties if isinstance(properties, Mapping) else {}
    done = str(document.get("action") or "").upper()
    kind = window(document.get("customId") or inside.get("customId"))
    if not kind:
        # Relays leave customId empty and name the action (wire/midjourney.md 4.1 and 4.3, 2026-11-21).
        kind = {"INPAINT": REGION, "CUSTOM_ZOOM": ZOOM}.get(done, "")
    # Outside a zoom, `prompt` may be anything: a describe's four suggestions, for instance.
    shown = (inside.get("finalPrompt"), *((document.get("promptEn"), document.get("prompt")) if kind == ZOOM else ()))
    words = next((text for text in shown if isinstance(text, str) and text.strip()), "")
    return Action(
        name="continue",
        label="Submit",
        needs={REGION: ("mask",), ZOOM: ("zoom",)}.get(kind, ()),
        operation="modal",
        values={"prompt": words} if words else {},
    )


def actions(document: Any) -> list[Action]:
    """What a task offers: the answer to its open window, else its buttons, each once."""
    if not isinstance(document, Mapping):
        return []
    if str(document.get("status")).upper() == "MODAL":
        return [_answer(document)]
    named = [(_name(custom_id, label), custom_id, label) for custom_id, label in buttons(document)]
    named = list(dict.fromkeys(entry for entry in named if entry[0]))
    return [*(_presses(document, named) if named else ()), *_extensions(document), *_changes(document)]


def _presses(document: Mapping[str, Any], named: list[tuple[str, str, str]]) -> list[Action]:
    """The actions of buttons, by our name, customId and label."""
    often = Counter(name for name, _, _ in named)
    seen: Counter[str] = Counter()
    clip = is_clip(document)
    found = []
    for name, custom_id, label in named:
        seen[name] += 1
        found.append(
            Action(
                # Several of one meaning, such as one "Animate" a picture, are told apart by their order.
                name=f"{name}-{seen[name]}" if often[name] > 1 else name,
                label=label,
                # A zoom's factor may stand in the prompt as well; the rules of the press see to it.
                needs=("mask",) if window(custom_id) == REGION else (),
                operation=_operation(name, clip),
                values={"customId": custom_id},
                once=name.startswith("upscale"),
                jobs=4 if name == "imagine-all" else 1,
            )
        )
    return found


def _extensions(document: Mapping[str, Any]) -> Iterator[Action]:
    """Each clip of a finished task made longer (wire/midjourney.md 2.11, 2026-11-21): needs no button."""
    clips = document.get("videoUrls")
    words = document.get("prompt")
    for number in range(1, len(clips) + 1 if isinstance(clips, list) else 1):
        values = {"index": number - 1} | ({"prompt": words} if isinstance(words, str) and words.strip() else {})
        yield Action(name=f"extend-{number}", operation="extend", values=values)


def _changes(document: Mapping[str, Any]) -> Iterator[Action]:
    """What the server without buttons takes instead of them (wire/midjourney.md 2.9 and 4.1, 2026-11-21)."""
    properties = document.get("properties")
    bare = "buttons" not in document and isinstance(properties, Mapping) and "messageHash" in properties
    if not bare or str(document.get("action")).upper() not in ("IMAGINE", "VARIATION", "REROLL", "BLEND"):
        return
    for number in range(1, 5):
        values = {"action": "UPSCALE", "index": number}
        yield Action(name=f"upscale-{number}", label=f"U{number}", operation="change", values=values, once=True)
    yield Action(name="reroll", operation="change", values={"action": "REROLL", "index": 1})
    for number in range(1, 5):
        values = {"action": "VARIATION", "index": number}
        yield Action(name=f"vary-{number}", label=f"V{number}", operation="change", values=values)
