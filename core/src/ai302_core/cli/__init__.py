"""The command gen302: which verb was typed; nothing of the others is imported."""

from __future__ import annotations

import sys

from ai302_core._version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

VERBS = (
    # verb, what it does, the module that performs it
    ("make",),
    ("run", 'buy, wait, save the files: gen302 run "a paper lantern" -o pictures', "make"),
    ("submit", "buy, and return as soon as it is accepted", "make"),
    ("act", "press a button of a finished job: gen302 act last upscale-2", "make"),
    ("batch", "every row of a CSV or JSONL file, once: gen302 batch skus.csv", "batch"),
    ("follow",),
    ("wait", "follow jobs until they settle", "follow"),
    ("save", "put a job's files on disk; again is free", "follow"),
    ("cancel", "ask the service to stop", "follow"),
    ("cost", "what jobs cost, by the service's own records", "cost"),
    ("jobs", "list, show, resume, adopt, reconcile, ask, gallery", "jobs"),
    ("set up",),
    ("init", "write a commented gen302.toml: three questions", "init"),
    ("doctor", "what is configured, what answers; free", "doctor"),
    ("config", "show, path, schema", "setup"),
    ("providers", "the configured providers", "setup"),
    ("models", "what the families in use know of: gen302 models --task image", "models"),
    ("plugins", "list, new NAME, check NAME: the installed families, broken ones too", "plugins"),
    ("completion", "a script for bash, zsh, fish or PowerShell", "completion"),
    ("try",),
    ("demo", "pictures in half a minute, without a key or money", "trial"),
    ("sandbox", "the local server that speaks the real wire formats", "trial"),
)

EXITS = (
    ("0", "ok"),
    ("1", "the job failed"),
    ("2", "usage, configuration, key, parameters"),
    ("3", "still running"),
    ("4", "content refused"),
    ("5", "no balance, or over budget"),
    ("6", "busy or unreachable, nothing created"),
    ("7", "unconfirmed: look before you pay again"),
    ("8", "batch partly done"),
    ("9", "paid, a file is missing: gen302 save JOB"),
    ("10", "waits for your input"),
    ("11", "all done, but stdout did not take what it says"),
    ("130", "Ctrl-C, the job lives on"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Do what was typed; the exit code. `argv` is without the command's own name."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a console that lacks a letter shows its code
    word, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if word == "help" and rest:
        word, rest = rest[0], [*rest[1:], "--help"]
    if word in ("--version", "-V"):
        return _shown(f"gen302 {VERSION}")
    if word in ("--help", "-h", "help"):
        return _shown(usage())
    if not word:
        from .newcomer import first_steps

        return _shown(first_steps())
    for entry in VERBS:
        if word == entry[0] and len(entry) == 3:
            if argv is None:  # this process is the command's own
                _collect_rarely()
            try:
                module = __import__(f"{__name__}.{entry[2]}", fromlist=["perform"])
                return int(module.perform(word, rest))
            except KeyboardInterrupt:  # one more Ctrl-C, while the first was being told
                return 130
    return _unknown(word, as_json="--json" in arguments)


def _collect_rarely() -> None:
    """What imports make is never garbage, and looking through it for garbage takes a twentieth of a start."""
    import gc

    gc.set_threshold(100_000, *gc.get_threshold()[1:])


def usage() -> str:
    """What `gen302 --help` prints."""
    lines = ["gen302 buys pictures, videos and sounds from 302.AI and compatible gateways.", ""]
    lines += ["usage: gen302 VERB ... | gen302 VERB --help | gen302 --version", ""]
    for entry in VERBS:
        lines.append(entry[0] if len(entry) == 1 else f"  {entry[0]:<10} {entry[1]}")
    lines += ["", "every verb", "  -p/--provider NAME  --config FILE  --json  -q  -v  --help"]
    lines += ["", "JOB is an id, its last 4 or more letters, `last`, a key, a gateway's task id, or a saved file."]
    lines += ["", "exit codes", *(f"  {code:>3}  {text}" for code, text in EXITS)]
    return "\n".join(lines)


def _shown(text: str) -> int:
    from ._output import Output

    output = Output()
    output.data(text)
    return output.ended(0)


def _unknown(word: str, *, as_json: bool) -> int:
    from difflib import get_close_matches

    from ai302_core.errors import ParameterError

    from ._output import Output
    from ._session import Session

    verbs = [entry[0] for entry in VERBS if len(entry) == 3]
    if word.startswith("-"):
        said, then = f"{word} comes before the verb.", f"Options follow the verb: gen302 run ... {word}"
    else:
        near = get_close_matches(word, verbs, 1)
        said = f"There is no verb {word!r}{f'; did you mean {near[0]!r}?' if near else '.'}"
        then = f"gen302 {near[0]} --help" if near else "gen302 --help"
    return Session(word, Output(as_json=as_json)).tell(None, error=ParameterError(said, hint=then))
