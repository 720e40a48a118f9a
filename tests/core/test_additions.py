"""What goes out beside a request: the address of a callback, and a gateway's own members."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ai302_core._flows import acting, submitting
from ai302_core._flows.submitting import Order
from ai302_core.errors import ConfigError, ParameterError
from ai302_core.family import Gateway, Webhook
from ai302_core.jobs import Action, Status
from ai302_core.requests import ImageRequest

CAT = ImageRequest("a cat")
ACCEPTED = {"code": 0, "data": {"id": 42, "status": "wait"}}
ADDRESS = "https://shop.example/hooks/t0ken/{job_id}"


def calling(account: Any, webhook: Webhook | None, **gateway: Any) -> Any:
    operations = tuple(replace(entry, webhook=webhook) for entry in account.family.operations)
    family = replace(account.family, operations=operations)
    return replace(account, family=family, gateway=replace(account.gateway, **gateway))


@pytest.mark.parametrize("at", ["body", "query"])
def test_the_address_goes_where_the_family_takes_it(account: Any, hand: Any, reply: Any, at: str) -> None:
    fed = hand(reply(ACCEPTED))
    job = fed.run(submitting.submit(calling(account, Webhook(**{at: "hook"})), CAT, Order(webhook=ADDRESS)))
    (call,) = fed.paid
    sent = json.loads(call.body).get("hook") if at == "body" else parse_qs(urlsplit(call.url).query)["hook"][0]
    assert sent == f"https://shop.example/hooks/t0ken/{job.id}"
    assert "t0ken" not in job.to_json()


def test_an_address_nobody_would_call_is_refused_before_anything_is_recorded(
    account: Any, hand: Any, ledger: Any
) -> None:
    fed = hand()
    hook = Webhook(body="hook")
    for chosen in (account, calling(account, hook, lacks=("webhook",))):
        with pytest.raises(ParameterError, match="makes no callbacks"):
            fed.run(submitting.submit(chosen, CAT, Order(webhook=ADDRESS)))
    for wrong in ("", "shop.example/x", "ftp://shop.example/x", "https:///x", "https://a b/", "http://[x/", "h\n"):
        with pytest.raises(ParameterError, match="http") as caught:
            fed.run(submitting.submit(calling(account, hook), CAT, Order(webhook=wrong)))
        assert caught.value.field == "webhook"
    twice = ImageRequest("a cat", extra={"hook": "https://other.example"})
    with pytest.raises(ParameterError, match="say the address once"):
        fed.run(submitting.submit(calling(account, hook), twice, Order(webhook=ADDRESS)))
    assert (fed.paid, ledger.jobs()) == ([], [])


def test_another_address_is_no_other_intention(account: Any, hand: Any, reply: Any) -> None:
    fed = hand(reply(ACCEPTED))
    calls = calling(account, Webhook(body="hook"))
    first = fed.run(submitting.submit(calls, CAT, Order(key="k", webhook=ADDRESS)))
    second = fed.run(submitting.submit(calls, CAT, Order(key="k", webhook="https://elsewhere.example")))
    assert (second.id, len(fed.paid)) == (first.id, 1)


def test_a_gateways_own_members_are_in_every_body(account: Any, hand: Any, reply: Any) -> None:
    values = {"speed": {"": "", "relax": "RELAX"}}
    members = {"pace": "{speed}", "noStorage": True, "filter": {"modes": ["{speed}"]}}
    own = calling(account, None, values=values, members=members)
    operations = tuple(
        replace(entry, route=lambda request: {"speed": request.resolution or ""}) for entry in own.family.operations
    )
    own = replace(own, family=replace(own.family, operations=operations))
    fed = hand(reply(ACCEPTED), reply(ACCEPTED))
    fed.run(submitting.submit(own, CAT, Order()))
    fed.run(submitting.submit(own, ImageRequest("a cat", resolution="relax", extra={"noStorage": False}), Order()))
    plain, relaxed = (json.loads(call.body) for call in fed.paid)
    assert "pace" not in plain
    assert plain["noStorage"] is True
    assert (relaxed["pace"], relaxed["noStorage"], relaxed["filter"]) == ("RELAX", False, {"modes": ["RELAX"]})
    preview = fed.run(submitting.preview(own, CAT))
    assert preview.body == plain
    with pytest.raises(ConfigError, match="speedy"):
        fed.run(submitting.submit(calling(account, None, members={"pace": "{speedy}"}), CAT, Order()))


def test_a_field_the_gateway_does_not_take_is_refused_or_left_out_with_a_warning(
    account: Any, hand: Any, reply: Any
) -> None:
    request = ImageRequest("a cat", seed=7)
    poor = replace(account, gateway=Gateway("poor", unread=("seed",)))
    with pytest.raises(ParameterError, match=r"seed is not taken\. Gateway poor"):
        hand().run(submitting.submit(poor, request, Order()))
    fed = hand(reply(ACCEPTED))
    job = fed.run(submitting.submit(poor, request, Order(lenient=True)))
    assert "seed" not in json.loads(fed.paid[0].body)
    assert [notice.field for notice in job.warnings] == ["seed"]


def test_what_a_press_needs_may_be_said_inside_another_field(account: Any, hand: Any, reply: Any, ledger: Any) -> None:
    press = account.operation("press")
    says = replace(press, said=lambda request: {"size": 2} if "--size" in (request.prompt or "") else {})
    family = replace(account.family, operations=(*(e for e in account.family.operations if e is not press), says))
    speaking = replace(account, family=family)
    fed = hand(reply(ACCEPTED), reply(ACCEPTED))
    parent = fed.run(submitting.submit(account, CAT, Order()))
    resize = Action(name="resize", operation="press", needs=("size",))
    parent = ledger.write(replace(parent, status=Status.SUCCEEDED, actions=(resize,), finished_at=fed.now))
    with pytest.raises(ParameterError, match="needs size"):
        fed.run(acting.act(speaking, parent, "resize", {"prompt": "a hat"}))
    fed.answers += [reply({"code": 0, "data": {"id": 42, "status": "run"}})] * 12  # no window, for good
    child = fed.run(acting.act(speaking, parent, "resize", {"prompt": "a hat --size 2"}))
    assert (child.parent, len(fed.paid), fed.answers) == (parent.id, 2, [])
