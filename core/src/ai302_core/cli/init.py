"""The verb init: three questions, one commented gen302.toml. A key is never asked for and never written."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from ai302_core import config, registry
from ai302_core._files import writing
from ai302_core.errors import Ai302Error, ConfigError, ParameterError
from ai302_core.family import Family, Gateway

from . import _options
from ._options import Parser
from ._session import Session, execute

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")


def perform(verb: str, arguments: Sequence[str]) -> int:
    """Do `init`; the exit code."""
    return execute(verb, _parser(), _init, arguments)


def _parser() -> Parser:
    parser = Parser(
        "init",
        "Write a commented gen302.toml: three questions, or none where the options answer them or nobody sits there.",
        (
            "gen302 init",
            "gen302 init --yes --family midjourney",
            "gen302 init --family midjourney --gateway new-api --base-url https://relay.example --key-env RELAY_KEY",
        ),
    )
    parser.add_argument("--family", metavar="F", help="which installed family serves")
    parser.add_argument("--gateway", metavar="G", help="302ai, or a compatible service the family knows")
    parser.add_argument("--base-url", metavar="URL", help="where the gateway answers, if not at its usual address")
    parser.add_argument("--key-env", metavar="NAME", help="the environment variable that holds the key")
    parser.add_argument("-y", "--yes", action="store_true", help="ask nothing")
    _options.common(parser)
    return parser


def _init(session: Session) -> int:
    options = session.options
    target = Path(options.config or config.CONFIG_NAME).absolute()
    if target.exists():
        raise _there(target)
    asks = not options.yes and sys.stdin is not None and sys.stdin.isatty()
    family = registry.load(options.family or _family(session, asks))
    gateway = _gateway(options.gateway or _which(session, family, asks), family)
    address = options.base_url or family.address(gateway)
    if address is None:
        if not asks:
            raise ParameterError(f"{gateway.name} has no address of its own.", hint="--base-url https://...")
        address = _asked(session, f"At which address does {gateway.name} answer", "")
    address = config.normalise_base_url(address)
    own = address != family.address(family.gateways[0])
    variable = _variable(options.key_env or _holder(session, asks, own))
    text = _written(family, gateway, address if own else None, variable)
    _checked(target, text)
    session.output.say(f"Wrote {target}. It holds no key.")
    if not os.environ.get(variable):
        shown = f'$env:{variable} = "..."' if os.name == "nt" else f"export {variable}=..."
        session.output.say(f"The key belongs in the environment: {shown}")
    session.output.say(f"Next: {session.typed('gen302 doctor')}")
    if session.output.as_json:
        session.output.record({"v": 1, "file": str(target), "exit": 0})
    else:
        session.output.data(str(target))
    return 0


def _there(target: Path) -> ParameterError:
    return ParameterError(f"{target} is there already; it is not touched.", hint="gen302 config show")


def _asked(session: Session, question: str, usual: str, among: Sequence[str] = ()) -> str:
    """The answer to a question, on stderr so that stdout stays data; asked again for one that is not among these.

    Raises ParameterError when there is none.
    """
    while True:
        session.output.say(f"{question}{f' [{usual}]' if usual else ''}?")
        answer = sys.stdin.readline()
        found = answer.strip() or usual
        if not answer or not found:
            raise ParameterError("There was no answer; nothing was written.", hint="gen302 init --help")
        if not among or found in among:
            return found
        session.output.say(f"There is no {found!r} among them.")


def _family(session: Session, asks: bool) -> str:
    names = sorted({entry.name for entry in registry.installed()})
    if not names:
        raise ConfigError("No family is installed.", hint="gen302 plugins  # says how")
    usual = "midjourney" if "midjourney" in names else names[0]
    return usual if not asks else _asked(session, f"Which family shall serve ({', '.join(names)})", usual, names)


def _which(session: Session, family: Family, asks: bool) -> str:
    names = [gateway.name for gateway in family.gateways]
    if not asks or len(names) == 1:
        return names[0]
    return _asked(session, f"Through which gateway ({', '.join(names)})", names[0], names)


def _gateway(name: str, family: Family) -> Gateway:
    gateway = family.gateway(name)
    if gateway is None:
        known = ", ".join(entry.name for entry in family.gateways)
        raise ParameterError(f"{family.name} knows no gateway {name!r}; it knows: {known}.", field="gateway")
    return gateway


def _holder(session: Session, asks: bool, own: bool) -> str:
    usual = "RELAY_KEY" if own else config.COMMON_KEYS[0]
    return _asked(session, "Which environment variable holds the key", usual) if asks else usual


def _variable(name: str) -> str:
    """Raises ParameterError for what is no name, without showing it: it may be the key itself."""
    if not _VARIABLE.fullmatch(name) or len(name) > 60:
        raise ParameterError(
            "That is no name of an environment variable. If it was the key itself: it belongs in the variable, never "
            "into the file; it was not written.",
            field="key-env",
            hint="--key-env AI302_API_KEY",
        )
    return name


def _written(family: Family, gateway: Gateway, address: str | None, variable: str) -> str:
    common = variable in config.COMMON_KEYS

    def line(setting: str, told: str, *, on: bool = True) -> str:
        return f"{'' if on else '# '}{setting}".ljust(48) + f"# {told}"

    fields = [
        f'family = "{family.name}"',
        line(f'gateway = "{gateway.name}"', "the service: " + ", ".join(entry.name for entry in family.gateways)),
        line(f'base_url = "{address or "https://relay.example"}"', "where it answers", on=address is not None),
        line(f'api_key_env = "{variable if not common else "RELAY_KEY"}"', "the variable that holds its key",
             on=not common),
        line('defaults = { aspect_ratio = "3:2" }', "fields a call leaves unset", on=False),
        line("limits = { concurrent = 4 }", "open jobs at a time", on=False),
    ]  # fmt: skip
    return "\n".join(
        [
            "# gen302.toml: which provider serves, and which variable holds its key. The key itself never stands here.",
            "# What applies: gen302 config show. What answers: gen302 doctor. Every setting: gen302 config schema.",
            "",
            line(f'default = "{family.name}"', "the one line to change"),
            "",
            f"[providers.{family.name}]",
            *fields,
            "",
            line("[budget]", "stops before money moves", on=False),
            "# max_jobs = 100",
            line('per = "day"', "day, month, ever", on=False),
            "",
        ]
    )


def _checked(target: Path, text: str) -> None:
    """Write the file, unless it would not load. Raises ConfigError, ParameterError."""
    try:
        ours = writing.place(target, text.encode())
    except OSError as problem:
        raise ParameterError(f"{target} cannot be written: {problem.strerror}.") from None
    if not ours:
        raise _there(target)
    loads: Callable[..., object] = config.load_settings
    try:
        loads(str(target))
    except Ai302Error:
        target.unlink(missing_ok=True)
        raise
