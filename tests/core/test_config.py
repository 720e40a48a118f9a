"""Settings from real files, variables and arguments: what wins, and what each mistake is told."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ai302_core import config
from ai302_core._sqlite import open_ledger
from ai302_core.errors import ConfigError

SENTINEL = "sk-sentinel-0123456789"
HERO = '[providers.hero]\nfamily = "midjourney"\n'

Write = Callable[[str], Path]


@pytest.fixture
def write(home: Path) -> Write:
    def write(text: str) -> Path:
        path = home / "here" / "gen302.toml"
        path.write_bytes(text.encode())
        return path

    return write


def user_file(text: str) -> Path:
    path = config.config_dir() / "gen302.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def failure(given: Any = None, env: dict[str, str] | None = None) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        config.load_settings(given, env=env or {})
    error = caught.value
    everything = f"{error}{error.hint}{error!r}{error.__cause__!r}{error.__context__!r}".encode() + pickle.dumps(error)
    assert SENTINEL.encode() not in everything
    return error


def test_the_example_of_the_design(write: Write) -> None:
    path = write("""
default = { image = "hero", video = "draft" }
ledger = "sqlite:///jobs/list.db"
[providers.hero]
family = "midjourney"
defaults = { speed = "relax" }
[providers.relay-two]
family = "midjourney"
gateway = "my-relay"
base_url = "HTTPS://Relay.Example:443/v1/"
api_key_env = "RELAY_KEY"
[providers.draft]
family = "unified_image"
plugin = "ai302-unified-image"
timeouts = { connect = 5, wait = 900 }
poll = { initial = 1.0, maximum = 10 }
limits = { concurrent = 4, per_minute = 60 }
[aliases]
poster = ["hero", "relay-two"]
[budget]
max_jobs = 500
per = "month"
[gateways.my-relay]
like = "new-api"
base_url = "https://x.example/mj-fast/mj"
auth = "X-Key: {key}"
values = { root = { "" = "mj" }, v = "1" }
lacks = ["describe"]
""")
    settings = config.load_settings()
    assert settings.default == {"image": "hero", "video": "draft"}
    assert settings.ledger == f"sqlite:///{(path.parent / 'jobs/list.db').as_posix()}"
    assert settings.provider("relay-two").base_url == "https://relay.example"
    assert settings.provider("relay_two").api_key_env == "RELAY_KEY"
    assert settings.provider("hero").defaults == {"speed": "relax"}
    assert settings.provider("draft") == config.ProviderSettings(
        family="unified_image",
        plugin="ai302-unified-image",
        timeouts=config.TimeoutSettings(connect=5, wait=900),
        poll=config.PollSettings(initial=1, maximum=10),
        limits=config.LimitSettings(concurrent=4, per_minute=60),
    )
    assert settings.aliases == {"poster": ("hero", "relay_two")}
    assert settings.budget == config.Budget(max_jobs=500, per="month")
    assert settings.gateways["my-relay"] == config.GatewaySettings(
        like="new-api",
        base_url="https://x.example",
        auth="X-Key: {key}",
        values={"root": {"": "mj"}, "v": "1"},
        lacks=("describe",),
    )
    assert settings.sources == (str(path),)
    assert settings.origins["providers", "relay_two", "base_url"] == f"{path}, line 10"


def test_nothing_configured_is_fine() -> None:
    assert config.load_settings() == config.Settings()


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ('defualt = "hero"', 1, "unknown key `defualt` (did you mean 'default'?)"),
        ('[providers.hero]\n\nfamly = "x"\nfamily = "y"', 3, "`famly` in [providers.hero] (did you mean 'family'?)"),
        ('[providers.hero]\nfamily = "y"\nspeed = "relax"', 3, "goes into defaults = { speed = … }"),
        ("[providers.hero]\ngateway = 'x'", 1, '[providers.hero] needs `family`, such as family = "midjourney"'),
        (f"{HERO}timeouts = {{ conect = 1 }}", 3, "`conect` in [providers.hero.timeouts] (did you mean 'connect'?)"),
        (
            f'{HERO}[providers.hero.timeouts]\nsubmit = "{SENTINEL}"',
            4,
            "`submit` in [providers.hero.timeouts]: expected",
        ),
        (f"{HERO}timeouts.submit = true", 3, "expected a number"),
        (f"{HERO}timeouts.submit = 0", 3, "expected more than 0"),
        (f"{HERO}timeouts.submit = nan", 3, "expected a finite number"),
        (f"{HERO}limits.concurrent = 1.5", 3, "expected a whole number"),
        (f"{HERO}poll = {{ initial = 5, maximum = 2 }}", 3, "`maximum` in [providers.hero.poll] is below `initial`"),
        (f"{HERO}defaults = ['{SENTINEL}']", 3, "`defaults` in [providers.hero]: expected a table"),
        (f"{HERO}api_key = '{SENTINEL}'", 3, 'name that: api_key_env = "RELAY_KEY"'),
        (f"api_key = '{SENTINEL}'", 1, "a key does not belong in a file"),
        (f"{HERO}api_key_env = '{SENTINEL}'", 3, "expected the NAME of an environment variable"),
        (f"{HERO}base_url = 'https://u:{SENTINEL}@x.example'", 3, "holds a user name or password"),
        (f"{HERO}base_url = 'https://x.example/?key={SENTINEL}'", 3, "has a query"),
        (f"{HERO}base_url = 'x.example/{SENTINEL}'", 3, "does not begin with https://"),
        (f"[gateways.g]\nlike='x'\nauth = 'Authorization: Bearer {SENTINEL}'", 3, "a header with {key} for the key"),
        (f"[gateways.g]\nlike='x'\nauth = 'A: {{key}}{SENTINEL}'", 3, "a header with {key} for the key"),
        (
            f"[gateways.g]\nlike='x'\nvalues = {{ a = {{ b = ['{SENTINEL}'] }} }}",
            3,
            "expected text, or a table of texts",
        ),
        ("[gateways.g]\nlacks = []", 1, "[gateways.g] needs `like`"),
        ("\n[budget]\nmax_jobs = 3\nper = 'week'", 4, 'expected "day", "month" or "ever"'),
        ("[budget]\nmax_money = 3", 2, "needs the prices of every model"),
        ("[budget]\nper = 'day'", 1, "[budget] needs `max_jobs`"),
        ("[aliases]\nposter = 'hero'", 2, "`poster` in [aliases]: expected a list"),
        (f"{HERO}[aliases]\nhero = ['hero']", 4, "'hero' is both a provider and an alias"),
        ("[providers.Hero]\nfamily = 'x'", 1, "'Hero' in [providers] is no name"),
        ("[providers.a-b]\nfamily='x'\n[providers.a_b]\nfamily='x'", 3, "'a_b' in [providers] is there twice"),
        ("default = 3", 1, "`default`: expected the name of a provider, or {"),
        ("default = { imgae = 'hero' }", 1, "`imgae` in [default] (did you mean 'image'?)"),
        ("default = { image = 3 }", 1, "`image` in [default]: expected text"),
        ("ledger = 'jobs.db'", 1, '`ledger`: expected "sqlite:///FILE"'),
        (f"{HERO}key = {SENTINEL}", 3, "this is not TOML"),
        (f"{HERO}key = '{SENTINEL}", 3, "this is not TOML"),
        ("a = [1,\n\n", 1, "this is not TOML"),
    ],
)
def test_mistakes_are_told_with_file_and_line(write: Write, text: str, line: int, sentence: str) -> None:
    path = write(text)
    error = failure()
    assert re.search(re.escape(f"{path}, line {line}") + r"\b", error.message)
    assert sentence in error.message
    assert "Nothing was sent." in error.message


def test_every_mistake_is_told_at_once(write: Write) -> None:
    write('defualt = "x"\n[providers.hero]\nfamly = "y"')
    assert failure().message.count("gen302.toml, line") == 3


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("GEN302_PROVDERS__HERO__FAMILY", "x", "is no variable of gen302 (did you mean GEN302_PROVIDERS?)"),
        ("GEN302_CONFG", "x", "GEN302_CONFG is no variable of gen302 (did you mean GEN302_CONFIG?)"),
        ("GEN302_SANDBOX_URL", "x", "did you mean GEN302_SANDBOX"),
        ("GEN302_PROVIDERS_HERO_FAMILY", "x", "after GEN302_PROVIDERS come two underscores"),
        ("GEN302_PROVIDERS__HERO__FAMLY", "x", "did you mean GEN302_PROVIDERS__HERO__FAMILY?"),
        ("GEN302_PROVIDERS__HERO__API_KEY", SENTINEL, "a key does not belong in a file or in GEN302_ variables"),
        ("GEN302_PROVIDERS__HERO__TIMEOUTS__POLL", SENTINEL, "GEN302_PROVIDERS__HERO__TIMEOUTS__POLL: `poll`"),
        ("GEN302_PROVIDERS__HREO__DEFAULTS__SPEED", "x", "GEN302_PROVIDERS__HREO__DEFAULTS__SPEED: [providers.hreo]"),
        ("GEN302_PROVIDERS", SENTINEL, "GEN302_PROVIDERS: `providers`: expected a table"),
        ("GEN302_BUDGET__MAX_JOBS", "many", "GEN302_BUDGET__MAX_JOBS: `max_jobs` in [budget]: expected a whole number"),
        ("GEN302_SANDBOX", f"https://evil.example/{SENTINEL}", "GEN302_SANDBOX names another machine"),
        ("GEN302_SANDBOX", SENTINEL, "does not begin with https://"),
        ("GEN302_CONFIG", "nowhere.toml", "nowhere.toml named by GEN302_CONFIG does not exist"),
    ],
)
def test_mistakes_in_variables(write: Write, name: str, value: str, sentence: str) -> None:
    write(HERO)
    assert sentence in failure(env={name: value}).message


def test_variables_merge_into_tables(write: Write) -> None:
    write(HERO + "defaults = { speed = 'fast', niji = 6 }\n[aliases]\nposter = ['hero']")
    env = {
        "GEN302_PROVIDERS__HERO__DEFAULTS__SPEED": "relax",
        "GEN302_PROVIDERS__HERO__DEFAULTS__SEED": "7",
        "GEN302_PROVIDERS__HERO__TIMEOUTS__SUBMIT": "200",
        "GEN302_PROVIDERS__HERO__GATEWAY": "7",
        "GEN302_PROVIDERS__CLIPS": '{"family": "veo", "limits": {"concurrent": 2}}',
        "GEN302_PROVIDERS__CLIPS__LIMITS__PER_MINUTE": "5",
        "GEN302_ALIASES__POSTER": '["hero", "clips"]',
        "GEN302_DEFAULT": "clips",
        "GEN302_LEDGER": "off",
        "GEN302_BUDGET__MAX_JOBS": "",
        "AI302_API_KEY": SENTINEL,
        "GEN302_SANDBOX_KEY": SENTINEL,
    }
    settings = config.load_settings(env=env)
    hero = settings.provider("hero")
    assert hero.defaults == {"speed": "relax", "niji": 6, "seed": 7}
    assert (hero.timeouts.submit, hero.timeouts.poll, hero.gateway) == (200, 30, "7")
    assert settings.provider("clips").limits == config.LimitSettings(concurrent=2, per_minute=5)
    assert settings.aliases == {"poster": ("hero", "clips")}
    assert (settings.default, settings.ledger, settings.budget) == ("clips", "off", None)
    assert settings.origins["providers", "hero", "defaults", "speed"] == "GEN302_PROVIDERS__HERO__DEFAULTS__SPEED"
    assert SENTINEL not in repr(settings) + config.show(settings)


def test_arguments_over_variables_over_project_over_user(write: Write) -> None:
    project = write(HERO + "defaults = { a = 2, b = 2 }\n[budget]\nmax_jobs = 2\nper = 'month'")
    user = user_file("default = 'hero'\n[providers.hero]\nfamily = 'x'\ndefaults = { a = 1, c = 1 }\nplugin = 'p'")
    env = {"GEN302_PROVIDERS__HERO__DEFAULTS__B": "3", "GEN302_BUDGET__MAX_JOBS": "3"}
    settings = config.load_settings(budget={"max_jobs": 4}, env=env)
    assert settings.default == "hero"
    assert settings.provider("hero").family == "midjourney"
    assert settings.provider("hero").defaults == {"a": 2, "b": 3, "c": 1}
    assert settings.budget == config.Budget(max_jobs=4, per="month")
    assert settings.sources == ("arguments", "the environment", str(project), str(user))


def test_the_search_ends_at_the_repository_or_home(home: Path, tmp_path: Path) -> None:
    deep = home / "repo" / "a" / "b"
    deep.mkdir(parents=True)
    (home / "gen302.toml").write_text("default = 'home'")
    assert config.load_settings(cwd=deep).default == "home"
    (home / "repo" / ".git").mkdir()
    assert config.load_settings(cwd=deep).default is None
    (home / "repo" / "gen302.toml").write_text("default = 'repo'")
    assert config.load_settings(cwd=deep).default == "repo"
    # Neither in a repository nor at home: a file in a shared folder above belongs to anybody.
    (tmp_path / "gen302.toml").write_text("default = 'planted'")
    (tmp_path / "mine").mkdir()
    assert config.load_settings(cwd=tmp_path / "mine").default is None
    assert config.load_settings(cwd=tmp_path).default == "planted"


def test_a_file_or_mapping_given_is_the_only_one(write: Write, tmp_path: Path) -> None:
    write("default = 'project'\n[budget]\nmax_jobs = 1")
    user_file("default = 'user'")
    own = tmp_path / "own.toml"
    own.write_bytes(b"\xef\xbb\xbfdefault = 'own'\r\nledger = 'off'\r\n")
    for settings in (config.load_settings(own), config.load_settings(env={"GEN302_CONFIG": str(own)})):
        assert (settings.default, settings.budget, settings.ledger) == ("own", None, "off")
    assert config.search_paths(own) == (own,)
    given = config.load_settings({"default": "given", "aliases": {"p": ("a", "b")}}, env={"GEN302_CONFIG": str(own)})
    assert (given.default, given.aliases) == ("given", {"p": ("a", "b")})
    assert "config=: unknown key `defualt`" in failure({"defualt": SENTINEL}).message
    assert "does not exist" in failure(tmp_path / "none.toml").message
    assert "cannot be read" in failure(tmp_path).message


def test_a_file_in_another_encoding(write: Write) -> None:
    write("").write_text("default = 'hero'", "utf-16")
    assert "is not UTF-8 text" in failure().message


@pytest.mark.parametrize("moved", ["base_url = 'https://evil.example'", "gateway = 'g'"])
def test_a_folders_file_cannot_take_the_users_key_elsewhere(write: Write, moved: str) -> None:
    user_file(HERO + "base_url = 'https://relay.example'\napi_key_env = 'RELAY_KEY'")
    assert config.load_settings().provider("hero").api_key_env == "RELAY_KEY"
    write(f"[providers.hero]\n{moved}")
    settings = config.load_settings()
    assert settings.provider("hero").api_key_env is None
    with pytest.raises(ConfigError, match="RELAY_KEY was named for another address"):
        config.key_for(settings, "hero", "https://evil.example", env={"RELAY_KEY": SENTINEL, "AI302_API_KEY": SENTINEL})
    write("[providers.hero]\nbase_url = 'https://relay.example'")
    assert config.load_settings().provider("hero").api_key_env == "RELAY_KEY"


@pytest.mark.parametrize("moved", ["base_url = 'https://evil.example'", "gateway = 'new-api'"])
def test_a_folders_file_cannot_take_a_key_that_a_variable_names(write: Write, moved: str) -> None:
    user_file(HERO + "base_url = 'https://relay.example'")
    env = {"GEN302_PROVIDERS__HERO__API_KEY_ENV": "RELAY_KEY"}
    write("[providers.hero]\ndefaults = { speed = 'relax' }")
    assert config.load_settings(env=env).provider("hero").api_key_env == "RELAY_KEY"
    write(f"[providers.hero]\n{moved}")
    assert config.load_settings(env=env).provider("hero").api_key_env is None
    user_file("")
    write(HERO + "base_url = 'https://relay.example'")  # of one's own project
    assert config.load_settings(env=env).provider("hero").api_key_env == "RELAY_KEY"


@pytest.mark.parametrize("name", ["hero", "other"])
def test_a_folders_file_cannot_name_the_users_key_for_another_address(write: Write, name: str) -> None:
    user_file(HERO + "base_url = 'https://relay.example/v1'\napi_key_env = 'RELAY_KEY'")
    env = {"RELAY_KEY": SENTINEL, "AI302_API_KEY": SENTINEL, "THEIRS": "sk-theirs"}
    table = f"[providers.{name}]\nfamily = 'midjourney'\nbase_url = 'https://{{}}'\napi_key_env = '{{}}'"
    write(table.format("evil.example", "RELAY_KEY"))
    with pytest.raises(ConfigError, match="RELAY_KEY was named for another address"):
        config.key_for(config.load_settings(), name, "https://evil.example", env=env)
    for host, variable in (("relay.example", "RELAY_KEY"), ("evil.example", "THEIRS")):
        write(table.format(host, variable))
        assert config.key_for(config.load_settings(), name, f"https://{host}", env=env).source == variable


def test_a_folders_file_cannot_move_the_users_gateway(write: Write) -> None:
    user_file(
        HERO + "gateway='g'\napi_key_env = 'RELAY_KEY'\n[gateways.g]\nlike='new-api'\nbase_url='https://r.example'"
    )
    assert config.load_settings().provider("hero").api_key_env == "RELAY_KEY"
    write("[gateways.g]\nbase_url = 'https://evil.example'")
    assert config.load_settings().provider("hero").api_key_env is None


PROVIDERS = {"hero": {"family": "midjourney"}, "clips": {"family": "veo"}}
NOTHING = config.Settings()
ONE = config.load_settings({"providers": {"hero": {"family": "midjourney"}}}, env={})
TWO = config.load_settings(
    {"providers": PROVIDERS, "aliases": {"poster": ["clips", "hero"], "lost": ["nobody"]}}, env={}
)
BY_KIND = config.load_settings({"providers": PROVIDERS, "default": {"image": "hero", "video": "clips"}}, env={})
SERVED = {("midjourney", "image"), ("midjourney", "video"), ("veo", "video"), ("veo", "audio")}


def pick(settings: config.Settings, name: str | None, kind: str | None, installed: str = "midjourney veo") -> str:
    return config.pick_provider(
        settings, name, kind, installed.split(), serves=lambda family, kind: (family, kind) in SERVED
    )


@pytest.mark.parametrize(
    ("settings", "name", "kind", "expected"),
    [
        (TWO, "hero", "image", "hero"),
        (TWO, "poster", "image", "clips"),
        (TWO, "veo", "image", "veo"),
        (BY_KIND, None, "image", "hero"),
        (BY_KIND, None, "video", "clips"),
        (ONE, None, "image", "hero"),
        (ONE, None, None, "hero"),
        (NOTHING, None, "image", "midjourney"),
        (NOTHING, None, "audio", "veo"),
    ],
)
def test_which_provider(settings: config.Settings, name: str | None, kind: str | None, expected: str) -> None:
    assert pick(settings, name, kind) == expected


def test_the_only_installed_family_needs_no_look() -> None:
    assert config.pick_provider(NOTHING, None, "image", ["veo"]) == "veo"


@pytest.mark.parametrize(
    ("settings", "name", "kind", "sentence"),
    [
        (TWO, None, "image", "Which configured provider for image requests? There are hero, clips."),
        (BY_KIND, None, None, "Which configured provider? There are hero, clips."),
        (NOTHING, None, "video", "Which installed family for video requests? There are midjourney, veo."),
        (NOTHING, None, "text", "No installed family serves text requests"),
        (TWO, "heroo", "image", "There is no provider 'heroo' (did you mean 'hero'?)"),
        (TWO, "lost", "image", "There is no provider 'nobody'"),
        (NOTHING, "mid-journey", "image", "did you mean 'midjourney'?"),
    ],
)
def test_no_provider(settings: config.Settings, name: str | None, kind: str | None, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        pick(settings, name, kind)
    assert sentence in caught.value.message
    assert caught.value.hint


def test_nothing_is_installed() -> None:
    with pytest.raises(ConfigError, match="no family is installed"):
        pick(NOTHING, None, "image", "")


def test_a_wrong_default_is_told_with_its_line(write: Write) -> None:
    path = write(f'default = "heroo"\n{HERO}')
    with pytest.raises(ConfigError) as caught:
        config.pick_provider(config.load_settings(), None, "image", [])
    assert caught.value.message.startswith(f"{path}, line 1: There is no provider 'heroo' (did you mean 'hero'?)")


def test_the_sandbox_has_a_ledger_of_its_own(write: Write, home: Path) -> None:
    sandbox = {"GEN302_SANDBOX": "http://127.0.0.1:8302/"}
    settings = config.load_settings(env=sandbox)
    assert settings.sandbox == "http://127.0.0.1:8302"
    assert config.ledger_url(config.Settings()) is None
    assert config.ledger_url(settings) == f"sqlite:///{(config.data_dir() / 'ledger-sandbox.db').as_posix()}"
    assert config.ledger_url(settings, "sqlite:////x/live.db") == "sqlite:////x/live-sandbox.db"
    assert config.ledger_url(settings, "off") == "off"
    for wrong in ("jobs.db", Path("jobs.db"), "postgresql://host/jobs", "sqlite:///"):
        url = config.ledger_url(settings, wrong)  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match="No ledger is known by"):  # practice hides no mistake
            open_ledger(url, data_dir=config.data_dir())
    write("ledger = 'sqlite:///live.db'\nunchecked = 1")
    assert config.find_ledger(env={}) == f"sqlite:///{(home / 'here/live.db').as_posix()}"
    assert config.find_ledger(env=sandbox) == f"sqlite:///{(home / 'here/live-sandbox.db').as_posix()}"


def test_only_loading_imports_pydantic() -> None:
    program = (
        "import sys; from ai302_core import config; config.find_ledger(); config.search_paths(); "
        "print([name for name in ('pydantic', 'pluggy', 'httpx') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_show_can_be_read_back(write: Write) -> None:
    path = write(
        HERO
        + "base_url = 'https://relay.example/mj'\napi_key_env = 'RELAY_KEY'\n"
        + f"defaults = {{ speed = 'a\"b', day = 2026-01-01, a_token = '{SENTINEL}', b = {{ key = '{SENTINEL}' }} }}\n"
        + "timeouts = { wait = 900 }\n[budget]\nmax_jobs = 5\n[aliases]\nposter = ['hero']\n"
        + "[gateways.my-relay]\nlike = 'new-api'\nlacks = ['many']\nvalues = { root = { '' = 'mj' } }"
    )
    settings = config.load_settings(env={"GEN302_DEFAULT": "hero", "GEN302_LEDGER": f"postgresql://me:{SENTINEL}@x/y"})
    text = config.show(settings)
    assert SENTINEL not in text
    document = tomllib.loads(text)
    assert document["default"] == "hero"
    assert document["providers"]["hero"]["base_url"] == "https://relay.example"
    assert document["providers"]["hero"]["timeouts"] == {"wait": 900}
    assert document["providers"]["hero"]["defaults"]["speed"] == 'a"b'
    assert document["gateways"]["my-relay"] == {"like": "new-api", "lacks": ["many"], "values": {"root": {"": "mj"}}}
    assert document["budget"] == {"max_jobs": 5}
    assert 'default = "hero"  # GEN302_DEFAULT' in text
    assert f'api_key_env = "RELAY_KEY"  # {path}, line 4' in text


def test_the_schema_knows_every_key() -> None:
    schema = json.loads(json.dumps(config.schema_json()))
    tables = {"default", "providers", "aliases", "budget", "gateways", "ledger"}
    assert set(schema["properties"]) == tables | {"plugins", "observers"}
    assert "api_key_env" in schema["$defs"]["ProviderTable"]["properties"]
