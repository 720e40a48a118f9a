"""The scanner finds every key that the TOML parser finds, on the line where it was written."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai302_core._config.tomllines import KeyPath, key_lines


def paths(value: Any, above: KeyPath = ()) -> Iterator[KeyPath]:
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in entries:
        yield (*above, key)
        yield from paths(entry, (*above, key))


CASES: dict[str, tuple[str, dict[KeyPath, int]]] = {
    "plain": ("a = 1\n\n# b = 2\nc = 'x # y'\n", {("a",): 1, ("c",): 4}),
    "tables": ("[a]\nb = 1\n[a.c]\nd = 2\n", {("a", "b"): 2, ("a", "c"): 3, ("a", "c", "d"): 4}),
    "dotted": ('a . "b.c".d = 1\n', {("a", "b.c", "d"): 1}),
    "inline": ("a = { b = 1, c = { d = [1, 2] } }\ne = 3", {("a", "c", "d", 1): 1, ("e",): 2}),
    "list over lines": ("a = [\n  'x', # ]\n  { b = 1 },\n]\nc = 1\n", {("a", 1, "b"): 3, ("c",): 5}),
    "many-lined text": ('a = """\n[t]\nb = 1\n"""\nc = 1\n', {("c",): 5}),
    "quotes at the end": ('a = """x"""""\nb = \'\'\'y\'\'\'\'\nc = 1\n', {("b",): 2, ("c",): 3}),
    "escapes": ('a = "\\" # {"\n"\\u0062" = 1\n', {("b",): 2}),
    "list of tables": ("[[a]]\nb = 1\n[[a]]\n[a.c]\nb = 2\n", {("a", 0, "b"): 2, ("a", 1, "c", "b"): 5}),
    "dates": ("a = 2026-01-01 07:00:00\nb = [2026-01-01, 1]\nc = 1", {("c",): 3}),
    "other line ends": ("a = 1\r\nb = 2\r\n", {("b",): 2}),
}


@pytest.mark.parametrize("name", CASES)
def test_lines(name: str) -> None:
    text, expected = CASES[name]
    found = key_lines(text)
    assert set(found) == set(paths(tomllib.loads(text)))
    assert {path: found[path] for path in expected} == expected


# Letters that could end a string, open a table or begin a comment too early.
words = st.text("ab=[]{}#.,'\"\\ \né", max_size=6)
values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(words, st.integers(), st.booleans(), st.floats(allow_nan=False, allow_infinity=False)),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(words, below, max_size=3),
    max_leaves=8,
)


def quoted(text: str) -> str:
    return '"' + "".join(f"\\u{ord(letter):04x}" if letter in '"\\\n' else letter for letter in text) + '"'


def written(value: Any, draw: st.DrawFn) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        if "'" not in value and "\n" not in value and draw(st.booleans()):
            return f"'{value}'"
        if draw(st.booleans()):
            return '"""\n' + value.replace("\\", "\\\\").replace('"', '\\"') + '"""'
        return quoted(value)
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{quoted(key)} = {written(entry, draw)}" for key, entry in value.items()) + " }"
    if isinstance(value, list):
        gap = draw(st.sampled_from([" ", "\n", " # ], \n"]))
        return f"[{gap}" + "".join(f"{written(entry, draw)},{gap}" for entry in value) + "]"
    return repr(value)


@st.composite
def documents(draw: st.DrawFn) -> str:
    lines = []
    tables = draw(st.lists(st.lists(words, min_size=1, max_size=3), max_size=4))
    for number, table in enumerate([[], *tables]):
        if table:
            # The number keeps a table from being declared twice.
            lines.append("[" + " . ".join(map(quoted, [f"t{number}", *table])) + "] # [x]")
        entries = draw(st.dictionaries(words, values, max_size=3))
        lines += [f"{quoted(key)} = {written(value, draw)}" for key, value in entries.items()]
    return "\n".join(lines)


@given(documents())
def test_it_sees_what_the_parser_sees(text: str) -> None:
    found = key_lines(text)
    assert set(found) == set(paths(tomllib.loads(text)))
    for path, line in found.items():
        if isinstance(path[-1], str):
            assert quoted(path[-1]) in text.split("\n")[line - 1]
