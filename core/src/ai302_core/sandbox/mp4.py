"""A playable MP4 from a few pictures, without an encoder: raw H.264 macroblocks (I_PCM) in ISO-BMFF boxes.

Every frame is a key frame whose macroblocks carry their samples as they are (ITU-T H.264, 7.3.5 and 7.4.5, mb_type
I_PCM), so that writing it needs no compression, and any player shows it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["mp4"]

SCALE = 1000
"""Units a second of the file's clock."""


class _Bits:
    """Writes single bits and Exp-Golomb numbers."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.value = self.count = 0

    def put(self, value: int, width: int) -> None:
        self.value = (self.value << width) | value
        self.count += width
        while self.count >= 8:
            self.count -= 8
            self.data.append((self.value >> self.count) & 0xFF)
        self.value &= (1 << self.count) - 1

    def golomb(self, *numbers: int) -> None:
        for number in numbers:
            width = (number + 1).bit_length()
            self.put(number + 1, 2 * width - 1)

    def align(self, first: int) -> None:
        """Fill the byte: a bit, then zeros."""
        if self.count:
            self.put(first << (7 - self.count), 8 - self.count)
        elif first:
            self.put(0x80, 8)

    def ended(self) -> bytes:
        """What was written, with the bit that ends a unit."""
        self.align(1)
        return bytes(self.data)


def _unit(header: int, data: bytes) -> bytes:
    """One NAL unit; `00 00 0x` inside is escaped."""
    return bytes([header]) + re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", data)


def _sequence(columns: int, rows: int) -> bytes:
    bits = _Bits()
    for byte in (66, 0xC0, 30):  # constrained baseline, level 3
        bits.put(byte, 8)
    bits.golomb(0, 0, 2, 0)  # id, 4-bit frame numbers, picture order as decoded, no reference frames
    bits.put(0, 1)
    bits.golomb(columns - 1, rows - 1)
    bits.put(0b1100, 4)  # frames only, 8x8 inference, no cropping, no VUI
    return _unit(0x67, bits.ended())


def _parameters() -> bytes:
    bits = _Bits()
    bits.golomb(0, 0)
    bits.put(0, 2)  # CAVLC, no field order
    bits.golomb(0, 0, 0)  # one slice group, one reference in each list
    bits.put(0, 3)
    bits.golomb(0, 0, 0)  # quantisers at 26, no chroma offset
    bits.put(0, 3)
    return _unit(0x68, bits.ended())


def _frame(picture: Image, number: int) -> bytes:
    luma, blue, red = picture.convert("YCbCr").split()
    half = (picture.width // 2, picture.height // 2)
    # Players take samples as 16..235; the bounds also keep zeros, and with them escapes, out of the data.
    planes = [
        (luma.point([16 + level * 219 // 255 for level in range(256)]), 16),
        (blue.resize(half).point([16 + level * 224 // 255 for level in range(256)]), 8),
        (red.resize(half).point([16 + level * 224 // 255 for level in range(256)]), 8),
    ]
    bits = _Bits()
    bits.golomb(0, 7, 0)  # first macroblock, slices all intra, parameter set
    bits.put(0, 4)
    bits.golomb(number % 2)  # neighbouring key frames must differ in it
    bits.put(0, 2)
    bits.golomb(0)
    blocks = zip(*(_blocks(plane, side) for plane, side in planes), strict=True)
    bits.golomb(25)  # I_PCM
    bits.align(0)
    between = _Bits()
    between.golomb(25)
    between.align(0)
    return _unit(0x65, bytes(bits.data) + bytes(between.data).join(map(b"".join, blocks)) + b"\x80")


def _blocks(plane: Image, side: int) -> Iterator[bytes]:
    """The samples of each block of a plane, row by row of blocks."""
    samples, columns = plane.tobytes(), plane.width // side
    lines = [samples[at : at + side] for at in range(0, len(samples), side)]
    for top in range(0, len(lines), columns * side):
        for left in range(top, top + columns):
            yield b"".join(lines[left : top + columns * side : columns])


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _full(kind: bytes, flags: int, *parts: bytes) -> bytes:
    return _box(kind, struct.pack(">I", flags), *parts)


def _table(kind: bytes, *rows: tuple[int, ...]) -> bytes:
    return _full(kind, 0, struct.pack(">I", len(rows)), *(struct.pack(f">{len(row)}I", *row) for row in rows))


def mp4(pictures: Sequence[Image]) -> bytes:
    """An MP4 that shows the pictures, four a second. Their sides must be multiples of 16, all the same."""
    width, height = pictures[0].size
    if width % 16 or height % 16 or any(picture.size != (width, height) for picture in pictures):
        raise ValueError(f"pictures of a clip have equal sides in multiples of 16, not {width}x{height}")
    sequence, parameters = _sequence(width // 16, height // 16), _parameters()
    samples = [struct.pack(">I", len(unit)) + unit for unit in map(_frame, pictures, range(len(pictures)))]
    length, step = len(samples) * SCALE // 4, SCALE // 4
    matrix = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)

    configuration = _box(
        b"avcC",
        bytes([1, *sequence[1:4], 0xFF, 0xE1]),
        struct.pack(">H", len(sequence)) + sequence,
        b"\x01" + struct.pack(">H", len(parameters)) + parameters,
    )
    entry = _box(
        b"avc1",
        struct.pack(">6xH16xHHIIIH32xHh", 1, width, height, 0x480000, 0x480000, 0, 1, 24, -1),
        configuration,
    )

    def movie(offset: int) -> bytes:
        """The index, for samples that begin `offset` bytes into the file."""
        samples_at = _box(
            b"stbl",
            _full(b"stsd", 0, struct.pack(">I", 1), entry),
            _table(b"stts", (len(samples), step)),
            _table(b"stsc", (1, len(samples), 1)),
            _full(b"stsz", 0, struct.pack(f">II{len(samples)}I", 0, len(samples), *map(len, samples))),
            _table(b"stco", (offset,)),
        )
        media = _box(
            b"mdia",
            _full(b"mdhd", 0, struct.pack(">4IHH", 0, 0, SCALE, length, 0x55C4, 0)),
            _full(b"hdlr", 0, struct.pack(">4x4s12x", b"vide"), b"sandbox\0"),
            _box(
                b"minf",
                _full(b"vmhd", 1, bytes(8)),
                _box(b"dinf", _full(b"dref", 0, struct.pack(">I", 1), _full(b"url ", 1))),
                samples_at,
            ),
        )
        track = _full(
            b"tkhd", 3, struct.pack(">5I8x4H", 0, 0, 1, 0, length, 0, 0, 0, 0), matrix,
            struct.pack(">II", width << 16, height << 16),
        )  # fmt: skip
        head = _full(
            b"mvhd", 0, struct.pack(">4IIH10x", 0, 0, SCALE, length, 0x10000, 0x100), matrix, bytes(24),
            struct.pack(">I", 2),
        )  # fmt: skip
        return _box(b"moov", head, _box(b"trak", track, media))

    brand = _box(b"ftyp", b"isom", struct.pack(">I", 512), b"isomiso2avc1mp41")
    offset = len(brand) + len(movie(0)) + 8
    return brand + movie(offset) + _box(b"mdat", *samples)
