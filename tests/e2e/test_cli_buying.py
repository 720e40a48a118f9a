"""The command buys, follows and saves: paid submits counted, files on disk, exit codes, real signals and pipes."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ai302_core._flows import submitting
from ai302_core.sandbox import RunningSandbox, serve

PNG = b"\x89PNG\r\n\x1a\n"
COMMAND = [sys.executable, "-m", "ai302_core"]
Gen302 = Callable[..., subprocess.CompletedProcess[str]]


Until = Callable[[Callable[[], Any]], None]


@pytest.fixture
def sandbox(stand_in: Callable[..., RunningSandbox]) -> RunningSandbox:
    """A fast one that every command of the test uses."""
    return stand_in(speed=200)


@pytest.fixture
def slow(stand_in: Callable[..., RunningSandbox]) -> RunningSandbox:
    """One whose time stands until the test lets it pass."""
    return stand_in(speed=0)


def started(*arguments: str, stdin: int = subprocess.DEVNULL, **options: Any) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    return subprocess.Popen(
        [*COMMAND, *arguments], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", **options
    )


def pictures(folder: str) -> list[Path]:
    return sorted(path for path in Path(folder).iterdir() if path.suffix != ".json")


def lines(done: subprocess.CompletedProcess[str]) -> list[Any]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def one(done: subprocess.CompletedProcess[str]) -> Any:
    (line,) = lines(done)
    assert set(line) >= {"v", "job", "files", "warnings", "cost", "error", "exit"}
    assert line["exit"] == done.returncode
    return line


def test_run_buys_once_and_saves_four_pictures_and_a_sidecar(sandbox: RunningSandbox, gen302: Gen302) -> None:
    done = gen302("run", "a", "paper", "lantern", "--ar", "3:2", "-o", "shots")
    saved = pictures("shots")
    assert done.stdout.splitlines() == [str(path.resolve()) for path in saved]
    assert [path.read_bytes()[:8] for path in saved] == [PNG] * 4
    (sidecar,) = Path("shots").glob("*.json")
    assert json.loads(sidecar.read_text("utf-8"))["request"]["prompt"] == "a paper lantern"
    assert sandbox.paid == 1
    assert "no money was spent" in done.stderr


def test_json_is_one_line_and_nothing_else(sandbox: RunningSandbox, gen302: Gen302) -> None:
    told = one(gen302("run", "a lantern", "--json", "-o", "shots/{id}-{n}", "--no-sidecar"))
    assert (told["job"]["status"], told["job"]["sandbox"], told["error"]) == ("succeeded", True, None)
    assert sorted(told["files"]) == [str(path.resolve()) for path in pictures("shots")]
    assert [Path(path).name for path in told["files"]] == [f"{told['job']['id']}-{n}.png" for n in (1, 2, 3, 4)]
    assert "raw" not in told["job"]


def test_the_same_key_pays_once(sandbox: RunningSandbox, gen302: Gen302) -> None:
    first = one(gen302("run", "a lantern", "--key", "cover", "--json", "-o", "shots"))
    told = gen302("run", "a lantern", "--key", "cover", "--json", "-o", "shots")
    again = one(told)
    assert (first["job"]["id"], first["files"]) == (again["job"]["id"], again["files"])
    assert f"{again['job']['id']} succeeded\n" in told.stderr, "how long it took is not how long ago it was asked"
    other = one(gen302("run", "a dragon", "--key", "cover", "--json", expect=2))
    assert other["error"]["type"] == "KeyConflict"
    assert sandbox.paid == 1


def test_submit_wait_act_save(sandbox: RunningSandbox, gen302: Gen302) -> None:
    with started("submit", "-", "-o", "shots", stdin=subprocess.PIPE) as child:
        job_id = child.communicate("a lantern\n", timeout=60)[0].strip()
    assert child.returncode == 0
    assert len(gen302("wait", job_id[-5:]).stdout.splitlines()) == 4, "the submit said where the files go"
    pressed = gen302("act", job_id, "U2", "-o", "big").stdout.split()
    again = gen302("act", job_id, "upscale-2", "-o", "big").stdout.split()
    assert pressed == again == [str(path.resolve()) for path in pictures("big")]
    assert sandbox.paid == 2
    (grid,) = gen302("save", job_id, "--only", "grid", "-o", "grid", "--no-sidecar").stdout.split()
    assert Path(grid).read_bytes().startswith(PNG)
    listed = [(entry["status"], entry["operation"]) for entry in lines(gen302("jobs", "--json"))]
    assert listed == [("succeeded", "upscale"), ("succeeded", "imagine")]
    table = gen302("jobs", "list", "--text", "lantern").stdout.splitlines()
    assert len(table) == 2
    assert job_id in table[1]
    assert "vary-1" in gen302("jobs", "show", pictures("shots")[0]).stdout


def test_an_action_that_is_not_offered_names_those_that_are(sandbox: RunningSandbox, gen302: Gen302) -> None:
    gen302("run", "a lantern", "-q")
    refused = gen302("act", "last", "upscale-9", expect=2)
    assert "upscale-1" in refused.stderr
    assert "Nothing was paid." in refused.stderr
    typo = gen302("act", "last", "vary-1", "--set", "promt=x", expect=2)
    assert "did you mean 'prompt'" in typo.stderr
    assert sandbox.paid == 1


def test_a_prompt_from_a_file_and_typed_fields(sandbox: RunningSandbox, gen302: Gen302) -> None:
    Path("prompt.txt").write_bytes("\ufeffein rotes Tor\r\n".encode())
    fields = ("chaos=20", "raw=true", "style_references=https://a.example/1.png", "style-references=77")
    options = [word for field in fields for word in ("--set", field)]
    shown = one(gen302("run", "@prompt.txt", "--dry-run", "--json", *options))
    prompt = shown["request"]["body"]["prompt"]
    assert prompt.startswith("ein rotes Tor ")
    assert "--chaos 20" in prompt
    assert "--sref https://a.example/1.png 77" in prompt
    assert "***" in shown["request"]["headers"].values()
    assert sandbox.requests == []


def test_operations_by_name(sandbox: RunningSandbox, gen302: Gen302) -> None:
    made = gen302("run", "a lantern", "-o", "shots", "-q").stdout.split()
    blended = one(
        gen302(
            "run", "-p", "midjourney", "--op", "blend", "--image", made[0], "--image", made[1], "-o", "mix", "--json"
        )
    )
    assert (blended["job"]["operation"], len(blended["files"])) == ("blend", 4)
    described = gen302("run", "-p", "midjourney", "--op", "describe", "--image", made[0], "-o", "words")
    assert described.stderr.count("\n") > 4
    clip = one(gen302("run", "it sways", "-p", "midjourney", "--first-frame", made[0], "-o", "clip", "--json"))
    assert clip["job"]["operation"] == "video"
    assert all(path.endswith(".mp4") for path in clip["files"])


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_while_waiting_leaves_a_job_that_lives_on(
    slow: RunningSandbox, gen302: Gen302, until: Until, number: signal.Signals
) -> None:
    with started("run", "a lantern", "-o", "shots", "--json") as child:
        until(lambda: any("/fetch" in seen.path for seen in slow.requests))
        child.send_signal(number)
        told, people = child.communicate(timeout=30)
    assert child.returncode == 130
    outcome = json.loads(told)
    assert f"gen302 wait {outcome['job']['id']}" in people
    assert "Traceback" not in people
    slow.advance(600)
    assert len(gen302("wait", "last").stdout.splitlines()) == len(pictures("shots")) == 4
    assert slow.paid == 1


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_ctrl_c_says_where_the_job_stands_and_what_works(slow: RunningSandbox, gen302: Gen302, until: Until) -> None:
    gen302("submit", "a lantern", "-o", "shots")
    slow.fault("cancel", "late", seconds=600.0)
    with started("cancel", "last") as child:
        until(lambda: any(seen.route.startswith("cancel") for seen in slow.requests))
        child.send_signal(signal.SIGINT)
        _, people = child.communicate(timeout=30)
    assert "may have been asked to stop already" in people
    job = people.split("Next: gen302 cancel ")[1].split()[0]
    gen302("cancel", job)

    gen302("submit", "a lantern", "-o", "shots")
    slow.advance(600)
    slow.fault("download", "slow", times=None, seconds=600.0)
    with started("save", "last") as child:
        until(lambda: any(seen.route.startswith("download") for seen in slow.requests))
        child.send_signal(signal.SIGINT)
        _, people = child.communicate(timeout=30)
    assert (child.returncode, "is succeeded" in people) == (130, True)
    assert "The job is paid and its files can be saved. This is the sandbox: no money was spent." in people
    assert "Next: gen302 save " in people


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_ctrl_c_in_the_demo_leaves_nothing_to_follow(gen302: Gen302) -> None:
    with started("demo") as child:
        assert child.stderr is not None
        guard = threading.Timer(30, child.kill)
        guard.start()
        seen = ""
        while "queued" not in seen:
            seen = child.stderr.readline()
            assert seen, "the demo ended by itself, or showed no job within 30 s"
        guard.cancel()
        child.send_signal(signal.SIGINT)
        _, people = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "It was all the sandbox, which has ended: no money was spent." in people
    assert "wait" not in people
    assert "demo" in people.split("Next:")[1]


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_ctrl_c_while_the_paid_request_is_out_is_held_until_its_receipt(
    slow: RunningSandbox, gen302: Gen302, until: Until, held: Any
) -> None:
    slow.fault("submit", "late")
    with started("run", "a lantern", "-o", "shots") as child:
        until(lambda: slow.paid)
        child.send_signal(signal.SIGINT)
        held.go.set()
        _, people = child.communicate(timeout=30)
    assert child.returncode == 130
    slow.advance(600)
    (job,) = lines(gen302("jobs", "--json"))
    assert job["id"] in people
    assert job["remote_id"]
    gen302("jobs", "resume")
    assert len(pictures("shots")) == 4
    assert slow.paid == 1


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_killed_run_is_resumed_without_paying_again(
    slow: RunningSandbox, gen302: Gen302, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started("run", "a lantern", "-o", "shots", "--key", "cover") as child:
        until(lambda: any("/fetch" in seen.path for seen in slow.requests))
        child.kill()
    assert child.returncode == -signal.SIGKILL
    slow.advance(600)
    here = Path.cwd()
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    (outcome,) = lines(gen302("jobs", "resume", "--json"))
    monkeypatch.chdir(here)
    assert (outcome["job"]["key"], outcome["exit"]) == ("cover", 0)
    assert sorted(outcome["files"]) == [str(path.resolve()) for path in pictures("shots")]
    assert len(outcome["files"]) == 4
    assert slow.paid == 1
    assert gen302("jobs", "resume").stdout == ""


def test_still_running_is_three(slow: RunningSandbox, gen302: Gen302) -> None:
    gen302("submit", "a lantern")
    looked = one(gen302("wait", "last", "--timeout", "0", "--json", expect=3))
    assert looked["error"]["type"] == "JobTimeout"
    assert looked["error"]["billed"] == "yes"
    assert one(gen302("save", "last", "--json", expect=3))["error"]["hint"].startswith("gen302 wait")


def test_a_lost_answer_is_seven_and_never_sent_again(slow: RunningSandbox, gen302: Gen302) -> None:
    slow.fault("submit", "drop")
    lost = gen302("run", "a lantern", "--key", "cover", expect=7)
    assert "It may have been paid: look before you pay again." in lost.stderr
    assert "gen302 jobs reconcile" in lost.stderr
    assert one(gen302("run", "a lantern", "--key", "cover", "--json", expect=7))["error"]["billed"] == "unknown"
    assert slow.paid == 1
    (task,) = slow.jobs
    slow.advance(600)
    gen302("jobs", "reconcile", "last", "--found", task["id"])
    assert len(gen302("run", "a lantern", "--key", "cover", "-o", "shots").stdout.splitlines()) == 4
    assert slow.paid == 1
    assert "unconfirmed" in gen302("jobs", "reconcile", "last", "--abandon", expect=2).stderr


def test_a_task_of_another_tool_is_adopted(
    sandbox: RunningSandbox, gen302: Gen302, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = one(gen302("submit", "a lantern", "--json"))
    monkeypatch.setenv("GEN302_LEDGER", "sqlite:///" + str(Path("other.db").absolute()))
    task = first["job"]["remote_id"]
    gen302("jobs", "adopt", task, "-p", "midjourney")
    assert len(gen302("wait", task, expect=None).stderr) > 0
    assert len(gen302("save", task, "-o", "shots").stdout.split()) == 4
    assert sandbox.paid == 1


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_several_are_waited_for_together(sandbox: RunningSandbox, gen302: Gen302, until: Until) -> None:
    sandbox.fault("submit", "stuck")
    stuck, good = (one(gen302("submit", name, "-o", "shots", "--json"))["job"]["id"] for name in ("a rock", "a boat"))
    with started("wait", stuck, good) as waiting:  # the one that never ends does not keep the other from its files
        until(lambda: len(list(Path("shots").glob("*.png"))) == 4)
        waiting.send_signal(signal.SIGINT)
        people = waiting.communicate(timeout=30)[1]
    assert waiting.returncode == 130
    assert f"gen302 wait {stuck} {good}" in people
    for verb in (("wait", stuck, good, stuck, "--timeout", "1"), ("wait", good, "last", stuck, "--timeout", "0")):
        told = {entry["job"]["id"]: entry["exit"] for entry in lines(gen302(*verb, "--json", expect=3))}
        assert told == {stuck: 3, good: 0}
    assert "no job 'nobody'" in gen302("wait", "nobody", good, expect=2).stderr
    assert sandbox.paid == 2


def test_cancel_says_what_became_of_the_job(slow: RunningSandbox, gen302: Gen302) -> None:
    gen302("submit", "a lantern")
    canceled = one(gen302("cancel", "last", "--json"))
    assert canceled["job"]["status"] == "canceled"
    assert one(gen302("wait", "last", "--json", expect=1))["error"]["type"] == "JobCanceled"


def test_a_missing_file_is_nine_and_saving_again_is_free(sandbox: RunningSandbox, gen302: Gen302) -> None:
    sandbox.fault("download", "expired", times=None)
    broken = gen302("run", "a lantern", "-o", "shots", expect=9)
    assert "saving again is free" in broken.stderr
    assert sandbox.paid == 1


def test_a_closed_pipe_does_not_stop_what_is_paid(sandbox: RunningSandbox) -> None:
    with started("run", "a lantern", "-o", "shots") as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        people = child.stderr.read()
    assert child.returncode == 0
    assert len(pictures("shots")) == 4
    assert "Traceback" not in people
    assert "Exception ignored" not in people


PRINTING = (
    "--version", "--help", "", "run --help", "help batch", "run lantern -o shots", "run lantern --dry-run", "wait last",
    "save last", "act last upscale-1 -o shots", "cost last", "submit lantern --key k --json", "batch rows.csv -o shots",
    "cost --by model", "jobs", "jobs --json", "jobs list --csv", "jobs show last", "jobs gallery page.html", "doctor",
    "config show", "config path", "config schema", "providers", "models", "plugins", "plugins new boat",
    "completion fish", "init",
)  # fmt: skip


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full disk here")
@pytest.mark.parametrize("where", ["full", "closed"])
def test_data_that_stdout_does_not_take_is_no_success(
    sandbox: RunningSandbox, gen302: Gen302, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Whatever is typed: the work is done, the loss is told once, and a script cannot take it for a success."""
    Path("rows.csv").write_text("prompt\na lantern\na boat\n")
    for typed in PRINTING:
        with contextlib.ExitStack() as stack:
            full = stack.enter_context(Path("/dev/full").open("w", encoding="utf-8")) if where == "full" else None
            with monkeypatch.context() as patch:
                patch.setattr(sys, "stdout", full)
                told = gen302(*typed.split(), expect=11).stderr
                assert told.count("gen302: stdout ") == 1, typed
                assert ("goes to a disk that is full" if full else "is closed") in told
                gen302("jobs", "show", "nothing", expect=2)  # what went wrong before is worse
    assert sandbox.paid == 5
    assert len(pictures("shots")) == 4 + 1 + 8
    assert Path("page.html").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full disk here")
