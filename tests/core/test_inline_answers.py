"""Answers that carry the files themselves: on the disk before the receipt, nothing of them in the ledger."""

from __future__ import annotations

import base64
import errno
import hashlib
import io
import json
import os
import stat
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ai302_core import _sqlite, downloads
from ai302_core._accounts import Account
from ai302_core._files import keeping, media
from ai302_core._flows import looking, submitting
from ai302_core._flows.submitting import Order
from ai302_core._wire import inline
from ai302_core.assets import Asset
from ai302_core.errors import DownloadError, JobUnconfirmed
from ai302_core.family import ImageRequest, image, text
from ai302_core.jobs import Job, Status

Ledger = Any


def png(seed: int = 0, side: int = 24) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((side, side), 40 + seed).save(file, "PNG")
    return file.getvalue()


def packed(content: bytes) -> str:
    return base64.b64encode(content).decode()


def at_once(account: Account, **changes: Any) -> Account:
    """A service that answers a submit with the result, no later."""
    changes = {
        "poll": None,
        "states": (),
        "refused": (),
        "assets": (image("data[].b64_json", "data[].url"),),
        **changes,
    }
    first = replace(account.family.operations[0], **changes)
    return replace(account, family=replace(account.family, operations=(first, *account.family.operations[1:])))


@pytest.fixture
def stored(tmp_path: Path) -> Ledger:
    """A ledger on disk, whose every byte can be searched."""
    ledger = _sqlite.open_ledger(f"sqlite:///{(tmp_path / 'data' / 'ledger.db').as_posix()}", data_dir=tmp_path)
    yield ledger
    ledger.close()


def buy(fed: Any, account: Account, ledger: Ledger, **order: Any) -> Job:
    fed.ledger = ledger
    job: Job = fed.run(submitting.submit(account, ImageRequest("a cat"), Order(**order)))
    return job


ONE, TWO = png(1), png(2)
SHAPES: dict[str, Any] = {
    "base64": {"data": [{"b64_json": packed(ONE)}, {"b64_json": packed(TWO)}]},
    "data link": {"data": [{"url": f"data:image/png;base64,{packed(ONE)}"}, {"url": f"DATA:;base64,{packed(TWO)}"}]},
    "folded lines": {"data": [{"b64_json": base64.encodebytes(ONE).decode()}, {"b64_json": packed(TWO).rstrip("=")}]},
    "url-safe": {"data": [{"b64_json": base64.urlsafe_b64encode(it).decode()} for it in (ONE, TWO)]},
    "json in text": {"data": json.dumps([{"b64_json": packed(ONE)}, {"b64_json": packed(TWO)}])},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_files_within_an_answer_are_on_the_disk_and_not_in_the_ledger(
    account: Account, hand: Any, reply: Any, stored: Ledger, tmp_path: Path, shape: str
) -> None:
    fed = hand(reply({**SHAPES[shape], "created": 7, "prompt": "x" * 100, "more": ["iVBOR", None, 1.5, "/" * 90]}))
    job = buy(fed, at_once(account), stored, key="k")
    assert (job.status, job.billed, len(job.assets)) == (Status.SUCCEEDED, "yes", 2)
    for asset, content in zip(job.assets, (ONE, TWO), strict=True):
        assert (asset.url, asset.media_type, asset.width, asset.height) == (None, "image/png", 24, 24)
        path = Path(asset.path or "")
        assert path.read_bytes() == content
        assert path.parent == tmp_path / "data" / "ledger.db-results"
        assert path.name.startswith(f"{job.id}-{hashlib.sha256(content).hexdigest()}")
        if sys.platform != "win32":
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert json.loads(json.dumps(job.raw))["more"] == ["iVBOR", None, 1.5, "/" * 90]
    assert len(job.to_json()) < 3000
    stored.close()
    ledger = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir() if path.is_file())
    assert packed(ONE)[40:200].encode() not in ledger
    # As JSON to another worker of this machine, or from the ledger: the files come, without any network.
    again = Job.from_json(job.to_json())
    assert again.assets == job.assets
    files, _ = fed.run(downloads.save(stored.find("k")[0], again.assets, str(tmp_path / "shots")))
    assert [Path(file).read_bytes() for file in files] == [ONE, TWO]
    assert fed.run(downloads.open_stream(job.assets[0], base_url="")).read() == ONE
    assert media.load(job.assets[1]).content == TWO


def test_an_answer_that_is_nothing_but_the_file(account: Account, hand: Any, reply: Any, stored: Ledger) -> None:
    for options in ({}, {"poll": account.family.operations[0].poll}):
        fed = hand(reply(ONE, content_type="image/png", request_id="r-1"))
        job = buy(fed, at_once(account, **options), stored)
        assert (job.status, job.request_id) == (Status.SUCCEEDED, "r-1")
        (asset,) = job.assets
        assert (asset.kind, asset.role, Path(asset.path or "").read_bytes()) == ("image", "final", ONE)
        assert job.raw["size"] == len(ONE)


def test_the_words_of_a_mark_are_nobodys_file(account: Account, hand: Any, reply: Any, stored: Ledger) -> None:
    sneaky = f"inline:{hashlib.sha256(ONE).hexdigest()}.png"
    for link in (sneaky, "inline:../../../etc/passwd", "file:///etc/passwd", "/etc/passwd"):
        with pytest.raises(JobUnconfirmed):
            buy(
                hand(reply({"data": [{"url": link}], "media_type": "", "size": 1, "inline": link})),
                at_once(account),
                stored,
            )
    assert not stored.results.exists()


