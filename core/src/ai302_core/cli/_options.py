"""The options verbs share, and a parser whose mistakes are our own errors."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

from ai302_core.errors import ParameterError

from ._output import Output

PROMPT = "words, - for stdin, or @FILE"
JOB = "an id, its last 4 or more letters, last, a key, a gateway's task id, or a saved file"


class Parser(argparse.ArgumentParser):
    """argparse, but a mistake is a ParameterError with the nearest option, and abbreviations are none."""

    def __init__(self, verb: str, what: str, examples: Sequence[str], **options: Any) -> None:
        shown = "\n".join(["examples:", *(f"  {line}" for line in examples)])
        super().__init__(
            prog=f"gen302 {verb}",
            description=what,
            epilog=shown,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            **options,
        )

    def format_help(self) -> str:
        """The help, wrapped as the terminal is wide; the examples stay a line each."""
        import shutil
        import textwrap

        self.description = textwrap.fill(self.description or "", shutil.get_terminal_size().columns - 2)
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        """What argparse says, as our own error."""
        said = f"{message[:1].upper()}{message[1:]}"
        raise ParameterError(said if said.endswith("?") else f"{said}.", hint=f"{self.prog} --help")

    def print_help(self, file: object = None) -> NoReturn:
        """Print the help as data, and end."""
        output = Output()
        output.data(self.format_help().rstrip("\n"))
        self.exit(output.ended(0))

    def read(self, arguments: Sequence[str]) -> argparse.Namespace:
        """The options. Raises ParameterError."""
        options, rest = self.parse_known_intermixed_args(list(arguments))
        if rest:
            known = [name for action in self._actions for name in action.option_strings]
            near = get_close_matches(rest[0].partition("=")[0], known, 1, cutoff=0.7)
            if rest[0].partition("=")[0] == "--prompt":
                self.error('the prompt stands by itself, without an option: "a paper lantern"')
            if near:
                self.error(f"there is no option {rest[0]!r}; did you mean {near[0]!r}?")
            if rest[0].startswith("-") and hasattr(options, "prompt"):
                self.error(f"there is no option {rest[0]!r}; flags of the prompt itself belong inside its quotes")
            self.error(f"nothing is known of {rest[0]!r} here")
        return options


def text(value: str) -> str:
    """Words of the command line as real text, also where the console's encoding could not carry them."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        try:
            return os.fsencode(value).decode("utf-8")
        except UnicodeDecodeError:
            raise argparse.ArgumentTypeError("this is not UTF-8 text") from None
    return value


def path(value: str) -> str:
    """A path as the system gave it, which its calls take back; an empty one would be as if nothing was said."""
    if not value.strip():
        raise argparse.ArgumentTypeError("it is empty; is a variable not set?")
    return value


def name(value: str) -> str:
    """Text that may not be empty: something else would be bought."""
    return text(path(value))


def seconds(value: str) -> float:
    """A duration in seconds, 0 or more."""
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e9:
        raise argparse.ArgumentTypeError(f"{value!r} is no number of seconds")
    return number


def number(value: str) -> int:
    """A whole number, 1 or more."""
    if not value.isascii() or not value.isdigit() or not int(value):
        raise argparse.ArgumentTypeError(f"{value} is no whole number from 1")
    return int(value)


def unknown(verb: str, word: str, known: Iterable[str]) -> ParameterError:
    """What is told of a word that `verb` does not have."""
    near = get_close_matches(word, known := list(known), 1)
    said = f"; did you mean {near[0]!r}?" if near else f". It has: {', '.join(known)}."
    return ParameterError(f"There is no `{verb} {word}`{said}", hint=f"gen302 {verb} {(near or known)[0]}")


def common(parser: argparse.ArgumentParser) -> None:
    """-p --config --json -q -v"""
    group = parser.add_argument_group("every verb")
    group.add_argument(
        "-p", "--provider", metavar="NAME", type=name, help="a provider of gen302.toml, or an installed family"
    )
    group.add_argument("--config", metavar="FILE", type=path, help="instead of the gen302.toml the usual search finds")
    group.add_argument("--json", action="store_true", help="every outcome is one line of JSON on stdout")
    group.add_argument("-q", "--quiet", action="store_true", help="only errors on stderr")
    group.add_argument("-v", "--verbose", action="store_true", help="more on stderr, tracebacks too")


