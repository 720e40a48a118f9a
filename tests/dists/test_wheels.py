"""The built wheels, each distribution by itself, in fresh environments that have never seen the sources."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

pytestmark = [pytest.mark.wheels, pytest.mark.timeout(900)]  # the first one builds and installs everything

ROOT = Path(__file__).parents[2]
FOLDERS = [ROOT / "core", *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))]


def project(folder: Path) -> dict[str, str]:
    table = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    return {"name": table["name"], "version": table["version"], "package": table["name"].replace("-", "_")}


CORE, *FAMILIES = map(project, FOLDERS)
NAMES = {folder["name"].removeprefix("ai302-").replace("-", "_") for folder in FAMILIES}


def run(*command: str | Path, cwd: Path, expect: int | None = 0) -> subprocess.CompletedProcess[str]:
    """A command as a user's shell would run it: nothing of this test run in its environment."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE_", "PYTHON", "VIRTUAL_ENV"))
    }
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**environment, "PYTHONIOENCODING": "utf-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=180,
    )
    if expect is not None:
        assert done.returncode == expect, f"{command} exited {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done


@dataclass(frozen=True)
class Place:
    """A fresh environment and an empty folder to work in, far from the sources."""

    environment: Path
    work: Path
    ambient: dict[str, str] = field(repr=False)

    def install(self, *what: str | Path) -> None:
        """With pip as its user has set it up: index, proxy, cache."""
        pip = (sys.executable, "-m", "pip", "--python", self.environment / "bin/python", "-q", "--no-input")
        done = subprocess.run(
            [str(part) for part in (*pip, "install", "--no-compile", *what)],
            cwd=self.work,
            env=self.ambient,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"pip failed to install {what}: is there a network?\n{done.stderr[-2000:]}"

    def __call__(self, command: str, *rest: str | Path, expect: int | None = 0) -> subprocess.CompletedProcess[str]:
        return run(self.environment / "bin" / command, *rest, cwd=self.work, expect=expect)

    def python(self, code: str) -> str:
        return self("python", "-c", code).stdout.strip()


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every distribution's wheel, built from its own folder alone."""
    out = tmp_path_factory.mktemp("wheels")
    found: dict[str, Path] = {}
    for folder, names in zip(FOLDERS, (CORE, *FAMILIES), strict=True):
        run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", out, cwd=folder)
        (found[names["name"]],) = out.glob(f"{names['package']}-{names['version']}-py3-none-any.whl")
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, ambient: dict[str, str]) -> Callable[[str], Place]:
    def make(name: str) -> Place:
        folder = tmp_path_factory.mktemp(name)
        venv.create(folder / "environment", with_pip=False, symlinks=os.name != "nt")
        (folder / "work").mkdir()
        return Place(folder / "environment", folder / "work", ambient)

    return make


@pytest.fixture(scope="module")
def alone(wheels: dict[str, Path], place: Callable[[str], Place]) -> Place:
    """The core without any extra and without a family."""
    here = place("alone")
    here.install(wheels[CORE["name"]])
    return here


@pytest.fixture(scope="module")
def family(wheels: dict[str, Path], place: Callable[[str], Place]) -> Place:
    """The core that can cut pictures, and every family."""
    here = place("family")
    core = f"{CORE['name']}[images] @ {wheels[CORE['name']].as_uri()}"
    here.install(core, *(wheels[names["name"]] for names in FAMILIES))
    return here


@pytest.mark.parametrize("names", [CORE, *FAMILIES], ids=lambda names: names["name"])
def test_a_wheel_holds_its_package_and_nothing_else(wheels: dict[str, Path], names: dict[str, str]) -> None:
    with zipfile.ZipFile(wheels[names["name"]]) as wheel:
        inside = wheel.namelist()
        tops = {entry.partition("/")[0] for entry in inside}
        assert tops == {names["package"], f"{names['package']}-{names['version']}.dist-info"}
        assert f"{names['package']}/py.typed" in inside
        assert any(entry.endswith("/licenses/LICENSE") for entry in inside)
        metadata = wheel.read(f"{names['package']}-{names['version']}.dist-info/METADATA").decode()
    assert "License-Expression: MIT" in metadata
    assert "Requires-Python: >=3.11" in metadata
    assert len(metadata.partition("\n\n")[2].split()) > 50, "the README is the long description"


def test_imports_come_from_the_wheels(family: Place) -> None:
    for names in (CORE, *FAMILIES):
        where = Path(family.python(f"import {names['package']} as it; print(it.__file__)"))
        assert where.is_relative_to(family.environment)
        assert "site-packages" in where.parts
        assert (where.parent / "py.typed").is_file()


@pytest.mark.parametrize("command", [("gen302",), ("python", "-m", "ai302_core")], ids=" ".join)
def test_the_command_says_its_version_and_helps(alone: Place, command: tuple[str, ...]) -> None:
    assert CORE["version"] in alone(*command, "--version").stdout
    words = alone(*command, "--help").stdout
    assert all(re.search(rf"\b{verb}\b", words) for verb in ("run", "submit", "jobs", "sandbox", "demo"))


def test_the_core_alone_lists_no_family_and_says_so(alone: Place) -> None:
    told = alone("gen302", "plugins")
    assert not any(name in told.stdout for name in NAMES)
    assert "pip install" in told.stdout + told.stderr
    assert alone("gen302", "plugins", "--json").stdout.strip() == ""


