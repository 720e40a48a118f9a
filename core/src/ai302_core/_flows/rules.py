"""What a family's rules say of a request: it obeys, it is refused before money moves, or it goes with a warning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from ai302_core.errors import ParameterError
from ai302_core.family import Rule
from ai302_core.jobs import Notice
from ai302_core.requests import Request


def obeying(
    family: str,
    request: Request,
    said: Mapping[str, Any],
    rules: Mapping[str, Rule],
    lenient: bool,
    warnings: list[Notice],
) -> Request:
    """The request as it may go out; what is worth knowing is added to `warnings`. Raises ParameterError."""
    written = {**said, **request.written()}
    for name, rule in rules.items():
        if name not in written and not (rule.required or rule.allowed):
            continue
        if rule.notice and name in written:
            warnings.append(Notice(code="notice", message=f"{family}: {rule.notice}", field=name))
        problem = _broken(rule, written.get(name), name in written)
        if not problem:
            request = _spelt(request, name, rule)
            continue
        text = f"{family}: {name} {problem}"
        if not lenient or rule.required:
            unnamed = name == "model" and not request.model
            hint = f"gen302 models -p {family}  # then --model NAME, or model under the provider's defaults"
            raise ParameterError(f"{text} Nothing was sent.", field=name, hint=hint if unnamed else "")
        warnings.append(Notice(code="parameter", message=text, field=name))
        if not rule.taken and name in request.written():
            request = _without(request, name)
    return request


def _spelt(request: Request, name: str, rule: Rule) -> Request:
    """The request with a word as the service spells it: words are compared without case, and services may not."""
    value: Any = getattr(request, name, None)
    if not isinstance(value, str):
        return request
    word: Any = next(
        (entry for entry in rule.allowed if isinstance(entry, str) and plain(entry) == plain(value)), value
    )
    return request if word == value else replace(request, **{name: word})


def _without(request: Request, name: str) -> Request:
    empty: Any = next(item.default for item in fields(request) if item.name == name)
    return replace(request, **{name: empty})


def _broken(rule: Rule, value: Any, is_set: bool) -> str:
    blank = rule.required and isinstance(value, str) and not value.strip()
    if not is_set or blank or value is None or value == "" or value == ():
        return f"must be given. {rule.instead or ''}".strip() if rule.required else ""
    instead = f" {rule.instead}" if rule.instead else ""
    if not rule.taken:
        return f"is not taken.{instead}"
    if rule.allowed and plain(value) not in {plain(entry) for entry in rule.allowed}:
        return f"takes {', '.join(map(_size_or_text, rule.allowed))}, not {shown(value)}.{instead}"
    number = len(value) if isinstance(value, (str, tuple)) else value
    unit = " characters" if isinstance(value, str) else ""
    if rule.least is not None and number < rule.least:
        return f"takes at least {_size_or_text(rule.least)}{unit}, not {number}.{instead}"
    if rule.most is not None and number > rule.most:
        return f"takes at most {_size_or_text(rule.most)}{unit}, not {number}.{instead}"
    return ""


def plain(value: Any) -> str:
    """A value as it is compared: numbers as text, sizes as "1024x1536", without case."""
    return _size_or_text(value).strip().casefold()


def shown(value: Any) -> str:
    """A value as messages show it: never the content of a picture."""
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    return _size_or_text(value) if isinstance(value, tuple) else repr(value)


def _size_or_text(value: Any) -> str:
    pixels = isinstance(value, tuple) and len(value) == 2 and all(type(side) is int for side in value)
    whole = isinstance(value, float) and value.is_integer()
    return f"{value[0]}x{value[1]}" if pixels else str(int(value) if whole else value)
