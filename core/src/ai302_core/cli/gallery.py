"""`jobs gallery FILE.html`: one page that holds pictures and clips itself, with what was asked and what it cost."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Sequence
from html import escape
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from ai302_core.errors import ParameterError
from ai302_core.jobs import Job, Status

from . import _history, _options
from ._options import Parser
from ._session import Session

if TYPE_CHECKING:
    from ai302_core.ledger import FileRecord, Ledger

MARK = '<meta name="generator" content="gen302 jobs gallery">'
SIDE = 1200
"""Pixels; a larger picture is shown at this width or height where Pillow can make it so."""

_SMALL = 300_000
_TAGS = {"image": "img", "video": "video", "audio": "audio"}
# Nothing on the page is fetched or run: what it shows came from a service and from prompts.
_POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"
_STYLE = """
:root { color-scheme: light dark; font: 15px/1.45 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 90rem; padding: 0 1rem; }
main { display: grid; gap: 1.5rem; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); }
article { border: 1px solid #8884; border-radius: .6rem; overflow: hidden; }
.files { display: grid; gap: 2px; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); }
img, video { display: block; height: auto; width: 100%; }
audio { width: 100%; }
.words { padding: .3rem 1rem 1rem; overflow-wrap: anywhere; }
.prompt { white-space: pre-wrap; }
dl { display: grid; gap: 0 .8rem; grid-template-columns: max-content 1fr; margin: 0; opacity: .75; font-size: .85em; }
dd { margin: 0; }
""".strip()


def parser() -> Parser:
    """The options of `jobs gallery`."""
    parser = Parser(
        "jobs gallery",
        "Write one page with the saved pictures and clips of finished jobs, their prompts, models and costs. It needs "
        "no other file and no network.",
        ("gen302 jobs gallery gallery.html", "gen302 jobs gallery november.html --batch november --since 30d"),
    )
    parser.add_argument("file", metavar="FILE.html", help="a gallery of before is replaced, another file is not")
    _history.filters(parser, status=False)
    _options.common(parser)
    return parser


def write(session: Session) -> int:
    """Write the page; its path is on stdout."""
    target = Path(session.options.file).expanduser().absolute()
    _replaceable(target)
    ledger = session.ledger
    jobs = [(job, ledger.files(job.id)) for job in _history.found(session.options, ledger, status=(Status.SUCCEEDED,))]
    shown = [(job, there) for job, files in jobs if (there := [file for file in files if Path(file.path).is_file()])]
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with beside.open("w", encoding="utf-8") as page:
            page.writelines(f"{line}\n" for line in _page(shown, ledger))
        beside.replace(target)
    except OSError as problem:
        raise ParameterError(f"{target} cannot be written: {problem.strerror}.", field="file") from None
    finally:
        beside.unlink(missing_ok=True)
    without = len(jobs) - len(shown)
    if without:
        session.output.say(f"{without} of {len(jobs)} jobs have no file on this disk: gen302 save JOB")
    if session.output.as_json:
        session.output.record({"v": 1, "file": str(target), "jobs": len(shown), "exit": 0})
    else:
        session.output.data(str(target))
    return 0


def _replaceable(target: Path) -> None:
    """Raises ParameterError for a file that no gallery made."""
    if target.suffix.lower() not in (".html", ".htm"):
        raise ParameterError(f"{target.name} is no FILE.html.", field="file", hint="gen302 jobs gallery gallery.html")
    try:
        with target.open("rb") as file:
            ours = MARK.encode() in file.read(2000)
    except FileNotFoundError:
        return
    except OSError as problem:
        raise ParameterError(f"{target} cannot be written: {problem.strerror}.", field="file") from None
    if not ours:
        raise ParameterError(f"{target} is there already, and no gallery.", field="file", hint="Name another file.")


def _page(jobs: Sequence[tuple[Job, Sequence[FileRecord]]], ledger: Ledger) -> Iterator[str]:
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield MARK
    yield f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{len(jobs)} jobs</title>\n<style>\n{_STYLE}\n</style>\n</head>\n<body>\n<main>"
    for job, files in jobs:
        yield f'<article id="{escape(job.id)}">\n<div class="files">'
        words = _history.words(job, ledger)
        for file in files:
            yield _shown(words, file)
        yield f'</div>\n<div class="words">\n<p class="prompt">{escape(words)}</p>\n<dl>'
        for name, value in _facts(job):
            yield f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>"
        yield "</dl>\n</div>\n</article>"
    if not jobs:
        yield "<p>No finished job with files yet.</p>"
    yield "</main>\n</body>\n</html>"


def _facts(job: Job) -> Iterator[tuple[str, str]]:
    yield "model", job.model or job.family
    yield "made by", f"{job.provider}/{job.operation}"
    cost = _history.cost(job)
    yield "cost", cost or ("sandbox: nothing was paid" if job.sandbox else "not known; gen302 cost asks")
    yield "when", f"{job.created_at.astimezone():%Y-%m-%d %H:%M}"
    yield "job", job.id


def _shown(words: str, file: FileRecord) -> str:
    path = Path(file.path)
    content = path.read_bytes()
    kind = str(file.asset.get("kind", ""))
    media_type = str(file.asset.get("media_type") or "application/octet-stream")
    if kind == "text":
        return f"<p>{escape(content.decode('utf-8', 'replace'))}</p>"
    if kind == "image":
        content, media_type = _smaller(content, media_type)
    link = f"data:{escape(media_type)};base64,{base64.b64encode(content).decode()}"
    tag, label = _TAGS.get(kind), escape(f"{words} ({path.name})")
    if tag == "img":
        return f'<img alt="{label}" title="{escape(path.name)}" loading="lazy" src="{link}">'
    if tag is not None:
        return f'<{tag} controls loop preload="metadata" aria-label="{label}" src="{link}"></{tag}>'
    return f"<p>{escape(path.name)}</p>"


def _smaller(content: bytes, media_type: str) -> tuple[bytes, str]:
    """A picture at the size a page shows it, where Pillow is installed and can read it."""
    if len(content) <= _SMALL:
        return content, media_type
    try:
        from PIL import Image
    except ImportError:
        return content, media_type
    try:
        with Image.open(BytesIO(content)) as picture:
            picture.thumbnail((SIDE, SIDE))
            into = BytesIO()
            picture.convert("RGB").save(into, "JPEG", quality=85)
    except (OSError, ValueError, Image.DecompressionBombError):
        return content, media_type
    return into.getvalue(), "image/jpeg"
