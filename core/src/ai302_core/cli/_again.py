"""`--from`: the request of an earlier job, or of the sidecar beside its files, with what is said anew."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ai302_core.errors import Ai302Error, ParameterError
from ai302_core.ledger import named
from ai302_core.requests import ActionRequest, Request, StoredRequest

from . import _requests

if TYPE_CHECKING:
    from ._session import Session


def requested(session: Session) -> Request:
    """The request the options describe. Raises ParameterError, ConfigError, PluginError."""
    options = session.options
    if options.source is None:
        session.choose(options.op)
        return _requests.request_of(options, session.connection)
    if options.op is not None:
        raise ParameterError("--from brings its operation; --op names another. Nothing was sent.", field="op")
    request, provider = _earlier(session, options.source)
    if options.provider is None:  # where it was made, if that is still configured
        with suppress(Ai302Error):
            session.connection.account(provider)
            session.connect(provider)
    session.connection.default()  # its family knows the request's class
    if isinstance(request, StoredRequest):
        request = Request.from_json(request.to_json())
    if isinstance(request, ActionRequest):
        raise ParameterError(
            f"{options.source} was a press of {request.action}; a press is repeated on its parent. Nothing was sent.",
            hint=f"gen302 act JOB {request.action}",
        )
    values = {**request.written(), **_requests.given(type(request), options)}
    said = _requests.prompt(options.prompt)
    if said is not None:
        values["prompt"] = said
    values["extra"] = {**request.extra, **values.get("extra", {})}
    return type(request)(**values)


def _earlier(session: Session, source: str) -> tuple[Request, str]:
    path = Path(source).expanduser()
    if path.suffix.lower() == ".json" and path.is_file():
        return _sidecar(path)
    job = named(session.connection.ledger, source)
    if job.request is None:
        raise ParameterError(f"What {job.id} was asked is not known: it was adopted. Nothing was sent.", field="from")
    return job.request, job.provider


def _sidecar(path: Path) -> tuple[Request, str]:
    try:
        document: Any = json.loads(path.read_bytes())
        return Request.from_json(document["request"]), str(document["provider"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise ParameterError(f"{path} is no sidecar of a job. Nothing was sent.", field="from") from None
