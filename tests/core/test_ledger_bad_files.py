"""A ledger file that cannot be used: one sentence, what it means for the money, the next step; nothing is touched."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ai302_core._sqlite import SqliteLedger, schema
from ai302_core._sqlite.database import shared_file_system
from ai302_core.errors import LedgerError
from ai302_core.jobs import Job, Status
from ai302_core.ledger import FileRecord, Intent, unreadable

JOB = Job(
    id="job-1", provider="hero", family="acme", operation="image", status=Status.SUBMITTING, billed="no",
    created_at=datetime(2026, 11, 21, tzinfo=UTC), key="order-1",
)  # fmt: skip


def claim(ledger: SqliteLedger, job_id: str = "job-1") -> bool:
    return ledger.claim(Intent(job=replace(JOB, id=job_id, key=job_id), digest="d")).fresh


def refused(work: Callable[[], object]) -> LedgerError:
    """The error `work` raises, which says all an error has to say and costs nothing."""
    with pytest.raises(LedgerError) as caught:
        work()
    error = caught.value
    assert error.message.endswith(" Nothing was sent.")
    assert error.billed == "no"
    assert error.hint.endswith((".", "pip install ./core"))
    return error


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[SqliteLedger]:
    opened = SqliteLedger(path)
    yield opened
    opened.close()


def pragma(path: Path, name: str) -> Any:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(f"PRAGMA {name}").fetchone()[0]


# --- not ours, not whole


def test_a_file_of_another_kind(path: Path, ledger: SqliteLedger) -> None:
    path.write_text("Dear diary, " * 200)
    error = refused(lambda: claim(ledger))
    assert str(path) in error.message
    assert "is not a ledger" in error.message
    assert "Move it away" in error.hint
    assert path.read_text() == "Dear diary, " * 200
    path.unlink()
    assert claim(ledger)  # mended: the same process goes on


def test_another_programs_database(path: Path, ledger: SqliteLedger) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE jobs (id)")
    before = path.read_bytes()
    assert "another program" in refused(lambda: claim(ledger)).message
    assert "another program" in refused(ledger.jobs).message
    assert path.read_bytes() == before


def test_a_damaged_ledger(path: Path, ledger: SqliteLedger) -> None:
    for number in range(50):
        claim(ledger, f"job-{number}")
    ledger.close()
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))
    error = refused(lambda: claim(ledger, "new"))
    assert "damaged" in error.message
    assert "restore it" in error.hint
    assert "damaged" in refused(ledger.jobs).message
    path.write_bytes(content)
    assert len(ledger.jobs()) == 50


def test_a_truncated_ledger(path: Path, ledger: SqliteLedger) -> None:
    claim(ledger)
    ledger.close()
    path.write_bytes(path.read_bytes()[:5000])
    assert "damaged" in refused(lambda: claim(ledger, "new")).message


def test_a_ledger_without_its_tables(path: Path, ledger: SqliteLedger) -> None:
    claim(ledger)
    ledger.close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE jobs")
    assert "damaged: no such table" in refused(lambda: claim(ledger, "new")).message


def test_a_row_that_is_no_job(path: Path, ledger: SqliteLedger) -> None:
    """Its key and its id are refused, so that nobody pays for it again; a list shows what its columns tell."""
    claim(ledger)
    claim(ledger, "job-2")
    ledger.keep_batch("november", {"v": 1})
    ledger.add_files("job-2", [FileRecord(path="/a.png", sha256="", size=3, role="final", index=1, asset={"a": 1})])
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE jobs SET document = '[]' WHERE id = 'job-1'")
        db.execute("UPDATE batches SET document = '{'")
        db.execute("UPDATE files SET asset = '{'")
    for work in (lambda: claim(ledger), lambda: ledger.find_key("job-1", "d"), lambda: ledger.job("job-1")):
        assert "cannot be read" in refused(work).message
    assert "the batch 'november'" in refused(lambda: ledger.batch("november")).message
    assert [file.asset for file in ledger.files("job-2")] == [{}]
    listed = {job.id: job for job in ledger.jobs()}
    assert unreadable(listed["job-2"]) is None
    assert str(unreadable(listed["job-1"])).startswith("job-1: Its row of the ledger was changed")
    assert replace(listed["job-1"], warnings=()) == replace(JOB, key="job-1")
    assert not claim(ledger, "job-2")


def test_an_empty_file_becomes_a_ledger(path: Path, ledger: SqliteLedger) -> None:
    path.touch()
    assert claim(ledger)


@pytest.mark.skipif(sys.platform == "win32", reason="no open file is moved there")
@pytest.mark.parametrize("way", ["moved away", "deleted", "put back from a backup"])
def test_a_file_that_goes_while_it_is_open(way: str, path: Path, ledger: SqliteLedger) -> None:
    assert claim(ledger, "order-1")
    assert ledger.job("order-1") is not None
    attic = path.parent / "attic"
    attic.mkdir()
    if way == "put back from a backup":
        with closing(sqlite3.connect(path)) as db, closing(sqlite3.connect(attic / "ledger.db")) as backup:
            db.backup(backup)
    for part in sorted(path.parent.glob("ledger.db*")):
        if way == "moved away":
            part.rename(attic / part.name)
        elif part.is_file():
            part.unlink()
    if way == "put back from a backup":
        (attic / "ledger.db").rename(path)
    assert claim(ledger, "order-2")
    with closing(SqliteLedger(path)) as other:
        assert not claim(other, "order-2")
        assert [job.key for job in other.jobs()] == [job.key for job in ledger.jobs()]
        assert (other.job("order-1") is None) is (way != "put back from a backup")


def test_a_folder(path: Path, ledger: SqliteLedger) -> None:
    path.mkdir()
    assert "is a folder" in refused(lambda: claim(ledger)).message


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    ledger = SqliteLedger(tmp_path / "data" / "ledger.db")
    assert str(tmp_path / "data") in refused(lambda: claim(ledger)).message


# --- versions

CURRENT = len(schema.MIGRATIONS)


def test_every_older_version_becomes_a_current_one_with_its_jobs(path: Path) -> None:
    """Whatever version a ledger has, its jobs are there afterwards, and so is everything newer."""
    now = datetime(2026, 11, 21, tzinfo=UTC)
    for version in range(1, CURRENT):
        old = path.with_name(f"version-{version}.db")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:version])
            first = SqliteLedger(old)
            first.jobs()
            first.close()
        with closing(sqlite3.connect(old)) as db:  # as that version wrote it
            db.execute(
                "INSERT INTO jobs (id, key, attempt, digest, status, billed, provider, family, operation, gateway,"
                " base_url, created_at, words, document) VALUES ('job-1', 'k', 1, 'd', 'queued', 'yes', 'hero', 'acme',"
                " 'image', '302ai', '', 1.0, '', ?)",
                (replace(JOB, status=Status.QUEUED).to_json(),),
            )
            db.commit()
        assert pragma(old, "user_version") == version
        ledger = SqliteLedger(old)
        assert [job.id for job in ledger.jobs()] == ["job-1"]
        ledger.add_link(
            "https://door.example/up", "0" * 64, "https://file.example/1.png", now, now + timedelta(hours=1)
        )
        assert ledger.link("https://door.example/up", "0" * 64, now) == "https://file.example/1.png"
        ledger.close()
        assert pragma(old, "user_version") == CURRENT


def test_an_older_ledger_is_migrated(path: Path, ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    claim(ledger)
    ledger.close()
    assert pragma(path, "user_version") == CURRENT

    def second(db: sqlite3.Connection) -> None:
        db.execute("ALTER TABLE jobs ADD COLUMN mood TEXT NOT NULL DEFAULT 'calm'")

    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, second))
    assert [job.id for job in ledger.jobs()] == ["job-1"]
    assert claim(ledger, "job-2")
    ledger.close()
    assert pragma(path, "user_version") == CURRENT + 1
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT id, mood FROM jobs").fetchall() == [("job-1", "calm"), ("job-2", "calm")]


def test_a_ledger_of_version_0_is_migrated(path: Path, ledger: SqliteLedger) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        db.execute("CREATE TABLE notes (text)")
        db.execute("INSERT INTO notes VALUES ('from before')")
        db.commit()
    assert claim(ledger)
    assert pragma(path, "user_version") == CURRENT
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT text FROM notes").fetchone() == ("from before",)


def test_a_migration_that_fails_changes_nothing(
    path: Path, ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim(ledger)
    ledger.close()

    def broken(db: sqlite3.Connection) -> None:
        db.execute("DROP TABLE files")
        db.execute("INSERT INTO nowhere VALUES (1)")

    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, broken))
        refused(ledger.jobs)
    assert pragma(path, "user_version") == CURRENT
    assert ledger.files("job-1") == []
    assert [job.id for job in ledger.jobs()] == ["job-1"]


def test_a_newer_ledger_is_refused(path: Path, ledger: SqliteLedger) -> None:
    claim(ledger)
    ledger.close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 70")
    before = path.read_bytes()
    error = refused(lambda: claim(ledger, "job-2"))
    assert "version 70, made by a newer ai302-core" in error.message
    assert f"up to {CURRENT}." in error.message
    assert "pip install ./core" in error.hint
    assert path.read_bytes() == before


# --- rights and room


@pytest.fixture
def as_somebody() -> Iterator[Path]:
    """A folder of a user who, unlike root, can be forbidden things; the test runs as that user."""
    if sys.platform == "win32":
        pytest.skip("POSIX permission bits")
    folder = Path(tempfile.mkdtemp())
    root = os.geteuid() == 0
    if root:
        os.chown(folder, 65534, 65534)
        os.seteuid(65534)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o700)
        shutil.rmtree(folder)


def test_a_folder_that_takes_no_files(as_somebody: Path) -> None:
    as_somebody.chmod(0o500)
    ledger = SqliteLedger(as_somebody / "ledger.db")
    error = refused(lambda: claim(ledger))
    assert "permission denied" in error.message
    assert "ledger = " in error.hint
    deep = SqliteLedger(as_somebody / "deep" / "ledger.db")
    assert "permission denied" in refused(lambda: claim(deep)).message


def test_a_folder_that_became_read_only(as_somebody: Path) -> None:
    ledger = SqliteLedger(as_somebody / "ledger.db")
    claim(ledger)
    ledger.close()
    as_somebody.chmod(0o500)
    assert "its folder takes no" in refused(lambda: claim(ledger, "job-2")).message
    as_somebody.chmod(0o700)
    assert claim(ledger, "job-2")
    ledger.close()


def test_a_read_only_file(as_somebody: Path) -> None:
    path = as_somebody / "ledger.db"
    ledger = SqliteLedger(path)
    claim(ledger)
    ledger.close()
    path.chmod(0o400)
    assert "read-only" in refused(lambda: claim(ledger, "job-2")).message
    ledger.close()


def test_a_file_nobody_may_read(as_somebody: Path) -> None:
    path = as_somebody / "ledger.db"
    ledger = SqliteLedger(path)
    claim(ledger)
    ledger.close()
    path.chmod(0o000)
    assert "cannot be opened: this user may not" in refused(lambda: claim(ledger, "job-2")).message
    assert "cannot be opened: this user may not" in refused(ledger.jobs).message
    ledger.close()


def test_a_full_disk(path: Path, ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    claim(ledger)
    (job,) = ledger.jobs()
    ledger.close()
    connect = sqlite3.connect

    def full(*args: Any, **options: Any) -> sqlite3.Connection:
        db: sqlite3.Connection = connect(*args, **options)
        db.execute("PRAGMA max_page_count = 1")  # SQLite's own limit: raised to the pages there are, no more
        return db

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", full)
        error = refused(lambda: [claim(ledger, f"job-{number}") for number in range(2, 99)])
        assert "is full" in error.message
        assert "Free some space" in error.hint
        with pytest.raises(LedgerError, match="is full") as caught:
            ledger.write(replace(job, status=Status.QUEUED, remote_id="task-7", raw="x" * 99_999))
        assert caught.value.billed == "unknown"
        assert "Nothing was sent" not in caught.value.message
        assert [entry.status for entry in ledger.find("job-1")] == [Status.SUBMITTING]
        ledger.close()
    assert claim(ledger, "later")


# --- disks of this machine only

MOUNTS = """\
/dev/vda / ext4 rw 0 0
server:/home /home nfs4 rw 0 0
/dev/vdb /home/local\\040disk ext4 rw 0 0
me@host: /mnt/far fuse.sshfs rw 0 0
//nas/x /mnt/nas cifs rw 0 0
portal /mnt/doc fuse.portal rw 0 0
/dev/vdc /mnt/over ext4 rw 0 0
server:/x /mnt/over nfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/ledger.db", ""),
        ("/home/me/ledger.db", "nfs4"),
        ("/homestead/ledger.db", ""),
        ("/home/local disk/ledger.db", ""),
        ("/mnt/far/ledger.db", "fuse.sshfs"),
        ("/mnt/nas/ledger.db", "cifs"),
        ("/mnt/doc/ledger.db", ""),
        ("/mnt/over/ledger.db", "nfs"),
    ],
)
def test_shared_file_systems_are_told_by_the_mounts(path: str, kind: str) -> None:
    assert shared_file_system(Path(path), MOUNTS) == kind
    assert shared_file_system(Path(path), "") == shared_file_system(Path(path), "garbage\n\n") == ""


