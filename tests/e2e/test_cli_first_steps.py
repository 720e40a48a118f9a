"""Setting up and looking around: init, completion, help for every verb, poor consoles, proxies."""

from __future__ import annotations

import io
import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ai302_core import config
from ai302_core.cli import EXITS, VERBS, completion, main
from ai302_core.sandbox import serve

VERBS_ALONE = [entry[0] for entry in VERBS if len(entry) == 3]


def test_init_writes_a_file_that_loads_and_never_a_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AI302_API_KEY", "sk-sentinel-1")
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, usual[1]))  # as a full disk, no file takes a byte
    try:
        assert main(["init", "--yes"]) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert not [*Path().iterdir()]  # nothing that would be there already, the next time
    assert main(["init", "--yes"]) == 0
    text = Path(config.CONFIG_NAME).read_text("utf-8")
    settings = config.load_settings()
    assert settings.default == "midjourney"
    assert "sk-sentinel" not in text
    assert main(["init", "--yes"]) == 2  # never in the place of another
    assert Path(config.CONFIG_NAME).read_text("utf-8") == text
    assert main(["init", "--yes", "--config", "b.toml", "--key-env", "sk-sentinel-2"]) == 2
    assert not Path("b.toml").exists()
    assert "sentinel" not in capsys.readouterr().err
    relay = ["--gateway", "new-api", "--base-url", "https://relay.example/mj/", "--key-env", "RELAY_KEY"]
    assert main(["init", "--config", "b.toml", "--family", "midjourney", *relay, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"v": 1, "file": str(Path("b.toml").absolute()), "exit": 0}
    made = config.load_settings("b.toml").providers["midjourney"]
    assert (made.gateway, made.base_url, made.api_key_env) == ("new-api", "https://relay.example", "RELAY_KEY")


def test_init_asks_three_questions(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Person(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Person("midjorney\nmidjourney\n\nMY_KEY\n"))
    assert main(["init"]) == 0
    told = capsys.readouterr()
    assert told.err.count("?\n") == 4  # a slip is asked about again
    assert "There is no 'midjorney' among them." in told.err
    assert told.out.splitlines() == [str(Path(config.CONFIG_NAME).absolute())]
    made = config.load_settings().providers["midjourney"]
    assert (made.gateway, made.api_key_env) == ("302ai", "MY_KEY")
    Path(config.CONFIG_NAME).unlink()
    monkeypatch.setattr("sys.stdin", Person(""))
    assert main(["init"]) == 2
    assert not Path(config.CONFIG_NAME).exists()


def test_completion_knows_every_verb_and_option(capsys: pytest.CaptureFixture[str]) -> None:
    known = completion.words()
    assert list(known) == VERBS_ALONE
    assert {"--max-jobs", "--again", "--prompt"} <= set(known["batch"])
    assert {"gallery", "--csv", "--abandon"} <= set(known["jobs"])
    for shell in ("bash", "zsh", "fish", "powershell"):
        assert main(["completion", shell]) == 0
        script = capsys.readouterr().out
        assert all(verb in script for verb in VERBS_ALONE)
        Path(shell).write_text(script, "utf-8")
    asked = "COMP_WORDS=(gen302 {}); COMP_CWORD={}; _gen302; echo ${{COMPREPLY[@]}}"
    tried = [asked.format("jobs ga", 2), asked.format("batch skus.csv --ma", 3), asked.format("ini", 1),
             asked.format("config ''", 2), asked.format("batch ''", 2)]  # fmt: skip
    done = subprocess.run(["bash", "-c", "\n".join(["source ./bash", *tried])], capture_output=True, text=True,
                          timeout=30, check=True)  # fmt: skip
    files = ""  # the shell's own
    assert done.stdout.splitlines() == ["gallery", "--mask --max-jobs", "init", "show path schema", files]
    assert main(["completion", "tcsh"]) == 2


ASKED = {
    # each is asked for "jobs ga", "batch skus.csv --ma" and "ini"
    "fish": 'source ./script; complete -C "gen302 jobs ga"; complete -C "gen302 batch skus.csv --ma"; '
    'complete -C "gen302 ini"',
    "zsh": """
compdef() { : }
compadd() { shift; print -l -- ${(M)@:#$PREFIX*} }
_files() { : }
source ./script
words=(gen302 jobs ga) CURRENT=3 PREFIX=ga; _gen302
words=(gen302 batch skus.csv --ma) CURRENT=4 PREFIX=--ma; _gen302
words=(gen302 ini) CURRENT=2 PREFIX=ini; _gen302
""",
}


@pytest.mark.parametrize("shell", ASKED)
def test_completion_works_in_other_shells(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    assert main(["completion", shell]) == 0
    Path("script").write_text(capsys.readouterr().out, "utf-8")
    bare = {"fish": "--no-config", "zsh": "-f"}[shell]
    done = subprocess.run([program, bare, "-c", ASKED[shell]], capture_output=True, text=True, timeout=30, check=True)
    found = [line.partition("\t")[0] for line in done.stdout.splitlines()]
    assert found == ["gallery", "--mask", "--max-jobs", "init"]
    assert done.stderr == ""


@pytest.mark.parametrize("verb", VERBS_ALONE)
def test_every_help_has_an_example_that_is_read(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    text = capsys.readouterr().out
    assert "examples:" in text
    assert f"gen302 {verb}" in text.partition("examples:")[2]
    assert main(["help", verb]) == 0
    assert capsys.readouterr().out == text


def test_the_help_tells_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    assert all(f"{code:>3}  {text}" in told for code, text in EXITS)
    assert all(f"\n  {verb} " in told for verb in VERBS_ALONE)


POOR = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize("encoding", ["gbk", "cp1252", "ascii"])
def test_a_console_that_lacks_letters_stops_nothing(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a console cannot print is shown by its code; files and JSON are whole. A poor machine reads ASCII alone."""
    monkeypatch.setenv("GEN302_DEFAULT", "midjourney")
    prompt = "红灯笼 🏮 žluťoučký"

    def typed(*words: str, expect: int = 0) -> str:
        if encoding == "ascii":
            done = subprocess.run([sys.executable, "-m", "ai302_core", *words], capture_output=True, timeout=60,
                                  env={**os.environ, **POOR}, stdin=subprocess.DEVNULL)  # fmt: skip
            code, out, err = done.returncode, done.stdout, done.stderr
        else:
            with monkeypatch.context() as console:
                written = [io.BytesIO(), io.BytesIO()]
                for name, bytes_ in zip(("stdout", "stderr"), written, strict=True):
                    console.setattr(sys, name, io.TextIOWrapper(bytes_, encoding, write_through=True))
                code = main(words)
                out, err = (bytes_.getvalue() for bytes_ in written)
        assert code == expect, err
        assert b"Traceback" not in err
        return out.decode(encoding)

    with serve(speed=400, seed=1) as sandbox:
        monkeypatch.setenv("GEN302_SANDBOX", sandbox.url)
        bought = json.loads(typed("run", prompt, "-o", "画/{id}-{n}", "--json"))["job"]
        assert bought["request"]["prompt"] == prompt
        assert len(list(Path("画").glob("*.png"))) == 4
        listed = typed("jobs")
        assert bought["id"] in listed
        assert ("红灯笼" if encoding == "gbk" else "\\u7ea2") in listed
        typed("jobs", "show", "last")
        typed("run", prompt, "--size", "大", expect=2)
        assert sandbox.paid == 1


def test_doctor_names_the_proxy_without_its_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve(speed=400, seed=1) as sandbox:
        monkeypatch.setenv("GEN302_SANDBOX", sandbox.url)
        monkeypatch.setenv("HTTPS_PROXY", "http://me:secret@proxy.example:3128")
        monkeypatch.setenv("NO_PROXY", "*")
        assert main(["doctor", "midjourney"]) == 0
    told = capsys.readouterr().out
    assert "HTTPS_PROXY is set: requests go through proxy.example:3128" in told
    assert "secret" not in told
