"""Which operation serves a request, with which values: mapped whole, or refused before money moves. No I/O."""

from __future__ import annotations

import fnmatch
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from difflib import get_close_matches
from typing import Any

from ai302_core._accounts import Account
from ai302_core._steps import Call, Picture
from ai302_core._wire import calls
from ai302_core.errors import ConfigError, NotFoundError, ParameterError, PluginError
from ai302_core.family import Operation, Rule
from ai302_core.jobs import Action, Job, Notice, Preview
from ai302_core.requests import ActionRequest, Request, StoredRequest

from . import blaming, giving
from . import rules as _rules

_DIGESTED = json.JSONEncoder(sort_keys=True, ensure_ascii=True, separators=(",", ":"), default=str)
_OWN = {"extra", "query", "action", "task", "values", "needs"}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A request on its way: the operation that serves it, its values with defaults, its route and warnings."""

    operation: Operation
    request: Request
    route: Mapping[str, str]
    warnings: tuple[Notice, ...]
    lenient: bool


def plan(
    account: Account,
    request: Request,
    *,
    lenient: bool = False,
    parent: Job | None = None,
    operation: Operation | None = None,
) -> Plan:
    """Choose the operation, unless an action names it, and fill in defaults.

    Raises ParameterError, NotFoundError, ConfigError, PluginError.
    """
    if operation is None:
        operation, request = _operation_for(account, request)
    if operation.name in account.gateway.lacks:
        raise NotFoundError(
            f"Gateway {account.gateway.name} does not offer {operation.name}. Nothing was sent.", status_code=0
        )
    said = blaming.guarded(account, "said", operation.said, request, gives=Mapping) if operation.said else {}
    _contradictions(request, said)
    request = _with_defaults(account, operation, request, said)
    warnings: list[Notice] = []
    rules = blaming.guarded(account, "rules", operation.rules, request, gives=Mapping) if operation.rules else {}
    if not all(isinstance(rule, Rule) for rule in rules.values()):
        raise blaming.broken(account, "rules", "it gives something that is no Rule", None)
    rules = {**rules, **_unread(account, request, rules)}
    request = _rules.obeying(account.family.name, request, said, rules, lenient, warnings)
    warnings = [_guessing(account, request.model, notice) for notice in warnings]
    route = dict(parent.route) if parent is not None else {}
    if operation.route:
        route.update(blaming.guarded(account, "route", operation.route, request, gives=Mapping))
    return Plan(operation=operation, request=request, route=route, warnings=tuple(warnings), lenient=lenient)


def _unread(account: Account, request: Request, rules: Mapping[str, Rule]) -> dict[str, Rule]:
    """What the gateway does not take, as rules, of the fields a request has: a flag in a prompt goes out as words.

    A family that does not take a field anywhere says its own way instead.
    """
    unread = account.unread
    written = request.written() if unread else {}
    return {name: rule for name, rule in unread.items() if name in written and (name not in rules or rules[name].taken)}


def _guessing(account: Account, model: str | None, notice: Notice) -> Notice:
    """What is said of a model nobody knows, with the nearest one of the catalogue."""
    if notice.field != "model" or not model:
        return notice
    names = {entry.name.casefold(): entry.name for entry in account.family.models}
    near = next((names[found] for found in get_close_matches(model.casefold(), names, 1, 0.8)), None)
    if near is None or near in (model, model.partition("/")[2]):
        return notice
    return replace(notice, message=f"{notice.message} Did you mean {near!r}?")


def _operation_for(account: Account, request: Request) -> tuple[Operation, Request]:
    if isinstance(request, StoredRequest):
        request = Request.from_json(request.to_json())
    cls, every = type(request), account.family.operations
    model = request.model or account.defaults.get("model")
    serving = account.serving.get(cls)
    if serving is None:
        ways = (_exactly, _more, _inherited, _foreign)
        serving = account.serving[cls] = [entry for serves in ways for entry in every if serves(entry.request, cls)]
    for entry in serving:
        if _models_fit(entry, model):
            return entry, _as(request, entry.request, account)
    kinds = sorted({entry.request.kind or entry.name for entry in every if entry.request.kind})
    raise ParameterError(
        f"{account.family.name} does not serve {cls.__name__}; it makes: {', '.join(kinds)}. Nothing was sent."
    )


def _exactly(own: type[Request], asked: type[Request]) -> bool:
    return own is asked


def _more(own: type[Request], asked: type[Request]) -> bool:
    return issubclass(own, asked)


def _inherited(own: type[Request], asked: type[Request]) -> bool:
    return issubclass(asked, own)


def _foreign(own: type[Request], asked: type[Request]) -> bool:
    return bool(own.kind) and own.kind == asked.kind and not issubclass(asked, ActionRequest)


def _models_fit(operation: Operation, model: str | None) -> bool:
    if not operation.models:
        return True
    return any(fnmatch.fnmatchcase(model or "", pattern) for pattern in operation.models)


def _as(request: Request, cls: type[Request], account: Account) -> Request:
    if isinstance(request, cls):
        return request
    written = request.written()
    foreign = [name for name in written if name not in cls.__dataclass_fields__]
    if foreign:
        raise ParameterError(
            f"{account.family.name} has no {foreign[0]!r} of {type(request).__name__}; unset it, or choose the family "
            "it belongs to. Nothing was sent.",
            field=foreign[0],
        )
    return cls(**written)


def _contradictions(request: Request, said: Mapping[str, Any]) -> None:
    written = request.written() if said else {}
    for name, value in said.items():
        if name in written and _rules.plain(written[name]) != _rules.plain(value):
            raise ParameterError(
                f"{name}={_rules.shown(written[name])} contradicts the prompt, which already says "
                f"{_rules.shown(value)}. Keep one of them. Nothing was sent.",
                field=name,
            )


def _with_defaults(account: Account, operation: Operation, request: Request, said: Mapping[str, Any]) -> Request:
    if not account.defaults:
        return request
    names = {item.name for item in fields(operation.request)}
    known = {item.name for entry in account.family.operations for item in fields(entry.request)} - _OWN
    for name in account.defaults:
        if name not in known:
            near = get_close_matches(name, sorted(known), 1)
            raise ConfigError(
                f"[providers.{account.name}] defaults: {account.family.name} has no field {name!r}"
                f"{f'; did you mean {near[0]!r}?' if near else '.'} Nothing was sent."
            )
    written = request.written()
    added = {name: value for name, value in account.defaults.items() if name in names - set(written) - set(said)}
    try:
        return replace(request, **added) if added else request
    except ParameterError as problem:
        raise ConfigError(f"[providers.{account.name}] defaults: {problem.message}") from None


def build(
    account: Account,
    made: Plan,
    pictures: Mapping[tuple[str, int], Picture],
    links: Mapping[str, str] | None = None,
) -> tuple[Call, tuple[Notice, ...]]:
    """The paid call, and its warnings. Raises ParameterError for a field nothing on the wire can carry.

    links  SHA-256 -> the link of a picture that was uploaded; a picture without one is shown by a word in its place
    """
    operation = made.operation
    request = made.request
    places = [place for place, _ in request.media()]
    request = request.with_media(
        {place: giving.on_the_wire(account, operation, pictures[place], place[0], links or {}) for place in places}
    )
    written = request.written()
    read: set[str] = {"model"} if operation.models else set()
    watched = calls.Watched(request, written, read)
    document = blaming.guarded(account, "body", calls.body, operation, request, watched)
    if operation.route:
        blaming.guarded(account, "route", operation.route, watched)
    warnings = list(made.warnings)
    for name in written:
        if name in read or name in _OWN:
            continue
        text = f"{account.family.name} cannot express {name} in {operation.name}."
        if not made.lenient:
            raise ParameterError(
                f"{text} Leave it out, or pass lenient to send without it. Nothing was sent.", field=name
            )
        warnings.append(Notice(code="dropped", message=text, field=name))
    call = calls.call(
        account,
        operation.submit,
        made.route,
        purpose="submit",
        document=document,
        query=request.query,
        job_id=getattr(request, "task", ""),
        timeout=max(account.timeouts.submit, 200.0) if operation.poll is None else account.timeouts.submit,
    )
    return call, tuple(warnings)


def digest(stored: Request, parent: str | None = None) -> str:
    """The name of what the caller wrote: equal requests, equal digest; files by content, not by name."""
    document = {"request": _nameless(stored.to_json()), "parent": parent}
    return hashlib.sha256(_DIGESTED.encode(document).encode()).hexdigest()


def _nameless(value: Any) -> Any:
    if isinstance(value, dict):
        file = value.get("file")
        if len(value) == 1 and isinstance(file, dict):
            return {"file": file.get("sha256")}
        return {name: _nameless(entry) for name, entry in value.items()}
    return [_nameless(entry) for entry in value] if isinstance(value, list) else value


def open_fields(cls: type[Request]) -> Iterable[str]:
    """The names of the fields a caller may set."""
    return (item.name for item in fields(cls) if item.name not in _OWN)


def press(operation: Operation, name: str, task: str, action: Action, values: Mapping[str, Any]) -> Request:
    """The request that presses an action. Raises ParameterError for a field the action does not take."""
    cls = operation.request
    known = list(open_fields(cls))
    for field in values:
        if field not in known:
            near = get_close_matches(field, known, 1)
            raise ParameterError(
                f"{name} takes no {field!r}{f'; did you mean {near[0]!r}?' if near else '.'} Nothing was sent.",
                field=field,
            )
    if not issubclass(cls, ActionRequest):
        raise PluginError(f"The operation {operation.name!r} of {name} is no action. Nothing was sent.")
    return cls(name, task=task, values=action.values, needs=action.needs, **values)


def masked(call: Call, warnings: tuple[Notice, ...] = (), uploads: Iterable[Call] = ()) -> Preview:
    """A call as people may see it."""
    headers = dict(call.headers)
    if call.secret is not None:
        headers[call.secret[0]] = "***"
    body = call.shown if call.shown is not None else json.loads(call.body) if call.body is not None else None
    before = tuple(masked(entry) for entry in uploads)
    return Preview(method=call.method, url=call.url, headers=headers, body=body, warnings=warnings, uploads=before)


def default_route(account: Account, operation: Operation) -> Mapping[str, str]:
    """The route an operation takes when only the configuration speaks."""
    if operation.route is None:
        return {}
    known = {item.name: item for item in fields(operation.request)}
    needed = (name for name, item in known.items() if item.default is MISSING and item.default_factory is MISSING)
    given = {name: value for name, value in account.defaults.items() if name in known}
    values: dict[str, Any] = {**dict.fromkeys(needed, ""), **given}
    return dict(blaming.guarded(account, "route", operation.route, operation.request(**values), gives=Mapping))
