"""One link to one checked file: conversations with a file host, fed by hand; no socket, no clock."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ai302_core import _links, downloads
from ai302_core._files.parts import Fetched, Part
from ai302_core._steps import Flow, Now, Save, Sleep, Stream, Streamed
from ai302_core.assets import Asset
from ai302_core.errors import DownloadError, TransportError

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LINK = "https://files.example/a.png?ex=1&hm=%2f&"
Answer = Callable[[Stream], Streamed]


def png(size: int = 64) -> bytes:
    file = io.BytesIO()
    Image.frombytes("RGB", (size, size), os.urandom(size * size * 3)).save(file, "PNG")
    return file.getvalue()


PICTURE = png(200)


class Host:
    """Answers each `Stream` with the next of its answers, the last one for ever."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[Stream] = []
        self.slept: list[float] = []

    def __call__(self, step: Stream) -> Streamed:
        self.asked.append(step)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer(step)

    @property
    def ranges(self) -> list[str | None]:
        return [step.headers.get("range") for step in self.asked]


def body(
    content: bytes, *, status: int = 200, stop: int | None = None, length: bool = True, broken: str = "", **headers: str
) -> Answer:
    """The whole content, or its first `stop` bytes before the connection breaks."""

    def answer(step: Stream) -> Streamed:
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        if length:
            said["content-length"] = str(len(content))
        return written(step, status, said, content[:stop], broken or ("ReadError" if stop is not None else ""))

    return answer


def written(step: Stream, status: int, headers: Mapping[str, str], content: bytes, broken: str = "") -> Streamed:
    with step.path.open("ab" if status == 206 else "wb") as file:
        if step.began:
            step.began(status, headers)
        file.write(content)
    return Streamed(status, headers, step.path.stat().st_size, b"", broken)


