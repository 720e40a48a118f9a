"""Names of saved files: valid on three systems, inside their folder, never shared."""

from __future__ import annotations

import itertools
import os
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ai302_core._files import naming
from ai302_core.assets import Asset
from ai302_core.errors import ParameterError
from ai302_core.jobs import Job, Status
from ai302_core.requests import ActionRequest, ImageRequest, Request

TILES = [Asset(kind="image", role="tile", index=number) for number in (1, 2, 3, 4)]
GRID = Asset(kind="image", role="grid")
MOMENT = datetime(2026, 11, 22, 3, tzinfo=timezone(timedelta(hours=8)))


def job(request: Request | None = None, key: str | None = None) -> Job:
    asked = request or ImageRequest("A cat, on a roof! --ar 16:9")
    values = {"operation": "imagine", "status": Status.SUCCEEDED, "created_at": MOMENT, "request": asked, "key": key}
    return Job(id="261121-k3v9xq2m", provider="hero", family="midjourney", **values)  # type: ignore[arg-type]


def names(to: str, assets: list[Asset] = TILES, extra: dict[str, object] | None = None, **given: str) -> list[str]:
    targets = naming.plan(naming.fill(to, extra or {}), job(**given), assets)  # type: ignore[arg-type]
    return [(target.folder / target.stem).as_posix() for target in targets]


def valid(name: str) -> bool:
    """Whether Linux, macOS and Windows all take this name."""
    reserved = re.fullmatch(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$) *(\..*)?", name, re.DOTALL)
    return (
        bool(name)
        and not reserved
        and not re.search(r'[<>:"/\\|?*\x00-\x1f\x7f]', name)
        and name[-1] not in " ."
        and name[0] not in " "
        and len(name.encode("utf-8")) <= 255
    )


def test_rows_of_one_place_are_told_apart_by_a_number() -> None:
    for to, numbered in (("a/{}x-{n}", "a/{}x-{n}_2"), ("v.1/{}x", "v.1/{}x_2"), ("{}x.png", "{}x_2.png")):
        assert (naming.shareable(to), naming.numbered(to, 1), naming.numbered(to, 2)) == (True, to, numbered)
        assert [naming.number_of(place, to) for place in (to, numbered, f"{numbered}_2", "")] == [1, 2, None, None]
    # A folder's names, and those with an id, are their job's own.
    assert [naming.shareable(to) for to in ("shots/", "shots", "s/{id}/{n}", "{key}", "{{id}}{n}")] == [False] * 4 + [
        True
    ]


def test_a_folder_gets_readable_names() -> None:
    assert names("out") == [f"out/a-cat-on-a-roof-v9xq2m-{number}" for number in (1, 2, 3, 4)]
    assert names("out/", TILES[:1]) == ["out/a-cat-on-a-roof-v9xq2m"]
    assert names("x.png/", TILES[:1]) == ["x.png/a-cat-on-a-roof-v9xq2m"]
    assert names("v6.1", TILES[:1]) == ["v6.1/a-cat-on-a-roof-v9xq2m"]
    assert names("out", [GRID]) == ["out/a-cat-on-a-roof-v9xq2m-grid"]


@pytest.mark.parametrize(
    ("request_", "slug"),
    [
        (ImageRequest("夜晚的猫 在屋顶"), "夜晚的猫-在屋顶-v9xq2m"),
        (ImageRequest("नमस्ते"), "नमस्ते-v9xq2m"),
        (ImageRequest("../../etc/passwd"), "etc-passwd-v9xq2m"),
        (ImageRequest("!!! 🎉"), "v9xq2m"),
        (ImageRequest("word " * 50), "word-word-word-word-word-word-word-word-v9xq2m"),
        (ActionRequest("upscale-2"), "upscale-2-v9xq2m"),
    ],
)
def test_the_default_name_is_the_prompts_beginning(request_: Request, slug: str) -> None:
    (target,) = naming.plan("out", job(request_), TILES[:1])
    assert target.stem == slug


