"""The schema of the configuration, and what validation says: place, key and remedy, never a value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.types import StringConstraints
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from ai302_core.errors import ConfigError

from .layers import KeyPath, Layer, find
from .settings import nearest

__all__ = ["Configuration", "validated"]

NAME = re.compile(r"[a-z][a-z0-9_]*")

Text = Annotated[str, StringConstraints(min_length=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False, description="seconds")]
Whole = Annotated[int, Field(ge=1)]
# A name in capitals: a key pasted here by mistake is refused instead of shown as "… is not set".
Variable = Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]*$", description="the name of an environment variable")]
Auth = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+: ?([A-Za-z]+ )?\{key\}$", description="'Header: {key}'")]
Ledger = Annotated[
    str, Field(pattern=r"^(off|:memory:|[a-z][a-z0-9+]*:///?.+)$", description="sqlite:///FILE, :memory: or off")
]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class TimeoutsTable(_Table):
    """Seconds for each part of the work."""

    connect: Seconds = Field(default=10, description="seconds for a connection")
    submit: Seconds = Field(default=120, description="seconds for the answer to a submit")
    poll: Seconds = Field(default=30, description="seconds for the answer to a look")
    download: Seconds = Field(default=60, description="seconds between two pieces of a file")
    wait: Seconds | None = Field(default=None, description="seconds for a whole job; else the family says")


class PollTable(_Table):
    """Seconds between two looks at a job."""

    initial: Seconds | None = Field(default=None, description="seconds between the first looks; 2 unless given")
    maximum: Seconds | None = Field(default=None, description="seconds between looks at most; 60 unless given")


class LimitsTable(_Table):
    """What the account may do at a time."""

    concurrent: Whole | None = Field(default=None, description="open jobs at a time")
    per_minute: Whole | None = Field(default=None, description="submits in any minute")


class ProviderTable(_Table):
    """A configured account of a family."""

    family: Text = Field(description="the installed family")
    gateway: Text | None = Field(default=None, description="which service of that kind; else the family's first")
    base_url: Text | None = Field(default=None, description="its address; else the gateway's")
    api_key_env: Variable | None = Field(
        default=None, description="the variable that holds its key; else the common key, where that may go"
    )
    plugin: Text | None = Field(default=None, description="the distribution, when several bring the family")
    defaults: dict[str, Any] = Field(default={}, description="fields of requests that the call leaves unset")
    timeouts: TimeoutsTable = Field(default=TimeoutsTable(), description="how long each part may take")
    poll: PollTable = Field(default=PollTable(), description="how often to look")
    limits: LimitsTable = Field(default=LimitsTable(), description="what the account may do at a time")


class GatewayTable(_Table):
    """A gateway of your own: what differs from the family's gateway `like`."""

    like: Text = Field(description="the gateway of the family that all else is taken from")
    base_url: Text | None = Field(default=None, description="its address")
    auth: Auth | None = Field(default=None, description="the header of the key, such as 'Authorization: Bearer {key}'")
    values: dict[str, str | dict[str, str]] = Field(
        default={}, description="route values it offers, and what they are in addresses"
    )
    members: dict[str, Any] = Field(default={}, description="what it wants in the body of every submit")
    lacks: list[Text] | None = Field(default=None, description="calls it has no address for")
    unread: list[Text] | None = Field(default=None, description="fields of requests that it does not take")


class BudgetTable(_Table):
    """How many jobs may be paid for."""

    max_jobs: Whole = Field(description="paid jobs, over all providers")
    per: Literal["day", "month", "ever"] = Field(default="day", description="of a UTC day, of a month, or in all")


class DefaultTable(_Table):
    """A provider for each kind of request."""

    image: Text | None = Field(default=None, description="the provider of pictures")
    video: Text | None = Field(default=None, description="the provider of clips")


class Configuration(BaseSettings):
    """What `gen302.toml` may say."""

    model_config = SettingsConfigDict(
        title="gen302.toml", extra="forbid", strict=True, case_sensitive=True, hide_input_in_errors=True
    )

    default: Text | DefaultTable | None = Field(
        default=None, description="the provider that serves; or one for each kind"
    )
    providers: dict[str, ProviderTable] = Field(default={}, description="accounts of families, by names of yours")
    aliases: dict[str, Annotated[list[Text], Field(min_length=1)]] = Field(
        default={}, description="providers to ask in order, under one name"
    )
    budget: BudgetTable | None = Field(default=None, description="a cap on paid jobs")
    gateways: dict[str, GatewayTable] = Field(
        default={}, description="services that speak a known dialect with differences"
    )
    ledger: Ledger | None = Field(
        default=None, description="where paid jobs are written down; else a file in your data folder"
    )
    plugins: list[Text] | None = Field(default=None, description="the distributions that may be loaded; else all")
    observers: list[Text] = Field(default=[], description="who is told of every job")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """One source a layer, strongest first; pydantic merges them table by table."""
        given = cast("InitSettingsSource", init_settings).init_kwargs["layers"]
        return tuple(InitSettingsSource(settings_cls, data) for data in given)