def test_a_shell_that_closes_stdout_or_fills_it_hears_of_it(sandbox: RunningSandbox) -> None:
    me = shlex.join(COMMAND)
    for line, code in (
        (f"{me} run a lantern -o shots >&-", 11),
        (f"{me} jobs >/dev/full", 11),
        (f"{me} run --help >&-", 11),
        (f"({me} jobs; exit $?) | true", 0),  # a reader who left wants no more
    ):
        done = subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True, timeout=60)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        assert "ignored" not in done.stderr
    assert len(pictures("shots")) == 4


@pytest.mark.skipif(os.name == "nt", reason="POSIX terminals")
@pytest.mark.parametrize("columns", ["100", "34"])
def test_a_live_line_on_a_terminal_leaves_the_data_alone(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    import pty

    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("TERM", "xterm")
    master, terminal = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "run", "a lantern", "-o", "shots"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=terminal
    ) as child:
        os.close(terminal)
        assert child.stdout is not None
        shown = b""
        with contextlib.suppress(OSError):  # the terminal is gone when its last writer is
            while piece := os.read(master, 4096):
                shown += piece
        data = child.stdout.read().decode()
    os.close(master)
    assert child.returncode == 0
    assert data.splitlines() == [str(path.resolve()) for path in pictures("shots")]
    text = shown.decode()
    assert "\x1b[2K" in text, "the line was redrawn in place"
    assert text.count("succeeded, after") == 1
    assert ".png" not in text
    assert text.rstrip().endswith("no money was spent.")


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_polite_kill_in_the_background_of_a_script_loses_no_receipt(
    slow: RunningSandbox, gen302: Gen302, until: Until, held: Any
) -> None:
    slow.fault("submit", "late")

    def ignoring() -> None:  # as a shell starts what ends in "&"
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    with started("run", "a lantern", preexec_fn=ignoring) as child:
        until(lambda: slow.paid)
        child.terminate()
        held.go.set()
        _, people = child.communicate(timeout=30)
    assert child.returncode == 130
    (job,) = lines(gen302("jobs", "--json"))
    assert (job["status"], bool(job["remote_id"])) == ("queued", True)
    assert f"gen302 wait {job['id']}" in people