def ranged(content: bytes, etag: str = '"v1"', stop: int | None = None) -> Answer:
    """A host that keeps to Range and If-Range, and breaks after `stop` bytes."""

    def answer(step: Stream) -> Streamed:
        asked = step.headers.get("range")
        start = int(asked[6:-1]) if asked and step.headers.get("if-range") == etag else 0
        if start >= len(content):
            return Streamed(416, {"content-range": f"bytes */{len(content)}"}, start)
        rest = content[start:]
        sent = rest[:stop]
        headers = {"etag": etag, "content-length": str(len(rest))}
        if start:
            headers["content-range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return written(step, 206 if start else 200, headers, sent, "ReadError" if len(sent) < len(rest) else "")

    return answer


def says(status: int, head: bytes = b"", **headers: str) -> Answer:
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda step: Streamed(status, said, step.path.stat().st_size if step.path.exists() else 0, head)


def fails(step: Stream) -> Streamed:
    raise TransportError("files.example did not answer in time.", sent=True)


def run(flow: Flow[Any], host: Host, kill: Callable[[Any], bool] = lambda step: False) -> Any:
    """Drive a flow to its end; `kill` abandons it before a step, as a killed process does."""
    try:
        step = next(flow)
        while True:
            if kill(step):
                return None
            try:
                outcome = perform(step, host)
            except Exception as problem:
                step = flow.throw(problem)
            else:
                step = flow.send(outcome)
    except StopIteration as stop:
        return stop.value
    finally:
        flow.close()


def perform(step: Any, host: Host) -> Any:
    match step:
        case Stream():
            return host(step)
        case Save():
            return step.work()
        case Sleep():
            return host.slept.append(step.seconds)
        case Now():
            return NOW
    raise AssertionError(step)


def asset(url: str = LINK, kind: Any = "image", **given: Any) -> Asset:
    return Asset(kind=kind, url=url, **given)


Parts = Callable[[str], Part]


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    held: list[Part] = []

    def make(name: str) -> Part:
        held.append(Part(tmp_path, name))
        return held[-1]

    yield make
    for entry in held:
        entry.release()


@pytest.fixture
def part(parts: Parts) -> Part:
    return parts("job-image-final-1")


def fetch(
    part: Part, host: Host, of: Asset | None = None, base_url: str = "https://api.302.ai", **given: Any
) -> Fetched:
    fetched = run(downloads.fetch(of or asset(), part, base_url=base_url, **given), host)
    assert isinstance(fetched, Fetched)
    assert fetched.sha256 == hashlib.sha256(fetched.path.read_bytes()).hexdigest()
    assert fetched.size == fetched.path.stat().st_size
    return fetched


def test_a_file_arrives_and_its_suffix_follows_its_content(part: Part) -> None:
    host = Host(body(PICTURE, content_type="application/octet-stream"))
    fetched = fetch(part, host, asset("https://files.example/x.jpg"))
    assert (fetched.path.read_bytes(), fetched.media_type, fetched.suffix) == (PICTURE, "image/png", ".png")
    assert len(host.asked) == 1


def test_the_link_goes_out_byte_for_byte_and_never_a_secret(part: Part) -> None:
    host = Host(fails, ranged(PICTURE, stop=9000), ranged(PICTURE))
    fetch(part, host)
    assert {step.url for step in host.asked} == {LINK}
    for step in host.asked:
        assert set(step.headers) <= {"accept", "accept-encoding", "range", "if-range"}


def test_a_broken_download_goes_on_where_it_stopped(part: Part) -> None:
    host = Host(ranged(PICTURE, stop=70000), ranged(PICTURE, stop=30000), ranged(PICTURE))
    assert fetch(part, host).path.read_bytes() == PICTURE
    assert host.ranges == [None, "bytes=70000-", "bytes=100000-"]
    assert [step.headers.get("if-range") for step in host.asked] == [None, '"v1"', '"v1"']


def test_a_driver_that_notes_nothing_on_the_way_still_resumes(part: Part) -> None:
    def silent(answer: Answer) -> Answer:
        return lambda step: answer(replace(step, began=None))

    host = Host(silent(ranged(PICTURE, stop=70000)), silent(ranged(PICTURE)))
    assert fetch(part, host).path.read_bytes() == PICTURE
    assert host.ranges == [None, "bytes=70000-"]


def test_a_killed_download_goes_on_in_another_process(tmp_path: Path, parts: Parts) -> None:
    first = parts("x")
    run(
        downloads.fetch(asset(), first, base_url=""),
        Host(ranged(PICTURE, stop=70000)),
        lambda step: isinstance(step, Sleep),
    )
    first.release()  # what the system does at a process's death
    second = parts("x")
    host = Host(ranged(PICTURE))
    assert fetch(second, host).path.read_bytes() == PICTURE
    assert host.ranges == ["bytes=70000-"]
    second.close(keep=False)
    assert list(tmp_path.iterdir()) == []


def test_a_download_killed_when_complete_is_not_fetched_again(parts: Parts) -> None:
    first = parts("x")
    fetch(first, Host(ranged(PICTURE)))
    first.close(keep=True)
    second = parts("x")
    host = Host(fails)
    assert fetch(second, host).path.read_bytes() == PICTURE
    assert host.asked == []
    second.close(keep=False)


def test_bytes_without_a_proof_of_what_they_belong_to_are_not_built_upon(tmp_path: Path, parts: Parts) -> None:
    (tmp_path / ".x.part").write_bytes(b"left over")
    held = parts("x")
    host = Host(body(PICTURE, stop=70000, etag='W/"weak"'), body(PICTURE))
    assert fetch(held, host).path.read_bytes() == PICTURE
    assert host.ranges == [None, None]
    held.close(keep=False)


def test_a_note_that_replaces_another_is_on_the_disk_before_the_bytes_it_speaks_of(
    part: Part, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bytes] = []
    notes = part.path.with_name(f"{part.path.name}.json")

    def recorded(handle: int) -> None:
        if os.path.samestat(os.fstat(handle), notes.stat()):
            synced.append(notes.read_bytes())

    monkeypatch.setattr(os, "fsync", recorded)
    part.began(200, {"etag": '"a"'})  # lost with its machine, it leaves bytes that nothing builds upon
    assert synced == []
    assert b'"a' in notes.read_bytes()
    part.began(200, {"etag": '"b"'})
    assert [b'\\"b' in note for note in synced] == [True]


def test_a_part_that_has_become_a_saved_file_is_never_written_into(tmp_path: Path, parts: Parts) -> None:
    (tmp_path / ".x.part").write_bytes(PICTURE)
    (tmp_path / ".x.part.json").write_text(json.dumps({"etag": '"v1"'}))
    os.link(tmp_path / ".x.part", tmp_path / "saved.png")
    held = parts("x")
    other = png(80)
    assert fetch(held, Host(body(other))).path.read_bytes() == other
    assert (tmp_path / "saved.png").read_bytes() == PICTURE
    held.close(keep=False)


def test_a_file_that_changed_in_between_is_fetched_whole(part: Part) -> None:
    other = png(150)
    host = Host(ranged(PICTURE, stop=70000), ranged(other, etag='"v2"'))
    assert fetch(part, host).path.read_bytes() == other


def test_a_complete_file_is_told_by_416(part: Part) -> None:
    host = Host(body(PICTURE, broken="ReadError", length=False, etag='"v1"'), ranged(PICTURE))
    assert fetch(part, host).path.read_bytes() == PICTURE
    assert host.ranges[-1] == f"bytes={len(PICTURE)}-"


@pytest.mark.parametrize(
    "wrong",
    [
        says(416, content_range="bytes */5"),
        lambda step: written(step, 206, {"content-range": f"bytes 5-9/{len(PICTURE)}"}, b"12345"),
        lambda step: written(step, 206, {}, b"12345"),
        lambda step: written(step, 206, {"content-range": f"bytes 70000-70008/{70009}"}, b"too many bytes"),
    ],
)
def test_a_host_that_confuses_ranges_is_asked_for_the_whole(part: Part, wrong: Answer) -> None:
    host = Host(ranged(PICTURE, stop=70000), wrong, ranged(PICTURE))
    assert fetch(part, host).path.read_bytes() == PICTURE
    assert host.ranges[-1] is None


@pytest.mark.parametrize(
    "told",
    [{"etag": '"v2"'}, {"etag": '"v1"'}, {}],
    ids=["its own validator", "that of the first, and another length", "no validator"],
)
def test_the_rest_of_another_file_is_not_put_behind_the_beginning_of_the_first(
    part: Part, told: Mapping[str, str]
) -> None:
    other = png(200 if told.get("etag") == '"v2"' else 220)
    rest = {"content-range": f"bytes 70000-{len(other) - 1}/{len(other)}", **told}
    host = Host(ranged(PICTURE, stop=70000), lambda step: written(step, 206, rest, other[70000:]), body(other))
    assert fetch(part, host).path.read_bytes() == other
    assert host.ranges == [None, "bytes=70000-", None]


def test_short_empty_html_and_busy_answers_are_tried_again_with_growing_pauses(part: Part) -> None:
    host = Host(fails, says(502), says(429, retry_after="7"), body(b""), body(PICTURE))
    assert fetch(part, host).path.read_bytes() == PICTURE
    assert host.slept == [1, 2, 7, 16]


def test_a_date_in_retry_after_is_understood_and_bounded(part: Part) -> None:
    late = (NOW + timedelta(seconds=20)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    host = Host(
        says(503, retry_after=late), says(503, retry_after="99999"), says(503, retry_after="soon"), body(PICTURE)
    )
    fetch(part, host)
    assert host.slept == [20, 60, 4]


def test_a_short_body_is_never_taken_for_the_file(part: Part) -> None:
    host = Host(lambda step: written(step, 200, {"content-length": str(len(PICTURE))}, PICTURE[:500]), body(PICTURE))
    assert fetch(part, host).path.read_bytes() == PICTURE


def test_without_a_length_the_pictures_own_end_is_looked_for(part: Part) -> None:
    host = Host(body(PICTURE[:-30], length=False), body(PICTURE, length=False))
    assert fetch(part, host).path.read_bytes() == PICTURE
    assert len(host.asked) == 2


def test_a_picture_that_came_cut_off_is_asked_for_again_whatever_length_was_announced(part: Part) -> None:
    host = Host(body(PICTURE[:-30]), body(PICTURE))
    assert fetch(part, host).path.read_bytes() == PICTURE
    assert len(host.asked) == 2


def test_a_picture_that_is_stored_cut_off_is_still_had(parts: Parts) -> None:
    held = parts("x")
    assert fetch(held, Host(body(PICTURE[:-30], length=False))).size == len(PICTURE) - 30
    held.close(keep=False)


def test_tries_end_and_progress_begins_them_anew(parts: Parts) -> None:
    host = Host(fails)
    with pytest.raises(DownloadError) as caught:
        fetch(parts("x"), host)
    assert len(host.asked) == 6
    assert (caught.value.billed, caught.value.retryable, caught.value.asset) == ("yes", True, asset())
    assert "did not answer in time" in str(caught.value)
    assert "The job is fine and paid" in str(caught.value)

    large = os.urandom(70000 * 9)
    content = PICTURE[:8] + large + PICTURE[-12:]
    host = Host(ranged(content, stop=70000))
    held = parts("y")
    assert fetch(held, host).size == len(content)
    assert len(host.asked) > 8

    host = Host(ranged(content, stop=1))
    with pytest.raises(DownloadError, match="connection ended"):
        fetch(parts("z"), host)
    assert len(host.asked) == 6


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_dead_link_is_told_at_once(part: Part, status: int) -> None:
    host = Host(says(status, b"This content is no longer available."))
    with pytest.raises(DownloadError, match=r"link has expired.*no longer available") as caught:
        fetch(part, host)
    assert len(host.asked) == 1
    assert caught.value.billed == "yes"


def test_a_dead_discord_link_says_when_it_died_and_a_living_one_that_it_lives(part: Part) -> None:
    dead = f"https://cdn.discordapp.com/attachments/1/2/a.png?ex={int(NOW.timestamp()) - 3600:x}&is=1&hm=2&"
    with pytest.raises(DownloadError, match="expired at 2026-11-21 11:00 UTC"):
        fetch(part, Host(says(404)), asset(dead))
    with pytest.raises(DownloadError, match="should work until 2026-11-21 13:00 UTC"):
        fetch(part, Host(says(404)), asset(expires_at=NOW + timedelta(hours=1)))


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (b"<!DOCTYPE html><html><title>Sign in</title>", "image", r"an HTML page.*Sign in.*login page"),
        (b'{"error": {"message": "quota"}}', "video", r"JSON.*quota.*error message in place"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied", "image", "AccessDenied"),
        (b"\0\1\2\3\4\5\6\7", "audio", "00 01 02 03"),
        (b"", "image", "nothing at all"),
        (b"<html>", "model3d", "HTML"),
    ],
)
def test_something_else_than_the_file_is_shown_with_its_likely_cause(
    tmp_path: Path, content: bytes, kind: str, words: str, parts: Parts
) -> None:
    held = parts("x")
    host = Host(body(content, content_type=f"{kind}/png"))
    with pytest.raises(DownloadError, match=words):
        fetch(held, host, asset(kind=kind))
    assert len(host.asked) == 3
    held.close(keep=True)
    assert list(tmp_path.iterdir()) == []


def test_rare_formats_and_models_and_texts_are_had(parts: Parts) -> None:
    cases = [
        (b"\x76\x2f\x31\x01\2\0\0\0", "image", "image/x-exr", "a", ".bin"),
        (b"v 0 0 0\n", "model3d", "text/plain", "a.obj", ".obj"),
        (b"PK\3\4....", "model3d", "", "a.usdz", ".usdz"),
        (b"1\n00:00 --> 00:01\nhi", "text", "text/plain", "a", ".txt"),
    ]
    for number, (content, kind, declared, name, suffix) in enumerate(cases):
        held = parts(str(number))
        fetched = fetch(held, Host(body(content, content_type=declared)), asset(f"https://f.example/{name}", kind))
        assert fetched.suffix == suffix
        held.close(keep=False)


def test_an_endless_file_is_stopped(parts: Parts) -> None:
    for answer in (body(PICTURE), body(PICTURE, length=False, stop=1001)):
        host = Host(answer)
        with pytest.raises(DownloadError, match="larger than the limit of 1000 bytes"):
            fetch(parts("x"), host, limit=1000)
        assert host.asked[0].limit == 1000
        assert len(host.asked) == 1


def test_redirects_are_followed_a_few_times_and_only_where_links_may_lead(parts: Parts) -> None:
    host = Host(says(302, location="/b?c=1"), says(307, location="https://cdn.example/x"), body(PICTURE))
    fetch(parts("a"), host)
    assert [step.url for step in host.asked] == [LINK, "https://files.example/b?c=1", "https://cdn.example/x"]

    refused = {
        "http://files.example/a.png": "https to plain http",
        "file:///etc/passwd": "only http and https",
        "ftp://files.example/a": "only http and https",
        "/again": "more than 5 times",
    }
    for number, (location, words) in enumerate(refused.items()):
        host = Host(says(302, location=location))
        with pytest.raises(DownloadError, match=words) as caught:
            fetch(parts(str(number)), host)
        assert not caught.value.retryable
        assert len(host.asked) == (6 if location == "/again" else 1)


def test_after_a_break_the_first_link_is_asked_again_not_the_signed_one(part: Part) -> None:
    hop = says(302, location="https://cdn.example/signed")
    host = Host(hop, ranged(PICTURE, stop=70000), hop, ranged(PICTURE))
    fetch(part, host)
    assert host.asked[2].url == LINK


@pytest.mark.parametrize("link", ["file:///etc/passwd", "ftp://x/y", "gopher://x", "/etc/passwd", "https://"])
def test_other_links_are_never_followed(part: Part, link: str) -> None:
    host = Host(fails)
    with pytest.raises(DownloadError, match="only http and https"):
        fetch(part, host, asset(link))
    assert host.asked == []


@pytest.mark.parametrize(
    ("base_url", "allowed"),
    [
        ("https://api.302.ai", False),
        ("", False),
        ("https://10.evil.example", False),
        ("http://127.0.0.1:8080", True),
        ("http://localhost:3000/mj", True),
        ("http://[::1]:80", True),
        ("https://192.168.1.4", True),
        ("http://mjproxy:8080", True),
        ("https://gateway.internal", True),
        ("https://files.example/v1", True),  # the gateway's own host: we talk to it already
    ],
)
def test_private_addresses_are_for_private_providers(part: Part, base_url: str, allowed: bool) -> None:
    host = Host(body(PICTURE))
    fetch(part, host, base_url=base_url)
    assert host.asked[0].private is allowed


def test_the_secrets_of_a_machine_are_nobodys_files(part: Part) -> None:
    host = Host(body(PICTURE))
    fetch(part, host, asset("http://169.254.169.254/latest/x.png"), base_url="http://127.0.0.1:8080")
    assert host.asked[0].private is False


def test_two_processes_on_one_file_do_not_write_into_each_other(tmp_path: Path, parts: Parts) -> None:
    first, second = parts("x"), parts("x")
    assert first.path != second.path
    assert fetch(first, Host(ranged(PICTURE))).sha256 == fetch(second, Host(ranged(PICTURE))).sha256
    first.close(keep=False)
    second.close(keep=True)  # an own file is of no use to others
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_status_is_told_with_what_it_said(part: Part) -> None:
    with pytest.raises(DownloadError, match=r"HTTP 451.*for legal reasons"):
        fetch(part, Host(says(451, b"for legal reasons")))


def test_an_address_that_is_not_allowed_names_the_asset(part: Part) -> None:
    def private(step: Stream) -> Streamed:
        raise DownloadError("A result link points at a private address.")

    with pytest.raises(DownloadError) as caught:
        fetch(part, Host(private))
    assert caught.value.asset == asset()


@pytest.mark.parametrize(
    ("link", "moment"),
    [
        (
            "https://cdn.discordapp.com/attachments/1/2/a.png?ex=6b023080&is=6b00df00&hm=0&",
            datetime(2026, 11, 22, tzinfo=UTC),
        ),
        ("https://operator.example/attachments/1/2/a.png?ex=6b023080", datetime(2026, 11, 22, tzinfo=UTC)),
        ("https://file.302ai.cn/gpt/imgs/20261121/a.png?ex=6b023080", None),
        ("https://cdn.discordapp.com/attachments/1/2/a.png?ex=zz&", None),
        ("https://cdn.discordapp.com/attachments/1/2/a.png", None),
        ("http://[broken/attachments/?ex=6b023080", None),
    ],
)
def test_a_link_says_when_it_dies(link: str, moment: datetime | None) -> None:
    assert _links.expiry(link) == moment


@pytest.mark.parametrize(
    ("link", "base_url", "meant"),
    [
        (
            "http://localhost:3000/mj/image/1?rand=%2f&",
            "https://gw.example:8443/v1",
            "https://gw.example:8443/mj/image/1?rand=%2f&",
        ),
        ("http://127.0.0.1/mj/image/1", "https://gw.example", "https://gw.example/mj/image/1"),
        ("http://[::1]:3000/x", "https://gw.example", "https://gw.example/x"),
        ("http://localhost:3000", "https://gw.example", "https://gw.example"),
        ("http://localhost:3000/x", "http://127.0.0.1:8080", "http://localhost:3000/x"),
        ("http://192.168.1.4/x", "https://gw.example", "http://192.168.1.4/x"),
        ("https://files.example/x", "https://gw.example", "https://files.example/x"),
        ("http://localhost:3000/x", "", "http://localhost:3000/x"),
    ],
)
def test_a_loopback_link_of_a_remote_gateway_means_the_gateway(link: str, base_url: str, meant: str) -> None:
    assert _links.own_host(link, base_url) == meant


def test_only_web_addresses_with_a_host_are_links() -> None:
    good = ["https://a.example/x", "HTTP://A.example", "http://[::1]:80/"]
    bad = [
        "",
        "a cat",
        "/x.png",
        "https://",
        "data:image/png;base64,AA",
        "ftp://a.example/x",
        "http://a:99999/",
        "http://[x/",
    ]
    assert [bool(_links.split(link)) for link in good + bad] == [True] * len(good) + [False] * len(bad)


def test_a_notice_before_and_after_a_links_death() -> None:
    def codes(*hours: float) -> str | None:
        notice = _links.expiry_notice([asset(expires_at=NOW + timedelta(hours=hour)) for hour in hours], NOW)
        return None if notice is None else notice.code

    assert [codes(), codes(24), codes(24, 1), codes(-1, 24)] == [None, None, "link_expires", "link_expired"]
    assert _links.expiry_notice([asset(), Asset(kind="text", text="x")], NOW) is None


def test_an_open_result_is_whole_and_gone_when_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    host = Host(ranged(PICTURE, stop=70000), ranged(PICTURE))
    with run(downloads.open_stream(asset(), base_url=""), host) as stream:
        assert stream.read(8) == PICTURE[:8]
        assert stream.seek(0) == 0
        assert stream.read() == PICTURE
        assert host.asked[0].path.is_relative_to(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DownloadError):
        run(downloads.open_stream(asset(), base_url=""), Host(says(404)))
    assert list(tmp_path.iterdir()) == []


def test_an_open_text_and_an_open_tile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    text = run(downloads.open_stream(Asset(kind="text", text="猫"), base_url=""), Host(fails))
    assert text.read() == "猫".encode()
    tile = run(downloads.open_stream(asset(role="tile", cut=(1, 1, 2, 2)), base_url=""), Host(body(PICTURE)))
    with Image.open(tile) as cut, Image.open(io.BytesIO(PICTURE)) as grid:
        assert cut.tobytes() == grid.crop((100, 100, 200, 200)).tobytes()
    assert list(tmp_path.iterdir()) == []
