"""Bodies as multipart/form-data: members as parts, pictures as files, of exact length. No I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ai302_core._files.sniffing import HEAD, sniff
from ai302_core._steps import Picture

_ESCAPED = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})


def encoded(document: Mapping[str, Any], as_json: Callable[[Any], bytes]) -> tuple[str, bytes]:
    """(content type, body). A list is several parts of one name; `as_json` writes what is nested deeper."""
    parts: list[bytes] = []
    digest = hashlib.sha256()
    for name, value in _members(document):
        head = f'Content-Disposition: form-data; name="{str(name).translate(_ESCAPED)}"'
        if isinstance(value, Picture):
            content = value.content or b""
            head += f'; filename="{file_name(value)}"\r\nContent-Type: {value.media_type}'
        else:
            content = value.encode() if isinstance(value, str) else as_json(value)
        digest.update(head.encode("utf-8", "backslashreplace"))
        digest.update(content)
        parts += [head.encode("utf-8", "backslashreplace"), b"\r\n\r\n", content, b"\r\n"]
    # Made of everything in the body, so that nothing in the body can hold it.
    boundary = f"gen302-{digest.hexdigest()[:40]}"
    mark = f"--{boundary}\r\n".encode()
    body = b"".join(piece for start in range(0, len(parts), 4) for piece in (mark, *parts[start : start + 4]))
    return f"multipart/form-data; boundary={boundary}", body + f"--{boundary}--\r\n".encode()


def shown(document: Mapping[str, Any]) -> dict[str, Any]:
    """The form as people may see it: files by what they are."""

    def of(value: Any) -> Any:
        return described(value) if isinstance(value, Picture) else value

    return {
        name: [of(entry) for entry in value] if isinstance(value, (list, tuple)) else of(value)
        for name, value in document.items()
        if value is not None
    }


def described(picture: Picture) -> dict[str, Any]:
    """A file of a form, without its content."""
    size = len(picture.content or b"")
    told = {"name": picture.name, "size": size, "sha256": picture.sha256, "media_type": picture.media_type}
    return {"file": {name: value for name, value in told.items() if value != ""}}


def file_name(picture: Picture) -> str:
    """What the service is told: the caller's own file name is nobody else's business."""
    found = sniff((picture.content or b"")[:HEAD])
    return f"{picture.sha256[:16]}{found[1] if found else ''}"


def _members(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        flat = isinstance(value, (list, tuple)) and not any(isinstance(entry, (list, tuple, dict)) for entry in value)
        for entry in value if flat else (value,):
            if entry is not None:
                yield name, entry
