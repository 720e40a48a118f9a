"""Foreign words, shown as they are: what would command a terminal, or turn its letters around, becomes an escape."""

from __future__ import annotations

_ORDERS = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
"""Letters that order those after them: overrides, embeddings, isolates."""

_BREAKS = (0x2028, 0x2029)
_COMMANDS = {
    code: chr(code).encode("unicode_escape").decode("ascii")
    for code in (*range(0x20), *range(0x7F, 0xA0), *_ORDERS, *_BREAKS)
    if chr(code) not in "\t\n"
}


def visible(text: str) -> str:
    """The text, with `\\x1b` for an escape and so on; lines stay lines."""
    return text if text.isprintable() else text.translate(_COMMANDS)


def one_line(text: str) -> str:
    """The same on one line: what a service says must not look like what we say below it."""
    return text if text.isprintable() else visible(" ".join(text.split()))
