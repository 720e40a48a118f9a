"""The verbs around buying: first steps, help, doctor, config, providers, plugins, sandbox, demo."""

from __future__ import annotations

import http.server
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ai302_core import registry
from ai302_core.cli import EXITS, VERBS, main
from ai302_core.sandbox import serve

COMMAND = [sys.executable, "-m", "ai302_core"]
VERB_NAMES = [entry[0] for entry in VERBS if len(entry) == 3]
Told = Callable[..., tuple[str, str]]


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    """Run the command in this process; (stdout, stderr)."""

    def run(*arguments: str, expect: int = 0) -> tuple[str, str]:
        code = main(arguments)
        out, err = capsys.readouterr()
        assert code == expect, f"exit {code}\n{out}\n{err}"
        return out, err

    return run


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def configured(address: str = "https://api.302.ai") -> None:
    Path("gen302.toml").write_text(
        'default = "hero"\n'
        f'[providers.hero]\nfamily = "midjourney"\nbase_url = "{address}"\n'
        '[providers.relay]\nfamily = "midjourney"\ngateway = "new-api"\nbase_url = "https://relay.example/v1/"\n'
        'api_key_env = "RELAY_KEY"\n'
        '[aliases]\nposter = ["hero", "relay"]\n'
    )


def test_a_newcomer_is_told_what_to_type(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "demo" in told()[0]
    monkeypatch.setenv("AI302_API_KEY", "sk-x")
    assert "costs money" in told()[0]
    configured()
    assert "doctor" in told()[0]
    monkeypatch.setenv("GEN302_SANDBOX", "http://127.0.0.1:1")
    assert "nothing costs money" in told()[0]
    Path("gen302.toml").write_text("default = \n", "utf-8")
    assert "gen302.toml, line 1" in told()[0]
    assert "doctor" in told()[0]


@pytest.mark.parametrize("state", ["nothing", "a key", "two providers", "one provider", "a default"])
def test_what_a_newcomer_is_told_works_as_it_stands(told: Told, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three families are installed: a run that names nobody would be asked who serves."""
    if state != "nothing":
        monkeypatch.setenv("AI302_API_KEY", "sk-x")
    tables = [f'[providers.{name}]\nfamily = "midjourney"\n' for name in ("hero", "second")]
    texts = {"two providers": tables, "one provider": tables[:1], "a default": ['default = "second"\n', *tables]}
    if state in texts:
        Path("gen302.toml").write_text("".join(texts[state]), "utf-8")
    run = next(line.strip() for line in told()[0].splitlines() if ' run "' in line)
    assert ("sandbox -- " in run, " -p " in run) == (state == "nothing", state not in ("one provider", "a default"))
    if state == "nothing":  # a sandbox starts what is typed after it: in a shell, by the installed command
        done = subprocess.run(
            ["sh", "-c", f"{run} --dry-run"], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert "Nothing was sent." in done.stderr
    else:
        words = shlex.split(run)
        assert "Nothing was sent." in told(*words[words.index("run") :], "--dry-run")[1]


def test_an_empty_ledger_says_that_nothing_was_bought(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    for verb in ("wait", "save", "cancel"):
        _, said = told(verb, "last", expect=2)
        assert "nothing was bought yet" in said
        assert "how to begin" in said
    assert "jobs adopt 1320098173412546" in told("wait", "1320098173412546", expect=2)[1]
    assert "nothing was bought" in told("jobs")[1]
    for ledger in ("off", ":memory:"):
        monkeypatch.setenv("GEN302_LEDGER", ledger)
        assert f'ledger = "{ledger}" nothing else is remembered.' in told("wait", "last", expect=2)[1]
        refused = told("submit", "a boat", "-p", "midjourney", expect=2)[1]
        assert f"the ledger is {ledger}, and forgets it. Nothing was sent.\n  Nothing was paid." in refused


def test_help_lists_every_verb_and_every_exit_code(told: Told) -> None:
    out, _ = told("--help")
    assert all(f"  {verb} " in out for verb in VERB_NAMES)
    assert all(f"{code}  {text}" in out for code, text in EXITS)


@pytest.mark.parametrize("verb", [*VERB_NAMES, "jobs show", "jobs resume", "jobs adopt", "jobs reconcile"])
def test_every_verb_has_help_with_examples(told: Told, verb: str) -> None:
    out, _ = told(*verb.split(), "--help")
    assert f"usage: gen302 {verb}" in out
    assert "examples:\n  gen302 " in out
    assert "--json" in out
    assert told("help", *verb.split())[0] == out


def test_config_shows_values_with_their_places(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    configured()
    monkeypatch.setenv("AI302_API_KEY", "sk-secret")
    monkeypatch.setenv("GEN302_PROVIDERS__HERO__DEFAULTS__SPEED", "relax")
    out, _ = told("config", "show")
    assert 'base_url = "https://relay.example"' in out
    assert "gen302.toml, line" in out
    assert "GEN302_PROVIDERS__HERO__DEFAULTS__SPEED" in out
    assert "sk-secret" not in out + told("config", "--json")[0]
    (document,) = lines(told("config", "show", "--json")[0])
    assert document["settings"]["providers"]["relay"]["gateway"] == "new-api"
    paths = lines(told("config", "path", "--json")[0])
    assert paths[0] == {"v": 1, "path": str(Path("gen302.toml").resolve()), "exists": True}
    assert json.loads(told("config", "schema")[0])["type"] == "object"


def test_providers_say_where_each_goes_and_what_keeps_it_from_there(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured()
    monkeypatch.setenv("AI302_API_KEY", "sk-secret")
    hero, relay, *families = lines(told("providers", "--json")[0])
    assert (hero["name"], hero["base_url"], hero["key"], hero["default"]) == (
        "hero",
        "https://api.302.ai",
        "AI302_API_KEY",
        True,
    )
    assert (relay["default"], relay["key"]) == (False, None)
    assert "RELAY_KEY" in relay["problem"]
    assert not any(entry["default"] for entry in families)
    out, _ = told("providers")
    assert "poster is hero, then relay" in out
    assert "sk-secret" not in out


def test_plugins_list_each_family_with_its_distribution(told: Told) -> None:
    (midjourney,) = [entry for entry in lines(told("plugins", "--json")[0]) if entry["name"] == "midjourney"]
    assert (midjourney["distribution"], midjourney["ok"]) == ("ai302-midjourney", True)
    assert "imagine" in midjourney["operations"]
    assert "302ai" in midjourney["gateways"]


def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, encoding="utf-8", timeout=60, **options
    )


def test_a_broken_plugin_costs_only_itself(
    told: Told, install: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    install("sunken", "import a_module_nobody_has\n")
    monkeypatch.setenv("AI302_API_KEY", "sk-x")
    _, said = told("plugins", expect=2)
    assert "sunken-family 1.0" in said
    assert "a_module_nobody_has" in said
    assert "Traceback" not in said
    by_name = {entry["name"]: entry for entry in lines(told("plugins", "--json", expect=2)[0])}
    assert (by_name["sunken"]["ok"], by_name["midjourney"]["ok"]) == (False, True)
    told("run", "x", "-p", "midjourney", "--dry-run")


def test_doctor_survives_a_plugin_that_ends_python(told: Told, install: Callable[[str, str], None]) -> None:
    install("sunken", "import os; os._exit(9)\n")
    assert "ends Python" in told("doctor", "sunken", expect=2)[0]


def test_doctor_looks_without_money(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve() as sandbox:
        configured(sandbox.url + "/mj-fast/")
        monkeypatch.setenv("AI302_API_KEY", sandbox.key)
        monkeypatch.setenv("AI302_BASE_URL", "https://elsewhere.example")
        out, err = told("doctor", "hero")
        assert f"gateway 302ai at {sandbox.url}\n" in out
        assert "key from AI302_API_KEY" in out
        assert "writable" in out
        assert "AI302_BASE_URL" in out
        assert "All well." in err
        checks = {entry["check"]: entry for entry in lines(told("doctor", "--json", expect=2)[0])}
        assert (checks["hero"]["exit"], checks["relay"]["exit"]) == (0, 2)
        assert "RELAY_KEY" in checks["relay"]["error"]["message"]
        assert sandbox.key not in out + err + json.dumps(checks)
        assert "balance 1000 PTC" in out
        assert checks["hero"]["balance"] == {"amount": "1000", "unit": "PTC"}
        keyed = {seen.path for seen in sandbox.requests if "***" in str(seen.headers.values())}
        assert keyed == {"/dashboard/balance"}, "a key was sent to ask for the balance and for nothing else"
        for kind in ("not_allowed", "expired", "error504html", "drop"):
            sandbox.fault("balance", kind)
            out, err = told("doctor", "hero")
            assert ("balance unknown" in out, "All well." in err) == (True, True)
        sandbox.fault("balance", "html")  # with status 200: somebody else answers
        out, err = told("doctor", "hero", expect=2)
        assert "a wrong base_url, a proxy or login page in between" in out or "the CDN" in out
        assert "1 of 4 need you" in err
        monkeypatch.setenv("AI302_API_KEY", "sk-mistyped")
        out, err = told("doctor", "hero", expect=2)
        assert "does not take this key (HTTP 401)" in out
        assert "Next: Look at base_url and the key of [providers.hero], AI302_API_KEY." in out
        assert "sk-mistyped" not in out + err
        assert sandbox.paid == 0


def test_doctor_says_what_to_look_at_where_nothing_answers(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI302_API_KEY", "sk-x")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    configured("http://127.0.0.1:9")
    out, _ = told("doctor", "hero", expect=6)
    assert "Next: Is http://127.0.0.1:9 right, and is there a network?\n" in out
    monkeypatch.setenv("HTTPS_PROXY", "http://me:secret@127.0.0.1:9")
    out, _ = told("doctor", "hero", expect=6)
    assert "Is the proxy of HTTPS_PROXY up?" in out
    assert "secret" not in out


def test_doctor_calls_nothing_well_whose_gate_alone_answers(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    class Gate(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(502)

        def log_message(self, *words: object) -> None:
            """It is silent."""

    monkeypatch.setenv("AI302_API_KEY", "sk-x")
    with http.server.HTTPServer(("127.0.0.1", 0), Gate) as gate:
        threading.Thread(target=gate.serve_forever, daemon=True).start()
        configured(f"http://127.0.0.1:{gate.server_port}")
        out, err = told("doctor", "hero", expect=6)
        gate.shutdown()
    assert "HTTP 502: what stands before the service answers, the service does not." in out
    assert ("Next: Wait, then look again: gen302 doctor hero" in out, "All well." in err) == (True, False)


def test_models(told: Told) -> None:
    configured()
    rows = lines(told("models", "--json")[0])
    assert {row["family"] for row in rows} == {"midjourney"}
    assert {"v7", "niji-6"} <= {row["name"] for row in rows}
    assert "v7" in told("models", "-p", "relay", "--task", "image")[0]
    assert "there are models for: image" in told("models", "--task", "t2v", expect=2)[1]
    assert "'heroo' (did you mean 'hero'?)" in told("models", "-p", "heroo", expect=2)[1]
    Path("gen302.toml").write_text('[providers.a]\nfamily = "midjourney"\n[providers.b]\nfamily = "midjourney"\n')
    whole = told("models", "-p", "unified_image", "luma-t2i", "gpt-image-1.5-i2i", "stable-sd3-i2i")[0]
    for member in (
        "luma-t2i           aspect_ratio    16:9 9:16 1:1 4:3 3:4 21:9 9:21; Anything else silently becomes 1:1",
        "gpt-image-1.5-i2i  image           needed",
        "gpt-image-1.5-i2i  n               1 to 10",
        "stable-sd3-i2i     aspect_ratio    not taken",
        "luma-t2i                           source: 302.AI's page of POST /302/image/generate, 2025-09-01",
    ):
        assert member in whole.splitlines(), whole
    (row,) = lines(told("models", "-p", "unified_image", "gpt-image-1.5-i2i", "--json")[0])
    assert (row["rules"]["n"], row["rules"]["image"]) == ({"least": 1, "most": 10}, {"required": True})
    assert "Did you mean 'luma-t2i'?" in told("models", "-p", "unified_image", "LUMA-T2", expect=2)[1]
    assert "v7" in told("models")[0]  # two providers and no default: whose models may be used is known all the same


def test_sandbox_runs_a_command_in_it_and_hands_on_its_exit_code() -> None:
    script = "import os, sys, urllib.request as r; print(os.environ['GEN302_SANDBOX']); sys.exit(7)"
    done = run("sandbox", "--", sys.executable, "-c", script)
    assert done.returncode == 7
    assert done.stdout.startswith("http://127.0.0.1:")


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_sandbox_alone_says_how_to_use_it_and_ends_with_ctrl_c() -> None:
    child = subprocess.Popen([*COMMAND, "sandbox"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None
    late = threading.Timer(60, child.kill)  # what waits for a line below reads the end of the file then
    late.start()
    url = child.stdout.readline().strip()
    with pytest.raises(urllib.error.HTTPError) as nothing, urllib.request.urlopen(f"{url}/nothing", timeout=10):
        pass
    nothing.value.close()  # it holds the answer; Python 3.14 warns when it is dropped open
    assert child.stderr is not None
    people = ""
    while "curl" not in people:  # before it can be interrupted it has said how to use it
        line = child.stderr.readline()
        assert line, f"it ended instead of saying how to use it:\n{people}"
        people += line
    child.send_signal(signal.SIGINT)
    people += child.communicate(timeout=20)[1]
    late.cancel()
    assert child.returncode == 0
    assert f"GEN302_SANDBOX={url}" in people
    assert "curl" in people
    assert "Traceback" not in people


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_sandbox_tells_programs_its_address_as_json() -> None:
    with subprocess.Popen([*COMMAND, "sandbox", "--json", "-q"], stdout=subprocess.PIPE, encoding="utf-8") as child:
        assert child.stdout is not None
        told = json.loads(child.stdout.readline())
        child.send_signal(signal.SIGINT)
        rest = child.communicate(timeout=20)[0]
    assert told["url"].startswith("http://127.0.0.1:")
    assert (told["v"], told["key"][:3], rest) == (1, "sk-", "")
    assert child.returncode == 0


def test_demo_ends_with_files_jobs_and_three_commands() -> None:
    configured("https://relay.example")  # somebody's own configuration does not matter to it
    done = run("demo")
    assert done.returncode == 0, done.stderr
    files = [path for path in Path("gen302-demo").iterdir() if path.suffix != ".json"]
    families = {entry.name for entry in registry.installed()} & {"midjourney", "unified_image", "veo"}
    pictures, clips = 5 + ("unified_image" in families), int("veo" in families)
    assert sorted(path.suffix for path in files) == [".mp4"] * clips + [".png"] * pictures
    assert sum(path.read_bytes().startswith(b"\x89PNG") for path in files) == pictures
    assert len(list(Path("gen302-demo").glob("*.json"))) == len(families) + 1
    table = done.stdout[done.stdout.index("ID ") :]
    assert table.count("succeeded") == len(families) + 1
    for family in families:  # the provider's name is all that changes
        assert f'run "a paper lantern over a canal at dusk" --ar 16:9 -p {family} -o gen302-demo' in done.stderr
    assert str(Path("gen302-demo").resolve()) in done.stderr
    assert "no money was spent" in done.stderr
    assert "AI302_API_KEY=sk-..." in done.stderr or os.name == "nt"
    assert lines(run("jobs", "--json").stdout) == [], "the demo's jobs are not among the real ones"


def test_a_port_that_cannot_be_had_is_said_at_once(told: Told) -> None:
    with serve() as taken:
        port = taken.url.rpartition(":")[2]
        assert "already in use" in told("sandbox", "--port", port, "--", "true", expect=2)[1]
    for number in ("99999", "-5"):
        assert "ports are 0 to 65535" in told("sandbox", "--port", number, "--", "true", expect=2)[1]


def test_what_doctor_says_next_works_with_several_families(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(speed=400, seed=1) as sandbox:
        monkeypatch.setenv("GEN302_SANDBOX", sandbox.url)
        out, err = told("doctor")
        assert 'All well. Next: gen302 run "a paper lantern" -p midjourney -o pictures' in err
        assert "GEN302_SANDBOX is set: every provider is the sandbox, nothing costs money." in out
        assert lines(told("doctor", "veo", "--json")[0])[0]["sandbox"] is True


@pytest.mark.parametrize(
    ("typed", "environment", "said", "then"),
    [
        (("run", "--prompt", "a lantern"), {}, "the prompt stands by itself", "gen302 run --help"),
        (("jobs", "lst"), {}, "did you mean 'list'?", "gen302 jobs list"),
        (("config", "schemata"), {}, "did you mean 'schema'?", "gen302 config schema"),
        (("jobs",), {"GEN302_SANDBOX": "nope"}, "GEN302_SANDBOX does not begin", "gen302 sandbox  # starts one"),
        (("doctor",), {"GEN302_SANDBOX": "http://127.0.0.1:1"}, "refuses", "gen302 sandbox starts one"),
        (("doctor",), {"GEN302_DEFAULT": "nobody"}, "There is no provider 'nobody'", "For a new one"),
    ],
    ids=["prompt", "jobs", "config", "sandbox-word", "sandbox-gone", "default"],
)
def test_what_to_do_next_is_said_of_what_was_typed(
    told: Told,
    monkeypatch: pytest.MonkeyPatch,
    typed: tuple[str, ...],
    environment: dict[str, str],
    said: str,
    then: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    whole = "".join(told(*typed, expect=6 if "http://127.0.0.1:1" in environment.values() else 2)).casefold()
    assert said.casefold() in whole
    assert f"next: {then}".casefold() in whole
