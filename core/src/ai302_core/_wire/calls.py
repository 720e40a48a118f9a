"""From a record and a request to the exact HTTP call: paths, bodies, the one header with the key. No I/O."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from ai302_core._accounts import Account
from ai302_core._steps import Call, Purpose
from ai302_core.errors import ConfigError, ParameterError, PluginError
from ai302_core.family import Endpoint, Field, Operation
from ai302_core.jobs import Job
from ai302_core.requests import Request

from . import multipart

_PLACE = re.compile(r"\{(\w+)\}")
_HALF = re.compile("[\ud800-\udfff]")
_MISSING = object()
_WRITER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


class Watched:
    """A request that remembers which of its fields were read: what nothing reads would be dropped silently.

    Fields nobody wrote are read like any attribute: nothing would be dropped with them.
    """

    def __init__(self, request: Request, written: Iterable[str], read: set[str]) -> None:
        unset = vars(self)
        unset.update(vars(request))
        for name in written:
            del unset[name]
        self._request = request
        self._read = read

    def __getattr__(self, name: str) -> Any:
        self._read.add(name)
        return getattr(self._request, name)

    @property  # type: ignore[misc]  # isinstance() must see the request itself
    def __class__(self) -> type[Request]:  # type: ignore[override]
        return type(self._request)


def body(operation: Operation, request: Request, watched: Watched) -> dict[str, Any]:
    """The wire body of a request; `watched` remembers which of its fields are in it."""
    if callable(operation.body):
        written: object = operation.body(watched)
        if not isinstance(written, Mapping):
            raise PluginError(
                f"The body of {operation.name} is {type(written).__name__}, not a dict. Nothing was sent."
            )
        document = {name: value for name, value in written.items() if value is not None}
    else:
        document = _filled(operation.body, watched)
        document = {} if document is _MISSING else document
    if isinstance(operation.submit.json, Mapping):
        document = {**operation.submit.json, **document}
    return {**document, **request.extra}


def _filled(shape: Any, watched: Watched) -> Any:
    if isinstance(shape, Field):
        value = getattr(watched, shape.name)
        if value is None or value == ():
            return _MISSING
        value = shape.convert(value) if shape.convert else value
        return _MISSING if value is None else list(value) if isinstance(value, tuple) else value
    if isinstance(shape, Mapping):
        filled = {name: _filled(entry, watched) for name, entry in shape.items()}
        kept = {name: value for name, value in filled.items() if value is not _MISSING}
        return kept if kept or not shape else _MISSING
    if isinstance(shape, (list, tuple)):
        return [value for value in (_filled(entry, watched) for entry in shape) if value is not _MISSING]
    return shape


def secret(account: Account, auth: str = "") -> tuple[str, str]:
    """The one header that carries the key, as `auth` or the gateway says. Raises ConfigError without a key for here."""
    name, _, template = (auth or account.gateway.auth).partition(":")
    return name.strip().lower(), template.strip().replace("{key}", account.key.reveal())


def call(
    account: Account,
    endpoint: Endpoint,
    route: Mapping[str, str],
    *,
    purpose: Purpose,
    document: Any = None,
    query: Mapping[str, Any] | None = None,
    job_id: str = "",
    timeout: float | None = None,
    auth: str = "",
) -> Call:
    """The call of an endpoint, the key in the header `auth` (as the gateway says, unless given).

    Raises ParameterError for a route value the gateway does not offer.
    """
    parameters = {name: _fill(account, value, route, job_id, encode=False) for name, value in endpoint.query.items()}
    parameters.update({name: _text(value) for name, value in (query or {}).items()})
    path = _fill(account, endpoint.path, route, job_id, encode=True)
    if not path.startswith("/"):  # it would go on with the host's name, and the key go to that host
        raise PluginError(
            f"{account.family.name} has the path {path!r}, which must begin with a slash. Nothing was sent to it.",
            hint="`gen302 plugins` names its distribution and version; report it there.",
        )
    url = f"{account.base_url}{path}" + (f"?{urlencode(parameters, errors='backslashreplace')}" if parameters else "")
    sent = document if document is not None else endpoint.json
    content, shown = None, None
    headers = {"accept": "application/json", **{name.lower(): value for name, value in endpoint.headers.items()}}
    if sent is not None:
        headers["content-type"], content = _encoded(sent, form=endpoint.multipart)
        shown = multipart.shown(sent) if endpoint.multipart else None
    return Call(
        endpoint.method,
        url,
        headers=headers,
        body=content,
        secret=secret(account, auth),
        purpose=purpose,
        timeout=timeout,
        shown=shown,
    )


def _encoded(document: Any, *, form: bool) -> tuple[str, bytes]:
    """(content type, body)."""
    try:
        return multipart.encoded(document, _json) if form else ("application/json", _json(document))
    except (TypeError, ValueError, RecursionError) as problem:
        raise ParameterError(f"The request cannot be written as JSON: {problem}. Nothing was sent.") from None


def _json(document: Any) -> bytes:
    return _WRITER.encode(document).encode()


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _fill(account: Account, template: str, route: Mapping[str, str], job_id: str, *, encode: bool) -> str:
    def value(match: re.Match[str]) -> str:
        name = match[1]
        offered = account.gateway.values.get(name)
        asked = job_id if name == "job_id" else route.get(name)
        if isinstance(offered, Mapping):
            if (asked or "") not in offered:
                known = ", ".join(repr(entry) for entry in offered if entry)
                raise ParameterError(
                    f"Gateway {account.gateway.name} offers no {name} {asked!r}; it has {known or 'only its default'}. "
                    "Nothing was sent.",
                    field=name,
                )
            return offered[asked or ""]
        if asked is None and offered is None:
            raise ConfigError(
                f"Gateway {account.gateway.name} has no value for {{{name}}} of {account.family.name}'s paths.",
                hint=f'Add it: [gateways.{account.gateway.name}] values = {{ {name} = "…" }}',
            )
        if asked is None:
            return offered or ""
        if not encode:
            return asked
        quoted = quote(asked, safe="", errors="backslashreplace")
        # An id of dots alone would name a place higher up.
        return quoted if quoted.strip(".") else quoted.replace(".", "%2E")

    return _PLACE.sub(value, template)


def placed(account: Account, value: Any, route: Mapping[str, str]) -> Any:
    """A member of a gateway's own, the placeholders of its texts filled."""
    if isinstance(value, str):
        return _fill(account, value, route, "", encode=False)
    if isinstance(value, Mapping):
        return {name: placed(account, entry, route) for name, entry in value.items()}
    return [placed(account, entry, route) for entry in value] if isinstance(value, (list, tuple)) else value


def poll_call(account: Account, operation: Operation, job: Job) -> Call | None:
    """The free call that looks at a job, or None when nothing can be looked at."""
    if operation.poll is None or job.remote_id is None:
        return None
    return call(account, operation.poll, job.route, purpose="poll", job_id=job.remote_id)


def many_call(account: Account, operation: Operation, jobs: Sequence[Job]) -> Call | None:
    """The free call that looks at many jobs of one route, or None when the gateway has none.

    An id that no JSON can carry (half a character, from a hostile answer) is left out: its job is looked at alone.
    """
    many = operation.many
    if many is None or "many" in account.gateway.lacks:
        return None
    ids = [job.remote_id for job in jobs if job.remote_id and not _HALF.search(job.remote_id)]
    if not ids:
        return None
    return call(account, many.call, jobs[0].route, purpose="poll", document={many.ids: ids})
