"""Samples: conversations with a service as JSON files, read and checked; the contract and the sandbox live on them."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any
from urllib.parse import quote, unquote

from ai302_core import _paths
from ai302_core.errors import ParameterError
from ai302_core.family import Endpoint, Family, Operation

__all__ = ["Exchange", "Sample", "read_samples", "samples_of"]

_PLACE = re.compile(r"\{(\w+)\}")
_MEMBERS = {"about", "source", "gateway", "operation", "request", "answer", "exchanges", "expect"}


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One call of a conversation: what is sent, and what comes back.

    query    parameters of the address
    body     JSON that is sent, or None
    form     fields of a multipart body, files as {"file": …}, or None
    reply    the answer's JSON, or bytes as they are; `status`, `headers` beside it
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    form: Mapping[str, Any] | None = None
    status: int = 200
    reply: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/json"

    def content(self) -> bytes:
        """The reply's bytes."""
        return self.reply if isinstance(self.reply, bytes) else json.dumps(self.reply, ensure_ascii=False).encode()


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One conversation with the service, and what is to come of it.

    name       of its file, without the suffix
    source     where the replies are from: "documented …" or "synthesized …"
    request    the request as `Request.to_json` writes it; None: the task was started by another tool
    answer     fields that answer INPUT_REQUIRED, or None
    expect     status, assets, actions, message, kind (of a refusal), moments
    """

    name: str
    about: str = ""
    source: str = ""
    gateway: str = ""
    operation: str = ""
    request: Mapping[str, Any] | None = None
    answer: Mapping[str, Any] | None = None
    exchanges: tuple[Exchange, ...] = ()
    expect: Mapping[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """The status the job is expected to end with."""
        return str(self.expect.get("status", ""))

    def paid(self, family: Family) -> list[int]:
        """The positions of the exchanges that are paid submits of the family."""
        return [position for position in range(len(self.exchanges)) if self.submits(family, position)]

    def submits(self, family: Family, position: int) -> list[Operation]:
        """The operations whose submit the exchange at that position is."""
        exchange = self.exchanges[position]
        return [
            entry
            for entry in family.operations
            if exchange.method == entry.submit.method and _paths.fits(entry.submit.path, exchange.path)
        ]

    def remote_id(self, family: Family) -> str | None:
        """The id of its task: from the submit's reply, or from the address that is looked at."""
        operation = family.operation(self.operation)
        if operation is None:
            return None
        for position in self.paid(family):
            found = _paths.first_scalar(self.exchanges[position].reply, operation.job_id)
            if found is not None:
                return found
        return next((found for entry in self.exchanges if (found := looked_at(operation, entry))), None)


def looked_at(operation: Operation, exchange: Exchange) -> str | None:
    """The id an exchange asks for, if it is a poll of this operation."""
    poll = operation.poll
    if poll is None or poll.method != exchange.method:
        return None
    match = re.fullmatch(_pattern(poll), exchange.path)
    if match is None:
        return None
    if "job_id" in match.groupdict():
        return unquote(match["job_id"])
    return next((exchange.query.get(name) for name, value in poll.query.items() if "{job_id}" in value), None)


def _pattern(endpoint: Endpoint) -> str:
    named = re.sub(r"\\{job_id\\}", "(?P<job_id>[^/]+)", re.escape(endpoint.path), count=1)
    return re.sub(r"\\{\w+\\}", ".+", named)


def encoded(remote_id: str) -> str:
    """An id as it stands in a path."""
    return quote(remote_id, safe="")


def samples_of(package: str) -> tuple[Sample, ...]:
    """The samples in the folder `samples` of an importable package or module's folder; () without one."""
    try:
        folder = files(package).joinpath("samples")
        return read_samples(folder) if folder.is_dir() else ()
    except (TypeError, ModuleNotFoundError):
        return ()


def read_samples(folder: Traversable) -> tuple[Sample, ...]:
    """Every `*.json` of a folder, by name. Raises ParameterError that says which file is wrong, and where."""
    entries = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".json")), key=lambda one: one.name)
    return tuple(_sample(entry.name.removesuffix(".json"), entry.read_text("utf-8")) for entry in entries)


def _sample(name: str, text: str) -> Sample:
    try:
        document = json.loads(text)
    except ValueError as problem:
        raise ParameterError(f"The sample {name}.json is no JSON: {problem}.", field="samples") from None
    if not isinstance(document, dict):
        raise _wrong(name, "it must be a JSON object")
    _known(name, document, _MEMBERS, "a sample")
    for member in ("operation", "exchanges", "expect", "source"):
        if not document.get(member):
            raise _wrong(name, f"it lacks {member!r}")
    exchanges = tuple(_exchange(name, entry) for entry in document["exchanges"])
    values = {member: value for member, value in document.items() if member != "exchanges" and value is not None}
    return Sample(name=name, exchanges=exchanges, **values)


def _exchange(name: str, entry: Any) -> Exchange:
    sent, reply = (entry.get("sent"), entry.get("reply")) if isinstance(entry, dict) else (None, None)
    if not isinstance(sent, dict) or not isinstance(reply, dict):
        raise _wrong(name, 'every exchange is {"sent": {…}, "reply": {…}}')
    _known(name, sent, {"method", "path", "query", "body", "form"}, "`sent`")
    _known(name, reply, {"status", "headers", "body", "base64", "text", "media_type"}, "`reply`")
    body = reply.get("body")
    try:
        if "base64" in reply:
            body = base64.b64decode(reply["base64"], validate=True)
        elif "text" in reply:
            body = str(reply["text"]).encode()
    except binascii.Error:
        raise _wrong(name, "`base64` of a reply cannot be decoded") from None
    try:
        return Exchange(
            method=sent["method"],
            path=sent["path"],
            query={key: str(value) for key, value in sent.get("query", {}).items()},
            body=sent.get("body"),
            form=sent.get("form"),
            status=reply.get("status", 200),
            reply=body,
            headers=reply.get("headers", {}),
            media_type=reply.get("media_type", "application/json"),
        )
    except KeyError as problem:
        raise _wrong(name, f"`sent` lacks {problem}") from None


def _known(name: str, document: Mapping[str, Any], members: Iterable[str], where: str) -> None:
    unknown = sorted(set(document) - set(members))
    if unknown:
        raise _wrong(name, f"{where} has no member {unknown[0]!r}; it has: {', '.join(sorted(members))}")


def _wrong(name: str, what: str) -> ParameterError:
    return ParameterError(f"The sample {name}.json cannot be used: {what}.", field="samples")
