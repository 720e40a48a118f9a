"""What a Midjourney task offers: buttons by what they mean, and what a press of each sends."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ai302_midjourney
from ai302_core._accounts import Account
from ai302_core._flows import planning
from ai302_core._steps import Picture
from ai302_core.errors import ParameterError
from ai302_core.jobs import Action
from ai302_midjourney import ClipRequest, VaryRequest
from ai302_midjourney.actions import actions

FAMILY = ai302_midjourney.ai302_family()
U = "3f2a9c10-5b7d-4e21-9a44-0c1d2e3f4a5b"


class Key:
    source = "the test"

    def reveal(self) -> str:
        return "sk-secret"


ACCOUNT = Account(name="hero", family=FAMILY, gateway=FAMILY.gateways[0], base_url="https://api.302.ai", key=Key())


def button(custom_id: Any, label: Any = "", **more: Any) -> dict[str, Any]:
    return {"customId": custom_id, "label": label, "emoji": "", "type": 2, "style": 2, **more}


def offered(*buttons: Any, **members: Any) -> list[Action]:
    return actions({"status": "SUCCESS", "buttons": list(buttons), **members})


@pytest.mark.parametrize(
    ("custom_id", "name", "operation"),
    [
        *((f"MJ::JOB::upsample::{n}::{U}", f"upscale-{n}", "upscale") for n in range(1, 5)),
        *((f"MJ::JOB::variation::{n}::{U}", f"vary-{n}", "action") for n in range(1, 5)),
        (f"MJ::JOB::reroll::0::{U}::SOLO", "reroll", "action"),
        (f"MJ::JOB::upsample_v7_2x_subtle::1::{U}::SOLO", "upscale-subtle", "upscale"),
        (f"MJ::JOB::upsample_v7_2x_creative::1::{U}::SOLO", "upscale-creative", "upscale"),
        (f"MJ::JOB::upsample_v6r1_2x_subtle::1::{U}::SOLO", "upscale-subtle", "upscale"),
        (f"MJ::JOB::upsample_v6_2x_creative::1::{U}::SOLO", "upscale-creative", "upscale"),
        (f"MJ::JOB::upsample_v5_2x::1::{U}::SOLO", "upscale-2x", "upscale"),
        (f"MJ::JOB::upsample_v5_4x::1::{U}::SOLO", "upscale-4x", "upscale"),
        (f"MJ::JOB::low_variation::1::{U}::SOLO", "vary-subtle", "action"),
        (f"MJ::JOB::high_variation::1::{U}::SOLO", "vary-strong", "action"),
        (f"MJ::Inpaint::1::{U}::SOLO", "vary-region", "action"),
        (f"MJ::Outpaint::50::1::{U}::SOLO", "zoom-out-2x", "action"),
        (f"MJ::Outpaint::75::1::{U}::SOLO", "zoom-out-1.5x", "action"),
        (f"MJ::Outpaint::100::1::{U}::SOLO", "make-square", "action"),
        (f"MJ::CustomZoom::{U}", "custom-zoom", "action"),
        (f"MJ::CustomZoom::1::{U}", "custom-zoom", "action"),
        *((f"MJ::JOB::pan_{way}::1::{U}::SOLO", f"pan-{way}", "action") for way in ("left", "right", "up", "down")),
        (f"MJ::JOB::animate_high::1::{U}::SOLO", "animate-high", "clip"),
        (f"MJ::JOB::animate_low::1::{U}::SOLO", "animate-low", "clip"),
        (f"MJ::JOB::animate_high_extend::1::{U}", "extend-high", "clip"),
        (f"MJ::JOB::animate_low_extend::1::{U}", "extend-low", "clip"),
        (f"MJ::JOB::video_virtual_upscale::3::{U}", "upscale-3", "clip"),
        (f"MJ::JOB::video::1::{U}::high::manual", "animate-manual", "clip"),
        *((f"MJ::Job::PicReader::{n}", f"imagine-{n}", "action") for n in range(1, 5)),
        ("MJ::Job::PromptAnalyzer::2", "imagine-2", "action"),
        ("MJ::JOB::PromptAnalyzer::2", "imagine-2", "action"),
        ("MJ::Picread::Retry", "describe-again", "describe-again"),
    ],
)
def test_a_button_is_known_by_its_custom_id(custom_id: str, name: str, operation: str) -> None:
    # The label lies on purpose: only what the customId means counts.
    (action,) = offered(button(custom_id, "U1", style="3", type="2"))
    assert (action.name, action.operation, dict(action.values)) == (name, operation, {"customId": custom_id})
    assert action.once == name.startswith("upscale")
    assert action.needs == (("mask",) if name == "vary-region" else ())


@pytest.mark.parametrize(
    "entry",
    [
        button(f"MJ::BOOKMARK::{U}", "❤️"),
        button("", "Web", style=5),
        button(None, "Web"),
        {"label": "U1"},
        button("MJ::CancelJob::ByJobid::1", "Cancel"),
        button("MJ::Prompts::Appeal", "Appeal"),
        button("MJ::JOB::unheard_of::1", "Do wonders"),
        button(7, "U1"),
        "MJ::JOB::upsample::1",
        None,
        [],
    ],
)
def test_what_is_no_action_is_not_offered(entry: Any) -> None:
    assert offered(entry) == []


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("U3", "upscale-3"),
        ("V4", "vary-4"),
        ("Upscale (Subtle)", "upscale-subtle"),
        ("Upscale (2x)", "upscale-2x"),
        ("Vary (Strong)", "vary-strong"),
        ("Zoom Out 1.5x", "zoom-out-1.5x"),
        ("Custom Zoom", "custom-zoom"),
        ("Animate (High motion)", "animate-high"),
        ("Extend (Low motion)", "extend-low"),
        ("Make Square", "make-square"),
    ],
)
def test_the_label_speaks_where_the_custom_id_says_nothing(label: str, name: str) -> None:
    assert [action.name for action in offered(button("relay-7731", label))] == [name]


def test_position_and_gaps_mean_nothing() -> None:
    entries = [button(f"MJ::JOB::upsample::{n}::{U}", f"U{n}") for n in (1, 2, 4)]
    entries += [button(f"MJ::JOB::variation::{n}::{U}", f"V{n}") for n in (3, 4)]
    random.Random(7).shuffle(entries)
    found = {action.label: action.values["customId"] for action in offered(*entries)}
    assert found == {entry["label"]: entry["customId"] for entry in entries}
    assert {action.name for action in offered(*entries)} == {"upscale-1", "upscale-2", "upscale-4", "vary-3", "vary-4"}


def test_u1_of_clips_and_of_pictures_are_different_things() -> None:
    clip = button(f"MJ::JOB::video_virtual_upscale::1::{U}", "U1")
    (first, again) = offered(clip, button(f"MJ::JOB::reroll::0::{U}::SOLO"), action="VIDEO")
    assert (first.operation, again.operation) == ("clip", "clip")
    (picture,) = offered(button(f"MJ::JOB::upsample::1::{U}", "U1"))
    assert picture.operation == "upscale"
    by_label, longer = offered(button("relay-1", "U1"), videoUrls=[{"url": "https://a.example/1.mp4"}])
    assert by_label.operation == "clip"
    assert (longer.name, longer.operation, dict(longer.values)) == ("extend-1", "extend", {"index": 0})


def test_imagine_all_is_one_press_for_four_jobs() -> None:
    (action,) = offered(button("MJ::Job::PicReader::all", "Imagine all"))
    assert (action.name, action.operation, action.jobs, action.once) == ("imagine-all", "imagine-all", 4, False)


def test_the_server_without_buttons_offers_changes_by_name_and_number() -> None:
    bare = {"status": "SUCCESS", "action": "IMAGINE", "properties": {"messageHash": U, "flags": 0}}
    found = {action.name: action for action in actions(bare)}
    names = [*(f"upscale-{n}" for n in range(1, 5)), "reroll", *(f"vary-{n}" for n in range(1, 5))]
    assert list(found) == names
    assert found["upscale-3"].values == {"action": "UPSCALE", "index": 3}
    assert {action.operation for action in found.values()} == {"change"}
    assert [action.once for action in found.values()] == [True] * 4 + [False] * 5
    for other in ({**bare, "buttons": None}, {**bare, "action": "UPSCALE"}, {**bare, "properties": {}}):
        assert actions(other) == []


def test_several_of_one_meaning_are_told_apart_and_repeats_are_not() -> None:
    entries = [button(f"MJ::JOB::animate_high::{n}::{U}::SOLO", "Animate (High motion)") for n in (1, 2)]
    assert [action.name for action in offered(*entries)] == ["animate-high-1", "animate-high-2"]
    assert [action.name for action in offered(entries[0], dict(entries[0]))] == ["animate-high"]


@pytest.mark.parametrize(
    "document", [None, [], "text", {}, {"buttons": None}, {"buttons": "[]"}, {"buttons": {"a": 1}}]
)
def test_documents_without_buttons_offer_nothing(document: Any) -> None:
    assert actions(document) == []


@given(
    st.recursive(
        st.none() | st.text() | st.integers(),
        lambda inner: (
            st.dictionaries(
                st.sampled_from(
                    ("customId", "label", "emoji", "buttons", "status", "action", "properties", "videoUrls")
                ),
                inner,
            )
            | st.lists(inner)
        ),
        max_leaves=20,
    )
)
def test_no_document_is_too_odd(document: Any) -> None:
    window = {"buttons": document, "status": "MODAL", "properties": document, "customId": document}
    operations = {operation.name for operation in ai302_midjourney.ai302_family().operations}
    for action in (*actions(document), *actions(window)):
        assert action.name
        assert action.operation in operations, "what is offered can be pressed"


@pytest.mark.parametrize(
    ("members", "needs", "shown"),
    [
        ({"customId": f"MJ::Inpaint::1::{U}::SOLO", "prompt": "a cat"}, ("mask",), None),
        ({"action": "INPAINT", "customId": "", "properties": {"finalPrompt": ""}}, ("mask",), None),
        ({"action": "CUSTOM_ZOOM", "prompt": "a cat --zoom 2"}, ("zoom",), "a cat --zoom 2"),
        (
            {"properties": {"customId": f"MJ::CustomZoom::{U}", "finalPrompt": "a dog --zoom 2"}},
            ("zoom",),
            "a dog --zoom 2",
        ),
        ({"customId": "MJ::Job::PicReader::1", "prompt": "1️⃣ a\n\n2️⃣ b", "properties": None}, (), None),
        ({}, (), None),
    ],
)
def test_an_open_window_takes_an_answer(members: dict[str, Any], needs: tuple[str, ...], shown: str | None) -> None:
    (answer,) = actions({"status": "MODAL", "buttons": [button(f"MJ::JOB::upsample::1::{U}", "U1")], **members})
    assert (answer.name, answer.operation, answer.needs) == ("continue", "modal", needs)
    assert answer.values.get("prompt") == shown


def pressed(custom_id: str, parent_route: dict[str, str] | None = None, **fields: Any) -> dict[str, Any]:
    """The body a press sends."""
    (action,) = offered(button(custom_id))
    operation = FAMILY.operation(action.operation)
    assert operation is not None
    made = planning.plan(ACCOUNT, planning.press(operation, action.name, "17", action, fields))
    assert made.operation is operation
    content = {place: Picture(content=b"1", media_type="image/png") for place, _ in made.request.media()}
    call, warnings = planning.build(ACCOUNT, made, content)
    assert call.url == "https://api.302.ai/mj/submit/action"
    assert warnings == ()
    assert call.body is not None
    body = json.loads(call.body)
    assert isinstance(body, dict)
    return body


@pytest.mark.parametrize(
    ("custom_id", "fields", "more"),
    [
        (f"MJ::JOB::upsample::2::{U}", {}, {}),
        (f"MJ::JOB::variation::2::{U}", {"remix": True, "prompt": "a dog"}, {"enableRemix": True}),
        (f"MJ::Inpaint::1::{U}::SOLO", {"mask": b"1"}, {}),
        (f"MJ::Inpaint::1::{U}::SOLO", {"mask": b"1", "prompt": "a dog"}, {}),
        (f"MJ::CustomZoom::{U}", {"zoom": 1.5, "aspect_ratio": "3:2"}, {}),
        (f"MJ::CustomZoom::{U}", {"prompt": "a dog --zoom 2 --ar 3:2"}, {}),
        ("MJ::Job::PicReader::2", {"prompt": "a dog --ar 3:2"}, {}),
        (f"MJ::JOB::video::1::{U}::high::manual", {"prompt": "it turns"}, {}),
        ("MJ::Picread::Retry", {}, {}),
    ],
)
def test_a_press_sends_the_button_and_nothing_of_its_window(custom_id: str, fields: Any, more: Any) -> None:
    assert pressed(custom_id, **fields) == {"taskId": "17", "customId": custom_id, **more}


@pytest.mark.parametrize(
    ("custom_id", "fields", "at_fault"),
    [
        (f"MJ::JOB::upsample::2::{U}", {"prompt": "a dog"}, "prompt"),
        (f"MJ::JOB::variation::2::{U}", {"prompt": "a dog"}, "prompt"),
        (f"MJ::JOB::variation::2::{U}", {"mask": b"1"}, "mask"),
        (f"MJ::JOB::variation::2::{U}", {"remix": True, "zoom": 2}, "zoom"),
        (f"MJ::Inpaint::1::{U}::SOLO", {"prompt": "a dog"}, "mask"),
        (f"MJ::CustomZoom::{U}", {}, "zoom"),
        (f"MJ::CustomZoom::{U}", {"prompt": "a dog"}, "zoom"),
        (f"MJ::CustomZoom::{U}", {"zoom": 3}, "zoom"),
        (f"MJ::CustomZoom::{U}", {"prompt": "a dog --zoom 3"}, "zoom"),
        (f"MJ::CustomZoom::{U}", {"prompt": "a dog --zoom 2", "zoom": 1.5}, "zoom"),
        ("MJ::Job::PicReader::2", {"zoom": 2}, "zoom"),
    ],
)
def test_a_press_takes_only_what_its_window_can_hold(custom_id: str, fields: Any, at_fault: str) -> None:
    with pytest.raises(ParameterError) as refused:
        pressed(custom_id, **fields)
    assert refused.value.field == at_fault


@pytest.mark.parametrize(
    ("values", "fields", "words"),
    [
        ({}, {}, ""),
        ({"prompt": "a cat"}, {}, ""),
        ({}, {"prompt": "a dog"}, "a dog"),
        ({"prompt": "a cat --ar 3:2 --zoom 2"}, {"zoom": 1.5}, "a cat --ar 3:2 --zoom 1.5"),
        ({"prompt": "a cat --zoom 2 --ar 3:2"}, {"zoom": 1, "aspect_ratio": "1:1"}, "a cat --ar 1:1 --zoom 1"),
        ({"prompt": "a cat --zoom 2"}, {"zoom": 1.5, "prompt": "a dog"}, "a dog --zoom 1.5"),
        ({}, {"prompt": "a dog --zoom 1.5"}, "a dog --zoom 1.5"),
    ],
)
def test_the_answer_holds_the_words_and_their_flags(values: Any, fields: Any, words: str) -> None:
    operation = FAMILY.operation("modal")
    assert operation is not None
    answer = Action(name="continue", operation="modal", values=values)
    made = planning.plan(ACCOUNT, planning.press(operation, "continue", "18", answer, fields))
    call, _ = planning.build(ACCOUNT, made, {})
    assert call.body is not None
    assert json.loads(call.body) == {"taskId": "18", "prompt": words}


def test_an_answer_without_any_words_is_refused() -> None:
    operation = FAMILY.operation("modal")
    assert operation is not None
    answer = Action(name="continue", operation="modal", needs=("zoom",))
    made = planning.plan(ACCOUNT, planning.press(operation, "continue", "18", answer, {"zoom": 2}))
    with pytest.raises(ParameterError, match="shows no words"):
        planning.build(ACCOUNT, made, {})


def test_a_press_is_plain_data() -> None:
    press = VaryRequest("vary-2", task="17", values={"customId": "MJ::JOB::variation::2"}, remix=True)
    assert VaryRequest.from_json(press.to_json()) == press
    with pytest.raises(ParameterError):
        ClipRequest("extend-high", remix="yes")  # type: ignore[arg-type]