@pytest.mark.skipif(sys.platform != "linux", reason="asked on Linux only")
def test_a_shared_file_system_is_refused(path: Path, ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    read_text = Path.read_text

    def mounted(self: Path, *args: Any) -> str:
        return f"server:/x {path.parent} nfs4 rw 0 0\n" if str(self) == "/proc/mounts" else read_text(self, *args)

    monkeypatch.setattr(Path, "read_text", mounted)
    error = refused(lambda: claim(ledger))
    assert "shared between machines (nfs4)" in error.message
    assert "ledger = " in error.hint
    assert not path.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="the shared memory is no file there")
def test_where_wal_does_not_work_the_journal_does(path: Path, ledger: SqliteLedger) -> None:
    path.with_name("ledger.db-shm").mkdir()  # so that SQLite has no shared memory
    assert claim(ledger)
    assert [job.id for job in ledger.jobs()] == ["job-1"]
    ledger.close()
    assert pragma(path, "journal_mode") == "delete"
    assert claim(ledger, "job-2")


def test_wal_and_full_sync_where_it_works(path: Path, ledger: SqliteLedger) -> None:
    claim(ledger)
    assert pragma(path, "journal_mode") == "wal"
    assert ledger._store.write(lambda db: db.execute("PRAGMA synchronous").fetchone()) == (2,)
