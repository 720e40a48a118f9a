"""From assets to files: which are wanted, what is there already, the rest fetched, named, recorded."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ._files import keeping, naming, placing, writing
from ._files import sidecar as _sidecar
from ._files.fetching import LIMIT, fetch, fitting, refuse
from ._files.media import data_content
from ._files.opening import open_stream
from ._files.parts import Fetched, Part
from ._files.placing import Piece
from ._steps import Flow, Now, Record, Save
from .assets import Asset
from .errors import DownloadError
from .jobs import Job, Notice, Result, Status
from .ledger import FileRecord

__all__ = [
    "LIMIT",
    "Fetched",
    "Piece",
    "Saved",
    "Saving",
    "begin",
    "conclude",
    "fetch",
    "open_stream",
    "save",
    "save_assets",
    "save_one",
]


@dataclass(frozen=True)
class Saving:
    """The work of one `save`: `pieces` are independent of each other and may run side by side.

    wanted  the assets, in the order of the files
    kept    files that are in place already
    recorded  the ledger knows the job
    """

    job: Job
    to: str
    sidecar: bool
    wanted: tuple[Asset, ...]
    kept: tuple[FileRecord, ...]
    pieces: tuple[Piece, ...]
    recorded: bool = True


@dataclass(frozen=True)
class Saved:
    """What one piece became.

    part  stays until the sidecar is written: who finds it after a crash knows that the save was not at its end
    """

    files: tuple[FileRecord, ...] = ()
    notices: tuple[Notice, ...] = ()
    part: Path | None = None


def save(
    job: Job,
    assets: Sequence[Asset],
    to: str | os.PathLike[str] = ".",
    *,
    roles: Sequence[str] | None = None,
    sidecar: bool = True,
) -> Flow[tuple[list[Path], list[Notice]]]:
    """Put a job's files on disk; what is there already, complete and unchanged, is not fetched again.

    assets  what the job yielded; saved are the deliverables, or those whose role is in `roles`
    to      a folder, or a template; see `_files.naming`

    Files that can be had are saved and recorded even when others fail; then the first failure is raised.
    Raises DownloadError, ParameterError for a template that names an unknown field.
    """
    saving = yield from begin(job, assets, to, roles=roles, sidecar=sidecar)
    return (yield from _all(saving))


def save_assets(assets: Sequence[Asset], to: str | os.PathLike[str] = ".", base_url: str = "") -> Flow[list[Path]]:
    """Put files on disk whose job is not known: nothing is recorded, no sidecar; one of the same content is kept.

    base_url  of the provider they come from
    """
    now = yield from Now()
    name = hashlib.sha256("\n".join(asset.url or asset.text or "" for asset in assets).encode("utf-8", "replace"))
    kind = assets[0].kind if assets else ""
    job = Job(
        id=name.hexdigest()[:8],
        provider="",
        family="",
        operation=kind,
        status=Status.SUCCEEDED,
        created_at=now,
        base_url=base_url,
    )
    roles = sorted({asset.role for asset in assets})
    saving = yield from begin(job, assets, to, roles=roles, sidecar=False, recorded=False)
    return (yield from _all(saving))[0]


def _all(saving: Saving) -> Flow[tuple[list[Path], list[Notice]]]:
    saved: list[Saved] = []
    failed: list[DownloadError] = []
    for piece in saving.pieces:
        try:
            saved.append((yield from save_one(saving, piece)))
        except DownloadError as problem:
            failed.append(problem)
    return (yield from conclude(saving, saved, failed))


def begin(
    job: Job,
    assets: Sequence[Asset],
    to: str | os.PathLike[str] = ".",
    *,
    roles: Sequence[str] | None = None,
    sidecar: bool = True,
    recorded: bool = True,
) -> Flow[Saving]:
    """Decide what is to be done; see `save`."""
    wanted = _wanted(job, assets, (roles,) if isinstance(roles, str) else roles)
    filled = naming.fill(to, {}) or "."
    records = (yield from Record(lambda ledger: ledger.files(job.id))) if recorded else []
    try:
        # Joined as text: a trailing separator says "folder".
        place = yield from Save(lambda: os.path.join(os.getcwd(), filled))  # noqa: PTH109, PTH118
        targets = naming.plan(place, job, wanted)
        kept, pieces = yield from Save(partial(placing.survey, job.id, targets, records))
    except OSError as problem:
        raise _disk_error(_hint(job, recorded), problem, filled) from None
    return Saving(job, place, sidecar, wanted, kept, pieces, recorded)


def _wanted(job: Job, assets: Sequence[Asset], roles: Sequence[str] | None) -> tuple[Asset, ...]:
    if roles is None:
        wanted = Result(job=job, assets=tuple(assets)).deliverables
    else:
        wanted = tuple(asset for asset in assets if asset.role in roles)
    if not wanted:
        roles_there = sorted({asset.role for asset in assets})
        usual = [asset.role for asset in Result(job=job, assets=tuple(assets)).deliverables] or roles_there
        asked = f"no file of the role {' or '.join(map(repr, roles))}" if roles is not None else "nothing to save"
        raise DownloadError(
            f"The job {job.id} has {asked}; roles that are there: {', '.join(roles_there) or 'none'}.",
            retryable=False,
            hint=f"gen302 save {job.id} --only {usual[0]}" if usual else "",
        )
    return wanted


def save_one(saving: Saving, piece: Piece) -> Flow[Saved]:
    """Bring one piece to disk and record it. Raises DownloadError; what came of a file stays for the next time."""
    job, folder = saving.job, piece.targets[0].folder
    part: Part | None = None
    complete = False
    try:
        part = yield from Save(partial(Part, folder, piece.name))
        fetched = yield from _content(job, piece, part)
        records, notices = yield from Save(partial(placing.put, job, saving.to, piece, part, fetched))
        if saving.recorded:
            yield from Record(lambda ledger: ledger.add_files(job.id, records))
            if any(target.asset.path for target in piece.targets):
                yield from Save(lambda: keeping.saved(target.asset for target in piece.targets))
        complete = True
    except OSError as problem:
        raise _disk_error(_hint(job, saving.recorded), problem, str(folder)) from None
    except DownloadError as problem:
        problem.hint = problem.hint or _hint(job, saving.recorded)
        raise
    finally:
        if part is not None and not (stays := complete and saving.sidecar and part.hand_over()):
            part.close(keep=not complete)
    return Saved(tuple(records), tuple(notices), part.path if stays else None)


def _content(job: Job, piece: Piece, part: Part) -> Flow[Fetched]:
    """The piece's content, complete in the part."""
    asset = piece.targets[0].asset
    if part.done is not None:
        return part.done
    if piece.source is not None:
        return (yield from Save(partial(part.copy, piece.source)))
    if asset.path is not None:
        results = yield from Record(lambda ledger: ledger.results)
        suffix = keeping.place(asset).suffix
        return (yield from Save(lambda: part.fill(keeping.content(asset, results), asset.media_type, suffix)))
    if asset.url is None or asset.url[:5].lower() == "data:":
        content = (asset.text or "").encode("utf-8", "replace") if asset.url is None else data_content(asset.url)
        fits = fitting(asset, content, "") if content else None
        if not content or not fits:
            raise refuse(asset, "the service gave no content for it", retryable=False)
        return (yield from Save(partial(part.fill, content, *fits)))
    return (yield from fetch(asset, part, base_url=job.base_url))


