"""Bad input and bad weather: one clear sentence, what it means for the money, the next step, the right exit code."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ai302_core.cli import main
from ai302_core.sandbox import RunningSandbox, serve

Gen302 = Callable[..., subprocess.CompletedProcess[str]]
KEY = "sk-sandbox"


@pytest.fixture
def gen302(gen302: Gen302) -> Gen302:
    """Run the command; whatever it says, it is no traceback and no key, and stdout has one JSON line for --json."""

    def run(*arguments: str, expect: int) -> subprocess.CompletedProcess[str]:
        done = gen302(*arguments, expect=expect)
        assert KEY not in done.stdout + done.stderr
        if expect:
            assert done.stderr.startswith(("gen302: ", *"0123456789"))
            assert "bug of ours" not in done.stderr
        if "--json" in arguments:
            (line,) = done.stdout.splitlines()
            told = json.loads(line)
            assert told["exit"] == expect
            assert bool(told["error"]) == bool(expect)
        return done

    return run


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningSandbox]:
    """One reached like a real service: by address and key in the configuration."""
    with serve(speed=200, seed=1, key=KEY) as running:
        monkeypatch.setenv("AI302_API_KEY", KEY)
        configure(running.url)
        yield running


def configure(address: str, more: str = "") -> None:
    Path("gen302.toml").write_text(
        f'[providers.hero]\nfamily = "midjourney"\nbase_url = "{address}"\npoll = {{ initial = 0.1 }}\n{more}', "utf-8"
    )


def test_no_key(gen302: Gen302) -> None:
    told = gen302("run", "a lantern", "-p", "midjourney", expect=2)
    assert "AI302_API_KEY" in told.stderr
    assert "Nothing was paid." in told.stderr
    assert "gen302 demo" in told.stderr


def test_wrong_key(sandbox: RunningSandbox, gen302: Gen302, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI302_API_KEY", "sk-wrong")
    told = gen302("run", "a lantern", "--json", expect=2)
    error = json.loads(told.stdout)["error"]
    assert (error["type"], error["billed"]) == ("AuthenticationError", "no")
    assert "gen302 doctor" in told.stderr
    assert "sk-wrong" not in told.stdout + told.stderr
    assert sandbox.paid == 0


def test_a_key_for_another_host(gen302: Gen302, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI302_API_KEY", KEY)
    configure("https://relay.example")
    assert "api_key_env" in gen302("run", "a lantern", expect=2).stderr


def test_a_job_whose_provider_moved_away_is_reached_by_the_table_that_is_named(
    sandbox: RunningSandbox, gen302: Gen302
) -> None:
    gen302("submit", "a lantern", expect=0)
    configure("http://127.0.0.1:9")
    error = json.loads(gen302("wait", "last", "--json", expect=2).stdout)["error"]
    table, _, values = error["hint"].partition(" in gen302.toml: ")
    assert (table, error["billed"]) == ("[providers.hero_2]", "yes")
    configure("http://127.0.0.1:9", "\n".join(["", table, *values.split(", ")]))
    gen302("wait", "last", expect=0)
    assert sandbox.paid == 1


def test_no_balance(gen302: Gen302, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(balance=Decimal(0), key=KEY) as poor:
        monkeypatch.setenv("AI302_API_KEY", KEY)
        configure(poor.url)
        told = gen302("run", "a lantern", expect=5)
        assert "Nothing was paid." in told.stderr
        assert "Top up" in told.stderr
        assert poor.paid == 0


def test_over_budget(sandbox: RunningSandbox, gen302: Gen302) -> None:
    configure(sandbox.url, "[budget]\nmax_jobs = 1\n")
    gen302("submit", "a lantern", expect=0)
    assert "Nothing was paid." in gen302("submit", "a lantern", expect=5).stderr
    assert sandbox.paid == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "x", "-p", "hera"), "hero"),
        (("run", "x", "-p", "suno"), "suno"),
        (("run", "x", "--set", "caos=3"), "chaos"),
        (("run", "x", "--set", "chaos=high"), "whole number"),
        (("run", "x", "--set", "chaos"), "FIELD=VALUE"),
        (("run", "x", "--ar", "wide"), "16:9"),
        (("run", "x", "--size", "big"), "1024x1536"),
        (("run", "x", "--count", "0"), "count"),
        (("run", "x", "--seed", "one"), "--seed"),
        (("run", "x", "--op", "imagin"), "did you mean 'imagine'"),
        (("run", "x", "--op", "upscale"), "gen302 act"),
        (("run", "x", "--op", "describe"), "prompt"),
        (
            ("run", "--op", "describe"),
            "image must be given. Nothing was sent.\n  Nothing was paid.\n  Next: --image FILE",
        ),
        (("run", "--op", "swap-face", "--image", "x.png"), "Next: --set face=FILE"),
        (("batch", "rows.csv", "--op", "edits"), "line 2: EditRequest: image must be given."),
        (("run", "x", "--op", "blend", "--seed", "3"), "BlendRequest"),
        (("run", "x", "--extra", "a=b"), "JSON"),
        (("run", "x --ar 1:1", "--ar", "3:2"), "contradicts"),
        (("run",), "prompt"),
        (("run", ""), "prompt"),
        (("run", "@nowhere.txt"), "nowhere.txt"),
        (("run", "x", "--frames", "3"), "no option '--frames'"),
        (("run", "x", "--negativ", "y"), "--negative"),
        (("run", "x", "-o", "{nope}/x"), "{nope}"),
        # A variable that is not set must not buy elsewhere than it would have said.
        *((("run", "x", option, " "), "is a variable not set?") for option in ("-p", "--op", "--model", "--ar", "-o")),
        (("batch", "rows.csv", "--model", ""), "is a variable not set?"),
        (("run", "x", "--timeout", "soon"), "'soon' is no number of seconds"),
        (("run", "x", "--seed", str(2**70)), f"at most {2**32 - 1},"),
        (("sandbox", "--faults", "nowhere.json"), "nowhere.json cannot be read: No such file or directory."),
        (("act", "last", "upscale-1"), "no job"),
        (("wait",), "JOB"),
        (("wait", "zzzz"), "no job 'zzzz'"),
        (("jobs", "lst"), "jobs list"),
        (("jobs", "list", "--status", "done"), "succeeded"),
        (("jobs", "list", "--since", "yesterday"), "2h"),
        (("jobs", "reconcile", "zzzz"), "no job 'zzzz'"),
        (("jobs", "reconcile", "--resubmit"), "name it"),
        (("config", "shwo"), "show"),
        (("rnu", "x"), "'run'"),
        (("-q", "run"), "follow the verb"),
        (("sandbox", "--"), "command"),
        (("sandbox", "--", "no-such-command-here"), "no-such-command-here"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_usage_is_two_and_says_what_to_write(
    sandbox: RunningSandbox, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    Path("rows.csv").write_text("prompt\nx\n", "utf-8")
    assert main(arguments) == 2
    told = capsys.readouterr()
    assert "gen302: " in told.err
    assert said in told.err
    assert "bug of ours" not in told.err
    assert told.out == ""
    assert main([arguments[0], "--json", *arguments[1:]]) == 2
    (line,) = capsys.readouterr().out.splitlines()
    assert (json.loads(line)["exit"], json.loads(line)["error"]["billed"]) == (2, "no")
    assert sandbox.requests == []


def test_a_file_of_names_is_told_how_they_become_prompts(sandbox: RunningSandbox, gen302: Gen302) -> None:
    Path("rows.csv").write_text("name,seed\nmug,1\n")
    said = gen302("batch", "rows.csv", expect=2).stderr
    assert "Next: --prompt \"photo of {name}\" makes words of it; --ignore 'name' leaves it out" in said
    Path("rows.csv").write_text("prompt,promt\nmug,1\n")
    assert "Next: --ignore 'promt'" in gen302("batch", "rows.csv", expect=2).stderr
    assert sandbox.requests == []


def test_a_refused_job_is_not_said_to_offer_anything_later(sandbox: RunningSandbox, gen302: Gen302) -> None:
    sandbox.fault("submit", "banned")
    gen302("run", "a lantern", expect=4)
    assert "is refused: it offers no actions. Nothing" in gen302("act", "last", "upscale-1", expect=2).stderr


@pytest.mark.parametrize("content", [None, b"", b"not a picture at all"], ids=["missing", "empty", "no picture"])
def test_a_reference_that_is_no_picture(sandbox: RunningSandbox, gen302: Gen302, content: bytes | None) -> None:
    if content is not None:
        Path("ref.png").write_bytes(content)
    told = gen302("run", "a lantern", "--image", "ref.png", "--json", expect=2)
    assert "ref.png" in told.stderr
    assert "Nothing was paid." in told.stderr
    assert sandbox.requests == []


def test_a_prompt_of_twenty_thousand_characters(sandbox: RunningSandbox, gen302: Gen302) -> None:
    told = gen302("run", "lantern " * 2500, expect=2)
    assert "Nothing was paid." in told.stderr
    assert len(told.stderr) < 1500
    assert sandbox.paid == 0


def test_refused_content(sandbox: RunningSandbox, gen302: Gen302) -> None:
    sandbox.fault("submit", "banned")
    told = gen302("run", "a lantern", expect=4)
    assert "Nothing was paid." in told.stderr
    assert sandbox.paid == 0


def test_a_failed_job(sandbox: RunningSandbox, gen302: Gen302) -> None:
    sandbox.fault("submit", "fail")
    told = gen302("run", "a lantern", "--json", expect=1)
    assert json.loads(told.stdout)["job"]["status"] == "failed"
    assert "records tell" in told.stderr


def test_busy(sandbox: RunningSandbox, gen302: Gen302) -> None:
    sandbox.fault("submit", "429", times=None)
    told = gen302("submit", "a lantern", "--timeout", "0", "--json", expect=6)
    assert json.loads(told.stdout)["error"]["retryable"] is True
    assert "Nothing was paid." in told.stderr
    assert sandbox.paid == 0


def test_nothing_listens(gen302: Gen302, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI302_API_KEY", KEY)
    with socket.socket() as deaf:  # bound, so that nobody else gets the port, and not listening
        deaf.bind(("127.0.0.1", 0))
        configure(f"http://127.0.0.1:{deaf.getsockname()[1]}")
        told = gen302("submit", "a lantern", "--timeout", "0", expect=6)
        assert "refuses connections" in told.stderr
        assert "gen302 doctor" in told.stderr
        assert "refuses connections" in gen302("doctor", expect=6).stdout


@pytest.mark.parametrize(
    ("kind", "said"), [("html", "It begins '<"), ("error504html", "It begins '<"), ("empty", "(The body is empty.)")]
)
def test_something_else_than_json(sandbox: RunningSandbox, gen302: Gen302, kind: str, said: str) -> None:
    sandbox.fault("submit", kind, accept=False)
    told = gen302("run", "a lantern", "--json", expect=7)
    error = json.loads(told.stdout)["error"]
    assert error["billed"] == "unknown"
    assert ("web page" in error["message"], said in error["message"]) == (kind != "empty", True)
    assert sandbox.paid == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('defualt = "hero"\n', "default"),
        ("[providers.hero]\nfamily = midjourney\n", "line 2"),
        ('[providers.hero]\nfamily = "midjourney"\ngatway = "302ai"\n', "gateway"),
        ('[providers.hero]\nfamily = "midjorney"\n', "midjourney"),
        ('[providers.hero]\nfamily = "midjourney"\ndefaults = { caos = 3 }\n', "chaos"),
    ],
)
def test_a_typo_in_the_configuration(gen302: Gen302, monkeypatch: pytest.MonkeyPatch, text: str, said: str) -> None:
    monkeypatch.setenv("AI302_API_KEY", KEY)
    Path("gen302.toml").write_text(text)
    told = gen302("run", "a lantern", "--json", expect=2)
    assert said in told.stderr
    assert "Nothing was paid." in told.stderr


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_ledger_that_cannot_be_written(sandbox: RunningSandbox, gen302: Gen302) -> None:
    folder = Path("locked")
    folder.mkdir(mode=0o500)
    configure(sandbox.url)
    Path("gen302.toml").write_text('ledger = "sqlite:///locked/l.db"\n' + Path("gen302.toml").read_text())
    assert "ledger" in gen302("run", "a lantern", expect=2).stderr
    assert sandbox.paid == 0


def test_a_corrupt_ledger(sandbox: RunningSandbox, gen302: Gen302) -> None:
    Path("l.db").write_bytes(b"not a database, but long enough to look at" * 50)
    Path("gen302.toml").write_text('ledger = "sqlite:///l.db"\n' + Path("gen302.toml").read_text())
    for arguments in (("run", "a lantern"), ("jobs",), ("doctor",)):
        told = gen302(*arguments, expect=2)
        assert "l.db" in told.stderr + told.stdout
    assert sandbox.paid == 0


def test_a_mistake_of_ours_is_one_sentence(sandbox: RunningSandbox) -> None:
    """Break the library on purpose: after the job is paid, before its files are saved."""
    script = (
        "import sys; from ai302_core import downloads; from ai302_core.cli import main\n"
        "def broken(*_, **__): raise ZeroDivisionError('oops')\n"
        "downloads.save = broken; sys.exit(main(sys.argv[1:]))"
    )

    def run(*arguments: str) -> Any:
        command = [sys.executable, "-c", script, "run", "a lantern", *arguments]
        return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=60)

    told = run("--json")
    outcome = json.loads(told.stdout)
    assert told.returncode == outcome["exit"] == 7, "paid: a script must not take it for a failure and buy again"
    assert outcome["job"]["id"] in outcome["error"]["hint"]
    assert "ZeroDivisionError: oops" in told.stderr
    assert "Traceback" not in told.stderr
    assert "Traceback" in run("-v").stderr