@pytest.mark.parametrize("gateway", ["302ai", "new-api"])
def test_gateways_change_by_configuration_alone(gen302: Gen302, gateway: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(speed=200, gateway=gateway) as running:
        monkeypatch.setenv("MY_KEY", running.key)
        Path("gen302.toml").write_text(
            f'[providers.hero]\nfamily = "midjourney"\ngateway = "{gateway}"\nbase_url = "{running.url}"\n'
            'api_key_env = "MY_KEY"\npoll = { initial = 0.1 }\n'
        )
        told = one(gen302("run", "a lantern", "--json", "-o", "shots"))
        assert (told["job"]["gateway"], len(told["files"]), running.paid) == (gateway, 4, 1)
        assert "sandbox" not in told["job"]


def test_nothing_is_called_sent_before_it_goes_out(sandbox: RunningSandbox, gen302: Gen302) -> None:
    for wrong in (["--image", "nowhere.png"], ["--resolution", "2K"]):
        said = gen302("run", "a lantern", *wrong, expect=2).stderr
        assert "Nothing was sent." in said
        assert "sending" not in said
    assert sandbox.paid == 0
    assert gen302("submit", "a lantern", "--key", "k").stderr.count("sending") == 1
    assert "sending" not in gen302("submit", "a lantern", "--key", "k").stderr, "the key names a job: nothing is sent"
    assert sandbox.paid == 1


def test_what_was_not_accepted_is_told_with_its_reason_before_it_goes_out_again(
    sandbox: RunningSandbox, gen302: Gen302
) -> None:
    for fault, reason, soon in (
        ({"kind": "429", "retry_after": 0}, r"Hourly limit[^;]* \[-10012\]", "at once"),
        ({"kind": "429", "retry_after": 1}, r"Hourly limit[^;]* \[-10012\]", "in 1 s"),
        ({"kind": "queue_full"}, r"[^;]*队列已满[^;]* \[23\]", "in 1 s"),
        (
            {"kind": "refused", "code": 23, "description": f"full of {sandbox.key} " * 40},
            r"full of [^;]{80,110}…",
            "in 1 s",
        ),
    ):
        sandbox.fault("submit", **fault)
        before = sandbox.paid
        done = gen302("submit", "a lantern", "--json")
        told = rf"not accepted, nothing was paid: midjourney \(302ai\) refused: {reason}; sending again {soon}\n"
        assert re.search(rf"sending;.*\n.*{told}.*sending;", done.stderr), done.stderr
        assert sandbox.key not in done.stderr
        assert (one(done)["job"]["status"], sandbox.paid) == ("queued", before + 1)


def test_who_waits_at_limits_of_his_own_is_told_why(
    slow: RunningSandbox, gen302: Gen302, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submitting, "_TOLD", 1)
    monkeypatch.setenv("GEN302_PROVIDERS__MIDJOURNEY__FAMILY", "midjourney")
    monkeypatch.setenv("GEN302_PROVIDERS__MIDJOURNEY__LIMITS__CONCURRENT", "1")
    gen302("submit", "a lantern")
    done = gen302("submit", "a lamp", "--timeout", "0.5", "--json", expect=6)
    assert done.stderr.count("midjourney is at its own limit of open jobs or jobs a minute: waiting for a place") == 1
    assert (one(done)["error"]["type"], slow.paid) == ("RateLimitError", 1)
    assert one(done)["error"]["hint"].startswith("gen302 jobs resume  #")
    slow.advance(600)
    gen302("jobs", "resume")
    gen302("submit", "a lamp")
    assert slow.paid == 2


def test_the_timeout_of_what_buys_and_waits_is_for_the_whole(slow: RunningSandbox, gen302: Gen302) -> None:
    parent = gen302("submit", "a lantern").stdout.strip()
    slow.advance(600)
    gen302("wait", parent)
    for verb in (["run", "a lamp"], ["act", parent, "upscale-2"]):
        paid, looks = slow.paid, sum(seen.route == "poll" for seen in slow.requests)
        busy = slow.fault("submit", "429", retry_after=40)
        told = one(gen302(*verb, "--timeout", "30", "--json", expect=6))
        assert (told["error"]["type"], busy.hits, slow.paid) == ("RateLimitError", 1, paid)
        slow.fault("submit", "late", seconds=1.0)
        told = one(gen302(*verb, "--timeout", "0.5", "--json", expect=3))
        assert (told["error"]["type"], told["job"]["status"], slow.paid) == ("JobTimeout", "queued", paid + 1)
        assert sum(seen.route == "poll" for seen in slow.requests) == looks + 1
        slow.advance(600)
        gen302("wait", "last")


def test_success_without_a_file_is_told_and_can_be_given_up(slow: RunningSandbox, gen302: Gen302) -> None:
    slow.fault("poll", "no_asset", times=None)
    gen302("submit", "a lantern", "--key", "k")
    slow.advance(600)
    done = gen302("run", "a lantern", "--key", "k", "--timeout", "2", "--json", expect=3)
    (told,) = lines(done)
    assert "is done, but gave no file within" in told["error"]["message"]
    assert (told["error"]["type"], told["error"]["billed"], told["files"]) == ("JobTimeout", "yes", [])
    assert "done, but without a file so far" in done.stderr
    job = told["job"]["id"]
    assert f"gen302 wait {job}" in told["error"]["hint"]
    assert f"gen302 jobs reconcile {job} --abandon" in told["error"]["hint"]
    assert one(gen302("jobs", "reconcile", job, "--abandon", "--json"))["job"]["status"] == "abandoned"
    assert "There is nothing to resume" in gen302("jobs", "resume").stderr
    assert one(gen302("submit", "a lantern", "--key", "k", "--again", "--json"))["job"]["attempt"] == 2
    assert slow.paid == 2


def test_a_file_taken_away_stays_so_until_it_is_asked_for(sandbox: RunningSandbox, gen302: Gen302) -> None:
    gen302("run", "a lantern", "-o", "shots", "--key", "k")
    kept = pictures("shots")
    for asking in (["save", "last"], ["wait", "last"], ["run", "a lantern", "-o", "shots", "--key", "k"]):
        kept[1].unlink()
        assert "nothing to resume" in gen302("jobs", "resume").stderr
        assert len(pictures("shots")) == 3
        gen302(*asking)
        assert pictures("shots") == kept
    assert sandbox.paid == 1


def test_the_next_command_names_the_configuration_that_was_named(slow: RunningSandbox, gen302: Any) -> None:
    """What it is about may be known there alone."""
    file = Path("my shop") / "gen302.toml"
    file.parent.mkdir()
    file.write_text('[providers.hero]\nfamily = "midjourney"\n', "utf-8")
    told = gen302("submit", "a lantern", "-p", "hero", "--config", file, "-o", "shots").stderr
    (then,) = (line.removeprefix("Next: ") for line in told.splitlines() if line.startswith("Next: "))
    late = gen302(*shlex.split(then)[1:], "--timeout", "0", expect=3).stderr
    assert f"  Next: {then}" in late.splitlines()
    assert shlex.split(then)[-2:] == ["--config", str(file)]
    slow.advance(600)
    gen302(*shlex.split(then)[1:])
    assert (slow.paid, len(list(Path("shots").glob("*.png")))) == (1, 4)
