"""From options to a request: the class that --op or the options choose, its fields filled, each typed by the class."""

from __future__ import annotations

import json
import sys
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, fields
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ai302_core.errors import ConfigError, ParameterError
from ai302_core.requests import ActionRequest, ImageRequest, Request, VideoRequest

if TYPE_CHECKING:
    from argparse import Namespace

    from ai302_core._connection import Connection
    from ai302_core.family import Family

# option -> the fields it may fill, the first the class has
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "model": ("model",),
    "ar": ("aspect_ratio",),
    "size": ("size",),
    "resolution": ("resolution",),
    "duration": ("duration",),
    "seed": ("seed",),
    "count": ("count",),
    "negative": ("negative_prompt",),
    "image": ("images", "image", "references", "first_frame"),
    "mask": ("mask",),
    "first_frame": ("first_frame",),
    "last_frame": ("last_frame",),
}
_VIDEO = ("duration", "first_frame", "last_frame")
_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_OWN = {"extra", "query", "action", "task", "values", "needs"}


def request_of(options: Namespace, connection: Connection) -> Request:
    """The request the options describe. Raises ParameterError, ConfigError, PluginError."""
    said = prompt(options.prompt)
    cls = class_of(options, connection, set_by(options))
    values: dict[str, Any] = {}
    if said is not None:
        values[_field(cls, ("prompt",), "a prompt")] = said
    values |= given(cls, options)
    if options.op is not None:
        values |= _chosen_by_model(connection, options.op, values.get("model"))
    return made(cls, values)


def made(cls: type[Request], values: Mapping[str, Any]) -> Request:
    """The request of these values. Raises ParameterError, also where a field is missing that has to be given."""
    for item in fields(cls):
        if not item.init or item.name in values or (item.default, item.default_factory) != (MISSING, MISSING):
            continue
        if item.name == "prompt":
            said, then = "There is no prompt.", 'gen302 run "a paper lantern"  # or - for stdin'
        else:
            option = next((f"--{name} FILE" for name, may in _FIELDS.items() if item.name in may), None)
            said, then = f"{cls.__name__}: {item.name} must be given.", option or f"--set {item.name}=FILE"
        raise ParameterError(f"{said} Nothing was sent.", field=item.name, hint=then)
    return cls(**values)


def _chosen_by_model(connection: Connection, name: str, model: str | None) -> dict[str, str]:
    """The model that --op stands for, where the model chooses among operations. Raises ParameterError."""
    account = connection.default()
    operation = account.family.operation(name)
    patterns = tuple(operation.models) if operation is not None else ()
    asked = model or str(account.defaults.get("model") or "")
    if not patterns or any(fnmatchcase(asked, pattern) for pattern in patterns):
        return {}
    if not asked and not set("*?[") & set(patterns[0]):
        return {"model": patterns[0]}
    raise ParameterError(
        f"--op {name}: {account.family.name} chooses it by the model, "
        f"{f'and {asked!r} goes elsewhere' if asked else 'and none is named'}. Nothing was sent.",
        field="model",
        hint=f"--model with one of {', '.join(patterns[:5])}, without --op",
    )


def set_by(options: Namespace) -> list[str]:
    """The fields that --set names. Raises ParameterError."""
    return [name for name, _ in pairs(options.set, "--set FIELD=VALUE")]


def given(cls: type[Request], options: Namespace) -> dict[str, Any]:
    """The fields the options fill, but for the prompt. Raises ParameterError."""
    values: dict[str, Any] = {}
    for option, wanted in _FIELDS.items():
        said = getattr(options, option)
        if said is None:
            continue
        name = _field(cls, wanted, f"--{option.replace('_', '-')}")
        many = isinstance(said, list) and not _is_many(cls, name)
        if many and len(said) > 1:
            raise ParameterError(f"{cls.__name__} takes one {name}. Nothing was sent.", field=name)
        values[name] = said[0] if many else said
    for name, value in typed(cls, pairs(options.set, "--set FIELD=VALUE")).items():
        if name in values:
            raise ParameterError(f"{name} is given twice, the second time by --set. Nothing was sent.", field=name)
        values[name] = value
    if options.extra:
        values["extra"] = _extra(options.extra)
    return values


