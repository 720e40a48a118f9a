"""What a finished task yields: tiles rather than the grid they are cut from, clips rather than stills, single texts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from ai302_core.family import Asset, AssetAt, Flow, Job, image, text, video

from .actions import buttons, parsed

_SIZE = ("imageWidth", "imageHeight")
_FOUR = ("imageUrls[].url", "imageUrls[]", "image_urls[]")
_CLIP = video("videoUrls[].url", "videoUrls[]", "videoUrl")
# (wire/midjourney.md 4.7 and 4.9, 2026-11-21); a preview is no deliverable, so a still alone is no success of a clip.
PICTURES: tuple[AssetAt, ...] = (image(*_FOUR, role="tile"), image("imageUrl", role="grid", size=_SIZE), _CLIP)
SINGLE: tuple[AssetAt, ...] = (image("imageUrl", *_FOUR, size=_SIZE), _CLIP)
CLIPS: tuple[AssetAt, ...] = (_CLIP, video("videoUrl"), video(*_FOUR), image("imageUrl", role="preview", size=_SIZE))
# A shortened prompt may only be where the prompt itself never is (wire/midjourney.md 4.8, 2026-11-21).
SHORTENED: tuple[AssetAt, ...] = (text("properties.finalPrompt", "properties.finalZhPrompt"),)
UPLOADED: tuple[AssetAt, ...] = (image("result[]", "result"),)
TEXTS: tuple[AssetAt, ...] = (text("properties.finalPrompt", "promptEn", "prompt", "properties.finalZhPrompt"),)

_KEYCAP = re.compile(r"^[^\S\r\n]*[1-9]\ufe0f?\u20e3[^\S\r\n]*", re.MULTILINE)
_SINGLE_VERB = re.compile(r"upsample_\w+|(?:low|high)_variation|outpaint|inpaint|customzoom|pan_\w+")


def delivered(job: Job, document: Any) -> Flow[Sequence[Asset]]:
    """The assets of a finished task in their final roles. Makes no call."""
    yield from ()
    texts = [asset for asset in job.assets if asset.kind == "text"]
    if texts:
        return [replace(texts[0], index=index, text=entry) for index, entry in enumerate(_split(texts[0].text), 1)]
    clips = _clips(job.assets)
    if clips:
        links = {clip.url for clip in clips}
        stills = (asset for asset in job.assets if asset.url not in links)
        return _counted([*clips, *(replace(still, kind="image", role="preview") for still in stills)])
    return _counted(_pictures(job.assets, document))


def _split(found: str | None) -> list[str]:
    """The suggestions of a describe or shorten, which share one text (wire/midjourney.md 4.8, 2026-11-21)."""
    head, *parts = _KEYCAP.split(found or "")
    return [part.strip() for part in parts or [head] if part.strip()]


def _clips(assets: Sequence[Asset]) -> list[Asset]:
    """Clips wherever they stood: some servers list them among the pictures, and pictures among the clips."""
    clips: dict[str | None, Asset] = {}
    for asset in assets:
        suffix = urlsplit(asset.url or "").path.lower().rpartition(".")[2]
        moving = suffix in ("mp4", "webm", "mov") or (
            asset.kind == "video" and suffix not in ("png", "jpg", "jpeg", "webp")
        )
        if moving:
            clips.setdefault(asset.url, replace(asset, kind="video", role="final", width=None, height=None))
    return list(clips.values())


def _pictures(assets: Sequence[Asset], document: Any) -> list[Asset]:
    grids = [asset for asset in assets if asset.role == "grid"]
    tiles = [asset for asset in assets if asset.role == "tile"]
    if not (grids or tiles):
        return list(assets)
    if _is_single(document):
        return [replace((grids or tiles)[0], role="final")]
    if grids and [tile.url for tile in tiles] in ([], [grids[0].url]):
        # Upper left, upper right, lower left, lower right: the order of U1 to U4 (wire/midjourney.md 4.7).
        tiles = [_tile(grids[0], column, row) for row in (0, 1) for column in (0, 1)]
    return [*tiles, *grids]


def _tile(grid: Asset, column: int, row: int) -> Asset:
    return Asset(
        kind=grid.kind,
        role="tile",
        index=2 * row + column + 1,
        url=grid.url,
        media_type=grid.media_type,
        expires_at=grid.expires_at,
        path=grid.path,
        cut=(column, row, 2, 2),
    )


def _is_single(document: Any) -> bool:
    """Whether the task shows one picture, by its buttons, else by its action."""
    verbs = {parsed(custom_id)[0] for custom_id, _ in buttons(document)}
    if verbs & {"upsample", "variation"}:
        return False
    said = str(document.get("action") or "") if isinstance(document, dict) else ""
    return any(_SINGLE_VERB.fullmatch(verb) for verb in verbs) or said.upper().startswith("UPSCALE")


def _counted(assets: Iterable[Asset]) -> list[Asset]:
    counts: dict[tuple[str, str], int] = {}
    numbered = []
    for asset in assets:
        index = counts[asset.kind, asset.role] = counts.get((asset.kind, asset.role), 0) + 1
        numbered.append(asset if asset.index == index else replace(asset, index=index))
    return numbered
