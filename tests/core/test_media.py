"""What callers give as pictures: recognised by content, refused with a sentence before anything is sent."""

from __future__ import annotations

import base64
import hashlib
import io
import os
from pathlib import Path, PurePosixPath

import pytest
from PIL import Image

from ai302_core._files import media as _media
from ai302_core._files import sniffing as _sniffing
from ai302_core.assets import Asset, MediaRef
from ai302_core.errors import ParameterError


def picture(form: str, size: tuple[int, int] = (5, 3)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, (200, 30, 30)).save(file, form)
    return file.getvalue()


FORMS = {
    "PNG": ("image/png", ".png"),
    "JPEG": ("image/jpeg", ".jpg"),
    "WEBP": ("image/webp", ".webp"),
    "GIF": ("image/gif", ".gif"),
    "BMP": ("image/bmp", ".bmp"),
    "TIFF": ("image/tiff", ".tiff"),
}
HEADS = {
    b"\0\0\0\x20ftypisom\0\0\2\0": ("video/mp4", ".mp4"),
    b"\0\0\0\x14ftypqt  \0\0\0\0": ("video/quicktime", ".mov"),
    b"\0\0\0\x1cftypavif\0\0\0\0": ("image/avif", ".avif"),
    b"\0\0\0\x1cftypheic\0\0\0\0": ("image/heic", ".heic"),
    b"\0\0\0\x1cftypM4A \0\0\0\0": ("audio/mp4", ".m4a"),
    b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x1fB\x86\x81\1B\x82\x84webm": ("video/webm", ".webm"),
    b"ID3\4\0\0\0\0\0\0": ("audio/mpeg", ".mp3"),
    b"\xff\xfb\x90\x64\0\0": ("audio/mpeg", ".mp3"),
    b"RIFF\x24\0\0\0WAVEfmt ": ("audio/wav", ".wav"),
    b"OggS\0\2": ("audio/ogg", ".ogg"),
    b"fLaC\0\0\0\x22": ("audio/flac", ".flac"),
    b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>': ("image/svg+xml", ".svg"),
    b"glTF\2\0\0\0": ("model/gltf-binary", ".glb"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_file_is_what_its_content_is_whatever_its_name(form: str, tmp_path: Path) -> None:
    path = tmp_path / "picture.txt"
    content = picture(form)
    path.write_bytes(content)
    found = _media.load(path, "images")
    assert (found.media_type, found.content, found.name) == (FORMS[form][0], content, "picture.txt")
    assert found.sha256 == hashlib.sha256(content).hexdigest()
    if form in {"PNG", "JPEG", "WEBP", "GIF"}:
        assert (found.width, found.height) == (5, 3)


@pytest.mark.parametrize("head", HEADS)
def test_clips_and_sounds_are_recognised(head: bytes) -> None:
    assert _sniffing.sniff(head) == HEADS[head]


@pytest.mark.parametrize(
    "options", [{"lossless": True}, {"lossless": False}, {"lossless": False, "exif": b"Exif\0\0x"}]
)
def test_every_kind_of_webp_tells_its_pixels(options: dict[str, object]) -> None:
    file = io.BytesIO()
    Image.effect_noise((301, 77), 40).convert("RGB").save(file, "WEBP", **options)
    assert _sniffing.pixels(file.getvalue()) == (301, 77)


@pytest.mark.parametrize("content", [b"BMW is a car", b"\xff\xfe<\0h\0t\0", b'{"error": 1}', b"plain", b"<html><svg>"])
def test_what_is_no_media_is_not_taken_for_it(content: bytes) -> None:
    assert _sniffing.sniff(content) is None


def test_bytes_and_data_links_are_content() -> None:
    content = picture("PNG")
    link = "data:application/octet-stream;base64," + base64.b64encode(content).decode()
    for media in (content, link, "DATA" + link[4:], link.rstrip("="), Asset(kind="image", url=link)):
        found = _media.load(media)
        assert (found.content, found.url, found.media_type) == (content, None, "image/png")
        assert _media.ref(found, media) == MediaRef(sha256=found.sha256, size=len(content))
    assert _media.load(_media.load(content).data_url()).content == content


def test_links_stay_links() -> None:
    link = "https://host.example/a/cat.png?ex=1&hm=%2f&"
    assert _media.load(link).url == link
    assert _media.load(f" {link}\n").url == link
    asset = Asset(kind="image", url=link)
    assert _media.load(asset).url == link
    assert _media.ref(_media.load(asset), asset) is asset
    assert _media.ref(_media.load(link), link) == link


def test_the_link_of_a_tile_is_never_taken_for_the_tile() -> None:
    tile = Asset(kind="image", role="tile", url="https://host.example/grid.png", cut=(0, 0, 2, 2))
    assert _media.load(tile).behind == tile
    assert _media.ref(_media.load(tile), tile) is tile


def test_a_stored_request_keeps_name_size_and_hash_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "front.png"
    path.write_bytes(picture("PNG"))
    kept = _media.ref(_media.load(os.fspath(path)), os.fspath(path))
    assert kept == MediaRef(
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(), size=path.stat().st_size, name=path.name
    )


@pytest.mark.parametrize(
    ("media", "words"),
    [
        ("", "empty"),
        ("missing.png", "no file 'missing.png'"),
        ("www.host.example/cat.png", "A link begins with https://"),
        ("htp://host.example/cat.png", "begins with 'htp://'"),
        ("https:/host.example/cat.png", "not a complete link"),
        ("https://", "not a complete link"),
        ("https://host.example/my cat.png", "without spaces"),
        ("ftp://host.example/cat.png", "http:// or https://"),
        ("file:///tmp/cat.png", "without file://"),
        ("data:image/png;base64,%%%", "cannot be decoded"),
        ("data:image/png;base64", "cannot be decoded"),
        ("data:image/png;base64,", "empty"),
        ("a\0b.png", "cannot be read"),
        (b"", "empty"),
        (b"<!DOCTYPE html><title>Login", "an HTML page"),
        (b'{"error": "no"}', "JSON"),
        (b"\1\2\3\4\5\6\7\x08\x09", "01 02 03"),
        (b"%PDF-1.7", "application/pdf"),
        (Asset(kind="text", text="a cat"), "a text"),
        (Asset(kind="image"), "without a link"),
        (MediaRef(sha256="0" * 64, size=7, name="cat.png"), "'cat.png' is not kept"),
        (7, "not int"),
        (io.BytesIO(b"GIF89a"), "not BytesIO; give what its read() returns"),
        (PurePosixPath("missing.png"), "no file"),
    ],
)
def test_a_refusal_says_the_field_the_reason_and_that_nothing_was_sent(
    media: object, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParameterError) as caught:
        _media.load(media, "mask")  # type: ignore[arg-type]
    assert words in str(caught.value)
    assert str(caught.value).startswith("mask: ")
    assert str(caught.value).endswith("Nothing was sent.")
    assert (caught.value.field, caught.value.billed) == ("mask", "no")


def test_folders_empty_files_pipes_and_large_files_are_refused(tmp_path: Path) -> None:
    empty, large, pipe = tmp_path / "empty.png", tmp_path / "large.png", tmp_path / "pipe"
    empty.touch()
    large.write_bytes(picture("PNG") + bytes(100))
    cases = [(tmp_path, "a folder"), (empty, "empty, 0 bytes"), (large, "too large")]
    if hasattr(os, "mkfifo"):
        os.mkfifo(pipe)
        cases.append((pipe, "not a regular file"))
    for path, words in cases:
        with pytest.raises(ParameterError, match=words):
            _media.load(path, "images", limit=100)
    with pytest.raises(ParameterError, match="too large"):
        _media.load(large.read_bytes(), limit=100)


def test_a_signature_in_a_broken_link_is_not_shown() -> None:
    with pytest.raises(ParameterError) as caught:
        _media.load("htps://host.example/cat.png?signature=SENTINEL")
    assert "SENTINEL" not in str(caught.value)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP"])
def test_a_cut_picture_shows_by_its_own_structure(form: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    content = picture(form, (64, 64))
    path.write_bytes(content)
    assert _sniffing.whole(path, FORMS[form][0])
    path.write_bytes(content[:-20])
    assert not _sniffing.whole(path, FORMS[form][0])


def test_a_cut_clip_shows_by_its_boxes(tmp_path: Path) -> None:
    path = tmp_path / "clip"
    content = b"\0\0\0\x10ftypisom\0\0\0\0" + b"\0\0\0\1mdat" + (116).to_bytes(8, "big") + bytes(100)
    path.write_bytes(content)
    assert _sniffing.whole(path, "video/mp4")
    path.write_bytes(content[:-1])
    assert not _sniffing.whole(path, "video/mp4")