def prompt(words: Sequence[str]) -> str | None:
    """The prompt: words, "-" for stdin, "@FILE"; None when there is none."""
    if not words:
        return None
    if list(words) == ["-"]:
        if sys.stdin is None:
            raise ParameterError("There is no stdin to read the prompt from. Nothing was sent.", field="prompt")
        return _decoded(sys.stdin.buffer.read(), "stdin")
    if len(words) == 1 and words[0].startswith("@") and len(words[0]) > 1:
        path = Path(words[0][1:]).expanduser()
        try:
            return _decoded(path.read_bytes(), str(path))
        except OSError as problem:
            raise ParameterError(
                f"The prompt file {path} cannot be read: {problem.strerror}. Nothing was sent.",
                field="prompt",
                hint="A prompt that begins with @ itself can come from stdin: -",
            ) from None
    return " ".join(words)


def _decoded(content: bytes, where: str) -> str:
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return content.decode(encoding).strip()
    except UnicodeDecodeError:
        raise ParameterError(f"The prompt from {where} is not UTF-8 text. Nothing was sent.", field="prompt") from None


def class_of(options: Namespace, connection: Connection, wanted: Sequence[str]) -> type[Request]:
    """The class --op names; else video where a field or the chosen provider says so; or the family's own."""
    if options.op is not None:
        return operation_class(connection.default().family, options.op)
    generic = _generic(options, connection, wanted)
    if set(wanted) <= set(names_of(generic)):
        return generic
    family = connection.serving(generic(prompt="")).family
    own = [entry.request for entry in family.operations if issubclass(entry.request, generic)]
    fitting = [cls for cls in own if set(wanted) <= set(names_of(cls))]
    return fitting[0] if fitting else own[0] if own else generic


def _generic(
    options: Namespace, connection: Connection, wanted: Sequence[str]
) -> type[ImageRequest] | type[VideoRequest]:
    if any(getattr(options, name) is not None or name in wanted for name in _VIDEO):
        return VideoRequest
    return generic_of(connection)


def generic_of(connection: Connection) -> type[ImageRequest] | type[VideoRequest]:
    """What a prompt alone asks of whoever serves: a picture, or a clip where only clips are made."""
    try:
        family = connection.default().family
    except ConfigError:  # one for each kind, or nobody: a picture, unless more is said
        return ImageRequest
    kinds = {entry.request.kind for entry in family.operations}
    return VideoRequest if "video" in kinds and "image" not in kinds else ImageRequest


def fields_known(options: Namespace, connection: Connection, wanted: Sequence[str]) -> frozenset[str]:
    """Every field that some request of the family that would serve them has."""
    generic = _generic(options, connection, wanted)
    serving = connection.default() if options.op is not None else connection.serving(generic(prompt=""))
    classes = [generic, *(entry.request for entry in serving.family.operations)]
    return frozenset(name for cls in classes for name in names_of(cls))


def field_for(column: str, names: Iterable[str]) -> str | None:
    """The field of these that a column, or an option of this name, fills; None when there is none."""
    plain = "_".join(column.casefold().replace("-", " ").split())
    return next((name for name in _FIELDS.get(plain, (plain,)) if name in names), None)


def operation_class(family: Family, name: str) -> type[Request]:
    """The request class of an operation a person can ask for. Raises ParameterError with the nearest name."""
    known = {entry.name: entry.request for entry in family.operations if not issubclass(entry.request, ActionRequest)}
    if name in known:
        return known[name]
    if family.operation(name) is not None:
        raise ParameterError(
            f"{name} is pressed on a finished job. Nothing was sent.", field="op", hint="gen302 act JOB ACTION"
        )
    near = get_close_matches(name, known, 1)
    raise ParameterError(
        f"{family.name} has no operation {name!r}{f'; did you mean {near[0]!r}?' if near else '.'} "
        f"It has: {', '.join(known)}. Nothing was sent.",
        field="op",
    )


