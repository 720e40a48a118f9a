"""Files become links, and links files, before any intent: an upload once while its link is believed alive.

An upload may cost. It is sent again only when it provably left nothing behind; an unclear answer is raised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from ai302_core import _links, _paths, _policies
from ai302_core._accounts import Account
from ai302_core._files.media import LIMIT
from ai302_core._steps import Alone, Call, Flow, Load, Now, Picture, Record, Reply, Save, Send, Sleep
from ai302_core._wire import calls as _wire
from ai302_core._wire import reading
from ai302_core.assets import Asset
from ai302_core.errors import Ai302Error, DownloadError, ParameterError, RateLimitError, ReplyError, TransportError
from ai302_core.family import Upload
from ai302_core.jobs import Notice

from . import giving, planning
from .planning import Plan

_AGAIN = "Type the same again: no job was started, at worst a second upload is billed (0.001 PTC at 302.AI)."


def ready(
    account: Account, made: Plan, loaded: Mapping[tuple[str, int], Picture], timeout: float
) -> Flow[tuple[Call, tuple[Notice, ...]]]:
    """The paid call and its warnings, with the links of all that had to be uploaded for it.

    timeout  seconds to wait for a busy door
    Raises ParameterError before anything is uploaded; ApiError, ReplyError or TransportError(sent=False) when an
    upload was refused, TransportError(sent=True) when nobody knows what became of one. No job exists then.
    """
    call, warnings = planning.build(account, made, loaded)
    fetched: dict[tuple[str, int], Picture] = {}
    for place, picture in loaded.items():
        if giving.to_fetch(made.operation, picture):
            fetched[place] = yield from _fetched(account, place[0], picture)
    if fetched:
        loaded = {**loaded, **fetched}
        call, warnings = planning.build(account, made, loaded)
    files = giving.to_upload(made.operation, loaded.values())
    door = account.gateway.upload
    if not files or door is None:
        return call, warnings
    links: dict[str, str] = {}
    for sha256, picture in files.items():
        sending = _call(account, door, made, picture)
        # Together with the others who want this file here: the first sends it.
        links[sha256] = yield from Alone(
            f"upload {sending.url} {sha256}", _link(account, door, sending, picture, timeout)
        )
    return planning.build(account, made, loaded, links)


def _fetched(account: Account, field: str, picture: Picture) -> Flow[Picture]:
    """The content of a link, had without any key and for nothing."""
    from ai302_core._files.opening import open_stream

    asset = picture.behind or Asset(kind="image", url=picture.url)
    try:
        file = yield from open_stream(asset, base_url=account.base_url, limit=LIMIT)
    except DownloadError as problem:
        raise ParameterError(
            f"{field}: what is behind {picture.name or 'this link'!r} must be sent itself, and cannot be had: "
            f"{problem.reason or problem.message}. Nothing was sent.",
            field=field,
            hint="Save it yourself, and give the file.",
        ) from None
    with file:
        content = yield from Save(file.read)
    found = yield from Load(content, field)
    giving.check(field, found)
    return replace(found, name=picture.name)


def foreseen(
    account: Account, made: Plan, loaded: Mapping[tuple[str, int], Picture]
) -> Flow[tuple[Mapping[str, str], list[Call]]]:
    """The links that are known already, and the uploads that would be sent. Sends nothing."""
    links: dict[str, str] = {}
    calls: list[Call] = []
    files = giving.to_upload(made.operation, loaded.values())
    door = account.gateway.upload
    if door is None:
        return links, calls
    for sha256, picture in files.items():
        sending = _call(account, door, made, picture)
        link = yield from _known(sending.url, sha256)
        if link is None:
            calls.append(sending)
        else:
            links[sha256] = link
    return links, calls


def _call(account: Account, door: Upload, made: Plan, picture: Picture) -> Call:
    return _wire.call(
        account,
        door.call,
        made.route,
        purpose="upload",
        document={door.part: picture},
        auth=door.auth,
        timeout=account.timeouts.submit,
    )


def _known(door: str, sha256: str) -> Flow[str | None]:
    now = yield from Now()
    return (yield from Record(lambda ledger: ledger.link(door, sha256, now)))


def _link(account: Account, door: Upload, call: Call, picture: Picture, timeout: float) -> Flow[str]:
    known = yield from _known(call.url, picture.sha256)
    if known is not None:
        return known
    link = yield from _sent(account, door, call, picture, timeout)
    now = yield from Now()
    until = now + timedelta(seconds=door.lifetime)
    yield from Record(lambda ledger: ledger.add_link(call.url, picture.sha256, link, now, until))
    return link


def _sent(account: Account, door: Upload, call: Call, picture: Picture, timeout: float) -> Flow[str]:
    """Send it until the door says yes or no; again only when it left nothing behind."""
    start = yield from Now()
    attempt, wait, spread = 0, 0.0, _policies.SPREAD
    problem: Ai302Error | None = None
    while True:
        attempt += 1
        yield from Sleep(wait, spread, why=problem)
        after: float | None = None
        try:
            reply = yield from Send(call)
        except TransportError as failure:
            if failure.sent:
                raise _unclear(picture, failure.message) from None
            problem = failure
        else:
            now = yield from Now()
            said = reading.refusal(reply, (*door.refused, *account.gateway.refused), now)
            if said is None:
                return _read(account, door, picture, reply)
            if said.kind == "unclear":
                raise _unclear(picture, f"{account.name} says: {said.message} [{said.code}].")
            problem, after = said.error(f"{account.name} ({account.gateway.name})"), said.retry_after
            problem.message = f"The upload of {_name(picture)}: {problem.message}. No job was started."
            problem.args = (problem.message,)
            if not isinstance(problem, RateLimitError):
                raise problem
        wait, spread = _policies.backoff(attempt, after), _policies.SPREAD if after is None else 0.0
        now = yield from Now()
        if (now - start).total_seconds() + wait > timeout:
            raise problem


def _read(account: Account, door: Upload, picture: Picture, reply: Reply) -> str:
    if reply.status in (301, 302, 303, 307, 308):
        target = reply.headers.get("location", "")[:200]
        raise ReplyError(
            f"{account.base_url} sends the upload on to {target!r}; it is never redirected. No job was started.",
            hint="Put the address it names into base_url, if you trust it.",
        )
    if not 200 <= reply.status < 300:
        raise _unclear(picture, f"HTTP {reply.status}: {reading.likely_cause(reply)}")
    for path in door.url:
        for value in _paths.values(reply.document, path):
            if isinstance(value, str) and _links.split(value.strip()):
                return _links.own_host(value.strip(), account.base_url)
    raise _unclear(picture, f"The answer names no link: {reading.excerpt(reply)}.")


def _unclear(picture: Picture, why: str) -> TransportError:
    text = f"Nobody knows whether the upload of {_name(picture)} arrived: {why} No job was started."
    return TransportError(text, sent=True, billed="unknown", hint=_AGAIN)


def _name(picture: Picture) -> str:
    return repr(picture.name) if picture.name else "a picture"
