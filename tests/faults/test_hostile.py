"""Hostile replies: whatever a service says, nothing but our errors, nothing paid twice, no success of nothing."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.faults import hostility
from tests.faults.hostility import Answer

from ai302_core._steps import Reply
from ai302_core.errors import TransportError
from ai302_core.sandbox.samples import Exchange

EXAMPLES = int(os.environ.get("HOSTILE_EXAMPLES", "60"))  # thousands of them when somebody has the time
STATUSES = (*(200,) * 6, 201, 204, 302, 400, 401, 402, 404, 408, 410, 429, 500, 503, 524, 999)
NUMBERS = (0, -1, 2**63, 10**400, 10**4000, -(10**25), 0.5, -0.0, 1e308, 1e25, 5e-324, True, False, None)
WORDS = ("", " ", "\x00", "\ud800", "success", "failed", "0", "null", "[", "{", "[]", '{"a":[1]}', "data:,", "..", "/")
HEADERS = ("retry-after", "request-id", "location", "content-type", "content-encoding", "date")
MOMENTS = (
    "1e400",
    "-1",
    "nan",
    "Mon, 99 Foo 99999999 99:99:99 +9999",
    "Sat, 21 Nov 2026 08:00:00 GMT",
    "٣",
    "9" * 5000,
)

words = st.sampled_from(WORDS) | st.text(max_size=20) | st.sampled_from("x9\né[=").map(lambda letter: letter * 100_000)
scalars = words | st.sampled_from(NUMBERS) | st.integers() | st.floats()
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4), max_leaves=8
)
headers = st.dictionaries(st.sampled_from(HEADERS), st.sampled_from(MOMENTS) | st.text(max_size=30), max_size=2)


def deep(opening: str, depth: int, closing: str) -> bytes:
    return (opening * depth + "1" + closing * depth).encode()


def paths(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where a document can be changed."""
    found = [path]
    members = document.items() if isinstance(document, dict) else enumerate(document[:3])
    for name, value in members:
        found += paths(value, (*path, name)) if isinstance(value, (dict, list)) else [(*path, name)]
    return found


def changed(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    changing = owner = copy.deepcopy(document)
    for part in path[:-1]:
        owner = owner[part]
    owner[path[-1]] = value
    return changing


@st.composite
def bodies(draw: Callable[..., Any], told: Exchange) -> bytes:
    """The told body changed somewhere, in another encoding, cut, doubled, wrapped; or anything at all."""
    kind = draw(st.sampled_from(("changed", "changed", "changed", "any", "bytes", "cut", "recoded", "doubled", "deep")))
    document = told.reply
    if not isinstance(document, (dict, list)) or kind == "any":
        return json.dumps(draw(documents)).encode("utf-8", "surrogatepass")
    text = json.dumps(document)
    match kind:
        case "changed":
            for _ in range(draw(st.integers(1, 3))):
                if isinstance(document, (dict, list)):
                    document = changed(document, draw(st.sampled_from(paths(document))), draw(documents))
            return json.dumps(document, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
        case "bytes":
            return bytes(draw(st.binary(max_size=200)))
        case "cut":
            return text.encode()[: draw(st.integers(0, len(text)))]
        case "recoded":
            return text.encode(draw(st.sampled_from(("utf-16", "utf-32", "utf-7", "utf-8-sig", "cp037"))))
        case "doubled" if isinstance(document, dict) and document:
            member = json.dumps(draw(st.sampled_from(sorted(document))))
            return f"{text[:-1]}, {member}: {json.dumps(draw(documents))}}}".encode()
        case _:
            depth = draw(st.sampled_from((50, 300, 900, 5000, 100_000)))
            inner = deep(*draw(st.sampled_from((("[", depth, "]"), ('{"data":', depth, "}")))))
            where = draw(st.sampled_from(paths(document)))
            return json.dumps(changed(document, where, "HERE")).encode().replace(b'"HERE"', inner)


@st.composite
def answers(draw: Callable[..., Any], told: Exchange) -> Answer:
    if draw(st.integers(0, 15)) == 0:
        return TransportError("It broke.", sent=draw(st.booleans()))
    status = draw(st.just(told.status) | st.sampled_from(STATUSES))
    return Reply(status, draw(headers), draw(bodies(told)))


@st.composite
def plays(draw: Callable[..., Any]) -> tuple[Any, ...]:
    family, sample = draw(st.sampled_from(hostility.conversations()))
    hostile = {}
    for number in draw(st.lists(st.sampled_from((0, 0, 1, 1, 2, 3, 4, 6, 9)), max_size=3, unique=True)):
        told = sample.exchanges[min(number, len(sample.exchanges) - 1)]
        hostile[number] = draw(answers(told))
    always = draw(answers(sample.exchanges[-1])) if not hostile or draw(st.integers(0, 3)) == 0 else None
    return family, sample, draw(st.sampled_from(hostility.VERBS)), hostile, always


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(plays())
def test_whatever_is_answered(told: tuple[Any, ...]) -> None:
    hostility.play(*told)


ODD = {
    "long": "x" * 100_000,
    "giant": 10**4000,
    "infinite": float("inf"),
    "surrogate": "\ud800\x00",
    "wide": ["https://files.example/a.png", {"a": 1}] * 3_000,
    "deep": deep("[", 700, "]"),
    "deeper": deep('{"data":', 50_000, "}"),
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("package", hostility.PACKAGES)
def test_every_member_of_a_conversation(package: str, odd: str) -> None:
    """Each in turn, at the submit and at every look, is replaced by what nobody expects there."""
    name = {"ai302_midjourney": "imagine", "ai302_unified_image": "gemini", "ai302_veo": "veo3-fast-frames"}[package]
    family, sample = next(
        told for told in hostility.conversations() if told[1].name == name and package.endswith(told[0].name)
    )
    for number, exchange in enumerate(sample.exchanges[:2]):
        for path in paths(exchange.reply):
            value = ODD[odd]
            told = changed(exchange.reply, path, "HERE" if isinstance(value, bytes) else value)
            body = json.dumps(told, ensure_ascii=odd != "surrogate").encode("utf-8", "surrogatepass")
            answer = Reply(exchange.status, {}, body.replace(b'"HERE"', value) if isinstance(value, bytes) else body)
            hostility.play(family, sample, "wait", {number: answer}, answer if number and odd != "wide" else None)
