"""What the documents show is true: their Python runs, their commands exist, their TOML loads, their links lead on."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest
from PIL import Image

from ai302_core import ImageRequest, VideoRequest, config, connect, errors
from ai302_core.cli import EXITS, VERBS, main
from ai302_core.sandbox import serve
from ai302_midjourney import ImagineRequest
from ai302_veo import VeoRequest, ai302_family

pytestmark = pytest.mark.unmeasured  # the programs of the documents say what other tests say
ROOT = Path(__file__).parents[2]
ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"
GUIDES = sorted((ROOT / "docs").glob("*.md"))
READMES = [ENGLISH, ROOT / "core/README.md", *sorted((ROOT / "plugins").glob("*/README.md"))]
RUN = [*READMES, *GUIDES]
ALL = [*RUN, CHINESE, ROOT / "CHANGELOG.md", ROOT / "core/CHANGELOG.md", *sorted(ROOT.glob("plugins/*/CHANGELOG.md"))]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
RUNNER = """
import json, os, sys
environment = dict(os.environ)
spaces = []
for home, blocks in json.load(sys.stdin):
    os.environ.clear()
    os.environ.update({name: value.replace(environment["HOME"], home) for name, value in environment.items()})
    os.chdir(home)
    spaces.append({"__name__": "__main__"})
    for name, line, text in blocks:
        exec(compile("\\n" * line + text, name, "exec"), spaces[-1])
"""


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(path: Path, language: str) -> Iterator[tuple[int, str]]:
    """The line before each block of a language, and its text."""
    document = path.read_text("utf-8")
    for match in FENCE.finditer(document):
        if match[1] == language:
            yield document.count("\n", 0, match.start(2)), match[2]


def commands(path: Path) -> Iterator[tuple[dict[str, str], list[str]]]:
    """Each line of the shell blocks, and of a workflow: the variables set in front of it, and its words."""
    steps = [step for _, text in blocks(path, "yaml") for step in re.findall(r"- run: (.+)", text)]
    for text in [*(text for _, text in blocks(path, "sh")), *steps]:
        for line in text.splitlines():
            words = shlex.split(line, comments=True)
            variables = {}
            while words and (setting := re.fullmatch(r"([A-Z0-9_]+)=(.*)", words[0])):
                variables[setting[1]] = setting[2]
                words.pop(0)
            if words and words[0] != "export":
                yield variables, words


@pytest.fixture
def elsewhere(home: Path) -> Path:
    """An empty folder with the pictures and the rows that examples name."""
    Path("skus.csv").write_text("sku,name\nA-1,red mug\n", "utf-8")
    Image.new("RGB", (96, 64), "orange").save("photo.png")
    Image.new("L", (96, 64), 255).save("mask.png")
    return home / "here"


@pytest.mark.parametrize("paths", [READMES, GUIDES[::2], GUIDES[1::2]], ids=["READMES", "guides", "other guides"])
def test_the_python_of_a_document_runs_from_top_to_bottom(paths: list[Path], elsewhere: Path, home: Path) -> None:
    """Several share a process, which takes longer to start than most of them to run; each has a home of its own."""
    programs = []
    for number, path in enumerate(paths):
        if found := [(named(path), line, text) for line, text in blocks(path, "python")]:
            programs.append((str(shutil.copytree(elsewhere, home / f"home-{number}")), found))
    with serve(speed=200, seed=1) as sandbox:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", RUNNER],
            input=json.dumps(programs),
            env={**os.environ, "GEN302_SANDBOX": sandbox.url},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_the_test_of_a_recipe_passes_as_it_stands() -> None:
    (text,) = (text for _, text in blocks(ROOT / "docs/recipes.md", "python") if "\ndef test_" in text)
    Path("test_recipe.py").write_text(text, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_recipe.py"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
    )
    assert (done.returncode, "1 passed" in done.stdout) == (0, True), done.stdout + done.stderr


@cache
def options_of(verb: str) -> frozenset[str]:
    """The options a verb's help tells of."""
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        assert main([*verb.split(), "--help"]) == 0
    return frozenset(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", told.getvalue()))


def check(words: list[str], where: str) -> None:
    """That a line shown as a command can be typed."""
    if words[0] == "gen302":
        verbs = {entry[0] for entry in VERBS if len(entry) == 3}
        assert words[1] in verbs, f"{where}: gen302 {words[1]}"
        own, beyond = words[2:], []
        if "--" in own:
            own, beyond = own[: own.index("--")], own[own.index("--") + 1 :]
        verb = " ".join(words[1:3]) if words[1] == "jobs" and own and own[0].isalpha() else words[1]
        asked = {word.partition("=")[0] for word in own if word.startswith("-") and word != "-"}
        assert asked <= options_of(verb), f"{where}: gen302 {verb} has no {asked - options_of(verb)}"
        if beyond:
            check(beyond, where)
    elif words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE), where
    elif words[:2] == ["pip", "install"]:
        for word in words[2:]:
            folder, _, extras = word.rstrip("]").partition("[")
            # No name of ours stands on an index yet: whoever holds it there would be installed.
            assert folder.startswith("./"), f"{where}: {word} is no folder of the clone"
            project = (ROOT / folder / "pyproject.toml").read_text("utf-8")
            assert not extras or f"\n{extras} = [" in project, f"{where}: {word}"


