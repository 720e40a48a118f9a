"""What a file is, told by its content: type, pixels, and whether its end is there. No I/O but `whole`."""

from __future__ import annotations

import struct
from pathlib import Path

__all__ = ["HEAD", "SUFFIXES", "describe", "looks_like_html", "looks_like_text", "pixels", "sniff", "whole"]

HEAD = 4096
"""Bytes of a file's beginning that `sniff` wants to see."""

_SIGNS: tuple[tuple[bytes, str, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png", ".png"),
    (b"\xff\xd8\xff", "image/jpeg", ".jpg"),
    (b"GIF87a", "image/gif", ".gif"),
    (b"GIF89a", "image/gif", ".gif"),
    (b"II*\0", "image/tiff", ".tiff"),
    (b"MM\0*", "image/tiff", ".tiff"),
    (b"\0\0\1\0", "image/x-icon", ".ico"),
    (b"8BPS", "image/vnd.adobe.photoshop", ".psd"),
    (b"\xff\x0a", "image/jxl", ".jxl"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "image/jxl", ".jxl"),
    (b"FLV\1", "video/x-flv", ".flv"),
    (b"\0\0\1\xba", "video/mpeg", ".mpg"),
    (b"ID3", "audio/mpeg", ".mp3"),
    (b"fLaC", "audio/flac", ".flac"),
    (b"#!AMR", "audio/amr", ".amr"),
    (b"MThd", "audio/midi", ".mid"),
    (b"glTF", "model/gltf-binary", ".glb"),
    (b"PK\3\4", "application/zip", ".zip"),
    (b"%PDF-", "application/pdf", ".pdf"),
)
# MPEG audio, layer III, without an ID3 tag; AAC frames (ADTS).
_FRAMES = {
    **dict.fromkeys((0xFB, 0xFA, 0xF3, 0xF2, 0xE3, 0xE2), ("audio/mpeg", ".mp3")),
    **dict.fromkeys((0xF0, 0xF1, 0xF8, 0xF9), ("audio/aac", ".aac")),
}
_RIFF = {b"WEBP": ("image/webp", ".webp"), b"WAVE": ("audio/wav", ".wav"), b"AVI ": ("video/x-msvideo", ".avi")}
_BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), ("image/avif", ".avif")),
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"), ("image/heic", ".heic")),
    **dict.fromkeys((b"M4A ", b"M4B "), ("audio/mp4", ".m4a")),
    b"qt  ": ("video/quicktime", ".mov"),
}

SUFFIXES = frozenset(
    {suffix for _, _, suffix in _SIGNS if suffix not in {".zip", ".pdf"}}
    | {suffix for table in (_FRAMES, _RIFF, _BRANDS) for _, suffix in table.values()}
    | {".jpeg", ".tif", ".bmp", ".svg", ".mp4", ".m4v", ".mkv", ".webm", ".ts", ".ogg", ".ogv", ".oga", ".opus"}
    | {".aiff", ".heif", ".txt", ".gltf", ".obj", ".fbx", ".stl", ".ply", ".usdz"}
)
"""Ends of file names that speak of pictures, clips, sounds, texts or models; lower case."""


def sniff(head: bytes) -> tuple[str, str] | None:
    """(media type, file suffix) of content that begins with `head`, or None when it is none we know."""
    for sign, media_type, suffix in _SIGNS:
        if head.startswith(sign):
            return media_type, suffix
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12])
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "audio/aiff", ".aiff"
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], ("video/mp4", ".mp4"))
    if head[4:8] in (b"moov", b"mdat", b"wide") and len(head) > 8:
        return "video/quicktime", ".mov"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return ("video/webm", ".webm") if b"webm" in head[:64] else ("video/x-matroska", ".mkv")
    if head[:4] == b"OggS":
        return ("video/ogg", ".ogv") if b"theora" in head[:128] else ("audio/ogg", ".ogg")
    if head[:2] == b"BM" and head[6:10] == bytes(4) and len(head) >= 26:
        return "image/bmp", ".bmp"
    if head[:1] == b"\x47" and head[188:189] == b"\x47":
        return "video/mp2t", ".ts"
    if head[:1] == b"\xff" and len(head) > 2:
        return _FRAMES.get(head[1])
    if b"<svg" in head and _lead(head)[:4] in (b"<svg", b"<?xm", b"<!--", b"<!do") and not looks_like_html(head):
        return "image/svg+xml", ".svg"
    return None


