"""The verb doctor: what is configured and what answers. Nothing here costs money, and no key is shown."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from ai302_core import _clock, config, registry
from ai302_core._flows import costs
from ai302_core._steps import Call, Reply
from ai302_core._transport import carriers
from ai302_core._version import VERSION
from ai302_core._wire import reading
from ai302_core.errors import Ai302Error, ConfigError, PluginError, TransportError
from ai302_core.jobs import Status
from ai302_core.requests import ImageRequest

from . import _options, _verdict
from ._options import Parser
from ._session import Session, execute

if TYPE_CHECKING:
    from ai302_core._accounts import Account
    from ai302_core.config import Settings

IMPORT_LIMIT = 20.0
"""Seconds."""

SKEW = 120.0
"""Seconds this computer's clock may differ from the service's before it is worth a line."""

GATES = (502, 503, 504, 521, 522, 523, 524)
"""What a proxy, or the network in front of a service, answers in its place."""

PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")

OPEN = tuple(status for status in Status if not status.settled)


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    lines  what was found, for people
    error  what is wrong with it, or None
    data   the same for scripts
    """

    name: str
    lines: Sequence[str] = ()
    error: Ai302Error | None = None
    data: dict[str, Any] = field(default_factory=dict)


def perform(verb: str, arguments: Sequence[str]) -> int:
    """Do `doctor`; the exit code."""
    return execute(verb, _parser(), _doctor, arguments)


def _parser() -> Parser:
    parser = Parser(
        "doctor",
        "What is configured, what answers, and what to do next. Free: nothing is bought. A key is sent to its own "
        "service alone, to ask for the balance.",
        ("gen302 doctor", "gen302 doctor hero relay", "gen302 doctor --json"),
    )
    parser.add_argument("providers", metavar="PROVIDER", nargs="*", help="all unless named")
    _options.common(parser)
    return parser


def _doctor(session: Session) -> int:
    codes: list[int] = []
    for finding in _findings(session):
        code = 0 if finding.error is None else _verdict.exit_code(finding.error)
        codes.append(code)
        _tell(session, finding, code)
    wrong = [code for code in codes if code]
    if wrong:
        session.output.say(f"{len(wrong)} of {len(codes)} need you; each says what to do next.")
    else:
        session.output.say(f'All well. Next: gen302 run "a paper lantern"{_named(session)} -o pictures')
    return wrong[0] if wrong else 0


def _named(session: Session) -> str:
    """ " -p NAME" where a run that names nobody would be asked who."""
    try:
        session.connection.members(ImageRequest("a paper lantern"))
    except Ai302Error:
        return f" -p {(session.options.providers or _usual(session))[0]}"
    return "" if session.options.provider is None else f" -p {session.options.provider}"


def _tell(session: Session, finding: Finding, code: int) -> None:
    error = finding.error
    if session.output.as_json:
        told = None if error is None else _verdict.failure(error)
        session.output.record({"v": 1, "check": finding.name, **finding.data, "error": told, "exit": code})
        return
    session.output.data("\n".join([f"{finding.name}: {'ok' if error is None else 'needs you'}",
                                   *(f"  {line}" for line in finding.lines)]))  # fmt: skip
    if error is not None:
        session.output.data(
            "\n".join(f"  {line}" for line in (error.message, error.hint and f"Next: {error.hint}") if line)
        )


def _findings(session: Session) -> Iterator[Finding]:
    yield _here()
    try:
        settings = session.connection.settings
    except Ai302Error as problem:
        yield Finding("configuration", error=problem)
        return
    sources = [source for source in settings.sources if source] or ["none: defaults alone"]
    yield Finding("configuration", sources, _misnamed(settings), {"sources": list(settings.sources)})
    yield _ledger(session)
    names = session.options.providers or _usual(session)
    if not names:
        hint = "Install a family's distribution beside ai302-core; gen302 plugins lists them."
        yield Finding(
            "providers", error=ConfigError("No provider is configured and no family is installed.", hint=hint)
        )
    for name in names:
        yield _provider(session, name)


def _misnamed(settings: Settings) -> ConfigError | None:
    """What is wrong with the names `default` and `aliases` say: nobody asks them for a provider by itself."""
    said = settings.default
    names = said.values() if isinstance(said, Mapping) else [said] if said is not None else []
    families = [entry.name for entry in registry.installed()]
    try:
        for name in (*names, *settings.aliases):
            config.pick_providers(settings, name, None, families)
    except ConfigError as problem:
        return problem
    return None


def _usual(session: Session) -> list[str]:
    if session.options.provider is not None:
        return [session.options.provider]
    return list(session.connection.settings.providers) or [entry.name for entry in registry.installed()]


def _here() -> Finding:
    lines = [f"ai302-core {VERSION}, Python {platform.python_version()}, {platform.system()}"]
    looks = carriers.of_looks()
    lines.append(f"Many jobs are looked at by {looks}{'' if looks != 'httpx' else ' (extra [fast]: aiohttp)'}.")
    sandbox = bool(os.environ.get("GEN302_SANDBOX"))
    if sandbox:
        lines.append("GEN302_SANDBOX is set: every provider is the sandbox, nothing costs money.")
    if os.environ.get("AI302_BASE_URL"):
        lines.append(
            "AI302_BASE_URL is set: it belongs to the vendor's own packages; base_url of a provider counts here."
        )
    for name in PROXIES:
        found = os.environ.get(name) or os.environ.get(name.lower())
        if found:  # it may hold a password
            lines.append(f"{name} is set: requests go through {found.rpartition('@')[2]}, but for NO_PROXY.")
    return Finding(
        "gen302",
        lines,
        data={"version": VERSION, "python": platform.python_version(), "looks": looks, "sandbox": sandbox},
    )


