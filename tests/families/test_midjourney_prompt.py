"""A prompt's flags: respected where the user wrote them, added where fields say more, refused where both disagree."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ai302_midjourney
from ai302_core._accounts import Account
from ai302_core._flows import planning
from ai302_core._steps import Picture
from ai302_core.errors import ParameterError
from ai302_core.requests import ImageRequest, Request, VideoRequest
from ai302_midjourney import BlendRequest, DescribeRequest, ImagineRequest, MotionRequest, SwapFaceRequest, prompt

FAMILY = ai302_midjourney.ai302_family()


class Key:
    source = "the test"

    def reveal(self) -> str:
        return "sk-secret"


def account(gateway: str = "302ai", **defaults: Any) -> Account:
    chosen = FAMILY.gateway(gateway)
    assert chosen is not None
    return Account(
        name="hero", family=FAMILY, gateway=chosen, base_url="https://api.302.ai", key=Key(), defaults=defaults
    )


def sent(request: Request, at: Account | None = None, *, lenient: bool = False) -> tuple[str, dict[str, Any]]:
    """The address and the body of the submit."""
    made = planning.plan(at or account(), request, lenient=lenient)

    def read(media: Any) -> Picture:
        return Picture(content=media, media_type="image/png") if isinstance(media, bytes) else Picture(url=media)

    call, _ = planning.build(at or account(), made, {place: read(media) for place, media in made.request.media()})
    assert call.body is not None
    return call.url.removeprefix("https://api.302.ai"), json.loads(call.body)


def prompt_of(request: Request, at: Account | None = None) -> str:
    text = sent(request, at)[1]["prompt"]
    assert isinstance(text, str)
    return text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a cat", {}),
        ("a cat --ar 3:2", {"aspect_ratio": "3:2"}),
        ("a cat —ar 3:2", {"aspect_ratio": "3:2"}),
        ("a cat –aspect 3:2", {"aspect_ratio": "3:2"}),
        ("a cat --AR 3:2", {"aspect_ratio": "3:2"}),
        ("a cat --v 7.0", {"version": "7"}),
        ("a cat --version 6.1 --seed 5", {"version": "6.1", "seed": 5}),
        ("a cat --niji 6", {"niji": "6"}),
        ("a cat --niji", {"niji": ""}),
        ("a cat --s 250 --c 10 --w 3", {"stylize": 250, "chaos": 10, "weird": 3}),
        ("a cat --stylize 250 --chaos 10 --weird 3", {"stylize": 250, "chaos": 10, "weird": 3}),
        ("a cat --q .5", {"quality": 0.5}),
        ("a cat --quality 2", {"quality": 2}),
        ("a cat --no dogs, big red balls --v 7", {"negative_prompt": "dogs, big red balls", "version": "7"}),
        ("a cat --no dogs --hd --ar 1:1", {"negative_prompt": "dogs", "aspect_ratio": "1:1"}),
        ("a cat --tile --raw", {"tile": True, "raw": True}),
        ("a cat --style raw", {"raw": True}),
        ("a cat --style cute", {}),
        (
            "a cat --sref 123 https://a.example/b.png --sw 9",
            {"style_references": ("123", "https://a.example/b.png"), "style_weight": 9},
        ),
        (
            "a cat --oref https://a.example/b.png --ow 40",
            {"omni_reference": "https://a.example/b.png", "omni_weight": 40},
        ),
        (
            "a cat --cref https://a.example/b.png --cw 0",
            {"character_references": ("https://a.example/b.png",), "character_weight": 0},
        ),
        ("a cat --iw 1.25", {"image_weight": 1.25}),
        ("a cat --relax", {"speed": "relax"}),
        ("a cat --ar 1:1 --ar 3:2", {"aspect_ratio": "3:2"}),
        ("state-of--the—art, well —known –or not", {}),
        ("a--ar 3:2", {}),
        ("--chaos many", {"chaos": "many"}),
        ("a cat --ar", {"aspect_ratio": ""}),
    ],
)
def test_flags_in_a_prompt_are_understood(text: str, said: dict[str, Any]) -> None:
    assert prompt.said(text) == said


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (
            ImageRequest("a cat", aspect_ratio="16:9", seed=3, negative_prompt="dogs"),
            "a cat --ar 16:9 --seed 3 --no dogs",
        ),
        (ImageRequest("a cat", model="v7"), "a cat --v 7"),
        (ImageRequest("a cat", model="midjourney/6.1"), "a cat --v 6.1"),
        (ImageRequest("a cat", model="niji-6"), "a cat --niji 6"),
        (ImagineRequest("a cat", version="7.0"), "a cat --v 7"),
        (ImagineRequest("a cat", niji="6", model="niji 6"), "a cat --niji 6"),
        (ImagineRequest("a cat", chaos=0, stylize=50, weird=7), "a cat --chaos 0 --stylize 50 --weird 7"),
        (ImagineRequest("a cat", tile=True, raw=False, quality=0.5), "a cat --q 0.5 --tile"),
        (
            ImagineRequest("a cat", style_references=("123", "https://a.example/s.png"), style_weight=5),
            "a cat --sref 123 https://a.example/s.png --sw 5",
        ),
        (
            ImagineRequest("a cat", omni_reference="https://a.example/o.png", omni_weight=9),
            "a cat --oref https://a.example/o.png --ow 9",
        ),
        (
            ImagineRequest("a cat", character_references=("https://a.example/c.png",)),
            "a cat --cref https://a.example/c.png",
        ),
        (ImageRequest("a cat --ar 3:2", aspect_ratio="3:2"), "a cat --ar 3:2"),
        (ImageRequest("a cat —ar 3:2", seed=4), "a cat —ar 3:2 --seed 4"),
        (ImagineRequest("a cat --v 7.0", version="7", model="v7"), "a cat --v 7.0"),
        (ImageRequest("  a  cat — odd – spaces ", seed=1), "  a  cat — odd – spaces  --seed 1"),
        (
            ImageRequest("a cat", images=("https://a.example/1.png", "https://a.example/2.png")),
            "https://a.example/1.png https://a.example/2.png a cat",
        ),
        (ImageRequest("a cat", count=4), "a cat"),
    ],
)
def test_fields_become_flags(request_: Request, text: str) -> None:
    assert prompt_of(request_) == text


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (ImageRequest("a cat --ar 3:2", aspect_ratio="1:1"), "aspect_ratio"),
        (ImageRequest("a cat --seed 3", seed=4), "seed"),
        (ImageRequest("a cat --no dogs", negative_prompt="cats"), "negative_prompt"),
        (ImagineRequest("a cat --v 6", version="7"), "version"),
        (ImagineRequest("a cat --niji 6", version="7"), "version"),
        (ImagineRequest("a cat --v 6", model="v7"), "model"),
        (ImagineRequest("a cat", version="6", niji="6"), "version"),
        (ImagineRequest("a cat", version="6", model="v7"), "model"),
        (ImagineRequest("a cat --v 6 --niji 6"), "prompt"),
        (ImagineRequest("a cat --turbo", speed="relax"), "speed"),
        (MotionRequest("rain --motion high", first_frame="https://a.example/1.png", motion="low"), "motion"),
    ],
)
def test_a_contradiction_is_refused(request_: Request, field: str) -> None:
    with pytest.raises(ParameterError) as refused:
        sent(request_)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("defaults", "request_", "text"),
    [
        ({"aspect_ratio": "1:1"}, ImageRequest("a cat"), "a cat --ar 1:1"),
        ({"aspect_ratio": "1:1"}, ImageRequest("a cat --ar 3:2"), "a cat --ar 3:2"),
        ({"aspect_ratio": "1:1"}, ImageRequest("a cat", aspect_ratio="2:3"), "a cat --ar 2:3"),
        ({"version": "7"}, ImageRequest("a cat --niji 6"), "a cat --niji 6"),
        ({"version": "7"}, ImagineRequest("a cat", niji="6"), "a cat --niji 6"),
        ({"model": "v7"}, ImagineRequest("a cat", version="6.1"), "a cat --v 6.1"),
        ({"model": "v7"}, ImageRequest("a cat --v 6.1"), "a cat --v 6.1"),
        ({"version": "7"}, ImageRequest("a cat", model="v6"), "a cat --v 6"),
        ({"raw": True}, ImagineRequest("a cat", raw=False), "a cat"),
    ],
)
def test_defaults_yield_to_fields_and_flags(defaults: dict[str, Any], request_: Request, text: str) -> None:
    assert prompt_of(request_, account(**defaults)) == text


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (ImageRequest(""), "prompt"),
        (ImageRequest("   "), "prompt"),
        (ImageRequest("--ar 3:2"), "prompt"),
        (ImageRequest("x" * 20_000), "prompt"),
        (ImageRequest("cats --repeat 4"), "prompt"),
        (ImageRequest("cats", size="1024x1024"), "size"),
        (ImageRequest("cats", resolution="2K"), "resolution"),
        (ImageRequest("cats", count=1), "count"),
        (ImageRequest("cats", mask=b"\x89PNG"), "mask"),
        (ImageRequest("cats", seed=-1), "seed"),
        (ImageRequest("cats", model="flux-dev"), "model"),
        (ImageRequest("cats", negative_prompt="dogs --v 5"), "negative_prompt"),
        (ImageRequest("cats --chaos 101"), "chaos"),
        (ImagineRequest("cats", stylize=1001), "stylize"),
        (BlendRequest((b"1",)), "images"),
        (BlendRequest((b"1",) * 6), "images"),
        (BlendRequest((b"1", b"2"), aspect_ratio="16:9"), "aspect_ratio"),
        (VideoRequest("rain"), "first_frame"),
        (VideoRequest("", first_frame=b"1"), "prompt"),
        (VideoRequest("rain", first_frame=b"1", duration=8), "duration"),
        (VideoRequest("rain", first_frame=b"1", audio=True), "audio"),
        (VideoRequest("rain", first_frame=b"1", aspect_ratio="16:9"), "aspect_ratio"),
        (VideoRequest("rain", first_frame=b"1", resolution="1080p"), "resolution"),
        (VideoRequest("rain", first_frame=b"1", seed=4), "seed"),
        (VideoRequest("rain", first_frame=b"1", model="v7"), "model"),
        (VideoRequest("rain", first_frame=b"1", negative_prompt="dogs"), "negative_prompt"),
        (VideoRequest("rain", first_frame=b"1", references=(b"2",)), "references"),
        (VideoRequest("rain", first_frame=b"1", video=b"2"), "video"),
        (MotionRequest("rain", first_frame=b"1", motion="wild"), "motion"),
        (ImagineRequest("cats", speed="fast"), "speed"),
        (ImagineRequest("cats", speed="warp"), "speed"),
    ],
)
def test_what_cannot_be_said_is_refused_before_money_moves(request_: Request, field: str) -> None:
    with pytest.raises(ParameterError) as refused:
        sent(request_)
    assert refused.value.field == field
    assert "Nothing was sent." in str(refused.value)


@pytest.mark.parametrize(
    "values",
    [
        {"chaos": "10"},
        {"chaos": 1.5},
        {"quality": True},
        {"quality": float("nan")},
        {"image_weight": float("inf")},
        {"tile": 1},
        {"version": "seven"},
        {"niji": True},
        {"style_references": ("./style.png",)},
        {"style_references": ("two words",)},
        {"style_references": ("--v",)},
        {"omni_reference": "face.png"},
        {"omni_reference": "abc"},
        {"character_references": ("data:image/png;base64,aaaa",)},
    ],
)
def test_values_of_the_wrong_shape_never_become_a_request(values: dict[str, Any]) -> None:
    with pytest.raises(ParameterError) as refused:
        ImagineRequest("a cat", **values)
    assert refused.value.field == next(iter(values))


def test_an_operation_without_its_picture_never_becomes_a_request() -> None:
    nothing: Any = None
    with pytest.raises(ParameterError, match="must be given"):
        DescribeRequest(nothing)
    with pytest.raises(ParameterError, match="face"):
        SwapFaceRequest(b"a picture", face=nothing)


def test_lenient_leaves_out_what_cannot_be_said() -> None:
    request = VideoRequest("rain", first_frame=b"1", seed=4, resolution="1080p", duration=8)
    assert sent(request, lenient=True)[1].keys() == {"prompt", "motion", "image"}


@pytest.mark.parametrize(
    ("gateway", "speed", "path"),
    [
        ("302ai", None, "/mj/submit/imagine"),
        ("302ai", "relax", "/mj-relax/submit/imagine"),
        ("302ai", "turbo", "/mj-turbo/submit/imagine"),
        ("new-api", None, "/mj/submit/imagine"),
        ("new-api", "relax", "/mj-relax/mj/submit/imagine"),
        ("new-api", "fast", "/mj-fast/mj/submit/imagine"),
        ("new-api", "turbo", "/mj-turbo/mj/submit/imagine"),
    ],
)
def test_the_speed_chooses_the_path(gateway: str, speed: str | None, path: str) -> None:
    assert sent(ImagineRequest("a cat", speed=speed), account(gateway))[0] == path
    if speed:
        assert sent(ImagineRequest(f"a cat --{speed}"), account(gateway)) == (path, {"prompt": f"a cat --{speed}"})
        assert sent(ImageRequest("a cat"), account(gateway, speed=speed))[0] == path


def test_a_speed_the_gateway_lacks_is_named() -> None:
    with pytest.raises(ParameterError, match=r"302ai offers no speed 'fast'; it has 'relax', 'turbo'"):
        sent(ImagineRequest("a cat", speed="fast"))


def test_files_go_beside_the_prompt_and_links_into_it() -> None:
    body = sent(ImageRequest("a cat", images=(b"one", "https://a.example/2.png", b"three")))[1]
    assert body == {
        "prompt": "https://a.example/2.png a cat",
        "base64Array": ["data:image/png;base64,b25l", "data:image/png;base64,dGhyZWU="],
    }


def test_a_plain_video_request_runs_as_midjourneys() -> None:
    request = VideoRequest("rain", first_frame="https://a.example/1.png", duration=5.0, audio=False)
    rain = {"prompt": "rain", "motion": "low", "image": "https://a.example/1.png"}
    assert sent(request) == ("/mj/submit/video", rain)
    # A default for pictures is not meant for clips, which have no choice of a model.
    assert sent(request, account("302ai", model="v7"))[1] == rain


def test_what_one_server_alone_has_of_a_clip_is_refused_elsewhere_and_never_ignored() -> None:
    """(wire/midjourney.md 2.11) A clip that was paid for must not quietly lack its end."""
    wanted = MotionRequest("rain", first_frame="https://a.example/1.png", last_frame=b"2", loop=True)
    body = sent(wanted, account("mjproxy-net"))[1]
    assert (body["endImage"], body["loop"]) == ("data:image/png;base64,Mg==", True)
    for gateway in ("302ai", "new-api"):
        for field, one in (("loop", replace(wanted, last_frame=None)), ("last_frame", replace(wanted, loop=None))):
            with pytest.raises(ParameterError, match=f"{field} is not taken. Gateway {gateway}") as refused:
                sent(one, account(gateway))
            assert refused.value.field == field
        assert not {"endImage", "loop"} & sent(wanted, account(gateway), lenient=True)[1].keys()
    sharp = replace(wanted, resolution="720P", motion="HIGH")
    body = sent(sharp, account("mjproxy-net"))[1]
    assert (body["videoType"], body["motion"]) == ("vid_1.1_i2v_720", "high")
    # In the words it is Midjourney's own flag, and no member of anybody's.
    assert sent(MotionRequest("rain --loop", first_frame=b"1"))[1]["prompt"] == "rain --loop"


def test_extra_members_reach_the_wire_untouched() -> None:
    extra = {"botType": "NIJI_JOURNEY", "state": "order-7", "notifyHook": "https://me.example/?a=1&b=2"}
    assert sent(ImageRequest("a cat", extra=extra))[1] == {"prompt": "a cat", **extra}


WORDS = st.text(alphabet=st.characters(codec="utf-8", min_codepoint=32), min_size=1, max_size=60)
NUMBERS = st.integers(min_value=0, max_value=100)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "aspect_ratio": st.sampled_from(("1:1", "3:2", "16:9")),
        "seed": st.integers(min_value=0, max_value=4294967295),
        "negative_prompt": st.sampled_from(("dogs", "dogs, cats", "red — things")),
        "version": st.sampled_from(("7", "6.1", "5.2")),
        "chaos": NUMBERS,
        "stylize": NUMBERS,
        "quality": st.sampled_from((0.25, 0.5, 1, 2)),
        "image_weight": st.sampled_from((0.5, 1.25, 3)),
        "tile": st.just(True),
        "raw": st.just(True),
        "style_references": st.sampled_from((("123",), ("1", "https://a.example/s.png"))),
    },
)


@given(WORDS.filter(lambda text: not prompt.said(text) and prompt.words(text) == text.strip() != ""), FIELDS)
def test_nothing_of_the_users_text_is_lost_and_a_second_time_adds_nothing(text: str, fields: dict[str, Any]) -> None:
    once = prompt_of(ImagineRequest(text, **fields))
    assert once.startswith(text)
    said = prompt.said(once)
    assert {name: said[name] for name in fields} == fields
    assert prompt_of(replace(ImagineRequest(text, **fields), prompt=once)) == once


@given(st.text(max_size=80))
def test_any_text_can_be_read(text: str) -> None:
    said = prompt.said(text)
    assert prompt.with_flags(text, said) == text
    assert prompt.words(text) in text
    prompt.without(text, said)


@given(
    st.lists(
        st.sampled_from(["a", "—", "--ar", "3:2", "--no", "x,", "–v", "7", "--style", "raw", " ", "\n", "--hd"]),
        max_size=12,
    )
)
def test_flags_already_there_are_never_repeated(parts: list[str]) -> None:
    text = " ".join(parts)
    fields = {"aspect_ratio": "1:1", "negative_prompt": "y", "version": "6", "raw": True}
    done = prompt.with_flags(text, fields)
    assert done.startswith(text)
    assert prompt.with_flags(done, fields) == done