def test_every_installed_family_is_listed_and_nothing_else(family: Place) -> None:
    listed = [json.loads(line) for line in family("gen302", "plugins", "--json").stdout.splitlines()]
    assert {entry["name"] for entry in listed} == NAMES
    told = family("gen302", "plugins").stdout
    assert all(names["name"] in told and names["version"] in told for names in FAMILIES)


@pytest.mark.parametrize("names", FAMILIES, ids=lambda names: names["name"])
def test_one_family_alone_with_the_core(alone: Place, wheels: dict[str, Path], names: dict[str, str]) -> None:
    """Unpacked as pip unpacks a wheel, on the path meanwhile: pip itself installs every one of them in `family`."""
    (site,) = alone.environment.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheels[names["name"]]) as wheel:
        wheel.extractall(alone.work / names["name"])
    (site / "family.pth").write_text(str(alone.work / names["name"]), "utf-8")
    try:
        (listed,) = map(json.loads, alone("gen302", "plugins", "--json").stdout.splitlines())
        assert (listed["distribution"], listed["ok"]) == (names["name"], True)
        models = [json.loads(line) for line in alone("gen302", "models", "--json").stdout.splitlines()]
        assert {model["family"] for model in models} == {listed["name"]}
    finally:
        (site / "family.pth").unlink()


@pytest.mark.parametrize("verb", ["sandbox", "demo"])
def test_a_verb_without_its_extra_prints_the_line_that_installs_it(alone: Place, verb: str) -> None:
    told = alone("gen302", verb, expect=2)
    assert re.search(r'pip install "\./core\[\w+\]"', told.stderr)
    assert told.stdout == ""


def test_pictures_on_disk_without_the_sources(family: Place) -> None:
    """The sandbox runs beside the sources, the command in the fresh environment: they meet over HTTP alone."""
    told = run(
        *(sys.executable, "-m", "ai302_core", "sandbox", "--", family.environment / "bin/gen302"),
        *("run", "a paper lantern over a canal", "-p", "midjourney", "-o", "pictures", "--json"),
        cwd=family.work,
    )
    outcome = json.loads(told.stdout.splitlines()[-1])
    assert outcome["exit"] == 0
    assert outcome["job"]["sandbox"] is True
    pictures = sorted(path for path in (family.work / "pictures").iterdir() if path.suffix != ".json")
    assert len(pictures) == len(outcome["files"]) == 4
    assert all(path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n") for path in pictures)
    assert len(list((family.work / "pictures").glob("*.json"))) == 1


def test_the_vendors_packages_work_beside_ours(family: Place) -> None:
    before = family("gen302", "--version").stdout
    family.install("-r", ROOT / "requirements/vendor.txt")
    assert family("gen302", "--version").stdout == before
    assert {json.loads(line)["name"] for line in family("gen302", "plugins", "--json").stdout.splitlines()} == NAMES
    for command in ("ai302", "302ai"):
        assert re.search(r"\d+\.\d+\.\d+", family(command, "--version").stdout)
        assert "image" in family(command, "--help").stdout
    assert family.python("import ai302, ai302_core; print(ai302.__name__, ai302_core.__name__)") == "ai302 ai302_core"


def test_a_stranger_makes_a_family_from_the_docs_alone(family: Place, wheels: dict[str, Path], tmp_path: Path) -> None:
    """Generated in an empty folder, edited as docs/plugins.md says, built, installed, listed, checked, and sold."""
    family.install(f"{CORE['name']}[testing] @ {wheels[CORE['name']].as_uri()}")
    family("gen302", "plugins", "new", "hunyuan_video")
    folder = family.work / "ai302-hunyuan-video"
    shown = re.findall(
        r"`(src/ai302_hunyuan_video/[\w./-]+)`:\n\n```\w+\n(.*?)^```$",
        (ROOT / "docs/plugins.md").read_text("utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    assert len(shown) == 4
    (said,) = re.findall(r"^rm (\S+)$", (ROOT / "docs/plugins.md").read_text("utf-8"), re.MULTILINE)
    gone = list(family.work.glob(said))
    assert len(gone) == 3
    for old in gone:
        old.unlink()
    for path, text in shown:
        (folder / path).write_text(text, "utf-8")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, folder, cwd=tmp_path)
    (wheel,) = tmp_path.glob("ai302_hunyuan_video-*.whl")
    family.install("--no-deps", wheel)
    listed = [json.loads(line) for line in family("gen302", "plugins", "--json").stdout.splitlines()]
    assert {entry["name"]: entry["ok"] for entry in listed}["hunyuan_video"] is True
    told = json.loads(family("gen302", "plugins", "check", "hunyuan_video", "--json").stdout)
    assert (told["ok"], told["findings"]) == (True, [])
    own = family("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", folder / "tests")
    assert " passed" in own.stdout
    buying = [
        str(family.environment / "bin/gen302"),
        "run",
        "-p",
        "hunyuan_video",
        "a paper boat",
        "-o",
        "clips",
        "--json",
    ]
    sold = family("gen302", "sandbox", "--", *buying, "-o", "clips")
    outcome = json.loads(sold.stdout.splitlines()[-1])
    assert outcome["exit"] == 0
    (clip,) = (path for path in (family.work / "clips").iterdir() if path.suffix == ".mp4")
    assert b"ftyp" in clip.read_bytes()[:12]
