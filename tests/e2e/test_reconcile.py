"""A submit whose answer was lost is looked up where a server keeps a list, and told of where none does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from ai302_core import ImageRequest, Job, Status
from ai302_core.cli import main
from ai302_core.errors import ConfigError, JobUnconfirmed, ParameterError
from ai302_core.sandbox import Look, tile

LAMP = ImageRequest("a lamp")
OpenShop = Callable[..., Any]


def lost(shop: Any, buyer: Any, fault: str, key: str, **options: Any) -> Job:
    shop.sandbox.fault("submit", fault, **options)
    with pytest.raises(JobUnconfirmed) as caught:
        buyer.submit(LAMP, key=key, save_to=shop.folder)
    job: Job = caught.value.job
    return job


@pytest.mark.parametrize("gateway", ["mjproxy-net", "mjproxy-java"])
def test_a_self_hosted_server_lists_what_was_lost(open_shop: OpenShop, mode: str, gateway: str) -> None:
    shop = open_shop(gateway=gateway)
    buyer = shop.buyer(mode, gateway)
    buyer.run(LAMP)  # somebody else's, for the list
    job = lost(shop, buyer, "drop", "accepted")
    assert shop.sandbox.requests[-1].body["state"] == job.id
    shop.sandbox.fault("tasks", "html")
    found = buyer.reconcile(job)
    assert (found.id, found.billed) == (job.id, "yes")
    assert found.remote_id in {task["id"] for task in shop.sandbox.jobs}
    assert len(buyer.run(LAMP, key="accepted", save_to=shop.folder).files) == 4
    assert shop.sandbox.paid == 2

    never = lost(shop, buyer, "drop-before", "never accepted")
    with pytest.raises(JobUnconfirmed, match="none of the 2 tasks") as caught:
        buyer.reconcile(never)
    assert (caught.value.billed, buyer.job("never accepted").status) == ("unknown", Status.UNCONFIRMED)
    again = buyer.reconcile(never, resubmit=True)
    assert (again.attempt, shop.sandbox.paid) == (2, 3)

    believed = lost(shop, buyer, "drop", "believed lost")
    assert buyer.reconcile(believed, resubmit=True).id == believed.id, "it is there: nothing is bought again"
    assert shop.sandbox.paid == 4


def test_nothing_at_302ai_can_look_it_up_and_it_says_so(shop: Any, mode: str) -> None:
    buyer = shop.buyer(mode)
    job = lost(shop, buyer, "drop", "k")
    sent = len(shop.sandbox.requests)
    assert "state" not in shop.sandbox.requests[-1].body
    with pytest.raises(JobUnconfirmed, match="can look a lost submit up"):
        buyer.reconcile(job)
    assert (len(shop.sandbox.requests), shop.sandbox.paid) == (sent, 1)
    with pytest.raises(ParameterError, match="one of"):
        buyer.reconcile(job, resubmit=True, abandon=True)
    assert buyer.job("k").status is Status.UNCONFIRMED


def test_what_cannot_be_bought_again_is_not_given_up(shop: Any, mode: str, tmp_path: Path) -> None:
    buyer = shop.buyer(mode)
    picture = tmp_path / "lamp.png"
    picture.write_bytes(tile(Look("a lamp", "1", "1"), (64, 64)))
    shop.sandbox.fault("submit", "drop")
    with pytest.raises(JobUnconfirmed):
        buyer.submit(ImageRequest("at night", images=(picture,)), key="night")
    with pytest.raises(ParameterError, match="is not kept with a job") as caught:
        buyer.reconcile(buyer.job("night"), resubmit=True)
    assert (caught.value.billed, buyer.job("night").status) == ("unknown", Status.UNCONFIRMED)
    assert shop.sandbox.paid == 1

    shop.sandbox.fault("submit", "drop-before")
    with pytest.raises(JobUnconfirmed):
        buyer.submit(ImageRequest("a lamp", resolution="2K"), key="large", lenient=True)
    again = buyer.reconcile(buyer.job("large"), resubmit=True)  # what was left out then is left out again
    assert (again.attempt, again.status, shop.sandbox.paid) == (2, Status.QUEUED, 2)


def test_a_job_of_a_provider_that_is_gone_is_given_up(
    shop: Any, mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    buyer = shop.buyer(mode)
    unknown, running, third = lost(shop, buyer, "drop", "k"), *(buyer.submit(LAMP) for _ in range(2))
    paid = len(shop.sandbox.requests)
    # The gateway closed, and its table was removed; or its key was.
    monkeypatch.delenv("GEN302_SANDBOX")
    monkeypatch.delenv("GEN302_SANDBOX_KEY")
    elsewhere = {"family": "midjourney", "base_url": "https://relay.example", "api_key_env": "NO_KEY"}
    ledger = f"sqlite:///{(shop.home / 'ledger-sandbox.db').as_posix()}"
    left = shop.buyer(mode, config={"providers": {"hero": elsewhere}}, ledger=ledger)
    for job in (unknown, running):
        for how in ({}, {"resubmit": True}, {"remote_id": "77"}):
            with pytest.raises(ConfigError, match="not the one in use"):
                left.reconcile(job, **how)
        for how in ({"resubmit": True}, {"remote_id": "77"}, {"webhook": "https://shop.example/hook"}):
            with pytest.raises(ParameterError):  # as where there is a provider
                left.reconcile(job, abandon=True, **how)
        assert left.reconcile(job, abandon=True).status is Status.ABANDONED
        with pytest.raises(ParameterError, match="is abandoned"):
            left.reconcile(job, abandon=True)
    here = {"family": "midjourney", "base_url": shop.sandbox.url}
    keyless = shop.buyer(mode, config={"providers": {"hero": here}}, ledger=ledger)
    third = keyless.job(third.id)
    with pytest.raises(ConfigError, match="no key"):
        keyless.poll(third)
    assert keyless.reconcile(third, abandon=True).status is Status.ABANDONED
    assert len(shop.sandbox.requests) == paid


def test_what_is_bought_again_calls_back_where_it_is_told_to(shop: Any, mode: str) -> None:
    buyer = shop.buyer(mode)
    shop.sandbox.fault("submit", "drop-before")
    with pytest.raises(JobUnconfirmed) as caught:
        buyer.submit(LAMP, key="k", webhook="https://shop.example/hooks/FIRST/{job_id}")
    for said in ({"abandon": True}, {"remote_id": "7"}, {}):
        with pytest.raises(ParameterError, match="webhook"):
            buyer.reconcile(caught.value.job, webhook="https://shop.example/hooks/x", **said)
    with pytest.raises(ParameterError, match="webhook"):
        buyer.reconcile(caught.value.job, resubmit=True, webhook="nowhere")
    assert buyer.job("k").status is Status.UNCONFIRMED
    again = buyer.reconcile(caught.value.job, resubmit=True, webhook="https://shop.example/hooks/NEW/{job_id}")
    hooks = [seen.body["notifyHook"] for seen in shop.sandbox.requests if seen.route.startswith("submit")]
    assert hooks[-1] == f"https://shop.example/hooks/NEW/{again.id}"
    kept = b"".join(path.read_bytes() for path in shop.home.rglob("*") if path.is_file())
    assert b"hooks/" not in kept, "an address carries a token: it is kept nowhere"


def test_two_tasks_of_one_submit_are_both_named(open_shop: OpenShop) -> None:
    """A relay before the server may send a submit on twice; whose second task that is, nobody may have to guess."""
    shop = open_shop(gateway="mjproxy-net")
    buyer = shop.buyer(gateway="mjproxy-net")
    job = lost(shop, buyer, "drop", "k")
    seen = shop.sandbox.requests[-1]
    httpx.post(
        f"{shop.sandbox.url}{seen.path}", json=seen.body, headers={"authorization": shop.sandbox.key}, timeout=10
    )
    found = buyer.reconcile(job)
    (notice,) = [entry for entry in found.warnings if entry.code == "made_twice"]
    (other,) = {task["id"] for task in shop.sandbox.jobs} - {found.remote_id}
    assert other in notice.message

    shop.sandbox.fault("submit", "drop")
    with pytest.raises(JobUnconfirmed) as caught:
        buyer.submit(ImageRequest("mine", extra={"state": "order-7"}))
    with pytest.raises(JobUnconfirmed, match="of your own"):
        buyer.reconcile(caught.value.job)


def test_the_command_walks_through_what_is_unconfirmed(
    open_shop: OpenShop, capsys: pytest.CaptureFixture[str], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = open_shop(gateway="mjproxy-net")
    buyer = shop.buyer(gateway="mjproxy-net", ledger=None)
    (tmp_path / "gen302.toml").write_text(
        f'default = "hero"\n[providers.hero]\nfamily = "midjourney"\n'
        f'gateway = "mjproxy-net"\nbase_url = "{shop.sandbox.url}"\n',
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)

    def gen302(*words: str) -> tuple[int, str, str]:
        code = main(list(words))
        told = capsys.readouterr()
        return code, told.out, told.err

    assert gen302("jobs", "reconcile")[0] == 0
    there, gone = lost(shop, buyer, "drop", "there"), lost(shop, buyer, "drop-before", "gone")
    code, out, err = gen302("jobs", "reconcile")
    assert (code, out.split()) == (7, [there.id])
    assert "Found as task" in err
    for way in ("--found TASK-ID", "--resubmit", "--abandon"):
        assert f"gen302 jobs reconcile {gone.id} {way}" in err
    for meaning in ("nothing more is paid", "paid twice", "may have been billed"):
        assert meaning in err
    code, out, _ = gen302("jobs", "reconcile", "--json")
    (line,) = out.splitlines()
    assert (code, json.loads(line)["error"]["type"], json.loads(line)["exit"]) == (7, "JobUnconfirmed", 7)
    assert gen302("jobs", "reconcile", "--abandon")[0] == 2
    assert buyer.job("gone").status is Status.UNCONFIRMED
    assert gen302("jobs", "reconcile", gone.id, "--abandon")[0] == 0
    assert gen302("jobs", "reconcile")[0] == 0
    believed = lost(shop, buyer, "drop", "believed lost")
    code, out, err = gen302("jobs", "reconcile", believed.id, "--resubmit")
    assert (code, out.split(), shop.sandbox.paid) == (0, [believed.id], 2)
    assert "nothing was sent" in err
