"""A job's files on disk: named once, never twice, never half, never over another's; fed by hand."""

from __future__ import annotations

import base64
import errno
import hashlib
import io
import json
import os
import resource
import struct
import sys
import zlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageCms

from ai302_core import downloads
from ai302_core._files import cutting, writing
from ai302_core._steps import Flow, Now, Record, Save, Sleep, Stream, Streamed
from ai302_core.assets import Asset, MediaRef
from ai302_core.errors import DownloadError
from ai302_core.jobs import Job, Notice, Status
from ai302_core.ledger import FileRecord
from ai302_core.requests import ImageRequest

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
GRID = "https://files.example/grid.png"
NAMES = [f"a-cat-v9xq2m-{number}.png" for number in (1, 2, 3, 4)]


def png(width: int, height: int, seed: int = 1) -> bytes:
    file = io.BytesIO()
    pixels = hashlib.shake_128(bytes([seed])).digest(width * height * 3)
    Image.frombytes("RGB", (width, height), pixels).save(file, "PNG")
    return file.getvalue()


PICTURE = png(51, 37)
TILES = tuple(
    Asset(kind="image", role="tile", index=number + 1, url=GRID, cut=(number % 2, number // 2, 2, 2))
    for number in range(4)
)
ASSETS = (Asset(kind="image", role="grid", url=GRID), *TILES)
SINGLES = tuple(Asset(kind="image", index=number, url=f"https://files.example/{number}.png") for number in (1, 2))
JOB = Job(
    id="261121-k3v9xq2m",
    key="order-7",
    provider="hero",
    family="midjourney",
    operation="imagine",
    gateway="302ai",
    base_url="https://api.302.ai",
    remote_id="1234567890",
    status=Status.SUCCEEDED,
    created_at=NOW,
    finished_at=NOW,
    request=ImageRequest("A cat --ar 3:2", seed=7, images=(MediaRef(sha256="0" * 64, size=9, name="ref.png"),)),
    sandbox=True,
    billed="yes",
    warnings=(Notice(code="unknown_status", message="A new word."),),
    raw={"secret": "SENTINEL"},
)


class Ledger:
    """The two methods that saving needs."""

    def __init__(self) -> None:
        self.rows: dict[str, FileRecord] = {}

    def files(self, job_id: str) -> list[FileRecord]:
        return sorted(self.rows.values(), key=lambda record: (record.role, record.index))

    def add_files(self, job_id: str, files: list[FileRecord]) -> None:
        assert job_id == JOB.id
        self.rows |= {record.path: record for record in files}


class World:
    """A file host, a ledger and a clock; counts what is fetched."""

    def __init__(self, **contents: bytes) -> None:
        self.contents = {GRID: PICTURE, **{link.replace("__", "/"): content for link, content in contents.items()}}
        for number, single in enumerate(SINGLES):
            self.contents[str(single.url)] = png(20, 20, number + 5)
        self.ledger = Ledger()
        self.fetched: list[str] = []
        self.headers: list[str] = []
        self.full = 0

    def perform(self, step: Any) -> Any:
        match step:
            case Stream():
                return self.stream(step)
            case Save():
                return step.work()
            case Record():
                return step.apply(self.ledger)  # type: ignore[arg-type]
            case Now():
                return NOW
            case Sleep():
                return None
        raise AssertionError(step)

    def stream(self, step: Stream) -> Streamed:
        self.fetched.append(step.url)
        self.headers.append(repr(step.headers))
        content = self.contents.get(step.url)
        if content is None:
            return Streamed(404, {}, 0, b"gone")
        start = int(step.headers.get("range", "bytes=0-")[6:-1])
        headers = {"etag": '"v"', "content-length": str(len(content) - start)}
        if start:
            headers["content-range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        with step.path.open("ab" if start else "wb") as file:
            if step.began:
                step.began(206 if start else 200, headers)
            if self.full:
                file.write(content[: self.full])
                raise OSError(errno.ENOSPC, "No space left on device")
            file.write(content[start:])
        return Streamed(206 if start else 200, headers, step.path.stat().st_size)

    def run(self, flow: Flow[Any], steps: int | None = None) -> Any:
        """To the end, or killed after so many steps."""
        try:
            step = next(flow)
            while steps is None or steps > 0:
                steps = None if steps is None else steps - 1
                try:
                    outcome = self.perform(step)
                except Exception as problem:
                    step = flow.throw(problem)
                else:
                    step = flow.send(outcome)
        except StopIteration as stop:
            return stop.value
        finally:
            flow.close()
        return None

    def save(self, to: Path | str, assets: tuple[Asset, ...] = ASSETS, **given: Any) -> tuple[list[Path], list[Notice]]:
        found: tuple[list[Path], list[Notice]] = self.run(downloads.save(JOB, assets, to, **given))
        return found


@pytest.fixture
def world() -> World:
    return World()


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_tiles_are_cut_from_one_fetched_grid_and_recorded(world: World, tmp_path: Path) -> None:
    files, notices = world.save(tmp_path / "out")
    assert [path.name for path in files] == NAMES
    assert notices == []
    assert world.fetched == [GRID]
    assert listing(tmp_path / "out") == sorted([*NAMES, "a-cat-v9xq2m-1.json"])
    for path in files:
        record = world.ledger.rows[str(path)]
        assert path.is_absolute()
        assert (record.size, record.sha256) == (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
        assert (record.role, record.asset["media_type"]) == ("tile", "image/png")


@pytest.mark.parametrize("size", [(51, 37), (50, 36), (2, 2), (3, 2), (101, 3)])
def test_no_pixel_of_a_grid_is_lost_or_changed(size: tuple[int, int], tmp_path: Path) -> None:
    world = World()
    world.contents[GRID] = png(*size)
    files, _ = world.save(tmp_path)
    with Image.open(io.BytesIO(world.contents[GRID])) as grid:
        again = Image.new("RGB", grid.size)
        left, top = grid.width // 2, grid.height // 2
        for path, corner in zip(files, [(0, 0), (left, 0), (0, top), (left, top)], strict=True):
            with Image.open(path) as tile:
                again.paste(tile, corner)
                assert tile.size == (
                    grid.width - left if corner[0] else left,
                    grid.height - top if corner[1] else top,
                )
        assert again.tobytes() == grid.tobytes()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_a_tile_keeps_mode_profile_and_transparency(mode: str, tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    source = Image.effect_noise((9, 7), 90)
    grid = source.convert("RGB").convert(mode) if mode != "I;16" else Image.new("I;16", (9, 7), 40000)
    options: dict[str, Any] = {"transparency": 3} if mode == "P" else {}
    grid.save(tmp_path / "grid.png", icc_profile=profile, **options)
    ((content, width, height),) = cutting.cut(tmp_path / "grid.png", [(1, 1, 2, 2)])
    with Image.open(io.BytesIO(content)) as tile, Image.open(tmp_path / "grid.png") as whole:
        assert (tile.mode, tile.size, (width, height)) == (whole.mode, (5, 4), (5, 4))
        assert tile.tobytes() == whole.crop((4, 3, 9, 7)).tobytes()
        assert tile.info["icc_profile"] == profile
        assert tile.info.get("transparency") == whole.info.get("transparency")


def test_saving_again_fetches_and_changes_nothing(world: World, tmp_path: Path) -> None:
    files, _ = world.save(tmp_path)
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in tmp_path.iterdir()}
    world.contents.clear()  # the links are dead by now
    again, _ = world.save(tmp_path)
    assert again == files
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in tmp_path.iterdir()} == before
    assert world.fetched == [GRID]


@pytest.mark.parametrize("assets", [ASSETS, SINGLES], ids=["tiles", "singles"])
def test_a_kill_at_any_step_costs_nothing(assets: tuple[Asset, ...], tmp_path: Path) -> None:
    reference = World()
    reference.save(tmp_path / "reference", assets)
    expected = listing(tmp_path / "reference")
    steps, done = 0, False
    while not done:
        world, folder = World(), tmp_path / str(steps)
        done = world.run(downloads.save(JOB, assets, folder), steps) is not None
        if folder.exists():
            for path in folder.glob("[!.]*.png"):
                Image.open(path).load()
        files, _ = world.save(folder, assets)
        assert listing(folder) == expected
        assert sorted(path.name for path in files) == [name for name in expected if name.endswith(".png")]
        assert set(map(str, files)) == set(world.ledger.rows)
        links = len({asset.url for asset in assets if asset.role != "grid"})
        assert len(world.fetched) <= links + 1
        steps += 1
    assert steps > 6


def test_a_file_killed_between_its_name_and_its_record_is_found_again(world: World, tmp_path: Path) -> None:
    flow = downloads.save(JOB, SINGLES[:1], tmp_path)
    step = next(flow)
    while not (isinstance(step, Record) and list(tmp_path.glob("[!.]*.png"))):
        step = flow.send(world.perform(step))
    flow.close()
    assert world.ledger.rows == {}
    files, _ = world.save(tmp_path, SINGLES[:1])
    assert listing(tmp_path) == ["a-cat-v9xq2m.json", "a-cat-v9xq2m.png"]
    assert list(world.ledger.rows) == [str(files[0])]
    assert len(world.fetched) == 1


def test_what_a_dead_process_left_beside_the_files_is_removed(world: World, tmp_path: Path) -> None:
    for left in (f".{JOB.id}-image-tile-1.part.json", f".{JOB.id}-image-tile-2.part"):
        (tmp_path / left).write_bytes(b"")
    (tmp_path / ".mine.part").write_bytes(b"")
    world.save(tmp_path, SINGLES[:1])
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == [".mine.part"]


def test_a_foreign_file_is_never_touched(world: World, tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(b"mine")
    (tmp_path / "cat-2.png").mkdir()
    (tmp_path / "cat-3.json").write_text("{}")
    files, _ = world.save(tmp_path / "cat.png", SINGLES[:1])
    assert [path.name for path in files] == ["cat-3.png"]
    assert (tmp_path / "cat.png").read_bytes() == b"mine"
    assert (tmp_path / "cat-3.json").read_text() == "{}"
    assert json.loads((tmp_path / "cat-3-2.json").read_text())["job"] == JOB.id
    again, _ = world.save(tmp_path / "cat.png", SINGLES[:1])
    assert again == files
    assert len(world.fetched) == 1


def test_a_saved_file_its_owner_has_changed_is_left_alone(world: World, tmp_path: Path) -> None:
    (first,), _ = world.save(tmp_path / "cat.png", SINGLES[:1])
    first.write_bytes(b"retouched")
    (second,), _ = world.save(tmp_path / "cat.png", SINGLES[:1])
    assert (first.read_bytes(), second.name) == (b"retouched", "cat-2.png")
    assert world.save(tmp_path / "cat.png", SINGLES[:1])[0] == [second]
    assert len(world.fetched) == 2


def test_the_same_size_is_not_the_same_file(world: World, tmp_path: Path) -> None:
    content = world.contents[str(SINGLES[0].url)]
    foreign, changed = content[::-1], bytes(len(content))
    (tmp_path / "cat.png").write_bytes(foreign)
    (second,), _ = world.save(tmp_path / "cat.png", SINGLES[:1])
    second.write_bytes(changed)
    (third,), _ = world.save(tmp_path / "cat.png", SINGLES[:1])
    assert [path.name for path in (second, third)] == ["cat-2.png", "cat-3.png"]
    assert [path.read_bytes() for path in sorted(tmp_path.glob("*.png"))] == [changed, content, foreign]


def test_a_file_with_the_same_content_is_ours(world: World, tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(world.contents[str(SINGLES[0].url)])
    files, _ = world.save(tmp_path / "cat.png", SINGLES[:1])
    assert [path.name for path in files] == ["cat.png"]


def test_a_second_place_is_served_from_the_first_even_when_the_link_is_dead(world: World, tmp_path: Path) -> None:
    world.save(tmp_path / "one")
    world.contents.clear()
    files, _ = world.save(tmp_path / "two")
    assert [path.parent.name for path in files] == ["two"] * 4
    assert [path.read_bytes() for path in files] == [(tmp_path / "one" / name).read_bytes() for name in NAMES]
    assert all(path.stat().st_nlink == 1 for path in tmp_path.rglob("*.png"))
    assert len(world.fetched) == 1


def test_without_links_on_the_file_system_everything_holds(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*names: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    (tmp_path / "cat-1.png").write_bytes(b"mine")
    files, _ = world.save(tmp_path / "cat.png", (*SINGLES, *TILES))
    assert len(files) == 6
    assert (tmp_path / "cat-1.png").read_bytes() == b"mine"
    assert not list(tmp_path.glob(".*"))
    assert world.save(tmp_path / "cat.png", (*SINGLES, *TILES))[0] == files


def test_without_links_a_name_that_is_taken_meanwhile_stays_who_took_its(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*names: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    names = [tmp_path / "cat.png", tmp_path / "cat-2.png"]
    jobs = iter((b"the other's", None))
    place = Path.replace

    def late(path: Path, name: Path) -> Path:
        if content := next(jobs, None):  # the first is about to get its name
            writing.publish_content(content, names)
        return place(path, name)

    monkeypatch.setattr(os, "link", refused)
    monkeypatch.setattr(Path, "replace", late)
    writing.publish_content(b"ours", names)
    assert [name.read_bytes() for name in names] == [b"ours", b"the other's"]
    assert sorted(tmp_path.iterdir()) == sorted(names)


def test_a_disk_too_full_for_a_note_is_told_like_any_other(world: World, tmp_path: Path) -> None:
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, usual[1]))  # no file takes a byte, not even at its closing
    try:
        with pytest.raises(DownloadError, match="File too large"):
            world.save(tmp_path, SINGLES[:1])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert listing(tmp_path) == []
    assert len(world.save(tmp_path, SINGLES[:1])[0]) == 1


def test_a_full_disk_leaves_no_half_file_and_the_download_goes_on_later(world: World, tmp_path: Path) -> None:
    world.full = 300
    with pytest.raises(DownloadError, match="the disk is full") as caught:
        world.save(tmp_path, SINGLES[:1])
    assert (caught.value.billed, caught.value.hint) == ("yes", f"gen302 save {JOB.id} -o ANOTHER-FOLDER")
    assert [name for name in listing(tmp_path) if not name.startswith(".")] == []
    assert world.ledger.rows == {}
    world.full = 0
    (file,), _ = world.save(tmp_path, SINGLES[:1])
    assert file.read_bytes() == world.contents[str(SINGLES[0].url)]
    assert "bytes=300-" in world.headers[-1]
    assert listing(tmp_path) == ["a-cat-v9xq2m.json", "a-cat-v9xq2m.png"]


def test_a_place_that_cannot_be_written_is_told(world: World, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    for place in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(DownloadError, match="is a file, not a folder") as caught:
            world.save(place, SINGLES[:1])
        assert caught.value.billed == "yes"
    assert world.fetched == []


def test_what_can_be_had_is_saved_when_another_file_fails(world: World, tmp_path: Path) -> None:
    del world.contents[str(SINGLES[0].url)]
    with pytest.raises(DownloadError, match=r"image 1 .*expired.*Saved: 1, missing: 1") as caught:
        world.save(tmp_path, SINGLES)
    assert caught.value.hint == f"gen302 save {JOB.id}"
    assert listing(tmp_path) == ["a-cat-v9xq2m-2.json", "a-cat-v9xq2m-2.png"]
    world.contents[str(SINGLES[0].url)] = png(9, 9)
    files, _ = world.save(tmp_path, SINGLES)
    assert [path.name for path in files] == NAMES[:2]
    assert listing(tmp_path) == [NAMES[0], "a-cat-v9xq2m-2.json", NAMES[1]]
    assert len(json.loads((tmp_path / "a-cat-v9xq2m-2.json").read_text())["files"]) == 2


def test_without_pillow_the_grid_is_saved_and_cut_later_without_the_link(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "PIL", None)
        patch.setitem(sys.modules, "PIL.Image", None)
        for _ in range(2):
            files, notices = world.save(tmp_path)
            assert [path.name for path in files] == ["a-cat-v9xq2m-grid.png"]
            assert files[0].read_bytes() == PICTURE
            assert [notice.code for notice in notices] == ["images_extra"]
            assert 'pip install "./core[images]"' in notices[0].message
    world.contents.clear()
    files, notices = world.save(tmp_path)
    assert ([path.name for path in files], notices) == (NAMES, [])
    assert len(world.fetched) == 1


def test_a_grid_and_its_tiles_share_one_fetch(world: World, tmp_path: Path) -> None:
    files, _ = world.save(tmp_path, roles=("grid", "tile"))
    assert [path.name for path in files] == ["a-cat-v9xq2m-grid.png", *NAMES]
    assert files[0].read_bytes() == PICTURE
    assert world.fetched == [GRID]
    assert files[0].stat().st_nlink == 1


def test_a_broken_grid_is_told_and_fetched_anew_next_time(world: World, tmp_path: Path) -> None:
    whole = world.contents[GRID]
    world.contents[GRID] = whole[:-400]
    with pytest.raises(DownloadError, match=r"tile image 1 .*not a complete picture"):
        world.save(tmp_path)
    assert listing(tmp_path) == []
    world.contents[GRID] = whole
    assert len(world.save(tmp_path)[0]) == 4


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def test_a_picture_that_claims_too_many_pixels_is_not_opened(world: World, tmp_path: Path) -> None:
    for width in (20000, 12000):  # beyond what Pillow refuses, and beyond what it warns of
        header = struct.pack(">IIBBBBB", width, 10000, 8, 2, 0, 0, 0)
        ended = chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
        world.contents[GRID] = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + ended
        with pytest.raises(DownloadError, match="more pixels than is safe"):
            world.save(tmp_path)


def test_a_grid_whose_depth_cutting_would_lose_is_saved_whole(world: World, tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0)
    rows = zlib.compress(2 * (b"\0" + bytes(12)))
    world.contents[GRID] = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    files, notices = world.save(tmp_path)
    assert [path.read_bytes() for path in files] == [world.contents[GRID]]
    assert [notice.code for notice in notices] == ["deep_grid"]


def test_texts_and_inline_content_become_files(world: World, tmp_path: Path) -> None:
    inline = "data:image/png;base64," + base64.b64encode(PICTURE).decode()
    assets = (Asset(kind="text", text="一只猫\n"), Asset(kind="image", url=inline))
    files, _ = world.save(tmp_path, assets)
    assert [path.suffix for path in files] == [".txt", ".png"]
    assert [path.read_bytes() for path in files] == ["一只猫\n".encode(), PICTURE]
    assert world.fetched == []
    with pytest.raises(DownloadError, match="no content"):
        world.save(tmp_path, (Asset(kind="image", index=2, url="data:image/png;base64,%%"),))


def test_a_clip_where_a_picture_was_expected_is_saved_as_what_it_is(world: World, tmp_path: Path) -> None:
    world.contents[str(SINGLES[0].url)] = b"\0\0\0\x10ftypisom\0\0\0\0"
    (file,), notices = world.save(tmp_path / "cat.png", SINGLES[:1])
    assert file.name == "cat.mp4"
    assert [notice.code for notice in notices] == ["other_kind"]


def test_a_role_that_is_not_there_is_told_with_those_that_are(world: World, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"no file of the role 'preview'; roles that are there: grid, tile"):
        world.save(tmp_path, roles=["preview"])
    with pytest.raises(DownloadError, match="nothing to save"):
        world.save(tmp_path, ())


def test_the_sidecar_says_what_was_asked_and_what_came_and_no_secret(world: World, tmp_path: Path) -> None:
    files, _ = world.save(tmp_path)
    text = (tmp_path / "a-cat-v9xq2m-1.json").read_text("utf-8")
    told = json.loads(text)
    assert "SENTINEL" not in text
    assert "http" not in text.replace("https://api.302.ai", "")
    assert told["request"]["images"] == [{"file": {"sha256": "0" * 64, "size": 9, "name": "ref.png"}}]
    assert (told["job"], told["remote_id"], told["provider"], told["gateway"]) == (
        JOB.id,
        "1234567890",
        "hero",
        "302ai",
    )
    assert (told["seed"], told["sandbox"], told["created_at"]) == (7, True, "2026-11-21T12:00:00+00:00")
    assert told["versions"]["ai302-core"]
    assert told["warnings"] == [{"code": "unknown_status", "message": "A new word."}]
    for path, entry in zip(files, told["files"], strict=True):
        assert entry["name"] == path.name
        assert (entry["sha256"], entry["size"]) == (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)
        assert (entry["role"], entry["kind"]) == ("tile", "image")
    assert [entry["width"] for entry in told["files"]] == [25, 26, 25, 26]


def test_one_sidecar_a_job_and_none_when_not_wanted(world: World, tmp_path: Path) -> None:
    world.save(tmp_path, sidecar=False)
    assert listing(tmp_path) == NAMES
    world.save(tmp_path)
    world.save(tmp_path, roles=["grid"])
    (sidecar,) = tmp_path.glob("*.json")
    assert {entry["role"] for entry in json.loads(sidecar.read_text())["files"]} == {"tile", "grid"}


def test_a_sidecar_that_cannot_be_written_is_only_a_notice(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("ai302_core._files.sidecar.keep", full)
    files, notices = world.save(tmp_path)
    assert len(files) == 4
    assert [notice.code for notice in notices] == ["no_sidecar"]


def test_pieces_may_be_saved_side_by_side(world: World, tmp_path: Path) -> None:
    saving = world.run(downloads.begin(JOB, SINGLES, tmp_path))
    flows: list[Flow[Any]] = [downloads.save_one(saving, piece) for piece in saving.pieces]
    saved: list[downloads.Saved] = []
    waiting = [(flow, next(flow)) for flow in flows]
    while waiting:
        flow, step = waiting.pop(0)
        try:
            waiting.append((flow, flow.send(world.perform(step))))
        except StopIteration as stop:
            saved.append(stop.value)
    files, _ = world.run(downloads.conclude(saving, saved[::-1]))
    assert [path.name for path in files] == NAMES[:2]


def test_no_header_of_a_download_carries_a_secret(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AI302_API_KEY", "SENTINEL")
    world.save(tmp_path, (*ASSETS, *SINGLES))
    assert world.headers
    assert not any("SENTINEL" in headers or "uthorization" in headers for headers in world.headers)


def test_a_relative_place_is_recorded_absolute(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files, _ = world.save("shots/{role}", SINGLES[:1])
    assert files == [tmp_path / "shots" / "final.png"]
    assert list(world.ledger.rows) == [str(files[0])]


def test_the_same_name_wanted_by_two_jobs_is_given_once(world: World, tmp_path: Path) -> None:
    world.save(tmp_path / "cat.png", SINGLES[:1])
    other = replace(JOB, id="261121-zzzzzzzz")
    second = World()
    second.contents[str(SINGLES[0].url)] = png(8, 8, 99)
    second.ledger.add_files = lambda job_id, files: None  # type: ignore[method-assign]
    files, _ = second.run(downloads.save(other, SINGLES[:1], tmp_path / "cat.png"))
    assert [path.name for path in files] == ["cat-2.png"]
    assert {json.loads(path.read_text())["job"] for path in tmp_path.glob("*.json")} == {JOB.id, other.id}


def test_an_asset_without_its_job_is_saved_and_not_recorded(world: World, tmp_path: Path) -> None:
    def nothing(*given: object) -> None:
        raise AssertionError("the ledger does not know this job")

    world.ledger.files = world.ledger.add_files = nothing  # type: ignore[assignment, method-assign]
    for _ in range(2):
        (file,) = world.run(downloads.save_assets((TILES[1],), tmp_path, "https://api.302.ai"))
        assert file.read_bytes()[:8] == PICTURE[:8]
        assert listing(tmp_path) == [file.name]
    (preview,) = world.run(downloads.save_assets((replace(SINGLES[0], role="preview"),), tmp_path / "x.png"))
    assert preview.name == "x.png"
    with pytest.raises(DownloadError) as caught:
        world.run(downloads.save_assets((Asset(kind="image", url="https://files.example/none"),), tmp_path))
    assert caught.value.hint == ""
