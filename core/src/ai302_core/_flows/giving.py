"""How a picture the caller gave goes on the wire: as a link, inline, as a file, or as the link of an upload. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ai302_core._accounts import Account
from ai302_core._steps import Picture
from ai302_core.errors import ParameterError
from ai302_core.family import Operation

LINK, CONTENT, FILE = "url", "data", "file"
_KINDS = {"images": "image", "mask": "image", "first_frame": "image", "last_frame": "image", "video": "video"}


def check(field: str, picture: Picture) -> None:
    """Raises ParameterError when the content is no picture where one belongs, or no clip. Links are not opened."""
    kind = _KINDS.get(field)
    if kind and picture.content is not None and not picture.media_type.startswith(kind):
        wanted = "a clip" if kind == "video" else "a picture"
        what = repr(picture.name) if picture.name else "what was given"
        raise ParameterError(
            f"{field}: {what} is {picture.media_type}, but {wanted} belongs there. Nothing was sent.", field=field
        )


def on_the_wire(account: Account, operation: Operation, picture: Picture, field: str, links: Mapping[str, str]) -> Any:
    """What stands in the body in place of a picture: text, or the Picture itself where it goes as a file.

    Raises ParameterError when the operation cannot take it as it was given.
    """
    name = picture.name or "this picture"
    fetched = to_fetch(operation, picture)
    if picture.url is not None and not fetched:
        return picture.url
    if FILE in operation.images and operation.submit.multipart:
        return picture
    if CONTENT in operation.images:
        # Words that will be replaced begin as what replaces them: a family may look.
        return f"data:image/png;base64,(the content of {name}, once fetched)" if fetched else picture.data_url()
    door = account.gateway.upload
    if door is None or LINK not in operation.images:
        why = "takes public links only; put the file where the service can fetch it, and give its link"
        raise _not_taken(account, operation, field, why)
    size = len(picture.content or b"")
    if size > door.size:
        most = f"{door.size / 1e6:.0f} MB"
        why = f"needs a link, and {size / 1e6:.1f} MB are too much to upload (at most {most}); make it smaller"
        raise _not_taken(account, operation, field, why)
    return links.get(picture.sha256) or f"https://(the link of {name}, once uploaded)"


def to_fetch(operation: Operation, picture: Picture) -> bool:
    """Whether the picture was given as a link whose content must be had: files only are taken, or a part is meant."""
    return picture.url is not None and (picture.behind is not None or LINK not in operation.images)


def to_upload(operation: Operation, pictures: Iterable[Picture]) -> dict[str, Picture]:
    """SHA-256 -> picture, of those that `on_the_wire` gives as the link of an upload."""
    taken = {CONTENT, FILE} if operation.submit.multipart else {CONTENT}
    if taken & set(operation.images):
        return {}
    return {picture.sha256: picture for picture in pictures if picture.content is not None}


def _not_taken(account: Account, operation: Operation, field: str, why: str) -> ParameterError:
    return ParameterError(
        f"{field}: {operation.name} at {account.name} ({account.gateway.name}) {why}. Nothing was sent.", field=field
    )
