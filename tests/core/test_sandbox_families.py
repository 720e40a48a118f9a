"""The sandbox finds what installed families emulate; a broken one costs only itself, and nothing heavy comes early."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from ai302_core.assets import AssetKind
from ai302_core.family import AssetAt, Family, Gateway, ImageRequest, Operation, image, post
from ai302_core.sandbox import serve
from ai302_core.sandbox.replaying import emulation_of
from ai302_core.sandbox.samples import Exchange, Sample

FAMILY = """
from ai302_core.family import Family, ImageRequest, Operation, hookimpl, image, post

@hookimpl
def ai302_family():
    draw = Operation("draw", request=ImageRequest, submit=post("/draw"), body={}, assets=(image("url"),))
    return Family("NAME", api=1, base_url="https://api.acme.example", operations=(draw,))
"""
EMULATED = """
@hookimpl
def ai302_sandbox():
    from ai302_core.sandbox import Answer, Emulation, Route
    def look(world, incoming):
        return Answer(200, dict(incoming.params))
    route = Route(name="poll", method="GET", path="/acme/{id}", handler=look)
    return Emulation(family="acme", routes=(route,))
"""
ODD = """
@hookimpl
def ai302_sandbox():
    return {"routes": ()}
"""
BROKEN = "raise SystemExit('its licence ran out')\n"


def install(folder: Path, name: str, source: str) -> None:
    """A distribution of one module with one entry point."""
    (folder / f"{name}_family.py").write_text(source, encoding="utf-8")
    info = folder / f"{name}_family-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-family\nVersion: 1.0\n", encoding="utf-8")
    entry = f"[ai302_core.families]\n{name} = {name}_family\n"
    (info / "entry_points.txt").write_text(entry, encoding="utf-8")


@pytest.mark.parametrize(
    ("kind", "media_type"), [("image", "image/png"), ("video", "video/mp4"), ("audio", "audio/wav")]
)
def test_a_link_of_a_sample_is_a_file_of_its_kind(kind: AssetKind, media_type: str) -> None:
    link = "https://file.302.ai/gpt/imgs/20261121/one"
    make = Operation("make", request=ImageRequest, submit=post("/make"), assets=(AssetAt(kind=kind, paths=("url",)),))
    family = Family("acme", api=1, base_url="https://api.acme.example", operations=(make,))
    sample = Sample(
        name="good", operation="make", request={"type": "ImageRequest", "prompt": "a boat"},
        exchanges=(Exchange(method="POST", path="/make", reply={"url": link}),),
        expect={"status": "succeeded", "assets": [{"kind": kind, "url": link}]},
    )  # fmt: skip
    with serve(families=[emulation_of(family, [sample])]) as sandbox:
        told = httpx.post(
            f"{sandbox.url}/make", json={}, headers={"authorization": f"Bearer {sandbox.key}"}, verify=False
        )
        file = httpx.get(told.json()["url"], verify=False)
    assert (file.status_code, file.headers["content-type"], len(file.content) > 100) == (200, media_type, True)


def test_installed_families_are_served_and_broken_ones_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, source in (("acme", FAMILY + EMULATED), ("broken", BROKEN), ("plain", FAMILY), ("odd", FAMILY + ODD)):
        install(tmp_path, name, source.replace("NAME", name))
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    with serve() as sandbox:
        assert httpx.get(f"{sandbox.url}/acme/7", verify=False).json() == {"id": "7"}
        assert any("broken" in sentence and "licence" in sentence for sentence in sandbox.skipped)
        assert any("odd is left out: its ai302_sandbox gives dict" in sentence for sentence in sandbox.skipped)
        assert not any("plain" in sentence or "acme" in sentence for sentence in sandbox.skipped)


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("ai302_core.sandbox", "starlette uvicorn PIL httpx pydantic"),
        ("ai302_midjourney", "starlette uvicorn PIL ai302_core.sandbox"),
        ("ai302_midjourney._sandbox", "starlette uvicorn PIL"),
        ("ai302_unified_image", "starlette uvicorn PIL ai302_core.sandbox"),
        ("ai302_unified_image._sandbox", "starlette uvicorn PIL"),
    ],
)
def test_nothing_heavy_comes_before_it_is_used(module: str, absent: str) -> None:
    program = f"import sys, {module}; print([name for name in {absent.split()} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"


def test_a_missing_extra_is_said_with_the_line_that_installs_it() -> None:
    program = (
        "import sys; sys.modules['starlette'] = None\n"
        "from ai302_core.sandbox import serve\n"
        "from ai302_core.errors import ConfigError\n"
        "try: serve(families=[])\n"
        "except ConfigError as problem: print(problem, problem.hint)\n"
    )
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert "starlette" in found.stdout
    assert 'pip install "./core[sandbox]"' in found.stdout


def test_a_sample_that_names_no_gateway_wants_the_key_where_the_first_wants_it() -> None:
    family = Family(
        "acme", api=1, base_url="https://api.acme.example",
        gateways=(Gateway("own", base_url="https://api.acme.example", auth="X-Acme-Key: {key}"),),
        operations=(Operation("draw", request=ImageRequest, submit=post("/draw"), body={}, assets=(image("url"),)),),
    )  # fmt: skip
    reply = {"url": "https://files.acme.example/a.png"}
    sample = Sample(
        name="draw", operation="draw", request=ImageRequest("a boat").to_json(),
        exchanges=(Exchange(method="POST", path="/draw", status=200, reply=reply),),
        expect={"status": "succeeded", "assets": [{"kind": "image", **reply}]},
    )  # fmt: skip
    with serve(families=[emulation_of(family, [sample])]) as sandbox:
        keys = ({"X-Acme-Key": sandbox.key}, {"Authorization": f"Bearer {sandbox.key}"})
        answers = [httpx.post(f"{sandbox.url}/draw", json={}, headers=key, verify=False) for key in keys]
    assert [answer.status_code for answer in answers] == [200, 401]