def conclude(
    saving: Saving, saved: Sequence[Saved], failed: Sequence[DownloadError] = ()
) -> Flow[tuple[list[Path], list[Notice]]]:
    """Write the sidecar, and tell what was saved; raises the first of `failed`."""
    job = saving.job
    files = [*saving.kept, *(record for entry in saved for record in entry.files)]
    places = {(asset.kind, asset.role, asset.index): number for number, asset in enumerate(saving.wanted)}
    files.sort(key=lambda record: places.get((record.asset.get("kind", ""), record.role, record.index), len(places)))
    notices = list(dict.fromkeys(notice for entry in saved for notice in entry.notices))
    paths = [Path(record.path) for record in files]
    sidecar: Path | None = None
    if saving.sidecar and files:
        recorded = yield from Record(lambda ledger: ledger.files(job.id))
        try:
            sidecar = yield from Save(lambda: _sidecar.keep(job, placing.together(files, recorded)))
        except OSError as problem:
            text = f"The sidecar could not be written: {_reason(problem)}. The files are saved."
            notices.append(Notice(code="no_sidecar", message=text))
    if failed:
        with suppress(OSError):
            yield from Save(lambda: writing.discard(entry.part for entry in saved if entry.part is not None))
        raise _summary(failed, len(files))
    with suppress(OSError):  # nothing of what was asked for depends on it
        yield from Save(lambda: writing.sweep([*paths, *([sidecar] if sidecar else [])], f"{job.id}-"))
    return paths, notices


def _summary(failed: Sequence[DownloadError], saved: int) -> DownloadError:
    first = failed[0]
    if len(failed) + saved == 1:
        return first
    return DownloadError(
        f"{first.message} Saved: {saved}, missing: {len(failed)}.",
        asset=first.asset,
        retryable=any(problem.retryable for problem in failed),
        hint=first.hint,
    )


_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EACCES: "writing there is not allowed",
    errno.EPERM: "writing there is not allowed",
    errno.EROFS: "the disk is read-only",
    errno.ENAMETOOLONG: "the name is too long for this system",
    errno.EEXIST: "it is a file, not a folder",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
}


def _reason(problem: OSError) -> str:
    return _REASONS.get(problem.errno or 0) or problem.strerror or type(problem).__name__


def _hint(job: Job, recorded: bool) -> str:
    return f"gen302 save {job.id}" if recorded else ""


def _disk_error(hint: str, problem: OSError, place: str) -> DownloadError:
    return DownloadError(
        f"Nothing can be written to {place!r}: {_reason(problem)}. The job is fine and paid; saving again is free.",
        retryable=False,
        hint=hint and f"{hint} -o ANOTHER-FOLDER",
    )