def _ledger(session: Session) -> Finding:
    ledger = session.connection.ledger
    try:
        still = ledger.jobs(status=OPEN)
        ledger.release(())  # a write that changes nothing
    except Ai302Error as problem:
        return Finding("ledger", [ledger.url], problem, {"url": ledger.url})
    lines = [f"{ledger.url}, writable" if ledger.durable else f"{ledger.url}: jobs are forgotten when a command ends"]
    if still:
        lines.append(f"{len(still)} open job{'s' if len(still) > 1 else ''}: gen302 jobs resume finishes them")
    unconfirmed = [job.id for job in still if job.status is Status.UNCONFIRMED]
    if unconfirmed:
        lines.append(f"unconfirmed, look before you pay again: {', '.join(unconfirmed[:5])}")
    return Finding("ledger", lines, data={"url": ledger.url, "durable": ledger.durable, "open": len(still)})


def _provider(session: Session, name: str) -> Finding:
    lines: list[str] = []
    data: dict[str, Any] = {"provider": name}
    try:
        settings = session.connection.settings.provider(name)
        lines.append(f"family {settings.family}{_distribution(settings.family, settings.plugin)}")
        data["family"] = settings.family
        _importable(settings.family, settings.plugin)
        account = session.connection.account(name)
        lines.append(f"gateway {account.gateway.name} at {account.base_url}")
        data |= {"gateway": account.gateway.name, "base_url": account.base_url}
        lines.append(f"key from {account.key.source}")
        data["key"] = account.key.source
        lines.append(_answers(session, account))
        lines.append(_balance(session, account, data))
    except Ai302Error as problem:
        return Finding(name, lines, problem, data)
    return Finding(name, lines, data=data)


def _distribution(family: str, choice: str | None) -> str:
    found = [entry.distribution for entry in registry.installed() if entry.name == family]
    name = choice or (found[0] if found else "")
    try:
        return f", from {name} {version(name)}" if name else ""
    except PackageNotFoundError:
        return f", from {name}"


def _importable(family: str, choice: str | None) -> None:
    """Load the family in a child first: a plugin that hangs or exits costs only itself. Raises PluginError."""
    code = (
        "from ai302_core import errors, registry\n"
        f"try: registry.load({family!r}, choice={choice!r})\n"
        "except errors.PluginError: pass"
    )
    try:
        child = subprocess.run(  # noqa: S603 - this Python, and words of ours
            [sys.executable, "-c", code], capture_output=True, timeout=IMPORT_LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        reason = f"importing it takes longer than {IMPORT_LIMIT:.0f} s"
    else:
        if child.returncode == 0:
            return
        reason = f"importing it ends Python (exit code {child.returncode})"
    raise PluginError(
        f"Family {family!r} cannot be used: {reason}.",
        hint="Upgrade or uninstall its distribution, or report it to its author.",
    )


def _answers(session: Session, account: Account) -> str:
    """What the address says to a request without a key. Raises TransportError when nothing but a gate answers."""
    start = _clock.now()
    transport = session.connection.driver(account).transport
    try:
        reply = transport.send(Call("GET", f"{account.base_url}/"))
    except TransportError as problem:
        raise TransportError(problem.message, sent=False, hint=_way(account)) from problem
    if reply.status in GATES:
        raise TransportError(
            f"HTTP {reply.status}: what stands before the service answers, the service does not.",
            sent=False,
            hint=f"Wait, then look again: gen302 doctor {account.name}",
        )
    seconds = (_clock.now() - start).total_seconds()
    tls = ", TLS checked" if account.base_url.startswith("https://") else ""
    return f"answers in {seconds:.1f} s with HTTP {reply.status}{tls}{_page(reply)}{_clock_told(reply, start)}"


def _way(account: Account) -> str:
    """What to look at when nothing answers there."""
    if account.sandbox:
        return "gen302 sandbox starts one and tells its address; or unset GEN302_SANDBOX to use the real service."
    proxy = next((name for name in PROXIES if os.environ.get(name) or os.environ.get(name.lower())), None)
    through = f" Is the proxy of {proxy} up? NO_PROXY names hosts that go without it." if proxy else ""
    return f"Is {account.base_url} right, and is there a network?{through}"


def _clock_told(reply: Reply, now: datetime) -> str:
    """A sentence when the service's clock and this one differ: ages, `--since` and the budget's day go by this one."""
    try:
        there = parsedate_to_datetime(reply.headers["date"])
        apart = (there - now).total_seconds()
    except (KeyError, ValueError, TypeError):
        return ""
    if abs(apart) < SKEW:
        return ""
    way = "behind" if apart > 0 else "ahead of"
    return f". This computer's clock is {abs(apart) / 60:.0f} minutes {way} the service's: set it"


def _balance(session: Session, account: Account, data: dict[str, Any]) -> str:
    """What is left, where the key may see it; a free look at the account's own address."""
    left, why, wrong = session.connection.driver(account).run(costs.balance(account))
    data["balance"] = None if left is None else left.to_json()
    if wrong:
        raise ConfigError(
            why, hint=f"Look at base_url and the key of [providers.{account.name}], {account.key.source}."
        )
    return f"balance {left}" if left is not None else f"balance unknown: {why}"


def _page(reply: Reply) -> str:
    cause = reading.likely_cause(reply)
    if "web page" not in cause:
        return ""
    if reply.status < 400:
        return "; a web page at the address itself is usual, its API is below"
    return f". {cause}"
