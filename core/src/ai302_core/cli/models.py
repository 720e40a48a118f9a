"""The verb models: the catalogues of the families in use. They guide and never gate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from ai302_core.errors import ParameterError
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
        ("gen302 models", "gen302 models --task image", "gen302 models -p draft --json"),
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
    if session.output.as_json:
        for family, model in found:
            told = {name: value for name, value in asdict(model).items() if name != "parameters"}
            session.output.record({"v": 1, "family": family, **told, "parameters": sorted(model.parameters)})
        return 0
    if not found:
        session.output.say("No model is known for that; any name is sent as it is: --model NAME")
        return 0
    rows = [("", "MODEL", "FAMILY", "TASK", "TAKES")]
    rows += [("*" if model.default else "", model.name, family, model.task, _takes(model)) for family, model in found]
    for line in lines(rows):
        session.output.data(line)
    return 0


def _takes(model: Model) -> str:
    parts = [
        "needs a picture" if model.needs_image else "",
        " ".join(model.aspect_ratios),
        " ".join(model.sizes),
        " ".join(f"{seconds:g} s" for seconds in model.durations),
    ]
    return "; ".join(part for part in parts if part)
