"""The verb plugins: list the installed families, write a new distribution, check an installed one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ai302_core import config, registry
from ai302_core.errors import ConfigError, ParameterError, PluginError

from . import _options
from ._options import Parser
from ._session import Session, execute
from ._table import lines


def perform(verb: str, arguments: Sequence[str]) -> int:
    """List, new or check; the exit code."""
    return execute(verb, _parser(), _plugins, arguments)


def _parser() -> Parser:
    parser = Parser(
        "plugins",
        "list: the installed families with their distributions, broken ones with what mends them; new NAME: write a "
        "complete distribution of a family, with samples and tests; check NAME: try an installed family against the "
        "registry's rules and the contract, and say what to mend.",
        ("gen302 plugins", "gen302 plugins new hailuo", "gen302 plugins check hailuo"),
    )
    parser.add_argument("what", metavar="list|new|check", nargs="?", default="list", choices=("list", "new", "check"))
    parser.add_argument("name", metavar="NAME", nargs="?", type=_options.text)
    parser.add_argument("--dir", metavar="FOLDER", help="new: where to write it, instead of ./ai302-NAME")
    parser.add_argument("--from", dest="distribution", metavar="DIST", help="check: of which distribution, if several")
    parser.add_argument("--timeout", metavar="S", type=_options.seconds, default=300.0, help="check: seconds at most")
    _options.common(parser)
    return parser


def _plugins(session: Session) -> int:
    what, name = session.options.what, session.options.name
    if what == "list":
        if name is not None:
            raise ParameterError(f"nothing is known of {name!r} here.", hint="gen302 plugins new NAME  # or check NAME")
        return _list(session)
    if not name:
        raise ParameterError(f"plugins {what} needs a NAME.", hint=f"gen302 plugins {what} hailuo")
    return _new(session, name) if what == "new" else _check(session, name)


def _list(session: Session) -> int:
    allowed = config.load_settings(session.options.config).plugins
    reports = registry.report(remembered=True)
    rows = [("FAMILY", "DISTRIBUTION", "VERSION", "STATE")]
    for one in reports:
        entry = one.plugin
        if session.output.as_json:
            told: dict[str, Any] = {"name": entry.name, "distribution": entry.distribution, "version": entry.version}
            told |= {"requires": entry.requires, "ok": one.ok, "reason": one.reason or None}
            told |= {"allowed": _permitted(one.plugin.distribution, allowed)}
            told |= {"remedy": one.remedy or None, "operations": one.operations, "gateways": one.gateways}
            session.output.record({"v": 1, **told})
            continue
        state = f"ok: {', '.join(one.operations)}" if one.ok else "broken"
        if not _permitted(entry.distribution, allowed):
            state = "not allowed by `plugins` in gen302.toml"
        rows.append((entry.name, entry.distribution, entry.version, state))
        if not one.ok:
            session.output.complain(one.reason, "", one.remedy)
    if not session.output.as_json and reports:
        for line in lines(rows):
            session.output.data(line)
    if not reports:
        session.output.say(
            "No family is installed. For example, in the project's folder: pip install ./core ./plugins/midjourney"
        )
    names = [one.plugin.name for one in reports]
    for name in sorted({name for name in names if names.count(name) > 1}):
        session.output.say(f"note: {name} is offered more than once; `plugin` under its provider says which serves.")
    return 0 if all(one.ok for one in reports) else 2


def _permitted(distribution: str, allowed: Sequence[str] | None) -> bool:
    return allowed is None or registry.canonical(distribution) in map(registry.canonical, allowed)


def _new(session: Session, name: str) -> int:
    from ._newplugin import files_of

    distribution, files = files_of(name)
    known = {entry.name: entry for entry in registry.installed()}.get(name.replace("-", "_"))
    if known is not None:
        raise ParameterError(
            f"The family {known.name!r} is installed already, from {known}; nothing was written.",
            hint=f"gen302 plugins new {known.name}_2  # or another name of your own",
        )
    folder = Path(session.options.dir or distribution).expanduser().resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ParameterError(f"{folder} is there already; nothing was written.", hint="Give another --dir.")
    try:
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
    except OSError as problem:
        raise ConfigError(f"{folder} cannot be written: {problem.strerror or problem}.") from None
    if session.output.as_json:
        session.output.record({"v": 1, "folder": str(folder), "files": sorted(files)})
        return 0
    session.output.data(str(folder))
    for path in sorted(files):
        session.output.say(f"  {path}")
    shown = folder.name if folder.parent == Path.cwd() else str(folder)
    session.output.say(f'Next: pip install -e "{shown}[test]" && gen302 plugins check {name.replace("-", "_")}')
    return 0


def _check(session: Session, name: str) -> int:
    from ai302_core.testing.checking import check

    family = name.replace("-", "_")
    offers = [entry for entry in registry.installed() if entry.name == family]
    if len(offers) > 1 and session.options.distribution is None:
        raise ParameterError(
            f"The family {offers[0].name!r} is offered by {' and '.join(map(str, offers))}; say which to check.",
            hint=f"gen302 plugins check {offers[0].name} --from {offers[0].distribution}",
        )
    try:
        report = check(family, session.options.distribution, session.options.timeout)
    except PluginError as problem:
        if not offers:
            folder = f"./ai302-{family.replace('_', '-')}"
            named = f'[project.entry-points."{registry.GROUP}"]'
            problem.hint = f'pip install -e "{folder}[test]"  # where its pyproject.toml names it under {named}'
        raise
    if session.output.as_json:
        entry = {"name": report.plugin.name, "distribution": report.plugin.distribution}
        findings = [asdict(finding) for finding in report.findings]
        session.output.record({"v": 1, **entry, "ok": report.ok, "tests": report.tests, "findings": findings})
        return 0 if report.ok else 2
    for finding in report.findings:
        session.output.data(f"{finding.test}{f' [{finding.sample}]' if finding.sample else ''}")
        session.output.data(f"  {finding.message}")
    verdict = "keeps the contract" if report.ok else f"{len(report.findings)} to mend"
    session.output.say(
        f"{report.plugin.name} of {report.plugin}: {report.tests} test{'' if report.tests == 1 else 's'}, {verdict}."
    )
    return 0 if report.ok else 2