def test_a_disk_that_lacks_the_prompts_letters_gets_no_name_that_looks_like_an_option(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsencode", lambda text: text.encode("ascii"))
        (target,) = naming.plan("out", job(ImageRequest("夜晚的猫 在屋顶")), TILES[:1])
    assert target.stem == "v9xq2m"


def test_templates() -> None:
    assert names("s/{provider}_{model}/{date}-{n}") == [f"s/hero_midjourney/2026-11-21-{n}" for n in (1, 2, 3, 4)]
    assert names("{key}", TILES[:1], key="order/7") == ["order_7"]
    assert names("{id}", TILES[:1]) == ["261121-k3v9xq2m"]
    assert names("out/cat.png", TILES[:1]) == ["out/cat"]
    assert names("out/cat.MP4") == [f"out/cat-{n}" for n in (1, 2, 3, 4)]
    assert names("a{{b}}/{n}")[0] == "a{b}/1"
    assert names("{n}/cat.png") == [f"{n}/cat" for n in (1, 2, 3, 4)]
    assert names("../up/cat.png", TILES[:1]) == ["../up/cat"]
    assert names("{date}/sub", TILES[:1]) == ["2026-11-21/sub/a-cat-on-a-roof-v9xq2m"]


def test_columns_of_a_batch() -> None:
    assert names("s/{sku}-{n}", extra={"sku": "A/7"})[0] == "s/A_7-1"
    assert names("s/{sku}", TILES[:1], {"sku": "v1.2"}) == ["s/v1.2"]
    assert names("s/{file}", extra={"file": "cat.jpg"})[1] == "s/cat-2"
    assert names("{Product Name}", TILES[:1], {"Product Name": 12}) == ["12"]
    assert names("{id}", TILES[:1], {"id": "row 4"}) == ["row 4"]
    assert names("{sku}/{n}", extra={"sku": ".."})[0] == "_/1"
    assert names("{sku}/{n}", extra={"sku": ""})[0] == "_/1"


def test_a_filled_destination_means_the_same_when_it_is_filled_again() -> None:
    for to in ("s/{sku}", "s/{sku}-{n}", "{sku}/{sku}", "{{{sku}}}", "{sku}/", "s/{sku}.png", "{sku}/x"):
        for sku in ("A-7", "v1.2", "{n}", "cat.jpg", "..", "}{", "CON"):
            kept = naming.fill(to, {"sku": sku})
            assert naming.fill(kept, {}) == kept


@pytest.mark.parametrize("to", ["{x}", "{n:03}", "{", "a}", "{n}/{", "{}{y}", "{{n}"])
def test_an_unknown_field_is_told_with_the_known_ones(to: str) -> None:
    with pytest.raises(ParameterError) as caught:
        names(to, extra={"sku": 1})
    assert caught.value.field == "to"
    assert "brace" in str(caught.value)
    if "x" in to:
        assert "{sku}, {n}, {id}" in str(caught.value)


def test_a_nul_is_refused_before_anything_is_paid() -> None:
    with pytest.raises(ParameterError):
        naming.fill("a\0b", {})


def test_assets_of_several_roles_keep_the_numbers_of_the_deliverables() -> None:
    both = [GRID, *TILES]
    assert names("out/cat.png", both) == ["out/cat-grid", *(f"out/cat-{n}" for n in (1, 2, 3, 4))]
    assert names("out", both)[1:] == names("out")
    assert names("{role}-{n}", both)[:2] == ["grid-1", "tile-1"]


def test_names_differ_even_where_case_and_accents_do_not_count() -> None:
    assets = [Asset(kind="image", role="final", index=1), Asset(kind="audio", role="final", index=1)]
    assert names("x/{key}-{n}", assets, key="A") == ["x/A-1", "x/A-2"]
    same = [Asset(kind="image", role=role) for role in ("Straße", "STRASSE", "e\u0301", "é")]
    stems = names("{role}", same)
    assert len({naming.fold(stem) for stem in stems}) == 4


def test_a_taken_name_is_followed_by_numbers_that_nobody_else_has() -> None:
    first, second = naming.plan("{role}", job(), [Asset(kind="image", role="a"), Asset(kind="image", role="a-2")])
    tried = [path.name for path in itertools.islice(naming.candidates(first, ".png"), 3)]
    assert tried == ["a.png", "a-3.png", "a-4.png"]
    assert next(naming.candidates(second, ".png")).name == "a-2.png"


@pytest.mark.parametrize("name", ["CON", "nul.txt", "Com1", "LPT9.tar.gz", "aux ", "CONIN$", "COM¹"])
def test_names_windows_keeps_for_itself(name: str) -> None:
    assert valid(naming.safe(name))


ANY = st.text(alphabet=st.characters(exclude_categories=()), max_size=300) | st.sampled_from(
    [
        "..",
        ".",
        "",
        "CON",
        "nul.txt",
        "a" * 400,
        "猫" * 200,
        "👩‍👩‍👧" * 60,
        "C:\\x",
        "/etc/passwd",
        "a\0b",
        "\ud800",
        " . ",
    ]
)
TEMPLATES = st.sampled_from(["{a}", "{a}/{n}", "{a}{b}/{a}-{n}", "s/{b}-{a}", "{a}.png", "x{a}/{key}", "{b}/{role}/"])


@example(to="s/{b}-{a}", a="a", b="b" * 400, key="", role="r" * 400, prompt="")
@given(to=TEMPLATES, a=ANY, b=ANY, key=ANY, role=ANY, prompt=ANY)
def test_whatever_the_values_are_names_are_valid_inside_and_unshared(
    to: str, a: str, b: str, key: str, role: str, prompt: str
) -> None:
    assets = [*TILES, Asset(kind="image", role=role)]
    root = Path("root").absolute()
    base = job(ImageRequest(prompt), key)
    targets = naming.plan(naming.fill(f"{root}/{to}", {"a": a, "b": b}), base, assets)
    for target in targets:
        path = target.folder / f"{target.stem}-12345.jpeg"
        inside = Path(os.path.normpath(path)).relative_to(root)
        assert all(valid(part) for part in inside.parts), inside
        assert len(inside.parts) == to.count("/") + 1
        assert valid(target.stem)
    folded = [naming.fold(str(target.folder / target.stem)) for target in targets]
    assert len(set(folded)) == len(folded)


@given(ANY)
def test_a_safe_name_stays_as_it_is(text: str) -> None:
    once = naming.safe(text)
    assert valid(once)
    assert naming.safe(once) == once


def test_the_date_is_utc() -> None:
    assert MOMENT.astimezone(UTC).day == 21
    assert names("{date}", TILES[:1]) == ["2026-11-21"]
