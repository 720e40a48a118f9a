"""`gen302 plugins new` writes a distribution that keeps the contract; `plugins check` says what to mend."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ai302_core.cli import main

Done = subprocess.CompletedProcess[str]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a generated distribution `boat`, and a folder `site` on the path it is installed in."""
    (tmp_path / "site").mkdir()
    return tmp_path


@pytest.fixture
def gen302(place: Path) -> Callable[..., Done]:
    # A module written anew within a second, at the same length, would be taken for the one before.
    anew = {"PYTHONPATH": str(place / "site"), "PYTHONIOENCODING": "utf-8", "PYTHONDONTWRITEBYTECODE": "1"}

    def run(*words: str, expect: int | None = None) -> Done:
        done = subprocess.run(
            [sys.executable, "-m", "ai302_core", *words],
            cwd=place,
            env={**os.environ, **anew},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=100,
        )
        assert expect is None or done.returncode == expect, f"{done.stdout}\n{done.stderr}"
        return done

    return run


def install(place: Path, folder: str, name: str) -> Path:
    """What pip leaves behind of a generated distribution; its module in the site."""
    site, package = place / "site", f"ai302_{name}"
    shutil.copytree(place / folder / "src" / package, site / package, dirs_exist_ok=True)
    info = site / f"{package}-0.1.0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {folder}\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(f"[ai302_core.families]\n{name} = {package}\n")
    return site / package / "__init__.py"


def test_what_is_generated_keeps_the_contract(place: Path, gen302: Callable[..., Done]) -> None:
    gen302("plugins", "new", "sea-boat", expect=0)
    install(place, "ai302-sea-boat", "sea_boat")
    told = json.loads(gen302("plugins", "check", "sea-boat", "--json", expect=0).stdout)
    assert told["ok"] is True
    assert told["tests"] > 30
    listed = [json.loads(line) for line in gen302("plugins", "--json", expect=0).stdout.splitlines()]
    assert {"sea_boat", "midjourney"} <= {entry["name"] for entry in listed}
    assert "is installed already" in gen302("plugins", "new", "sea-boat", "--dir", "other", expect=2).stderr
    assert not (place / "other").exists()
    readme = (place / "ai302-sea-boat/README.md").read_text("utf-8")
    assert '    pip install -e ".[test]"\n' in readme
    shown = (place / "ai302-sea-boat/README.md").read_text("utf-8").splitlines()
    (buying,) = (shlex.split(line) for line in shown if line.startswith("    gen302 sandbox"))
    assert buying[:4] == ["gen302", "sandbox", "--", "gen302"]
    gen302("sandbox", "--", sys.executable, "-m", "ai302_core", *buying[4:], expect=0)
    assert len(list((place / "pictures").glob("*.png"))) == 1


def test_the_check_says_what_to_mend(place: Path, gen302: Callable[..., Done]) -> None:
    gen302("plugins", "new", "boat", expect=0)
    module = install(place, "ai302-boat", "boat")
    text = module.read_text("utf-8")
    noisy = text.replace("import annotations\n", 'import annotations\nimport httpx\nprint("hello")\n')
    module.write_text(noisy.replace('job_id=("id",)', 'job_id=("data.id",)'))
    told = gen302("plugins", "check", "boat", expect=2)
    assert "importing it prints 'hello" in told.stdout
    assert "importing it loads httpx: import it inside" in told.stdout
    assert "test_the_job_keeps_its_id [image]" in told.stdout
    assert "does job_id=('data.id',) name its path?" in told.stdout
    module.write_text("import time\ntime.sleep(60)\n")
    assert "is not done after 1 s" in gen302("plugins", "check", "boat", "--timeout", "1", expect=2).stdout
    module.write_text("import os\nos._exit(3)\n")
    assert "ends Python itself (exit code 3)" in gen302("plugins", "check", "boat", expect=2).stdout
    module.write_text(text.replace("api=1", "api=2"))
    told = gen302("plugins", "check", "boat", expect=2)
    assert "made for api=2, this ai302-core knows api=1" in told.stdout
    assert "Upgrade ai302-core" in told.stdout
    module.write_text(text)
    (module.parent / "samples/image.json").write_text('{"operation": "image"}')
    assert "The sample image.json cannot be used" in gen302("plugins", "check", "boat", expect=2).stdout


def test_the_check_looks_beyond_the_contract(place: Path, gen302: Callable[..., Done]) -> None:
    gen302("plugins", "new", "boat", expect=0)
    module = install(place, "ai302-boat", "boat")
    text = module.read_text("utf-8")
    asking = "import socket\ntry:\n    socket.create_connection(('127.0.0.1', 9))\nexcept OSError:\n    pass\n"
    hook = "\n\n@hookimpl\ndef ai302_sandbox():\n    return {'routes': ()}\n"
    comma = text.replace('at="status"', 'at="status", canceled="gone"')
    module.write_text(f"{comma}{asking}{hook}")
    told = gen302("plugins", "check", "boat", expect=2)
    assert "importing it connects to ('127.0.0.1', 9)" in told.stdout
    assert "sandbox\n  ai302_sandbox gives dict, not an Emulation: the sandbox leaves the family out" in told.stdout
    assert "a tuple of one ends in a comma: ('gone',)" in told.stdout
    assert "3 to mend" in told.stderr
    module.write_text(text + hook.replace("@hookimpl\n", ""))
    shutil.rmtree(module.parent / "samples")
    told = gen302("plugins", "check", "boat", expect=2)
    assert "ai302_sandbox lacks @hookimpl" in told.stdout
    assert "setuptools packs what [tool.setuptools.package-data] names" in told.stdout


def test_names_that_cannot_be(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(place)

    def refused(*words: str) -> str:
        assert main(words) == 2
        return capsys.readouterr().err

    for name in ("9lives", "ai302", "class", "a b", "Hailuo", "../up"):
        assert "cannot be the name of a family" in refused("plugins", "new", name)
    assert sorted(path.name for path in place.iterdir()) == ["site"]
    (place / "ai302-boat").mkdir()
    (place / "ai302-boat/mine.txt").write_text("mine")
    assert "is there already; nothing was written" in refused("plugins", "new", "boat")
    assert [path.name for path in (place / "ai302-boat").iterdir()] == ["mine.txt"]
    told = refused("plugins", "check", "baot")
    assert "No family 'baot' is installed" in told
    assert 'Next: pip install -e "./ai302-baot[test]"' in told
    assert '[project.entry-points."ai302_core.families"]' in told
    assert "needs a NAME" in refused("plugins", "new")
