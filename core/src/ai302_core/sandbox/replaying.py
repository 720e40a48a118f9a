"""The sandbox for free: a family's samples as its emulated routes."""

from __future__ import annotations

import io
import json
import re
import wave
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial

from ai302_core.family import Family, Gateway

from .media import Look, clip, tile
from .samples import Exchange, Sample, encoded
from .vocabulary import Answer, Emulation, Incoming, Route, refusal_302ai
from .world import Task, World

__all__ = ["emulation_of"]

_SUFFIXES = {"image": "png", "video": "mp4", "audio": "wav"}
_REFUSALS = ("refused", "nothing created")


@dataclass(kw_only=True)
class _Replayed(Task):
    """A task that tells its sample's replies in order, the last one for ever.

    swaps  what the sample calls things -> what this task calls them
    """

    sample: Sample
    position: int
    swaps: Mapping[str, str] = field(default_factory=dict)

    def word(self, now: float) -> str:
        """The sample's end once everything was told, else "running"."""
        return self.sample.status if self.position + 1 >= len(self.sample.exchanges) else "running"


def emulation_of(family: Family, samples: Iterable[Sample], *, fresh: bool = True, price: str = "1") -> Emulation:
    """What the samples say the family's service answers.

    A submit is answered as the sample with the same body, else as the first that succeeds; looking tells the sample's
    next reply. `fresh`: every task gets an id and files of its own; else everything stays as the samples say.
    """
    told = tuple(samples)
    doors: dict[tuple[str, str], list[tuple[Sample, int]]] = {}
    for sample in told:
        remote_id = sample.remote_id(family)
        for position, exchange in enumerate(sample.exchanges):
            template = exchange.path
            if remote_id is not None:
                template = "/".join("{task}" if part == encoded(remote_id) else part for part in template.split("/"))
            doors.setdefault((exchange.method, template), []).append((sample, position))
    door = partial(_Door, family=family, fresh=fresh)
    return Emulation(
        family=family.name,
        routes=tuple(
            Route(name=_name(family, heard), method=method, path=path, handler=door(heard=tuple(heard)))
            for (method, path), heard in sorted(doors.items(), key=lambda entry: "{task}" in entry[0][1])
        ),
        prices={entry.name: Decimal(price) for entry in family.operations},
    )


def _name(family: Family, heard: list[tuple[Sample, int]]) -> str:
    sample, position = heard[0]
    if position in sample.paid(family):
        return f"submit:{sample.operation}"
    return "poll" if position > min(sample.paid(family), default=-1) else "prepare"


