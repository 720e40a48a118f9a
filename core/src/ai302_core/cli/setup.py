"""The verbs that show what is set up: config, providers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from ai302_core import config, registry
from ai302_core.errors import Ai302Error

from . import _options
from ._options import Parser
from ._session import Session, execute
from ._table import lines


def perform(verb: str, arguments: Sequence[str]) -> int:
    """Do one of this module's verbs; the exit code."""
    parser, work = {
        "config": (_config_parser, _config),
        "providers": (_providers_parser, _providers),
    }[verb]
    return execute(verb, parser(), work, arguments)


def _config_parser() -> Parser:
    parser = Parser(
        "config",
        "What is configured. show: the merged values and where each was written; path: where gen302.toml is looked "
        "for; schema: its JSON schema, for editors.",
        ("gen302 config show", "gen302 config path", "gen302 config schema > gen302.schema.json"),
    )
    parser.add_argument("what", metavar="show|path|schema", nargs="?", default="show")
    _options.common(parser)
    return parser


def _providers_parser() -> Parser:
    parser = Parser("providers", "The configured providers, and the installed families that serve without a line.",
                    ("gen302 providers", "gen302 providers --json"))  # fmt: skip
    _options.common(parser)
    return parser


def _config(session: Session) -> int:
    works = {"show": _config_show, "path": _config_path, "schema": _config_schema}
    if session.options.what not in works:
        raise _options.unknown("config", session.options.what, works)
    return works[session.options.what](session)


def _config_show(session: Session) -> int:
    settings = config.load_settings(session.options.config)
    if session.output.as_json:
        origins = {".".join(path): place for path, place in settings.origins.items() if path}
        session.output.record({"v": 1, "settings": {**asdict(settings), "origins": origins}})
    else:
        session.output.data(config.show(settings).rstrip("\n"))
    return 0


def _config_path(session: Session) -> int:
    for path in config.search_paths(session.options.config):
        there = path.is_file()
        if session.output.as_json:
            session.output.record({"v": 1, "path": str(path), "exists": there})
        else:
            session.output.data(f"{path}{'' if there else '  (not there)'}")
    return 0


def _config_schema(session: Session) -> int:
    schema = config.schema_json()
    if session.output.as_json:
        session.output.record(schema)
    else:
        session.output.data(json.dumps(schema, indent=2, ensure_ascii=False))
    return 0


def _providers(session: Session) -> int:
    settings = session.connection.settings
    families = [entry.name for entry in registry.installed()]
    bare = [name for name in dict.fromkeys(families) if all(name != own.family for own in settings.providers.values())]
    chosen = _chosen(session)
    rows = [("", "PROVIDER", "FAMILY", "GATEWAY", "ADDRESS", "KEY")]
    for name in [*settings.providers, *bare]:
        entry = _described(session, name)
        entry["default"] = name in chosen
        if session.output.as_json:
            session.output.record({"v": 1, **entry})
        gateway, address = entry["gateway"] or "", entry["base_url"] or ""
        rows.append(
            ("*" if name in chosen else "", name, entry["family"], gateway, address, entry["key"] or entry["problem"])
        )
    if session.output.as_json:
        return 0
    if len(rows) == 1:
        session.output.say("No provider is configured and no family is installed: gen302 plugins says how.")
        return 0
    for line in lines(rows):
        session.output.data(line)
    for name, members in settings.aliases.items():
        session.output.data(f"{name} is {', then '.join(members)}")
    session.output.say('* serves unless -p names another. The line to change in gen302.toml: default = "NAME"')
    return 0


def _chosen(session: Session) -> set[str]:
    """The providers that serve without being named."""
    found = set()
    for kind in (None, "image", "video"):
        with suppress(Ai302Error):
            found.add(
                config.pick_provider(
                    session.connection.settings,
                    session.options.provider,
                    kind,
                    [entry.name for entry in registry.installed()],
                )
            )
    return found


def _described(session: Session, name: str) -> dict[str, Any]:
    own = session.connection.settings.provider(name)
    entry: dict[str, Any] = {"name": name, "family": own.family, "gateway": own.gateway, "base_url": own.base_url}
    entry |= {"key": None, "problem": None}
    try:
        account = session.connection.account(name)
        entry |= {"gateway": account.gateway.name, "base_url": account.base_url}
        entry["key"] = account.key.source
    except Ai302Error as error:
        entry["problem"] = error.message.removesuffix(" Nothing was sent.")
    return entry