def test_bytes_we_cannot_place_are_kept_all_the_same(account: Account, hand: Any, reply: Any, stored: Ledger) -> None:
    fed = hand(reply({"somewhere": {"else": packed(ONE)}}))
    with pytest.raises(JobUnconfirmed) as lost:
        buy(fed, at_once(account), stored, key="k")
    (path,) = stored.results.glob(f"{lost.value.job.id}-*.png")
    assert path.read_bytes() == ONE
    assert buy(fed, at_once(account), stored, key="k").status is Status.UNCONFIRMED
    assert len(fed.paid) == 1


def test_a_poll_may_carry_the_file_too(account: Account, hand: Any, reply: Any, stored: Ledger) -> None:
    done = {"data": {"id": 41, "status": "done", "url": f"data:image/png;base64,{packed(ONE)}"}}
    fed = hand(reply({"code": 0, "data": {"id": 41}}), reply(done))
    job = buy(fed, account, stored)
    (seen,) = fed.run(looking.look(account, [job]))
    assert seen.job.status is Status.SUCCEEDED
    assert Path(seen.job.assets[0].path).read_bytes() == ONE
    assert "base64" not in stored.job(job.id).to_json()


def test_where_the_disk_takes_no_file_the_job_keeps_its_content(
    account: Account, hand: Any, reply: Any, stored: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    fed = hand(reply(SHAPES["base64"]))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        patch.setattr(os, "fdopen", full)
        job = fed.run(submitting.submit(at_once(account), ImageRequest("x"), Order()))
    assert job.status is Status.SUCCEEDED
    assert [notice.code for notice in job.warnings] == ["not_kept"]
    fed.ledger = stored
    files, _ = fed.run(downloads.save(job, job.assets, str(tmp_path / "elsewhere")))
    assert [Path(file).read_bytes() for file in files] == [ONE, TWO]


def test_only_the_file_that_was_sent_is_ever_read(tmp_path: Path, hand: Any) -> None:
    name = f"job-{hashlib.sha256(ONE).hexdigest()}.png"
    (tmp_path / name).write_bytes(ONE)
    (tmp_path / "secret").write_text("password")
    good = Asset(kind="image", path=str(tmp_path / name))
    assert keeping.content(good, tmp_path) == ONE
    for path in (tmp_path / "secret", tmp_path / f"other-{name}", tmp_path / "job-0.png"):
        for flow in (downloads.open_stream(replace(good, path=str(path)), base_url=""),):
            with pytest.raises(DownloadError, match=r"cannot be read here|not the file") as caught:
                hand().run(flow)
            assert caught.value.billed == "yes"
    (tmp_path / name).write_bytes(ONE[:-1])
    with pytest.raises(DownloadError, match="not the file the service sent"):
        keeping.content(good, tmp_path)


def test_a_file_stays_until_it_was_saved_and_a_week_longer(
    account: Account, hand: Any, reply: Any, stored: Ledger, tmp_path: Path
) -> None:
    fed = hand(reply(SHAPES["base64"]), reply({"data": [{"b64_json": packed(png(3))}]}))
    job = buy(fed, at_once(account), stored)
    fed.run(downloads.save(job, job.assets[:1], str(tmp_path / "shots")))
    first, second = (Path(asset.path or "") for asset in job.assets)
    (mark,) = (stored.results / "saved").iterdir()
    assert mark.name == first.name
    for days, there in ((6, True), (8, False)):
        then = stored.results.stat().st_mtime - days * 86400
        os.utime(mark, (then, then))
        keeping._swept.clear()
        keeping.kept(stored.results, job, {f"x-{days}": b"x"})
        assert (first.exists(), second.exists()) == (there, True)
    # Saved before, the copy serves; the other was never saved, however old it is.
    files, _ = fed.run(downloads.save(job, job.assets, str(tmp_path / "again")))
    assert [Path(file).read_bytes() for file in files] == [ONE, TWO]


HARMLESS: list[Any] = [
    "//storage/" + "abcdefgh/" * 9,
    "/9j/" + "no base64!" * 20,
    "data:text/plain;base64," + packed(b"plain words " * 20),
    "data:image/png;base64,%%%" * 5,
    packed(b"<html>" * 40),
    "x" * 5000,
    '{"a": ' * 3000,
    "[" * 100_000,
    json.dumps({"a": "b" * 500}),
]


@pytest.mark.parametrize("value", HARMLESS, ids=range(len(HARMLESS)))
def test_what_is_no_file_stays_as_it_is(value: str) -> None:
    document = {"a": [{"b": value}], "c": value}
    found = inline.taken_out(document)
    assert found.document is document
    assert found.files == {}


def test_texts_beside_files_are_texts(account: Account, hand: Any, reply: Any, stored: Ledger) -> None:
    making = at_once(account, assets=(image("images[]"), text("say")))
    job = buy(hand(reply({"images": [packed(ONE), "https://x.example/a.png"], "say": "hello"})), making, stored)
    assert [(asset.kind, asset.url, asset.text, bool(asset.path)) for asset in job.assets] == [
        ("image", None, None, True),
        ("image", "https://x.example/a.png", None, False),
        ("text", None, "hello", False),
    ]