@dataclass(frozen=True, kw_only=True)
class _Door:
    """One method and path: everything the samples say was answered there."""

    family: Family
    fresh: bool
    heard: tuple[tuple[Sample, int], ...]

    def __call__(self, world: World, incoming: Incoming) -> Answer:
        if not any(_shown_key(self._gateway(sample), incoming) == world.key for sample, _ in self.heard):
            return refusal_302ai(401, -10001)
        looked = self._task(world, incoming)
        if looked is not None:
            return self._next(world, incoming, looked)
        begun = [(sample, position) for sample, position in self.heard if position in sample.paid(self.family)]
        if begun:
            return self._submitted(world, incoming, begun)
        strangers = [entry for entry in self.heard if entry[0].request is None]
        chosen, position = (strangers or list(self.heard))[0]
        if chosen.request is None:
            task = self._new(world, chosen, position, chosen.remote_id(self.family) or world.uuid(), swaps={})
            world.keep(task)
            return _told(task, position)
        if position > min(chosen.paid(self.family), default=-1):
            return refusal_302ai(404, -10011)
        return _answer(chosen.exchanges[position], {})

    def _gateway(self, sample: Sample) -> Gateway:
        """A sample that names none is of the first."""
        return self.family.gateway(sample.gateway) or self.family.gateways[0]

    def _task(self, world: World, incoming: Incoming) -> _Replayed | None:
        """The task that is asked about: by the path, the query, or a word of the body."""
        body = incoming.json()
        words = [*incoming.params.values(), *incoming.query.values()]
        words += (
            [str(value) for value in body.values() if isinstance(value, (str, int))] if isinstance(body, dict) else []
        )
        for word in words:
            task = world.find(word, _Replayed)
            if task is not None and any(task.sample is sample and at > 0 for sample, at in self.heard):
                return task
        return None

    def _next(self, world: World, incoming: Incoming, task: _Replayed) -> Answer:
        """The next reply of the task's sample that belongs here; after the last one, the last one again."""
        mine = [position for sample, position in self.heard if sample is task.sample]
        ahead = [position for position in mine if position > task.position]
        position = min(ahead) if ahead else mine[-1]
        paid = task.sample.paid(self.family)
        between = [other for other in paid if task.position < other < position]
        if between:  # a second paid call of the sample comes first: until then, what was told is told again
            position = max((other for other in mine if other <= task.position), default=position)
        if position in paid:
            world.accept(task)
        task.position = max(task.position, position)
        return _told(task, position)

    def _submitted(self, world: World, incoming: Incoming, begun: list[tuple[Sample, int]]) -> Answer:
        sample, position = min(begun, key=lambda entry: _distance(entry[0], entry[0].exchanges[entry[1]], incoming))
        exchange = sample.exchanges[position]
        if sample.status in _REFUSALS:
            return _answer(exchange, {})
        if not world.can_pay(self.family.name, sample.operation):
            return refusal_302ai(402, -10004)
        known = sample.remote_id(self.family)
        swaps: dict[str, str] = {}
        remote_id = known or world.uuid()
        if self.fresh:
            if known is not None:
                remote_id = swaps[known] = world.task_id() if known.isdigit() else world.uuid()
            swaps |= self._files(world, sample, incoming)
        task = self._new(world, sample, position, remote_id, swaps)
        world.accept(task)
        return _told(task, position)

    def _new(self, world: World, sample: Sample, position: int, remote_id: str, swaps: Mapping[str, str]) -> _Replayed:
        return _Replayed(
            id=remote_id, family=self.family.name, operation=sample.operation, gateway=sample.gateway,
            sample=sample, position=position, swaps=swaps,
        )  # fmt: skip

    def _files(self, world: World, sample: Sample, incoming: Incoming) -> dict[str, str]:
        """A file of this sandbox for every link the sample expects."""
        body = incoming.json()
        text = next((str(v) for v in body.values() if isinstance(v, str)), "") if isinstance(body, dict) else ""
        links: dict[str, str] = {}
        for asset in sample.expect.get("assets", ()):
            url, suffix = asset.get("url"), _SUFFIXES.get(asset["kind"])
            if url and suffix and url not in links:
                look = Look(text or sample.name, str(len(links) + 1), f"{world.uuid()}")
                links[url] = world.publish(partial(_made, suffix, look), suffix)
        return links


def _shown_key(gateway: Gateway, incoming: Incoming) -> str | None:
    """The key a request carries in the gateway's one header."""
    name, _, template = gateway.auth.partition(":")
    before, _, after = template.strip().partition("{key}")
    value = incoming.headers.get(name.strip().lower(), "")
    fits = value.startswith(before) and value.endswith(after)
    return value.removeprefix(before).removesuffix(after) if fits else None


def _distance(sample: Sample, exchange: Exchange, incoming: Incoming) -> tuple[int, int]:
    same = exchange.body is None or exchange.body == incoming.json()
    good = sample.status == "succeeded"
    return (0 if same else 1 if good else 2, 0 if good else 1)


def _told(task: _Replayed, position: int) -> Answer:
    return _answer(task.sample.exchanges[position], task.swaps)


def _answer(exchange: Exchange, swaps: Mapping[str, str]) -> Answer:
    if isinstance(exchange.reply, bytes):
        return Answer(exchange.status, exchange.reply, exchange.headers, exchange.media_type)
    text = json.dumps(exchange.reply, ensure_ascii=False)
    for old, new in swaps.items():
        text = re.sub(rf"(?<![\w-]){re.escape(old)}(?![\w-])", lambda _, new=new: new, text)  # type: ignore[misc]
    return Answer(exchange.status, json.loads(text), exchange.headers)


def _made(suffix: str, look: Look) -> bytes:
    if suffix == "png":
        return tile(look, (512, 512))
    return clip(look, (320, 320)) if suffix == "mp4" else _tone()


def _tone() -> bytes:
    """Half a second of a square wave, as a WAV file."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(1)
        sound.setframerate(8000)
        sound.writeframes((b"\x60" * 10 + b"\xa0" * 10) * 200)
    return buffer.getvalue()
