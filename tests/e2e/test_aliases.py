"""An alias over two providers: the next is asked after a verified no, and never when nobody knows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from ai302_core import ImageRequest, VideoRequest, errors
from ai302_core.errors import (
    Ai302Error,
    BalanceError,
    ConfigError,
    ContentRejected,
    JobUnconfirmed,
    ParameterError,
    RateLimitError,
)

LANTERN = ImageRequest("a paper lantern")
HERO, RELAY = "POST /mj-turbo/*", "POST /mj-relax/*"


def aliased(shop: Any, **more: Any) -> dict[str, Any]:
    """Two providers in one sandbox, told apart by their paths: hero is turbo, relay is relaxed."""
    shared = {"family": "midjourney", "base_url": shop.sandbox.url, "poll": {"initial": 0.05, "maximum": 0.1}}
    providers = {name: {**shared, "defaults": {"speed": speed}} for name, speed in
                 (("hero", "turbo"), ("relay", "relax"))}  # fmt: skip
    return {"default": "poster", "aliases": {"poster": ["hero", "relay"]}, "providers": providers, **more}


@pytest.fixture
def buyer(shop: Any, mode: str) -> Callable[..., Any]:
    return lambda **more: shop.buyer(mode, config=aliased(shop), **more)


def test_the_first_serves_while_it_can(shop: Any, buyer: Callable[..., Any]) -> None:
    result = buyer().run(LANTERN, key="k", save_to=shop.folder)
    assert (result.job.provider, result.job.warnings, shop.sandbox.paid) == ("hero", (), 1)
    assert shop.count("submit:imagine") == 1


@pytest.mark.parametrize("kind", ["429", "queue_full"])
def test_a_busy_member_is_waited_for_and_then_left(shop: Any, buyer: Callable[..., Any], kind: str) -> None:
    shop.sandbox.fault(HERO, kind, None)
    buying = buyer()
    job = buying.submit(LANTERN, key="k", timeout=0.2)
    assert (job.provider, shop.sandbox.paid) == ("relay", 1)
    (notice,) = job.warnings
    assert notice.code == "refused"
    assert notice.message.startswith("hero did not take it: ")
    tried = shop.count("submit:imagine")
    again = buying.submit(LANTERN, key="k", timeout=0.2)
    assert (again.id, shop.count("submit:imagine"), shop.sandbox.paid) == (job.id, tried, 1)
    assert [entry.provider for entry in buying.jobs()] == ["relay", "hero"]
    assert str(buying.jobs()[1].status) == "refused"
    assert buying.wait(again).job.provider == "relay"


def test_without_balance_for_the_first(open_shop: Callable[..., Any], mode: str) -> None:
    shop = open_shop(balance="0.03")  # enough for the relaxed price alone
    outcomes = shop.buyer(mode, config=aliased(shop)).each("run_many", {"k": LANTERN}, save_to=shop.folder)
    assert [outcome.error for outcome in outcomes] == [None]
    assert outcomes[0].result.job.provider == "relay"
    assert "refused" in outcomes[0].result.job.warnings[0].message
    assert len(shop.pictures()) == 4
    assert shop.sandbox.paid == 1


def test_what_one_cannot_express_the_other_may(shop: Any, mode: str) -> None:
    config = aliased(shop)
    config["gateways"] = {"turboless": {"like": "302ai", "values": {"speed": {"": "mj", "relax": "mj-relax"}}}}
    config["providers"]["hero"]["gateway"] = "turboless"
    buying = shop.buyer(mode, config=config)
    shown = buying.dry_run(LANTERN)
    assert shown.url.endswith("/mj-relax/submit/imagine")
    assert "hero did not take it" in shown.warnings[0].message
    assert "***" in str(shown.headers)
    assert shop.sandbox.requests == []
    job = buying.submit(LANTERN)
    assert (job.provider, shop.sandbox.paid) == ("relay", 1)
    assert "turbo" in job.warnings[0].message


@pytest.mark.parametrize(
    ("kind", "options", "raised"),
    [
        ("drop", {}, JobUnconfirmed),
        ("error500", {"accept": True}, JobUnconfirmed),
        ("html", {"accept": True}, JobUnconfirmed),
        ("banned", {}, ContentRejected),
        ("refused", {}, errors.InvalidRequestError),
    ],
)
def test_it_never_moves_on_from(
    shop: Any, buyer: Callable[..., Any], kind: str, options: dict[str, Any], raised: type[Ai302Error]
) -> None:
    shop.sandbox.fault(HERO, kind, None, **options)
    with pytest.raises(raised):
        buyer().submit(LANTERN, key="k", timeout=0.2)
    assert shop.count("submit:imagine") == 1
    assert [seen.path for seen in shop.sandbox.requests if seen.path.startswith("/mj-relax")] == []


def test_a_lost_answer_holds_the_key_against_the_other_member(shop: Any, buyer: Callable[..., Any]) -> None:
    shop.sandbox.fault(HERO, "drop", 1)
    buying = buyer()
    with pytest.raises(JobUnconfirmed) as caught:
        buying.submit(LANTERN, key="k")
    job = buying.submit(LANTERN, key="k")
    assert (job.id, str(job.status)) == (caught.value.job.id, "unconfirmed")
    assert shop.sandbox.paid == 1


def test_nobody_takes_it(shop: Any, buyer: Callable[..., Any]) -> None:
    shop.sandbox.fault("submit", "429", None)
    with pytest.raises(RateLimitError) as caught:
        buyer().submit(LANTERN, key="k", timeout=0.1)
    assert "hero: hero (302ai) refused" in caught.value.message
    assert "relay: relay (302ai) refused" in caught.value.message
    assert (caught.value.billed, shop.sandbox.paid) == ("no", 0)
    with pytest.raises(ParameterError, match="first_frame must be given") as told:
        buyer().submit(VideoRequest("a boat", duration=3.0), timeout=0.1)
    assert "Nobody" not in told.value.message  # the same said twice is said once


def test_an_account_without_money_counts_more_than_a_field(open_shop: Callable[..., Any]) -> None:
    shop = open_shop(balance="0")
    config = aliased(shop)
    config["gateways"] = {"turboless": {"like": "302ai", "values": {"speed": {"": "mj"}}}}
    config["providers"]["relay"]["gateway"] = "turboless"
    with pytest.raises(BalanceError) as caught:
        shop.buyer(config=config).submit(LANTERN)
    assert "relay: Gateway turboless offers no speed 'relax'" in caught.value.message


def test_one_intention_for_ten_at_once(shop: Any, buyer: Callable[..., Any]) -> None:
    shop.sandbox.fault(HERO, "429", None)
    jobs = buyer().together("submit", [(LANTERN,)] * 10, key="one", timeout=0.2)
    assert [job for job in jobs if isinstance(job, Exception)] == []
    assert ({job.provider for job in jobs}, len({job.id for job in jobs})) == ({"relay"}, 1)
    assert shop.sandbox.paid == 1


def test_a_member_that_is_misspelt_is_told_before_anything(shop: Any, buyer: Callable[..., Any]) -> None:
    config = aliased(shop, aliases={"poster": ["hero", "rely"]})
    with pytest.raises(ConfigError, match="'rely' \\(did you mean 'relay'"):
        shop.buyer(config=config).submit(LANTERN)
    assert shop.sandbox.requests == []


def test_a_default_for_each_kind(shop: Any, mode: str) -> None:
    config = aliased(shop, default={"image": "poster", "video": "relay"})
    buying = shop.buyer(mode, config=config)
    result = buying.run(LANTERN)
    assert result.job.provider == "hero"
    clip = VideoRequest("it burns", first_frame=result.images[0].url)
    assert buying.dry_run(clip).url.endswith("/mj-relax/submit/video")
    with buying.open(result.images[0]) as file:  # files are had without saying who serves
        assert file.read(8) == b"\x89PNG\r\n\x1a\n"
    assert len(buying.save(result.images[0], shop.folder)) == 1
    lone = shop.buyer(mode, config={**config, "default": {"image": "poster"}})
    with pytest.raises(ConfigError) as caught:
        lone.submit(clip)
    assert 'default = { image = "poster", video = "hero" }' in caught.value.hint
    assert shop.sandbox.paid == 1


def test_in_the_command(shop: Any) -> None:
    shop.sandbox.fault(HERO, "queue_full", None)
    shop.home.joinpath("gen302.toml").write_text(
        '[aliases]\nposter = ["hero", "relay"]\n'
        '[providers.hero]\nfamily = "midjourney"\ndefaults = { speed = "turbo" }\n'
        '[providers.relay]\nfamily = "midjourney"\ndefaults = { speed = "relax" }\n',
        "utf-8",
    )
    done = subprocess.run(
        [sys.executable, "-m", "ai302_core", "submit", "a lantern", "-p", "poster", "--timeout", "0.1", "--json"],
        cwd=shop.home,
        env={**os.environ, "XDG_DATA_HOME": str(shop.home), "XDG_CONFIG_HOME": str(shop.home), "HOME": str(shop.home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    told = json.loads(done.stdout)
    assert (told["job"]["provider"], told["warnings"][0]["code"], shop.sandbox.paid) == ("relay", "refused", 1)
    assert "note: hero did not take it" in done.stderr