def request(parser: argparse.ArgumentParser) -> None:
    """What is asked."""
    group = parser.add_argument_group("request")
    group.add_argument("--op", metavar="NAME", type=name, help="the family's operation, such as blend or video")
    group.add_argument("--model", metavar="M", type=name)
    group.add_argument("--ar", metavar="W:H", type=name, help="aspect ratio, such as 16:9")
    group.add_argument("--size", metavar="WxH", type=name, help="pixels, such as 1024x1536")
    group.add_argument("--resolution", metavar="R", type=name, help="the service's word, such as 2K or 720p")
    group.add_argument("--duration", metavar="S", type=float, help="seconds; makes it a video")
    group.add_argument("--seed", metavar="N", type=int)
    group.add_argument("--count", metavar="N", type=int)
    group.add_argument("--negative", metavar="TEXT", type=text, help="what to keep out")
    group.add_argument("--image", metavar="FILE", action="append", help="a reference picture, or a link; repeatable")
    group.add_argument("--mask", metavar="FILE", help="white = repaint")
    group.add_argument("--first-frame", metavar="FILE", help="a picture the clip begins with; makes it a video")
    group.add_argument("--last-frame", metavar="FILE", help="a picture the clip ends with; makes it a video")
    fields(group)
    group.add_argument("--extra", metavar="NAME=JSON", action="append", type=text, help="a member of the wire body")
    group.add_argument("--lenient", action="store_true", help="send without what the family cannot express")
    group.add_argument("--dry-run", action="store_true", help="print the exact request, send nothing")


def fields(group: Any) -> None:
    """--set FIELD=VALUE"""
    group.add_argument(
        "--set", metavar="FIELD=VALUE", action="append", type=text, help="any field of the family's request"
    )


def intention(parser: argparse.ArgumentParser) -> None:
    """--key --again"""
    group = parser.add_argument_group("paying once")
    group.add_argument("--key", metavar="K", type=text, help="your name for it: the same key never pays twice")
    group.add_argument("--again", action="store_true", help="buy once more under a key whose attempt failed")


def callback(parser: argparse.ArgumentParser) -> None:
    """--webhook"""
    parser.add_argument(
        "--webhook",
        metavar="URL",
        type=text,
        help="an address the service may call, {job_id} in it filled",
    )


def saving(parser: argparse.ArgumentParser) -> None:
    """Where files go."""
    group = parser.add_argument_group("files")
    group.add_argument(
        "-o", "--out", metavar="DIR|TEMPLATE", type=path, help='a folder, or a template such as "shots/{date}/{id}-{n}"'
    )
    group.add_argument("--only", metavar="ROLE", action="append", type=name, help="final, tile, grid, preview, ...")
    group.add_argument("--no-sidecar", action="store_true", help="no JSON file beside the files")


def destination(options: argparse.Namespace) -> str | None:
    """Where -o points, from any folder a later wait or resume is called in."""
    return None if options.out is None else absolute(options.out)


def open_to(target: str) -> str:
    """A target, if files can go there as things stand: said before money moves. Raises ParameterError."""
    from ai302_core._files.sniffing import SUFFIXES

    # "{{" is a brace of the name, and what follows the first field is known later.
    known, field, _ = target.replace("{{", "\0").partition("{")
    known = known.replace("\0", "{").replace("}}", "}") if field or "\0" in known else target
    folder = os.path.dirname(known) if field or os.path.splitext(known)[1].lower() in SUFFIXES else known  # noqa: PTH120, PTH122
    while folder and not os.path.lexists(folder):
        folder = os.path.dirname(folder)  # noqa: PTH120
    wrong = "is a file, not a folder" if not os.path.isdir(folder) else "takes no files: it is read-only for you"  # noqa: PTH112
    if os.path.isdir(folder) and os.access(folder, os.W_OK):  # noqa: PTH112
        return target
    raise ParameterError(
        f"Nothing can be saved to {target!r}: {folder!r} {wrong}. Nothing was sent.",
        field="to",
        hint="-o ANOTHER-FOLDER",
    )


def absolute(target: str) -> str:
    """A folder or template that means the same in every working folder."""
    here = os.getcwd().replace("{", "{{").replace("}", "}}")  # noqa: PTH109 - text, whose braces are no fields
    whole = os.path.join(here, os.path.expanduser(target))  # noqa: PTH111, PTH118 - a template is no path
    return whole if "{" in target else os.path.normpath(whole)
