"""A result as an open file: fetched whole and checked first, gone from the disk when it is closed."""

from __future__ import annotations

import io
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import BinaryIO

from ai302_core._steps import Flow, Record, Save
from ai302_core.assets import Asset
from ai302_core.errors import DownloadError

from . import cutting, keeping
from .fetching import LIMIT, fetch, refuse
from .media import data_content
from .parts import Part

__all__ = ["open_stream"]


class _Temporary(io.FileIO):
    """A file whose folder goes with it."""

    def __init__(self, path: Path) -> None:
        self._folder = path.parent
        super().__init__(path, "rb")

    def close(self) -> None:
        """Close it and remove its folder; twice is fine."""
        try:
            super().close()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)


def open_stream(asset: Asset, *, base_url: str, limit: int = LIMIT) -> Flow[BinaryIO]:
    """The asset's content, open for reading in binary, complete and checked. The caller closes it.

    Raises DownloadError.
    """
    if asset.path is not None:
        results = yield from Record(lambda ledger: ledger.results)
        return (yield from Save(lambda: io.BytesIO(keeping.content(asset, results))))
    if asset.url is None:
        return io.BytesIO((asset.text or "").encode("utf-8", "replace"))
    if asset.url[:5].lower() == "data:":
        content = data_content(asset.url)
        if not content:
            raise refuse(asset, "the service gave no content for it", retryable=False)
        return io.BytesIO(content)
    folder: Path | None = None
    part: Part | None = None
    opened: BinaryIO | None = None
    try:
        folder = yield from Save(lambda: Path(tempfile.mkdtemp(prefix="gen302-")))
        part = yield from Save(partial(Part, folder, "result"))
        yield from fetch(asset, part, base_url=base_url, limit=limit)
        opened = yield from Save(partial(_opened, asset, part.path))
        return opened
    except OSError as problem:
        raise DownloadError(
            f"The temporary folder cannot be written: {problem.strerror or problem}. The job is fine and paid.",
            asset=asset,
            retryable=False,
        ) from None
    finally:
        if part is not None:
            part.release()
        if folder is not None and not isinstance(opened, io.BufferedReader):
            shutil.rmtree(folder, ignore_errors=True)


def _opened(asset: Asset, path: Path) -> BinaryIO:
    if asset.cut is None:
        return io.BufferedReader(_Temporary(path))
    try:
        return io.BytesIO(cutting.cut(path, [asset.cut])[0][0])
    except cutting.Uncut as problem:
        raise DownloadError(str(problem), asset=asset, retryable=False) from None
    except cutting.Unreadable as problem:
        raise refuse(asset, str(problem)) from None
