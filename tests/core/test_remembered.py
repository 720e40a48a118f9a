"""What was found good is not looked at again, and nothing that is not the user's own, or not sound, is believed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import platformdirs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from ai302_core import _remembered, config
from ai302_core._config.layers import Layer, merged
from ai302_core._config.validation import Configuration
from ai302_core.errors import ConfigError

GOOD = """[providers.hero]
family = "midjourney"
timeouts = { poll = 20 }
defaults = { extra = { token = "tok-7c1e55b2" } }
"""
BAD = GOOD.replace('"midjourney"', "7")


@pytest.fixture
def file(home: Path) -> Path:
    """Where configurations are remembered."""
    return Path(platformdirs.user_cache_dir("gen302", appauthor=False)) / "configurations.json"


@pytest.fixture
def written(home: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = home / "here" / "gen302.toml"
        path.write_text(text)
        return path

    return write


def validates() -> bool:
    """Whether a fresh process validates the configuration in this folder."""
    code = "import sys; from ai302_core import config; print(config.load_settings().providers['hero'].timeouts.poll); "
    code += "print('pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    seconds, validated = done.stdout.split()
    assert seconds == "20.0"
    return validated == "True"


def test_a_configuration_is_validated_once_and_anew_when_it_changed(
    written: Callable[[str], Path], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(GOOD)
    assert [validates(), validates()] == [True, False]
    path.write_text(f"# another line\n{GOOD}")  # says the same
    path.with_name("picture.png").touch()  # in a folder where modules are looked for
    assert validates() is False
    monkeypatch.setenv("GEN302_PROVIDERS__HERO__GATEWAY", "new-api")
    assert [validates(), validates()] == [True, False]
    path.write_text(BAD)
    for _ in range(2):
        with pytest.raises(ConfigError, match="line 2: `family`"):
            config.load_settings()
    text = file.read_text()
    assert "tok-7c1e55b2" not in text
    assert "hero" not in text
    if os.name != "nt":
        assert file.stat().st_mode & 0o777 == 0o600
        assert file.parent.stat().st_mode & 0o777 == 0o700


def test_the_same_is_read_from_what_was_checked_and_from_what_is_remembered(written: Callable[[str], Path]) -> None:
    written(
        f'default = {{ image = "hero" }}\naliases = {{ a-b = ["hero"] }}\nbudget = {{ max_jobs = 3 }}\n'
        f'observers = ["log"]\nplugins = ["x"]\n{GOOD}poll = {{ initial = 1, maximum = 9 }}\n'
        "limits = { concurrent = 2 }\n"
        '[gateways.mine]\nlike = "new-api"\nlacks = ["cancel"]\nvalues = { a = "b" }\n'
    )
    first = config.load_settings()
    assert config.load_settings() == first
    assert isinstance(first.providers["hero"].timeouts.poll, float)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"good": 7}', '{"good": [null, [], {}]}', "[" * 100_000, "x" * 2**21, "\udcff"]
)
def test_nonsense_is_not_believed(written: Callable[[str], Path], file: Path, text: str) -> None:
    written(BAD)
    file.parent.mkdir(parents=True)
    file.write_bytes(text.encode(errors="surrogateescape"))
    file.chmod(0o600)
    with pytest.raises(ConfigError):
        config.load_settings()
    with pytest.raises(ConfigError):  # JSON cannot tell what this is: no digest
        config.load_settings({"providers": {"hero": {"family": object()}}})


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_what_another_user_could_have_written_is_not_believed(
    written: Callable[[str], Path], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(GOOD)
    assert [validates(), validates()] == [True, False]
    known = json.loads(file.read_text())
    file.chmod(0o660)
    assert _remembered.recalled("configurations") == {}
    file.chmod(0o600)
    assert _remembered.recalled("configurations") == known
    aside = file.rename(file.with_name("aside"))
    file.symlink_to(aside)
    assert _remembered.recalled("configurations") == {}
    file.unlink()
    os.mkfifo(file, 0o600)
    assert _remembered.recalled("configurations") == {}  # and nobody waits for what a pipe would bring
    file.unlink()
    aside.rename(file)
    monkeypatch.setattr(os, "geteuid", lambda: file.stat().st_uid + 1)
    assert _remembered.recalled("configurations") == {}


def test_without_a_place_to_write_everything_works(
    written: Callable[[str], Path], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(GOOD)
    file.parent.parent.mkdir(parents=True, exist_ok=True)
    file.parent.write_text("a file where the folder should be")
    assert [validates(), validates()] == [True, True]
    file.parent.unlink()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        assert config.load_settings().providers["hero"].family == "midjourney"
    assert list(file.parent.iterdir()) == []


TABLES: some.SearchStrategy[Any] = some.recursive(
    some.integers(0, 3) | some.text("ab", max_size=1) | some.lists(some.integers(0, 2), max_size=2),
    lambda below: some.dictionaries(some.sampled_from("abc"), below, max_size=3),
    max_leaves=6,
)
LAYERS = some.lists(some.dictionaries(some.sampled_from("abc"), TABLES, max_size=3), min_size=1, max_size=4)


@settings(max_examples=40)
@given(LAYERS)
def test_tables_are_merged_as_pydantic_settings_merges_them(tables: list[dict[str, Any]]) -> None:
    layers = [Layer("", {"providers": {"hero": {"family": "x", "defaults": table}}}) for table in tables]
    checked = Configuration(layers=[layer.data for layer in layers])  # type: ignore[call-arg]
    assert merged(layers) == checked.model_dump(exclude_unset=True)
