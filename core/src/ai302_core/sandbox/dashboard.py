"""302.AI's account doors: balance, cost records, price list, models (wire/302ai.md 8, 2026-11-21)."""

from __future__ import annotations

from .vocabulary import Answer, Handler, Incoming, Route, bearer, refusal_302ai
from .world import Charge, World

__all__ = ["ACCOUNT"]


def _for_its_key(handler: Handler) -> Handler:
    """The door of a gateway that has one, for the right key: one scheme, whatever a family's own doors want."""

    def guarded(world: World, incoming: Incoming) -> Answer:
        if world.gateway not in (None, "302ai"):
            return Answer(404)
        if bearer(incoming) != world.key:
            return refusal_302ai(401, -10001)
        return handler(world, incoming)

    return guarded


def _balance(world: World, incoming: Incoming) -> Answer:
    if incoming.fault_is("not_allowed"):
        return Answer(200, {"code": 403, "msg": "no permission"})
    return Answer(200, {"code": 0, "msg": "success", "data": {"balance": f"{world.balance:f}"}})


def _record(world: World, incoming: Incoming) -> Answer:
    charge = world.charges.get(incoming.params["request_id"])
    if charge is None or incoming.fault_is("not_yet"):
        # What an unknown or late id is answered is documented nowhere; a cost it must not show.
        return Answer(200, {"code": 0, "msg": "success", "data": None})
    return Answer(200, {"code": 0, "msg": "success", "data": _told(charge)})


def _told(charge: Charge) -> dict[str, object]:
    return {"cost": float(charge.cost), "input_token": 0, "output_token": 0, "model": charge.model, "process_time": 1}


def _prices(world: World, incoming: Incoming) -> Answer:
    rows = [
        {
            "name": f"{emulation.family}/{name}",
            "tag": emulation.family,
            "pricing": {"input": float(price), "output": 0},
            "pricing_prefix": "",
            "pricing_suffix": "PTC/call",
            "description": "The sandbox's own fake price",
        }
        for emulation in world.emulations
        for name, price in emulation.prices.items()
    ]
    wanted = incoming.query.get("path", "").strip("/")
    return Answer(200, {"code": 0, "msg": "success", "data": [row for row in rows if wanted in str(row["name"])]})


def _models(world: World, incoming: Incoming) -> Answer:
    names = (
        ()
        if incoming.query.get("llm") == "1"
        else sorted({name for emulation in world.emulations for name in emulation.prices})
    )
    listed = [{"id": name, "object": "model", "created": 1763683200, "owned_by": "sandbox"} for name in names]
    return Answer(200, {"object": "list", "data": listed})


ACCOUNT = (
    Route(
        name="balance",
        method="GET",
        path="/dashboard/balance",
        handler=_for_its_key(_balance),
        faults=("not_allowed",),
    ),
    Route(
        name="record",
        method="GET",
        path="/dashboard/record/{request_id}",
        handler=_for_its_key(_record),
        faults=("not_yet",),
    ),
    Route(name="prices", method="GET", path="/dashboard/prices", handler=_for_its_key(_prices)),
    Route(name="models", method="GET", path="/v1/models", handler=_for_its_key(_models)),
)
