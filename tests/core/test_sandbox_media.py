"""The sandbox's pictures and clips: real files, the same for the same look, quadrants equal to tiles."""

from __future__ import annotations

import base64
import io
import json
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from ai302_core.sandbox import Look, clip, data_link, grid, media, picture_size, preview, tile

LOOKS = [Look("a paper lantern over a canal", str(number), "seed") for number in range(1, 5)]


def opened(content: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(content))
    picture.load()
    return picture


def boxes(content: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[str, bytes]]:
    """Every box with the bytes inside it, containers opened."""
    end = len(content) if end is None else end
    while start < end:
        size, kind = struct.unpack_from(">I4s", content, start)
        assert 8 <= size <= end - start, f"the box {kind!r} says {size} bytes"
        yield kind.decode(), content[start + 8 : start + size]
        if kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"dinf"):
            yield from boxes(content, start + 8, start + size)
        start += size
    assert start == end


@pytest.mark.parametrize("size", [(640, 640), (784, 522), (641, 523)])
def test_each_quadrant_of_a_grid_is_the_tile(size: tuple[int, int]) -> None:
    whole = opened(grid(LOOKS, size))
    assert whole.size == size
    width, height = size
    left, top = width // 2, height // 2
    cells = [(0, 0, left, top), (left, 0, width, top), (0, top, left, height), (left, top, width, height)]
    for look, cell in zip(LOOKS, cells, strict=True):
        alone = opened(tile(look, (cell[2] - cell[0], cell[3] - cell[1])))
        assert ImageChops.difference(whole.crop(cell), alone).getbbox() is None


def test_a_picture_shows_its_text_and_differs_by_look() -> None:
    plain = opened(tile(Look("", "1", "seed"), (320, 320)))
    written = opened(tile(Look("words", "1", "seed"), (320, 320)))
    assert written.format == "PNG"
    assert ImageChops.difference(plain, written).crop((0, 0, 320, 60)).getbbox() is not None
    assert len({tile(look, (320, 320)) for look in LOOKS}) == 4
    assert tile(LOOKS[0], (320, 320)) == tile(LOOKS[0], (320, 320))


@pytest.mark.parametrize("text", ["", "x" * 20_000, "纸灯笼\n🏮", " " * 50])
@pytest.mark.parametrize("size", [(1, 1), (40, 900), (320, 320)])
def test_any_text_fits_any_size(text: str, size: tuple[int, int]) -> None:
    assert opened(tile(Look(text, "1", "seed"), size)).size == size


def test_a_preview_is_a_small_webp() -> None:
    picture = opened(preview(LOOKS, (640, 480), 0.5))
    assert (picture.format, picture.size) == ("WEBP", (320, 240))


def test_a_clip_has_the_boxes_of_a_movie() -> None:
    content = clip(LOOKS[0], (160, 100), frames=5)
    found = dict(boxes(content))
    assert list(found)[:2] == ["ftyp", "moov"], "the index comes first, so that a player may start at once"
    assert b"avc1" in found["ftyp"]
    width, height = struct.unpack(">II", found["tkhd"][-8:])
    assert (width >> 16, height >> 16) == (160, 96)
    _, _, count = struct.unpack_from(">III", found["stsz"])
    sizes = struct.unpack_from(f">{count}I", found["stsz"], 12)
    (offset,) = struct.unpack_from(">I", found["stco"], 8)
    assert count == 5
    assert content[offset : offset + sum(sizes)] == found["mdat"]
    for size in sizes:
        (unit,) = struct.unpack_from(">I", content, offset)
        assert unit == size - 4
        assert content[offset + 4] & 0x1F == 5, "every sample is a key frame"
        assert b"\0\0\0" not in content[offset + 4 : offset + size], "no start code inside a unit"
        offset += size


@pytest.mark.skipif(shutil.which("ffprobe") is None or shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_a_player_decodes_the_clip_to_the_picture_it_shows(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip(LOOKS[1], (160, 96), frames=6))
    probe = ["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-of", "json", str(path)]
    stream = json.loads(subprocess.run(probe, check=True, capture_output=True).stdout)["streams"][0]
    assert (stream["codec_name"], stream["width"], stream["height"]) == ("h264", 160, 96)
    assert (stream["nb_read_frames"], float(stream["duration"])) == ("6", 1.5)
    decode = ["ffmpeg", "-v", "error", "-xerror", "-i", str(path), "-frames:v", "1", str(tmp_path / "frame.png")]
    done = subprocess.run(decode, check=True, capture_output=True)
    assert done.stderr == b""
    frame = Image.open(tmp_path / "frame.png").convert("L").crop((0, 0, 160, 90))
    meant = opened(tile(LOOKS[1], (160, 96))).convert("L").crop((0, 0, 160, 90))
    assert max(abs(a - b) for a, b in zip(frame.tobytes(), meant.tobytes(), strict=True)) <= 12


def test_pictures_are_known_by_content() -> None:
    assert picture_size(tile(LOOKS[0], (32, 16))) == ("PNG", 32, 16)
    assert picture_size(tile(LOOKS[0], (320, 160))[:300]) is None
    assert picture_size(b"<html></html>") is None
    assert picture_size(b"") is None


def test_a_data_link_is_base64_with_content() -> None:
    body = base64.b64encode(b"picture").decode()
    assert data_link(f"data:image/png;base64,{body}") == ("image/png", b"picture")
    for other in (body, "data:image/png;base64,", "data:image/png,raw", "data:image/png;base64,***", None, 7):
        assert data_link(other) is None


@pytest.mark.parametrize("fonts", ["none", "this system's"])
def test_no_letter_of_a_prompt_is_an_empty_box(fonts: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if fonts == "none":
        monkeypatch.setattr(media, "_fonts", lambda: ())
    name, drawn, _ = media._lettered("红灯笼 🏮 žluťoučký", 20)
    assert name.getbbox(drawn)[2] > 0
    font = None if fonts == "none" else next((entry for entry in media._fonts() if entry in str(name.path)), None)
    assert all(media._drawable(font, letter) for letter in set(drawn))
    if fonts == "none":
        assert drawn == "\\u7ea2\\u706f\\u7b3c \\U0001f3ee zlutoucky"
    tile(Look("红灯笼 🏮", "1", "seed"), (64, 64))
