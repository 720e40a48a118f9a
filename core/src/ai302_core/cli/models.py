"""The verb models: the catalogues of the families in use. They guide and never gate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from difflib import get_close_matches
from typing import Any

from ai302_core.errors import ParameterError
from ai302_core.family import Rule
from ai302_core.jobs import Model

from . import _options
from ._options import Parser
from ._session import Session, execute
from ._table import lines


def perform(verb: str, arguments: Sequence[str]) -> int:
    """Do `models`; the exit code."""
    return execute(verb, _parser(), _models, arguments)


def _parser() -> Parser:
    parser = Parser(
        "models",
        "The models a provider's family knows of, * its default. The list guides and never gates: any other name is "
        "sent as it is.",
        ("gen302 models", "gen302 models --task image", "gen302 models luma-t2i", "gen302 models -p draft --json"),
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="MODEL",
        type=_options.text,
        help="these alone: every member each takes, its values, and what the service makes of others",
    )
    parser.add_argument("--task", metavar="T", type=_options.text, help="only models for this, such as image or video")
    _options.common(parser)
    return parser


def _models(session: Session) -> int:
    task = session.options.task
    found = session.connection.models(task)
    tasks = sorted({model.task for _, model in session.connection.models(None)}) if task and not found else []
    if tasks:
        raise ParameterError(
            f"No model is known for {task!r}; there are models for: {', '.join(tasks)}.",
            field="task",
            hint=f"gen302 models --task {tasks[-1]}",
        )
    found = _named(found, session.options.names)
    if session.output.as_json:
        for family, model in found:
            told = {name: value for name, value in asdict(model).items() if name != "parameters"}
            rules = {name: _told(rule) for name, rule in sorted(model.parameters.items())}
            session.output.record({"v": 1, "family": family, **told, "parameters": sorted(rules), "rules": rules})
        return 0
    if not found:
        session.output.say("No model is known for that; any name is sent as it is: --model NAME")
        return 0
    rows: list[tuple[str, ...]]
    if session.options.names:
        rows = [("MODEL", "MEMBER", "TAKES")]
        rows += [row for _, model in found for row in _whole(model)]
    else:
        rows = [("", "MODEL", "FAMILY", "TASK", "TAKES")]
        rows += [
            ("*" if model.default else "", model.name, family, model.task, _takes(model)) for family, model in found
        ]
    for line in lines(rows):
        session.output.data(line)
    return 0


def _named(found: list[tuple[str, Model]], names: Sequence[str]) -> list[tuple[str, Model]]:
    """The models of these names; all of them without a name. Raises ParameterError for a name nobody knows."""
    known = {model.name for _, model in found}
    folded = {name.casefold(): name for name in sorted(known)}
    for name in names:
        if name not in known:
            near = get_close_matches(name.casefold(), folded, 1)
            raise ParameterError(
                f"Nothing is known of {name!r}; it would be sent as it is."
                + (f" Did you mean {folded[near[0]]!r}?" if near else ""),
                field="names",
                hint="gen302 models",
            )
    return [entry for entry in found if entry[1].name in names] if names else found


def _told(rule: Rule) -> dict[str, Any]:
    """What is known of a member, as JSON data: nothing that is not."""
    facts = {"allowed": rule.allowed, "least": rule.least, "most": rule.most, "instead": rule.instead}
    told: dict[str, Any] = {name: value for name, value in facts.items() if value not in (None, ())}
    return told | ({"required": True} if rule.required else {}) | ({} if rule.taken else {"taken": False})


def _whole(model: Model) -> Iterator[tuple[str, str, str]]:
    """Every member of a model, the needed ones first, and where this is known from."""
    for name, rule in sorted(model.parameters.items(), key=lambda entry: (not entry[1].required, entry[0])):
        both = rule.least is not None and rule.most is not None
        bounds = ("" if both else "at least", rule.least), ("to" if both else "at most", rule.most)
        parts = [
            "needed" if rule.required else "",
            "" if rule.taken else "not taken",
            " ".join(map(str, rule.allowed)),
            " ".join(f"{word} {value:g}".strip() for word, value in bounds if value is not None),
            (rule.instead or "").rstrip("."),
        ]
        yield model.name, name, "; ".join(part for part in parts if part)
    if not model.parameters:
        yield model.name, "", _takes(model) or "nothing more is known of it"
    yield model.name, "", f"source: {model.source}"


def _takes(model: Model) -> str:
    parts = [
        "needs a picture" if model.needs_image else "",
        " ".join(model.aspect_ratios),
        " ".join(model.sizes),
        " ".join(f"{seconds:g} s" for seconds in model.durations),
    ]
    return "; ".join(part for part in parts if part)
