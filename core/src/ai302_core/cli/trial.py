"""The verbs to try with: demo and sandbox."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ai302_core import registry
from ai302_core.errors import ParameterError, PluginError

from . import _ending, _options, _requests, make
from ._options import Parser
from ._output import Output
from ._place import ourselves
from ._session import Session, execute
from .jobs import show_list

if TYPE_CHECKING:
    from ai302_core.jobs import Job
    from ai302_core.sandbox import RunningSandbox

FAMILY = "midjourney"
OTHERS = ("unified_image", "veo")
"""Families the same prompt runs on afterwards, where they are installed."""

PROMPT, SHAPE = "a paper lantern over a canal at dusk", "16:9"


def perform(verb: str, arguments: Sequence[str]) -> int:
    """Do one of this module's verbs; the exit code."""
    if verb == "demo":
        return execute(verb, _demo_parser(), _demo, arguments)
    words = list(arguments)
    command: list[str] | None = None
    if "--" in words:
        position = words.index("--")
        words, command = words[:position], words[position + 1 :]
    return execute(verb, _sandbox_parser(), lambda session: _sandbox(session, command), words)


def _sandbox_parser() -> Parser:
    parser = Parser(
        "sandbox",
        "The local server that speaks the real wire formats, to this command and to any other client. Costs nothing.",
        (
            "gen302 sandbox",
            'gen302 sandbox -- gen302 run "a paper lantern" -p midjourney -o pictures',
            "gen302 sandbox --faults faults.json -- python my_program.py",
        ),
        usage="gen302 sandbox [--port N] [--seed N] [--faults FILE] [-- COMMAND ...]",
    )
    parser.add_argument("--port", metavar="N", type=int, default=0, help="any free one unless given")
    parser.add_argument("--seed", metavar="N", type=int, help="same seed, same calls: same ids and pictures")
    parser.add_argument("--faults", metavar="FILE", help="what is to go wrong: a JSON list")
    _options.common(parser)
    return parser


def _demo_parser() -> Parser:
    parser = Parser(
        "demo",
        "Pictures in half a minute: sandbox, imagine, upscale, the same prompt at every other family, jobs. No key, no "
        "money.",
        ("gen302 demo", "gen302 demo -o somewhere-else"),
    )
    parser.add_argument(
        "-o", "--out", metavar="DIR", type=_options.path, default="gen302-demo", help="gen302-demo unless given"
    )
    _options.common(parser)
    return parser


def _served(port: int = 0, seed: int | None = None, faults: str | None = None) -> RunningSandbox:
    from ai302_core.sandbox import serve

    return serve(port, seed=seed, faults=faults)


def _sandbox(session: Session, command: Sequence[str] | None) -> int:
    options = session.options
    if command is not None and not command:
        raise ParameterError("There is no command after --.", hint="gen302 sandbox --help")
    with _served(options.port, options.seed, options.faults) as sandbox:
        for sentence in sandbox.skipped:
            session.output.say(f"note: {sentence}")
        if command is None:
            with suppress(KeyboardInterrupt):  # one that comes before it listens for it ends it as well
                _explained(session.output, sandbox)
                sandbox.run_forever()
            return 0
        code = _accompanied(command, {**os.environ, "GEN302_SANDBOX": sandbox.url})
    if code:
        session.output.say("The sandbox has ended, and with it whatever is still open there. No money was spent.")
    return code


def _explained(output: Output, sandbox: RunningSandbox) -> None:
    me = ourselves()
    installed = list(dict.fromkeys(entry.name for entry in registry.installed()))
    who = f" -p {installed[0]}" if len(installed) > 1 else ""
    if output.as_json:
        output.record({"v": 1, "url": sandbox.url, "key": sandbox.key})
    else:
        output.data(sandbox.url)
    output.say(
        f"The sandbox answers at {sandbox.url}; its key is {sandbox.key}. Nothing here costs money. Ctrl-C ends it.\n"
        "\n"
        "In another window:\n"
        f'  {_with("GEN302_SANDBOX", sandbox.url)} {me} run "a red fox in the snow"{who} -o pictures\n'
        "Any other client, pointed at this address instead of https://api.302.ai:\n"
        f"  curl {sandbox.url}/mj/submit/imagine -H 'mj-api-secret: {sandbox.key}' \\\n"
        "       -H 'content-type: application/json' -d '{\"prompt\": \"a red fox in the snow\"}'"
    )


