"""Plugins that loaded are not tried again until something they hang on changes; what is installed is found as ever."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ai302_core.cli import main

FAMILY = """
from ai302_core.family import Endpoint, Family, ImageRequest, Operation, field, hookimpl, image, post

@hookimpl
def ai302_family() -> Family:
    return Family("{name}", api=1, base_url="https://api.{name}.example", operations=(
        Operation("draw", request=ImageRequest, submit=post("/draw"), body={{"p": field("prompt")}},
                  assets=(image("url"),)),))
"""

Run = Callable[[str], Any]


def install(site: Path, name: str, text: str, *, module: str = "", info: str = "dist-info", entry: str = "") -> Path:
    """A distribution with one family; the file with its module."""
    module = module or f"ai302_{name}"
    folder = site / f"ai302_{name}-1.2.{info}"
    folder.mkdir(parents=True)
    metadata = f"Metadata-Version: 2.1\nName: ai302-{name}\nVersion: 1.2\nRequires-Dist: ai302-core>=0.1\n\nName: no\n"
    (folder / ("PKG-INFO" if info == "egg-info" else "METADATA")).write_text(metadata)
    (folder / "entry_points.txt").write_text(
        f"[x]\ny = z\n[ai302_core.families]\n# ours\n{entry or f'{name}={module}'}\n"
    )
    file = site.joinpath(*module.split(".")) / "__init__.py" if "." in module else site / f"{module}.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


@pytest.fixture
def run(site: Path, told_by: Run) -> Run:
    """Runs a program that sets `told`; `tried()` gives (processes started, broken plugins of this test's)."""

    def run(program: str) -> Any:
        return told_by(
            "from pathlib import Path\n"
            f"site = Path({str(site)!r})\n"
            "sys.path.insert(0, str(site))\n"
            "from ai302_core import registry\n"
            "started = []\n"
            "sys.addaudithook(lambda event, _: started.append(event) if event == 'subprocess.Popen' else None)\n"
            "def tried():\n"
            "    started.clear()\n"
            # All in one process, however slow the machine is: whose turn did not come would have one of his own.
            "    reports = registry.report(limit=240, remembered=True)\n"
            "    reports = [one for one in reports if one.plugin.location == str(site)]\n"
            "    return [len(started), sorted(one.plugin.name for one in reports if not one.ok)]\n"
            f"{program}"
        )

    return run


def test_what_breaks_after_it_was_remembered_is_shown_broken(site: Path, run: Run) -> None:
    install(site, "acme", "import helper_of_acme\n" + FAMILY.format(name="acme"))
    (site / "helper_of_acme.py").write_text("")
    data = install(
        site,
        "zeta",
        "from importlib.resources import files\n"
        "assert files('ai302_zeta').joinpath('sizes.txt').read_text() == '16:9'\n" + FAMILY.format(name="zeta"),
        module="ai302_zeta.family",
    ).parents[1]
    (data / "__init__.py").write_text("")
    (data / "sizes.txt").write_text("16:9")
    told = run(
        "told = [tried(), tried()]\n"
        "def changed(*edits):\n"
        "    before = {path: path.read_text() for path, _ in edits}\n"
        "    for path, text in edits:\n"
        "        path.write_text(text)\n"
        "    told.append(tried()[1])\n"
        "    for path in before:\n"
        "        path.write_text(before[path])\n"
        "    told.extend([tried()[1], tried()])\n"
        "changed((site / 'ai302_acme.py', '1 / 0'), (site / 'ai302_zeta/sizes.txt', '1:1'))\n"
        "changed((site / 'helper_of_acme.py', '1 / 0'))\n"
        "(site / 'helper_of_acme.py').unlink()\n"
        "told.append(tried()[1])\n"
    )
    known = [0, []]
    assert told == [[1, []], known, ["acme", "zeta"], [], known, ["acme"], [], known, ["acme"]]


def test_a_broken_one_is_tried_each_time_and_a_new_one_at_once(site: Path, run: Run) -> None:
    install(site, "acme", FAMILY.format(name="acme"))
    install(site, "quits", "import os\nos._exit(0)")
    program = "told = [tried(), tried()]"
    assert [entry[1] for entry in run(program)] == [["quits"], ["quits"]]
    assert run(program) == [[1, ["quits"]]] * 2  # alone: the others are known
    install(site, "zeta", "1 / 0")
    assert run(program)[0][1] == ["quits", "zeta"]


DAMAGES = (
    "file.write_text('[' * 9999)",
    "file.write_text('{}')",
    "file.write_text(json.dumps(json.loads(file.read_text()) | {'fine': [7, {'name': 'acme'}, None]}))",
    "file.write_text(json.dumps(json.loads(file.read_text()) | {'files': [['x']]}))",
    "file.write_text(file.read_text().replace('[\"draw\"]', '[{}]'))",
    "file.chmod(0o666)",
    "os.geteuid = lambda: 4711",
    "file.unlink(); file.mkdir()",
    "(site / 'ai302_new-1.dist-info').mkdir()",
)


def test_nothing_else_is_believed(site: Path, run: Run) -> None:
    install(site, "acme", FAMILY.format(name="acme"))
    told = run(
        "from ai302_core import _remembered\n"
        "from ai302_core._plugins.remembering import kind\n"
        "tried()\n"
        "file, real, told = _remembered._file(kind()), os.geteuid, []\n"
        "sound = file.read_bytes()\n"
        f"for damage in {DAMAGES!r}:\n"
        "    assert tried() == [0, []]\n"
        "    exec(damage)\n"
        "    told.append([damage, *tried()])\n"
        "    os.geteuid = real\n"
        "    file.unlink() if file.is_file() else file.rmdir()\n"
        "    file.write_bytes(sound)\n"
        "    file.chmod(0o600)\n"
    )
    assert told == [[damage, 1, []] for damage in DAMAGES]


def test_environments_that_share_a_home_have_a_memory_each(site: Path, run: Run) -> None:
    install(site, "acme", FAMILY.format(name="acme"))
    told = run(
        "from ai302_core import _remembered\n"
        "from ai302_core._plugins import remembering\n"
        "own, told, remembering._ENVIRONMENTS = sys.prefix, [], 2\n"
        "for prefix in (own, '/2', own, '/3', '/3', own):\n"
        "    sys.prefix = prefix\n"
        "    told.append(tried()[0])\n"
        "told.append(len(list(_remembered._file('x').parent.glob('plugins*'))))"
    )
    assert told == [1, 1, 0, 1, 0, 1, 2]


def test_a_home_that_cannot_be_written_works(site: Path, run: Run) -> None:
    install(site, "acme", FAMILY.format(name="acme"))
    told = run(
        "from ai302_core import _remembered\n"
        "_remembered._file('x').parents[1].mkdir(parents=True, exist_ok=True)\n"
        "_remembered._file('x').parent.write_text('no folder')\n"
        "told = [tried(), tried()]"
    )
    assert told == [[1, []], [1, []]]


def test_the_list_tells_the_same_from_memory(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    said = []
    for _ in range(2):
        assert main(["plugins", "--json"]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert "midjourney" in said[0]


def test_every_kind_of_installation_is_found(site: Path, run: Run) -> None:
    good = FAMILY.format(name="plain")
    install(site, "plain", good)
    install(site, "egg", good, info="egg-info")
    install(site, "odd", good, entry="odd = ai302_odd : thing [extra]")
    folded = install(site, "folded", good).parent / "ai302_folded-1.2.dist-info/METADATA"
    folded.write_text("Name: ai302-folded\nVersion: 1.2\nRequires-Dist: ai302-core\n >=0.3\n")
    (site / "ai302_bad-1.dist-info").mkdir()
    (site / "ai302_bad-1.dist-info/entry_points.txt").write_bytes(b"[ai302_core.families]\n\xff = x\n")
    with zipfile.ZipFile(site / "packed.zip", "w") as packed:
        packed.writestr("ai302_zipped.py", FAMILY.format(name="zipped"))
        packed.writestr("ai302_zipped-1.2.dist-info/METADATA", "Name: ai302-zipped\nVersion: 1.2\n")
        packed.writestr("ai302_zipped-1.2.dist-info/entry_points.txt", "[ai302_core.families]\nzipped = ai302_zipped\n")
    told = run(
        "sys.path.append(str(site / 'packed.zip'))\n"
        "names = ('plain', 'egg', 'odd', 'folded', 'zipped', 'x')\n"
        "def found():\n"
        "    return [[entry.name, entry.module, str(entry), entry.requires] for entry in registry.installed()\n"
        "            if entry.name in names]\n"
        "before = 'importlib.metadata' in sys.modules\n"
        "told = [found(), registry.load('zipped').name, tried()[0] > 0, tried()[0] > 0]\n"
        "from importlib.metadata import DistributionFinder, MetadataPathFinder\n"
        "class Finder(DistributionFinder):\n"
        "    find_spec = classmethod(lambda *_: None)\n"
        "    def find_distributions(self, context=DistributionFinder.Context()):\n"
        "        return []\n"
        "sys.meta_path.append(Finder())\n"
        "sys.path.append(str(site / 'nothing'))\n"
        "told.append(found())\n"
    )
    expected = [
        ["egg", "ai302_egg", "ai302-egg 1.2", ">=0.1"],
        ["folded", "ai302_folded", "ai302-folded 1.2", ">=0.3"],
        ["odd", "ai302_odd", "ai302-odd 1.2", ">=0.1"],
        ["plain", "ai302_plain", "ai302-plain 1.2", ">=0.1"],
        ["zipped", "ai302_zipped", "ai302-zipped 1.2", ""],
    ]
    assert told[0][2:] == told[4][2:] == expected[2:]
    assert told[0] == told[4]
    assert [entry[:3] for entry in told[0]] == [entry[:3] for entry in expected]
    assert told[1:4] == ["zipped", True, True]