_TABLES: dict[str, type[BaseModel]] = {
    "providers": ProviderTable,
    "gateways": GatewayTable,
    "budget": BudgetTable,
    "default": DefaultTable,
}
_PARTS: dict[str, type[BaseModel]] = {"timeouts": TimeoutsTable, "poll": PollTable, "limits": LimitsTable}
_SECRETS = ("api_key", "apikey", "key", "token", "secret", "api_token", "password")
_MONEY = re.compile(r"(?:max_)?(?:money|cost|price|spend|amount|ptc|usd|cny|eur)s?")
_EXPECTED = {
    "string_type": "text",
    "string_too_short": "text that is not empty",
    "float_type": "a number",
    "int_type": "a whole number",
    "finite_number": "a finite number",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "too_short": "at least one entry",
}
_FORMS = {
    "api_key_env": 'the NAME of an environment variable, in capitals, such as "RELAY_KEY"; the key itself goes there',
    "auth": 'a header with {key} for the key, such as "Authorization: Bearer {key}"',
    "ledger": '"sqlite:///FILE", ":memory:" or "off"',
}
_DEFAULT = 'the name of a provider, or { image = "…", video = "…" }'
_VALUES = "text, or a table of texts"


def validated(layers: Sequence[Layer]) -> dict[str, Any]:
    """What the layers say together, checked. Raises ConfigError: one line for each thing wrong, with its place."""
    problems = list(_names(layers))
    errors: list[ErrorDetails] = []
    if not problems:
        try:
            given = cast("dict[str, Any]", {"layers": [layer.data for layer in layers]})
            return Configuration(**given).model_dump(exclude_unset=True)
        except ValidationError as problem:
            errors = problem.errors(include_url=False, include_input=False)
    # Raised outside of `except`: the validation error knows the values, and must not travel along.
    problems += _sentences(layers, errors)
    more = f"\n… and {len(problems) - 5} more" if len(problems) > 5 else ""
    raise ConfigError("\n".join(problems[:5]) + more + "\nNothing was sent.", hint="gen302 config schema")


def _names(layers: Sequence[Layer]) -> Iterator[str]:
    for layer in layers:
        for table in ("providers", "aliases"):
            names = layer.data.get(table)
            for name in names if isinstance(names, dict) else ():
                if not NAME.fullmatch(name):
                    yield (
                        f"{find(layers, (table, name))}: {name!r} in [{table}] is no name; names are small letters, "
                        "digits and _, beginning with a letter."
                    )
    tables = [{name for layer in layers for name in _table(layer, part)} for part in ("providers", "aliases")]
    for name in sorted(tables[0] & tables[1]):
        yield f"{find(layers, ('aliases', name))}: {name!r} is both a provider and an alias."


def _table(layer: Layer, name: str) -> Mapping[str, Any]:
    found = layer.data.get(name)
    return found if isinstance(found, dict) else {}


def _sentences(layers: Sequence[Layer], errors: Sequence[ErrorDetails]) -> list[str]:
    found: dict[str, None] = {}
    tabled = next((isinstance(layer.data["default"], dict) for layer in layers if "default" in layer.data), False)
    for error in errors:
        path = tuple(str(part) for part in error["loc"])
        if path[:1] == ("default",):
            # Of the two readings of `default`, complain about the one that was meant.
            if tabled == (path[1] != "DefaultTable"):
                continue
            path = ("default", *path[2:])
        elif path[:1] == ("gateways",) and "values" in path[2:3]:
            path = path[:4]
        found.setdefault(_sentence(layers, path, error["type"], error.get("ctx", {})))
    return list(found)


def _sentence(layers: Sequence[Layer], path: KeyPath, kind: str, context: Mapping[str, Any]) -> str:
    place = find(layers, path)
    key = path[-1]
    table = f" in [{'.'.join(path[:-1])}]" if path[:-1] else ""
    if kind == "extra_forbidden":
        return f"{place}: {_unknown(layers, path, table)}"
    if kind == "missing":
        example = {"family": ' such as family = "midjourney"', "like": ' such as like = "new-api"'}.get(key, "")
        return f"{place}: [{'.'.join(path[:-1])}] needs `{key}`,{example or ' which is missing'}."
    if path[0] == "default" and len(path) == 1:
        expected = _DEFAULT
    elif path[0] == "gateways" and "values" in path[2:3] and len(path) == 4:
        expected = _VALUES
    elif kind == "string_pattern_mismatch":
        expected = _FORMS[key]
    elif kind == "literal_error":
        expected = str(context["expected"]).replace("'", '"')
    elif kind == "greater_than":
        expected = f"more than {context['gt']:g}"
    elif kind == "greater_than_equal":
        expected = f"at least {context['ge']}"
    else:
        expected = _EXPECTED.get(kind, "something else")
    return f"{place}: `{key}`{table}: expected {expected}."


def _unknown(layers: Sequence[Layer], path: KeyPath, table: str) -> str:
    key, above = path[-1], path[:-1]
    if key.lower() in _SECRETS and path[0] in ("providers", "gateways", *_SECRETS):
        return (
            f"`{key}`{table}: a key does not belong in a file or in GEN302_ variables. Put it into an environment "
            'variable and name that: api_key_env = "RELAY_KEY".'
        )
    if above == ("budget",) and _MONEY.fullmatch(key.lower()):
        return (
            f"`{key}`{table}: a cap on money needs the prices of every model, and there are none here; "
            "cap the number of jobs: max_jobs = 500."
        )
    known = list(_known(above))
    near = nearest(key, known)
    if near:
        variable = find(layers, path).startswith("GEN302_")
        told = "GEN302_" + "__".join((*above, near)).upper() if variable else repr(near)
        return f"unknown key `{key}`{table} (did you mean {told}?)."
    in_provider = len(above) == 2 and above[0] == "providers"
    fields = f"; a field of requests goes into defaults = {{ {key} = … }}" if in_provider else ""
    return f"unknown key `{key}`{table}; known are {', '.join(known)}{fields}."


def _known(above: KeyPath) -> Iterable[str]:
    if len(above) == 3 and above[2] in _PARTS:
        return _PARTS[above[2]].model_fields
    return _TABLES[above[0]].model_fields if above else Configuration.model_fields
