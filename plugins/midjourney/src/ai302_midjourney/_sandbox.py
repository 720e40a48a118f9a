"""What the emulated Midjourney answers: its routes at every gateway (wire/midjourney.md 2, 6, 7; 2026-11-21)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, TypeAlias

from ai302_core.sandbox import Answer, Emulation, Incoming, Route, World

from ._sandbox_desk import ODD, Desk
from ._sandbox_gateways import GATEWAYS, Profile, chosen, envelope
from ._sandbox_later import VERBS
from ._sandbox_tasks import FAMILY, Work

__all__ = ["emulation"]

Verb: TypeAlias = Callable[[Desk], Answer]

_SUBMIT_FAULTS = ("queue_full", "refused", "banned", "fail", "stuck", "no_asset", *ODD)
_POLL_FAULTS = ("unknown_word", "no_asset", "says", "missing", "fail", "stuck")


def emulation() -> Emulation:
    """Midjourney as 302.AI, new-api relays and the two self-hosted servers offer it.

    Faults beside the core's, on submits: queue_full (code), refused (code, description), banned (as_task), fail
    (reason), stuck, no_asset, waiting (words for a percentage), early (100 % while it runs), back (the percentage goes
    down); on polls: unknown_word (word), no_asset, says (members=… laid over the document),
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
            "relay_calls": False,  # a relay's operator has switched callbacks on
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
        for verb in VERBS:
            if offering := _offering(here, verb):
                yield Route(
                    name=f"submit:{verb}",
                    method="POST",
                    path=f"{root}/{'insight-face' if verb.endswith('swap') else 'submit'}/{verb}",
                    handler=_door(offering, mode, _submit(verb)),
                    faults=_SUBMIT_FAULTS,
                )
        # Before the look at a task, whose path fits it as well.
        for name, verb, method, path in (
            ("list", "list-by-condition", "POST", "list-by-condition"),
            ("list", "list-by-ids", "POST", "list-by-ids"),
            ("tasks", "list", "GET", "list"),
            ("tasks", "queue", "GET", "queue"),
            ("poll", "fetch", "GET", "{id}/fetch"),
            ("cancel", "cancel", "POST", "{id}/cancel"),
            ("seed", "image-seed", "GET", "{id}/image-seed"),
        ):
            if offering := _offering(here, verb):
                yield Route(
                    name=name,
                    method=method,
                    path=f"{root}/task/{path}",
                    handler=_door(offering, mode, _CALLS[verb]),
                    faults=() if verb in ("cancel", "image-seed") else _POLL_FAULTS,
                )
    yield Route(name="download", method="GET", path="/mj/image/{id}", handler=_relayed_picture, keyless=True)


def _offering(profiles: tuple[Profile, ...], verb: str) -> tuple[Profile, ...]:
    return tuple(profile for profile in profiles if verb not in profile.lacks)


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
        body = {} if verb == "video-swap" else desk.incoming.json()
        if not isinstance(body, dict):
            return desk.profile.invalid("bind_request_body_failed", "参数错误")
        return VERBS[verb](desk, body)

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
    net = desk.profile.name == "mjproxy-net"
    over = work is not None and work.word(desk.world.now()) in ("SUCCESS", "FAILURE", "CANCEL")
    if work is None or over:
        # NET answers alike whatever it found (section 2.15).
        bad = desk.profile.unknown if work is None else envelope(4, "关联任务状态错误")
        return Answer(200) if net else bad
    work.canceled_at = desk.world.now()
    work.canceled_word, work.reason = "FAILURE" if net else desk.option("cancel_word"), "取消任务"
    desk.tell(work, [work.canceled_at])
    return Answer(200) if net else envelope(1, "Success")


def _tasks(desk: Desk) -> Answer:
    """Every task, newest first: a hundred at NET, whoever started them (section 2.18)."""
    mine = [work for work in desk.world.tasks.values() if isinstance(work, Work) and work.gateway == desk.profile.name]
    newest = list(reversed(mine))[: 100 if desk.profile.name == "mjproxy-net" else None]
    return Answer(200, [_document(desk, work) for work in newest])


def _queue(desk: Desk) -> Answer:
    """What is not over, oldest first (section 2.18)."""
    return Answer(200, [document for document in reversed(_tasks(desk).body) if not document["finishTime"]])


def _seed(desk: Desk) -> Answer:
    """The seed, made of the task's own name (section 2.16)."""
    work = _found(desk, desk.incoming.params["id"])
    if work is None:
        return desk.profile.absent
    if work.kind not in ("grid", "single"):
        return Answer(400, {"code": 4, "description": "关联任务状态错误"})
    return envelope(1, "成功", result=str(int(work.uuid[:8], 16)))


_CALLS: dict[str, Verb] = {
    "fetch": _fetch,
    "list-by-condition": _list,
    "list-by-ids": _list,
    "list": _tasks,
    "queue": _queue,
    "cancel": _cancel,
    "image-seed": _seed,
}


def _relayed_picture(world: World, incoming: Incoming) -> Answer:
    """A relay's own picture link: no key, no ranges (section 6.2)."""
    work = world.find(incoming.params["id"], Work)
    word = "" if work is None or work.gateway != "new-api" else work.word(world.now())
    if work is None or word not in ("SUCCESS", "IN_PROGRESS"):
        return Answer(400, {"error": "midjourney_task_not_found"})
    url = work.picture_url if word == "SUCCESS" else work.preview_url
    return Answer(200, world.content(url), media_type=world.media_type(url))
