"""The verb completion: a script that lets a shell complete verbs and options. It starts nothing when Tab is pressed."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Mapping, Sequence

from ai302_core.errors import ParameterError

from . import VERBS, _options, main
from ._options import Parser
from ._session import Session, execute

INNER = {
    "jobs": ("list", "show", "resume", "adopt", "reconcile", "ask", "gallery"),
    "config": ("show", "path", "schema"),
    "plugins": ("list", "new", "check"),
    "completion": ("bash", "zsh", "fish", "powershell"),
}
"""Words that follow a verb; those of `jobs` have options of their own."""

_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def perform(verb: str, arguments: Sequence[str]) -> int:
    """Do `completion`; the exit code."""
    return execute(verb, _parser(), _completion, arguments)


def _parser() -> Parser:
    parser = Parser(
        "completion",
        "Print a script that completes verbs and options.",
        (
            "gen302 completion bash > ~/.local/share/bash-completion/completions/gen302",
            "gen302 completion zsh > ~/.zfunc/_gen302          (fpath+=~/.zfunc before compinit)",
            "gen302 completion fish > ~/.config/fish/completions/gen302.fish",
            "gen302 completion powershell | Out-String | Invoke-Expression",
        ),
    )
    parser.add_argument("shell", metavar="bash|zsh|fish|powershell")
    _options.common(parser)
    return parser


def _completion(session: Session) -> int:
    makers = {"bash": _bash, "zsh": _zsh, "fish": _fish, "powershell": _powershell}
    shell = session.options.shell.lower()
    if shell not in makers:
        raise ParameterError(f"No completion is made for {shell!r}; there are: {', '.join(makers)}.", field="shell")
    text = makers[shell](words())
    if session.output.as_json:
        session.output.record({"v": 1, "shell": shell, "script": text, "exit": 0})
    else:
        session.output.data(text.rstrip("\n"))
    return 0


def words() -> dict[str, list[str]]:
    """What may follow each verb: the words of its own, and the options its help tells of."""
    found = {}
    for verb in (entry[0] for entry in VERBS if len(entry) == 3):
        inner = INNER.get(verb, ())
        helps = [_told(verb, word, "--help") for word in inner] if verb == "jobs" else [_told(verb, "--help")]
        options = sorted({option for text in helps for option in _OPTION.findall(text)})
        found[verb] = [*inner, *options]
    return found


def _told(*arguments: str) -> str:
    into = io.StringIO()
    with contextlib.redirect_stdout(into):
        main(arguments)
    return into.getvalue()


def _bash(known: Mapping[str, Sequence[str]]) -> str:
    cases = "\n".join(f'        {verb}) words="{" ".join(after)}" ;;' for verb, after in known.items())
    return f"""\
# bash completion of gen302
_gen302() {{
    local here="${{COMP_WORDS[COMP_CWORD]}}" words=""
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        words="{" ".join(known)} help --help --version"
    else
        case "${{COMP_WORDS[1]}}" in
{cases}
        esac
        words=" $words"  # a word that is no option: of those the verb has, or, where there are none, a file
        case "$here" in -*) ;; *) [ "$COMP_CWORD" -eq 2 ] && words="${{words%% --*}}" || words="" ;; esac
    fi
    local IFS=$' \\n'
    COMPREPLY=($(compgen -W "$words" -- "$here"))
}}
complete -o default -o bashdefault -F _gen302 gen302
"""


def _zsh(known: Mapping[str, Sequence[str]]) -> str:
    cases = "\n".join(f"    {verb}) compadd -- {' '.join(after)} ;;" for verb, after in known.items())
    return f"""\
#compdef gen302
# zsh completion of gen302
_gen302() {{
  if (( CURRENT == 2 )); then
    compadd -- {" ".join(known)} help --help --version
    return
  fi
  if [[ $PREFIX != -* ]] && (( CURRENT > 3 )); then
    _files
    return
  fi
  case $words[2] in
{cases}
  esac
  [[ $PREFIX == -* ]] || _files
}}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _gen302 "$@"; else compdef _gen302 gen302; fi
"""


def _fish(known: Mapping[str, Sequence[str]]) -> str:
    lines = ["# fish completion of gen302"]
    first = "not __fish_seen_subcommand_from " + " ".join(known)
    for entry in VERBS:
        if len(entry) == 3:
            told = entry[1].partition(": gen302")[0].replace("'", "\\'")
            lines.append(f"complete -c gen302 -f -n '{first}' -a {entry[0]} -d '{told}'")
    for verb, after in known.items():
        inner = [word for word in after if not word.startswith("-")]
        if inner:
            lines.append(f"complete -c gen302 -n '__fish_seen_subcommand_from {verb}' -a '{' '.join(inner)}'")
        lines += [
            f"complete -c gen302 -n '__fish_seen_subcommand_from {verb}' -l {option[2:]}"
            for option in after
            if option.startswith("--")
        ]
    return "\n".join(lines) + "\n"


def _powershell(known: Mapping[str, Sequence[str]]) -> str:
    table = "\n".join(f"    '{verb}' = @({', '.join(repr(word) for word in after)})" for verb, after in known.items())
    return f"""\
# PowerShell completion of gen302
Register-ArgumentCompleter -Native -CommandName gen302 -ScriptBlock {{
  param($here, $line, $position)
  $known = [ordered]@{{
{table}
  }}
  $typed = @($line.CommandElements | ForEach-Object {{ $_.ToString() }})
  $words = if ($typed.Count -lt 2 -or ($typed.Count -eq 2 -and $here)) {{ $known.Keys }} else {{ $known[$typed[1]] }}
  $words | Where-Object {{ $_ -like "$here*" }} | ForEach-Object {{
    [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
  }}
}}
"""
