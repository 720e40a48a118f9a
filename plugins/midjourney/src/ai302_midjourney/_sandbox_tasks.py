"""One task of the emulated Midjourney: its course in time, and its pictures.

Facts: wire/midjourney.md 4 (2026-11-21).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from ai302_core.sandbox import Look, Task, World, clip, grid, preview, tile

from ._sandbox_buttons import (
    Press,
    describe_buttons,
    grid_buttons,
    shorten_buttons,
    single_buttons,
    video_buttons,
)

__all__ = ["FAMILY", "Work", "grid_size", "shortened", "suggestions"]

FAMILY = "midjourney"

_SECONDS = {"grid": 30.0, "single": 8.0, "video": 60.0, "clip": 15.0, "describe": 10.0, "shorten": 6.0}
_PACE = {"relax": 2.0, "turbo": 0.4}
_STEPS = ("15%", "31%", "46%", "62%", "78%", "93%")
_TIMEOUT = 300.0
"""Seconds after which a task that Midjourney never answers is given up (wire/midjourney.md 4.10)."""


@dataclass(kw_only=True)
class Work(Task):
    """One Midjourney task.

    kind         what it yields: "grid", "single", "video", "clip", "describe"
    looks        what its pictures or clips show
    size         pixels of the picture behind `imageUrl`
    start        when a slot is free for it, seconds on the sandbox's clock
    fails_at     when it fails; `reason` says why
    given_up_at  when the gateway itself calls it failed
    stuck        "": no; "running": at 85 % for ever; "silent": Midjourney never answers
    odd          "": no; "waiting": words for a percentage; "early": 100 % long before it is done; "back": it goes down
    hook         the address it tells of its course, or ""
    parent       the task whose button was pressed, or ""
    typed        what a self-hosted server calls its command, "" for its verb and words
    window       what waits for `/submit/modal`, or None
    """

    kind: str
    action: str
    prompt: str
    looks: tuple[Look, ...]
    size: tuple[int, int]
    uuid: str
    mode: str = ""
    state: str = ""
    custom_id: str = ""
    text: str = ""
    upload: tuple[str, bytes] | None = None
    enlarged: bool = False
    window: Press | None = None
    start: float = 0.0
    fails_at: float = math.inf
    given_up_at: float = math.inf
    reason: str = ""
    stuck: str = ""
    odd: str = ""
    hook: str = ""
    parent: str = ""
    typed: str = ""
    canceled_at: float | None = None
    canceled_word: str = "CANCEL"
    bare: bool = False
    buttonless: bool = False
    presses: set[str] = field(default_factory=set)
    picture_url: str = ""
    preview_url: str = ""
    tile_urls: tuple[str, ...] = ()
    clip_urls: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """How long it runs."""
        return _SECONDS[self.kind] * _PACE.get(self.mode, 1.0)

    @property
    def finish(self) -> float:
        """When it leaves its slot; infinite for one that never does."""
        if self.canceled_at is not None:
            return self.canceled_at
        end = {"": self.start + self.seconds, "running": math.inf, "silent": self.start + _TIMEOUT}[self.stuck]
        return min(self.fails_at, self.given_up_at, math.inf if self.window is not None else end)

    @property
    def failure(self) -> str:
        """Why it fails, "" if it does not."""
        if self.reason:
            return self.reason
        if self.finish == self.given_up_at:
            return "上游任务超时（超过1小时）"
        return "任务超时" if self.stuck == "silent" else ""

    def word(self, now: float) -> str:
        """Its status at that moment."""
        return self.course(now)[0]

    def course(self, now: float) -> tuple[str, str]:
        """(status, progress) at that moment."""
        if self.canceled_at is not None:
            return self.canceled_word, ""
        if now >= self.finish:
            return ("FAILURE", "") if self.failure else ("SUCCESS", "100%")
        if self.window is not None:
            return "MODAL", ""
        part = (now - self.start) / self.seconds
        if part < 0.03:
            return "NOT_START", ""
        if part < 0.1 or self.stuck == "silent":
            return "SUBMITTED", "0%"
        if self.stuck and part > 0.8:
            return "IN_PROGRESS", "85%"
        step = min(int((part - 0.1) / 0.9 * len(_STEPS)), len(_STEPS) - 1)
        # (wire/midjourney.md 4.4 and 9 no. 4 and 6, 2026-11-21)
        if self.odd == "waiting" and part < 0.5:
            return "IN_PROGRESS", "Waiting to start"
        if self.odd == "early" and part > 0.5:
            return "IN_PROGRESS", "100%"
        return "IN_PROGRESS", _STEPS[len(_STEPS) - 1 - step if self.odd == "back" else step]

    def moments(self) -> list[float]:
        """When something changes that it tells of (wire/midjourney.md 8.2, 2026-11-21)."""
        steps = [0.03, *(0.1 + 0.9 * number / len(_STEPS) for number in range(len(_STEPS)))]
        # A thousandth later, so that it has surely happened.
        course = [self.start + part * self.seconds + 0.001 for part in steps]
        return [*(at for at in course if at < self.finish), *([self.finish] if self.finish < math.inf else [])]

    def publish(self, world: World) -> None:
        """Put its files on the file host; nobody knows their names before the task has succeeded."""
        if self.upload is not None:
            suffix, content = self.upload
            self.picture_url = self.preview_url = world.publish(lambda: content, suffix)
            return
        whole: Callable[[], bytes] = partial(tile, self.looks[0], self.size)
        if self.kind == "grid":
            whole = partial(grid, self.looks, self.size)
            single = (self.size[0] // 2, self.size[1] // 2)
            self.tile_urls = tuple(world.publish(partial(tile, look, single), "png") for look in self.looks)
        self.picture_url = world.publish(whole, "png")
        shown = self.looks if self.kind == "grid" else self.looks[:1]
        self.preview_url = world.publish(partial(preview, shown, self.size, 0.5), "webp")
        if self.kind in ("video", "clip"):
            frame = (160 * self.size[0] // max(self.size), 160 * self.size[1] // max(self.size))
            self.clip_urls = tuple(world.publish(partial(clip, look, frame), "mp4") for look in self.looks)

    def buttons(self) -> list[dict[str, str | int]]:
        """What it offers once it has succeeded."""
        if self.buttonless:
            return []
        match self.kind:
            case "grid":
                return grid_buttons(self.uuid)
            case "single":
                return single_buttons(self.uuid, self.prompt, self.size, enlarged=self.enlarged)
            case "describe":
                return describe_buttons()
            case "shorten":
                return shorten_buttons()
        return video_buttons(self.uuid, len(self.looks))


def grid_size(prompt: str, *, odd: bool) -> tuple[int, int] | None:
    """Pixels of the grid that `--ar` asks for (square without it), or None if its value makes no sense."""
    flag = re.search(r"--(?:ar|aspect)\s+(\S+)", prompt)
    sides = re.fullmatch(r"(\d+(?:\.\d+)?):(\d+(?:\.\d+)?)", flag[1]) if flag else None
    if flag and (not sides or not float(sides[1]) or not float(sides[2])):
        return None
    ratio = min(14.0, max(1 / 14, float(sides[1]) / float(sides[2]))) if sides else 1.0
    width, height = round(320 * math.sqrt(ratio)), round(320 / math.sqrt(ratio))
    return 2 * width + odd, 2 * height + odd


_SUBJECTS = (
    "a quiet harbour at dawn",
    "a study in paper and light",
    "an old street after rain",
    "a garden seen through glass",
    "a portrait in warm colours",
    "a model city on a table",
    "waves against a wall",
    "a kite above the roofs",
)
_STYLES = (
    "watercolour",
    "35mm film photograph",
    "isometric illustration",
    "ink drawing",
    "studio photograph",
    "gouache",
)


def suggestions(digest: bytes, ratio: str) -> str:
    """Four prompts in one string, as JAVA writes them (wire/midjourney.md 4.8)."""
    lines = []
    for number in range(1, 5):
        subject, style = _SUBJECTS[digest[number] % len(_SUBJECTS)], _STYLES[digest[number + 4] % len(_STYLES)]
        lines.append(f"{number}️⃣ {subject}, {style} --ar {ratio}")
    return "\n\n".join(lines)


def shortened(prompt: str) -> str:
    """What shorten writes (wire/midjourney.md 4.8): the words that count, then shorter and shorter prompts."""
    words = prompt.split("--")[0].split()
    counted = ", ".join(f"**{word}** ({1 / number:.2f})" for number, word in enumerate(words[:5], 1))
    lines = [f"{number}️⃣ {' '.join(words[: max(1, len(words) * (6 - number) // 6)])}" for number in range(1, 6)]
    return "\n".join(("## Important tokens", counted, "", "## Shortened prompts", *lines))
