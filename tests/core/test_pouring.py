"""A body on its way into its file: hashed behind the writer, whatever happens to either."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ai302_core._steps import Stream, Streamed
from ai302_core._transport import pouring

MIB = 2**20
CONTENT = hashlib.shake_128(b"a clip").digest(5 * MIB + 12345)


class Broke(Exception):
    """The connection."""


def pieces(size: int, stop: int | None = None) -> Iterator[bytes]:
    for at in range(0, len(CONTENT), size):
        if stop is not None and at >= stop:
            raise Broke
        yield CONTENT[at : at + size]


def poured(path: Path, body: Iterator[bytes], status: int = 200, **given: Any) -> Streamed:
    return pouring.poured(Stream("https://files.example/a", path, **given), status, {}, body, 60.0, (Broke,))


def hashing() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "gen302-hashing"]


@pytest.mark.parametrize("size", [1000, 16384, 65536, 3 * MIB, len(CONTENT)])
def test_the_hash_is_that_of_the_file_however_it_came(size: int, tmp_path: Path) -> None:
    got = poured(tmp_path / "x", pieces(size))
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert (got.size, got.broken, got.sha256) == (len(CONTENT), "", hashlib.sha256(CONTENT).hexdigest())
    assert hashing() == []


@pytest.mark.parametrize("content", [b"", b"x", CONTENT[: MIB - 1], CONTENT[:MIB]], ids=["none", "one", "less", "just"])
def test_a_small_file_is_hashed_too(content: bytes, tmp_path: Path) -> None:
    assert poured(tmp_path / "x", iter([content])).sha256 == hashlib.sha256(content).hexdigest()


def test_what_broke_off_has_no_hash_and_what_is_resumed_gets_it_at_its_end(tmp_path: Path) -> None:
    path = tmp_path / "x"
    got = poured(path, pieces(65536, stop=4 * MIB))
    assert (got.size, got.broken, got.sha256) == (4 * MIB, "Broke", "")
    rest = poured(path, iter([CONTENT[4 * MIB :]]), 206)
    assert (rest.size, rest.broken, rest.sha256) == (len(CONTENT), "", "")
    assert path.read_bytes() == CONTENT
    # A body that begins anew replaces what was there, in the hash too.
    assert poured(path, iter([CONTENT[:MIB]])).sha256 == hashlib.sha256(CONTENT[:MIB]).hexdigest()
    assert hashing() == []


def test_too_much_ends_at_the_limit_and_leaves_no_thread(tmp_path: Path) -> None:
    got = poured(tmp_path / "x", pieces(65536), limit=3 * MIB)
    assert ("limit" in got.broken, got.sha256, hashing()) == (True, "", [])


def test_an_error_of_the_disk_goes_through_and_the_next_file_is_hashed(tmp_path: Path) -> None:
    def full() -> Iterator[bytes]:
        yield CONTENT[: 2 * MIB]
        raise OSError(errno.ENOSPC, "No space left on device")

    for number in range(pouring.AT_ONCE + 1):  # none of them keeps its turn
        with pytest.raises(OSError, match="No space"):
            poured(tmp_path / f"{number}", full())
    assert hashing() == []
    assert poured(tmp_path / "x", pieces(65536)).sha256 == hashlib.sha256(CONTENT).hexdigest()


def test_a_file_that_cannot_be_read_back_is_no_silent_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Worn:
        def __init__(self, file: Any) -> None:
            self._file = file

        def readinto(self, buffer: Any) -> int:
            raise OSError(errno.EIO, "Input/output error")

        def seek(self, at: int) -> int:
            return at

        def close(self) -> None:
            self._file.close()

    begin = Path.open

    def worn(path: Path, mode: str = "r", *options: Any, **more: Any) -> Any:
        file = begin(path, mode, *options, **more)
        return Worn(file) if mode == "rb" else file

    monkeypatch.setattr(Path, "open", worn)
    with pytest.raises(OSError, match="Input/output"):
        poured(tmp_path / "x", pieces(65536))
    assert hashing() == []


def test_more_files_at_once_than_are_hashed_at_once(tmp_path: Path) -> None:
    got: list[Streamed] = []
    threads = [
        threading.Thread(target=lambda path=tmp_path / str(n): got.append(poured(path, pieces(50000))))
        for n in range(pouring.AT_ONCE + 7)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert {entry.sha256 for entry in got} == {hashlib.sha256(CONTENT).hexdigest()}
    assert (len(got), hashing()) == (len(threads), [])


FORKING = """
import os, sys
from pathlib import Path
from ai302_core._steps import Stream
from ai302_core._transport import pouring

for _ in range(pouring.AT_ONCE):
    pouring._turns.acquire()  # as threads that hash at this moment
child = os.fork()
if child == 0:
    got = pouring.poured(Stream("https://files.example/a", Path(sys.argv[1])), 200, {}, iter([b"x" * 2**21]), 60.0, ())
    os._exit(0 if len(got.sha256) == 64 else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks are of POSIX")
def test_a_fork_waits_for_no_thread_of_its_parent(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FORKING, str(tmp_path / "x")], timeout=30, check=False)
    assert done.returncode == 0