def _lead(head: bytes) -> bytes:
    return head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()


def looks_like_html(head: bytes) -> bool:
    """Whether this is the beginning of a web page."""
    lead = _lead(head)
    if lead.startswith((b"<!doctype html", b"<html", b"<head", b"<body", b"<title", b"<center", b"<h1")):
        return True
    return lead.startswith((b"<!--", b"<?xml", b"<script", b"<meta")) and b"<html" in lead


def looks_like_text(head: bytes) -> bool:
    """Whether this is the beginning of a text, in UTF-8."""
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as problem:
        if problem.start < len(head) - 3:  # else only the last letter was cut
            return False
        text = head[: problem.start].decode("utf-8")
    return bool(text) and all(letter >= " " or letter in "\t\r\n\f\x1b" for letter in text)


def describe(head: bytes) -> str:
    """What this beginning looks like, and its first bytes, for an error message."""
    if not head:
        return "nothing at all"
    found = sniff(head)
    if found:
        return found[0]
    if not looks_like_text(head):
        return f"unknown content that begins with the bytes {head[:8].hex(' ')}"
    lead = _lead(head)
    kind = "an HTML page" if looks_like_html(head) else "JSON" if lead[:1] in (b"{", b"[") else "text"
    shown = " ".join(head[:400].decode("utf-8", "replace").split())
    return f"{kind} that begins with {shown[:120]!r}"


def pixels(content: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG, JPEG, GIF or WebP; None for anything else, and for a header that is cut."""
    try:
        if content[:8] == b"\x89PNG\r\n\x1a\n":
            width, height = struct.unpack_from(">II", content, 16)
        elif content[:4] == b"GIF8":
            width, height = struct.unpack_from("<HH", content, 6)
        elif content[:4] == b"RIFF" and content[8:12] == b"WEBP":
            width, height = _webp(content)
        elif content[:2] == b"\xff\xd8":
            width, height = _jpeg(content)
        else:
            return None
    except (struct.error, IndexError):
        return None
    return (width, height) if width and height else None


def _webp(content: bytes) -> tuple[int, int]:
    chunk = content[12:16]
    if chunk == b"VP8X":
        width, height = (int.from_bytes(content[at : at + 3], "little") + 1 for at in (24, 27))
    elif chunk == b"VP8L":
        (bits,) = struct.unpack_from("<I", content, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", content, 26))
    return width, height


def _jpeg(content: bytes) -> tuple[int, int]:
    at = 2
    while True:
        while content[at] == 0xFF:
            at += 1
        marker = content[at]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", content, at + 4)
            return width, height
        at += 1 + struct.unpack_from(">H", content, at + 1)[0]


def whole(path: Path, media_type: str) -> bool:
    """Whether the file's own structure ends where the file does. True for formats that do not tell."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(16)
        file.seek(max(0, size - 65536))
        tail = file.read()
        if media_type == "image/png":
            return b"IEND\xaeB`\x82" in tail
        if media_type == "image/jpeg":
            return b"\xff\xd9" in tail
        if media_type == "image/gif":
            return tail.rstrip(b"\0").endswith(b";")
        if head[:4] == b"RIFF":
            told = int.from_bytes(head[4:8], "little")
            return told in (0, 0xFFFFFFFF) or size >= told + 8  # a streamed WAV does not know its length
        if head[4:8] == b"ftyp":
            at = 0
            while 0 <= at < size:
                file.seek(at)
                box = file.read(16)
                length = int.from_bytes(box[:4], "big")
                if length == 1:
                    length = int.from_bytes(box[8:16], "big")
                if length == 0:  # up to the end, whatever that is
                    return True
                at += max(length, 8)
            return at == size
    return True
