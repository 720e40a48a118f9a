"""One configuration in use: a key reaches the address it was given for, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ai302_core import Job, Status
from ai302_core._connection import Connection
from ai302_core._flows import waiting
from ai302_core.config import TimeoutSettings
from ai302_core.errors import ConfigError

RELAY = {"family": "midjourney", "gateway": "new-api", "base_url": "https://relay.example", "api_key_env": "RELAY_KEY"}
CONFIG: dict[str, Any] = {"default": "hero", "providers": {"hero": {"family": "midjourney"}, "my_relay": RELAY}}


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI302_API_KEY", "sk-common")
    monkeypatch.setenv("RELAY_KEY", "sk-relay")


def key(connection: Connection, name: str) -> str:
    return connection.account(name).key.reveal()


def test_every_provider_has_its_own_key() -> None:
    connection = Connection(config_from=CONFIG)
    assert (key(connection, "hero"), key(connection, "my_relay")) == ("sk-common", "sk-relay")


def test_a_given_key_goes_to_the_provider_it_is_given_for() -> None:
    unnamed = Connection(config_from=CONFIG, api_key="sk-given")
    assert (key(unnamed, "hero"), key(unnamed, "my_relay")) == ("sk-given", "sk-relay")
    named = Connection("my-relay", config_from=CONFIG, api_key="sk-given", base_url="https://staging.example")
    assert (key(named, "my_relay"), key(named, "hero")) == ("sk-given", "sk-common")
    assert named.account("my_relay").base_url == "https://staging.example"
    assert named.account("hero").base_url == "https://api.302.ai"


def test_an_alias_counts_as_its_provider() -> None:
    config = {**CONFIG, "aliases": {"poster": ["my_relay"]}}
    assert key(Connection("poster", config_from=config, api_key="sk-given"), "my_relay") == "sk-given"


def test_an_own_key_stays_with_its_configured_address() -> None:
    config = {
        "providers": {"hero": {"family": "midjourney", "gateway": "mine", "api_key_env": "RELAY_KEY"}},
        "gateways": {"mine": {"like": "new-api", "base_url": "https://mine.example"}},
    }
    assert key(Connection("hero", config_from=config), "hero") == "sk-relay"
    moved = Connection("hero", config_from=config, base_url="https://other.example")
    with pytest.raises(ConfigError, match=r"not for https://other\.example"):
        key(moved, "hero")


def test_the_common_key_never_leaves_home() -> None:
    config = {"providers": {"hero": {"family": "midjourney", "base_url": "https://elsewhere.example"}}}
    with pytest.raises(ConfigError, match=r"302\.AI's own hosts only"):
        key(Connection("hero", config_from=config), "hero")


def test_the_timeouts_of_a_configuration_are_those_it_is_worked_with() -> None:
    told = {**CONFIG["providers"]["hero"], "timeouts": {"connect": 5, "wait": 900}}
    connection = Connection(config_from={"providers": {"hero": told}})
    assert connection.account("hero").timeouts == TimeoutSettings(connect=5, wait=900)


@pytest.mark.parametrize("history", [0, 12])
@pytest.mark.parametrize(
    ("poll", "sandbox", "first"),
    [
        ({}, False, None),
        ({"initial": 1.0}, False, 1.0),
        ({"maximum": 10.0}, False, 10.0),
        ({}, True, 0.25),
        ({"initial": 20.0, "maximum": 60.0}, True, 0.25),
    ],
    ids=["family", "initial", "maximum", "sandbox", "sandbox-slow"],
)
def test_the_first_look_is_when_the_user_or_the_sandbox_needs_it(
    hand: Any, ledger: Any, monkeypatch: pytest.MonkeyPatch, poll: Any, sandbox: bool, first: Any, history: int
) -> None:
    if sandbox:
        monkeypatch.setenv("GEN302_SANDBOX", "http://127.0.0.1:8302")
    clips = Connection(config_from={"providers": {"clips": {"family": "veo", "poll": poll}}}).account("clips")
    operation = clips.family.operations[0]
    born = datetime(2026, 11, 21, tzinfo=UTC)
    job = Job(id="261121-aaaaaaaa", provider="clips", family="veo", operation=operation.name, status=Status.QUEUED,
              created_at=born)  # fmt: skip
    for number in range(history):
        done = born + timedelta(seconds=80 + number)
        past = Job(id=f"261121-bbbbbb{number:02}", provider="clips", family="veo", operation=operation.name,
                   status=Status.SUCCEEDED, created_at=born, submitted_at=born, finished_at=done)  # fmt: skip
        ledger.write(past)
    plan = hand().run(waiting.schedule_of(clips, job, born, watched=False))
    expected = first or (80 if history else max(2.0, operation.usual[0]))
    assert plan.wait(0.0, False) == pytest.approx(expected, rel=0.1)
    assert plan.wait(500.0, True) <= (5.0 if sandbox else poll.get("maximum", 60.0))