@pytest.mark.parametrize("path", RUN, ids=named)
def test_every_command_a_document_shows_exists(path: Path) -> None:
    for _, words in commands(path):
        check(words, f"{named(path)}: {' '.join(words)}")


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("path", [ENGLISH, ROOT / "docs/quickstart.md", ROOT / "docs/configuration.md"], ids=named)
def test_commands_run_as_shown(path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with serve(speed=200, seed=1) as sandbox:
        monkeypatch.setenv("GEN302_SANDBOX", sandbox.url)
        for _, text in [*blocks(path, "toml")][:1]:
            Path(config.CONFIG_NAME).write_text(text, "utf-8")
        shown = [line for line in commands(path) if line[1][0] == "gen302" and line[1][1] != "sandbox"]
        assert shown
        for variables, words in shown:
            with monkeypatch.context() as environment:
                for name, value in variables.items():
                    environment.setenv(name, value)
                assert main(words[1:]) == 0, f"{' '.join(words)}\n{capsys.readouterr().err}"


@pytest.mark.parametrize("path", RUN, ids=named)
def test_every_configuration_a_document_shows_loads_and_serves(path: Path) -> None:
    for line, text in blocks(path, "toml"):
        file = Path(f"{path.stem}-{line}.toml")
        file.write_text(text, "utf-8")
        for name, table in config.load_settings(file, env={}).providers.items():
            asked = VideoRequest("a lantern") if table.family == "veo" else ImageRequest("a lantern")
            with connect(name, config=file) as provider:
                assert provider.dry_run(asked).url.startswith("https://")


def slugs(path: Path) -> set[str]:
    """What the headings of a document are called in links."""
    text = FENCE.sub("", path.read_text("utf-8"))
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", ALL, ids=named)
def test_every_link_leads_somewhere(path: Path) -> None:
    for link in LINK.findall(FENCE.sub("", path.read_text("utf-8"))):
        if link.startswith(("http://", "https://")):
            continue
        file, _, part = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), f"{named(path)}: {link}"
        assert not part or part in slugs(target), f"{named(path)}: {link}"


def shape(path: Path) -> dict[str, list[object]]:
    """What a translation keeps: code, levels of headings, rows and columns of tables, where links lead."""
    document = path.read_text("utf-8")
    prose = FENCE.sub("", document)
    return {
        "blocks": [match.groups() for match in FENCE.finditer(document)],
        "headings": [len(level) for level in re.findall(r"^(#+) ", prose, re.MULTILINE)],
        "tables": [
            [row.count("|") for row in table.splitlines()] for table in re.findall(r"(?:^\|.*\n)+", prose, re.M)
        ],
        "links": sorted(link.replace(".zh-CN", "") for link in LINK.findall(prose)),
    }


@pytest.mark.parametrize("name", ["README", "docs/quickstart"])
def test_the_chinese_document_shows_what_the_english_one_shows(name: str) -> None:
    english, chinese = shape(ROOT / f"{name}.md"), shape(ROOT / f"{name}.zh-CN.md")
    for part, shown in english.items():
        assert chinese[part] == shown, part


def test_every_public_error_and_exit_code_is_told() -> None:
    told = (ROOT / "docs/concepts.md").read_text("utf-8").partition("## Errors")[2]
    assert [name for name in errors.__all__ if name != "Billed" and f"`{name}`" not in told] == []
    assert [code for code, _ in EXITS if not re.search(rf"\b{code}\b", told)] == []


def test_every_setting_and_variable_is_told() -> None:
    told = (ROOT / "docs/configuration.md").read_text("utf-8")
    schema = config.schema_json()
    keys = {key for table in schema["$defs"].values() for key in table["properties"]} | set(schema["properties"])
    assert [key for key in sorted(keys) if not re.search(rf"\b{key}\b", told)] == []
    known = ("GEN302_CONFIG", "GEN302_SANDBOX", "GEN302_SANDBOX_KEY", *config.COMMON_KEYS)
    assert [name for name in known if f"`{name}`" not in told] == []


def test_every_field_of_a_picture_is_told() -> None:
    told = (ROOT / "plugins/unified_image/README.md").read_text("utf-8")
    assert [item.name for item in fields(ImageRequest) if item.name != "prompt" and f"`{item.name}`" not in told] == []


def test_every_field_of_an_imagine_is_told() -> None:
    told = (ROOT / "docs/midjourney.md").read_text("utf-8")
    wire = {"prompt", "extra", "query"}
    names = [field.name for field in fields(ImagineRequest) if field.name not in wire]
    assert [name for name in names if f"`{name}`" not in told] == []


def test_every_field_model_and_operation_of_veo_is_told() -> None:
    told = (ROOT / "plugins/veo/README.md").read_text("utf-8") + (ROOT / "docs/veo.md").read_text("utf-8")
    family = ai302_family()
    names = {field.name for field in fields(VeoRequest)} - {"prompt", "extra", "query", "model", "last_frame", "video"}
    shown = [*sorted(names), *(operation.name for operation in family.operations)]
    assert [name for name in shown if f"`{name}`" not in told] == []
    lasts = {re.split(r"[-/](?=[^-/]*$)", model.name)[-1] for model in family.models}
    assert [last for last in sorted(lasts) if last not in told] == []
