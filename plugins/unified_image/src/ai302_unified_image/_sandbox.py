"""What the emulated image doors answer: their routes, errors and switches (wire/302ai.md 1.6, 3; 2026-11-21)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from ai302_core.sandbox import BANNED_WORD, Answer, Emulation, Incoming, Route, World, kept_out_302ai, refusal_302ai

from ._sandbox_models import count_of, effective_v1, pixels_v1, pixels_v2, unusable
from ._sandbox_tasks import FAMILY, SECONDS, Work, answer_v1, task_v2
from .catalogue import Entry, find

__all__ = ["emulation"]

REFUSED_WORDS = "Your request was rejected by the safety system"

# Served by v1 though its list does not have them (wire/302ai.md 3.2).
_UNLISTED = ("gemini-2.5-flash-image", "gemini-3-pro-image-preview", "doubao-seedream-4-0-250828", "gpt-image-1")


def emulation() -> Emulation:
    """Both doors as 302.AI offers them.

    Faults beside the core's, on submits: refused (status, code), fail (reason), stuck, no_asset, at_once (v2 answers
    the finished task although asked for a task to look at); on polls: unknown_word (word), no_asset, says (members=…
    laid over the document), missing, fail (reason), stuck.
    """
    submits = ("refused", "fail", "stuck", "no_asset")
    polls = ("unknown_word", "no_asset", "says", "missing", "fail", "stuck")
    return Emulation(
        family=FAMILY,
        routes=(
            Route(name="submit:image-v1", method="POST", path="/302/image/generate", handler=_v1, faults=submits),
            Route(name="submit:image", method="POST", path="/302/v2/image/generate", handler=_v2,
                  faults=(*submits, "at_once")),
            Route(name="poll", method="GET", path="/302/v2/image/fetch/{id}", handler=_fetch, faults=polls),
        ),
        prices={"image": Decimal("0.04"), "image-v1": Decimal("0.03"), "edit-v1": Decimal("0.03")},  # made up
        options={
            "balance_status": 402,  # HTTP status of -10004, which nobody documents
            "data_as_text": False,  # v1: `data` as JSON in a text
            "inline": False,  # v1: no link, the picture itself in the vendor's reply
            "error": "object",  # v2: the error of a failed task; or "text"
            "raw_response": "object",  # v2; or "text"
            "cost_ids": "list",  # v2: `ai302_cost_request_ids`; or "text"
            "models": (),  # names served beside the catalogue's
        },
    )  # fmt: skip


Body = Mapping[str, Any]


def _opened(world: World, incoming: Incoming, door: str) -> tuple[Body, Entry | None] | Answer:
    """The body and what is known of its model; or why not."""
    if refused := kept_out_302ai(world, incoming):
        return refused
    body = _form(incoming) or incoming.json()
    if not isinstance(body, dict) or not isinstance(body.get("model"), str):
        return _invalid(door, "model is required")
    entry = find(body["model"], door)
    more = (*world.option(FAMILY, "models"), *(_UNLISTED if door == "v1" else ()))
    if entry is None and body["model"] not in more:
        return refusal_302ai(503, -10008)
    return body, entry


def _form(incoming: Incoming) -> dict[str, Any]:
    """The members of a form: numbers are texts there, and pictures may be files. {} for any other body.

    How several pictures are named in one is documented nowhere (wire/302ai.md 3.3): parts of one name.
    """
    numbers = ("width", "height", "n")
    return {
        name: int(value) if name in numbers and isinstance(value, str) and value.isdigit() else value
        for name, value in incoming.members().items()
    }


def _invalid(door: str, why: str) -> Answer:
    # The v1 page has a 422 of its own (wire/302ai.md 1.7).
    return refusal_302ai(422 if door == "v1" else 400, -10011, message=why)


def _bought(world: World, incoming: Incoming, work: Work) -> Answer | None:
    """Take the money for a task; or why not."""
    if not world.can_pay(FAMILY, work.operation):
        return refusal_302ai(world.option(FAMILY, "balance_status"), -10004)
    if fault := incoming.fault_is("fail"):
        work.reason = str(fault.option("reason", "upstream rejected"))
    if BANNED_WORD in work.request["prompt"]:
        work.reason = REFUSED_WORDS
    work.bare = incoming.fault_is("no_asset") is not None
    work.stuck = incoming.fault_is("stuck") is not None
    work.upstream = world.task_id()[:14]
    work.submitted = world.now()
    if work.reason:
        work.fails_at = work.submitted + 0.5 * SECONDS
    work.publish(world)
    world.accept(work, cost_ids=work.cost_ids)
    return None


def _v1(world: World, incoming: Incoming) -> Answer:
    opened = _opened(world, incoming, "v1")
    if isinstance(opened, Answer):
        return opened
    body, entry = opened
    shape = _shaped(lambda: effective_v1(entry, body))
    if shape is None or (why := unusable(entry, body, pixels_v1(shape))):
        return _invalid("v1", "width and height are integers" if shape is None else why)
    operation = "edit-v1" if entry is not None and entry.needs_image else "image-v1"
    work = Work(
        id=world.uuid(), family=FAMILY, operation=operation, gateway="302ai", model=body["model"], request=body,
        effective=shape, size=pixels_v1(shape),
    )  # fmt: skip
    return _bought(world, incoming, work) or Answer(200, answer_v1(work, world))


def _v2(world: World, incoming: Incoming) -> Answer:
    opened = _opened(world, incoming, "v2")
    if isinstance(opened, Answer):
        return opened
    body, entry = opened
    size = _shaped(lambda: pixels_v2(entry, body))
    if size is None or (why := unusable(entry, body, size)):
        return _invalid("v2", "width and height are integers" if size is None else why)
    echoed = ("model", "prompt", "height", "width", "aspect_ratio", "negative_prompt", "image")
    work = Work(
        id=world.uuid(), family=FAMILY, operation="image", gateway="302ai", model=body["model"],
        request={name: body[name] for name in echoed if name in body}, effective={}, size=size,
        count=count_of(entry, body), webhook=incoming.query.get("webhook", ""),
    )  # fmt: skip
    asked = incoming.query.get("run_async") == "true" or bool(work.webhook)
    later = asked and not incoming.fault_is("at_once")
    # A task's document names what it was billed under; an answer that is the picture is billed under its own request.
    work.cost_ids = [world.uuid()] if later else []
    if refused := _bought(world, incoming, work):
        return refused
    if later:
        names = ("task_id", "status", "created_at")
        document = task_v2(work, world)
        if work.webhook and not work.stuck:
            # Anything but 200 is answered by three more, 2, 4 and 6 s apart (wire/302ai.md 4.1, 2026-11-21).
            world.tell(work.webhook, work.finish, lambda: _callback(work, world), again=(2, 4, 6))
        return Answer(200, {name: document[name] for name in names})
    # The sandbox does not keep its caller waiting: the work is done at once.
    work.submitted = world.now() - SECONDS
    work.fails_at = world.now() if work.reason else work.fails_at
    document = task_v2(work, world)
    whole = ("task_id", "status", "created_at", "completed_at", "image_url", "image_urls", "error", "failed_at")
    return Answer(200, {name: document[name] for name in whole if name in document})


def _callback(work: Work, world: World) -> dict[str, Any]:
    """What a callback says: not what a look does, and under an id of its own (wire/302ai.md 4.4, there for clips)."""
    document = task_v2(work, world)
    result = {name: document[name] for name in ("image_url", "image_urls", "error") if name in document}
    said = {"model": work.model, "status": document["status"], "webhook": work.webhook}
    return {**said, "request_id": world.request_id(), "result": result}


def _shaped(shape: Callable[[], Any]) -> Any:
    """What a body asks for, or None when its numbers are none."""
    try:
        return shape()
    except (TypeError, ValueError):
        return None


def _fetch(world: World, incoming: Incoming) -> Answer:
    if refused := kept_out_302ai(world, incoming):
        return refused
    work = world.find(incoming.params["id"], Work)
    if work is None or work.operation != "image" or incoming.fault_is("missing"):
        return refusal_302ai(404, -10011, message="task not found")  # nobody has seen this answer (wire/302ai.md 3.4)
    if fault := incoming.fault_is("fail"):
        work.reason, work.fails_at = str(fault.option("reason", "upstream rejected")), world.now()
    if incoming.fault_is("stuck"):
        work.stuck = True
    document = task_v2(work, world)
    if fault := incoming.fault_is("unknown_word"):
        document["status"] = fault.option("word", "reviewing")
    if incoming.fault_is("no_asset"):
        document |= {"image_url": "", "image_urls": [], "raw_response": None}
    if fault := incoming.fault_is("says"):
        document |= fault.option("members", {})
    return Answer(200, document)