def _with(name: str, value: str) -> str:
    """An environment variable before a command, as this system's shell wants it."""
    return f'$env:{name}="{value}";' if os.name == "nt" else f"{name}={value}"


def _accompanied(command: Sequence[str], environment: dict[str, str]) -> int:
    """Run a command; its exit code. Ctrl-C is the command's own business, a polite kill is passed on."""
    program = shutil.which(command[0])
    if program is None:
        raise ParameterError(f"There is no command {command[0]!r}.", hint="gen302 sandbox -- COMMAND ...")
    asked: list[int] = []
    children: list[subprocess.Popen[bytes]] = []

    def pass_on(number: int, frame: Any) -> None:
        asked.append(number)
        for child in children:
            child.terminate()

    kill = signal.signal(signal.SIGTERM, pass_on)  # before there is a child: one that nobody ends would outlive us
    try:
        try:
            child = subprocess.Popen([program, *command[1:]], env=environment)  # noqa: S603 - its user typed it
        except OSError as problem:
            raise ParameterError(f"{program} cannot be started: {problem.strerror}.") from None
        children.append(child)
        if asked:
            child.terminate()
        while True:
            with suppress(KeyboardInterrupt):
                code = child.wait()
                break
    finally:
        signal.signal(signal.SIGTERM, kill)
    return code if code >= 0 else 128 - code


def _demo(session: Session) -> int:
    options = session.options
    folder = Path(options.out)
    options.provider, options.config, options.timeout = FAMILY, {}, 480.0
    session.ends_with_us, session.goes_on = True, f"{ourselves()} demo"
    with _served() as sandbox, _environment("GEN302_SANDBOX", sandbox.url):
        installed = {entry.name for entry in registry.installed()}
        if FAMILY not in installed:
            raise PluginError(
                f"The demo needs the family {FAMILY}, which is not installed.",
                hint="In the project's folder: pip install ./core ./plugins/midjourney",
            )
        session.output.say("A sandbox on this computer speaks Midjourney: real requests, real files, no key, no money.")
        made = [_bought(session, folder, FAMILY), _pressed(session, folder)]
        others = [name for name in OTHERS if name in installed]
        if others:
            session.output.say("The same prompt at other families; the provider's name is all that changes.")
        made += [_bought(session, folder, name) for name in others]
        code = next((code for code, _ in made if code), 0)
        session.output.say(f"$ {ourselves()} jobs")
        ledger = session.connection.ledger
        if not session.output.as_json:
            show_list(session, [ledger.job(job.id) or job for _, job in reversed(made)])
        session.close()
    if code == 0:
        _next(session.output, folder)
    return code


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before


def _bought(session: Session, folder: Path, family: str) -> tuple[int, Job]:
    session.output.say(f'$ {ourselves()} run "{PROMPT}" --ar {SHAPE} -p {family} -o {folder}')
    out = _options.absolute(str(folder))
    session.connect(family)
    asked = _requests.generic_of(session.connection)
    with make.buying(session) as watch:
        job = session.job = session.provider.submit(asked(PROMPT, aspect_ratio=SHAPE), save_to=out)
        result = _ending.finish(session, job, watch, out)
    return _ending.told(session, result), session.job


def _pressed(session: Session, folder: Path) -> tuple[int, Job]:
    parent = session.job
    assert parent is not None
    session.output.say(f"$ {ourselves()} act {parent.id[-6:]} upscale-2 -o {folder}")
    out = _options.absolute(str(folder))
    with make.buying(session) as watch:
        job = session.job = session.provider.act(parent, "upscale-2")
        session.connection.ledger.set_destination(job.id, out)
        result = _ending.finish(session, job, watch, out)
    return _ending.told(session, result), session.job


def _next(output: Output, folder: Path) -> None:
    me = ourselves()
    output.say(
        f"\nThe files are in {folder.resolve()}. It was all the sandbox: no money was spent.\n"
        "\n"
        "Three commands to try next:\n"
        f'  {me} sandbox -- {me} run "a red fox in the snow" --ar 16:9 -p {FAMILY} -o pictures\n'
        f"  {me} doctor\n"
        f'  {_with("AI302_API_KEY", "sk-...")} {me} run "a red fox in the snow" -p {FAMILY} -o pictures\n'
        "The last one is for real: with a key of 302.AI, and for money."
    )
