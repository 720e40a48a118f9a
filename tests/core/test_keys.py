"""A key goes home only: which key may go to which address, and what never shows it."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from ai302_core import config
from ai302_core.errors import ConfigError

COMMON = "sk-common-0123456789"
OWN = "sk-own-0123456789"
ENV = {"AI302_API_KEY": COMMON, "RELAY_KEY": OWN}


def settings(**provider: Any) -> config.Settings:
    return config.load_settings({"providers": {"hero": {"family": "midjourney", **provider}}}, env={})


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.302.ai", "https://api.302.ai"),
        ("HTTPS://API.302.AI/", "https://api.302.ai"),
        ("https://relay.example:443/v1", "https://relay.example"),
        ("http://127.0.0.1:80/v1/", "http://127.0.0.1"),
        ("http://[::1]:8302/mj", "http://[::1]:8302"),
        ("https://relay.example/mj-fast", "https://relay.example"),
        ("https://relay.example/mj-relax/mj/", "https://relay.example"),
        ("https://relay.example/api/v1//", "https://relay.example/api"),
        ("https://relay.example/Api/v2", "https://relay.example/Api/v2"),
        ("https://relay.example/xmj", "https://relay.example/xmj"),
    ],
)
def test_addresses(url: str, expected: str) -> None:
    assert config.normalise_base_url(url) == expected
    assert config.normalise_base_url(expected) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "relay.example",
        "ftp://relay.example",
        "https://",
        "https://:8080",
        "https://u:SECRET@relay.example",
        "https://SECRET@api.302.ai",
        "https://relay.example?key=SECRET",
        "https://relay.example/#SECRET",
        "https://relay.example/a SECRET",
        "https://api.302.ai\\@relay.example/SECRET",
        "https://api.302.ai\n.relay.example/SECRET",
        "https://relay.example:99999/SECRET",
        "https://ａpi.302.ai/SECRET",
        "https://[::1%25SECRET]/",
        "https://a%2eSECRET/",
    ],
)
def test_no_addresses(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.normalise_base_url(url)
    assert "SECRET" not in f"{caught.value}{caught.value.hint}"


# provider's settings, address, argument → the key that goes there, or None for an error
@pytest.mark.parametrize(
    ("provider", "address", "argument", "expected"),
    [
        ({}, "https://api.302.ai", None, COMMON),
        ({}, "https://api.302ai.com/v1", None, COMMON),
        ({}, "https://api.302ai.cn", None, COMMON),
        ({}, "http://127.0.0.1:8302", None, COMMON),
        ({}, "http://localhost:8302", None, COMMON),
        ({}, "http://[::1]:8302", None, COMMON),
        ({}, "http://api.302.ai", None, None),
        ({}, "https://api.302.ai:8443", None, None),
        ({}, "https://api.302.ai.evil.example", None, None),
        ({}, "https://evil-api.302.ai", None, None),
        ({}, "https://api.302.ai.", None, None),
        ({}, "https://file.302.ai", None, None),
        ({}, "https://relay.example", None, None),
        ({}, "http://192.168.0.2", None, None),
        ({}, "http://localhost.evil.example", None, None),
        ({}, "https://relay.example", OWN, OWN),
        ({}, "http://192.168.0.2", OWN, OWN),
        ({"api_key_env": "RELAY_KEY"}, "https://relay.example", None, OWN),
        ({"api_key_env": "RELAY_KEY"}, "https://api.302.ai", None, OWN),
        ({"api_key_env": "RELAY_KEY", "base_url": "https://relay.example/v1"}, "https://relay.example", None, OWN),
        ({"api_key_env": "RELAY_KEY", "base_url": "https://relay.example"}, "https://other.example", None, None),
        ({"api_key_env": "RELAY_KEY", "base_url": "https://relay.example"}, "http://relay.example", None, None),
        ({"api_key_env": "RELAY_KEY", "base_url": "https://relay.example"}, "https://other.example", "k", "k"),
        ({"api_key_env": "AI302_API_KEY"}, "https://relay.example", None, None),
        ({"api_key_env": "AI302_API_KEY"}, "https://api.302.ai", None, COMMON),
        ({"api_key_env": "ABSENT"}, "https://api.302.ai", None, None),
    ],
)
def test_a_key_goes_home_only(
    provider: dict[str, Any], address: str, argument: str | None, expected: str | None
) -> None:
    if expected is not None:
        assert config.key_for(settings(**provider), "hero", address, api_key=argument, env=ENV).reveal() == expected
        return
    with pytest.raises(ConfigError) as caught:
        config.key_for(settings(**provider), "hero", address, api_key=argument, env=ENV)
    said = f"{caught.value}{caught.value.hint}{caught.value.__cause__!r}"
    assert "Nothing was sent." in said
    assert caught.value.hint
    assert COMMON not in said
    assert OWN not in said


def test_the_second_name_of_the_common_key() -> None:
    key = config.key_for(settings(), "hero", "https://api.302.ai", env={"AI302_API_KEY": "", "AI302_KEY": "k"})
    assert (key.reveal(), key.source) == ("k", "AI302_KEY")


def test_what_to_do_without_a_key() -> None:
    with pytest.raises(ConfigError) as caught:
        config.key_for(settings(), "hero", "https://api.302.ai", env={})
    assert "AI302_API_KEY" in caught.value.hint
    assert "gen302 demo" in caught.value.hint
    with pytest.raises(ConfigError) as caught:
        config.key_for(settings(), "hero", "https://relay.example", env=ENV)
    assert caught.value.hint == 'Add under [providers.hero] in gen302.toml: api_key_env = "HERO_KEY"'


@pytest.mark.parametrize("mangled", [f"{OWN}\n", f" {OWN}", f"Bearer {OWN}", f"{OWN}é", f"{OWN}\x00", f"{OWN}\u200b"])
def test_a_mangled_key_is_not_sent_and_not_shown(mangled: str) -> None:
    for given in ({"api_key": mangled}, {"env": {"AI302_API_KEY": mangled}}):
        with pytest.raises(ConfigError) as caught:
            config.key_for(settings(), "hero", "https://api.302.ai", **given)
        assert OWN not in f"{caught.value}{caught.value!r}{caught.value.hint}"


def test_a_key_shows_itself_only_when_asked() -> None:
    key = config.SecretKey(OWN, "RELAY_KEY")
    assert key.reveal() == OWN
    assert OWN not in f"{key} {key!r} {[key]}"
    for attempt in (pickle.dumps, copy.deepcopy, vars):
        with pytest.raises(TypeError) as caught:
            attempt(key)
        assert OWN not in str(caught.value)


def test_the_sandbox_replaces_every_key() -> None:
    env = {**ENV, "GEN302_SANDBOX": "http://127.0.0.1:8302"}
    config_with_own = {"providers": {"hero": {"family": "midjourney", "api_key_env": "RELAY_KEY"}}}
    sandboxed = config.load_settings(config_with_own, env=env)
    address = "http://127.0.0.1:8302"
    assert config.key_for(sandboxed, "hero", address, api_key=OWN, env=env).reveal() == "sk-sandbox"
    env["GEN302_SANDBOX_KEY"] = "sk-other"
    assert config.key_for(sandboxed, "hero", address, env=env).reveal() == "sk-other"
    with pytest.raises(ConfigError):
        config.key_for(sandboxed, "hero", "https://api.302.ai", api_key=OWN, env=env)