def names_of(cls: type[Request]) -> list[str]:
    """The fields a caller may set."""
    return [item.name for item in fields(cls) if item.name not in _OWN]


def _field(cls: type[Request], fields: Iterable[str], what: str) -> str:
    known = names_of(cls)
    for name in fields:
        if name in known:
            return name
    raise ParameterError(
        f"{cls.__name__} takes no {what.removeprefix('a ')}; it takes: {', '.join(known)}. Nothing was sent.",
        field=next(iter(fields)),
    )


def typed(cls: type[Request], settings: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """The fields of --set with values of the types the class declares. Raises ParameterError."""
    known = names_of(cls)
    values: dict[str, Any] = {}
    for name, text in settings:
        name = name.replace("-", "_")
        if name not in known:
            near = get_close_matches(name, known, 1)
            raise ParameterError(
                f"{cls.__name__} has no field {name!r}{f'; did you mean {near[0]!r}?' if near else '.'} "
                f"It has: {', '.join(known)}. Nothing was sent.",
                field=name,
            )
        if _is_many(cls, name):
            values[name] = (*values.get(name, ()), *_entries(text))
        elif name in values:
            raise ParameterError(f"{name} is set twice. Nothing was sent.", field=name)
        else:
            values[name] = _value(name, text, _kinds(cls, name))
    return values


def cell(cls: type[Request], name: str, value: Any) -> Any:
    """A cell of a table as the field wants it: text is typed by the class, what JSON typed is left alone."""
    if _is_many(cls, name):
        return _entries(value) if isinstance(value, str) else value
    return _value(name, value, _kinds(cls, name)) if isinstance(value, str) else value


def _entries(text: str) -> tuple[Any, ...]:
    if text.startswith("["):
        found = _json(text, "a list")
        return tuple(found) if isinstance(found, list) else (text,)
    return (text,)


def _is_many(cls: type[Request], name: str) -> bool:
    return any(typing.get_origin(kind) in (tuple, Sequence) for kind in _kinds(cls, name)) and str not in _kinds(
        cls, name
    )


def _kinds(cls: type[Request], name: str) -> list[Any]:
    """The types a field may have, by its annotation; text where a plugin's annotation cannot be read."""
    try:
        hint = typing.get_type_hints(cls)[name]
    except NameError:
        return [str]
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return [kind for kind in (typing.get_args(hint) if union else (hint,)) if kind is not type(None)]


def _value(name: str, text: str, kinds: Sequence[Any]) -> Any:
    def refuse(expected: str) -> ParameterError:
        return ParameterError(f"{name}={text}: expected {expected}. Nothing was sent.", field=name)

    if str in kinds:
        return text
    if bool in kinds:
        if text.lower() not in _WORDS:
            raise refuse("true or false")
        return _WORDS[text.lower()]
    for kind, expected in ((int, "a whole number"), (float, "a number")):
        if kind in kinds and (kind is float or float not in kinds):
            try:
                return kind(text)
            except ValueError:
                raise refuse(expected) from None
    return _json(text, f"the value of {name}")


def pairs(given: Sequence[str] | None, shape: str) -> list[tuple[str, str]]:
    """NAME=VALUE options as (name, text). Raises ParameterError."""
    found = []
    for entry in given or ():
        name, mark, value = entry.partition("=")
        if not mark or not name.strip():
            raise ParameterError(f"{entry!r} is not {shape}. Nothing was sent.")
        found.append((name.strip(), value))
    return found


def _extra(given: Sequence[str]) -> dict[str, Any]:
    return {name: _json(value, f"--extra {name}") for name, value in pairs(given, "--extra NAME=JSON")}


def _json(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise ParameterError(
            f"{what} is no JSON: {text[:80]!r}. Text needs its quotes: NAME='\"text\"'. Nothing was sent.",
            field="extra",
        ) from None
