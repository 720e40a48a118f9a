"""What the emulated Midjourney answers: its routes at every gateway (wire/midjourney.md 2, 6, 7; 2026-11-21)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, TypeAlias

from ai302_core.sandbox import Answer, Emulation, Incoming, Route, World

from ._sandbox_desk import Desk
from ._sandbox_gateways import GATEWAYS, Profile, chosen, envelope
from ._sandbox_submits import SUBMITS
from ._sandbox_tasks import FAMILY, Work

__all__ = ["emulation"]

Verb: TypeAlias = Callable[[Desk], Answer]

_SUBMIT_FAULTS = ("queue_full", "refused", "banned", "fail", "stuck", "no_asset")
_POLL_FAULTS = ("unknown_word", "no_asset", "says", "missing", "fail", "stuck")


def emulation() -> Emulation:
    """Midjourney as 302.AI and new-api relays offer it.

    Faults beside the core's, on submits: queue_full (code), refused (code, description), banned (as_task), fail
    (reason), stuck, no_asset; on polls: unknown_word (word), no_asset, says (members=… laid over the document),
    missing, fail (reason), stuck.
    """
    return Emulation(
        family=FAMILY,
        routes=tuple(_routes()),
        # imagine, describe and relax as 302.AI's pages print them (section 1.3, undated); the others are made up
        prices={
            "imagine": Decimal("0.05"),
            "action": Decimal("0.05"),
            "modal": Decimal("0.05"),
            "blend": Decimal("0.05"),
            "describe": Decimal("0.025"),
            "video": Decimal("0.40"),
            "relax": Decimal("0.02"),
        },
        options={
            "capacity": None,  # (running, waiting), such as JAVA's (3, 10); None: endless
            "window_code": 21,  # what a button that opens a window answers: 21 or 1
            "modal_new_id": False,  # the confirmed window goes on under another id
            "banned": "code",  # a banned word is refused with code 24; "task": the task fails
            "balance_status": 402,  # HTTP status of -10004, which nobody documents
            "cancel_word": "CANCEL",  # or "FAILURE", as NET does
            "numeric_ids": False,  # `result` as a JSON number
            "tile_links": False,  # 302.AI fills `imageUrls` with the four pictures
            "video_buttons": False,  # 302.AI offers buttons under clips of /submit/video
            "odd": False,  # grids with odd sides
        },
    )


def _routes() -> Iterable[Route]:
    for root in dict.fromkeys(root for profile in GATEWAYS for root in profile.roots):
        here = tuple(profile for profile in GATEWAYS if root in profile.roots)
        mode = root.removeprefix("/mj").removeprefix("-") if "{" not in root else ""
        for verb in SUBMITS:
            yield Route(
                name=f"submit:{verb}",
                method="POST",
                path=f"{root}/submit/{verb}",
                handler=_door(here, mode, _submit(verb)),
                faults=_SUBMIT_FAULTS,
            )
        yield Route(
            name="poll",
            method="GET",
            path=f"{root}/task/{{id}}/fetch",
            handler=_door(here, mode, _fetch),
            faults=_POLL_FAULTS,
        )
        if cancelling := tuple(profile for profile in here if not profile.relay):
            path = f"{root}/task/{{id}}/cancel"
            yield Route(name="cancel", method="POST", path=path, handler=_door(cancelling, mode, _cancel))
        if listing := tuple(profile for profile in here if profile.relay):
            yield Route(
                name="list",
                method="POST",
                path=f"{root}/task/list-by-condition",
                handler=_door(listing, mode, _list),
                faults=_POLL_FAULTS,
            )
    yield Route(name="download", method="GET", path="/mj/image/{id}", handler=_relayed_picture, keyless=True)


def _door(profiles: tuple[Profile, ...], mode: str, verb: Verb) -> Callable[[World, Incoming], Answer]:
    """A handler: finds the gateway that is meant, asks for its key, lets the verb answer."""

    def handle(world: World, incoming: Incoming) -> Answer:
        profile = chosen(world, incoming, GATEWAYS if incoming.path.startswith("/mj/") else profiles)
        if profile not in profiles:
            return Answer(404)
        if not profile.admits(incoming, world.key):
            return profile.unauthorized
        placed = incoming.params.get("mode", mode).removeprefix("mj-")
        return verb(Desk(world, incoming, profile, placed))

    return handle


def _submit(verb: str) -> Verb:
    def submit(desk: Desk) -> Answer:
        body = desk.incoming.json()
        if not isinstance(body, dict):
            return desk.profile.invalid("bind_request_body_failed", "参数错误")
        return SUBMITS[verb](desk, body)

    return submit


def _found(desk: Desk, task_id: str) -> Work | None:
    work = desk.world.find(task_id, Work)
    if work is None or work.gateway != desk.profile.name or desk.incoming.fault_is("missing"):
        return None
    # Whether another prefix answers for a task is unknown at 302.AI (section 1.3): a strict sandbox does not.
    return None if desk.world.strict and not desk.profile.relay and work.mode != desk.mode else work


def _document(desk: Desk, work: Work) -> dict[str, Any]:
    now = desk.world.now()
    if fault := desk.incoming.fault_is("fail"):
        work.reason, work.fails_at = str(fault.option("reason", "[Image denied] Sorry! Our moderator stopped it")), now
    if desk.incoming.fault_is("stuck"):
        work.stuck = "running"
    document = desk.profile.document(work, desk.world)
    if fault := desk.incoming.fault_is("unknown_word"):
        document["status"] = fault.option("word", "REVIEWING")
    if desk.incoming.fault_is("no_asset"):
        empty = {"imageUrl": "", "videoUrl": "", "videoUrls": None, "imageUrls": None}
        document.update({name: value for name, value in empty.items() if name in document})
    if fault := desk.incoming.fault_is("says"):
        document.update(fault.option("members", {}))
    return document


def _fetch(desk: Desk) -> Answer:
    work = _found(desk, desk.incoming.params["id"])
    return desk.profile.unknown if work is None else Answer(200, _document(desk, work))


def _list(desk: Desk) -> Answer:
    body = desk.incoming.json()
    wanted = body.get("ids") if isinstance(body, dict) else None
    asked = {entry for entry in wanted if isinstance(entry, str)} if isinstance(wanted, list) else set()
    # In the order of the store, not of the question; unknown ids are left out (section 2.17).
    found = (_found(desk, task_id) for task_id in desk.world.tasks if task_id in asked)
    return Answer(200, [_document(desk, work) for work in found if work is not None])


def _cancel(desk: Desk) -> Answer:
    work = _found(desk, desk.incoming.params["id"])
    if work is None:
        return desk.profile.unknown
    if work.word(desk.world.now()) in ("SUCCESS", "FAILURE", "CANCEL"):
        return envelope(4, "关联任务状态错误")
    work.canceled_at, work.canceled_word = desk.world.now(), desk.option("cancel_word")
    work.reason = "取消任务"
    return envelope(1, "Success")


def _relayed_picture(world: World, incoming: Incoming) -> Answer:
    """A relay's own picture link: no key, no ranges (section 6.2)."""
    work = world.find(incoming.params["id"], Work)
    word = "" if work is None or work.gateway != "new-api" else work.word(world.now())
    if work is None or word not in ("SUCCESS", "IN_PROGRESS"):
        return Answer(400, {"error": "midjourney_task_not_found"})
    url = work.picture_url if word == "SUCCESS" else work.preview_url
    return Answer(200, world.content(url), media_type=world.media_type(url))
