"""Where a job's files stand on the disk: what is there already, and putting the rest in place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ai302_core.assets import Asset
from ai302_core.jobs import Job, Notice
from ai302_core.ledger import FileRecord

from . import cutting, naming
from .fetching import refuse
from .naming import Target, candidates, fold
from .parts import Fetched, Part, left
from .sniffing import pixels
from .writing import beginning, digest, publish, publish_content

__all__ = ["Piece", "put", "survey", "together", "unswept"]


@dataclass(frozen=True)
class Piece:
    """Files that come from one link or one text, which is fetched once.

    name    of the temporary file, the same in every process
    source  a saved file that holds the content already, or None
    own     the source is this very asset: nothing is left to cut
    """

    name: str
    targets: tuple[Target, ...]
    source: Path | None = None
    own: bool = False


def survey(
    job_id: str, targets: Sequence[Target], records: Sequence[FileRecord]
) -> tuple[tuple[FileRecord, ...], tuple[Piece, ...]]:
    """(the files that are in place, the pieces still to be brought). Reads every recorded file once."""
    intact = [record for record in records if _is_intact(record)]
    kept: list[FileRecord] = []
    groups: dict[str, list[Target]] = {}
    pieces: list[Piece] = []
    for target in targets:
        asset = target.asset
        own = [record for record in intact if _is_of(record, asset)]
        there = next((record for record in own if _stands(Path(record.path), target)), None)
        if there is not None:
            kept.append(there)
        elif own:
            pieces.append(Piece(_part_name(job_id, asset), (target,), Path(own[0].path), own=True))
        else:
            # The cells of a grid and the grid itself share one fetch; nothing else does.
            shared = groups.setdefault(asset.url or asset.path or f"text {asset.role} {asset.index}", [])
            if asset.cut is None and any(other.asset.cut is None for other in shared):
                pieces.append(Piece(_part_name(job_id, asset), (target,)))
            else:
                shared.append(target)
    for link, group in groups.items():
        whole = (record for record in intact if record.asset.get("url") == link and not record.asset.get("cut"))
        source = next((Path(record.path) for record in whole), None)
        pieces.append(Piece(_part_name(job_id, group[0].asset), tuple(group), source))
    return tuple(kept), tuple(pieces)


def _is_intact(record: FileRecord) -> bool:
    path = Path(record.path)
    try:
        return path.stat().st_size == record.size and digest(path)[0] == record.sha256
    except OSError:
        return False


def _is_of(record: FileRecord, asset: Asset) -> bool:
    return (record.asset.get("kind"), record.role, record.index) == (asset.kind, asset.role, asset.index)


def _stands(path: Path, target: Target) -> bool:
    """Whether this file is where the target says, perhaps under a number because the name was taken."""
    try:
        if not path.parent.samefile(target.folder):
            return False
    except OSError:
        return False
    return bool(re.fullmatch(re.escape(fold(target.stem)) + r"(-\d+)?", fold(path.stem)))


def _part_name(job_id: str, asset: Asset) -> str:
    return naming.safe(f"{job_id}-{asset.kind}-{asset.role}-{asset.index}")


def put(job: Job, to: str, piece: Piece, part: Part, fetched: Fetched) -> tuple[list[FileRecord], list[Notice]]:
    """Give the piece's files their names, complete and on the disk when this returns.

    Raises DownloadError when tiles are to be cut from something that is no complete picture.
    """
    whole = next((target for target in piece.targets if target.asset.cut is None or piece.own), None)
    cells = [(target, target.asset.cut) for target in piece.targets if target.asset.cut and target is not whole]
    notices: list[Notice] = []
    try:
        tiles = cutting.cut(fetched.path, [cell for _, cell in cells]) if cells else []
    except cutting.Uncut as problem:
        notices.append(Notice(code=problem.code, message=str(problem)))
        whole, tiles, cells = whole or _grid(job, to, cells[0][0]), [], []
    except cutting.Unreadable as problem:
        part.restart()
        raise refuse(cells[0][0].asset, str(problem)) from None
    records = []
    for (target, _), (content, width, height) in zip(cells, tiles, strict=True):
        path, sha256 = publish_content(content, candidates(target, ".png"))
        asset = replace(target.asset, media_type="image/png", width=width, height=height)
        records.append(_record(asset, path, sha256, len(content)))
    if whole is not None:
        notices += _other_kind(whole.asset, fetched)
        sides = pixels(beginning(fetched.path)) or (whole.asset.width, whole.asset.height)
        path = publish(fetched.path, fetched.sha256, fetched.size, candidates(whole, fetched.suffix))
        asset = replace(whole.asset, media_type=fetched.media_type, width=sides[0], height=sides[1])
        records.append(_record(asset, path, fetched.sha256, fetched.size))
    return records, notices


def unswept(job: Job, files: Sequence[FileRecord]) -> bool:
    """Whether a process that died between the record of a file and the end of its save left its part beside it."""
    folders = {Path(record.path).parent for record in files}
    return any(left(folder, _part_name(job.id, asset)) for folder in folders for asset in job.assets)


def _record(asset: Asset, path: Path, sha256: str, size: int) -> FileRecord:
    return FileRecord(
        path=str(path), sha256=sha256, size=size, role=asset.role, index=asset.index, asset=asset.to_json()
    )


def _grid(job: Job, to: str, tile: Target) -> Target:
    """Where the grid goes when it stands in for its tiles."""
    asset = replace(tile.asset, role="grid", index=1, cut=None, width=None, height=None)
    return naming.plan(to, job, [asset])[0]


def _other_kind(asset: Asset, fetched: Fetched) -> list[Notice]:
    main = fetched.media_type.partition("/")[0]
    if main == asset.kind or asset.kind not in ("image", "video", "audio"):
        return []
    return [Notice(code="other_kind", message=f"{asset.kind} {asset.index} came as {fetched.media_type}.")]


def together(files: Sequence[FileRecord], recorded: Sequence[FileRecord]) -> list[FileRecord]:
    """The job's files in the folder of the first of `files`, those recorded earlier included."""
    folder = Path(files[0].path).parent
    merged = {record.path: record for record in (*recorded, *files)}
    return [record for path, record in merged.items() if Path(path).parent == folder and Path(path).exists()]
