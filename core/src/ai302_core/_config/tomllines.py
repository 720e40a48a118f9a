"""On which line of a TOML text each key stands. Takes text that `tomllib` has already accepted. No I/O."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

__all__ = ["KeyPath", "key_lines"]

KeyPath = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:\\.|(?!""").)*"{3,5}'  # up to two quotes may stand before the closing three
    r"|'''(?:(?!''').)*'{3,5}"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'",
    re.DOTALL,
)
_PLAIN = re.compile(r"[^,\]}#\r\n]+")


def key_lines(text: str) -> dict[KeyPath, int]:
    """The line, from 1, of every key and table; a place in a list is a number. The first mention counts."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[KeyPath, int] = {}
        self._lengths: dict[KeyPath, int] = {}
        self._counted = (0, 1)

    def document(self) -> None:
        table: KeyPath = ()
        while self._skip(_BLANK) < len(self.text):
            if self.text.startswith("[[", self.at):
                table = self._header(2, many=True)
            elif self.text[self.at] == "[":
                table = self._header(1, many=False)
            else:
                self._pair(table)

    def _header(self, brackets: int, *, many: bool) -> KeyPath:
        start = self.at
        self.at += brackets
        path: KeyPath = ()
        keys = list(self._keys())
        for position, key in enumerate(keys):
            path = (*path, key)
            self._note(path, start)
            last = position == len(keys) - 1
            if last and many:
                self._lengths[path] = self._lengths.get(path, 0) + 1
            if path in self._lengths:
                path = (*path, self._lengths[path] - 1)
                self._note(path, start)
        self.at += brackets
        return path

    def _pair(self, table: KeyPath) -> None:
        start = self.at
        path = table
        for key in self._keys():
            path = (*path, key)
            self._note(path, start)
        self.at += 1  # the equals sign
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        self._skip(_BLANK)
        opening = self.text[self.at]
        if opening in "\"'":
            self._skip(_STRING)
        elif opening in "[{":
            self.at += 1
            number = 0
            while self._skip(_BLANK) < len(self.text) and self.text[self.at] not in "]}":
                if self.text[self.at] == ",":
                    self.at += 1
                elif opening == "{":
                    self._pair(path)
                else:
                    self._note((*path, number), self.at)
                    self._value((*path, number))
                    number += 1
            self.at += 1
        else:
            self._skip(_PLAIN)

    def _keys(self) -> Iterator[str]:
        """The parts of a dotted key; stops before what follows it."""
        while True:
            self._skip(_SPACE)
            start = self.at
            if self.text[start] in "\"'":
                self._skip(_STRING)
                # A quoted key has the escapes of a string: let the parser of strings read them.
                yield str(tomllib.loads(f"k = {self.text[start : self.at]}")["k"])
            else:
                self._skip(_BARE)
                yield self.text[start : self.at]
            self._skip(_SPACE)
            if not self.text.startswith(".", self.at):
                return
            self.at += 1

    def _skip(self, pattern: re.Pattern[str]) -> int:
        match = pattern.match(self.text, self.at)
        if match is not None:
            self.at = match.end()
        return self.at

    def _note(self, path: KeyPath, at: int) -> None:
        counted, line = self._counted
        if at > counted:
            self._counted = (at, line + self.text.count("\n", counted, at))
        self.lines.setdefault(path, self._counted[1])
